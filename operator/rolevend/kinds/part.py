"""The base of all models of kinds: frozen, camelCase, closed, with rules that the operator and the API server both enforce."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from rolevend.kinds.field_docs import docs_of_fields

VALIDATIONS = "x-kubernetes-validations"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of an object, in CEL for the API server and in Python for the operator. Both must give the same result."""

    cel: str
    message: str
    holds: Callable[[Any], bool] | None = None
    """None: a rule of a change, which only the API server can evaluate, because it knows the old object."""
    field: str = ""
    """The member that the message names, as written in YAML; empty for the object as a whole."""

    def schema(self) -> dict[str, str]:
        place = {"fieldPath": f".{self.field}"} if self.field else {}
        return {"rule": self.cel, "message": self.message, **place}


class Part(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        regex_engine="rust-regex",
    )
    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _obeys_rules(self) -> Self:
        broken = [rule for rule in self.rules if rule.holds is not None and not rule.holds(self)]
        if broken:
            message = "; ".join(rule.message for rule in broken)
            raise PydanticCustomError("rule", "{message}", {"message": message, "member": broken[0].field})
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core_schema)
        resolved = handler.resolve_ref_schema(schema)
        for name, text in docs_of_fields(cls).items():
            resolved["properties"][cls.model_fields[name].alias or name].setdefault("description", text)
        if cls.rules:
            resolved[VALIDATIONS] = [rule.schema() for rule in cls.rules]
        return schema


class StatusPart(Part):
    """Written only by the operator. Members of a newer operator are ignored, so that a rollback works."""

    model_config = ConfigDict(extra="ignore")


def at_least_one(*members: str) -> Rule:
    """Require one of these members, as written in YAML."""
    return Rule(
        cel=" || ".join(f"has(self.{member})" for member in members),
        message=f"at least one of {' and '.join(members)} must be set",
        holds=lambda part: any(has(part, member) for member in members),
    )


def exactly_one(what: str, *members: str) -> Rule:
    return Rule(
        cel=f"[{', '.join(f'has(self.{member})' for member in members)}].filter(set, set).size() == 1",
        message=f"exactly one {what} must be set, of: {', '.join(members)}",
        holds=lambda part: sum(has(part, member) for member in members) == 1,
    )


def only_with_type(type_name: str, member: str) -> Rule:
    """Require the member exactly if `type` has this name: one rule of a discriminated union."""
    return Rule(
        cel=f"(self.type == '{type_name}') == has(self.{member})",
        message=f"{member} must be set for type {type_name}, and for no other type",
        holds=lambda part: (part.type == type_name) == has(part, member),
        field=member,
    )


def immutable(field: str, way_out: str) -> dict[str, Any]:
    """Return the schema of a required value that never changes."""
    return {VALIDATIONS: [{"rule": "self == oldSelf", "message": f"{field} is immutable: {way_out}"}]}


@dataclass(frozen=True, slots=True)
class KeyedBy:
    """Annotation of a list with these keys, as written in YAML: server-side apply merges it item by item. Must be last in `Annotated`,
    or the bounds before it do not reach the schema."""

    members: tuple[str, ...]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._each_once, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(self.members)}

    def _each_once(self, items: tuple[Part, ...]) -> tuple[Part, ...]:
        _refuse_repetition([tuple(_member(item, member) for member in self.members) for item in items], " and ".join(self.members))
        return items


@dataclass(frozen=True, slots=True)
class Distinct:
    """Annotation of a list of unique scalars. Must be last in `Annotated`."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._each_once, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "x-kubernetes-list-type": "set"}

    def _each_once(self, items: tuple[str, ...]) -> tuple[str, ...]:
        _refuse_repetition(list(items), "value")
        return items


@dataclass(frozen=True, slots=True)
class Atomic:
    """Annotation of a list that is replaced as a whole. Must be last in `Annotated`."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "x-kubernetes-list-type": "atomic"}


def _refuse_repetition(keys: list[Any], what: str) -> None:
    if len(set(keys)) < len(keys):
        first = next(position for position, key in enumerate(keys) if key in keys[:position])
        raise PydanticCustomError("repeated", "item {position} has the same {what} as one before it", {"position": first, "what": what})


def _member(part: Part, member: str) -> Any:
    """Return the member with this name in YAML."""
    return getattr(part, next(name for name, field in type(part).model_fields.items() if (field.alias or name) == member))


def has(part: Part, member: str) -> bool:
    """True if the member with this name in YAML is set."""
    return _member(part, member) is not None

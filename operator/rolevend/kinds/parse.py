"""Parse an object of a kind, from a cluster or a file, and name all its errors at once. No later code validates it again.

The API server omits fields that the requested version, or the definition at the start of a watch, does not have. So a restriction could
be missing unnoticed. But `metadata.managedFields` lists every written field.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Literal, TypeVar, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from rolevend.errors import InvalidInput
from rolevend.kinds.part import Part
from rolevend.kinds.schema import Schema, structural
from rolevend.kinds.shared import Metadata, Resource
from rolevend.kinds.text import MEANINGS
from rolevend.policy.vocabulary import closest

Kind = TypeVar("Kind", bound=Resource)
Piece = TypeVar("Piece", bound=Part)
_LONGEST_NAME_SHOWN = 64
_LITERAL = re.compile("'([^']+)'")
_PLAIN = re.compile("(?!(?:true|false|null|yes|no|on|off|y|n)$)[a-zA-Z][-a-zA-Z0-9_]*")
_SUBJECT = re.compile(r"^\w+ should\b")
Read = TypeVar("Read")


def unseen(kind: type[Resource], body: Mapping[str, Any]) -> str:
    """Return the path of a written field that is not ours, such as `spec.masks[].salt`, or empty."""
    metadata = body.get("metadata")
    entries = metadata.get("managedFields") if isinstance(metadata, Mapping) else None
    for entry in entries or ():
        written = entry.get("fieldsV1", {}).get("f:spec")
        if written and (path := _unknown(written, spec_schema(kind), "spec")):
            return path
    return ""


@cache
def spec_schema(kind: type[Resource]) -> Schema:
    """Return the schema of the kind's spec. The first time it takes tens of milliseconds."""
    spec: Schema = structural(kind)["properties"]["spec"]
    return spec


def _unknown(written: Mapping[str, Any], schema: Schema, path: str) -> str:
    """`written` has the format of `fieldsV1`: `f:` and the name of a member, `k:`, `i:` or `v:` and an item of a list."""
    for key, below in written.items():
        mark, _, name = key.partition(":")
        if mark in ("k", "i"):
            found = _unknown(below, schema.get("items", {}), f"{path}[]")
        elif mark == "f" and name in schema.get("properties", {}):
            found = _unknown(below, schema["properties"][name], f"{path}.{name}")
        elif mark == "f" and "properties" in schema:
            found = f"{path}.{name}"
        else:
            continue
        if found:
            return found
    return ""


def parse(kind: type[Kind], body: Mapping[str, Any], *, unknown: Literal["forbid", "ignore"] = "forbid") -> Kind:
    """Return the object that `body` describes. Raises InvalidInput, which names the first invalid field, such as `spec.masks[0].type`.

    `apiVersion` and `kind` may be missing, as in the items of a list. An unreadable status counts as absent, because the operator writes
    it again. `unknown="ignore"` ignores fields of a newer version: use it to end objects, never to grant.
    """
    if not isinstance(body, Mapping) or not all(isinstance(name, str) for name in body):
        raise InvalidInput("", f"this is no object of kind {kind.__name__}")
    if unknown == "forbid" and (field := unseen(kind, body)):
        raise InvalidInput(field, "is not a field of this version of rolevend; remove it, or use a newer rolevend")
    members: dict[str, Any] = {"kind": kind.__name__, **body}
    status = members.pop("status", None)
    try:
        parsed = kind.model_validate(members, extra="ignore" if unknown == "ignore" else None)  # None: the default of each model
    except ValidationError as error:
        raise _invalid_input(error, kind) from error
    return parsed.model_copy(update={"status": _status(kind, status)}) if status else parsed


def parse_part(kind: type[Piece], body: Mapping[str, Any]) -> Piece:
    """Parse a file of ours that is not an object of a cluster."""
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        raise _invalid_input(error, kind) from error


def part_faults(kind: type[Part], body: Mapping[str, Any]) -> tuple[InvalidInput, ...]:
    """Return all errors of `body`; `parse_part` raises only the first."""
    try:
        kind.model_validate(body)
    except ValidationError as error:
        return tuple(InvalidInput(_path(each), _message(each, kind)) for each in _own(error))
    return ()


def faults(kind: type[Resource], body: Mapping[str, Any]) -> tuple[InvalidInput, ...]:
    """Return all errors of `body` as an object of `kind`, or (); `parse` raises only the first."""
    try:
        parse(kind, body)
    except InvalidInput as error:
        found = error.__cause__
        if isinstance(found, ValidationError):
            return tuple(InvalidInput(_path(each), _message(each, kind)) for each in _own(found))
        return (error,)
    return ()


def shell(kind: type[Kind], body: Mapping[str, Any]) -> Kind:
    """Return an unreadable object without its spec, so that its conditions can be written."""
    metadata = Metadata.model_validate(body["metadata"])
    return kind.model_construct(kind=kind.__name__, metadata=metadata, status=_status(kind, body.get("status")))


def _status(kind: type[Kind], status: object) -> Any:
    status_type: Any = kind.model_fields["status"].annotation
    try:
        return status_type.model_validate(status)
    except ValidationError:
        return status_type()


def _invalid_input(error: ValidationError, kind: type[Part]) -> InvalidInput:
    first, *others = _own(error)
    more = f" (and {len(others)} more)" if others else ""
    return InvalidInput(_path(first), _message(first, kind) + more)


def _own(error: ValidationError) -> list[ErrorDetails]:
    """Leave out errors of lists that are too short only because an invalid item was not counted."""
    found = error.errors(include_url=False)
    places = [each["loc"] for each in found]
    return [
        each
        for each in found
        if each["type"] != "too_short" or not any(place != each["loc"] and place[: len(each["loc"])] == each["loc"] for place in places)
    ]


def _path(error: ErrorDetails) -> str:
    member = error.get("ctx", {}).get("member")
    path = ""
    for step in (*error["loc"], *((member,) if member else ())):
        if isinstance(step, int):
            path += f"[{step}]"
        elif step != "[key]":
            path += f".{_shown(step)}"
    return path.removeprefix(".")


def _shown(name: str) -> str:
    """Return a member's name as it is, or quoted and cut if it is not a possible name of a member."""
    if name.isascii() and name.isalnum():
        return name
    quoted = json.dumps(name)
    return quoted if len(quoted) <= _LONGEST_NAME_SHOWN else quoted[:_LONGEST_NAME_SHOWN] + '…"'


def _message(error: ErrorDetails, kind: type[Part]) -> str:
    context = error.get("ctx", {})
    match error["type"]:
        case "missing":
            return "is required"
        case "extra_forbidden":
            *place, name = error["loc"]
            return f"is not a field of this kind{closest(str(name), _members(kind, place)) or '; see kubectl explain'}"
        case "tuple_type" | "list_type":
            return f"must be a list{_listed(error['input'])}"
        case "string_type":
            return f"must be a text{_quoted(error['input'])}"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"must be an object{_named(error['input'], _members(kind, error['loc']))}"
        case "string_pattern_mismatch":
            return MEANINGS.get(context["pattern"], f"must match {context['pattern']}")
        case "literal_error" | "enum":
            known = _LITERAL.findall(context["expected"])
            return f"must be {context['expected']}{closest(str(error['input']), known) if len(known) > 1 else ''}"
        case "value_error":
            return str(context["error"])
        case "rule" | "repeated":
            return error["msg"]
        case _:
            return _SUBJECT.sub("must", error["msg"]).replace(" after validation", "")


def _listed(value: object) -> str:
    """Return the way to write a single value as a list, or an empty text."""
    if isinstance(value, Mapping):
        return ": write - before its first field"
    return f": [{written}]" if (written := _written(value)) else ""


def _named(value: object, members: Iterable[str]) -> str:
    """Return the way to write a name as an object with a name, or an empty text."""
    return f": {{name: {written}}}" if "name" in members and (written := _written(value)) else ""


def _quoted(value: object) -> str:
    """Return the way to write a number or truth value as a text, or an empty text."""
    return f': write "{written}"' if not isinstance(value, str) and (written := _written(value)) else ""


def _written(value: object) -> str:
    """Return a short value as YAML. Escapes all that is not ASCII."""
    if not isinstance(value, str | int | float):
        return ""
    written = value if isinstance(value, str) and _PLAIN.fullmatch(value) else json.dumps(value)
    return written if len(written) <= _LONGEST_NAME_SHOWN else ""


def _members(kind: type[Part], place: Sequence[int | str]) -> Iterable[str]:
    """Return the names of the fields at a place, or () if it has no model of its own."""
    part: Any = kind
    for step in place:
        if isinstance(step, str):
            fields = {field.alias or name: field.annotation for name, field in getattr(part, "model_fields", {}).items()}
            part = _model_in(fields.get(step))
    return tuple(field.alias or name for name, field in getattr(part, "model_fields", {}).items())


def _model_in(annotation: Any) -> Any:
    """Return the model in an annotation such as `tuple[Model, ...] | None`, or None."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return annotation
    return next((found for each in get_args(annotation) if (found := _model_in(each)) is not None), None)


class Faults:
    """Collects errors, so that parsing continues after the first one."""

    def __init__(self) -> None:
        self.found: list[InvalidInput] = []

    def reading(self, read: Callable[[], Read]) -> Read | None:
        """Return the result of `read`, or None if it raises InvalidInput."""
        try:
            return read()
        except InvalidInput as error:
            self.found.append(error)
            return None

    def raise_first(self) -> None:
        """Raise InvalidInput if there are errors: the first one, and the number of others."""
        if self.found:
            first, *others = self.found
            more = f" (and {len(others)} more; rolevend policy check names all of them)" if others else ""
            raise InvalidInput(first.field, first.message + more) from first

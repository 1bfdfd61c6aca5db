"""Convert pydantic's JSON schema to the structural schema that the API server requires.

It replaces `$ref`, `anyOf` with null, `const`, `additionalProperties: false` (the API server prunes or refuses unknown members), titles,
and empty defaults (null, the empty list).
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from rolevend.kinds.part import VALIDATIONS

Schema = dict[str, Any]

_ORDER = (
    "description",
    "type",
    "format",
    "enum",
    "default",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "required",
    "properties",
    "additionalProperties",
    "items",
)
_DROPPED = frozenset({"title", "$defs", "propertyNames", "examples"})


def structural(model: type[BaseModel]) -> Schema:
    """Return the inlined schema of `model`. Raises ValueError if a part has no structural form."""
    whole = model.model_json_schema(by_alias=True, mode="validation", schema_generator=GenerateJsonSchema)
    return _converted(whole, whole.get("$defs", {}), model.__name__)


def _converted(schema: Mapping[str, Any], definitions: Mapping[str, Schema], place: str) -> Schema:
    flat = _flattened(schema, definitions, place)
    result: Schema = {}
    for word, value in flat.items():
        match word:
            case word if word in _DROPPED:
                continue
            case "description":
                result[word] = " ".join(value.split())
            case "const":
                result["enum"] = [value]
            case "default" if value is None or value == []:
                continue
            case "properties":
                result[word] = {name: _converted(member, definitions, f"{place}.{name}") for name, member in value.items()}
            case "items":
                result[word] = _converted(value, definitions, f"{place}[]")
            case "additionalProperties" if value is False:
                continue
            case "additionalProperties" if isinstance(value, Mapping):
                result[word] = _converted(value, definitions, f"{place}{{}}")
            case word if word in _ORDER or word.startswith("x-kubernetes-"):
                result[word] = value
            case _:
                raise ValueError(f"{place}: {word} has no structural form")
    if "type" not in result:
        raise ValueError(f"{place}: has no type")
    if result["type"] == "object":
        result.pop("default", None)  # its members have their own
    return dict(sorted(result.items(), key=lambda item: _place(item[0])))


def _flattened(schema: Mapping[str, Any], definitions: Mapping[str, Schema], place: str) -> Schema:
    """Resolve `$ref` and null. The member's own description precedes that of its type, and the rules of both hold."""
    outer = dict(schema)
    inner: Schema = {}
    if "$ref" in outer:
        inner = _flattened(definitions[outer.pop("$ref").rsplit("/", 1)[1]], definitions, place)
    elif "anyOf" in outer:
        choices = [choice for choice in outer.pop("anyOf") if choice != {"type": "null"}]
        if len(choices) != 1:
            raise ValueError(f"{place}: a choice between types has no structural form")
        inner = _flattened(choices[0], definitions, place)
    rules = [*inner.get(VALIDATIONS, []), *outer.get(VALIDATIONS, [])]
    return {**inner, **outer, **({VALIDATIONS: rules} if rules else {})}


def _place(word: str) -> tuple[int, str]:
    return (_ORDER.index(word) if word in _ORDER else len(_ORDER), word)

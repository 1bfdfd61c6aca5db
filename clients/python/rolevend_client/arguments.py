"""Wrong arguments of a tool, in one sentence for the model: which argument, and what it must be. Does not depend on a tool framework."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from rolevend_client import messages

_MOST = 5
_TYPES = {"string": "a text", "integer": "a whole number", "number": "a number", "boolean": "true or false", "object": "an object"}
_EXTRA = "extra_forbidden"


def unknown(schema: Mapping[str, Any], given: Iterable[str]) -> str:
    """Return the sentence for arguments that the tool does not have; empty: it has all. `schema` is the JSON schema of its arguments."""
    wrong = [each for each in given if each not in schema.get("properties", {})]
    return _sentence(_no_such(schema, each) for each in wrong[:_MOST])


def invalid(schema: Mapping[str, Any], error: ValidationError) -> str:
    """Return the sentence for arguments that do not fit `schema`. It has no value that was given."""
    found: dict[str, str] = {}
    for each in error.errors(include_url=False, include_context=False, include_input=False):
        name = str(each["loc"][0]) if each["loc"] else ""
        if each["type"] == _EXTRA or name not in schema.get("properties", {}):
            found.setdefault(name, _no_such(schema, name))
        else:
            lacks = "is missing, and " if each["type"] == "missing" else ""
            found.setdefault(name, f"{name}: {lacks}must be {_kind(schema['properties'][name])}")
    return _sentence(list(found.values())[:_MOST])


def _no_such(schema: Mapping[str, Any], name: str) -> str:
    names = ", ".join(schema.get("properties", {}))
    return f"there is no argument {messages.quoted(name)}: {f'the arguments are {names}' if names else 'the tool has none'}"


def _kind(member: Mapping[str, Any]) -> str:
    """Return the meaning of one member of a JSON schema in words."""
    if "anyOf" in member:
        return " or ".join(_kind(each) for each in member["anyOf"] if each.get("type") != "null")
    if member.get("type") == "array":
        return f"a list, in which each is {_kind(member.get('items', {}))}"
    least, most = member.get("minimum"), member.get("maximum")
    bounds = f" from {least} to {most}" if least is not None and most is not None else ""
    return f"{_TYPES.get(str(member.get('type')), 'as the schema says')}{bounds}"


def _sentence(parts: Iterable[str]) -> str:
    joined = "; ".join(parts)
    return f"{joined}." if joined else ""

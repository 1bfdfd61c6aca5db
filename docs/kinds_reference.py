"""The pages docs/reference/kinds.md and files.md, from the schemas of the kinds and of the files."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tables import code, table

from rolevend.kinds import API_VERSION, KINDS, Kind
from rolevend.kinds.catalog_file import CatalogFile
from rolevend.kinds.part import VALIDATIONS
from rolevend.kinds.policy_test import PolicyTest
from rolevend.kinds.schema import structural
from rolevend.kinds.text import MEANINGS

Schema = Mapping[str, Any]
_SHORT: Mapping[str, str] = {
    "must not be empty, begin or end with a space, or hold control characters or invisible ones": "Plain",
    "must not be empty or hold control characters or bidirectional controls": "Identifier",
    "must not hold control characters or invisible ones": "Visible",
    "must not be empty or hold control characters or bidirectional controls; line breaks and tabs are fine": "Lines",
    "must be lower-case letters, digits, '-' and '.', as names of Kubernetes objects are": "Name",
    "must be lower-case letters, digits and '-', and begin and end with a letter or digit": "Label",
}
"""Words for the rules of many texts. Each page explains them once."""
_EVERYWHERE = ("observedGeneration", "conditions")
"""Fields of each status."""
_LONG = 3
"""The fields of a part that has so many are listed once."""


def kinds() -> Iterator[str]:
    yield "# Kinds"
    yield ""
    yield f"All kinds are of `{API_VERSION}` and in the category `rolevend`: `kubectl get rolevend -A` shows all of them."
    yield "`kubectl explain` shows the same fields. What the conditions mean is in [conditions.md](conditions.md)."
    yield ""
    yield "Each status, which only the operator writes, has `conditions`, where `Ready` summarizes the others, and `observedGeneration`,"
    yield "the `metadata.generation` that it describes: -1 until the operator has observed the object."
    yield ""
    yield from _rule_words()
    yield from table(
        ("Kind", "Short name", "Scope", "What it is"),
        (
            (f"[{kind.name}](#{kind.name.lower()})", code(kind.short_name), kind.scope, structural(kind.model)["description"])
            for kind in KINDS
        ),
    )
    shown: dict[str, str] = {}
    for kind in KINDS:
        yield from _kind(kind, shown)


def _kind(kind: Kind, shown: dict[str, str]) -> Iterator[str]:
    """`shown` has the place of each part by its fields, which are listed once."""
    schema = structural(kind.model)
    narrow = ", ".join(column.name for column in kind.columns if not column.priority)
    wide = ", ".join(column.name for column in kind.columns if column.priority)
    yield from ("", f"## {kind.name}", "", schema["description"], "")
    yield f"`kubectl get {kind.plural}` shows: Name, {narrow}. With `-o wide` also: {wide}."
    if kind.selectable:
        yield f"From Kubernetes 1.31, `--field-selector` accepts {', '.join(map(code, kind.selectable))}."
    for part in ("spec", "status"):
        member = schema["properties"][part]
        yield from ("", f"### {kind.name}: {part}", "")
        if part == "spec":
            yield from (" ".join([member["description"], *_rules(member, "It")]), "")
        yield from table(("Field", "Type", "Meaning"), _fields(part, member, kind.name, shown))


def files() -> Iterator[str]:
    yield "# Files"
    yield ""
    yield "What stands in files beside the objects of a cluster. They are no objects themselves: no `apiVersion`, and nothing to apply."
    yield "Written as YAML, or as JSON in a file whose name ends so. How to use them: [judge policies](../how-to/judge-policies.md)."
    yield ""
    yield from _rule_words()
    for title, model in (("Catalog", CatalogFile), ("Policy test", PolicyTest)):
        schema = structural(model)
        yield from ("", f"## {title}", "", schema["description"], "")
        yield from table(("Field", "Type", "Meaning"), ((code(name[3:-1]), *rest) for name, *rest in _fields(".", schema, title, {})))


def _fields(place: str, schema: Schema, title: str, shown: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    required = schema.get("required", [])
    for name, member in schema.get("properties", {}).items():
        if name == "kopf" or (place == "status" and name in _EVERYWHERE):
            continue
        path = f"{place}.{name}"
        item = member.get("items", {})
        part = item or member
        below = json.dumps({key: part.get(key) for key in ("properties", "required", VALIDATIONS)})
        here = f"{title}: {code(path)}"
        first = shown.setdefault(below, here) if len(part.get("properties", ())) >= _LONG else here
        if first == here:
            words = [member.get("description", ""), *_rules(member, "It"), *_rules(item, "Each")]
        else:
            words = [member.get("description", ""), f"Fields and rules are those of {first}."]
        yield code(path), _type(member, required=name in required), " ".join(words)
        if first == here:
            yield from _fields(f"{path}[]" if item else path, part, title, shown)


def _rule_words() -> Iterator[str]:
    yield "These words in italics state the rule of a text:"
    yield ""
    yield from table(("Word", "Rule"), ((word, f"it {rule}") for rule, word in _SHORT.items()))
    yield ""


def _type(schema: Schema, *, required: bool) -> str:
    words = [_bounded(schema)]
    if required:
        words.append("**required**")
    if "default" in schema:
        words.append(f"default {code(schema['default'])}")
    return ", ".join(words)


def _bounded(schema: Schema) -> str:
    if "enum" in schema:
        return ", ".join(code("true" if value is True else value) for value in schema["enum"])
    match schema["type"]:
        case "array":
            return f"list of {_range(schema, 'minItems', 'maxItems')} × {_bounded(schema['items'])}"
        case "integer":
            return f"integer {_range(schema, 'minimum', 'maximum')}".rstrip()
        case "string" if schema.get("format") == "date-time":
            return "time"
        case "string":
            return f"string of {_range(schema, 'minLength', 'maxLength')}"
        case "object" if isinstance(schema.get("additionalProperties"), Mapping):
            return f"map of {_range(schema, 'minProperties', 'maxProperties')} × string"
        case other:
            return str(other)


def _range(schema: Schema, low: str, high: str) -> str:
    least, most = schema.get(low, 0 if high != "maximum" else None), schema.get(high)
    if least == most:
        return str(least)
    return f"≥ {least}" if most is None and least is not None else "" if most is None else f"{least}-{most}"


def _rules(schema: Schema, subject: str) -> Iterator[str]:
    if (words := MEANINGS.get(schema.get("pattern", ""))) is not None and words.removeprefix("must be ") not in schema.get(
        "description", ""
    ):
        yield f"*{_SHORT[words]}.*" if words in _SHORT else f"{subject} {words}."
    for rule in schema.get(VALIDATIONS, ()):
        yield f"*{rule['message']}.*"

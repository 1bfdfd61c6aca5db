"""What somebody wrote into a spec, and our version of the kind does not show.

The API server leaves out what the version that is read, or the definition that was in force when a watch began, has no field for. A
restriction could be missing unseen; but who wrote which fields is in `metadata.managedFields`, and nothing is left out there.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from rolevend.kinds.schema import Schema, structural
from rolevend.kinds.shared import Resource


def unseen(kind: type[Resource], body: Mapping[str, Any]) -> str:
    """The path of a field that was written and is none of ours, such as `spec.masks[].salt`; empty where there is none."""
    metadata = body.get("metadata")
    entries = metadata.get("managedFields") if isinstance(metadata, Mapping) else None
    for entry in entries or ():
        written = entry.get("fieldsV1", {}).get("f:spec")
        if written and (path := _unknown(written, _spec(kind), "spec")):
            return path
    return ""


@cache
def _spec(kind: type[Resource]) -> Schema:
    spec: Schema = structural(kind)["properties"]["spec"]
    return spec


def _unknown(written: Mapping[str, Any], schema: Schema, path: str) -> str:
    """`written` is as in `fieldsV1`: `f:` and the name of a member, `k:`, `i:` or `v:` and an item of a list."""
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

"""Find fields of a spec that our version of the kind does not have.

The API server omits fields that the requested version, or the definition at the start of a watch, does not have. So a restriction could
be missing unnoticed. But `metadata.managedFields` lists every written field.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from rolevend.kinds.schema import Schema, structural
from rolevend.kinds.shared import Resource


def unseen(kind: type[Resource], body: Mapping[str, Any]) -> str:
    """Return the path of a written field that is not ours, such as `spec.masks[].salt`, or empty."""
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

"""JSON Schema, imported by its first use: that takes more than a second, and each process of a run imports each file of tests."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator


def validator(schema: Mapping[str, Any]) -> "Draft202012Validator":
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schema)

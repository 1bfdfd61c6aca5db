"""The descriptions of fields in schemas are the docstrings below them."""

from typing import Annotated

from pydantic import Field

from rolevend.kinds.field_docs import docs_of_fields
from rolevend.kinds.part import Part


class Base(Part):
    """Not a description of a field."""

    first_name: str
    """Of the person,
    as they say it."""
    undescribed: int = 0


class Derived(Base):
    undescribed: int = 1
    """Now it is."""
    explained: Annotated[str, Field(description="in its own words")] = ""
    """Also."""

    def method(self) -> None:
        local: int = 0
        """Of no field."""
        del local


def test_each_field_has_its_own_docstring_and_those_of_its_bases():
    assert docs_of_fields(Base) == {"first_name": "Of the person,\nas they say it."}
    assert docs_of_fields(Derived) == {
        "first_name": "Of the person,\nas they say it.",
        "undescribed": "Now it is.",
        "explained": "Also.",
    }


def test_a_schema_has_them_unless_a_field_has_a_description():
    described = {name: each.get("description") for name, each in Derived.model_json_schema()["properties"].items()}
    assert described == {
        "firstName": "Of the person,\nas they say it.",
        "undescribed": "Now it is.",
        "explained": "in its own words",
    }

"""A file of cases: rows, and what somebody must see of them. `rolevend policy test` holds policies to it on a real database."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, WithJsonSchema

from rolevend.kinds.part import KeyedBy, Part, Rule, exactly_one
from rolevend.kinds.shared import UserName
from rolevend.kinds.text import Identifier, Label, ObjectReferenceName, Seconds, Sentence

CASES = "rolevend.dev/policy-test/v1"

Row = Annotated[dict[str, str | int | float | bool | None], WithJsonSchema({"type": "object"})]


class TestedTable(Part):
    """A table of the catalog, and the rows that it holds while the cases are tried."""

    schema_name: Annotated[Identifier, Field(alias="schema")]
    """Name of the schema."""
    name: Identifier
    """Name of the table."""
    rows: tuple[Row, ...] = ()
    """By column. A column that is left out is NULL. The value of a column of texts stands in quotes where YAML would take it for
    something else: `"007"`."""


class TestedAgent(Part):
    """An Agent among the files."""

    namespace: ObjectReferenceName
    """Its namespace."""
    name: ObjectReferenceName
    """Its name."""


class Case(Part):
    """What one person must see of one table."""

    rules: ClassVar[tuple[Rule, ...]] = (exactly_one("expectation", "sees", "refused"),)

    name: Sentence
    """Names the case where it fails."""
    user: UserName
    """A person among the files. One who is in no file has no attributes."""
    agent: TestedAgent | None = None
    """Through which agent. Without it: through one that may act for everybody."""
    purpose: Label | None = None
    """What the agent says that it is for. Without it: nothing."""
    expiration_seconds: Seconds = 900
    """For how long the agent asks for the role, as in a VendedRole."""
    schema_name: Annotated[Identifier, Field(alias="schema")]
    """Schema of the table."""
    table: Identifier
    """The table."""
    sees: tuple[Row, ...] | None = None
    """Every row that is visible, in any order, each with every column that is. `null` is what a mask hides so."""
    refused: Literal[True] | None = None
    """Instead: the table is not there."""


class PolicyTest(Part):
    """Rows and cases for one platform."""

    format: Literal["rolevend.dev/policy-test/v1"]
    """What this file is."""
    platform: ObjectReferenceName
    """Name of the DataPlatform, one of PostgreSQL: cases are tried there."""
    tables: Annotated[tuple[TestedTable, ...], KeyedBy(("schema", "name"))] = ()
    """Rows. A table of the catalog that is not here is empty."""
    cases: Annotated[tuple[Case, ...], Field(min_length=1), KeyedBy(("name",))]
    """What must hold."""


def is_policy_test(body: Mapping[str, Any]) -> bool:
    return body.get("format") == CASES

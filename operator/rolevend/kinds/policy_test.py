"""A file of test cases: rows, and the rows that a user must see. `rolevend policy test` runs them on a real database."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, WithJsonSchema

from rolevend.kinds.access_request import AddedMasks, OnlyColumns, OnlyTables
from rolevend.kinds.part import Distinct, KeyedBy, Part, Rule, exactly_one
from rolevend.kinds.shared import UserName
from rolevend.kinds.text import Identifier, Label, ObjectReferenceName, QualifiedName, Seconds, Sentence

CASES = "rolevend.dev/policy-test/v1"

Row = Annotated[dict[str, str | int | float | bool | None], WithJsonSchema({"type": "object"})]


class TestedTable(Part):
    """A table of the catalog, and its rows in the test."""

    schema_name: Annotated[Identifier, Field(alias="schema")]
    """Name of the schema."""
    name: Identifier
    """Name of the table."""
    rows: tuple[Row, ...] = ()
    """By column. An absent column is NULL. Quote a text that YAML would parse as another type: `"007"`."""


class TestedAgent(Part):
    """An Agent in the files."""

    namespace: ObjectReferenceName
    """Its namespace."""
    name: ObjectReferenceName
    """Its name."""


class AssumedApproval(Part):
    """An approved AccessRequest, without its object."""

    offer: QualifiedName
    """The offer: `namespace/name` of an AccessPolicy with `onRequest`."""
    tables: OnlyTables | None = None
    """The only tables. Without it: all of the offer."""
    columns: OnlyColumns | None = None
    """The only columns. Without it: all of the offer."""
    masks: AddedMasks | None = None
    """Masks that an approver added, as in AccessPolicy."""


class Case(Part):
    """The expected result of one user and one table."""

    rules: ClassVar[tuple[Rule, ...]] = (exactly_one("expectation", "sees", "refused"),)

    name: Sentence
    """The name of the case in failures."""
    user: UserName
    """A user in the files. A user in no file has no attributes."""
    agent: TestedAgent | None = None
    """The agent. Without it: an agent that may act for every user."""
    purpose: Label | None = None
    """The purpose that the agent states. Without it: none."""
    expiration_seconds: Seconds = 900
    """The requested lifetime, as in a VendedRole."""
    approved: Annotated[tuple[AssumedApproval, ...], Field(min_length=1, max_length=1)] | None = None
    """The approval that the role uses; a role uses one. Without it: none, so offers grant nothing."""
    schema_name: Annotated[Identifier, Field(alias="schema")]
    """Schema of the table."""
    table: Identifier
    """The table."""
    sees: tuple[Row, ...] | None = None
    """Every visible row, in any order, with every visible column. `null` is the value of a mask that shows NULL."""
    refused: Literal[True] | None = None
    """Instead of `sees`: the table does not exist for the user."""
    offers: Annotated[tuple[QualifiedName, ...], Field(max_length=64), Distinct()] | None = None
    """Every offer, as `namespace/name`, that shows something of the table and that the user may ask for; `[]`: none. Without it: any."""


class PolicyTest(Part):
    """Rows and cases for one platform."""

    format: Literal["rolevend.dev/policy-test/v1"]
    """The file format."""
    platform: ObjectReferenceName
    """Name of the DataPlatform. It must be PostgreSQL."""
    tables: Annotated[tuple[TestedTable, ...], KeyedBy(("schema", "name"))] = ()
    """Rows. Other tables of the catalog are empty."""
    cases: Annotated[tuple[Case, ...], Field(min_length=1), KeyedBy(("name",))]
    """The cases to run."""


def is_policy_test(body: Mapping[str, Any]) -> bool:
    return body.get("format") == CASES

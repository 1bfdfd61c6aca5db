"""The kind Guardrail: what nobody is shown, whatever policies grant."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from rolevend.kinds.access_policy import MaskRule, TableSelector
from rolevend.kinds.part import KeyedBy, Part, Rule, at_least_one, only_with_type
from rolevend.kinds.shared import ColumnSelector, PlatformRefs, Resource, Status, UserSelector
from rolevend.kinds.text import Count, Expression


class Deny(Part):
    """What is not there for the agent."""

    rules: ClassVar[tuple[Rule, ...]] = (only_with_type("Columns", "columns"),)

    type: Literal["Tables", "Columns"]
    """`Tables`: the tables themselves. `Columns`: some of their columns."""
    columns: ColumnSelector | None = None
    """For type Columns only: which."""


class GuardrailSpec(Part):
    """What it takes away. It grants nothing, and nothing that policies grant is stronger."""

    rules: ClassVar[tuple[Rule, ...]] = (at_least_one("deny", "rowRestriction", "maskFloors", "denyLookup"),)

    platform_refs: PlatformRefs
    """The DataPlatforms that it is for."""
    users: UserSelector | None = None
    """The users whom it concerns. Without it: everybody. Who does not have one of the attributes is concerned, too: what is not known
    opens nothing."""
    tables: TableSelector
    """The tables that it is about, in whatever schema."""
    deny: Deny | None = None
    """What is not there at all, neither rows nor names."""
    row_restriction: Expression | None = None
    """A condition in SQL, as the `rowFilter` of an AccessPolicy. Rows are shown only where it is true, in addition to what policies
    ask. A table on which it cannot be tested is denied, and so it is to a user who lacks an attribute that it reads."""
    mask_floors: Annotated[tuple[MaskRule, ...], Field(min_length=1, max_length=64), KeyedBy(("name",))] | None = None
    """The weakest masks of some columns: no more is shown than each of them shows, and than policies say. Where neither a floor nor a
    policy's mask shows less than the other, as with two patterns, NULL is shown."""

    deny_lookup: Literal[True] | None = None
    """No column of these tables is a lookup column, whatever a TagBinding says: conditions of agents use no index of it, and tell nothing
    of hidden rows."""


class GuardrailStatus(Status):
    """What the operator saw. Not written by people."""

    matched_tables: Count | None = None
    """From how many tables it takes something away now, over all its platforms."""
    matched_columns: Count | None = None
    """How many of their columns it denies or has a floor for; those of a denied table count all."""
    matched_users: Count | None = None
    """How many people whose UserAttributes are accepted it concerns now. Whoever has none is concerned, too, and not counted."""


class Guardrail(Resource):
    """Takes away: tables, columns, rows, and masks that are too weak. It holds for every policy and every agent, whoever owns the data.
    Written by governance, for the whole cluster."""

    kind: Literal["Guardrail"] = "Guardrail"
    spec: GuardrailSpec
    status: GuardrailStatus = GuardrailStatus()

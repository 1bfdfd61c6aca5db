"""The kind Guardrail: restrictions that hold for all policies."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from rolevend.kinds.access_policy import MaskRule, TableSelector
from rolevend.kinds.part import KeyedBy, Part, Rule, at_least_one, only_with_type
from rolevend.kinds.shared import ColumnSelector, PlatformRefs, Resource, Status, UserSelector
from rolevend.kinds.text import Count, Expression


class Deny(Part):
    """Data that does not exist for the agent."""

    rules: ClassVar[tuple[Rule, ...]] = (only_with_type("Columns", "columns"),)

    type: Literal["Tables", "Columns"]
    """`Tables`: the tables themselves. `Columns`: some of their columns."""
    columns: ColumnSelector | None = None
    """For type Columns only: the denied columns."""


class GuardrailSpec(Part):
    """The restrictions. A Guardrail grants nothing, and no policy overrides it."""

    rules: ClassVar[tuple[Rule, ...]] = (at_least_one("deny", "rowRestriction", "maskFloors", "denyLookup"),)

    platform_refs: PlatformRefs
    """The DataPlatforms of the guardrail."""
    users: UserSelector | None = None
    """The affected users. Without it: all. A user without one of the attributes is affected, too, because a missing attribute never
    grants."""
    tables: TableSelector
    """The affected tables, in any schema."""
    deny: Deny | None = None
    """Denied tables or columns: their rows and names are hidden."""
    row_restriction: Expression | None = None
    """A condition in SQL, as the `rowFilter` of an AccessPolicy. A row is shown only if it is true, in addition to the conditions of
    policies. A table on which it cannot be evaluated is denied, and also denied to a user without an attribute that it reads."""
    mask_floors: Annotated[tuple[MaskRule, ...], Field(min_length=1, max_length=64), KeyedBy(("name",))] | None = None
    """Minimum masks of some columns: they show no more than each of these masks, and than policies. If neither a minimum nor a policy's
    mask shows less than the other, for example two patterns, the column shows NULL."""

    deny_lookup: Literal[True] | None = None
    """No column of these tables is a lookup column, even if a TagBinding says so: conditions of agents use no index of it, and reveal
    nothing of hidden rows."""


class GuardrailStatus(Status):
    """The state that the operator observed. Not written by people."""

    matched_tables: Count | None = None
    """Number of restricted tables, over all its platforms."""
    matched_columns: Count | None = None
    """Number of their columns that it denies or masks; all columns of a denied table count."""
    matched_users: Count | None = None
    """Number of affected users with accepted UserAttributes. Users without UserAttributes are affected, too, but not counted."""


class Guardrail(Resource):
    """Restricts tables, columns, rows and masks. It holds for every policy and every agent, and for all owners of data. Written by
    governance, for the whole cluster."""

    kind: Literal["Guardrail"] = "Guardrail"
    spec: GuardrailSpec
    status: GuardrailStatus = GuardrailStatus()

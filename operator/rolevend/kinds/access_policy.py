"""The kind AccessPolicy: the rows and columns that users see, and their masks."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from rolevend.kinds.match_condition import MatchConditions
from rolevend.kinds.on_request import OnRequest
from rolevend.kinds.part import Atomic, KeyedBy, Part, Rule, at_least_one, only_with_type
from rolevend.kinds.shared import (
    AttributeRequirements,
    ColumnSelector,
    PlatformRefs,
    Resource,
    Status,
    TagRequirement,
    values_from,
)
from rolevend.kinds.text import ConstantText, Count, Expression, Identifier, Key, Label, PatternText, StepText


class TablePattern(Part):
    """Tables by name. `*` matches any run of characters in either part."""

    schema_name: Annotated[Identifier, Field(alias="schema")]
    """Name or pattern of the schema. Only schemas that the DataPlatform gives to this namespace match."""
    name: Identifier
    """Name or pattern of the table."""


class CoveredUsers(Part):
    """Users by their attributes, by conditions, or by both."""

    rules: ClassVar[tuple[Rule, ...]] = (at_least_one("matchAttributes", "matchConditions"),)

    match_attributes: AttributeRequirements | None = None
    """All must be met."""
    match_conditions: MatchConditions | None = None
    """All must be true."""


class AgentSelector(Part):
    """Agents by the attributes that the DataPlatform gives them, by conditions, or by both."""

    rules: ClassVar[tuple[Rule, ...]] = (at_least_one("matchAttributes", "matchConditions"),)

    match_attributes: AttributeRequirements | None = None
    """All must be met."""
    match_conditions: MatchConditions | None = None
    """All must be true. They can read the agent and the request, but not the user."""


class TableTagRequirement(TagRequirement):
    """A test of one tag of a table."""

    rules: ClassVar[tuple[Rule, ...]] = (values_from("values", "valuesFromUserAttribute"),)

    values_from_user_attribute: Key | None = None
    """Instead of `values`: the user's values of this attribute, compared literally. A user without it gets no table from an
    AccessPolicy. A Guardrail selects every table that carries the key, and no other, for all values of the user."""


class TableSelector(Part):
    """Tables by name, by tag, or by both: if both are set, both must match."""

    rules: ClassVar[tuple[Rule, ...]] = (at_least_one("matchTags", "matchNames"),)

    match_tags: Annotated[tuple[TableTagRequirement, ...], Field(min_length=1, max_length=16), Atomic()] | None = None
    """All must be met. A table without tags meets none."""
    match_names: Annotated[tuple[TablePattern, ...], Field(min_length=1, max_length=256), Atomic()] | None = None
    """One of the names must match."""


class PartialMask(Part):
    """Parameters of the type `Partial`."""

    keep_last: Annotated[int, Field(strict=True, ge=1, le=64, json_schema_extra={"format": "int32"})]
    """Number of visible characters at the end. Of a value less than twice as long, half is visible."""


class RoundMask(Part):
    """Parameters of the type `Round`."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="double(self.step) > 0.0",
            message="step must be more than zero",
            holds=lambda mask: float(mask.step) > 0,
            field="step",
        ),
    )

    step: StepText
    """Shown numbers are multiples of this step, in quotes: `"100"`, `"0.1"`. A column of whole numbers needs a whole step."""


class DateTruncMask(Part):
    """Parameters of the type `DateTrunc`."""

    unit: Literal["Year", "Quarter", "Month"]
    """A date is shown as the first instant of this unit."""


class RegexMask(Part):
    """Parameters of the type `Regex`."""

    pattern: PatternText
    r"""Every match of this pattern is replaced: characters, `[a-z]`, `.`, groups, `|`, `* + ? {2,4}`, `^` at the start and `$` at the
    end. Patterns that platforms interpret differently, or that are slow, are refused: classes such as `\d`, repetition of a repetition,
    and a pattern that matches an empty text."""
    replacement: ConstantText
    r"""The replacement of each match; `\1` to `\9` stand for the groups."""


class ConstantMask(Part):
    """Parameters of the type `Constant`."""

    value: ConstantText
    """The value of every row, including rows without a value."""


class MaskRule(Part):
    """The mask of some of the granted columns."""

    rules: ClassVar[tuple[Rule, ...]] = (
        only_with_type("Partial", "partial"),
        only_with_type("Round", "round"),
        only_with_type("DateTrunc", "dateTrunc"),
        only_with_type("Regex", "regex"),
        only_with_type("Constant", "constant"),
    )

    name: Label
    """Names the rule in explanations. Unique in the policy."""
    columns: ColumnSelector
    """The masked columns. If several rules mask one column, the result shows no more than each of them: NULL if none shows less than the
    others, for example two patterns."""
    type: Literal["Partial", "Round", "DateTrunc", "Regex", "Hash", "Constant", "Nullify"]
    """`Partial` shows the last characters of a text; `Round` a number cut to a step; `DateTrunc` the start of the year, quarter or
    month; `Regex` a text with parts replaced; `Hash` a keyed digest of a text, equal for equal values; `Constant` the same value in
    every row; `Nullify` NULL. A column whose type cannot carry the mask shows NULL."""
    partial: PartialMask | None = None
    """For type Partial only."""
    round: RoundMask | None = None
    """For type Round only."""
    date_trunc: DateTruncMask | None = None
    """For type DateTrunc only."""
    regex: RegexMask | None = None
    """For type Regex only."""
    constant: ConstantMask | None = None
    """For type Constant only."""


class AccessPolicySpec(Part):
    """A grant, or with `onRequest` an offer. Policies for one user and one table combine cell by cell: a row that only one of them shows
    has the masks of that policy."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.grantsTo == 'Agents' || has(self.users)",
            message="users must be set: it selects the covered users",
            holds=lambda spec: spec.grants_to == "Agents" or spec.users is not None,
            field="users",
        ),
        Rule(
            cel="self.grantsTo != 'Agents' || !has(self.users)",
            message="users must not be set for grantsTo Agents: agents are granted this for every user",
            holds=lambda spec: spec.grants_to != "Agents" or spec.users is None,
            field="users",
        ),
        Rule(
            cel="self.grantsTo != 'Agents' || has(self.agents)",
            message="agents must be set for grantsTo Agents: it selects the agents",
            holds=lambda spec: spec.grants_to != "Agents" or spec.agents is not None,
            field="agents",
        ),
        Rule(
            cel="has(self.rowFilter) != has(self.rows)",
            message="exactly one of rowFilter and rows must be set: rowFilter for the rows that meet a condition, rows: All for every row",
            holds=lambda spec: (spec.row_filter is None) != (spec.rows is None),
            field="rowFilter",
        ),
        Rule(
            cel="has(self.masks)",
            message="masks must be set: masks: [] shows every granted column unmasked",
            holds=lambda spec: spec.masks is not None,
            field="masks",
        ),
        Rule(
            cel="self.grantsTo != 'Agents' || !has(self.onRequest)",
            message="onRequest must not be set for grantsTo Agents: an offer is approved for one user; use grantsTo Users",
            holds=lambda spec: spec.grants_to != "Agents" or spec.on_request is None,
            field="onRequest",
        ),
    )

    platform_refs: PlatformRefs
    """The DataPlatforms of the policy."""
    suspend: bool = False
    """`true`: it grants and offers nothing, as if it did not exist, and the roles that rest on it end. The object stays."""
    grants_to: Literal["Users", "Agents"] = "Users"
    """`Users`: grants to the covered users. `Agents`: grants to agents themselves, for every user; the `combination` of the Agent says
    how this counts with the user's grants."""
    users: CoveredUsers | None = None
    """The covered users. Only for `grantsTo: Users`, and required there."""
    agents: AgentSelector | None = None
    """The only agents through which it grants. Without it: every agent. For `grantsTo: Agents` required: the agents that it grants to."""
    tables: TableSelector
    """The granted tables, of the schemas that the DataPlatform gives to this namespace."""
    columns: ColumnSelector
    """The granted columns. Others do not exist for the agent. Required, so that `*` is explicit."""
    row_filter: Expression | None = None
    """A condition in SQL on the columns of each table, true for the rows to show: `country IN (user_attr('countries'))`.
    Comparisons, IN, BETWEEN, IS NULL, AND, OR, NOT, literals, `user_attr('key')`, `col('tag')`, `now() - interval '30 days'` and
    `current_date - 30`; a user without the attribute gets no row."""
    rows: Literal["All"] | None = None
    """`All` shows every row. One of this and `rowFilter` is required, so that a misspelled filter never shows every row."""
    masks: Annotated[tuple[MaskRule, ...], Field(max_length=64), KeyedBy(("name",))] | None = None
    """The masks of granted columns. A column without a rule is shown in clear. Required: `[]` masks nothing."""
    on_request: OnRequest | None = None
    """Make this policy an offer: it grants nothing until an approved AccessRequest activates it, for one user, one agent and a short time.
    Without it: the policy grants at all times."""


class AccessPolicyStatus(Status):
    """The state that the operator observed. Not written by people."""

    matched_tables: Count | None = None
    """Number of granted tables, over all its platforms."""
    matched_columns: Count | None = None
    """Number of granted columns of these tables, masked or not."""
    matched_users: Count | None = None
    """Number of users with accepted UserAttributes whose attributes it covers; conditions are evaluated for each request. Absent with
    `grantsTo: Agents`."""


class AccessPolicy(Resource):
    """Grants rows and columns to the users it covers, through the agents it selects. Written by the owner of the data, in the namespace
    to which the DataPlatform gives the schemas."""

    kind: Literal["AccessPolicy"] = "AccessPolicy"
    spec: AccessPolicySpec
    status: AccessPolicyStatus = AccessPolicyStatus()

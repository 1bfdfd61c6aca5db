"""The kind AccessPolicy: which users see which rows and columns of which tables, and how masked."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from rolevend.kinds.part import Atomic, KeyedBy, Part, Rule, at_least_one, only_with_type
from rolevend.kinds.shared import AttributeRequirements, ColumnSelector, PlatformRefs, Resource, Status, TagRequirement, values_from
from rolevend.kinds.text import Condition, ConstantText, Count, Expression, Identifier, Key, Label, PatternText, StepText


class TablePattern(Part):
    """Tables by name. `*` matches any run of characters in either part."""

    schema_name: Annotated[Identifier, Field(alias="schema")]
    """Name or pattern of the schema. Only schemas that the DataPlatform gives to this namespace are reached."""
    name: Identifier
    """Name or pattern of the table."""


class MatchCondition(Part):
    """A condition in CEL on the user, the agent and the request."""

    name: Label
    """Names the condition in messages. Unique in the policy."""
    expression: Condition
    """True where it holds: `request.purpose in ['fraud-review']`. It reads `user.issuer`, `user.subject`, `agent.namespace`,
    `agent.name`, `request.platform`, `request.purpose`, `request.expirationSeconds`, and lists of values such as
    `user.attributes.department` and `agent.attributes.trust`. At most one loop, such as exists(). A comparison of
    values of different types is refused. What cannot be answered does not hold."""


class CoveredUsers(Part):
    """Users by their attributes, by conditions, or by both."""

    rules: ClassVar[tuple[Rule, ...]] = (at_least_one("matchAttributes", "matchConditions"),)

    match_attributes: AttributeRequirements | None = None
    """Every one of them must be met."""
    match_conditions: Annotated[tuple[MatchCondition, ...], Field(min_length=1, max_length=16), KeyedBy(("name",))] | None = None
    """Every one of them must hold."""


class AgentSelector(Part):
    """Agents by the attributes that the DataPlatform gives them, by conditions, or by both."""

    rules: ClassVar[tuple[Rule, ...]] = (at_least_one("matchAttributes", "matchConditions"),)

    match_attributes: AttributeRequirements | None = None
    """Every one of them must be met."""
    match_conditions: Annotated[tuple[MatchCondition, ...], Field(min_length=1, max_length=16), KeyedBy(("name",))] | None = None
    """Every one of them must hold. They read the agent and the request, and nothing of the user."""


class TableTagRequirement(TagRequirement):
    """A test of one tag of a table."""

    rules: ClassVar[tuple[Rule, ...]] = (values_from("values", "valuesFromUserAttribute"),)

    values_from_user_attribute: Key | None = None
    """In place of `values`: the user's values of this attribute, compared as they are written. A user without it gets no table from an
    AccessPolicy. A Guardrail selects every table that carries the key, and no other, whichever values the user has."""


class TableSelector(Part):
    """Tables by name, by tag, or by both: where both are given both must match."""

    rules: ClassVar[tuple[Rule, ...]] = (at_least_one("matchTags", "matchNames"),)

    match_tags: Annotated[tuple[TableTagRequirement, ...], Field(min_length=1, max_length=16), Atomic()] | None = None
    """Every one of them must be met. A table without tags meets none."""
    match_names: Annotated[tuple[TablePattern, ...], Field(min_length=1, max_length=256), Atomic()] | None = None
    """Names, of which one is enough."""


class PartialMask(Part):
    """Parameters of the type `Partial`."""

    keep_last: Annotated[int, Field(strict=True, ge=1, le=64, json_schema_extra={"format": "int32"})]
    """How many characters at the end stay visible. Of a value less than twice as long, half of it does."""


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
    """What the shown numbers are multiples of, in quotes: `"100"`, `"0.1"`. A column of whole numbers needs a whole step."""


class DateTruncMask(Part):
    """Parameters of the type `DateTrunc`."""

    unit: Literal["Year", "Quarter", "Month"]
    """What stays of a date: the first instant of this unit."""


class RegexMask(Part):
    """Parameters of the type `Regex`."""

    pattern: PatternText
    """What is replaced, wherever it is found: characters, `[a-z]`, `.`, groups, `|`, `* + ? {2,4}`, `^` at the start and `$` at the
    end. What means something else on another platform, or takes long, is refused: classes such as `\\d`, repetition of a
    repetition, and a pattern that an empty text matches."""
    replacement: ConstantText
    """What stands there instead; `\\1` to `\\9` are what the groups matched."""


class ConstantMask(Part):
    """Parameters of the type `Constant`."""

    value: ConstantText
    """What every row shows, also one without a value."""


class MaskRule(Part):
    """How some of the granted columns are shown."""

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
    """The columns it is for. Where several rules are for one column, no more is shown than each of them shows: NULL where none of them
    shows less than the others, as with two patterns."""
    type: Literal["Partial", "Round", "DateTrunc", "Regex", "Hash", "Constant", "Nullify"]
    """What is shown: `Partial` the last characters of a text; `Round` a number cut to a step; `DateTrunc` the start of the year,
    quarter or month; `Regex` a text with parts of it replaced; `Hash` a keyed digest of a text, equal for equal values; `Constant`
    the same value in every row; `Nullify` NULL. A column whose type cannot carry the mask shows NULL."""
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
    """A grant. Several that cover one user and one table combine cell by cell: a row that only one of them shows is masked as
    that one says."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.grantsTo == 'Agents' || has(self.users)",
            message="users must be set: it says who is covered",
            holds=lambda spec: spec.grants_to == "Agents" or spec.users is not None,
            field="users",
        ),
        Rule(
            cel="self.grantsTo != 'Agents' || !has(self.users)",
            message="users must not be set for grantsTo Agents: agents are granted this whichever user they act for",
            holds=lambda spec: spec.grants_to != "Agents" or spec.users is None,
            field="users",
        ),
        Rule(
            cel="self.grantsTo != 'Agents' || has(self.agents)",
            message="agents must be set for grantsTo Agents: it says which ones are granted this",
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
            message="masks must be set: masks: [] shows every granted column as it is",
            holds=lambda spec: spec.masks is not None,
            field="masks",
        ),
    )

    platform_refs: PlatformRefs
    """The DataPlatforms that the policy is for."""
    grants_to: Literal["Users", "Agents"] = "Users"
    """`Users`: to the users that it covers. `Agents`: to agents themselves, whichever user they act for; how that counts beside what the
    user is granted is the `combination` of the Agent."""
    users: CoveredUsers | None = None
    """The users it covers. For `grantsTo: Users`, and required there."""
    agents: AgentSelector | None = None
    """The only agents through which it grants. Without it: every agent. For `grantsTo: Agents` required: the agents that it grants to."""
    tables: TableSelector
    """The tables it grants, of the schemas that the DataPlatform gives to this namespace."""
    columns: ColumnSelector
    """The columns it grants. Others are not there for the agent. Required, so that `*` is a choice."""
    row_filter: Expression | None = None
    """A condition in SQL on the columns of each table, true for the rows to show: `country IN (user_attr('countries'))`.
    Comparisons, IN, BETWEEN, IS NULL, AND, OR, NOT, literals, `user_attr('key')`, `col('tag')`, `now() - interval '30 days'` and
    `current_date - 30`; a user without the attribute gets no row."""
    rows: Literal["All"] | None = None
    """`All` shows every row. Given in place of `rowFilter`: one of the two is required, so that every row is a choice, and never what
    is left of a filter whose name is misspelled."""
    masks: Annotated[tuple[MaskRule, ...], Field(max_length=64), KeyedBy(("name",))] | None = None
    """How granted columns are shown. A column that no rule is for is shown as it is. Required, as `[]` where nothing is masked."""


class AccessPolicyStatus(Status):
    """What the operator saw. Not written by people."""

    matched_tables: Count | None = None
    """How many tables it grants now, over all its platforms."""
    matched_columns: Count | None = None
    """How many columns of these tables it grants, masked or not."""
    matched_users: Count | None = None
    """How many people whose UserAttributes are accepted it covers now, by their attributes: its conditions are answered for each
    request. Not there with `grantsTo: Agents`."""


class AccessPolicy(Resource):
    """Grants rows and columns to the users it covers, through the agents it selects. Written by the owner of the data, in the namespace to
    which the DataPlatform gives the schemas."""

    kind: Literal["AccessPolicy"] = "AccessPolicy"
    spec: AccessPolicySpec
    status: AccessPolicyStatus = AccessPolicyStatus()

"""Compile one policy for the tables of a catalog, independent of users.

A part that is not valid for a table (a missing column, a table that cannot be governed) is omitted and reported; it never makes another
grant wider. The granted tables are computed at once, as bitmaps; the grant of a table is created when a decision needs it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rolevend.catalog import Table
from rolevend.model import ObjectName
from rolevend.policy.bitmap import first, places, union
from rolevend.policy.condition import MatchCondition
from rolevend.policy.expression import Condition
from rolevend.policy.mask import Mask
from rolevend.policy.postings import Postings
from rolevend.policy.request_context import GrantTarget
from rolevend.policy.requirement import RequirementOperator
from rolevend.policy.statement import MaskRule, Policy, Requirement, column_selectors
from rolevend.policy.statement_matches import NOTHING, StatementMatches, fallbacks, presence, unshown
from rolevend.policy.table_fit import Demand, MaskFallback, PolicyProblem, column_choice, conditions, demands_of, in_order, references_of


@dataclass(frozen=True, slots=True)
class Grant:
    """Permission to read these columns of one table, each through its mask, in rows where `condition` holds."""

    policy: ObjectName
    condition: Condition
    masks: tuple[tuple[str, Mask], ...]
    """Every granted column, in the table's order; never empty."""


@dataclass(frozen=True, slots=True)
class TagJoin:
    """The user must have `attribute`. With `among`, one of its values must be one of `values`, the values of a tag of the table; otherwise
    none may be.
    """

    attribute: str
    values: frozenset[str]
    among: bool


@dataclass(frozen=True, slots=True)
class GrantSet:
    """One policy's grants with the same demands on a user: active or inactive together."""

    demands: tuple[Demand, ...]
    tables: int
    """A bitmap of indexes in `Index.tables`."""
    ties: tuple[TagJoin, ...] = ()


@dataclass(frozen=True, slots=True)
class CompiledPolicy:
    statement: Policy
    grant_sets: tuple[GrantSet, ...]
    """Disjoint in their tables."""
    grant: Callable[[Table], Grant] = field(compare=False, repr=False)
    """Return the grant for a table of `grant_sets`."""
    grants_to: GrantTarget
    required: tuple[Requirement, ...]
    """The requirements on the subject, users or agents. Each decision evaluates them for every policy."""

    @property
    def id(self) -> ObjectName:
        return self.statement.id

    @property
    def users(self) -> tuple[Requirement, ...]:
        return self.statement.users

    @property
    def agents(self) -> tuple[Requirement, ...]:
        return self.statement.agents

    @property
    def conditions(self) -> tuple[MatchCondition, ...]:
        return self.statement.conditions

    @property
    def agent(self) -> ObjectName | None:
        return self.statement.agent

    @property
    def reads(self) -> frozenset[str]:
        """The user attributes that it reads."""
        keys = {requirement.key for requirement in self.users}.union(*(condition.reads for condition in self.conditions))
        for grants in self.grant_sets:
            keys.update(demand.attribute for demand in grants.demands)
            keys.update(tie.attribute for tie in grants.ties)
        return frozenset(keys)

    @property
    def agent_reads(self) -> frozenset[str]:
        """The agent attributes that it reads."""
        return frozenset(requirement.key for requirement in self.agents).union(*(each.agent_reads for each in self.conditions))


@dataclass(frozen=True, slots=True)
class PolicyReport:
    """The result of compiling one policy, for its conditions."""

    policy: ObjectName
    granted_tables: int
    granted_columns: int
    problems: tuple[PolicyProblem, ...]
    mask_fallbacks: tuple[MaskFallback, ...]
    unknown: tuple[PolicyProblem, ...] = ()
    """Names and tags that match nothing within the policy's scope."""


Asks = tuple[tuple[Demand, ...], tuple[TagJoin, ...]]
"""The demands and joins of grants."""


class PolicyCompiler:
    """The compiler of one policy."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._choose = column_choice(policy.columns, policy.masks)
        self._fields = [field for field, _ in column_selectors(policy)]
        self._references = references_of(policy.row_filter)
        self._filter_of = conditions(policy.row_filter, "is not granted")

    def grant(self, table: Table) -> Grant:
        condition = self._filter_of(table)
        assert isinstance(condition, Condition)  # noqa: S101 - no other table is in a set
        shown = ((column.name, self._choose(column)) for column in table.columns)
        return Grant(self.policy.id, condition, tuple((name, choice.mask) for name, choice in shown if choice is not None))

    def outcome(self, postings: Postings, table_at: Callable[[int], Table]) -> StatementMatches[Asks]:
        policy = self.policy
        selected = postings.selected(policy.tables, policy.schemas, unknown=False)
        if not selected:
            return NOTHING
        kinds = postings.kinds(policy.columns, unknown=False)
        rules = [(rule, postings.kinds(rule.columns, unknown=True)) for rule in policy.masks]
        problems: dict[int, PolicyProblem] = {}
        sets: dict[Asks, int] = {}
        with_column = postings.having(kinds) & selected
        for part in postings.alike(self._references, with_column & ~postings.obstructed):
            condition = self._filter_of(table_at(first(part)))
            if isinstance(condition, PolicyProblem):
                problems |= self._problems(part, table_at)
                continue
            for ties, tables in self._tied(part, postings):
                asks = demands_of(condition), ties
                sets[asks] = sets.get(asks, 0) | tables
        problems |= self._problems(with_column & postings.obstructed, table_at)
        granted = union(sets.values())
        mask_fallbacks = fallbacks(kinds & unshown(rules, postings), granted, postings, table_at, self._choose)
        there = presence(self._fields, [kinds, *(each for _, each in rules)], selected, postings)
        return StatementMatches(sets, postings.count(kinds, granted), problems, mask_fallbacks, there)

    def columns(self, sets: Mapping[Asks, int], postings: Postings) -> int:
        return postings.count(postings.kinds(self.policy.columns, unknown=False), union(sets.values()))

    def _problems(self, tables: int, table_at: Callable[[int], Table]) -> dict[int, PolicyProblem]:
        found = ((place, self._filter_of(table_at(place))) for place in places(tables))
        return {place: problem for place, problem in found if isinstance(problem, PolicyProblem)}

    def _tied(self, tables: int, postings: Postings) -> list[tuple[tuple[TagJoin, ...], int]]:
        parts: list[tuple[tuple[TagJoin, ...], int]] = [((), tables)]
        for each in self.policy.tables.tags:
            if each.values_of:
                among = each.operator is RequirementOperator.IN
                parts = [
                    ((*ties, TagJoin(each.values_of, values, among)), some)
                    for ties, part in parts
                    for values, some in postings.tags.values(each.key, part)
                ]
        return parts


def compiled_policy(granting: PolicyCompiler, outcome: StatementMatches[Asks]) -> CompiledPolicy:
    policy = granting.policy
    sets = {} if _idle(policy, outcome) else outcome.sets
    ordered = sorted(sets, key=lambda asks: (in_order(asks[0]), [_order(tie) for tie in asks[1]]))
    grant_sets = tuple(GrantSet(demands, sets[demands, ties], ties) for demands, ties in ordered)
    required = policy.users if policy.grants_to is GrantTarget.USERS else policy.agents
    return CompiledPolicy(policy, grant_sets, granting.grant, policy.grants_to, required)


def report_of(policy: Policy, outcome: StatementMatches[Asks], unknown: tuple[PolicyProblem, ...]) -> PolicyReport:
    problems, fallbacks = outcome.findings
    idle = _idle(policy, outcome)
    if idle:
        problems += tuple(PolicyProblem(None, f"spec.masks[{rule.name}]", _masks_nothing(rule)) for rule in idle)
        return PolicyReport(policy.id, 0, 0, problems, (), unknown)
    if not outcome.sets and not problems:
        problems = (PolicyProblem(None, "spec.tables", _nothing_selected(policy)),)
    return PolicyReport(policy.id, outcome.tables, outcome.columns, problems, fallbacks, unknown)


def _idle(policy: Policy, outcome: StatementMatches[Asks]) -> list[MaskRule]:
    """Return the mask rules that match no column. The policy then grants nothing: the columns that they should mask are unknown."""
    return [rule for rule in policy.masks if not outcome.found[f"spec.masks[{rule.name}].columns"]] if outcome.sets else []


def _order(tie: TagJoin) -> tuple[str, list[str], bool]:
    return tie.attribute, sorted(tie.values), tie.among


def _masks_nothing(rule: MaskRule) -> str:
    field = f"spec.masks[{rule.name}]"
    if not rule.columns.tags:
        return f"{field}: no column of the tables has a name that it masks by, so nothing is granted: fix the names, or remove the rule"
    return (
        f"{field}: no column of the tables carries the tags that it masks by, so nothing is granted: "
        "a TagBinding must say which columns they are, or the rule must go"
    )


def _nothing_selected(policy: Policy) -> str:
    reach = ", ".join(sorted(policy.schemas)) or "none"
    return f"no table with a selected column is in the schemas of namespace {policy.id.namespace} ({reach}); check names and tags"

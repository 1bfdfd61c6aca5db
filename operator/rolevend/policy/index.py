"""The object side of decisions, compiled once for a catalog and its policies: what each policy would give, whoever asks.

An index knows no user. Whatever a policy says that does not hold for a table (a column that is not there, a table that cannot
be governed) is left out of the index and told in the policy's report; it never makes another grant wider.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from rolevend.catalog import Catalog, Table
from rolevend.model import ObjectName
from rolevend.policy.combination import Side
from rolevend.policy.condition import MatchCondition
from rolevend.policy.expression import Condition
from rolevend.policy.fitting import Demand, MaskFallback, Problem, conditions, demands_of, fallbacks_of, in_order
from rolevend.policy.guarding import CompiledGuardrail, GuardrailReport, compile_guardrail
from rolevend.policy.mask import Mask
from rolevend.policy.requirement import RequirementOperator, values_under
from rolevend.policy.selection import column_choice, table_test
from rolevend.policy.statement import Guardrail, MaskRule, Policy, Requirement
from rolevend.policy.unknown import Vocabulary, unknown_tags


@dataclass(frozen=True, slots=True)
class Grant:
    """Leave to read these columns of one table, in rows where `condition` holds, each through its mask."""

    policy: ObjectName
    condition: Condition
    masks: tuple[tuple[str, Mask], ...]
    """Every granted column in the table's order; never empty."""


@dataclass(frozen=True, slots=True)
class Tie:
    """The user must have `attribute`. Where `among`, one of its values must be one of `values`, which are those of a tag of the table;
    else none may be."""

    attribute: str
    values: frozenset[str]
    among: bool


@dataclass(frozen=True, slots=True)
class GrantSet:
    """One policy's grants that ask the same of a user: on or off together. Tables are places in `Index.tables`, ascending."""

    demands: tuple[Demand, ...]
    grants: tuple[tuple[int, Grant], ...]
    ties: tuple[Tie, ...] = ()


@dataclass(frozen=True, slots=True)
class CompiledPolicy:
    id: ObjectName
    users: tuple[Requirement, ...]
    grant_sets: tuple[GrantSet, ...]
    agents: tuple[Requirement, ...] = ()
    conditions: tuple[MatchCondition, ...] = ()
    grants_to: Side = Side.USERS

    @property
    def required(self) -> tuple[Requirement, ...]:
        """What it requires of whom it grants to: users, or agents."""
        return self.users if self.grants_to is Side.USERS else self.agents

    @property
    def reads(self) -> frozenset[str]:
        """The user attributes that it asks for."""
        keys = {requirement.key for requirement in self.users}.union(*(condition.reads for condition in self.conditions))
        for grants in self.grant_sets:
            keys.update(demand.attribute for demand in grants.demands)
            keys.update(tie.attribute for tie in grants.ties)
        return frozenset(keys)

    @property
    def agent_reads(self) -> frozenset[str]:
        """The attributes of the agent that it asks for."""
        return frozenset(requirement.key for requirement in self.agents).union(*(each.agent_reads for each in self.conditions))


@dataclass(frozen=True, slots=True)
class PolicyReport:
    """What became of one policy, for its conditions."""

    policy: ObjectName
    granted_tables: int
    problems: tuple[Problem, ...]
    mask_fallbacks: tuple[MaskFallback, ...]
    unknown: tuple[Problem, ...] = ()
    """Tags that it names and that nothing carries which it could reach: a mask that rests on one masks nothing."""


@dataclass(frozen=True, slots=True)
class Index:
    tables: tuple[Table, ...]
    """Sorted by their ids."""
    policies: tuple[CompiledPolicy, ...]
    """Sorted by their ids."""
    reports: tuple[PolicyReport, ...]
    """In the order of `policies`."""
    guardrails: tuple[CompiledGuardrail, ...]
    """Sorted by their names."""
    guardrail_reports: tuple[GuardrailReport, ...]
    """In the order of `guardrails`."""


def compile_policies(catalog: Catalog, policies: Iterable[Policy], guardrails: Iterable[Guardrail] = ()) -> Index:
    """Deterministic, whatever the order of `policies` and `guardrails`; their names are unique."""
    tables = tuple(sorted(catalog.tables.values(), key=lambda table: table.id))
    vocabulary = Vocabulary(tables)
    compiled = [_compile(tables, policy, vocabulary) for policy in sorted(policies, key=lambda policy: policy.id)]
    guarded = [compile_guardrail(tables, guardrail, vocabulary) for guardrail in sorted(guardrails, key=lambda guardrail: guardrail.name)]
    return Index(
        tables,
        tuple(policy for policy, _ in compiled),
        tuple(report for _, report in compiled),
        tuple(guardrail for guardrail, _ in guarded),
        tuple(report for _, report in guarded),
    )


def _compile(tables: tuple[Table, ...], policy: Policy, vocabulary: Vocabulary) -> tuple[CompiledPolicy, PolicyReport]:
    applied: set[str] = set()
    selects, choose = table_test(policy.tables, policy.schemas, unknown=False), column_choice(policy.columns, policy.masks, applied)
    filter_of = conditions(policy.row_filter, "is not granted")
    problems: list[Problem] = []
    fallbacks: list[MaskFallback] = []
    by_demands: dict[tuple[tuple[Demand, ...], tuple[Tie, ...]], list[tuple[int, Grant]]] = {}
    for place, table in enumerate(tables):
        if not selects(table):
            continue
        chosen = [(column, choice) for column in table.columns if (choice := choose(column)) is not None]
        match filter_of(table) if chosen else None:
            case Problem() as problem:
                problems.append(problem)
            case Condition() as condition:
                fallbacks += (fallback for column, choice in chosen for fallback in fallbacks_of(table.id, column, choice))
                grant = Grant(policy.id, condition, tuple((column.name, choice.mask) for column, choice in chosen))
                by_demands.setdefault((demands_of(condition), _ties(policy, table)), []).append((place, grant))
            case None:
                pass
    idle = [rule for rule in policy.masks if rule.columns.tags and rule.name not in applied] if by_demands else []
    if idle:  # which columns it is for cannot be known, so no column can be shown
        by_demands, fallbacks = {}, []
        problems += (Problem(None, f"spec.masks[{rule.name}]", _masks_nothing(rule)) for rule in idle)
    granted = sum(map(len, by_demands.values()))
    if not granted and not problems:
        problems.append(Problem(None, "spec.tables", _nothing_selected(policy)))
    ordered = sorted(by_demands.items(), key=lambda item: (in_order(item[0][0]), [_order(tie) for tie in item[0][1]]))
    grant_sets = tuple(GrantSet(demands, tuple(grants), ties) for (demands, ties), grants in ordered)
    unknown = tuple(Problem(None, field, message) for field, message in unknown_tags(policy, vocabulary))
    report = PolicyReport(policy.id, granted, tuple(problems), tuple(fallbacks), unknown)
    return CompiledPolicy(policy.id, policy.users, grant_sets, policy.agents, policy.conditions, policy.grants_to), report


def _ties(policy: Policy, table: Table) -> tuple[Tie, ...]:
    return tuple(
        Tie(each.values_of, values_under(each.key, table.tags), each.operator is RequirementOperator.IN)
        for each in policy.tables.tags
        if each.values_of
    )


def _order(tie: Tie) -> tuple[str, list[str], bool]:
    return tie.attribute, sorted(tie.values), tie.among


def _masks_nothing(rule: MaskRule) -> str:
    return (
        f"spec.masks[{rule.name}]: no column of the tables carries the tags that it masks by, so nothing is granted: "
        "a TagBinding must say which columns they are, or the rule must go"
    )


def _nothing_selected(policy: Policy) -> str:
    reach = ", ".join(sorted(policy.schemas)) or "none"
    return f"no table with a selected column is in the schemas of namespace {policy.id.namespace} ({reach}); check names and tags"

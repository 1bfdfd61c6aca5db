"""Decide which tables an agent may read for one user, now. Pure and deterministic; an unknown fact never grants."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from rolevend.catalog import Table, TableId
from rolevend.model import Attributes, ObjectName
from rolevend.policy.bitmap import places, union
from rolevend.policy.condition import Answers
from rolevend.policy.guardrail_compiler import CompiledGuardrail, Restraint, concerns
from rolevend.policy.index import CompiledPolicy, Grant, Index, TagJoin
from rolevend.policy.refusal import Denial, Withheld, agent_not_granted, all_denied, bar, lack, met, nothing_granted, nothing_in_common
from rolevend.policy.request_context import Combination, GrantTarget, RequestContext
from rolevend.policy.requirement import Facts, facts_of, meets

_On = tuple[int, int]
"""The indexes of a policy and of one of its grant sets."""


@dataclass(frozen=True, slots=True)
class TableEntitlement:
    table: Table
    grants: tuple[Grant, ...]
    """Ordered by policy id; never empty."""
    restraints: tuple[Restraint, ...] = ()
    """Ordered by guardrail name. None denies the table, and together they leave at least one column."""
    agent_grants: tuple[Grant, ...] | None = None
    """The grants to the agent itself, if only the intersection with `grants` is shown; otherwise None."""

    @property
    def lookups(self) -> frozenset[str]:
        """Return the lookup columns; none if a guardrail denies them."""
        if any(each.denies_lookup for each in self.restraints):
            return frozenset()
        return frozenset(column.name for column in self.table.columns if column.lookup)


@dataclass(frozen=True, slots=True)
class Switches:
    """The grants of an index that are active for a user."""

    on: tuple[_On, ...]
    restrained: tuple[tuple[int, int, bool], ...] = ()
    """Indexes of the guardrails that apply to the user and of their restraint sets. True: the set denies its tables because the user lacks
    an attribute.
    """
    withheld: tuple[Withheld, ...] = ()
    """Grants that the user would have with other attributes."""
    crossed: bool = False
    """True if the result is the intersection of the grants to users and the grants to agents in `on`; otherwise all of `on` adds up."""

    @property
    def key(self) -> Hashable:
        """A cache key: within one index, equal keys give equal entitlements."""
        return self.on, self.restrained, self.crossed


@dataclass(frozen=True, slots=True)
class Entitlement:
    """All tables that a user may read. Every grant names its policy."""

    tables: tuple[TableEntitlement, ...]
    """Ordered by table id; never empty."""
    withheld: tuple[Withheld, ...] = ()
    """Grants that the user would have with other attributes."""
    denied: tuple[tuple[TableId, tuple[str, ...]], ...] = ()
    """Tables that policies grant and guardrails deny, each with the names of those guardrails."""


def decide(user: Attributes, index: Index, asking: RequestContext | None = None) -> Entitlement | Denial:
    """Return the tables granted by policies that cover `user` and by policies that grant to the agent itself, minus the restraints of the
    guardrails that apply to `user`.

    A policy without requirements and conditions covers no user; a guardrail without requirements applies to every user. Without `asking`
    the agent and the request are unknown.

    A grant is active only if the user has every attribute that its row filter reads, with values that fit the filtered column. Otherwise
    `NOT (region IN (user_attr('region')))` would be true in every row.
    """
    switches = switch(user, index, asking)
    return switches if isinstance(switches, Denial) else entitlement(switches, index)


def switch(user: Attributes, index: Index, asking: RequestContext | None = None) -> Switches | Denial:
    """Return the active grants: the first and cheap half of `decide`. Many users share a result."""
    asking = asking or RequestContext()
    facts, agent, answers = facts_of(user), facts_of(asking.agent_attributes), Answers(user, asking)
    of_user = covering(facts, index)
    of_agent = [] if asking.combination is Combination.USER_CEILING else granting_to_agent(agent, index, asking.agent)
    for_user, user_lacks = _switched_on(of_user, facts, agent, answers)
    for_agent, agent_lacks = _switched_on(of_agent, facts, agent, answers)
    crossed, withheld = asking.combination is Combination.INTERSECTION, (*user_lacks, *agent_lacks)
    if crossed and not for_user:
        return nothing_granted([policy for _, policy in of_user], user_lacks, index)
    if crossed and not for_agent:
        return agent_not_granted(agent_lacks)
    if not for_user and not for_agent:
        return nothing_granted([policy for _, policy in of_user or of_agent if policy.agent is None], withheld, index)
    return Switches(tuple(sorted(for_user + for_agent)), tuple(_restrained(facts, index)), withheld, crossed)


def _switched_on(
    policies: Iterable[tuple[int, CompiledPolicy]], user: Facts, agent: Facts, answers: Answers
) -> tuple[list[_On], list[Withheld]]:
    """Return the active grant sets, and the reasons why others are not active."""
    on: list[_On] = []
    withheld: list[Withheld] = []
    for place, policy in policies:
        barred = bar(policy, agent, answers)
        if barred is not None:
            withheld.append(barred)
            continue
        for number, grant_set in enumerate(policy.grant_sets):
            lacking = lack(policy.id, grant_set, user)
            if lacking is not None:
                if lacking not in withheld:
                    withheld.append(lacking)
            elif all(holds(tie, user) for tie in grant_set.ties):
                on.append((place, number))
    return on, withheld


def covers(policy: CompiledPolicy, whom: Facts) -> bool:
    """True if `whom` meets the policy's requirements: a user, or an agent where the policy grants to agents.

    Ignores its conditions, the agent that the request comes through, and whether it grants any table. An agent's own grants have no
    requirements.
    """
    for requirement in policy.required:
        if not meets(requirement, whom):
            return False
    return bool(policy.required or policy.conditions or policy.agent)


def covering(user: Facts, index: Index) -> list[tuple[int, CompiledPolicy]]:
    """Return the policies that cover `user`, each with its index."""
    return _of_side(GrantTarget.USERS, user, index)


def granting_to_agent(agent: Facts, index: Index, name: ObjectName | None = None) -> list[tuple[int, CompiledPolicy]]:
    """Return the policies that grant to `agent` itself and the agent's own grants, each with its index."""
    return [(place, policy) for place, policy in _of_side(GrantTarget.AGENTS, agent, index) if policy.agent in (None, name)]


def _of_side(side: GrantTarget, whom: Facts, index: Index) -> list[tuple[int, CompiledPolicy]]:
    return [(place, policy) for place, policy in enumerate(index.policies) if policy.grants_to is side and covers(policy, whom)]


def concerning(user: Facts, index: Index) -> list[tuple[int, CompiledGuardrail]]:
    """Return the guardrails that apply to `user`, each with its index, even if they have no effect."""
    return [(place, guardrail) for place, guardrail in enumerate(index.guardrails) if concerns(guardrail, user)]


def tables_granted(switches: Switches, index: Index) -> int:
    """Return a bitmap of the tables with an active grant; in an intersection, of those with a grant on both sides. `index` is the one of
    `switch`.
    """
    of_user, of_agent = _sides(switches, index)
    return _tables(of_user, index) if of_agent is None else _tables(of_user, index) & _tables(of_agent, index)


def entitlement(switches: Switches, index: Index) -> Entitlement | Denial:
    """Return the grants and restraints of each table: the second half of `decide`. `index` is the one of `switch`."""
    granted = tables_granted(switches, index)
    of_user, of_agent = _sides(switches, index)
    user, agent = _grants(of_user, index, granted), None if of_agent is None else _grants(of_agent, index, granted)
    restraints = _restraints(switches, index, granted)
    tables = []
    denied = []
    for place in places(granted):
        table, restraining = index.tables[place], tuple(restraints.get(place, ()))
        grants, others = user[place], None if agent is None else agent[place]
        columns = _columns(grants) if others is None else _columns(grants) & _columns(others)
        by = _denying(columns, restraining) if columns else ()
        if by:
            denied.append((table.id, by))
        elif columns:
            tables.append(TableEntitlement(table, tuple(grants), restraining, None if others is None else tuple(others)))
    if not tables:
        return all_denied(name for _, names in denied for name in names) if denied else nothing_in_common()
    return Entitlement(tuple(tables), switches.withheld, tuple(denied))


def holds(tie: TagJoin, user: Facts) -> bool:
    """True if the join is met by a user who has the attribute."""
    return tie.values.isdisjoint(user[tie.attribute]) != tie.among


def _restrained(user: Facts, index: Index) -> Iterator[tuple[int, int, bool]]:
    for place, guardrail in concerning(user, index):
        for number, restraint_set in enumerate(guardrail.restraint_sets):
            yield place, number, not all(met(demand, user) for demand in restraint_set.demands)


def _sides(switches: Switches, index: Index) -> tuple[list[_On], list[_On] | None]:
    """Return all active grants and None, or in an intersection those to users and those to agents."""
    if not switches.crossed:
        return list(switches.on), None
    of_user, of_agent = (
        [each for each in switches.on if index.policies[each[0]].grants_to is side] for side in (GrantTarget.USERS, GrantTarget.AGENTS)
    )
    return of_user, of_agent


def _tables(on: Iterable[_On], index: Index) -> int:
    return union(index.policies[place].grant_sets[number].tables for place, number in on)


def _columns(grants: Iterable[Grant]) -> set[str]:
    return {name for grant in grants for name, _ in grant.masks}


def _grants(on: Iterable[_On], index: Index, among: int) -> dict[int, list[Grant]]:
    grants: dict[int, list[Grant]] = {}
    for policy_place, number in on:
        policy = index.policies[policy_place]
        for place in places(policy.grant_sets[number].tables & among):
            grants.setdefault(place, []).append(policy.grant(index.tables[place]))
    return grants


def _restraints(switches: Switches, index: Index, among: int) -> dict[int, list[Restraint]]:
    restraints: dict[int, list[Restraint]] = {}
    for guardrail_place, number, closes in switches.restrained:
        guardrail = index.guardrails[guardrail_place]
        for place in places(guardrail.restraint_sets[number].tables & among):
            restraint = Restraint(guardrail.name, denies_table=True) if closes else guardrail.restraint(index.tables[place])
            restraints.setdefault(place, []).append(restraint)
    return restraints


def _denying(columns: set[str], restraints: Sequence[Restraint]) -> tuple[str, ...]:
    """Return the guardrails that deny a table with these granted columns: one denies the table, or together they deny every column."""
    outright = tuple(each.guardrail for each in restraints if each.denies_table)
    left = columns.difference(*(each.denied_columns for each in restraints))
    return outright or (() if left else tuple(each.guardrail for each in restraints if each.denied_columns))

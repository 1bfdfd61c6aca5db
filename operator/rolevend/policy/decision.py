"""What an agent may read for one user, now: pure, deterministic, and closed wherever something is not known."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from rolevend.catalog import Table, TableId
from rolevend.model import Attributes, ObjectName
from rolevend.policy.bitmap import places, union
from rolevend.policy.combination import Combination, GrantTarget
from rolevend.policy.condition import Answers
from rolevend.policy.guardrail_compiler import CompiledGuardrail, Restraint, concerns
from rolevend.policy.index import CompiledPolicy, Grant, Index, TagJoin
from rolevend.policy.refusal import Denial, Withheld, agent_not_granted, all_denied, bar, lack, met, nothing_granted, nothing_in_common
from rolevend.policy.request_context import RequestContext
from rolevend.policy.requirement import Facts, facts_of, meets

_On = tuple[int, int]
"""The places, in the index, of a policy and of one of its grant sets."""


@dataclass(frozen=True, slots=True)
class TableEntitlement:
    table: Table
    grants: tuple[Grant, ...]
    """By policy, smallest id first; never empty."""
    restraints: tuple[Restraint, ...] = ()
    """By guardrail, smallest name first. None of them denies the table, and together they leave a column of it."""
    agent_grants: tuple[Grant, ...] | None = None
    """As `grants`: where it is not None, only what these show, too."""

    @property
    def lookups(self) -> frozenset[str]:
        """The lookup columns that are left: none where a guardrail forbids them."""
        if any(each.denies_lookup for each in self.restraints):
            return frozenset()
        return frozenset(column.name for column in self.table.columns if column.lookup)


@dataclass(frozen=True, slots=True)
class Switches:
    """Which grants of an index are on for a user."""

    on: tuple[_On, ...]
    restrained: tuple[tuple[int, int, bool], ...] = ()
    """The places of the guardrails that concern the user and of their restraint sets; True: it denies its tables, since the user lacks
    an attribute."""
    withheld: tuple[Withheld, ...] = ()
    """What the user would have, too, with other attributes."""
    crossed: bool = False
    """Policies of both sides are among `on`, and only what both show is read. Otherwise all of `on` adds up."""

    @property
    def key(self) -> Hashable:
        """Within one index it determines what may be read: a cheap key under which to keep what is made of it."""
        return self.on, self.restrained, self.crossed


@dataclass(frozen=True, slots=True)
class Entitlement:
    """All that a user may read. Every grant carries the policy that gave it: that is the answer to "why"."""

    tables: tuple[TableEntitlement, ...]
    """By table id; never empty."""
    withheld: tuple[Withheld, ...] = ()
    """What the user would have, too, with other attributes."""
    denied: tuple[tuple[TableId, tuple[str, ...]], ...] = ()
    """Tables that policies grant the user and that are not there, and the guardrails that deny them."""


def decide(user: Attributes, index: Index, asking: RequestContext | None = None) -> Entitlement | Denial:
    """What the policies that cover `user` grant, and those that grant to the agent itself as far as they count, less what the guardrails
    that concern `user` take away. A policy that says nothing of whom it is for covers nobody, and a guardrail that requires nothing of
    users concerns everybody. Without `asking` nothing is known of the agent and of the request.

    A grant is on only if the user has every attribute that its row filter reads, with values that the filtered column can
    hold. Otherwise the whole grant is off: `NOT (region IN (user_attr('region')))` would be every row.
    """
    switches = switch(user, index, asking)
    return switches if isinstance(switches, Denial) else entitlement(switches, index)


def switch(user: Attributes, index: Index, asking: RequestContext | None = None) -> Switches | Denial:
    """The first half of `decide`, and the cheap one: which grants are on. Many users share what comes of it."""
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
    """The places of their grant sets that are on, and what is off for want of something."""
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
            elif all(_holds(tie, user) for tie in grant_set.ties):
                on.append((place, number))
    return on, withheld


def covers(policy: CompiledPolicy, whom: Facts) -> bool:
    """Whether a policy is for this user, or where it grants to agents for this agent, whether it grants anything or not: conditions, and
    through which agent, are not looked at. What is an agent's own asks for nothing."""
    for requirement in policy.required:
        if not meets(requirement, whom):
            return False
    return bool(policy.required or policy.conditions or policy.agent)


def covering(user: Facts, index: Index) -> list[tuple[int, CompiledPolicy]]:
    """The policies that cover `user`, each with its place in the index."""
    return _of_side(GrantTarget.USERS, user, index)


def granting_to_agent(agent: Facts, index: Index, name: ObjectName | None = None) -> list[tuple[int, CompiledPolicy]]:
    """The policies that grant to `agent` itself, and what is its own where it has this name, each with its place in the index."""
    return [(place, policy) for place, policy in _of_side(GrantTarget.AGENTS, agent, index) if policy.agent in (None, name)]


def _of_side(side: GrantTarget, whom: Facts, index: Index) -> list[tuple[int, CompiledPolicy]]:
    return [(place, policy) for place, policy in enumerate(index.policies) if policy.grants_to is side and covers(policy, whom)]


def concerning(user: Facts, index: Index) -> list[tuple[int, CompiledGuardrail]]:
    """The guardrails that concern `user`, each with its place in the index, whether they take anything away or not."""
    return [(place, guardrail) for place, guardrail in enumerate(index.guardrails) if concerns(guardrail, user)]


def tables_granted(switches: Switches, index: Index) -> int:
    """The tables that the grants show which are on, as a bitmap of places in the index. Where two sides cross, what one of them lacks is
    not there. `index` is the one that was switched."""
    of_user, of_agent = _sides(switches, index)
    return _tables(of_user, index) if of_agent is None else _tables(of_user, index) & _tables(of_agent, index)


def entitlement(switches: Switches, index: Index) -> Entitlement | Denial:
    """The second half, table by table: what is granted of each, and what guardrails take away. `index` is the one that was switched."""
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


def _holds(tie: TagJoin, user: Facts) -> bool:
    """Of a user who has the attribute."""
    return tie.values.isdisjoint(user[tie.attribute]) != tie.among


def _restrained(user: Facts, index: Index) -> Iterator[tuple[int, int, bool]]:
    for place, guardrail in concerning(user, index):
        for number, restraint_set in enumerate(guardrail.restraint_sets):
            yield place, number, not all(met(demand, user) for demand in restraint_set.demands)


def _sides(switches: Switches, index: Index) -> tuple[list[_On], list[_On] | None]:
    """What is on; where two sides cross that of the user, and that of the agent itself."""
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
    """The guardrails that deny a table of which these columns are granted: as a whole, or one with another every such column."""
    outright = tuple(each.guardrail for each in restraints if each.denies_table)
    left = columns.difference(*(each.denied_columns for each in restraints))
    return outright or (() if left else tuple(each.guardrail for each in restraints if each.denied_columns))

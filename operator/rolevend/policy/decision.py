"""What an agent may read for one user, now: pure, deterministic, and closed wherever something is not known."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from rolevend.catalog import Table, TableId
from rolevend.model import Attributes
from rolevend.policy.asking import Asking
from rolevend.policy.combination import Combination, Side
from rolevend.policy.condition import Answers
from rolevend.policy.guarding import CompiledGuardrail, Restraint, concerns
from rolevend.policy.index import CompiledPolicy, Grant, Index, Tie
from rolevend.policy.refusal import Denial, Withheld, agent_not_granted, all_denied, bar, lack, met, nothing_granted, nothing_in_common
from rolevend.policy.requirement import Facts, facts_of, meets


@dataclass(frozen=True, slots=True)
class TableEntitlement:
    table: Table
    grants: tuple[Grant, ...]
    """By policy, smallest id first; never empty."""
    restraints: tuple[Restraint, ...] = ()
    """By guardrail, smallest name first. None of them denies the table, and together they leave a column of it."""
    agent_grants: tuple[Grant, ...] | None = None
    """As `grants`: where it is not None, only what these show, too."""


@dataclass(frozen=True, slots=True)
class Switches:
    """Which grants of an index are on for a user."""

    on: tuple[tuple[int, int], ...]
    """The places, in the index, of the policies and of their grant sets."""
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


def decide(user: Attributes, index: Index, asking: Asking | None = None) -> Entitlement | Denial:
    """What the policies that cover `user` grant, and those that grant to the agent itself as far as they count, less what the guardrails
    that concern `user` take away. A policy that says nothing of whom it is for covers nobody, and a guardrail that requires nothing of
    users concerns everybody. Without `asking` nothing is known of the agent and of the request.

    A grant is on only if the user has every attribute that its row filter reads, with values that the filtered column can
    hold. Otherwise the whole grant is off: `NOT (region IN (user_attr('region')))` would be every row.
    """
    switches = switch(user, index, asking)
    return switches if isinstance(switches, Denial) else entitlement(switches, index)


def switch(user: Attributes, index: Index, asking: Asking | None = None) -> Switches | Denial:
    """The first half of `decide`, and the cheap one: which grants are on. Many users share what comes of it."""
    asking = asking or Asking()
    facts, agent, answers = facts_of(user), facts_of(asking.agent_attributes), Answers(user, asking)
    of_user = covering(facts, index)
    of_agent = [] if asking.combination is Combination.USER_CEILING else granting_to_agent(agent, index)
    for_user, user_lacks = _switched_on(of_user, facts, agent, answers)
    for_agent, agent_lacks = _switched_on(of_agent, facts, agent, answers)
    crossed, withheld = asking.combination is Combination.INTERSECTION, (*user_lacks, *agent_lacks)
    if crossed and not for_user:
        return nothing_granted([policy for _, policy in of_user], user_lacks, index)
    if crossed and not for_agent:
        return agent_not_granted(agent_lacks)
    if not for_user and not for_agent:
        return nothing_granted([policy for _, policy in of_user or of_agent], withheld, index)
    return Switches(tuple(sorted(for_user + for_agent)), tuple(_restrained(facts, index)), withheld, crossed)


def _switched_on(
    policies: Iterable[tuple[int, CompiledPolicy]], user: Facts, agent: Facts, answers: Answers
) -> tuple[list[tuple[int, int]], list[Withheld]]:
    """The places of their grant sets that are on, and what is off for want of something."""
    on: list[tuple[int, int]] = []
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
    through which agent, are not looked at."""
    return bool(policy.required or policy.conditions) and all(meets(requirement, whom) for requirement in policy.required)


def covering(user: Facts, index: Index) -> list[tuple[int, CompiledPolicy]]:
    """The policies that cover `user`, each with its place in the index."""
    return _of_side(Side.USERS, user, index)


def granting_to_agent(agent: Facts, index: Index) -> list[tuple[int, CompiledPolicy]]:
    """The policies that grant to `agent` itself, each with its place in the index."""
    return _of_side(Side.AGENTS, agent, index)


def _of_side(side: Side, whom: Facts, index: Index) -> list[tuple[int, CompiledPolicy]]:
    return [(place, policy) for place, policy in enumerate(index.policies) if policy.grants_to is side and covers(policy, whom)]


def concerning(user: Facts, index: Index) -> list[tuple[int, CompiledGuardrail]]:
    """The guardrails that concern `user`, each with its place in the index, whether they take anything away or not."""
    return [(place, guardrail) for place, guardrail in enumerate(index.guardrails) if concerns(guardrail, user)]


def entitlement(switches: Switches, index: Index) -> Entitlement | Denial:
    """The second half: the tables of the grants that are on, less what guardrails take away. `index` is the one that was switched."""
    restraints = _restraints(index, switches.restrained)
    tables = []
    denied = []
    for place, user, agent in _granted(switches, index):
        table, restraining = index.tables[place], tuple(restraints.get(place, ()))
        columns = _columns(user) if agent is None else _columns(user) & _columns(agent)
        by = _denying(columns, restraining) if columns else ()
        if by:
            denied.append((table.id, by))
        elif columns:
            tables.append(TableEntitlement(table, tuple(user), restraining, None if agent is None else tuple(agent)))
    if not tables:
        return all_denied(name for _, names in denied for name in names) if denied else nothing_in_common()
    return Entitlement(tuple(tables), switches.withheld, tuple(denied))


def _holds(tie: Tie, user: Facts) -> bool:
    """Of a user who has the attribute."""
    return tie.values.isdisjoint(user[tie.attribute]) != tie.among


def _restrained(user: Facts, index: Index) -> Iterator[tuple[int, int, bool]]:
    for place, guardrail in concerning(user, index):
        for number, restraint_set in enumerate(guardrail.restraint_sets):
            yield place, number, not all(met(demand, user) for demand in restraint_set.demands)


def _granted(switches: Switches, index: Index) -> Iterator[tuple[int, list[Grant], list[Grant] | None]]:
    """By table: its place, the grants, and where two sides cross those of the agent itself. What one side lacks is not there."""
    if not switches.crossed:
        yield from ((place, grants, None) for place, grants in sorted(_grants(index, switches.on).items()))
        return
    user, agent = (
        _grants(index, [each for each in switches.on if index.policies[each[0]].grants_to is side]) for side in (Side.USERS, Side.AGENTS)
    )
    yield from ((place, user[place], agent[place]) for place in sorted(user.keys() & agent.keys()))


def _columns(grants: Iterable[Grant]) -> set[str]:
    return {name for grant in grants for name, _ in grant.masks}


def _grants(index: Index, switched_on: Iterable[tuple[int, int]]) -> dict[int, list[Grant]]:
    grants: dict[int, list[Grant]] = {}
    for policy, number in switched_on:
        for table, grant in index.policies[policy].grant_sets[number].grants:
            grants.setdefault(table, []).append(grant)
    return grants


def _restraints(index: Index, restrained: Iterable[tuple[int, int, bool]]) -> dict[int, list[Restraint]]:
    restraints: dict[int, list[Restraint]] = {}
    for place, number, closes in restrained:
        guardrail = index.guardrails[place]
        for table, restraint in guardrail.restraint_sets[number].restraints:
            restraints.setdefault(table, []).append(Restraint(guardrail.name, denies_table=True) if closes else restraint)
    return restraints


def _denying(columns: set[str], restraints: Sequence[Restraint]) -> tuple[str, ...]:
    """The guardrails that deny a table of which these columns are granted: as a whole, or one with another every such column."""
    outright = tuple(each.guardrail for each in restraints if each.denies_table)
    left = columns.difference(*(each.denied_columns for each in restraints))
    return outright or (() if left else tuple(each.guardrail for each in restraints if each.denied_columns))

"""What an approval means, said a second time and as simply as possible: which votes count, what is left of the offer, and what a role with
it shows of each row. Of the product it knows values and none of its functions: `test_per_cell` holds that."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from rolevend.access_requests.votes import CheckedVote, Vote
from rolevend.catalog import Table, TableId
from rolevend.model import Attributes, ObjectName
from rolevend.policy.offer import Narrowing
from rolevend.policy.request_context import Combination, GrantTarget
from rolevend.policy.statement import ColumnSelector, Guardrail, Policy
from tests.support import oracle
from tests.support.oracle import Finding, Masked, expected
from tests.support.oracle_conditions import Asked
from tests.support.oracle_rows import Row, naming, tests

SEEN = "the digest of the request"
"""Stands in a vote for the digest that its author saw, if it is the one of the request."""


@dataclass(frozen=True)
class Wanted:
    """A request for an offer, and what its offer says of votes."""

    name: ObjectName
    uid: str
    narrowing: Narrowing
    required: int
    must_hold: bool
    never: frozenset[str]
    """The names of those who never approve it."""


@dataclass(frozen=True)
class World:
    """Everything else that the answer depends on. `policies` has the offer, other offers, and standing grants."""

    offer: Policy
    policies: Sequence[Policy]
    guardrails: Sequence[Guardrail]
    user: Attributes
    agent: Attributes
    combination: Combination
    asked: Asked
    catalog: Sequence[Table]


def approvals(wanted: Wanted, offer: ObjectName, votes: Iterable[CheckedVote]) -> list[Vote] | None:
    """The votes by which people approve, of each person the first; None where they do not."""
    counted: dict[str, Vote] = {}
    for each in sorted(votes, key=lambda each: each.vote.at):
        vote = each.vote
        on_this = (vote.request, vote.request_uid, vote.offer) == (
            wanted.name,
            wanted.uid,
            offer,
        ) and vote.name.namespace == offer.namespace
        informed = vote.digest == SEEN or (vote.digest is None and not vote.approves)
        entitled = each.may_approve is True and vote.by not in wanted.never
        if on_this and informed and entitled and not vote.approves:
            return None
        if on_this and informed and entitled and (each.holds_tables is True or not wanted.must_hold):
            counted.setdefault(vote.by, vote)
    return list(counted.values()) if len(counted) >= wanted.required else None


def narrowings(wanted: Wanted, yes: Iterable[Vote]) -> list[Narrowing]:
    """Of the request, and of each vote that counts."""
    return [wanted.narrowing, *(Narrowing(tables=each.tables, masks=each.masks) for each in yes)]


def is_offered(world: World, narrowing: Narrowing) -> bool:
    """Whether the offer shows this user something of some table, whatever its rows are."""
    return any(
        seen is not None
        for table in world.catalog
        for offer in [_on(world, [narrowing], table)]
        if offer is not None
        for seen in _expected(world, [offer, *_agents_own(world)], table, [{}], lambda _: [True])
    )


def of_a_role(
    world: World, narrowings: Sequence[Narrowing], table: Table, rows: Sequence[Row], finding: Finding | None = None
) -> list[Masked | None]:
    """What a role with the approval shows of each row: standing grants and the offer together, on tables of the offer alone."""
    offer = _on(world, narrowings, table)
    if offer is None:
        return [None] * len(rows)
    standing = [each for each in world.policies if not each.on_request]
    return _expected(world, [offer, *standing], table, rows, finding)


def _on(world: World, narrowings: Sequence[Narrowing], table: Table) -> Policy | None:
    """What is left of the offer on this table, as a policy; None where that is nothing."""
    of_it = [each for each in world.catalog if _names(world.offer, narrowings, each)]
    masks = [rule for narrowing in narrowings for rule in narrowing.masks]
    columns = [column for each in of_it for column in each.columns]
    if table not in of_it or not all(any(oracle._includes(rule.columns, column, True) for column in columns) for rule in masks):
        return None
    names = _columns(world.offer, narrowings, table)
    return replace(world.offer, on_request=False, columns=ColumnSelector(names=names), masks=(*world.offer.masks, *masks))


def _names(offer: Policy, narrowings: Iterable[Narrowing], table: Table) -> bool:
    """Whether the offer is about this table, for some user, with a column that is left."""
    if table.obstacle or table.id.schema not in offer.schemas or not oracle._about(offer.tables, table, False):
        return False
    if not _has_what_it_reads(offer, table):
        return False
    return all(_has(table.id, each.tables) for each in narrowings) and bool(_columns(offer, narrowings, table))


def _has_what_it_reads(offer: Policy, table: Table) -> bool:
    column = naming(table)
    try:
        return all(column(test.column) is not None for test in (tests(offer.row_filter) if offer.row_filter is not None else ()))
    except KeyError:
        return False


def _columns(offer: Policy, narrowings: Iterable[Narrowing], table: Table) -> tuple[str, ...]:
    granted = [column.name for column in table.columns if oracle._includes(offer.columns, column, False)]
    return tuple(name for name in granted if all(each.columns is None or name in each.columns for each in narrowings))


def _has(table: TableId, only: Collection[TableId] | None) -> bool:
    return only is None or table in only


def _agents_own(world: World) -> list[Policy]:
    """The grants to agents, where the agent reads only what it is granted, too."""
    if world.combination is not Combination.INTERSECTION:
        return []
    return [each for each in world.policies if each.grants_to is GrantTarget.AGENTS and not each.on_request]


def _expected(world: World, policies: Sequence[Policy], table: Table, rows: Sequence[Row], finding: Finding | None) -> list[Masked | None]:
    given = (policies, table, world.user, rows, world.guardrails, world.agent, world.combination)
    return expected(*given, asked=world.asked, catalog=world.catalog, finding=finding)

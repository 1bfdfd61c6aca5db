"""Activate an offer in an index: one more policy, narrowed to what was asked for and approved. Pure.

An offer is a policy that grants nothing until an approval activates it. An index keeps its offers apart, so that no decision on its
policies can grant one by mistake.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from rolevend.catalog import Table
from rolevend.model import ObjectName
from rolevend.policy.bitmap import bits, places, union
from rolevend.policy.index import CompiledPolicy, Grant, Index
from rolevend.policy.offer import Activation
from rolevend.policy.policy_compiler import PolicyCompiler
from rolevend.policy.request_context import GrantTarget
from rolevend.policy.statement import MaskRule
from rolevend.policy.table_fit import column_test

_T = TypeVar("_T")


def find_offer(index: Index, name: ObjectName) -> CompiledPolicy | None:
    """Return the offer, or None if the index has none of this name."""
    place = bisect_left(index.offers, name, key=_id)
    return index.offers[place] if place < len(index.offers) and index.offers[place].id == name else None


def activated(index: Index, activation: Activation) -> Index:
    """Return the index in which the offer grants, beside the policies on its tables; on other tables nothing is granted. Without the
    offer, the index grants nothing."""
    offer = find_offer(index, activation.offer)
    policies: list[CompiledPolicy] = []
    if offer is not None:
        whole = narrowed(offer, activation, index.tables)
        tables = union(each.tables for each in whole.grant_sets)
        policies = [each for policy in index.policies if (each := _within(tables, policy)).grant_sets]
        insort(policies, whole, key=_id)
    return replace(index, policies=tuple(policies), reports=(), offers=(), offer_reports=())


def alone(index: Index, activation: Activation, *, with_agents: bool = False) -> Index:
    """Return the index in which the offer is the only grant to users. `with_agents`: grants to agents remain, for an agent that reads
    only what it is granted too."""
    others = tuple(each for each in index.policies if with_agents and each.grants_to is GrantTarget.AGENTS)
    return activated(replace(index, policies=others), activation)


def narrowed(offer: CompiledPolicy, activation: Activation, tables: Sequence[Table]) -> CompiledPolicy:
    """Return the offer with the narrowings of its activation. A narrowing to what the offer does not have, and a mask that applies to no
    column of its tables, leave nothing: the author meant something else."""
    narrowings = activation.narrowings
    masks = tuple(rule for each in narrowings for rule in each.masks)
    grant_of = PolicyCompiler(replace(offer.statement, masks=(*offer.statement.masks, *masks))).grant if masks else offer.grant
    columns = _intersection(each.columns for each in narrowings)
    wanted = _intersection(each.tables for each in narrowings)

    def grant(table: Table) -> Grant:
        whole = grant_of(table)
        return whole if columns is None else replace(whole, masks=tuple(each for each in whole.masks if each[0] in columns))

    among = union(each.tables for each in offer.grant_sets)
    if wanted is not None:
        among &= bits(place for place in places(among) if tables[place].id in wanted)
    if columns is not None:
        among &= bits(place for place in places(among) if grant(tables[place]).masks)
    if not _all_apply(masks, [tables[place] for place in places(among)] if masks else ()):
        among = 0
    return replace(_within(among, offer), grant=grant)


def _within(tables: int, policy: CompiledPolicy) -> CompiledPolicy:
    """Return the policy with its grants on `tables`, a bitmap of indexes, alone."""
    sets = (replace(each, tables=each.tables & tables) for each in policy.grant_sets)
    return replace(policy, grant_sets=tuple(each for each in sets if each.tables))


def _all_apply(masks: Iterable[MaskRule], tables: Sequence[Table]) -> bool:
    columns = [column for table in tables for column in table.columns]
    return all(any(map(column_test(rule.columns, unknown=True), columns)) for rule in masks)


def _intersection(sets: Iterable[frozenset[_T] | None]) -> frozenset[_T] | None:
    """Return what all sets have in common, or None if there is none. None in `sets` stands for everything."""
    found = [each for each in sets if each is not None]
    return frozenset.intersection(*found) if found else None


def _id(policy: CompiledPolicy) -> ObjectName:
    return policy.id

"""Random policies for people and for agents, and guardrails, rendered for Snowflake, against an oracle that runs each policy alone: nothing
leaks. Views hide nothing that should be seen, and what policies of the table itself show is the same wherever they say of no fallback."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rolevend.catalog import Catalog, Column, Family, Table
from rolevend.model import ClusterId
from rolevend.plan import TableShape, attribute_keys, plan
from rolevend.platforms.snowflake.policies import fragment, masking_policies, row_policy, secure_view
from rolevend.policy.asking import Asking
from rolevend.policy.combination import Combination
from rolevend.policy.decision import decide
from rolevend.policy.index import compile_policies
from rolevend.policy.mask import Mask, Nullify
from rolevend.policy.refusal import Denial
from tests.support.oracle import Masked, expected
from tests.support.oracle_rows import Row
from tests.support.oracle_values import severity, visible
from tests.support.policies import EVERY_FAMILY, agents, guardrails, of_both_sides, users
from tests.support.snowflake_bodies import NATIVE, PROFILE, SALT, Account, vended, without_uuid
from tests.support.worlds import rows as rows_of

CLUSTER = ClusterId("5c0a7e1e-0000-4000-8000-000000000001")
PEOPLE = replace(without_uuid(EVERY_FAMILY), columns=(Column("id", Family.INTEGER, NATIVE[Family.INTEGER]), *without_uuid(EVERY_FAMILY).columns))
ROWS = rows_of(PEOPLE, 200, 7)
RANDOM = settings(
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)
WORLDS = {
    "policies": of_both_sides(PEOPLE),
    "guardrails": guardrails(PEOPLE),
    "user": users(),
    "agent": agents(),
    "combination": st.sampled_from(Combination),
}


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    made = Account()
    made.table(PEOPLE, ROWS)
    yield made
    made.close()


def shape_of(account: Account, policies, guardrails, user, agent, combination) -> TableShape | None:
    """Of the one table, with a lease for the user; None where the decision is a denial."""
    asking = Asking(agent_attributes=agent, combination=combination)
    decision = decide(user, compile_policies(Catalog.of([PEOPLE]), policies, guardrails), asking)
    if isinstance(decision, Denial):
        return None
    profile = plan(decision, CLUSTER)
    account.forget()
    account.lease(user.only(attribute_keys(profile)))
    return profile.tables[0]


def hash_of(text: str) -> str:
    return hashlib.sha256(SALT + text.encode()).hexdigest()


def seen_through(mask: Mask, row: Row, column: Column) -> object:
    return visible(mask, row[column.name], column.family, hash_of)


def wanted_of(wanted: Sequence[Masked | None], columns: Sequence[Column]) -> Counter[tuple[object, ...]]:
    return Counter(
        tuple(seen_through(masks[each.name], row, each) for each in columns)
        for masks, row in zip(wanted, ROWS, strict=True)
        if masks is not None
    )


def test_a_view_shows_what_policies_and_guardrails_say(account: Account):
    cells: Counter[str] = Counter()

    @settings(RANDOM, max_examples=400)
    @given(**WORLDS)
    def compare(policies, guardrails, user, agent, combination) -> None:
        shape = shape_of(account, policies, guardrails, user, agent, combination)
        wanted = expected(policies, PEOPLE, user, ROWS, guardrails, agent, combination)
        if shape is None:
            assert not any(wanted)
            return
        view = secure_view(PROFILE, shape, database="PROD")
        assert view.fallbacks == ()
        columns = [column for each in shape.columns if (column := PEOPLE.column(each.name))]
        assert Counter(account.view(view.create, vended().through_view())) == wanted_of(wanted, columns)
        cells.update(type(mask).__name__ for masks in wanted if masks for mask in masks.values())
        cells["Hidden"] += sum(masks is None for masks in wanted)

    compare()
    kinds = {"Clear", "Partial", "Round", "DateTrunc", "Regex", "Hash", "Constant", "Nullify", "Hidden"}
    assert kinds == set(cells), cells
    assert cells.total() > 100_000


def test_policies_of_the_table_itself_show_no_more_and_say_where_it_is_less(account: Account):
    exact: Counter[bool] = Counter()
    names = [column.name for column in PEOPLE.columns]

    @settings(RANDOM, max_examples=400)
    @given(**WORLDS)
    def compare(policies, guardrails, user, agent, combination) -> None:
        shape = shape_of(account, policies, guardrails, user, agent, combination)
        if shape is None:
            return
        wanted = expected(policies, PEOPLE, user, ROWS, guardrails, agent, combination)
        part = {PROFILE: fragment(PROFILE, shape, PEOPLE.columns)}
        row, masks = row_policy(PEOPLE.id, PEOPLE.columns, part), masking_policies(PEOPLE.id, PEOPLE.columns, part)
        seen = account.governed(PEOPLE, row, masks, vended())
        everything = [None if each is None else dict.fromkeys(names, Nullify()) | each for each in wanted]
        if not part[PROFILE].fallbacks:
            assert Counter(seen) == wanted_of(everything, PEOPLE.columns)
        shown_of(shape, everything, seen)
        exact[not part[PROFILE].fallbacks] += 1

    compare()
    assert min(exact[True], exact[False]) > 20, exact


def shown_of(shape: TableShape, wanted: Sequence[Masked | None], seen: Sequence[tuple[Any, ...]]) -> None:
    """Each row that is seen has a number, or one of the rows that may be seen is behind it: no cell shows more than through its mask, or
    through a stricter one that the shape has."""
    others = {each.name: [cell.mask for cell in each.cells] for each in shape.columns}
    allowed: list[list[set[object]]] = []
    for masks, row in zip(wanted, ROWS, strict=True):
        if masks is not None:
            allowed.append(
                [
                    {seen_through(mask, row, each) for mask in _no_milder(masks[each.name], others.get(each.name, []))}
                    for each in PEOPLE.columns
                ]
            )
    for cells in seen:
        assert any(all(cell in may for cell, may in zip(cells, row, strict=True)) for row in allowed), cells


def _no_milder(mask: Mask, others: Sequence[Mask]) -> list[Mask]:
    return [mask, Nullify(), *(each for each in others if severity(each) >= severity(mask))]


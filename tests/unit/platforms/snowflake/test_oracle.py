"""Random policies for people and for agents, guardrails and shapes, rendered for Snowflake and evaluated, against oracles that say row by
row what must be seen: nothing leaks. Views hide nothing else, and neither do policies of the table itself where they name no fallback."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from rolevend.catalog import Catalog, Column, Family
from rolevend.model import Attributes, ClusterId
from rolevend.plan import Cell, ColumnShape, Condition, TableShape, attribute_keys, plan
from rolevend.platforms.snowflake.build.policies import SnowflakePolicy, TableFragment, fragment, masking_policies, row_policy, secure_view
from rolevend.policy.binding import bind
from rolevend.policy.decision import decide
from rolevend.policy.expression import attributes
from rolevend.policy.index import compile_policies
from rolevend.policy.mask import Clear, Mask, Nullify
from rolevend.policy.predicate import parse
from rolevend.policy.refusal import Denial
from rolevend.policy.request_context import Combination, RequestContext
from tests.support.oracle import Masked, expected, shown
from tests.support.oracle_rows import Row
from tests.support.oracle_values import carried, visible, within_all
from tests.support.policies import EVERY_FAMILY, MASKS, agents, guardrails, of_both_sides, users
from tests.support.snowflake_bodies import NATIVE, PROFILE, SALT, Account, vended, without_uuid
from tests.support.tiers import by_tier
from tests.support.worlds import rows as rows_of

CLUSTER = ClusterId("5c0a7e1e-0000-4000-8000-000000000001")
PEOPLE = replace(
    without_uuid(EVERY_FAMILY), columns=(Column("id", Family.INTEGER, NATIVE[Family.INTEGER]), *without_uuid(EVERY_FAMILY).columns)
)
SHAPES = by_tier(40, 100)
NAMES = [column.name for column in PEOPLE.columns]
ROWS = rows_of(PEOPLE, 200, 7)
RANDOM = settings(
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],
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
    asking = RequestContext(agent_attributes=agent, combination=combination)
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

    @settings(RANDOM, max_examples=by_tier(40, 100))
    @given(**WORLDS)
    def compare(policies, guardrails, user, agent, combination) -> None:
        shape = shape_of(account, policies, guardrails, user, agent, combination)
        wanted = expected(policies, PEOPLE, user, ROWS, guardrails, agent, combination)
        if shape is None:
            assert not any(wanted)
            return
        assert view_of(account, shape) == wanted_of(wanted, granted(shape))
        cells["shown"] += sum(len(masks) for masks in wanted if masks)
        cells["hidden"] += sum(masks is None for masks in wanted)

    compare()
    assert cells["shown"] > by_tier(12_000, 30_000)
    assert cells["hidden"] > 1_000


FILTERS = (
    "text = 'DE'",
    "text <> 'DE'",
    "text IN ('AT', 'it''s')",
    "text IN (user_attr('countries'))",
    "NOT text IN (user_attr('countries'))",
    "text IN (user_attr('countries')) OR integer > 0",
    "integer IN (user_attr('levels'))",
    "integer NOT BETWEEN 0 AND 7",
    "integer >= -1 AND integer < 25",
    "numeric > 0.005",
    "numeric = 12.5 OR numeric IS NULL",
    "float <= 0.5",
    "float IN (user_attr('levels'))",
    "boolean = true",
    "boolean IN (user_attr('flags')) OR date IS NULL",
    "date < current_date - 9000",
    "date IN (user_attr('born'))",
    "timestamp >= '2000-01-01T00:00:00'",
    "timestamp < now()",
    "timestamp_tz < '2024-03-01T00:00:00Z'",
    "timestamp_tz IS NULL",
    "NOT (timestamp_tz > now() - interval '9000 days' AND text = 'DE')",
    "id < 100",
    "id BETWEEN 50 AND 150 AND NOT integer = 7",
)
"""Which overlap, and read each column."""
CONDITIONS = [Condition(attributes(each), each) for each in (bind(parse(text), PEOPLE) for text in FILTERS)]
FITTING = {each.name: list(dict.fromkeys(carried(mask, each.family) for mask in MASKS)) for each in PEOPLE.columns}
SUBJECT = Attributes.of(
    [("countries", ["DE", "AT"]), ("levels", ["0", "7", "-1"]), ("born", ["2024-02-29"]), ("flags", ["true"])],
)


def some_shape(chance: Random) -> TableShape:
    """Any cells in any order, which no policy has to lead to: drivers promise to show what a shape says."""
    here = chance.sample(CONDITIONS, chance.randint(1, 4))

    def some(least: int) -> tuple[Condition, ...]:
        return tuple(chance.sample(here, min(len(here), chance.randint(least, 2))))

    def cell(name: str) -> Cell:
        first = some(0)
        return Cell(first, chance.choice(FITTING[name]), some(0) if first else ())

    def cells(name: str) -> tuple[Cell, ...]:
        if chance.random() < 0.4:
            return (Cell((), Clear()),)
        return (
            (Cell((), chance.choice(FITTING[name])),) if chance.random() < 0.4 else tuple(cell(name) for _ in range(chance.randint(0, 3)))
        )

    return TableShape(
        PEOPLE.id,
        "people",
        (Condition((), None),) if chance.random() < 0.4 else some(1),
        tuple(ColumnShape(each.name, each.family, each.native_type, cells(each.name)) for each in PEOPLE.columns if chance.random() < 0.8),
        tuple(some(1) for _ in range(chance.choice([0, 0, 1, 2]))),
    )


def test_a_view_and_policies_of_the_table_show_what_a_shape_says(account: Account):
    """Any shape. Of the policies: no more, in any case; and as much where they name no fallback."""
    kinds: Counter[str] = Counter()
    exact: Counter[bool] = Counter()

    account.forget()
    account.lease(SUBJECT)
    for seed in range(SHAPES):
        shape = some_shape(Random(seed))
        if not shape.columns:
            continue
        wanted = shown(shape, SUBJECT, ROWS)
        assert view_of(account, shape) == wanted_of(wanted, granted(shape))
        kinds.update(type(mask).__name__ for masks in wanted if masks for mask in masks.values())
        kinds["Hidden"] += sum(masks is None for masks in wanted)

        part = fragment(PROFILE, shape, PEOPLE.columns)
        seen = of_the_table(account, part)
        everything = [None if each is None else dict.fromkeys(NAMES, Nullify()) | each for each in wanted]
        require_no_more(shape, everything, seen)
        if not part.stricter:
            assert Counter(seen) == wanted_of(everything, PEOPLE.columns)
        exact[not part.stricter] += bool(seen)
    assert set(kinds) == {"Clear", "Partial", "Round", "DateTrunc", "Regex", "Hash", "Constant", "Nullify", "Hidden"}, kinds
    assert kinds.total() > 1_000 * SHAPES
    assert min(exact[True], exact[False]) > SHAPES // 10, exact


def granted(shape: TableShape) -> list[Column]:
    return [column for each in shape.columns if (column := PEOPLE.column(each.name))]


def view_of(account: Account, shape: TableShape) -> Counter[tuple[Any, ...]]:
    view = secure_view(PROFILE, shape, database="PROD")
    return Counter(account.view(view.create, vended().through_view()))


def of_the_table(account: Account, part: TableFragment) -> list[tuple[Any, ...]]:
    parts = {PROFILE: part}
    row, masks = row_policy(PEOPLE.id, PEOPLE.columns, parts), masking_policies(PEOPLE.id, PEOPLE.columns, parts)
    require_allowed(row, masks)
    return account.governed(PEOPLE, row, masks, vended())


def require_allowed(row: SnowflakePolicy, masks: Sequence[SnowflakePolicy]) -> None:
    """What Snowflake refuses: a column in both kinds of signature, and a condition that is masked itself."""
    masked = {each.arguments[0] for each in masks}
    conditional = {name for each in masks for name in each.arguments[1:]}
    assert not (masked | conditional) & set(row.arguments)
    assert not masked & conditional


def require_no_more(shape: TableShape, wanted: Sequence[Masked | None], seen: Sequence[tuple[Any, ...]]) -> None:
    """Behind each row that is seen stands one that may be: no cell shows more than through its mask."""
    others = {each.name: [cell.mask for cell in each.cells] for each in shape.columns}
    allowed = {
        tuple(
            frozenset(seen_through(mask, row, each) for mask in no_more(masks[each.name], others.get(each.name, []), each.family))
            for each in PEOPLE.columns
        )
        for masks, row in zip(wanted, ROWS, strict=True)
        if masks is not None
    }
    for cells in set(seen):
        assert any(all(cell in may for cell, may in zip(cells, row, strict=True)) for row in allowed), cells


def no_more(mask: Mask, others: Sequence[Mask], family: Family) -> tuple[Mask, ...]:
    """What a cell may show that must be shown through `mask`."""
    return mask, Nullify(), within_all((mask, *others), family)

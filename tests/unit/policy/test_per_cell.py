"""The rule, end to end: random policies on random rows, decided, planned, read as a driver reads, held against the oracle."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from rolevend.catalog import Family
from rolevend.model import Attributes, ClusterId, ObjectName
from rolevend.plan import Profile, TableShape, plan
from rolevend.policy.decision import decide
from rolevend.policy.index import compile_policies
from rolevend.policy.mask import Clear, Constant, Hash, Nullify, Partial, Round, carries, strictness
from rolevend.policy.predicate import parse
from rolevend.policy.refusal import Denial
from rolevend.policy.statement import ColumnSelector, Guardrail, Policy
from tests.support import oracle, oracle_conditions, oracle_offers, oracle_rows, oracle_values
from tests.support.oracle_values import tells_no_more
from tests.support.policies import EVERY_FAMILY, MASKS, catalog, guardrail, guardrails, masked, policies, policy, rows, user, users
from tests.support.worlds import cases
from tests.support.worlds import rows as rows_of

CLUSTER = ClusterId("5d4c9f0e-8d0c-4a44-9d7b-2d8f3a1c6b5e")
EMPTY_ROW = dict.fromkeys(column.name for column in EVERY_FAMILY.columns)
FAMILIES = {column.name: column.family for column in EVERY_FAMILY.columns}
CASES = settings(deadline=None)


def profile_of(given_policies: list[Policy], somebody: Attributes, given_guardrails: Sequence[Guardrail] = ()) -> Profile | None:
    decision = decide(somebody, compile_policies(catalog(), given_policies, given_guardrails))
    return None if isinstance(decision, Denial) else plan(decision, CLUSTER)


def shape_of(given_policies: list[Policy], somebody: Attributes, given_guardrails: Sequence[Guardrail] = ()) -> TableShape | None:
    profile = profile_of(given_policies, somebody, given_guardrails)
    return None if profile is None else profile.tables[0]


@CASES
@given(policies(), users(), rows(), guardrails())
def test_no_cell_leaks_and_no_cell_is_masked_more_than_grants_and_guardrails_say(given_policies, somebody, some_rows, some_guardrails):
    shown = oracle.shown(shape_of(given_policies, somebody, some_guardrails), somebody, some_rows)

    assert shown == oracle.expected(given_policies, EVERY_FAMILY, somebody, some_rows, some_guardrails)


@CASES
@given(cases(), st.integers())
def test_nor_where_tables_columns_and_people_are_chosen_by_tags_and_attributes(case, seed):
    decision = decide(case.user, compile_policies(catalog(*case.tables), case.policies, case.guardrails), case.asking)
    shapes = {} if isinstance(decision, Denial) else {shape.table: shape for shape in plan(decision, CLUSTER).tables}
    for table in case.tables:
        some_rows = rows_of(table, 5, seed)
        shown = oracle.shown(shapes.get(table.id), case.user, some_rows)
        given = (case.policies, table, case.user, some_rows, case.guardrails, case.agent, case.combination)
        assert shown == oracle.expected(*given, asked=case.asked, catalog=case.tables)


def test_the_oracle_knows_values_of_the_product_and_none_of_its_functions():
    for module in (oracle, oracle_conditions, oracle_offers, oracle_rows, oracle_values):
        for name, value in vars(module).items():
            foreign = getattr(value, "__module__", "").startswith("rolevend")
            assert not foreign or isinstance(value, type) or not callable(value), f"{module.__name__} uses {name}"


@CASES
@given(policies(), users(), rows(), guardrails())
def test_no_cell_shows_more_than_some_grant_that_shows_its_row(given_policies, somebody, some_rows, some_guardrails):
    shown = oracle.shown(shape_of(given_policies, somebody, some_guardrails), somebody, some_rows)
    alone = [run for each in given_policies if (run := oracle.alone(each, EVERY_FAMILY, somebody, some_rows)) is not None]
    floors = {rule.mask for each in some_guardrails for rule in each.mask_floors}

    for place, cells in enumerate(shown):
        sources = [run[place] for run in alone if run[place] is not None]
        assert cells is None or sources
        for name, mask in (cells or {}).items():
            offers = [source[name] for source in sources if name in source]
            assert mask == Nullify() or mask in offers or mask in floors or isinstance(mask, Round), "a step may be one that both have"
            assert mask == Nullify() or any(strictness(mask) >= strictness(offer) for offer in offers)
            assert mask in (Hash(), Nullify()) or any(tells_no_more(mask, offer, FAMILIES[name]) for offer in offers)


@CASES
@given(policies(most=5), users(), rows(), guardrails(), st.data())
def test_one_policy_more_never_hides_a_row_or_strengthens_a_mask(given_policies, somebody, some_rows, some_guardrails, draw):
    """Whatever guardrails say."""
    fewer = draw.draw(st.lists(st.sampled_from(given_policies), unique_by=lambda each: each.id))
    before = oracle.shown(shape_of(fewer, somebody, some_guardrails), somebody, some_rows)
    after = oracle.shown(shape_of(given_policies, somebody, some_guardrails), somebody, some_rows)

    for old, new in zip(before, after, strict=True):
        assert old is None or new is not None
        for name, mask in (old or {}).items():
            assert strictness(new[name]) <= strictness(mask)


@CASES
@given(policies(), users(), rows(), guardrails(most=4), st.data())
def test_one_guardrail_more_never_shows_a_row_or_a_column_or_weakens_a_mask(given_policies, somebody, some_rows, some_guardrails, draw):
    fewer = draw.draw(st.lists(st.sampled_from(some_guardrails), unique_by=lambda each: each.name)) if some_guardrails else []
    before = oracle.shown(shape_of(given_policies, somebody, fewer), somebody, some_rows)
    after = oracle.shown(shape_of(given_policies, somebody, some_guardrails), somebody, some_rows)

    for old, new in zip(before, after, strict=True):
        assert new is None or old is not None
        for name, mask in (new or {}).items():
            assert strictness(mask) >= strictness(old[name])


@CASES
@given(policies(), users(), rows(), guardrails(), st.sampled_from([*MASKS, None]))
def test_a_guardrail_wins_over_whatever_policies_grant(given_policies, somebody, some_rows, others, mask):
    """`others` may take away more; nothing of what this one says is lost to them."""
    restriction = parse("integer >= 0")
    floor = masked(mask or Clear(), "text")
    guard = guardrail("mine", denied_columns=ColumnSelector(names=("uuid",)), row_restriction=restriction, mask_floors=(floor,))

    shown = oracle.shown(shape_of(given_policies, somebody, [*others, guard]), somebody, some_rows)

    weakest = floor.mask if carries(floor.mask, Family.TEXT, None) else Nullify()
    shows = {cells["text"] for cells in shown if cells and "text" in cells}
    assert all(each == Hash() or weakest == Hash() or tells_no_more(each, weakest, Family.TEXT) for each in shows)
    for row, cells in zip(some_rows, shown, strict=True):
        assert cells is None or (row["integer"] is not None and row["integer"] >= 0)
        assert "uuid" not in (cells or {})
        assert strictness((cells or {}).get("text", Nullify())) >= strictness(weakest)


@CASES
@given(policies(), users(), guardrails(), st.randoms(use_true_random=False))
def test_the_order_in_which_policies_and_guardrails_arrive_changes_nothing(given_policies, somebody, some_guardrails, random):
    shuffled, mixed = (random.sample(each, len(each)) for each in (given_policies, some_guardrails))

    assert compile_policies(catalog(), shuffled, mixed) == compile_policies(catalog(), given_policies, some_guardrails)
    assert profile_of(shuffled, somebody, mixed) == profile_of(given_policies, somebody, some_guardrails)


def test_the_obvious_union_would_show_finance_people_outside_the_eu_in_clear():
    eu = policy("eu", row_filter=parse("text = 'DE'"))
    finance = policy("finance", row_filter=parse("integer = 7"), masks=(masked(Hash(), "text"),))
    row = EMPTY_ROW | {"text": "US", "integer": 7}

    ((cells),) = oracle.shown(shape_of([eu, finance], user()), user(), [row])

    assert cells["text"] == Hash()
    assert cells["integer"] == Clear()


def test_of_two_masks_of_one_kind_the_one_that_shows_more_holds_whatever_the_names_of_the_policies():
    two = policy("a", row_filter=parse("integer > 0"), masks=(masked(Partial(2), "text"),))
    four = policy("b", row_filter=parse("integer > 1"), masks=(masked(Partial(4), "text"),))
    numbered = [EMPTY_ROW | {"integer": number} for number in (1, 2)]

    shown = oracle.shown(shape_of([two, four], user()), user(), numbered)

    assert [cells["text"] for cells in shown] == [Partial(2), Partial(4)]


def test_of_masks_that_say_nothing_of_each_other_the_policy_with_the_smallest_name_decides():
    x = policy("a", row_filter=parse("integer > 0"), masks=(masked(Constant("x"), "text"),))
    y = policy("b", row_filter=parse("integer > 1"), masks=(masked(Constant("y"), "text"),))
    numbered = [EMPTY_ROW | {"integer": number} for number in (1, 2)]

    shown = oracle.shown(shape_of([x, y], user()), user(), numbered)
    assert [cells["text"] for cells in shown] == [Constant("x"), Constant("x")]

    shown = oracle.shown(shape_of([x, replace(y, id=ObjectName("aaa", "z"))], user()), user(), numbered)
    assert [cells["text"] for cells in shown] == [Constant("x"), Constant("y")]

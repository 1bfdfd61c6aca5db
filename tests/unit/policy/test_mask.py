"""The order of the masks, what shows no more than several of them, and which types can show them."""

from itertools import combinations, pairwise, product

import pytest

from rolevend.catalog import Family
from rolevend.policy.mask import (
    Clear,
    Constant,
    DateTrunc,
    Hash,
    Mask,
    Nullify,
    Partial,
    Regex,
    Round,
    Unit,
    carries,
    rank,
    rank_named,
    strictest,
    strictness,
)
from tests.support.oracle_values import severity, tells_no_more, within_all

TIMES = {Family.DATE, Family.TIMESTAMP, Family.TIMESTAMP_TZ}


@pytest.mark.parametrize(
    ("mask", "families"),
    [
        (Clear(), set(Family)),
        (Nullify(), set(Family)),
        (Partial(4), {Family.TEXT}),
        (Round("100"), {Family.INTEGER, Family.NUMERIC, Family.FLOAT}),
        (Round("0.5"), {Family.NUMERIC, Family.FLOAT}),
        (Regex("[0-9]", "#"), {Family.TEXT}),
        (Hash(), {Family.TEXT}),
        (DateTrunc(Unit.YEAR), TIMES),
        (Constant("hidden"), {Family.TEXT}),
        (Constant("0"), {Family.TEXT, Family.INTEGER, Family.NUMERIC, Family.FLOAT}),
        (Constant("1970-01-01"), {Family.TEXT, Family.DATE, Family.TIMESTAMP}),
        (Constant("false"), {Family.TEXT, Family.BOOLEAN}),
    ],
    ids=lambda each: "" if isinstance(each, set) else str(each),
)
def test_a_mask_is_carried_by_the_types_that_can_show_its_result(mask, families):
    assert {family for family in Family if carries(mask, family, None)} == families


def test_masks_are_ordered_from_showing_all_to_showing_nothing():
    masks = [Clear(), Partial(4), Round("1"), DateTrunc(Unit.YEAR), Regex("x", ""), Hash(), Constant("x"), Nullify()]

    assert [rank(mask) for mask in masks] == list(range(len(masks)))
    assert [rank_named(type(mask).__name__) for mask in masks] == list(range(len(masks)))
    assert rank_named("Rot13") is None


def test_within_a_type_the_parameter_decides_and_among_types_the_type():
    ordered = [
        Clear(),
        *map(Partial, (4, 2, 0)),
        *map(Round, ("0.5", "9", "10")),
        *map(DateTrunc, (Unit.MONTH, Unit.QUARTER, Unit.YEAR)),
        Regex("x", ""),
        Hash(),
        Constant("x"),
        Nullify(),
    ]

    assert all(strictness(milder) < strictness(stricter) for milder, stricter in pairwise(ordered))


@pytest.mark.parametrize(("one", "other"), [(Regex("a", "b"), Regex("c", "d")), (Constant("a"), Constant("b"))])
def test_patterns_and_constants_say_nothing_of_each_other(one, other):
    assert strictness(one) == strictness(other)


SHOWING: dict[Family, tuple[Mask, ...]] = {
    Family.TEXT: (
        *map(Partial, (0, 1, 2, 3, 4, 64)),
        *(Regex("[A-Z]", "x"), Regex("[a-z]", "x"), Regex("^.", ""), Regex("[0-9]+-", ""), Regex("^[^c]+", "")),
    ),
    Family.INTEGER: tuple(map(Round, ("1", "4", "6", "7", "10", "100"))),
    Family.NUMERIC: tuple(map(Round, ("0.1", "0.25", "0.3", "4", "6.5", "10"))),
    Family.FLOAT: tuple(map(Round, ("0.1", "0.25", "0.3", "4", "6.5", "10"))),
    **dict.fromkeys((Family.DATE, Family.TIMESTAMP, Family.TIMESTAMP_TZ), tuple(map(DateTrunc, Unit))),
}
"""Masks that show a part of a value."""
SHOWING_NOTHING: tuple[Mask, ...] = (Constant("1970-01-01"), Constant("1"), Nullify())
ALL = {family: (Clear(), *masks, *([Hash()] if family is Family.TEXT else []), *SHOWING_NOTHING) for family, masks in SHOWING.items()}


def distinct(family: Family) -> tuple[Mask, ...]:
    return tuple(mask for mask in ALL[family] if carries(mask, family, None))


@pytest.mark.parametrize("family", SHOWING)
def test_values_that_one_of_several_masks_shows_alike_look_alike(family: Family):
    """Over values, as the oracle masks them. A hash is what it is: it tells which values are equal."""
    for masks in (*product(distinct(family), repeat=2), *combinations(distinct(family), 3)):
        shown = strictest(masks)
        assert shown == Hash() or all(tells_no_more(shown, mask, family) for mask in masks if mask != Hash()), (masks, shown)
        assert all(strictness(shown) >= strictness(mask) for mask in masks)


@pytest.mark.parametrize("family", SHOWING)
def test_no_less_is_shown_than_several_masks_allow(family: Family):
    for masks in (*product(distinct(family), repeat=2), *combinations(distinct(family), 3)):
        assert strictest(masks) == within_all(masks, family), masks


@pytest.mark.parametrize("family", SHOWING)
def test_one_mask_more_never_shows_more(family: Family):
    for *masks, another in (
        *product(distinct(family), repeat=2),
        *combinations(distinct(family), 3),
        *combinations(distinct(family)[::-1], 3),
    ):
        before, after = strictest(masks), strictest([*masks, another])
        assert severity(after) >= severity(before)
        assert after == Hash() or tells_no_more(after, before, family) or before == Hash(), (masks, another)


@pytest.mark.parametrize("family", SHOWING)
def test_only_of_constants_does_the_order_of_masks_decide(family: Family):
    for masks in combinations(distinct(family), 3):
        assert len({strictest(each) for each in (masks, masks[::-1], (masks[1], masks[0], masks[2]))}) == 1 or isinstance(
            strictest(masks), Constant
        )
    assert strictest([Constant("a"), Hash(), Constant("b")]) == Constant("a")


@pytest.mark.parametrize(
    ("masks", "shown"),
    [
        ([], Clear()),
        ([Partial(4), Partial(2)], Partial(2)),
        ([Partial(4), Regex("^.", "")], Nullify()),
        ([Regex("@.*", ""), Regex("^[^@]+", "")], Nullify()),
        ([Regex("@.*", ""), Regex("@.*", "")], Regex("@.*", "")),
        ([Regex("@.*", ""), Regex("@.*", "x")], Nullify()),
        ([Partial(4), Hash()], Hash()),
        ([Hash(), Partial(4), Regex("^.", "")], Nullify()),
        ([Constant("x"), Partial(4), Regex("^.", "")], Nullify()),
        ([Round("7"), Round("10")], Round("70")),
        ([Round("10"), Round("100")], Round("100")),
        ([Round("0.3"), Round("0.25"), Clear()], Round("1.5")),
        ([Round("2.5"), Round("4")], Round("20")),
        ([Round("0.000001"), Round("999999999999999")], Round("999999999999999")),
        ([Round("999999999999998"), Round("2")], Round("999999999999998")),
        ([Round("500000000000000"), Round("3")], Nullify()),
        ([Round("500000000000000"), Round("200000000000000")], Nullify()),
        ([Round("500000000000000.5"), Round("1")], Nullify()),
        ([Round("499999999999999.5"), Round("1")], Round("999999999999999")),
        ([Round("100000000"), Round("99999999")], Nullify()),
        ([DateTrunc(Unit.MONTH), DateTrunc(Unit.YEAR), DateTrunc(Unit.QUARTER)], DateTrunc(Unit.YEAR)),
        ([Partial(4), Round("10")], Nullify()),
    ],
    ids=str,
)
def test_several_masks_and_what_may_be_shown(masks: list[Mask], shown: Mask):
    assert strictest(masks) == shown
    assert strictest(masks[::-1]) == shown

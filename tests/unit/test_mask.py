"""The order of the masks, and which types can show them."""

from itertools import pairwise

import pytest

from rolevend.catalog import Family
from rolevend.policy.mask import (
    Clear,
    Constant,
    DateTrunc,
    Hash,
    Nullify,
    Partial,
    Regex,
    Round,
    Unit,
    carries,
    rank,
    rank_named,
    strictness,
)

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
    assert {family for family in Family if carries(mask, family)} == families


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

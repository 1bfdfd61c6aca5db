"""What somebody gains and loses, where one answer of policy takes the place of another."""

from dataclasses import replace

import pytest

from rolevend.audit.access_diff import Change, Direction, What, compare
from rolevend.audit.evidence import ColumnAccess, TableAccess


def given(rows: tuple[str, ...] = (), clear: tuple[str, ...] = ("id",), **masked: str) -> TableAccess:
    return TableAccess("claims.people", rows, clear, tuple(ColumnAccess(name, shows) for name, shows in masked.items()))


def test_what_stays_is_no_change_whatever_the_order():
    one, other = given(("a", "b"), ("x", "y"), s="Hash"), given(("b", "a"), ("y", "x"), s="Hash")

    assert compare([one], [other]) == ()


def test_a_table_that_comes_or_goes_is_told_whole():
    table = given(("country = 'DE'",), ("id",), ssn="Hash")

    assert compare([], [table]) == (Change(Direction.GAINS, What.TABLE, "claims.people", None, "country = 'DE': id, ssn (Hash)"),)
    assert compare([table], []) == (Change(Direction.LOSES, What.TABLE, "claims.people", "country = 'DE': id, ssn (Hash)", None),)


@pytest.mark.parametrize(
    ("before", "after", "direction"),
    [
        (("a",), (), Direction.GAINS),
        ((), ("a",), Direction.LOSES),
        (("a",), ("a", "b"), Direction.GAINS),
        (("a", "b"), ("b",), Direction.LOSES),
        (("a",), ("b",), Direction.CHANGES),
    ],
)
def test_no_row_filter_is_every_row_and_one_more_is_more_rows(before, after, direction):
    (change,) = compare([given(before)], [given(after)])

    assert (change.direction, change.what) == (direction, What.ROWS)
    assert ("every row" in (change.before, change.after)) == (() in (before, after))


@pytest.mark.parametrize(
    ("before", "after", "direction"),
    [
        ((("a",), ()), (("a",), ("p",)), Direction.LOSES),
        ((("a",), ("p", "q")), (("a",), ("q",)), Direction.GAINS),
        ((("a",), ("p",)), (("a",), ("q",)), Direction.CHANGES),
        ((("a",), ()), (("a", "b"), ("p",)), Direction.CHANGES),
        ((("a", "b"), ()), (("a",), ("p",)), Direction.LOSES),
    ],
)
def test_a_restriction_more_is_fewer_rows(before, after, direction):
    (change,) = compare(*([replace(given(rows), restrictions=restrictions)] for rows, restrictions in (before, after)))

    assert (change.direction, change.what) == (direction, What.ROWS)
    assert all(f"({each})" in change.after for each in after[1])


@pytest.mark.parametrize(
    ("before", "after", "direction"),
    [
        ("Hash", "Partial(2)", Direction.GAINS),
        ("Hash", "Nullify", Direction.LOSES),
        ("Partial(2)", "Partial(4)", Direction.CHANGES),
        ("Clear where (a) else Hash", "Hash", Direction.CHANGES),
    ],
)
def test_a_column_tells_whether_its_mask_shows_more(before, after, direction):
    (change,) = compare([given(s=before)], [given(s=after)])

    assert change == Change(direction, What.COLUMN, "claims.people.s", before, after)


def test_a_column_that_comes_or_goes_or_is_no_longer_masked_is_told():
    assert compare([given(clear=("id",), s="Hash")], [given(clear=("s", "new"))]) == (
        Change(Direction.LOSES, What.COLUMN, "claims.people.id", "Clear", None),
        Change(Direction.GAINS, What.COLUMN, "claims.people.new", None, "Clear"),
        Change(Direction.GAINS, What.COLUMN, "claims.people.s", "Hash", "Clear"),
    )

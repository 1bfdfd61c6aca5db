"""Every mask, as a real PostgreSQL computes it, against what its docstring says: NULL, empty, short, non-ASCII, extreme."""

from datetime import UTC, date, datetime

import pytest

from rolevend.plan import Cell
from rolevend.policy.mask import Clear, Constant, DateTrunc, Hash, Mask, Nullify, Partial, Unit
from tests.conformance.bench import PostgresBench, equal, profile, shape, vended

Case = tuple[str, str, Mask, object, object]
TEXTS = ("text", "character varying(20)", "character(12)")

CASES: list[Case] = [
    ("nothing of NULL", "text", Partial(4), None, None),
    ("nothing of the empty text", "text", Partial(4), "", "***"),
    ("nothing of one that is too short", "text", Partial(4), "1234567", "***"),
    ("at most half", "text", Partial(4), "12345678", "***5678"),
    ("characters, not bytes", "text", Partial(2), "naïve☃é", "***☃é"),
    ("no last characters", "text", Partial(0), "1234", "***"),
    ("a negative number is none", "text", Partial(-1), "1234", "***"),
    ("varying", "character varying(20)", Partial(4), "12345678", "***5678"),
    ("padding is not the value", "character(12)", Partial(2), "abcd", "***cd"),
    ("no partial number", "integer", Partial(2), 12345, None),
    ("constant", "text", Constant("it's"), "x", "it's"),
    ("constant hides NULL", "text", Constant("x"), None, "x"),
    ("constant number", "integer", Constant("0"), 7, 0),
    ("constant day", "date", Constant("1970-01-01"), "2024-05-05", date(1970, 1, 1)),
    ("constant that the type lacks", "integer", Constant("none"), 7, None),
    ("nullify", "integer", Nullify(), 7, None),
    ("nullify of an odd type", "point", Nullify(), "(1,2)", None),
    ("clear of an odd type", "int4range", Clear(), "[1,5)", "[1,5)"),
    ("hash of NULL", "text", Hash(), None, None),
    ("no hash of a number", "integer", Hash(), 7, None),
    *[
        (f"{unit.value} of {value}", "date", DateTrunc(unit), value, expected)
        for unit, value, expected in [
            (Unit.YEAR, "2024-02-29", date(2024, 1, 1)),
            (Unit.QUARTER, "2024-02-29", date(2024, 1, 1)),
            (Unit.QUARTER, "2024-12-31", date(2024, 10, 1)),
            (Unit.MONTH, "2024-02-29", date(2024, 2, 1)),
            (Unit.MONTH, None, None),
        ]
    ],
    *[
        (f"{unit.value} of {value}", "timestamp", DateTrunc(unit), value, expected)
        for unit, value, expected in [
            (Unit.YEAR, "2024-02-29 23:59:59.999999", datetime.fromisoformat("2024-01-01")),
            (Unit.QUARTER, "2024-06-30 23:59:59", datetime.fromisoformat("2024-04-01")),
            (Unit.MONTH, None, None),
        ]
    ],
    ("UTC decides", "timestamptz", DateTrunc(Unit.YEAR), "2024-01-01 01:00+02", datetime(2023, 1, 1, tzinfo=UTC)),
    ("UTC decides the month", "timestamptz", DateTrunc(Unit.MONTH), "2024-02-29 23:00-02", datetime(2024, 3, 1, tzinfo=UTC)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[1]}-{case[0]}")
def test_a_mask(bench: PostgresBench, case: Case):
    _, kind, mask, value, expected = case
    table = bench.table([("c", kind)], [[value]])
    _, credential = vended(bench.platform, profile(shape(table, masks={"c": mask})))
    session = bench.log_in(credential)
    session.run("SET timezone = 'Asia/Kathmandu'")
    column = "c::text" if kind == "int4range" else "c"
    assert session.rows(f"SELECT {column} FROM items") == [(expected,)]


EXTREMES = {
    "date": ["infinity", "-infinity", "5874897-12-31", "4713-11-24 BC", "4712-05-05 BC", "0044-03-15 BC", "0001-01-01"],
    "timestamp": ["infinity", "-infinity", "294276-12-31 23:59:59.999999", "4713-11-24 00:00:00 BC", "4712-05-05 BC", "0044-03-15 BC"],
    "timestamptz": ["infinity", "-infinity", "294276-12-31 23:59:59.999999+00", "4713-11-24 00:00:00+00 BC", "4712-05-05 00:00+00 BC"],
}


@pytest.mark.parametrize("unit", Unit)
@pytest.mark.parametrize("kind", EXTREMES)
def test_the_ends_of_the_calendar_are_no_error(bench: PostgresBench, kind: str, unit: Unit):
    """An error would tell which row has such a value, and take the others away. Infinity stays; where the first instant of
    the unit lies before the calendar there is NULL."""
    table = bench.table([("n", "integer"), ("c", kind)], list(enumerate(EXTREMES[kind])))
    _, credential = vended(bench.platform, profile(shape(table, masks={"c": DateTrunc(unit)})))
    session = bench.log_in(credential)
    session.run("SET timezone = 'UTC'; SET datestyle = 'ISO'")
    shown = [text for (text,) in session.rows("SELECT c::text FROM items ORDER BY n")]
    assert shown[:2] == ["infinity", "-infinity"]
    assert shown[3] is None
    month = {Unit.YEAR: "01", Unit.QUARTER: "10", Unit.MONTH: "12"}[unit]
    assert shown[2].startswith(("5874897", "294276")[kind != "date"] + f"-{month}-01")
    assert shown[4].startswith("4712-" + {Unit.YEAR: "01", Unit.QUARTER: "04", Unit.MONTH: "05"}[unit] + "-01")
    assert shown[4].endswith("BC")


@pytest.mark.parametrize("kind", TEXTS)
def test_equal_values_have_equal_hashes_whatever_their_type(bench: PostgresBench, kind: str):
    table = bench.table([("c", kind), ("t", "text")], [["é☃", "é☃"], ["x", "y"]])
    _, credential = vended(bench.platform, profile(shape(table, masks={"c": Hash(), "t": Hash()})))
    first, second = bench.log_in(credential).rows("SELECT c, t FROM items")
    salt = bench.value("SELECT encode(salt, 'hex') FROM rolevend.salt")
    expected = bench.value(f"SELECT encode(sha256(decode('{salt}', 'hex') || convert_to('é☃', 'UTF8')), 'hex')")
    assert first == (expected, expected)
    assert second[0] != second[1]


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("mask", [Partial(2), Hash(), Constant("x")])
def test_masks_of_texts_are_texts_beside_clear_cells(bench: PostgresBench, kind: str, mask: Mask):
    table = bench.table([("n", "integer"), ("c", kind)], [[1, "abcd"], [2, "abcd"]])
    cells = (Cell((equal(table, "n", "1"),), Clear()), Cell((), mask))
    _, credential = vended(bench.platform, profile(shape(table, masks={"c": cells})))
    session = bench.log_in(credential)
    assert session.rows("SELECT pg_typeof(c)::text FROM items") == [("text",), ("text",)]
    assert session.rows("SELECT c FROM items WHERE n = 1") == [("abcd",)]


@pytest.mark.parametrize("kind", ["integer", "numeric(8,2)", "date", "timestamptz", "uuid", "boolean", "real", "bytea", "jsonb"])
def test_a_nullified_column_keeps_its_type(bench: PostgresBench, kind: str):
    table = bench.table([("c", kind)], [[None]])
    _, credential = vended(bench.platform, profile(shape(table, masks={"c": Nullify()})))
    (shown,) = bench.log_in(credential).rows("SELECT pg_typeof(c)::oid FROM items")[0]
    assert shown == bench.value(f"SELECT '{kind}'::regtype::oid")


def test_without_its_salt_a_hash_is_null(bench: PostgresBench):
    table = bench.table([("c", "text")], [["x"]])
    _, credential = vended(bench.platform, profile(shape(table, masks={"c": Hash()})))
    session = bench.log_in(credential)
    bench.run("CREATE TABLE kept_salt AS SELECT * FROM rolevend.salt; DELETE FROM rolevend.salt")
    try:
        assert session.rows("SELECT c FROM items") == [(None,)]
    finally:
        bench.run("INSERT INTO rolevend.salt SELECT * FROM kept_salt; DROP TABLE kept_salt")

"""Every mask, as a platform computes it, against what its docstring says: NULL, empty, short, non-ASCII, extreme."""

import hashlib
from decimal import Decimal
from itertools import product

import pytest

from rolevend.catalog import Family
from rolevend.errors import InvalidInput
from rolevend.plan import Cell
from rolevend.platforms.postgres.install.installer import salt_of, set_hash_key
from rolevend.platforms.protocol import Secret
from rolevend.policy.mask import Clear, Constant, DateTrunc, Hash, Mask, Nullify, Partial, Regex, Round, Unit, carries, strictest
from rolevend.policy.pattern import admit
from tests.conformance.bench import PostgresBench, equal, profile, shape, vended
from tests.conformance.protocol import Bench
from tests.support.mask_cases import CASES
from tests.support.oracle_values import SAMPLES

pytestmark = pytest.mark.both_installs

TEXTS = ("text", "character varying(20)", "character(12)")


def test_a_mask_shows_what_its_docstring_says(bench: Bench):
    """All of them in one row, through one profile: a platform that had an error for one of them would show none."""
    cases = [case for case in CASES if bench.native(case[1]) is not None and case[0] not in bench.beyond]
    for _, _, mask, _, _ in cases:
        if isinstance(mask, Regex):
            admit(mask.pattern, "")
    names = [f"c{place}" for place in range(len(cases))]
    columns = [(name, kind) for name, (_, kind, _, _, _) in zip(names, cases, strict=True)]
    table = bench.table(columns, [[value for _, _, _, value, _ in cases]])
    masks = {name: mask for name, (_, _, mask, _, _) in zip(names, cases, strict=True)}
    _, credential = vended(bench.platform, profile(shape(table, masks=masks)))
    session = bench.log_in(credential)
    bench.unsettle(session)
    asked = [f"{name}::text" if kind == "int4range" else name for name, kind in columns]

    (seen,) = session.rows(f"SELECT {', '.join(asked)} FROM items")

    wanted = [bench.otherwise.get(name, expected) for name, _, _, _, expected in cases]
    differing = {case[:4]: (shown, must) for case, shown, must in zip(cases, seen, wanted, strict=True) if shown != must}
    assert differing == {}
    assert len(cases) >= 70
    told = {
        case[0]: carries(case[2], column.family, column.limits)
        for case, column in zip(cases, table.columns, strict=True)
        if isinstance(case[2], Constant)
    }
    assert told == {case[0]: must is not None for case, must in zip(cases, wanted, strict=True) if case[0] in told}, (
        "policies know it before"
    )


def test_equal_values_have_equal_hashes_and_others_do_not(bench: Bench):
    table = bench.table([("id", "integer"), ("c", "text"), ("d", "character varying(20)")], [(0, "é☃", "é☃"), (1, "x", "y")])
    _, credential = vended(bench.platform, profile(shape(table, masks={"c": Hash(), "d": Hash()})))

    (_, first, same), (_, one, other) = bench.log_in(credential).rows("SELECT id, c, d FROM items ORDER BY id")

    assert first == same == hashlib.sha256(bench.salt() + "é☃".encode()).hexdigest()
    assert len({first, one, other}) == 3


BOUND = {
    "text": (Family.TEXT, (*map(Partial, (1, 2, 4, 64)), Regex("[A-Z]", "x"), Regex("^.", ""), Hash(), Constant("x"))),
    "character varying(20)": (Family.TEXT, (*map(Partial, (2, 4)), Regex("[A-Z]", "x"))),
    "integer": (Family.INTEGER, tuple(map(Round, ("4", "6", "7", "100")))),
    "numeric": (Family.NUMERIC, tuple(map(Round, ("0.1", "0.25", "0.3", "7", "10")))),
    "double precision": (Family.FLOAT, tuple(map(Round, ("0.1", "0.25", "0.3", "7", "10")))),
    "real": (Family.FLOAT, tuple(map(Round, ("0.1", "0.25", "0.3", "7", "10")))),
    "date": (Family.DATE, tuple(map(DateTrunc, Unit))),
    "timestamp": (Family.TIMESTAMP, tuple(map(DateTrunc, Unit))),
    "timestamptz": (Family.TIMESTAMP_TZ, tuple(map(DateTrunc, Unit))),
}


@pytest.mark.parametrize("kind", BOUND)
def test_values_that_one_of_two_masks_shows_alike_look_alike_where_both_bind(bench: PostgresBench, kind: str):
    """Over all values of this file, and those on which the oracle tries masks: what is shown of two floors, or of both sides of an
    intersection, is no way around either."""
    family, masks = BOUND[kind]
    every = tuple(dict.fromkeys([*masks, *(strictest(pair) for pair in product(masks, repeat=2))]))
    values = [*SAMPLES[family], *(value for _, of, _, value, _ in CASES if of == kind), *EXTREMES.get(kind, []), *_STEPS.get(family, [])]
    names = [f"c{place}" for place in range(len(every))]
    table = bench.table([(name, kind) for name in names], [[value] * len(names) for value in values])
    _, credential = vended(bench.platform, profile(shape(table, masks=dict(zip(names, every, strict=True)))))
    shown = zip(*bench.log_in(credential).rows(f"SELECT {', '.join(f'{name}::text' for name in names)} FROM items"), strict=True)
    looks = dict(zip(every, shown, strict=True))
    for one, other in product(masks, repeat=2):
        both = strictest([one, other])
        for mask in {one, other} - {Hash()} if both != Hash() else ():
            told: dict[object, object] = {}
            assert all(told.setdefault(seen, now) == now for seen, now in zip(looks[mask], looks[both], strict=True)), (one, other)


EXTREMES = {
    "date": ["infinity", "-infinity", "5874897-12-31", "4713-11-24 BC", "4712-05-05 BC", "0044-03-15 BC", "0001-01-01"],
    "timestamp": ["infinity", "-infinity", "294276-12-31 23:59:59.999999", "4713-11-24 00:00:00 BC", "4712-05-05 BC", "0044-03-15 BC"],
    "timestamptz": ["infinity", "-infinity", "294276-12-31 23:59:59.999999+00", "4713-11-24 00:00:00+00 BC", "4712-05-05 00:00+00 BC"],
}


_STEPS = {Family.FLOAT: [step * 10.0**power for step in (1.0, 2.1, 2.9999999999999996, 3, 7) for power in (-7, -1, 8, 15, 16, 30)]}
"""Numbers at which binary fractions and many steps are near each other."""


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


PEOPLE = "1e2e7c0f9d7d5b6c0a3f4e8b1d2c3a4f5061728394a5b6c7d8e9fa0b1c2d3e4f"
EXPECTED_HASH = "a08c559fe7746fb13c4947ec4ee6a3cba7db80cbd353f0b80e7b297b108f3251"


def test_platforms_of_one_key_domain_hash_equal_values_equally(bench: PostgresBench):
    """The expected hash is a constant, so it is the same on every version and under either way to install."""
    table = bench.table([("c", "text")], [["é☃"]])
    _, credential = vended(bench.platform, profile(shape(table, masks={"c": Hash()})))
    session = bench.log_in(credential)
    own = session.rows("SELECT c FROM items")
    with bench.administrator() as administrator:
        set_hash_key(administrator, "people", Secret(PEOPLE))
        assert session.rows("SELECT c FROM items") == [(EXPECTED_HASH,)] != own
        assert bench.platform.facts().hash_key_domain == "people"
        assert set_hash_key(administrator, "others", Secret(PEOPLE)) == "people"
        assert session.rows("SELECT c FROM items") not in ([(EXPECTED_HASH,)], own)


@pytest.mark.parametrize(("domain", "key"), [("People", PEOPLE), ("", PEOPLE), ("people", "short"), ("a" * 64, PEOPLE)])
def test_a_key_that_could_be_guessed_or_has_no_name_is_refused(domain: str, key: str):
    with pytest.raises(InvalidInput):
        salt_of(domain, Secret(key))


@pytest.mark.parametrize("kind", ["smallint", "integer", "bigint", "numeric", "real", "double precision"])
def test_a_rounded_column_keeps_its_type(bench: PostgresBench, kind: str):
    table = bench.table([("c", kind)], [[7]])
    _, credential = vended(bench.platform, profile(shape(table, masks={"c": Round("2")})))
    assert bench.log_in(credential).rows("SELECT c, pg_typeof(c)::text FROM items") == [(6, kind)]


def test_a_rounded_number_tells_nothing_of_its_digits(bench: PostgresBench):
    table = bench.table([("c", "numeric")], [[Decimal("10.1234")], [Decimal("19")]])
    _, credential = vended(bench.platform, profile(shape(table, masks={"c": Round("0.5")})))
    assert bench.log_in(credential).rows("SELECT c::text FROM items") == [("10.0",), ("19.0",)]


def test_a_number_of_every_digit_that_numeric_has_is_rounded_without_an_error(bench: PostgresBench):
    table = bench.table([("c", "numeric")], [[Decimal("9" * 131072 + "." + "9" * 16383)]])
    _, credential = vended(bench.platform, profile(shape(table, masks={"c": Round("0.01")})))
    assert bench.log_in(credential).rows("SELECT length(c::text) FROM items") == [(131072 + 3,)]


@pytest.mark.parametrize("pattern", ["^(.*)(.*)(.*)b$", "(a|aa)(a|aa)(a|aa)b", "a+a+a+b", "(.+@)(.+@)(.+@)$"])
def test_no_admitted_pattern_takes_long(bench: PostgresBench, pattern: str):
    admit(pattern, "")
    table = bench.table([("c", "text")], [["a" * 100_000], ["a@" * 20_000]])
    _, credential = vended(bench.platform, profile(shape(table, masks={"c": Regex(pattern, "x")})))
    session = bench.log_in(credential)
    session.run("SET statement_timeout = '30s'")
    assert len(session.rows("SELECT left(c, 5) FROM items")) == 2


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("mask", [Partial(2), Regex("a", "b"), Hash(), Constant("x")])
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

"""Each kind of mask on each of Snowflake's types, through the whole driver: what a type cannot carry is NULL, and no error.

It is a model of an account: what passes here was not tried on Snowflake.
"""

import hashlib
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from rolevend.catalog import Family
from rolevend.platforms.snowflake.types import family
from rolevend.policy.mask import Constant, DateTrunc, Hash, Mask, Nullify, Partial, Regex, Round, Unit, beyond
from tests.conformance.bench import profile, shape, vended
from tests.conformance.snowflake_bench import SnowflakeBench, installed
from tests.support.oracle_values import carried, visible
from tests.support.snowflake import StandIn

MOMENT = datetime.fromisoformat("2024-05-17T10:30")
VALUES: dict[str, object] = {
    "NUMBER(38,0)": 7,
    "NUMBER(10,2)": Decimal("12.34"),
    "FLOAT": 2.75,
    "VARCHAR(20)": "Abcdefgh",
    "BINARY(8)": b"\x01\x02",
    "BOOLEAN": True,
    "DATE": date(2024, 5, 17),
    "TIMESTAMP_NTZ(9)": MOMENT,
    "TIMESTAMP_LTZ(9)": MOMENT.replace(tzinfo=UTC),
    "TIMESTAMP_TZ(9)": MOMENT.replace(tzinfo=UTC),
    "VARIANT": '{"a":1}',
    "OBJECT": '{"a":1}',
    "ARRAY": "[1]",
}
OPAQUE = ("BINARY(8)", "VARIANT", "OBJECT", "ARRAY")
MASKS: tuple[Mask, ...] = (Partial(2), Round("0.5"), DateTrunc(Unit.YEAR), Regex("[a-z]", "x"), Hash(), Constant("0"), Nullify())


@pytest.fixture(scope="module")
def bench() -> Iterator[SnowflakeBench]:
    with StandIn() as snowflake, installed(snowflake) as made:
        yield made


@pytest.mark.parametrize("mask", MASKS, ids=lambda mask: type(mask).__name__)
def test_a_mask_on_every_type_shows_what_it_shows_everywhere_or_null(bench: SnowflakeBench, mask: Mask):
    names = [f"c{place}" for place in range(len(VALUES))]
    table = bench.table([*zip(names, VALUES, strict=True)], [[*VALUES.values()]])
    assert {column.family for column in table.columns} == set(Family) - {Family.UUID}
    _, credential = vended(bench.platform, profile(shape(table, masks=dict.fromkeys(names, mask))))
    session = bench.log_in(credential)
    salt = bench.salt()

    (seen,) = session.rows(f"SELECT {', '.join(names)} FROM items")

    def wanted(kind: str, value: object) -> object:
        of = family(kind)
        return visible(carried(mask, of), value, of, lambda text: hashlib.sha256(salt + text.encode()).hexdigest())

    shown = dict(zip(VALUES, seen, strict=True))
    assert shown == {kind: wanted(kind, value) for kind, value in VALUES.items()}
    assert [shown[kind] for kind in OPAQUE] == [None] * 4


def test_what_a_type_cannot_carry_though_its_family_could_is_null_and_known_before(bench: SnowflakeBench):
    table = bench.table([("c", "FLOAT")], [[2.75]])
    step = Round("0." + "0" * 40 + "1")
    _, credential = vended(bench.platform, profile(shape(table, masks={"c": step})))

    assert bench.log_in(credential).rows("SELECT c FROM items") == [(None,)]
    (column,) = table.columns
    assert beyond(step, column.family, column.limits) == f"a step of {step.step} has more than 15 decimal places"

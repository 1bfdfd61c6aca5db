"""What each mask is on Snowflake, word for word and evaluated: what every other platform shows, and NULL rather than an error."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from rolevend.catalog import Column, Family, Table, TableId
from rolevend.plan import Cell, ColumnShape, Condition, TableShape
from rolevend.platforms.postgres.install.installer import salt_of
from rolevend.platforms.protocol import Secret
from rolevend.platforms.snowflake.build.policies import fragment, masking_policies, secure_view
from rolevend.platforms.snowflake.types import family
from rolevend.policy.mask import Clear, Constant, DateTrunc, Hash, Mask, Partial, Regex, Round, Unit, strictest
from rolevend.policy.pattern import admit
from tests.support.mask_cases import CASES, Case
from tests.support.oracle_values import SAMPLES, visible
from tests.support.snowflake_bodies import NATIVE, PROFILE, Account, body, vended
from tests.support.snowflake_kinds import BEYOND, KINDS, OTHERWISE

HERE = [each for each in CASES if each[1] in KINDS and each[0] not in BEYOND]


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    made = Account()
    made.lease()
    yield made
    made.close()


def shown(account: Account, native: str, mask: Mask, *values: object) -> list[object]:
    """Of a column with these values, in their order."""
    table = Table(TableId("S", "T"), (Column("N", Family.INTEGER, "NUMBER(38,0)"), Column("C", family(native), native)))
    account.table(table, [{"N": place, "C": value} for place, value in enumerate(values)])
    columns = tuple(
        ColumnShape(each.name, each.family, each.native_type, (Cell((), mask if each.name == "C" else Clear()),)) for each in table.columns
    )
    shape = TableShape(table.id, "T", (Condition((), None),), columns)
    rows = account.view(secure_view(PROFILE, shape, database="PROD").create, vended().through_view())
    in_view = [value for _, value in sorted(rows, key=lambda row: row[0])]
    part = {PROFILE: fragment(PROFILE, shape, table.columns)}
    policies = masking_policies(table.id, table.columns, part)
    if policies and not part[PROFILE].stricter:
        select = f'SELECT {body(policies[0])} FROM "PROD"."S"."T" ORDER BY "N"'
        assert [value for (value,) in account.database.rows(select, vended())] == in_view
    return in_view


@pytest.mark.parametrize("case", HERE, ids=lambda case: f"{case[1]}-{case[0]}")
def test_a_mask_shows_what_it_shows_everywhere(account: Account, case: Case):
    name, kind, mask, value, expected = case
    if isinstance(mask, Regex):
        admit(mask.pattern, "")
    assert shown(account, KINDS[kind], mask, value) == [OTHERWISE.get(name, expected)]


@pytest.mark.parametrize(
    "each", [Family.TEXT, Family.INTEGER, Family.NUMERIC, Family.FLOAT, Family.DATE, Family.TIMESTAMP, Family.TIMESTAMP_TZ]
)
def test_every_sample_is_shown_as_the_oracle_says(account: Account, each: Family):
    masks = {
        Family.TEXT: [*map(Partial, (1, 2, 4, 64)), Regex("[A-Z]", "x"), Regex("^.", ""), Regex("(a|é)+", r"<\1>")],
        Family.INTEGER: [*map(Round, ("1", "4", "7", "100"))],
        Family.NUMERIC: [*map(Round, ("0.1", "0.25", "0.3", "7", "10"))],
        Family.FLOAT: [*map(Round, ("0.1", "0.25", "0.3", "7", "10"))],
    }.get(each, [*map(DateTrunc, Unit)])
    values = [*SAMPLES[each], None]
    for mask in masks:
        assert shown(account, NATIVE[each], mask, *values) == [visible(mask, value, each, str) for value in values], mask


@pytest.mark.parametrize("step", ["0.1", "0.25", "0.3", "7", "10", "0.000001", "100000000000000"])
def test_a_float_is_rounded_as_the_decimal_number_that_it_stands_for(account: Account, step: str):
    """Beyond the samples, over many magnitudes, up to the bound. What is less than a step is 0, without the sign that it had."""
    values = [
        sign * digits * 10.0**power for sign in (1, -1) for power in range(-20, 21) for digits in (1.0, 2.1, 2.9999999999999996, 3, 7, 9.99)
    ]
    seen = shown(account, "FLOAT", Round(step), *values)
    wanted = [visible(Round(step), value, Family.FLOAT, str) for value in values]
    assert seen == wanted
    assert "-0.0" not in map(str, seen)
    assert shown(account, "FLOAT", Round(step), 1e22, -1e300, float("inf"), float("-inf"), float("nan")) == [None] * 5


@pytest.mark.parametrize("native", ["VARCHAR(16777216)", "NUMBER(20,4)", "FLOAT"])
def test_values_that_one_of_two_masks_shows_alike_look_alike_where_both_bind(account: Account, native: str):
    masks: dict[str, list[Mask]] = {"VARCHAR(16777216)": [*map(Partial, (1, 2, 4)), Regex("[A-Z]", "x"), Constant("x")]}
    given = masks.get(native, [*map(Round, ("0.1", "0.25", "0.3", "7"))])
    values = SAMPLES[family(native)]
    looks = {
        mask: shown(account, native, mask, *values)
        for mask in {*given, *(strictest(pair) for pair in ((a, b) for a in given for b in given))}
    }
    for one in given:
        for other in given:
            told: dict[object, object] = {}
            both = looks[strictest([one, other])]
            assert all(told.setdefault(seen, now) == now for seen, now in zip(looks[one], both, strict=True)), (one, other)


def test_a_hash_is_that_of_every_platform_of_its_key_domain(account: Account):
    """PostgreSQL's: SHA-256 over the domain's salt and the text's bytes; the constant is the one of its suite."""
    salt = salt_of("people", Secret("1e2e7c0f9d7d5b6c0a3f4e8b1d2c3a4f5061728394a5b6c7d8e9fa0b1c2d3e4f"))
    account.database.run('UPDATE "ROLEVEND"."CONTROL"."SALT" SET SALT = ?', [salt])
    (seen,) = shown(account, "VARCHAR(16777216)", Hash(), "é☃")
    assert seen == hashlib.sha256(salt + "é☃".encode()).hexdigest()
    assert seen == "a08c559fe7746fb13c4947ec4ee6a3cba7db80cbd353f0b80e7b297b108f3251"
    account.database.run('DELETE FROM "ROLEVEND"."CONTROL"."SALT"')
    assert shown(account, "VARCHAR(16777216)", Hash(), "é☃") == [None]


def test_a_time_is_cut_in_utc_whatever_the_session_has(account: Account):
    at = datetime(2024, 1, 1, 1, tzinfo=UTC)
    for native in ("TIMESTAMP_TZ(9)", "TIMESTAMP_LTZ(9)"):
        assert shown(account, native, DateTrunc(Unit.MONTH), at, at.replace(hour=23, day=31)) == [datetime(2024, 1, 1, tzinfo=UTC)] * 2


def test_a_step_that_every_value_is_a_multiple_of_shows_the_value(account: Account):
    assert shown(account, "NUMBER(38,2)", Round("0.001"), Decimal("12.34")) == [Decimal("12.34")]
    assert shown(account, "NUMBER(10,1)", Round("0.25"), Decimal("-0.4"), Decimal("0.8")) == [Decimal("-0.25"), Decimal("0.75")]
    assert shown(account, "NUMBER(10,2)", Round("0.02"), Decimal("0.03"), Decimal("-0.05")) == [Decimal("0.02"), Decimal("-0.04")]

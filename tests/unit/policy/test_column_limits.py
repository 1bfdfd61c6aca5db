"""What a column's own type has no room for: the policy knows it before a platform is asked, and its condition says so."""

from decimal import Decimal
from itertools import product
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rolevend.catalog import Catalog, Column, Family, TypeLimits, digest
from rolevend.errors import InvalidInput
from rolevend.kinds.catalog_file import catalog_text, parse_catalog
from rolevend.platforms.postgres import types as postgres
from rolevend.platforms.snowflake import types as snowflake
from rolevend.platforms.snowflake.build.masks import MaskPosition, mask_text
from rolevend.platforms.snowflake.sql import Sql
from rolevend.platforms.snowflake.types import MOST_DIGITS, family
from rolevend.platforms.snowflake.values import value_text
from rolevend.policy.index import compile_policies
from rolevend.policy.literal import canonical
from rolevend.policy.mask import Clear, Constant, Mask, Nullify, Partial, Round, beyond, carries, strictest
from rolevend.policytools.check import check
from rolevend.policytools.folder import read_catalogs
from tests.support.as_code import WAREHOUSE, analysts, platform, write
from tests.support.manifests import every_row, valid
from tests.support.policies import guardrail, masked, policy, table

SMALL = Column("level", Family.INTEGER, "smallint", limits=postgres.limits_of("smallint"))
CENTS = Column("amount", Family.NUMERIC, "NUMBER(38,2)", limits=snowflake.limits_of("NUMBER(38,2)"))
RATE = Column("rate", Family.FLOAT, "FLOAT", limits=snowflake.limits_of("FLOAT"))
HELD = Catalog.of([table("claims.people", SMALL, CENTS, Column("name", Family.TEXT, "text"))])

ODD = ("VARCHAR(5)", "VECTOR(FLOAT, 3)")
NUMBERS = [
    f"NUMBER({digits},{scale})" for digits, scale in [(1, 0), (5, 0), (18, 0), (19, 0), (38, 0), (1, 1), (5, 2), (20, 4), (38, 2), (38, 37)]
]
STEPS = ["0.000001", "0.000003", "0.00025", "0.005", "0.01", "0.1", "0.125", "0.3", "1", "7", "100", "999999999999999"]


@pytest.mark.parametrize(
    ("native", "limits"),
    [
        ("smallint", TypeLimits(Decimal(-32768), Decimal(32767))),
        ("integer", TypeLimits(Decimal(-2147483648), Decimal(2147483647))),
        ("bigint", None),
        ("numeric", None),
        ("text", None),
        ("character varying", None),
        ("double precision", None),
    ],
)
def test_a_type_of_postgresql_has_these_limits(native: str, limits: TypeLimits | None):
    assert postgres.limits_of(native) == limits


@pytest.mark.parametrize(
    ("native", "limits"),
    [
        ("NUMBER(5,2)", TypeLimits(Decimal("-999.99"), Decimal("999.99"), 2, 35)),
        ("NUMBER(38,37)", TypeLimits(Decimal(f"-9.{'9' * 37}"), Decimal(f"9.{'9' * 37}"), 37, 37)),
        ("NUMBER(5,0)", TypeLimits(Decimal(-99999), Decimal(99999), 0, 33)),
        ("NUMBER(19,0)", None),
        ("NUMBER(38,0)", None),
        ("FLOAT", TypeLimits(step_places=15)),
        ("VARCHAR(5)", TypeLimits(length=5)),
        ("VARCHAR(16777215)", TypeLimits(length=16777215)),
        ("VARCHAR(16777216)", None),
        ("VARCHAR", None),
        ("DATE", None),
        ("VECTOR(FLOAT, 3)", TypeLimits(maskable=False)),
    ],
)
def test_a_type_of_snowflake_has_these_limits(native: str, limits: TypeLimits | None):
    assert snowflake.limits_of(native) == limits


@pytest.mark.parametrize(
    ("mask", "column", "why"),
    [
        (Constant("32767"), SMALL, None),
        (Constant("-32768"), SMALL, None),
        (Constant("32768"), SMALL, "32768 is more than 32767"),
        (Constant("-32769"), SMALL, "-32769 is less than -32768"),
        (Constant("none"), SMALL, None),  # no number at all: the family says so
        (Round("100000"), SMALL, None),
        (Constant("1.250"), CENTS, None),
        (Constant("1.255"), CENTS, "1.255 has more than 2 decimal places"),
        (Constant("1" * 60), CENTS, f"{'1' * 60} is more than {'9' * 36}.99"),
        (Constant("1" * 61), CENTS, f"{'1' * 60}… is more than {'9' * 36}.99"),
        (Round("0.25"), CENTS, None),
        (Round("0.125"), CENTS, "a step of 0.125 has more than 2 decimal places"),
        (Round("0.005"), CENTS, None),  # every value is a multiple of it
        (Round("0.000000000000001"), RATE, None),
        (Round("0.0000000000000001"), RATE, "a step of 0.0000000000000001 has more than 15 decimal places"),
        (Constant("-0.5"), RATE, None),
        (Constant("5"), Column("name", Family.TEXT, "VARCHAR(1)", limits=TypeLimits(least=Decimal(7), length=1)), None),
        (Partial(4), CENTS, None),
        (Clear(), CENTS, None),
        (Nullify(), SMALL, None),
    ],
    ids=str,
)
def test_what_is_beyond_a_column_is_said(mask: Mask, column: Column, why: str | None):
    assert beyond(mask, column.family, column.limits) == why
    assert carries(mask, column.family, column.limits) is (why is None and carries(mask, column.family, None))


@pytest.mark.parametrize("native", NUMBERS)
def test_of_steps_that_a_type_carries_it_carries_what_binds_together(native: str):
    """So nothing that comes of several policies is beyond a column where none of their masks is."""
    known = family(native), snowflake.limits_of(native)
    carried = [Round(step) for step in STEPS if carries(Round(step), *known)]
    for pair in product(carried, repeat=2):
        assert carries(strictest(pair), *known), pair
    assert carried


@given(st.sampled_from(NUMBERS), st.integers(-(10**8), 10**8), st.integers(0, 8))
def test_a_constant_is_carried_where_the_type_has_such_a_value(native: str, digits: int, places: int):
    text = canonical(f"{Decimal(digits).scaleb(-places):f}", family(native))
    if text is not None:
        assert carries(Constant(text), family(native), snowflake.limits_of(native)) is (
            value_text(text, family(native), native) is not None
        )


@pytest.mark.parametrize("native", NUMBERS)
def test_what_a_view_rounds_to_is_a_type_that_there_is(native: str):
    for step in STEPS:
        text = mask_text(Round(step), MaskPosition(Sql("C"), family(native), native))
        carried = carries(Round(step), family(native), snowflake.limits_of(native))
        assert (text == f"NULL::{native}") is not carried
        if carried and "::NUMBER" in text:
            assert int(text.rsplit("NUMBER(", 1)[1].split(",")[0]) <= MOST_DIGITS


def test_a_policy_says_which_masks_its_columns_have_no_room_for():
    given = policy(masks=(masked(Constant("40000"), "level", name="a"), masked(Round("0.125"), "amount", name="b")))
    index = compile_policies(HELD, [given])
    (compiled,), (report,) = index.policies, index.reports

    assert dict(compiled.grant(index.tables[0]).masks) == {"level": Nullify(), "amount": Nullify(), "name": Clear()}
    assert [each.message for each in report.mask_fallbacks] == [
        "column level of claims.people is smallint, which cannot show Constant, since 40000 is more than 32767: it is NULL instead",
        "column amount of claims.people is NUMBER(38,2), which cannot show Round, since a step of 0.125 has more than 2 decimal places:"
        " it is NULL instead",
    ]


def test_a_guardrail_says_which_floors_its_columns_have_no_room_for():
    (report,) = compile_policies(HELD, [], [guardrail(mask_floors=(masked(Constant("40000"), "level"),))]).guardrail_reports

    assert [each.mask for each in report.mask_fallbacks] == [Constant("40000")]


def test_of_columns_that_differ_in_their_limits_alone_the_one_without_room_is_told():
    """In either order, and when one takes the place of the other."""
    wide = Column("level", Family.INTEGER, "smallint")
    given = policy(masks=(masked(Constant("40000"), "level"),))
    small, other = table("claims.small", SMALL), table("claims.wide", wide)
    for tables in ([small, other], [other, small]):
        (report,) = compile_policies(Catalog.of(tables), [given]).reports
        assert [str(each.table) for each in report.mask_fallbacks] == ["claims.small"]
    before = compile_policies(Catalog.of([other]), [given])
    (after,) = compile_policies(Catalog.of([table("claims.wide", SMALL)]), [given], before=before).reports
    assert [str(each.table) for each in after.mask_fallbacks] == ["claims.wide"]


def test_a_catalog_file_keeps_limits_and_one_without_them_is_read_all_the_same():
    held = Catalog.of(
        [
            *HELD.tables.values(),
            table("claims.rates", RATE, *(Column(each, snowflake.family(each), each, limits=snowflake.limits_of(each)) for each in ODD)),
        ]
    )
    for form in ("yaml", "json"):
        assert parse_catalog(yaml.safe_load(catalog_text(WAREHOUSE, held, form))) == (WAREHOUSE, held)
    text = catalog_text(WAREHOUSE, HELD, "yaml")
    assert "limits: {least: '-32768', greatest: '32767'}" in text

    old = yaml.safe_load(text)
    for each in old["tables"][0]["columns"]:
        each.pop("limits", None)
    _, read = parse_catalog(old)
    assert {column.limits for column in read.tables[table("claims.people").id].columns} == {None}
    assert digest(read) == digest(HELD)  # they follow from types


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"least": "one"}, r"columns\[0\]\.limits\.least: must be a plain number in quotes"),
        ({"greatest": 32767}, r"columns\[0\]\.limits\.greatest: "),
        ({"greatest": "1e9"}, r"columns\[0\]\.limits\.greatest: must be a plain number in quotes"),
        ({"places": -1}, r"columns\[0\]\.limits\.places: "),
        ({"maskable": True}, r"columns\[0\]\.limits\.maskable: "),
        ({"longest": 5}, r"columns\[0\]\.limits\.longest: "),
    ],
)
def test_limits_that_cannot_be_are_refused_with_their_field(tmp_path: Path, limits: dict[str, object], message: str):
    told = yaml.safe_load(catalog_text(WAREHOUSE, HELD, "yaml"))
    told["tables"][0]["columns"][0]["limits"] = limits
    with pytest.raises(InvalidInput, match=message):
        read_catalogs([write(tmp_path, "catalog.yaml", yaml.safe_dump(told))])


def test_policy_check_warns_of_masks_and_floors_that_become_null(tmp_path: Path):
    mask = {"name": "levels", "columns": {"matchNames": ["level"]}, "type": "Constant", "constant": {"value": "40000"}}
    floor = valid("Guardrail", "limits") | {
        "spec": {
            "platformRefs": [{"name": WAREHOUSE}],
            "tables": {"matchNames": [{"schema": "*", "name": "*"}]},
            "maskFloors": [mask],
        }
    }
    write(tmp_path, "a.yaml", platform(), every_row(analysts(("spec.masks", [mask]))), floor)

    found = check([tmp_path], {WAREHOUSE: HELD}).diagnostics

    why = "column level of claims.people is smallint, which cannot show Constant, since 40000 is more than 32767: it is NULL instead"
    assert {(each.level, each.field, each.message) for each in found} == {
        ("warning", "spec.masks", why),
        ("warning", "spec.maskFloors", why),
    }

"""Values, moments and columns as Snowflake reads them, word for word: a text that a session's settings could change is none."""

import time

import pytest

from rolevend.catalog import Family
from rolevend.platforms.snowflake.sql import Sql
from rolevend.platforms.snowflake.types import simple_type
from rolevend.platforms.snowflake.values import canonical_text, decimal_text, fits, in_units, moment_text, value_text
from rolevend.policy.literal import Clock, Moment, Span

NOW = "CONVERT_TIMEZONE('UTC', CURRENT_TIMESTAMP())"
NINES = "9" * 38


@pytest.mark.parametrize(
    ("text", "family", "native", "written"),
    [
        ("it's \\", Family.TEXT, "VARCHAR(10)", r"'it''s \\'"),
        ("-12", Family.INTEGER, "NUMBER(2,0)", "-12"),
        ("99", Family.INTEGER, "NUMBER(2,0)", "99"),
        ("100", Family.INTEGER, "NUMBER(2,0)", None),
        ("-100", Family.INTEGER, "NUMBER(2,0)", None),
        ("1.5", Family.INTEGER, "NUMBER(2,0)", None),
        ("012.500", Family.NUMERIC, "NUMBER(8,2)", "12.5"),
        ("0.05", Family.NUMERIC, "NUMBER(8,2)", "0.05"),
        ("-0.05", Family.NUMERIC, "NUMBER(8,2)", "-0.05"),
        ("0.005", Family.NUMERIC, "NUMBER(8,2)", None),
        (NINES, Family.INTEGER, "NUMBER(38,0)", NINES),
        (f"{NINES}9", Family.INTEGER, "NUMBER(38,0)", None),
        (f"{NINES}.5", Family.INTEGER, "NUMBER(38,0)", None),
        ("0.1", Family.FLOAT, "FLOAT", "'0.1'::FLOAT"),
        ("true", Family.BOOLEAN, "BOOLEAN", "TRUE"),
        ("2024-02-29", Family.DATE, "DATE", "DATE_FROM_PARTS(2024, 2, 29)"),
        ("2024-02-29T01:02:03.000004", Family.TIMESTAMP, "TIMESTAMP_NTZ(9)", "TIMESTAMP_NTZ_FROM_PARTS(2024, 2, 29, 1, 2, 3, 4000)"),
        (
            "2024-02-29T01:02:03.000004+03:00",
            Family.TIMESTAMP_TZ,
            "TIMESTAMP_TZ(9)",
            "TIMESTAMP_TZ_FROM_PARTS(2024, 2, 28, 22, 2, 3, 4000, 'UTC')",
        ),
        ("1f0e", Family.UUID, "VARCHAR(36)", None),
        ("x", Family.OTHER, "VARIANT", None),
    ],
)
def test_a_value_is_written_in_its_type_or_there_is_none(text: str, family: Family, native: str, written: str | None):
    assert value_text(text, family, native) == written


def test_a_time_with_a_zone_is_written_in_utc_wherever_this_machine_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TZ", "XXX-09")
    time.tzset()
    try:
        written = value_text("2024-02-29T01:02:03+00:00", Family.TIMESTAMP_TZ, "TIMESTAMP_TZ(9)")
    finally:
        monkeypatch.undo()
        time.tzset()
    assert written == "TIMESTAMP_TZ_FROM_PARTS(2024, 2, 29, 1, 2, 3, 0, 'UTC')"


@pytest.mark.parametrize(
    ("moment", "family", "written"),
    [
        (Moment(Clock.NOW), Family.TIMESTAMP_TZ, NOW),
        (Moment(Clock.NOW), Family.TIMESTAMP, f"{NOW}::TIMESTAMP_NTZ"),
        (Moment(Clock.TODAY), Family.DATE, f"DATE_TRUNC('DAY', {NOW})::DATE"),
        *(
            (Moment(Clock.NOW, -3, span), Family.TIMESTAMP_TZ, f"DATEADD({span.name}, -3, {NOW})")
            for span in (Span.SECOND, Span.MINUTE, Span.HOUR, Span.DAY, Span.WEEK, Span.MONTH, Span.YEAR)
        ),
        (Moment(Clock.TODAY, 1, Span.DAY), Family.DATE, f"DATEADD(DAY, 1, DATE_TRUNC('DAY', {NOW}))::DATE"),
    ],
)
def test_a_moment_is_counted_in_utc_by_the_clock_of_the_account(moment: Moment, family: Family, written: str):
    assert moment_text(moment, family) == written


@pytest.mark.parametrize(
    ("family", "written"),
    [
        (Family.TEXT, "c"),
        (Family.INTEGER, "TO_VARCHAR(c)"),
        (Family.BOOLEAN, "TO_VARCHAR(c)"),
        (Family.NUMERIC, "RTRIM(RTRIM(TO_VARCHAR(c), '0'), '.')"),
        (Family.DATE, "TO_VARCHAR(c, 'YYYY-MM-DD')"),
        (Family.TIMESTAMP, """TO_VARCHAR(c, 'YYYY-MM-DD"T"HH24:MI:SS.FF9')"""),
        (Family.TIMESTAMP_TZ, """TO_VARCHAR(CONVERT_TIMEZONE('UTC', c), 'YYYY-MM-DD"T"HH24:MI:SS.FF9')"""),
    ],
)
def test_a_column_is_compared_as_a_text_whose_format_is_given(family: Family, written: str):
    assert canonical_text(Sql("c"), family) == written


@pytest.mark.parametrize(
    ("text", "up", "units", "exact"),
    [
        ("1.25", False, 125, True),
        ("1.255", False, 125, False),
        ("1.255", True, 126, False),
        ("-1.255", False, -126, False),
        ("-1.255", True, -125, False),
        (f"{NINES}.99", False, int(f"{NINES}99"), True),
    ],
)
def test_a_number_is_counted_in_units_of_the_last_place_and_none_is_rounded_unsaid(text: str, up: bool, units: int, exact: bool):
    assert in_units(text, simple_type("NUMBER(38,2)"), up=up) == (units, exact)


def test_as_many_digits_as_the_type_has_fit_and_one_more_does_not():
    kind = simple_type("NUMBER(3,1)")
    assert [fits(units, kind) for units in (999, -999, 1000, -1000, 0)] == [True, True, False, False, True]


@pytest.mark.parametrize(
    ("units", "native", "written"),
    [
        (0, "NUMBER(3,2)", "0"),
        (5, "NUMBER(3,2)", "0.05"),
        (-150, "NUMBER(3,2)", "-1.5"),
        (100, "NUMBER(3,2)", "1"),
        (100, "NUMBER(3,0)", "100"),
    ],
)
def test_a_number_is_written_without_zeros_that_say_nothing(units: int, native: str, written: str):
    assert decimal_text(units, simple_type(native)) == written

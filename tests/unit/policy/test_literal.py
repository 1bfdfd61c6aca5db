"""Which texts are values of a family, and the one spelling of each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolevend.catalog import Family
from rolevend.policy.literal import EXPECTED, canonical, value_fits
from tests.support.oracle_values import value_of


@pytest.mark.parametrize(
    ("family", "text", "spelling"),
    [
        (Family.TEXT, " any 'text' ", " any 'text' "),
        (Family.TEXT, "", ""),
        (Family.INTEGER, "-0042", "-42"),
        (Family.INTEGER, "-0", "0"),
        (Family.INTEGER, "9223372036854775807", "9223372036854775807"),
        (Family.INTEGER, "-9223372036854775808", "-9223372036854775808"),
        (Family.NUMERIC, "0012.500", "12.5"),
        (Family.NUMERIC, "-0.00", "0"),
        (Family.NUMERIC, "1234567890123456789012345678901234567890.10", "1234567890123456789012345678901234567890.1"),
        (Family.FLOAT, "0.5", "0.5"),
        (Family.BOOLEAN, "TRUE", "true"),
        (Family.DATE, "2024-02-29", "2024-02-29"),
        (Family.TIMESTAMP, "2024-01-31", "2024-01-31T00:00:00"),
        (Family.TIMESTAMP, "2024-01-31 10:00", "2024-01-31T10:00:00"),
        (Family.TIMESTAMP, "2024-01-31T10:00:00.5", "2024-01-31T10:00:00.500000"),
        (Family.TIMESTAMP_TZ, "2024-01-31T10:00:00Z", "2024-01-31T10:00:00+00:00"),
        (Family.TIMESTAMP_TZ, "2024-01-31 00:30+02:00", "2024-01-30T22:30:00+00:00"),
        (Family.UUID, "6F1C0A9E-1F2D-4C3B-8A59-0D1E2F3A4B5C", "6f1c0a9e-1f2d-4c3b-8a59-0d1e2f3a4b5c"),
    ],
)
def test_a_value_has_one_spelling(family, text, spelling):
    assert canonical(text, family) == spelling
    assert canonical(spelling, family) == spelling


@pytest.mark.parametrize(
    ("family", "text"),
    [
        (Family.TEXT, "a\0b"),
        (Family.TEXT, "\ud800"),
        (Family.INTEGER, "9223372036854775808"),
        (Family.INTEGER, "-9223372036854775809"),
        (Family.INTEGER, "1.0"),
        (Family.INTEGER, "+1"),
        (Family.INTEGER, " 1"),
        (Family.INTEGER, "1\n"),
        (Family.INTEGER, "1_000"),
        (Family.INTEGER, "٤٢"),
        (Family.INTEGER, ""),
        (Family.NUMERIC, "NaN"),
        (Family.NUMERIC, "Infinity"),
        (Family.NUMERIC, "1e3"),
        (Family.NUMERIC, ".5"),
        (Family.NUMERIC, "1,5"),
        (Family.FLOAT, "1" + "0" * 400),
        (Family.FLOAT, "0." + "0" * 400 + "1"),
        (Family.FLOAT, "inf"),
        (Family.BOOLEAN, "1"),
        (Family.BOOLEAN, "yes"),
        (Family.DATE, "2024-02-30"),
        (Family.DATE, "31.01.2024"),
        (Family.DATE, "20240131"),
        (Family.DATE, "2024-W05-3"),
        (Family.DATE, "infinity"),
        (Family.DATE, "today"),
        (Family.DATE, "0000-01-01"),
        (Family.TIMESTAMP, "2024-01-31T10:00:00Z"),
        (Family.TIMESTAMP, "2024-01-31T25:00:00"),
        (Family.TIMESTAMP, "now"),
        (Family.TIMESTAMP_TZ, "2024-01-31T10:00:00"),
        (Family.TIMESTAMP_TZ, "2024-01-31"),
        (Family.TIMESTAMP_TZ, "0001-01-01T00:00:00+02:00"),
        (Family.TIMESTAMP_TZ, "2024-01-31T10:00:00 Europe/Vienna"),
        (Family.UUID, "6f1c0a9e1f2d4c3b8a590d1e2f3a4b5c"),
        (Family.UUID, "{6f1c0a9e-1f2d-4c3b-8a59-0d1e2f3a4b5c}"),
        (Family.OTHER, "x"),
    ],
)
def test_what_a_platform_could_misread_is_no_value(family, text):
    assert canonical(text, family) is None
    assert not value_fits(text, family)


@given(st.sampled_from([family for family in Family if family is not Family.OTHER]), st.text("0123456789-:.TZ +truefals", max_size=30))
def test_a_spelling_means_the_value_and_is_its_own_spelling(family, text):
    spelling = canonical(text, family)

    if spelling is not None:
        assert canonical(spelling, family) == spelling
        assert value_of(spelling, family) == value_of(text, family)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_float_can_be_written(number):
    text = format(number, "f")

    assert float(canonical(text, Family.FLOAT) or text) == float(text)


def test_an_empty_value_of_a_user_counts_as_missing():
    assert not value_fits("", Family.TEXT)
    assert value_fits("DE", Family.TEXT)


def test_every_family_says_what_it_takes():
    assert set(EXPECTED) == set(Family)

"""What each mask is on Snowflake, word for word: what it shows is evaluated beside, in `test_snowflake_masks`."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from rolevend.platforms.snowflake.build.masks import MaskPosition, mask_text
from rolevend.platforms.snowflake.sql import Sql
from rolevend.platforms.snowflake.types import family
from rolevend.policy.mask import Clear, Constant, DateTrunc, Hash, Mask, Nullify, Partial, Regex, Round, Unit, beyond, carries
from tests.support.golden import golden
from tests.support.snowflake_bodies import NATIVE

MASKS: tuple[Mask, ...] = (
    Clear(),
    Partial(-1),
    Partial(0),
    Partial(1),
    Partial(4),
    Round("100"),
    Round("0.25"),
    Round("0.00001"),
    *map(DateTrunc, Unit),
    Regex("^([a-z])'", r"\1*"),
    Hash(),
    Constant("it's"),
    Constant("7"),
    Constant("1970-01-01"),
    Constant("2024-01-01T00:00:00+02:00"),
    Nullify(),
)
TYPES = (
    *NATIVE.values(),
    "VARCHAR(5)",
    "NUMBER(5,0)",
    "NUMBER(38,2)",
    "TIMESTAMP_LTZ(3)",
    "BINARY(8388608)",
    "TIME(9)",
    "VECTOR(FLOAT, 3)",
)


def test_a_mask_of_a_type_is_written_with_these_words():
    """In a view, and in a masking policy where that is another text."""

    def lines() -> Iterator[str]:
        for mask in MASKS:
            for native in TYPES:
                place = MaskPosition(Sql('t."C"'), family(native), native)
                in_policy = replace(place, typed=True)
                yield f"-- {mask}, {native}"
                yield mask_text(mask, place)
                if mask_text(mask, in_policy) != mask_text(mask, place):
                    yield f"-- in a policy\n{mask_text(mask, in_policy)}"
                for why in dict.fromkeys(why_null(mask, each) for each in (place, in_policy)):
                    if why is not None and mask_text(mask, place) != mask_text(Clear(), place):
                        yield f"-- NULL: {why}"

    golden("snowflake_masks.sql", "\n".join(lines()) + "\n")


def why_null(mask: Mask, place: MaskPosition) -> str | None:
    if carries(mask, place.family, place.limits):
        return None
    return beyond(mask, place.family, place.limits) or "its type cannot show that"


@pytest.mark.parametrize(
    ("native", "mask", "typed"),
    [
        ("NUMBER(38,8)", Round("0.0000000125"), False),  # more digits than there are
        ("NUMBER(12,2)", Round("0.125"), True),  # a policy cannot show other places than the column has
        ("NUMBER(5,0)", Constant("123456"), False),
        ("NUMBER(5,2)", Constant("1.255"), False),
        ("FLOAT", Round("0.0000000000000001"), False),
        ("VARIANT", Constant("x"), False),
        ("VARCHAR(16777216)", Round("1"), False),
    ],
)
def test_what_a_type_cannot_show_is_null_and_said(native: str, mask: Mask, typed: bool):
    place = MaskPosition(Sql("C"), family(native), native, typed)
    assert why_null(mask, place) is not None
    assert mask_text(mask, place) == mask_text(Nullify(), place)


@pytest.mark.parametrize(
    ("mask", "length", "cut"),
    [
        (Partial(4), 10, False),
        (Partial(4), 5, False),
        (Partial(4), 4, True),
        (Hash(), 63, True),
        (Hash(), 64, False),
        (Constant("none"), 3, True),
    ],
)
def test_a_policy_shows_no_more_characters_than_its_column_holds(mask: Mask, length: int, cut: bool):
    native = f"VARCHAR({length})"
    place = MaskPosition(Sql('"C"'), family(native), native, typed=True)
    assert mask_text(mask, place).startswith("LEFT(") is cut
    assert not mask_text(mask, replace(place, typed=False)).startswith("LEFT(")


def test_a_text_without_a_length_of_its_own_is_as_long_as_any_may_be():
    place = MaskPosition(Sql('"C"'), family("VARCHAR"), "VARCHAR", typed=True)
    assert not any(mask_text(mask, place).startswith("LEFT(") for mask in (Hash(), Regex("a", "b"), Partial(4)))

"""The masks and their order, from showing all to showing nothing. How a mask is computed is written by hand for each platform."""

import enum
from dataclasses import dataclass
from decimal import Decimal
from typing import assert_never

from rolevend.catalog import Family
from rolevend.policy.literal import canonical


class Unit(enum.Enum):
    YEAR = "Year"
    QUARTER = "Quarter"
    MONTH = "Month"


@dataclass(frozen=True, slots=True)
class Clear:
    """The value itself."""


@dataclass(frozen=True, slots=True)
class Partial:
    """`***` and the last `keep_last` characters of a text; only `***` where that would be more than half of it."""

    keep_last: int


@dataclass(frozen=True, slots=True)
class Round:
    """The multiple of `step` next to the value, on the way to zero. What has none, NaN and infinity, is NULL."""

    step: str
    """Canonical, and more than zero: `100`, `0.01`."""


@dataclass(frozen=True, slots=True)
class DateTrunc:
    """The first instant of the value's `unit`; UTC decides for a timestamp with time zone."""

    unit: Unit


@dataclass(frozen=True, slots=True)
class Regex:
    """A text in which every match of `pattern` is `replacement`; only `***` where that leaves it as it was."""

    pattern: str
    """Of the small language that `policy.pattern` admits."""
    replacement: str
    """In which `\\1` to `\\9` stand for what the groups matched."""


@dataclass(frozen=True, slots=True)
class Hash:
    """Lower-case hexadecimal SHA-256 of a text under a secret that the agent cannot read: equal values stay equal."""


@dataclass(frozen=True, slots=True)
class Constant:
    """The same `value` in every row, also where the column is NULL: whether there was a value is hidden, too."""

    value: str


@dataclass(frozen=True, slots=True)
class Nullify:
    """NULL."""


Mask = Clear | Partial | Round | DateTrunc | Regex | Hash | Constant | Nullify

_COARSER = (Unit.MONTH, Unit.QUARTER, Unit.YEAR)
_ORDER: tuple[type[Mask], ...] = (Clear, Partial, Round, DateTrunc, Regex, Hash, Constant, Nullify)


def rank(mask: Mask) -> int:
    """Its place in the order; a higher one shows less."""
    return _ORDER.index(type(mask))


def strictness(mask: Mask) -> tuple[int, int | Decimal]:
    """The whole order: of two masks of one rank, the one whose parameter leaves less is the stricter. Patterns and constants say nothing
    of each other: theirs are equal."""
    match mask:
        case Partial(keep_last):
            return rank(mask), -keep_last
        case Round(step):
            return rank(mask), Decimal(step)
        case DateTrunc(unit):
            return rank(mask), _COARSER.index(unit)
        case _:
            return rank(mask), 0


def stricter(one: Mask, other: Mask) -> Mask:
    """What shows no more than either of two sides. Of two patterns neither shows less than the other, so nothing is shown; two constants
    show nothing of the value, and `one` stands."""
    if strictness(one) != strictness(other):
        return max(one, other, key=strictness)
    return one if one == other or isinstance(one, Constant) else Nullify()


def rank_named(name: str) -> int | None:
    """The rank of the masks of this name; None where there are none."""
    return next((place for place, mask in enumerate(_ORDER) if mask.__name__ == name), None)


def carries(mask: Mask, family: Family) -> bool:
    """Whether a column of this family can show the result of `mask`; otherwise Nullify takes its place."""
    match mask:
        case Clear() | Nullify():
            return True
        case Partial() | Regex() | Hash():
            return family is Family.TEXT
        case Round(step):
            return family in (Family.NUMERIC, Family.FLOAT) or (family is Family.INTEGER and "." not in step)
        case DateTrunc():
            return family in (Family.DATE, Family.TIMESTAMP, Family.TIMESTAMP_TZ)
        case Constant(value):
            return canonical(value, family) is not None
        case _:
            assert_never(mask)

"""The masks, which of them shows less, and what shows no more than several do. How a mask is computed is written by hand for each platform.

Two questions, two answers. Of masks that are all granted, which one is shown? `strictness` puts any of them in one order, and it does not
matter where that is arbitrary. Of masks none of which may be exceeded, what may be shown? There `strictest` asks for more: whoever sees the
result could have made it of what *each* of them shows. A pattern and the last characters come after each other in the order, and still each
shows what the other hides; of such masks nothing is left.
"""

import enum
import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, assert_never

from rolevend.catalog import Family, TypeLimits
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
    """`***` and the last `keep_last` characters of a text, but no more than half of it: so a smaller number shows less of every text."""

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
_STEPS_END: Final = 10**15
"""What a policy cannot write as a step: no platform's numbers are asked to hold it."""
_LONGEST_SHOWN: Final = 60
"""Of a number, where it is told in a condition."""
_ORDER: tuple[type[Mask], ...] = (Clear, Partial, Round, DateTrunc, Regex, Hash, Constant, Nullify)


def rank(mask: Mask) -> int:
    """Its place in the order; a higher one shows less."""
    return _ORDER.index(type(mask))


def strictness(mask: Mask) -> tuple[int, int | Decimal]:
    """An order of all masks: by type, and within one by its parameter. Patterns, and constants, stand beside each other."""
    match mask:
        case Partial(keep_last):
            return rank(mask), -keep_last
        case Round(step):
            return rank(mask), Decimal(step)
        case DateTrunc(unit):
            return rank(mask), _COARSER.index(unit)
        case _:
            return rank(mask), 0


def strictest(masks: Iterable[Mask]) -> Mask:
    """What shows no more of a value than any of them: two values that one of them shows alike look alike. Of constants the first.

    Hash counts as showing less than characters do, though it shows which values are equal. Neither a hash nor a constant makes up for masks
    of which nothing is left: so one mask more never shows more."""
    given = tuple(masks)
    last = max(given, key=strictness, default=Clear())
    shown = _of_all(frozenset(mask for mask in given if isinstance(mask, Partial | Round | DateTrunc | Regex)))
    return shown if shown == Nullify() or rank(last) < rank(Hash()) else last


def clashing(masks: Iterable[Mask]) -> tuple[Mask, ...]:
    """Why nothing is left of `masks`, none of which is Nullify: those of which each shows a part of the value. () where that is not so."""
    given = tuple(dict.fromkeys(masks))
    parts = tuple(mask for mask in given if isinstance(mask, Partial | Round | DateTrunc | Regex))
    return parts if Nullify() not in given and _of_all(frozenset(parts)) == Nullify() else ()


def _of_all(masks: frozenset[Mask]) -> Mask:
    """`strictest`, of masks that each show a part of the value."""
    if len(masks) <= 1:
        return next(iter(masks), Clear())
    if all(isinstance(mask, Partial) for mask in masks) or all(isinstance(mask, DateTrunc) for mask in masks):
        return max(masks, key=strictness)
    steps = [mask.step for mask in masks if isinstance(mask, Round)]
    return _common_multiple(steps) if len(steps) == len(masks) else Nullify()


def _common_multiple(steps: Collection[str]) -> Mask:
    """The least one: of it no step tells more than its own multiples. Nullify where a policy could not say it."""
    digits = max(len(step.partition(".")[2]) for step in steps)
    multiple = math.lcm(*(_in_units(step, digits) for step in steps))
    if multiple >= _STEPS_END * 10**digits:
        return Nullify()
    whole, fraction = divmod(multiple, 10**digits)
    return Round(f"{whole}.{fraction:0{digits}}".rstrip("0").rstrip("."))


def _in_units(step: str, digits: int) -> int:
    """How many units of its `digits`th decimal place."""
    whole, _, fraction = step.partition(".")
    return int(whole + fraction.ljust(digits, "0"))


def rank_named(name: str) -> int | None:
    """The rank of the masks of this name; None where there are none."""
    return next((place for place, mask in enumerate(_ORDER) if mask.__name__ == name), None)


def carries(mask: Mask, family: Family, limits: TypeLimits | None) -> bool:
    """Whether a column of this family, with these limits, can show the result of `mask`; otherwise Nullify takes its place.

    Of what it carries, it carries what `strictest` makes of that, too."""
    return _is_of(mask, family) and beyond(mask, family, limits) is None


def beyond(mask: Mask, family: Family, limits: TypeLimits | None) -> str | None:
    """What of `mask` is beyond the limits of a column, as a clause; None where nothing is, or where the whole family cannot show it."""
    if limits is None or not _is_of(mask, family):
        return None
    match mask:
        case Round(step):
            is_shown = limits.step_places is None or places_of(step) <= limits.step_places or is_every_multiple(step, limits.places)
            return None if is_shown else f"a step of {step} has more than {limits.step_places} decimal places"
        case Constant(value) if family in (Family.INTEGER, Family.NUMERIC, Family.FLOAT):
            return _beyond(canonical(value, family) or value, limits)
    return None


def _beyond(number: str, limits: TypeLimits) -> str | None:
    """`number` is canonical."""
    said = number if len(number) <= _LONGEST_SHOWN else f"{number[:_LONGEST_SHOWN]}…"
    if limits.least is not None and Decimal(number) < limits.least:
        return f"{said} is less than {limits.least:f}"
    if limits.greatest is not None and Decimal(number) > limits.greatest:
        return f"{said} is more than {limits.greatest:f}"
    if limits.places is not None and places_of(number) > limits.places:
        return f"{said} has more than {limits.places} decimal places"
    return None


def places_of(number: str) -> int:
    """Decimal places of a canonical number."""
    return len(number.partition(".")[2])


def is_every_multiple(step: str, places: int | None) -> bool:
    """Whether all numbers of so many decimal places are multiples of `step`: then it shows them as they are."""
    if places is None:
        return False
    digits = max(places, places_of(step))
    return bool(10 ** (digits - places) % _in_units(step, digits) == 0)


def _is_of(mask: Mask, family: Family) -> bool:
    """Whether some column of this family can show the result of `mask`."""
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

"""Masks, their order, and the strictest mask of several. Each platform renders masks by itself.

`strictness` is a total order: it chooses one of several granted masks, and may be arbitrary between types. `strictest` returns a mask that
shows no more than *each* of several masks: its result can be computed from the result of each. A pattern and the last characters are
ordered, but each shows a part that the other hides, so `strictest` returns Nullify for them.
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
    """Show the value itself."""


@dataclass(frozen=True, slots=True)
class Partial:
    """Show `***` and the last `keep_last` characters of a text, but at most half of it: a smaller number shows less of every text."""

    keep_last: int


@dataclass(frozen=True, slots=True)
class Round:
    """Round toward zero to a multiple of `step`. NaN and infinity become NULL."""

    step: str
    """Canonical and positive: `100`, `0.01`."""


@dataclass(frozen=True, slots=True)
class DateTrunc:
    """Truncate to the value's `unit`, in UTC for a timestamp with time zone."""

    unit: Unit


@dataclass(frozen=True, slots=True)
class Regex:
    """Replace every match of `pattern` in a text; show only `***` if the text stays unchanged."""

    pattern: str
    """In the language that `policy.pattern` admits."""
    replacement: str
    """`\\1` to `\\9` stand for the groups."""


@dataclass(frozen=True, slots=True)
class Hash:
    """Lower-case hexadecimal SHA-256 of a text under a secret that the agent cannot read: equal values stay equal."""


@dataclass(frozen=True, slots=True)
class Constant:
    """Show the same `value` in every row, also where the column is NULL."""

    value: str


@dataclass(frozen=True, slots=True)
class Nullify:
    """Show NULL."""


Mask = Clear | Partial | Round | DateTrunc | Regex | Hash | Constant | Nullify

_COARSER = (Unit.MONTH, Unit.QUARTER, Unit.YEAR)
_STEPS_END: Final = 10**15
"""The smallest step that a policy cannot write: larger numbers do not fit every platform."""
_LONGEST_SHOWN: Final = 60
"""The number of digits that a condition's message quotes."""
_ORDER: tuple[type[Mask], ...] = (Clear, Partial, Round, DateTrunc, Regex, Hash, Constant, Nullify)


def rank(mask: Mask) -> int:
    """Return the mask's rank by type; a higher rank shows less."""
    return _ORDER.index(type(mask))


def strictness(mask: Mask) -> tuple[int, int | Decimal]:
    """Return a sort key for masks: by type, then by parameter. All patterns are equal, and all constants are."""
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
    """Return a mask that shows no more than any of `masks`: values that one of them does not distinguish are not distinguished. The first
    of several constants wins.

    A hash counts as less than characters, although it shows which values are equal. A hash or a constant does not replace Nullify for
    clashing masks, so an additional mask never shows more.
    """
    given = tuple(masks)
    last = max(given, key=strictness, default=Clear())
    shown = _of_all(frozenset(mask for mask in given if isinstance(mask, Partial | Round | DateTrunc | Regex)))
    return shown if shown == Nullify() or rank(last) < rank(Hash()) else last


def clashing(masks: Iterable[Mask]) -> tuple[Mask, ...]:
    """Return the masks that each show a part of the value, if their combination is Nullify although none of `masks` is; otherwise ()."""
    given = tuple(dict.fromkeys(masks))
    parts = tuple(mask for mask in given if isinstance(mask, Partial | Round | DateTrunc | Regex))
    return parts if Nullify() not in given and _of_all(frozenset(parts)) == Nullify() else ()


def _of_all(masks: frozenset[Mask]) -> Mask:
    """Return `strictest` for masks that each show a part of the value."""
    if len(masks) <= 1:
        return next(iter(masks), Clear())
    if all(isinstance(mask, Partial) for mask in masks) or all(isinstance(mask, DateTrunc) for mask in masks):
        return max(masks, key=strictness)
    steps = [mask.step for mask in masks if isinstance(mask, Round)]
    return _common_multiple(steps) if len(steps) == len(masks) else Nullify()


def _common_multiple(steps: Collection[str]) -> Mask:
    """Return Round with the least common multiple, or Nullify if a policy could not write it."""
    digits = max(len(step.partition(".")[2]) for step in steps)
    multiple = math.lcm(*(_in_units(step, digits) for step in steps))
    if multiple >= _STEPS_END * 10**digits:
        return Nullify()
    whole, fraction = divmod(multiple, 10**digits)
    return Round(f"{whole}.{fraction:0{digits}}".rstrip("0").rstrip("."))


def _in_units(step: str, digits: int) -> int:
    """Return the step as a multiple of its `digits`th decimal place."""
    whole, _, fraction = step.partition(".")
    return int(whole + fraction.ljust(digits, "0"))


def rank_named(name: str) -> int | None:
    """Return the rank of the masks of this name, or None."""
    return next((place for place, mask in enumerate(_ORDER) if mask.__name__ == name), None)


def carries(mask: Mask, family: Family, limits: TypeLimits | None) -> bool:
    """True if a column of this family, with these limits, can hold the result of `mask`; otherwise Nullify replaces the mask.

    If it holds several masks, it holds their `strictest` too.
    """
    return _is_of(mask, family) and beyond(mask, family, limits) is None


def beyond(mask: Mask, family: Family, limits: TypeLimits | None) -> str | None:
    """Return the part of `mask` that exceeds the limits of a column, as a clause; None if none does, or if the family cannot hold the mask
    at all.
    """
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
    shown = number if len(number) <= _LONGEST_SHOWN else f"{number[:_LONGEST_SHOWN]}…"
    if limits.least is not None and Decimal(number) < limits.least:
        return f"{shown} is less than {limits.least:f}"
    if limits.greatest is not None and Decimal(number) > limits.greatest:
        return f"{shown} is more than {limits.greatest:f}"
    if limits.places is not None and places_of(number) > limits.places:
        return f"{shown} has more than {limits.places} decimal places"
    return None


def places_of(number: str) -> int:
    """Return the number of decimal places of a canonical number."""
    return len(number.partition(".")[2])


def is_every_multiple(step: str, places: int | None) -> bool:
    """True if all numbers with `places` decimal places are multiples of `step`, so that rounding does not change them."""
    if places is None:
        return False
    digits = max(places, places_of(step))
    return bool(10 ** (digits - places) % _in_units(step, digits) == 0)


def _is_of(mask: Mask, family: Family) -> bool:
    """True if some column of this family can hold the result of `mask`."""
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

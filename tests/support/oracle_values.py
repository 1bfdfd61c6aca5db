"""The oracle's values: what a text means in a column, and what a mask leaves of a value. Shares no code with the product."""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_DOWN, Decimal, localcontext
from functools import cache
from typing import assert_never
from uuid import UUID

from rolevend.catalog import Family
from rolevend.policy.expression import Literal
from rolevend.policy.literal import Clock, Moment, Span
from rolevend.policy.mask import Clear, Constant, DateTrunc, Hash, Mask, Nullify, Partial, Regex, Round, Unit

_TIMES = (Family.DATE, Family.TIMESTAMP, Family.TIMESTAMP_TZ)


def value_of(text: str, family: Family) -> object:
    """The value that `text` means in a column of `family`; ValueError or ArithmeticError where it means none."""
    match family:
        case Family.TEXT:
            return text
        case Family.INTEGER:
            return int(text)
        case Family.NUMERIC:
            return Decimal(text)
        case Family.FLOAT:
            return float(text)
        case Family.BOOLEAN:
            return {"true": True, "false": False}[text.lower()]
        case Family.DATE:
            return date.fromisoformat(text)
        case Family.TIMESTAMP | Family.TIMESTAMP_TZ:
            return datetime.fromisoformat(text)
        case Family.UUID:
            return UUID(text)
        case Family.OTHER:
            raise ValueError("a column of this family is never compared")


def fits(text: str, family: Family) -> bool:
    try:
        return value_of(text, family) is not None
    except (ValueError, ArithmeticError, KeyError):
        return False


def compared(literal: Literal | Moment, family: Family) -> object:
    """What a row filter compares a column of `family` with."""
    if isinstance(literal, Literal):
        return value_of(literal.text, family)
    now = datetime.now(UTC)
    if literal.clock is Clock.TODAY:
        now = now.replace(hour=0, minute=0, second=0, microsecond=0)
    assert literal.span is Span.DAY, "of the spans the oracle counts days"
    then = now + timedelta(literal.amount)
    return {Family.DATE: then.date(), Family.TIMESTAMP: then.replace(tzinfo=None)}.get(family, then)


def carried(mask: Mask, family: Family) -> Mask:
    """`mask`, or Nullify where a column of `family` cannot show it."""
    match mask:
        case Partial() | Regex() | Hash():
            possible = family is Family.TEXT
        case Round(step):
            possible = family in (Family.NUMERIC, Family.FLOAT) or (family is Family.INTEGER and Decimal(step) % 1 == 0)
        case DateTrunc():
            possible = family in _TIMES
        case Constant(text):
            possible = fits(text, family)
        case _:
            possible = True
    return mask if possible else Nullify()


def severity(mask: Mask) -> tuple[int, Decimal]:
    """How little it shows: by its kind, then by its parameter where one parameter hides more than another."""
    place = [Clear, Partial, Round, DateTrunc, Regex, Hash, Constant, Nullify].index(type(mask))
    match mask:
        case Partial(keep_last):
            return place, Decimal(-keep_last)
        case Round(step):
            return place, Decimal(step)
        case DateTrunc(unit):
            return place, Decimal({Unit.MONTH: 1, Unit.QUARTER: 3, Unit.YEAR: 12}[unit])
        case _:
            return place, Decimal(0)


def visible(mask: Mask, value: object, family: Family, hash_of: Callable[[str], str]) -> object:
    """What an agent sees of `value` in a column of `family`; `hash_of` is the platform's keyed hash."""
    match mask:
        case Clear():
            return value
        case Nullify():
            return None
        case Constant(text):
            return value_of(text, family)
    if value is None:
        return None
    match mask:
        case Partial(keep_last):
            text = str(value)
            return "***" + text[len(text) - min(keep_last, len(text) // 2) :]
        case Round(step):
            return _cut(value, step)
        case DateTrunc(unit):
            return _truncated(value, unit)
        case Regex(pattern, replacement):
            replaced = re.sub(pattern, replacement, str(value), flags=re.DOTALL)
            return "***" if replaced == value else replaced
        case Hash():
            return hash_of(str(value))
        case _:
            assert_never(mask)


SAMPLES: dict[Family, tuple[object, ...]] = {
    Family.TEXT: (
        *(
            "",
            "a",
            "b",
            "Z",
            "é",
            "ab",
            "Ab",
            "DE",
            "AT",
            "abc",
            "xbc",
            "aBc",
            "abcd",
            "xbcd",
            "ABcd",
            "abcde",
            "abcdef",
            "abcxef",
            "Abcdef",
        ),
        *(
            "abcdefg",
            "abcxefg",
            "Abcdefg",
            "abcdefgh",
            "abcdxfgh",
            "xBcdefgh",
            "900-01-0001",
            "910-01-0001",
            "910-01-9991",
            "xy900-01-0001",
            "x900-01-0001",
            "a1-x",
            "bz",
            "cz",
            "b1-x",
            "naïve ☃",
            "XaïVe ☃",
        ),
    ),
    Family.INTEGER: tuple(range(-130, 131)),
    Family.NUMERIC: tuple(Decimal(number) / 20 for number in range(-500, 501)),
    Family.FLOAT: tuple(number / 20 for number in range(-500, 501)),
    **{
        family: tuple(kind(year, month, day, **zone) for year in (1999, 2000, 2001) for month in range(1, 13) for day in (1, 2, 28))
        for family, kind, zone in (
            (Family.DATE, date, {}),
            (Family.TIMESTAMP, datetime, {}),
            (Family.TIMESTAMP_TZ, datetime, {"tzinfo": UTC}),
        )
    },
}
"""Values that masks show alike and values that they show differently."""


def tells_no_more(mask: Mask, of: Mask, family: Family) -> bool:
    """Whether `mask` shows two of the samples, or NULL, differently only where `of` does: then it could be made of what `of` shows."""
    seen: dict[object, object] = {}
    return all(seen.setdefault(one, other) == other for one, other in zip(_looks(of, family), _looks(mask, family), strict=True))


@cache
def _looks(mask: Mask, family: Family) -> tuple[object, ...]:
    return tuple(visible(mask, value, family, lambda text: f"hash of {text}") for value in (*SAMPLES.get(family, ()), None))


@cache
def within_all(masks: tuple[Mask, ...], family: Family) -> Mask:
    """What may be shown where no more may be than each of `masks` shows. Of those that show parts of a value: the first, from the mildest
    on, that is no milder than any of them and tells no more of values than each, as trying shows. Where that is something, a stricter kind
    takes its place; for a hash is nothing tried, it may tell which values are equal."""
    parts = [mask for mask in masks if not isinstance(mask, Hash | Constant | Nullify)]
    found = next(mask for mask in _candidates(parts) if _is_within(mask, parts, family))
    return found if found == Nullify() else max((found, *(mask for mask in masks if mask not in parts)), key=severity)


def _candidates(masks: Sequence[Mask]) -> Iterator[Mask]:
    yield from sorted(masks, key=severity) or [Clear()]
    steps = [Decimal(mask.step) for mask in masks if isinstance(mask, Round)]
    for times in range(1, 1000) if steps else ():
        if all(max(steps) * times % step == 0 for step in steps):
            yield Round(f"{(max(steps) * times).normalize():f}")
            break
    yield Nullify()


def _is_within(mask: Mask, masks: Sequence[Mask], family: Family) -> bool:
    return all(severity(mask) >= severity(each) and tells_no_more(mask, each, family) for each in masks)


def _cut(value: object, step: str) -> object:
    """By truncation, in whole steps."""
    if isinstance(value, int):
        return int(step) * (abs(value) // int(step)) * (1 if value >= 0 else -1)
    if isinstance(value, Decimal):
        return (value / Decimal(step)).to_integral_value(ROUND_DOWN) * Decimal(step)
    assert isinstance(value, float)
    if not abs(value) <= 1.79e308:
        return None
    exact = Decimal(f"{value:.15g}")  # no digit more than the type holds for sure
    with localcontext(prec=1000):
        return float(exact - exact % Decimal(step))


def _truncated(value: object, unit: Unit) -> object:
    assert isinstance(value, date)
    if isinstance(value, datetime):
        value = (value.astimezone(UTC) if value.tzinfo else value).replace(hour=0, minute=0, second=0, microsecond=0)
    month = {Unit.YEAR: 1, Unit.QUARTER: (value.month - 1) // 3 * 3 + 1, Unit.MONTH: value.month}[unit]
    return value.replace(month=month, day=1)

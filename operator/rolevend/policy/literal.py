"""Decide which texts are values of a column's family, and canonicalise them. Knows no SQL.

Literals of row filters, constant masks and attribute values pass here before they reach a platform, so that no platform gets an ambiguous
text: no time without its zone, no `Infinity`, no local date format. A day or time relative to now is a value, too: the platform's clock
decides when the query runs, in UTC in every session time zone.
"""

import enum
import math
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from rolevend.catalog import Family

EXPECTED = {
    Family.TEXT: "a text without the character NUL",
    Family.INTEGER: "a whole number from -2^63 to 2^63-1, such as 42",
    Family.NUMERIC: "a finite number without exponent, such as 12.50",
    Family.FLOAT: "a finite double-precision number without exponent, such as 0.5",
    Family.BOOLEAN: "true or false",
    Family.DATE: "a date such as 2024-01-31",
    Family.TIMESTAMP: "a date and time without time zone, such as 2024-01-31T10:00:00",
    Family.TIMESTAMP_TZ: "a date and time with its offset, such as 2024-01-31T10:00:00Z",
    Family.UUID: "a UUID such as 6f1c0a9e-1f2d-4c3b-8a59-0d1e2f3a4b5c",
    Family.OTHER: "nothing: a value of this type cannot be compared",
}
"""The texts that `canonical` accepts, for messages."""

_INTEGER = re.compile(r"-?[0-9]{1,1000}")
_DECIMAL = re.compile(r"(?P<sign>-?)(?P<whole>[0-9]{1,1000})(?:\.(?P<fraction>[0-9]{1,1000}))?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?"
_TIMESTAMP = re.compile(rf"{_DATE.pattern}(?:[T ]{_TIME})?")
_TIMESTAMP_TZ = re.compile(rf"{_DATE.pattern}[T ]{_TIME}(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SHIFT: Final = re.compile(r"([0-9]{1,10}) +([a-z]+?)s?", re.IGNORECASE)


def canonical(text: str, family: Family) -> str | None:
    """Return the canonical text of the value that `text` means in a column of `family`, or None if it is not a value."""
    match family:
        case Family.TEXT:
            return text if "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text) else None
        case Family.INTEGER:
            return _integer(text)
        case Family.NUMERIC:
            return _decimal(text)
        case Family.FLOAT:
            return _float(text)
        case Family.BOOLEAN:
            return text.lower() if text.lower() in ("true", "false") else None
        case Family.DATE:
            return _instant(text) if _DATE.fullmatch(text) else None
        case Family.TIMESTAMP:
            return _instant(text, time=True) if _TIMESTAMP.fullmatch(text) else None
        case Family.TIMESTAMP_TZ:
            return _instant(text, time=True) if _TIMESTAMP_TZ.fullmatch(text) else None
        case Family.UUID:
            return text.lower() if _UUID.fullmatch(text.lower()) else None
        case Family.OTHER:
            return None


def value_fits(value: str, family: Family) -> bool:
    """True if a user attribute's value can be compared with a column of `family`. An empty value counts as missing."""
    return value != "" and canonical(value, family) is not None


def _integer(text: str) -> str | None:
    if not _INTEGER.fullmatch(text):
        return None
    number = int(text)
    return str(number) if -(2**63) <= number < 2**63 else None


def _decimal(text: str) -> str | None:
    # Decimal.normalize() would round to the context's 28 digits.
    parts = _DECIMAL.fullmatch(text)
    if parts is None:
        return None
    whole = parts["whole"].lstrip("0") or "0"
    fraction = (parts["fraction"] or "").rstrip("0")
    magnitude = f"{whole}.{fraction}" if fraction else whole
    return magnitude if magnitude == "0" else parts["sign"] + magnitude


def _float(text: str) -> str | None:
    spelling = _decimal(text)
    if spelling is None:
        return None
    number = float(spelling)
    # One platform reads a number that overflows or underflows to 0 as a value, another one fails.
    return spelling if math.isfinite(number) and (number != 0 or spelling == "0") else None


def _instant(text: str, *, time: bool = False) -> str | None:
    try:
        if not time:
            return date.fromisoformat(text).isoformat()
        moment = datetime.fromisoformat(text)
        return (moment.astimezone(UTC) if moment.tzinfo else moment).isoformat()
    except (ValueError, OverflowError):
        return None


class Clock(enum.Enum):
    NOW = "now()"
    TODAY = "current_date"


class Span(enum.Enum):
    SECOND = "second"
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


LONGEST: Final = {
    Span.SECOND: 3_155_760_000,
    Span.MINUTE: 52_596_000,
    Span.HOUR: 876_600,
    Span.DAY: 36_525,
    Span.WEEK: 5_217,
    Span.MONTH: 1_200,
    Span.YEAR: 100,
}
"""A hundred years: within the range of every platform."""
WHOLE_DAYS: Final = frozenset({Span.DAY, Span.WEEK, Span.MONTH, Span.YEAR})


@dataclass(frozen=True, slots=True)
class Moment:
    """`amount` spans after `clock`, or before if negative. Without a shift `amount` is 0 and `span` is DAY."""

    clock: Clock
    amount: int = 0
    span: Span = Span.DAY


def shifted(clock: Clock, text: str, *, back: bool) -> Moment | str:
    """Return `clock` moved by a span such as `30 days`, or a message with a way out."""
    found = _SHIFT.fullmatch(text)
    spans = {span.value: span for span in Span}
    if found is None or found[2].lower() not in spans:
        return f"'{text[:40]}' is no span of time; write one number and one unit of second, minute, hour, day, week, month, year"
    amount, span = int(found[1]), spans[found[2].lower()]
    if amount > LONGEST[span]:
        return f"'{text[:40]}' is more than a hundred years; write less, or a fixed date"
    if clock is Clock.TODAY and span not in WHOLE_DAYS:
        return f"current_date has no {span.value}; write now(), or whole days"
    return Moment(clock, -amount if back else amount, span) if amount else Moment(clock)


def spelling(moment: Moment) -> str:
    """Return the row filter's text, which is read back as the same moment."""
    if not moment.amount:
        return moment.clock.value
    amount = abs(moment.amount)
    plural = "s" if amount > 1 else ""
    return f"{moment.clock.value} {'-' if moment.amount < 0 else '+'} interval '{amount} {moment.span.value}{plural}'"

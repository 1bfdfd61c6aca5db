"""Days and times relative to now, as values. The platform's clock decides when the query runs, in UTC in every session time zone."""

import enum
import re
from dataclasses import dataclass
from typing import Final


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

_SHIFT: Final = re.compile(r"([0-9]{1,10}) +([a-z]+?)s?", re.IGNORECASE)


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

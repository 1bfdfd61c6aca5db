"""Render values of column types as SQL of Snowflake. Pure.

Independent of session settings: days and times are built from numbers or an explicit format, in UTC. A number is written without loss or
refused.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from typing import Final, LiteralString

from rolevend.catalog import Family
from rolevend.platforms.snowflake.sql import Sql, compose, literal, number
from rolevend.platforms.snowflake.types import ColumnType, simple_type
from rolevend.policy.literal import Clock, Moment, Span

INSTANT: Final[LiteralString] = """'YYYY-MM-DD"T"HH24:MI:SS.FF9'"""

_PARTS: Final[Mapping[Span, LiteralString]] = {
    Span.SECOND: "SECOND",
    Span.MINUTE: "MINUTE",
    Span.HOUR: "HOUR",
    Span.DAY: "DAY",
    Span.WEEK: "WEEK",
    Span.MONTH: "MONTH",
    Span.YEAR: "YEAR",
}


def value_text(text: str, family: Family, native_type: str) -> Sql | None:
    """Return the value of a canonical `text` in a column's type; None if the type has no such value."""
    match family:
        case Family.TEXT:
            return literal(text)
        case Family.INTEGER | Family.NUMERIC:
            units, exact = in_units(text, simple_type(native_type))
            return decimal_text(units, simple_type(native_type)) if exact and fits(units, simple_type(native_type)) else None
        case Family.FLOAT:
            return compose("{text}::FLOAT", text=literal(repr(float(text))))
        case Family.BOOLEAN:
            return Sql(text.upper())
        case Family.DATE:
            return _date(date.fromisoformat(text))
        case Family.TIMESTAMP:
            return compose("TIMESTAMP_NTZ_FROM_PARTS({parts})", parts=_parts(datetime.fromisoformat(text)))
        case Family.TIMESTAMP_TZ:
            return compose("TIMESTAMP_TZ_FROM_PARTS({parts}, 'UTC')", parts=_parts(datetime.fromisoformat(text).astimezone(UTC)))
        case _:
            return None


def moment_text(moment: Moment, family: Family) -> Sql:
    """Return one instant for the whole statement, shifted in UTC in every session time zone."""
    text = Sql("CONVERT_TIMEZONE('UTC', CURRENT_TIMESTAMP())")
    if moment.clock is Clock.TODAY:
        text = compose("DATE_TRUNC('DAY', {text})", text=text)
    if moment.amount:
        text = compose("DATEADD({part}, {amount}, {text})", part=Sql(_PARTS[moment.span]), amount=number(moment.amount), text=text)
    match family:
        case Family.DATE:
            return compose("{text}::DATE", text=text)
        case Family.TIMESTAMP:
            return compose("{text}::TIMESTAMP_NTZ", text=text)
        case _:
            return text


def canonical_text(column: Sql, family: Family) -> Sql:
    """Return `column` as the text that `control.lease_of` writes for an equal value. Not for FLOAT, whose texts are not exact."""
    match family:
        case Family.NUMERIC:
            return compose("RTRIM(RTRIM(TO_VARCHAR({column}), '0'), '.')", column=column)
        case Family.DATE:
            return compose("TO_VARCHAR({column}, 'YYYY-MM-DD')", column=column)
        case Family.TIMESTAMP:
            return compose("TO_VARCHAR({column}, {format})", column=column, format=Sql(INSTANT))
        case Family.TIMESTAMP_TZ:
            return compose("TO_VARCHAR(CONVERT_TIMEZONE('UTC', {column}), {format})", column=column, format=Sql(INSTANT))
        case Family.TEXT:
            return column
        case _:
            return compose("TO_VARCHAR({column})", column=column)


def in_units(text: str, kind: ColumnType, *, up: bool = False) -> tuple[int, bool]:
    """Return a decimal number in units of the type's last place, rounded down (or up), and whether it is exact."""
    with localcontext(prec=4096):
        scaled = Decimal(text).scaleb(kind.scale)
        units = int(scaled.to_integral_value(ROUND_CEILING if up else ROUND_FLOOR))
        return units, scaled == units


def fits(units: int, kind: ColumnType) -> bool:
    return bool(abs(units) < 10**kind.digits)


def decimal_text(units: int, kind: ColumnType) -> Sql:
    """Return the number's literal, of at most 38 digits, which is read without loss."""
    sign, digits = "-" if units < 0 else "", f"{abs(units):0{kind.scale + 1}}"
    whole, fraction = (digits[: -kind.scale], digits[-kind.scale :].rstrip("0")) if kind.scale else (digits, "")
    return Sql(f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}")


def _date(day: date) -> Sql:
    return compose("DATE_FROM_PARTS({year}, {month}, {day})", year=number(day.year), month=number(day.month), day=number(day.day))


def _parts(at: datetime) -> Sql:
    each = (at.year, at.month, at.day, at.hour, at.minute, at.second, at.microsecond * 1000)
    return Sql(", ".join(map(str, each)))

"""Render masks as SQL of PostgreSQL. Pure.

Each is tested on a real server with NULL, empty, short and non-ASCII texts, infinity, and the ends of the calendar.
"""

from typing import assert_never

from psycopg import sql

from rolevend.catalog import Family
from rolevend.platforms.postgres.types import limits_of, type_name
from rolevend.policy.mask import Clear, Constant, DateTrunc, Hash, Mask, Nullify, Partial, Regex, Round, Unit, carries


def mask_text(mask: Mask, column: sql.Composable, family: Family, native_type: str) -> sql.Composable:
    """Return the masked `column`; NULL if its type cannot hold the mask."""
    if not carries(mask, family, limits_of(native_type)):
        mask = Nullify()
    match mask:
        case Clear():
            return column
        case Partial(keep_last):
            return _partial(_as_text(column, native_type), keep_last)
        case Round(step):
            return _round(column, family, native_type, step)
        case Regex(pattern, replacement):
            return _regex(_as_text(column, native_type), pattern, replacement)
        case DateTrunc(unit):
            return _date_trunc(column, family, unit)
        case Hash():
            # SHA-256 over the salt and the value. No vended role can read the salt; without a salt it is NULL.
            return sql.SQL("rolevend.hash({})").format(_as_text(column, native_type))
        case Constant(value):
            kind = sql.SQL("text") if family is Family.TEXT else type_name(native_type)
            return sql.SQL("{}::{}").format(sql.Literal(value), kind)
        case Nullify():
            return sql.SQL("NULL::{}").format(type_name(native_type))
        case _:
            assert_never(mask)


def _as_text(column: sql.Composable, native_type: str) -> sql.Composable:
    return column if native_type == "text" else sql.SQL("{}::text").format(column)


def _partial(text: sql.Composable, keep_last: int) -> sql.Composable:
    if keep_last <= 0:  # right(…, -1) would show all but the first character
        return sql.SQL("CASE WHEN {} IS NOT NULL THEN '***' END").format(text)
    return sql.SQL("'***' || right({0}, least({1}, char_length({0}) / 2))").format(text, sql.Literal(keep_last))


def _round(column: sql.Composable, family: Family, native_type: str, step: str) -> sql.Composable:
    """Truncate, which stays within the type's range. PostgreSQL sorts NaN after infinity."""
    words = {"column": column, "step": sql.Literal(step), "type": type_name(native_type)}
    match family:
        case Family.INTEGER:
            return sql.SQL("({column} - {column} % {step}::bigint)::{type}").format(**words)
        case Family.NUMERIC:
            # Division is inexact. Without round() the value's number of digits would be visible.
            words["digits"] = sql.Literal(len(step.partition(".")[2]))
            return sql.SQL(
                "CASE WHEN {column} > '-Infinity'::numeric AND {column} < 'Infinity'::numeric"
                " THEN round({column} - mod({column}, {step}::numeric), {digits}) END"
            ).format(**words)
        case _:
            # As a decimal number with the digits that the type holds exactly: 15, or 6 for real. In binary 0.3 is less than three times
            # 0.1, so a wider step would reveal more than a narrower one. Above this bound, and for NaN, the result can exceed a double.
            return sql.SQL(
                "CASE WHEN abs({column}) <= 1.79e308::double precision"
                " THEN ({column}::numeric - mod({column}::numeric, {step}::numeric))::{type} END"
            ).format(**words)


def _regex(text: sql.Composable, pattern: str, replacement: str) -> sql.Composable:
    """POSIX semantics: the longest alternative matches; `.` and `[^a]` match a line end too."""
    return sql.SQL(
        "coalesce(nullif(regexp_replace({text}, {pattern}, {replacement}, 'g'), {text}), CASE WHEN {text} IS NOT NULL THEN '***' END)"
    ).format(text=text, pattern=sql.Literal(pattern), replacement=sql.Literal(replacement))


def _date_trunc(column: sql.Composable, family: Family, unit: Unit) -> sql.Composable:
    """Truncate; infinity stays infinity. The calendar begins within the year 4713 BC, whose first instant is not a value: NULL."""
    word = sql.Literal(unit.value.lower())
    match family:
        case Family.DATE:
            # date_trunc is not usable: a timestamp ends five million years before a date does.
            month = {
                Unit.YEAR: sql.SQL("1"),
                Unit.QUARTER: sql.SQL("extract(quarter FROM {})::integer * 3 - 2").format(column),
                Unit.MONTH: sql.SQL("extract(month FROM {})::integer").format(column),
            }[unit]
            return sql.SQL(
                "CASE WHEN NOT isfinite({0}) THEN {0}"
                " WHEN {0} >= '4712-01-01 BC'::date THEN make_date(extract(year FROM {0})::integer, {1}, 1) END"
            ).format(column, month)
        case Family.TIMESTAMP:
            return sql.SQL(
                "CASE WHEN NOT isfinite({0}) THEN {0}"
                " WHEN {0} >= '4712-01-01 00:00:00 BC'::timestamp without time zone THEN date_trunc({1}, {0}) END"
            ).format(column, word)
        case _:
            return sql.SQL(
                "CASE WHEN NOT isfinite({0}) THEN {0}"
                " WHEN {0} >= '4712-01-01 00:00:00+00 BC'::timestamp with time zone THEN date_trunc({1}, {0}, 'UTC') END"
            ).format(column, word)

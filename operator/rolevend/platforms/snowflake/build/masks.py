"""Render masks as SQL of Snowflake. Pure.

No expression fails on a value: an error would reveal its row. A value that a type cannot hold exactly becomes NULL. Policies know that from
a column's limits, and `policy.table_policy` knows where a policy of the table has less room than a view.
"""

from dataclasses import dataclass
from typing import Final, LiteralString, assert_never

from rolevend.catalog import Family, TypeLimits
from rolevend.platforms.snowflake.control import control
from rolevend.platforms.snowflake.sql import Sql, compose, literal, number
from rolevend.platforms.snowflake.types import ColumnType, column_type, limits_of, simple_type
from rolevend.platforms.snowflake.values import value_text
from rolevend.policy.mask import (
    Clear,
    Constant,
    DateTrunc,
    Hash,
    Mask,
    Nullify,
    Partial,
    Regex,
    Round,
    Unit,
    carries,
    is_every_multiple,
    places_of,
)
from rolevend.policy.table_policy import is_cut, limits_of_policy

_UNITS: Final[dict[Unit, LiteralString]] = {Unit.YEAR: "YEAR", Unit.QUARTER: "QUARTER", Unit.MONTH: "MONTH"}


@dataclass(frozen=True, slots=True)
class MaskPosition:
    """The masked column, its type, and how the text refers to it."""

    column: Sql
    family: Family
    native_type: str
    typed: bool = False
    """True if the result must have the column's own type, as in a masking policy; a view may show a longer text."""

    @property
    def limits(self) -> TypeLimits | None:
        limits = limits_of(self.native_type)
        return limits_of_policy(limits) if self.typed else limits


def mask_text(mask: Mask, place: MaskPosition) -> Sql:
    """Return the masked value of `place`."""
    if not carries(mask, place.family, place.limits):
        mask = Nullify()
    text = _masked(mask, place)
    length = _bound(mask, place)
    return text if length is None else compose("LEFT({text}, {length})", text=text, length=number(length))


def _masked(mask: Mask, place: MaskPosition) -> Sql:
    column = place.column
    match mask:
        case Clear():
            return column
        case Partial(keep_last):
            return _partial(column, keep_last)
        case Round(step):
            return _round(place, step)
        case Regex(pattern, replacement):
            return _regex(column, pattern, replacement)
        case DateTrunc(unit):
            return _date_trunc(place, unit)
        case Hash():
            # The salt is read with the privileges of the owner of the view or policy; without a salt it is NULL.
            return compose(
                "SHA2(CONCAT((SELECT s.SALT FROM {salt} AS s), TO_BINARY({column}, 'UTF-8')), 256)", salt=control("SALT"), column=column
            )
        case Constant(value):
            return _constant(place, value)
        case Nullify():
            return _null(place)
        case _:
            assert_never(mask)


def _constant(place: MaskPosition, value: str) -> Sql:
    """Return the constant in the column's type, the same in every branch of a CASE. A text may be longer than the column."""
    text = value_text(value, place.family, place.native_type)
    if text is None:
        return _null(place)
    return text if place.family in (Family.TEXT, Family.FLOAT) else compose("{}::{}", text, simple_type(place.native_type).sql)


def _null(place: MaskPosition) -> Sql:
    """Return NULL, cast only if the type has a simple name."""
    kind = column_type(place.native_type)
    if kind is None:
        return compose("CASE WHEN FALSE THEN {column} END", column=place.column)
    return compose("NULL::{type}", type=kind.sql)


def _partial(column: Sql, keep_last: int) -> Sql:
    if keep_last <= 0:
        return compose("CASE WHEN {column} IS NOT NULL THEN '***' END", column=column)
    return compose("'***' || RIGHT({column}, LEAST({keep}, FLOOR(LENGTH({column}) / 2)))", column=column, keep=number(keep_last))


def _round(place: MaskPosition, step: str) -> Sql:
    """Truncate, which stays within the type's range. The remainder is computed of a non-negative number, because its sign is otherwise not
    documented.
    """
    if place.family is Family.FLOAT:
        return _round_float(place.column, step)
    kind = simple_type(place.native_type)
    if is_every_multiple(step, kind.scale):
        return place.column
    return compose(
        "(CASE WHEN {column} < 0 THEN {column} + MOD(-{column}, {step})"
        " WHEN {column} >= 0 THEN {column} - MOD({column}, {step}) END)::{type}",
        column=place.column,
        step=Sql(step),
        type=_rounded_type(step, kind).sql,
    )


def _round_float(column: Sql, step: str) -> Sql:
    """Round as a decimal number with the digits that the type holds exactly, as on every platform. From 10^22 on it exceeds 38 digits with
    fifteen decimal places: NULL, as for NaN, which sorts after all numbers.
    """
    size = compose("CASE WHEN ABS({column}) < 1e22 THEN ABS({column}) END", column=column)
    exact = compose("ROUND(({size})::NUMBER(38,15), LEAST(15, 14 - FLOOR(LOG(10, NULLIF({size}, 0)))))", size=size)
    return compose(
        "CASE WHEN {column} = 0 THEN 0::FLOAT"
        " WHEN ABS({column}) < 1e22 AND {column} < 0 THEN (MOD({exact}, {step}) - {exact})::FLOAT"
        " WHEN ABS({column}) < 1e22 THEN ({exact} - MOD({exact}, {step}))::FLOAT END",
        column=column,
        exact=exact,
        step=Sql(step),
    )


def _regex(column: Sql, pattern: str, replacement: str) -> Sql:
    """Replace every match; `.` matches a line end too. An unchanged text is not shown."""
    return compose(
        "COALESCE(NULLIF(REGEXP_REPLACE({column}, {pattern}, {replacement}, 1, 0, 's'), {column}),"
        " CASE WHEN {column} IS NOT NULL THEN '***' END)",
        column=column,
        pattern=literal(pattern),
        replacement=literal(replacement),
    )


def _date_trunc(place: MaskPosition, unit: Unit) -> Sql:
    part = Sql(f"'{_UNITS[unit]}'")
    column = compose("CONVERT_TIMEZONE('UTC', {column})", column=place.column) if place.family is Family.TIMESTAMP_TZ else place.column
    return compose("DATE_TRUNC({part}, {column})::{type}", part=part, column=column, type=simple_type(place.native_type).sql)


def _rounded_type(step: str, kind: ColumnType) -> ColumnType:
    """Return a type that holds multiples of `step` up to the type's largest value."""
    scale = max(kind.scale, places_of(step))
    return ColumnType(kind.kind, kind.digits - kind.scale + scale, scale)


def _bound(mask: Mask, place: MaskPosition) -> int | None:
    """Return the maximum number of characters, if the result may be longer."""
    length = place.limits.length if place.limits is not None and place.typed and place.family is Family.TEXT else None
    return length if length is not None and is_cut(mask, length) else None

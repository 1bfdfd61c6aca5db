"""Render row predicates as SQL of Snowflake. Pure: values to composed text.

User attributes are never in the text: a `Reading` refers to them in a sub-select that names no column of the table. A missing value is
NULL. Every test of a NULL column is NULL, also a test that is decided here.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, assert_never

from rolevend.catalog import Family
from rolevend.errors import InvalidInput
from rolevend.platforms.snowflake.sql import Sql, compose, join
from rolevend.platforms.snowflake.types import ColumnType, simple_type
from rolevend.platforms.snowflake.values import canonical_text, decimal_text, fits, in_units, moment_text, value_text
from rolevend.policy.expression import (
    And,
    AttributeMembership,
    ColumnReference,
    Comparison,
    Condition,
    Literal,
    Membership,
    Not,
    NullTest,
    Operator,
    Or,
    Predicate,
    Range,
    Value,
    atoms,
)
from rolevend.policy.literal import Moment

_INCOMPARABLE: Final = (Family.OTHER, Family.UUID)


@dataclass(frozen=True, slots=True, order=True)
class Need:
    """An attribute, and the family of its comparison; TEXT if it only has to exist."""

    attribute: str
    family: str


@dataclass(frozen=True, slots=True)
class Reading:
    """How the SQL refers to a column, and to the array of an attribute's values."""

    column: Callable[[str], Sql]
    attribute: Callable[[Need], Sql]


def any_of(conditions: Sequence[Condition], reading: Reading) -> Sql | None:
    """Return a test that one of `conditions` holds; None if that is always true."""
    if not conditions:
        raise InvalidInput("", "a filter without a condition would mean nothing")
    rendered = [condition_text(condition, reading) for condition in conditions]
    present = [text for text in rendered if text is not None]
    if len(present) < len(rendered):
        return None
    return present[0] if len(present) == 1 else compose("({parts})", parts=join(" OR ", map(_enclosed, present)))


def all_of(clauses: Iterable[Sequence[Condition]], reading: Reading) -> list[Sql]:
    """Return the tests that one condition of each clause holds, without those that are always true."""
    return [text for clause in clauses if (text := any_of(clause, reading)) is not None]


def condition_text(condition: Condition, reading: Reading) -> Sql | None:
    """Return a test that one grant's condition holds; None if always true. The tests that attributes exist precede the predicate."""
    parts = [compose("{values} IS NOT NULL", values=reading.attribute(need)) for need in needs_of(condition)]
    if condition.predicate is not None:
        parts.append(predicate_text(condition.predicate, reading))
    return join(" AND ", parts) if parts else None


def needs_of(condition: Condition) -> tuple[Need, ...]:
    """Return the needed attributes, in a stable order: each in every family of a comparison."""
    read = {
        _need(atom) for atom in ([] if condition.predicate is None else atoms(condition.predicate)) if isinstance(atom, AttributeMembership)
    }
    others = set(condition.needs) - {need.attribute for need in read}
    return tuple(sorted(read | {Need(key, Family.TEXT.value) for key in others}))


def predicate_text(predicate: Predicate, reading: Reading) -> Sql:
    match predicate:
        case Comparison(column, operator, literal):
            return _comparison(reading.column(column.name), operator, literal, column)
        case Membership(column, literals):
            return _membership(reading.column(column.name), literals, column)
        case AttributeMembership(column, _):
            return _attribute(reading.column(column.name), reading.attribute(_need(predicate)), column)
        case Range(column, low, high):
            ends = (Comparison(column, Operator.GREATER_OR_EQUAL, low), Comparison(column, Operator.LESS_OR_EQUAL, high))
            return _all(ends, reading)
        case NullTest(column, is_null):
            return compose("{column} IS NULL" if is_null else "{column} IS NOT NULL", column=reading.column(column.name))
        case And(parts):
            return _all(parts, reading)
        case Or(parts):
            return compose("({parts})", parts=join(" OR ", _each(parts, reading)))
        case Not(part):
            return compose("NOT ({part})", part=predicate_text(part, reading))
        case _:
            assert_never(predicate)


def _all(parts: Sequence[Predicate], reading: Reading) -> Sql:
    return compose("({parts})", parts=join(" AND ", _each(parts, reading)))


def _each(parts: Sequence[Predicate], reading: Reading) -> list[Sql]:
    if not parts:
        raise InvalidInput("", "AND and OR need at least one part")
    return [predicate_text(part, reading) for part in parts]


def _comparison(column: Sql, operator: Operator, literal: Value, reference: ColumnReference) -> Sql:
    if isinstance(literal, Literal) and reference.family in (Family.INTEGER, Family.NUMERIC):
        return _number_comparison(column, operator, literal.text, simple_type(reference.native_type))
    family, native_type = reference.family, reference.native_type
    value = moment_text(literal, family) if isinstance(literal, Moment) else value_text(literal.text, family, native_type)
    if value is None or family in _INCOMPARABLE:
        raise _incomparable(reference)
    return compose("{column} {operator} {value}", column=column, operator=Sql(operator.value), value=value)


def _number_comparison(column: Sql, operator: Operator, text: str, kind: ColumnType) -> Sql:
    """Compare with a number of the column's scale, so that no comparison exceeds the maximum precision: 12.505 is not equal to any number
    with two decimal places, and 12.50 is the largest below it.
    """
    units, exact = in_units(text, kind)
    match operator:
        case Operator.EQUAL | Operator.NOT_EQUAL:
            if not exact or not fits(units, kind):
                return _decided(column, holds=operator is Operator.NOT_EQUAL)
        case Operator.LESS | Operator.LESS_OR_EQUAL:
            if not fits(units, kind):
                return _decided(column, holds=units > 0)
            operator = operator if exact else Operator.LESS_OR_EQUAL
        case Operator.GREATER | Operator.GREATER_OR_EQUAL:
            units, exact = in_units(text, kind, up=True)
            if not fits(units, kind):
                return _decided(column, holds=units < 0)
            operator = operator if exact else Operator.GREATER_OR_EQUAL
        case _:
            assert_never(operator)
    return compose("{column} {operator} {value}", column=column, operator=Sql(operator.value), value=decimal_text(units, kind))


def _decided(column: Sql, *, holds: bool) -> Sql:
    """Return a test with the same outcome for every non-NULL value."""
    return compose("CASE WHEN {column} IS NOT NULL THEN {holds} END", column=column, holds=Sql("TRUE" if holds else "FALSE"))


def _membership(column: Sql, literals: Sequence[Literal], reference: ColumnReference) -> Sql:
    _require_comparable(reference)
    values = [text for each in literals if (text := value_text(each.text, reference.family, reference.native_type)) is not None]
    if not values:
        return _decided(column, holds=False)
    return compose("{column} IN ({values})", column=column, values=join(", ", values))


def _attribute(column: Sql, values: Sql, reference: ColumnReference) -> Sql:
    """Test membership. Values are compared as texts, so that no VARIANT comparison is involved. A FLOAT has no exact text: both sides
    become a VARIANT in the same way. The outer test excludes NULL, which could be in an array.
    """
    _require_comparable(reference)
    text = column if reference.family is Family.FLOAT else canonical_text(column, reference.family)
    return compose(
        "CASE WHEN {column} IS NOT NULL THEN ARRAY_CONTAINS({text}::VARIANT, {values}) END", column=column, text=text, values=values
    )


def _require_comparable(reference: ColumnReference) -> None:
    if reference.family in _INCOMPARABLE:
        raise _incomparable(reference)


def _incomparable(reference: ColumnReference) -> InvalidInput:
    return InvalidInput("", f"column {reference.name} cannot be compared: Snowflake type {reference.native_type}")


def _need(atom: AttributeMembership) -> Need:
    return Need(atom.attribute, atom.column.family.value)


def _enclosed(text: Sql) -> Sql:
    return compose("({text})", text=text)

"""Render row predicates as SQL of PostgreSQL. Pure: values to composed text.

User attributes are never in the text: `rolevend.attr('key')` reads them from the lease when the query runs, in a sub-select, once per
query. A missing attribute, or one with a value that does not fit the column, is NULL.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import LiteralString, assert_never

from psycopg import sql

from rolevend.catalog import Family
from rolevend.errors import InvalidInput
from rolevend.platforms.postgres.types import attribute_type, comparison_type, type_name
from rolevend.policy.expression import (
    And,
    AttributeMembership,
    ColumnReference,
    Comparison,
    Condition,
    Membership,
    Not,
    NullTest,
    Or,
    Predicate,
    Range,
    Value,
    atoms,
)
from rolevend.policy.literal import Clock, Moment, Span

_PARTS: Mapping[Span, LiteralString] = {
    Span.SECOND: "secs",
    Span.MINUTE: "mins",
    Span.HOUR: "hours",
    Span.DAY: "days",
    Span.WEEK: "weeks",
    Span.MONTH: "months",
    Span.YEAR: "years",
}
"""The parameter names of make_interval."""

Naming = Callable[[str], sql.Composable]
"""Renders a column: bare in a policy, `t."column"` in a view."""

Need = tuple[str, str]
"""An attribute, and the type that its values are cast to ("text": no cast)."""

AttributeText = Callable[[Need], sql.Composable]
"""Renders the values of an attribute, as an array of texts; NULL: it does not exist, or has a value that does not fit the type."""


def of_lease(need: Need) -> sql.Composed:
    """Return the values that the lease of the querying role has. The text has no value."""
    key, kind = need
    if kind == "text":
        return sql.SQL("rolevend.attr({})").format(sql.Literal(key))
    return sql.SQL("rolevend.attr({}, {})").format(sql.Literal(key), sql.Literal(kind))


def any_of(conditions: Sequence[Condition], naming: Naming, values: AttributeText = of_lease) -> sql.Composable | None:
    """Return a test that one of `conditions` holds; None if that is always true."""
    rendered = [condition_text(condition, naming, values) for condition in conditions]
    if not rendered:
        raise InvalidInput("", "a filter without a condition would mean nothing")
    present = [text for text in rendered if text is not None]
    if len(present) < len(rendered):
        return None
    return present[0] if len(present) == 1 else sql.SQL("({})").format(sql.SQL(" OR ").join(_enclosed(text) for text in present))


def condition_text(condition: Condition, naming: Naming, values: AttributeText = of_lease) -> sql.Composable | None:
    """Return a test that one grant's condition holds; None if that is always true.

    The tests that attributes exist precede the predicate, except those that the predicate implies.
    """
    parts = [_present(need, values) for need in _untested_needs(condition)]
    if condition.predicate is not None:
        parts.append(predicate_text(condition.predicate, naming, values))
    return sql.SQL(" AND ").join(parts) if parts else None


def predicate_text(predicate: Predicate, naming: Naming, values: AttributeText = of_lease) -> sql.Composable:
    match predicate:
        case Comparison(column, operator, literal):
            return sql.SQL("{} {} {}").format(naming(column.name), sql.SQL(operator.value), literal_text(literal, column))
        case Membership(column, literals):
            listed = sql.SQL(", ").join(literal_text(literal, column) for literal in literals)
            return sql.SQL("{} IN ({})").format(naming(column.name), listed)
        case AttributeMembership(column, attribute):
            kind = attribute_type(column.family, column.native_type)
            array = sql.SQL("{}[]").format(kind.sql)
            own = values((attribute, kind.name))
            if kind.name != "text":  # inside the sub-select, where the cast runs once
                own = sql.SQL("{}::{}").format(own, array)
            # The outer cast is free and marks an array: = ANY (SELECT ...) would search among rows.
            return sql.SQL("{} = ANY ((SELECT {})::{})").format(naming(column.name), own, array)
        case Range(column, low, high):
            return sql.SQL("{} BETWEEN {} AND {}").format(naming(column.name), literal_text(low, column), literal_text(high, column))
        case NullTest(column, is_null):
            return sql.SQL("{} IS NULL" if is_null else "{} IS NOT NULL").format(naming(column.name))
        case And(parts):
            return _joined(" AND ", parts, naming, values)
        case Or(parts):
            return _joined(" OR ", parts, naming, values)
        case Not(part):
            return sql.SQL("NOT ({})").format(predicate_text(part, naming, values))
        case _:
            assert_never(predicate)


def literal_text(literal: Value, column: ColumnReference) -> sql.Composable:
    if column.family is Family.OTHER:
        raise InvalidInput("", f"column {column.name} cannot be compared: PostgreSQL type {column.native_type}")
    if isinstance(literal, Moment):
        return _moment(literal, column.family)
    return sql.SQL("{}::{}").format(sql.Literal(literal.text), type_name(comparison_type(column.family, column.native_type)))


def _moment(moment: Moment, family: Family) -> sql.Composable:
    """Return the moment, evaluated once per query, in UTC: the session's time zone would shift days and months. Not now(), which stays
    constant in a transaction; not clock_timestamp(), which is volatile and prevents flattening of the view.
    """
    text: sql.Composable = sql.SQL("statement_timestamp() AT TIME ZONE 'UTC'")
    if moment.clock is Clock.TODAY:
        text = sql.SQL("date_trunc('day', {})").format(text)
    if moment.amount:
        part = sql.SQL(_PARTS[moment.span])
        text = sql.SQL("{} + make_interval({} => {})").format(text, part, sql.Literal(moment.amount))
    match family:
        case Family.DATE:
            return sql.SQL("(SELECT ({})::date)").format(text)
        case Family.TIMESTAMP_TZ:
            return sql.SQL("(SELECT ({}) AT TIME ZONE 'UTC')").format(text)
        case _:
            return sql.SQL("(SELECT {})").format(text)


def _joined(word: str, parts: Sequence[Predicate], naming: Naming, values: AttributeText) -> sql.Composable:
    if not parts:
        raise InvalidInput("", "AND and OR need at least one part")
    return sql.SQL("({})").format(sql.SQL(word).join(predicate_text(part, naming, values) for part in parts))


def _untested_needs(condition: Condition) -> list[Need]:
    """Return the attributes to test, in a stable order: each as every type that the predicate casts it to."""
    if condition.predicate is None:
        return [(key, "text") for key in sorted(condition.needs)]
    read = {_need(atom) for atom in atoms(condition.predicate) if isinstance(atom, AttributeMembership)}
    read_keys = {key for key, _ in read}
    wanted = read | {(key, "text") for key in condition.needs if key not in read_keys}
    return sorted(wanted - _false_without(condition.predicate))


def _false_without(predicate: Predicate) -> frozenset[Need]:
    """Return the attributes without which `predicate` is never true: a comparison with NULL, and NOT of it, is NULL."""
    match predicate:
        case AttributeMembership() | Not(AttributeMembership()):
            return frozenset({_need(predicate if isinstance(predicate, AttributeMembership) else predicate.part)})
        case And(parts):
            return frozenset().union(*(_false_without(part) for part in parts))
        case Or(parts) if parts:
            return frozenset.intersection(*(_false_without(part) for part in parts))
        case _:
            return frozenset()


def _need(atom: Predicate) -> Need:
    assert isinstance(atom, AttributeMembership)  # noqa: S101 - for the type checker; both callers matched it
    return atom.attribute, attribute_type(atom.column.family, atom.column.native_type).name


def _present(need: Need, values: AttributeText) -> sql.Composable:
    return sql.SQL("(SELECT {}) IS NOT NULL").format(values(need))


def _enclosed(text: sql.Composable) -> sql.Composable:
    return sql.SQL("({})").format(text)

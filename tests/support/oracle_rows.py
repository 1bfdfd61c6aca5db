"""The oracle's row filters: in SQL's three-valued logic, computed in Python; as a person writes them; and as a database reads them that
knows neither tags nor users. Shares no code with the product."""

from collections.abc import Callable, Mapping
from typing import assert_never

from rolevend.catalog import Column, Family, Table
from rolevend.model import Attributes
from rolevend.policy.expression import (
    And,
    AttributeMembership,
    ColumnReference,
    Comparison,
    Literal,
    Membership,
    Not,
    NullTest,
    Operator,
    Or,
    Predicate,
    Range,
    TaggedColumn,
)
from rolevend.policy.literal import Moment
from tests.support.oracle_values import compared, fits, value_of

Row = Mapping[str, object]
"""Column name -> value: str, int, Decimal, float, bool, date, datetime (aware for TIMESTAMP_TZ), UUID, or None."""
Naming = Callable[[ColumnReference], ColumnReference | Column]


def values(user: Attributes, key: str) -> tuple[str, ...]:
    return dict(user.items).get(key, ())


def naming(table: Table) -> Naming:
    """Which column of `table` a reference means; KeyError where it means none, or several."""

    def column(reference: ColumnReference) -> Column:
        if isinstance(reference, TaggedColumn):
            key, value = reference.tag.key, reference.tag.value
            meant = [each for each in table.columns if any(tag.key == key and value in (None, tag.value) for tag in each.tags)]
        else:
            meant = [each for each in table.columns if each.name == reference.name]
        if len(meant) != 1:
            raise KeyError(reference)
        return meant[0]

    return column


def tests(predicate: Predicate) -> list[Comparison | Membership | AttributeMembership | Range | NullTest]:
    match predicate:
        case And(parts) | Or(parts):
            return [test for part in parts for test in tests(part)]
        case Not(part):
            return tests(part)
        case _:
            return [predicate]


def answerable(predicate: Predicate | None, table: Table, user: Attributes) -> bool:
    """Whether each column that it reads is there, and each attribute, with values that the column could hold."""
    column = naming(table)
    try:
        for test in [] if predicate is None else tests(predicate):
            family = column(test.column).family
            if isinstance(test, AttributeMembership):
                given = values(user, test.attribute)
                if not given or not all(fits(value, family) for value in given):
                    return False
    except KeyError:
        return False
    return True


def truth(predicate: Predicate, row: Row, user: Attributes, column: Naming) -> bool | None:
    """SQL's three-valued logic; None is NULL."""
    match predicate:
        case And(parts):
            found = [truth(part, row, user, column) for part in parts]
            return False if False in found else None if None in found else True
        case Or(parts):
            found = [truth(part, row, user, column) for part in parts]
            return True if True in found else None if None in found else False
        case Not(part):
            inner = truth(part, row, user, column)
            return None if inner is None else not inner
        case NullTest(of, is_null):
            return (row[column(of).name] is None) == is_null
    name, family = column(predicate.column).name, column(predicate.column).family
    actual = row[name]
    if actual is None:
        return None
    match predicate:
        case Comparison(_, operator, literal):
            return _compare(actual, operator, compared(literal, family))
        case Membership(_, literals):
            return any(actual == compared(literal, family) for literal in literals)
        case AttributeMembership(_, attribute):
            return any(actual == value_of(text, family) for text in values(user, attribute))
        case Range(_, low, high):
            return compared(low, family) <= actual <= compared(high, family)
        case _:
            assert_never(predicate)


def written(predicate: Predicate) -> str:
    """As a policy has it."""

    def column(reference: ColumnReference) -> str:
        if not isinstance(reference, TaggedColumn):
            return _name(reference.name)
        key, value = reference.tag.key, reference.tag.value
        return f"col({_text(key)})" if value is None else f"col({_text(key)}, {_text(value)})"

    return _sql(predicate, column, lambda key: f"user_attr({_text(key)})")


def plain(predicate: Predicate, table: Table, user: Attributes) -> str:
    """As PostgreSQL reads it: columns have names, and the user's values stand in it."""
    column = naming(table)
    return _sql(predicate, lambda reference: _name(column(reference).name), lambda key: ", ".join(map(_text, values(user, key))))


def _sql(predicate: Predicate, column: Callable[[ColumnReference], str], attribute: Callable[[str], str]) -> str:
    def joined(word: str, parts: tuple[Predicate, ...]) -> str:
        return word.join(f"({_sql(part, column, attribute)})" for part in parts)

    match predicate:
        case And(parts):
            return joined(" AND ", parts)
        case Or(parts):
            return joined(" OR ", parts)
        case Not(part):
            return f"NOT ({_sql(part, column, attribute)})"
        case NullTest(of, is_null):
            return f"{column(of)} IS {'' if is_null else 'NOT '}NULL"
        case Comparison(of, operator, literal):
            return f"{column(of)} {operator.value} {_value(literal)}"
        case Membership(of, literals):
            return f"{column(of)} IN ({', '.join(map(_value, literals))})"
        case AttributeMembership(of, key):
            return f"{column(of)} IN ({attribute(key)})"
        case Range(of, low, high):
            return f"{column(of)} BETWEEN {_value(low)} AND {_value(high)}"
        case _:
            assert_never(predicate)


def _value(literal: Literal | Moment) -> str:
    if isinstance(literal, Literal):
        return _text(literal.text) if literal.quoted else literal.text
    if not literal.amount:
        return literal.clock.value
    return f"{literal.clock.value} {'-' if literal.amount < 0 else '+'} interval '{abs(literal.amount)} {literal.span.value}s'"


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _compare(left, operator: Operator, right) -> bool:
    match operator:
        case Operator.EQUAL:
            return left == right
        case Operator.NOT_EQUAL:
            return left != right
        case Operator.LESS:
            return left < right
        case Operator.LESS_OR_EQUAL:
            return left <= right
        case Operator.GREATER:
            return left > right
        case Operator.GREATER_OR_EQUAL:
            return left >= right
        case _:
            assert_never(operator)


def bound(reference: ColumnReference) -> ColumnReference:
    """Of a predicate that was bound to its table: it says itself which column it means."""
    assert reference.family is not Family.OTHER or reference.native_type
    return reference

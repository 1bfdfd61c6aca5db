"""Bind a row filter to a table: columns get types, literals get their canonical text. Refuse a test that a platform cannot evaluate."""

from functools import partial
from typing import assert_never

from rolevend.catalog import Column, Family, Table
from rolevend.errors import InvalidInput
from rolevend.policy.expression import (
    And,
    Atom,
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
    TagReference,
    Value,
)
from rolevend.policy.literal import EXPECTED, Clock, Moment, canonical
from rolevend.policy.vocabulary import closest, near

_EQUALITY = (Operator.EQUAL, Operator.NOT_EQUAL)
_UNORDERED = (Family.BOOLEAN, Family.UUID)
_TIMES = (Family.DATE, Family.TIMESTAMP, Family.TIMESTAMP_TZ)
_BARE = (Family.INTEGER, Family.NUMERIC, Family.FLOAT, Family.BOOLEAN)
"""Families whose literals stand without quotes."""


def bind(predicate: Predicate, table: Table, field: str = "spec.rowFilter") -> Predicate:
    """Return `predicate` with the types of `table`'s columns and canonical literals: filters with the same meaning are equal.

    Raises InvalidInput for `field` where a column does not exist, or a test or literal does not fit its type.
    """
    match predicate:
        case And(parts):
            return And(tuple(bind(part, table, field) for part in parts))
        case Or(parts):
            return Or(tuple(bind(part, table, field) for part in parts))
        case Not(part):
            return Not(bind(part, table, field))
        case _:
            return _bound(predicate, _found(table, predicate.column, field), field)


def _bound(atom: Atom, found: Column, field: str) -> Predicate:
    column = ColumnReference(found.name, found.family, found.native_type)
    typed, valued = partial(_typed, column=found, field=field), partial(_typed_value, column=found, field=field)
    if isinstance(atom, NullTest):
        return NullTest(column, atom.is_null)
    if found.family is Family.OTHER:
        raise InvalidInput(field, f"column {found.name} is of type {found.native_type}, which only IS NULL and IS NOT NULL can test")
    match atom:
        case Comparison(_, operator, literal):
            if operator not in _EQUALITY:
                _ordered(found, field)
            return Comparison(column, operator, valued(literal))
        case Membership(_, literals):
            return Membership(column, tuple(sorted({typed(literal) for literal in literals}, key=lambda literal: literal.text)))
        case AttributeMembership(_, attribute):
            return AttributeMembership(column, attribute)
        case Range(_, low, high):
            _ordered(found, field)
            return Range(column, valued(low), valued(high))
        case _:
            assert_never(atom)


def candidates(table: Table, reference: ColumnReference) -> tuple[Column, ...]:
    """Return the columns that an unbound reference matches. The reference is valid only if there is exactly one."""
    if not isinstance(reference, TaggedColumn):
        return tuple(column for column in table.columns if column.name == reference.name)
    tag = reference.tag
    return tuple(column for column in table.columns if any(each.key == tag.key and tag.value in (None, each.value) for each in column.tags))


def _found(table: Table, reference: ColumnReference, field: str) -> Column:
    match candidates(table, reference), reference:
        case (column,), _:
            return column
        case columns, TaggedColumn(tag=TagReference(key, value)):
            tag = key if value is None else f"{key}={value}"
            if columns:
                names = ", ".join(column.name for column in columns[:8])
                raise InvalidInput(field, f"several columns of table {table.id} carry the tag {tag}: {names}; name one of them")
            raise InvalidInput(field, f"no column of table {table.id} carries the tag {tag}{_near_tag(table, tag, keys=value is None)}")
    raise _no_column(table, reference.name, field)


def _near_tag(table: Table, wanted: str, *, keys: bool) -> str:
    known = {tag.key if keys else f"{tag.key}={tag.value}" for column in table.columns for tag in column.tags}
    return closest(wanted, known) or "; see the TagBindings of its schema"


def _no_column(table: Table, name: str, field: str) -> InvalidInput:
    found = near(name, (each.name for each in table.columns))
    if found is None:
        known = ", ".join(each.name for each in table.columns[:8]) + (", …" if len(table.columns) > 8 else "")
        return InvalidInput(field, f"table {table.id} has no column {name[:63]}; it has {known}")
    spelling = found if found == found.lower() else f'"{found}"'
    return InvalidInput(field, f"table {table.id} has no column {name[:63]}; did you mean {spelling}?")


def _ordered(column: Column, field: str) -> None:
    if column.family in _UNORDERED:
        raise InvalidInput(field, f"column {column.name} is of type {column.family.value}, which has no order; use =, <> or IN")


def _typed_value(value: Value, column: Column, field: str) -> Value:
    return _timed(value, column, field) if isinstance(value, Moment) else _typed(value, column, field)


def _timed(moment: Moment, column: Column, field: str) -> Moment:
    if column.family is Family.DATE and moment.clock is Clock.NOW:
        raise InvalidInput(field, f"column {column.name} is a date, and now() is a time; write current_date")
    if column.family not in _TIMES:
        shown = f"column {column.name} is of type {column.family.value}, and {moment.clock.value} is a time"
        raise InvalidInput(field, f"{shown}; write {EXPECTED[column.family]}")
    return moment


def _typed(literal: Literal, column: Column, field: str) -> Literal:
    text = canonical(literal.text, column.family)
    bare = column.family in _BARE
    boolean = literal.text in ("true", "false")
    if text is not None and (literal.quoted or (bare and boolean == (column.family is Family.BOOLEAN))):
        return Literal(text, quoted=not bare)
    if not literal.quoted and not bare:
        way_out = f"put it in quotes: '{literal.text[:40]}'" if text is not None else f"write {EXPECTED[column.family]}, in quotes"
        raise InvalidInput(field, f"column {column.name} is of type {column.family.value} and {literal.text[:40]} is not; {way_out}")
    shown = f"'{literal.text[:40]}'" if literal.quoted else literal.text[:40]
    raise InvalidInput(field, f"{shown} is no value of column {column.name} ({column.family.value}); write {EXPECTED[column.family]}")

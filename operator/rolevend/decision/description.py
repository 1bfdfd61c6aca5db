"""Describe the tables of a role for a reader who writes SQL: types, comments, keys, allowed values, and filters and masks in words. Pure.

A description holds only parts of the catalog that the role itself could find out, and values of attributes of its own person. A column that
the role does not read is named in no key; allowed values and keys are those of columns that it reads unmasked in every row.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, assert_never

from rolevend.catalog import Column, ForeignKey, Table, TableId
from rolevend.model import Attributes
from rolevend.plan import Cell, ColumnShape, TableShape
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
)
from rolevend.policy.literal import Moment, spelling
from rolevend.policy.mask import Clear, Constant, DateTrunc, Hash, Mask, Nullify, Partial, Regex, Round, carries

_MOST_VALUES: Final = 20
"""Of one list in a condition."""
_LONGEST: Final = 60
"""Characters of one value in a condition."""
_BARE_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")
_BARE_VALUE: Final = re.compile(r"[\w.:+-]+")


@dataclass(frozen=True, slots=True)
class ProfileCatalog:
    """The tables of a profile as the catalog has them. Equal if descriptions cannot differ."""

    digest: str = ""
    tables: Mapping[TableId, Table] = field(default_factory=dict, compare=False, repr=False)
    mask_keys: frozenset[str] = field(default=frozenset(), compare=False)
    """The user attributes that decide about masks."""

    @classmethod
    def of(cls, tables: Iterable[Table], shapes: Iterable[TableShape]) -> "ProfileCatalog":
        by_id = {table.id: table for table in tables}
        notes = [
            [table.id, table.comment, table.key, table.foreign_keys, [[each.name, each.comment, each.values] for each in table.columns]]
            for table in by_id.values()
        ]
        cells = (cell for shape in shapes for column in shape.columns for cell in column.cells)
        keys = frozenset(key for cell in cells for condition in (*cell.conditions, *cell.also) for key in condition.needs)
        return cls(sha256(ascii(notes).encode()).hexdigest(), by_id, keys)


@dataclass(frozen=True, slots=True)
class ColumnDescription:
    name: str
    type: str
    """The platform's name of the type."""
    comment: str
    mask: str
    """The mask in words; empty if every row shows the value itself."""
    values: tuple[str, ...]
    """All values that the platform allows, or empty."""


@dataclass(frozen=True, slots=True)
class TableDescription:
    comment: str
    key: tuple[str, ...]
    """The columns of the primary key, or empty."""
    joins: tuple[ForeignKey, ...]
    """Foreign keys to tables that the role reads."""
    columns: Mapping[str, ColumnDescription]


Person = Attributes | None
"""The attributes of the person; None: the words name attributes and not their values, for a reader who must not know them."""


def describe(tables: Sequence[TableShape], catalog: ProfileCatalog, attributes: Person) -> tuple[TableDescription, ...]:
    """Describe `tables`, which are all tables of a role on its platform. Of `attributes`, those of `mask_keys` are read."""
    clear = {shape.table: frozenset(each.name for each in shape.columns if each.is_clear) for shape in tables}
    return tuple(_table(shape, catalog.tables.get(shape.table), clear, attributes) for shape in tables)


def _table(shape: TableShape, table: Table | None, clear: Mapping[TableId, frozenset[str]], attributes: Person) -> TableDescription:
    known = {} if table is None else {each.name: each for each in table.columns}
    columns = {each.name: _column(each, known.get(each.name), attributes) for each in shape.columns}
    if table is None:
        return TableDescription("", (), (), columns)
    here = clear[table.id]
    joins = (
        each for each in table.foreign_keys if here.issuperset(each.columns) and clear.get(each.table, _NONE).issuperset(each.references)
    )
    return TableDescription(table.comment, table.key if here.issuperset(table.key) else (), tuple(joins), columns)


_NONE: Final[frozenset[str]] = frozenset()


def _column(shape: ColumnShape, column: Column | None, attributes: Person) -> ColumnDescription:
    if column is None:
        return ColumnDescription(shape.name, shape.native_type, "", "" if shape.is_clear else _cells(shape, None, attributes), ())
    if shape.is_clear:
        return ColumnDescription(shape.name, shape.native_type, column.comment, "", column.values)
    return ColumnDescription(shape.name, shape.native_type, column.comment, _cells(shape, column, attributes), ())


def _cells(shape: ColumnShape, column: Column | None, attributes: Person) -> str:
    limits = None if column is None else column.limits

    def shown(cell: Cell) -> str:
        mask = mask_words(cell.mask if carries(cell.mask, shape.family, limits) else Nullify())
        tests = [_any(each, attributes) for each in (cell.conditions, cell.also) if each]
        return f"{mask} where {_all(tests)}" if tests else mask

    cells = [shown(each) for each in shape.cells]
    return "; else ".join([*cells, mask_words(Nullify())] if shape.cells[-1].conditions else cells)


def visible_rows(shape: TableShape, attributes: Person) -> str:
    """Return the visible rows in words, with the person's values; empty: every row."""
    every_row = any(each.predicate is None for each in shape.rows)
    return _all([_any(each, attributes) for each in (*(() if every_row else (shape.rows,)), *shape.restrictions)])


def _all(alternatives: Sequence[str]) -> str:
    return alternatives[0] if len(alternatives) == 1 else " and ".join(f"({each})" for each in alternatives)


def _any(conditions: Sequence[Condition], attributes: Person) -> str:
    texts = ["every row" if each.predicate is None else condition_words(each.predicate, attributes) for each in conditions]
    return texts[0] if len(texts) == 1 else " or ".join(f"({each})" for each in texts)


def mask_words(mask: Mask) -> str:
    """Complete the sentence "the column shows"."""
    match mask:
        case Clear():
            return "the value"
        case Partial(keep_last) if keep_last > 0:
            return f"*** and its last {keep_last} characters, at most half of it"
        case Partial():
            return "***"
        case Round(step):
            return f"the number rounded toward zero to a multiple of {step}"
        case DateTrunc(unit):
            return f"the start of its {unit.value.lower()}"
        case Regex(pattern, replacement):
            return f"the text with each match of {_quoted(pattern)} replaced by {_quoted(replacement)}, and *** if there is none"
        case Hash():
            return "a hash under a secret, equal for equal values"
        case Constant(value):
            return f"always {_quoted(value)}"
        case Nullify():
            return "NULL"
        case _:
            assert_never(mask)


def condition_words(predicate: Predicate, attributes: Person) -> str:
    """Return the condition with values of `attributes` in place of `user_attr`: `country in (DE, AT)`. Long values and lists are
    truncated."""

    def part(each: Predicate) -> str:
        return f"({condition_words(each, attributes)})" if isinstance(each, And | Or) else condition_words(each, attributes)

    match predicate:
        case Comparison(column, operator, literal):
            return f"{_name(column)} {operator.value} {_value(literal)}"
        case Membership(column, literals):
            return f"{_name(column)} in ({_list([_value(each) for each in literals])})"
        case AttributeMembership(column, attribute):
            return f"{_name(column)} in ({_values(attribute, attributes)})"
        case Range(column, low, high):
            return f"{_name(column)} between {_value(low)} and {_value(high)}"
        case NullTest(column, is_null):
            return f"{_name(column)} is {'' if is_null else 'not '}null"
        case And(parts):
            return " and ".join(map(part, parts))
        case Or(parts):
            return " or ".join(map(part, parts))
        case Not(negated):
            return f"not {part(negated)}"
        case _:
            assert_never(predicate)


def _values(attribute: str, attributes: Person) -> str:
    if attributes is None:
        return f"user attribute {_text(attribute)}"
    return _list([_text(each) for each in attributes.values(attribute)])


def _list(items: Sequence[str]) -> str:
    return ", ".join(items if len(items) <= _MOST_VALUES else [*items[:_MOST_VALUES], f"and {len(items) - _MOST_VALUES} more"])


def _name(column: ColumnReference) -> str:
    return column.name if _BARE_NAME.fullmatch(column.name) else json.dumps(column.name)


def _value(literal: Value) -> str:
    return spelling(literal) if isinstance(literal, Moment) else _text(literal.text)


def _text(value: str) -> str:
    return value if len(value) <= _LONGEST and _BARE_VALUE.fullmatch(value) else _quoted(value)


def _quoted(value: str) -> str:
    shown = "".join(each if each.isprintable() else " " for each in value[:_LONGEST])
    end = "…" if len(value) > _LONGEST else ""
    return "'" + shown.replace("'", "''") + end + "'"

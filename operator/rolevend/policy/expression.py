"""A row predicate as a value: a closed union, small enough that each platform renders it without a library.

SQL's three-valued logic applies; at the top level NULL counts as false.
"""

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import assert_never

from rolevend.catalog import Family
from rolevend.policy.literal import Moment, spelling


class Operator(enum.Enum):
    EQUAL = "="
    NOT_EQUAL = "<>"
    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="

    @property
    def flipped(self) -> "Operator":
        """The operator for exchanged operands."""
        return Operator(self.value.translate({ord("<"): ">", ord(">"): "<"}) if self is not Operator.NOT_EQUAL else self.value)


@dataclass(frozen=True, slots=True)
class TagReference:
    """`col('key')` or `col('key', 'value')`: the one column of a table that carries this tag."""

    key: str
    value: str | None = None
    """None: any value."""


@dataclass(frozen=True, slots=True)
class ColumnReference:
    """A column. Until the predicate is bound to a table, `family` is OTHER and `native_type` is empty."""

    name: str
    family: Family = Family.OTHER
    native_type: str = ""


@dataclass(frozen=True, slots=True)
class TaggedColumn(ColumnReference):
    """A column whose name is known only after the predicate is bound."""

    tag: TagReference = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class Literal:
    """The text of a value; once bound, canonical for its column's family: `true`, `42`, `2024-01-31`, `2024-01-31T10:00:00`."""

    text: str
    quoted: bool
    """True if the policy wrote it as 'text', False if bare (a number or a boolean)."""


Value = Literal | Moment


@dataclass(frozen=True, slots=True)
class Comparison:
    column: ColumnReference
    operator: Operator
    literal: Value


@dataclass(frozen=True, slots=True)
class Membership:
    """`column IN (literals)`; at least one literal."""

    column: ColumnReference
    literals: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class AttributeMembership:
    """`column IN (user_attr('attribute'))`: equals one of the user's values, which are lease data, never SQL text."""

    column: ColumnReference
    attribute: str


@dataclass(frozen=True, slots=True)
class Range:
    """`column BETWEEN low AND high`, both included."""

    column: ColumnReference
    low: Value
    high: Value


@dataclass(frozen=True, slots=True)
class NullTest:
    column: ColumnReference
    is_null: bool


@dataclass(frozen=True, slots=True)
class And:
    parts: "tuple[Predicate, ...]"


@dataclass(frozen=True, slots=True)
class Or:
    parts: "tuple[Predicate, ...]"


@dataclass(frozen=True, slots=True)
class Not:
    part: "Predicate"


Predicate = Comparison | Membership | AttributeMembership | Range | NullTest | And | Or | Not

Atom = Comparison | Membership | AttributeMembership | Range | NullTest
"""A test of one column."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One grant's row filter. It holds only if every attribute in `needs` is present and not empty."""

    needs: tuple[str, ...]
    predicate: Predicate | None
    """Bound to the table. None: every row."""


def atoms(predicate: Predicate) -> Iterator[Atom]:
    """Yield every test of a column, from left to right."""
    match predicate:
        case And(parts) | Or(parts):
            for part in parts:
                yield from atoms(part)
        case Not(part):
            yield from atoms(part)
        case Comparison() | Membership() | AttributeMembership() | Range() | NullTest():
            yield predicate
        case _:
            assert_never(predicate)


def attributes(predicate: Predicate) -> tuple[str, ...]:
    """Return the user attributes that `predicate` reads, sorted."""
    return tuple(sorted({atom.attribute for atom in atoms(predicate) if isinstance(atom, AttributeMembership)}))


def render(predicate: Predicate) -> str:
    """Return the canonical text of `predicate`, which `parse` reads back as the same value.

    For explanations and comparison only: each platform renders the value in its own dialect.
    """
    match predicate:
        case Comparison(column, operator, literal):
            return f"{_name(column)} {operator.value} {_literal(literal)}"
        case Membership(column, literals):
            return f"{_name(column)} IN ({', '.join(map(_literal, literals))})"
        case AttributeMembership(column, attribute):
            return f"{_name(column)} IN (user_attr({_quoted(attribute)}))"
        case Range(column, low, high):
            return f"{_name(column)} BETWEEN {_literal(low)} AND {_literal(high)}"
        case NullTest(column, is_null):
            return f"{_name(column)} IS {'' if is_null else 'NOT '}NULL"
        case And(parts):
            return " AND ".join(map(_part, parts))
        case Or(parts):
            return " OR ".join(map(_part, parts))
        case Not(part):
            return f"NOT {_part(part)}"
        case _:
            assert_never(predicate)


def _part(predicate: Predicate) -> str:
    return f"({render(predicate)})" if isinstance(predicate, And | Or) else render(predicate)


def _name(column: ColumnReference) -> str:
    if isinstance(column, TaggedColumn):
        return f"col({', '.join(_quoted(part) for part in (column.tag.key, column.tag.value) if part is not None)})"
    return '"' + column.name.replace('"', '""') + '"'


def _literal(literal: Value) -> str:
    if isinstance(literal, Moment):
        return spelling(literal)
    return _quoted(literal.text) if literal.quoted else literal.text


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"

"""Detect row filters that are constant, however they are written: `a <> 1 OR a <> 2`, `a < 5 OR NOT a < 5`.

The filter is evaluated with every literal of each column and with values before, between and after them. Unknown facts (a user's values,
the time, the collation of texts) may take either outcome. So a result is always right, but a filter with many columns may get no result.
Before types are known, only a result that holds for every type counts; the check is repeated once the filter is bound to a table.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import product
from math import prod
from typing import Any, Final

from rolevend.catalog import Family
from rolevend.policy.expression import (
    And,
    Atom,
    AttributeMembership,
    Comparison,
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
from rolevend.policy.literal import Moment, canonical

MOST_WORK: Final = 20_000
"""The maximum number of comparisons over all trials."""

_Key = tuple[object, ...]
"""Identifies a column, or a test with unknown outcome."""
_State = tuple[int, ...]
"""A trial value of a column: its position among the literals, and its order relative to each value of unknown order."""
_Trial = Mapping[_Key, _State | None]
"""None: NULL. A test of unknown outcome has the one number 0 or 1."""

_BARE: Final = ("true", "false")
_EQUALITY: Final = (Operator.EQUAL, Operator.NOT_EQUAL)
_IN_ORDER: Final[Mapping[Family, Any]] = {
    Family.INTEGER: int,
    Family.NUMERIC: Decimal,
    Family.FLOAT: float,
    Family.BOOLEAN: ("false", "true").index,
    Family.DATE: date.fromisoformat,
    Family.TIMESTAMP: datetime.fromisoformat,
    Family.TIMESTAMP_TZ: datetime.fromisoformat,
}
"""The Python value of a canonical text, for families whose order is the same on every platform."""

_HOLDS = {
    Operator.EQUAL: lambda order: order == 0,
    Operator.NOT_EQUAL: lambda order: order != 0,
    Operator.LESS: lambda order: order < 0,
    Operator.LESS_OR_EQUAL: lambda order: order <= 0,
    Operator.GREATER: lambda order: order > 0,
    Operator.GREATER_OR_EQUAL: lambda order: order >= 0,
}


def constant_value(predicate: Predicate) -> tuple[str, str] | None:
    """Return the problem and a way out if the predicate is constant, else None."""
    match constant(predicate):
        case True:
            return "this is true in every row that has a value", "join with AND what must all hold, or leave the filter out"
        case False:
            return "this is true in no row", "join with OR what may hold instead, and write the smaller bound first"
        case None:
            return None


def constant(predicate: Predicate) -> bool | None:
    """Return True if it holds in every row in which the columns without a test for NULL have a value, False if it holds in no row, None if
    neither was found.
    """
    outcomes = _outcomes(predicate)
    if outcomes is not None:
        return outcomes.pop() if len(outcomes) == 1 else None
    match predicate:
        case Or(parts) if any(_outcomes(part) == {True} for part in _by_column(parts, Or)):
            return True
        case And(parts) if any(_outcomes(part) == {False} for part in _by_column(parts, And)):
            return False
    return None


def _by_column(parts: Sequence[Predicate], kind: type[And] | type[Or]) -> Iterator[Predicate]:
    """Group the parts that read only one column by that column."""
    groups: dict[_Key, list[Predicate]] = {}
    for part in parts:
        columns = {_column(atom) for atom in atoms(part)}
        if len(columns) == 1:
            groups.setdefault(columns.pop(), []).append(part)
    return (kind(tuple(group)) if len(group) > 1 else group[0] for group in groups.values())


def _outcomes(predicate: Predicate) -> set[bool] | None:
    """Return the possible outcomes, or None if there are too many trials."""
    tests = list(dict.fromkeys(atoms(predicate)))
    columns = {column: _Column.of([test for test in tests if _column(test) == column]) for column in dict.fromkeys(map(_column, tests))}
    unknown = [test for test in tests if not isinstance(test, NullTest) and columns[_column(test)].is_unknown(test)]
    trials = prod(column.trials for column in columns.values()) * 2 ** len(unknown)
    if trials * sum(len(_values(test)) or 1 for test in tests) > MOST_WORK:
        return None
    options: dict[_Key, Sequence[_State | None]] = {key: column.states() for key, column in columns.items()}
    options |= {_key(test): [(0,), (1,)] for test in unknown}
    found: set[bool] = set()
    for states in product(*options.values()):
        found.add(_truth(predicate, dict(zip(options, states, strict=True)), columns) is True)
        if len(found) == 2:
            break
    return found


@dataclass(frozen=True, slots=True)
class _Column:
    """The values that a column is compared with."""

    places: Mapping[Literal, int]
    """Odd numbers; an even number is the gap between two literals. Equal literals share a number."""
    tried: Sequence[int]
    loose: Mapping[Value, int]
    """Values of unknown order, with their index in a state."""
    nullable: bool
    opaque: bool
    """True if the column's type decides which of its literals are equal, so that its tests have unknown outcomes."""

    @classmethod
    def of(cls, tests: Sequence[Atom]) -> "_Column":
        """Build it from all tests of the column."""
        family = _family(tests)
        literals = list(dict.fromkeys(value for test in tests for value in _values(test) if isinstance(value, Literal)))
        nullable = any(isinstance(test, NullTest) for test in tests)
        spelled = {literal: literal.text if family is None else canonical(literal.text, family) for literal in literals}
        if None in spelled.values() or (family is None and _may_be_one(literals)):
            return cls({}, (0,), {}, nullable, opaque=True)
        by_date = family is None and all(canonical(literal.text, Family.DATE) is not None for literal in literals)
        read = _IN_ORDER.get(Family.DATE if by_date else family or Family.TEXT)
        values = {literal: text if read is None else read(text) for literal, text in spelled.items()}
        both = (0, 1) if family is Family.BOOLEAN else ()
        distinct = list(dict.fromkeys(values.values())) if read is None else sorted({*values.values(), *both})
        place = {value: 2 * number + 1 for number, value in enumerate(distinct)}
        compared = [value for test in tests if _compares(test) for value in _values(test)] if read is None else []
        moments = [value for test in tests for value in _values(test) if isinstance(value, Moment)]
        loose = {value: number for number, value in enumerate(dict.fromkeys([*compared, *moments]), start=1)}
        between = () if read is None or both else range(2, 2 * len(place) + 1, 2)
        tried = [*place.values(), *between, *(() if both else (0,))]
        return cls({literal: place[value] for literal, value in values.items()}, tried, loose, nullable, opaque=False)

    @property
    def trials(self) -> int:
        return len(self.tried) * prod(len(_orders(value)) for value in self.loose) + self.nullable

    def states(self) -> list[_State | None]:
        known: list[_State | None] = list(product(self.tried, *map(_orders, self.loose)))
        return [*known, None] if self.nullable else known

    def order(self, state: _State, value: Value) -> int:
        """Compare the trial value with `value`: negative, 0 or positive."""
        if isinstance(value, Literal) and (value not in self.loose or state[0] == self.places[value]):
            return state[0] - self.places[value]
        return state[self.loose[value]]

    def is_unknown(self, test: Atom) -> bool:
        """True if its outcome is known only when the query runs."""
        return self.opaque or isinstance(test, AttributeMembership)


def _family(tests: Sequence[Atom]) -> Family | None:
    """Return the family of the column; for an unbound column that of its bare literals, or None."""
    (family,) = {test.column.family for test in tests}
    if family is not Family.OTHER:
        return family
    bare = [value.text for test in tests for value in _values(test) if isinstance(value, Literal) and not value.quoted]
    return None if not bare else Family.BOOLEAN if all(text in _BARE for text in bare) else Family.NUMERIC


def _may_be_one(literals: Sequence[Literal]) -> bool:
    """True if two of them are the same value in a column of some type, like `1` and `01`."""
    texts = {literal.text for literal in literals}
    spelled = ([canonical(text, family) for text in texts] for family in Family)
    return any(len(set(known)) < len(known) for each in spelled if (known := [text for text in each if text is not None]))


def _orders(value: Value) -> Sequence[int]:
    """Return the possible orders: a different text sorts before or after; a moment may also be equal."""
    return (-1, 0, 1) if isinstance(value, Moment) else (-1, 1)


def _compares(test: Atom) -> bool:
    """True if the test depends on the order of values."""
    return isinstance(test, Range) or (isinstance(test, Comparison) and test.operator not in _EQUALITY)


def _truth(predicate: Predicate, trial: _Trial, columns: Mapping[_Key, _Column]) -> bool | None:
    match predicate:
        case And(parts):
            found = {_truth(part, trial, columns) for part in parts}
            return False if False in found else None if None in found else True
        case Or(parts):
            found = {_truth(part, trial, columns) for part in parts}
            return True if True in found else None if None in found else False
        case Not(part):
            inner = _truth(part, trial, columns)
            return None if inner is None else not inner
        case NullTest(_, is_null):
            return (trial[_column(predicate)] is None) == is_null
        case _:
            return _test(predicate, trial, columns[_column(predicate)])


def _test(test: Atom, trial: _Trial, column: _Column) -> bool | None:
    state = trial[_column(test)]
    if state is None:
        return None
    if column.is_unknown(test):
        return trial[_key(test)] == (1,)
    orders = [column.order(state, value) for value in _values(test)]
    match test:
        case Comparison(_, operator, _):
            return bool(_HOLDS[operator](orders[0]))
        case Range():
            return orders[0] >= 0 >= orders[1]
        case _:
            return 0 in orders


def _values(test: Atom) -> Sequence[Value]:
    match test:
        case Comparison(_, _, value):
            return (value,)
        case Range(_, low, high):
            return (low, high)
        case Membership(_, literals):
            return literals
        case _:
            return ()


def _column(test: Atom) -> _Key:
    return (test.column,)


def _key(test: Atom) -> _Key:
    return (test,)

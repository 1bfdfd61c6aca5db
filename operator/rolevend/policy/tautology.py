"""Whether a row filter is the same in every row, however it is written: `a <> 1 OR a <> 2`, `a < 5 OR NOT a < 5`.

A filter is tried with every literal of each column and with what lies before, between and behind them. What cannot be known, such
as the values of a user, may be either. So an answer is never wrong; a filter with many columns may get none.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import product
from math import prod
from typing import Final

from rolevend.policy.expression import (
    And,
    Atom,
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
from rolevend.policy.vocabulary import Source

MOST_WORK: Final = 20_000
"""Comparisons with a literal, over all trials."""

_Key = tuple[object, ...]
"""What tells two columns, or two tests that are not looked into, from each other."""
_Trial = Mapping[_Key, int | None]
"""A column -> the place of its value in the order of the literals (None: NULL); a test of unknown outcome -> 0 or 1."""

_HOLDS = {
    Operator.EQUAL: lambda left, right: left == right,
    Operator.NOT_EQUAL: lambda left, right: left != right,
    Operator.LESS: lambda left, right: left < right,
    Operator.LESS_OR_EQUAL: lambda left, right: left <= right,
    Operator.GREATER: lambda left, right: left > right,
    Operator.GREATER_OR_EQUAL: lambda left, right: left >= right,
}


def tells_rows_apart(source: Source, predicate: Predicate) -> None:
    """Raises InvalidInput where it was found that it does not."""
    match constant(predicate):
        case True:
            raise source.fault(0, "this is true in every row that has a value", "join with AND what must all hold, or leave the filter out")
        case False:
            raise source.fault(0, "this is true in no row", "join with OR what may hold instead, and write the smaller bound first")


def constant(predicate: Predicate) -> bool | None:
    """True where it holds in every row in which the columns that are not tested for NULL have a value, False where it holds in
    none, None where neither was found."""
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
    """The parts that are about one column only, those of a column together."""
    groups: dict[_Key, list[Predicate]] = {}
    for part in parts:
        columns = {_column(atom) for atom in atoms(part)}
        if len(columns) == 1:
            groups.setdefault(columns.pop(), []).append(part)
    return (kind(tuple(group)) if len(group) > 1 else group[0] for group in groups.values())


def _outcomes(predicate: Predicate) -> set[bool] | None:
    """What the predicate can be, or None where there is too much to try."""
    tests = list(dict.fromkeys(atoms(predicate)))
    places = _Places.of(tests)
    trials = prod(len(options) for options in places.options.values())
    if trials * sum(len(_values(test)) or 1 for test in tests) > MOST_WORK:
        return None
    found: set[bool] = set()
    for values in product(*places.options.values()):
        found.add(_truth(predicate, dict(zip(places.options, values, strict=True)), places) is True)
        if len(found) == 2:
            break
    return found


@dataclass(frozen=True, slots=True)
class _Places:
    literals: Mapping[_Key, Mapping[object, int]]
    """For each column its literals and their places; between two places lies one for all that is between them."""
    options: Mapping[_Key, Sequence[int | None]]
    """What is tried."""

    @classmethod
    def of(cls, tests: Sequence[Atom]) -> "_Places":
        literals: dict[_Key, dict[object, int]] = {}
        options: dict[_Key, list[int | None]] = {}
        for column in dict.fromkeys(map(_column, tests)):
            mine = [test for test in tests if _column(test) == column]
            known = [value for test in mine for value in _values(test) if isinstance(value, Literal)]
            boolean = bool(known) and all(not each.quoted and each.text in ("true", "false") for each in known)
            ordered = ["false", "true"] if boolean else sorted({_sortable(each, known) for each in known}, key=_by_kind)
            literals[column] = {literal: 2 * place + 1 for place, literal in enumerate(ordered)}
            options[column] = [1, 3] if boolean else list(range(2 * len(ordered) + 1))
            if any(isinstance(test, NullTest) for test in mine):
                options[column].append(None)
            options |= {_key(test): [0, 1] for test in mine if _is_unknown(test)}
        return cls(literals, options)

    def place(self, test: Atom, value: Value) -> int:
        known = self.literals[_column(test)]
        assert isinstance(value, Literal)  # noqa: S101 - others are unknown
        return known[value.text] if value.text in known else known[Decimal(value.text)]


def _truth(predicate: Predicate, trial: _Trial, places: _Places) -> bool | None:
    match predicate:
        case And(parts):
            found = {_truth(part, trial, places) for part in parts}
            return False if False in found else None if None in found else True
        case Or(parts):
            found = {_truth(part, trial, places) for part in parts}
            return True if True in found else None if None in found else False
        case Not(part):
            inner = _truth(part, trial, places)
            return None if inner is None else not inner
        case NullTest(_, is_null):
            return (trial[_column(predicate)] is None) == is_null
        case _:
            return _test(predicate, trial, places)


def _test(test: Atom, trial: _Trial, places: _Places) -> bool | None:
    actual = trial[_column(test)]
    if actual is None:
        return None
    if _is_unknown(test):
        return trial[_key(test)] == 1
    found = [places.place(test, value) for value in _values(test)]
    match test:
        case Comparison(_, operator, _):
            return bool(_HOLDS[operator](actual, found[0]))
        case Range():
            return found[0] <= actual <= found[1]
        case _:
            return actual in found


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


def _is_unknown(test: Atom) -> bool:
    """Whether it compares with what only the query knows: the user's values, the clock."""
    return not isinstance(test, NullTest) and not (_values(test) and all(isinstance(value, Literal) for value in _values(test)))


def _sortable(literal: Literal, beside: Sequence[Literal]) -> object:
    """A number where a number stands bare beside it; else the text, whose order is right for dates and a guess for words."""
    if any(not each.quoted and each.text not in ("true", "false") for each in beside):
        try:
            return Decimal(literal.text)
        except InvalidOperation:
            pass
    return literal.text


def _by_kind(literal: object) -> tuple[str, object]:
    return type(literal).__name__, literal


def _column(test: Atom) -> _Key:
    return (test.column,)


def _key(test: Atom) -> _Key:
    return (test,)

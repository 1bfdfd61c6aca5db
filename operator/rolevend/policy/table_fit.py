"""Fit a statement to a table: the columns that it selects, a bound condition, its demands on a user, and the problems."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from rolevend.catalog import Column, Family, Table, TableId, TypeLimits, matcher
from rolevend.errors import InvalidInput
from rolevend.policy.binding import bind, candidates
from rolevend.policy.expression import AttributeMembership, ColumnReference, Condition, Predicate, atoms, attributes
from rolevend.policy.mask import Mask, Nullify, beyond, carries, clashing, strictest
from rolevend.policy.requirement import tag_test
from rolevend.policy.statement import ColumnSelector, MaskRule
from rolevend.policy.tautology import constant_value

EACH_HIDES = "each shows what the other hides"
"""The reason for masks that are `clashing`."""


@dataclass(frozen=True, slots=True)
class SelectedColumn:
    mask: Mask
    given: tuple[Mask, ...] = ()
    """The masks of the matching rules, as the column's type can hold them. `mask` shows no more than any of them."""
    dropped: tuple[Mask, ...] = ()
    """Masks that the column's type cannot hold: the reason why `mask` is Nullify."""


def column_choice(columns: ColumnSelector, masks: Iterable[MaskRule]) -> Callable[[Column], SelectedColumn | None]:
    """Return a function that returns None if the statement does not select a column, else the strictest of the matching masks."""
    selected = column_test(columns, unknown=False)
    # By name: of two constants the rule that sorts first wins.
    rules = [(column_test(rule.columns, unknown=True), rule) for rule in sorted(masks, key=lambda rule: rule.name)]
    answers: dict[tuple[tuple[Mask, ...], Family, TypeLimits | None], SelectedColumn] = {}

    def choose(column: Column) -> SelectedColumn | None:
        if not selected(column):
            return None
        given = tuple([rule.mask for applies, rule in rules if applies(column)])
        key = given, column.family, column.limits
        if key not in answers:
            answers[key] = _choice(*key)
        return answers[key]

    return choose


def _choice(given: Sequence[Mask], family: Family, limits: TypeLimits | None) -> SelectedColumn:
    carried = tuple(mask if carries(mask, family, limits) else Nullify() for mask in given)
    return SelectedColumn(strictest(carried), carried, tuple(mask for mask in given if not carries(mask, family, limits)))


def column_test(selector: ColumnSelector, *, unknown: bool) -> Callable[[Column], bool]:
    """Return a test of columns. `unknown`: see `requirement.tag_test`; True for masks, so that they apply without tags."""
    if not selector.tags and not selector.names:
        return lambda _: False
    tagged, named = tag_test(selector.tags, unknown=unknown), matcher(selector.names or ("*",))
    return lambda column: tagged(column.tags) and named(column.name)


@dataclass(frozen=True, slots=True)
class Demand:
    """The user must have `attribute`, and each of its values must fit a column of `family`."""

    attribute: str
    family: Family


@dataclass(frozen=True, slots=True)
class PolicyProblem:
    """A part of a policy that is not valid; `table` is None if it concerns the whole policy."""

    table: TableId | None
    field: str
    message: str


@dataclass(frozen=True, slots=True)
class MaskFallback:
    """A column that is NULL instead of masked, because its type cannot hold `mask`, or because `mask` and another mask each show a part
    that the other hides.
    """

    table: TableId
    column: str
    mask: Mask
    message: str


def conditions(row_filter: Predicate | None, otherwise: str, field: str = "spec.rowFilter") -> Callable[[Table], Condition | PolicyProblem]:
    """Return a function that binds `row_filter` to a table; `otherwise` is the consequence for a table where that fails.

    Tables whose filtered columns have the same types share one condition object.
    """
    references = references_of(row_filter)
    bound: dict[tuple[tuple[str, Family, str] | None, ...], Condition | str] = {}

    def condition(table: Table) -> Condition | PolicyProblem:
        if table.obstacle:
            return PolicyProblem(table.id, "spec.tables", f"{table.id} {table.obstacle}: it {otherwise}")
        columns = [candidates(table, reference) for reference in references]
        types = tuple((each[0].name, each[0].family, each[0].native_type) if len(each) == 1 else None for each in columns)
        if types not in bound:
            try:
                predicate = None if row_filter is None else bind(row_filter, table, field)
            except InvalidInput as error:
                return PolicyProblem(table.id, error.field, f"{error.message} ({table.id} {otherwise})")
            wrong = None if predicate is None else constant_value(predicate)  # some constants are detected only with types
            bound[types] = "; ".join(wrong) if wrong else Condition(() if predicate is None else attributes(predicate), predicate)
        found = bound[types]
        return PolicyProblem(table.id, field, f"{found} ({table.id} {otherwise})") if isinstance(found, str) else found

    return condition


def references_of(row_filter: Predicate | None) -> tuple[ColumnReference, ...]:
    """Return the columns that a filter reads, without duplicates."""
    return () if row_filter is None else tuple(dict.fromkeys(atom.column for atom in atoms(row_filter)))


def demands_of(condition: Condition) -> tuple[Demand, ...]:
    tests = () if condition.predicate is None else atoms(condition.predicate)
    found = {Demand(test.attribute, test.column.family) for test in tests if isinstance(test, AttributeMembership)}
    return tuple(sorted(found, key=lambda demand: (demand.attribute, demand.family.value)))


def in_order(demands: tuple[Demand, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((demand.attribute, demand.family.value) for demand in demands)


def fallbacks_of(table: TableId, column: Column, choice: SelectedColumn) -> Iterator[MaskFallback]:
    for mask in choice.dropped:
        why = beyond(mask, column.family, column.limits)
        what = f"{type(mask).__name__}, since {why}" if why else type(mask).__name__
        shown = f"column {column.name} of {table} is {column.native_type}, which cannot show {what}: it is NULL instead"
        yield MaskFallback(table, column.name, mask, shown)
    if clash := clashing(choice.given):
        shown = f"column {column.name} of {table} has the masks {_listed(clash)}, and {EACH_HIDES}: it is NULL instead"
        yield MaskFallback(table, column.name, clash[0], shown)


def _listed(masks: Iterable[Mask]) -> str:
    return " and ".join(type(mask).__name__ for mask in masks)

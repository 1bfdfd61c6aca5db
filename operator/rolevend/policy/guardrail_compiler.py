"""Compile guardrails for a catalog: the restraints of each guardrail on each table, independent of users.

A guardrail grants nothing. If a part of it is not valid for a table (a row restriction on a missing column), it denies the table to the
users that it applies to, and its report says so.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from rolevend.catalog import Table
from rolevend.policy.bitmap import first, places, union
from rolevend.policy.expression import Condition
from rolevend.policy.mask import Clear, Mask
from rolevend.policy.postings import Postings
from rolevend.policy.requirement import Facts, may_meet
from rolevend.policy.statement import ColumnSelector, Guardrail, MaskRule, Requirement, column_selectors
from rolevend.policy.statement_matches import NOTHING, TABLES, StatementMatches, fallbacks, presence, unshown
from rolevend.policy.table_fit import (
    Demand,
    MaskFallback,
    PolicyProblem,
    column_choice,
    column_test,
    conditions,
    demands_of,
    in_order,
    references_of,
)


@dataclass(frozen=True, slots=True)
class Restraint:
    """The restraints of one guardrail on one table."""

    guardrail: str
    denies_table: bool = False
    denied_columns: frozenset[str] = frozenset()
    condition: Condition | None = None
    """Only rows where it holds are shown; None: every row."""
    floors: tuple[tuple[str, Mask], ...] = ()
    """For each column with a floor: a mask that limits what is shown. All masks of a column apply."""
    denies_lookup: bool = False
    """Treat no column as a lookup column."""


@dataclass(frozen=True, slots=True)
class RestraintSet:
    """Tables on which a guardrail has the same effect and the same demands on the user. It denies them to a user who lacks a demand."""

    demands: tuple[Demand, ...]
    tables: int
    """A bitmap of indexes in `Index.tables`."""
    denies_table: bool = False
    denies_columns: bool = False


@dataclass(frozen=True, slots=True)
class CompiledGuardrail:
    statement: Guardrail
    restraint_sets: tuple[RestraintSet, ...]
    """Disjoint in their tables."""
    restraint: Callable[[Table], Restraint] = field(compare=False, repr=False)
    """Return the restraint for a table of `restraint_sets`."""

    @property
    def name(self) -> str:
        return self.statement.name

    @property
    def users(self) -> tuple[Requirement, ...]:
        return self.statement.users

    @property
    def reads(self) -> frozenset[str]:
        """The user attributes that it reads."""
        demands = {demand.attribute for each in self.restraint_sets for demand in each.demands}
        return frozenset(demands.union(requirement.key for requirement in self.users))


@dataclass(frozen=True, slots=True)
class GuardrailReport:
    """The result of compiling one guardrail, for its conditions."""

    guardrail: str
    tables: int
    """The number of tables that it restricts."""
    columns: int
    """The number of columns that it denies or has a floor for, including all columns of denied tables."""
    problems: tuple[PolicyProblem, ...]
    mask_fallbacks: tuple[MaskFallback, ...]
    unknown: tuple[PolicyProblem, ...] = ()
    """Names and tags that match nothing: a selector with `In` or `Exists` on one of them has no effect."""
    idle: tuple[PolicyProblem, ...] = ()
    """Denials and floors with names that match no column of the selected tables, and so have no effect. Those with tags only are not
    reported: they may precede the first tag.
    """


Does = tuple[tuple[Demand, ...], bool, bool]
"""The demands on a user, whether it denies the table, and whether it denies columns."""
_DENIES: Final[Does] = ((), True, False)


class GuardrailCompiler:
    """The compiler of one guardrail."""

    def __init__(self, guardrail: Guardrail) -> None:
        self.guardrail = guardrail
        self._denied = guardrail.denied_columns or ColumnSelector()
        self._floors = [rule for rule in guardrail.mask_floors if rule.mask != Clear()]
        self._fields = [field for field, _ in column_selectors(guardrail)]
        self._is_denied = column_test(self._denied, unknown=True)
        self._floor_of = column_choice(ColumnSelector(names=("*",)), self._floors)
        self._restriction_of = conditions(guardrail.row_restriction, "is denied to whom this concerns", "spec.rowRestriction")

    def restraint(self, table: Table) -> Restraint:
        guardrail = self.guardrail
        condition = None if guardrail.denies_tables or guardrail.row_restriction is None else self._restriction_of(table)
        if guardrail.denies_tables or isinstance(condition, PolicyProblem):
            return Restraint(guardrail.name, denies_table=True)
        chosen = ((column.name, choice.given) for column in table.columns if (choice := self._floor_of(column)) is not None)
        denied = frozenset(column.name for column in table.columns if self._is_denied(column))
        floors = tuple((name, mask) for name, given in chosen for mask in dict.fromkeys(given))
        return Restraint(guardrail.name, denied_columns=denied, condition=condition, floors=floors, denies_lookup=guardrail.denies_lookup)

    def outcome(self, postings: Postings, table_at: Callable[[int], Table]) -> StatementMatches[Does]:
        guardrail = self.guardrail
        # A table that the operator cannot govern is granted to no user.
        selected = postings.selected(guardrail.tables, None, unknown=True) & ~postings.obstructed
        if not selected:
            return NOTHING
        if guardrail.denies_tables:
            return StatementMatches({_DENIES: selected}, postings.count(postings.every_kind, selected))
        denied, rules = self._kinds(postings)
        kinds = denied | union(found for _, found in rules)
        hiding, touched = postings.having(denied), selected if guardrail.denies_lookup else postings.having(kinds)
        problems: dict[int, PolicyProblem] = {}
        sets: dict[Does, int] = {}

        def put(does: Does, tables: int) -> None:
            if tables:
                sets[does] = sets.get(does, 0) | tables

        if guardrail.row_restriction is None:
            put(((), False, True), selected & hiding)
            put(((), False, False), selected & touched & ~hiding)
        for part in postings.alike(references_of(guardrail.row_restriction), selected if guardrail.row_restriction else 0):
            condition = self._restriction_of(table_at(first(part)))
            if isinstance(condition, PolicyProblem):
                put(_DENIES, part)
                problems |= {
                    place: found for place in places(part) if isinstance(found := self._restriction_of(table_at(place)), PolicyProblem)
                }
            else:
                put((demands_of(condition), False, True), part & hiding)
                put((demands_of(condition), False, False), part & ~hiding)
        narrowed = union(tables for does, tables in sets.items() if does != _DENIES)
        mask_fallbacks = fallbacks(unshown(rules, postings), narrowed, postings, table_at, self._floor_of)
        of_floors = {rule.name: each for rule, each in rules}
        floors = [of_floors.get(rule.name, 0) for rule in guardrail.mask_floors]
        there = presence(self._fields, [denied, *floors], selected, postings)
        return StatementMatches(sets, self.columns(sets, postings), problems, mask_fallbacks, there)

    def columns(self, sets: Mapping[Does, int], postings: Postings) -> int:
        denied, rules = self._kinds(postings)
        narrowed = union(tables for does, tables in sets.items() if does != _DENIES)
        count = postings.count(denied | union(kinds for _, kinds in rules), narrowed) if narrowed else 0
        return count + postings.count(postings.every_kind, sets.get(_DENIES, 0))

    def _kinds(self, postings: Postings) -> tuple[int, list[tuple[MaskRule, int]]]:
        """Return the kinds of columns that it denies, and for each floor its kinds."""
        return postings.kinds(self._denied, unknown=True), [(rule, postings.kinds(rule.columns, unknown=True)) for rule in self._floors]


def compiled_guardrail(restraining: GuardrailCompiler, outcome: StatementMatches[Does]) -> CompiledGuardrail:
    ordered = sorted(outcome.sets, key=lambda does: (in_order(does[0]), does[1:]))
    sets = tuple(RestraintSet(demands, outcome.sets[demands, table, columns], table, columns) for demands, table, columns in ordered)
    return CompiledGuardrail(restraining.guardrail, sets, restraining.restraint)


def guardrail_report(guardrail: Guardrail, outcome: StatementMatches[Does], unknown: tuple[PolicyProblem, ...]) -> GuardrailReport:
    return GuardrailReport(guardrail.name, outcome.tables, outcome.columns, *outcome.findings, unknown, tuple(_idle(guardrail, outcome)))


def _idle(guardrail: Guardrail, outcome: StatementMatches[Does]) -> Iterator[PolicyProblem]:
    if outcome.found.get(TABLES):
        for field_, selector in column_selectors(guardrail):
            if selector.names and not outcome.found[field_]:
                yield PolicyProblem(
                    None, field_, f"{field_}: this is for no column of the tables, so it takes nothing away; check names and tags"
                )


def concerns(guardrail: CompiledGuardrail, facts: Facts) -> bool:
    """True unless the known facts exclude the user from the guardrail."""
    return all(may_meet(requirement, facts) for requirement in guardrail.users)


def floors_of(restraints: Iterable[Restraint]) -> dict[str, tuple[Mask, ...]]:
    """Return all floors of each column that has one, ordered by guardrail name.

    They are not merged into one mask here: the strictest mask of two floors and a grant can differ from that of the two floors alone.
    """
    floors: dict[str, tuple[Mask, ...]] = {}
    for restraint in sorted(restraints, key=lambda each: each.guardrail):
        for name, mask in restraint.floors:
            floors[name] = (*floors.get(name, ()), mask)
    return floors

"""Guardrails, compiled for a catalog: what each of them takes away from each table, whoever asks. It grants nothing.

Whatever does not hold for a table (a row restriction on a column that is not there) denies the table to whom the guardrail
concerns, and is told in its report.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rolevend.catalog import Table
from rolevend.policy.expression import Condition
from rolevend.policy.fitting import Demand, MaskFallback, Problem, conditions, demands_of, fallbacks_of, in_order
from rolevend.policy.mask import Clear, Mask, strictness
from rolevend.policy.requirement import Facts, may_meet
from rolevend.policy.selection import column_choice, column_test, table_test
from rolevend.policy.statement import ColumnSelector, Guardrail, Requirement
from rolevend.policy.unknown import Vocabulary, unknown_tags


@dataclass(frozen=True, slots=True)
class Restraint:
    """What one guardrail takes away from one table."""

    guardrail: str
    denies_table: bool = False
    denied_columns: frozenset[str] = frozenset()
    condition: Condition | None = None
    """Rows are shown only where it holds; None: it hides no row."""
    floors: tuple[tuple[str, Mask], ...] = ()
    """The weakest mask of a column, for columns that have one."""


@dataclass(frozen=True, slots=True)
class RestraintSet:
    """One guardrail's restraints whose conditions ask the same of a user. Of a user who lacks it each of them denies its table.
    Tables are places in `Index.tables`, ascending."""

    demands: tuple[Demand, ...]
    restraints: tuple[tuple[int, Restraint], ...]


@dataclass(frozen=True, slots=True)
class CompiledGuardrail:
    name: str
    users: tuple[Requirement, ...]
    restraint_sets: tuple[RestraintSet, ...]

    @property
    def reads(self) -> frozenset[str]:
        """The user attributes that it asks for."""
        demands = {demand.attribute for each in self.restraint_sets for demand in each.demands}
        return frozenset(demands.union(requirement.key for requirement in self.users))


@dataclass(frozen=True, slots=True)
class GuardrailReport:
    """What became of one guardrail, for its conditions."""

    guardrail: str
    tables: int
    """How many it takes something away from."""
    columns: int
    """How many of their columns it denies or has a floor for; those of a denied table count all."""
    problems: tuple[Problem, ...]
    mask_fallbacks: tuple[MaskFallback, ...]
    unknown: tuple[Problem, ...] = ()
    """Tags that it names and that nothing carries: what rests on one with `In` or `Exists` takes nothing away."""


def compile_guardrail(tables: tuple[Table, ...], guardrail: Guardrail, vocabulary: Vocabulary) -> tuple[CompiledGuardrail, GuardrailReport]:
    restrain = _restraining(guardrail)
    problems: list[Problem] = []
    fallbacks: list[MaskFallback] = []
    by_demands: dict[tuple[Demand, ...], list[tuple[int, Restraint]]] = {}
    count = columns = 0
    for place, table in enumerate(tables):
        restraint = restrain(table, problems, fallbacks)
        if restraint is not None:
            count += 1
            columns += len(table.columns if restraint.denies_table else restraint.denied_columns.union(dict(restraint.floors)))
            demands = () if restraint.condition is None else demands_of(restraint.condition)
            by_demands.setdefault(demands, []).append((place, restraint))
    sets = tuple(RestraintSet(demands, tuple(by_demands[demands])) for demands in sorted(by_demands, key=in_order))
    unknown = tuple(Problem(None, field, message) for field, message in unknown_tags(guardrail, vocabulary))
    report = GuardrailReport(guardrail.name, count, columns, tuple(problems), tuple(fallbacks), unknown)
    return CompiledGuardrail(guardrail.name, guardrail.users, sets), report


def concerns(guardrail: CompiledGuardrail, facts: Facts) -> bool:
    """Whether it binds a user of whom this is known: unless that says that it does not."""
    return all(may_meet(requirement, facts) for requirement in guardrail.users)


def strongest_floors(restraints: Iterable[Restraint]) -> dict[str, Mask]:
    """The floor of each column that has one. Of two that show as little, that of the guardrail whose name sorts first."""
    floors: dict[str, Mask] = {}
    for restraint in sorted(restraints, key=lambda each: each.guardrail):
        for name, mask in restraint.floors:
            if name not in floors or strictness(mask) > strictness(floors[name]):
                floors[name] = mask
    return floors


def _restraining(guardrail: Guardrail) -> Callable[[Table, list[Problem], list[MaskFallback]], Restraint | None]:
    selects = table_test(guardrail.tables, None, unknown=True)
    is_denied = column_test(guardrail.denied_columns or ColumnSelector(), unknown=True)
    floor_of = column_choice(ColumnSelector(names=("*",)), guardrail.mask_floors, set())
    restriction = guardrail.row_restriction
    condition_of = conditions(restriction, "is denied to whom this concerns", "spec.rowRestriction")
    whole = Restraint(guardrail.name, denies_table=True)

    def restrain(table: Table, problems: list[Problem], fallbacks: list[MaskFallback]) -> Restraint | None:
        if table.obstacle or not selects(table):  # what cannot be governed is granted to nobody
            return None
        if guardrail.denies_tables:
            return whole
        condition = None if restriction is None else condition_of(table)
        if isinstance(condition, Problem):
            problems.append(condition)
            return whole
        chosen = [(column, choice) for column in table.columns if (choice := floor_of(column)) is not None and choice.mask != Clear()]
        fallbacks += (fallback for column, choice in chosen for fallback in fallbacks_of(table.id, column, choice))
        denied = frozenset(column.name for column in table.columns if is_denied(column))
        if condition is None and not denied and not chosen:
            return None
        return Restraint(
            guardrail.name,
            denied_columns=denied,
            condition=condition,
            floors=tuple((column.name, choice.mask) for column, choice in chosen),
        )

    return restrain

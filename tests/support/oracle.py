"""What policies and guardrails mean, said a second time and as simply as possible: rows and cells, computed in Python.

`expected` runs each policy alone and combines cell by cell: every policy that shows the row, or every pair of one of either side, under
the floors of guardrails; `shown` reads a profile as a driver must. Of the product they know its words, the values in which policies, tables
and users are written, and none of its functions: `test_per_cell` holds that.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import product
from typing import assert_never

from rolevend.catalog import Column, Table, TableId
from rolevend.model import Attributes, Tag
from rolevend.plan import TableShape
from rolevend.policy.expression import Condition, Predicate
from rolevend.policy.mask import Mask, Nullify
from rolevend.policy.request_context import Combination, GrantTarget
from rolevend.policy.requirement import RequirementOperator
from rolevend.policy.statement import ColumnSelector, Guardrail, MaskRule, Policy, Requirement, TableSelector
from tests.support.oracle_conditions import NOBODY, Asked, answer
from tests.support.oracle_rows import Row, answerable, bound, naming, truth, values
from tests.support.oracle_values import carried, severity, within_all

Masked = dict[str, Mask]
"""Column name -> the mask through which one row shows it; Nullify where it shows nothing."""
Finding = Callable[[Predicate], Sequence[bool]]
"""Whether a predicate is true, for each row: computed here, or asked of a database."""


def found_here(table: Table, user: Attributes, rows: Sequence[Row]) -> Finding:
    return lambda predicate: [truth(predicate, row, user, naming(table)) is True for row in rows]


def expected(
    policies: Sequence[Policy],
    table: Table,
    user: Attributes,
    rows: Sequence[Row],
    guardrails: Iterable[Guardrail] = (),
    agent: Attributes = NOBODY,
    combination: Combination = Combination.USER_CEILING,
    *,
    asked: Asked | None = None,
    resources: Collection[TableId] | None = None,
    catalog: Sequence[Table] = (),
    finding: Finding | None = None,
) -> list[Masked | None]:
    """What an agent with the attributes `agent` must see of each row for `user`: None for a row that must stay hidden. Columns that no
    grant includes, or that a guardrail denies, do not appear. `asked` has both again, beside what else is known of the request, and
    `resources` are the only tables that it is about. `catalog` are all tables there are; (): this one."""
    if resources is not None and table.id not in resources:
        return [None] * len(rows)
    asked = asked or Asked(user, agent_attributes=agent)
    ask = Question(table, user, asked, rows, catalog or (table,), finding or found_here(table, user, rows))
    here = [each for each in sorted(guardrails, key=lambda each: each.name) if _concerns(each, user) and _about(each.tables, table, True)]
    if any(each.denies_tables or not answerable(each.row_restriction, table, user) for each in here):
        return [None] * len(rows)
    restrictions = [ask.find(each.row_restriction) for each in here if each.row_restriction is not None]
    floors = {column.name: _floors(here, column) for column in table.columns if not _is_denied(here, column)}
    sides = [_runs(side, ask) for side in _sides(policies, combination)]
    known: dict[tuple[tuple[bool, ...], ...], Masked | None] = {}  # of many rows the same policies show them
    seen: list[Masked | None] = []
    for place in range(len(rows)):
        which = tuple(tuple(run.shows[place] is not None for run in side) for side in sides)
        if not all(map(any, which)) or not all(restriction[place] for restriction in restrictions):
            seen.append(None)
            continue
        if which not in known:
            known[which] = _cells(sides, place, table, floors) or None
        seen.append(known[which])
    return seen


@dataclass(frozen=True)
class Run:
    """One policy that grants something of the table, alone."""

    policy: Policy
    masks: Masked
    shows: list[Masked | None]
    """Of each row: `masks`, or None."""


def _sides(policies: Iterable[Policy], combination: Combination) -> list[list[Policy]]:
    """Sets of policies, all of which have to show what is shown."""
    users, agents = ([each for each in policies if each.grants_to is side] for side in (GrantTarget.USERS, GrantTarget.AGENTS))
    match combination:
        case Combination.UNION:
            return [[*users, *agents]]
        case Combination.USER_CEILING:
            return [users]
        case Combination.INTERSECTION:
            return [users, agents]
        case _:
            assert_never(combination)


def _runs(policies: Iterable[Policy], ask: "Question") -> list[Run]:
    return [Run(policy, _masks(policy, ask.table), shows) for policy in policies if (shows := ask.alone(policy)) is not None]


def _cells(sides: Sequence[Sequence[Run]], place: int, table: Table, floors: dict[str, tuple[Mask, ...]]) -> Masked:
    """What a row shows: of a column that each side grants, in this row or in another one."""
    cells = {}
    for column in table.columns:
        if column.name in floors and all(any(column.name in run.masks for run in side) for side in sides):
            offers = product(*(_offered(side, place, column.name) for side in sides))
            allowed = [within_all((*floors[column.name], *masks), column.family) for masks in offers]
            cells[column.name] = min(allowed, key=severity, default=Nullify())
    return cells


def _offered(side: Iterable[Run], place: int, name: str) -> list[Mask]:
    """The masks that a side shows a cell through, the mildest first, and then by the policies' names."""
    here = [(severity(run.masks[name]), run.policy.id, run.masks[name]) for run in side if run.shows[place] and name in run.masks]
    return [mask for *_, mask in sorted(here, key=lambda each: each[:2])]


def alone(policy: Policy, table: Table, user: Attributes, rows: Sequence[Row], agent: Attributes = NOBODY) -> list[Masked | None] | None:
    """What this one policy shows; None where it grants nothing of the table."""
    asked = Asked(user, agent_attributes=agent)
    return Question(table, user, asked, rows, (table,), found_here(table, user, rows)).alone(policy)


@dataclass(frozen=True)
class Question:
    """What is asked of policies: rows of one table of a catalog, for somebody, through an agent."""

    table: Table
    user: Attributes
    asked: Asked
    rows: Sequence[Row]
    catalog: Sequence[Table]
    find: Finding

    def alone(self, policy: Policy) -> list[Masked | None] | None:
        masks = _masks(policy, self.table)
        if not masks or not _covers(policy, self.asked) or not _selects(policy, self.table):
            return None
        if not _tied(policy, self.table, self.user) or not answerable(policy.row_filter, self.table, self.user):
            return None
        if _masks_nothing(policy, self.catalog):
            return None
        holds = [True] * len(self.rows) if policy.row_filter is None else self.find(policy.row_filter)
        return [masks if each else None for each in holds]


def shown(shape: TableShape | None, user: Attributes, rows: Sequence[Row]) -> list[Masked | None]:
    """What a profile's table shows of each row, read as the docstrings of `rolevend.plan` say."""
    if shape is None:
        return [None] * len(rows)
    return [
        {column.name: _first(column.cells, row, user) for column in shape.columns}
        if all(any(_holds(condition, row, user) for condition in each) for each in (shape.rows, *shape.restrictions))
        else None
        for row in rows
    ]


def _first(cells, row: Row, user: Attributes) -> Mask:
    return next(
        (
            cell.mask
            for cell in cells
            if all(any(_holds(condition, row, user) for condition in each) for each in (cell.conditions, cell.also) if each)
        ),
        Nullify(),
    )


def _holds(condition: Condition, row: Row, user: Attributes) -> bool:
    if not all(values(user, key) for key in condition.needs):
        return False
    return condition.predicate is None or truth(condition.predicate, row, user, bound) is True


def _rules_for(rules: Iterable[MaskRule], column: Column) -> tuple[Mask, ...]:
    here = [rule for rule in sorted(rules, key=lambda rule: rule.name) if _includes(rule.columns, column, True)]
    return tuple(carried(rule.mask, column.family) for rule in here)


def _masks(policy: Policy, table: Table) -> Masked:
    here = (column for column in table.columns if _includes(policy.columns, column, False))
    return {column.name: within_all(_rules_for(policy.masks, column), column.family) for column in here}


def _floors(guardrails: Iterable[Guardrail], column: Column) -> tuple[Mask, ...]:
    return tuple(mask for each in guardrails for mask in _rules_for(each.mask_floors, column))


def _is_denied(guardrails: Iterable[Guardrail], column: Column) -> bool:
    return any(each.denied_columns is not None and _includes(each.denied_columns, column, True) for each in guardrails)


def _masks_nothing(policy: Policy, catalog: Sequence[Table]) -> bool:
    """Whether a mask is for no column of the policy's tables: then it grants nothing."""
    columns = [column for table in catalog if _selects(policy, table) for column in table.columns]
    return any(not any(_includes(rule.columns, column, True) for column in columns) for rule in policy.masks)


def _covers(policy: Policy, asked: Asked) -> bool:
    if policy.agent is not None:  # its own tables
        return policy.agent == asked.agent

    def meets(required: Iterable[Requirement], who: Attributes) -> bool:
        return all(_meets(each, set(values(who, each.key)), bool(who.items), False) for each in required)

    granted_to = policy.users if policy.grants_to is GrantTarget.USERS else policy.agents
    named = bool(granted_to or policy.conditions) and meets(policy.users, asked.user) and meets(policy.agents, asked.agent_attributes)
    return named and all(answer(each.text, asked) is True for each in policy.conditions)


def _concerns(guardrail: Guardrail, user: Attributes) -> bool:
    """Unless it is known that it does not."""
    return all(
        (not values(user, each.key) and each.operator is not RequirementOperator.EXISTS)
        or not user.items
        or _meets(each, set(values(user, each.key)), True, True)
        for each in guardrail.users
    )


def _selects(policy: Policy, table: Table) -> bool:
    return not table.obstacle and table.id.schema in policy.schemas and _about(policy.tables, table, False)


def _tied(policy: Policy, table: Table, user: Attributes) -> bool:
    """Whether the user's own values choose this table, where a policy asks for that."""
    for each in policy.tables.tags:
        if each.values_of:
            mine, its = set(values(user, each.values_of)), {tag.value for tag in table.tags if fnmatchcase(tag.key, each.key)}
            if not mine or bool(mine & its) != (each.operator is RequirementOperator.IN):
                return False
    return True


def _about(wanted: TableSelector, table: Table, unknown: bool) -> bool:
    named = any(fnmatchcase(table.id.schema, each.schema) and fnmatchcase(table.id.name, each.name) for each in wanted.names)
    return bool(wanted.names or wanted.tags) and (named or not wanted.names) and _tagged(table.tags, wanted.tags, unknown)


def _includes(wanted: ColumnSelector, column: Column, unknown: bool) -> bool:
    named = any(fnmatchcase(column.name, pattern) for pattern in wanted.names)
    return bool(wanted.names or wanted.tags) and (named or not wanted.names) and _tagged(column.tags, wanted.tags, unknown)


def _tagged(tags: frozenset[Tag], required: Iterable[Requirement], unknown: bool) -> bool:
    def meets(each: Requirement) -> bool:
        given = {tag.value for tag in tags if fnmatchcase(tag.key, each.key)}
        return bool(given) if each.values_of else _meets(each, given, bool(tags), unknown)

    return all(meets(each) for each in required)


def _meets(required: Requirement, given: set[str], anything: bool, unknown: bool) -> bool:
    """`unknown`: the answer where nothing is said of what is asked; `anything`: whether anything at all is said."""
    among = any(fnmatchcase(value, pattern) for value in given for pattern in required.values)
    return {
        RequirementOperator.IN: among,
        RequirementOperator.NOT_IN: not among if given else unknown,
        RequirementOperator.EXISTS: bool(given),
        RequirementOperator.DOES_NOT_EXIST: not given and (anything or unknown),
    }[required.operator]

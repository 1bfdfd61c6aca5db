"""What policies and guardrails mean, said a second time and as simply as possible: rows and cells, computed in Python.

`expected` runs each policy alone, combines cell by cell, and then the user's side with the agent's; `shown` reads a profile as a driver
must. Of the product they know its words, the values in which policies, tables and users are written, and none of its functions:
`test_per_cell` holds that.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import assert_never

from rolevend.catalog import Column, Table
from rolevend.model import Attributes, Tag
from rolevend.plan import TableShape
from rolevend.policy.combination import Combination, Side
from rolevend.policy.expression import Condition, Predicate
from rolevend.policy.mask import Clear, Mask, Nullify, Regex
from rolevend.policy.requirement import RequirementOperator
from rolevend.policy.statement import ColumnSelector, Guardrail, MaskRule, Policy, Requirement, TableSelector
from tests.support.oracle_rows import Row, answerable, bound, naming, truth, values
from tests.support.oracle_values import carried, severity

NOBODY = Attributes()
"""Of whom nothing is known."""
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
    catalog: Sequence[Table] = (),
    finding: Finding | None = None,
) -> list[Masked | None]:
    """What an agent with the attributes `agent` must see of each row for `user`: None for a row that must stay hidden. Columns that no
    grant includes, or that a guardrail denies, do not appear. `catalog` are all tables there are; (): this one."""
    ask = Question(table, user, agent, rows, catalog or (table,), finding or found_here(table, user, rows))
    here = [each for each in sorted(guardrails, key=lambda each: each.name) if _concerns(each, user) and _about(each.tables, table, True)]
    if any(each.denies_tables or not answerable(each.row_restriction, table, user) for each in here):
        return [None] * len(rows)
    restrictions = [ask.find(each.row_restriction) for each in here if each.row_restriction is not None]
    floors = {column.name: _floor(here, column) for column in table.columns if not _is_denied(here, column)}
    left: dict[int, Masked | None] = {}  # of many rows the masks are one value
    seen: list[Masked | None] = []
    for place, masks in enumerate(combined(policies, ask, combination)):
        if masks is None or not all(restriction[place] for restriction in restrictions):
            seen.append(None)
            continue
        if id(masks) not in left:
            left[id(masks)] = {name: _no_weaker(floors[name], mask) for name, mask in masks.items() if name in floors} or None
        seen.append(left[id(masks)])
    return seen


def combined(policies: Iterable[Policy], ask: "Question", combination: Combination) -> list[Masked | None]:
    """What the policies show of each row, before any guardrail."""
    users, agents = ([each for each in policies if each.grants_to is side] for side in (Side.USERS, Side.AGENTS))
    match combination:
        case Combination.UNION:
            return added([*users, *agents], ask)
        case Combination.USER_CEILING:
            return added(users, ask)
        case Combination.INTERSECTION:
            both: dict[tuple[int, int], Masked | None] = {}
            sides = list(zip(added(users, ask), added(agents, ask), strict=True))
            for one, other in sides:
                if (id(one), id(other)) not in both:
                    both[id(one), id(other)] = None if one is None or other is None else _shown_by_both(one, other)
            return [both[id(one), id(other)] for one, other in sides]
        case _:
            assert_never(combination)


def _shown_by_both(one: Masked, other: Masked) -> Masked | None:
    return {name: _stricter(one[name], other[name]) for name in one if name in other} or None


def _stricter(one: Mask, other: Mask) -> Mask:
    """Of two patterns each may show what the other hides."""
    return Nullify() if isinstance(one, Regex) and isinstance(other, Regex) and one != other else max(one, other, key=severity)


def added(policies: Iterable[Policy], ask: "Question") -> list[Masked | None]:
    """What all these policies together show of each row, as one set of grants."""
    runs = [(policy, run) for policy in policies if (run := ask.alone(policy)) is not None]
    granted = sorted({name for policy, _ in runs for name in _masks(policy, ask.table)})  # whether a row shows it or not
    together: dict[tuple[bool, ...], Masked | None] = {}
    seen = []
    for place in range(len(ask.rows)):
        which = tuple(run[place] is not None for _, run in runs)
        if which not in together:
            showing = [(policy, run[place]) for policy, run in runs if run[place] is not None]
            together[which] = {name: _mildest(showing, name) for name in granted} if showing else None
        seen.append(together[which])
    return seen


def alone(policy: Policy, table: Table, user: Attributes, rows: Sequence[Row], agent: Attributes = NOBODY) -> list[Masked | None] | None:
    """What this one policy shows; None where it grants nothing of the table."""
    return Question(table, user, agent, rows, (table,), found_here(table, user, rows)).alone(policy)


@dataclass(frozen=True)
class Question:
    """What is asked of policies: rows of one table of a catalog, for somebody, through an agent."""

    table: Table
    user: Attributes
    agent: Attributes
    rows: Sequence[Row]
    catalog: Sequence[Table]
    find: Finding

    def alone(self, policy: Policy) -> list[Masked | None] | None:
        masks = _masks(policy, self.table)
        if not masks or not _covers(policy, self.user, self.agent) or not _selects(policy, self.table):
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


def _mildest(showing: Iterable[tuple[Policy, Masked]], name: str) -> Mask:
    offers = [(severity(masks[name]), policy.id, masks[name]) for policy, masks in showing if name in masks]
    return min(offers, key=lambda offer: offer[:2])[2] if offers else Nullify()


def _strictest(rules: Iterable[MaskRule], column: Column) -> Mask:
    """Of the rules for this column; where they say nothing of each other, that of the smallest name."""
    here = [rule for rule in sorted(rules, key=lambda rule: rule.name) if _includes(rule.columns, column, True)]
    return max((carried(rule.mask, column.family) for rule in here), key=severity, default=Clear())


def _masks(policy: Policy, table: Table) -> Masked:
    return {column.name: _strictest(policy.masks, column) for column in table.columns if _includes(policy.columns, column, False)}


def _floor(guardrails: Iterable[Guardrail], column: Column) -> Mask:
    return max((_strictest(each.mask_floors, column) for each in guardrails), key=severity, default=Clear())


def _no_weaker(floor: Mask, mask: Mask) -> Mask:
    return mask if severity(mask) > severity(floor) else floor


def _is_denied(guardrails: Iterable[Guardrail], column: Column) -> bool:
    return any(each.denied_columns is not None and _includes(each.denied_columns, column, True) for each in guardrails)


def _masks_nothing(policy: Policy, catalog: Sequence[Table]) -> bool:
    """Whether a mask is for no column of the policy's tables: then it grants nothing."""
    columns = [column for table in catalog if _selects(policy, table) for column in table.columns]
    return any(not any(_includes(rule.columns, column, True) for column in columns) for rule in policy.masks)


def _covers(policy: Policy, user: Attributes, agent: Attributes) -> bool:
    def meets(required: Iterable[Requirement], who: Attributes) -> bool:
        return all(_meets(each, set(values(who, each.key)), bool(who.items), False) for each in required)

    granted_to = policy.users if policy.grants_to is Side.USERS else policy.agents
    return bool(granted_to) and meets(policy.users, user) and meets(policy.agents, agent)


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
        return (unknown or bool(given)) if each.values_of else _meets(each, given, bool(tags), unknown)

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

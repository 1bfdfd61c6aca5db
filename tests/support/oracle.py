"""What a policy means, said a second time and as simply as possible: rows and cells, computed in Python.

`expected` runs each policy alone, combines cell by cell, and then the user's side with the agent's; `shown` reads a profile as a
driver must. Neither uses the code that decides or plans. `visible` turns a mask and a value into what an agent sees, so that a
real platform can be held to it.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import ROUND_DOWN, Decimal
from fnmatch import fnmatchcase
from typing import assert_never
from uuid import UUID

from rolevend.catalog import Column, Family, Table
from rolevend.model import Attributes, Tag
from rolevend.plan import TableShape
from rolevend.policy.combination import Combination, Side
from rolevend.policy.expression import (
    And,
    AttributeMembership,
    Comparison,
    Condition,
    Membership,
    Not,
    NullTest,
    Operator,
    Or,
    Predicate,
    Range,
    atoms,
)
from rolevend.policy.literal import value_fits
from rolevend.policy.mask import Clear, Constant, DateTrunc, Hash, Mask, Nullify, Partial, Regex, Round, Unit, carries
from rolevend.policy.statement import ColumnSelector, Guardrail, MaskRule, Policy, Requirement, TableSelector

Row = Mapping[str, object]
"""Column name -> value: str, int, Decimal, float, bool, date, datetime (aware for TIMESTAMP_TZ), UUID, or None."""
NOBODY = Attributes()
"""Of whom nothing is known."""
Masked = Mapping[str, Mask]
"""Column name -> the mask through which one row shows it; Nullify where it shows nothing."""


def value_of(text: str, family: Family) -> object:
    """The value that `text` means in a column of `family`."""
    match family:
        case Family.TEXT:
            return text
        case Family.INTEGER:
            return int(text)
        case Family.NUMERIC:
            return Decimal(text)
        case Family.FLOAT:
            return float(text)
        case Family.BOOLEAN:
            return text.lower() == "true"
        case Family.DATE:
            return date.fromisoformat(text)
        case Family.TIMESTAMP | Family.TIMESTAMP_TZ:
            return datetime.fromisoformat(text)
        case Family.UUID:
            return UUID(text)
        case Family.OTHER:
            raise AssertionError("a column of this family is never compared")


def truth(predicate: Predicate, row: Row, user: Attributes, family_of: Callable[[str], Family]) -> bool | None:
    """SQL's three-valued logic; None is NULL."""

    def value(name: str) -> object:
        return row[name]

    match predicate:
        case And(parts):
            found = [truth(part, row, user, family_of) for part in parts]
            return False if False in found else None if None in found else True
        case Or(parts):
            found = [truth(part, row, user, family_of) for part in parts]
            return True if True in found else None if None in found else False
        case Not(part):
            inner = truth(part, row, user, family_of)
            return None if inner is None else not inner
        case NullTest(column, is_null):
            return (value(column.name) is None) == is_null
        case _ if value(predicate.column.name) is None:
            return None
    family = family_of(predicate.column.name)
    actual = value(predicate.column.name)
    match predicate:
        case Comparison(_, operator, literal):
            return _compare(actual, operator, value_of(literal.text, family))
        case Membership(_, literals):
            return any(actual == value_of(literal.text, family) for literal in literals)
        case AttributeMembership(_, attribute):
            return any(actual == value_of(text, family) for text in user.values(attribute))
        case Range(_, low, high):
            return _compare(actual, Operator.GREATER_OR_EQUAL, value_of(low.text, family)) and _compare(
                actual, Operator.LESS_OR_EQUAL, value_of(high.text, family)
            )
        case _:
            assert_never(predicate)


def _compare(left, operator: Operator, right) -> bool:
    match operator:
        case Operator.EQUAL:
            return left == right
        case Operator.NOT_EQUAL:
            return left != right
        case Operator.LESS:
            return left < right
        case Operator.LESS_OR_EQUAL:
            return left <= right
        case Operator.GREATER:
            return left > right
        case Operator.GREATER_OR_EQUAL:
            return left >= right
        case _:
            assert_never(operator)


def expected(
    policies: Sequence[Policy],
    table: Table,
    user: Attributes,
    rows: Sequence[Row],
    guardrails: Iterable[Guardrail] = (),
    agent: Attributes = NOBODY,
    combination: Combination = Combination.USER_CEILING,
) -> list[Masked | None]:
    """What an agent with the attributes `agent` must see of each row for `user`: None for a row that must stay hidden. Columns that no
    grant includes, or that a guardrail denies, do not appear."""
    here = [each for each in sorted(guardrails, key=lambda each: each.name) if _concerns(each, user) and _about(each.tables, table)]
    if any(each.denies_tables or not _has_attributes(each.row_restriction, table, user) for each in here):
        return [None] * len(rows)
    restrictions = [each.row_restriction for each in here if each.row_restriction is not None]
    floors = {column.name: _floor(here, column) for column in table.columns if not _is_denied(here, column)}
    seen: list[Masked | None] = []
    for row, masks in zip(rows, combined(policies, table, user, rows, agent, combination), strict=True):
        kept = masks is not None and all(truth(each, row, user, _families(table)) is True for each in restrictions)
        left = {name: _no_weaker(floors[name], mask) for name, mask in masks.items() if name in floors} if masks and kept else {}
        seen.append(left or None)
    return seen


def _is_denied(guardrails: Iterable[Guardrail], column: Column) -> bool:
    return any(each.denied_columns is not None and _includes(each.denied_columns, column) for each in guardrails)


def _floor(guardrails: Iterable[Guardrail], column: Column) -> Mask:
    each_ones = [(each, _strictest([rule for rule in each.mask_floors if _includes(rule.columns, column)], column)) for each in guardrails]
    return _strictest([MaskRule(each.name, ColumnSelector(), mask) for each, mask in each_ones], column)


def _no_weaker(floor: Mask, mask: Mask) -> Mask:
    return mask if severity(mask) > severity(floor) else floor


def _concerns(guardrail: Guardrail, user: Attributes) -> bool:
    return all(not user.values(each.key) or set(user.values(each.key)) & each.values for each in guardrail.users)


def combined(
    policies: Sequence[Policy], table: Table, user: Attributes, rows: Sequence[Row], agent: Attributes, combination: Combination
) -> list[Masked | None]:
    """What the policies alone show of each row."""
    for_users, for_agents = ([each for each in policies if each.grants_to is side] for side in (Side.USERS, Side.AGENTS))
    match combination:
        case Combination.UNION:
            return added(policies, table, user, rows, agent)
        case Combination.USER_CEILING:
            return added(for_users, table, user, rows, agent)
        case Combination.INTERSECTION:
            both = zip(added(for_users, table, user, rows, agent), added(for_agents, table, user, rows, agent), strict=True)
            return [None if one is None or other is None else _shown_by_both(one, other, table) for one, other in both]
        case _:
            assert_never(combination)


def _shown_by_both(one: Masked, other: Masked, table: Table) -> Masked | None:
    columns = [column for column in table.columns if column.name in one and column.name in other]
    return {column.name: _stricter(one[column.name], other[column.name], column) for column in columns} or None


def _stricter(one: Mask, other: Mask, column: Column) -> Mask:
    if isinstance(one, Regex) and isinstance(other, Regex) and one != other:
        return Nullify()
    return _strictest([MaskRule(name, ColumnSelector(), mask) for name, mask in (("a", one), ("b", other))], column)


def added(
    policies: Iterable[Policy], table: Table, user: Attributes, rows: Sequence[Row], agent: Attributes = NOBODY
) -> list[Masked | None]:
    """What all these policies together show of each row, as one set of grants."""
    runs = [(policy, run) for policy in policies if (run := alone(policy, table, user, rows, agent)) is not None]
    granted = sorted({name for policy, _ in runs for name in _masks(policy, table)})
    seen: list[Masked | None] = []
    for place in range(len(rows)):
        showing = [(policy.id, run[place]) for policy, run in runs if run[place] is not None]
        if not showing:
            seen.append(None)
            continue
        offers = {name: [(severity(masks[name]), policy, masks[name]) for policy, masks in showing if name in masks] for name in granted}
        seen.append({name: min(offers[name], key=lambda offer: offer[:2])[2] if offers[name] else Nullify() for name in granted})
    return seen


def alone(policy: Policy, table: Table, user: Attributes, rows: Sequence[Row], agent: Attributes = NOBODY) -> list[Masked | None] | None:
    """What this one policy shows; None where it grants nothing of the table."""
    masks = _masks(policy, table)
    if not masks or not _covers(policy, user, agent) or not _selects(policy, table) or not _has_attributes(policy.row_filter, table, user):
        return None
    row_filter = policy.row_filter
    return [masks if row_filter is None or truth(row_filter, row, user, _families(table)) is True else None for row in rows]


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


def severity(mask: Mask) -> tuple[int, Decimal]:
    """How little it shows: by its kind, then by its parameter where one parameter hides more than another."""
    place = [Clear, Partial, Round, DateTrunc, Regex, Hash, Constant, Nullify].index(type(mask))
    match mask:
        case Partial(keep_last):
            return place, Decimal(-keep_last)
        case Round(step):
            return place, Decimal(step)
        case DateTrunc(unit):
            return place, Decimal({Unit.MONTH: 1, Unit.QUARTER: 3, Unit.YEAR: 12}[unit])
        case _:
            return place, Decimal(0)


def visible(mask: Mask, value: object, family: Family, hash_of: Callable[[str], str]) -> object:
    """What an agent sees of `value` in a column of `family`; `hash_of` is the platform's keyed hash."""
    match mask:
        case Clear():
            return value
        case Nullify():
            return None
        case Constant(text):
            return value_of(text, family)
    if value is None:
        return None
    match mask:
        case Partial(keep_last):
            text = str(value)
            return "***" + text[len(text) - keep_last :] if keep_last * 2 <= len(text) else "***"
        case Round(step):
            return _cut(value, step)
        case DateTrunc(unit):
            return _truncated(value, unit)
        case Regex(pattern, replacement):
            replaced = re.sub(pattern, replacement, str(value), flags=re.DOTALL)
            return "***" if replaced == value else replaced
        case Hash():
            return hash_of(str(value))
        case _:
            assert_never(mask)


def _cut(value: object, step: str) -> object:
    """By truncation: in whole steps, of which a float has no more than it can count."""
    if isinstance(value, int):
        return int(step) * (abs(value) // int(step)) * (1 if value >= 0 else -1)
    if isinstance(value, Decimal):
        return (value / Decimal(step)).to_integral_value(ROUND_DOWN) * Decimal(step)
    assert isinstance(value, float)
    if not abs(value) < float(step) * 2**53:
        return None
    return 0.0 if abs(value) < float(step) else math.trunc(value / float(step)) * float(step)


def _truncated(value: object, unit: Unit) -> object:
    assert isinstance(value, date)
    if isinstance(value, datetime):
        value = (value.astimezone(UTC) if value.tzinfo else value).replace(hour=0, minute=0, second=0, microsecond=0)
    month = {Unit.YEAR: 1, Unit.QUARTER: (value.month - 1) // 3 * 3 + 1, Unit.MONTH: value.month}[unit]
    return value.replace(month=month, day=1)


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
    if not all(user.values(key) for key in condition.needs):
        return False
    if condition.predicate is None:
        return True
    families = {atom.column.name: atom.column.family for atom in atoms(condition.predicate)}
    return truth(condition.predicate, row, user, families.__getitem__) is True


def _families(table: Table) -> Callable[[str], Family]:
    return {column.name: column.family for column in table.columns}.__getitem__


def _covers(policy: Policy, user: Attributes, agent: Attributes) -> bool:
    granted_to = policy.users if policy.grants_to is Side.USERS else policy.agents
    return (
        bool(granted_to)
        and all(set(user.values(each.key)) & each.values for each in policy.users)
        and all(set(agent.values(each.key)) & each.values for each in policy.agents)
    )


def _selects(policy: Policy, table: Table) -> bool:
    return not table.obstacle and table.id.schema in policy.schemas and _about(policy.tables, table)


def _about(wanted: TableSelector, table: Table) -> bool:
    named = any(fnmatchcase(table.id.schema, each.schema) and fnmatchcase(table.id.name, each.name) for each in wanted.names)
    return bool(wanted.names or wanted.tags) and (named or not wanted.names) and _tagged(table.tags, wanted.tags)


def _has_attributes(condition: Predicate | None, table: Table, user: Attributes) -> bool:
    tests = [] if condition is None else [atom for atom in atoms(condition) if isinstance(atom, AttributeMembership)]
    families = _families(table)
    return all(
        user.values(test.attribute) and all(value_fits(value, families(test.column.name)) for value in user.values(test.attribute))
        for test in tests
    )


def _masks(policy: Policy, table: Table) -> dict[str, Mask]:
    return {
        column.name: _strictest([rule for rule in policy.masks if _includes(rule.columns, column)], column)
        for column in table.columns
        if _includes(policy.columns, column)
    }


def _strictest(rules: list[MaskRule], column: Column) -> Mask:
    masks = [rule.mask if carries(rule.mask, column.family) else Nullify() for rule in sorted(rules, key=lambda rule: rule.name)]
    return max(masks, key=severity, default=Clear())


def _includes(selector, column: Column) -> bool:
    named = any(fnmatchcase(column.name, pattern) for pattern in selector.names)
    return bool(selector.names or selector.tags) and (named or not selector.names) and _tagged(column.tags, selector.tags)


def _tagged(tags: frozenset[Tag], required: Iterable[Requirement]) -> bool:
    return all(any(Tag(each.key, value) in tags for value in each.values) for each in required)

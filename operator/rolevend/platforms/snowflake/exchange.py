"""Compute the statements from a table's current policies to those that its fragments need. Pure.

No intermediate state shows more than the first or last one, or is refused by Snowflake (a column in the signatures of a row and a masking
policy, or masked and read by another mask). If the direct way has such a state, the wall alone is set first: tools see no row until the
last statement.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rolevend.catalog import Column, TableId
from rolevend.platforms.snowflake.build.policies import (
    Fragments,
    SnowflakePolicy,
    masking_policies,
    row_policy,
    set_masking_policy,
    set_row_policy,
    unset_masking_policy,
)


@dataclass(frozen=True, slots=True)
class Placed:
    """A policy of rolevend on a table."""

    name: str
    arguments: tuple[str, ...]
    """Its columns; the first one of a masking policy is the masked one."""


@dataclass(frozen=True, slots=True)
class Carried:
    """The policies of rolevend on a table that has no others."""

    row: Placed | None = None
    masks: Mapping[str, Placed] = field(default_factory=dict)
    """By masked column."""


def exchanged(table: TableId, columns: Sequence[Column], carried: Carried, fragments: Fragments, *, database: str) -> tuple[str, ...]:
    """Return the statements, in order; empty if the policies are as needed. Raises `Conflict` as `row_policy` does."""
    row, masks = row_policy(table, columns, fragments), masking_policies(table, columns, fragments)
    wanted = {each.arguments[0]: each for each in masks}
    changed = [each for name, each in wanted.items() if name not in carried.masks or carried.masks[name].name != each.name]
    left = [name for name in carried.masks if name not in wanted]
    same_row = carried.row is not None and carried.row.name == row.name and carried.row.arguments == row.arguments
    made = list(dict.fromkeys(each.create for each in (*changed, *(() if same_row else (row,)))))
    if _is_straight(carried, row, masks):
        return (
            *made,
            *(set_masking_policy(table, each, database=database, replacing=each.arguments[0] in carried.masks) for each in changed),
            *(() if same_row else (_set(table, row, carried.row, database),)),
            *(unset_masking_policy(table, name, database=database) for name in left),
        )
    taken = {name for signature in _signatures(carried, masks) for name in signature}
    wall = row_policy(table, [column for column in columns if column.name not in taken], {})
    replaced = [each.arguments[0] for each in changed if each.arguments[0] in carried.masks]
    return (
        wall.create,
        *made,
        _set(table, wall, carried.row, database),
        *(unset_masking_policy(table, name, database=database) for name in (*left, *replaced)),
        *(set_masking_policy(table, each, database=database) for each in changed),
        *(() if _is(row, wall) else (_set(table, row, Placed(wall.name, wall.arguments), database),)),
    )


def _set(table: TableId, row: SnowflakePolicy, instead_of: Placed | None, database: str) -> str:
    return set_row_policy(table, row, database=database, instead_of=None if instead_of is None else instead_of.name)


def _is(row: SnowflakePolicy, other: SnowflakePolicy) -> bool:
    return (row.name, row.arguments) == (other.name, other.arguments)


def _is_straight(carried: Carried, row: SnowflakePolicy, masks: Sequence[SnowflakePolicy]) -> bool:
    """True if all current policies are compatible with all future ones."""
    every = _signatures(carried, masks)
    masked, conditional = {signature[0] for signature in every}, {name for signature in every for name in signature[1:]}
    read = {*row.arguments, *(() if carried.row is None else carried.row.arguments)}
    return not (masked & conditional or read & (masked | conditional))


def _signatures(carried: Carried, masks: Sequence[SnowflakePolicy]) -> list[tuple[str, ...]]:
    """Return the signatures of current and future masking policies."""
    return [*(each.arguments for each in carried.masks.values()), *(each.arguments for each in masks)]

"""Render a profile's part of the policies on a table that a tool reads by its own name. Pure.

`policy.table_policy` decides what the policies show.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from rolevend.catalog import Column
from rolevend.model import ProfileName
from rolevend.platforms.snowflake.build.masks import MaskPosition, mask_text
from rolevend.platforms.snowflake.build.predicate import Need, Reading, all_of
from rolevend.platforms.snowflake.build.views import attribute_values, column_text
from rolevend.platforms.snowflake.control import current_lease
from rolevend.platforms.snowflake.sql import Sql, compose, identifier, join
from rolevend.platforms.snowflake.types import column_type, limits_of
from rolevend.policy.mask import Nullify
from rolevend.policy.shape import ColumnShape, TableShape
from rolevend.policy.table_policy import table_policy

NO_ROW: Final = "FALSE"


@dataclass(frozen=True, slots=True)
class Shown:
    """The masked value of a column of the table itself."""

    text: str
    reads: tuple[str, ...] = ()
    """The other columns that `text` reads, sorted."""


@dataclass(frozen=True, slots=True)
class TableFragment:
    """One profile's part of the policies: self-contained SQL."""

    lease: str
    """True if the session's role has a live lease of the profile that covers the table."""
    row: str
    """True for the rows that the profile shows under `lease`; NO_ROW if none."""
    reads: tuple[str, ...]
    """The columns that `row` reads, sorted."""
    columns: Mapping[str, Shown] = field(default_factory=dict)
    """The columns that are masked or not granted."""
    stricter: tuple[str, ...] = ()
    """One sentence for each difference from the rule, with the reason; empty if it is exact."""
    written_for: frozenset[str] = frozenset()
    """The table's columns at the time of writing. `completed` handles additional ones."""


def fragment(profile: ProfileName, table: TableShape, columns: Sequence[Column]) -> TableFragment:
    """Return the fragment for a table that a tool reads. `columns` are all columns, because later ones must be masked too."""
    lease = compose("EXISTS (SELECT 1 FROM ({lease}) AS l)", lease=current_lease(profile, table.table))

    def attribute(need: Need) -> Sql:
        values = attribute_values(Sql("l.ATTRS"), need)
        return compose("(SELECT {values} FROM ({lease}) AS l)", values=values, lease=current_lease(profile, table.table))

    reading = Reading(identifier, attribute)
    seen = table_policy(table, [replace(each, limits=limits_of(each.native_type)) for each in columns])
    names = frozenset(each.name for each in columns)
    if seen.rows is None:
        return TableFragment(lease, NO_ROW, (), {}, seen.stricter, names)
    tests = all_of(seen.rows, reading)
    shown = {each.shape.name: Shown(column_text(each.shape, _place(each.shape), reading), each.reads) for each in seen.columns}
    return TableFragment(lease, join("\n    AND ", tests) if tests else Sql("TRUE"), seen.reads, shown, seen.stricter, names)


def completed(fragment: TableFragment, columns: Sequence[Column]) -> TableFragment:
    """Return the fragment for a table with these columns: columns added since show NULL."""
    added = [each for each in columns if each.name not in fragment.written_for]
    if any(column_type(each.native_type) is None for each in added):
        return replace(fragment, row=NO_ROW, reads=(), columns={})
    hidden = {each.name: Shown(mask_text(Nullify(), _place(each))) for each in added}
    return replace(fragment, columns={**fragment.columns, **hidden})


def dumped(fragment: TableFragment) -> str:
    """Serialize for the control database."""
    columns = {name: [shown.text, list(shown.reads)] for name, shown in fragment.columns.items()}
    told = [fragment.lease, fragment.row, list(fragment.reads), columns, list(fragment.stricter), sorted(fragment.written_for)]
    return json.dumps(told, ensure_ascii=False)


def loaded(text: str) -> TableFragment:
    """Parse the text of `dumped`."""
    lease, row, reads, columns, stricter, written_for = json.loads(text)
    shown = {name: Shown(each, tuple(others)) for name, (each, others) in columns.items()}
    return TableFragment(lease, row, tuple(reads), shown, tuple(stricter), frozenset(written_for))


def _place(column: Column | ColumnShape) -> MaskPosition:
    return MaskPosition(identifier(column.name), column.family, column.native_type, typed=True)

"""What one profile adds to the policies of a table that a tool of it reads by its own name. Pure.

One row access policy and one masking policy for each column say less than a view does: what they show is decided in
`policy.table_policy`, and
written as SQL here.
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
    """What a profile shows of a column of the table itself."""

    text: str
    reads: tuple[str, ...] = ()
    """The other columns that `text` names, sorted."""


@dataclass(frozen=True, slots=True)
class TableFragment:
    """What one profile adds. Closed SQL, of this profile alone."""

    lease: str
    """True where the session's role has a lease of the profile that lives and covers the table."""
    row: str
    """True for the rows that the profile shows where `lease` is true; NO_ROW where it can show none."""
    reads: tuple[str, ...]
    """The columns that `row` names, sorted."""
    columns: Mapping[str, Shown] = field(default_factory=dict)
    """Those that are not shown in clear, and those that are not granted."""
    stricter: tuple[str, ...] = ()
    """What is stricter than the rule, and why, one sentence each; empty where it is exact."""
    written_for: frozenset[str] = frozenset()
    """The columns that the table had. Another one is for `completed`."""


def fragment(profile: ProfileName, table: TableShape, columns: Sequence[Column]) -> TableFragment:
    """For a table that a tool reads; `columns` are all that it has, granted or not: what is added later has to be masked, too."""
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
    """The same for a table with these columns: what came to it since shows NULL."""
    added = [each for each in columns if each.name not in fragment.written_for]
    if any(column_type(each.native_type) is None for each in added):
        return replace(fragment, row=NO_ROW, reads=(), columns={})
    hidden = {each.name: Shown(mask_text(Nullify(), _place(each))) for each in added}
    return replace(fragment, columns={**fragment.columns, **hidden})


def dumped(fragment: TableFragment) -> str:
    """As the control database keeps it."""
    columns = {name: [shown.text, list(shown.reads)] for name, shown in fragment.columns.items()}
    told = [fragment.lease, fragment.row, list(fragment.reads), columns, list(fragment.stricter), sorted(fragment.written_for)]
    return json.dumps(told, ensure_ascii=False)


def loaded(text: str) -> TableFragment:
    """What `dumped` wrote."""
    lease, row, reads, columns, stricter, written_for = json.loads(text)
    shown = {name: Shown(each, tuple(others)) for name, (each, others) in columns.items()}
    return TableFragment(lease, row, tuple(reads), shown, tuple(stricter), frozenset(written_for))


def _place(column: Column | ColumnShape) -> MaskPosition:
    return MaskPosition(identifier(column.name), column.family, column.native_type, typed=True)

"""Restrictions on tools, in tables that they read directly, that are stricter than the grant: for a profile, and for one policy. Pure."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rolevend.catalog import Table, TableId, Tool
from rolevend.plan import Profile
from rolevend.policy.bitmap import union
from rolevend.policy.policy_compiler import CompiledPolicy
from rolevend.policy.table_policy import of_one_grant, table_policy


def read_by(tools: Iterable[Tool]) -> list[TableId]:
    return sorted({table for tool in tools for table in tool.reads})


def of_profile(profile: Profile, tables: Mapping[TableId, Table]) -> dict[TableId, tuple[str, ...]]:
    """Return the stricter restrictions by table, one sentence each. `tables` has every table that a tool of the profile reads."""
    shapes = {shape.table: shape for shape in profile.tables}
    return {table: table_policy(shapes[table], tables[table].columns).stricter for table in read_by(profile.tools)}


def of_policy(policy: CompiledPolicy, tables: Sequence[Table], tools: Iterable[Tool]) -> Iterator[str]:
    """The same for one policy alone. `tables` are those of the policy's index, sorted by id."""
    granted = union(each.tables for each in policy.grant_sets)
    for name in read_by(tools):
        place = bisect_left(tables, name, key=lambda table: table.id)
        if granted >> place & 1 and tables[place].id == name:
            grant = policy.grant(tables[place])
            yield from of_one_grant(grant.condition, dict(grant.masks), tables[place]).stricter

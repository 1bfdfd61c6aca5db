"""Render the policies that isolate rows of a table on Snowflake. Pure.

**Agents read secure views**, `ROLEVEND.<profile>.<view>` (`views`), and have no privilege on tables. A view expresses the rule of each
cell exactly, as on PostgreSQL. Policies on the table cannot: a table has one row access policy and a column one masking policy, shared by
all profiles, and a column is in the signature of only one of the two kinds. So with policies on the table:

* a mask that depends on the row would read the columns of the row filter, which both policies would share;
* a column that one profile masks could not be filtered by in another one;
* a column that is added to the table later, or that no policy grants, would be shown unless it is masked;
* a masked value could not be longer than the column;
* each new profile would change a shared policy under live roles.

**The wall** is the table's row access policy (`row_policy` without fragments): a session that holds a profile, or whose user was created
for a vended role, sees no row except through rolevend's views. So grants to PUBLIC and manual grants have no effect for it. The wall never
changes, and tables share it.

**Tables behind a tool**, such as those of a semantic view, are read by their own names. A profile with that tool gets SELECT on them, and
adds a `TableFragment` (`sql_fragments`) to the table's row policy and masking policies. A rule that these cannot express gets the stricter
form, and `stricter` says so. Incompatible fragments are a `Conflict`: the later profile is refused, and live roles are not affected.

The name of a policy is a digest of its content, and a policy is never altered: a table changes from one policy to another in one
statement. Masks are set before the row policy that needs them, and removed after it, so that every intermediate state shows less.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rolevend.catalog import Column, TableId
from rolevend.errors import Conflict
from rolevend.model import ProfileName
from rolevend.naming import PREFIX
from rolevend.platforms.snowflake.build.views import NO_ROW, Shown, TableFragment, View, dumped, fragment, loaded, secure_view
from rolevend.platforms.snowflake.control import MARKER, OWNER, control
from rolevend.platforms.snowflake.sql import Sql, compose, identifier, join, literal, qualified
from rolevend.platforms.snowflake.types import column_type, simple_type

__all__ = [
    "Shown",
    "SnowflakePolicy",
    "TableFragment",
    "View",
    "dumped",
    "fragment",
    "loaded",
    "masking_policies",
    "row_policy",
    "secure_view",
    "set_masking_policy",
    "set_row_policy",
    "unset_masking_policy",
]

Fragments = Mapping[ProfileName, TableFragment]


@dataclass(frozen=True, slots=True)
class SnowflakePolicy:
    """A row access policy or a masking policy. Its name is a digest of its content."""

    name: str
    """Within ROLEVEND.CONTROL."""
    create: str
    """One statement; no effect if the policy exists."""
    arguments: tuple[str, ...]
    """The table's columns, in order; the first one of a masking policy is the masked one."""


def row_policy(table: TableId, columns: Sequence[Column], fragments: Fragments) -> SnowflakePolicy:
    """Return the row access policy of a table with all its `columns`: the wall, and the rows of `fragments`.

    Raises `Conflict` if the fragments are incompatible, or if no column is left for the row policy.
    """
    _require_compatible(table, fragments)
    read = {name for each in fragments.values() for name in each.reads}
    arguments = [column for column in columns if column.name in read]
    signature = [_argument(identifier(column.name), column) for column in arguments]
    if not arguments:
        arguments = [_free(table, columns, fragments)]
        signature = [_argument(Sql('"ANY_COLUMN"'), arguments[0])]
    shown = [compose("(\n    {lease}\n    AND {row}\n)", lease=_text(each.lease), row=_text(each.row)) for _, each in _shown(fragments)]
    body = join("\nOR ", [*_PASSES, *shown])
    return _policy("RV_R_", "ROW ACCESS POLICY", signature, Sql("BOOLEAN"), body, [column.name for column in arguments])


def masking_policies(table: TableId, columns: Sequence[Column], fragments: Fragments) -> tuple[SnowflakePolicy, ...]:
    """Return a policy for each column that one of `fragments` masks, in the table's order. Raises `Conflict` as `row_policy` does."""
    _require_compatible(table, fragments)
    masked = {name for each in fragments.values() for name in each.columns}
    by_name = {column.name: column for column in columns}
    return tuple(_masking_policy(column, by_name, fragments) for column in columns if column.name in masked)


def set_row_policy(table: TableId, policy: SnowflakePolicy, *, database: str, instead_of: str | None = None) -> str:
    """Return one statement, so that the table always has a policy. `instead_of` is rolevend's policy that it replaces."""
    return compose(
        "ALTER TABLE {table} {dropped}ADD ROW ACCESS POLICY {policy} ON ({arguments})",
        table=qualified(database, table.schema, table.name),
        dropped=Sql("") if instead_of is None else compose("DROP ROW ACCESS POLICY {policy}, ", policy=control(instead_of)),
        policy=control(policy.name),
        arguments=join(", ", map(identifier, policy.arguments)),
    )


def set_masking_policy(table: TableId, policy: SnowflakePolicy, *, database: str, replacing: bool = False) -> str:
    """Return one statement. `replacing`: the column has a policy of rolevend, which this one replaces. Another owner's policy must not be
    replaced.
    """
    return compose(
        "ALTER TABLE {table} MODIFY COLUMN {column} SET MASKING POLICY {policy} USING ({arguments}){force}",
        table=qualified(database, table.schema, table.name),
        column=identifier(policy.arguments[0]),
        policy=control(policy.name),
        arguments=join(", ", map(identifier, policy.arguments)),
        force=Sql(" FORCE" if replacing else ""),
    )


def unset_masking_policy(table: TableId, column: str, *, database: str) -> str:
    return compose(
        "ALTER TABLE {table} MODIFY COLUMN {column} UNSET MASKING POLICY",
        table=qualified(database, table.schema, table.name),
        column=identifier(column),
    )


_PASSES = (
    compose(
        "(NOT IS_ROLE_IN_SESSION({marker}) AND NOT STARTSWITH(COALESCE(CURRENT_USER(), ''), {prefix}))",
        marker=literal(MARKER),
        prefix=literal(PREFIX),
    ),
    compose("INVOKER_ROLE() = {}", literal(OWNER)),
)
"""Exempt: a session without any profile whose user was not created for a vended role (such a user may drop its role and have only PUBLIC),
and rolevend's views, which have their own rule.
"""


def _masking_policy(column: Column, by_name: Mapping[str, Column], fragments: Fragments) -> SnowflakePolicy:
    kind, name = simple_type(column.native_type).sql, identifier(column.name)
    conditional = sorted({read for each in fragments.values() if (shown := each.columns.get(column.name)) for read in shown.reads})
    whens = [
        compose("WHEN {lease} THEN {text}", lease=_text(each.lease), text=_text(shown.text) if shown else name)
        for _, each in _shown(fragments)
        for shown in [each.columns.get(column.name)]
    ]
    body = compose(
        "CASE\n    WHEN {passes} THEN {column}\n    {whens}\n    ELSE NULL::{type}\nEND",
        passes=join(" OR ", _PASSES),
        column=name,
        whens=join("\n    ", whens),
        type=kind,
    )
    arguments = [column, *(by_name[each] for each in conditional)]
    signature = [_argument(identifier(each.name), each) for each in arguments]
    return _policy("RV_M_", "MASKING POLICY", signature, kind, body, [each.name for each in arguments])


def _policy(prefix: str, kind: str, signature: Sequence[Sql], returns: Sql, body: Sql, arguments: Iterable[str]) -> SnowflakePolicy:
    digest = hashlib.sha256(json.dumps([kind, *signature, returns, body]).encode()).hexdigest()[:32].upper()
    create = compose(
        "CREATE {kind} IF NOT EXISTS {policy} AS ({signature}) RETURNS {returns} ->\n{body}",
        kind=Sql(kind),
        policy=control(prefix + digest),
        signature=join(", ", signature),
        returns=returns,
        body=body,
    )
    return SnowflakePolicy(prefix + digest, create, tuple(arguments))


def _argument(name: Sql, column: Column) -> Sql:
    return compose("{name} {type}", name=name, type=simple_type(column.native_type).sql)


def _shown(fragments: Fragments) -> list[tuple[ProfileName, TableFragment]]:
    """Return the fragments that show any row, in a stable order."""
    return sorted(((profile, each) for profile, each in fragments.items() if each.row != NO_ROW), key=lambda each: each[0])


def _free(table: TableId, columns: Sequence[Column], fragments: Fragments) -> Column:
    """Return a column without a masking policy, for a row policy that reads no column but needs one."""
    taken = {name for each in fragments.values() for masked, shown in each.columns.items() for name in (masked, *shown.reads)}
    free = next((each for each in columns if each.name not in taken and column_type(each.native_type) is not None), None)
    if free is None:
        raise Conflict(
            f"every column of {table} is masked or of a type that no policy can be written for: leave one in clear, or remove the tool"
        )
    return free


def _require_compatible(table: TableId, fragments: Fragments) -> None:
    """Refuse fragments that filter and mask one column, or that mask a column which another mask reads."""
    masked = {name for each in fragments.values() for name in each.columns}
    read = {name for each in fragments.values() for name in each.reads}
    conditional = {name for each in fragments.values() for shown in each.columns.values() for name in shown.reads}
    for name in sorted((masked & read) | (masked & conditional) | (read & conditional)):
        who = sorted(profile for profile, each in fragments.items() if name in each.reads or name in each.columns)
        raise Conflict(
            f"column {name} of {table} is filtered by and masked for tools at once ({', '.join(who)}), which Snowflake has no policies for:"
            " give those agents no tool that reads the table by its own name"
        )


def _text(stored: str) -> Sql:
    """Return a fragment's text, which was composed when it was created."""
    return Sql(stored)

"""What keeps rows of a table apart on Snowflake: a wall on the table, and a secure view of it in each profile's schema. Pure.

**Agents read secure views**, `ROLEVEND.<profile>.<view>` (`views`), and have no privilege on tables. One view says the per-cell rule
exactly, as on PostgreSQL. Policies on the table itself cannot, since there is one row access policy for each table and one masking policy
for each column, for all profiles at once, and a column is in the signature of one of the two only:

* a mask that depends on the row reads the columns that the row filter reads, so the two policies would share them;
* a column that one profile masks could be filtered by in no other one;
* a column that is added to the table later would be shown in clear, and what no policy grants would be, too, unless it is masked;
* what is longer than the column could not be shown in its place;
* each new profile would write a shared body anew, under live roles.

**The wall** is the table's row access policy (`row_policy` without fragments): a session that holds any profile, or whose user was made for
a vended role, sees no row, except through views of ours. So it does not matter what PUBLIC may read, or what somebody grants by hand. It
never changes, and tables share it.

**Tables behind a tool**, such as those of a semantic view, are read by their own names, so a profile with that tool is granted SELECT on
them, and adds a `TableFragment` (`fragments`) to the table's row policy and to its masking policies. What those cannot say gets the
stricter form, never the weaker one, and `stricter` says so. Fragments that cannot be in force together are a `Conflict`: whoever comes
later is refused, and what live roles see stays as it is.

Policies are named by what they say, and are never altered: another body is another policy, and a table goes from one to the other in one
statement. Masks are set before the row policy that needs them, and taken away after it: at every point what is shown is too little.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rolevend.catalog import Column, TableId
from rolevend.errors import Conflict
from rolevend.model import ProfileName
from rolevend.naming import PREFIX
from rolevend.platforms.snowflake.build.sql_fragments import NO_ROW, Shown, TableFragment, dumped, fragment, loaded
from rolevend.platforms.snowflake.build.views import View, secure_view
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
    """A row access policy or a masking policy. Its name is a digest of what it says."""

    name: str
    """Within ROLEVEND.CONTROL."""
    create: str
    """One statement, which does nothing where it is there."""
    arguments: tuple[str, ...]
    """The table's columns that it is set on, in order; the first one of a masking policy is what it masks."""


def row_policy(table: TableId, columns: Sequence[Column], fragments: Fragments) -> SnowflakePolicy:
    """The one row access policy of a table, all of whose columns are given: the wall, and the rows of `fragments`.

    `Conflict` where those cannot be in force together, or where no column is left that a row policy could be set on.
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
    """One for each column that one of `fragments` masks, in the table's order. `Conflict` as for `row_policy`."""
    _require_compatible(table, fragments)
    masked = {name for each in fragments.values() for name in each.columns}
    by_name = {column.name: column for column in columns}
    return tuple(_masking_policy(column, by_name, fragments) for column in columns if column.name in masked)


def set_row_policy(table: TableId, policy: SnowflakePolicy, *, database: str, instead_of: str | None = None) -> str:
    """One statement, so that the table is never without; `instead_of` is the policy of ours that it has."""
    return compose(
        "ALTER TABLE {table} {dropped}ADD ROW ACCESS POLICY {policy} ON ({arguments})",
        table=qualified(database, table.schema, table.name),
        dropped=Sql("") if instead_of is None else compose("DROP ROW ACCESS POLICY {policy}, ", policy=control(instead_of)),
        policy=control(policy.name),
        arguments=join(", ", map(identifier, policy.arguments)),
    )


def set_masking_policy(table: TableId, policy: SnowflakePolicy, *, database: str, replacing: bool = False) -> str:
    """One statement. `replacing` says that the column has a policy of ours, which this one takes the place of; where it is somebody
    else's it must not be set at all."""
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
"""Who is not concerned: a session without any profile, whichever of its roles is the primary one, whose user was not made for a vended role
either: such a user may put its role aside, and be nothing but PUBLIC. And views of ours, which have a rule of their own."""


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
    """Those that show any row, in one order."""
    return sorted(((profile, each) for profile, each in fragments.items() if each.row != NO_ROW), key=lambda each: each[0])


def _free(table: TableId, columns: Sequence[Column], fragments: Fragments) -> Column:
    """A column that no masking policy is about, for a row policy that needs one and reads none."""
    taken = {name for each in fragments.values() for masked, shown in each.columns.items() for name in (masked, *shown.reads)}
    free = next((each for each in columns if each.name not in taken and column_type(each.native_type) is not None), None)
    if free is None:
        raise Conflict(
            f"every column of {table} is masked or of a type that no policy can be written for: leave one in clear, or remove the tool"
        )
    return free


def _require_compatible(table: TableId, fragments: Fragments) -> None:
    """A column is in the signature of a row policy or of a masking policy, and what is masked is no condition of another mask."""
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
    """Of a fragment: it was composed when that was made."""
    return Sql(stored)

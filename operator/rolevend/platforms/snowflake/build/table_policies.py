"""Set the policies of tables behind a tool, so that a reader of the table sees what its profile shows.

Fragments are recorded first, then set on the table, then verified, because a concurrent builder may have set the policies that it knew.
Needs a warehouse.
"""

import json
import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from snowflake.connector import errors as vendor

from rolevend.catalog import Column, TableId
from rolevend.errors import Conflict, PlatformBusy
from rolevend.model import ProfileName
from rolevend.plan import Profile
from rolevend.platforms.snowflake.build.attachments import ROW_ACCESS_POLICY, Attachments, read_policies
from rolevend.platforms.snowflake.build.policies import Fragments
from rolevend.platforms.snowflake.build.views import TableFragment, completed, dumped, fragment, loaded
from rolevend.platforms.snowflake.catalog import read_columns
from rolevend.platforms.snowflake.connections import SnowflakeSession
from rolevend.platforms.snowflake.control import profile_role
from rolevend.platforms.snowflake.exchange import Carried, Placed, exchanged
from rolevend.platforms.snowflake.failures import OTHER_ROW_POLICY, code_of
from rolevend.platforms.snowflake.names import FRAGMENT
from rolevend.platforms.snowflake.sql import Sql, compose, literal

_ATTEMPTS: Final = 3

_log = logging.getLogger(__name__)


def put(session: SnowflakeSession, profile: Profile, database: str) -> frozenset[TableId]:
    """Return the profile's tables that have such policies now.

    Raises `Conflict`, and removes this profile's fragments, if those of several profiles are incompatible.
    """
    known = read_fragments(session)
    own = [table for table in profile.tables if any(table.table in tool.reads for tool in profile.tools)]
    behind = sorted({table.table for table in profile.tables if table.table in known} | {each.table for each in own})
    columns = read_columns(session, database, {table.schema for table in behind})
    mine = {shape.table: fragment(profile.name, shape, columns[shape.table]) for shape in own}
    for table, each in mine.items():
        if profile.name not in known.get(table, {}):
            together = {**known.get(table, {}), profile.name: each}
            _wanted(table, columns, together, Carried(), database)  # raises Conflict before any change
            session.rows(_write_down(profile.name, table, each))
    try:
        settle(session, behind, database)
    except Conflict:
        take_away(session, profile.name, database)
        raise
    return frozenset(behind)


def settle(session: SnowflakeSession, tables: Sequence[TableId], database: str) -> None:
    """Set on each table the policies that all of its fragments need."""
    for _ in range(_ATTEMPTS):
        missing = unsettled(session, tables, database)
        if not missing:
            return
        try:
            for statements in missing.values():
                for statement in statements:
                    session.rows(Sql(statement))
        except vendor.Error as error:
            if code_of(error) != OTHER_ROW_POLICY:
                raise
    raise PlatformBusy(f"policies come and go on {tables[0]}")


def unsettled(session: SnowflakeSession, tables: Sequence[TableId], database: str) -> Mapping[TableId, tuple[str, ...]]:
    """Return the statements for tables whose policies differ from those that their fragments need."""
    columns = read_columns(session, database, {table.schema for table in tables})
    there = [table for table in tables if table in columns]
    if not there:
        return {}
    fragments, attached = read_fragments(session), read_policies(session, database, there)
    wanted = {table: _wanted(table, columns, fragments.get(table, {}), _carried(attached.get(table, ())), database) for table in there}
    return {table: statements for table, statements in wanted.items() if statements}


def hide_added(session: SnowflakeSession, tables: Sequence[TableId], database: str) -> None:
    """Mask columns that were added to the tables since their fragments were written."""
    columns, fragments = read_columns(session, database, {table.schema for table in tables}), read_fragments(session)
    grown = [
        table
        for table in tables
        if any(column.name not in each.written_for for column in columns.get(table, ()) for each in fragments[table].values())
    ]
    settle(session, grown, database)


def take_away(session: SnowflakeSession, profile: ProfileName, database: str) -> None:
    """Remove the profile's fragments; those of others stay. A table with another owner's policy stays unchanged."""
    tables = sorted(table for table, fragments in read_fragments(session).items() if profile in fragments)
    if tables:
        session.rows(compose("DELETE FROM {} WHERE PROFILE = {}", FRAGMENT, literal(profile_role(profile))))
    for table in tables:
        try:
            settle(session, [table], database)
        except Conflict as error:
            _log.warning("policies for tools are left where they are: %s", error, extra={"profile": profile, "table": str(table)})


def read_fragments(session: SnowflakeSession) -> Mapping[TableId, Fragments]:
    found: dict[TableId, dict[ProfileName, TableFragment]] = {}
    for row in session.rows(compose("SELECT PROFILE, PLACE, FRAGMENT FROM {}", FRAGMENT)):
        table = TableId(*json.loads(row["place"]))
        found.setdefault(table, {})[ProfileName(str(row["profile"]).lower())] = loaded(row["fragment"])
    return found


def _wanted(
    table: TableId, columns: Mapping[TableId, Sequence[Column]], fragments: Fragments, carried: Carried, database: str
) -> tuple[str, ...]:
    """Return the statements; columns added after a fragment was written are hidden."""
    whole = {profile: completed(each, columns[table]) for profile, each in fragments.items()}
    return exchanged(table, columns[table], carried, whole, database=database)


def _carried(attached: Collection[Attachments]) -> Carried:
    for each in attached:
        if not each.is_ours:
            raise Conflict(f"the table {each.obstacle}")
    row = next((Placed(each.name, each.arguments) for each in attached if each.kind == ROW_ACCESS_POLICY), None)
    masks = {each.column: Placed(each.name, (each.column, *each.arguments)) for each in attached if each.column is not None}
    return Carried(row, masks)


def _write_down(profile: ProfileName, table: TableId, each: TableFragment) -> Sql:
    return compose(
        "INSERT INTO {fragments} (PROFILE, PLACE, FRAGMENT) SELECT {profile}, {place}, {fragment}",
        fragments=FRAGMENT,
        profile=literal(profile_role(profile)),
        place=literal(json.dumps([table.schema, table.name], ensure_ascii=False)),
        fragment=literal(dumped(each)),
    )

"""Detect manual changes on governed tables: a removed wall, another owner's policy, a dropped table. Needs a warehouse.

A profile over such a table is marked as not built, so that no vend uses it; the next vend builds it again, which restores the wall if
possible. The mark stays, so the finding is repeated while a role of it lives. A dropped table is reported only for roles that read it,
because there is nothing else to fix.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from rolevend.catalog import TableId
from rolevend.model import ClusterId, ProfileName, RoleName
from rolevend.platforms.protocol import Account, Drift
from rolevend.platforms.snowflake.build import table_policies
from rolevend.platforms.snowflake.build.attachments import ROW_ACCESS_POLICY, Attachments, read_policies
from rolevend.platforms.snowflake.catalog import read_tables
from rolevend.platforms.snowflake.connections import SnowflakeSession
from rolevend.platforms.snowflake.control import OPENED, profile_role
from rolevend.platforms.snowflake.names import LEASE, PROFILE
from rolevend.platforms.snowflake.sql import Sql, compose, literal

_TAKEN_OFF: Final = "its policies are not those that its tools need: the next vend that reads it puts them back"
WRITTEN_OFF: Final = "OFF "
"""The prefix of the name of a profile that was built before."""

_GONE: Final = "the table is gone: make it again, and the next vend that reads it governs it, or leave it out of every policy"

Tables = Mapping[ProfileName, frozenset[TableId]]


def tables_text(tables: Sequence[TableId]) -> str:
    """Return TABLES of a built profile."""
    return json.dumps([[each.schema, each.name] for each in tables], ensure_ascii=False)


def drifted(session: SnowflakeSession, account: Account, cluster: ClusterId) -> tuple[Sequence[Drift], frozenset[ProfileName]]:
    """Return the drift, and the profiles that were marked now."""
    built, written_off = _profiles(session, cluster)
    if not built and not written_off:
        return (), frozenset()
    roles = _live_roles(session, cluster)
    for profile in sorted(written_off.keys() - roles.values()):
        session.rows(_forget(WRITTEN_OFF + profile_role(profile)))
    read = {**{profile: tables for profile, tables in written_off.items() if profile in roles.values()}, **built}
    findings = _findings(session, account, sorted({table for tables in read.values() for table in tables}))
    broken = frozenset(profile for profile, tables in built.items() if findings.keys() & tables)
    for profile in sorted(broken):
        session.rows(_note_written_off(profile))
        session.rows(_forget(profile_role(profile)))
    readers = {table: tuple(sorted(role for role, of in roles.items() if table in read.get(of, ()))) for table in findings}
    drifts = [Drift(table, finding, readers[table]) for table, finding in sorted(findings.items()) if readers[table] or finding != _GONE]
    return tuple(drifts), broken


def _behind_tools(session: SnowflakeSession, account: Account, tables: Collection[TableId]) -> dict[TableId, str]:
    """Hide columns that were added to tables behind tools, and return findings for removed policies."""
    behind_tools = sorted(table_policies.read_fragments(session).keys() & set(tables))
    table_policies.hide_added(session, behind_tools, account.database)
    return dict.fromkeys(table_policies.unsettled(session, behind_tools, account.database), _TAKEN_OFF)


def _findings(session: SnowflakeSession, account: Account, tables: Sequence[TableId]) -> Mapping[TableId, str]:
    """Return the findings. Snowflake reports policies only if every table in the query exists."""
    there = {each.id for each in read_tables(session, account.database, {table.schema for table in tables})}
    policies = read_policies(session, account.database, [table for table in tables if table in there])
    found = {table: _finding(policies.get(table, ())) if table in there else _GONE for table in tables}
    findings = {table: finding for table, finding in found.items() if finding}
    return findings | _behind_tools(session, account, set(tables) - findings.keys())


def _note_written_off(profile: ProfileName) -> Sql:
    name, off = profile_role(profile), WRITTEN_OFF + profile_role(profile)
    return compose(
        "INSERT INTO {profiles} (PROFILE, CLUSTER, TABLES) SELECT {off}, CLUSTER, TABLES FROM {profiles} WHERE PROFILE = {name}\n"
        "   AND (SELECT COUNT(*) FROM {profiles} WHERE PROFILE = {off}) = 0",
        profiles=PROFILE,
        off=literal(off),
        name=literal(name),
    )


def _forget(name: str) -> Sql:
    return compose("DELETE FROM {} WHERE PROFILE = {}", PROFILE, literal(name))


def _finding(attached: Sequence[Attachments]) -> str:
    foreign = [each for each in attached if not each.is_ours]
    if foreign:
        return f"the table {foreign[0].obstacle}"
    if any(each.kind == ROW_ACCESS_POLICY for each in attached):
        return ""
    return "its row access policy is gone: the next vend that reads it puts it back, or leave it out of every policy"


def _profiles(session: SnowflakeSession, cluster: ClusterId) -> tuple[Tables, Tables]:
    """Return the built profiles and the marked ones."""
    built: dict[ProfileName, frozenset[TableId]] = {}
    written_off: dict[ProfileName, frozenset[TableId]] = {}
    for row in session.rows(compose("SELECT PROFILE, TABLES FROM {} WHERE CLUSTER = {}", PROFILE, literal(cluster))):
        name, tables = str(row["profile"]), frozenset(TableId(schema, table) for schema, table in json.loads(row["tables"]))
        (written_off if name.startswith(WRITTEN_OFF) else built)[ProfileName(name.removeprefix(WRITTEN_OFF).lower())] = tables
    return built, written_off


def _live_roles(session: SnowflakeSession, cluster: ClusterId) -> Mapping[RoleName, ProfileName]:
    rows = session.rows(
        compose(
            "SELECT ROLE, PROFILE FROM {lease} WHERE CLUSTER = {cluster} AND EVENT = {opened} AND EXPIRES_AT > CURRENT_TIMESTAMP()\n"
            "   AND ROLE NOT IN (SELECT ROLE FROM {lease} WHERE EVENT <> {opened})",
            lease=LEASE,
            cluster=literal(cluster),
            opened=literal(OPENED),
        )
    )
    return {RoleName(row["role"]): ProfileName(str(row["profile"]).lower()) for row in rows}

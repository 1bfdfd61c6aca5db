"""What was changed by hand on governed tables: the wall is gone, or somebody else's policy came. Takes a warehouse.

A profile over such a table is written off, so that no vend uses it; the next one has it built again, which puts the wall back if it can.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from rolevend.catalog import TableId
from rolevend.model import ClusterId, ProfileName, RoleName
from rolevend.platforms.base import Account, Drift
from rolevend.platforms.snowflake import behind
from rolevend.platforms.snowflake.attached import ROW_ACCESS_POLICY, Attached, read_policies
from rolevend.platforms.snowflake.connections import Session
from rolevend.platforms.snowflake.control import OPENED, profile_role
from rolevend.platforms.snowflake.names import LEASE, PROFILE
from rolevend.platforms.snowflake.text import Sql, compose, literal

_TAKEN_OFF: Final = "its policies are not those that its tools need: the next vend that reads it puts them back"


def tables_text(tables: Sequence[TableId]) -> str:
    """TABLES of a profile that is built."""
    return json.dumps([[each.schema, each.name] for each in tables], ensure_ascii=False)


def drifted(session: Session, account: Account, cluster: ClusterId) -> tuple[Sequence[Drift], frozenset[ProfileName]]:
    """With the profiles that were written off."""
    built = _built(session, cluster)
    if not built:
        return (), frozenset()
    tables = sorted({table for tables in built.values() for table in tables})
    policies = read_policies(session, account.database, tables)
    findings = {table: finding for table in tables if (finding := _finding(policies.get(table, ())))}
    findings |= _behind_tools(session, account, set(tables) - findings.keys())
    broken = frozenset(profile for profile, tables in built.items() if findings.keys() & set(tables))
    if not broken:
        return (), frozenset()
    roles = _live_roles(session, cluster)
    for profile in sorted(broken):
        session.rows(write_off(profile))
    return [
        Drift(table, finding, tuple(sorted(role for role, profile in roles.items() if table in built.get(profile, ()))))
        for table, finding in sorted(findings.items())
    ], broken


def _behind_tools(session: Session, account: Account, tables: Collection[TableId]) -> Mapping[TableId, str]:
    """What came to such a table no tool sees, which is mended at once. What was taken off is said."""
    behind_tools = sorted(behind.read_fragments(session).keys() & set(tables))
    behind.hide_added(session, behind_tools, account.database)
    return dict.fromkeys(behind.unsettled(session, behind_tools, account.database), _TAKEN_OFF)


def write_off(profile: ProfileName) -> Sql:
    return compose("DELETE FROM {} WHERE PROFILE = {}", PROFILE, literal(profile_role(profile)))


def _finding(attached: Sequence[Attached]) -> str:
    foreign = [each for each in attached if not each.is_ours]
    if foreign:
        return f"the table {foreign[0].obstacle}"
    if any(each.kind == ROW_ACCESS_POLICY for each in attached):
        return ""
    return "its row access policy is gone: the next vend that reads it puts it back, or leave it out of every policy"


def _built(session: Session, cluster: ClusterId) -> Mapping[ProfileName, frozenset[TableId]]:
    rows = session.rows(compose("SELECT PROFILE, TABLES FROM {} WHERE CLUSTER = {}", PROFILE, literal(cluster)))
    return {
        ProfileName(str(row["profile"]).lower()): frozenset(TableId(schema, name) for schema, name in json.loads(row["tables"]))
        for row in rows
    }


def _live_roles(session: Session, cluster: ClusterId) -> Mapping[RoleName, ProfileName]:
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

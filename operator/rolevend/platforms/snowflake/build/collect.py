"""Collect unused profiles. Order: mark as not built, so that no vend uses them; remove their fragments from policies; drop their role; drop
the schema of their views last, because remains are found by it.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Final

from rolevend.model import ClusterId, ProfileName
from rolevend.platforms.snowflake.connections import SnowflakeSession
from rolevend.platforms.snowflake.control import OPENED, profile_role
from rolevend.platforms.snowflake.drift import WRITTEN_OFF
from rolevend.platforms.snowflake.names import DATABASE, LEASE, PROFILE, cluster_of, role_of, schema_of
from rolevend.platforms.snowflake.sql import Sql, compose, literal

_OF_PROFILES: Final = "RV_P_"


def forgotten(
    session: SnowflakeSession, cluster: ClusterId, keep: Collection[ProfileName], unused_since: datetime
) -> tuple[ProfileName, ...]:
    """Return the profiles with remains that no vend can use, after marking the unused ones."""
    kept = {profile_role(each) for each in keep}
    for row in session.rows(unused(cluster, unused_since)):
        if row["profile"] not in kept:
            session.rows(write_off(ProfileName(str(row["profile"]).lower()), unused_since))
    there = {name for name in _schemas(session, cluster, unused_since) if name not in kept}
    there -= {str(row["profile"]) for row in session.rows(needed(unused_since))} if there else set()
    return tuple(ProfileName(name.lower()) for name in sorted(there))


def drop_role(profile: ProfileName) -> Sql:
    return compose("DROP ROLE IF EXISTS {}", role_of(profile))


def drop_views(profile: ProfileName) -> Sql:
    return compose("DROP SCHEMA IF EXISTS {}", schema_of(profile))


def unused(cluster: ClusterId, since: datetime) -> Sql:
    """Select profiles built before then without a live lease or one opened since. Profiles that `drift` marked do not count as built."""
    return compose(
        "SELECT PROFILE FROM {profiles} AS p WHERE CLUSTER = {cluster} AND RECORDED_AT < TO_TIMESTAMP_TZ({since})\n"
        "   AND NOT STARTSWITH(PROFILE, {off})\n"
        "   AND PROFILE NOT IN (SELECT PROFILE FROM {lease} WHERE PROFILE IS NOT NULL AND {used})\n ORDER BY PROFILE",
        profiles=PROFILE,
        cluster=literal(cluster),
        since=literal(since.isoformat()),
        off=literal(WRITTEN_OFF),
        lease=LEASE,
        used=_used(since),
    )


def write_off(profile: ProfileName, since: datetime) -> Sql:
    """Mark a profile as not built unless a lease was opened meanwhile."""
    return compose(
        "DELETE FROM {profiles} WHERE PROFILE = {profile} AND (SELECT COUNT(*) FROM {lease} WHERE PROFILE = {profile} AND {used}) = 0",
        profiles=PROFILE,
        profile=literal(profile_role(profile)),
        lease=LEASE,
        used=_used(since),
    )


def needed(since: datetime) -> Sql:
    """Select the profiles that are built or have a lease that is live or opened since."""
    return compose(
        "SELECT PROFILE FROM {profiles} UNION SELECT PROFILE FROM {lease} WHERE PROFILE IS NOT NULL AND {used}",
        profiles=PROFILE,
        lease=LEASE,
        used=_used(since),
    )


def _used(since: datetime) -> Sql:
    return compose(
        "(RECORDED_AT >= TO_TIMESTAMP_TZ({since}) OR (EXPIRES_AT > CURRENT_TIMESTAMP()\n"
        "        AND ROLE NOT IN (SELECT ROLE FROM {lease} WHERE EVENT <> {opened})))",
        since=literal(since.isoformat()),
        lease=LEASE,
        opened=literal(OPENED),
    )


def _schemas(session: SnowflakeSession, cluster: ClusterId, before: datetime) -> frozenset[str]:
    """Return the schemas of this cluster's profiles created before then."""
    shown = session.rows(compose("SHOW SCHEMAS IN DATABASE {} STARTS WITH {}", DATABASE, literal(_OF_PROFILES)))
    return frozenset(str(row["name"]) for row in shown if row["created_on"] < before and cluster_of(row.get("comment")) == cluster)

"""Takes away profiles that nobody uses. Written off first, so that no vend uses them meanwhile; then their views; then their role."""

from collections.abc import Collection
from datetime import datetime

from rolevend.model import ClusterId, ProfileName
from rolevend.platforms.snowflake import behind
from rolevend.platforms.snowflake.connections import Session
from rolevend.platforms.snowflake.control import OPENED, profile_role
from rolevend.platforms.snowflake.drift import WRITTEN_OFF
from rolevend.platforms.snowflake.names import LEASE, PROFILE, role_of, schema_of
from rolevend.platforms.snowflake.text import Sql, compose, literal


def forget_unused(
    session: Session, cluster: ClusterId, database: str, keep: Collection[ProfileName], unused_since: datetime
) -> tuple[ProfileName, ...]:
    """The profiles that no vend finds any more, and whose views and parts of policies are gone. Their roles are the vendor's to drop: see
    `drop_role_of`."""
    kept = {profile_role(each) for each in keep}
    found = [str(row["profile"]) for row in session.rows(unused(cluster, unused_since))]
    forgotten = [ProfileName(name.lower()) for name in found if name not in kept]
    gone = tuple(profile for profile in forgotten if _forget(session, profile, unused_since))
    for profile in gone:
        behind.take_away(session, profile, database)
    return gone


def drop_role_of(session: Session, profile: ProfileName) -> None:
    session.rows(compose("DROP ROLE IF EXISTS {}", role_of(profile)))


def unused(cluster: ClusterId, since: datetime) -> Sql:
    """Built before then, with no lease that was opened since or lives. What `drift` wrote off is not built."""
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
    """Unless a lease came meanwhile: who vends finds it written down, or does not."""
    return compose(
        "DELETE FROM {profiles} WHERE PROFILE = {profile} AND (SELECT COUNT(*) FROM {lease} WHERE PROFILE = {profile} AND {used}) = 0",
        profiles=PROFILE,
        profile=literal(profile_role(profile)),
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


def _forget(session: Session, profile: ProfileName, since: datetime) -> bool:
    session.rows(write_off(profile, since))
    left = compose("SELECT PROFILE FROM {} WHERE PROFILE = {}", PROFILE, literal(profile_role(profile)))
    if session.rows(left):
        return False
    session.rows(compose("DROP SCHEMA IF EXISTS {}", schema_of(profile)))
    return True

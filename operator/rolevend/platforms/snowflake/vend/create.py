"""Vend one role: run the statements of `vends`, then verify the role's grants. Idempotent."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from snowflake.connector import errors as vendor

from rolevend.errors import Conflict, InvalidInput, Overtaken, PlatformUnavailable, ProfileNotBuilt
from rolevend.plan import Lease
from rolevend.platforms.protocol import Account, KeyPairCredential
from rolevend.platforms.snowflake.connections import Row, SnowflakeSession
from rolevend.platforms.snowflake.control import OPENED
from rolevend.platforms.snowflake.drop import drops
from rolevend.platforms.snowflake.failures import ALREADY_EXISTS, NOT_NULL, NOT_PERMITTED, NOT_THERE, code_of
from rolevend.platforms.snowflake.names import mark_of
from rolevend.platforms.snowflake.vend import vends
from rolevend.platforms.snowflake.vend.keys import public_key

_TO_LOOK_AT: Final = frozenset({ALREADY_EXISTS, NOT_NULL, NOT_THERE, NOT_PERMITTED})
"""Codes after which the state is read: a profile that is being built is not grantable or not visible."""


def make(session: SnowflakeSession, lease: Lease, credential: KeyPairCredential, account: Account) -> datetime:
    """Create the role and return its expiry.

    Raises errors of rolevend or of the connector; a remaining role then has no access, or the same call completes it.
    """
    key = public_key(credential.private_key) if credential.private_key is not None else None
    try:
        session.script(vends.vend(lease, key, account))
        expires_at = lease.expires_at
    except vendor.Error as error:
        if code_of(error) not in _TO_LOOK_AT:
            raise
        expires_at = _make_again(session, lease, key, account, error)
    try:
        _verify(session, lease)
    except vendor.Error as error:
        if code_of(error) == NOT_THERE:  # the role was ended meanwhile
            _expect_open(session, lease, session.rows(vends.leases(lease)))
        raise
    return expires_at


def _make_again(session: SnowflakeSession, lease: Lease, key: str | None, account: Account, error: vendor.Error) -> datetime:
    """Read the state after a failure (the role exists, the name is used up, the lease is impossible), and continue if possible."""
    rows = session.rows(vends.leases(lease))
    _expect_ours(session, lease, rows)
    _expect_open(session, lease, rows)
    if not all(vends.is_same(lease, row) for row in rows):
        raise Overtaken(f"{lease.role} was vended with another profile, other values or for other tables")
    _expect_possible(session, lease, undo=not rows)
    if _there(session, lease) is None:
        if rows:
            raise Overtaken(f"{lease.role} was dropped by somebody, and its lease is used up") from error
        raise error
    try:
        session.script(vends.vend_again(lease, key, account, has_lease=bool(rows)))
    except vendor.Error as refused:
        if lease.agent_user is None or code_of(refused) != NOT_THERE:
            raise
        why = f"there is no user {lease.agent_user}, which its spec.agents names as agentUser of {lease.agent.name}"
        raise Conflict(f"{lease.role} cannot be granted: {why}") from refused
    return min((row["expires_at"] for row in rows), default=lease.expires_at)


def _expect_possible(session: SnowflakeSession, lease: Lease, *, undo: bool) -> None:
    (found,) = session.rows(vends.obstacles(lease))
    if all((found["built"], found["ahead"], found["near"])):
        return
    if undo:
        _undo(session, lease)
    if not found["built"] and found["theirs"]:
        raise Conflict(f"profile {lease.profile} is another cluster's")
    if not found["built"]:
        raise ProfileNotBuilt(f"profile {lease.profile} is not built, or was collected a moment ago")
    raise InvalidInput("expiresAt", f"{lease.role}: a lease ends within a day, and not in the past")


def _expect_open(session: SnowflakeSession, lease: Lease, rows: list[Row]) -> None:
    if any(row["event"] != OPENED for row in rows):
        _undo(session, lease)
        raise Overtaken(f"{lease.role} was ended, and stays so")


def _expect_ours(session: SnowflakeSession, lease: Lease, rows: list[Row]) -> None:
    there = _there(session, lease)
    mark = mark_of(there.get("comment")) if there is not None else None
    is_ours = mark is not None and mark.is_of(lease.cluster, lease.uid)
    if any((row["cluster"], row["uid"]) != (lease.cluster, lease.uid) for row in rows):
        if is_ours:  # created before its lease was refused
            _undo(session, lease)
        raise Overtaken(f"{lease.role} belongs to another vend")
    if there is not None and not is_ours:
        raise Conflict(f"there is a role {lease.role} that rolevend did not make for this lease: rename or drop it")


def _there(session: SnowflakeSession, lease: Lease) -> Mapping[str, Any] | None:
    return drops.found(lease.role, session.rows(drops.look(lease.role)))


def _verify(session: SnowflakeSession, lease: Lease) -> None:
    """Close a role whose grants differ from the plan."""
    wrong = vends.excess(lease, session.rows(vends.grants(lease)))
    if wrong:
        _undo(session, lease)
        raise PlatformUnavailable(f"{lease.role} was dropped again, since {wrong}")


def _undo(session: SnowflakeSession, lease: Lease) -> None:
    session.script(drops.without_warehouse(lease.role))

"""End roles: close and commit, then repeat the finish until they are gone, then verify. The tombstone is the platform's own record of a
role: its owner, expiry, and reason of its end."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rolevend.errors import PlatformBusy, RolevendError
from rolevend.model import ClusterId, ObjectName, ProfileName, RoleName, Uid, User
from rolevend.platforms.postgres.connections import Connection
from rolevend.platforms.postgres.failures import failure
from rolevend.platforms.postgres.sql_files import query
from rolevend.platforms.protocol import DropRequest, DropResult

CHUNK = 60
"""The maximum batch of `rolevend.close_many` and `rolevend.finish_many`."""

Run = Callable[[Callable[[Connection], Any]], Any]
_CLOSE = "SELECT role, failed, message FROM rolevend.close_many(%(endings)s::jsonb)"
_FINISH = "SELECT role, state, ended FROM rolevend.finish_many(%(roles)s)"
_SESSIONS_REMAIN = "sessions remain"
_FIRST_WAIT, _LONGEST_WAIT = 0.01, 0.2


def drop_all(run: Run, attempt: str, cluster: ClusterId, endings: Sequence[DropRequest], patience: float) -> Sequence[DropResult]:
    """Return one result for each ending, in their order."""
    answers: dict[RoleName, DropResult] = {}
    for start in range(0, len(endings), CHUNK):
        chunk = endings[start : start + CHUNK]
        try:
            answers |= _chunk(run, attempt, cluster, chunk, patience)
        except RolevendError as error:
            answers |= {ending.role: DropResult(ending.role, error) for ending in chunk}
    return [answers[ending.role] for ending in endings]


def _chunk(run: Run, attempt: str, cluster: ClusterId, endings: Sequence[DropRequest], patience: float) -> dict[RoleName, DropResult]:
    asked = [{"role": each.role, "cluster": cluster, "uid": each.uid, "reason": each.reason.value} for each in endings]
    closed = run(lambda connection: connection.execute(_CLOSE, {"endings": json.dumps(asked)}, prepare=True).fetchall())
    refused = {RoleName(role): DropResult(role, failure(attempt, state, message)) for role, state, message in closed if state is not None}
    left = [ending.role for ending in endings if ending.role not in refused]
    return refused | _finish(run, attempt, left, patience)


def _finish(run: Run, attempt: str, roles: Sequence[RoleName], patience: float) -> dict[RoleName, DropResult]:
    states: dict[RoleName, str] = dict.fromkeys(roles, "not tried")
    sessions: dict[RoleName, set[int]] = {role: set() for role in roles}
    deadline, wait = time.monotonic() + patience, _FIRST_WAIT
    left = list(roles)
    while left:
        trying = list(left)
        for role, state, ended in run(lambda connection: connection.execute(_FINISH, {"roles": trying}, prepare=True).fetchall()):  # noqa: B023
            states[role] = state
            sessions[role].update(ended)
        left = [role for role in left if states[role] != "dropped"]
        if not any(states[role] == _SESSIONS_REMAIN for role in left) or time.monotonic() >= deadline:
            break  # any other block needs a person or a later retry
        time.sleep(wait)
        wait = min(wait * 2, _LONGEST_WAIT)
    gone = [role for role in roles if states[role] == "dropped"]
    for role in _still_there(run, gone):
        states[role] = "it was dropped, and a session or a role of that name is there again"
    return {role: DropResult(role, _error(attempt, role, states[role]), frozenset(sessions[role])) for role in roles}


def _still_there(run: Run, roles: Sequence[RoleName]) -> list[RoleName]:
    if not roles:
        return []
    return [role for (role,) in run(lambda connection: connection.execute(query("gone"), {"roles": list(roles)}, prepare=True).fetchall())]


def _error(attempt: str, role: RoleName, state: str) -> PlatformBusy | None:
    return None if state == "dropped" else PlatformBusy(f"cannot {attempt}: {role}: {state}")


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A lease, live or ended. A field is None if the role was closed before it was vended."""

    role: RoleName
    cluster: ClusterId
    uid: Uid
    agent: ObjectName | None
    user: User | None
    profile: ProfileName | None
    """Also None after the profile was collected."""
    issued_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    reason: str | None
    dropped_at: datetime | None
    record_name: str | None = None
    """The namespace and name of the role, if the database records it instead of a VendedRole."""
    record: str | None = None
    """The JSON text of this record. Nothing in it is verified."""


def tombstone_of(connection: Connection, role: RoleName) -> Tombstone | None:
    row = connection.execute(query("who"), {"role": role}).fetchone()
    if row is None:
        return None
    cluster, uid, agent, issuer, subject, profile, *times = row
    namespace, _, name = (agent or "").partition("/")
    return Tombstone(
        role,
        cluster,
        uid,
        ObjectName(namespace, name) if agent else None,
        User(issuer, subject) if issuer else None,
        profile,
        *times,
    )

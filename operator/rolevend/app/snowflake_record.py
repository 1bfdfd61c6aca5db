"""The records of a role in a Snowflake account, for `rolevend trace` and `rolevend who`, through the user's own connection."""

from collections.abc import Iterable, Iterator
from typing import Any

from rolevend.model import RoleName
from rolevend.naming import parse_role_name
from rolevend.platforms.snowflake.connections import administrators_session
from rolevend.platforms.snowflake.history import archived_statements_of, lease_of_role, statements_of
from rolevend.platforms.statement import Statement

_NONE_RECENT = (
    "Snowflake tells of no statement of this role in the last seven days, to a role that may MONITOR its warehouse: with --archive it tells"
    " those of a year"
)
_NONE_ARCHIVED = "Snowflake has no statement of this role in its archive, which is a year long and up to 45 minutes behind"


class SnowflakeTrace:
    """Yields the statements. Iterate once; afterwards `notes` holds hints for the user."""

    def __init__(self, role_name: str, connection: str, *, user: str | None = None, archive: bool = False) -> None:
        """`user` is the agent's user, if the role has no user of its name. Raises InvalidInput if the name is not one of a vended role."""
        parse_role_name(role_name)
        self._role = RoleName(role_name)
        self._connection = connection
        self._user = user
        self._archive = archive
        self.notes: list[str] = []

    def __iter__(self) -> Iterator[Statement]:
        ask = archived_statements_of if self._archive else statements_of
        with administrators_session(self._connection) as session:
            found = ask(session, self._role, user=self._user)
        if not found:
            self.notes.append(_NONE_ARCHIVED if self._archive else _NONE_RECENT)
        yield from found


async def lease_facts(role: RoleName, connection: str) -> Iterable[tuple[str, Any]]:
    """Return the facts of the lease for `rolevend who`."""
    with administrators_session(connection) as session:
        lease = lease_of_role(session, role)
    if lease is None:
        return []
    return [
        ("profile", lease.profile),
        ("from", lease.issued_at),
        ("until", lease.expires_at),
        ("ended", f"{lease.reason}, closed at {lease.closed_at}" if lease.closed_at else None),
    ]

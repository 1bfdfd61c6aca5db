"""Ask what vended roles run now, by the console's login, which can do nothing else.

Each question has a connection of its own. People ask rarely, and a pool would hold connections of the server meanwhile, keep a password
that was replaced, and block an uninstallation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from psycopg.rows import class_row

from rolevend.platforms.postgres.connections import PostgresLogin, connect
from rolevend.platforms.postgres.failures import translating
from rolevend.platforms.protocol import Address

CHARACTERS: Final = 4000
"""The most of one statement."""
SESSIONS: Final = 1000
"""The most in one answer."""
ROLES: Final = 20_000
"""The most in one question."""
_BOUNDS: Final[dict[str, Any]] = {
    "application_name": "rolevend console",
    "connect_timeout": 2,
    "tcp_user_timeout": 4_000,
    "options": "-c statement_timeout=2000 -c lock_timeout=500 -c default_transaction_read_only=on -c search_path=pg_catalog,pg_temp",
}


@dataclass(frozen=True, slots=True)
class RoleSession:
    """A session of a vended role."""

    role: str
    uid: str
    """Of the VendedRole."""
    pid: int
    state: str | None
    seconds: int | None
    """Since its statement began; of an idle session, since it became idle."""
    waits_for: str | None
    statement: str | None
    """An agent wrote it."""
    kept: int | None
    """The bytes that the server keeps of a statement, if it keeps a part of this one."""
    shown: bool
    """False: the server does not show what it does, because the operator has not looked at the session yet."""

    @property
    def runs(self) -> bool:
        return self.state == "active"


def sessions_of(address: Address, login: PostgresLogin, roles: Sequence[str], characters: int) -> list[RoleSession]:
    """Return the sessions of these roles, with so many characters of each statement. Blocks for at most a few seconds.

    Raises an Unavailable error.
    """
    with (
        translating(f"ask {address.host} what runs"),
        connect(address, login, **_BOUNDS) as connection,
        connection.cursor(row_factory=class_row(RoleSession)) as cursor,
    ):
        return cursor.execute("SELECT * FROM rolevend.running(%s::text[], %s)", [list(roles), characters]).fetchall()

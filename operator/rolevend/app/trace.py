"""`rolevend trace`: the statements of a role, from PostgreSQL's log files, or from Snowflake through the user's own connection."""

import gzip
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from rolevend.audit.role_chain import ChainLink
from rolevend.errors import InvalidInput
from rolevend.model import RoleName
from rolevend.naming import parse_role_name
from rolevend.platforms.postgres.statement_log import StatementLog
from rolevend.platforms.snowflake.connections import administrators_session
from rolevend.platforms.snowflake.history import archived_statements_of, lease_of_role, statements_of
from rolevend.platforms.statement import Statement, plain

STANDARD_INPUT = "-"
_NONE_RECENT = (
    "Snowflake tells of no statement of this role in the last seven days, to a role that may MONITOR its warehouse: with --archive it tells"
    " those of a year"
)
_NONE_ARCHIVED = "Snowflake has no statement of this role in its archive, which is a year long and up to 45 minutes behind"


class Trace:
    """Yields the statements. Iterate once; afterwards `notes` holds hints for the user."""

    def __init__(self, role_name: str, files: Sequence[str]) -> None:
        """Raises InvalidInput if the name is not one of a vended role, and during iteration if a file is not a log."""
        parse_role_name(role_name)
        self._log = StatementLog(RoleName(role_name))
        self._files = files
        self.notes: list[str] = []

    def __iter__(self) -> Iterator[Statement]:
        found = False
        for name in self._files:
            try:
                with _open(name) as lines:
                    for statement in self._log.read(lines, name):
                        found = True
                        yield statement
            except OSError as error:
                raise InvalidInput(name, f"cannot be read: {error.strerror or error}") from error
        for statement in self._log.rest():
            found = True
            yield statement
        if not found:
            self.notes.append("no statement of this role is in these files: see docs/how-to/trace-a-role.md for the settings that it takes")
        if self._log.unread:
            self.notes.append(f"{self._log.unread} records are cut short, and were passed over")


def link_shown(link: ChainLink) -> str:
    """Return an audit event as text, on one line."""
    return f"{link.time}  {link.event:<16}  {plain(link.text)}"


def shown(statement: Statement) -> str:
    """Return a statement as text. Later lines are indented, and control characters escaped, so that it cannot imitate another statement."""
    took = "" if statement.milliseconds is None else f"{statement.milliseconds:.3f} ms"
    first, *later = statement.text.splitlines() or [""]
    lines = [f"{statement.time}  {statement.database}  {took:>12}  {plain(first)}", *(f"    | {plain(line)}" for line in later)]
    if statement.parameters is not None:
        lines.append(f"    with {plain(statement.parameters)}")
    if statement.relations:
        lines.append(f"    on {plain(', '.join(statement.relations))}")
    if statement.error is not None:
        lines.append(f"    failed: {plain(statement.error)}")
    return "\n".join(lines)


def _open(name: str) -> TextIO:
    """Open the file as text with unchanged line ends. Bytes that are not UTF-8 are escaped."""
    if name == STANDARD_INPUT:
        sys.stdin.reconfigure(errors="backslashreplace", newline="")  # type: ignore[union-attr]
        return sys.stdin
    path = Path(name)
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", errors="backslashreplace", newline="")
    return path.open(encoding="utf-8", errors="backslashreplace", newline="")


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

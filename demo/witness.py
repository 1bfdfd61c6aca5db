"""Inspect the database as its superuser, independent of the operator and the vended roles."""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, LiteralString, Self

import psycopg
from psycopg.rows import dict_row

from demo.checks import check
from demo.seed import Seed
from rolevend.policytools.embedded.connection import Connection

_POWERS = ("rolsuper", "rolcreaterole", "rolcreatedb", "rolreplication", "rolbypassrls")


class Witness:
    def __init__(self, superuser: Connection, log: Path) -> None:
        self._superuser = superuser
        self._log = log

    def __enter__(self) -> Self:
        self._connection = psycopg.connect(self._superuser.dsn, autocommit=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._connection.close()

    def holds(self, seed: Seed) -> None:
        """Check by counts and sums that the tables have the rows of the expectations."""
        expected = (len(seed.people), len(seed.claims), sum(claim.amount for claim in seed.claims))
        seen = self._connection.execute("SELECT (SELECT count(*) FROM claims.people), count(*), sum(amount) FROM claims.claims").fetchone()
        check("the tables hold the seeded rows (people, claims, sum of amounts)", expected=expected, seen=seen)

    def salt(self) -> bytes:
        """Return the salt of the mask Hash; no vended role can read it."""
        return bytes(self._one("SELECT salt FROM rolevend.salt"))

    def exists(self, role: str) -> bool:
        return bool(self._one("SELECT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = %s)", role))

    def powers(self, role: str) -> list[str]:
        """Return the role's attributes beyond LOGIN."""
        with self._connection.cursor(row_factory=dict_row) as cursor:
            row = cursor.execute("SELECT * FROM pg_catalog.pg_roles WHERE rolname = %s", [role]).fetchone() or {}
        return [power for power in _POWERS if row.get(power)]

    def valid_until(self, role: str) -> datetime | None:
        found: datetime | None = self._one("SELECT rolvaliduntil FROM pg_catalog.pg_roles WHERE rolname = %s", role)
        return found

    def member_of(self, role: str) -> list[str]:
        rows = self._connection.execute(
            "SELECT m.roleid::regrole::text FROM pg_catalog.pg_auth_members AS m JOIN pg_catalog.pg_roles AS r ON r.oid = m.member"
            " WHERE r.rolname = %s ORDER BY 1",
            [role],
        )
        return [name for (name,) in rows]

    def sessions(self, role: str) -> int:
        return int(self._one("SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE usename = %s", role))

    def runs(self, role: str, query: str) -> bool:
        """True if a session of `role` runs exactly this query."""
        text = "SELECT EXISTS (SELECT FROM pg_catalog.pg_stat_activity WHERE usename = %s AND state = 'active' AND query = %s)"
        return bool(self._one(text, role, query))

    def ended(self, role: str) -> str | None:
        """Return the reason of the lease's end from rolevend's tombstone; None while it is live."""
        found: str | None = self._one("SELECT reason FROM rolevend.lease WHERE role = %s", role)
        return found

    def logged(self, query: str) -> list[str]:
        """Return the roles that ran `query`, in the order of the server's log."""
        begin = re.compile(rf"(?:statement|execute [^:]*): (?:DECLARE .* FOR )?{re.escape(query.splitlines()[0])}$", re.MULTILINE)
        return list(dict.fromkeys(user for user, message in self._messages() if begin.match(message)))

    def _messages(self) -> Iterator[tuple[str, str]]:
        """Yield user and message of each complete record of the server's jsonlog."""
        for line in self._log.read_text(errors="replace").splitlines(keepends=True):
            if line.endswith("}\n"):
                record = json.loads(line)
                yield record.get("user", ""), record.get("message", "")

    def _one(self, query: LiteralString, *parameters: str) -> Any:
        row = self._connection.execute(query, parameters).fetchone()
        return None if row is None else row[0]

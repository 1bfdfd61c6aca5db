"""Read and change the records of leases, see `rolevend.platforms.protocol.Records`. The table rolevend.lease holds both."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from psycopg import sql
from psycopg.rows import dict_row

from rolevend.catalog import TableId
from rolevend.model import AgentHandle, Attributes, ClusterId, ObjectName, ProfileName, RoleName, Uid, User
from rolevend.plan import Lease, LeaseRecord, RoleLimits, TokenUse
from rolevend.platforms.postgres.connections import Connection, PostgresPool
from rolevend.platforms.postgres.sql_files import query
from rolevend.platforms.protocol import EndReason, LiveRole, RecordedLease, RecordPage

CHUNK = 1000
"""The maximum batch of `rolevend.confirm` and `rolevend.report_ends`."""

MOST_NAMED = 100
"""The maximum of records of one name in one answer."""
PAGE = 500
"""The maximum of records in one answer, if all are read: it bounds the memory of a listing."""

_UNREPORTED = sql.SQL(" AND l.reported_at IS NULL AND l.role > %(after)s::name ORDER BY l.role LIMIT {}").format(PAGE)
_SINCE = sql.SQL(
    " AND l.changed >= pg_snapshot_xmin(%(since)s::pg_snapshot) AND NOT pg_visible_in_snapshot(l.changed, %(since)s::pg_snapshot)"
    " ORDER BY l.changed, l.role"
)
_CHANGED = sql.SQL(" AND l.reported_at IS NULL") + _SINCE
_OF_UID = sql.SQL(" AND l.uid = %(uid)s")
_OF_NAME = sql.SQL(" AND l.record_name = %(name)s ORDER BY l.dropped_at IS NOT NULL, l.issued_at DESC, l.role DESC LIMIT {}").format(
    MOST_NAMED
)
_OF_AGENT = sql.SQL(
    ' AND l.agent = %(agent)s AND l.reported_at IS NULL AND l.dropped_at IS NULL ORDER BY l.record_name COLLATE "C", l.role'
)
_PAGE = sql.SQL("SELECT c.cursor, c.is_known, r.* FROM ({}) AS c LEFT JOIN ({}) AS r ON true")
_COUNT = """
SELECT count(*) FROM rolevend.lease
 WHERE cluster_id = %(cluster)s AND agent = %(agent)s AND record IS NOT NULL AND reported_at IS NULL AND dropped_at IS NULL
"""
_CONFIRM = "SELECT uid FROM rolevend.confirm(%(cluster)s, %(uids)s) AS lease (uid)"
_END = "SELECT rolevend.end_record(%(cluster)s, %(uid)s, %(reason)s, %(by)s, %(message)s, %(version)s)"
_REPORT = "SELECT rolevend.report_ends(%(cluster)s, %(uids)s)"
_TAKE = "SELECT rolevend.take_token(%(cluster)s, %(digest)s, %(holder)s, %(expires_at)s)"
_HOLDER = "SELECT holder FROM rolevend.used_token WHERE cluster_id = %(cluster)s AND digest = %(digest)s"
_COLLECT = "SELECT rolevend.collect_tokens(%(cluster)s)"
_PAGES: Final = {
    is_first: _PAGE.format(query("records_cursor"), query("record") + which) for is_first, which in ((True, _UNREPORTED), (False, _CHANGED))
}
_UNRECORDED: Final = {
    is_first: _PAGE.format(query("records_cursor"), query("unrecorded") + which)
    for is_first, which in ((True, sql.SQL("")), (False, _SINCE))
}
_COLLECTED_AT_ONCE: Final = 10_000
"""The limit of rolevend.collect_tokens: what is deleted stays so, however many there are."""
_IMPOSSIBLE: Final = -1
"""A limit that no lease has, so that a seal over it is not valid."""


_NO_TEXT: Final = "\0"
"""Instead of a value that is no text: PostgreSQL stores no such text."""


class PostgresRecords:
    """The records of one cluster in one database."""

    def __init__(self, pool: PostgresPool, cluster: ClusterId, where: str) -> None:
        self._pool = pool
        self._cluster = cluster
        self._where = where

    def changed(self, since: str | None, after: RoleName | None = None) -> RecordPage:
        """See the protocol. The cursor is a snapshot of the server, so that a transaction that commits late is returned then, and each
        change once. A cursor that is not of this server's past, such as that of a lost server, counts as None."""
        rows = self._rows(_PAGES[since is None], since=since, after=after or "")
        if rows[0]["is_known"] is False:
            return self.changed(None)
        leases = tuple(self._recorded(row) for row in rows if row["role"] is not None)
        rest = max(each.lease.role for each in leases) if since is None and len(leases) == PAGE else None
        return RecordPage(leases, rows[0]["cursor"], rest)

    def unrecorded(self, since: str | None) -> Sequence[LiveRole]:
        rows = self._rows(_UNRECORDED[since is None], since=since)
        if rows[0]["is_known"] is False:
            return self.unrecorded(None)
        return [LiveRole(RoleName(row["role"]), Uid(row["uid"]), row["expires_at"], False) for row in rows if row["role"] is not None]

    def find(self, uid: Uid) -> RecordedLease | None:
        return next(iter(self._read(_OF_UID, uid=uid)), None)

    def named(self, name: ObjectName) -> Sequence[RecordedLease]:
        return self._read(_OF_NAME, name=str(name))

    def of(self, agent: ObjectName) -> Sequence[RecordedLease]:
        return self._read(_OF_AGENT, agent=str(agent))

    def count(self, agent: ObjectName) -> int:
        ((found,),) = self._all("count the recorded roles of an agent", _COUNT, agent=str(agent))
        return int(found)

    def confirm(self, uids: Collection[Uid]) -> frozenset[Uid]:
        rows = [row for chunk in _chunks(uids) for row in self._all("confirm roles", _CONFIRM, uids=chunk)]
        return frozenset(Uid(uid) for (uid,) in rows)

    def end(self, uid: Uid, reason: EndReason, by: str, message: str, version: str | None = None) -> bool:
        ((found,),) = self._all("end a role", _END, uid=uid, reason=reason.value, by=_text(by), message=_text(message), version=version)
        return bool(found)

    def reported(self, uids: Collection[Uid]) -> None:
        for chunk in _chunks(uids):
            self._all("record the report of ends", _REPORT, uids=chunk)

    def take(self, token: TokenUse, holder: str) -> bool:
        ((taken,),) = self._all("record the use of a token", _TAKE, digest=token.digest, holder=holder, expires_at=token.expires_at)
        return bool(taken)

    def holder(self, digest: str) -> str | None:
        rows = self._all("look up a token", _HOLDER, digest=digest)
        return rows[0][0] if rows else None

    def collect(self) -> int:
        total = 0
        while True:
            ((deleted,),) = self._all("delete the records of expired tokens", _COLLECT)
            total += int(deleted)
            if deleted < _COLLECTED_AT_ONCE:
                return total

    def _read(self, which: sql.SQL | sql.Composed, **parameters: Any) -> Sequence[RecordedLease]:
        return [self._recorded(row) for row in self._rows(query("record") + which, **parameters)]

    def _rows(self, statement: sql.Composed, **parameters: Any) -> list[dict[str, Any]]:
        def work(connection: Connection) -> list[dict[str, Any]]:
            with connection.cursor(row_factory=dict_row) as cursor:
                return cursor.execute(statement, {"cluster": self._cluster, **parameters}, prepare=True).fetchall()

        rows: list[dict[str, Any]] = self._pool.run(f"read the records of {self._where}", work)
        return rows

    def _all(self, action: str, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
        def work(connection: Connection) -> list[tuple[Any, ...]]:
            return connection.execute(statement.encode(), {"cluster": self._cluster, **parameters}, prepare=True).fetchall()

        return self._pool.run(f"{action} on {self._where}", work)

    def _recorded(self, row: Mapping[str, Any]) -> RecordedLease:
        return RecordedLease(
            lease=_lease(row, self._cluster),
            issued_at=row["issued_at"],
            confirmed=row["confirmed"],
            version=row["version"],
            closed_at=row["revoked_at"],
            reason=_reason(row["reason"]),
            ended_by=row["ended_by"],
            ended_message=row["ended_message"],
            dropped_at=row["dropped_at"],
            sessions=row["sessions"],
            reported=row["reported"],
        )


def _lease(row: Mapping[str, Any], cluster: ClusterId) -> Lease:
    """Return the lease of the row as it is now. Total: a row that was changed by hand gives a lease that its seal does not fit."""
    return Lease(
        role=RoleName(row["role"]),
        cluster=cluster,
        uid=Uid(row["uid"]),
        profile=ProfileName(row["profile"] or ""),
        agent=_object_name(row["agent"]),
        agent_handle=AgentHandle([*row["role"].split("_"), "", ""][2]),
        user=User(row["issuer"] or "", row["subject"] or ""),
        attributes=_attributes(_parsed(row["attrs"])),
        expires_at=row["expires_at"],
        limits=_limits(_parsed(row["limits"])),
        resources=_resources(_parsed(row["resources"])),
        record=LeaseRecord(_object_name(row["record_name"]), row["record"], row["call"] or "", row["seal"] or "", _token(row)),
    )


def _parsed(text: str | None) -> Any:
    """Return the value of the JSON text, and the text itself if it is too deep or has a number with too many digits: no lease has these."""
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _only_text(value: Any) -> str:
    return value if isinstance(value, str) else _NO_TEXT


def _object_name(text: str | None) -> ObjectName:
    namespace, _, name = (text or "").partition("/")
    return ObjectName(namespace, name)


def _attributes(attrs: Any) -> Attributes:
    pairs = attrs.items() if isinstance(attrs, dict) else [("", [_NO_TEXT])]
    return Attributes.of((key, [_only_text(each) for each in (values if isinstance(values, list) else [values])]) for key, values in pairs)


def _limits(limits: Any) -> RoleLimits:
    stored = limits if isinstance(limits, dict) else {}

    def limit(key: str) -> int:
        return stored[key] if type(stored.get(key)) is int else _IMPOSSIBLE

    mebibytes, rest = divmod(limit("temp_file_kb"), 1024)
    return RoleLimits(
        connections=limit("connections"),
        transaction_seconds=limit("transaction_seconds"),
        idle_transaction_seconds=limit("idle_transaction_seconds"),
        temp_file_mebibytes=_IMPOSSIBLE if rest else mebibytes,
        idle_seconds=limit("idle_seconds") if "idle_seconds" in stored else None,
    )


def _resources(resources: Any) -> tuple[TableId, ...] | None:
    if resources is None:
        return None
    named = resources.items() if isinstance(resources, dict) else [("", [resources])]
    tables = (TableId(schema, _only_text(name)) for schema, names in named for name in (names if isinstance(names, list) else [names]))
    return tuple(sorted(tables))


def _token(row: Mapping[str, Any]) -> TokenUse | None:
    expires_at: datetime | None = row["token_until"]
    return None if row["token"] is None or expires_at is None else TokenUse(row["token"], expires_at)


def _reason(text: str | None) -> EndReason | None:
    """Return the reason. A text that is none was written by hand, and counts as revoked."""
    if text is None:
        return None
    return next((each for each in EndReason if each.value == text), EndReason.REVOKED)


def _chunks(uids: Collection[Uid]) -> list[list[Uid]]:
    ordered = sorted(uids)
    return [ordered[start : start + CHUNK] for start in range(0, len(ordered), CHUNK)]


def _text(text: str) -> str:
    """Return the text as PostgreSQL can store it."""
    return text.replace("\0", " ").encode(errors="replace").decode()

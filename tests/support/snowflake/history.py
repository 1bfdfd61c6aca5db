"""What the account remembers of statements: QUERY_HISTORY as a table function, up to date, and as a view of ACCOUNT_USAGE, behind; and
ACCESS_HISTORY, which is later still."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from tests.support.snowflake import refusals
from tests.support.snowflake.engine import Work
from tests.support.snowflake.reader import Name, Reader, shown
from tests.support.snowflake.sessions import Running

COLUMNS = (
    "QUERY_ID QUERY_TEXT QUERY_TYPE USER_NAME ROLE_NAME WAREHOUSE_NAME DATABASE_NAME SESSION_ID QUERY_TAG EXECUTION_STATUS ERROR_CODE "
    "ERROR_MESSAGE START_TIME END_TIME TOTAL_ELAPSED_TIME"
)
_KEPT = timedelta(days=7)
_BEHIND = timedelta(minutes=45)
_OBJECTS_BEHIND = timedelta(hours=3)
ACCESS_COLUMNS = "QUERY_ID QUERY_START_TIME USER_NAME DIRECT_OBJECTS_ACCESSED BASE_OBJECTS_ACCESSED"
_MOST = 10_000


def recent(work: Work, named: Mapping[str, str]) -> Iterable[Sequence[Any]]:
    """Newest first: what the session's user ran, or, with MONITOR USAGE or as the owner of the user, what somebody else did. Of a user
    that was dropped, too."""
    user = named.get("USER_NAME")
    left = int(named.get("RESULT_LIMIT", 100))
    if not 0 < left <= _MOST:
        raise refusals.Refusal("001045", "22023", f"argument RESULT_LIMIT must be between 1 and {_MOST}")
    until = named.get("END_TIME_RANGE_END")
    for one in reversed(work.history):
        if left == 0:
            return
        if not _may_know(work, one) or one.started < work.now - _KEPT:
            continue
        if until is not None and (one.ended is None or one.ended > datetime.fromisoformat(until)):
            continue
        if user is None or one.user == Reader(user).name()[0]:
            left -= 1
            yield _row(one)


def archived(work: Work) -> Iterable[Sequence[Any]]:
    return [_row(one) for one in work.history if one.ended is not None and one.ended < work.now - _BEHIND]


def accessed(work: Work) -> Iterable[Sequence[Any]]:
    """Of statements that succeeded, and read something."""
    for one in work.history:
        if one.status == "SUCCESS" and one.named and one.ended is not None and one.ended < work.now - _OBJECTS_BEHIND:
            yield one.id, one.started.isoformat(), one.user, _objects(work, one.named), _objects(work, one.read)


def _objects(work: Work, names: Iterable[Name]) -> str:
    domains = {name: "View" if (thing := work.catalog.find("TABLE", name)) and thing.kind == "VIEW" else "Table" for name in sorted(names)}
    return json.dumps([{"objectDomain": domain, "objectName": shown(name)} for name, domain in domains.items()])


def _may_know(work: Work, one: Running) -> bool:
    owner = work.catalog.find("USER", (one.user,))
    mine = one.user == work.session.user or work.access.admin or work.access.on_account("MONITOR USAGE")
    return mine or (owner is not None and work.access.owns(owner))


def _row(one: Running) -> Sequence[Any]:
    took = round(((one.ended or one.started) - one.started).total_seconds() * 1000)
    times = one.started.isoformat(), one.ended and one.ended.isoformat(), took
    who = one.user, one.role, one.warehouse, None, str(one.session)
    kind = (one.text.split(None, 1) or [""])[0].upper() if one.status == "SUCCESS" else "UNKNOWN"
    return one.id, one.text, "SELECT" if kind == "WITH" else kind, *who, one.tag, one.status, one.number, one.error, *times

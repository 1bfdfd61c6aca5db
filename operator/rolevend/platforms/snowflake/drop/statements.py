"""End one role: run the statements of `drops`, then verify. Idempotent."""

import logging
from typing import Final

from snowflake.connector import errors as vendor

from rolevend.errors import Conflict, PlatformBusy
from rolevend.model import ClusterId
from rolevend.platforms.protocol import DropRequest
from rolevend.platforms.snowflake.connections import Row, SnowflakeSession
from rolevend.platforms.snowflake.drop import drops
from rolevend.platforms.snowflake.failures import NO_WAREHOUSE, NOT_NULL, NOT_THERE, code_of
from rolevend.platforms.snowflake.names import mark_of

_ATTEMPTS: Final = 3
"""A concurrent vend may create the role once more before it reads the recorded end and fails."""

_log = logging.getLogger(__name__)


def end(session: SnowflakeSession, ending: DropRequest, cluster: ClusterId) -> None:
    """End the role; return once it is verified to be gone. Raises errors of rolevend or of the connector."""
    for _ in range(_ATTEMPTS):
        held = _dropped(session, ending, cluster)
        for kind, name in drops.owned(held):
            _log.warning("a vended role owned %s %s: it goes to quarantine", kind, name, extra={"role": ending.role})
            session.rows(drops.quarantine(kind, name))
        if drops.found(ending.role, session.rows(drops.look(ending.role))) is None:
            return
    raise PlatformBusy(f"{ending.role} was dropped, and a role of that name is there again")


def _dropped(session: SnowflakeSession, ending: DropRequest, cluster: ClusterId) -> list[Row]:
    """Drop the role and return its grants."""
    try:
        return session.script(drops.drop(ending, cluster))
    except vendor.Error as error:
        if code_of(error) in NO_WAREHOUSE:
            return _drop_unwritten(session, ending, cluster, error)
        if code_of(error) == NOT_NULL:
            raise Conflict(f"{ending.role} belongs to another vend") from error
        if code_of(error) != NOT_THERE:
            raise
    try:
        session.script(drops.drop_remains(ending, cluster))
    except vendor.Error as error:
        if code_of(error) in NO_WAREHOUSE:
            return _drop_unwritten(session, ending, cluster, error)
        if code_of(error) == NOT_NULL:
            raise Conflict(f"{ending.role} belongs to another vend") from error
        raise
    return []


def _drop_unwritten(session: SnowflakeSession, ending: DropRequest, cluster: ClusterId, error: vendor.Error) -> list[Row]:
    """Lock out without a warehouse. The missing record stays an error, so the drop is retried."""
    there = drops.found(ending.role, session.rows(drops.look(ending.role)))
    if there is not None:
        mark = mark_of(there.get("comment"))
        if mark is None or not mark.is_of(cluster, ending.uid):
            raise Conflict(f"{ending.role} belongs to another vend")
    for statement in drops.without_warehouse(ending.role):  # several in one request would need a warehouse
        session.rows(statement)
    raise error

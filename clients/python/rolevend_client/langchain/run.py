"""What the tools of one run share: its role, or the denial of one, and one session of the database."""

import threading
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import ToolException

from rolevend_client import connecting
from rolevend_client.errors import Denied, Misconfigured
from rolevend_client.langchain import wording
from rolevend_client.role import OpenRole

_RUN = "__rolevend_run"
"""In `configurable`: what begins so, and is no text, is kept in no checkpoint and no trace."""


_KEYS = frozenset({"user_token", "user", "purpose", "task"})
"""What the caller says in `configurable` of a run's role."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of what one answer of the database tells the model."""

    rows: int
    characters: int


class Run:
    """Tools may call it from several threads; a session does one thing at a time."""

    def __init__(self, given: OpenRole | Denied) -> None:
        self._given = given
        self._lock = threading.Lock()
        self._connection: Any = None
        self._ended = False

    @property
    def role(self) -> OpenRole:
        """A ToolException, which the model reads, where nothing was granted."""
        if isinstance(self._given, Denied):
            raise ToolException(wording.denied(self._given))
        return self._given

    @property
    def denial(self) -> Denied | None:
        return self._given if isinstance(self._given, Denied) else None

    def query(self, statement: str, bounds: Bounds) -> str:
        """The answer as a text for the model; a ToolException where the database refuses."""
        role, driver = self.role, connecting.psycopg()
        try:
            with self._lock:
                return self._asked(role, driver, statement, bounds)
        except driver.Error as error:
            raise ToolException(wording.refused(error)) from None
        finally:
            self._close_if_ended()

    def end(self) -> None:
        """A statement that still runs, in a thread that nobody waits for, ends with the role, and its session after it."""
        self._ended = True
        self._close_if_ended()

    def _asked(self, role: OpenRole, driver: Any, statement: str, bounds: Bounds) -> str:
        if self._ended:
            raise ToolException(wording.OVER)
        if self._connection is None:
            self._connection = driver.connect(**role.connection_parameters(), autocommit=True, context=connecting.as_texts(driver))
        try:
            with self._connection.cursor() as cursor, closing(cursor.stream(statement)) as rows:
                return wording.table(rows, lambda: [column.name for column in cursor.description or ()], bounds.rows, bounds.characters)
        finally:
            self._tidy(driver)

    def _tidy(self, driver: Any) -> None:
        """No statement leaves a transaction to the next one; a session that is broken, or still busy, is not used again."""
        status = self._connection.info.transaction_status
        if status in {driver.pq.TransactionStatus.INTRANS, driver.pq.TransactionStatus.INERROR}:
            self._connection.rollback()
        elif status != driver.pq.TransactionStatus.IDLE:
            self._connection.close()
        if self._connection.closed:
            self._connection = None

    def _close_if_ended(self) -> None:
        if self._ended and self._lock.acquire(blocking=False):
            try:
                if self._connection is not None:
                    self._connection.close()
                    self._connection = None
            finally:
                self._lock.release()


def with_run(config: Mapping[str, Any], run: Run) -> RunnableConfig:
    """`config` for what happens inside: with the run, and without the user's token."""
    rest = {name: value for name, value in (config.get("configurable") or {}).items() if name not in _KEYS}
    return cast("RunnableConfig", {**config, "configurable": {**rest, _RUN: run}})


def run_of(config: RunnableConfig) -> Run:
    run = config.get("configurable", {}).get(_RUN)
    if not isinstance(run, Run):
        raise Misconfigured("this run has no role: call the agent through own_role(graph, toolkit)")
    return run

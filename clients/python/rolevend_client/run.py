"""What the tools of one run share: its role, or the denial of one, and one session of the database. Knows no framework of tools."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from rolevend_client import connecting, wording
from rolevend_client.errors import Denied
from rolevend_client.role import OpenRole


class ForTheModel(Exception):
    """A tool call that came to nothing, and why, in words for the model."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of what one answer of the database tells the model."""

    rows: int
    characters: int
    seconds: float | None = None
    """How long a statement may run, whatever the session says of its own timeouts; None: as long as the database lets it."""


class Run:
    """Tools may call it from several threads; a session does one thing at a time."""

    def __init__(self, given: OpenRole | Denied) -> None:
        self._given = given
        self._lock = threading.Lock()
        self._connection: Any = None
        self._ended = False

    @property
    def role(self) -> OpenRole:
        """`ForTheModel` where nothing was granted."""
        if isinstance(self._given, Denied):
            raise ForTheModel(wording.denied(self._given))
        return self._given

    @property
    def denial(self) -> Denied | None:
        return self._given if isinstance(self._given, Denied) else None

    def query(self, statement: str, bounds: Bounds) -> str:
        """The answer as a text for the model; `ForTheModel` where the database refuses."""
        role, driver = self.role, connecting.psycopg()
        try:
            with self._lock:
                return self._asked(role, driver, statement, bounds)
        except driver.Error as error:
            raise ForTheModel(wording.refused(error)) from None
        finally:
            self._close_if_ended()

    def end(self) -> None:
        """A statement that still runs, in a thread that nobody waits for, ends with the role, and its session after it."""
        self._ended = True
        self._close_if_ended()

    def _asked(self, role: OpenRole, driver: Any, statement: str, bounds: Bounds) -> str:
        if self._ended:
            raise ForTheModel(wording.OVER)
        if self._connection is None:
            self._connection = driver.connect(**role.connection_parameters(), autocommit=True, context=connecting.as_texts(driver))
        try:
            limit = _cancelled_after(bounds.seconds, self._connection)
            with limit, self._connection.cursor() as cursor, closing(cursor.stream(statement)) as rows:
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


@contextmanager
def _cancelled_after(seconds: float | None, connection: Any) -> Iterator[None]:
    """By us: a statement_timeout is the session's own to change."""
    if seconds is None:
        yield
        return
    timer = threading.Timer(seconds, _cancelled, [connection])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()  # or it could cancel what is asked next


def _cancelled(connection: Any) -> None:
    with suppress(Exception):  # of a session that is gone there is nothing to cancel
        connection.cancel_safe(timeout=5.0)

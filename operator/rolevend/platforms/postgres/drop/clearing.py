"""End sessions of vended roles that hold a lock which one of the operator's sessions waits for.

A second session checks while the first one waits. New lockers queue behind the first one, so many sessions cannot delay it either.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from rolevend.model import ClusterId, RoleName, Uid
from rolevend.platforms.postgres.connections import Connection
from rolevend.platforms.protocol import LimitAction, LimitViolation

Result = TypeVar("Result")

LOOK_SECONDS = 0.05
"""The interval of checks, also before the first: most statements wait for no lock."""
_MOST_UNREPORTED = 1000
_CLEAR = "SELECT waiting.pid, c.* FROM unnest(%(pids)s::integer[]) AS waiting (pid) CROSS JOIN LATERAL rolevend.clear_way(waiting.pid) AS c"


class _Pool(Protocol):
    def run(self, attempt: str, work: Callable[[Connection], Result], /) -> Result: ...


@dataclass(slots=True)
class InTheWay:
    """Sessions that block a statement and must not be ended."""

    sessions: dict[int, str] = field(default_factory=dict)
    """Process id -> role."""

    def __str__(self) -> str:
        named = [f"session {pid} of {role}" for pid, role in sorted(self.sessions.items())]
        return " and ".join(named) or "somebody"


@dataclass(eq=False, slots=True)
class _Watch:
    """Some waiting sessions of ours."""

    attempt: str
    pids: list[int]
    due_at: float
    """When to look next, by the monotonic clock."""
    found: InTheWay = field(default_factory=InTheWay)
    ended_pids: set[int] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held during a look."""
    is_over: bool = False


class Clearing:
    def __init__(self, pool: _Pool, cluster: ClusterId, where: str) -> None:
        """`pool` is a dedicated pool of the vendor's login."""
        self._pool = pool
        self._cluster = cluster
        self._attempt = f"end blocking sessions on {where}"
        self._ended: deque[LimitViolation] = deque(maxlen=_MOST_UNREPORTED)
        self._lock = threading.Lock()
        self._watched: list[_Watch] = []
        self._is_watching = False

    @contextmanager
    def watching(self, attempt: str, waiting: Sequence[Connection]) -> Iterator[InTheWay]:
        """Watch during the block. Yields the sessions that still block; `attempt` completes "it blocked the attempt to …"."""
        watch = _Watch(attempt, [connection.info.backend_pid for connection in waiting], time.monotonic() + LOOK_SECONDS)
        with self._lock:
            self._watched.append(watch)
            if not self._is_watching:  # one thread for all: starting one takes longer than a statement
                self._is_watching = True
                threading.Thread(target=self._watch, name="clearing", daemon=True).start()
        try:
            yield watch.found
        finally:
            with watch.lock:
                watch.is_over = True
            with self._lock:
                self._watched.remove(watch)

    def run(self, attempt: str, connection: Connection, work: Callable[[Connection], Result]) -> Result:
        with self.watching(attempt, [connection]):
            return work(connection)

    def take_violations(self) -> list[LimitViolation]:
        """Return the roles of this cluster whose sessions were ended since the last call."""
        ended: list[LimitViolation] = []
        while self._ended:
            ended.append(self._ended.popleft())
        return ended

    def _watch(self) -> None:
        """Look for each watch when it is due, and end when none is left."""
        while (watch := self._next()) is not None:
            time.sleep(max(0.0, watch.due_at - time.monotonic()))
            with watch.lock:
                if not watch.is_over:
                    self._look(watch)
            watch.due_at = time.monotonic() + LOOK_SECONDS

    def _next(self) -> _Watch | None:
        with self._lock:
            watch = min(self._watched, key=lambda each: each.due_at, default=None)
            self._is_watching = watch is not None
            return watch

    def _look(self, watch: _Watch) -> None:
        try:
            rows = self._pool.run(
                self._attempt, lambda connection: connection.execute(_CLEAR, {"pids": watch.pids}, prepare=True).fetchall()
            )
        except Exception:  # whatever it is: without this check the waiter is no worse off, and others have their turns
            return
        for row in rows:
            self._note(watch, row)

    def _note(self, watch: _Watch, row: tuple[Any, ...]) -> None:
        _, pid, role, cluster, uid, ended = row
        if not ended and pid not in watch.pids:
            watch.found.sessions[pid] = role or "a role that is gone"
        if ended and pid not in watch.ended_pids and cluster == self._cluster:
            watch.ended_pids.add(pid)
            about = f"it blocked the attempt to {watch.attempt}"
            self._ended.append(LimitViolation(RoleName(role), Uid(uid), LimitAction.TERMINATED, about))

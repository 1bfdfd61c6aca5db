"""End sessions of vended roles that hold a lock which one of the operator's sessions waits for.

A second session checks while the first one waits. New lockers queue behind the first one, so many sessions cannot delay it either.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from rolevend.errors import RolevendError
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


class Clearing:
    def __init__(self, pool: _Pool, cluster: ClusterId, where: str) -> None:
        """`pool` is a dedicated pool of the vendor's login."""
        self._pool = pool
        self._cluster = cluster
        self._attempt = f"end blocking sessions on {where}"
        self._ended: deque[LimitViolation] = deque(maxlen=_MOST_UNREPORTED)

    @contextmanager
    def watching(self, attempt: str, waiting: Sequence[Connection]) -> Iterator[InTheWay]:
        """Watch during the block. Yields the sessions that still block; `attempt` completes "it blocked the attempt to …"."""
        found, done = InTheWay(), threading.Event()
        pids = [connection.info.backend_pid for connection in waiting]
        watcher = threading.Thread(target=self._watch, args=(attempt, pids, found, done), name="clearing", daemon=True)
        watcher.start()
        try:
            yield found
        finally:
            done.set()
            watcher.join()

    def run(self, attempt: str, connection: Connection, work: Callable[[Connection], Result]) -> Result:
        with self.watching(attempt, [connection]):
            return work(connection)

    def take_violations(self) -> list[LimitViolation]:
        """Return the roles of this cluster whose sessions were ended since the last call."""
        ended: list[LimitViolation] = []
        while self._ended:
            ended.append(self._ended.popleft())
        return ended

    def _watch(self, attempt: str, pids: list[int], found: InTheWay, done: threading.Event) -> None:
        ended_pids: set[int] = set()
        while not done.wait(LOOK_SECONDS):
            try:
                rows = self._pool.run(self._attempt, lambda connection: connection.execute(_CLEAR, {"pids": pids}, prepare=True).fetchall())
            except RolevendError:
                continue  # without this check the waiter is no worse off
            for row in rows:
                self._note(attempt, row, pids, found, ended_pids)

    def _note(self, attempt: str, row: tuple[Any, ...], pids: list[int], found: InTheWay, ended_pids: set[int]) -> None:
        _, pid, role, cluster, uid, ended = row
        if not ended and pid not in pids:
            found.sessions[pid] = role or "a role that is gone"
        if ended and pid not in ended_pids and cluster == self._cluster:
            ended_pids.add(pid)
            self._ended.append(LimitViolation(RoleName(role), Uid(uid), LimitAction.TERMINATED, f"it blocked the attempt to {attempt}"))

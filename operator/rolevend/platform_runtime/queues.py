"""Queues of vends and drops of one platform, which are sent in batches. A vend is tried once; a drop is retried until it succeeds.

A single request is sent at once. Requests that arrive during a call form the next batch: in PostgreSQL a transaction costs more than a
role in it.
"""

import asyncio
import contextlib
import heapq
import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rolevend.errors import PlatformUnavailable, Rejected
from rolevend.model import ProfileName, RoleName, Uid
from rolevend.plan import Lease
from rolevend.platform_runtime.breaker import CircuitBreaker
from rolevend.platforms.protocol import CreatedRole, Credential, DropRequest, DropResult

MOST = 60
"""The maximum number of roles in one call."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.25, 2.0
"""The backoff of a drop. The longest is short, so that role and object are gone within five seconds of the obstacle."""
LONGEST_PAUSE_OF_REJECTED_SECONDS = 60.0
"""The longest backoff if a person must change something first."""
FORGOTTEN_AFTER_SECONDS = 300.0
"""After this time without a caller a drop is left to the sweep, because its object is gone."""

Vend = tuple[Lease, Credential]
_Asked = tuple[Vend, "asyncio.Future[CreatedRole]"]


class VendQueue:
    """Sends the vends of one profile in one call, and never two calls with the same profile, because PostgreSQL would block one of them.

    With `apart` each vend is a call of its own, and waits for no other.
    """

    def __init__(
        self,
        call: Callable[[Sequence[Vend]], Awaitable[Sequence[CreatedRole]]],
        calls: int,
        breaker: CircuitBreaker,
        *,
        apart: bool = False,
    ) -> None:
        """At most `calls` calls run at once. `call` records its result with the breaker."""
        self._call = call
        self._free = calls
        self._breaker = breaker
        self._apart = apart
        self._waiting: dict[ProfileName, deque[_Asked]] = {}
        """In the order in which they began to wait."""
        self._called: set[ProfileName] = set()
        self._none_waits = asyncio.Event()
        self._none_waits.set()
        self._tasks = _Tasks()

    @property
    def waiting(self) -> int:
        """How many vends wait for a call."""
        return sum(map(len, self._waiting.values()))

    async def vend(self, wanted: Vend) -> CreatedRole:
        """Raises PlatformUnavailable at once while the breaker is open."""
        answer: asyncio.Future[CreatedRole] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(wanted[0].profile, deque()).append((wanted, answer))
        self._pump()
        return await answer

    async def none_waits(self, within: float) -> None:
        """Return when no vend waits for a call, or after `within` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._none_waits.wait()

    def refuse(self, error: Exception) -> None:
        """Fail all waiting vends with `error`. Running calls finish."""
        for asked in self._waiting.values():
            for _, answer in asked:
                _fail(answer, error)
        self._waiting.clear()
        self._set_none_waits()

    def _pump(self) -> None:
        while self._free and (profile := self._next()) is not None:
            if (refusal := self._breaker.refusal()) is not None:
                self.refuse(refusal)
                return
            asked = self._waiting.pop(profile)
            batch = [asked.popleft() for _ in range(1 if self._apart else min(MOST, len(asked)))]
            if asked:
                self._waiting[profile] = asked
            self._free -= 1
            self._called.add(profile)
            self._tasks.start(self._run(profile, batch))
        self._set_none_waits()

    def _next(self) -> ProfileName | None:
        return next((each for each in self._waiting if self._apart or each not in self._called), None)

    async def _run(self, profile: ProfileName, batch: Sequence[_Asked]) -> None:
        try:
            answers = await self._call([wanted for wanted, _ in batch])
            for (_, future), answer in zip(batch, answers, strict=True):
                if not future.done():  # the caller may have been cancelled
                    future.set_result(answer)
        except Exception as error:  # for the callers, whatever it is
            for _, future in batch:
                _fail(future, error)
        finally:
            self._free += 1
            self._called.discard(profile)
            # A caller that vends again at once joins the next batch.
            asyncio.get_running_loop().call_soon(self._pump)

    def _set_none_waits(self) -> None:
        if self._waiting:
            self._none_waits.clear()
        else:
            self._none_waits.set()


@dataclass(eq=False, slots=True)
class _DropJob:
    """A drop that is retried until the role is gone."""

    ending: DropRequest
    begun_at: float
    asked_at: float
    """When a caller last asked for it."""
    last: DropResult
    tried: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the drop is not retried any more."""
    tries: int = 0

    @property
    def key(self) -> tuple[RoleName, Uid]:
        return self.ending.role, self.ending.uid


class DropQueue:
    """Retries every drop until it succeeds. Failed drops are retried in calls of their own, so that they do not delay new ones."""

    def __init__(
        self,
        call: Callable[[Sequence[DropRequest]], Awaitable[Sequence[DropResult]]],
        turn: Callable[[], Awaitable[None]],
        breaker: CircuitBreaker,
        clock: Callable[[], float],
    ) -> None:
        """At most two calls run at once: one of new drops, and one of failed ones. Each awaits `turn` first."""
        self._call = call
        self._turn = turn
        self._breaker = breaker
        self._clock = clock
        self._standing: dict[tuple[RoleName, Uid], _DropJob] = {}
        self._new: deque[_DropJob] = deque()
        self._failed: list[tuple[float, int, _DropJob]] = []
        """A heap by the time of the next attempt."""
        self._number = itertools.count()
        self._calling_new = self._calling_failed = False
        self._alarm: asyncio.TimerHandle | None = None
        self._closed: Exception | None = None
        self._tasks = _Tasks()

    @property
    def waiting(self) -> int:
        """How many drops wait for a call, those that failed and are retried included."""
        return len(self._new) + len(self._failed)

    async def drop(self, ending: DropRequest, patience: float) -> DropResult:
        """Return the result of the first attempt. If it failed, return a success within `patience` seconds, or the last failure.

        The result counts the sessions of all attempts, and the seconds since the first.
        """
        order = self._standing.get((ending.role, ending.uid))
        if order is None:
            untried = DropResult(ending.role, PlatformUnavailable(f"dropping {ending.role}: it was not tried yet"))
            order = _DropJob(ending, self._clock(), self._clock(), untried)
            self._standing[order.key] = order
            self._new.append(order)
            self._pump()
        order.asked_at = self._clock() + patience
        await order.tried.wait()
        if patience > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await order.over.wait()
        return order.last

    def retry_now(self) -> None:
        """Make all failed drops due now: the platform answers again, or one drop succeeded, so others may succeed, too."""
        now = self._clock()
        self._failed = [(now, number, order) for _, number, order in self._failed]
        heapq.heapify(self._failed)
        self._pump()

    def close(self, error: Exception) -> None:
        """Fail all waiting drops with `error`. Running calls finish."""
        self._closed = error
        for order in [*self._new, *(order for *_, order in self._failed)]:
            self._settle(order, DropResult(order.ending.role, error))
        self._new.clear()
        self._failed.clear()
        self._pump()

    def _pump(self) -> None:
        if self._new and not self._calling_new:
            if (refusal := self._breaker.refusal()) is None:
                batch = [self._new.popleft() for _ in range(min(MOST, len(self._new)))]
                self._calling_new = True
                self._tasks.start(self._run_new(batch))
            else:
                while self._new:
                    order = self._new.popleft()
                    self._settle(order, DropResult(order.ending.role, refusal))
        if self._failed_are_due() and not self._calling_failed and self._breaker.refusal() is None:
            batch = []
            while len(batch) < MOST and self._failed_are_due():
                batch.append(heapq.heappop(self._failed)[2])
            self._calling_failed = True
            self._tasks.start(self._run_failed(batch))
        self._set_alarm()

    def _failed_are_due(self) -> bool:
        return bool(self._failed) and self._failed[0][0] <= self._clock()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._failed and not self._calling_failed:
            due_at = max(self._failed[0][0], self._breaker.next_try if self._breaker.is_open else 0.0)
            self._alarm = asyncio.get_running_loop().call_later(max(0.0, due_at - self._clock()), self._pump)

    async def _run_new(self, batch: Sequence[_DropJob]) -> None:
        await self._run(batch)
        self._calling_new = False
        self._pump()

    async def _run_failed(self, batch: Sequence[_DropJob]) -> None:
        await self._run(batch)
        self._calling_failed = False
        if any(order.last.error is None for order in batch):
            self.retry_now()
        else:
            self._pump()

    async def _run(self, batch: Sequence[_DropJob]) -> None:
        await self._turn()
        try:
            answers = await self._call([order.ending for order in batch])
        except Exception as error:  # also a bug: a drop is never abandoned
            answers = [DropResult(order.ending.role, error) for order in batch]
        for order, answer in zip(batch, answers, strict=True):
            self._settle(order, answer)

    def _settle(self, order: _DropJob, outcome: DropResult) -> None:
        order.last = replace(outcome, sessions=order.last.sessions | outcome.sessions, seconds=self._clock() - order.begun_at)
        order.tried.set()
        forgotten = self._clock() - order.asked_at > FORGOTTEN_AFTER_SECONDS
        if outcome.error is None or self._closed is not None or forgotten:
            order.over.set()
            self._standing.pop(order.key, None)
            return
        order.tries += 1
        heapq.heappush(self._failed, (self._clock() + _pause(order), next(self._number), order))


def _pause(order: _DropJob) -> float:
    longest = LONGEST_PAUSE_OF_REJECTED_SECONDS if isinstance(order.last.error, Rejected) else LONGEST_PAUSE_SECONDS
    return min(longest, FIRST_PAUSE_SECONDS * 2.0 ** min(order.tries - 1, 10))


class _Tasks:
    """Keeps references to running tasks, because the event loop keeps only weak ones."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)


def _fail(future: asyncio.Future[CreatedRole], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)

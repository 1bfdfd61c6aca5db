"""What is asked of one platform, gathered into calls: vends, which are answered once, and drops, which are tried until they succeed.

One alone leaves at once and waits for nobody; while a call is under way the next ones gather. A transaction costs PostgreSQL more
than a role in it, so a crowd is served faster together.
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
"""Roles in one call."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.25, 2.0
"""Between two tries of one drop. The longest is short: once what was in the way is gone, so are role and object within five seconds."""
LONGEST_PAUSE_OF_REJECTED_SECONDS = 60.0
"""The same where a person must change something first."""
FORGOTTEN_AFTER_SECONDS = 300.0
"""A drop that nobody asks for any more is left to the sweep: its object is gone."""

Vend = tuple[Lease, Credential]
_Asked = tuple[Vend, "asyncio.Future[CreatedRole]"]


class VendQueue:
    """A call carries vends of one profile, and no two calls carry the same: PostgreSQL would let one of them wait for the other. Where
    they are `apart` each is a call of its own, and waits for none."""

    def __init__(
        self,
        call: Callable[[Sequence[Vend]], Awaitable[Sequence[CreatedRole]]],
        calls: int,
        breaker: CircuitBreaker,
        *,
        apart: bool = False,
    ) -> None:
        """At most so many `calls` are under way together. `call` tells the breaker how it went."""
        self._call = call
        self._free = calls
        self._breaker = breaker
        self._apart = apart
        self._waiting: dict[ProfileName, deque[_Asked]] = {}
        """The profile that waits longest comes first."""
        self._called: set[ProfileName] = set()
        self._none_waits = asyncio.Event()
        self._none_waits.set()
        self._tasks = _Tasks()

    @property
    def waiting(self) -> int:
        """How many vends wait for a call."""
        return sum(map(len, self._waiting.values()))

    async def vend(self, wanted: Vend) -> CreatedRole:
        """Raises PlatformUnavailable at once while the platform does not answer."""
        answer: asyncio.Future[CreatedRole] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(wanted[0].profile, deque()).append((wanted, answer))
        self._pump()
        return await answer

    async def none_waits(self, within: float) -> None:
        """Returns when every vend is under way, or so many seconds are over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._none_waits.wait()

    def refuse(self, error: Exception) -> None:
        """Whoever waits is told so; what is under way is answered."""
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
                if not future.done():  # who asked may have left
                    future.set_result(answer)
        except Exception as error:  # whatever it is, it is for those who asked
            for _, future in batch:
                _fail(future, error)
        finally:
            self._free += 1
            self._called.discard(profile)
            # Who was answered may ask again at once, and then goes with those who waited.
            asyncio.get_running_loop().call_soon(self._pump)

    def _set_none_waits(self) -> None:
        if self._waiting:
            self._none_waits.clear()
        else:
            self._none_waits.set()


@dataclass(eq=False, slots=True)
class _DropJob:
    """A drop that stands until the role is gone."""

    ending: DropRequest
    begun_at: float
    asked_at: float
    """When it was asked for last."""
    last: DropResult
    tried: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """It will not be tried again."""
    tries: int = 0

    @property
    def key(self) -> tuple[RoleName, Uid]:
        return self.ending.role, self.ending.uid


class DropQueue:
    """Every drop is tried until it succeeds. What failed is tried again in calls of its own, so that it is in no other's way."""

    def __init__(
        self,
        call: Callable[[Sequence[DropRequest]], Awaitable[Sequence[DropResult]]],
        turn: Callable[[], Awaitable[None]],
        breaker: CircuitBreaker,
        clock: Callable[[], float],
    ) -> None:
        """Two calls are under way together at most, and only one of drops that were not tried yet. Each waits for its `turn`."""
        self._call = call
        self._turn = turn
        self._breaker = breaker
        self._clock = clock
        self._standing: dict[tuple[RoleName, Uid], _DropJob] = {}
        self._new: deque[_DropJob] = deque()
        self._failed: list[tuple[float, int, _DropJob]] = []
        """A heap by the moment of the next try."""
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
        """How the first try went; and where it failed, the success that comes within `patience` seconds, or the last failure. With
        the sessions of all tries, and the time since the first."""
        order = self._standing.get((ending.role, ending.uid))
        if order is None:
            untried = DropResult(ending.role, PlatformUnavailable(f"dropping {ending.role}: its turn did not come yet"))
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
        """The platform is back, or what was in the way of one is gone, and so perhaps of all: whatever failed is due."""
        now = self._clock()
        self._failed = [(now, number, order) for _, number, order in self._failed]
        heapq.heapify(self._failed)
        self._pump()

    def close(self, error: Exception) -> None:
        """Whoever waits is told so; what is under way is answered."""
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
        except Exception as error:  # a bug, too: a drop is never given up
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
    """Held until they are done: the event loop itself holds them only weakly."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)


def _fail(future: asyncio.Future[CreatedRole], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)

"""End each VendedRole in the second in which it expires. All state is rebuilt at a restart."""

import asyncio
import contextlib
import logging
import math
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime

from rolevend.due_queue import DueQueue
from rolevend.errors import RolevendError
from rolevend.model import PlatformName, Uid
from rolevend.telemetry.metrics import Metrics

FEW, AT_ONCE, BESIDE_VENDS = 16, 8, 1
"""Concurrent expiries on a platform: no limit up to FEW, then AT_ONCE, or BESIDE_VENDS while requests arrive. A thousand roles that
expire together must not delay the next vend. PostgreSQL refuses their logins from the expiry on."""
_ASKED_SECONDS = 1.0
"""Seconds for which a request limits the concurrency."""
_RETRY_SECONDS = 1.0
_LONGEST_TURN_SECONDS = 2.0
"""Maximum seconds until a slow expiry lets the next one start."""
_LONGEST_WAIT_SECONDS = 60.0
"""Maximum seconds until a changed wall clock is noticed."""
_log = logging.getLogger(__name__)


class ExpiryScheduler:
    def __init__(self, now: Callable[[], datetime], metrics: Metrics) -> None:
        self._now = now
        self._metrics = metrics
        self._expiries: DueQueue[Uid, datetime] = DueQueue()
        self._platforms: dict[Uid, PlatformName] = {}
        self._earlier = asyncio.Event()
        self._turns: dict[PlatformName, _Turns] = defaultdict(lambda: _Turns(self._limit))
        self._due: Counter[PlatformName] = Counter()
        """Expiries that run or wait, by platform."""
        self._asked_at = -math.inf
        self._ending: dict[Uid, asyncio.Event] = {}
        """Expired roles whose objects still exist: a late watch event must not schedule them again. The event is set at the end of their
        turn."""

    def poke(self) -> None:
        """Give priority to a request: limit concurrent expiries for a moment."""
        self._asked_at = asyncio.get_running_loop().time()

    def schedule(self, uid: Uid, due_at: datetime, platform: PlatformName) -> None:
        if uid in self._ending:
            return
        self._platforms[uid] = platform
        if self._expiries.put(uid, due_at):
            self._earlier.set()

    def cancel(self, uid: Uid) -> None:
        """Remove the role from the queue because it ends already."""
        self._expiries.remove(uid)
        self._platforms.pop(uid, None)

    def forget(self, uid: Uid) -> None:
        """Forget the role because its object is gone."""
        self.cancel(uid)
        self.yield_turn(uid)
        self._ending.pop(uid, None)

    def yield_turn(self, uid: Uid) -> None:
        """Let the next expiry start: the drop of this role takes longer."""
        if uid in self._ending:
            self._ending[uid].set()

    async def run(self, expire: Callable[[Uid], Awaitable[None]]) -> None:
        """Call `expire` for each role that is due, until cancelled. Expiries run concurrently: a slow one delays no other."""
        async with asyncio.TaskGroup() as endings:
            while True:
                self._earlier.clear()
                due_at = self._expiries.next_due()
                wait = _LONGEST_WAIT_SECONDS if due_at is None else (due_at - self._now()).total_seconds()
                if wait > 0:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(min(wait, _LONGEST_WAIT_SECONDS)):
                            await self._earlier.wait()
                    continue
                for uid, since in self._expiries.pop_due(self._now()):
                    self._ending[uid] = asyncio.Event()
                    platform = self._platforms.pop(uid)
                    self._due[platform] += 1  # count the whole batch before the first one starts
                    endings.create_task(self._end(uid, since, platform, expire))

    async def _end(self, uid: Uid, due_at: datetime, platform: PlatformName, expire: Callable[[Uid], Awaitable[None]]) -> None:
        async with self._turn(platform):
            ending = self._ending.get(uid)
            if ending is None:
                return  # the object was deleted meanwhile
            try:
                await expire(uid)
            except RolevendError as error:
                _log.warning("cannot delete an expired VendedRole: %s", error, extra={"uid": uid})
                self._ending.pop(uid, None)
                asyncio.get_running_loop().call_later(_RETRY_SECONDS, self.schedule, uid, due_at, platform)
                return
            self._metrics.expiry_lateness_seconds.observe(max(0.0, (self._now() - due_at).total_seconds()))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LONGEST_TURN_SECONDS):
                    await ending.wait()

    @contextlib.asynccontextmanager
    async def _turn(self, platform: PlatformName) -> AsyncIterator[None]:
        """Enter at once if few roles expire, otherwise when the semaphore permits."""
        try:
            async with self._turns[platform] if self._due[platform] > FEW else contextlib.nullcontext():
                yield
        finally:
            self._due[platform] -= 1

    def _limit(self) -> int:
        return BESIDE_VENDS if asyncio.get_running_loop().time() - self._asked_at < _ASKED_SECONDS else AT_ONCE


class _Turns:
    """A semaphore with the size `limit()`, at least one, which is evaluated whenever a turn ends."""

    def __init__(self, limit: Callable[[], int]) -> None:
        self._limit = limit
        self._taken = 0
        self._over = asyncio.Condition()

    async def __aenter__(self) -> None:
        async with self._over:
            await self._over.wait_for(lambda: self._taken < self._limit())
            self._taken += 1

    async def __aexit__(self, *_: object) -> None:
        async with self._over:
            self._taken -= 1
            self._over.notify(AT_ONCE)

"""The time to live: end a VendedRole in the second in which it expires. It keeps no state that a restart could lose."""

import asyncio
import contextlib
import logging
import math
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime

from rolevend.errors import RolevendError
from rolevend.model import PlatformName, Uid
from rolevend.roles.expiry_queue import ExpiryQueue
from rolevend.telemetry.metrics import Metrics

FEW, AT_ONCE, BESIDE_VENDS = 16, 8, 1
"""Roles of a platform that expire concurrently: as many as expire in one second in ordinary times, and fewer of a crowd, one while somebody
asks for roles. A thousand that expire in one second must not stand before the next vend in every queue between here and
PostgreSQL, which refuses them anyhow from their expiry on."""
_ASKED_SECONDS = 1.0
"""How long a request counts after it was seen."""
_RETRY_SECONDS = 1.0
_LONGEST_TURN_SECONDS = 2.0
"""An expiry that takes longer lets the next one begin."""
_LONGEST_WAIT_SECONDS = 60.0
"""After which a changed wall clock is noticed."""

_log = logging.getLogger(__name__)


class ExpiryScheduler:
    def __init__(self, now: Callable[[], datetime], metrics: Metrics) -> None:
        self._now = now
        self._metrics = metrics
        self._expiries = ExpiryQueue()
        self._platforms: dict[Uid, PlatformName] = {}
        self._earlier = asyncio.Event()
        self._turns: dict[PlatformName, _Turns] = defaultdict(lambda: _Turns(self._most))
        self._due: Counter[PlatformName] = Counter()
        """How many roles expire now, or wait for their turn."""
        self._asked_at = -math.inf
        self._ending: dict[Uid, asyncio.Event] = {}
        """Roles that expired, until their objects are gone: the watch may tell of them once more. Set when their turn is over."""

    def poke(self) -> None:
        """Somebody waits for a role: expire fewer roles at once."""
        self._asked_at = asyncio.get_running_loop().time()

    def schedule(self, uid: Uid, due_at: datetime, platform: PlatformName) -> None:
        if uid in self._ending:
            return
        self._platforms[uid] = platform
        if self._expiries.put(uid, due_at):
            self._earlier.set()

    def cancel(self, uid: Uid) -> None:
        """The role ends already."""
        self._expiries.remove(uid)
        self._platforms.pop(uid, None)

    def forget(self, uid: Uid) -> None:
        """The object is gone."""
        self.cancel(uid)
        self.yield_turn(uid)
        self._ending.pop(uid, None)

    def yield_turn(self, uid: Uid) -> None:
        """The end of this role takes longer than its turn: the next one begins."""
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
                    self._due[platform] += 1  # all of a crowd, before the first one begins
                    endings.create_task(self._end(uid, since, platform, expire))

    async def _end(self, uid: Uid, due_at: datetime, platform: PlatformName, expire: Callable[[Uid], Awaitable[None]]) -> None:
        async with self._turn(platform):
            ending = self._ending.get(uid)
            if ending is None:
                return  # gone while it waited for its turn
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
        """At once while there are few; in a crowd as soon as one of the roles that have a turn is gone."""
        try:
            async with self._turns[platform] if self._due[platform] > FEW else contextlib.nullcontext():
                yield
        finally:
            self._due[platform] -= 1

    def _most(self) -> int:
        return BESIDE_VENDS if asyncio.get_running_loop().time() - self._asked_at < _ASKED_SECONDS else AT_ONCE


class _Turns:
    """A semaphore whose size is `most()`, at least one, evaluated whenever a turn ends."""

    def __init__(self, most: Callable[[], int]) -> None:
        self._most = most
        self._taken = 0
        self._over = asyncio.Condition()

    async def __aenter__(self) -> None:
        async with self._over:
            await self._over.wait_for(lambda: self._taken < self._most())
            self._taken += 1

    async def __aexit__(self, *_: object) -> None:
        async with self._over:
            self._taken -= 1
            self._over.notify(AT_ONCE)

"""Turns of people who ask for what takes long."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from rolevend.console.person import Person


class Turns:
    """At most `at_once` people at the same time. Of one person only one call waits with those of others."""

    def __init__(self, at_once: int, seconds: float) -> None:
        self._all = asyncio.Semaphore(at_once)
        self._own: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """By the name of the person."""
        self._seconds = seconds

    @asynccontextmanager
    async def of(self, person: Person) -> AsyncIterator[asyncio.Timeout]:
        """Wait for the person's turn, which the block is. Raises TimeoutError after `seconds`; the block may reschedule the limit."""
        own = self._own.setdefault(person.username, asyncio.Lock())
        async with asyncio.timeout(self._seconds) as limit, own, self._all:
            yield limit

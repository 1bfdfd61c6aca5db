"""Tell open pages that something changed, by server-sent events. A page then asks for its tables, with the rights of its person."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Final

MOST_STREAMS: Final = 256
"""Of one process."""
MOST_OF_ONE: Final = 16
"""Of one person."""
_TICK_SECONDS: Final = 5.0
"""After which a stream looks if its process or its session ends."""
_PAUSE_SECONDS: Final = 1.0
"""Between two events of one stream."""
_BEAT_SECONDS: Final = 20.0


class ChangeStreams:
    def __init__(self, ending: Callable[[], bool]) -> None:
        """`ending` is true as soon as the process has to end: an open stream would hold it up."""
        self._ending = ending
        self._streams: dict[asyncio.Event, str] = {}
        """Each with the name of its person."""

    def is_full(self, person: str) -> bool:
        of_one = sum(each == person for each in self._streams.values())
        return len(self._streams) >= MOST_STREAMS or of_one >= MOST_OF_ONE

    def tell(self) -> None:
        for each in self._streams:
            each.set()

    async def stream(self, person: str, is_known: Callable[[], Awaitable[bool]]) -> AsyncIterator[bytes]:
        """Yield an event after each change, and a comment while nothing changes. Ends with the process, or if `is_known` is false."""
        changed, beat_at = asyncio.Event(), time.monotonic()
        self._streams[changed] = person
        try:
            yield b": open\n\n"
            while not self._ending():
                with suppress(TimeoutError):
                    async with asyncio.timeout(_TICK_SECONDS):
                        await changed.wait()
                if changed.is_set():
                    changed.clear()
                    yield b"data: changed\n\n"
                    await asyncio.sleep(_PAUSE_SECONDS)
                if time.monotonic() - beat_at > _BEAT_SECONDS:
                    if not await is_known():
                        return
                    beat_at = time.monotonic()
                    yield b": \n\n"
        finally:
            self._streams.pop(changed, None)

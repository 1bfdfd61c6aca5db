"""Answers that are used again for a while, and that several callers wait for at once."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SharedAnswers(Generic[K, V]):
    """At most `most` answers, each for `seconds` from its question on. A failure is not used again."""

    def __init__(self, seconds: float, most: int, moment: Callable[[], float]) -> None:
        """`moment` is a monotonic clock, in seconds."""
        self._seconds = seconds
        self._most = most
        self._moment = moment
        self._known: OrderedDict[K, tuple[float, asyncio.Task[V]]] = OrderedDict()

    async def get(self, key: K, ask: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """Return the answer that is known, or ask. Raises as `ask`."""
        known = self._known.get(key)
        if known is None or known[0] <= self._moment() or _has_failed(known[1]):
            self._known.pop(key, None)
            while len(self._known) >= self._most:
                self._known.popitem(last=False)
            known = self._known[key] = self._moment() + self._seconds, asyncio.create_task(ask())
        return await asyncio.shield(known[1])  # a caller that is cancelled takes the answer from no other


def _has_failed(answer: asyncio.Task[Any]) -> bool:
    return answer.done() and (answer.cancelled() or answer.exception() is not None)

"""The order in which AccessRequests are judged. Pure."""

import heapq
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, Final

from rolevend.due_queue import DueQueue
from rolevend.model import ObjectName

AT_ONCE: Final = 4
"""Changes, and requests of a pass. Most judgements of these have no effect, and are fast: a request that was judged has changed, too, and
is judged once more."""


class JudgementQueue:
    """Three queues: requests that changed, the most urgent first; requests whose time has come; and the last pass over all open requests.
    Each has its turn, so that no request waits for all of another queue."""

    def __init__(self, urgency: Callable[[ObjectName], Any]) -> None:
        """`urgency` sorts requests that changed: the lowest is judged first."""
        self._urgency = urgency
        self._changed: set[ObjectName] = set()
        self._changes: list[tuple[Any, ObjectName]] = []
        """A heap. A request that was judged meanwhile is skipped."""
        self._times: DueQueue[ObjectName, float] = DueQueue()
        self._pass: dict[ObjectName, None] = {}
        """In its order."""

    def add_changed(self, names: Iterable[ObjectName]) -> None:
        """Judge these now."""
        for name in names:
            self._changed.add(name)
            heapq.heappush(self._changes, (self._urgency(name), name))

    def add_at(self, name: ObjectName, at: float) -> None:
        """Judge the request again at this time, and not at another that was said before."""
        self._times.put(name, at)

    def add_pass(self, names: Iterable[ObjectName]) -> None:
        """Judge these once, in this order, behind the rest of the pass before."""
        self._pass.update(dict.fromkeys(names))

    def take(self, now: float) -> list[ObjectName]:
        """Remove and return the requests to judge next, each once: at most `AT_ONCE` changes, one whose time has come, and `AT_ONCE` of the
        pass."""
        taken: dict[ObjectName, None] = {}
        while self._changes and len(taken) < AT_ONCE:
            _, name = heapq.heappop(self._changes)
            if name in self._changed:
                taken[name] = None
        if (due := self._times.pop(now)) is not None:
            taken[due[0]] = None
        taken |= dict.fromkeys(islice(self._pass, AT_ONCE))
        for name in taken:
            self._changed.discard(name)
            self._times.remove(name)
            self._pass.pop(name, None)
        return list(taken)

    @property
    def is_idle(self) -> bool:
        """True if nothing is to be judged before `next_time`."""
        return not self._changed and not self._pass

    @property
    def next_time(self) -> float | None:
        """The time at which a request is to be judged again, or None."""
        return self._times.next_due()

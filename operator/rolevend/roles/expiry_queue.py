"""A heap of expiries, rebuilt from the listing at start."""

import heapq
from datetime import datetime

from rolevend.model import Uid


class ExpiryQueue:
    """Priority queue by time. Not thread-safe. A removed or moved entry stays in the heap and is skipped when it is due."""

    def __init__(self) -> None:
        self._due_at: dict[Uid, datetime] = {}
        self._heap: list[tuple[datetime, Uid]] = []

    def put(self, uid: Uid, due_at: datetime) -> bool:
        """Add or move the entry. True if it is now the earliest, so that the waiter must look again."""
        if self._due_at.get(uid) == due_at:
            return False
        self._due_at[uid] = due_at
        heapq.heappush(self._heap, (due_at, uid))
        return self._heap[0][1] == uid

    def remove(self, uid: Uid) -> None:
        self._due_at.pop(uid, None)

    def next_due(self) -> datetime | None:
        while self._heap and self._due_at.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: datetime) -> list[tuple[Uid, datetime]]:
        """Remove and return all due entries with their due times, earliest first."""
        due = []
        while (first := self.next_due()) is not None and first <= now:
            due_at, uid = heapq.heappop(self._heap)
            del self._due_at[uid]
            due.append((uid, due_at))
        return due

    def __len__(self) -> int:
        return len(self._due_at)

"""A priority queue by time, whose entries can be moved and removed. Pure."""

import heapq
from collections.abc import Hashable
from datetime import datetime
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T", float, datetime)

_MOST_SKIPPED: Final = 100
"""Entries of the heap that are not valid any more, beside as many as there are valid ones."""


class DueQueue(Generic[K, T]):
    """Not thread-safe. A removed or moved entry stays in the heap and is skipped when it is due."""

    def __init__(self) -> None:
        self._due_at: dict[K, T] = {}
        self._heap: list[tuple[T, K]] = []

    def put(self, key: K, due_at: T) -> bool:
        """Add or move the entry. True if it is now the earliest, so that the waiter must look again."""
        if self._due_at.get(key) == due_at:
            return False
        self._due_at[key] = due_at
        heapq.heappush(self._heap, (due_at, key))
        if len(self._heap) > 2 * len(self._due_at) + _MOST_SKIPPED:
            self._heap = [(at, each) for each, at in self._due_at.items()]
            heapq.heapify(self._heap)
        return self._heap[0][1] == key

    def remove(self, key: K) -> None:
        self._due_at.pop(key, None)

    def next_due(self) -> T | None:
        while self._heap and self._due_at.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop(self, now: T) -> tuple[K, T] | None:
        """Remove and return the earliest entry with its due time, if it is due."""
        first = self.next_due()
        if first is None or first > now:
            return None
        due_at, key = heapq.heappop(self._heap)
        del self._due_at[key]
        return key, due_at

    def pop_due(self, now: T) -> list[tuple[K, T]]:
        """Remove and return all due entries with their due times, earliest first."""
        return list(iter(lambda: self.pop(now), None))

    def __len__(self) -> int:
        return len(self._due_at)

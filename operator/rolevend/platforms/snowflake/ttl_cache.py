"""A cache for results that are expensive to read."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
Asked = TypeVar("Asked")


class TtlCache(Generic[Asked, T]):
    """Caches results per key for a fixed time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._kept: tuple[float, Asked, T] | None = None

    def get(self, asked: Asked, read: Callable[[], T]) -> T:
        with self._lock:
            if self._kept is None or self._kept[1] != asked or time.monotonic() - self._kept[0] >= self._seconds:
                self._kept = time.monotonic(), asked, read()
            return self._kept[2]

    def forget(self) -> None:
        with self._lock:
            self._kept = None

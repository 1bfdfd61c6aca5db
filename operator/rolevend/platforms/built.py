"""The profiles that this process knows to be built on a platform, with a lock for each."""

import threading
from dataclasses import dataclass, field

from rolevend.model import ProfileName


@dataclass(slots=True)
class BuiltProfiles:
    _names: set[ProfileName] = field(default_factory=set)
    _turns: dict[ProfileName, threading.Lock] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def has(self, name: ProfileName) -> bool:
        return name in self._names

    def add(self, name: ProfileName) -> None:
        self._names.add(name)

    def remove(self, name: ProfileName) -> None:
        self._names.discard(name)

    def clear(self) -> None:
        self._names.clear()

    def turn(self, name: ProfileName) -> threading.Lock:
        with self._lock:
            return self._turns.setdefault(name, threading.Lock())

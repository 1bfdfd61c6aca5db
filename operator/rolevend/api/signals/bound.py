"""Bound the objects that signals make: a transmitter could name users without end."""

from collections import Counter
from typing import Final

from rolevend.errors import Unavailable
from rolevend.kinds.signals import is_made_by_signals
from rolevend.kube.informer import Informer
from rolevend.model import User

MAXIMUM_OBJECTS: Final = 50_000
"""For the users of one issuer. Some hundred may be added while the watch is behind."""


class SignalObjects:
    """Counts them in the watch of the API, by the issuer of their users."""

    def __init__(self, informer: Informer, maximum: int = MAXIMUM_OBJECTS) -> None:
        """`informer` is of UserAttributes."""
        self._informer = informer
        self._changed = informer.changed_keys()
        self._maximum = maximum
        self._issuers: dict[tuple[str, str], str] = {}
        self._counts: Counter[str] = Counter()

    def require_room(self, user: User) -> None:
        """Raises Unavailable if there is no room for an object of the user: the sender tries again, and nothing is lost."""
        self._sync()
        if self._counts[user.issuer] >= self._maximum:
            raise Unavailable(f"signals made {self._maximum} UserAttributes of issuer {user.issuer}: delete old ones")

    def _sync(self) -> None:
        while self._changed:
            key = self._changed.pop()
            if (before := self._issuers.pop(key, None)) is not None:
                self._counts[before] -= 1
            body = self._informer.objects.get(key)
            if body is not None and is_made_by_signals(body["metadata"].get("labels") or {}):
                issuer = self._issuers[key] = body["spec"]["user"]["issuer"]
                self._counts[issuer] += 1

"""Short-lived cache of the cluster's reviews of ServiceAccount tokens. Only the cluster knows if a pod still exists."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from rolevend.identity.service_account import Review

LONGEST_SECONDS: Final = 5.0
"""Maximum seconds for which a deleted pod is still accepted."""
_MOST: Final = 4096


class Reviewer(Protocol):
    async def review(self, token: str, audiences: frozenset[str]) -> Review:
        """Run a TokenReview for these audiences. Raises ClusterUnavailable. Never logs the token."""


@dataclass(frozen=True, slots=True)
class _Asked:
    until: float
    answer: asyncio.Task[Review]


class Reviews:
    """Caches at most as many answers as there can be agents, and removes the oldest first."""

    def __init__(self, reviewer: Reviewer, moment: Callable[[], float], *, seconds: float = 2.0, most: int = _MOST) -> None:
        """`moment` is a monotonic clock, in seconds. An answer is valid for `seconds` after its request."""
        self._reviewer = reviewer
        self._moment = moment
        self._seconds = min(seconds, LONGEST_SECONDS)
        self._most = most
        self._asked: OrderedDict[str, _Asked] = OrderedDict()

    async def of(self, digest: str, token: str, audiences: frozenset[str]) -> Review:
        """Return the review of a token whose signature was verified. `digest` identifies it. Concurrent callers share one request."""
        asked = self._asked.get(digest)
        if asked is None or asked.until <= self._moment():
            asked = self._ask(digest, token, audiences)
        try:
            return await asyncio.shield(asked.answer)  # shielded: the first caller may be cancelled, and others still wait
        finally:
            if asked.answer.done() and (asked.answer.cancelled() or asked.answer.exception()):
                self._forget(digest, asked)  # a failure is not cached

    def _ask(self, digest: str, token: str, audiences: frozenset[str]) -> _Asked:
        self._asked.pop(digest, None)
        while len(self._asked) >= self._most:
            self._asked.popitem(last=False)
        answer = asyncio.ensure_future(self._reviewer.review(token, audiences))
        asked = self._asked[digest] = _Asked(self._moment() + self._seconds, answer)
        return asked

    def _forget(self, digest: str, asked: _Asked) -> None:
        if self._asked.get(digest) is asked:
            del self._asked[digest]

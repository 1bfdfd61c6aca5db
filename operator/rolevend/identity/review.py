"""What the cluster says of ServiceAccounts' tokens, remembered for moments: it alone sees that a pod is gone."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from rolevend.identity.service_account import Review

LONGEST_SECONDS: Final = 5.0
"""How long a deleted pod can pass at most."""
_MOST: Final = 4096


class Reviewer(Protocol):
    async def review(self, token: str, audiences: frozenset[str]) -> Review:
        """A TokenReview for these audiences. Raises ClusterUnavailable, and then nothing is known. Never logs the token."""


@dataclass(frozen=True, slots=True)
class _Asked:
    until: float
    answer: asyncio.Task[Review]


class Reviews:
    """Remembers as many answers as there may be agents; the oldest go first."""

    def __init__(self, reviewer: Reviewer, moment: Callable[[], float], *, seconds: float = 2.0, most: int = _MOST) -> None:
        """`moment` is a clock that only ever runs forward, in seconds; an answer counts for `seconds` from when it was asked for."""
        self._reviewer = reviewer
        self._moment = moment
        self._seconds = min(seconds, LONGEST_SECONDS)
        self._most = most
        self._asked: OrderedDict[str, _Asked] = OrderedDict()

    async def of(self, digest: str, token: str, audiences: frozenset[str]) -> Review:
        """`digest` names a token whose signature was checked. Asked once, however many want to know meanwhile."""
        asked = self._asked.get(digest)
        if asked is None or asked.until <= self._moment():
            asked = self._ask(digest, token, audiences)
        try:
            return await asyncio.shield(asked.answer)  # who asked first may go away, and the others still wait
        finally:
            if asked.answer.done() and (asked.answer.cancelled() or asked.answer.exception()):
                self._forget(digest, asked)  # no answer is none to remember

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

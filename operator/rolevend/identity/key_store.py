"""Cache of the keys of all issuers, refreshed in the background.

A failed read never removes keys. A token with an unknown key triggers a read, at most one per cool-down, because tokens can be invented
quickly.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rolevend.errors import RolevendError
from rolevend.identity.key_set import KnownKeys, parse
from rolevend.identity.provider import InlineKeys, Provider

REFRESH_SECONDS: Final = 300.0
RETRY_SECONDS: Final = 15.0
COOL_DOWN_SECONDS: Final = 30.0

Read = Callable[[Provider], Awaitable[bytes]]
"""Reads the text of an issuer's key set. Raises an error of `rolevend.errors`."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """Intervals in seconds."""

    refresh: float = REFRESH_SECONDS
    retry: float = RETRY_SECONDS
    """After a failed read."""
    cool_down: float = COOL_DOWN_SECONDS
    """Between two reads that unknown keys trigger."""


class KeyStore:
    """`known` is for `verification.verify`: it is replaced as a whole, and never by a failed read."""

    def __init__(self, read: Read, clock: Callable[[], datetime], moment: Callable[[], float], pace: Pace = Pace()) -> None:
        """`moment` is a monotonic clock, in seconds."""
        self.known: Mapping[str, KnownKeys] = {}
        self.problems: dict[str, str] = {}
        """By issuer: the error of the last read, if it failed."""
        self.news = asyncio.Event()
        """Set when `known` or `problems` may have changed. The reader clears it."""
        self._read = read
        self._clock = clock
        self._moment = moment
        self._pace = pace
        self._providers: Mapping[str, Provider] = {}
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._due: dict[str, float] = {}
        self._cool_until: dict[str, float] = {}
        self._changed = asyncio.Event()

    def follow(self, providers: Mapping[str, Provider]) -> None:
        """Keep the keys of these providers, by issuer. Keys from a source that changed are removed."""
        same = {issuer for issuer, provider in providers.items() if _source(self._providers.get(issuer)) == provider.keys}
        self.known = {issuer: keys for issuer, keys in self.known.items() if issuer in same}
        self.problems = {issuer: problem for issuer, problem in self.problems.items() if issuer in same}
        self._due = {issuer: due for issuer, due in self._due.items() if issuer in same}
        self._cool_until = {issuer: until for issuer, until in self._cool_until.items() if issuer in same}
        self._providers = dict(providers)
        for issuer, provider in providers.items():
            if isinstance(provider.keys, InlineKeys) and issuer not in self.known:
                self._take(provider, provider.keys.text.encode(), None)
        self._changed.set()
        self.news.set()

    async def run(self) -> None:
        """Refresh until cancelled. A slow issuer delays no other."""
        try:
            while True:
                self._changed.clear()
                for issuer in self._overdue():
                    self._looking(issuer)
                await self._rest()
        finally:
            for task in self._under_way.values():
                task.cancel()

    async def refresh(self, issuer: str) -> None:
        """Read the keys once for all concurrent callers. Never raises: a failure is stored in `problems`."""
        await asyncio.shield(self._looking(issuer))  # shielded: the first caller may be cancelled, and others still wait

    async def look_again(self, issuer: str) -> bool:
        """Read again after a token named an unknown key. True if the keys were read, by this or another caller."""
        now = self._moment()
        if issuer not in self._under_way:
            if issuer not in self._providers or now < self._cool_until.get(issuer, now):
                return False
            self._cool_until[issuer] = now + self._pace.cool_down
        await self.refresh(issuer)
        return True

    def is_current(self, issuer: str, since: datetime) -> bool:
        """True if the issuer can have no other keys than the known ones: they are inline, or were read after this time."""
        provider, known = self._providers.get(issuer), self.known.get(issuer)
        if provider is None or known is None:
            return False
        return isinstance(provider.keys, InlineKeys) or (known.read_at is not None and known.read_at >= since)

    def _looking(self, issuer: str) -> asyncio.Task[None]:
        """Return the running read, or start one."""
        if issuer not in self._under_way:
            task = self._under_way[issuer] = asyncio.create_task(self._look(issuer))
            task.add_done_callback(lambda _: self._looked(issuer))
        return self._under_way[issuer]

    def _looked(self, issuer: str) -> None:
        del self._under_way[issuer]
        self._changed.set()

    async def _look(self, issuer: str) -> None:
        provider = self._providers.get(issuer)
        if provider is None or isinstance(provider.keys, InlineKeys):
            return
        self._due[issuer] = self._moment() + self._pace.retry  # after any error, wait before the next read
        try:
            self._take(provider, await self._read(provider), self._clock())
        except RolevendError as error:
            self._failed(provider, error)

    def _take(self, provider: Provider, raw: bytes, read_at: datetime | None) -> None:
        try:
            keys = parse(raw)
        except RolevendError as error:
            self._failed(provider, error)
            return
        if not self._follows(provider):
            return
        before = self.known.get(provider.issuer)
        self.known = {**self.known, provider.issuer: KnownKeys(keys, read_at)}
        self.problems.pop(provider.issuer, None)
        self.news.set()
        self._due[provider.issuer] = self._moment() + self._pace.refresh
        for ignored in keys.ignored if before is None or before.keys.ignored != keys.ignored else ():
            _log.warning("keys of identity provider %s: %s", provider.name, ignored)

    def _failed(self, provider: Provider, error: RolevendError) -> None:
        if not self._follows(provider):
            return
        _log.warning("keys of identity provider %s: %s", provider.name, error)
        self.problems[provider.issuer] = str(error)
        self.news.set()
        self._due[provider.issuer] = self._moment() + self._pace.retry

    def _follows(self, provider: Provider) -> bool:
        """True if the source of the issuer's keys did not change during the read."""
        return _source(self._providers.get(provider.issuer)) == provider.keys

    def _overdue(self) -> list[str]:
        now = self._moment()
        return [issuer for issuer in self._at_rest() if self._due.get(issuer, now) <= now]

    def _at_rest(self) -> list[str]:
        """Return the issuers that are due and have no running read."""
        remote = (issuer for issuer, provider in self._providers.items() if not isinstance(provider.keys, InlineKeys))
        return [issuer for issuer in remote if issuer not in self._under_way]

    async def _rest(self) -> None:
        """Wait until the next read is due, a read ended, or the providers changed."""
        now = self._moment()
        seconds = min((self._due.get(issuer, now) - now for issuer in self._at_rest()), default=self._pace.refresh)
        try:
            async with asyncio.timeout(max(seconds, 0)):
                await self._changed.wait()
        except TimeoutError:
            return


def _source(provider: Provider | None) -> object:
    return None if provider is None else provider.keys

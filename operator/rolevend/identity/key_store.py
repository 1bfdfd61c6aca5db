"""The keys of every issuer, kept fresh in the background. What cannot be read never takes away what was read before.

A token of an unknown key may make it look again, but not more often than the cool-down lets: tokens can be made up faster than keys.
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
"""The text of an issuer's key set. Raises an error of `rolevend.errors`."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """In seconds."""

    refresh: float = REFRESH_SECONDS
    retry: float = RETRY_SECONDS
    """After a look that failed."""
    cool_down: float = COOL_DOWN_SECONDS
    """Between two looks that unknown keys cause."""


class KeyStore:
    """`known` is for `verification.verify`: it changes as a whole, and never from good to bad."""

    def __init__(self, read: Read, clock: Callable[[], datetime], moment: Callable[[], float], pace: Pace = Pace()) -> None:
        """`moment` is a clock that only ever runs forward, in seconds."""
        self.known: Mapping[str, KnownKeys] = {}
        self.problems: dict[str, str] = {}
        """By issuer: why its keys could not be read when it was last tried."""
        self.news = asyncio.Event()
        """Set when there may be something else in `known` or `problems`, and never cleared here."""
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
        """From now on these, by issuer. Keys that were read from somewhere else than an issuer's keys are now are forgotten."""
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
        """Until cancelled. An issuer that is slow holds up no other."""
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
        """Looks once, however many ask for it meanwhile. Says in `problems` what went wrong, and raises nothing."""
        await asyncio.shield(self._looking(issuer))  # who asked first may go away, and the others still wait

    async def look_again(self, issuer: str) -> bool:
        """After a token of this issuer named a key that it is not known to have. Whether it was looked for, here or by somebody else."""
        now = self._moment()
        if issuer not in self._under_way:
            if issuer not in self._providers or now < self._cool_until.get(issuer, now):
                return False
            self._cool_until[issuer] = now + self._pace.cool_down
        await self.refresh(issuer)
        return True

    def _looking(self, issuer: str) -> asyncio.Task[None]:
        """The look that is under way, or one that begins."""
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
        self._due[issuer] = self._moment() + self._pace.retry  # whatever goes wrong, the next one is not at once
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
        """Whether the issuer's keys are still where they were looked for."""
        return _source(self._providers.get(provider.issuer)) == provider.keys

    def _overdue(self) -> list[str]:
        now = self._moment()
        return [issuer for issuer in self._at_rest() if self._due.get(issuer, now) <= now]

    def _at_rest(self) -> list[str]:
        """Issuers that are to be looked at, and are not just now."""
        remote = (issuer for issuer, provider in self._providers.items() if not isinstance(provider.keys, InlineKeys))
        return [issuer for issuer in remote if issuer not in self._under_way]

    async def _rest(self) -> None:
        """Until the next look is due or one is over, or others are followed."""
        now = self._moment()
        seconds = min((self._due.get(issuer, now) - now for issuer in self._at_rest()), default=self._pace.refresh)
        try:
            async with asyncio.timeout(max(seconds, 0)):
                await self._changed.wait()
        except TimeoutError:
            return


def _source(provider: Provider | None) -> object:
    return None if provider is None else provider.keys

"""One role for each session and person, vended at the first call and released when the session ends.

No two people share a role, whatever else a caller sends: the key of a conversation contains the person. Does not depend on MCP.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import NamedTuple, Self

from rolevend_client import messages
from rolevend_client.async_role import AsyncRole
from rolevend_client.errors import Denied
from rolevend_client.mcp.issuer import Person
from rolevend_client.run import ForTheModel, Run
from rolevend_client.values import UserToken

Proof = Callable[[], Awaitable[UserToken]]
"""Returns a token of the person for one vend."""
Vend = Callable[[UserToken], AbstractAsyncContextManager[AsyncRole]]
_log = logging.getLogger("rolevend_client")


class Key(NamedTuple):
    person: Person
    client: str
    session: str | None
    """None if the transport or the protocol has no sessions: one role for each person and client."""


@dataclass
class _Conversation:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while its role is vended or released."""
    stack: AsyncExitStack | None = None
    run: Run | None = None
    calls: int = 0
    used_at: float = 0.0
    over: bool = False


class Conversations:
    """The conversations of one event loop. The end of its `async with` block releases all roles."""

    def __init__(
        self,
        vend: Vend,
        *,
        idle_seconds: float | None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`idle_seconds`: an unused role is released after this time; None: when its session ends."""
        self._vend = vend
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._now = now
        self._all: dict[Key, _Conversation] = {}
        self._sweeping: asyncio.Task[None] | None = None
        self._over = False

    @asynccontextmanager
    async def run(self, key: Key, proof: Proof) -> AsyncIterator[Run]:
        """Yield the run of this conversation; it holds the denial if nothing is granted. The role is in use until the block ends."""
        conversation = self._all.setdefault(key, _Conversation())
        conversation.calls += 1
        try:
            yield await self._run(conversation, proof)
        finally:
            conversation.calls -= 1
            conversation.used_at = self._clock()
            self._forget_if_unused(key, conversation)

    async def release(self, key: Key) -> bool:
        """Return True if there was a role. The next call vends another one."""
        conversation = self._all.get(key)
        return conversation is not None and await self._ended(conversation)

    async def end_session(self, session: str) -> None:
        """End the session. Its waiting calls get no role."""
        for key in [each for each in self._all if each.session == session]:
            await self._end(key)

    async def close(self) -> None:
        """End all conversations and accept no new ones. Waits for those that are ending already."""
        self._over = True
        await asyncio.gather(*(self._end(key) for key in list(self._all)))

    async def __aenter__(self) -> Self:
        if self._idle_seconds is not None:
            self._sweeping = asyncio.create_task(self._sweep(self._idle_seconds))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeping
        await self.close()

    async def _run(self, conversation: _Conversation, proof: Proof) -> Run:
        async with conversation.lock:
            if conversation.over or self._over:
                raise ForTheModel(messages.OVER)
            if conversation.run is not None and _has_ended(conversation.run, self._now()):
                await _end(conversation)
            try:
                return conversation.run or await self._begin(conversation, await proof())
            except Denied as denial:
                return Run(denial)

    async def _begin(self, conversation: _Conversation, token: UserToken) -> Run:
        async with AsyncExitStack() as stack:
            run = Run(await stack.enter_async_context(self._vend(token)))
            stack.callback(run.end)
            conversation.stack, conversation.run = stack.pop_all(), run
        return run

    async def _end(self, key: Key) -> None:
        conversation = self._all.get(key)
        if conversation is not None:
            conversation.over = True
            await self._ended(conversation)
            self._forget_if_unused(key, conversation)

    async def _ended(self, conversation: _Conversation) -> bool:
        async with conversation.lock:
            return await _end(conversation)

    def _forget_if_unused(self, key: Key, conversation: _Conversation) -> None:
        if conversation.run is None and not conversation.calls and not conversation.lock.locked() and self._all.get(key) is conversation:
            del self._all[key]

    async def _sweep(self, idle_seconds: float) -> None:
        while True:
            await asyncio.sleep(min(idle_seconds / 4, 5.0))
            for key, each in list(self._all.items()):
                if not each.calls and self._clock() - each.used_at >= idle_seconds:
                    await self._ended(each)
                    self._forget_if_unused(key, each)


async def _end(conversation: _Conversation) -> bool:
    stack, conversation.stack, conversation.run = conversation.stack, None, None
    if stack is None:
        return False
    try:
        await stack.aclose()
    except Exception as error:  # the other conversations must end, too; the role expires
        _log.warning("a role may be left over until it ends by itself: %s", type(error).__name__)
    return True


def _has_ended(run: Run, now: datetime) -> bool:
    until = run.role.expires_at
    return until is not None and until <= now

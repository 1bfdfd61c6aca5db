"""One role for each session and person, vended at the first call and released when the session ends.

No two people share a role, whatever else a caller sends: the key of a conversation contains the person. Does not depend on MCP.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from rolevend_client import access_messages, messages
from rolevend_client.asking import Asking, unknown_request
from rolevend_client.async_exchange import Person
from rolevend_client.async_requested import AsyncAccessRequested
from rolevend_client.async_role import AsyncRole
from rolevend_client.errors import Denied, Rejected, RolevendError, Unavailable
from rolevend_client.run import ForTheModel, Run
from rolevend_client.values import AccessRequest, Decision, Offer, Resource, UserToken

Proof = Callable[[], Awaitable[UserToken]]
"""Returns a token of the person for one vend."""


class Access(Protocol):
    """The calls of the API, for the agent."""

    def vend(self, token: UserToken) -> AbstractAsyncContextManager[AsyncRole]:
        """Vend the standing role."""

    def vend_approved(self, token: UserToken, asked: Asking, request: AccessRequest) -> AbstractAsyncContextManager[AsyncRole]:
        """Vend the role of an approval."""

    async def request(self, token: UserToken, asked: Asking) -> AsyncAccessRequested: ...

    async def decide(self, token: UserToken, platform: str, table: Resource) -> Decision: ...


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
    offers: tuple[Offer, ...] = ()
    """The offers that the model was shown last."""
    explained: dict[str, Offer] = field(default_factory=dict)
    """The offers that explanations of single tables named."""
    asked: dict[str, tuple[Asking, AsyncAccessRequested]] = field(default_factory=dict)
    granted: str | None = None
    """The request whose approval the next call uses."""
    in_use: str | None = None
    approved_stack: AsyncExitStack | None = None
    approved: Run | None = None
    """The run with the role of the approval `in_use`. The standing role stays beside it."""
    note: str = ""
    calls: int = 0
    used_at: float = 0.0
    over: bool = False


class Conversations:
    """The conversations of one event loop. The end of its `async with` block releases all roles."""

    def __init__(
        self,
        access: Access,
        *,
        idle_seconds: float | None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`idle_seconds`: an unused role is released after this time; None: when its session ends."""
        self._access = access
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
        with self._in_call(key, conversation):
            run = await self._run(conversation, proof)
            if conversation.note:
                run.note, conversation.note = conversation.note, ""
            yield run

    async def request(self, key: Key, proof: Proof, asking: Callable[[Sequence[Offer]], Asking], *, again: bool = False) -> AccessRequest:
        """Request an offer for this conversation. `asking` gets the offers that the model knows. `again`: the call continues an earlier
        one, and returns the request of that one, whatever became of it."""
        conversation = self._all.setdefault(key, _Conversation())
        with self._in_call(key, conversation):
            asked = asking((*conversation.offers, *conversation.explained.values()))
            made = [request for known, request in conversation.asked.values() if known == asked] if again else []
            try:
                request = await made[-1].refresh() if made else await self._access.request(await proof(), asked)
            except (Rejected, Unavailable) as error:
                raise ForTheModel(access_messages.not_requested(error)) from None
            conversation.asked[request.id] = asked, request
            _note_approval(conversation, request)
            return request.found

    async def decide(self, key: Key, proof: Proof, platform: str, table: Resource) -> Decision | RolevendError:
        """Return the decision of the API on one table for the person, or the error for that there is none."""
        conversation = self._all.setdefault(key, _Conversation())
        with self._in_call(key, conversation):
            try:
                decision = await self._access.decide(await proof(), platform, table)
            except (Rejected, Unavailable) as error:
                return error
            conversation.explained |= {each.name: each for each in (*decision.missing.offers, *decision.explanation.offers)}
            return decision

    async def status(self, key: Key, request_id: str, wait_seconds: int, *, for_confirmation: bool = False) -> AccessRequest:
        """Wait for the decision on a request of this conversation, and return it. `for_confirmation`: at most until the person confirmed
        it."""
        with self._asked(key, request_id) as (conversation, request):
            await (request.wait(wait_seconds, for_confirmation=for_confirmation) if request.is_pending else request.refresh())
            _note_approval(conversation, request)
            return request.found

    async def withdraw(self, key: Key, request_id: str) -> None:
        """Withdraw a request of this conversation, because the person declined it."""
        with self._asked(key, request_id) as (_, request):
            await request.withdraw()

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
            if conversation.approved is not None and conversation.approved.has_ended(self._now()):
                if not conversation.approved.is_lost:  # else the model was informed
                    conversation.note = access_messages.FELL_BACK
                await _end_approved(conversation)
            if conversation.granted is not None:
                await self._use(conversation, conversation.granted, proof)
            if conversation.approved is not None:
                return conversation.approved
            if conversation.run is not None and _has_ended(conversation.run, self._now()):
                await _end_standing(conversation)
            try:
                run = conversation.run or await self._begin(conversation, await proof())
            except Denied as denial:
                run = Run(denial)
            conversation.offers = run.offers
            return run

    async def _use(self, conversation: _Conversation, request_id: str, proof: Proof) -> None:
        """Vend the role of an approval. If the API refuses it, the standing role stays, with a note."""
        asked, request = conversation.asked[request_id]
        async with AsyncExitStack() as stack:
            try:
                role = await stack.enter_async_context(self._access.vend_approved(await proof(), asked, request.found))
            except Rejected as error:
                conversation.granted, conversation.note = None, access_messages.unusable(error)
                return
            except Unavailable as error:
                raise ForTheModel(access_messages.not_yet(error)) from None
            run = Run(role, is_approved=True)
            stack.callback(run.end)
            await _end_approved(conversation)
            conversation.approved_stack, conversation.approved = stack.pop_all(), run
            conversation.in_use, conversation.granted = request_id, None

    async def _begin(self, conversation: _Conversation, token: UserToken) -> Run:
        async with AsyncExitStack() as stack:
            run = Run(await stack.enter_async_context(self._access.vend(token)))
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

    @contextlib.contextmanager
    def _asked(self, key: Key, request_id: str) -> Iterator[tuple[_Conversation, AsyncAccessRequested]]:
        """Yield a request of this conversation. Raises `ForTheModel` if there is none, and for errors of the API."""
        conversation = self._all.get(key)
        if conversation is None or request_id not in conversation.asked:
            raise unknown_request()
        with self._in_call(key, conversation):
            try:
                yield conversation, conversation.asked[request_id][1]
            except (Rejected, Unavailable) as error:
                raise ForTheModel(access_messages.not_requested(error)) from None

    @contextlib.contextmanager
    def _in_call(self, key: Key, conversation: _Conversation) -> Iterator[None]:
        conversation.calls += 1
        try:
            yield
        finally:
            conversation.calls -= 1
            conversation.used_at = self._clock()
            self._forget_if_unused(key, conversation)

    def _forget_if_unused(self, key: Key, conversation: _Conversation) -> None:
        is_unused = not (conversation.run or conversation.approved or conversation.offers or conversation.explained or conversation.asked)
        if is_unused and not conversation.calls and not conversation.lock.locked() and self._all.get(key) is conversation:
            del self._all[key]

    async def _sweep(self, idle_seconds: float) -> None:
        while True:
            await asyncio.sleep(min(idle_seconds / 4, 5.0))
            for key, each in list(self._all.items()):
                if not each.calls and self._clock() - each.used_at >= idle_seconds:
                    await self._ended(each)
                    self._forget_if_unused(key, each)


def _note_approval(conversation: _Conversation, request: AsyncAccessRequested) -> None:
    if request.is_approved and request.id in conversation.asked and request.id != conversation.in_use:
        conversation.granted = request.id


async def _end(conversation: _Conversation) -> bool:
    """Release its roles, and forget its requests. Return True if there was a role."""
    conversation.offers, conversation.explained, conversation.asked = (), {}, {}
    conversation.granted, conversation.note = None, ""
    had_approved = await _end_approved(conversation)
    return await _end_standing(conversation) or had_approved


async def _end_approved(conversation: _Conversation) -> bool:
    stack, conversation.approved_stack, conversation.approved, conversation.in_use = conversation.approved_stack, None, None, None
    return await _released(stack)


async def _end_standing(conversation: _Conversation) -> bool:
    stack, conversation.stack, conversation.run = conversation.stack, None, None
    return await _released(stack)


async def _released(stack: AsyncExitStack | None) -> bool:
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

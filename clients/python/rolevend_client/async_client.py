"""The client, for programs on asyncio: the same as `client`, line by line, but for how it waits."""

import asyncio
import logging
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from rolevend_client import protocol
from rolevend_client.active_roles import open_roles, unwinding
from rolevend_client.client import RELEASE_PATIENCE, Rolevend, release_at_last, request
from rolevend_client.errors import NotFound, RolevendError
from rolevend_client.protocol import Call, Send
from rolevend_client.role import AsyncRole
from rolevend_client.settings import Settings, TokenSource
from rolevend_client.values import AssertedUser, Decision, Task, UserToken, VendedRole

Answer = TypeVar("Answer")

_log = logging.getLogger("rolevend_client")


class AsyncRolevend:
    """Vends roles of one agent, within one event loop.

    Connections to the API are kept while a role is open; in an `async with` block of the client itself, until its end.
    """

    def __init__(
        self,
        url: str,
        *,
        token: TokenSource,
        ca_file: Path | None = None,
        patience: float = 30.0,
        in_the_clear: bool = False,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`token` is asked for the agent's own token before each try; the others are as in `Settings`, or for tests."""
        self.settings = Settings(url, token, ca_file, patience, in_the_clear)
        self._transport = transport
        self._sleep = sleep
        self._clock = clock
        self._holders = 0
        self._http: httpx.AsyncClient | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """As ROLEVEND_URL, ROLEVEND_TOKEN_FILE and ROLEVEND_CA_FILE say."""
        settings = Settings.from_environment(environment)
        return cls(settings.url, token=settings.token, ca_file=settings.ca_file)

    @classmethod
    def like(cls, other: Rolevend) -> Self:
        """The same agent at the same API, in the other colour."""
        of = other.settings
        return cls(of.url, token=of.token, ca_file=of.ca_file, patience=of.patience, in_the_clear=of.in_the_clear)

    @asynccontextmanager
    async def vend(
        self,
        user_token: UserToken | str | None = None,
        *,
        platform: str | Sequence[str],
        user: AssertedUser | None = None,
        purpose: str | None = None,
        resources: Iterable[tuple[str, str]] = (),
        seconds: int | None = None,
        task: Task | None = None,
        allow_partial: bool = False,
        idempotency_key: str | None = None,
    ) -> AsyncIterator[AsyncRole]:
        """A role for the block, gone after it, however it ends, also by a cancellation: as `Rolevend.vend`."""
        wanted = protocol.wish(
            user_token,
            platform=platform,
            user=user,
            purpose=purpose,
            resources=resources,
            seconds=seconds,
            task=task,
            allow_partial=allow_partial,
        )
        async with self:
            with unwinding.held():
                role = await self._vended(protocol.vend(wanted, idempotency_key))
                try:
                    yield role
                finally:
                    await unhindered(self._ended(role))

    async def decide(
        self,
        user_token: UserToken | str | None = None,
        *,
        platform: str | Sequence[str],
        user: AssertedUser | None = None,
        purpose: str | None = None,
        resources: Iterable[tuple[str, str]] = (),
        allow_partial: bool = False,
    ) -> Decision:
        """What `vend` would give. Nothing is made, and the token can still be used."""
        wanted = protocol.wish(user_token, platform=platform, user=user, purpose=purpose, resources=resources, allow_partial=allow_partial)
        return await self._answer(protocol.decide(wanted))

    async def get(self, role_id: str) -> VendedRole:
        return await self._answer(protocol.get(role_id))

    async def list(self) -> tuple[VendedRole, ...]:
        """This agent's own."""
        return await self._answer(protocol.listed())

    async def release(self, role_id: str) -> bool:
        """Whether it is known to be gone: else it is on its way. `NotFound` where it is not there."""
        gone = await self._answer(protocol.release(role_id))
        open_roles.discard(role_id)
        return gone

    async def aclose(self) -> None:
        """Its connections to the API; it can go on being used."""
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    async def __aenter__(self) -> Self:
        self._holders += 1
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._holders -= 1
        if not self._holders:
            await self.aclose()

    async def _vended(self, call: Call[VendedRole]) -> AsyncRole:
        try:
            vended = await self._answer(call)
            role = AsyncRole(vended, lambda: self.release(vended.id))
            open_roles.add(vended.id, lambda: release_at_last(self.settings, vended.id))
        except BaseException as error:
            if protocol.may_have_been_done(error):
                await unhindered(self._give_back(call))
            raise
        return role

    async def _give_back(self, call: Call[VendedRole]) -> None:
        """Under its key, the call finds the role that it may have made before."""
        try:
            made = await self._answer(protocol.made_by(call), RELEASE_PATIENCE)
            await self._answer(protocol.release(made), RELEASE_PATIENCE)
        except RolevendError as problem:
            _log.warning("a role may be left over until it ends by itself: %s", problem)

    async def _ended(self, role: AsyncRole) -> None:
        try:
            await role.close()
        finally:
            await self._released_at_the_end(role.id)

    async def _released_at_the_end(self, role_id: str) -> None:
        if role_id not in open_roles:
            return
        try:
            await self._answer(protocol.release(role_id), RELEASE_PATIENCE)
        except NotFound:
            pass
        except RolevendError as problem:
            _log.warning("the role ends by itself if a further try does not work: %s", problem)
            return
        open_roles.discard(role_id)

    async def _answer(self, call: Call[Answer], patience: float | None = None) -> Answer:
        conversation = protocol.conversation(call, patience or self.settings.patience, self._clock, random.random)
        async with self:
            step = next(conversation)
            while True:
                outcome = None
                if isinstance(step, Send):
                    outcome = await self._sent(call, step)
                else:
                    await self._sleep(step.seconds)
                try:
                    step = conversation.send(outcome)
                except StopIteration as end:
                    answer: Answer = end.value
                    return answer

    async def _sent(self, call: Call[Any], step: Send) -> httpx.Response | httpx.RequestError:
        if self._http is None:
            self._http = httpx.AsyncClient(base_url=self.settings.url, verify=self.settings.trust(), transport=self._transport)
        try:
            return await self._http.request(**request(self.settings, call, step))
        except httpx.RequestError as error:
            return error


async def unhindered(work: Coroutine[Any, Any, None]) -> None:
    """Does `work` to its end, also where the task is cancelled meanwhile, once or again and again; then it is cancelled."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
        except BaseException:  # of the work: raised below
            break
    task.result()
    if cancelled is not None:
        raise cancelled

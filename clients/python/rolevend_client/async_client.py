"""The client. `protocol` defines the calls and reads their answers; the caller sends them."""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Self

import httpx

from rolevend_client import access_protocol, protocol
from rolevend_client.active_roles import open_roles, unwinding
from rolevend_client.async_caller import AsyncApiCaller
from rolevend_client.async_requested import AsyncAccessRequested
from rolevend_client.async_role import AsyncRole
from rolevend_client.async_role_session import AsyncRoleSession
from rolevend_client.errors import NotFound, RolevendError
from rolevend_client.members import tables_of
from rolevend_client.open_request import OpenRequest, id_of
from rolevend_client.protocol import Call
from rolevend_client.settings import HasSettings, Settings, TokenSource
from rolevend_client.values import AssertedUser, Decision, Offer, Platform, Task, UserToken, VendedRole
from rolevend_client.waiting import AsyncSleep, AsyncUserTokens, async_uncancellable

RELEASE_PATIENCE = 10.0
"""Seconds for the release at the end of a block, and for the release of a role whose answer was lost."""
LOOK_PATIENCE = 5.0
"""Seconds for the question if a role has ended."""
_log = logging.getLogger("rolevend_client")


class AsyncRolevend:
    """Vends roles for one agent. Threads may share a Rolevend; an AsyncRolevend belongs to one event loop.

    The client keeps its connections to the API while a role is open. A `with` block of the client itself keeps them until its end.
    """

    def __init__(
        self,
        url: str,
        *,
        token: TokenSource | str,
        ca_file: Path | str | None = None,
        patience: float = 30.0,
        in_the_clear: bool = False,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: AsyncSleep = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`token` is the agent's own token, or a function that returns it and is called before each try. `ca_file`, `patience` (in seconds)
        and `in_the_clear` are those of `Settings`. The rest is for tests."""
        self.settings = Settings.of(url, token, ca_file, patience, in_the_clear=in_the_clear)
        self._caller = AsyncApiCaller(self.settings, transport=transport, sleep=sleep, clock=clock)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read ROLEVEND_URL, ROLEVEND_TOKEN_FILE and ROLEVEND_CA_FILE."""
        settings = Settings.from_environment(environment)
        return cls(settings.url, token=settings.token, ca_file=settings.ca_file)

    @classmethod
    def like(cls, other: HasSettings) -> Self:
        """Return a client for the same agent and the same API, with connections of its own."""
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
        resources: Iterable[tuple[str, str] | str] | str = (),
        seconds: int | None = None,
        task: Task | None = None,
        allow_partial: bool = False,
        approval: OpenRequest | str | None = None,
        idempotency_key: str | None = None,
    ) -> AsyncIterator[AsyncRole]:
        """Vend a role for the block, and release it at the end, also after an error or a cancellation.

        `resources` narrow the grant to some tables: `schema.table`, or (schema, table). A role on several platforms has one name on all of
        them. With `allow_partial` it may be on some of them only; `role.left_out` lists the others. With `approval`, an approved request
        for an offer or its id, the role reads the tables of the offer alone; state the platform and the purpose of the request.

        A release that fails is logged and not raised, so that it hides no other error. It is tried once more when the interpreter exits,
        and the role expires at `expires_at`.
        """
        wanted = protocol.wish(
            user_token,
            platform=platform,
            user=user,
            purpose=purpose,
            resources=resources,
            seconds=seconds,
            task=task,
            allow_partial=allow_partial,
            approval=id_of(approval),
        )
        async with self:
            with unwinding.held():
                role = await self._vend(protocol.vend(wanted, idempotency_key))
                try:
                    yield role
                finally:
                    await self._end(role)

    def session(
        self,
        user_tokens: AsyncUserTokens,
        *,
        platform: str | Sequence[str],
        purpose: str | None = None,
        resources: Iterable[tuple[str, str] | str] | str = (),
        seconds: int | None = None,
        task: Task | None = None,
        allow_partial: bool = False,
    ) -> AsyncRoleSession:
        """Return a session of one person, for a `with` block. It vends a role when it is needed, and again after its end.

        `user_tokens` is a function that returns a new token for each role, such as `exchange.of(token)`; a token alone is for one role.
        The rest is as for `vend`.
        """
        tables = tables_of(resources, "resources")

        def vend(token: UserToken) -> AbstractAsyncContextManager[AsyncRole]:
            return self.vend(
                token, platform=platform, purpose=purpose, resources=tables, seconds=seconds, task=task, allow_partial=allow_partial
            )

        return AsyncRoleSession(vend, user_tokens)

    async def decide(
        self,
        user_token: UserToken | str | None = None,
        *,
        platform: str | Sequence[str],
        user: AssertedUser | None = None,
        purpose: str | None = None,
        resources: Iterable[tuple[str, str] | str] | str = (),
        allow_partial: bool = False,
    ) -> Decision:
        """Return what `vend` would grant. Creates nothing; the token can still be used for a vend."""
        wanted = protocol.wish(user_token, platform=platform, user=user, purpose=purpose, resources=resources, allow_partial=allow_partial)
        return await self._caller.call(protocol.decide(wanted))

    async def request_access(
        self,
        user_token: UserToken | str | None = None,
        *,
        platform: str,
        offer: str | Offer,
        user: AssertedUser | None = None,
        tables: Iterable[tuple[str, str] | str] | str = (),
        columns: Iterable[str] = (),
        expiration_seconds: int | None = None,
        purpose: str | None = None,
        justification: str | None = None,
        ticket: str | None = None,
        task: Task | None = None,
    ) -> AsyncAccessRequested:
        """Request an offer: "namespace/name", or one of `missing.offers`. Raises `Denied` if it is denied at once.

        `tables`, as `schema.table` or (schema, table), and `columns` narrow the offer. The token can still be used for a vend. The same
        request is found again as long as it is open.
        """
        wanted = access_protocol.offer_wish(
            user_token,
            user=user,
            platform=platform,
            offer=offer,
            tables=tables,
            columns=columns,
            expiration_seconds=expiration_seconds,
            purpose=purpose,
            justification=justification,
            ticket=ticket,
            task=task,
        )
        return AsyncAccessRequested(await self._caller.call(access_protocol.ask(wanted)), self._caller)

    async def access_request(self, request_id: str) -> AsyncAccessRequested:
        """Return a request of this agent, e.g. one of an earlier process. Raises `NotFound`."""
        return AsyncAccessRequested(await self._caller.call(access_protocol.look(request_id)), self._caller)

    async def platforms(self, *, patience: float | None = None) -> tuple[Platform, ...]:
        """Return the platforms that this agent may use. `patience` is in seconds; None: that of the client."""
        return await self._caller.call(protocol.platforms(), patience)

    async def get(self, role_id: str) -> VendedRole:
        """Return one role of this agent. Raises `NotFound`."""
        return await self._caller.call(protocol.get(role_id))

    async def list(self) -> tuple[VendedRole, ...]:
        """Return the roles of this agent."""
        return await self._caller.call(protocol.listed())

    async def release(self, role_id: str) -> bool:
        """Return True if the role is known to be dropped; False: the operator goes on dropping it. Raises `NotFound`."""
        dropped = await self._caller.call(protocol.release(role_id))
        open_roles.discard(role_id)
        return dropped

    async def aclose(self) -> None:
        """Close the connections to the API. The next call opens new ones."""
        await self._caller.aclose()

    async def __aenter__(self) -> Self:
        await self._caller.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._caller.__aexit__(*error)

    async def _vend(self, call: Call[VendedRole]) -> AsyncRole:
        try:
            vended = await self._caller.call(call)
            role = AsyncRole(
                vended,
                release=lambda: self.release(vended.id),
                look=lambda: self._caller.call(protocol.get(vended.id), LOOK_PATIENCE),
            )
            open_roles.add(vended.id, self.settings)
        except BaseException as error:
            if protocol.may_have_been_done(error):
                await self._give_back(call)
            raise
        return role

    @async_uncancellable
    async def _give_back(self, call: Call[VendedRole]) -> None:
        """Release the role that `call` may have created. The same idempotency key finds it."""
        try:
            role_id = await self._caller.call(protocol.made_by(call), RELEASE_PATIENCE)
            await self._caller.call(protocol.release(role_id), RELEASE_PATIENCE)
        except RolevendError as problem:
            _log.warning("a role may be left over until it ends by itself: %s", problem)

    @async_uncancellable
    async def _end(self, role: AsyncRole) -> None:
        role.note_end("Released")  # first, for statements that still run in other threads
        try:
            await role.close()
        finally:
            await self._release_at_end(role.id)

    async def _release_at_end(self, role_id: str) -> None:
        if role_id not in open_roles:
            return
        try:
            await self._caller.call(protocol.release(role_id), RELEASE_PATIENCE)
        except NotFound:
            pass
        except RolevendError as problem:
            _log.warning("the role ends by itself if a further try does not work: %s", problem)
            return
        open_roles.discard(role_id)

"""The server over stdio, for one person on their machine, and over streamable HTTP, for many people."""

import asyncio
import logging
import math
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from rolevend_client import __version__
from rolevend_client.asking import Asking
from rolevend_client.async_client import AsyncRolevend
from rolevend_client.async_exchange import ID_JAG, Person, claimed
from rolevend_client.async_requested import AsyncAccessRequested
from rolevend_client.async_role import AsyncRole
from rolevend_client.errors import Misconfigured, Refused, RolevendError
from rolevend_client.mcp.assertions import AssertionGrants, clients_in
from rolevend_client.mcp.connections import LimitedConnection, LimitedServer, token_is_valid
from rolevend_client.mcp.issuer import Issuer
from rolevend_client.mcp.own_token import OwnToken
from rolevend_client.mcp.sessions import Conversations, Key
from rolevend_client.mcp.settings import HttpSettings, StdioSettings, Wanted
from rolevend_client.mcp.tools import INSTRUCTIONS, AnyContext, Caller, CallerOf, ToolServer, add_tools
from rolevend_client.settings import Settings
from rolevend_client.values import AccessRequest, Decision, Resource, UserToken

_NAME = "rolevend"
_SESSION = "mcp-session-id"
_BY_ASSERTION = "rolevend_by_assertion"
"""The claim that says of a verified token that this server issued it."""
_DRAIN_SECONDS = 5
"""Time for pending answers when the server stops. It does not wait for streams that clients keep open."""
_LOCAL_CLIENT = "stdio"
_CHECK_SECONDS = 5.0
"""The longest wait for the platforms at the start."""
_log = logging.getLogger("rolevend_client")


async def serve_stdio(settings: StdioSettings, wanted: Wanted, api: Settings) -> None:
    """Serve until the client closes stdin or a signal arrives."""
    issuer = Issuer(settings.issuer) if settings.issuer else None
    async with _client(api, issuer) as client:
        await require_platforms(client, wanted)
        conversations = Conversations(ClientAccess(client, wanted), idle_seconds=None)
        server = _server(conversations)
        add_tools(server, conversations, _Local(settings, issuer), wanted)
        loop = asyncio.get_running_loop()
        dying: set[asyncio.Task[None]] = set()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            loop.add_signal_handler(number, lambda which: dying.add(loop.create_task(_die(which, conversations))), number)
        await server.run_stdio_async()


async def serve_http(settings: HttpSettings, wanted: Wanted, api: Settings) -> None:
    """Serve until a signal arrives."""
    issuer = Issuer(settings.issuer)
    await issuer.ask()
    async with _client(api, issuer) as client:
        await require_platforms(client, wanted)
        conversations = Conversations(ClientAccess(client, wanted), idle_seconds=settings.idle_seconds)
        config = uvicorn.Config(
            _app(settings, wanted, issuer, conversations),
            ssl_certfile=settings.certificate,
            ssl_keyfile=settings.key,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_DRAIN_SECONDS,
            timeout_keep_alive=math.ceil(settings.limits.read_seconds),  # longer than clients keep idle connections: httpx 5 seconds
            http=_Connection,
            ws="none",
            h11_max_incomplete_event_size=settings.limits.header_bytes,
        )
        await LimitedServer(config, settings.limits, _listening(settings.host, settings.port)).serve()


class _Connection(LimitedConnection, H11Protocol):
    """h11 limits the size of an incomplete request. httptools, which uvicorn prefers if it is installed, does not."""


def _listening(host: str, port: int) -> socket.socket:
    try:
        is_six = ":" in host
        taken = socket.create_server(
            (host, port), family=socket.AF_INET6 if is_six else socket.AF_INET, dualstack_ipv6=is_six, backlog=2048
        )
    except OSError as error:
        raise Misconfigured(f"ROLEVEND_MCP_LISTEN: the server cannot listen on {host}:{port}: {error.strerror or error}") from None
    taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted connections inherit it
    return taken


def _app(settings: HttpSettings, wanted: Wanted, issuer: Issuer, conversations: Conversations) -> ASGIApp:
    auth = AuthSettings.model_validate(  # from str: pydantic's URL type would add a slash, and so name another issuer
        {"issuer_url": settings.issuer.url, "resource_server_url": settings.url, "validate_token_resource": True}
    )
    grants = _grants(settings, issuer)
    server = _server(conversations, auth=auth, token_verifier=_Verifier(issuer, settings.url, grants))
    add_tools(server, conversations, _remote(issuer, grants), wanted)
    place = urlsplit(settings.url)
    # Against DNS rebinding: a page in the person's browser could reach a server on their machine under another name.
    security = TransportSecuritySettings(allowed_hosts=[place.netloc], allowed_origins=[f"{place.scheme}://{place.netloc}"])
    app = server.streamable_http_app(streamable_http_path=place.path or "/", transport_security=security)
    if grants is not None:
        app.router.routes[:0] = grants.routes()
    return _SessionEnds(app, conversations)


def _grants(settings: HttpSettings, issuer: Issuer) -> AssertionGrants | None:
    """Return the token endpoint for assertions, or None if no client may bring one."""
    if settings.assertion_clients is None:
        return None
    clients = partial(clients_in, settings.assertion_clients)
    clients()  # fail at the start, not in the first call
    return AssertionGrants(issuer, settings.url, clients)


@asynccontextmanager
async def _client(api: Settings, issuer: Issuer | None) -> AsyncIterator[AsyncRolevend]:
    """Yield the API client, with the server's own token."""
    async with AsyncExitStack() as stack:
        token = api.token
        if issuer is not None and issuer.settings.gives_own_token:
            token = own = OwnToken(issuer)
            await stack.enter_async_context(own.kept())
        yield await stack.enter_async_context(AsyncRolevend(api.url, token=token, ca_file=api.ca_file))


async def require_platforms(client: AsyncRolevend, wanted: Wanted) -> None:
    """Raise `Misconfigured` if the API says that this agent may not use a platform of the settings. If it does not answer, start all the
    same: each call asks it again."""
    try:
        known = [each.name for each in await client.platforms(patience=_CHECK_SECONDS)]
    except RolevendError as error:
        _log.warning("the platforms are not checked: %s", error)
        return
    unknown = [each for each in wanted.platforms if each not in known]
    if unknown and not (wanted.allow_partial and len(unknown) < len(wanted.platforms)):
        names = ", ".join(known) or "none"
        raise Misconfigured(f"ROLEVEND_MCP_PLATFORM: there is no platform {unknown[0]} for this agent; it may use {names}")


class ClientAccess:
    """The calls of the API for this server's conversations."""

    def __init__(self, client: AsyncRolevend, wanted: Wanted) -> None:
        self._client = client
        self._wanted = wanted

    def vend(self, token: UserToken) -> AbstractAsyncContextManager[AsyncRole]:
        wanted = self._wanted
        return self._client.vend(token, platform=wanted.platforms, purpose=wanted.purpose, allow_partial=wanted.allow_partial)

    def vend_approved(self, token: UserToken, asked: Asking, request: AccessRequest) -> AbstractAsyncContextManager[AsyncRole]:
        return self._client.vend(token, **asked.vend(request))

    async def request(self, token: UserToken, asked: Asking) -> AsyncAccessRequested:
        return await self._client.request_access(token, **asked.request())

    async def decide(self, token: UserToken, platform: str, table: Resource) -> Decision:
        return await self._client.decide(token, platform=platform, purpose=self._wanted.purpose, resources=[table])


def _server(conversations: Conversations, **settings: Any) -> MCPServer[Any]:
    @asynccontextmanager
    async def lifespan(_: MCPServer[Any]) -> AsyncIterator[None]:
        async with conversations:
            yield

    return ToolServer(_NAME, instructions=INSTRUCTIONS, version=__version__, log_level="WARNING", lifespan=lifespan, **settings)


class _Verifier:
    """Verifies the token of each request. The MCP library binds a session to the person and the client that opened it."""

    def __init__(self, issuer: Issuer, audience: str, grants: AssertionGrants | None) -> None:
        self._issuer = issuer
        self._audience = audience
        self._grants = grants

    async def verify_token(self, token: str) -> AccessToken | None:
        granted = self._grants.holder(token) if self._grants else None
        try:
            holder = granted or await self._issuer.holder(token, self._audience)
        except RolevendError as error:
            _log.warning("a request is refused: %s", error)
            return None
        token_is_valid()
        return AccessToken(
            token=token,
            # A client of another registry may have the same id, or one that looks like it: none shares a session with it.
            client_id=f"{'assertion' if granted else 'login'}:{holder.client}",
            scopes=[],
            expires_at=holder.expires,
            resource=self._audience,
            subject=holder.person.subject,
            claims={"iss": holder.person.issuer, _BY_ASSERTION: granted is not None},
        )


def _remote(issuer: Issuer, grants: AssertionGrants | None) -> CallerOf:
    """Return a function that returns the caller proven by the request's token."""

    def caller_of(context: AnyContext) -> Caller:
        given = get_access_token()
        if given is None or given.subject is None or given.claims is None:
            raise Refused("the call brings no token of a person")
        person = Person(given.claims["iss"], given.subject)
        exchanged = partial(issuer.exchange.exchanged, UserToken(given.token))
        if given.claims[_BY_ASSERTION]:
            holder = grants.holder(given.token) if grants else None
            if holder is None:
                raise Refused("the access token has expired")
            exchanged = partial(issuer.exchange.exchanged, holder.token, ID_JAG)
        # Newer protocols have no sessions. A session id that a client sends there is not verified.
        has_sessions = context.protocol_version in HANDSHAKE_PROTOCOL_VERSIONS
        session = (context.headers or {}).get(_SESSION) if has_sessions else None
        return Caller(Key(person, given.client_id, session), exchanged)

    return caller_of


class _Local:
    """The person of the token in the file. A session is for one person, so a later token must be the same person's."""

    def __init__(self, settings: StdioSettings, issuer: Issuer | None) -> None:
        self._settings = settings
        self._issuer = issuer
        self._person: Person | None = None

    def __call__(self, _: AnyContext) -> Caller:
        token = UserToken(self._settings.user_token().strip())
        person = claimed(token)
        self._person = self._person or person
        if person != self._person:
            raise Refused("the file holds the token of another person than this session began for; start another session")

        async def proof() -> UserToken:
            return token if self._issuer is None else await self._issuer.exchange.exchanged(token)

        return Caller(Key(person, _LOCAL_CLIENT, None), proof)


class _SessionEnds:
    """Releases the role of a session before the client gets the answer to its DELETE."""

    def __init__(self, app: ASGIApp, conversations: Conversations) -> None:
        self._app = app
        self._conversations = conversations

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "DELETE":
            await self._app(scope, receive, send)
            return
        session = next((value.decode("latin-1") for name, value in scope["headers"] if name == _SESSION.encode()), None)

        async def sending(message: Message) -> None:
            if session is not None and message["type"] == "http.response.start" and message["status"] == 200:
                await self._conversations.end_session(session)
            await send(message)

        await self._app(scope, receive, sending)


async def _die(number: int, conversations: Conversations) -> None:
    """Release the roles, then end the process by the signal. Does not wait for the read of stdin, which may never return."""
    await conversations.close()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)

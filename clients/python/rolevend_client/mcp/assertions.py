"""A token endpoint for the enterprise-managed authorization of MCP: an ID-JAG for an access token to this server, so that nobody consents
for each server (draft-ietf-oauth-identity-assertion-authz-grant, RFC 7523).

An ID-JAG is an assertion of the identity provider about a person, for this server as the authorization server of one client. The access
token is opaque, in memory, and ends with its assertion. It proves nobody to rolevend: for each role the server exchanges the assertion at
the identity provider, as it does with the token of another client.
"""

import hashlib
import json
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from mcp.server.auth.handlers.token import TokenHandler
from mcp.server.auth.middleware.client_auth import ClientAuthenticator
from mcp.server.auth.provider import IdentityAssertionParams, OAuthAuthorizationServerProvider, TokenError
from mcp.server.auth.routes import ID_JAG_GRANT_PROFILE, create_protected_resource_routes
from mcp.server.transport_security import RequestBodyLimitMiddleware
from mcp.shared.auth import JWT_BEARER_GRANT_TYPE, OAuthClientInformationFull, OAuthToken
from pydantic import AnyHttpUrl, TypeAdapter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, request_response

from rolevend_client.async_exchange import Person
from rolevend_client.errors import Misconfigured, Refused, RolevendError
from rolevend_client.mcp.issuer import Holder, Issuer
from rolevend_client.values import UserToken

_KINDS = frozenset({"oauth-id-jag+jwt", "application/oauth-id-jag+jwt"})
_LONGEST_SECONDS = 300
_LONGEST_NAME = 256
_LEAST_SECRET = 32
_BODY_BYTES = 64 * 1024
_POST = "client_secret_post"
_FORM = "application/x-www-form-urlencoded"
_METADATA = "/.well-known/oauth-authorization-server"
_log = logging.getLogger("rolevend_client")
_URL: TypeAdapter[AnyHttpUrl] = TypeAdapter(AnyHttpUrl, config={"url_preserve_empty_path": True})


def clients_in(file: Path) -> Mapping[str, str]:
    """Return the secrets of the clients, by `client_id`. Raises `Misconfigured`."""
    try:
        clients = json.loads(file.read_text())
    except (OSError, ValueError):
        raise Misconfigured(f"ROLEVEND_MCP_ASSERTION_CLIENTS_FILE: {file} cannot be read as JSON") from None
    if not isinstance(clients, dict) or not all(isinstance(each, str) and len(each) >= _LEAST_SECRET for each in clients.values()):
        form = f"must be a JSON object of client ids, and secrets of {_LEAST_SECRET} characters or more"
        raise Misconfigured(f"ROLEVEND_MCP_ASSERTION_CLIENTS_FILE: {file} {form}")
    return clients


class AssertionGrants:
    """The grants of one process. Belongs to one event loop."""

    def __init__(self, issuer: Issuer, url: str, clients: Callable[[], Mapping[str, str]], *, now: Callable[[], float] = time.time) -> None:
        """`url` is this server's, the resource of assertions. `clients` returns secrets by `client_id`; secrets rotate."""
        place = urlsplit(url)
        self.url = f"{place.scheme}://{place.netloc}"
        """This server as an authorization server: the audience of assertions."""
        self._issuer = issuer
        self._resource = url
        self._clients = clients
        self._now = now
        self._used: dict[str, float] = {}
        """The time until which each `jti` may not come again."""
        self._given: dict[bytes, Holder] = {}

    def holder(self, token: str) -> Holder | None:
        """Return the holder of an access token that is valid now, with the assertion as its token."""
        held = self._given.get(_digest(token))
        return held if held is not None and held.expires > self._now() else None

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        secret = self._clients().get(client_id)
        if secret is None:
            return None
        return OAuthClientInformationFull(
            client_id=client_id, client_secret=secret, grant_types=[JWT_BEARER_GRANT_TYPE], token_endpoint_auth_method=_POST
        )

    async def exchange_identity_assertion(self, client: OAuthClientInformationFull, params: IdentityAssertionParams) -> OAuthToken:
        if params.resource not in (None, self._resource):
            raise TokenError("invalid_target", "the resource is not this server")
        try:
            held = await self._verified(params.assertion, str(client.client_id))
        except Refused as error:
            _log.warning("a grant is refused: %s", error)
            raise TokenError("invalid_grant", str(error)) from None
        except RolevendError as error:
            _log.error("a grant fails: %s", error)
            raise TokenError("invalid_grant", "the assertion cannot be verified now; try again later") from None
        token = secrets.token_urlsafe(32)
        now = self._now()
        self._given = {key: each for key, each in self._given.items() if each.expires > now} | {_digest(token): held}
        return OAuthToken(access_token=token, expires_in=int(held.expires - now))

    async def _verified(self, assertion: str, client: str) -> Holder:
        """Verify the assertion, and take it: it is refused from now on. Raises `Refused`."""
        claims = await self._issuer.claims(assertion, self.url, _KINDS)
        now, issued, until = self._now(), claims["iat"], claims["exp"]
        named = claims.get("jti")
        if claims["aud"] not in (self.url, [self.url]) or claims.get("resource") not in (self._resource, [self._resource]):
            raise Refused("the assertion is refused: it is for another server")
        if not all(isinstance(each, int) and not isinstance(each, bool) for each in (issued, until)):
            raise Refused("the assertion is refused: its times are no numbers")
        if claims.get("client_id") != client:
            raise Refused("the assertion is refused: it was issued to another client")
        if until <= now or until - issued > _LONGEST_SECONDS:
            raise Refused(f"the assertion is refused: it has expired, or is valid for more than {_LONGEST_SECONDS} seconds")
        if "cnf" in claims:
            raise Refused("the assertion is refused: it is bound to a key, and this server checks none")
        if not isinstance(named, str) or not 1 <= len(named) <= _LONGEST_NAME or claims["sub"] == client:
            raise Refused("the assertion is refused: it names no person, or has no jti")
        self._used = {each: end for each, end in self._used.items() if end > now}
        if named in self._used:
            raise Refused("the assertion is refused: it was used before; get a new one")
        self._used[named] = until
        return Holder(Person(claims["iss"], claims["sub"]), client, int(min(until, now + _LONGEST_SECONDS)), UserToken(assertion))

    def routes(self) -> list[BaseRoute]:
        """Return the token endpoint, its metadata (RFC 8414), and those of the resource (RFC 9728), with both authorization servers."""
        provider = cast("OAuthAuthorizationServerProvider[Any, Any, Any]", self)  # the part of it that this grant needs
        handler = TokenHandler(provider, ClientAuthenticator(provider), identity_assertion_enabled=True)
        metadata = {
            "issuer": self.url,
            "token_endpoint": f"{self.url}/token",
            "authorization_endpoint": f"{self.url}/authorize",  # clients of the MCP library require one; no grant here uses it
            "response_types_supported": [],
            "grant_types_supported": [JWT_BEARER_GRANT_TYPE],
            "token_endpoint_auth_methods_supported": [_POST],
            "authorization_grant_profiles_supported": [ID_JAG_GRANT_PROFILE],
        }

        async def described(_: Request) -> Response:
            return JSONResponse(metadata)

        async def exchanged(request: Request) -> Response:
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != _FORM:  # a multipart form would let its caller choose the decoder of its fields
                return JSONResponse({"error": "invalid_request", "error_description": f"the body must be {_FORM}"}, 400)
            answered: Response = await handler.handle(request)
            return answered

        token = RequestBodyLimitMiddleware(request_response(exchanged), _BODY_BYTES)
        servers = [_URL.validate_python(each) for each in (self._issuer.settings.url, self.url)]
        return [
            *create_protected_resource_routes(_URL.validate_python(self._resource), servers),
            Route(_METADATA, described, methods=["GET"]),
            Route("/token", token, methods=["POST"]),
        ]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()

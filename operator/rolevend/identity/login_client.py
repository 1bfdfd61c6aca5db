"""Log a person in by OpenID Connect: authorization code with PKCE (RFC 7636), and nothing else. The ID token is not verified here.

A library for this would bring an HTTP client and a check of tokens of its own, and both are here already.
"""

import asyncio
import base64
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

import aiohttp

from rolevend.errors import IdentityProviderUnavailable, InvalidInput
from rolevend.identity.egress_proxy import through_proxy
from rolevend.identity.key_fetching import KeyFetcher, bounded, discovered, secure_url, trust
from rolevend.identity.provider import Discovery, Provider
from rolevend.identity.refusal import Code, TokenRefused
from rolevend.identity.strict_json import NotJson, read_object

SCOPE: Final = "openid"
"""Of a login."""
_AT_ONCE: Final = 8
"""Calls to issuers: nobody needs a login to cause one."""
_DOCUMENT_SECONDS: Final = 60.0
"""For which the document of an issuer is used again."""
_BASIC, _POST = "client_secret_basic", "client_secret_post"


@dataclass(frozen=True, slots=True)
class OwnClient:
    """The client of rolevend at an issuer."""

    client_id: str
    redirect_uri: str
    secret: str | None = field(default=None, repr=False)
    """None: a public client."""


@dataclass(frozen=True, slots=True)
class LoginTokens:
    """The answer to the code of one login."""

    id_token: str = field(repr=False)
    access_token: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """The secrets of one login, each bound to a browser."""

    state: str
    nonce: str
    verifier: str = field(repr=False)


class LoginClient:
    def __init__(self, fetcher: KeyFetcher, seconds: float = 10.0) -> None:
        """Each request takes at most `seconds`."""
        self._fetcher = fetcher
        self._timeout = aiohttp.ClientTimeout(total=seconds)
        self._documents: dict[tuple[str, str | None], tuple[float, dict[str, Any]]] = {}
        """By issuer and authorities, each with the time until which it is used."""
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def authorization_url(self, provider: Provider, client: OwnClient, attempt: LoginAttempt, wishes: Mapping[str, str]) -> str:
        """Return the URL at which the person logs in. `wishes` are the parameters that say how. Raises IdentityProviderUnavailable, and
        InvalidInput if the issuer's document is invalid."""
        document = await self._document(provider)
        url = secure_url(document, provider.issuer, "authorization_endpoint", "its login")
        query = {
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": client.redirect_uri,
            "scope": SCOPE,
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": challenge(attempt.verifier),
            "code_challenge_method": "S256",
            **wishes,
        }
        return f"{url}?{urlencode(query)}"

    async def id_token(self, provider: Provider, client: OwnClient, code: str, verifier: str) -> str:
        """Redeem the code. Raises TokenRefused if the issuer refuses it, and the errors of `authorization_url`."""
        return (await self.tokens(provider, client, code, verifier)).id_token

    async def tokens(self, provider: Provider, client: OwnClient, code: str, verifier: str) -> LoginTokens:
        """Redeem the code, and return both tokens. Raises the errors of `id_token`."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": client.redirect_uri, "code_verifier": verifier}
        answer = await self._granted(provider, client, form)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise TokenRefused(Code.MISSING_CLAIM, f"identity provider {provider.name} gave no ID token for the login")
        return LoginTokens(token, _access_token(answer))

    async def own_token(self, provider: Provider, client: OwnClient, wishes: Mapping[str, str]) -> str:
        """Return an access token of the client itself, by client credentials. Raises the errors of `id_token`."""
        token = _access_token(await self._granted(provider, client, {"grant_type": "client_credentials", **wishes}))
        if token is None:
            raise TokenRefused(Code.MISSING_CLAIM, f"identity provider {provider.name} gave no access token to client {client.client_id}")
        return token

    async def _granted(self, provider: Provider, client: OwnClient, form: Mapping[str, str]) -> dict[str, Any]:
        document = await self._document(provider)
        url = secure_url(document, provider.issuer, "token_endpoint", "its tokens")
        headers, named = _authentication(client, document.get("token_endpoint_auth_methods_supported"))
        return await self._post(url, _authorities(provider), {**form, **named}, headers)

    async def _document(self, provider: Provider) -> dict[str, Any]:
        key = provider.issuer, _authorities(provider)
        known = self._documents.get(key)
        if known is None or known[0] <= time.monotonic():
            async with self._turns:
                document = discovered(await self._fetcher.discovery_document(*key), provider.issuer)
            known = self._documents[key] = time.monotonic() + _DOCUMENT_SECONDS, document
        return known[1]

    async def _post(self, url: str, authorities: str | None, form: dict[str, str], headers: dict[str, str]) -> dict[str, Any]:
        connector = aiohttp.TCPConnector(ssl=trust(authorities))
        always = {"Accept": "application/json", "Accept-Encoding": "identity", **headers}
        try:
            async with (
                self._turns,
                aiohttp.ClientSession(connector=connector, timeout=self._timeout, headers=always, auto_decompress=False) as session,
                session.post(url, data=form, allow_redirects=False, **through_proxy(url)) as response,
            ):
                if response.status in (400, 401):  # a used or foreign code, or our own secret is wrong
                    raise TokenRefused(Code.NOT_AUTHENTICATED, "the identity provider does not accept the login; log in again")
                if response.status != 200:
                    raise IdentityProviderUnavailable(f"redeeming a code at {url}: it answers with status {response.status}")
                return read_object(await bounded(response, url))
        except (aiohttp.ClientError, TimeoutError, OSError, UnicodeError) as error:
            raise IdentityProviderUnavailable(f"redeeming a code at {url}: {str(error) or type(error).__name__}") from error
        except NotJson as error:
            raise InvalidInput("", f"redeeming a code at {url}: the answer cannot be read: {error}") from error


def challenge(verifier: str) -> str:
    """Return the challenge of a verifier, by S256."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _authentication(client: OwnClient, methods: object) -> tuple[dict[str, str], dict[str, str]]:
    """Return headers and members of the form that authenticate the client (RFC 6749, 2.3)."""
    if client.secret is None:
        return {}, {"client_id": client.client_id}
    if isinstance(methods, list) and _POST in methods and _BASIC not in methods:
        return {}, {"client_id": client.client_id, "client_secret": client.secret}
    pair = f"{quote_plus(client.client_id)}:{quote_plus(client.secret)}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}, {}


def _access_token(answer: Mapping[str, Any]) -> str | None:
    token = answer.get("access_token")
    return token if isinstance(token, str) else None


def _authorities(provider: Provider) -> str | None:
    return provider.keys.authorities if isinstance(provider.keys, Discovery) else None

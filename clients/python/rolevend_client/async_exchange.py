"""The identity provider: exchange a person's token for one that names this agent (RFC 8693), and get the agent's own (RFC 6749, 4.4)."""

import base64
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote_plus

import httpx

from rolevend_client.async_caller import async_answer, uses_proxies
from rolevend_client.errors import Misconfigured, Refused, Unavailable
from rolevend_client.settings import Settings, TokenSource, trust_of
from rolevend_client.values import UserToken
from rolevend_client.waiting import AsyncUserTokens, async_token_of

_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a kind of token
ID_JAG = "urn:ietf:params:oauth:token-type:id-jag"
_SECONDS = 10.0
_SHORT = 60
"""The lifetime of a token whose answer states none that is valid."""


class Person(NamedTuple):
    issuer: str
    subject: str


class AsyncTokenExchange:
    """The agent as a client of one provider. Each exchange gives a new token, which can prove one role."""

    def __init__(
        self,
        issuer: str,
        *,
        client_id: str,
        client_secret: TokenSource | str,
        audience: str,
        ca_file: Path | str | None = None,
    ) -> None:
        """`issuer` is the provider's name, as in `iss`; `audience` is rolevend's, which the API expects in tokens. A function for the
        secret is called for each exchange, because secrets rotate."""
        source = Settings.of(issuer, client_secret, ca_file, _SECONDS, in_the_clear=False)  # the rules for the API's URL hold here, too
        self.issuer = issuer
        self._secret = source.token
        self._ca_file = source.ca_file
        self._client_id = client_id
        self._audience = audience
        self._endpoint = ""

    def of(self, user_token: AsyncUserTokens) -> AsyncUserTokens:
        """Return a source of tokens for a session: an exchange for each. `user_token` is the person's token, or a function that returns
        it."""

        async def exchanged() -> UserToken:
            return await self.exchanged(await async_token_of(user_token))

        return exchanged

    async def exchanged(self, token: UserToken | str, kind: str = _ACCESS_TOKEN) -> UserToken:
        """Return a token of the same person for rolevend that names this agent as the actor. `kind` is the type of `token`. Raises
        `Refused` if the provider refuses."""
        given = UserToken(token) if isinstance(token, str) else token
        form = {
            "grant_type": _EXCHANGE,
            "subject_token": given.reveal(),
            "subject_token_type": kind,
            "requested_token_type": _ACCESS_TOKEN,
        }
        exchanged = UserToken((await self._given(form))[0])
        if claimed(exchanged) != claimed(given):
            raise Misconfigured("the identity provider answered an exchange with a token of another person")
        return exchanged

    async def own_token(self) -> tuple[str, float]:
        """Return the agent's own token for rolevend, and its lifetime in seconds."""
        return await self._given({"grant_type": "client_credentials"})

    async def discover(self) -> Mapping[str, Any]:
        """Get the provider's document, and use its endpoint from now on. Raises `Unavailable` or `Misconfigured`."""
        document = await self.document(self.issuer.rstrip("/") + "/.well-known/openid-configuration")
        if document.get("issuer") != self.issuer:
            raise Misconfigured(f"the identity provider at {self.issuer} calls itself another name; use that one")
        self._endpoint = self.endpoint(document, "token_endpoint")
        return document

    def endpoint(self, document: Mapping[str, Any], name: str) -> str:
        """Return an endpoint of the provider's document. Raises `Misconfigured` if secrets would travel there without TLS."""
        found = document.get(name)
        if not isinstance(found, str) or not _is_safe(found, self.issuer):
            raise Misconfigured(f"the identity provider at {self.issuer} names no endpoints that can be called")
        return found

    async def document(self, url: str) -> Mapping[str, Any]:
        async with self._calls() as calls:
            return _members(await _answered(calls, "GET", url))

    async def _given(self, form: Mapping[str, str]) -> tuple[str, float]:
        if not self._endpoint:
            await self.discover()
        proof = httpx.BasicAuth(quote_plus(self._client_id), quote_plus(self._secret().strip()))
        async with self._calls() as calls:
            response = await _answered(calls, "POST", self._endpoint, data={**form, "audience": self._audience}, auth=proof)
        given = _members(response)
        if response.is_client_error:
            raise Refused(f"the identity provider gives no token for rolevend: {_code(given)}")
        token = given.get("access_token")
        if not isinstance(token, str) or token == form.get("subject_token"):
            raise Misconfigured("the identity provider answers with no token of its own")
        return token, _lifetime(given.get("expires_in"))

    def _calls(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(verify=trust_of(self._ca_file), trust_env=uses_proxies(self.issuer))


async def _answered(calls: httpx.AsyncClient, method: str, url: str, **content: Any) -> httpx.Response:
    try:
        response = await async_answer(calls, method, url, _SECONDS, **content)
    except httpx.RequestError as error:
        raise Unavailable(f"the identity provider does not answer: {' '.join(str(error).split()) or type(error).__name__}") from None
    if not response.is_success and not (method == "POST" and response.is_client_error):
        raise Unavailable(f"the identity provider answers with the status {response.status_code}")
    return response


def _is_safe(endpoint: str, issuer: str) -> bool:
    """True if calls of this endpoint are encrypted, or go to the issuer itself."""
    try:
        place, own = httpx.URL(endpoint), httpx.URL(issuer)
    except httpx.InvalidURL:
        return False
    is_own = (place.scheme, place.host, place.port) == (own.scheme, own.host, own.port)
    return bool(place.host) and not place.userinfo and (is_own or place.scheme == "https")


def _lifetime(stated: object) -> float:
    """Return the seconds. Some providers state them as a text."""
    try:
        seconds = float(stated)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return _SHORT
    return seconds if 0 < seconds < math.inf else _SHORT


def _members(response: httpx.Response) -> Mapping[str, Any]:
    try:
        document = response.json()
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise Unavailable("the identity provider answers with something that is no JSON object")
    return document


def _code(document: Mapping[str, Any]) -> str:
    """Return the error code if it has the form of RFC 6749."""
    code = str(document.get("error", ""))
    return code if code and len(code) <= 50 and code.replace("_", "").isalnum() else "no reason given"


def claimed(token: UserToken) -> Person:
    """Return the person whom a token names, without verifying the token: rolevend's API does. Raises `Refused`."""
    try:
        _, payload, _ = token.reveal().split(".")
        claims = json.loads(base64.b64decode(payload + "=" * (-len(payload) % 4), altchars="-_", validate=True))
        return Person(str(claims["iss"]), str(claims["sub"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Refused("the person's token cannot be read") from None

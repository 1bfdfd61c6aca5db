"""The identity provider: verify its tokens, and exchange them (RFC 8693).

This server verifies that a token comes from the provider, is valid now, and was issued for this server. rolevend's API verifies the
exchanged token, and checks more.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote_plus

import httpx
import jwt

from rolevend_client.errors import Misconfigured, Refused, RolevendError, Unavailable
from rolevend_client.mcp.settings import IssuerSettings
from rolevend_client.values import UserToken

_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""All asymmetric, so a public key cannot be used as a shared secret."""
_KINDS = frozenset({"at+jwt", "application/at+jwt", "jwt"})
_LEEWAY = 30
_OLD = 300.0
_COOL_DOWN = 10.0
"""Minimum seconds between two requests for the keys because of an unknown key id, which any caller can send."""
_CHARACTERS = 16 * 1024
_SHORT = 60
"""The lifetime of a token whose answer states none."""
_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a kind of token


class Person(NamedTuple):
    issuer: str
    subject: str


@dataclass(frozen=True, slots=True)
class Holder:
    """The person whom a token proves, and the client that it was issued to."""

    person: Person
    client: str
    expires: int
    token: UserToken = field(repr=False)


class Issuer:
    """One provider. Belongs to one event loop."""

    def __init__(self, settings: IssuerSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        self._clock = clock
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._asked_at: float | None = None
        self._token_endpoint = ""

    async def ask(self) -> None:
        """Get the endpoints and keys. Raises `Unavailable` or `Misconfigured`, and then keeps those that it had."""
        self._asked_at = self._clock()
        url = self.settings.url.rstrip("/") + "/.well-known/openid-configuration"
        async with self.settings.calls() as calls:
            document = _members(await _answered(calls, "GET", url))
            if document.get("issuer") != self.settings.url:
                raise Misconfigured(f"the identity provider at {self.settings.url} calls itself another name; use that one")
            endpoints = [document.get(name) for name in ("jwks_uri", "token_endpoint")]
            if not all(isinstance(each, str) and each.startswith(("https://", self.settings.url)) for each in endpoints):
                raise Misconfigured(f"the identity provider at {self.settings.url} names no endpoints that can be called")
            keys = _keys(_members(await _answered(calls, "GET", str(endpoints[0]))))
        self._keys, self._token_endpoint = keys, str(endpoints[1])

    async def holder(self, token: str, audience: str) -> Holder:
        """Verify the token. Raises `Refused` unless it is a person's token, of this provider, for `audience`."""
        try:
            key = await self._key(token)
            claims = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=audience,
                issuer=self.settings.url,
                leeway=_LEEWAY,
                options={"require": ["exp", "iat", "iss", "sub", "aud"]},
            )
        except jwt.PyJWTError as error:
            raise Refused(f"the token is refused: {type(error).__name__}") from None
        client = claims.get("client_id") or claims.get("azp")
        if not isinstance(client, str) or client == claims["sub"]:
            raise Refused("the token is refused: it names no client, or no person stands behind it")
        return Holder(Person(claims["iss"], claims["sub"]), client, int(claims["exp"]), UserToken(token))

    async def exchanged(self, token: UserToken) -> UserToken:
        """Return a token of the same person for rolevend that names this server as the actor. Raises `Refused` if the provider refuses."""
        form = {
            "grant_type": _EXCHANGE,
            "subject_token": token.reveal(),
            "subject_token_type": _ACCESS_TOKEN,
            "requested_token_type": _ACCESS_TOKEN,
        }
        text, _ = await self._given(form)
        exchanged = UserToken(text)
        if claimed(exchanged) != claimed(token):
            raise Misconfigured("the identity provider answered an exchange with a token of another person")
        return exchanged

    async def own_token(self) -> tuple[str, float]:
        """Return the server's own token for rolevend, and its lifetime in seconds (RFC 6749, 4.4)."""
        return await self._given({"grant_type": "client_credentials"})

    async def _given(self, form: Mapping[str, str]) -> tuple[str, float]:
        if not self._token_endpoint:
            await self.ask()
        proof = httpx.BasicAuth(quote_plus(self.settings.client_id), quote_plus(self.settings.client_secret().strip()))
        async with self.settings.calls() as calls:
            wanted = {**form, "audience": self.settings.audience}
            response = await _answered(calls, "POST", self._token_endpoint, data=wanted, auth=proof)
        given = _members(response)
        if response.is_client_error:
            raise Refused(f"the identity provider gives no token for rolevend: {_code(given)}")
        token, seconds = given.get("access_token"), given.get("expires_in", _SHORT)
        if not isinstance(token, str) or token == form.get("subject_token") or not isinstance(seconds, int | float):
            raise Misconfigured("the identity provider answers with no token of its own")
        return token, float(seconds)

    async def _key(self, token: str) -> jwt.PyJWK:
        if len(token) > _CHARACTERS:
            raise jwt.InvalidTokenError
        header = jwt.get_unverified_header(token)
        if str(header.get("typ", "jwt")).lower() not in _KINDS or "crit" in header:
            raise jwt.InvalidTokenError
        name = str(header.get("kid", ""))
        age = _OLD if self._asked_at is None else self._clock() - self._asked_at
        if age >= _OLD or (name not in self._keys and age >= _COOL_DOWN):
            try:
                await self.ask()
            except RolevendError:  # keep the keys of the last answer
                if not self._keys:
                    raise
        key = self._keys.get(name)
        if key is None or header.get("alg") != key.algorithm_name:
            raise jwt.InvalidKeyError
        return key


def _keys(document: Mapping[str, Any]) -> Mapping[str, jwt.PyJWK]:
    """Return the keys with a supported algorithm; others are ignored."""
    keys = {}
    for each in document.get("keys") or []:
        try:
            key = jwt.PyJWK(each)
        except (jwt.PyJWTError, AttributeError, TypeError, ValueError):
            continue
        if key.key_id and key.public_key_use in (None, "sig") and key.algorithm_name in _ALGORITHMS:
            keys[key.key_id] = key
    if not keys:
        raise Misconfigured("the identity provider publishes no keys that sign tokens")
    return keys


async def _answered(calls: httpx.AsyncClient, method: str, url: str, **content: Any) -> httpx.Response:
    try:
        response = await calls.request(method, url, **content)
    except httpx.RequestError as error:
        raise Unavailable(f"the identity provider does not answer: {' '.join(str(error).split()) or type(error).__name__}") from None
    if response.is_server_error or (method == "GET" and not response.is_success):
        raise Unavailable(f"the identity provider answers with the status {response.status_code}")
    return response


def _members(response: httpx.Response) -> Mapping[str, Any]:
    try:
        document = response.json()
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise Unavailable("the identity provider answers with something that is no JSON object")
    return document


def _code(document: Mapping[str, Any]) -> str:
    """Return the error code if it has the form of RFC 6749."""
    code = str(document.get("error", ""))
    return code if code and len(code) <= 50 and code.replace("_", "").isalnum() else "no reason given"


def claimed(token: UserToken) -> Person:
    """Return the person whom a token names, without verifying the token."""
    try:
        claims = jwt.decode(token.reveal(), options={"verify_signature": False, "verify_aud": False})
        return Person(str(claims["iss"]), str(claims["sub"]))
    except (jwt.PyJWTError, KeyError):
        raise Refused("the person's token cannot be read") from None

"""The identity provider: verify its tokens.

This server verifies that a token comes from the provider, is valid now, and was issued for this server. rolevend's API verifies the
exchanged token, and checks more.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt

from rolevend_client.async_exchange import AsyncTokenExchange, Person
from rolevend_client.errors import Misconfigured, Refused, RolevendError
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
        self.exchange = AsyncTokenExchange(
            settings.url,
            client_id=settings.client_id,
            client_secret=settings.client_secret,
            audience=settings.audience,
            ca_file=settings.ca_file,
        )
        self._clock = clock
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._asked_at: float | None = None

    async def ask(self) -> None:
        """Get the endpoints and keys. Raises `Unavailable` or `Misconfigured`, and then keeps those that it had."""
        self._asked_at = self._clock()
        place = self.exchange.endpoint(await self.exchange.discover(), "jwks_uri")
        self._keys = _keys(await self.exchange.document(place))

    async def holder(self, token: str, audience: str) -> Holder:
        """Verify the token. Raises `Refused` unless it is a person's token, of this provider, for `audience`."""
        claims = await self.claims(token, audience, _KINDS)
        client = claims.get("client_id") or claims.get("azp")
        if not isinstance(client, str) or client == claims["sub"]:
            raise Refused("the token is refused: it names no client, or no person stands behind it")
        return Holder(Person(claims["iss"], claims["sub"]), client, int(claims["exp"]), UserToken(token))

    async def claims(self, token: str, audience: str, kinds: frozenset[str]) -> dict[str, Any]:
        """Return the claims of a token that this provider signed for `audience`, whose `typ` is one of `kinds`. Raises `Refused`."""
        try:
            key = await self._key(token, kinds)
            claims: dict[str, Any] = jwt.decode(
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
        return claims

    async def _key(self, token: str, kinds: frozenset[str]) -> jwt.PyJWK:
        if len(token) > _CHARACTERS:
            raise jwt.InvalidTokenError
        header = jwt.get_unverified_header(token)
        if str(header.get("typ", "jwt")).lower() not in kinds or "crit" in header:
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

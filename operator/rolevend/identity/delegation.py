"""Require that a user's token names the agent that presents it: as its client, or as the actor (RFC 8693). Pure."""

from collections.abc import Collection
from typing import Any, Final

from rolevend.identity.claim_mapping import ClaimPath, at
from rolevend.identity.proven import Party, UserWanted
from rolevend.identity.provider import MAXIMUM_ISSUER_LENGTH, Provider, is_plain
from rolevend.identity.refusal import Code, TokenRefused
from rolevend.identity.registered import MAXIMUM_SUBJECT_LENGTH, Registered, required_text, text

MAXIMUM_ACTORS: Final = 4

_OF_SOFTWARE: Final = {"idtyp": "app", "gty": "client-credentials"}
"""Claims of some issuers in tokens without a user, for any `sub`."""


def actors(claims: dict[str, Any], issuer: str) -> tuple[Party, ...]:
    """Return the chain of actors in `act`, the current one first; empty without it. An actor without an issuer has the token's issuer."""
    chain: list[Party] = []
    within = claims
    while "act" in within:
        within = within["act"]
        if not isinstance(within, dict):
            raise TokenRefused(Code.MALFORMED_CLAIM, "the token's act is no object")
        if len(chain) == MAXIMUM_ACTORS:
            raise TokenRefused(Code.ACTOR_CHAIN_TOO_LONG, f"the token has more than {MAXIMUM_ACTORS} actors")
        named_by = text(within, "iss", MAXIMUM_ISSUER_LENGTH) or issuer
        chain.append(Party(named_by, required_text(within, "sub", MAXIMUM_SUBJECT_LENGTH)))
    return tuple(chain)


def require_actor(chain: tuple[Party, ...], wanting: UserWanted) -> None:
    """Require that the current actor is the agent. Earlier actors are only recorded."""
    if not chain:
        raise TokenRefused(Code.ACTOR_MISSING, "the token has no act; exchange it for one with act")
    if chain[0] != wanting.agent:
        raise TokenRefused(Code.ACTOR_IS_ANOTHER, "the token's act names another agent than the caller")


def require_person(claims: dict[str, Any], claimed: Registered, wanting: UserWanted) -> None:
    its_own = Party(claimed.issuer, claimed.subject) in wanting.clients | {wanting.agent}
    if its_own or any(claims.get(name) == value for name, value in _OF_SOFTWARE.items()):
        raise TokenRefused(Code.NOT_A_PERSONS, "the token is the agent's own; send a token of the user")


def clients(claims: dict[str, Any], provider: Provider) -> frozenset[str]:
    """Return the clients that the token was issued to: `azp`, `client_id`, and the provider's own claim. At least one; several if they
    differ."""
    named = {required_text(claims, name, MAXIMUM_SUBJECT_LENGTH) for name in ("azp", "client_id") if name in claims}
    if provider.mapping.client is not None:
        named.add(_text_at(provider.mapping.client, claims))
    if not named:
        raise TokenRefused(Code.MISSING_CLAIM, "the token names no client: neither azp nor client_id is there")
    return frozenset(named)


def require_client(named: Collection[str], claimed: Registered, wanting: UserWanted) -> None:
    if any(Party(claimed.issuer, name) not in wanting.clients for name in named):
        raise TokenRefused(Code.ISSUED_TO_ANOTHER, "the token was issued to a client that is not this agent's")


def require_own_audience(claims: dict[str, Any], claimed: Registered, wanting: UserWanted) -> None:
    """Check an ID token (OpenID Connect Core 3.1.3.7): its only audience is the agent's client, or `azp` names the client."""
    mine = {party.name for party in wanting.clients if party.issuer == claimed.issuer}
    if not mine & claimed.audiences:
        raise TokenRefused(Code.ISSUED_TO_ANOTHER, "the ID token is for a client that is not this agent's")
    authorized = text(claims, "azp", MAXIMUM_SUBJECT_LENGTH)
    if authorized is None and len(claimed.audiences) > 1:
        raise TokenRefused(Code.MISSING_CLAIM, "the ID token is for several clients, and has no azp")
    if authorized is not None and authorized not in mine:
        raise TokenRefused(Code.ISSUED_TO_ANOTHER, "the ID token was issued to a client that is not this agent's")


def _text_at(path: ClaimPath, claims: dict[str, Any]) -> str:
    try:
        value = at(path, claims)
    except ValueError:
        value = None
    if not isinstance(value, str) or not is_plain(value, MAXIMUM_SUBJECT_LENGTH):
        raise TokenRefused(Code.MALFORMED_CLAIM, f"the token's {path} is no plain text that could name a client")
    return value

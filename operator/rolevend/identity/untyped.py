"""Check that a token without `at+jwt` in its header (RFC 9068) is an access token. Pure.

An issuer signs other tokens with the same keys, above all ID tokens, which other parties receive: for example the owner of any website
with this login. A token that could be one of them is refused.
"""

from collections.abc import Collection
from typing import Any, Final

from rolevend.identity.refusal import Code, TokenRefused

_OF_OTHERS: Final = ("nonce", "at_hash", "c_hash", "s_hash", "events")
"""Claims of ID tokens (OpenID Connect Core 2 and 3.3.2.11, FAPI), and of logout tokens and other security events."""
_KINDS: Final = {"typ": "bearer", "token_use": "access", "token_type": "bearer"}
"""Claims in which some issuers state the type, in lower case."""
_SCOPES: Final = ("scope", "scp")


def require_access_token(claims: dict[str, Any], audiences: frozenset[str], clients: Collection[str]) -> None:
    """Require an access token. `clients` are its clients: an ID token has its client as audience (OpenID Connect Core 2), an access
    token another party."""
    for name in _OF_OTHERS:
        if name in claims:
            raise _could_be_another(f"it has {name}")
    for name, kind in _KINDS.items():
        value = claims.get(name, kind)
        if not isinstance(value, str) or value.lower() != kind:
            raise _could_be_another(f"its claim {name} says so")
    if audiences.intersection(clients):
        raise _could_be_another("it is for the client that it was issued to")


def require_scope(claims: dict[str, Any]) -> None:
    """Require a scope in a user's token: the user's consent, which an ID token does not have."""
    if not any(name in claims for name in _SCOPES):
        raise _could_be_another("it has neither scope nor scp")


def _could_be_another(cause: str) -> TokenRefused:
    return TokenRefused(Code.WRONG_TYPE, f"the token could be something else than an access token: {cause}")

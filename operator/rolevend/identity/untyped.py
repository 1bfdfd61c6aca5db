"""That a token is an access token, although its header does not say so (RFC 9068 has it say `at+jwt`). Pure.

An issuer signs more than access tokens with its keys, ID tokens before all, and those go to other people: whoever runs a website that
persons log in to has theirs. What could be one of them is refused; what could be both is, too.
"""

from collections.abc import Collection
from typing import Any, Final

from rolevend.identity.refusal import Code, TokenRefused

_OF_OTHERS: Final = ("nonce", "at_hash", "c_hash", "s_hash", "events")
"""Of ID tokens (OpenID Connect Core 2 and 3.3.2.11, FAPI), and of logout tokens and other security events."""
_KINDS: Final = {"typ": "bearer", "token_use": "access", "token_type": "bearer"}
"""Claims by which some issuers say what it is, in lower case."""
_SCOPES: Final = ("scope", "scp")


def require_access_token(claims: dict[str, Any], audiences: frozenset[str], clients: Collection[str]) -> None:
    """`clients` are those that it names: an ID token is for its client (OpenID Connect Core 2), an access token for somebody else."""
    for name in _OF_OTHERS:
        if name in claims:
            raise _could_be_another(f"it has {name}")
    for name, kind in _KINDS.items():
        said = claims.get(name, kind)
        if not isinstance(said, str) or said.lower() != kind:
            raise _could_be_another(f"its claim {name} says so")
    if audiences.intersection(clients):
        raise _could_be_another("it is for the client that it was issued to")


def require_scope(claims: dict[str, Any]) -> None:
    """Of a person's: that they let a client do something, which an ID token does not say."""
    if not any(name in claims for name in _SCOPES):
        raise _could_be_another("it has neither scope nor scp")


def _could_be_another(why: str) -> TokenRefused:
    return TokenRefused(Code.WRONG_TYPE, f"the token could be something else than an access token: {why}")

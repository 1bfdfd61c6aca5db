"""Verify a token by the providers, their keys and a clock. Returns its proven facts, or raises a refusal. Pure.

The signature is verified first. Before that, only `iss` is read of the payload, to select the keys; earlier refusals are the same for
every caller, and reveal nothing to a forger.

An issuer signs other tokens with the same keys, above all ID tokens, which other parties receive: for example the owner of any website
with this login. A token that could be one of them is refused.
"""

import hmac
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final, assert_never, overload

from rolevend.identity import compact
from rolevend.identity.claim_mapping import at, handle, mapped
from rolevend.identity.compact import Compact
from rolevend.identity.delegation import actors, clients, require_actor, require_client, require_own_audience, require_person
from rolevend.identity.key_set import KeySet, KnownKeys
from rolevend.identity.proven import (
    AgentWanted,
    LoginWanted,
    OwnSubject,
    Party,
    ProofKind,
    Proven,
    ProvenAgent,
    ProvenLogin,
    ProvenUser,
    TokenFacts,
    UserWanted,
    Wanting,
)
from rolevend.identity.provider import Algorithm, Provider, TokenType, is_plain
from rolevend.identity.refusal import Code, TokenRefused
from rolevend.identity.registered import MAXIMUM_SUBJECT_LENGTH, Registered, issuer, registered, required_text
from rolevend.identity.service_account import CLAIM, service_account
from rolevend.identity.signature_cache import SignatureCache, SignedToken
from rolevend.model import User

_OF_OTHERS: Final = ("nonce", "at_hash", "c_hash", "s_hash", "events")
"""Claims of ID tokens (OpenID Connect Core 2 and 3.3.2.11, FAPI), and of logout tokens and other security events."""
_KINDS: Final = {"typ": "bearer", "token_use": "access", "token_type": "bearer"}
"""Claims in which some issuers state the type, in lower case."""
_SCOPES: Final = ("scope", "scp")
_ACCESS_TOKEN: Final = ("at+jwt", "application/at+jwt")
_PLAIN: Final = ("jwt", "application/jwt", None)


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


@overload
def verify(
    text: str,
    providers: Mapping[str, Provider],
    keys: Mapping[str, KnownKeys],
    now: datetime,
    wanting: AgentWanted,
    signatures: SignatureCache | None = None,
) -> ProvenAgent: ...
@overload
def verify(
    text: str,
    providers: Mapping[str, Provider],
    keys: Mapping[str, KnownKeys],
    now: datetime,
    wanting: UserWanted,
    signatures: SignatureCache | None = None,
) -> ProvenUser: ...
def verify(
    text: str,
    providers: Mapping[str, Provider],
    keys: Mapping[str, KnownKeys],
    now: datetime,
    wanting: Wanting,
    signatures: SignatureCache | None = None,
) -> Proven:
    """Verify a token. `providers` and `keys` are by issuer. Raises TokenRefused. A signature in `signatures` is not verified again as
    long as the keys of its issuer are those that verified it.

    For a ServiceAccount, the cluster must also review the token (`token_check`). The caller must prevent replays, by
    `TokenFacts.token_id`.
    """
    verified = None if signatures is None else signatures.get(text)
    token = compact.read(text) if verified is None else verified.token
    provider = _provider(token, providers)
    current = _current_keys(token, provider, keys.get(provider.issuer), now)
    if verified is None or verified.keys is not current:
        _require_signature(token, current)
        if signatures is not None:
            signatures.add(text, SignedToken(token, current))
    claimed = registered(token.claims, provider, now)
    kind = _accepted(_token_type(token, provider), provider, wanting)
    if kind is TokenType.UNTYPED_ACCESS_TOKEN:
        require_access_token(token.claims, claimed.audiences, clients(token.claims, provider))
    facts = _facts(kind, provider, token, claimed)
    match wanting:
        case AgentWanted():
            return _agent(token.claims, claimed, provider, facts, wanting)
        case UserWanted():
            return _user(token.claims, claimed, provider, facts, wanting)
    assert_never(wanting)


def verify_login(
    text: str, providers: Mapping[str, Provider], keys: Mapping[str, KnownKeys], now: datetime, wanting: LoginWanted
) -> ProvenLogin:
    """Verify the ID token that the issuer gave rolevend for a code (OpenID Connect Core 3.1.3.7). Arguments as of `verify`. Raises
    TokenRefused. `Provider.accepts` is not read: it is for tokens that agents present."""
    token = compact.read(text, compact.MAXIMUM_LOGIN_LENGTH)
    provider = _provider(token, providers)
    if provider.issuer != wanting.client.issuer:
        raise TokenRefused(Code.UNKNOWN_ISSUER, "the ID token is of another issuer than the login")
    _require_signature(token, _current_keys(token, provider, keys.get(provider.issuer), now))
    claimed = registered(token.claims, provider, now)
    if token.type not in _PLAIN or "act" in token.claims:
        raise TokenRefused(Code.WRONG_TYPE, "the token is no ID token")
    mine = UserWanted(wanting.client, frozenset({wanting.client}))
    require_own_audience(token.claims, claimed, mine)
    require_person(token.claims, claimed, mine)
    if not hmac.compare_digest(required_text(token.claims, "nonce", MAXIMUM_SUBJECT_LENGTH).encode(), wanting.nonce.encode()):
        raise TokenRefused(Code.REPLAYED, "the ID token is of another login: its nonce differs")
    wanted = {name: token.claims[name] for name in wanting.claims if name in token.claims}
    return ProvenLogin(User(claimed.issuer, _subject(token.claims, provider)), _facts(TokenType.ID_TOKEN, provider, token, claimed), wanted)


def signed(text: str, providers: Mapping[str, Provider], keys: Mapping[str, KnownKeys], now: datetime) -> tuple[Compact, Provider]:
    """Return the token and the provider that signed it. No claim but `iss` is verified. Arguments as of `verify`. Raises TokenRefused."""
    token = compact.read(text)
    provider = _provider(token, providers)
    _require_signature(token, _current_keys(token, provider, keys.get(provider.issuer), now))
    return token, provider


def _facts(kind: TokenType, provider: Provider, token: Compact, claimed: Registered) -> TokenFacts:
    return TokenFacts(
        kind,
        provider.name,
        token.digest,
        claimed.issued_at,
        claimed.expires_at,
        claimed.token_id,
        claimed.authenticated_at,
        claimed.acr,
    )


def _provider(token: Compact, providers: Mapping[str, Provider]) -> Provider:
    """Return the provider by `iss`, compared literally."""
    provider = providers.get(issuer(token.claims))
    if provider is None:
        raise TokenRefused(Code.UNKNOWN_ISSUER, "the token's issuer is not accepted")
    return provider


def _current_keys(token: Compact, provider: Provider, known: KnownKeys | None, now: datetime) -> KeySet:
    """Return the keys of this issuer. Keys of other issuers never count, even with the same id."""
    if token.algorithm not in provider.algorithms:
        raise TokenRefused(Code.ALGORITHM_NOT_ALLOWED, f"the token's algorithm is not accepted for identity provider {provider.name}")
    if known is None or (known.read_at is not None and now - known.read_at > provider.keys_maximum_age):
        raise TokenRefused(Code.STALE_KEYS, f"the keys of identity provider {provider.name} are too old, because they could not be read")
    return known.keys


def _require_signature(token: Compact, keys: KeySet) -> None:
    """Verify the signature. The provider accepts the token's algorithm."""
    algorithm = Algorithm(token.algorithm)
    if not keys.choose(token.key_id, algorithm).verifies(algorithm, token.signed, token.signature):
        raise TokenRefused(Code.BAD_SIGNATURE, "the token's signature is not its issuer's")


def _token_type(token: Compact, provider: Provider) -> TokenType:
    """Return the type by `typ`; if several remain, by the distinguishing claim, or by the one accepted type."""
    if token.type in _ACCESS_TOKEN:
        return TokenType.EXCHANGED if "act" in token.claims else TokenType.ACCESS_TOKEN
    if token.type not in _PLAIN:
        raise TokenRefused(Code.WRONG_TYPE, "the token's typ is not accepted")
    if CLAIM in token.claims:
        return TokenType.SERVICE_ACCOUNT
    if "act" in token.claims:
        return TokenType.EXCHANGED
    return TokenType.UNTYPED_ACCESS_TOKEN if TokenType.UNTYPED_ACCESS_TOKEN in provider.accepts else TokenType.ID_TOKEN


def _accepted(kind: TokenType, provider: Provider, wanting: Wanting) -> TokenType:
    if kind not in provider.accepts:
        raise TokenRefused(Code.TYPE_NOT_ACCEPTED, f"tokens of type {kind} are not accepted from identity provider {provider.name}")
    match wanting:
        case AgentWanted():
            fitting = kind in (TokenType.ACCESS_TOKEN, TokenType.UNTYPED_ACCESS_TOKEN, TokenType.SERVICE_ACCOUNT)
        case UserWanted():
            fitting = kind is not TokenType.SERVICE_ACCOUNT
        case _:
            assert_never(wanting)
    if not fitting:
        raise TokenRefused(Code.TYPE_NOT_ACCEPTED, f"a token of type {kind} cannot prove this")
    return kind


def _require_audience(claimed: Registered, provider: Provider) -> None:
    if not claimed.audiences & provider.audiences:
        raise TokenRefused(Code.WRONG_AUDIENCE, "the token is for another audience: its aud does not name rolevend")


def _agent(claims: dict[str, Any], claimed: Registered, provider: Provider, facts: TokenFacts, wanting: AgentWanted) -> ProvenAgent:
    _require_audience(claimed, provider)
    party = Party(claimed.issuer, claimed.subject)
    if facts.type is TokenType.SERVICE_ACCOUNT:
        return ProvenAgent(party, None, service_account(claims, claimed.subject), facts)
    client = Party(claimed.issuer, _client(claims, provider, facts))
    if client != party and OwnSubject(client, claimed.subject) not in wanting.own_subjects:
        # Otherwise a user could take the token that the agent's client got for them, and call as the agent.
        raise TokenRefused(Code.NOT_AN_AGENTS_OWN, "the token was issued to its client for another party: an agent needs its own token")
    return ProvenAgent(party, client, None, facts)


def _client(claims: dict[str, Any], provider: Provider, facts: TokenFacts) -> str:
    if facts.type is TokenType.ACCESS_TOKEN and provider.mapping.client is None:
        required_text(claims, "client_id", MAXIMUM_SUBJECT_LENGTH)  # required by RFC 9068
    named = clients(claims, provider)
    if len(named) > 1:
        raise TokenRefused(Code.MALFORMED_CLAIM, "the token names more than one client")
    (client,) = named
    return client


def _user(claims: dict[str, Any], claimed: Registered, provider: Provider, facts: TokenFacts, wanting: UserWanted) -> ProvenUser:
    chain = _delegated(claims, claimed, provider, facts, wanting)
    return ProvenUser(
        user=User(claimed.issuer, _subject(claims, provider)),
        handle=handle(provider.mapping, claims),
        mapped=mapped(provider.mapping, claims),
        proof=ProofKind.EXCHANGED if chain else ProofKind.TOKEN,
        actors=chain,
        token=facts,
    )


def _delegated(
    claims: dict[str, Any], claimed: Registered, provider: Provider, facts: TokenFacts, wanting: UserWanted
) -> tuple[Party, ...]:
    """Return the chain of actors of a token that names the agent. If `act` is set, it alone decides, and clients do not count."""
    chain = actors(claims, claimed.issuer)
    if facts.type is TokenType.ID_TOKEN:
        require_own_audience(claims, claimed, wanting)
    else:
        _require_audience(claimed, provider)
    if chain or wanting.exchange_required:
        require_actor(chain, wanting)
    elif facts.type is not TokenType.ID_TOKEN:
        require_client(clients(claims, provider), claimed, wanting)
    if facts.type is TokenType.UNTYPED_ACCESS_TOKEN:
        require_scope(claims)
    require_person(claims, claimed, wanting)
    return chain


def _subject(claims: dict[str, Any], provider: Provider) -> str:
    try:
        subject = at(provider.mapping.subject, claims)
    except ValueError:
        subject = None
    if not isinstance(subject, str) or not is_plain(subject, MAXIMUM_SUBJECT_LENGTH):
        raise TokenRefused(Code.MALFORMED_CLAIM, f"the token's {provider.mapping.subject} is no plain text that could name a person")
    return subject

"""Access tokens whose header does not say that they are: taken where an issuer is known for it, and never where they could be ID tokens."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from rolevend.errors import InvalidInput
from rolevend.identity.claim_mapping import ClaimMapping, ClaimPath
from rolevend.identity.proven import AgentWanted, OwnSubject, Party, ProofKind, ProvenAgent, ProvenUser, UserWanted, Wanting
from rolevend.identity.provider import Provider, TokenType, admit, by_issuer
from rolevend.identity.refusal import Code, TokenRefused
from tests.support.tokens import (
    AGENT,
    AS_AGENT,
    AUDIENCE,
    FOR_AGENT,
    ISSUER,
    MOMENT,
    PROVIDER,
    checked,
    claims,
    exchanged,
    header,
    id_claims,
    token,
)

ACCEPTS = frozenset({TokenType.UNTYPED_ACCESS_TOKEN, TokenType.EXCHANGED})
UNTYPED = replace(PROVIDER, accepts=ACCEPTS)
BY_CID = replace(UNTYPED, mapping=ClaimMapping(subject=ClaimPath(("uid",)), client=ClaimPath(("cid",))))
API = "6f1c1e5a-0b0f-4a6e-9d6e-0d5b1d4c2a11"
"""What Entra ID calls us: our application's id there."""
BY_ID = replace(UNTYPED, audiences=frozenset({API}), mapping=ClaimMapping(subject=ClaimPath(("oid",))))
SERVICE = "7f1c0000-0000-4000-8000-000000000001"


def untyped(payload: dict[str, Any], typ: str | None = "JWT") -> str:
    return token(payload, header(without=("typ",)) if typ is None else header(typ=typ))


def without_client(said: dict[str, Any], changed: dict[str, Any]) -> dict[str, Any]:
    bare = claims(without=("client_id", "jti"), **said)
    return {**bare, **changed}


def keycloak(**changed: Any) -> dict[str, Any]:
    """What it writes without the client's setting for RFC 9068."""
    said = {"typ": "Bearer", "azp": AGENT.name, "sid": "s", "acr": "1", "scope": "openid profile", "auth_time": MOMENT - 60}
    return without_client({**said, "aud": [AUDIENCE, "account"]}, changed)


def entra(**changed: Any) -> dict[str, Any]:
    """Version 2.0."""
    said = {"azp": AGENT.name, "azpacr": "1", "oid": "anna", "scp": "Vend", "sub": "pairwise", "tid": "t", "uti": "u", "ver": "2.0"}
    return without_client({"aud": API, **said}, changed)


def okta(**changed: Any) -> dict[str, Any]:
    """Of a custom authorization server."""
    said = {"cid": AGENT.name, "uid": "anna", "sub": "anna@example.org", "scp": ["vend"], "ver": 1, "auth_time": MOMENT - 60}
    return without_client(said, changed)


def hydra(**changed: Any) -> dict[str, Any]:
    return claims(**{"aud": [AUDIENCE], "ext": {}, "nbf": MOMENT - 60, "scp": ["vend"], **changed})


def auth0(**changed: Any) -> dict[str, Any]:
    """In its own profile."""
    said = {"azp": AGENT.name, "scope": "openid vend"}
    return without_client({"aud": [AUDIENCE, f"{ISSUER}/userinfo"], **said}, changed)


Made = Callable[..., dict[str, Any]]

ISSUERS: dict[str, tuple[Made, Provider, str | None]] = {
    "Keycloak": (keycloak, UNTYPED, "JWT"),
    "Entra ID": (entra, BY_ID, "JWT"),
    "Okta": (okta, BY_CID, None),
    "Hydra": (hydra, UNTYPED, "JWT"),
    "Auth0": (auth0, UNTYPED, "JWT"),
}
each_issuer = pytest.mark.parametrize(("made", "provider", "typ"), ISSUERS.values(), ids=ISSUERS.keys())


def code(text: str, provider: Provider = UNTYPED, wanting: Wanting = FOR_AGENT) -> Code | None:
    try:
        checked(text, wanting, by_issuer((provider,)))
    except TokenRefused as error:
        return error.code
    return None


@each_issuer
def test_a_persons_access_token_for_the_agent_is_taken(made: Made, provider: Provider, typ: str | None):
    proven = checked(untyped(made(), typ), FOR_AGENT, by_issuer((provider,)))

    assert isinstance(proven, ProvenUser)
    assert (proven.user.subject, proven.proof, proven.token.type) == ("anna", ProofKind.TOKEN, TokenType.UNTYPED_ACCESS_TOKEN)


@each_issuer
def test_nobody_takes_one_who_was_not_told_to(made: Made, provider: Provider, typ: str | None):
    strict = replace(provider, accepts=frozenset({TokenType.ACCESS_TOKEN, TokenType.EXCHANGED}))

    assert code(untyped(made(), typ), strict) is Code.TYPE_NOT_ACCEPTED


@each_issuer
def test_one_of_another_client_is_not_the_agents(made: Made, provider: Provider, typ: str | None):
    portal = Party(ISSUER, "portal")

    assert code(untyped(made(), typ), provider, UserWanted(portal, frozenset({portal}))) is Code.ISSUED_TO_ANOTHER


# ID tokens of the same issuers, passed off as access tokens

ID_TOKENS: dict[str, tuple[dict[str, Any], Provider]] = {
    "Keycloak's": (keycloak(typ="ID", aud=AGENT.name, at_hash="h"), UNTYPED),
    "Entra ID's": (entra(aud=AGENT.name, nonce="n"), BY_ID),
    "Okta's": (okta(aud=AGENT.name, at_hash="h", amr=["pwd"]), BY_CID),
    "Hydra's": (hydra(aud=[AGENT.name], at_hash="h", sid="s"), UNTYPED),
    "Auth0's": (auth0(aud=AGENT.name, nonce="n"), UNTYPED),
    "one with nothing that it need not have": (id_claims(azp=AGENT.name), UNTYPED),
    "one that names no client": (id_claims(), UNTYPED),
}
AS_ANNA = AgentWanted(frozenset({OwnSubject(AGENT, "anna")}))
"""As if anna could call as the agent, if only her token were one."""
each_id_token = pytest.mark.parametrize(("payload", "provider"), ID_TOKENS.values(), ids=ID_TOKENS.keys())
as_both = pytest.mark.parametrize("wanting", [FOR_AGENT, AS_ANNA], ids=["a person", "an agent"])


@each_id_token
@as_both
@pytest.mark.parametrize("typ", ["JWT", "jwt", None])
@pytest.mark.parametrize("for_us_too", [False, True])
def test_an_id_token_is_no_access_token(
    payload: dict[str, Any], provider: Provider, wanting: Wanting, typ: str | None, *, for_us_too: bool
):
    """Also one that somebody's mapper made for us beside its client."""
    said = {**payload, "aud": [AGENT.name, AUDIENCE, API]} if for_us_too else payload

    assert code(untyped(said, typ), provider, wanting) in (Code.WRONG_TYPE, Code.MISSING_CLAIM)


@as_both
def test_an_id_token_of_who_logs_in_to_us_is_none_where_we_are_a_client_ourselves(wanting: Wanting):
    """Then our audience is the id of a client, and its ID tokens are for us."""
    ours = Party(ISSUER, AUDIENCE)
    wanting = UserWanted(ours, frozenset({ours})) if isinstance(wanting, UserWanted) else AgentWanted(frozenset({OwnSubject(ours, "anna")}))

    for said in ({"azp": AUDIENCE}, {"azp": AUDIENCE, "scope": "openid"}, {"client_id": AUDIENCE, "scope": "openid"}):
        assert code(untyped({**id_claims(aud=AUDIENCE), **said}), wanting=wanting) is Code.WRONG_TYPE


@pytest.mark.parametrize(
    "said",
    [
        *({name: "x"} for name in ("nonce", "at_hash", "c_hash", "s_hash")),
        {"nonce": None},
        {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}},
        *({"typ": kind} for kind in ("ID", "Refresh", "Offline", "Logout", "DPoP", "", None, 1, ["Bearer"])),
        {"token_use": "id"},
        {"token_type": "refresh"},
        {"aud": [AUDIENCE, AGENT.name]},
        {"client_id": AUDIENCE},
    ],
    ids=str,
)
@as_both
def test_whatever_could_be_another_token_is_refused_for_that_alone(said: dict[str, Any], wanting: Wanting):
    assert code(untyped(keycloak()), wanting=wanting) is None
    assert code(untyped(keycloak(**said)), wanting=wanting) is Code.WRONG_TYPE


@pytest.mark.parametrize("said", [{"typ": "bearer"}, {"token_use": "access"}, {"token_type": "Bearer"}])
def test_what_says_that_it_is_an_access_token_is_one(said: dict[str, Any]):
    assert code(untyped(keycloak(**said))) is None


@pytest.mark.parametrize("made", [keycloak, auth0, hydra])
def test_a_persons_token_says_what_they_let_the_client_do(made: Made):
    bare = {name: value for name, value in made().items() if name not in ("scope", "scp")}

    assert code(untyped(bare)) is Code.WRONG_TYPE


def test_a_token_of_no_client_is_taken_for_nobodys():
    bare = keycloak()
    del bare["azp"]

    assert code(untyped(bare)) is code(untyped(bare), wanting=AS_ANNA) is Code.MISSING_CLAIM


# What the check of every token holds for these, too


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"aud": "https://elsewhere.example.org"}, Code.WRONG_AUDIENCE),
        ({"exp": 1}, Code.EXPIRED),
        ({"azp": "portal"}, Code.ISSUED_TO_ANOTHER),
        ({"client_id": "portal"}, Code.ISSUED_TO_ANOTHER),
        ({"sub": AGENT.name}, Code.NOT_A_PERSONS),
        ({"idtyp": "app"}, Code.NOT_A_PERSONS),
        ({"gty": "client-credentials"}, Code.NOT_A_PERSONS),
        ({"act": {"sub": "portal"}}, Code.ACTOR_IS_ANOTHER),
        ({"kubernetes.io": {}}, Code.TYPE_NOT_ACCEPTED),
    ],
    ids=str,
)
def test_it_is_checked_as_any_other(said: dict[str, Any], expected: Code):
    assert code(untyped(keycloak(**said))) is expected


@pytest.mark.parametrize("typ", ["at+jwt", "logout+jwt", "oauth-id-jag+jwt", "id_token+jwt", "application/okta-internal-at+jwt", "none"])
def test_a_type_that_is_said_is_believed(typ: str):
    assert code(untyped(keycloak(), typ)) in (Code.TYPE_NOT_ACCEPTED, Code.WRONG_TYPE)


def test_an_exchanged_token_may_be_untyped_as_ever():
    assert code(exchanged({"sub": AGENT.name})) is None
    assert code(untyped(claims(act={"sub": AGENT.name}))) is None


# Agents, and the claim that names the client


@pytest.mark.parametrize(
    ("payload", "provider"),
    [
        (keycloak(sub=SERVICE, client_id=AGENT.name), UNTYPED),
        (entra(sub=SERVICE, oid=SERVICE, idtyp="app"), BY_ID),
        (okta(sub=AGENT.name), BY_CID),
        (hydra(sub=AGENT.name), UNTYPED),
        (auth0(sub="finbot@clients", gty="client-credentials"), UNTYPED),
    ],
    ids=ISSUERS.keys(),
)
def test_an_agent_proves_itself_with_one_of_its_own(payload: dict[str, Any], provider: Provider):
    own = AgentWanted(frozenset({OwnSubject(AGENT, SERVICE), OwnSubject(AGENT, "finbot@clients")}))
    proven = checked(untyped(payload), own, by_issuer((provider,)))

    assert isinstance(proven, ProvenAgent)
    assert (proven.client, proven.token.type) == (AGENT, TokenType.UNTYPED_ACCESS_TOKEN)


@each_issuer
def test_a_persons_token_is_not_the_agents_own(made: Made, provider: Provider, typ: str | None):
    assert code(untyped(made(), typ), provider, AS_AGENT) is Code.NOT_AN_AGENTS_OWN


def test_a_token_that_names_two_clients_is_no_agents():
    assert code(untyped(keycloak(sub=AGENT.name, client_id="portal")), wanting=AS_AGENT) is Code.MALFORMED_CLAIM


@pytest.mark.parametrize("cid", ["portal", "", " finbot", None, 1, ["finbot"], {"cid": "finbot"}], ids=str)
def test_the_claim_that_names_the_client_is_read_as_it_stands(cid: object):
    assert code(untyped(okta()), BY_CID) is None
    assert code(untyped(okta(cid=cid)), BY_CID) in (Code.ISSUED_TO_ANOTHER, Code.MALFORMED_CLAIM)


def test_where_it_is_asked_for_no_other_makes_up_for_it():
    assert code(untyped(keycloak(uid="anna")), BY_CID) is Code.MALFORMED_CLAIM
    assert code(untyped(okta(azp="portal")), BY_CID) is Code.ISSUED_TO_ANOTHER
    assert code(untyped(okta(aud=[AUDIENCE, AGENT.name])), BY_CID) is Code.WRONG_TYPE


def test_it_counts_for_typed_tokens_as_well():
    typed = replace(BY_CID, accepts=frozenset({TokenType.ACCESS_TOKEN}))

    assert code(token(okta()), typed) is None
    assert code(token(okta(sub=AGENT.name)), typed, AS_AGENT) is None
    assert code(token(okta(cid="portal")), typed) is Code.ISSUED_TO_ANOTHER


def test_nobody_accepts_both_kinds_that_look_alike():
    with pytest.raises(InvalidInput, match=r"^spec\.accepts: UntypedAccessToken and IdToken cannot be distinguished"):
        admit(replace(UNTYPED, accepts=ACCEPTS | {TokenType.ID_TOKEN}))

    assert admit(UNTYPED) is UNTYPED

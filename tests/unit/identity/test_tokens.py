"""Tokens that prove what they should: of agents and of persons, with every algorithm, within the leeway of clocks."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rolevend.errors import Conflict, InvalidInput
from rolevend.identity.claim_mapping import ClaimMapping, ClaimPath
from rolevend.identity.proven import AgentWanted, OwnSubject, Party, Pod, ProofKind, ProvenAgent, ProvenUser, ServiceAccount, UserWanted
from rolevend.identity.provider import Algorithm, Discovery, KeysUrl, Provider, TokenType, admit, by_issuer, is_secure
from rolevend.identity.refusal import Code, Standing, TokenRefused
from rolevend.model import ObjectName, Uid, User
from tests.support.tokens import (
    AGENT,
    AS_AGENT,
    AUDIENCE,
    CLUSTER,
    CLUSTER_PROVIDER,
    FOR_AGENT,
    ISSUER,
    MOMENT,
    OTHER_ISSUER,
    POD_UID,
    PROVIDER,
    PROVIDERS,
    UID,
    access_token,
    after,
    agent_claims,
    agent_token,
    checked,
    claims,
    exchanged,
    header,
    id_token,
    service_account_token,
    token,
)


def user(text: str, wanting: UserWanted = FOR_AGENT, **given: Any) -> ProvenUser:
    proven = checked(text, wanting, **given)
    assert isinstance(proven, ProvenUser)
    return proven


def agent(text: str, wanting: AgentWanted = AS_AGENT) -> ProvenAgent:
    proven = checked(text, wanting)
    assert isinstance(proven, ProvenAgent)
    return proven


def changed(**members: Any) -> dict[str, Provider]:
    return {**PROVIDERS, ISSUER: replace(PROVIDER, **members)}


@pytest.mark.parametrize(
    ("by", "algorithm"),
    [
        *(("rsa", name) for name in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
        ("p256", "ES256"),
        ("p384", "ES384"),
        ("p521", "ES512"),
        ("ed25519", "EdDSA"),
    ],
)
def test_a_token_signed_by_its_issuer_proves_the_person(by: str, algorithm: str):
    proven = user(access_token(by=by, algorithm=algorithm))

    assert proven.user == User(ISSUER, "anna")
    assert (proven.proof, proven.actors, proven.token.type) == (ProofKind.TOKEN, (), TokenType.ACCESS_TOKEN)


def test_what_is_proven_tells_the_token_by_its_digest_alone():
    text = access_token()
    proven = user(text)

    assert proven.token.token_id == "token-1"
    assert proven.token.expires_at == datetime.fromtimestamp(MOMENT + 600, UTC)
    assert proven.token.issued_at == datetime.fromtimestamp(MOMENT - 60, UTC)
    assert len(proven.token.digest) == 64
    assert proven.token.provider == "workforce"
    assert not any(segment in repr(proven) for segment in text.split("."))


def test_without_jti_there_is_no_token_id():
    assert user(token(claims(without=("jti",)))).token.token_id is None


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt"])
def test_an_access_token_may_spell_its_type_as_a_media_type(typ: str):
    assert user(token(head=header(typ=typ))).token.type is TokenType.ACCESS_TOKEN


@pytest.mark.parametrize("members", [{"x5t": "abc"}, {"x5t#S256": "abc"}, {"nonce": "abc"}])
def test_what_a_header_says_beyond_our_needs_is_no_matter(members: dict[str, str]):
    assert user(token(head=header(**members))).user.subject == "anna"


def test_one_of_several_audiences_is_enough():
    assert user(access_token(aud=["https://elsewhere.example.org", AUDIENCE])).user.subject == "anna"


@pytest.mark.parametrize(
    "said",
    [
        {"client_id": "finbot"},
        {"azp": "finbot", "client_id": "finbot"},
    ],
)
def test_a_persons_token_names_the_agent_as_client(said: dict[str, str]):
    assert user(token({**claims(without=("client_id",)), **said})).proof is ProofKind.TOKEN


def test_azp_alone_names_the_client():
    assert user(token(claims(without=("client_id",), azp="finbot"))).proof is ProofKind.TOKEN


def test_no_kid_is_fine_where_one_key_alone_fits():
    text = token(head=header(without=("kid",), alg="ES256"), by="p256", algorithm="ES256")

    assert user(text).user.subject == "anna"


# Exchanged tokens


def test_an_exchanged_token_proves_the_person_through_the_agent_that_acts():
    proven = user(exchanged({"iss": ISSUER, "sub": "finbot"}, client_id="gateway"))

    assert (proven.proof, proven.actors) == (ProofKind.EXCHANGED, (AGENT,))
    assert proven.token.type is TokenType.EXCHANGED


def test_the_whole_chain_of_actors_is_kept():
    chain = {"iss": ISSUER, "sub": "finbot", "act": {"sub": "planner", "act": {"iss": OTHER_ISSUER, "sub": "portal"}}}

    assert user(exchanged(chain)).actors == (AGENT, Party(ISSUER, "planner"), Party(OTHER_ISSUER, "portal"))


def test_an_actor_may_be_a_service_account_of_the_cluster():
    name = "system:serviceaccount:agents:finbot"
    wanting = UserWanted(Party(CLUSTER, name), exchange_required=True)

    assert user(exchanged({"iss": CLUSTER, "sub": name}), wanting).proof is ProofKind.EXCHANGED


# ID tokens


@pytest.mark.parametrize("said", [{}, {"azp": "finbot"}, {"aud": ["finbot", "portal"], "azp": "finbot"}])
def test_an_id_token_for_the_agents_own_client_proves_the_person(said: dict[str, Any]):
    proven = user(id_token(**said))

    assert (proven.token.type, proven.proof) == (TokenType.ID_TOKEN, ProofKind.TOKEN)


# Agents


def test_an_oidc_client_proves_itself_with_a_token_of_its_own():
    proven = agent(agent_token())

    assert (proven.party, proven.client, proven.service_account) == (AGENT, AGENT, None)


def test_a_client_whose_own_tokens_have_another_subject_is_known_by_both():
    text = token(agent_claims(sub="service-account-7f1c"))
    wanting = AgentWanted(frozenset({OwnSubject(AGENT, "service-account-7f1c")}))

    assert agent(text, wanting).party == Party(ISSUER, "service-account-7f1c")
    assert agent(text, wanting).client == AGENT


def test_a_service_account_proves_itself_by_name_uid_and_pod():
    proven = agent(service_account_token())

    assert proven.service_account == ServiceAccount(ObjectName("agents", "finbot"), Uid(UID), Pod("finbot-1", Uid(POD_UID)))
    assert proven.party == Party(CLUSTER, "system:serviceaccount:agents:finbot")
    assert proven.client is None


def test_a_service_accounts_token_may_be_bound_to_no_pod():
    bound = {"namespace": "agents", "serviceaccount": {"name": "finbot", "uid": UID}}
    account = agent(service_account_token(**{"kubernetes.io": bound})).service_account

    assert account is not None
    assert account.pod is None


# Time


@pytest.mark.parametrize(
    ("said", "offset", "code"),
    [
        ({"exp": MOMENT - 29}, 0, None),
        ({"exp": MOMENT - 30}, 0, Code.EXPIRED),
        ({"nbf": MOMENT + 30}, 0, None),
        ({"nbf": MOMENT + 31}, 0, Code.NOT_YET_VALID),
        ({"iat": MOMENT + 30}, 0, None),
        ({"iat": MOMENT + 31}, 0, Code.ISSUED_IN_THE_FUTURE),
        ({}, 629, None),
        ({}, 630, Code.EXPIRED),
    ],
)
def test_clocks_may_differ_by_the_leeway_and_no_more(said: dict[str, int], offset: int, code: Code | None):
    assert refusal(access_token(**said), now=after(offset)) is code


def refusal(text: str, **given: Any) -> Code | None:
    try:
        checked(text, **given)
    except TokenRefused as refused:
        return refused.code
    return None


def test_a_leeway_of_nothing_is_nothing():
    assert refusal(access_token(exp=MOMENT), providers=changed(leeway=timedelta())) is Code.EXPIRED
    assert refusal(access_token(exp=MOMENT + 1), providers=changed(leeway=timedelta())) is None


def test_a_provider_may_say_how_long_its_tokens_live_at_most():
    bounded = changed(maximum_life=timedelta(minutes=10))

    assert refusal(access_token(iat=MOMENT - 600), providers=bounded) is None
    assert refusal(access_token(iat=MOMENT - 631), providers=bounded) is Code.TOO_OLD
    assert refusal(token(claims(without=("iat",))), providers=bounded) is Code.MISSING_CLAIM
    assert refusal(token(claims(without=("iat",)))) is None


def test_the_subject_may_be_another_claim():
    mapping = ClaimMapping(subject=ClaimPath(("oid",)))

    assert user(access_token(oid="7f1c"), providers=changed(mapping=mapping)).user == User(ISSUER, "7f1c")
    assert refusal(access_token(), providers=changed(mapping=mapping)) is Code.MALFORMED_CLAIM
    assert refusal(access_token(oid=["7f1c"]), providers=changed(mapping=mapping)) is Code.MALFORMED_CLAIM
    assert refusal(access_token(oid="7f\n1c"), providers=changed(mapping=mapping)) is Code.MALFORMED_CLAIM


def test_a_subject_is_not_looked_for_within_what_is_no_object():
    mapping = ClaimMapping(subject=ClaimPath(("sub", "id")))

    assert refusal(access_token(), providers=changed(mapping=mapping)) is Code.MALFORMED_CLAIM


# Refusals in general


def test_every_refusal_says_whether_nobody_is_proven_or_the_token_may_not_be_used_so():
    forbidden = {code for code in Code if code.standing is Standing.NOT_ALLOWED}

    assert forbidden == {
        Code.TYPE_NOT_ACCEPTED,
        Code.NOT_AN_AGENTS_OWN,
        Code.AGENT_UNKNOWN,
        Code.NOT_A_PERSONS,
        Code.ISSUED_TO_ANOTHER,
        Code.ANOTHER_PERSON,
        Code.REPLAYED,
        Code.ACTOR_MISSING,
        Code.ACTOR_IS_ANOTHER,
    }
    assert TokenRefused(Code.EXPIRED, "").standing == 401
    assert TokenRefused(Code.ACTOR_MISSING, "").standing == 403


def test_codes_are_camel_case_and_never_given_twice():
    assert all(code.value.isalpha() and code.value[0].isupper() for code in Code)
    assert len({code.value for code in Code}) == len(Code)


# Providers


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"issuer": ""}, "spec.issuer"),
        ({"issuer": "https://idp.example.org\n"}, "spec.issuer"),
        ({"audiences": frozenset()}, "spec.audiences"),
        ({"algorithms": frozenset()}, "spec.algorithms"),
        ({"accepts": frozenset()}, "spec.accepts"),
        ({"accepts": frozenset({TokenType.SERVICE_ACCOUNT, TokenType.ACCESS_TOKEN})}, "spec.accepts"),
        ({"leeway": timedelta(minutes=5)}, "spec.leeway"),
        ({"leeway": timedelta(seconds=-1)}, "spec.leeway"),
        ({"keys": KeysUrl("http://idp.example.org/keys")}, "spec.keys.url"),
        ({"keys": Discovery(), "issuer": "idp.example.org"}, "spec.issuer"),
    ],
)
def test_a_provider_that_could_not_be_right_is_refused_with_its_field(members: dict[str, Any], field: str):
    with pytest.raises(InvalidInput) as refused:
        admit(replace(PROVIDER, **members))
    assert refused.value.field == field


@pytest.mark.parametrize("members", [{}, {"keys": Discovery()}, {"keys": KeysUrl("http://127.0.0.1:8080/keys")}])
def test_a_provider_that_can_be_right_is_admitted(members: dict[str, Any]):
    assert admit(replace(PROVIDER, **members)).issuer == ISSUER


@pytest.mark.parametrize(
    "url",
    [
        "http://idp.example.org",
        "http://127.0.0.1.example.org",
        "https://",
        "https://anna:secret@idp.example.org",
        "https://idp.example.org/?a=b",
        "https://idp.example.org/#x",
        "https://idp.example.org#",
        "https://idp.example.org:port",
        "https://[::1",
        "file:///etc/passwd",
        "ftp://127.0.0.1",
        "//127.0.0.1",
        " https://idp.example.org",
        "https://idp.example.org/\r\nX: y",
        "",
    ],
)
def test_keys_are_read_from_nowhere_that_somebody_could_stand_in_between(url: str):
    assert not is_secure(url)


def test_an_issuer_has_one_provider_and_so_one_set_of_keys():
    with pytest.raises(Conflict, match="workforce and twin have the same issuer"):
        by_issuer((PROVIDER, CLUSTER_PROVIDER, replace(PROVIDER, name="twin")))


def test_no_algorithm_is_known_that_whoever_checks_could_sign_with():
    assert {algorithm.value[:2] for algorithm in Algorithm} == {"RS", "PS", "ES", "Ed"}

"""The provider of demo and tests: real grants by real requests, refusals as RFC 6749 has them, and tokens that rolevend takes."""

import base64
import itertools
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from rolevend.identity.claim_mapping import ClaimMapping, ClaimPath
from rolevend.identity.key_fetching import KeyFetcher
from rolevend.identity.key_store import KeyStore, Pace
from rolevend.identity.proven import AgentWanted, Party, ProofKind, UserWanted
from rolevend.identity.provider import Algorithm, Discovery, Provider, TokenType, by_issuer
from rolevend.identity.refusal import Code, TokenRefused
from rolevend.identity.token_check import TokenCheck
from rolevend.policytools.embedded.errors import Unusable
from rolevend.policytools.embedded.ports import free_ports
from testbed.identity_provider import AUDIENCE, IdentityProvider
from testbed.oidc.grants import Grants
from testbed.oidc.names import (
    ACCESS_TOKEN_TYPE,
    AUTHORIZATION_CODE,
    CLIENT_CREDENTIALS,
    DISCOVERY_PATH,
    ID_JAG_TYPE,
    ROTATION_PATH,
    TOKEN_EXCHANGE,
)
from testbed.oidc.refusal import GrantRefused
from testbed.oidc.registry import CALLBACK, Client, Person, Registry
from testbed.oidc.signing import Signer
from testbed.token_client import Answer, TokenClient, challenge

CHAT = "https://chat.example.org"
CHAT_ISSUER = "https://login.chat.example.org"
CLIENTS = (
    Client("finbot"),
    Client("otherbot"),
    Client("tools", resources=(CHAT,), authorization_server=CHAT_ISSUER),
    Client("desktop", secret=None),
)
VERIFIER = secrets.token_urlsafe(48)


@pytest.fixture(scope="module")
def provider() -> Iterator[IdentityProvider]:
    """One for all tests. Those that change its keys leave the newest in use."""
    with IdentityProvider(clients=CLIENTS) as running:
        yield running


@pytest.fixture
def tokens(provider: IdentityProvider) -> TokenClient:
    return provider.tokens


def claims(token: str) -> dict[str, Any]:
    return part(token, 1)


def part(token: str, place: int) -> dict[str, Any]:
    segment = token.split(".")[place]
    members: dict[str, Any] = json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    return members


@contextmanager
def refused(code: str) -> Iterator[None]:
    with pytest.raises(GrantRefused) as caught:
        yield
    assert caught.value.code == code


# What it gives


def test_its_document_names_what_it_serves(provider, tokens):
    document = tokens.configuration
    assert document["issuer"] == provider.issuer
    assert all(document[name].startswith(f"{provider.issuer}/") for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"))
    assert tokens.call("GET", f"{provider.issuer}/.well-known/oauth-authorization-server").json == document
    keys = tokens.call("GET", document["jwks_uri"]).json["keys"]
    assert {tuple(sorted(key)) for key in keys} == {("alg", "e", "kid", "kty", "n", "use")}, "a private member is published"


def test_an_agent_gets_an_access_token_of_its_own(provider, tokens):
    token = tokens.agent_token("finbot")
    assert part(token, 0)["typ"] == "at+jwt"
    said = claims(token)
    assert {name: said[name] for name in ("iss", "sub", "aud", "client_id")} == {
        "iss": provider.issuer,
        "sub": "finbot",
        "aud": AUDIENCE,
        "client_id": "finbot",
    }
    assert said["exp"] - said["iat"] == 300
    assert said["jti"] != claims(tokens.agent_token("finbot"))["jti"]
    assert "act" not in said


def test_a_person_gets_tokens_by_code_and_pkce(tokens):
    given = tokens.tokens_of("anna", client="finbot")
    access, identity = claims(given.access_token), claims(given.id_token)
    assert (access["sub"], access["aud"], access["client_id"]) == ("anna", AUDIENCE, "finbot")
    assert (access["department"], access["employee_number"], access["groups"]) == ("claims", "E10442", ["country-DE", "everybody"])
    assert (identity["sub"], identity["aud"]) == ("anna", "finbot")
    assert (part(given.access_token, 0)["typ"], part(given.id_token, 0)["typ"]) == ("at+jwt", "JWT")
    assert claims(tokens.tokens_of("ben", client="finbot").access_token)["sub"] == "ben"


def test_a_client_without_a_secret_gets_tokens_of_people_alone(tokens):
    assert claims(tokens.tokens_of("anna", client="desktop").access_token)["client_id"] == "desktop"
    with refused("unauthorized_client"):
        tokens.agent_token("desktop")
    with refused("unauthorized_client"):
        tokens.exchange(tokens.tokens_of("anna", client="desktop").access_token, client="desktop")


def test_a_redirect_brings_state_and_issuer_back(provider, tokens):
    query = {**asked(), "state": "a state&with=signs"}
    back = parse_qs(urlsplit(located(tokens, query)).query)
    assert back["state"] == ["a state&with=signs"]
    assert back["iss"] == [provider.issuer]


def test_an_exchanged_token_says_who_acts_for_whom(provider, tokens):
    subject = tokens.tokens_of("anna", client="finbot").access_token
    said = claims(tokens.exchange(subject, client="finbot"))
    assert said["act"] == {"iss": provider.issuer, "sub": "finbot"}
    assert (said["sub"], said["aud"], said["client_id"], said["department"]) == ("anna", AUDIENCE, "finbot", "claims")
    assert said["exp"] <= claims(subject)["exp"], "it outlives the login"


def test_an_id_token_can_be_exchanged_by_the_client_that_it_is_for(tokens):
    subject = tokens.tokens_of("anna", client="finbot").id_token
    assert claims(tokens.exchange(subject, client="finbot", is_id_token=True))["act"]["sub"] == "finbot"
    with refused("invalid_request"):
        tokens.exchange(subject, client="otherbot", is_id_token=True)
    with refused("invalid_request"):
        tokens.exchange(subject, client="finbot")  # which says that it is an access token


def test_a_resource_exchanges_tokens_that_are_for_it_and_keeps_the_chain(tokens):
    subject = tokens.exchange(tokens.tokens_of("anna", client="finbot").access_token, client="finbot", audience=CHAT)
    assert claims(subject)["aud"] == CHAT
    said = claims(tokens.exchange(subject, client="tools"))
    assert (said["aud"], said["act"]["sub"], said["act"]["act"]["sub"]) == (AUDIENCE, "tools", "finbot")


def test_an_assertion_is_for_one_client_at_one_server_which_can_exchange_it(provider, tokens):
    login = tokens.tokens_of("anna", client="finbot")
    assertion = tokens.assertion(login.id_token, client="finbot", audience=CHAT_ISSUER, resource=CHAT)
    said = claims(assertion)
    assert (said["sub"], said["aud"], said["resource"], said["client_id"]) == ("anna", CHAT_ISSUER, CHAT, "finbot")
    assert said["exp"] - said["iat"] <= 300
    form = {"grant_type": TOKEN_EXCHANGE, "subject_token": assertion, "subject_token_type": ID_JAG_TYPE}
    exchanged = claims(str(tokens.token(form, provider.client("tools"))["access_token"]))
    assert (exchanged["sub"], exchanged["act"]["sub"], exchanged["aud"]) == ("anna", "tools", AUDIENCE)
    for client in ("finbot", "otherbot"):
        with refused("invalid_request"):
            tokens.token(form, provider.client(client))


# What it refuses


def asked(**changed: str) -> dict[str, str]:
    return {
        "response_type": "code",
        "client_id": "finbot",
        "redirect_uri": CALLBACK,
        "login_hint": "anna",
        "code_challenge": challenge(VERIFIER),
        "code_challenge_method": "S256",
        **changed,
    }


def test_a_browser_without_a_hint_gets_a_page_that_asks_for_the_name(tokens: TokenClient):
    query = {name: value for name, value in asked(state='"><script>').items() if name != "login_hint"}

    page = tokens.call("GET", f"{tokens.configuration['authorization_endpoint']}?{urlencode(query)}", headers={"Accept": "text/html"})

    assert page.status == 200
    assert b'name="login_hint"' in page.body
    assert b"<script>" not in page.body


def redeeming(tokens: TokenClient, **changed: str) -> dict[str, str]:
    form = {"grant_type": AUTHORIZATION_CODE, "redirect_uri": CALLBACK, "code_verifier": VERIFIER, **changed}
    return {"code": tokens.code(asked()), **form}


def located(tokens: TokenClient, query: dict[str, str]) -> str:
    answer = tokens.call("GET", f"{tokens.configuration['authorization_endpoint']}?{urlencode(query)}")
    assert answer.status == 302, answer
    return answer.headers["location"]


def posted(tokens: TokenClient, form: dict[str, str] | str, authorization: str | None = None) -> Answer:
    headers = {"Content-Type": "application/x-www-form-urlencoded", **({"Authorization": authorization} if authorization else {})}
    return tokens.call("POST", tokens.configuration["token_endpoint"], form if isinstance(form, str) else urlencode(form), headers)


def basic(name: str, secret: str) -> str:
    return f"Basic {base64.b64encode(f'{name}:{secret}'.encode()).decode()}"


@pytest.mark.parametrize(
    ("name", "secret"), [("finbot", "guessed"), ("finbot", ""), ("nobody", "guessed"), ("desktop", "guessed"), ("finbot", None)]
)
def test_a_client_that_does_not_prove_itself_gets_nothing(tokens, name, secret):
    by_header = None if secret is None else basic(name, secret)
    in_form = {"client_id": name, **({} if secret is None else {"client_secret": secret})}
    grant = {"grant_type": CLIENT_CREDENTIALS}
    for answer in (posted(tokens, grant, by_header), posted(tokens, {**grant, **in_form})):
        assert (answer.status, answer.json["error"]) == (401, "invalid_client")
        assert answer.headers["www-authenticate"].startswith("Basic")
        assert answer.headers["cache-control"] == "no-store"


def test_both_ways_of_proving_a_client_are_taken_and_not_both_at_once(provider, tokens):
    secret = provider.client("finbot").secret
    grant = {"grant_type": CLIENT_CREDENTIALS}
    in_form = {**grant, "client_id": "finbot", "client_secret": secret}
    assert posted(tokens, grant, basic("finbot", secret)).status == 200
    assert posted(tokens, in_form).status == 200
    both = posted(tokens, in_form, basic("finbot", secret))
    assert (both.status, both.json["error"]) == (400, "invalid_request")
    another = posted(tokens, {**grant, "client_id": "otherbot"}, basic("finbot", secret))
    assert (another.status, another.json["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "changed",
    [{"code_verifier": "a" * 43}, {"redirect_uri": f"{CALLBACK}/elsewhere"}, {"code": "guessed"}],
    ids=lambda each: next(iter(each)),
)
def test_a_code_is_redeemed_by_whom_it_was_made_for_alone(provider, tokens, changed):
    with refused("invalid_grant"):
        tokens.token(redeeming(tokens, **changed), provider.client("finbot"))


@pytest.mark.parametrize("lacking", ["code_verifier", "code", "grant_type"])
def test_what_is_missing_is_said(provider, tokens, lacking):
    form = {name: value for name, value in redeeming(tokens).items() if name != lacking}
    with refused("invalid_request"):
        tokens.token(form, provider.client("finbot"))


def test_a_code_of_another_client_is_refused_and_gone(provider, tokens):
    form = redeeming(tokens)
    with refused("invalid_grant"):
        tokens.token(form, provider.client("otherbot"))
    with refused("invalid_grant"):
        tokens.token(form, provider.client("finbot"))


def test_a_code_is_good_once(provider, tokens):
    form = redeeming(tokens)
    tokens.token(form, provider.client("finbot"))
    with refused("invalid_grant"):
        tokens.token(form, provider.client("finbot"))


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"login_hint": "mallory"}, "login_required"),
        ({"resource": "https://elsewhere.example.org"}, "invalid_target"),
    ],
)
def test_a_login_that_cannot_be_goes_back_to_the_client_as_an_error(tokens, changed, error):
    back = parse_qs(urlsplit(located(tokens, asked(**changed))).query)
    assert back["error"] == [error]
    assert "code" not in back


@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": "nobody"},
        {"redirect_uri": "https://elsewhere.example.org/callback"},
        {"redirect_uri": "http://127.0.0.1/callback/elsewhere"},
        {"redirect_uri": "http://127.0.0.1:80@elsewhere.example.org/callback"},
        {"redirect_uri": "http://127.0.0.1:no/callback"},
        {"redirect_uri": ""},
    ],
)
def test_nobody_is_sent_where_no_client_is_registered(tokens, changed):
    answer = tokens.call("GET", f"{tokens.configuration['authorization_endpoint']}?{urlencode(asked(**changed))}")
    assert (answer.status, answer.json["error"]) == (400, "invalid_request")
    assert "location" not in answer.headers


def test_a_program_on_this_machine_may_listen_on_any_port(tokens):
    assert located(tokens, asked(redirect_uri="http://127.0.0.1:43117/callback")).startswith("http://127.0.0.1:43117/callback?code=")


def test_a_form_that_could_be_read_in_two_ways_is_refused(provider, tokens):
    proof = basic("finbot", provider.client("finbot").secret)
    for form in ("grant_type=client_credentials&grant_type=password", "x" * 70_000):
        answer = posted(tokens, form, proof)
        assert (answer.status, answer.json["error"]) == (400, "invalid_request")
    as_json = tokens.call("POST", tokens.configuration["token_endpoint"], "{}", {"Content-Type": "application/json"})
    assert (as_json.status, as_json.json["error"]) == (400, "invalid_request")


def test_a_grant_that_is_not_known_is_refused(provider, tokens):
    with refused("unsupported_grant_type"):
        tokens.token({"grant_type": "password", "username": "anna", "password": "x"}, provider.client("finbot"))


def test_nobody_exchanges_what_is_not_theirs(provider, tokens):
    annas = tokens.tokens_of("anna", client="finbot").access_token
    with refused("invalid_request"):
        tokens.exchange(annas, client="otherbot")
    with refused("invalid_request"):
        tokens.exchange(tokens.agent_token("finbot"), client="finbot")
    with refused("invalid_request"):
        tokens.exchange(tampered(annas, sub="ben"), client="finbot")
    with refused("invalid_target"):
        tokens.exchange(annas, client="finbot", audience="https://elsewhere.example.org")
    form = {"grant_type": TOKEN_EXCHANGE, "subject_token": annas, "subject_token_type": ACCESS_TOKEN_TYPE}
    for actor in (tokens.agent_token("otherbot"), annas):
        with refused("invalid_request"):
            tokens.token({**form, "actor_token": actor, "actor_token_type": ACCESS_TOKEN_TYPE}, provider.client("finbot"))


def test_an_assertion_is_issued_for_an_id_token_of_the_client_and_a_registered_server_alone(tokens):
    login = tokens.tokens_of("anna", client="finbot")
    for token, client, audience, resource, code in (
        (login.access_token, "finbot", CHAT_ISSUER, CHAT, "invalid_request"),
        (login.id_token, "otherbot", CHAT_ISSUER, CHAT, "invalid_request"),
        (login.id_token, "finbot", CHAT, CHAT, "invalid_target"),
        (login.id_token, "finbot", CHAT_ISSUER, AUDIENCE, "invalid_target"),
    ):
        with refused(code):
            tokens.assertion(token, client=client, audience=audience, resource=resource)


def test_nobody_else_changes_its_keys(provider, tokens):
    before = tokens.call("GET", tokens.configuration["jwks_uri"]).json
    for headers in ({}, {"Authorization": "Bearer guessed"}):
        assert tokens.call("POST", f"{provider.issuer}{ROTATION_PATH}?keep_old=false", headers=headers).status == 401
    assert tokens.call("GET", tokens.configuration["jwks_uri"]).json == before


def test_codes_and_tokens_end():
    clock = itertools.count(1_000_000, 61)
    people, clients = {"anna": Person("anna")}, {"finbot": Client("finbot")}
    registry = Registry("https://idp.example.org", (AUDIENCE,), clients, people, token_seconds=60, control_secret="")
    grants = Grants(registry, Signer(), lambda: next(clock))
    code = parse_qs(urlsplit(grants.authorize(asked())).query)["code"][0]
    form = {"grant_type": AUTHORIZATION_CODE, "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    with refused("invalid_grant"):
        grants.token(form, clients["finbot"])
    own = grants.token({"grant_type": CLIENT_CREDENTIALS}, clients["finbot"])["access_token"]
    exchange = {"grant_type": TOKEN_EXCHANGE, "subject_token": own, "subject_token_type": ACCESS_TOKEN_TYPE}
    with pytest.raises(GrantRefused, match="subject_token is expired"):
        grants.token(exchange, clients["finbot"])


def test_it_is_there_for_this_machine_alone_and_ends_without_a_trace():
    with IdentityProvider() as running:
        assert _addresses(running) == {"0100007F"}, "127.0.0.1 in the kernel's spelling"
        directory = running.directory
        assert all(file.stat().st_mode & 0o077 == 0 for file in directory.iterdir())
        running.check()
    assert not directory.exists()
    with pytest.raises(OSError, match="refused"):
        running.tokens.call("GET", running.issuer + DISCOVERY_PATH)


def test_pods_may_call_it_by_their_name_for_this_machine_which_alone_still_reaches_it():
    with IdentityProvider(host="host.internal") as running:
        token = claims(running.tokens.agent_token("finbot"))
        assert _addresses(running) == {"0100007F"}
    assert token["iss"] == running.issuer == f"https://host.internal:{urlsplit(running.issuer).port}"


def test_it_listens_where_it_is_told_and_there_alone():
    (port,) = free_ports(1)
    with IdentityProvider(host="127.0.0.2", listen="127.0.0.2", port=port) as running:
        assert claims(running.tokens.agent_token("finbot"))["iss"] == f"https://127.0.0.2:{port}"
        assert _addresses(running) == {"0200007F"}


@pytest.mark.parametrize("listen", ["0.0.0.0", "172.18.0.1"])
def test_where_others_reach_it_nobody_gets_a_token_without_a_secret(listen: str):
    with pytest.raises(Unusable, match="gives tokens to anyone who reaches it as desktop: give it a secret"):
        IdentityProvider(clients=CLIENTS, listen=listen)


def _addresses(provider: IdentityProvider) -> set[str]:
    """On which it listens."""
    return {address for address, port in _listening() if port == urlsplit(provider.issuer).port}


def _listening() -> Iterator[tuple[str, int]]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(table) as lines:
            next(lines)
            for line in lines:
                address, _, port = line.split()[1].rpartition(":")
                yield address, int(port, 16)


# What rolevend makes of its tokens


def tampered(token: str, **changed: Any) -> str:
    head, _, signature = token.split(".")
    body = base64.urlsafe_b64encode(json.dumps({**claims(token), **changed}).encode()).rstrip(b"=").decode()
    return f"{head}.{body}.{signature}"


@pytest.fixture
def check(provider: IdentityProvider) -> TokenCheck:
    """As the operator has it, for an IdentityProvider that names no keys; it looks for new ones without a pause."""

    def clock() -> datetime:
        return datetime.now(UTC)

    believed = Provider(
        name="workforce",
        issuer=provider.issuer,
        audiences=frozenset({AUDIENCE}),
        algorithms=frozenset({Algorithm.RS256}),
        accepts=frozenset({TokenType.ACCESS_TOKEN, TokenType.EXCHANGED, TokenType.ID_TOKEN}),
        keys=Discovery(provider.authorities),
        mapping=ClaimMapping(handle=ClaimPath(("employee_number",)), attributes=(("department", ClaimPath(("department",))),)),
    )
    checking = TokenCheck(KeyStore(KeyFetcher().read, clock, time.monotonic, Pace(cool_down=0.0)), clock)
    checking.follow(by_issuer([believed]))
    return checking


def wanted(provider: IdentityProvider, name: str = "finbot", **changed: Any) -> UserWanted:
    agent = Party(provider.issuer, name)
    return UserWanted(agent, frozenset({agent}), **changed)


async def test_rolevend_takes_its_tokens(provider, tokens, check):
    agent = await check.agent(tokens.agent_token("finbot"), AgentWanted())
    assert agent.party == agent.client == Party(provider.issuer, "finbot")
    login = tokens.tokens_of("anna", client="finbot")
    for text in (login.access_token, login.id_token):
        user = await check.user(text, wanted(provider))
        assert (user.user.subject, user.handle, user.proof) == ("anna", "E10442", ProofKind.TOKEN)
        assert [(each.key, each.values) for each in user.mapped.attributes] == [("department", ("claims",))]
    exchanged = tokens.exchange(login.access_token, client="finbot")
    user = await check.user(exchanged, wanted(provider, exchange_required=True))
    assert (user.user.subject, user.proof, user.actors) == ("anna", ProofKind.EXCHANGED, (Party(provider.issuer, "finbot"),))


async def test_rolevend_refuses_what_was_changed_or_is_anothers(provider, tokens, check):
    annas = tokens.tokens_of("anna", client="finbot").access_token
    exchanged = tokens.exchange(annas, client="finbot")
    for text, wanting, code in (
        (tampered(annas, sub="ben"), wanted(provider), Code.BAD_SIGNATURE),
        (tampered(exchanged, act={"sub": "otherbot"}), wanted(provider, "otherbot"), Code.BAD_SIGNATURE),
        (annas, wanted(provider, "otherbot"), Code.ISSUED_TO_ANOTHER),
        (exchanged, wanted(provider, "otherbot"), Code.ACTOR_IS_ANOTHER),
        (tokens.agent_token("finbot"), wanted(provider), Code.NOT_A_PERSONS),
        (tokens.exchange(annas, client="finbot", audience=CHAT), wanted(provider), Code.WRONG_AUDIENCE),
    ):
        with pytest.raises(TokenRefused) as caught:
            await check.user(text, wanting)
        assert caught.value.code is code
    with pytest.raises(TokenRefused) as caught:
        await check.agent(annas, AgentWanted())
    assert caught.value.code is Code.NOT_AN_AGENTS_OWN


async def test_rolevend_follows_when_keys_change(provider, tokens, check):
    before = tokens.tokens_of("anna", client="finbot").access_token
    await check.user(before, wanted(provider))
    provider.rotate()
    after = tokens.tokens_of("ben", client="finbot").access_token
    assert part(after, 0)["kid"] != part(before, 0)["kid"]
    assert (await check.user(after, wanted(provider))).user.subject == "ben"
    assert (await check.user(before, wanted(provider))).user.subject == "anna"
    with pytest.raises(TokenRefused) as caught:
        await check.user(tampered(after, sub="anna"), wanted(provider))
    assert caught.value.code is Code.BAD_SIGNATURE


async def test_what_a_withdrawn_key_signed_is_refused_once_that_is_known(provider, tokens, check):
    before = tokens.tokens_of("anna", client="finbot").access_token
    await check.user(before, wanted(provider))
    provider.rotate(keep_old=False)
    after = tokens.tokens_of("anna", client="finbot").access_token
    await check.user(after, wanted(provider))
    with pytest.raises(TokenRefused) as caught:
        await check.user(before, wanted(provider))
    assert caught.value.code is Code.UNKNOWN_KEY
    with refused("invalid_request"):
        tokens.exchange(before, client="finbot")

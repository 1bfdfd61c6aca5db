"""Whoever attacks the API with tokens or calls gets a problem document with a stable code; no statement reaches the platform, and no
role is left. The codes of two hundred tokens are tried in `tests/unit/identity/test_token_attacks.py`; here are whole calls over HTTP."""

import hashlib
import hmac
import json
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest

from rolevend.api.refusals import MOST_AT_ONCE
from testbed.controlplane import ISSUER as CLUSTER_ISSUER
from testbed.installation import ApiProcess
from tests.support import tokens
from tests.support.attacking import ROLES, Arena, Made, Tried, overhearing
from tests.support.calling import Doors
from tests.support.ledger import become, has_lease
from tests.support.site import AGENTS, UNADMITTED, Body, Site
from tests.support.tenancy import Tenant
from tests.support.tokens import encode, header, key, public, token, written
from tests.support.waiting import DEADLINE, eventually


@pytest.fixture(scope="module")
def arena(site: Site, doors: Doors) -> Iterator[Arena]:
    tenant = Tenant(site)
    with overhearing(site):
        yield Arena(tenant, doors)
        tenant.leave()


# Tokens of a person, which are right but for one thing


def said(arena: Arena, *, without: tuple[str, ...] = (), **changed: Any) -> Body:
    return arena.proven.claims(without=without, **changed)


def claiming(*without: str, **changed: Any) -> Made:
    return lambda arena: token(said(arena, without=without, **changed))


def soon(seconds: int) -> int:
    return int(time.time()) + seconds


def headed(without: tuple[str, ...] = (), by: str = "rsa", **changed: Any) -> Made:
    return lambda arena: token(said(arena), header(without, **changed), by=by)


def raw_header(text: str) -> Made:
    return lambda arena: token(said(arena), text.encode())


def raw_claim(name: str, text: str) -> Made:
    return lambda arena: token((json.dumps(said(arena, without=(name,)))[:-1] + f',"{name}":{text}}}').encode())


def twice(text: str) -> Made:
    return lambda arena: token((json.dumps(said(arena))[:-1] + f",{text}}}").encode())


def unsigned(algorithm: str) -> Made:
    return lambda arena: f"{written(header(alg=algorithm))}.{written(said(arena))}."


def by_secret(secret: bytes, algorithm: str) -> Made:
    def made(arena: Arena) -> str:
        signed = f"{written(header(alg=algorithm))}.{written(said(arena))}"
        return f"{signed}.{encode(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"

    return made


def with_signature(signature: str) -> Made:
    return lambda arena: f"{arena.proven.token().rpartition('.')[0]}.{signature}"


def with_claims_of_another(arena: Arena) -> str:
    first, _, last = arena.proven.token().split(".")
    return f"{first}.{written(said(arena, sub='boris'))}.{last}"


def of_partner(by: str, kid: str, **changed: Any) -> Made:
    return lambda arena: token(said(arena, iss=arena.partner, **changed), header(kid=kid), by=by)


def exchanged(act: Any, **changed: Any) -> Made:
    return lambda arena: token(said(arena, without=("client_id",), act=act, **changed))


PEM = key("rsa").as_pem(private=False)
UNPROVEN: dict[str, tuple[Made, str]] = {
    "no token at all": (lambda _: "anna", "MalformedToken"),
    "two segments": (lambda arena: arena.proven.token().rpartition(".")[0], "MalformedToken"),
    "four segments": (lambda arena: f"{arena.proven.token()}.e30", "MalformedToken"),
    "padded": (lambda arena: f"{arena.proven.token()}==", "MalformedToken"),
    "line end after": (lambda arena: f"{arena.proven.token()}\n", "MalformedToken"),
    "NUL after": (lambda arena: f"{arena.proven.token()}\0", "MalformedToken"),
    "full-width letters": (lambda arena: arena.proven.token().replace("e", "\uff45", 1), "MalformedToken"),
    "encrypted": (lambda _: f"{written({'alg': 'RSA-OAEP', 'enc': 'A256GCM'})}.a.b.c.d", "EncryptedToken"),
    "encrypted and compressed": (lambda _: f"{written({'alg': 'dir', 'enc': 'A256GCM', 'zip': 'DEF'})}..b.c.d", "EncryptedToken"),
    "JSON serialization": (lambda arena: json.dumps({"payload": written(said(arena)), "signatures": []}), "MalformedToken"),
    "payload compressed": (lambda arena: token(zlib.compress(json.dumps(said(arena)).encode())), "MalformedToken"),
    "compressed, and it says so": (lambda arena: token(zlib.compress(b"{}"), header(zip="DEF")), "HeaderNotAllowed"),
    "nested": (lambda arena: token(arena.proven.token().encode()), "MalformedToken"),
    "nested, and it says so": (lambda arena: token(arena.proven.token().encode(), header(cty="JWT")), "HeaderNotAllowed"),
    "payload nested very deep": (lambda _: token(b'{"a":' + b"[" * 3000 + b"]" * 3000 + b"}"), "MalformedToken"),
    "alg twice": (raw_header('{"typ":"at+jwt","kid":"rsa","alg":"none","alg":"RS256"}'), "DuplicateMember"),
    "sub twice": (twice('"sub":"boris"'), "DuplicateMember"),
    "sub twice, once with an escape": (twice('"\\u0073ub":"boris"'), "DuplicateMember"),
    "iss twice": (twice('"iss":"https://idp.example.org"'), "DuplicateMember"),
    "client_id twice": (twice('"client_id":"another-agent"'), "DuplicateMember"),
    **{f"alg {name}": (unsigned(name), "AlgorithmNotAllowed") for name in ("none", "NoNe", "NONE", "")},
    "HS256 with the public key": (by_secret(PEM, "HS256"), "AlgorithmNotAllowed"),
    "HMAC with the public key under RS256": (by_secret(PEM, "RS256"), "BadSignature"),
    "an algorithm that the issuer does not use": (headed(alg="PS256"), "AlgorithmNotAllowed"),
    "RS256 with an EC key": (headed(kid="p256"), "KeyMismatch"),
    "no kid where several keys fit": (headed(("kid",)), "AmbiguousKey"),
    "unknown kid": (headed(kid="rsa-99"), "UnknownKey"),
    "kid a path": (headed(kid="../../../../../../dev/null"), "UnknownKey"),
    "kid SQL": (headed(kid="x' UNION SELECT 'secret' --"), "UnknownKey"),
    "kid a command": (headed(kid="rsa|/usr/bin/id"), "UnknownKey"),
    "kid a URL": (headed(kid="https://attacker.example.org/keys"), "UnknownKey"),
    "kid with NUL": (headed(kid="rsa\0"), "UnknownKey"),
    "kid huge": (headed(kid="x" * 8000), "MalformedToken"),
    "kid of another key of the issuer": (headed(kid="rsa-2"), "BadSignature"),
    "a key brought along": (headed(by="rsa-mine", jwk=public("rsa-mine")), "HeaderNotAllowed"),
    "keys elsewhere": (headed(by="rsa-mine", jku="https://attacker.example.org/keys"), "HeaderNotAllowed"),
    "a certificate elsewhere": (headed(by="rsa-mine", x5u="https://attacker.example.org/x5u"), "HeaderNotAllowed"),
    "a certificate brought along": (headed(by="rsa-mine", x5c=["MIIB"]), "HeaderNotAllowed"),
    "crit": (headed(crit=["exp"]), "HeaderNotAllowed"),
    "b64 false": (headed(b64=False), "HeaderNotAllowed"),
    "signed by nobody's key": (headed(by="rsa-mine"), "BadSignature"),
    "no signature": (with_signature(""), "BadSignature"),
    "a signature of zeros": (with_signature(encode(bytes(256))), "BadSignature"),
    "claims of another token": (with_claims_of_another, "BadSignature"),
    "unknown issuer": (claiming(iss="https://attacker.example.org"), "UnknownIssuer"),
    "the issuer with a slash": (lambda arena: token(said(arena, iss=f"{arena.proven.issuer}/")), "UnknownIssuer"),
    "look-alike letters": (lambda arena: token(said(arena, iss=arena.proven.issuer.replace("i", "\u0456"))), "UnknownIssuer"),
    "full-width letters in the issuer": (lambda arena: token(said(arena, iss=arena.proven.issuer.replace("i", "\uff49"))), "UnknownIssuer"),
    "the issuer with a zero-width space": (lambda arena: token(said(arena, iss=f"{arena.proven.issuer}\u200b")), "MalformedClaim"),
    "a list of issuers": (lambda arena: token(said(arena, iss=[arena.proven.issuer])), "MalformedClaim"),
    "another issuer's name with this one's key": (of_partner("rsa", "rsa"), "UnknownKey"),
    "this issuer's name with another one's key": (headed(by="rsa-other", kid="rsa-other"), "UnknownKey"),
    "another one's key under this one's kid": (headed(by="rsa-other"), "BadSignature"),
    "expired": (lambda arena: arena.proven.token(seconds=-60), "TokenExpired"),
    "expired, within what clocks may differ": (lambda arena: arena.proven.token(seconds=-5), "TokenExpired"),
    "no exp": (claiming("exp"), "MissingClaim"),
    "exp a text": (lambda arena: token(said(arena, exp=str(soon(600)))), "MalformedClaim"),
    "exp Infinity": (raw_claim("exp", "Infinity"), "MalformedToken"),
    "exp in milliseconds": (lambda arena: token(said(arena, exp=soon(600) * 1000)), "MalformedClaim"),
    "a clock that is ahead, by nbf": (lambda arena: token(said(arena, nbf=soon(90))), "NotYetValid"),
    "a clock that is ahead, by iat": (lambda arena: token(said(arena, iat=soon(90))), "IssuedInTheFuture"),
    "nbf false": (claiming(nbf=False), "MalformedClaim"),
    "sub a number": (claiming(sub=7), "MalformedClaim"),
    "sub empty": (claiming(sub=""), "MalformedClaim"),
    "sub with a line end": (claiming(sub="anna\nboris"), "MalformedClaim"),
    "sub turned round": (claiming(sub="\u202eanna"), "MalformedClaim"),
    "sub of half a letter": (raw_claim("sub", '"\\ud800"'), "MalformedClaim"),
    "for another audience": (claiming(aud="https://elsewhere.example.org"), "WrongAudience"),
    "audiences with a number": (claiming(aud=[tokens.AUDIENCE, 7]), "MalformedClaim"),
    "a logout token": (headed(typ="logout+jwt"), "WrongType"),
    "an assertion grant": (headed(typ="oauth-id-jag+jwt"), "WrongType"),
    "act null": (exchanged(None), "MalformedClaim"),
    "act a text": (exchanged("anna"), "MalformedClaim"),
    "act empty": (exchanged({}), "MissingClaim"),
}
NOT_ALLOWED: dict[str, tuple[Made, str]] = {
    "another believed issuer's person": (of_partner("rsa-other", "rsa-other"), "IssuedToAnother"),
    "an ID token": (lambda arena: token(said(arena, aud=arena.proven.client), header(typ="JWT")), "TypeNotAccepted"),
    "issued to another agent": (lambda arena: token(said(arena, client_id=arena.rival)), "IssuedToAnother"),
    "issued to another agent, by azp": (lambda arena: token(said(arena, azp=arena.rival)), "IssuedToAnother"),
    "issued to nobody here": (claiming(client_id="nobody"), "IssuedToAnother"),
    "act of another agent": (lambda arena: exchanged({"sub": arena.rival})(arena), "ActorIsAnother"),
    "act of another agent, client_id ours": (lambda arena: token(said(arena, act={"sub": arena.rival})), "ActorIsAnother"),
    "act of the same name with another issuer": (
        lambda arena: exchanged({"iss": arena.partner, "sub": arena.proven.client})(arena),
        "ActorIsAnother",
    ),
    "act whose earlier actor is the agent": (
        lambda arena: exchanged({"sub": arena.rival, "act": {"sub": arena.proven.client}})(arena),
        "ActorIsAnother",
    ),
    "the agent's own token": (lambda arena: arena.bearer, "NotAPersons"),
    "the agent for itself by exchange": (
        lambda arena: exchanged({"sub": arena.proven.client}, sub=arena.proven.client)(arena),
        "NotAPersons",
    ),
}
OF_A_PERSON = {name: (made, 401, code) for name, (made, code) in UNPROVEN.items()} | {
    name: (made, 403, code) for name, (made, code) in NOT_ALLOWED.items()
}


def told_nothing_of(arena: Arena, tried: Tried, *values: str) -> None:
    told = tried.answer.text + "".join(json.dumps(event) for event in arena.events(tried))
    assert not [value for value in values if value in told]


@pytest.mark.parametrize(("made", "status", "code"), OF_A_PERSON.values(), ids=OF_A_PERSON.keys())
def test_a_token_that_proves_no_person_is_refused_and_recorded(arena: Arena, made: Made, status: int, code: str):
    text = made(arena)

    tried = arena.vend(text)

    assert tried.problem(status, code)["field"] == "userToken"
    event = arena.recorded(tried, "User", code)
    assert event["agent"] == f"{AGENTS}/{arena.proven.tenant.name}"
    assert event["tokenDigest"] == hashlib.sha256(text.rpartition(".")[0].encode()).hexdigest()
    told_nothing_of(arena, tried, "anna", "boris", arena.proven.client, arena.rival, arena.proven.issuer)
    arena.untold(tried)
    assert arena.is_untouched()


# Tokens of an agent


def own(**changed: Any) -> Callable[[Arena], Body]:
    return lambda arena: arena.proven.claims(arena.proven.client, **changed)


def of_agent(by: str = "rsa", without: tuple[str, ...] = (), head: Body | None = None, **changed: Any) -> Made:
    return lambda arena: token(own(without=without, **changed)(arena), head, by=by)


OF_AN_AGENT: dict[str, tuple[Made, int, str]] = {
    "no token at all": (lambda _: "finbot", 401, "MalformedToken"),
    "oversized": (lambda _: "x" * 20_000, 401, "TokenTooLarge"),
    "a flood of dots": (lambda _: "." * 20_000, 401, "TokenTooLarge"),
    "full-width letters": (lambda arena: arena.bearer.replace("e", "\uff45", 1), 401, "MalformedToken"),
    "alg none": (lambda arena: f"{written(header(alg='none'))}.{written(own()(arena))}.", 401, "AlgorithmNotAllowed"),
    "signed by nobody's key": (of_agent(by="rsa-mine"), 401, "BadSignature"),
    "a key brought along": (of_agent(by="rsa-mine", head=header(jwk=public("rsa-mine"))), 401, "HeaderNotAllowed"),
    "kid a path": (of_agent(head=header(kid="/dev/null")), 401, "UnknownKey"),
    "sub twice": (lambda arena: token(json.dumps(own()(arena))[:-1].encode() + b',"sub":"other"}'), 401, "DuplicateMember"),
    "expired": (of_agent(seconds=-60), 401, "TokenExpired"),
    "no exp": (of_agent(without=("exp",)), 401, "MissingClaim"),
    "no client_id": (of_agent(without=("client_id",)), 401, "MissingClaim"),
    "two clients": (lambda arena: token(own(azp=arena.rival)(arena)), 401, "MalformedClaim"),
    "for another audience": (of_agent(aud="https://elsewhere.example.org"), 401, "WrongAudience"),
    "unknown issuer": (of_agent(iss="https://attacker.example.org"), 401, "UnknownIssuer"),
    "another issuer's name with this one's key": (lambda arena: token(own(iss=arena.partner)(arena)), 401, "UnknownKey"),
    "the same client of another issuer": (
        lambda arena: token(own(iss=arena.partner)(arena), header(kid="rsa-other"), by="rsa-other"),
        403,
        "AgentUnknown",
    ),
    "a client that is no agent's": (of_agent(client_id="nobody", sub="nobody"), 403, "AgentUnknown"),
    "a person's token that the agent's client got": (lambda arena: arena.proven.token(), 403, "NotAnAgentsOwn"),
    "a person's token by exchange": (
        lambda arena: exchanged({"sub": arena.proven.client})(arena),
        403,
        "TypeNotAccepted",
    ),
    "an ID token": (of_agent(head=header(typ="JWT")), 403, "TypeNotAccepted"),
    "another agent's name under its own client": (lambda arena: token(own(client_id=arena.rival)(arena)), 403, "NotAnAgentsOwn"),
}


@pytest.mark.parametrize(("made", "status", "code"), OF_AN_AGENT.values(), ids=OF_AN_AGENT.keys())
def test_a_token_that_proves_no_agent_is_refused_and_recorded(arena: Arena, made: Made, status: int, code: str):
    tried = arena.vend(bearer=made(arena))

    assert tried.problem(status, code)["field"] == "Authorization"
    event = arena.recorded(tried, "Agent", code)
    assert "agent" not in event
    told_nothing_of(arena, tried, "anna", "finbot", arena.proven.client, arena.rival, arena.proven.issuer)
    arena.untold(tried)
    assert arena.is_untouched()


OTHER_CALLS = [
    *(("POST", "/v1/decisions"), ("GET", "/v1/platforms")),
    *(("GET", ROLES), ("GET", f"{ROLES}/any"), ("DELETE", f"{ROLES}/any")),
]


@pytest.mark.parametrize(("method", "path"), OTHER_CALLS, ids=["decide", "platforms", "list", "get", "release"])
@pytest.mark.parametrize("name", ["signed by nobody's key", "a person's token that the agent's client got"])
def test_every_call_asks_for_the_agents_own_token(arena: Arena, method: str, path: str, name: str):
    made, status, code = OF_AN_AGENT[name]

    tried = arena.send(method, path, arena.body() if method == "POST" else None, bearer=made(arena))

    tried.problem(status, code)
    arena.recorded(tried, "Agent", code)


@pytest.mark.parametrize("name", ["signed by nobody's key", "issued to another agent", "expired", "the agent's own token"])
def test_a_decision_asks_for_the_same_token_as_a_vend(arena: Arena, name: str):
    made, status, code = OF_A_PERSON[name]

    tried = arena.send("POST", "/v1/decisions", arena.body(made(arena)))

    tried.problem(status, code)
    arena.recorded(tried, "User", code)


# Who may use a token that is right, where, and how often


def test_a_persons_token_is_of_no_use_to_another_agent_at_any_replica(arena: Arena):
    text = arena.proven.token()

    for api in (arena.doors.first, arena.doors.second):
        tried = arena.vend(text, bearer=arena.own(arena.rival), api=api)

        tried.problem(403, "IssuedToAnother")
        assert arena.recorded(tried, "User", "IssuedToAnother")["agent"] == f"{AGENTS}/{arena.proven.tenant.name}-rival"
    assert arena.is_untouched()


def test_an_agents_word_is_no_proof_where_a_token_is_required(arena: Arena):
    question = {**arena.body(), "user": arena.proven.user()}
    del question["userToken"]

    assert arena.send("POST", ROLES, question).problem(403, "TokenRequired")["field"] == "userToken"
    assert arena.is_untouched()


def test_a_token_proves_one_role_at_whichever_replica_and_the_second_try_reaches_no_platform(arena: Arena, tenant: Tenant):
    own = Arena(tenant, arena.doors).warm()
    text = own.proven.token()
    first = own.vend(text).answer
    assert first.status_code == 201
    (object_,) = own.objects()

    for api in (arena.doors.second, arena.doors.first):
        again = own.vend(text, api=api)
        again.problem(403, "TokenReplayed")
        assert own.recorded_among(again, "User", "TokenReplayed")["agent"] == f"{AGENTS}/{tenant.name}"
    eventually(lambda: own.objects() == [object_])
    own.untold(again)
    assert own.send("DELETE", f"{ROLES}/{object_}").answer.status_code == 204
    after = own.vend(text)
    after.problem(403, "TokenReplayed")
    eventually(lambda: not own.objects())
    assert own.named() == {first.json()["roleName"]}


def test_twice_at_once_at_both_replicas_a_token_proves_one_role(arena: Arena, tenant: Tenant):
    own = Arena(tenant, arena.doors).warm()
    text = own.proven.token()

    with ThreadPoolExecutor(8) as threads:
        doors = [(arena.doors.first, arena.doors.second)[number % 2] for number in range(8)]
        answers = [each.answer for each in threads.map(lambda api: own.vend(text, api=api), doors)]

    assert sorted(each.status_code for each in answers) == [201, *[403] * 7]
    assert {each.json()["code"] for each in answers if each.status_code == 403} == {"TokenReplayed"}
    (vended,) = [each.json() for each in answers if each.status_code == 201]
    eventually(lambda: own.objects() == [vended["id"]])
    assert own.named() == {vended["roleName"]}


def test_a_key_of_one_agent_is_nothing_to_another(arena: Arena, tenant: Tenant):
    own = Arena(tenant, arena.doors)
    monday = {"Idempotency-Key": "monday"}
    own.warm()
    first = own.vended(headers=monday)

    other = own.vended(bearer=own.own(own.rival), client=own.rival, headers=monday)

    assert other["id"] != first["id"]
    changed = own.send("POST", ROLES, own.body(), headers=monday, api=arena.doors.second)
    assert changed.problem(409, "IdempotencyConflict")["field"] == "Idempotency-Key"
    assert own.named() == {first["roleName"], other["roleName"]}


def test_another_agents_role_is_not_there_to_see_or_to_end(arena: Arena, tenant: Tenant):
    own = Arena(tenant, arena.doors)
    role = own.vended()

    for method in ("GET", "DELETE"):
        for bearer in (own.own(own.rival), arena.bearer):
            tried = own.send(method, f"{ROLES}/{role['id']}", bearer=bearer)
            missing = own.send(method, f"{ROLES}/{role['id'][:-1]}", bearer=bearer)
            told, as_of_none = tried.problem(404, "NotFound"), missing.problem(404, "NotFound")
            assert told["detail"].replace(role["id"], "") == as_of_none["detail"].replace(role["id"][:-1], "")
    eventually(lambda: own.objects() == [role["id"]])  # those of calls before it that gave none go, too
    assert own.site.warehouse.has(role["roleName"])


def test_an_agent_of_another_namespace_sees_and_ends_nothing_here(arena: Arena, tenant: Tenant):
    role_of = Arena(tenant, arena.doors)
    role = role_of.vended()
    client = f"stranger-to-{tenant.name}"
    identity = {"type": "OIDCClient", "oidcClient": {"issuer": role_of.proven.issuer, "clientIDs": [client]}}
    stranger = role_of.proven.agent(tenant.name, namespace=UNADMITTED, handle=f"{tenant.handle}S", identity=identity)
    role_of.site.told(stranger, "Accepted", "True")

    eventually(lambda: role_of.send("GET", ROLES, bearer=role_of.own(client)).answer.json() == {"items": []})
    for method in ("GET", "DELETE"):
        role_of.send(method, f"{ROLES}/{role['id']}", bearer=role_of.own(client)).problem(404, "NotFound")
    role_of.vend(role_of.proven.token(client_id=client), bearer=role_of.own(client)).problem(403, "NotPermitted")
    eventually(lambda: role_of.objects() == [role["id"]])
    assert role_of.site.warehouse.has(role["roleName"])


# ServiceAccounts, by the keys and the word of a real API server


@pytest.fixture(scope="module")
def account(site: Site, arena: Arena) -> str:
    """The ServiceAccount of an agent of its own, at two replicas that know it."""
    name = f"{arena.proven.tenant.name}-account"
    site.control_plane.kubectl("create", "serviceaccount", name, "--namespace", AGENTS)
    keys = {"discovery": "Kubernetes"}
    spec = {"issuer": CLUSTER_ISSUER, "keys": keys, "audiences": [tokens.AUDIENCE], "algorithms": ["ES256"], "accepts": ["ServiceAccount"]}
    site.told(arena.proven.tenant.make("IdentityProvider", spec, f"{name}-cluster"), "Ready", "True")
    identity = {"type": "ServiceAccount", "serviceAccount": {"name": name}}
    site.told(arena.proven.agent(name, handle=f"{arena.proven.tenant.handle}A", identity=identity), "Accepted", "True")
    for api in (arena.doors.first, arena.doors.second):
        eventually(lambda api=api: listed(arena, of_account(site, name), api).answer.status_code == 200)
    return name


def of_account(site: Site, name: str, namespace: str = AGENTS, audience: str = tokens.AUDIENCE) -> str:
    return site.control_plane.service_account_token(namespace, name, audiences=(audience,))


def listed(arena: Arena, bearer: str, api: ApiProcess | None = None) -> Tried:
    return arena.send("GET", ROLES, bearer=bearer, api=api)


def resigned(real: str, by: str, **changed: Any) -> str:
    """With the names of a real one, and of its key."""
    head, payload = tokens.header_of(real), {**tokens.payload_of(real), **changed}
    return token(payload, head, by=by, algorithm="ES256")


def test_a_serviceaccounts_token_for_the_api_server_is_none_for_us(arena: Arena, account: str):
    tried = listed(arena, of_account(arena.site, account, audience=CLUSTER_ISSUER))

    tried.problem(401, "WrongAudience")
    arena.recorded(tried, "Agent", "WrongAudience")
    arena.untold(tried)


def test_a_serviceaccount_that_is_no_agents_is_nobody(arena: Arena, account: str):
    """The same name in another namespace is somebody else, too."""
    control_plane = arena.site.control_plane
    control_plane.kubectl("create", "serviceaccount", account, "--namespace", UNADMITTED)
    for name, namespace in (("default", AGENTS), (account, UNADMITTED)):
        tried = listed(arena, of_account(arena.site, name, namespace))
        tried.problem(403, "AgentUnknown")
        arena.recorded(tried, "Agent", "AgentUnknown")


def test_a_serviceaccounts_token_of_another_cluster_is_nothing_though_all_its_names_are_right(arena: Arena, account: str):
    real = of_account(arena.site, account)
    for text, code in (
        (resigned(real, "p256-elsewhere"), "BadSignature"),
        (token(tokens.payload_of(real), {"alg": "ES256", "kid": "elsewhere"}, by="p256-elsewhere", algorithm="ES256"), "UnknownKey"),
        (resigned(real, "p256-elsewhere", iss="https://kubernetes.elsewhere.example.org"), "UnknownIssuer"),
    ):
        tried = listed(arena, text)
        tried.problem(401, code)
        arena.recorded(tried, "Agent", code)
        arena.untold(tried)


def test_a_serviceaccounts_token_proves_no_person(arena: Arena, account: str):
    tried = arena.vend(of_account(arena.site, account))

    tried.problem(403, "TypeNotAccepted")
    arena.recorded(tried, "User", "TypeNotAccepted")
    assert arena.is_untouched()


def test_a_serviceaccount_that_is_deleted_is_nobody_within_seconds_at_every_replica(arena: Arena, account: str):
    """Its token has the right signature, and an hour left. The API server itself remembers for ten seconds that it took it."""
    text = of_account(arena.site, account)
    arena.site.control_plane.kubectl("delete", "serviceaccount", account, "--namespace", AGENTS)

    for api in (arena.doors.first, arena.doors.second):
        eventually(lambda api=api: listed(arena, text, api).answer.status_code == 401)
        tried = arena.vend(bearer=text, api=api)
        tried.problem(401, "NotAuthenticated")
        arena.recorded(tried, "Agent", "NotAuthenticated")
        arena.untold(tried)
    assert arena.is_untouched()


# More of them than anybody reads


@pytest.mark.long
def test_a_flood_of_tokens_fills_no_disk_and_hides_nothing_of_an_agents_own(arena: Arena):
    api = arena.doors.open()
    api.wait_until_ready()
    eventually(lambda: arena.decide(api, arena.bearer, arena.proven.token()).get("granted"))
    many = MOST_AT_ONCE + 400

    strangers = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(
        base_url=api.url, headers={"Authorization": "Bearer made.up.token"}, limits=strangers, trust_env=False, timeout=DEADLINE
    ) as client:
        codes = {client.get(ROLES).status_code for _ in range(many)}
    own = arena.vend(arena.proven.token(seconds=-60), api=api)
    api.stop()

    assert codes == {401}
    own.problem(401, "TokenExpired")
    refused = [line["data"] for line in map(json.loads, api.log.read_text().splitlines()) if line.get("type") == "dev.rolevend.refused"]
    assert [each["reason"] for each in refused if each["bearer"] == "User"] == ["TokenExpired"]
    of_nobody = [each for each in refused if each["bearer"] == "Agent"]
    left_out = [each["refusalsLeftOut"] for each in of_nobody if each["reason"] == "LeftOut"]
    written_down = len(of_nobody) - len(left_out)
    assert written_down + sum(left_out) == many
    assert left_out
    assert MOST_AT_ONCE <= written_down < many


@pytest.fixture
def ledger(site: Site) -> Iterator[None]:
    """The warehouse alone records used tokens."""
    become(site, "Joining")
    become(site, "Enabled")
    yield
    become(site, "Joining")
    become(site, "Disabled")


@pytest.mark.usefixtures("ledger")
def test_with_a_ledger_a_token_of_one_door_is_refused_at_the_other(arena: Arena, tenant: Tenant):
    own = Arena(tenant, arena.doors)
    for api in (arena.doors.first, arena.doors.second):
        eventually(lambda api=api: leaves_no_lease(own, api))
    by_kubectl, by_http = str(uuid4()), str(uuid4())
    at_kubectl, at_http = own.proven.token(jti=by_kubectl), own.proven.token(jti=by_http)

    own.proven.ask(at_kubectl).ready()
    assert own.vend(at_http).answer.status_code == 201

    for api in (arena.doors.first, arena.doors.second):
        own.vend(at_kubectl, api=api).problem(403, "TokenReplayed")
        own.vend(at_http, api=api).problem(403, "TokenReplayed")
    for text in (at_kubectl, at_http):
        own.proven.ask(text).refused("TokenReplayed", granted="False")
    assert not has_lease(own.proven, by_kubectl)
    assert not has_lease(own.proven, by_http)


def leaves_no_lease(arena: Arena, api: ApiProcess) -> bool:
    """True as soon as the replica has read that the ledger is on."""
    token_id = str(uuid4())
    answer = arena.vend(arena.proven.token(jti=token_id), api=api).answer
    assert answer.status_code == 201, answer.text
    return not has_lease(arena.proven, token_id)

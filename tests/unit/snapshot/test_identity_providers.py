"""IdentityProviders as objects: what each becomes for the token check, which of two counts, and what is said of their keys."""

import asyncio
import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rolevend.decision.person_login import PersonLogin
from rolevend.decision.snapshot_inputs import KubernetesUsername
from rolevend.errors import InvalidInput, RolevendError
from rolevend.identity.claim_mapping import ClaimMapping, ClaimPath
from rolevend.identity.key_store import KeyStore
from rolevend.identity.provider import Algorithm, ClusterKeys, Discovery, InlineKeys, KeysUrl, Provider, SignalTerms, TokenType
from rolevend.identity.token_check import TokenCheck
from rolevend.kinds import IdentityProvider
from rolevend.snapshot.builder import SnapshotBuild
from rolevend.snapshot.identity_providers import KeysState, cluster_issuer, provider_of
from rolevend.snapshot.issuer_controller import POLL_SECONDS, IssuerController
from tests.support import tokens
from tests.support.painted import NOW, OBJECTS, made, message, paint, said

READ = KeysState(2)


def provider(name: str = "workforce", age: int = 0, **spec: object) -> IdentityProvider:
    keys = {"url": "https://idp.example.org/keys", "caSecretRef": {"name": "idp-ca", "key": "ca.crt"}}
    found: IdentityProvider = made(IdentityProvider, name, age=age, **{"keys": keys, "login": None, "signals": None, **spec})
    return found


def painted(*providers: IdentityProvider, **states: KeysState) -> SnapshotBuild:
    return paint(replace(OBJECTS, providers=providers, key_states=states))


def test_people_log_in_where_the_object_says_so():
    login = {"url": "https://access.example.org", "clientID": "page", "clientSecretRef": {"name": "idp-login"}}
    with_login = provider(keys={"discovery": "OpenIDConnect"}, login=login)

    found = painted(with_login, provider("partner", issuer="https://partner.example.org")).snapshot.logins

    assert found == {"https://idp.example.org": PersonLogin("https://access.example.org", "page", ("idp-login", "client-secret"))}
    assert found["https://idp.example.org"].redirect_uri == "https://access.example.org/confirm/callback"


def test_what_the_object_says_is_what_the_check_gets():
    found = provider_of(provider(), "PEM")

    assert replace(found, mapping=ClaimMapping()) == Provider(
        name="workforce",
        issuer="https://idp.example.org",
        audiences=frozenset({"https://rolevend.example.org"}),
        algorithms=frozenset({Algorithm.RS256, Algorithm.EDDSA}),
        accepts=frozenset({TokenType.ACCESS_TOKEN, TokenType.EXCHANGED, TokenType.ID_TOKEN}),
        keys=KeysUrl("https://idp.example.org/keys", "PEM"),
        maximum_life=timedelta(hours=1),
    )
    assert (found.mapping.subject, found.mapping.client, found.mapping.handle) == tuple(
        ClaimPath((name,)) for name in ("oid", "cid", "employee")
    )
    department, groups = found.mapping.attributes
    assert department == ("department", ClaimPath(("org", "department")))
    assert (groups[0], getattr(groups[1], "text", "")) == ("groups", "claims.groups.filter(one, one.startsWith('data-'))")


def test_the_snapshot_has_how_the_users_of_accepted_issuers_are_named_in_kubernetes():
    silent = provider("silent", issuer="https://silent.example.org", kubernetesUsername=None)
    younger = provider("younger", age=-60, kubernetesUsername={"attribute": "sub"})

    assert painted(provider(), silent, younger).snapshot.usernames == {"https://idp.example.org": KubernetesUsername("email", "oidc:")}


def test_where_nothing_is_said_little_is_taken():
    found = provider_of(
        provider(algorithms=None, accepts=None, maxTokenSeconds=None, claims=None, keys={"inline": tokens.KEYS.decode()}),
    )

    assert found.algorithms == {Algorithm.RS256}
    assert found.accepts == {TokenType.ACCESS_TOKEN, TokenType.EXCHANGED}
    assert (found.keys, found.mapping, found.maximum_life) == (InlineKeys(tokens.KEYS.decode()), ClaimMapping(), None)
    assert provider_of(provider(keys={"discovery": "OpenIDConnect"})).keys == Discovery()
    assert provider_of(provider(keys={"discovery": "Kubernetes"}, accepts=["ServiceAccount"])).keys == ClusterKeys()


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"keys": {"url": "http://idp.example.org/keys"}}, "spec.keys.url"),
        ({"keys": {"url": "https://user:secret@idp.example.org/keys"}}, "spec.keys.url"),
        ({"issuer": "idp", "keys": {"discovery": "OpenIDConnect"}}, "spec.issuer"),
        ({"keys": {"inline": "{}"}}, "spec.keys.inline"),
        ({"keys": {"inline": '{"keys": [{"kty": "oct", "k": "eA"}]}'}}, "spec.keys.inline"),
        ({"claims": {"handle": {"expression": "user.name"}}}, "spec.claims.handle.expression"),
        ({"claims": {"attributes": [{"key": "a", "path": ["a"]}, {"key": "b", "expression": "claims."}]}}, "attributes[1].expression"),
    ],
)
def test_what_cannot_be_is_said_at_its_field(spec: dict[str, object], field: str):
    built = painted(provider(**spec), workforce=READ)

    assert said(built, "workforce", "Accepted") == said(built, "workforce", "Ready") == ("False", "InvalidInput")
    assert field in message(built, "workforce", "Accepted")
    assert built.providers == {}


def test_of_two_of_one_issuer_the_older_one_counts():
    young, old = provider("young", audiences=["other"]), provider("old", age=60)

    built = painted(young, old, old=READ)

    assert said(built, "old", "Ready") == ("True", "KeysRead")
    assert said(built, "young", "Accepted") == said(built, "young", "Ready") == ("False", "IssuerConflict")
    assert "IdentityProvider old has it already" in message(built, "young", "Accepted")
    assert [resource.name for resource, _ in built.providers.values()] == ["old"]


def test_a_cluster_has_one_issuer():
    one, two = (provider(name, issuer=f"https://{name}", accepts=["ServiceAccount"], age=age) for name, age in (("one", 60), ("two", 0)))

    built = painted(one, two, provider())

    assert said(built, "two", "Accepted") == ("False", "IssuerConflict")
    assert set(built.providers) == {"https://one", "https://idp.example.org"}
    assert cluster_issuer(built.providers) == "https://one"
    assert cluster_issuer(painted(provider()).providers) == ""


@pytest.mark.parametrize(
    ("state", "status", "reason", "part"),
    [
        (KeysState(), "Unknown", "KeysUnread", "not read yet"),
        (KeysState(0, "no route"), "False", "KeysUnread", "no route. Until then no token of it proves anybody"),
        (KeysState(1), "True", "KeysRead", "with 1 key"),
        (KeysState(2, "no route"), "True", "KeysRead", "with 2 keys"),
        (KeysState(2, "no route", "2026-11-25T12:00:00Z"), "False", "KeysStale", "since 2026-11-25T12:00:00Z: no route"),
    ],
)
def test_what_is_said_of_its_keys(state: KeysState, status: str, reason: str, part: str):
    built = painted(provider(), workforce=state)

    assert said(built, "workforce", "Ready") == (status, reason)
    assert part in message(built, "workforce", "Ready")
    assert state.up == (status == "True"), "what an alert is about is what the condition says"


def test_keys_of_the_cluster_that_cannot_be_read_are_said_with_a_way_out_of_their_own():
    built = painted(provider(keys={"discovery": "Kubernetes"}, accepts=["ServiceAccount"]), workforce=KeysState(0, "spec.issuer: no"))

    assert said(built, "workforce", "Ready") == ("False", "KeysUnread")
    assert "kubectl get --raw /.well-known/openid-configuration" in message(built, "workforce", "Ready")


class Keys:
    """Reads what a test put there, under the authorities that it is told."""

    def __init__(self) -> None:
        self.answer: bytes | RolevendError = tokens.KEYS
        self.asked: list[Any] = []

    async def read(self, of: Provider) -> bytes:
        self.asked.append(of.keys)
        if isinstance(self.answer, RolevendError):
            raise self.answer
        return self.answer


def issuers(keys: Keys, cluster: Any = None, now: Callable[[], Any] = lambda: NOW) -> tuple[IssuerController, KeyStore, list[int]]:
    store = KeyStore(keys.read, now, lambda: 0.0)
    told: list[int] = []
    return IssuerController(cluster, "system", TokenCheck(store, now), store, lambda: told.append(1), now), store, told


async def test_what_became_of_keys_is_told_once():
    keys = Keys()
    controller, store, told = issuers(keys)
    controller.sync(painted(provider(keys={"url": "https://idp.example.org/keys"})).providers)

    controller._publish_states()
    assert controller.states == {"workforce": KeysState()}
    await store.refresh("https://idp.example.org")
    controller._publish_states()
    controller._publish_states()

    assert controller.states == {"workforce": KeysState(6)}
    assert len(told) == 2


async def test_what_becomes_of_keys_is_told_as_it_happens_and_nobody_looks_meanwhile():
    keys = Keys()
    controller, store, _ = issuers(keys)
    running = asyncio.create_task(controller.run())

    async def is_told(state: KeysState) -> None:
        async with asyncio.timeout(POLL_SECONDS / 3):
            while controller.states != {"workforce": state}:
                await store.refresh("https://idp.example.org")

    controller.sync(painted(provider(keys={"url": "https://idp.example.org/keys"})).providers)
    await is_told(KeysState(6))
    keys.answer = InvalidInput("", "no route")
    await is_told(KeysState(6, "no route"))

    running.cancel()
    await asyncio.wait([running])


async def test_keys_that_cannot_be_read_for_too_long_are_told_with_since_when():
    keys, clock = Keys(), [NOW]
    controller, store, _ = issuers(keys, now=lambda: clock[0])
    controller.sync(painted(provider(keys={"url": "https://idp.example.org/keys"})).providers)
    await store.refresh("https://idp.example.org")
    keys.answer = InvalidInput("", "no route")
    await store.refresh("https://idp.example.org")
    controller._publish_states()
    assert controller.states == {"workforce": KeysState(6, "no route")}

    clock[0] += timedelta(minutes=11)
    controller._publish_states()

    assert controller.states == {"workforce": KeysState(6, "no route", "2026-11-24T12:00:00Z")}


class Secrets:
    def __init__(self, **texts: str) -> None:
        self.texts = texts

    async def get(self, resource: object, name: str, namespace: str) -> dict[str, Any]:
        data = {"ca.crt": base64.b64encode(self.texts[name].encode()).decode()}
        return {"metadata": {"name": name, "namespace": namespace, "resourceVersion": "1"}, "data": data}


async def test_nobody_is_asked_before_the_authorities_that_the_object_names_are_read():
    keys = Keys()
    controller, store, _ = issuers(keys, Secrets(**{"idp-ca": "no PEM"}))
    resource = provider()
    controller.sync(painted(resource).providers)
    await store.refresh("https://idp.example.org")
    assert keys.asked == []

    await controller._read_authority("https://idp.example.org", resource)
    controller._hand_over()
    controller._publish_states()

    assert keys.asked == []
    assert "idp-ca holds no certificates in PEM" in controller.states["workforce"].problem


def test_it_says_if_signals_are_about_users_of_nobody():
    audience = "https://rolevend.example.org/ssf/v1/events"
    users = provider("users", issuer="https://users.example.org")
    sender = provider("sender", signals={"audience": audience, "userIssuer": "https://users.example.org"})
    alone = provider("alone", issuer="https://alone.example.org", signals={"audience": audience})

    assert said(painted(sender, users), "sender", "ReceivesSignals") == ("True", "Valid")
    assert said(painted(alone), "alone", "ReceivesSignals") == ("True", "Valid")
    assert said(painted(sender), "sender", "ReceivesSignals") == ("False", "UserIssuerUnknown")
    assert message(painted(sender), "sender", "ReceivesSignals").startswith(
        "spec.signals.userIssuer: no accepted IdentityProvider has this issuer"
    )
    assert provider_of(sender).signals == SignalTerms(audience, "https://users.example.org")
    assert provider_of(alone).signals == SignalTerms(audience, "https://alone.example.org")

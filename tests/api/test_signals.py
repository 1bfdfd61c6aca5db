"""An identity provider sends security events (Shared Signals, CAEP, RISC): they end the roles of a user, and nobody else can send one."""

import contextlib
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import psycopg
import pytest

from rolevend.api.signals.records import name_of
from rolevend.model import User
from testbed.installation import ApiProcess
from tests.support import tokens
from tests.support.calling import Doors
from tests.support.installed import API
from tests.support.provisioning import Pusher
from tests.support.proxies import ApiProxy
from tests.support.signalling import CAEP, MEDIA_TYPE, RISC, SSF, Transmitter
from tests.support.site import Body, Site
from tests.support.tenancy import Tenant
from tests.support.waiting import eventually

REVOKED, DISABLED, ENABLED, PURGED = f"{CAEP}session-revoked", *(f"{RISC}account-{each}" for each in ("disabled", "enabled", "purged"))
LABEL = "app.kubernetes.io/managed-by"


@pytest.fixture(scope="module")
def proxy(site: Site) -> Iterator[ApiProxy]:
    proxy = ApiProxy(site.control_plane.server)
    yield proxy
    proxy.close()


@pytest.fixture(scope="module")
def api(doors: Doors, proxy: ApiProxy) -> ApiProcess:
    api = doors.open({"API_SIGNALS": "true", "API_SCIM": "true"}, proxy.url)
    api.wait_until_ready()
    return api


@pytest.fixture
def transmitter(tenant: Tenant, api: ApiProcess) -> Iterator[Transmitter]:
    transmitter = Transmitter(tenant, api)
    yield transmitter.ready()
    for subject in ("anna", "bob"):
        if (kept := transmitter.kept(subject)) is not None:
            transmitter.site.remove(kept)


def gone(transmitter: Transmitter, role: Body) -> None:
    eventually(lambda: not transmitter.site.warehouse.has(role["roleName"]))


def refused(transmitter: Transmitter, code: str, issued: int) -> None:
    """By the replica, which sees the object a moment after its write. Each try has another token, issued then."""

    def is_refused() -> None:
        answer = transmitter.caller.vend(userToken=transmitter.proven.token(iat=issued))
        assert (answer.status_code, answer.json().get("code")) == (403, code), answer.text

    eventually(lambda: is_refused() or True)


def events_of(transmitter: Transmitter, kind: str) -> list[Body]:
    found = []
    for line in transmitter.api.log.read_text(errors="replace").splitlines():
        if f'"dev.rolevend.{kind}"' in line:
            with contextlib.suppress(ValueError):  # it is being written
                found.append(json.loads(line)["data"])
    return found


def test_a_live_session_dies_with_a_revoked_session_and_a_new_login_is_served(transmitter: Transmitter):
    role, of_bob, issued = transmitter.caller.vended(), transmitter.caller.vended("bob"), int(time.time())
    with transmitter.caller.session(role) as session:
        session.execute("SELECT 1")

        token = transmitter.sent(REVOKED)

        with pytest.raises(psycopg.Error):
            session.execute("SELECT pg_sleep(60)")
    gone(transmitter, role)
    refused(transmitter, "SessionRevoked", issued - 1)

    def served() -> Body:
        """Tried again, because a new token must be of a later second than the event."""
        answer = transmitter.caller.vend(userToken=transmitter.proven.token(iat=int(time.time())))
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    again = eventually(served)
    before = transmitter.spec()
    transmitter.taken(transmitter.send(token))  # a replay

    assert transmitter.spec() == before
    assert transmitter.site.warehouse.has(again["roleName"])
    assert transmitter.site.warehouse.has(of_bob["roleName"])
    assert transmitter.kept("bob") is None
    assert "attributes" not in before
    assert datetime.fromisoformat(before["notBefore"]) <= datetime.now(UTC)


def test_who_sent_what_is_on_record(transmitter: Transmitter):
    token = transmitter.sent(REVOKED)
    jti = tokens.payload_of(token)["jti"]
    transmitter.taken(transmitter.send(token))
    transmitter.sent(f"{CAEP}session-established", jti=f"{jti}-2")

    def recorded() -> list[Body]:
        found = [each for each in events_of(transmitter, "signal-received") if each["tokenId"].startswith(jti)]
        assert len(found) >= 3, found
        return found

    found = eventually(recorded)
    assert [(each["event"], each["change"], each.get("userSubject")) for each in found] == [
        (REVOKED, "SessionRevoked", "anna"),
        (REVOKED, "Unchanged", "anna"),
        (f"{CAEP}session-established", "Ignored", None),
    ]
    assert {each["identityProvider"] for each in found} == {transmitter.tenant.name}


def test_a_disabled_account_is_suspended_until_it_is_enabled(transmitter: Transmitter):
    role, issued = transmitter.caller.vended(), int(time.time())
    disabled = transmitter.sent(DISABLED)

    gone(transmitter, role)
    refused(transmitter, "Suspended", issued)
    transmitter.sent(ENABLED, at=int(time.time()) - 60)  # from before it was disabled
    assert transmitter.spec()["suspend"] is True

    def resumed() -> None:
        """Tried again, because it must be of a later second."""
        transmitter.sent(ENABLED)
        assert transmitter.spec()["suspend"] is False

    eventually(lambda: resumed() or True)
    transmitter.taken(transmitter.send(disabled))  # a replay
    assert transmitter.spec()["suspend"] is False
    refused(transmitter, "SessionRevoked", issued - 1)

    transmitter.sent(PURGED)
    transmitter.sent(ENABLED, at=int(time.time()) + 5)
    assert transmitter.spec()["suspend"] is True


def test_a_signal_leaves_what_others_say_of_the_user_alone(transmitter: Transmitter):
    """Neither an object that people wrote nor one of SCIM changes, no attribute is lost, and a suspension by a responder stays."""
    site, user = transmitter.site, transmitter.proven.user()
    described = transmitter.tenant.make("UserAttributes", {"user": user, "attributes": [{"key": "team", "values": ["x"]}], "suspend": True})
    transmitter.sent(DISABLED)
    transmitter.sent(ENABLED, at=int(time.time()) + 2)

    now = site.cluster.read(described).body
    assert now["spec"] == described["spec"]
    assert transmitter.spec()["suspend"] is False
    assert site.told(described, "Accepted", "True", "Valid")
    kept = transmitter.kept()
    assert kept is not None
    assert site.told(kept, "Accepted", "True", "Signals")
    refused(transmitter, "Suspended", int(time.time()))

    site.patch(kept, {"suspend": True})  # by a responder who found no other object
    transmitter.sent(REVOKED, at=int(time.time()) + 3)
    transmitter.sent(ENABLED, at=int(time.time()) + 4)
    assert transmitter.spec()["suspend"] is True


def test_events_without_effect_are_taken(transmitter: Transmitter):
    for event, sub_id in (
        (f"{SSF}verification", {"format": "opaque", "id": "stream-1"}),
        (f"{SSF}stream-updated", {"format": "opaque", "id": "stream-1"}),
        (f"{CAEP}session-established", {"format": "phone_number", "phone_number": "+12065550100"}),
        ("https://example.org/invented", {}),
    ):
        transmitter.sent(event, sub_id=sub_id)
    assert transmitter.kept() is None

    def counted() -> bool:
        _, text = transmitter.api.probe("/metrics")
        return all(
            f'rolevend_signals_total{{event="{event}",outcome="{outcome}"}}' in text
            for event, outcome in (("verification", "ignored"), ("other", "ignored"))
        )

    assert eventually(counted)


def forged(transmitter: Transmitter) -> Iterator[tuple[str, str, str]]:
    """What it is, the token, and its error."""

    def token(head: Body | None = None, by: str = "rsa", **changed: Any) -> str:
        return tokens.token(transmitter.claims(REVOKED, **changed), {**tokens.header(typ="secevent+jwt"), **(head or {})}, by=by)

    head, _, rest = token().partition(".")
    payload, _, signature = rest.partition(".")
    unsigned = tokens.written({"alg": "none", "typ": "secevent+jwt"})
    other = f"https://of-others-{transmitter.tenant.name}.example.org"
    yield "signed by another key", token(by="rsa-2"), "authentication_failed"
    yield "changed", f"{head}.{tokens.written(transmitter.claims(REVOKED, 'bob'))}.{signature}", "authentication_failed"
    yield "of nobody", f"{unsigned}.{payload}.", "invalid_key"
    yield "with a key of its own", token({"jwk": tokens.public("rsa-other")}, by="rsa-other"), "invalid_request"
    yield "with an unknown key", token({"kid": "rsa-other"}, by="rsa-other"), "invalid_key"
    yield "of an unknown issuer", token(iss=other), "invalid_issuer"
    yield "for another audience", token(aud="https://elsewhere.example.org"), "invalid_audience"
    yield "for agents", token(aud=tokens.AUDIENCE), "invalid_audience"
    yield "old", token(at=int(time.time()) - 8 * 86_400), "invalid_request"
    yield "of tomorrow", token(at=int(time.time()) + 86_400), "invalid_request"
    yield "of another type", token({"typ": "JWT"}), "invalid_request"
    yield "about a user of another issuer", token(sub_id={"format": "iss_sub", "iss": other, "sub": "anna"}), "access_denied"
    yield "about an address", token(sub_id={"format": "email", "email": "anna@example.org"}), "invalid_request"
    yield "about a session", token(sub_id={"format": "complex", "session": {"format": "opaque", "id": "s"}}), "invalid_request"
    yield "about a user that cannot be", token(sub_id={"format": "opaque", "id": "an\u200bna"}), "invalid_request"
    yield "a user's token", transmitter.proven.token(), "invalid_request"
    yield "an agent's token", transmitter.caller.token, "invalid_request"
    yield "nothing", "", "invalid_request"


def test_each_forged_token_is_refused_with_its_error_and_ends_nothing(transmitter: Transmitter):
    role = transmitter.caller.vended()
    for what, token, error in forged(transmitter):
        answer = transmitter.send(token)
        assert (answer.status_code, answer.json().get("err")) == (400, error), f"{what}: {answer.text}"
        assert set(answer.json()) == {"err", "description"}
        assert answer.headers["content-type"] == "application/json"
        assert "anna" not in answer.text
    wrong_type = transmitter.send(transmitter.token(REVOKED), "application/jwt")
    assert (wrong_type.status_code, wrong_type.json()["err"]) == (400, "invalid_request")

    def recorded() -> bool:
        reasons = {each["reason"] for each in events_of(transmitter, "refused") if each["bearer"] == "Signal"}
        return reasons >= {"BadSignature", "UnknownIssuer", "WrongAudience", "TokenTooOld", "WrongType", "AnotherIssuersUser"}

    assert eventually(recorded)
    assert transmitter.kept() is None
    assert transmitter.site.warehouse.has(role["roleName"])


def test_one_provider_ends_nothing_of_another_ones_users(transmitter: Transmitter, site: Site):
    """The other one's objects have the same keys, so that nothing but the rules tells the two apart."""
    tenant = Tenant(site)
    try:
        neighbour = Transmitter(tenant, transmitter.api).ready()
        role = transmitter.caller.vended()
        mine = {"format": "iss_sub", "iss": transmitter.issuer, "sub": "anna"}
        for token in (
            neighbour.token(REVOKED, sub_id=mine),
            neighbour.token(REVOKED, sub_id={"format": "complex", "user": mine}),
            neighbour.token(REVOKED, payload={"subject": mine}),
            transmitter.token(REVOKED, aud=neighbour.audience),
        ):
            assert neighbour.send(token).status_code == 400

        neighbour.sent(DISABLED, sub_id={"format": "opaque", "id": "anna"})

        assert neighbour.spec()["suspend"] is True
        assert transmitter.kept() is None
        assert site.warehouse.has(role["roleName"])
        refusal = transmitter.caller.vend(userToken=transmitter.token(REVOKED, exp=int(time.time()) + 60, sub="anna"))
        assert (refusal.status_code, refusal.json()["code"]) == (401, "WrongType")
        left = neighbour.kept()
        assert left is not None
        site.remove(left)
    finally:
        tenant.leave()


def test_a_provider_without_signals_and_a_replica_without_the_setting_take_none(transmitter: Transmitter, doors: Doors):
    token = transmitter.token(REVOKED)
    elsewhere = Transmitter(transmitter.tenant, doors.first)
    answer = elsewhere.send(token)
    assert (answer.status_code, answer.json()["code"]) == (404, "NotFound")
    provider = {"kind": "IdentityProvider", "metadata": {"name": transmitter.tenant.name}}

    transmitter.site.patch(provider, {"signals": None})

    def is_refused() -> bool:
        answer = transmitter.send(token)
        return answer.status_code == 400 and answer.json()["err"] == "invalid_issuer"

    assert eventually(is_refused)
    transmitter.site.patch(provider, {"signals": {"audience": transmitter.audience, "userIssuer": "https://nobody.example.org"}})
    assert "spec.signals.userIssuer" in transmitter.site.told(provider_of(transmitter), "ReceivesSignals", "False", "UserIssuerUnknown")


def provider_of(transmitter: Transmitter) -> Body:
    path = f"/apis/rolevend.dev/v1alpha1/identityproviders/{transmitter.tenant.name}"
    return dict(transmitter.site.cluster.call("GET", path).body)


def test_a_long_body_is_refused_before_it_is_read(transmitter: Transmitter):
    answer = transmitter.send("a" * 1_048_576)
    assert (answer.status_code, answer.json()["err"]) == (413, "invalid_request")
    transmitter.sent(f"{SSF}verification")


def test_while_the_api_server_is_away_it_says_when_to_try_again_and_nothing_is_lost(transmitter: Transmitter, proxy: ApiProxy):
    role, token = transmitter.caller.vended(), transmitter.token(REVOKED)
    proxy.cut()
    try:
        answer = transmitter.send(token)
        assert (answer.status_code, answer.content) == (503, b""), answer.text
        assert int(answer.headers["retry-after"]) > 0
        assert transmitter.kept() is None
        assert eventually(lambda: 'rolevend_signals_total{event="none",outcome="failed"}' in transmitter.api.probe("/metrics")[1])
    finally:
        proxy.restore()

    eventually(lambda: transmitter.taken(transmitter.send(token)) or True)

    gone(transmitter, role)


def test_a_user_about_whom_a_signal_came_first_is_pushed_by_scim_as_any_other(transmitter: Transmitter):
    transmitter.sent(REVOKED)
    pusher = Pusher(transmitter.tenant, transmitter.api)
    pusher.put_tokens(pusher.bearer)
    transmitter.site.patch(provider_of(transmitter), {"scim": pusher.scim})
    eventually(lambda: pusher.ok(pusher.call("GET", "/ServiceProviderConfig")))

    anna = pusher.pushed()

    assert transmitter.site.told(pusher.kept(anna), "Ready", "True", "Valid")
    assert pusher.attributes(anna)["tenant"] == [transmitter.tenant.name]
    assert "suspend" not in transmitter.spec() or not transmitter.spec()["suspend"]


def test_the_api_may_not_turn_a_signal_into_something_else(transmitter: Transmitter):
    """RBAC permits it; the admission policy does not."""
    transmitter.sent(REVOKED)
    kept = transmitter.kept()
    assert kept is not None
    for change, message in (
        ({"attributes": [{"key": "tenant", "values": ["x"]}]}, "a signal describes no user"),
        ({"handle": "EVIL"}, "a signal describes no user"),
        ({"user": {**kept["spec"]["user"], "subject": "bob"}}, "a signal describes no user"),
        ({"notBefore": "2001-01-01T00:00:00Z"}, "never moves back"),
        ({"notBefore": None}, "never moves back"),
    ):
        assert message in transmitter.site.cluster.patch(kept, {"spec": change}, user=API).message, change


def test_the_api_may_write_no_user_that_signals_did_not_make(transmitter: Transmitter, site: Site):
    mine = transmitter.tenant.make("UserAttributes", {"user": transmitter.proven.user("carl")})
    transmitter.sent(REVOKED)
    kept = transmitter.kept()
    assert kept is not None

    for change in ({"spec": {"suspend": True}}, {"metadata": {"labels": {LABEL: "rolevend-signals"}}}):
        assert "did not make it" in site.cluster.patch(mine, change, user=API).message
    assert "did not make it" in site.cluster.patch(kept, {"metadata": {"labels": {LABEL: "rolevend-scim"}}}, user=API).message
    assert not site.cluster.delete(kept, user=API).ok
    assert site.cluster.patch(kept, {"spec": {"suspend": True}}, user=API).ok
    assert kept["metadata"]["name"] == name_of(User(transmitter.issuer, "anna"))


def test_the_call_takes_one_method(transmitter: Transmitter):
    answer = httpx.get(f"{transmitter.api.url}/ssf/v1/events", trust_env=False, headers={"Content-Type": MEDIA_TYPE})
    assert answer.status_code == 405

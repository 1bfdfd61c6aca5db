"""Signals without a cluster: their effects do not depend on order, repeats or delays, and never lock anybody out."""

import asyncio
import random
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as some

from rolevend.api.signals.bound import SignalObjects
from rolevend.api.signals.failures import failed
from rolevend.api.signals.receiver import SignalReceiver
from rolevend.api.signals.records import SignalRecord, after, change_of, name_of, object_of, record_of
from rolevend.audit.signal_events import ReceivedSignal, signal_received
from rolevend.errors import AuditUnavailable, ClusterUnavailable, Conflict, IdentityProviderUnavailable, NotPermitted, Unavailable
from rolevend.identity.key_store import KeyStore
from rolevend.identity.provider import LEEWAY, Discovery, InlineKeys, Provider, SignalTerms, by_issuer
from rolevend.identity.refusal import Code, TokenRefused
from rolevend.identity.security_event import SecurityEvents, Signal, SignalEffect
from rolevend.identity.token_check import TokenCheck
from rolevend.kinds import UserAttributes
from rolevend.kinds.parse import parse
from rolevend.kube.client import KubeClient, NotFound, ResourceConflict, path_of
from rolevend.kube.informer import Informer
from rolevend.model import User
from tests.support import tokens
from tests.support.signalling import CAEP, event_claims
from tests.support.tokens import ISSUER, MOMENT, NOW, OTHER_ISSUER, PROVIDER, Body

ANNA = User(ISSUER, "anna")
NOTHING = SignalRecord(ANNA)
END, DISABLE, PURGE, ENABLE = SignalEffect.END_SESSIONS, SignalEffect.DISABLE, SignalEffect.PURGE, SignalEffect.ENABLE
NAMES = {END: "session-revoked", DISABLE: "account-disabled", PURGE: "account-purged", ENABLE: "account-enabled"}


def signal(effect: SignalEffect, seconds: float = 0) -> Signal:
    return Signal(CAEP + NAMES[effect], effect, ANNA, NOW + timedelta(seconds=seconds))


def applied(*signals: Signal, seconds: float = 0, before: SignalRecord = NOTHING, by: str = "okta") -> SignalRecord:
    for each in signals:
        before = after(before, each, by, NOW + timedelta(seconds=seconds))
    return before


@pytest.mark.parametrize(
    ("happened", "received", "until"),
    [
        (0, 0, 0),
        (0, 2, 2),
        (0, 2.5, 3),
        (0, 30, 30),
        (0, 3600, 30),
        (20, 0, 20),
        (-20, 0, 0),
        (-3600, 0, -3570),
    ],
    ids=["at once", "soon", "whole seconds", "late", "much later", "their clock is ahead", "their clock is behind", "told much later"],
)
def test_sessions_end_that_began_before_the_event_by_either_clock(happened: float, received: float, until: float):
    assert applied(signal(END, happened), seconds=received).not_before == NOW + timedelta(seconds=until)


def test_a_later_time_that_a_person_set_stays():
    by_hand = replace(NOTHING, not_before=NOW + timedelta(hours=1))
    assert applied(signal(END), before=by_hand).not_before == by_hand.not_before


SIGNALS = some.builds(signal, some.sampled_from(list(NAMES)), some.integers(-3600, 30))


@given(some.lists(SIGNALS, max_size=8), some.integers(0, 10**6), some.randoms())
def test_order_and_repeats_change_nothing(signals: list[Signal], later: int, chance: random.Random):
    shuffled = [*signals, *signals]
    chance.shuffle(shuffled)

    once, again = applied(*signals), applied(*shuffled)

    assert (once.accounts, once.ended_at) == (again.accounts, again.ended_at)
    assert once == applied(*shuffled, before=once, seconds=later)


@given(some.lists(SIGNALS, min_size=1, max_size=8), some.lists(some.integers(0, 3600), min_size=8, max_size=8))
def test_not_before_never_moves_back_and_never_locks_anybody_out(signals: list[Signal], delays: list[int]):
    record, moment = NOTHING, NOW
    for each, delay in zip(signals, delays, strict=False):
        moment += timedelta(seconds=delay)
        before, record = record, after(record, each, "okta", moment)
        assert before.not_before is None or (record.not_before is not None and record.not_before >= before.not_before)
        assert record.not_before is None or record.not_before <= moment + LEEWAY


@pytest.mark.parametrize(
    ("signals", "state"),
    [
        ([signal(DISABLE)], "Disabled"),
        ([signal(DISABLE), signal(ENABLE, 1)], "Enabled"),
        ([signal(ENABLE, 1), signal(DISABLE)], "Enabled"),
        ([signal(DISABLE), signal(ENABLE, -1)], "Disabled"),
        ([signal(DISABLE), signal(ENABLE)], "Disabled"),
        ([signal(ENABLE), signal(DISABLE)], "Disabled"),
        ([signal(PURGE), signal(ENABLE, 1)], "Purged"),
        ([signal(PURGE), signal(DISABLE, 1)], "Purged"),
    ],
)
def test_the_newest_state_of_the_account_counts_and_one_that_is_gone_stays_gone(signals: list[Signal], state: str):
    record = applied(*signals)
    assert record.accounts["okta"].state == state
    assert record.is_stopped is (state != "Enabled")


@pytest.mark.parametrize("state", [DISABLE, PURGE])
def test_no_transmitter_takes_back_what_another_one_said(state: SignalEffect):
    """Two may speak of the users of one issuer."""
    stopped = applied(signal(state))

    assert applied(signal(ENABLE, 60), before=stopped, by="watcher").is_stopped
    both = applied(signal(DISABLE, 1), before=stopped, by="watcher")
    assert applied(signal(ENABLE, 60), before=both, by="watcher").is_stopped
    enabled = applied(signal(ENABLE, 61), before=applied(signal(ENABLE, 60), before=both, by="watcher"))
    assert enabled.is_stopped is (state is PURGE)


def test_an_account_that_another_transmitter_enables_does_not_bring_back_a_suspension_that_was_lifted():
    stopped = applied(signal(DISABLE))
    enabled = applied(signal(ENABLE, 1), before=stopped, by="watcher")

    assert "suspend" not in object_of(enabled, stopped, EVENTS, signal(ENABLE))["spec"]
    assert change_of(enabled, stopped) == "Unchanged"


EVENTS = SecurityEvents("okta", "0" * 64, "jti-1", NOW)


def stored(record: SignalRecord, before: SignalRecord, over: Body | None = None, **spec: Any) -> Body:
    body = object_of(record, before, EVENTS, signal(END))
    metadata = {**body["metadata"], "resourceVersion": "7"}
    return {**body, "metadata": metadata, "spec": {**(over or {}).get("spec", {}), **body["spec"], **spec}}


@given(some.lists(SIGNALS, min_size=1, max_size=4))
def test_what_is_stored_is_what_is_read(signals: list[Signal]):
    record = applied(*signals, before=applied(*signals[:2], by="watcher"))
    body = stored(record, NOTHING)

    assert record_of(body, ANNA) == record
    assert parse(UserAttributes, body, unknown="ignore").spec.suspend is record.is_stopped
    assert "attributes" not in body["spec"]
    assert "handle" not in body["spec"]


def test_an_object_of_others_is_no_record():
    body = stored(applied(signal(END)), NOTHING)
    unlabelled = {**body, "metadata": {**body["metadata"], "labels": {}}}
    assert record_of(unlabelled, ANNA) is None
    assert record_of(body, User(OTHER_ISSUER, "anna")) is None


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"accounts": 7, "endedAt": []}', '{"accounts": {"a": {"state": "Odd", "at": "x"}, "b": 7}}']
)
def test_an_annotation_that_was_changed_by_hand_loses_no_revocation(text: str):
    body = stored(applied(signal(END)), NOTHING)
    body["metadata"]["annotations"]["rolevend.dev/signals"] = text
    assert record_of(body, ANNA) == SignalRecord(ANNA, not_before=NOW)


def test_a_responders_own_suspension_stays_and_one_that_was_lifted_comes_back_with_the_next_event():
    ended = applied(signal(END))
    assert "suspend" not in object_of(applied(signal(ENABLE, 1), before=ended), ended, EVENTS, signal(ENABLE))["spec"]
    disabled = applied(signal(DISABLE))
    assert "suspend" not in object_of(applied(signal(END, 1), before=disabled), disabled, EVENTS, signal(END))["spec"]
    again = applied(signal(DISABLE, 1), before=disabled)
    assert object_of(again, disabled, EVENTS, signal(DISABLE))["spec"]["suspend"] is True
    assert change_of(again, disabled) == "Suspended"
    enabled = applied(signal(ENABLE, 2), before=again)
    assert object_of(enabled, again, EVENTS, signal(ENABLE))["spec"]["suspend"] is False
    assert change_of(enabled, again) == "Resumed"


class Cluster:
    """The objects of one kind, with conflicts and outages on demand."""

    def __init__(self) -> None:
        self.objects: dict[str, Body] = {}
        self.rivals: list[Signal] = []
        self.is_away = False

    async def get(self, _: object, name: str) -> Body:
        if self.is_away:
            raise ClusterUnavailable("away")
        if name not in self.objects:
            raise NotFound(name)
        return self.objects[name]

    async def create(self, _: object, body: Body) -> Body:
        return self._write(body, None)

    async def merge(self, _: object, __: str, body: Body) -> Body:
        return self._write(body, body["metadata"]["resourceVersion"])

    def _write(self, body: Body, version: str | None) -> Body:
        if self.is_away:
            raise ClusterUnavailable("away")
        name = body["metadata"]["name"]
        if self.rivals:
            known = self.objects.get(name)
            before = NOTHING if known is None else cast(SignalRecord, record_of(known, ANNA))
            self._keep(object_of(after(before, self.rivals.pop(), "okta", NOW), before, EVENTS, signal(END)))
        known = self.objects.get(name)
        if version != (None if known is None else known["metadata"]["resourceVersion"]):
            raise ResourceConflict(name)
        return self._keep(body)

    def _keep(self, body: Body) -> Body:
        name = body["metadata"]["name"]
        known = self.objects.get(name, {"metadata": {"resourceVersion": "0"}, "spec": {}})
        version = str(int(known["metadata"]["resourceVersion"]) + 1)
        spec = {**known["spec"], **body["spec"]}
        self.objects[name] = {**body, "metadata": {**body["metadata"], "resourceVersion": version}, "spec": spec}
        return self.objects[name]


class Receiver:
    def __init__(self, maximum: int = 10) -> None:
        self.cluster = Cluster()
        self.recorded: list[ReceivedSignal] = []
        self.outcomes: list[tuple[str, str]] = []

        async def record(received: ReceivedSignal) -> None:
            self.recorded.append(received)

        self.watch = Informer(cast(KubeClient, self.cluster), path_of(UserAttributes), lambda: None, lambda: NOW)
        objects = SignalObjects(self.watch, maximum)
        self._receiver = SignalReceiver(
            cast(KubeClient, self.cluster), record, lambda: NOW, lambda event, outcome: self.outcomes.append((event, outcome)), objects
        )

    def receive(self, *signals: Signal, digest: str = "1") -> None:
        asyncio.run(self._receiver.receive(replace(EVENTS, digest=digest, signals=signals), "request-1"))

    @property
    def changes(self) -> list[str]:
        return [each.change for each in self.recorded]

    @property
    def spec(self) -> Body:
        return dict(self.cluster.objects[name_of(ANNA)]["spec"])


def test_two_replicas_lose_no_signal_of_each_other():
    receiver = Receiver()
    for seconds, rival in ((1, signal(DISABLE)), (2, signal(END, 5))):
        receiver.cluster.rivals.append(rival)
        receiver.receive(signal(END, seconds))

    assert receiver.spec["suspend"] is True
    assert receiver.spec["notBefore"] == "2026-11-25T12:00:05Z"


def test_each_signal_is_on_record_before_its_write_and_a_repeat_is_not_written_again():
    receiver = Receiver()
    receiver.cluster.is_away = True
    with pytest.raises(ClusterUnavailable):
        receiver.receive(signal(END))
    assert not receiver.cluster.objects
    receiver.cluster.is_away = False

    for _ in range(3):
        receiver.receive(signal(END))
    receiver.receive(signal(END), digest="2")

    assert receiver.changes == ["SessionRevoked", "Unchanged", "Unchanged"]
    assert receiver.cluster.objects[name_of(ANNA)]["metadata"]["resourceVersion"] == "1"


def test_the_users_that_a_transmitter_invents_fill_no_cluster():
    """Known users are stopped all the same, those of other issuers too, and room is made by deletion."""
    receiver = Receiver(maximum=3)

    def about(subject: str, issuer: str = ISSUER) -> Signal:
        return replace(signal(DISABLE), user=User(issuer, subject))

    def receive(*signals: Signal) -> None:
        receiver.receive(*signals)
        for body in receiver.cluster.objects.values():
            receiver.watch.on_upsert(body)

    by_hand = {"metadata": {"name": "by-hand"}, "spec": {"user": {"issuer": ISSUER, "subject": "bob"}}}
    receiver.watch.on_upsert(by_hand)
    receive(about("anna"), about("invented-1"), about("invented-2"))
    for _ in range(2):
        with pytest.raises(Unavailable, match="delete old ones"):
            receive(about("invented-3"))

    receive(replace(about("anna"), at=NOW + timedelta(seconds=1)), about("anna", OTHER_ISSUER))
    assert len(receiver.cluster.objects) == 4
    assert "invented-3" not in {each.user.subject for each in receiver.recorded if each.user is not None}

    receiver.watch.drop(receiver.cluster.objects.pop(name_of(User(ISSUER, "invented-1"))))
    receive(about("invented-3"))
    assert name_of(User(ISSUER, "invented-3")) in receiver.cluster.objects


def test_the_event_says_who_what_and_when():
    received = ReceivedSignal("okta", f"{CAEP}session-revoked", "SessionRevoked", ANNA, NOW, "jti-1", "0" * 64, "request-1")

    event = signal_received(received, NOW)

    assert event.envelope("x")["subject"] == "IdentityProvider okta"
    assert event.data == {
        "identityProvider": "okta",
        "event": f"{CAEP}session-revoked",
        "change": "SessionRevoked",
        "userIssuer": ISSUER,
        "userSubject": "anna",
        "happenedAt": "2026-11-25T12:00:00.000Z",
        "tokenId": "jti-1",
        "tokenDigest": "0" * 64,
        "requestId": "request-1",
    }


AUDIENCE = "https://rolevend.example.org/ssf/v1/events"


class Sender:
    """An issuer whose keys change, and may be out of reach."""

    def __init__(self, **provider: Any) -> None:
        self.provider: Provider = replace(PROVIDER, keys=Discovery(), signals=SignalTerms(AUDIENCE, ISSUER), **provider)
        self.keys = tokens.key_set(tokens.public("rsa"))
        self.is_away = False
        self.moment = 0.0

    async def read(self, _: Provider) -> bytes:
        if self.is_away:
            raise IdentityProviderUnavailable("away")
        return self.keys

    def check(self) -> TokenCheck:
        check = TokenCheck(KeyStore(self.read, self._now, lambda: self.moment), self._now)
        check.follow(by_issuer((self.provider,)))
        return check

    def _now(self) -> datetime:
        return NOW + timedelta(seconds=self.moment)

    @staticmethod
    def token(kid: str = "rsa") -> str:
        body = event_claims(f"{CAEP}session-revoked", ISSUER, AUDIENCE, at=MOMENT)
        return tokens.token(body, tokens.header(typ="secevent+jwt", kid=kid), by=kid)


def test_a_token_with_a_key_that_may_be_new_is_not_refused_for_good():
    """Its sender repeats no token that is refused; and anybody may ask for unknown keys all the time, so that none is read for it."""

    async def told() -> None:
        sender = Sender()
        check = sender.check()
        assert (await check.events(sender.token())).signals[0].user == ANNA
        sender.moment += 1
        with pytest.raises(IdentityProviderUnavailable):
            await check.events(sender.token("rsa-2"))  # the keys were read a moment ago
        sender.moment += 31
        with pytest.raises(TokenRefused) as error:
            await check.events(sender.token("rsa-2"))  # they were read for it
        assert error.value.code is Code.UNKNOWN_KEY
        sender.keys = tokens.key_set(tokens.public("rsa-2"))
        sender.moment += 1
        with pytest.raises(IdentityProviderUnavailable):
            await check.events(sender.token("rsa-2"))
        sender.moment += 31
        assert (await check.events(sender.token("rsa-2"))).signals

    asyncio.run(told())


def test_without_keys_the_sender_tries_again():
    async def told() -> None:
        sender = Sender()
        sender.is_away = True
        check = sender.check()
        for _ in range(2):
            with pytest.raises(IdentityProviderUnavailable):
                await check.events(sender.token())
            sender.moment += 31
        sender.is_away = False
        assert (await check.events(sender.token())).signals

    asyncio.run(told())


def test_keys_of_the_object_itself_are_all_that_there_are():
    async def told() -> None:
        sender = Sender()
        sender.provider = replace(sender.provider, keys=InlineKeys(sender.keys.decode()))
        with pytest.raises(TokenRefused) as error:
            await sender.check().events(sender.token("rsa-2"))
        assert error.value.code is Code.UNKNOWN_KEY

    asyncio.run(told())


@pytest.mark.parametrize(
    ("error", "status", "seconds"),
    [
        (ClusterUnavailable("away"), 503, "2"),
        (IdentityProviderUnavailable("away"), 503, "30"),
        (AuditUnavailable("full"), 503, "2"),
        (ResourceConflict("changed"), 503, "2"),
        (NotPermitted("no right"), 503, "2"),
        (Conflict("of another"), 503, "2"),
        (RuntimeError("a bug"), 500, None),
    ],
)
def test_a_failure_of_ours_is_never_answered_as_the_senders(error: Exception, status: int, seconds: str | None):
    """A sender repeats no token that is answered with 400."""
    request: Any = SimpleNamespace(state=SimpleNamespace(request_id="request-1"))

    answer = failed(error, request)

    assert (answer.status_code, answer.headers.get("retry-after"), answer.body) == (status, seconds, b"")

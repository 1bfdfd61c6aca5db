"""The judge of AccessRequests, where writes lose their answers and tokens are not there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from rolevend.access_objects.circumstances import CircumstancesReader
from rolevend.access_objects.profiles import ApprovedProfiles
from rolevend.access_objects.recorder import AccessRecorder
from rolevend.access_objects.store import AccessRequestStore
from rolevend.access_objects.votes import Votes
from rolevend.access_requests.judgement import judge
from rolevend.controllers.access_request_controller import AccessRequestController
from rolevend.controllers.reevaluator import Reevaluator
from rolevend.decision.proof import Proof
from rolevend.decision.snapshot import Snapshot
from rolevend.errors import ClusterUnavailable, InvalidInput
from rolevend.kinds import AccessRequest, parse
from rolevend.kinds.access_request_facts import decision_request, recorded, requested_access
from rolevend.kube.client import Body, KubeClient
from rolevend.model import ObjectName, Uid
from rolevend.roles.audit_recorder import AuditRecorder
from rolevend.roles.store import RoleStore
from rolevend.roles.user_authenticator import UserAuthenticator
from rolevend.telemetry.metrics import Metrics
from tests.support.asking import TERMS
from tests.support.manifests import MISSING, changed, valid
from tests.support.registered import WAREHOUSE, a_snapshot
from tests.support.two_doors import granting

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
NAME = ObjectName("agents", "ask")
OFFER = {"uid": "offer-uid", "generation": 1, "digest": f"sha256:{'a' * 64}", "display": "SSNs"}
APPROVAL = {"decidedAt": NOW.isoformat(), "claimUntil": "2026-11-24T13:00:00Z", "expirationSeconds": 600, "rule": "small"}
USED: Body = {"state": "Used", "reason": "RoleVended", "message": "used", "offer": OFFER, "approval": APPROVAL}


class Cluster:
    """Keeps one AccessRequest. It writes every status, and may lose the answers."""

    def __init__(self, body: Body, *, is_answer_lost: bool = False) -> None:
        self.body = body
        self._is_answer_lost = is_answer_lost
        self.written = asyncio.Event()

    async def merge(self, _resource: object, _name: str, patch: Body, *_: object) -> Body:
        self.body = {**self.body, "status": self.body["status"] | patch["status"]}
        self.body["metadata"] = self.body["metadata"] | {"resourceVersion": "2"}
        self.written.set()
        if self._is_answer_lost:
            raise ClusterUnavailable("the answer was lost")
        return self.body

    async def create(self, *_: object) -> Body:
        return {}  # an Event


class Evaluations:
    def __init__(self) -> None:
        self.names: list[ObjectName] = []

    def wake(self) -> None: ...

    def on_approval(self, name: ObjectName) -> None:
        self.names.append(name)


class Trail:
    async def access(self, _event: Any) -> None: ...


class Newest:
    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot


class NoSecret:
    """The authenticator, where the Secret with the token is not there."""

    async def prove(self, *_: object, redeem: bool) -> Proof:
        assert not redeem
        raise InvalidInput("spec.userTokenSecretRef", "there is no Secret anna-token in namespace agents")


def request(*changes: tuple[str, Any], status: Body) -> Body:
    body = valid("AccessRequest", NAME.name)
    for path, value in changes:
        body = changed(body, path, value)
    body["metadata"] |= {"namespace": NAME.namespace, "uid": "ar", "resourceVersion": "1", "creationTimestamp": NOW.isoformat()}
    return {**body, "status": status}


def named(name: str, uid: str, status: Body) -> Body:
    body = request(("spec.userTokenSecretRef", MISSING), status=status)
    return {**body, "metadata": body["metadata"] | {"name": name, "uid": uid}}


class Builds:
    def begin_build(self, request: object) -> None:
        """Build nothing."""


@asynccontextmanager
async def judging(
    cluster: Cluster,
    snapshot: Snapshot,
    users: object = None,
    store: AccessRequestStore | None = None,
    metrics: Metrics | None = None,
) -> AsyncIterator[tuple[AccessRequestStore, Evaluations]]:
    kube, evaluations = cast(KubeClient, cluster), Evaluations()
    store, votes = store or AccessRequestStore(kube, lambda: NOW), Votes(kube, lambda: NOW, lambda _: None)
    store.informer.synced = votes.informer.synced = True
    store.informer.on_upsert(cluster.body)
    recorder = AccessRecorder(cast(AuditRecorder, Trail()), metrics or Metrics(), kube, lambda: NOW)
    reader = CircumstancesReader(store, votes, RoleStore(), lambda: NOW)
    controller = AccessRequestController(
        recorder, reader, cast(UserAuthenticator, users), Newest(snapshot), cast(Reevaluator, evaluations), cast(ApprovedProfiles, Builds())
    )
    running = asyncio.create_task(controller.run())
    try:
        async with asyncio.timeout(5):
            await cluster.written.wait()
            yield store, evaluations
    finally:
        running.cancel()


async def test_a_written_end_whose_answer_was_lost_ends_the_roles():
    cluster = Cluster(request(("spec.userTokenSecretRef", MISSING), status=USED), is_answer_lost=True)

    async with judging(cluster, a_snapshot()) as (store, evaluations):
        assert evaluations.names == []
        store.informer.on_upsert(cluster.body)  # as the watch reports it
        store.wake()
        while not evaluations.names:
            await asyncio.sleep(0.01)

    assert evaluations.names == [NAME]
    assert cluster.body["status"]["state"] in ("Revoked", "Superseded")


async def test_a_request_whose_token_is_not_there_waits_as_every_other():
    cluster = Cluster(request(("spec.purpose", MISSING), status={}))
    offered = ObjectName("domain-claims", "ssn-clear")
    snapshot = replace(granting(WAREHOUSE), offers={offered: replace(TERMS, offer=offered)})

    async with judging(cluster, snapshot, NoSecret()):
        status = cluster.body["status"]

    assert (status["state"], status["reason"]) == ("Pending", "OfferNotRead")
    assert "there is no Secret anna-token in namespace agents" in status["message"]
    assert "user" not in status  # it has the attributes in the token, as soon as that is read


@pytest.mark.parametrize("suspended", ["agents", "platforms", "users"])
@pytest.mark.parametrize(
    "life",
    [
        {"state": "Approved", "reason": "ApprovedByRule", "message": "yes", "offer": OFFER, "approval": APPROVAL},
        {"state": "Pending", "reason": "PeopleDecide", "message": "people decide", "offer": OFFER},
        {},
    ],
    ids=["approved", "people decide", "new"],
)
async def test_a_suspended_agent_user_or_platform_ends_no_approval_and_no_request(suspended: str, life: Body):
    offered = ObjectName("domain-claims", "ssn-clear")
    terms = replace(TERMS, offer=offered, uid=Uid("offer-uid"), generation=1)
    snapshot = replace(granting(WAREHOUSE), offers={offered: terms})
    resource = parse(AccessRequest, request(("spec.userTokenSecretRef", MISSING), ("spec.purpose", MISSING), status=life))
    asked = decision_request(resource)
    if suspended == "users":
        snapshot = replace(snapshot, suspended_users={asked.user})
    else:
        parts = {name: replace(part, suspended=True) for name, part in getattr(snapshot, suspended).items()}
        snapshot = replace(snapshot, **{suspended: parts})
    kube = cast(KubeClient, None)
    reader = CircumstancesReader(AccessRequestStore(kube, lambda: NOW), Votes(kube, lambda: NOW, lambda _: None), RoleStore(), lambda: NOW)

    now = await reader.read(resource, asked, snapshot)

    found = judge(requested_access(resource), recorded(resource), now)
    assert found.state.value == life.get("state", "Pending"), found
    assert "is suspended" in (now.unknown or "")


async def test_an_unexpected_error_about_one_request_holds_up_no_other():
    class Broken:
        """The authenticator, with an error that nobody expects."""

        async def prove(self, *_: object, redeem: bool) -> Proof:
            raise KeyError("a fault in rolevend")

    cluster = Cluster(request(("spec.userTokenSecretRef", MISSING), status={}))
    older = request(("spec.purpose", MISSING), status={})
    older["metadata"] |= {"name": "older", "uid": "older", "creationTimestamp": "2026-11-24T11:00:00Z"}
    store = AccessRequestStore(cast(KubeClient, cluster), lambda: NOW)
    store.informer.on_upsert(older)
    metrics = Metrics()

    async with judging(cluster, granting(WAREHOUSE), Broken(), store, metrics):
        status = cluster.body["status"]

    assert status["state"] == "Denied"
    assert metrics.registry.get_sample_value("rolevend_access_judgement_failures_total") == 1


async def test_a_revocation_does_not_wait_for_a_flood_of_new_requests():
    names: list[str] = []

    class Flooded(Cluster):
        async def merge(self, _resource: object, name: str, patch: Body, *_: object) -> Body:
            if not names:
                store.informer.on_upsert(named("used", "ar", USED))  # its vote was deleted, say
            names.append(name)
            if len(names) > len(flood):
                self.written.set()
            metadata = {"resourceVersion": "2", "name": name, "uid": patch["metadata"]["uid"]}
            return {**self.body, "metadata": self.body["metadata"] | metadata, "status": patch["status"]}

    flood = [named(f"new-{number}", f"uid-{number}", {}) for number in range(200)]
    cluster = Flooded(flood[0])
    store = AccessRequestStore(cast(KubeClient, cluster), lambda: NOW)
    for each in flood:
        store.informer.on_upsert(each)
    async with judging(cluster, a_snapshot(), store=store):
        pass

    assert len(names) == len(flood) + 1
    assert names.index("used") <= 20


async def test_a_new_request_does_not_wait_for_the_pass_over_all_approvals():
    names: list[str] = []

    class Many(Cluster):
        async def merge(self, _resource: object, name: str, patch: Body, *_: object) -> Body:
            if not names:
                store.informer.on_upsert(named("new", "new", {}))
            names.append(name)
            if len(names) > len(live):
                self.written.set()
            metadata = {"resourceVersion": "2", "name": name, "uid": patch["metadata"]["uid"]}
            return {**self.body, "metadata": self.body["metadata"] | metadata, "status": patch["status"]}

    live = [named(f"used-{number}", f"uid-{number}", USED) for number in range(200)]
    cluster = Many(live[0])
    store = AccessRequestStore(cast(KubeClient, cluster), lambda: NOW)
    for each in live:
        store.informer.on_upsert(each)
    store.take_changed()
    async with judging(cluster, a_snapshot(), store=store):
        pass

    assert sorted(names) == sorted(["new", *(each["metadata"]["name"] for each in live)])
    assert names.index("new") <= 20


async def test_a_change_during_a_judgement_is_judged_at_once():
    class Silent(AccessRequestStore):
        """Nothing happens later, and no time passes."""

        async def changed(self, seconds: float) -> None:
            await super().changed(3600 if seconds else 0)

    class Two(Cluster):
        def __init__(self, body: Body) -> None:
            super().__init__(body)
            self.names: list[str] = []

        async def merge(self, _resource: object, name: str, patch: Body, *_: object) -> Body:
            self.names.append(name)
            if len(self.names) == 1:
                store.informer.on_upsert(named("second", "second", {}))
                store.wake()
            else:
                self.written.set()
            metadata = {"resourceVersion": "2", "name": name, "uid": patch["metadata"]["uid"]}
            return {**self.body, "metadata": self.body["metadata"] | metadata, "status": patch["status"]}

    cluster = Two(named("first", "first", {}))
    store = Silent(cast(KubeClient, cluster), lambda: NOW)
    async with judging(cluster, a_snapshot(), store=store):
        assert cluster.names == ["first", "second"]

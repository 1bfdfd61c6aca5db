"""The end of an AccessRequest reaches its roles, also if this process does not know that its own write succeeded."""

import asyncio
from datetime import UTC, datetime
from typing import Any, cast

from rolevend.approvals.circumstances import CircumstancesReader
from rolevend.approvals.recorder import AccessRecorder
from rolevend.approvals.store import AccessRequestStore
from rolevend.approvals.votes import Votes
from rolevend.controllers.access_request_controller import AccessRequestController
from rolevend.controllers.reevaluator import Reevaluator
from rolevend.errors import ClusterUnavailable
from rolevend.kube.client import Body, KubeClient
from rolevend.model import ObjectName
from rolevend.roles.audit_recorder import AuditRecorder
from rolevend.roles.store import RoleStore
from rolevend.roles.user_authenticator import UserAuthenticator
from rolevend.telemetry.metrics import Metrics
from tests.support.manifests import MISSING, changed, valid
from tests.support.registered import a_snapshot

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
NAME = ObjectName("agents", "ask")
OFFER = {"uid": "offer-uid", "generation": 1, "digest": f"sha256:{'a' * 64}", "display": "SSNs"}
APPROVAL = {"decidedAt": NOW.isoformat(), "claimUntil": "2026-11-24T13:00:00Z", "expirationSeconds": 600, "rule": "small"}
USED: Body = {"state": "Used", "reason": "RoleVended", "message": "used", "offer": OFFER, "approval": APPROVAL}


class Cluster:
    """Keeps one AccessRequest. It writes every status, and loses its answers."""

    def __init__(self, body: Body) -> None:
        self.body = body
        self.written = asyncio.Event()

    async def merge(self, _resource: object, _name: str, patch: Body, *_: object) -> Body:
        self.body = {**self.body, "status": self.body["status"] | patch["status"]}
        self.body["metadata"] = self.body["metadata"] | {"resourceVersion": "2"}
        self.written.set()
        raise ClusterUnavailable("the answer was lost")


class Evaluations:
    def __init__(self) -> None:
        self.names: list[ObjectName] = []

    def wake(self) -> None: ...

    def on_approval(self, name: ObjectName) -> None:
        self.names.append(name)


class Trail:
    async def access(self, _event: Any) -> None: ...


class Newest:
    snapshot = a_snapshot()


def request() -> Body:
    body = changed(valid("AccessRequest", NAME.name), "spec.userTokenSecretRef", MISSING)
    body["metadata"] |= {"namespace": NAME.namespace, "uid": "ar", "resourceVersion": "1", "creationTimestamp": NOW.isoformat()}
    return {**body, "status": USED}


async def test_a_written_end_whose_answer_was_lost_ends_the_roles():
    cluster = Cluster(request())
    kube, evaluations = cast(KubeClient, cluster), Evaluations()
    store, votes = AccessRequestStore(kube, lambda: NOW), Votes(kube, lambda: NOW, lambda _: None)
    store.informer.synced = votes.informer.synced = True
    store.informer.on_upsert(cluster.body)
    recorder = AccessRecorder(cast(AuditRecorder, Trail()), Metrics(), kube, lambda: NOW)
    reader = CircumstancesReader(store, votes, RoleStore(), lambda: NOW)
    controller = AccessRequestController(store, recorder, reader, cast(UserAuthenticator, None), Newest(), cast(Reevaluator, evaluations))
    running = asyncio.create_task(controller.run())
    try:
        await cluster.written.wait()
        assert evaluations.names == []

        store.informer.on_upsert(cluster.body)  # as the watch reports it
        store.wake()

        async with asyncio.timeout(5):
            while not evaluations.names:
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
    assert evaluations.names == [NAME]
    assert cluster.body["status"]["state"] in ("Revoked", "Superseded")

"""Each judgement knows the status that the one before it wrote, whatever that status is: a judge that writes beside the next judgement lets
a request avoid a cool-down, exceed a budget, or use a precedent that was withdrawn."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast

import pytest

from rolevend.access_objects.circumstances import CircumstancesReader
from rolevend.access_objects.profiles import ApprovedProfiles
from rolevend.access_objects.recorder import AccessRecorder
from rolevend.access_objects.store import AccessRequestStore
from rolevend.access_objects.votes import Votes
from rolevend.access_requests.circumstances import Circumstances
from rolevend.access_requests.history import cool_down_end
from rolevend.controllers.access_request_controller import AccessRequestController
from rolevend.controllers.reevaluator import Reevaluator
from rolevend.decision.outcome import Request
from rolevend.decision.snapshot import Snapshot
from rolevend.kinds import AccessRequest
from rolevend.kinds.access_request_facts import requested_access
from rolevend.kube.client import Body, KubeClient
from rolevend.model import ObjectName, Uid
from rolevend.roles.audit_recorder import AuditRecorder
from rolevend.roles.store import RoleStore
from rolevend.roles.user_authenticator import UserAuthenticator
from rolevend.telemetry.metrics import Metrics
from tests.support.asking import DIGEST, NOW, TERMS, after, here, precedent, rule, terms
from tests.support.manifests import MISSING, changed, valid
from tests.support.registered import a_snapshot
from tests.unit.controllers.test_access_request_controller import Builds, Evaluations, Newest, Trail

OFFER = {"uid": TERMS.uid, "generation": TERMS.generation, "digest": DIGEST, "display": TERMS.display}
TURNS = 200
"""Of the event loop, in which everything is judged that waits for no write."""


def asked(name: str, uid: str = "", created: datetime = NOW, status: Body | None = None, **spec: Any) -> Body:
    body = changed(valid("AccessRequest", name), "spec.userTokenSecretRef", MISSING)
    body["spec"] |= spec
    body["metadata"] |= {"uid": uid or name, "resourceVersion": "1", "creationTimestamp": created.isoformat()}
    return {**body, "status": status or {}}


class SlowCluster:
    """Answers no write before `go_on`. `on_write` is called when one begins."""

    def __init__(self) -> None:
        self.go_on, self.states, self.reasons = asyncio.Event(), dict[str, str](), dict[str, str]()
        self.on_write: Callable[[str], object] = lambda _: None
        self.store = AccessRequestStore(cast(KubeClient, self), lambda: NOW)

    async def merge(self, _resource: object, name: str, patch: Body, *_: object) -> Body:
        self.on_write(name)
        await self.go_on.wait()
        there = self.store.informer.objects["agents", name]
        self.states[name], self.reasons[name] = patch["status"]["state"], patch["status"]["reason"]
        metadata = there["metadata"] | {"resourceVersion": str(int(there["metadata"]["resourceVersion"]) + 1)}
        return {**there, "metadata": metadata, "status": there["status"] | patch["status"]}

    async def create(self, *_: object) -> Body:
        return {}  # an Event

    def appear(self, body: Body) -> None:
        self.store.informer.on_upsert(body)
        self.store.wake()


class Told(CircumstancesReader):
    """Circumstances that the test tells, with the other requests of the store."""

    changes: dict[str, Any]

    async def read(self, resource: AccessRequest, request: Request, snapshot: Snapshot) -> Circumstances:
        return replace(here(now=self.now(), others=self.store.others(requested_access(resource))), **self.changes)


@contextmanager
def judging(cluster: SlowCluster, now: Callable[[], datetime] = lambda: NOW, **changes: Any) -> Iterator[None]:
    kube = cast(KubeClient, cluster)
    votes = Votes(kube, now, lambda _: None)
    cluster.store.informer.synced = votes.informer.synced = True
    reader = Told(cluster.store, votes, RoleStore(), now)
    reader.changes = changes
    controller = AccessRequestController(
        AccessRecorder(cast(AuditRecorder, Trail()), Metrics(), kube, now),
        reader,
        cast(UserAuthenticator, None),
        Newest(a_snapshot()),
        cast(Reevaluator, Evaluations()),
        cast(ApprovedProfiles, Builds()),
    )
    running = asyncio.create_task(controller.run())
    try:
        yield
    finally:
        running.cancel()


async def all_written(cluster: SlowCluster, count: int) -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)
    cluster.go_on.set()
    async with asyncio.timeout(5):
        while len(cluster.states) < count:
            await asyncio.sleep(0)


async def test_a_request_is_counted_by_an_older_one_that_is_seen_later():
    """Both are of one second, in which the uid decides which is older. The budget is of one open request."""
    cluster = SlowCluster()
    cluster.appear(asked("first", "uid-b"))
    cluster.on_write = lambda name: cluster.appear(asked("second", "uid-a", ticket="FR-13")) if name == "first" else None

    with judging(cluster, most_open=1):
        await all_written(cluster, 2)

    assert cluster.states == {"first": "Pending", "second": "Denied"}


async def test_the_budget_of_20_holds_in_a_burst_of_requests():
    """Each is seen when the one before is being written, and is the older one by its uid."""
    cluster = SlowCluster()
    message = "people decide, 0 of 1 needed approvals"
    life = {"state": "Pending", "reason": "PeopleDecide", "message": message, "stateSince": NOW.isoformat(), "offer": OFFER}
    for number in range(19):
        cluster.appear(asked(f"open-{number}", status=life, ticket=f"O-{number}"))
    burst = iter(asked(f"ask-{number:02}", f"uid-{99 - number}", ticket=f"FR-{number}") for number in range(20))
    cluster.appear(next(burst))
    cluster.on_write = lambda _: cluster.appear(body) if (body := next(burst, None)) else None

    with judging(cluster):
        await all_written(cluster, 20)

    assert list(cluster.states.values()).count("Pending") == 1


@pytest.mark.parametrize("is_slow", [True, False], ids=["slow writes", "writes that take no time"])
async def test_of_equal_asks_at_once_one_denial_starts_the_cool_down(is_slow: bool):
    cluster = SlowCluster()
    if not is_slow:
        cluster.go_on.set()
    for number in range(9):
        cluster.appear(asked(f"ask-{number}", ticket=f"FR-{number}"))

    with judging(cluster, terms=terms(required=0)):
        await all_written(cluster, 9)

    first = cluster.store.get(ObjectName("agents", "ask-0"))
    assert first is not None
    asking = replace(requested_access(first), uid=Uid("later"), created_at=after(1))
    end = cool_down_end(asking, cluster.store.others(asking), here().cool_down)
    reasons = sorted(cluster.reasons.values())
    assert (end, reasons) == (NOW + timedelta(minutes=5), ["CoolDown"] * 8 + ["NoRuleApproves"])


async def test_a_rule_approves_nothing_within_the_cool_down_of_a_denial_that_is_being_written():
    cluster = SlowCluster()
    cluster.appear(asked("long", expirationSeconds=1200))
    cluster.appear(asked("short", expirationSeconds=300))

    with judging(cluster, terms=terms(required=0, automatic=(rule("short", "request.expirationSeconds <= 600"),))):
        await all_written(cluster, 2)

    assert cluster.reasons == {"long": "NoRuleApproves", "short": "CoolDown"}


async def test_a_revocation_that_is_being_written_leaves_no_precedent():
    approver = {"by": "alice", "decision": {"name": "yes", "uid": "vote"}, "at": NOW.isoformat()}
    approval = {"decidedAt": NOW.isoformat(), "claimUntil": after(3600).isoformat(), "expirationSeconds": 1800, "approvers": [approver]}
    life = {"state": "Approved", "reason": "ApprovedByPeople", "message": "yes", "offer": OFFER, "approval": approval}
    cluster = SlowCluster()
    cluster.appear(asked("revoked", status=life))
    cluster.on_write = lambda name: cluster.appear(asked("new", ticket="FR-13")) if name == "revoked" else None

    with judging(cluster, terms=terms(required=0, automatic=(rule(precedent=precedent(1)),))):
        await all_written(cluster, 2)

    assert cluster.states == {"revoked": "Revoked", "new": "Denied"}

"""Before an uninstall thousands of roles are asked to end, by a process that may use little memory and looks rarely."""

import asyncio
import json
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import cast

import pytest

from rolevend.app.drain import Drain, Left
from rolevend.errors import ClusterUnavailable, NotPermitted, Rejected, Unavailable
from rolevend.kube.client import PAGE, Body, KubeClient, NotFound, ResourcePath, WatchExpired

POLICY = "rolevend-closed"
API = "rolevend-api"
PLENTY = 2000
MESSAGE = "DropFailed: somebody has it locked"
READY = {"type": "Ready", "status": "False", "reason": "Dropping", "message": MESSAGE}


def body(number: int) -> Body:
    """As large as a VendedRole is, with what the API server keeps of each of its fields."""
    fields = {f"f:field-{each}": {"f:name": {}, "f:value": {}} for each in range(20)}
    metadata = {"name": f"role-{number}", "namespace": "agents", "uid": f"uid-{number}", "managedFields": [{"fieldsV1": fields}]}
    described: Body = json.loads(json.dumps({"metadata": metadata, "status": {"conditions": [READY]}}))
    return described


@dataclass
class Agents:
    """The parts of a cluster that the drain needs, with an operator that ends `pace` of the roles that were asked to, in each pause."""

    left: list[int]
    pace: int = 800
    failing: list[Exception] = field(default_factory=list)
    """Each comes once, instead of a second page."""
    ended: Counter[str] = field(default_factory=Counter)
    deleted: Counter[str] = field(default_factory=Counter)
    told: list[str] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    replicas: int | None = None
    """Of the API's Deployment; None where there is none."""
    finishing: int = 0
    """Pauses for which its pods finish what they began."""
    closes: bool = True
    platforms: list[Body] = field(default_factory=list)
    drains: bool = False
    """True if the operator has ended all recorded roles after a pause."""
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    """Of each platform, with the id, or None where it was withdrawn."""
    held: int | None = None
    """One that somebody else's finalizer keeps when ours is off."""

    async def get(self, resource: ResourcePath, name: str, namespace: str = "", subresource: str = "") -> Body:
        if resource.plural == "validatingadmissionpolicies":
            if name != POLICY:
                raise NotFound("no such policy")
            return {"metadata": {"uid": "policy"}}
        assert (resource.plural, name, namespace, subresource) == ("deployments", API, "rolevend-system", "scale")
        if self.replicas is None:
            raise NotFound("no such Deployment")
        return {"spec": {"replicas": self.replicas} if self.replicas else {}, "status": {"selector": "component=api"}}

    async def apply(self, *_: object) -> None:
        assert not self.replicas, "the API stops first"

    async def create(self, *_: object, dry_run: bool) -> Body:
        assert dry_run
        raise NotPermitted("vending is closed" if self.closes else "who are you")

    async def pages(self, resource: ResourcePath, namespace: str = "", selector: str = "") -> AsyncIterator[Body]:
        if resource.plural == "pods":
            assert (namespace, selector) == ("rolevend-system", "component=api")
            running = [{"metadata": {"namespace": namespace, "name": "api-1"}, "status": {"phase": "Running"}}] * bool(self.finishing)
            yield {"items": [*running, {"metadata": {"name": "evicted"}, "status": {"phase": "Failed"}}]}
            return
        if resource.plural == "dataplatforms":
            yield {"items": self.platforms}
            return
        assert resource.plural == "vendedroles"
        for start in range(0, len(self.left), PAGE):
            if start and self.failing:
                raise self.failing.pop()
            yield {"items": [body(number) for number in self.left[start : start + PAGE]]}
        if self.held is not None:
            there = body(self.held)
            there["metadata"] |= {"deletionTimestamp": "2026-11-24T12:00:00Z", "finalizers": ["example.org/hold"]}
            yield {"items": [there]}

    async def merge(self, resource: ResourcePath, name: str, patch: Body, _namespace: str | None, subresource: str) -> None:
        if resource.plural == "dataplatforms":
            assert subresource == "status"
            (platform,) = [each for each in self.platforms if each["metadata"]["name"] == name]
            platform["status"] |= patch["status"]
            self.requests.append((name, patch["status"]["drainRequested"]))
            return
        if resource.plural == "deployments":
            assert (name, subresource) == (API, "scale")
            self.replicas = patch["spec"]["replicas"]
            return
        assert (patch["status"]["ended"]["reason"], subresource) == ("Revoked", "status")
        self.ended[name] += 1

    async def delete(self, _resource: ResourcePath, name: str, _uid: str, _namespace: str) -> None:
        assert self.ended[name], "the reason is written first"
        self.deleted[name] += 1

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        asked = [number for number in self.left if self.deleted[f"role-{number}"]]
        self.left = sorted({*self.left} - {*asked[: self.pace]})
        self.finishing = max(0, self.finishing - 1)
        for platform in self.platforms if self.drains else ():
            platform["status"]["drained"] = platform["status"].get("drainRequested")
        await asyncio.sleep(0 if self.pace else seconds)

    async def drain(self, *, seconds: float = 600, api: str | None = None, policy: str = POLICY) -> tuple[Left, ...]:
        deadline = asyncio.get_running_loop().time() + seconds
        draining = Drain(cast(KubeClient, self), deadline, self.told.append, self.pause)
        return await draining.run("rolevend-system", policy, api=api, platforms=False)


@pytest.mark.long
async def test_each_of_thousands_is_asked_once_and_only_a_page_of_them_is_held():
    agents = Agents(list(range(PLENTY)))
    tracemalloc.start()
    one = tracemalloc.get_traced_memory()[0]
    page = [body(number) for number in range(PAGE)]
    one = tracemalloc.get_traced_memory()[0] - one
    del page
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]

    try:
        assert await agents.drain() == ()
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()

    assert peak < 3 * one, "of four pages two are held, and the names of all"
    names = {f"role-{number}" for number in range(PLENTY)}
    assert agents.ended == agents.deleted == Counter(names)
    assert [text for text in agents.told if "left" in text] == [f"VendedRoles left: {count}" for count in (2000, 1200, 400, 0)]


async def test_the_more_are_left_the_more_rarely_it_looks():
    many, few = Agents(list(range(PLENTY))), Agents([1, 2], pace=1)

    await many.drain()
    await few.drain()

    assert many.pauses == sorted(many.pauses, reverse=True)
    assert many.pauses[0] > 2
    assert all(0.5 <= pause < 0.6 for pause in few.pauses)


@pytest.mark.parametrize("error", [WatchExpired("the list is too old"), ClusterUnavailable("not now")])
async def test_a_list_that_breaks_off_is_begun_anew(error: Exception):
    agents = Agents(list(range(PAGE + 1)), failing=[error])

    assert await agents.drain() == ()

    assert agents.deleted == Counter({f"role-{number}" for number in range(PAGE + 1)})


async def test_one_that_only_somebody_elses_finalizer_keeps_is_named_and_not_waited_for():
    agents = Agents([1, 2], held=3)

    assert await agents.drain() == ()

    assert agents.told[-1] == "VendedRoles that are done with, and that finalizers of others keep: agents/role-3"


async def test_what_is_left_at_the_deadline_is_named_with_why():
    agents = Agents(list(range(PAGE + 1)), pace=0)

    left = await agents.drain(seconds=1)

    assert set(left) == {Left("VendedRole", f"agents/role-{number}", MESSAGE) for number in range(PAGE + 1)}
    assert sum(agents.pauses) <= 1


async def test_the_api_stops_first_and_has_gone_at_the_end_with_what_it_began():
    agents = Agents([1], replicas=2, finishing=3)

    assert await agents.drain(api=API) == ()

    assert (agents.replicas, agents.finishing, len(agents.pauses)) == (0, 0, 3)
    assert agents.told[:2] == [f"the API stops: Deployment {API}", f"vending is closed: ValidatingAdmissionPolicyBinding {POLICY}"]


async def test_an_api_that_does_not_end_is_named_and_runs_again():
    agents = Agents([], replicas=2, finishing=10**6)

    left = await agents.drain(api=API, seconds=2)

    assert left == (Left("Pod", "rolevend-system/api-1", "the API still finishes what it began"),)
    assert agents.replicas == 2


async def test_where_a_role_is_left_the_api_runs_again_as_before():
    agents = Agents([1], pace=0, replicas=3)

    assert [each.kind for each in await agents.drain(api=API, seconds=1)] == ["VendedRole"]

    assert agents.replicas == 3


async def test_where_vending_does_not_close_the_api_runs_again():
    agents = Agents([], replicas=2, closes=False)

    with pytest.raises(Unavailable, match="requests are not refused yet: who are you"):
        await agents.drain(api=API, seconds=1)

    assert agents.replicas == 2


async def test_the_api_runs_on_where_nothing_could_close():
    agents = Agents([], replicas=2)

    with pytest.raises(Rejected, match="there is no ValidatingAdmissionPolicy other"):
        await agents.drain(api=API, policy="other")

    assert agents.replicas == 2
    assert agents.told == []


async def test_an_api_that_was_never_there_is_not_waited_for():
    agents = Agents([1])

    assert await agents.drain(api=API) == ()

    assert agents.replicas is None


def platform(name: str, spec: Body, *, ready: str = "True", ledger: bool = False, connected: bool = True) -> Body:
    conditions = [{"type": "Ready", "status": ready, "message": "nobody answers"}, *([{"type": "Ledger", "status": "False"}] * ledger)]
    status = {"conditions": conditions} | ({"serverIdentifier": "1"} if connected else {})
    return {"metadata": {"name": name, "uid": f"uid-{name}"}, "spec": spec, "status": status}


async def test_the_operator_ends_what_databases_record_and_the_request_is_withdrawn():
    places = [platform("warehouse", {"postgres": {"ledger": "Enabled"}}), platform("lake", {"snowflake": {}})]
    agents = Agents([], platforms=[*places, platform("new", {"postgres": {}}, connected=False)], drains=True)

    assert await agents.drain() == ()

    names, ids = zip(*agents.requests, strict=True)
    assert set(names) == {"warehouse"}
    assert places[0]["status"]["drained"] == ids[2]
    assert (ids[0] != ids[2], ids[1], ids[3]) == (True, None, None), "it asks again for roles of calls that began before"
    told = [text for text in agents.told if text.startswith("DataPlatforms")]
    assert told == [f"DataPlatforms that may record live roles: {each}" for each in ("warehouse", "none")] * 2


async def test_a_pod_of_the_api_that_finishes_late_leaves_no_recorded_role():
    agents = Agents([], platforms=[platform("warehouse", {"postgres": {"ledger": "Enabled"}})], drains=True, replicas=1, finishing=3)

    assert await agents.drain(api=API) == ()

    requests = [request for _, request in agents.requests if request]
    assert len(set(requests)) == 2, "it asks again when the pods are gone"


async def test_a_platform_that_does_not_answer_is_named_and_the_request_is_withdrawn():
    away = platform("annex", {"postgres": {}}, ready="False")
    agents = Agents([], platforms=[platform("warehouse", {"postgres": {}}, ledger=True), away])

    left = await agents.drain(seconds=1)

    unready = "its database may record live roles, and is not ready: nobody answers"
    working = "its database still records live roles; the operator's log names those that it cannot drop"
    assert left == (Left("DataPlatform", "warehouse", working), Left("DataPlatform", "annex", unready))
    assert agents.requests[-2:] == [("warehouse", None), ("annex", None)]


async def test_without_a_ledger_no_platform_is_waited_for():
    agents = Agents([1], platforms=[platform("warehouse", {"postgres": {"ledger": "Disabled"}}, ready="False")])

    assert await agents.drain() == ()

    assert agents.requests == []

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
from rolevend.errors import ClusterUnavailable, NotPermitted
from rolevend.kube.client import PAGE, Body, Cluster, Gone, Resource

POLICY = "rolevend-closed"
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

    async def get(self, _resource: Resource, _name: str) -> Body:
        return {"metadata": {"uid": "policy"}}

    async def apply(self, *_: object) -> None: ...

    async def create(self, *_: object, dry_run: bool) -> Body:
        assert dry_run
        raise NotPermitted("vending is closed")

    async def pages(self, resource: Resource) -> AsyncIterator[Body]:
        assert resource.plural == "vendedroles"
        for start in range(0, len(self.left), PAGE):
            if start and self.failing:
                raise self.failing.pop()
            yield {"items": [body(number) for number in self.left[start : start + PAGE]]}

    async def merge(self, _resource: Resource, name: str, patch: Body, _namespace: str, subresource: str) -> None:
        assert (patch["status"]["ended"]["reason"], subresource) == ("Revoked", "status")
        self.ended[name] += 1

    async def delete(self, _resource: Resource, name: str, _uid: str, _namespace: str) -> None:
        assert self.ended[name], "the reason is written first"
        self.deleted[name] += 1

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        asked = [number for number in self.left if self.deleted[f"role-{number}"]]
        self.left = sorted({*self.left} - {*asked[: self.pace]})
        await asyncio.sleep(0 if self.pace else seconds)

    async def drain(self, *, seconds: float = 600) -> tuple[Left, ...]:
        deadline = asyncio.get_running_loop().time() + seconds
        return await Drain(cast(Cluster, self), deadline, self.told.append, self.pause).run("rolevend-system", POLICY, platforms=False)


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


@pytest.mark.parametrize("error", [Gone("the list is too old"), ClusterUnavailable("not now")])
async def test_a_list_that_breaks_off_is_begun_anew(error: Exception):
    agents = Agents(list(range(PAGE + 1)), failing=[error])

    assert await agents.drain() == ()

    assert agents.deleted == Counter({f"role-{number}" for number in range(PAGE + 1)})


async def test_what_is_left_at_the_deadline_is_named_with_why():
    agents = Agents(list(range(PAGE + 1)), pace=0)

    left = await agents.drain(seconds=1)

    assert set(left) == {Left("VendedRole", f"agents/role-{number}", MESSAGE) for number in range(PAGE + 1)}
    assert sum(agents.pauses) <= 1

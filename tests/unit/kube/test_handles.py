"""A handle in a role name stands for one agent, or one person, for ever; and to know that costs one request in the life of a process."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, cast

import pytest

from rolevend.errors import Conflict, NotPermitted, TooManyUnknownUsers
from rolevend.kube.client import Body, KubeClient, NotFound, ResourceConflict, ResourcePath
from rolevend.kube.handles import HandleRegistry
from rolevend.model import AgentHandle, ObjectName, User, UserHandle
from tests.support.registered import ANNA, granted

BOB = User("https://idp.example.org", "bob")
LEASE = granted().lease


class ApiServer:
    """ConfigMaps of one namespace."""

    def __init__(self) -> None:
        self.kept: dict[str, Body] = {}
        self.requests = 0
        self.listings = 0
        self.forbidden = False

    async def create(self, resource: ResourcePath, body: Body, namespace: str | None = None) -> Body:
        self.requests += 1
        assert (resource.plural, namespace) == ("configmaps", "rolevend-system")
        if self.forbidden:
            raise NotPermitted("no")
        name = body["metadata"]["name"]
        if name in self.kept:
            raise ResourceConflict(name)
        self.kept[name] = {**body, "metadata": {**body["metadata"], "namespace": namespace}}
        return self.kept[name]

    async def get(self, resource: ResourcePath, name: str, namespace: str | None = None) -> Body:
        self.requests += 1
        if self.forbidden:
            raise NotPermitted("no")
        if name not in self.kept:
            raise NotFound(name)
        return self.kept[name]

    async def pages(self, resource: ResourcePath, namespace: str, selector: str) -> AsyncIterator[Body]:
        self.listings += 1
        name, _, value = selector.partition("=")
        yield {"items": [each for each in self.kept.values() if each["metadata"]["labels"].get(name) == value]}
        yield {"items": []}


@pytest.fixture
def server() -> ApiServer:
    return ApiServer()


def records(server: ApiServer) -> HandleRegistry:
    """As a process that has just started."""
    return HandleRegistry(cast(KubeClient, server), "rolevend-system")


async def test_a_record_is_immutable_and_read_back_by_the_handle(server: ApiServer):
    await records(server).claim(LEASE, UserHandle("ANNA"), is_known=True)

    assert all(each["immutable"] for each in server.kept.values())
    assert await records(server).agent(AgentHandle("FINBOT")) == LEASE.agent
    assert await records(server).user(UserHandle("ANNA")) == ANNA
    assert await records(server).user(UserHandle("BOB")) is None


async def test_the_second_vend_of_a_handle_asks_nobody(server: ApiServer):
    record = records(server)
    await record.claim(LEASE, UserHandle("ANNA"), is_known=True)
    before = server.requests

    await record.claim(LEASE, UserHandle("ANNA"), is_known=True)

    assert server.requests == before


async def test_the_same_claim_by_another_process_is_fine(server: ApiServer):
    await records(server).claim(LEASE, UserHandle("ANNA"), is_known=True)
    await records(server).claim(LEASE, UserHandle("ANNA"), is_known=True)

    assert len(server.kept) == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"user": BOB}, "spec.user: the handle ANNA of this user is that of anna (https://idp.example.org) for ever"),
        ({"user": User("https://other.example.org", "anna")}, "is that of anna (https://idp.example.org)"),
        (
            {"agent": ObjectName("agents", "other")},
            "spec.agentRef: the handle FINBOT of this Agent is that of Agent agents/finbot for ever",
        ),
        ({"agent": ObjectName("elsewhere", "finbot")}, "is that of Agent agents/finbot"),
    ],
)
async def test_a_handle_that_was_somebody_elses_is_refused_by_the_same_process_and_by_a_new_one(
    server: ApiServer, changes: dict[str, Any], said: str
):
    first = records(server)
    await first.claim(LEASE, UserHandle("ANNA"), is_known=True)

    for record in (first, records(server)):
        for _ in range(2):
            with pytest.raises(Conflict) as refused:
                await record.claim(replace(LEASE, **changes), UserHandle("ANNA"), is_known=True)
            assert said in str(refused.value)
            assert "choose another one" in str(refused.value)
        (why,) = record.refused.values()
        assert str(refused.value).endswith(why)


async def test_what_was_refused_is_told_once_and_taken_back_when_it_is_granted_after_all(server: ApiServer):
    told: list[int] = []
    await records(server).claim(LEASE, UserHandle("ANNA"), is_known=True)
    record = HandleRegistry(cast(KubeClient, server), "rolevend-system", lambda: told.append(len(record.refused)))

    for _ in range(2):
        with pytest.raises(Conflict):
            await record.claim(replace(LEASE, user=BOB), UserHandle("ANNA"), is_known=True)
    del server.kept["rolevend-user-anna"]
    await record.claim(replace(LEASE, user=BOB), UserHandle("ANNA"), is_known=True)

    assert told == [1, 0]


async def test_of_two_who_claim_a_handle_at_once_one_has_it(server: ApiServer):
    record = records(server)

    outcomes = await asyncio.gather(
        *(record.claim(replace(LEASE, user=user), UserHandle("X"), is_known=True) for user in (ANNA, BOB)), return_exceptions=True
    )

    assert [type(each) for each in outcomes] == [type(None), Conflict]


@pytest.mark.parametrize("spoiled", [{"immutable": False}, {"data": None}, {"data": {"handle": "ANNA"}}])
async def test_what_is_no_record_of_ours_is_not_believed(server: ApiServer, spoiled: dict[str, Any]):
    await records(server).claim(LEASE, UserHandle("ANNA"), is_known=True)
    server.kept["rolevend-user-anna"] |= spoiled

    with pytest.raises(Conflict, match="ConfigMap rolevend-system/rolevend-user-anna is in the place of a handle's record"):
        await records(server).claim(LEASE, UserHandle("ANNA"), is_known=True)
    with pytest.raises(Conflict):
        await records(server).user(UserHandle("ANNA"))


async def test_a_right_that_is_missing_is_named(server: ApiServer):
    server.forbidden = True

    with pytest.raises(NotPermitted, match="may not keep ConfigMaps in namespace rolevend-system: upgrade the chart"):
        await records(server).claim(LEASE, UserHandle("ANNA"), is_known=True)


MOST = 3


def bounded(server: ApiServer) -> HandleRegistry:
    return HandleRegistry(cast(KubeClient, server), "rolevend-system", unknown_users=MOST)


async def named(record: HandleRegistry, number: int, *, is_known: bool = False, handle: str = "FINBOT") -> None:
    """One of the users that an agent makes up."""
    lease = replace(LEASE, agent_handle=AgentHandle(handle), user=User("https://idp.example.org", f"made-up-{number}"))
    await record.claim(lease, UserHandle(f"U{number}"), is_known=is_known)


async def test_an_agent_leaves_records_of_so_many_users_that_nobody_vouches_for_and_no_more(server: ApiServer):
    for number in range(MOST):
        await named(bounded(server), number)

    record = bounded(server)
    for number in range(MOST, 100):
        with pytest.raises(TooManyUnknownUsers) as refused:
            await named(record, number)

    assert f"spec.user: Agent agents/finbot has had roles for {MOST} users that neither a token nor UserAttributes vouch for" in str(
        refused.value
    )
    assert "raise unknownUsersPerAgent in the chart's settings" in str(refused.value)
    assert len(server.kept) == MOST + 1
    assert server.listings == MOST + 1, "a refusal costs no listing"


async def test_who_is_known_and_who_has_a_record_is_not_counted_and_not_refused(server: ApiServer):
    record = bounded(server)
    for number in range(MOST):
        await named(record, number)
    for number in range(100, 110):
        await named(record, number, is_known=True)

    with pytest.raises(TooManyUnknownUsers):
        await named(record, MOST)
    for number in (0, MOST - 1):
        await named(bounded(server), number)
    await named(record, MOST, is_known=True)


async def test_each_agent_has_room_of_its_own(server: ApiServer):
    record = bounded(server)
    for number in range(MOST):
        await named(record, number)

    await named(record, 50, handle="OTHER")

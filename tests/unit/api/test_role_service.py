"""A release by a replica whose watch lags behind the API server: it ends the role that there is, and its answer is true."""

import json
from dataclasses import replace
from typing import Any, cast

import pytest

from rolevend.api import role_service
from rolevend.api.problems import Problem
from rolevend.api.repository import body_of
from rolevend.api.role_service import RoleService
from rolevend.kube.client import Body, KubeClient, NotFound
from rolevend.model import ObjectName
from rolevend.roles.objects import VendedRoleWriter
from tests.support import registered
from tests.unit.api.test_repository import ASKED, NAME

AGENT = registered.AGENT


class Cluster:
    """An API server with one object, which is deleted after so many more reads."""

    def __init__(self, uid: str, reads: int) -> None:
        self.uid, self.reads = uid, reads
        self.deleted: list[str] = []

    async def get(self, *_: object) -> Body:
        if self.deleted:
            self.reads -= 1
        if self.reads < 0:
            raise NotFound("vendedroles", NAME.name)
        return stored(self.uid)

    async def delete(self, _: object, __: str, uid: str, ___: str) -> None:
        if uid == self.uid:
            self.deleted.append(uid)


class Watch:
    """The index of a replica, which has seen `uid` last. It hears of nothing more."""

    def __init__(self, uid: str | None) -> None:
        self._uid = uid

    def get(self, _: object) -> Body | None:
        return None if self._uid is None else stored(self._uid)

    async def gone(self, _: object, uid: str, __: float) -> bool:
        return uid != self._uid


class Nothing:
    """Neither a record nor an audit log."""

    async def named(self, *_: object) -> None:
        return None

    async def release_requested(self, *_: object) -> None:
        return None


def stored(uid: str) -> Body:
    body = body_of(ASKED, "sha256:digest")
    body["metadata"] |= {"uid": uid, "creationTimestamp": "2026-11-20T10:00:00Z"}
    return cast(Body, json.loads(json.dumps(body)))


def service(cluster: Cluster, watch: Watch) -> RoleService:
    objects = VendedRoleWriter(cast(KubeClient, cluster), lambda: registered.NOW)
    return RoleService(objects, cast(Any, watch), cast(Any, Nothing()), cast(Any, Nothing()))


async def test_an_object_that_the_watch_has_not_seen_is_gone_when_the_api_server_says_so():
    cluster = Cluster("first", reads=3)

    assert await service(cluster, Watch(None)).release(AGENT, NAME.name, "r") is None

    assert (cluster.deleted, cluster.reads) == (["first"], -1)


async def test_a_role_that_took_the_name_of_one_that_the_watch_has_seen_last_is_released():
    cluster = Cluster("second", reads=0)

    assert await service(cluster, Watch("first")).release(AGENT, NAME.name, "r") is None

    assert cluster.deleted == ["second"]


async def test_what_is_still_there_after_the_longest_wait_is_returned(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(role_service, "LONGEST_RELEASE_SECONDS", 0.01)

    role = await service(Cluster("first", reads=10_000), Watch("first")).release(AGENT, NAME.name, "r")

    assert role is not None
    assert role.uid == "first"


async def test_a_role_that_ended_a_moment_ago_is_gone_and_one_that_was_never_seen_is_not_found():
    ended = Cluster("first", reads=-1)

    assert await service(ended, Watch("first")).release(AGENT, NAME.name, "r") is None
    for agent, watch in ((AGENT, Watch(None)), (replace(AGENT, name=ObjectName("agents", "another")), Watch("first"))):
        with pytest.raises(Problem, match="no vended role"):
            await service(ended, watch).release(agent, NAME.name, "r")

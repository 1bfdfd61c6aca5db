"""The page on health: it shows what a person may read, says what it left out, and every text is text."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rolevend.cluster_health.facts import ClusterFacts
from rolevend.cluster_health.findings import HealthFinding
from rolevend.cluster_health.overview import Overview, PlatformOverview, overview
from rolevend.console.health import InstallationHealth, InstallationView
from rolevend.console.health_pages import HealthPages
from rolevend.console.person import Person
from rolevend.console.rights import Act
from rolevend.console.sessions import Session
from rolevend.errors import ClusterUnavailable
from rolevend.kinds import Resource, VendedRole
from tests.support.manifests import changed, valid

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
OLGA, NINA = Person("staff:olga"), Person("staff:nina")
HOSTILE = "</bdi><script>alert(1)</script>"


class Rights:
    """Of Olga in all namespaces, and of Nina in one."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.asked = 0
        self.down = False

    async def may(self, person: Person, act: Act) -> bool:
        self.asked += 1
        if self.down:
            raise ClusterUnavailable("no answer")
        return person == OLGA

    async def namespaces(self, person: Person, _verb: str, resource: str, named: set[str]) -> frozenset[str]:
        return frozenset(named & {self.namespace}) if resource == "vendedroles" else frozenset()


class Objects:
    def __init__(self, *roles: Any) -> None:
        self.roles = roles

    def bodies(self, kind: type[Resource]) -> Sequence[Any]:
        return self.roles if kind is VendedRole else ()


def role(namespace: str, state: str) -> Any:
    body = changed(valid("VendedRole", "r"), "metadata.namespace", namespace)
    body["metadata"]["creationTimestamp"] = "2026-11-30T11:00:00Z"
    return {**body, "status": {"platforms": [{"name": "warehouse", "state": state}]}}


def health(rights: Rights, moment: list[float]) -> InstallationHealth:
    objects, nothing = Objects(role("mine", "Pending"), role("theirs", "Dropping")), cast(Any, None)
    return InstallationHealth(nothing, "system", cast(Any, objects), cast(Any, rights), False, lambda: NOW, lambda: moment[0])


def test_each_person_has_the_roles_of_their_own_namespaces():
    found = health(Rights("mine"), [0.0])

    async def both() -> tuple[InstallationView, InstallationView]:
        return await found.view(OLGA), await found.view(NINA)

    everything, some = asyncio.run(both())
    assert everything.overview.queue.startswith("2 roles wait")
    assert some.overview.queue.startswith("1 role waits")
    assert {each.part: each.reason for each in some.gaps}["VendedRole"] == "you may read those of some namespaces alone"
    assert [each.part for each in everything.gaps] == ["UserAttributes"]
    assert asyncio.run(health(Rights("nowhere"), [0.0]).view(NINA)).overview.queue == "VendedRoles were not read"


def test_an_answer_holds_for_seconds_and_a_failure_for_none():
    rights, moment = Rights("mine"), [0.0]
    found = health(rights, moment)

    async def reads() -> None:
        rights.down = True
        with pytest.raises(ClusterUnavailable):
            await found.view(OLGA)
        rights.down = False
        await asyncio.gather(found.view(OLGA), found.view(OLGA))
        once = rights.asked
        await found.view(OLGA)
        assert rights.asked == once
        moment[0] = 11.0
        await found.view(OLGA)
        assert rights.asked > once

    asyncio.run(reads())


def test_a_cluster_that_answers_slowly_holds_up_nobody_for_long():
    """Two are read at a time; others wait, and read why they see less."""

    async def pages(*_: object) -> AsyncIterator[Any]:
        await asyncio.Event().wait()
        yield {}

    async def nothing(*_: object) -> Any:
        return {}

    slow = SimpleNamespace(pages=pages, get=nothing, create=nothing)
    cluster = SimpleNamespace(acting_as=lambda *_: slow)
    rights, objects = Rights("mine"), Objects(role("mine", "Pending"))
    found = InstallationHealth(cast(Any, cluster), "system", cast(Any, objects), cast(Any, rights), True, lambda: NOW, seconds=0.05)

    async def many() -> list[InstallationView]:
        people = [Person(f"staff:{number}") for number in range(8)]
        return await asyncio.wait_for(asyncio.gather(*map(found.view, people)), 30)

    for view in asyncio.run(many()):
        assert any("takes too long now" in each.reason for each in view.gaps)
        assert view.overview.queue.startswith("1 role waits")


def shown(view: InstallationView, *, enabled: bool = True) -> str:
    async def known(_person: Person) -> InstallationView:
        return view

    pages = HealthPages(cast(Any, SimpleNamespace(view=known, enabled=enabled)))
    answer = asyncio.run(pages.health(cast(Any, None), Session(OLGA, "secret")))
    return bytes(answer.body).decode()


def test_every_text_of_the_cluster_is_text_and_a_drift_is_told_with_its_message():
    platform = PlatformOverview(HOSTILE, ("True", "True", "", "Drifted"), (1, 2, 3), (f"InSync: {HOSTILE}",))
    told = Overview(((HOSTILE, HOSTILE),), (platform,), (), (), (HOSTILE,), HOSTILE, ())
    view = InstallationView(told, [HealthFinding("wrong", HOSTILE, HOSTILE, HOSTILE)], (), NOW)
    text = shown(view)
    assert "<script>alert" not in text
    assert text.count("&lt;script&gt;alert") == 9
    assert "Drifted" in text


def test_a_console_without_impersonation_says_so_and_long_lists_are_cut():
    view = InstallationView(overview(ClusterFacts("system", NOW, None, {})), [HealthFinding("look", "x", "y", "z")] * 250, (), NOW)
    text = shown(view, enabled=False)
    assert "This console only shows what it watches" in text
    assert "50 more are not shown" in text
    assert "only shows" not in shown(view)

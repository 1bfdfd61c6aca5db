"""A TagBinding or a Guardrail that cannot be read may hide a mask: its platforms decide nothing until it can be, and no other platform
minds. A UserAttributes that cannot be read stops its user all the same."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import ClassVar, cast

import pytest

from rolevend.decision.outcome import Decision, Denied, Granted, Pending
from rolevend.kinds import DataPlatform, kind_named
from rolevend.kube.client import NAMESPACES, KubeClient, ResourcePath
from rolevend.model import PlatformName
from rolevend.platform_runtime.registry import ConnectedPlatform, PlatformRegistry
from rolevend.snapshot.builder import SnapshotBuilder
from rolevend.snapshot.controller import SnapshotController, SnapshotSources
from rolevend.telemetry.metrics import Metrics
from tests.support.manifests import Body
from tests.support.painted import (
    CLUSTER,
    CRM,
    KEY,
    NOW,
    OBJECTS,
    REQUEST,
    STATES,
    WAREHOUSE,
    answering,
    paint,
    raw,
    raw_agent,
    raw_binding,
    raw_person,
    raw_policy,
    said,
    verdict,
)


class TestATagBindingThatCannotBeRead:
    UNREADABLE: ClassVar = {WAREHOUSE: "TagBinding domain-claims/pii cannot be read: spec.colums: is not known"}

    SPOILED: ClassVar = [("spec.colums", []), ("spec.platformRefs", "warehouse"), ("spec", None)]

    @pytest.mark.parametrize("role_exists", [False, True])
    def test_leaves_its_platform_undecided_and_is_named(self, role_exists: bool):
        built = paint(replace(OBJECTS, unsure=self.UNREADABLE))

        assert verdict(built, role_exists=role_exists) == Pending("CatalogUnread", self.UNREADABLE[WAREHOUSE], withdrawn=False)

    def test_opens_no_policy_there(self):
        built = paint(replace(OBJECTS, unsure=self.UNREADABLE))

        assert said(built, "analysts", "Ready") == ("Unknown", "CatalogUnread")
        assert not [name for name in built.snapshot.shapes if name == WAREHOUSE]

    def test_is_no_concern_of_another_platform(self):
        elsewhere = {CRM: self.UNREADABLE[WAREHOUSE]}

        assert isinstance(verdict(paint(replace(OBJECTS, unsure=elsewhere))), Granted)

    def test_decides_again_from_what_was_compiled_when_it_can_be_read(self):
        painter = SnapshotBuilder(CLUSTER, KEY)
        first = painter.build(OBJECTS, STATES, "")
        painter.build(replace(OBJECTS, unsure=self.UNREADABLE), STATES, "")

        assert verdict(painter.build(OBJECTS, STATES, "")) == verdict(first)

    @pytest.mark.parametrize(
        ("path", "value"),
        [("spec.colums", []), ("spec.columns[0].tags[0].value", ""), ("spec.tables", "tables"), ("spec.tagsFrom", {})],
    )
    async def test_is_found_among_the_objects_of_the_watch_and_opens_nothing(self, path: str, value: object):
        decided = await decided_of(raw_binding((path, value)))

        assert isinstance(decided, Pending)
        assert decided.reason == "CatalogUnread"
        assert decided.message.startswith("TagBinding domain-claims/pii cannot be read: spec.")

    @pytest.mark.parametrize("refs", [None, "warehouse", [], [{"names": "warehouse"}], [{"name": "crm"}, "warehouse"], [None]])
    async def test_that_names_its_platforms_in_a_way_that_cannot_be_read_is_in_the_way_wherever_its_namespace_owns_schemas(
        self, refs: object
    ):
        assert isinstance(await decided_of(raw_binding(("spec.platformRefs", refs))), Pending)

    @pytest.mark.parametrize("spec", [None, [], "warehouse"])
    async def test_that_has_no_spec_to_read_is_in_the_way_too_and_breaks_nothing(self, spec: object):
        assert isinstance(await decided_of(raw_binding(("spec", spec))), Pending)

    async def test_of_a_namespace_that_owns_no_schema_is_in_nobodys_way(self):
        strangers = [raw("TagBinding", str(number), "domain-of-nothing", change) for number, change in enumerate(self.SPOILED)]

        assert isinstance(await decided_of(raw_binding(), *strangers), Granted)

    async def test_that_names_other_platforms_only_is_not_in_the_way_of_this_one(self):
        other = raw_binding(("spec.platformRefs", [{"name": "crm"}]), ("spec.colums", []))

        assert isinstance(await decided_of(other), Granted)


class TestAGuardrailThatCannotBeRead:
    @pytest.mark.parametrize(
        ("path", "value"), [("spec.denny", {}), ("spec.tables", {}), ("spec", None), ("spec.platformRefs", "warehouse")]
    )
    async def test_is_found_among_the_objects_of_the_watch_and_opens_nothing(self, path: str, value: object):
        decided = await decided_of(raw("Guardrail", "limits", "", (path, value)))

        assert isinstance(decided, Pending)
        assert decided.message.startswith("Guardrail limits cannot be read: spec")

    async def test_that_names_other_platforms_only_is_not_in_the_way_of_this_one(self):
        elsewhere = raw("Guardrail", "limits", "", ("spec.platformRefs", [{"name": "crm"}]), ("spec.tables", {}))

        assert isinstance(await decided_of(elsewhere), Granted)


class TestAUserAttributesThatCannotBeRead:
    """Of the same user as another one, which grants: that one suspends or revokes all the same."""

    @staticmethod
    def stopping(*changes: tuple[str, object]) -> Body:
        user = ("spec.user", {"issuer": "idp", "subject": "anna"})
        return raw("UserAttributes", "stopping", "", user, ("spec.handle", "ANN2"), ("spec.colour", "red"), *changes)

    @pytest.mark.parametrize(
        ("stop", "code"),
        [
            (("spec.suspend", True), "Suspended"),
            (("spec.notBefore", "2999-01-01T00:00:00Z"), "SessionRevoked"),
            (("spec.notBefore", "0000-01-01T00:00:00Z"), "Suspended"),  # the API server takes it
        ],
    )
    async def test_that_suspends_or_revokes_does_so_all_the_same(self, stop: tuple[str, object], code: str):
        decided = await decided_of(raw_binding(), self.stopping(stop))

        assert isinstance(decided, Denied)
        assert decided.reason == code

    @pytest.mark.parametrize("changes", [(), (("spec.suspend", False),), (("spec.user", None), ("spec.suspend", True)), (("spec", None),)])
    async def test_stops_nobody_otherwise(self, changes: tuple[tuple[str, object], ...]):
        assert isinstance(await decided_of(raw_binding(), self.stopping(*changes)), Granted)


class ApiServer:
    """Lists what it was given, and tells of no change."""

    def __init__(self, *bodies: Body) -> None:
        self.bodies = bodies

    async def list(self, resource: ResourcePath, *_: object, **__: object) -> tuple[Sequence[Body], str]:
        if resource == NAMESPACES:
            return [{"metadata": {"uid": "namespace", "name": "agents", "labels": {"team": "claims"}, "resourceVersion": "1"}}], "1"
        return [each for each in self.bodies if kind_named(each["kind"]).plural == resource.plural], "1"

    async def watch(self, resource: ResourcePath, version: str, seconds: int, *_: object, **__: object) -> AsyncIterator[tuple[str, Body]]:
        await asyncio.Event().wait()
        yield "BOOKMARK", {}

    async def merge(self, *_: object) -> Body:
        return {}


class OnePlatform:
    """At work, and read."""

    def sync(self, objects: Iterable[DataPlatform], _: object) -> None:
        self.objects = tuple(objects)

    def __iter__(self) -> Iterator[tuple[PlatformName, ConnectedPlatform]]:
        for each in self.objects:
            at_work = ConnectedPlatform(each)
            at_work.state = answering(each.name)
            yield PlatformName(each.name), at_work


async def decided_of(*bindings: Body) -> Decision:
    """The verdict on the request in the first picture that shows everything, of an operator that watches."""
    server = ApiServer(raw_agent(), raw("DataPlatform", WAREHOUSE, ""), raw_policy(), raw_person(), *bindings)
    sources = SnapshotSources("rolevend-system")
    observed = SnapshotController(cast(KubeClient, server), SnapshotBuilder(CLUSTER, KEY), Metrics(), lambda: NOW, sources)
    complete = asyncio.Event()

    def viewed() -> None:
        if not observed.snapshot.pending:
            complete.set()

    runs = [observed.run(cast(PlatformRegistry, OnePlatform()), viewed), *(informer.run() for informer in observed.informers)]
    tasks = [asyncio.ensure_future(each) for each in (complete.wait(), *runs)]
    done, _ = await asyncio.wait(tasks, timeout=10, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
    assert complete.is_set()
    return observed.snapshot.decide(REQUEST)

"""From objects to verdicts: what cannot be read, is being deleted or claims what another has opens nothing, and ends nothing."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, cast

import pytest

from rolevend.catalog import Catalog
from rolevend.kube.client import NAMESPACES, Cluster, Resource
from rolevend.model import ClusterId, ObjectName, PlatformName, Uid, User
from rolevend.platforms.base import ServerFacts
from rolevend.reconcile.objects import Observed
from rolevend.reconcile.picture import Objects, Painter, Picture
from rolevend.reconcile.platforms import SERVER_CHANGED, PlatformAtWork, Platforms, PlatformState
from rolevend.resources import AccessPolicy, Agent, DataPlatform, TagBinding, UserAttributes, kind_named, parse
from rolevend.telemetry.metrics import Metrics
from rolevend.vending.directory import Denied, Granted, Request, Undecided, Verdict, ended_by
from tests.support.manifests import Body, changed, valid
from tests.support.policies import column, table

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
STAMP = "2026-11-24T12:00:00Z"
CLUSTER, KEY = ClusterId("cluster"), b"key"
WAREHOUSE, CRM = PlatformName("warehouse"), PlatformName("crm")
PEOPLE = table("claims.people", column("country"), column("full_name"))
ANNA, UID = User("idp", "anna"), Uid("0d5f1e7a-0000-4000-8000-000000000001")
REQUEST = Request(
    ObjectName("agents", "ask"),
    Uid("0d5f1e7a-0000-4000-8000-000000000001"),
    ObjectName("agents", "finbot"),
    User("idp", "anna"),
    WAREHOUSE,
    NOW,
    900,
)


def raw(kind: str, name: str, namespace: str, *changes: tuple[str, object], age: int = 0, **metadata: object) -> Body:
    """A valid object as the API server has it, with `changes` as (path, value), made `age` seconds before now."""
    body = valid(kind, name, namespace)
    body["metadata"] |= {
        "uid": f"{kind}-{namespace}-{name}",
        "generation": 1,
        "resourceVersion": "1",
        "creationTimestamp": f"{NOW - timedelta(seconds=age):%Y-%m-%dT%H:%M:%SZ}",
        **metadata,
    }
    for path, value in changes:
        body = changed(body, path, value)
    return body


def raw_policy(row_filter: str = "country IN (user_attr('countries'))", **metadata: object) -> Body:
    everything = ("spec.tables", {"matchNames": [{"schema": "claims", "name": "*"}]}), ("spec.masks", [])
    return raw("AccessPolicy", "analysts", "domain-claims", *everything, ("spec.rowFilter", row_filter), **metadata)


def raw_agent(name: str = "finbot", **more: Any) -> Body:
    return raw("Agent", name, "agents", ("spec.onBehalfOf", {"assertion": "Trusted"}), **more)


def raw_person(**more: Any) -> Body:
    return raw("UserAttributes", "anna", "", ("spec.user", {"issuer": "idp", "subject": "anna"}), **more)


def raw_binding(*changes: tuple[str, object]) -> Body:
    return raw("TagBinding", "pii", "domain-claims", *changes)


OBJECTS = Objects(
    agents=[parse(Agent, raw_agent())],
    platforms=[parse(DataPlatform, raw("DataPlatform", name, "")) for name in (WAREHOUSE, CRM)],
    policies=[parse(AccessPolicy, raw_policy())],
    bindings=[parse(TagBinding, raw_binding())],
    people=[parse(UserAttributes, raw_person())],
    namespaces={"agents": {"team": "claims"}},
)


def state(name: str) -> PlatformState:
    return PlatformState(None, ServerFacts("18.4", f"server of {name}"), Catalog.of([PEOPLE]))


STATES = {name: state(name) for name in (WAREHOUSE, CRM)}


def paint(objects: Objects = OBJECTS, states: dict[PlatformName, PlatformState] | None = None) -> Picture:
    return Painter(CLUSTER, KEY).paint(objects, states or STATES, "")


def verdict(picture: Picture, *, begun: bool = False, request: Request = REQUEST) -> Verdict:
    return picture.directory.verdict(request, begun=begun)


def conditions(picture: Picture, name: str) -> dict[str, tuple[str, str, str]]:
    (judged,) = [each for each in picture.judgements if each.resource.name == name]
    return {each.type: (each.status, each.reason, each.message) for each in judged.findings}


def test_what_everybody_agrees_on_is_granted():
    assert isinstance(verdict(paint()), Granted)


class TestATagBindingThatCannotBeRead:
    UNREADABLE: ClassVar = {WAREHOUSE: "TagBinding domain-claims/pii cannot be read: spec.colums: is not known"}

    SPOILED: ClassVar = [("spec.colums", []), ("spec.platformRefs", "warehouse"), ("spec", None)]

    @pytest.mark.parametrize("begun", [False, True])
    def test_leaves_its_platform_undecided_and_is_named(self, begun: bool):
        picture = paint(replace(OBJECTS, unreadable_tags=self.UNREADABLE))

        assert verdict(picture, begun=begun) == Undecided("CatalogUnread", self.UNREADABLE[WAREHOUSE], withdrawn=False)

    def test_opens_no_policy_there(self):
        picture = paint(replace(OBJECTS, unreadable_tags=self.UNREADABLE))

        assert conditions(picture, "analysts")["Ready"][:2] == ("Unknown", "CatalogUnread")
        assert not [name for name in picture.directory.shapes if name == WAREHOUSE]

    def test_is_no_concern_of_another_platform(self):
        elsewhere = {CRM: self.UNREADABLE[WAREHOUSE]}

        assert isinstance(verdict(paint(replace(OBJECTS, unreadable_tags=elsewhere))), Granted)

    def test_decides_again_from_what_was_compiled_when_it_can_be_read(self):
        painter = Painter(CLUSTER, KEY)
        first = painter.paint(OBJECTS, STATES, "")
        painter.paint(replace(OBJECTS, unreadable_tags=self.UNREADABLE), STATES, "")

        assert verdict(painter.paint(OBJECTS, STATES, "")) == verdict(first)

    @pytest.mark.parametrize(
        ("path", "value"),
        [("spec.colums", []), ("spec.columns[0].tags[0].value", ""), ("spec.tables", "tables"), ("spec.tagsFrom", {})],
    )
    async def test_is_found_among_the_objects_of_the_watch_and_opens_nothing(self, path: str, value: object):
        decided = await decided_of(raw_binding((path, value)))

        assert isinstance(decided, Undecided)
        assert decided.reason == "CatalogUnread"
        assert decided.message.startswith("TagBinding domain-claims/pii cannot be read: spec.")

    @pytest.mark.parametrize("refs", [None, "warehouse", [], [{"names": "warehouse"}], [{"name": "crm"}, "warehouse"], [None]])
    async def test_that_names_its_platforms_in_a_way_that_cannot_be_read_is_in_the_way_wherever_its_namespace_owns_schemas(
        self, refs: object
    ):
        assert isinstance(await decided_of(raw_binding(("spec.platformRefs", refs))), Undecided)

    @pytest.mark.parametrize("spec", [None, [], "warehouse"])
    async def test_that_has_no_spec_to_read_is_in_the_way_too_and_breaks_nothing(self, spec: object):
        assert isinstance(await decided_of(raw_binding(("spec", spec))), Undecided)

    async def test_of_a_namespace_that_owns_no_schema_is_in_nobodys_way(self):
        strangers = [raw("TagBinding", str(number), "domain-of-nothing", change) for number, change in enumerate(self.SPOILED)]

        assert isinstance(await decided_of(raw_binding(), *strangers), Granted)

    async def test_that_names_other_platforms_only_is_not_in_the_way_of_this_one(self):
        other = raw_binding(("spec.platformRefs", [{"name": "crm"}]), ("spec.colums", []))

        assert isinstance(await decided_of(other), Granted)


class ApiServer:
    """Lists what it was given, and tells of no change."""

    def __init__(self, *bodies: Body) -> None:
        self.bodies = bodies

    async def list(self, resource: Resource) -> tuple[Sequence[Body], str]:
        if resource == NAMESPACES:
            return [{"metadata": {"uid": "namespace", "name": "agents", "labels": {"team": "claims"}}}], "1"
        return [each for each in self.bodies if kind_named(each["kind"]).plural == resource.plural], "1"

    async def watch(self, resource: Resource, version: str, seconds: int) -> AsyncIterator[tuple[str, Body]]:
        await asyncio.Event().wait()
        yield "BOOKMARK", {}

    async def merge(self, *_: object) -> Body:
        return {}


class OnePlatform:
    """At work, and read."""

    def follow(self, objects: Iterable[DataPlatform]) -> None:
        self.objects = tuple(objects)

    def __iter__(self) -> Iterator[tuple[PlatformName, PlatformAtWork]]:
        for each in self.objects:
            at_work = PlatformAtWork(each)
            at_work.state = state(each.name)
            yield PlatformName(each.name), at_work


async def decided_of(*bindings: Body) -> Verdict:
    """The verdict on the request in the first picture that shows everything, of an operator that watches."""
    server = ApiServer(raw_agent(), raw("DataPlatform", WAREHOUSE, ""), raw_policy(), raw_person(), *bindings)
    observed = Observed(cast(Cluster, server), Painter(CLUSTER, KEY), Metrics(), lambda: NOW)
    complete = asyncio.Event()

    def viewed() -> None:
        if not observed.directory.pending:
            complete.set()

    runs = [observed.run(cast(Platforms, OnePlatform()), viewed), *(informer.run() for informer in observed.informers)]
    tasks = [asyncio.ensure_future(each) for each in (complete.wait(), *runs)]
    done, _ = await asyncio.wait(tasks, timeout=10, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
    assert complete.is_set()
    return observed.directory.verdict(REQUEST)


CLOSED = {
    "it is being deleted": (
        replace(OBJECTS, platforms=[parse(DataPlatform, raw("DataPlatform", WAREHOUSE, "", deletionTimestamp=STAMP))]),
        STATES,
    ),
    "it is not accepted": (OBJECTS, {**STATES, WAREHOUSE: replace(state(WAREHOUSE), problem=(SERVER_CHANGED, "another server"))}),
}


@pytest.mark.parametrize("why", CLOSED)
class TestAPlatformThatIsClosed:
    def test_vends_nothing_new(self, why: str):
        found = verdict(paint(*CLOSED[why]))

        assert isinstance(found, Undecided)
        assert (found.reason, found.withdrawn) == ("PlatformClosed", False)
        assert f"DataPlatform warehouse: {why}" in found.message

    def test_still_grants_live_roles_what_they_were_granted(self, why: str):
        live = verdict(paint())
        assert isinstance(live, Granted)

        found = verdict(paint(*CLOSED[why]), begun=True)

        assert found == live
        assert not ended_by(found, live)

    def test_still_ends_live_roles_whose_grant_was_taken_away(self, why: str):
        live = verdict(paint())
        assert isinstance(live, Granted)
        objects, states = CLOSED[why]

        without_policy = verdict(paint(replace(objects, policies=[]), states), begun=True)
        without_agent = verdict(paint(replace(objects, agents=[]), states), begun=True)
        narrowed = verdict(paint(replace(objects, policies=[parse(AccessPolicy, raw_policy("country = 'AT'"))]), states), begun=True)

        assert isinstance(without_policy, Denied)
        assert all(ended_by(each, live) for each in (without_policy, without_agent, narrowed))


def test_a_second_platform_of_one_server_vends_nothing_and_the_older_one_goes_on():
    platforms = [parse(DataPlatform, raw("DataPlatform", name, "", age=age)) for name, age in ((CRM, 60), (WAREHOUSE, 5))]
    picture = paint(replace(OBJECTS, platforms=platforms), {WAREHOUSE: state("one"), CRM: state("one")})

    assert conditions(picture, CRM)["Accepted"][:2] == ("True", "Valid")
    assert conditions(picture, WAREHOUSE)["Accepted"][:2] == ("False", "Conflict")
    assert isinstance(verdict(picture), Undecided)


class TestARowFilter:
    """Whether one was parsed again shows in the statement: it is another object then."""

    @staticmethod
    def parsed(painter: Painter, body: Body) -> object:
        objects = replace(OBJECTS, policies=[parse(AccessPolicy, body)])
        shapes = painter.paint(objects, STATES, "").directory.shapes[WAREHOUSE]
        return shapes.index

    def test_is_parsed_once_however_often_a_picture_is_painted(self):
        painter = Painter(CLUSTER, KEY)
        first = self.parsed(painter, raw_policy())

        assert self.parsed(painter, raw_policy(resourceVersion="2", labels={"new": "label"})) is first

    def test_of_the_same_generation_is_not_looked_at_again(self):
        painter = Painter(CLUSTER, KEY)
        first = self.parsed(painter, raw_policy())

        assert self.parsed(painter, raw_policy("this is no condition")) is first

    def test_of_a_new_generation_counts(self):
        painter = Painter(CLUSTER, KEY)
        first = self.parsed(painter, raw_policy())

        assert self.parsed(painter, raw_policy("country = 'AT'", generation=2)) != first

    def test_of_a_policy_that_was_made_again_under_its_name_counts(self):
        painter = Painter(CLUSTER, KEY)
        first = self.parsed(painter, raw_policy())

        assert self.parsed(painter, raw_policy("country = 'AT'", uid="another")) != first

    def test_that_cannot_be_read_is_refused_by_name_in_every_picture(self):
        painter = Painter(CLUSTER, KEY)
        broken = replace(OBJECTS, policies=[parse(AccessPolicy, raw_policy("country ="))])

        for _ in range(2):
            picture = painter.paint(broken, STATES, "")
            status, reason, message = conditions(picture, "analysts")["Accepted"]
            assert (status, reason) == ("False", "InvalidInput")
            assert "spec.rowFilter" in message
            assert isinstance(verdict(picture), Denied)


@pytest.mark.parametrize("newest_first", [False, True])
class TestOfTwoThatClaimOneHandle:
    def test_the_older_agent_keeps_it_whatever_the_order_in_which_they_came(self, newest_first: bool):
        agents = [parse(Agent, raw_agent("elder", age=60)), parse(Agent, raw_agent("finbot"))]

        picture = paint(replace(OBJECTS, agents=agents[::-1] if newest_first else agents))

        assert conditions(picture, "elder")["Accepted"][:2] == ("True", "Valid")
        status, reason, message = conditions(picture, "finbot")["Accepted"]
        assert (status, reason) == ("False", "Conflict")
        assert "spec.handle: agents/elder has it already" in message
        assert list(picture.directory.agents) == [ObjectName("agents", "elder")]

    def test_the_older_person_keeps_it(self, newest_first: bool):
        other = raw("UserAttributes", "beth", "", ("spec.user", {"issuer": "idp", "subject": "beth"}))
        people = [parse(UserAttributes, raw_person(age=60)), parse(UserAttributes, other)]

        picture = paint(replace(OBJECTS, people=people[::-1] if newest_first else people))

        assert conditions(picture, "beth")["Accepted"][:2] == ("False", "Conflict")
        assert list(picture.directory.people) == [User("idp", "anna")]

"""A login becomes a person of Kubernetes, and nobody else; a session ends when it must."""

import asyncio
import copy
import importlib
import pkgutil
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from starlette.requests import Request

import rolevend.console
from rolevend.console.failures import Unknown
from rolevend.console.login import ConsoleClient, LoggedIn
from rolevend.console.person import Person, PersonMapping
from rolevend.console.rights import Act, Rights
from rolevend.console.routes import Console
from rolevend.console.section import Section, named_object
from rolevend.console.sessions import PersonSuspended, SessionLife, Sessions, TooManyGroups
from rolevend.console.stops import StoppedUsers
from rolevend.errors import InvalidInput, Rejected, Unavailable
from rolevend.kube.client import Body, KubeClient, NotFound, ResourcePath
from rolevend.settings import ConsoleSettings

START = datetime(2026, 11, 30, 12, tzinfo=UTC)
ISSUER = "https://idp.example.org"
OLGA = Person("staff:olga", ("staff:owners",), frozenset({"olga"}))


def settings(**changed: object) -> ConsoleSettings:
    return ConsoleSettings.model_validate({"console_groups": "staff:owners, staff:security", **changed})


def mapping(**changed: object) -> PersonMapping:
    return PersonMapping.of(settings(console_user_prefix="staff:", console_groups_prefix="staff:", **changed))


def test_only_listed_groups_are_known():
    claims = {"sub": "olga", "groups": ["owners", "system:masters", "everybody", 7]}
    assert mapping().person(claims) == OLGA
    assert mapping(console_user_claim="email").person({"sub": "u1", "email": "o@x.org"}).subjects == {"u1", "o@x.org"}
    assert mapping().person({"sub": "olga", "groups": "security"}).groups == ("staff:security",)
    assert mapping().person({"sub": "olga"}).groups == ()


@pytest.mark.parametrize("name", [None, "", "  ", 7, ["olga"], "ol\nga", "o" * 300, " olga", "olga "])
def test_a_login_without_a_usable_name_is_refused(name: object):
    with pytest.raises(Rejected):
        mapping().person({"sub": name})


@pytest.mark.parametrize("name", ["system:admin", "system:kube-controller-manager", "system:serviceaccount:rolevend-system:rolevend"])
def test_nobody_is_a_user_of_kubernetes_itself(name: str):
    with pytest.raises(Rejected):
        PersonMapping.of(settings()).person({"sub": name})
    with pytest.raises(InvalidInput, match="ROLEVEND_CONSOLE_GROUPS: system:masters is a group of Kubernetes"):
        mapping(console_groups="staff:owners,system:masters")


@pytest.mark.parametrize("verified", [False, "true", None, 1])
def test_an_address_that_the_provider_has_not_verified_names_nobody(verified: object):
    by_email = mapping(console_user_claim="email")
    with pytest.raises(Rejected, match="not verified"):
        by_email.person({"sub": "u1", "email": "boss@x.org", "email_verified": verified})
    assert by_email.person({"sub": "u1", "email": "olga@x.org", "email_verified": True}).username == "staff:olga@x.org"


@pytest.mark.parametrize("missing", ["url", "identity_provider", "client_id"])
def test_a_missing_setting_is_named(missing: str):
    given = {"console_url": "https://c", "console_identity_provider": "p", "console_client_id": "c", f"console_{missing}": ""}
    with pytest.raises(InvalidInput, match=f"ROLEVEND_CONSOLE_{missing.upper()}: must be set"):
        ConsoleClient.of(settings(**given))


@pytest.mark.parametrize("content", [None, b"\xff secret"])
def test_a_secret_that_cannot_be_read_shows_neither_its_path_nor_a_part_of_it(tmp_path: Path, content: bytes | None):
    file = tmp_path / "client-secret"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(InvalidInput) as caught:
        ConsoleClient("p", "https://c", "c", file).own()

    assert "ROLEVEND_CONSOLE_CLIENT_SECRET_FILE: the file cannot be read" in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
    assert "0xff" not in str(caught.value)


class ConfigMaps:
    """The ConfigMaps of a namespace."""

    def __init__(self) -> None:
        self.objects: dict[str, Body] = {}
        self.reads = 0

    async def create(self, _resource: ResourcePath, body: Body, _namespace: str) -> Body:
        made = copy.deepcopy(body)
        made["metadata"] |= {"uid": str(len(self.objects)), "resourceVersion": "1"}
        self.objects[body["metadata"]["name"]] = made
        return made

    async def get(self, _resource: ResourcePath, name: str, _namespace: str) -> Body:
        self.reads += 1
        if name not in self.objects:
            raise NotFound(name)
        return copy.deepcopy(self.objects[name])

    async def merge(self, _resource: ResourcePath, name: str, patch: Body, _namespace: str) -> Body:
        self.objects[name]["data"] |= patch["data"]
        return self.objects[name]

    async def delete(self, _resource: ResourcePath, name: str, uid: str, _namespace: str) -> None:
        assert self.objects.pop(name)["metadata"]["uid"] == uid

    async def pages(self, *_: object) -> AsyncIterator[Body]:
        yield {"items": list(self.objects.values())}


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **span: float) -> None:
        self.now += timedelta(**span)


class Logged:
    """Sessions of at most a day, and half an hour between two pages."""

    def __init__(self, key: bytes = b"k" * 32) -> None:
        self.clock, self.store = Clock(), ConfigMaps()
        life = SessionLife(timedelta(hours=8), timedelta(minutes=30))
        self.stopped = StoppedUsers(cast(KubeClient, None), self.clock, lambda: None)
        self.stopped.synced, self.stopped.heard_at = True, START
        self.sessions = Sessions(cast(KubeClient, self.store), "rolevend-system", key, life, self.stopped, self.clock)

    def begin(self, person: Person = OLGA, issued_at: datetime | None = None) -> str:
        self.stopped.heard_at = self.clock()
        return asyncio.run(self.sessions.begin(LoggedIn(person, issued_at)))

    def person(self, secret: str | None, **how: bool) -> Person | None:
        self.stopped.heard_at = self.clock()
        found = asyncio.run(self.sessions.find(secret, **how))
        return None if found is None else found.person


def test_a_session_is_found_by_its_secret_alone():
    logged = Logged()
    first, second = logged.begin(), logged.begin(Person("staff:nina"))
    assert (logged.person(first), logged.person(second)) == (OLGA, Person("staff:nina"))
    (name, other) = logged.store.objects
    reads = logged.store.reads
    for guess in (None, "", ".", name, other, first[:-1], f"{first}0", "\udcff", first.partition(".")[0]):
        assert logged.person(guess) is None
    assert logged.store.reads == reads, "a guess costs the API server nothing"
    assert not any(first in str(each) for each in logged.store.objects.values())


def test_somebody_in_five_hundred_groups_stays_signed_in_and_too_many_are_told_at_the_login():
    logged, groups = Logged(), [f"staff:{number:03}-{'g' * 54}" for number in range(500)]
    settings = ConsoleSettings(console_groups=",".join(groups), console_groups_prefix="staff:")
    claims = {"sub": "olga", "groups": [each.removeprefix("staff:") for each in groups]}
    person = PersonMapping.of(settings).person(claims)
    assert (len(person.groups), {len(each) for each in person.groups}) == (500, {64})
    assert logged.person(logged.begin(person)) == person
    with pytest.raises(TooManyGroups, match="too many of the groups"):
        logged.begin(replace(person, groups=tuple(each * 8 for each in groups)))
    assert len(logged.store.objects) == 1


def test_a_session_ends_without_pages_and_a_page_that_asks_by_itself_does_not_keep_it():
    logged = Logged()
    secret = logged.begin()
    for _ in range(20):
        logged.clock.forward(minutes=29)
        if logged.clock() < START + timedelta(hours=7):
            assert logged.person(secret) == OLGA
    assert logged.person(secret) is None
    assert not logged.store.objects
    again = logged.begin()
    for _ in range(10):
        logged.clock.forward(minutes=5)
        logged.person(again, by_itself=True)
    assert logged.person(again) is None


def test_a_session_that_others_wrote_or_moved_is_none():
    logged, forger = Logged(), Logged(b"x" * 32)
    forged = forger.begin(Person("staff:admin"))
    logged.store.objects |= forger.store.objects
    assert logged.person(forged) is None
    mine = logged.begin(Person("staff:nina"))
    stored, planted = (list(each.store.objects)[-1] for each in (logged, forger))
    logged.store.objects[stored]["data"] = forger.store.objects[planted]["data"]
    assert logged.person(mine) is None
    mine, hers = logged.begin(), logged.begin(Person("staff:nina"))
    name, other = list(logged.store.objects)[-2:]
    logged.store.objects[other]["data"]["session"] = logged.store.objects[name]["data"]["session"]
    assert logged.person(hers) is None
    assert logged.person(mine) == OLGA


def test_over_sessions_are_deleted():
    logged = Logged()
    logged.begin()
    logged.clock.forward(minutes=31)
    fresh = logged.begin()
    asyncio.run(logged.sessions.sweep())
    assert len(logged.store.objects) == 1
    assert logged.person(fresh) == OLGA


ANNA = Person("staff:anna", subjects=frozenset({"anna", "u1"}), issuer=ISSUER)


def stop(subject: str = "u1", issuer: str = ISSUER, **spec: object) -> Body:
    user = {"issuer": issuer, "subject": subject}
    metadata = {"name": "a", "uid": "a", "resourceVersion": "1"}
    return {"apiVersion": "rolevend.dev/v1alpha1", "kind": "UserAttributes", "metadata": metadata, "spec": {"user": user, **spec}}


@pytest.mark.parametrize(
    ("stopped", "ends"),
    [
        (stop(suspend=True), True),
        (stop("anna", suspend=True), True),
        (stop(notBefore="2026-11-30T12:00:01Z"), True),
        (stop(suspend=True, attributes="not readable"), True),
        (stop(notBefore="not readable"), True),
        (stop(notBefore="2026-11-30T12:00:00Z"), False),
        (stop(suspend=False, notBefore="2026-11-30T11:00:00Z"), False),
        (stop("u2", suspend=True), False),
        (stop(issuer="https://other.example.org", suspend=True), False),
        (stop(attributes=[]), False),
    ],
)
def test_a_session_ends_with_the_suspension_of_its_person_and_the_revocation_of_their_sessions(stopped: Body, ends: bool):
    logged = Logged()
    mine, hers = logged.begin(ANNA), logged.begin(OLGA)
    logged.stopped.on_upsert(stopped)
    assert (logged.person(mine) is None) == ends
    assert logged.person(hers) == OLGA
    assert len(logged.store.objects) == (1 if ends else 2)
    logged.stopped.drop(stopped)
    assert (logged.person(mine) is None) == ends, "an end stays"


def test_a_session_that_nobody_uses_ends_before_a_suspension_does():
    logged = Logged()
    mine = logged.begin(ANNA)
    logged.stopped.on_upsert(stop(suspend=True))
    asyncio.run(logged.sessions.sweep())
    logged.stopped.on_upsert(stop(suspend=False))
    assert logged.person(mine) is None
    assert logged.person(logged.begin(ANNA)) == ANNA


def test_a_suspended_person_begins_no_session_and_a_revocation_lets_them_log_in_again():
    logged = Logged()
    logged.stopped.on_upsert(stop(suspend=True))
    with pytest.raises(PersonSuspended):
        logged.begin(ANNA)
    logged.stopped.on_upsert(stop(notBefore="2026-11-30T12:00:00Z"))
    logged.clock.forward(minutes=1)
    assert logged.person(logged.begin(ANNA)) == ANNA
    assert logged.person(logged.begin(ANNA, issued_at=START - timedelta(minutes=1))) is None, "the token is older than the revocation"
    assert logged.person(logged.begin(ANNA, issued_at=START + timedelta(days=1))) == ANNA


@pytest.mark.parametrize("late", [timedelta(minutes=4), None])
def test_without_the_watch_nobody_is_signed_in(late: timedelta | None):
    logged = Logged()
    mine = logged.begin(ANNA)
    if late is None:
        logged.stopped.synced = False
    else:
        logged.clock.forward(seconds=late.total_seconds())
    for call in (logged.sessions.find(mine), logged.sessions.begin(LoggedIn(ANNA, None)), logged.sessions.sweep()):
        with pytest.raises(Unavailable):
            asyncio.run(call)
    assert len(logged.store.objects) == 1


def test_only_users_that_are_stopped_are_kept():
    stopped = Logged().stopped
    for number in range(100):
        stopped.on_upsert(stop(str(number), suspend=True) | {"metadata": {**stop()["metadata"], "name": str(number % 2)}})
    assert len(stopped.objects) == len(stopped._by_user) == 2
    for name in ("0", "1"):
        stopped.on_upsert(stop("x") | {"metadata": {**stop()["metadata"], "name": name}})
    assert not stopped.objects
    assert not stopped._by_user


class Reviewer:
    def __init__(self, *allowed: Act) -> None:
        self.allowed = allowed
        self.asked: list[Body] = []

    async def create(self, _resource: ResourcePath, body: Body) -> Body:
        self.asked.append(body["spec"])
        given = body["spec"]["resourceAttributes"]
        act = Act(given["verb"], given["resource"], given["namespace"] or None, given["name"] or None)
        return {"status": {"allowed": act in self.allowed}}


def test_rights_are_asked_for_the_person_and_again_after_seconds():
    reviewer, moment = Reviewer(Act("list", "vendedroles", "agents")), [0.0]
    rights = Rights(cast(KubeClient, reviewer), lambda: moment[0])

    def twice() -> list[frozenset[str]]:
        async def ask() -> list[frozenset[str]]:
            asked = (rights.namespaces(OLGA, "list", "vendedroles", ["agents", "agents", "others"]) for _ in range(2))
            return await asyncio.gather(*asked)

        return runner.run(ask())

    with asyncio.Runner() as runner:
        _asked_once_and_again(reviewer, moment, twice)


def _asked_once_and_again(reviewer: Reviewer, moment: list[float], twice: Callable[[], list[frozenset[str]]]) -> None:
    assert twice() == [{"agents"}, {"agents"}]
    assert len(reviewer.asked) == 3, "both wait for the same answers"
    assert {(each["user"], *each["groups"]) for each in reviewer.asked} == {("staff:olga", "staff:owners", "system:authenticated")}
    reviewer.allowed = ()
    assert twice() == [{"agents"}, {"agents"}]
    moment[0] = 6.0
    assert twice() == [frozenset(), frozenset()]


@pytest.mark.parametrize(
    ("namespace", "name"),
    [("a" * 30_000, "x"), ("a" * 64, "x"), ("agents", "x" * 254), ("Agents", "x"), ("agents", "x\n"), ("agents", "\u0661"), (" ", "x")],
)
def test_a_path_that_can_name_no_object_is_unknown_before_anybody_is_asked(namespace: str, name: str):
    """The answers on rights are kept by name: of thousands of long ones the process would have no memory left."""
    of_path = {"namespace": namespace, "name": name}
    with pytest.raises(Unknown):
        named_object(Request({"type": "http", "path_params": of_path}))
    assert str(named_object(Request({"type": "http", "path_params": {"namespace": "agents", "name": "a.b-1"}}))) == "agents/a.b-1"


def test_every_call_that_changes_something_is_a_post():
    sections = [each.__new__(each) for each in _sections()]
    nothing: Any = None
    routes = Console(nothing, nothing, nothing, sections, nothing, nothing).routes()
    changing = {route.operation_id for route in routes if "POST" in route.methods}  # type: ignore[attr-defined]
    reading = {"verifyReceipts"}
    """Whose text is too long for an address."""
    assert changing - reading == {"logout", "vote", "endRoles", "endRole", "beginRows"}


def _sections() -> Iterator[Any]:
    for module in pkgutil.iter_modules(rolevend.console.__path__, "rolevend.console."):
        for each in vars(importlib.import_module(module.name)).values():
            if isinstance(each, type) and each.__module__ == module.name and hasattr(each, "calls") and each is not Section:
                yield each

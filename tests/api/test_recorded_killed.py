"""A replica or the operator is killed before and after each statement of a recorded role: there is one role or none, its token is used
once, no role lives on whose answer was not confirmed, and each end is told."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import psycopg
import pytest

from testbed.installation import ApiProcess
from tests.support.calling import Caller, Doors
from tests.support.governed import Governed
from tests.support.ledger import become
from tests.support.proving import Proven
from tests.support.proxies import Moment, Trap, WireProxy
from tests.support.recorded import Trail, lease, living
from tests.support.site import DOMAIN, Body, Site
from tests.support.tenancy import Tenant
from tests.support.tiers import with_the_rest_full, with_the_rest_long
from tests.support.waiting import DEADLINE, eventually

pytestmark = pytest.mark.long

PLATFORM = "proxied"
THERE: Body = {"kind": "DataPlatform", "metadata": {"name": PLATFORM}}
ROLES = "/v1/vended-roles"
GIVEN_UP_WITHIN = 10 + 60
"""Seconds from a vend that nobody confirms until its role is locked out: long before its expiry, also on a busy machine."""


class World:
    """A platform that is the ledger, and that operator and API reach through a proxy."""

    def __init__(self, doors: Doors, database: Governed) -> None:
        self.doors, self.site, self.database = doors, doors.site, database
        self.wire = WireProxy(database.superuser.host, database.superuser.port)
        self.trail = Trail(doors)
        self.victim: ApiProcess
        self.tenants: list[Tenant] = []

    def start(self) -> None:
        self.victim = self.doors.open()
        self.trail.more.append(self.victim.log)
        self.victim.wait_until_ready()

    def restart(self) -> None:
        self.wire.take_traps_away()
        self.start()

    def trap(self, statement: str, moment: Moment, about: str = "") -> Trap:
        return self.wire.set_trap(lambda asked: f"rolevend.{statement}(" in asked.what and about in asked.values, moment)


@pytest.fixture(scope="module")
def world(site: Site, doors: Doors) -> Iterator[World]:
    with Governed() as database:
        world = World(doors, database)
        site.operator.stop()
        site.add_platform(PLATFORM, database, world.wire.port)
        site.start_operator()
        site.wait_for_platform(PLATFORM)
        for mode in ("Joining", "Enabled"):
            become(site, mode, THERE)
        world.start()
        yield world
        world.victim.kill()
        world.wire.take_traps_away()
        site.ensure_operator()
        for tenant in world.tenants:
            tenant.leave()
        eventually(lambda: not database.roles())
        for mode in ("Joining", "Disabled"):
            become(site, mode, THERE)
        site.remove(THERE)
        eventually(lambda: site.cluster.read(THERE).status == 404)
        site.operator.stop()
        world.wire.close()
        site.start_operator()


@dataclass(frozen=True)
class Life:
    """One person and agent."""

    world: World
    caller: Caller

    def call(self, key: str = "", question: Body | None = None, api: ApiProcess | None = None) -> httpx.Response:
        asked = question or self.caller.question(platforms=[PLATFORM])
        caller = self.caller if api is None else replace_api(self.caller, api)
        return caller.call("POST", ROLES, asked, **({"Idempotency-Key": key} if key else {}))

    def vended(self) -> Body:
        def made() -> Body:
            answer = self.call()
            assert answer.status_code == 201, answer.text
            return dict(answer.json())

        return dict(eventually(made))

    def release(self, role: Body, api: ApiProcess | None = None) -> httpx.Response:
        return replace_api(self.caller, api or self.world.victim).release(role)

    def released(self, role: Body) -> None:
        """By the replica that was killed and runs again. It refuses until it has connected to its platforms."""
        eventually(lambda: self.release(role).status_code == 204)

    def living(self) -> set[str]:
        return living(self.caller, self.world.database)

    def lease(self, role: Body) -> Body:
        return lease(self.caller, role, self.world.database)

    def reads(self, role: Body) -> bool:
        try:
            with psycopg.connect(role["platforms"][0]["credential"]["uri"], connect_timeout=10) as session:
                return bool(session.execute("SELECT count(*) FROM people").fetchall())
        except psycopg.Error:
            return False

    def recorded(self) -> list[str]:
        query = "SELECT role::text FROM rolevend.lease WHERE record IS NOT NULL AND role LIKE %s AND reported_at IS NULL"
        return [role for (role,) in self.world.database.ask(query, f"%\\_{self.caller.proven.tenant.handle}\\_%")]

    def is_over(self) -> bool:
        return not self.living() and not self.recorded()

    def told(self) -> None:
        """Every role of it has both events, and each role had its event before it was there."""
        query = "SELECT role::text FROM rolevend.lease WHERE record IS NOT NULL AND role LIKE %s"
        roles = {role for (role,) in self.world.database.ask(query, f"%\\_{self.caller.proven.tenant.handle}\\_%")}
        events = [each for each in self.world.trail.all() if each.get("subject") in roles]
        ids = {
            kind: [{each["id"] for each in events if each["subject"] == role and each["type"].endswith(kind)} for role in roles]
            for kind in ("granted", "dropped")
        }
        assert all(ids["granted"]), "a role without its event"
        assert {len(each) for each in ids["dropped"]} <= {1}, ids["dropped"]


def replace_api(caller: Caller, api: ApiProcess) -> Caller:
    return Caller(caller.proven, api)


@pytest.fixture
def life(world: World) -> Iterator[Life]:
    proven = Proven(Tenant(world.site))
    world.tenants.append(proven.tenant)
    provider, agent = proven.provider(), proven.agent()
    policy = proven.tenant.policy(platform=PLATFORM)
    for each in (provider, agent, policy):
        world.site.told(each, "Ready", "True")

    def is_recorded(life: Life) -> bool:
        role = life.vended()
        recorded = life.lease(role)["record"] is not None
        life.release(role, life.caller.api)
        return recorded

    for api in (world.doors.first, world.victim):
        one = Life(world, Caller(proven, api))
        eventually(lambda one=one: is_recorded(one))  # type: ignore[misc]
    eventually(one.is_over)
    yield one
    world.wire.take_traps_away()
    if not world.victim.process.running:
        world.restart()
    world.site.ensure_operator()
    eventually(one.is_over)
    one.told()


def killed(
    life: Life, statement: str, moment: Moment, work: Callable[[], httpx.Response], *, restart: bool = True
) -> Future[httpx.Response]:
    """The replica dies when it is at this statement. `restart` takes seconds, in which the role can be given up."""
    trap = life.world.trap(statement, moment)
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(work)
        assert trap.caught.wait(DEADLINE), f"{statement} never came: {call.result().text if call.done() else 'no answer'}"
        if statement == "confirm":
            call.result(DEADLINE)
        life.world.victim.kill()
        life.world.wire.take_traps_away()
    if restart:
        life.world.start()
    return call


BOTH = with_the_rest_full(Moment.AFTER, Moment.BEFORE)


def names(value: object) -> str:
    return value.name.lower() if isinstance(value, Moment) else str(value)


def test_killed_before_the_transaction_there_is_no_role_and_the_token_is_unused(life: Life):
    question = life.caller.question(platforms=[PLATFORM])

    call = killed(life, "vend", Moment.BEFORE, lambda: life.call("", question))

    assert isinstance(call.exception(), httpx.TransportError)
    assert not life.living()
    assert not life.recorded()
    again = life.call("", question, life.world.doors.first)
    assert again.status_code == 201, again.text
    assert life.reads(again.json())
    life.released(again.json())


@pytest.mark.parametrize("again", with_the_rest_long(False, True), ids=["left alone", "called again"])
def test_killed_after_the_transaction_the_role_is_given_up_or_its_calls_again(life: Life, again: bool):
    question = life.caller.question(platforms=[PLATFORM])

    call = killed(life, "vend", Moment.AFTER, lambda: life.call("once", question), restart=False)

    assert isinstance(call.exception(), httpx.TransportError)
    (name,) = life.living()
    first = life.world.doors.first
    other = life.call("another", question, first)
    assert (other.status_code, other.json()["code"]) == (403, "TokenReplayed")
    if again:
        answer = life.call("once", question, first)
        assert (answer.status_code, answer.json()["roleName"]) == (201, name)
        assert life.reads(answer.json())
        eventually(lambda: life.lease({"roleName": name})["confirmed_at"])
        life.release(answer.json(), first)
        return
    eventually(lambda: life.lease({"roleName": name})["revoked_at"])
    given_up(life, name)
    other = life.call("once", question, first)
    assert (other.status_code, other.json()["code"]) == (409, "Ended")


def given_up(life: Life, name: str) -> None:
    query = "SELECT extract(epoch FROM revoked_at - issued_at) FROM rolevend.lease WHERE role = %s"
    assert life.world.database.ask(query, name)[0][0] < GIVEN_UP_WITHIN
    eventually(lambda: name not in life.living())


def test_killed_between_the_answer_and_its_confirmation_the_role_is_given_up(life: Life):
    call = killed(life, "confirm", Moment.BEFORE, life.call)

    role = call.result().json()
    assert life.lease(role)["confirmed_at"] is None
    eventually(lambda: life.lease(role)["revoked_at"])
    given_up(life, role["roleName"])
    assert not life.reads(role)


def test_killed_after_the_confirmation_the_role_lives(life: Life):
    call = killed(life, "confirm", Moment.AFTER, life.call)

    role = call.result().json()
    assert life.reads(role)
    assert life.lease(role)["revoked_at"] is None
    life.released(role)


@pytest.mark.parametrize("statement", ["close_many", "finish_many"])
@pytest.mark.parametrize("moment", BOTH, ids=names)
def test_killed_while_it_releases_the_operator_ends_what_was_closed(life: Life, statement: str, moment: Moment):
    role = life.vended()
    eventually(lambda: life.lease(role)["confirmed_at"])

    killed(life, statement, moment, lambda: life.release(role))

    if (statement, moment) == ("close_many", Moment.BEFORE):
        assert life.reads(role)
        life.released(role)
    eventually(lambda: life.is_over())
    assert life.release(role, life.world.doors.first).status_code == 404
    assert {end["ended"] for end in life.world.trail.ends(role)} == {"Released"}


@pytest.mark.parametrize("statement", ["end_record", "close_many", "finish_many", "report_ends"])
@pytest.mark.parametrize("moment", BOTH, ids=names)
def test_the_operator_killed_at_each_statement_of_an_end_completes_it_later(life: Life, statement: str, moment: Moment):
    """The end of a role whose policy is withdrawn, with a session in it."""
    site = life.world.site
    role = life.vended()
    eventually(lambda: life.lease(role)["confirmed_at"])
    trap = life.world.trap(statement, moment)
    with contextlib.closing(psycopg.connect(role["platforms"][0]["credential"]["uri"])) as session:
        session.execute("SELECT 1")
        site.remove(life.caller.proven.tenant.described("AccessPolicy", {}, life.caller.proven.tenant.name, DOMAIN))
        assert trap.caught.wait(DEADLINE), f"{statement} never came"
        site.operator.kill()
        life.world.wire.take_traps_away()

        site.start_operator()

        eventually(life.is_over)
    ends = life.world.trail.ends(role)
    assert {end["ended"] for end in ends} == {"Revoked"}
    assert {end["sessionsEnded"] for end in ends} == {1}, ends


def test_the_operator_killed_after_it_told_and_before_it_reported_tells_the_same_again(life: Life):
    role = life.vended()
    trap = life.world.trap("report_ends", Moment.BEFORE)
    assert life.release(role).status_code == 204
    assert trap.caught.wait(DEADLINE)
    assert life.world.trail.kinds(role)["dropped"] == 1
    life.world.site.operator.kill()
    life.world.wire.take_traps_away()

    life.world.site.start_operator()

    eventually(life.is_over)
    events = [each for each in life.world.trail.of(role) if each["type"].endswith("dropped")]
    assert len({each["id"] for each in events}) == 1
    assert len(events) <= 2


@pytest.mark.full
def test_killed_again_and_again_while_many_vend_and_release_every_role_is_told_and_none_is_left(life: Life):
    """The operator and a replica, in turn."""
    stopped = threading.Event()
    made: list[Body] = []

    def vend_and_release(number: int) -> None:
        while not stopped.is_set():
            api = life.world.doors.first if number % 2 else life.world.victim
            with contextlib.suppress(httpx.TransportError):
                answer = life.call("", None, api)
                if answer.status_code == 201:
                    made.append(answer.json())
                    if len(made) % 3:
                        life.release(answer.json(), life.world.doors.first)

    with ThreadPoolExecutor(6) as threads:
        calls = [threads.submit(vend_and_release, number) for number in range(6)]
        for _ in range(3):
            count = len(made)
            eventually(lambda count=count: len(made) > count + 15)  # type: ignore[misc]
            life.world.site.operator.kill()
            life.world.victim.kill()
            life.world.site.start_operator()
            life.world.start()
        stopped.set()
        for call in calls:
            call.result()

    for role in made:
        life.release(role, life.world.doors.first)
    eventually(life.is_over)
    life.told()
    ids = [{end["ended"] for end in life.world.trail.ends(role)} for role in made]
    assert {len(each) for each in ids} == {1}

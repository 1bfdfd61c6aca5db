"""A replica of the API is killed before and after each effect of a call: there is one role or none, and the user's token is used once."""

import itertools
import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import httpx
import psycopg
import pytest

from rolevend.roles.side_effects import CallEffect, Effect
from testbed.installation import ApiProcess
from tests.support.calling import Caller, Doors
from tests.support.effects import call_effects_of, effects_of
from tests.support.governed import SCHEMA, Governed
from tests.support.proving import Proven
from tests.support.proxies import ApiProxy, Asked, Moment, Trap, WireProxy
from tests.support.requesting import ApiRequester, Requester
from tests.support.site import AGENTS, Body, Site
from tests.support.tenancy import Tenant
from tests.support.tiers import with_the_rest_full
from tests.support.waiting import DEADLINE, eventually

pytestmark = pytest.mark.long

PLATFORM = "proxied"
SETTINGS = {"UNANSWERED_SECONDS": "40"}
"""Long enough for a test to hold a dozen calls, and to make some of them again."""
ENDED_WITHIN = 100.0
Step = CallEffect | Effect
REPLAYED = (CallEffect.UNTOUCHED, CallEffect.UNDONE)
"""Steps of a call whose token was used for a role that lives."""
STEPS: tuple[Step, ...] = (*CallEffect, Effect.PROFILE)
"""What is held for a short time only comes last: what is undone is given up after some seconds, and one that waits for its profile, too."""
NOT_TAKEN = {CallEffect.OBJECT, CallEffect.INTENT, Effect.PROFILE}
"""Steps at which the user's token is not used up yet."""
WITH_A_SHAPE = {CallEffect.INTENT, CallEffect.ROLE, Effect.PROFILE}
"""Steps that come only for a profile that is not built, or hold up every other vend of the same one."""
BUILT_BEFORE = {CallEffect.ROLE}
_numbers = itertools.count(5000)


class World:
    """A platform that operator and API reach through a proxy, and a replica that reaches the API server through another one."""

    def __init__(self, doors: Doors, database: Governed) -> None:
        self.doors, self.site, self.database = doors, doors.site, database
        self.wire = WireProxy(database.superuser.host, database.superuser.port)
        self.api = ApiProxy(doors.site.control_plane.server)
        self.lives: list[Life] = []
        self.victim: ApiProcess

    def start(self) -> None:
        self.victim = self.doors.open({**SETTINGS, "REQUEST_SECONDS": "60"}, self.api.url)  # what is held is not given up
        self.victim.wait_until_ready()
        life = Life(self, CallEffect.OBJECT)
        eventually(life.is_known)
        life.vended(self.victim)  # from now on it knows that the profile is built
        life.release_all()

    def trap(self, step: Step, moment: Moment) -> Trap:
        if isinstance(step, Effect):
            return self.wire.set_trap(lambda asked: step in effects_of(asked), moment)
        proxy = self.wire if step is CallEffect.ROLE else self.api
        return proxy.set_trap(lambda asked: step in call_effects_of(asked), moment)

    def profiles(self) -> int:
        """How many are built."""
        return int(self.database.ask("SELECT count(*) FROM rolevend.profile")[0][0])

    def kill(self) -> None:
        self.victim.kill()
        self.api.take_traps_away()
        self.wire.take_traps_away()


class Life:
    """One person, and a call for them, under a key."""

    def __init__(self, world: World, step: Step) -> None:
        self.world, self.step = world, step
        world.lives.append(self)
        self.proven = Proven(Tenant(world.site))
        provider, agent = self.proven.provider(), self.proven.agent()
        shape = f" AND person_id < {next(_numbers)}" if step in WITH_A_SHAPE else ""
        policy = self.proven.tenant.policy(platform=PLATFORM, rowFilter=f"country IN (user_attr('countries')){shape}")
        for each in (provider, agent, policy):
            world.site.told(each, "Ready", "True")
        self.question = self.asked_by(world.victim).question(platforms=[PLATFORM])
        if step is CallEffect.APPROVAL_USED:
            self.question["approval"] = {"id": self.approved()}

    def approved(self) -> str:
        """The id of a request that a rule approved, for another token."""
        requester = ApiRequester(self.asked_by(self.world.doors.first))
        requester.offers = Requester(self.proven.tenant, PLATFORM)
        requester.offers.offering({"automatic": [{"name": "any", "limits": {"liveAtOnce": 9}}]})
        return str(eventually(lambda: requester.asked("Approved", platform=PLATFORM))["id"])

    def asked_by(self, api: ApiProcess) -> Caller:
        return Caller(self.proven, api)

    def call(self, api: ApiProcess, key: str = "once") -> httpx.Response:
        return self.asked_by(api).call("POST", "/v1/vended-roles", self.question, **{"Idempotency-Key": key})

    def answered(self, api: ApiProcess, key: str = "once") -> httpx.Response:
        """The answer to the call, made again while the operator has not built its profile: a call waits for that for seconds."""
        return eventually(lambda: answer if (answer := self.call(api, key)).status_code != 503 else None)

    def vended(self, api: ApiProcess) -> httpx.Response:
        answer = self.answered(api)
        assert answer.status_code == 201, answer.text
        return answer

    def is_known(self) -> bool:
        """To both replicas."""
        doors = (self.world.victim, self.world.doors.first)
        return all(self.asked_by(api).call("POST", "/v1/decisions", self.question).json().get("granted") for api in doors)

    def build(self) -> None:
        """Its profile, by a role for another token that is over when this returns."""
        self.asked_by(self.world.victim).vended(platforms=[PLATFORM])
        self.release_all()

    def objects(self) -> list[Body]:
        listed = self.world.site.cluster.call("GET", f"/apis/rolevend.dev/v1alpha1/namespaces/{AGENTS}/vendedroles").body["items"]
        return [each for each in listed if each["spec"]["agentRef"]["name"] == self.proven.tenant.name]

    def roles(self) -> set[str]:
        return {role for role in self.world.database.roles() if f"_{self.proven.tenant.handle}_" in role}

    def is_over(self) -> bool:
        return not self.objects() and not self.roles()

    def release_all(self) -> None:
        for each in self.objects():
            self.asked_by(self.world.doors.first).call("DELETE", f"/v1/vended-roles/{each['metadata']['name']}")
        eventually(self.is_over)


@pytest.fixture(scope="module")
def world(site: Site, doors: Doors) -> Iterator[World]:
    with Governed() as database:
        world = World(doors, database)
        site.operator.stop()
        site.add_platform(PLATFORM, database, world.wire.port)
        site.start_operator(SETTINGS)
        site.wait_for_platform(PLATFORM)
        world.start()
        yield world
        world.kill()
        for life in world.lives:
            life.release_all()
            life.proven.tenant.leave()
        site.remove({"kind": "DataPlatform", "metadata": {"name": PLATFORM}})
        eventually(lambda: site.cluster.read({"kind": "DataPlatform", "metadata": {"name": PLATFORM}}).status == 404)
        site.operator.stop()
        world.api.close()
        world.wire.close()
        site.start_operator()


def answers(role: httpx.Response) -> int:
    """How many people the role reads, with the credential of this answer and nothing else."""
    with psycopg.connect(role.json()["platforms"][0]["credential"]["uri"], connect_timeout=10) as session:
        return int(session.execute("SELECT count(*) FROM people").fetchall()[0][0])


def reach(life: Life, step: Step, moment: Moment, threads: ThreadPoolExecutor) -> Future[httpx.Response]:
    """The call that is held there."""
    trap, built = life.world.trap(step, moment), life.world.profiles()
    if (step, moment) == (Effect.PROFILE, Moment.AFTER):  # or the call would see for itself that it is done, and go on
        life.world.wire.set_trap(lambda asked: "SELECT drift FROM rolevend.profile" in asked.what, Moment.BEFORE)
    call = threads.submit(life.call, life.world.victim, "twice" if step in REPLAYED else "once")
    assert trap.caught.wait(DEADLINE), f"{step} never came: {call.result().text if call.done() else 'the call is not answered'}"
    if (step, moment) == (CallEffect.INTENT, Moment.AFTER):
        eventually(lambda: life.world.profiles() > built)  # by the operator, and so it is not what is held for PROFILE
    return call


def test_every_request_of_a_call_has_a_name_and_every_named_effect_comes(world: World):
    life = Life(world, Effect.PROFILE)
    eventually(life.is_known)
    world.api.seen.clear()
    world.wire.seen.clear()

    life.vended(world.victim)
    assert life.call(world.victim, "twice").json()["code"] == "TokenReplayed"

    def of_the_call(asked: Asked) -> list[CallEffect | None]:
        return [effect for effect in call_effects_of(asked) if effect is not None]

    approved = Life(world, CallEffect.APPROVAL_USED)
    eventually(approved.is_known)
    eventually(lambda: approved.call(world.victim).status_code == 201)
    approved.release_all()

    came = {effect for asked in [*world.api.seen, *world.wire.seen] for effect in of_the_call(asked)}
    assert came == set(CallEffect)
    nameless = {asked.what[:200] for asked in world.api.seen if None in call_effects_of(asked)}
    nameless |= {asked.what[:200] for asked in world.wire.seen if None in effects_of(asked)}
    assert not nameless, sorted(nameless)
    life.release_all()


@pytest.mark.parametrize("moment", with_the_rest_full(Moment.AFTER, Moment.BEFORE), ids=lambda moment: moment.name.lower())
def test_killed_at_each_effect_there_is_one_role_or_none(world: World, moment: Moment):
    again = {step: Life(world, step) for step in STEPS}
    left = {step: Life(world, step) for step in STEPS}
    (left if moment is Moment.BEFORE else again).pop(Effect.PROFILE)  # the operator builds one at a time
    for step, life in (*again.items(), *left.items()):
        eventually(life.is_known)
        if step in BUILT_BEFORE:
            life.build()
        if step in REPLAYED:
            assert life.call(world.victim).status_code == 201
    with ThreadPoolExecutor(2 * len(STEPS)) as threads:
        held = [(step, reach(lives[step], step, moment, threads)) for step in STEPS for lives in (again, left) if step in lives]
        world.kill()
        for step, call in held:
            assert isinstance(call.exception(30), httpx.TransportError), (step, call.result().text)
    # Before anything else is looked at: the operator leaves their objects alone for a while only.
    answered = {step: life.answered(world.doors.first, "twice" if step in REPLAYED else "once") for step, life in again.items()}
    world.start()

    for step, life in again.items():
        made_again(life, step, answered[step])
    for step, life in left.items():
        ended_by_the_operator(life, step, moment)


def refusals(step: Step) -> set[str]:
    """The codes of a call under another key: its token was used, and before that the approval, which is decided about first."""
    return {"TokenReplayed"} | ({"UsesGone", "NotApproved"} if step is CallEffect.APPROVAL_USED else set())


def made_again(life: Life, step: Step, answer: httpx.Response) -> None:
    """The same call at another replica, which gave this answer: the same object, and one role with a credential that works."""
    if step in REPLAYED:
        assert answer.json()["code"] in ("TokenReplayed", "Ended")
        eventually(lambda: len(life.objects()) == 1 == len(life.roles()), within=ENDED_WITHIN)  # by the operator, where it says so already
        return life.release_all()
    assert answer.status_code == 201, (step, answer.text)
    assert answers(answer) == 2
    assert life.roles() == {answer.json()["roleName"]}
    assert [each["metadata"]["name"] for each in life.objects()] == [answer.json()["id"]]
    another = life.call(life.world.doors.first, "another")
    assert another.status_code == 403
    assert another.json()["code"] in refusals(step)
    eventually(lambda: len(life.objects()) == 1)
    life.release_all()
    return None


def ended_by_the_operator(life: Life, step: Step, moment: Moment) -> None:
    """Nobody calls again."""
    second = life.world.doors.first
    if step in REPLAYED:
        eventually(lambda: len(life.objects()) == 1 == len(life.roles()), within=ENDED_WITHIN)
        life.release_all()
    elif step is CallEffect.READY and moment is Moment.AFTER:
        assert len(life.objects()) == 1 == len(life.roles())  # until its time is over, or its call comes again
        life.release_all()
    else:
        eventually(life.is_over, within=ENDED_WITHIN)
    after = life.answered(second, "another")
    if step in NOT_TAKEN or (step is CallEffect.TOKEN_TAKEN and moment is Moment.BEFORE):
        assert after.status_code == 201, (step, after.text)
    else:
        assert after.status_code == 403, (step, after.text)
        assert after.json()["code"] in refusals(step)
    life.release_all()


def test_a_call_again_takes_the_first_credential_away(world: World):
    life = Life(world, CallEffect.ROLE)
    eventually(life.is_known)
    life.build()

    first, second = life.call(world.victim), life.call(world.doors.first)

    assert [each.status_code for each in (first, second)] == [201, 201]
    assert first.json()["id"] == second.json()["id"]
    assert answers(second) == 2
    with pytest.raises(psycopg.OperationalError, match=re.escape("password authentication failed")):
        answers(first)
    life.release_all()


def test_a_call_that_waits_for_a_person_has_its_role_when_it_comes_again_after_that(world: World):
    life = Life(world, Effect.PROFILE)
    eventually(life.is_known)
    world.database.ask(f"ALTER TABLE {SCHEMA}.people DISABLE ROW LEVEL SECURITY")

    def refused() -> bool:
        """Before the operator has looked, it is said that it builds the profile."""
        return life.call(world.victim).json()["code"] == "PlatformDrifted"

    assert [eventually(refused) for _ in range(2)] == [True] * 2
    (begun,) = life.objects()
    world.database.ask(f"ALTER TABLE {SCHEMA}.people ENABLE ROW LEVEL SECURITY")
    answer = life.vended(world.victim)
    assert answer.json()["id"] == begun["metadata"]["name"]
    assert answers(answer) == 2
    life.release_all()

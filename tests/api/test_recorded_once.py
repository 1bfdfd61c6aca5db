"""Recorded roles: one token is one role, one key is one call, and no agent has more than its limit, at two replicas and two doors."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.support.calling import Caller, Doors
from tests.support.governed import Governed
from tests.support.proving import Proven
from tests.support.recorded import Trail, at_once, is_empty, lease, living, patience, reads, shown
from tests.support.site import AGENTS, ANNEX, WAREHOUSE, Body
from tests.support.tiers import with_the_rest_full, with_the_rest_long
from tests.support.waiting import eventually

ROLES = "/v1/vended-roles"


def both(caller: Caller, doors: Doors) -> tuple[Caller, Caller]:
    return Caller(caller.proven, doors.first), Caller(caller.proven, doors.second)


def asked(caller: Caller, question: Body, key: str = "") -> httpx.Response:
    return caller.call("POST", ROLES, question, **({"Idempotency-Key": key} if key else {}))


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


def release_all(caller: Caller) -> None:
    for each in caller.call("GET", ROLES).json()["items"]:
        assert caller.release(each).status_code in (202, 204)
    eventually(lambda: is_empty(caller))


@pytest.mark.parametrize("count", with_the_rest_full(40, 400))
def test_of_two_calls_with_one_token_at_two_replicas_one_has_a_role(recorder: Caller, doors: Doors, trail: Trail, count: int):
    questions = [recorder.question() for _ in range(count)]
    calls = [partial(asked, each, question) for question in questions for each in both(recorder, doors)]

    answers = at_once(calls)

    pairs = list(zip(answers[::2], answers[1::2], strict=True))
    assert {tuple(sorted(code(each) for each in pair)) for pair in pairs} == {((201, ""), (403, "TokenReplayed"))}
    roles = [answer.json() for answer in answers if answer.status_code == 201]
    assert living(recorder) == {each["roleName"] for each in roles}
    with ThreadPoolExecutor(8) as threads:
        assert {each.status_code for each in threads.map(recorder.release, roles)} == {204}
    eventually(lambda: is_empty(recorder))
    eventually(lambda: all(trail.by_role()[each["roleName"]]["dropped"] for each in roles))
    told = trail.by_role()
    assert {(told[each["roleName"]]["granted"], told[each["roleName"]]["dropped"]) for each in roles} == {(1, 1)}


def test_a_token_that_was_used_at_one_door_is_refused_at_the_other(recorder: Caller, doors: Doors):
    proven = recorder.proven
    at_kubectl, at_api = proven.token(), proven.token()
    first = proven.ask(at_kubectl).ready()
    role = asked(recorder, {"userToken": at_api, "platforms": [WAREHOUSE]}).json()
    assert lease(recorder, role)["record"] is not None

    for each in both(recorder, doors):
        assert code(asked(each, {"userToken": at_kubectl, "platforms": [WAREHOUSE]})) == (403, "TokenReplayed")
    second = proven.ask(at_api)

    assert "used for another VendedRole" in second.refused("TokenReplayed", granted="False")
    assert recorder.proven.tenant.roles() == {first.role, role["roleName"]}
    recorder.release(role)


def test_of_both_doors_at_once_one_takes_the_token(recorder: Caller):
    proven = recorder.proven
    made = []
    for _ in range(8):
        text = proven.token()
        with ThreadPoolExecutor(1) as threads:
            call = threads.submit(asked, recorder, {"userToken": text, "platforms": [WAREHOUSE]})
            at_kubectl = proven.ask(text)
        answer = call.result()
        if answer.status_code == 201:
            at_kubectl.refused("TokenReplayed", granted="False")
            assert reads(recorder, answer.json())
            made.append(answer.json()["roleName"])
        else:
            assert code(answer) == (403, "TokenReplayed")
            made.append(at_kubectl.ready().role)
        assert living(recorder) == set(made)


def test_the_same_call_again_is_the_same_role_with_a_new_password(recorder: Caller, doors: Doors):
    question = recorder.question()
    here, there = both(recorder, doors)
    first = asked(here, question, "once")
    assert first.status_code == 201, first.text

    second = asked(there, question, "once")

    assert second.status_code == 201, second.text
    assert (second.json()["id"], second.json()["roleName"]) == (first.json()["id"], first.json()["roleName"])
    assert reads(recorder, second.json())
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        recorder.rows(first.json(), "SELECT 1")
    assert living(recorder) == {first.json()["roleName"]}
    for changed in ({"expirationSeconds": 301}, {"purpose": "reporting"}, {"userToken": recorder.proven.token()}):
        assert code(asked(there, {**question, **changed}, "once")) == (409, "IdempotencyConflict"), changed
    assert reads(recorder, second.json())

    assert recorder.release(second.json()).status_code == 204
    for each in (here, there):
        assert code(asked(each, question, "once")) == (409, "Ended")
    release_all(recorder)


def test_one_key_at_both_replicas_at_once_is_one_role(recorder: Caller, doors: Doors):
    for number in range(6):
        question = recorder.question()
        answers = at_once([partial(asked, each, question, f"key-{number}") for each in both(recorder, doors) for _ in range(2)])

        assert {each.status_code for each in answers} == {201}, [each.text for each in answers]
        assert len({each.json()["roleName"] for each in answers}) == 1
        assert len(living(recorder)) == 1
        assert sum(reads(recorder, each.json()) for each in answers) == 1  # the newest credential
        release_all(recorder)


@pytest.mark.long
def test_one_key_with_two_bodies_at_once_ends_no_role_that_was_answered(recorder: Caller, doors: Doors):
    """The one that comes second must not undo the role of the first."""
    here, there = both(recorder, doors)
    for number in range(12):
        one = recorder.question()
        other = {**one, "expirationSeconds": 300, "userToken": one["userToken"]}
        answers = at_once([partial(asked, here, one, f"two-{number}"), partial(asked, there, other, f"two-{number}")])

        made = [each.json() for each in answers if each.status_code == 201]
        assert len(made) == 1, [each.text for each in answers]
        assert {code(each) for each in answers if each.status_code != 201} <= {(409, "IdempotencyConflict"), (409, "Ended")}
        assert reads(recorder, made[0])
        assert living(recorder) == {made[0]["roleName"]}
        release_all(recorder)


def test_a_key_whose_first_call_met_a_profile_that_is_not_built_goes_on_with_its_object(recorder: Caller, doors: Doors):
    proven = recorder.proven
    policy = proven.tenant.described("AccessPolicy", {}, proven.tenant.name, "domain-claims")
    proven.site.patch(policy, {"rowFilter": "country IN (user_attr('countries')) AND person_id < 4711"})
    proven.site.told(policy, "Ready", "True")
    here, there = both(recorder, doors)
    for each in (here, there):
        eventually(lambda each=each: "4711" in each.call("POST", "/v1/decisions", each.question()).text)  # type: ignore[misc]

    def first_of(question: Body, key: str) -> httpx.Response:
        """Its first answer: the operator may build the profile for longer than a call waits."""
        answer = asked(here, question, key)
        assert answer.status_code == 201, answer.text
        return answer

    def made(number: int) -> Body:
        question = recorder.question()
        first = eventually(partial(first_of, question, f"unbuilt-{number}"))
        eventually(lambda: first.json()["id"] in [each["id"] for each in there.call("GET", ROLES).json()["items"]])
        second = asked(there, question, f"unbuilt-{number}")
        assert second.status_code == 201, second.text
        assert second.json()["roleName"] == first.json()["roleName"]
        assert reads(recorder, second.json())
        assert not reads(recorder, first.json())
        assert living(recorder) == {first.json()["roleName"]}
        return dict(second.json())

    roles = []
    for number in range(3):
        roles.append(made(number))
        assert recorder.release(roles[-1]).status_code == 204
        eventually(lambda: not living(recorder))
    assert [lease(recorder, each)["record"] is not None for each in roles][-1], "once the profile is built, roles are recorded"


def test_a_key_of_a_recorded_role_makes_no_second_one_when_its_profile_is_not_the_built_one(on_record: None, proven: Proven, doors: Doors):
    """The agent names its users, so no token is there to refuse the second one. An object of the same name shows the role."""
    proven.site.told(proven.provider(), "Ready", "True", "KeysRead")
    proven.site.told(proven.agent(onBehalfOf={"assertion": "Trusted"}), "Ready", "True")
    proven.tenant.person()
    policy = proven.tenant.policy()
    proven.site.told(policy, "Ready", "True")
    caller = Caller(proven, doors.first)
    question = {"user": proven.tenant.user(), "platforms": [WAREHOUSE]}

    def vended(key: str = "") -> Body:
        answer = asked(caller, question, key)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def is_recorded() -> bool:
        role = eventually(vended)
        recorded = lease(caller, role)["record"] is not None
        caller.release(role)
        return recorded

    eventually(is_recorded)
    role = vended("asserted")
    eventually(lambda: caller.stored(role) is not None)
    proven.site.patch(policy, {"rowFilter": "country IN (user_attr('countries')) AND person_id < 4712"})
    proven.site.told(policy, "Ready", "True")

    answers = [asked(caller, question, "asserted") for _ in range(3)]

    assert {code(each) for each in answers} <= {(409, "Ended"), (503, "ProfileBuilding"), (201, "")}, [each.text for each in answers]
    assert living(caller) <= {role["roleName"]}
    eventually(lambda: not reads(caller, role))
    release_all(caller)


def on_two_platforms(caller: Caller, doors: Doors) -> None:
    """Return when the roles of both platforms are recorded, by both replicas."""
    proven = caller.proven
    policy = proven.tenant.described("AccessPolicy", {}, proven.tenant.name, "domain-claims")
    proven.site.patch(policy, {"platformRefs": [{"name": WAREHOUSE}, {"name": ANNEX}]})
    proven.site.told(policy, "Ready", "True")

    def is_recorded(one: Caller, platform: str) -> bool:
        role = one.vended(platforms=[platform])
        recorded: Any = lease(one, role, proven.site.database(platform))["record"]
        one.release(role)
        return recorded is not None

    for platform in (WAREHOUSE, ANNEX):
        for each in both(caller, doors):
            eventually(partial(is_recorded, each, platform))


def test_one_key_on_two_platforms_is_a_conflict_and_hides_no_role_from_the_operator(recorder: Caller, doors: Doors):
    """By one uid on two platforms the operator would follow one of the roles alone."""
    proven = recorder.proven
    on_two_platforms(recorder, doors)
    here, there = both(recorder, doors)
    questions = [recorder.question(platforms=[platform]) for platform in (WAREHOUSE, ANNEX)]
    assert asked(here, questions[0], "one").status_code == 201
    assert code(asked(there, questions[1], "one")) == (409, "IdempotencyConflict")
    for number in range(8):
        pair = [recorder.question(platforms=[platform]) for platform in (WAREHOUSE, ANNEX)]
        at_once([partial(asked, here, pair[0], f"both-{number}"), partial(asked, there, pair[1], f"both-{number}")])
    eventually(lambda: all(each["confirmed_at"] for each in (lease(recorder, {"roleName": role}) for role in living(recorder))))

    policy = proven.tenant.described("AccessPolicy", {}, proven.tenant.name, "domain-claims")
    proven.site.patch(policy, {"rowFilter": "country = 'DE'"})

    eventually(lambda: not living(recorder))
    eventually(lambda: not living(recorder, proven.site.annex))


def test_a_key_of_a_call_that_allows_less_is_the_same_recorded_role_also_when_more_is_granted(recorder: Caller, doors: Doors):
    annex = recorder.proven.site.annex
    here, there = both(recorder, doors)
    on_either = {"platforms": [WAREHOUSE, ANNEX], "allowPartial": True}
    question = recorder.question(**on_either)
    role = asked(here, question, "less").json()
    assert lease(recorder, role)["record"] is not None
    assert [(each["name"], each["reason"]) for each in role["leftOut"]] == [(ANNEX, "NoPolicy")]

    again = asked(there, question, "less")

    assert again.status_code == 201, again.text
    assert [again.json()[name] for name in ("id", "roleName", "leftOut")] == [role[name] for name in ("id", "roleName", "leftOut")]
    assert not reads(recorder, role)  # the password is a new one
    assert reads(recorder, again.json())
    assert code(asked(here, recorder.question(platforms=[WAREHOUSE]), "less")) == (409, "IdempotencyConflict")

    on_two_platforms(recorder, doors)
    answer = eventually(lambda: more if "LeftOut" in (more := asked(there, question, "less")).text else None)

    assert (answer.json()["id"], answer.json()["roleName"]) == (role["id"], role["roleName"])
    assert [(each["name"], each["reason"]) for each in answer.json()["leftOut"]] == [(ANNEX, "LeftOut")]
    assert (living(recorder), living(recorder, annex)) == ({role["roleName"]}, set())
    assert reads(recorder, answer.json())
    assert recorder.release(role).status_code == 204
    assert code(asked(here, question, "less")) == (409, "Ended")
    assert (living(recorder), living(recorder, annex)) == (set(), set())
    new = asked(here, recorder.question(**on_either), "more").json()
    assert not new.get("leftOut")
    assert lease(recorder, new)["record"] is None  # it is on two platforms
    assert recorder.release(new).status_code in (202, 204)
    eventually(lambda: is_empty(recorder) and not living(recorder, annex))


@contextlib.contextmanager
def hanging(database: Governed) -> Iterator[None]:
    """Every process of the server stops, and its connections stay open."""
    postmaster = int(database.ask("SELECT pg_read_file('postmaster.pid')")[0][0].split()[0])
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    stopped = [postmaster, *map(int, children)]
    for process in stopped:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)


@pytest.mark.long
def test_a_platform_that_hangs_during_keyed_calls_holds_up_no_other_call_and_no_confirmation(recorder: Caller, doors: Doors):
    site = recorder.proven.site
    on_two_platforms(recorder, doors)
    soon = patience(recorder, least=2.0)
    here, there = both(recorder, doors)
    questions = [recorder.question(platforms=[WAREHOUSE, ANNEX], allowPartial=True) for _ in range(8)]
    with hanging(site.annex), ThreadPoolExecutor(16) as threads:
        hung = [threads.submit(asked, here, question, f"hung-{number}") for number, question in enumerate(questions)]
        took = []
        for number in range(4):
            for key in ("", f"alone-{number}"):
                began = time.monotonic()
                answer = asked(here, recorder.question(), key)
                took.append((key, round(time.monotonic() - began, 2)))
                assert answer.status_code == 201, answer.text
                role = answer.json()
                eventually(lambda role=role: lease(recorder, role)["confirmed_at"])  # type: ignore[misc]
                assert reads(recorder, role)
                began = time.monotonic()
                assert there.release(role).status_code == 204
                took.append(("release", round(time.monotonic() - began, 2)))
        # The first one waits for the number of roles on the annex, and those with a key ask if it is that of a role there: 3 s.
        # One more may meet a machine that is busy for a moment.
        for what, longest, exceptions in (("", soon, 2), ("release", soon, 1), ("alone", 3 + soon, 1)):
            assert sum(seconds > longest for key, seconds in took if key.partition("-")[0] == what) <= exceptions, took
        assert {code(each.result()) for each in hung} == {(503, "PlatformUnavailable")}
    site.wait_for_platform(ANNEX)
    release_all(recorder)
    eventually(lambda: not living(recorder, site.annex))


def limited(caller: Caller, doors: Doors, limit: int) -> None:
    """Set the agent's limit, and return when both replicas know it, and no role is left."""
    proven = caller.proven
    agent = proven.tenant.described("Agent", {}, proven.tenant.name, AGENTS)
    proven.site.patch(agent, {"limits": {"maxLiveRoles": limit}})
    proven.site.told(agent, "Ready", "True")

    def is_known(one: Caller) -> bool:
        return code(one.vend()) == (429, "TooManyRoles")

    for each in both(caller, doors):
        eventually(partial(is_known, each))
    release_all(caller)


@pytest.mark.long
@pytest.mark.parametrize("rounds", with_the_rest_long(2, 10))
def test_calls_at_once_at_two_replicas_are_not_more_than_the_agents_limit(recorder: Caller, doors: Doors, rounds: int):
    limited(recorder, doors, 4)
    for _ in range(rounds):
        answers = at_once([partial(each.vend) for _ in range(8) for each in both(recorder, doors)])

        assert sorted(code(each) for each in answers) == [(201, "")] * 4 + [(429, "TooManyRoles")] * 12
        assert len(living(recorder)) == 4
        release_all(recorder)


@pytest.mark.long
def test_records_and_objects_count_together_at_both_doors(recorder: Caller, doors: Doors):
    limited(recorder, doors, 3)
    proven = recorder.proven
    one = proven.ask(proven.token()).ready()

    def seen(each: Caller) -> bool:
        """Each replica knows the object when the third call is refused."""
        made = [each.vend() for _ in range(3)]
        codes = [code(answer) for answer in made]
        release = [recorder.release(answer.json()) for answer in made if answer.status_code == 201]
        assert {answer.status_code for answer in release} == {204}
        return codes == [(201, ""), (201, ""), (429, "TooManyRoles")]

    for each in both(recorder, doors):
        eventually(partial(seen, each))
    answers = at_once([partial(each.vend) for _ in range(8) for each in both(recorder, doors)])
    assert sorted(each.status_code for each in answers) == [201] * 2 + [429] * 14
    eventually(lambda: len(living(recorder)) == 3)
    roles = [answer.json() for answer in answers if answer.status_code == 201]
    eventually(lambda: {each["id"] for each in roles} <= shown(recorder).keys())  # so the operator knows them

    other = proven.ask(proven.token())
    other.refused("TooManyRoles", granted="False")
    assert recorder.release(roles[0]).status_code == 204
    other.ready()  # there is room
    assert len(living(recorder)) == 3
    for asked_for in (one, other):
        asked_for.delete()
        asked_for.gone()
    release_all(recorder)


@pytest.mark.long
def test_roles_in_two_databases_count_together(recorder: Caller, doors: Doors):
    annex = recorder.proven.site.annex
    on_two_platforms(recorder, doors)

    def vended(platform: str) -> tuple[int, str]:
        return code(recorder.vend(platforms=[platform]))

    limited(recorder, doors, 2)
    eventually(lambda: not living(recorder, annex))

    def counted() -> None:
        """A replica counts the roles on other platforms once a second."""
        at = time.monotonic()
        eventually(lambda: time.monotonic() > at + 1.1)

    codes = []
    for platform in (WAREHOUSE, ANNEX, ANNEX, WAREHOUSE):
        counted()
        codes.append(vended(platform))
    assert codes == [(201, "")] * 2 + [(429, "TooManyRoles")] * 2

    assert len(living(recorder)) + len(living(recorder, annex)) == 2
    release_all(recorder)
    eventually(lambda: not living(recorder, annex))

"""How a role of the API ends before its time, and how a replica does: nobody is left with a role that nobody holds."""

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg
import pytest

from rolevend.roles.side_effects import CallEffect
from testbed.brief import in_time
from testbed.installation import ApiProcess
from tests.support.calling import Caller, Doors
from tests.support.effects import call_effects_of
from tests.support.proving import Proven
from tests.support.proxies import ApiProxy, Moment, Trap
from tests.support.site import AGENTS, DOMAIN, Body, Site
from tests.support.waiting import DEADLINE, eventually


@pytest.fixture
def caller(proven: Proven, doors: Doors) -> Caller:
    caller = Caller(proven.ready_to_ask(), doors.first)
    assert caller.release(caller.vended()).status_code == 204
    return caller


@pytest.fixture
def proxy(site: Site) -> Iterator[ApiProxy]:
    proxy = ApiProxy(site.control_plane.server)
    yield proxy
    proxy.close()


@pytest.fixture
def replica(proxy: ApiProxy, doors: Doors, caller: Caller) -> Iterator[ApiProcess]:
    """One more, whose requests to the API server can be held, and which knows the agent."""
    replica = doors.open({"REQUEST_SECONDS": "60"}, proxy.url)
    replica.wait_until_ready()
    there = Caller(caller.proven, replica)
    assert there.release(there.vended()).status_code == 204
    yield replica
    proxy.take_traps_away()
    replica.kill()


def trap(proxy: ApiProxy, effect: CallEffect, moment: Moment = Moment.BEFORE) -> Trap:
    return proxy.set_trap(lambda asked: effect in call_effects_of(asked), moment)


def policy_of(caller: Caller) -> Body:
    return caller.proven.tenant.described("AccessPolicy", {}, caller.proven.tenant.name, DOMAIN)


def agent_of(caller: Caller) -> Body:
    return caller.proven.tenant.described("Agent", {}, caller.proven.tenant.name, AGENTS)


@pytest.mark.long
def test_told_to_stop_it_answers_every_call_and_takes_no_new_one(caller: Caller, replica: ApiProcess, proxy: ApiProxy):
    there = Caller(caller.proven, replica)
    traps = [trap(proxy, CallEffect.TOKEN_TAKEN) for _ in range(3)]
    with ThreadPoolExecutor(3) as threads:
        calls = [threads.submit(there.vend) for _ in range(3)]
        for each in traps:
            assert each.caught.wait(DEADLINE)

        replica.process.send(signal.SIGTERM)

        eventually(lambda: replica.probe("/readyz") == (503, "this process is ending"))
        eventually(lambda: not takes_calls(there))
        for each in traps[:2]:
            each.pass_on()
        answers = sorted((call.result(30) for call in calls), key=lambda answer: answer.status_code)
    assert [each.status_code for each in answers] == [201, 201, 503], [each.text for each in answers]
    assert (answers[2].json()["code"], answers[2].headers["retry-after"]) == ("TooSlow", "2")
    assert replica.process.wait(30)
    assert replica.process.exit_code == 0
    given = {answer.json()["roleName"] for answer in answers[:2]}
    eventually(lambda: caller.proven.tenant.roles() == given)
    for answer in answers[:2]:
        assert caller.rows(answer.json(), "SELECT count(*) FROM people") == [(2,)]
        assert caller.release(answer.json()).status_code == 204


def takes_calls(caller: Caller) -> bool:
    try:
        return caller.call("GET", "/v1/vended-roles").status_code == 200
    except httpx.TransportError:
        return False


def test_a_policy_that_is_taken_away_ends_the_roles_that_it_granted(caller: Caller):
    role = caller.vended()
    with caller.session(role) as session:
        assert session.execute("SELECT count(*) FROM people").fetchall() == [(2,)]

        caller.proven.site.remove(policy_of(caller))

        eventually(lambda: caller.stored(role) is None)
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
    assert caller.proven.site.warehouse.ended(role["roleName"]) == "Revoked"
    assert caller.proven.tenant.roles() == set()


@pytest.mark.thinned(2, "long")
@pytest.mark.parametrize("effect", [CallEffect.TOKEN_TAKEN, CallEffect.READY], ids=lambda effect: effect.name.lower())
def test_a_policy_that_is_taken_away_in_the_middle_of_a_call_leaves_no_role(
    caller: Caller, replica: ApiProcess, proxy: ApiProxy, effect: CallEffect
):
    """Before its role is made, and when it was looked at for the last time."""
    there = Caller(caller.proven, replica)
    held = trap(proxy, effect)
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(there.vend)
        assert held.caught.wait(DEADLINE)
        caller.proven.site.remove(policy_of(caller))
        eventually(lambda: there.call("POST", "/v1/decisions", there.question()).json()["granted"] is False)
        held.pass_on()
        answer = call.result(30)
    if effect is CallEffect.TOKEN_TAKEN:
        assert (answer.status_code, answer.json()["code"]) in ((403, "PolicyChanged"), (409, "Ended"), (503, "TooSlow")), answer.text
    eventually(lambda: caller.proven.tenant.roles() == set())
    eventually(lambda: caller.call("GET", "/v1/vended-roles").json() == {"items": []})


def test_an_agent_that_is_taken_away_loses_its_roles_and_is_let_in_no_more(caller: Caller):
    role = caller.vended()

    caller.proven.site.remove(agent_of(caller))

    eventually(lambda: caller.stored(role) is None)
    assert caller.proven.tenant.roles() == set()

    def is_unknown() -> bool:
        """To the replica, too, which hears of it by a watch of its own."""
        answer = caller.vend()
        return (answer.status_code, answer.json().get("code")) == (403, "AgentUnknown")

    eventually(is_unknown)


def test_a_role_ends_with_its_users_token(caller: Caller):
    def vended(seconds: int) -> Body:
        until = int(time.time()) + seconds
        answer = caller.call("POST", "/v1/vended-roles", {**caller.question(), "userToken": caller.proven.token(exp=until)})
        assert answer.status_code == 201, answer.text
        assert answer.json()["expirationTimestamp"] == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(until))
        return dict(answer.json())

    role = in_time(vended, 6)

    eventually(lambda: caller.stored(role) is None)
    assert caller.proven.tenant.roles() == set()
    assert caller.proven.site.warehouse.ended(role["roleName"]) == "Expired"

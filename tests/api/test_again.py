"""The same call again: by a client that is not sure, at two replicas at once, by another agent, and when the role is over."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import httpx
import psycopg
import pytest

from rolevend.api.repository import digest_of, name_of
from rolevend.api.schemas import VendRequest
from rolevend.kinds import API_VERSION
from rolevend.kinds.shared import CALL
from rolevend.model import ObjectName
from tests.support.calling import Caller, Doors
from tests.support.proving import Proven
from tests.support.registered import AGENT
from tests.support.site import AGENTS, WAREHOUSE, Body, Site
from tests.support.tenancy import Tenant
from tests.support.waiting import DEADLINE, eventually

ROUNDS = 12


@pytest.fixture
def first(proven: Proven, doors: Doors) -> Caller:
    return Caller(proven.ready_to_ask(), doors.first)


@pytest.fixture
def second(first: Caller, doors: Doors) -> Caller:
    """The same agent, at the other replica, which knows it, too."""
    second = Caller(first.proven, doors.second)
    for each in (first, second):
        assert each.release(each.vended()).status_code == 204
    return second


def call(caller: Caller, question: Body, key: str = "once") -> httpx.Response:
    return caller.call("POST", "/v1/vended-roles", question, **{"Idempotency-Key": key})


def works(caller: Caller, answer: httpx.Response) -> bool:
    try:
        return caller.rows(answer.json(), "SELECT count(*) FROM people") == [(2,)]
    except psycopg.OperationalError:
        return False


def test_at_both_replicas_at_once_it_is_one_role_with_one_credential(first: Caller, second: Caller):
    with ThreadPoolExecutor(4) as threads:
        for round_number in range(ROUNDS):
            question, together = first.question(), Barrier(4)

            def ask(caller: Caller, question: Body = question, together: Barrier = together, key: str = f"round-{round_number}"):
                together.wait(DEADLINE)
                return call(caller, question, key)

            answers = list(threads.map(ask, (first, second, first, second)))

            assert {each.status_code for each in answers} == {201}, [each.text for each in answers]
            assert len({(each.json()["id"], each.json()["roleName"]) for each in answers}) == 1
            assert first.proven.tenant.roles() == {answers[0].json()["roleName"]}
            assert len([each for each in answers if works(first, each)]) == 1
            assert first.release(answers[0].json()).status_code == 204


def test_with_another_body_it_is_refused_and_the_first_credential_holds(first: Caller, second: Caller):
    role = call(first, first.question())

    another = call(second, second.question(purpose="reporting"))

    assert (another.status_code, another.json()["code"]) == (409, "IdempotencyConflict")
    assert works(first, role)
    assert len(first.proven.tenant.roles()) == 1


def test_by_another_agent_it_is_another_role(first: Caller, second: Caller, site: Site, doors: Doors):
    other = Caller(Proven(Tenant(site)).ready_to_ask(), doors.first)
    other.vended()
    try:
        mine, theirs = call(first, first.question()), call(other, other.question())

        assert (mine.status_code, theirs.status_code) == (201, 201)
        assert mine.json()["id"] != theirs.json()["id"]
        assert works(first, mine)
        assert works(other, theirs)
    finally:
        for role in other.call("GET", "/v1/vended-roles").json()["items"]:
            other.release(role)
        other.proven.tenant.leave()


def test_when_the_role_is_over_only_a_new_proof_gives_another_one(first: Caller, second: Caller):
    question = first.question()
    role = call(first, question)
    assert first.release(role.json()).status_code == 204

    again = eventually(lambda: answer if (answer := call(second, question)).status_code != 409 else None)  # where it may still be ending
    assert (again.status_code, again.json()["code"], again.json()["field"]) == (403, "TokenReplayed", "userToken")
    eventually(lambda: not first.proven.tenant.roles())
    anew = eventually(lambda: answer if (answer := call(second, second.question())).status_code == 201 else None)
    assert anew.json()["roleName"] != role.json()["roleName"]
    assert works(second, anew)


def test_while_the_role_ends_it_is_told_so(first: Caller, second: Caller):
    question = first.question()
    role = call(first, question).json()
    stored = first.stored(role)
    assert stored is not None
    held = {"metadata": {"finalizers": ["rolevend.dev/drop", "example.org/hold"]}}
    assert first.proven.site.cluster.patch(stored, held).ok
    try:
        assert first.proven.site.cluster.delete(stored).ok

        again = call(second, question)

        assert (again.status_code, again.json()["code"]) == (409, "Ended")
    finally:
        eventually(lambda: not first.proven.tenant.roles())
        assert first.proven.site.cluster.patch(stored, {"metadata": {"finalizers": []}}).ok


def test_the_same_proof_under_another_key_or_none_is_refused(first: Caller, second: Caller):
    question = first.question()
    role = call(first, question)

    others = [call(second, question, "another"), second.call("POST", "/v1/vended-roles", question)]

    assert [(each.status_code, each.json()["code"]) for each in others] == [(403, "TokenReplayed")] * 2
    assert works(first, role)
    eventually(lambda: len(first.proven.tenant.roles()) == 1)


def test_an_object_that_somebody_planted_under_the_name_of_a_call_is_not_taken_up(first: Caller, second: Caller):
    """Whoever may make VendedRoles chooses their names and annotations, and knows how the API derives both."""
    tenant, question = first.proven.tenant, first.question()
    agent = replace(AGENT, name=ObjectName(AGENTS, tenant.name))
    digest = digest_of(VendRequest.model_validate(question))
    planted = {
        "apiVersion": API_VERSION,
        "kind": "VendedRole",
        "metadata": {"name": name_of(agent, "planted"), "namespace": AGENTS, "annotations": {CALL: digest}},
        "spec": {
            "agentRef": {"name": tenant.name},
            "user": {"issuer": first.proven.issuer, "subject": "boris"},
            "platformRefs": [{"name": WAREHOUSE}],
        },
    }
    there = first.proven.site.apply(planted)

    answer = call(second, question, "planted")

    assert (answer.status_code, answer.json().get("code")) == (409, "IdempotencyConflict"), answer.text
    assert tenant.roles() == set()
    assert call(second, question, "another").status_code == 201  # the token was not taken
    first.proven.site.remove(there)

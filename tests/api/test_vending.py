"""One call gives an agent a role for a proven person: it reads that person's rows, tells nobody else of it, and is gone when released."""

import re

import httpx
import pytest

from tests.support.calling import Caller, Doors
from tests.support.proving import Proven
from tests.support.site import AGENTS, WAREHOUSE
from tests.support.waiting import eventually


@pytest.fixture
def caller(proven: Proven, doors: Doors) -> Caller:
    return Caller(proven.ready_to_ask(), doors.first)


def test_a_call_gives_a_role_that_reads_the_users_rows_and_a_release_takes_it_away(caller: Caller):
    role = caller.vended()

    tenant = caller.proven.tenant
    assert role["roleName"].startswith(f"IMMUTA_VENDED_{tenant.handle}_")
    assert (role["state"], role["user"]["proof"], role["user"]["subject"]) == ("Live", "Token", "anna")
    (platform,) = role["platforms"]
    assert (platform["name"], platform["tableCount"]) == (WAREHOUSE, 1)
    assert caller.rows(role, "SELECT person_id, ssn FROM people ORDER BY 1") == [(1, None), (2, None)]
    (table,) = role["explanation"]["tables"]
    assert (table["table"], table["policies"]) == ("people", [f"domain-claims/{tenant.name}"])
    assert {"name": "ssn", "type": "text", "shown": "Masked", "mask": "Nullify", "maskMeaning": "NULL", "values": []} in table["columns"]

    assert caller.release(role).status_code == 204

    assert not caller.proven.site.warehouse.has(role["roleName"])
    eventually(lambda: caller.stored(role) is None)


def test_a_role_is_selected_by_the_labels_of_its_object(caller: Caller):
    role = caller.vended()
    tenant = caller.proven.tenant

    def selected(selector: str) -> list[str]:
        listed = tenant.site.cluster.call("GET", f"/apis/rolevend.dev/v1alpha1/namespaces/{AGENTS}/vendedroles?labelSelector={selector}")
        return [each["metadata"]["name"] for each in listed.body["items"]]

    assert selected(f"rolevend.dev/agent={tenant.name},platform.rolevend.dev/{WAREHOUSE}") == [role["id"]]
    assert selected(f"rolevend.dev/agent={tenant.name},platform.rolevend.dev/annex") == []
    labels = caller.stored(role)["metadata"]["labels"]
    assert labels["rolevend.dev/user-handle"] == role["user"]["handle"]
    assert "anna" not in labels.values()


def test_an_event_of_its_object_says_what_the_role_reads(caller: Caller):
    role = caller.vended()

    eventually(lambda: caller.is_told(role, "1 table"))


def test_the_credential_is_told_once_and_is_nowhere_else(caller: Caller):
    role = caller.vended()
    password = role["platforms"][0]["credential"]["password"]

    shown = caller.call("GET", f"/v1/vended-roles/{role['id']}").json()

    assert "credential" not in shown["platforms"][0]
    assert password not in str(shown) + str(caller.stored(role))
    assert caller.proven.site.secret("claims-agents", role["id"]).status == 404


def test_an_agent_sees_its_own_roles_and_no_other_agents(caller: Caller, proven: Proven, doors: Doors):
    role = caller.vended()
    stranger = Proven(type(proven.tenant)(proven.site)).ready_to_ask()
    other = Caller(stranger, doors.first)

    try:
        assert eventually(lambda: [each["id"] for each in caller.call("GET", "/v1/vended-roles").json()["items"]]) == [role["id"]]
        eventually(lambda: other.call("GET", "/v1/vended-roles").json() == {"items": []})
        for method in ("GET", "DELETE"):
            answer = other.call(method, f"/v1/vended-roles/{role['id']}")
            assert (answer.status_code, answer.json()["code"]) == (404, "NotFound")
        assert caller.rows(role, "SELECT count(*) FROM people") == [(2,)]
    finally:
        stranger.tenant.leave()


def test_a_decision_says_what_would_be_granted_and_uses_up_no_token(caller: Caller):
    question = caller.question()

    decided = eventually(lambda: said if (said := caller.call("POST", "/v1/decisions", question).json()).get("granted") else None)

    assert [each["table"] for each in decided["explanation"]["tables"]] == ["people"]
    assert caller.proven.tenant.roles() == set()
    assert caller.call("POST", "/v1/vended-roles", question).status_code == 201


def test_a_denial_says_what_is_missing(caller: Caller):
    caller.vended()

    def both() -> tuple[httpx.Response, dict[str, object]]:
        """By one picture of the policies: those of a test before may go between the two."""
        answer = caller.call("POST", "/v1/vended-roles", {**caller.question(), "userToken": caller.proven.token(tenant="another")})
        decided = caller.call("POST", "/v1/decisions", {**caller.question(), "userToken": caller.proven.token(tenant="another")}).json()
        assert decided["missing"] == answer.json()["missing"]
        return answer, decided

    answer, decided = eventually(both)

    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["code"], answer.json()["status"]) == ("NoPolicy", 403)
    assert re.match(r"policy domain-claims/t\d+ asks for tenant In", answer.json()["missing"]["sentence"])  # or one of another test
    assert decided["granted"] is False
    assert answer.json()["requestId"] == answer.headers["x-request-id"]


def test_a_decision_refuses_a_token_that_is_used_up(caller: Caller):
    caller.vended()
    question = caller.question()
    assert caller.call("POST", "/v1/vended-roles", question).status_code == 201

    answer = caller.call("POST", "/v1/decisions", question)

    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (403, "TokenReplayed", "userToken")

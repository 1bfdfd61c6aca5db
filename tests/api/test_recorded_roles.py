"""Roles that the platform's database records: no VendedRole is on the way of a call, and everything else is as with one."""

import psycopg
import pytest

from tests.support.calling import Caller, Doors
from tests.support.proving import Proven
from tests.support.recorded import recording, shown
from tests.support.site import AGENTS, Body
from tests.support.waiting import eventually


@pytest.fixture
def caller(on_record: None, proven: Proven, doors: Doors) -> Caller:
    return recording(Caller(proven.ready_to_ask(), doors.first))


def leases(caller: Caller, role: Body) -> list[tuple[object, ...]]:
    return caller.proven.site.warehouse.ask(
        f"SELECT record IS NOT NULL, revoked_at IS NULL FROM rolevend.lease WHERE role = '{role['roleName']}'"
    )


def test_a_role_is_vended_read_with_shown_and_released_without_an_object_on_the_way(caller: Caller):
    role = caller.vended()

    assert caller.rows(role, "SELECT count(*) FROM people") == [(2,)]
    assert leases(caller, role) == [(True, True)]
    one = caller.call("GET", f"/v1/vended-roles/{role['id']}")
    assert one.status_code == 200, one.text
    assert (one.json()["roleName"], one.json()["state"]) == (role["roleName"], "Live")
    assert role["id"] in [each["id"] for each in caller.call("GET", "/v1/vended-roles").json()["items"]]

    assert caller.release(role).status_code == 204

    with pytest.raises(psycopg.OperationalError):
        caller.rows(role, "SELECT 1")
    assert caller.release(role).status_code == 404
    assert caller.proven.site.warehouse.ask(f"SELECT 1 FROM pg_roles WHERE rolname = '{role['roleName']}'") == []


def test_the_cluster_shows_the_role_and_its_deletion_ends_it(caller: Caller):
    role = caller.vended()
    eventually(lambda: role["id"] in shown(caller))
    eventually(lambda: caller.is_told(role, "1 table"))
    assert [each["id"] for each in caller.call("GET", "/v1/vended-roles").json()["items"]].count(role["id"]) == 1, (
        "the object is no other role"
    )

    answer = caller.proven.site.cluster.call("DELETE", f"/apis/rolevend.dev/v1alpha1/namespaces/{AGENTS}/vendedroles/{role['id']}")

    assert answer.ok, answer.message
    eventually(lambda: role["id"] not in shown(caller))
    assert leases(caller, role) == [(True, False)]
    eventually(lambda: caller.call("GET", f"/v1/vended-roles/{role['id']}").status_code == 404)


def test_a_released_role_is_not_shown_any_more(caller: Caller):
    role = caller.vended()
    eventually(lambda: role["id"] in shown(caller))

    assert caller.release(role).status_code == 204

    eventually(lambda: role["id"] not in shown(caller))

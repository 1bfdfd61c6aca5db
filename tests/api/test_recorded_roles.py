"""Roles that the platform's database records: no VendedRole is on the way of a call, and everything else is as with one."""

from collections.abc import Iterator

import psycopg
import pytest

from rolevend.kinds.shared import RECORD
from tests.support.calling import Caller, Doors
from tests.support.proving import Proven
from tests.support.site import AGENTS, WAREHOUSE, Body, Site
from tests.support.waiting import eventually

PLATFORM: Body = {"kind": "DataPlatform", "metadata": {"name": WAREHOUSE}}


@pytest.fixture(scope="module")
def ledger(site: Site) -> Iterator[None]:
    """The warehouse is the ledger for the tests of this file."""
    for mode in ("Joining", "Enabled"):
        site.patch(PLATFORM, {"postgres": {"ledger": mode}})
        site.told(PLATFORM, "Ledger", "True", mode)
    yield
    for mode in ("Joining", "Disabled"):
        site.patch(PLATFORM, {"postgres": {"ledger": mode}})
        site.told(PLATFORM, "Ledger", *(("True", mode) if mode == "Joining" else ("False", "Disabled")))


@pytest.fixture
def caller(ledger: None, proven: Proven, doors: Doors) -> Caller:
    caller = Caller(proven.ready_to_ask(), doors.first)
    eventually(lambda: is_recorded(caller, caller.vended()))  # the first one has its profile built, for an object
    return caller


def leases(caller: Caller, role: Body) -> list[tuple[object, ...]]:
    return caller.proven.site.warehouse.ask(
        f"SELECT record IS NOT NULL, revoked_at IS NULL FROM rolevend.lease WHERE role = '{role['roleName']}'"
    )


def is_recorded(caller: Caller, role: Body) -> bool:
    recorded = leases(caller, role)[0][0] is True
    if not recorded:
        caller.release(role)
    return recorded


def shown(caller: Caller) -> list[Body]:
    """The VendedRoles that show recorded roles of the agent."""
    listed = caller.proven.site.cluster.call("GET", f"/apis/rolevend.dev/v1alpha1/namespaces/{AGENTS}/vendedroles?labelSelector={RECORD}")
    return [each for each in listed.body["items"] if each["spec"]["agentRef"]["name"] == caller.proven.tenant.name]


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
    eventually(lambda: role["id"] in [each["metadata"]["name"] for each in shown(caller)])

    answer = caller.proven.site.cluster.call("DELETE", f"/apis/rolevend.dev/v1alpha1/namespaces/{AGENTS}/vendedroles/{role['id']}")

    assert answer.ok, answer.message
    eventually(lambda: role["id"] not in [each["metadata"]["name"] for each in shown(caller)])
    assert leases(caller, role) == [(True, False)]
    assert caller.call("GET", f"/v1/vended-roles/{role['id']}").status_code == 404


def test_a_released_role_is_not_shown_any_more(caller: Caller):
    role = caller.vended()
    eventually(lambda: role["id"] in [each["metadata"]["name"] for each in shown(caller)])

    assert caller.release(role).status_code == 204

    eventually(lambda: role["id"] not in [each["metadata"]["name"] for each in shown(caller)])

"""`rolevend who` of a role that its database records, whether or not a VendedRole shows it."""

from collections.abc import Iterator

import pytest

from tests.support.calling import Caller, Doors
from tests.support.proving import Proven
from tests.support.recorded import first_recorded, shown
from tests.support.site import AGENTS, WAREHOUSE, Site
from tests.support.waiting import eventually
from tests.support.who import who

pytestmark = pytest.mark.long


@pytest.fixture
def unshown(site: Site) -> Iterator[None]:
    site.operator.stop()
    site.start_operator({"PROJECTIONS_PER_SECOND": "0"})
    yield
    site.operator.stop()
    site.start_operator()


def test_a_role_that_nothing_shows_is_found_in_its_database(site: Site, proven: Proven, doors: Doors, on_record: None, unshown: None):
    caller = Caller(proven.ready_to_ask(), doors.first)
    role = first_recorded(caller)

    alone = who(site, role["roleName"])
    asked = who(site, role["roleName"], "--dsn", site.warehouse.superuser.dsn)

    assert alone["state"] == "no VendedRole has its uid: it is gone, or its platform's database records it (see --dsn)"
    assert (asked["record"], asked["state"]) == ("the platform's database", "its database records it, and it has not ended")
    assert {asked["sources"][each] for each in ("record", "state", "object", "proof", "token", "platform")} == {"the database"}
    assert asked["object"] == f"{AGENTS}/{role['id']}"
    assert asked["platform"] == WAREHOUSE
    assert asked["notes"] == ""

    assert caller.release(role).status_code == 204

    assert who(site, role["roleName"], "--dsn", site.warehouse.superuser.dsn)["state"] == "gone: its database records its end"


def test_a_record_that_somebody_changed_is_said_to_contradict_and_stops_no_answer(
    site: Site, proven: Proven, doors: Doors, on_record: None, unshown: None
):
    caller = Caller(proven.ready_to_ask(), doors.first)
    role = first_recorded(caller)
    assert caller.release(role).status_code == 204
    site.warehouse.ask(f"UPDATE rolevend.lease SET record = '[]' WHERE role = '{role['roleName']}' RETURNING 1")

    asked = who(site, role["roleName"], "--dsn", site.warehouse.superuser.dsn)

    assert asked["agent"] == f"{AGENTS}/{proven.tenant.name}"
    assert "the database has a record of the role that is not one of rolevend" in asked["notes"]


def test_a_role_that_a_vendedrole_shows_is_found_by_it(site: Site, proven: Proven, doors: Doors, on_record: None):
    caller = Caller(proven.ready_to_ask(), doors.first)
    role = first_recorded(caller)
    eventually(lambda: shown(caller)[role["id"]]["status"])  # which is written after its creation

    asked = who(site, role["roleName"])

    assert asked["record"] == f"the database of DataPlatform {WAREHOUSE}, which the VendedRole only shows"
    assert asked["object"] == f"{AGENTS}/{role['id']}"
    assert asked["sources"]["state"] == "the cluster"
    assert "gone" not in asked["state"]
    assert caller.release(role).status_code == 204

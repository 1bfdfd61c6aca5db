"""A record that somebody changed in the database ends its role, and an alert counts it."""

import psycopg
import pytest

from tests.support.calling import Caller, Doors
from tests.support.proving import Proven
from tests.support.recorded import first_recorded
from tests.support.site import WAREHOUSE, Site
from tests.support.waiting import eventually


@pytest.mark.long
def test_a_role_that_was_prolonged_by_hand_is_dropped_and_counted_once(site: Site, proven: Proven, doors: Doors, on_record: None):
    caller = Caller(proven.ready_to_ask(), doors.first)
    role = first_recorded(caller)
    before = site.metric("rolevend_unsealed_records_total", platform=WAREHOUSE)
    eventually(lambda: site.metric("rolevend_projections_waiting") == 0)

    site.warehouse.ask(
        f"UPDATE rolevend.lease SET expires_at = expires_at + interval '1 day' WHERE role = '{role['roleName']}' RETURNING 1"
    )

    eventually(lambda: site.warehouse.ask(f"SELECT 1 FROM pg_roles WHERE rolname = '{role['roleName']}'") == [])
    with pytest.raises(psycopg.OperationalError):
        caller.rows(role, "SELECT 1")
    assert site.metric("rolevend_unsealed_records_total", platform=WAREHOUSE) == before + 1

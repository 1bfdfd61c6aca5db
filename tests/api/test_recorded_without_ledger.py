"""Without a ledger no database records a role. A record that the vendor's login wrote hides no role from the operator."""

from collections.abc import Iterator

import pytest

from tests.support.calling import Caller, Doors
from tests.support.forging import forge
from tests.support.proving import Proven
from tests.support.recorded import Trail, lease, living
from tests.support.site import Site
from tests.support.waiting import eventually


@pytest.fixture
def caller(site: Site, proven: Proven, doors: Doors) -> Iterator[Caller]:
    site.ensure_operator()
    caller = Caller(proven.ready_to_ask(), doors.first)
    role = caller.vended()
    yield caller
    caller.release(role)


def test_a_forged_record_is_dropped(caller: Caller, trail: Trail):
    genuine = caller.vended()
    row = lease(caller, genuine)
    assert row["record"] is None
    name = f"{row['agent'].partition('/')[0]}/forged"

    forged = forge(caller, row, {"name": name, "body": '{"metadata": {}, "status": {}, "spec": {}}', "call": "forged", "seal": "0" * 64})

    eventually(forged.is_gone)
    assert not forged.reads()
    eventually(lambda: trail.kinds({"roleName": forged.role})["dropped"])
    assert genuine["roleName"] in living(caller)
    assert caller.release(genuine).status_code == 204

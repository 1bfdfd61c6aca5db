"""`rolevend drain` where databases record roles: also those end that no VendedRole shows."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.calling import Caller, Doors
from tests.support.proving import Proven
from tests.support.recorded import first_recorded, shown
from tests.support.site import Site
from tests.support.waiting import eventually

pytestmark = pytest.mark.long

POLICY = "rolevend-closed"


@pytest.fixture
def opened_again(site: Site) -> Iterator[None]:
    yield
    site.cluster.kubectl("delete", "validatingadmissionpolicybinding", POLICY, "--ignore-not-found")


def drain(site: Site, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "rolevend", "drain", "--kubeconfig", str(site.control_plane.kubeconfig), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)


def ends(site: Site, role: dict[str, Any]) -> list[tuple[object, ...]]:
    return site.warehouse.ask(
        f"SELECT reason, ended_by, dropped_at IS NOT NULL, reported_at IS NOT NULL FROM rolevend.lease WHERE role = '{role['roleName']}'"
    )


def test_roles_that_nothing_shows_end_and_are_audited(site: Site, proven: Proven, doors: Doors, on_record: None, opened_again: None):
    site.operator.stop()
    site.start_operator({"PROJECTIONS_PER_SECOND": "0"})
    try:
        caller = Caller(proven.ready_to_ask(), doors.first)
        roles = [first_recorded(caller), caller.vended()]
        assert shown(caller) == {}

        done = drain(site)

        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        assert [ends(site, role)[0][:3] for role in roles] == [("Revoked", "rolevend drain", True)] * 2
        eventually(lambda: all(ends(site, role)[0][3] for role in roles))
        for role in roles:
            dropped = [line for line in site.logs[-1].read_text().splitlines() if '"type":"dev.rolevend.dropped"' in line]
            assert sum(role["roleName"] in line for line in dropped) == 1
        assert "drainRequested" not in site.cluster.call("GET", "/apis/rolevend.dev/v1alpha1/dataplatforms/warehouse").body["status"]
        eventually(lambda: caller.vend().status_code == 503)  # vending is closed
    finally:
        site.operator.stop()
        site.start_operator()


def test_a_platform_that_may_record_roles_and_does_not_answer_is_named(site: Site, on_record: None, opened_again: None):
    site.annex.server.stop()
    try:
        done = drain(site, "--timeout", "15")
    finally:
        site.annex.server.start()

    assert done.returncode == 1
    assert "left: DataPlatform annex: its database" in done.stdout
    assert "DataPlatform warehouse" not in done.stdout
    status = site.cluster.call("GET", "/apis/rolevend.dev/v1alpha1/dataplatforms/annex").body["status"]
    assert "drainRequested" not in status, "a request that nobody waits for must not end roles later"
    assert drain(site).returncode == 0

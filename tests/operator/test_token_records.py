"""Records of used tokens that the API's ServiceAccount wrote, as an attacker who has its rights could."""

from collections.abc import Iterator

import pytest

from testbed.installation import NAMESPACE
from tests.support.installed import API
from tests.support.site import Site
from tests.support.waiting import eventually

LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
BEYOND, EXPIRED = "rolevend-token-a-beyond-the-calendar", "rolevend-token-b-expired"


def write(site: Site, name: str, acquired: str, seconds: int) -> None:
    spec = {"holderIdentity": "nobody", "leaseDurationSeconds": seconds, "acquireTime": acquired}
    made = site.cluster.call("POST", LEASES, {"metadata": {"name": name}, "spec": spec}, user=API)
    assert made.ok, made.message
    assert made.body["spec"]["acquireTime"] == acquired


@pytest.fixture
def records(site: Site) -> Iterator[None]:
    site.operator.stop()
    write(site, BEYOND, "9999-12-31T23:59:59.999999Z", 2**31 - 1)
    write(site, EXPIRED, "2020-01-01T00:00:00.000000Z", 1)
    yield
    for name in (BEYOND, EXPIRED):
        site.cluster.call("DELETE", f"{LEASES}/{name}")


@pytest.mark.usefixtures("records")
def test_a_record_with_a_time_beyond_the_calendar_ends_no_operator_and_keeps_no_expired_record(site: Site):
    site.start_operator(wait=False)

    eventually(lambda: not site.operator.process.running or site.cluster.call("GET", f"{LEASES}/{EXPIRED}").status == 404)

    assert site.operator.process.running, "the operator ended with its first collection of expired records"
    site.operator.wait_until_ready()

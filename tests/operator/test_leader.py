"""Two operators, of which one leads: it dies, stops, is stopped, or hears nothing, and the other goes on; never both."""

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rolevend.kube.election import LEASE
from testbed.installation import NAMESPACE, OperatorProcess
from tests.support.gateway import Gateway
from tests.support.installed import MERGE_PATCH
from tests.support.site import Site
from tests.support.tenancy import Asked, Tenant
from tests.support.tiers import with_the_rest_full
from tests.support.waiting import DEADLINE, eventually
from tests.support.wall_clock import WallClock

LEASE_PATH = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{LEASE}"
SOON, LATER, NEVER = 30, 60, 600
"""Seconds that a silent leader keeps its place: two that are over within a test, the second for a machine that stalls; or more than any
test waits."""


@dataclass
class Replica:
    site: Site
    pod: str
    process: OperatorProcess
    gateway: Gateway

    @property
    def leads(self) -> bool:
        return self.holder.startswith(f"{self.pod}_") and self.metric("rolevend_leader") == 1

    @property
    def holder(self) -> str:
        return str(lease(self.site).get("holderIdentity", ""))

    @property
    def running(self) -> bool:
        return self.process.process.running

    def metric(self, name: str) -> float:
        lines = self.process.probe("/metrics")[1].splitlines()
        return next((float(line.split()[-1]) for line in lines if line.split(" ")[0] == name), -1)

    def stands_by_for(self, leader: "Replica") -> bool:
        return self.process.probe("/readyz") == (200, f"standing by: {leader.pod} leads") and self.metric("rolevend_leader") == 0


def lease(site: Site) -> dict[str, Any]:
    answer = site.cluster.call("GET", LEASE_PATH)
    return dict(answer.body["spec"]) if answer.ok else {}


@dataclass
class Pair:
    leader: Replica
    other: Replica
    clock: WallClock
    """The leader's."""


@pytest.fixture
def seconds(request: pytest.FixtureRequest) -> int:
    return int(getattr(request, "param", NEVER))


@pytest.fixture
def pair(tenant: Tenant, seconds: int, tmp_path: Path) -> Iterator[Pair]:
    """In place of the one operator of all other tests."""
    with _replicas(tenant, seconds, WallClock(tmp_path), {}) as pair:
        yield pair


@pytest.fixture
def clocked(tenant: Tenant, seconds: int, tmp_path: Path) -> Iterator[Pair]:
    """The same, with a leader whose wall clock a test may set."""
    clock = WallClock(tmp_path)
    with _replicas(tenant, seconds, clock, clock.preload) as pair:
        yield pair


@contextmanager
def _replicas(tenant: Tenant, seconds: int, clock: WallClock, preload: Mapping[str, str]) -> Iterator[Pair]:
    site = tenant.site
    site.operator.stop()
    started: list[Replica] = []

    def start(pod: str, preload: Mapping[str, str]) -> Replica:
        process, gateway = site.start_replica(pod, {"LEADERSHIP_SECONDS": str(seconds)}, preload)
        started.append(Replica(site, pod, process, gateway))
        return started[-1]

    try:
        leader = start("replica-a", preload)
        eventually(lambda: leader.leads)
        other = start("replica-b", {})
        tenant.ready_to_ask()
        eventually(lambda: other.stands_by_for(leader))
        yield Pair(leader, other, clock)
    finally:
        for each in started:
            each.process.process.send(signal.SIGCONT)
            each.process.stop()
        site.cluster.call("DELETE", LEASE_PATH)


def vended_by(replica: Replica, tenant: Tenant) -> Asked:
    asked = tenant.ask().ready()
    assert f'"{asked.role}"' in replica.process.log.read_text()
    return asked


def test_one_leads_and_the_other_is_ready_to(tenant: Tenant, pair: Pair):
    assert pair.leader.process.probe("/readyz") == (200, "ok")
    assert pair.other.process.probe("/healthz") == (200, "ok")

    asked = vended_by(pair.leader, tenant)

    assert asked.role not in pair.other.process.log.read_text()


@pytest.mark.long
@pytest.mark.parametrize("seconds", [SOON], indirect=True)
def test_when_the_leader_is_killed_the_other_takes_over(tenant: Tenant, pair: Pair):
    before = lease(tenant.site)
    live = tenant.ask().ready()
    expiring, _ = tenant.ask_briefly(Asked.ready)

    pair.leader.process.kill()
    unheard = tenant.ask()
    live.delete()

    eventually(lambda: pair.other.leads)
    unheard.ready()
    live.gone()
    expiring.expired()
    assert lease(tenant.site)["leaseTransitions"] == before["leaseTransitions"] + 1
    assert tenant.site.warehouse.roles() & {live.role, expiring.role, unheard.role} == {unheard.role}


@pytest.mark.long
def test_a_leader_that_is_told_to_stop_hands_over_at_once(tenant: Tenant, pair: Pair):
    live = tenant.ask().ready()

    pair.leader.process.stop()

    assert pair.leader.process.process.exit_code == 0
    eventually(lambda: pair.other.leads)
    live.delete()
    live.gone()


@pytest.mark.long
def test_a_container_that_starts_again_in_its_pod_leads_on_at_once(tenant: Tenant, pair: Pair):
    pair.leader.process.kill()

    again, gateway = tenant.site.start_replica(pair.leader.pod, {"LEADERSHIP_SECONDS": str(NEVER)})
    pair.leader = Replica(tenant.site, pair.leader.pod, again, gateway)

    eventually(lambda: pair.leader.leads)
    vended_by(pair.leader, tenant)
    eventually(lambda: pair.other.stands_by_for(pair.leader))
    again.stop()


@pytest.mark.long
@pytest.mark.parametrize("seconds", [SOON], indirect=True)
def test_a_leader_that_sleeps_finds_itself_replaced_ends_and_leaves_nothing(tenant: Tenant, pair: Pair):
    staying, leaving = tenant.ask().ready(), tenant.ask().ready()
    burst = [tenant.ask() for _ in range(20)]

    pair.leader.process.process.send(signal.SIGSTOP)
    leaving.delete()

    eventually(lambda: pair.other.leads)
    burst[0].delete()
    burst[0].gone()
    pair.leader.process.process.send(signal.SIGCONT)
    assert eventually(lambda: pair.leader.process.process.exit_code) == 1
    leaving.gone()
    roles = {staying.role} | {asked.ready().role for asked in burst[1:]}
    eventually(lambda: tenant.roles() == roles)
    for asked in burst[1:]:
        assert asked.rows("SELECT count(*) FROM people") == [(2,)], "the password in the Secret is the role's"


@pytest.mark.long
@pytest.mark.parametrize("seconds", [SOON], indirect=True)
def test_a_leader_that_hears_nothing_is_gone_before_the_other_leads(tenant: Tenant, pair: Pair):
    live = tenant.ask().ready()

    pair.leader.gateway.block()

    eventually(lambda: pair.other.leads)
    assert not pair.leader.running
    assert pair.leader.process.process.exit_code == 1
    vended_by(pair.other, tenant)
    live.delete()
    live.gone()


@pytest.mark.long
def test_a_leader_whose_place_somebody_else_took_ends(tenant: Tenant, pair: Pair):
    spec = {"holderIdentity": f"{pair.other.pod}_somebody"}
    assert tenant.site.cluster.call("PATCH", LEASE_PATH, {"spec": spec}, content_type=MERGE_PATCH).ok

    assert eventually(lambda: pair.leader.process.process.exit_code) == 1
    assert "no longer leading: the Lease rolevend-system/rolevend-operator is held by replica-b" in pair.leader.process.log.read_text()
    eventually(lambda: pair.other.leads)


@pytest.mark.long
def test_a_lease_that_somebody_deleted_stays_with_its_leader(tenant: Tenant, pair: Pair):
    assert tenant.site.cluster.call("DELETE", LEASE_PATH).ok

    eventually(lambda: lease(tenant.site))

    assert pair.leader.leads
    assert pair.other.stands_by_for(pair.leader)


@pytest.mark.long
def test_a_lease_that_somebody_wrote_on_stays_with_its_leader_who_reads_it_again(tenant: Tenant, pair: Pair):
    body = {"metadata": {"annotations": {"seen-by": "a person"}}}
    assert tenant.site.cluster.call("PATCH", LEASE_PATH, body, content_type=MERGE_PATCH).ok
    renewed = {lease(tenant.site)["renewTime"]}

    eventually(lambda: renewed.add(lease(tenant.site)["renewTime"]) or len(renewed) > 2)

    assert pair.leader.leads
    assert pair.other.stands_by_for(pair.leader)
    assert tenant.site.cluster.call("GET", LEASE_PATH).body["metadata"]["annotations"] == {"seen-by": "a person"}


@pytest.mark.full
@pytest.mark.parametrize("seconds", [LATER], indirect=True)
@pytest.mark.parametrize("hours", with_the_rest_full(-3, 3))
def test_a_leader_whose_wall_clock_jumps_leads_on(tenant: Tenant, clocked: Pair, hours: int):
    before = lease(tenant.site)
    renewals: set[str] = set()

    clocked.clock.jump(hours)

    def has_renewed_for_long() -> bool:
        assert clocked.leader.leads
        assert clocked.other.stands_by_for(clocked.leader)
        renewals.add(lease(tenant.site)["renewTime"])
        return len(renewals) > 20

    assert eventually(lambda: lease(tenant.site)["renewTime"][:13] != before["renewTime"][:13]), "it was told that time"
    eventually(has_renewed_for_long, within=120)
    assert lease(tenant.site)["leaseTransitions"] == before["leaseTransitions"]


@pytest.mark.long
def test_a_wall_clock_that_is_behind_lets_no_role_live_longer(tenant: Tenant, clocked: Pair):
    """The platform judges, and its own scheduler ends what the operator takes for young."""
    clocked.clock.jump(-3)
    expiring, login = tenant.ask_briefly(lambda asked: asked.ready().login())
    warehouse = tenant.site.warehouse

    eventually(lambda: warehouse.refuses(login), within=expiring.seconds_left + DEADLINE)
    assert not expiring.is_gone()
    warehouse.ask("CALL rolevend.sweep()")

    expiring.gone()
    assert not expiring.has_role()
    vended_by(clocked.leader, tenant)


@pytest.mark.long
def test_a_wall_clock_that_is_ahead_ends_roles_early_and_vends_again_when_it_is_right(tenant: Tenant, clocked: Pair):
    live = tenant.ask().ready()

    clocked.clock.jump(3)

    vain = tenant.ask(seconds=600)
    vain.gone()
    live.gone()
    assert not live.has_role()
    clocked.clock.jump(0)
    vended_by(clocked.leader, tenant)

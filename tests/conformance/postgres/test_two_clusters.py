"""Two clusters on one database: what no other platform has to keep apart than PostgreSQL.

Whatever one of them does, it does to what is its own (else a test here would prove nothing) and to nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from rolevend.model import ClusterId
from rolevend.plan import Lease, Profile, RoleLimits, TableShape
from rolevend.platforms.postgres import PostgresPlatform
from rolevend.platforms.protocol import Credential, DropRequest, EndReason
from rolevend.policy.mask import Nullify
from tests.conformance.bench import CLUSTER, OTHER_CLUSTER, PostgresBench, PostgresSession, lease, moved, own, profile, refused, shape, vend
from tests.support.waiting import eventually

pytestmark = pytest.mark.both_installs

TIGHT = RoleLimits(idle_transaction_seconds=1)
UNUSED_SINCE = datetime.max.replace(tzinfo=UTC) - timedelta(days=1)


@dataclass
class Site:
    """One cluster, and what it has on the platform."""

    bench: PostgresBench
    cluster: ClusterId
    platform: PostgresPlatform
    people: TableShape
    profile: Profile
    unused: Profile
    """Built, and no role has it."""
    lease: Lease
    credential: Credential
    session: PostgresSession
    regions: set[str]

    @property
    def ending(self) -> DropRequest:
        return DropRequest(self.lease.role, self.lease.uid, EndReason.RELEASED)

    def state(self) -> list[object]:
        return self.bench.belongings(self.cluster)

    def reads(self, session: PostgresSession) -> bool:
        return {region for (region,) in session.rows("SELECT region FROM people")} == self.regions


def site(bench: PostgresBench, platform: PostgresPlatform, cluster: ClusterId, people: TableShape, region: str) -> Site:
    used, unused = profile(people), profile(replace(people, view="others"))
    platform.ensure(unused)
    made = moved(lease(used, cluster=cluster, regions=[region]), limits=TIGHT)
    credential = vend(platform, used, made)
    return Site(bench, cluster, platform, people, used, unused, made, credential, bench.log_in(credential), {region})


@pytest.fixture
def ours(bench: PostgresBench) -> Site:
    table = bench.people()
    return site(bench, bench.platform, CLUSTER, shape(table, own(table, "region", "regions"), masks={"ssn": Nullify()}), "EU")


@pytest.fixture
def theirs(bench: PostgresBench, ours: Site) -> Site:
    return site(bench, bench.platform_of(OTHER_CLUSTER), OTHER_CLUSTER, ours.people, "US")


def drop(them: Site) -> None:
    (answer,) = them.platform.drop([them.ending])
    assert answer.error is None


def leave(them: Site) -> None:
    """For good."""
    drop(them)
    assert them.platform.collect(frozenset(), UNUSED_SINCE) == 2
    assert [rows for rows in them.state()[1:] if rows] == [], "a tombstone is all that stays"


def expire_and_sweep(them: Site) -> None:
    them.bench.run(f"UPDATE rolevend.lease SET expires_at = clock_timestamp() WHERE role = '{them.lease.role}'")
    them.bench.login_of(them.bench.vendor).run("CALL rolevend.sweep()")
    assert not them.bench.exists(them.lease.role)


def find_an_altered_policy(them: Site) -> None:
    template = them.bench.value(f"SELECT min(template) FROM rolevend.template WHERE cluster_id = '{them.cluster}'")
    them.bench.run(f"ALTER POLICY {template} ON {them.people.table} USING (true)")
    assert {drift.roles for drift in them.platform.drift()} == {(them.lease.role,)}


def find_an_altered_view(them: Site) -> None:
    them.bench.run(f"CREATE OR REPLACE VIEW {them.profile.name}.people AS SELECT * FROM {them.people.table}")
    assert {drift.roles for drift in them.platform.drift()} == {(them.lease.role,)}


ACTS: dict[str, Callable[[Site], None]] = {
    act.__name__: act for act in (leave, expire_and_sweep, find_an_altered_policy, find_an_altered_view)
}


@pytest.mark.parametrize("act", ACTS)
def test_what_one_cluster_does_changes_what_is_its_own_and_nothing_of_the_other(ours: Site, theirs: Site, act: str):
    before, theirs_before = ours.state(), theirs.state()

    ACTS[act](theirs)

    assert theirs.state() != theirs_before
    assert ours.state() == before
    assert ours.platform.drift() == []
    assert [(role.role, role.closed) for role in ours.platform.live()] == [(ours.lease.role, False)]
    assert ours.reads(ours.session)
    assert ours.reads(ours.bench.log_in(ours.credential))


def test_the_second_cluster_changes_nothing_of_the_first_when_it_begins(bench: PostgresBench, ours: Site):
    before = ours.state()

    theirs = site(bench, bench.platform_of(OTHER_CLUSTER), OTHER_CLUSTER, ours.people, "US")

    assert theirs.reads(theirs.session)
    assert ours.state() == before
    assert (ours.platform.drift(), theirs.platform.drift()) == ([], [])
    assert ours.profile.name != theirs.profile.name


def test_the_scheduler_holds_roles_of_every_cluster_to_their_limits_and_nobody_reads_more_by_that(ours: Site, theirs: Site):
    ours.bench.login_of(ours.bench.vendor).run("CALL rolevend.sweep()")

    for each in (ours, theirs):
        assert each.bench.value(f"SELECT pg_has_role('rv_owner', '{each.lease.role}', 'USAGE')")
        with each.bench.administrator() as connection:
            assert refused(lambda each=each, on=connection: on.execute(f"SELECT * FROM {each.profile.name}.people")) == "42501"
        assert each.reads(each.session)


def test_what_the_other_does_not_use_is_collected_by_itself(ours: Site, theirs: Site):
    drop(ours)
    profiles_unused = ours.state()
    theirs.platform.collect(frozenset(), UNUSED_SINCE)
    assert ours.state() == profiles_unused

    programmer = ours.bench.login_of(ours.bench.programmer)
    for each in (ours.profile, ours.unused):  # as a process does that is killed before it comes to templates
        programmer.run(f"SELECT rolevend.drop_profile('{each.name}')")
    template_unused = ours.state()
    assert template_unused != profiles_unused
    theirs.platform.collect(frozenset(), UNUSED_SINCE)
    assert ours.state() == template_unused

    ours.platform.collect(frozenset(), UNUSED_SINCE)
    assert ours.state() != template_unused
    assert theirs.reads(theirs.session)


def test_what_is_beyond_its_limits_is_stopped_by_its_own_cluster_only(ours: Site, theirs: Site):
    for each in (ours, theirs):
        each.session.run("SET idle_in_transaction_session_timeout = 0; BEGIN; SELECT count(*) FROM people")
    running = "SELECT count(*) FROM pg_stat_activity WHERE usename = '{}'"
    told = []

    def stopped() -> bool:
        told.extend(theirs.platform.curb())
        return theirs.bench.value(running.format(theirs.lease.role)) == 0

    eventually(stopped)

    assert {each.role for each in told} == {theirs.lease.role}
    assert ours.reads(ours.session), "still in its transaction"

"""Two clusters vend on one database, over the same table and with equal shapes, and neither feels anything of the other.

Whatever one of them does, it does to what is its own (else a test here would prove nothing) and to nothing else.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from rolevend.errors import Conflict
from rolevend.model import ClusterId
from rolevend.plan import Lease, Profile, RoleLimits, TableShape
from rolevend.platforms.base import Credential, Ending, EndReason
from rolevend.platforms.postgres import PostgresPlatform
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
    def ending(self) -> Ending:
        return Ending(self.lease.role, self.lease.uid, EndReason.RELEASED)

    def state(self) -> list[object]:
        """All that the server knows of what is this cluster's: records, roles, policies, views and who may use them."""
        ours = f"cluster_id = '{self.cluster}'"
        names = " UNION ALL ".join(
            f"SELECT {column} FROM rolevend.{table} WHERE {ours}"
            for table, column in (("lease", "role"), ("profile", "profile"), ("template", "template"))
        )
        questions = (
            *(f"SELECT t::text FROM rolevend.{table} AS t WHERE {ours}" for table in ("lease", "profile", "template")),
            f"SELECT r::text FROM pg_roles AS r WHERE rolname IN ({names})",
            "SELECT m::text FROM pg_auth_members AS m JOIN pg_roles AS r ON r.oid IN (m.member, m.roleid)"
            f" WHERE r.rolname IN ({names}) AND m.member <> 'rv_owner'::regrole",  # which takes what it needs to end sessions
            "SELECT p::text FROM pg_policies AS p JOIN rolevend.template AS t"
            f" ON p.policyname IN (t.template::text, t.template || '_open') WHERE {ours}",
            f"SELECT v::text FROM pg_views AS v JOIN rolevend.profile AS p ON v.schemaname = p.profile WHERE {ours}",
            f"SELECT n::text FROM pg_namespace AS n JOIN rolevend.profile AS p ON n.nspname = p.profile WHERE {ours}",
            "SELECT c.relname, c.relacl::text FROM pg_class AS c JOIN rolevend.profile AS p"
            f" ON c.relnamespace::regnamespace::text = p.profile WHERE {ours}",
        )
        with self.bench.admin.cursor() as cursor:
            return [sorted(cursor.execute(question).fetchall()) for question in questions]

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


def collect_unused(them: Site) -> None:
    assert them.platform.collect(frozenset(), UNUSED_SINCE) == 1


def leave(them: Site) -> None:
    """For good."""
    drop(them)
    assert them.platform.collect(frozenset(), UNUSED_SINCE) == 2
    assert [rows for rows in them.state()[1:] if rows] == [], "a tombstone is all that stays"


def vend_again(them: Site) -> None:
    another = lease(them.profile, cluster=them.cluster, regions=sorted(them.regions))
    assert them.reads(them.bench.log_in(vend(them.platform, them.profile, another)))


def build_more(them: Site) -> None:
    them.platform.ensure(profile(them.people, replace(them.people, view="again")))


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
    act.__name__: act
    for act in (drop, collect_unused, leave, vend_again, build_more, expire_and_sweep, find_an_altered_policy, find_an_altered_view)
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


def test_each_lists_its_own_roles(ours: Site, theirs: Site):
    for each in (ours, theirs):
        assert [role.role for role in each.platform.live()] == [each.lease.role]


def test_each_remembers_its_own_orphans(ours: Site, theirs: Site):
    for each in (ours, theirs):
        (answer,) = each.platform.drop([replace(each.ending, reason=EndReason.ORPHANED)])
        assert answer.error is None

    for each in (ours, theirs):
        assert {role.role for role in each.platform.ended(EndReason.ORPHANED)} >= {each.lease.role}
    assert {role.role for role in ours.platform.ended(EndReason.ORPHANED)}.isdisjoint({theirs.lease.role})


def test_a_role_of_the_other_is_never_dropped_whatever_is_said_of_it(ours: Site, theirs: Site):
    before = ours.state()
    wrong = [ours.ending, replace(ours.ending, uid=theirs.lease.uid)]

    for ending in wrong:
        (answer,) = theirs.platform.drop([ending])
        assert isinstance(answer.error, Conflict)
    (mistaken,) = theirs.platform.drop([replace(theirs.ending, uid=ours.lease.uid)])

    assert isinstance(mistaken.error, Conflict)
    assert ours.state() == before
    assert ours.reads(ours.session)
    assert theirs.reads(theirs.session)


@pytest.mark.parametrize("whose", ["its own", "the other's"])
def test_a_name_that_the_other_has_or_had_is_not_vended(ours: Site, theirs: Site, whose: str):
    profiles = {"its own": theirs.profile, "the other's": ours.profile}
    same = moved(ours.lease, cluster=theirs.cluster, profile=profiles[whose].name)
    credential = theirs.platform.credential(same, secrets.token_bytes)
    before = ours.state()

    (living,) = theirs.platform.vend([(same, credential)])
    assert isinstance(living.error, Conflict)
    assert ours.state() == before
    assert ours.reads(ours.bench.log_in(ours.credential))

    drop(ours)
    (gone,) = theirs.platform.vend([(same, credential)])
    assert isinstance(gone.error, Conflict)
    assert not ours.bench.exists(ours.lease.role)


def test_a_profile_of_the_other_is_not_vended(ours: Site, theirs: Site):
    before = ours.state()
    wanted = lease(ours.profile, cluster=theirs.cluster, regions=["EU", "US"])

    (answer,) = theirs.platform.vend([(wanted, theirs.platform.credential(wanted, secrets.token_bytes))])

    assert isinstance(answer.error, Conflict)
    assert "is another cluster's" in str(answer.error)
    assert not ours.bench.exists(wanted.role)
    assert ours.state() == before


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


def test_when_somebody_opens_the_table_each_names_its_own_roles(ours: Site, theirs: Site):
    ours.bench.run(f"ALTER TABLE {ours.people.table} DISABLE ROW LEVEL SECURITY")
    for each in (theirs, ours):
        assert {drift.roles for drift in each.platform.drift()} == {(each.lease.role,)}


def test_closing_the_driver_of_one_leaves_the_other_at_work(ours: Site, theirs: Site):
    theirs.platform.close()

    vend_again(ours)
    drop(ours)
    assert theirs.reads(theirs.session)

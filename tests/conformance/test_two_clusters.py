"""Two clusters vend on one platform, over the same table and with equal shapes, and neither feels anything of the other.

Whatever one of them does, it does to what is its own (else a test here would prove nothing) and to nothing else. Holds for every platform.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from rolevend.errors import Conflict
from rolevend.model import ClusterId
from rolevend.plan import Lease, Profile, TableShape
from rolevend.platforms.protocol import Credential, DropRequest, EndReason, Platform
from rolevend.policy.mask import Nullify
from tests.conformance.bench import CLUSTER, OTHER_CLUSTER, ensure, lease, moved, own, profile, reads, shape, vend
from tests.conformance.protocol import Bench, Session

pytestmark = pytest.mark.both_installs

UNUSED_SINCE = datetime.max.replace(tzinfo=UTC) - timedelta(days=1)


@dataclass
class Site:
    """One cluster, and what it has on the platform."""

    bench: Bench
    cluster: ClusterId
    platform: Platform
    people: TableShape
    profile: Profile
    unused: Profile
    """Built, and no role has it."""
    lease: Lease
    credential: Credential
    session: Session
    regions: set[str]

    @property
    def ending(self) -> DropRequest:
        return DropRequest(self.lease.role, self.lease.uid, EndReason.RELEASED)

    def reads(self, session: Session) -> bool:
        return {region for (region,) in session.rows("SELECT region FROM people")} == self.regions


def site(bench: Bench, platform: Platform, cluster: ClusterId, people: TableShape, region: str) -> Site:
    used, unused = profile(people), profile(replace(people, view="others"))
    for each in (unused, used):
        ensure(platform, each)
    made = lease(used, cluster=cluster, regions=[region])
    credential = vend(platform, used, made)
    return Site(bench, cluster, platform, people, used, unused, made, credential, bench.log_in(credential), {region})


@pytest.fixture
def ours(bench: Bench) -> Site:
    table = bench.people()
    return site(bench, bench.platform, CLUSTER, shape(table, own(table, "region", "regions"), masks={"ssn": Nullify()}), "EU")


@pytest.fixture
def theirs(bench: Bench, ours: Site) -> Site:
    return site(bench, bench.platform_of(OTHER_CLUSTER), OTHER_CLUSTER, ours.people, "US")


def drop(them: Site) -> None:
    (answer,) = them.platform.drop([them.ending])
    assert answer.error is None


def collect_unused(them: Site) -> None:
    them.platform.collect(frozenset(), UNUSED_SINCE)


def vend_again(them: Site) -> None:
    another = lease(them.profile, cluster=them.cluster, regions=sorted(them.regions))
    assert them.reads(them.bench.log_in(vend(them.platform, them.profile, another)))


def build_more(them: Site) -> None:
    them.platform.ensure(profile(them.people, replace(them.people, view="again")))


ACTS: dict[str, Callable[[Site], None]] = {act.__name__: act for act in (drop, collect_unused, vend_again, build_more)}


@pytest.mark.thinned(3, "long")
@pytest.mark.parametrize("act", ACTS)
def test_what_one_cluster_does_changes_what_is_its_own_and_nothing_of_the_other(bench: Bench, ours: Site, theirs: Site, act: str):
    before, theirs_before = bench.belongings(CLUSTER), bench.belongings(OTHER_CLUSTER)

    ACTS[act](theirs)

    assert bench.belongings(OTHER_CLUSTER) != theirs_before
    assert bench.belongings(CLUSTER) == before
    assert [(role.role, role.closed) for role in ours.platform.live()] == [(ours.lease.role, False)]
    assert ours.reads(ours.session)
    assert ours.reads(bench.log_in(ours.credential))


def test_each_lists_and_remembers_its_own_roles(bench: Bench, ours: Site, theirs: Site):
    for each in (ours, theirs):
        assert [role.role for role in each.platform.live()] == [each.lease.role]
    for each in (ours, theirs):
        (answer,) = each.platform.drop([replace(each.ending, reason=EndReason.ORPHANED)])
        assert answer.error is None

    remembered = [{role.role for role in each.platform.ended(EndReason.ORPHANED)} for each in (ours, theirs)]
    assert ours.lease.role in remembered[0] - remembered[1]
    assert theirs.lease.role in remembered[1] - remembered[0]


def test_a_role_of_the_other_is_never_dropped_whatever_is_said_of_it(bench: Bench, ours: Site, theirs: Site):
    before = bench.belongings(CLUSTER)
    wrong = [ours.ending, replace(ours.ending, uid=theirs.lease.uid)]

    for ending in wrong:
        (answer,) = theirs.platform.drop([ending])
        assert isinstance(answer.error, Conflict)
    (mistaken,) = theirs.platform.drop([replace(theirs.ending, uid=ours.lease.uid)])

    assert isinstance(mistaken.error, Conflict)
    assert bench.belongings(CLUSTER) == before
    assert ours.reads(ours.session)
    assert theirs.reads(theirs.session)


def test_a_name_that_the_other_has_or_had_is_not_vended(bench: Bench, ours: Site, theirs: Site):
    same = moved(ours.lease, cluster=theirs.cluster, profile=theirs.profile.name)
    credential = theirs.platform.credential(same, secrets.token_bytes)
    before = bench.belongings(CLUSTER)

    (living,) = theirs.platform.vend([(same, credential)])
    assert isinstance(living.error, Conflict)
    assert bench.belongings(CLUSTER) == before
    assert ours.reads(bench.log_in(ours.credential))

    drop(ours)
    (gone,) = theirs.platform.vend([(same, credential)])
    assert isinstance(gone.error, Conflict)
    assert not bench.exists(ours.lease.role)


def test_a_profile_of_the_other_is_not_vended(bench: Bench, ours: Site, theirs: Site):
    before = bench.belongings(CLUSTER)
    wanted = lease(ours.profile, cluster=theirs.cluster, regions=["EU", "US"])
    credential = theirs.platform.credential(wanted, secrets.token_bytes)

    (answer,) = theirs.platform.vend([(wanted, credential)])

    assert isinstance(answer.error, Conflict)
    assert "is another cluster's" in str(answer.error)
    assert not bench.exists(wanted.role)
    assert not reads(bench, credential)
    assert bench.belongings(CLUSTER) == before


def test_closing_the_driver_of_one_leaves_the_other_at_work(bench: Bench, ours: Site, theirs: Site):
    theirs.platform.close()

    vend_again(ours)
    drop(ours)
    assert not reads(bench, ours.credential)
    assert reads(bench, theirs.credential)

"""What keeps rows of a table apart, and is taken away by hand, is found, and nothing is vended over it. Holds for every platform."""

import secrets
from datetime import timedelta

import pytest

from rolevend.catalog import TableId
from rolevend.errors import PlatformBusy
from rolevend.plan import Profile
from rolevend.platforms.protocol import Drift, DropRequest, EndReason
from tests.conformance.bench import OTHER_CLUSTER, lease, moved, own, profile, reads, shape, vend, vended
from tests.conformance.protocol import Bench

pytestmark = pytest.mark.both_installs
LATER = timedelta(days=1)


def drift(bench: Bench, place: TableId) -> list[Drift]:
    """Of this table: others are of other tests."""
    return [each for each in bench.platform.drift() if each.table == place]


def vend_error(bench: Bench, of: Profile) -> Exception | None:
    """Of a vend by somebody who takes the profile to be built."""
    late = lease(of, regions=["EU"])
    return bench.platform.vend([(late, bench.platform.credential(late, secrets.token_bytes))])[0].error


def test_it_is_found_and_the_roles_that_it_touches_are_named(bench: Bench):
    people = bench.people()
    first, _ = vended(bench.platform, profile(shape(people, own(people, "region", "regions"))), regions=["EU"])
    second, _ = vended(bench.platform, profile(shape(people)))
    vended(bench.platform, profile(shape(bench.people())))
    assert drift(bench, people.id) == []

    bench.unguard(people.id)

    (found,) = drift(bench, people.id)
    assert drift(bench, people.id) == [found], "who missed it hears of it again"
    assert set(found.roles) == {first.role, second.role}
    assert found.finding
    assert "\n" not in found.finding


def test_nothing_is_vended_over_it_until_it_is_undone(bench: Bench):
    people = bench.people()
    of = profile(shape(people, own(people, "region", "regions")))
    vended(bench.platform, of, regions=["EU"])
    bench.unguard(people.id)
    assert drift(bench, people.id)

    assert not bench.platform.is_built(of.name)
    assert isinstance(vend_error(bench, of), PlatformBusy)

    bench.guard(people.id)
    assert drift(bench, people.id) == []
    _, credential = vended(bench.platform, of, regions=["EU"])
    assert bench.log_in(credential).rows("SELECT DISTINCT region FROM people") == [("EU",)]


def test_a_table_that_was_dropped_opens_nothing_and_hides_no_other_drift(bench: Bench):
    gone, open_one = bench.people(), bench.table([("id", "integer")], [(1,)])
    of = profile(shape(gone, own(gone, "region", "regions")))
    made, credential = vended(bench.platform, of, regions=["EU"])
    other, _ = vended(bench.platform, profile(shape(open_one)))
    session = bench.log_in(credential)

    bench.drop_table(gone.id)
    bench.unguard(open_one.id)

    with pytest.raises(Exception, match=r"does not exist"):
        session.rows("SELECT * FROM people")
    assert {role for each in drift(bench, open_one.id) for role in each.roles} == {other.role}
    assert {role for each in drift(bench, gone.id) for role in each.roles} == {made.role}
    assert isinstance(vend_error(bench, of), PlatformBusy)
    assert bench.platform.drop([DropRequest(made.role, made.uid, EndReason.REVOKED)])[0].error is None


def test_a_table_that_was_dropped_when_nobody_read_it_is_no_drift(bench: Bench):
    """Its profile is there until it is collected."""
    people = bench.people()
    bench.platform.ensure(profile(shape(people, own(people, "region", "regions"))))

    bench.drop_table(people.id)

    assert drift(bench, people.id) == []


def test_a_table_that_was_made_again_is_guarded_again_by_the_next_vend(bench: Bench):
    """As tools do that load a table by making another one of its name."""
    people = bench.people()
    of = profile(shape(people, own(people, "region", "regions")))
    vended(bench.platform, of, regions=["EU"])
    bench.drop_table(people.id)
    columns = [("id", "integer"), ("region", "text"), ("email", "text"), ("ssn", "text")]
    bench.table(columns, [(8, "US", "", ""), (9, "EU", "", "")], name="people", schema=people.id.schema)
    assert drift(bench, people.id)

    _, credential = vended(bench.platform, of, regions=["EU"])

    assert bench.log_in(credential).rows("SELECT id FROM people") == [(9,)]
    assert drift(bench, people.id) == []


def test_what_was_closed_for_it_goes_as_all_that_is_unused_once_no_role_has_it(bench: Bench):
    people = bench.people()
    of = profile(shape(people, own(people, "region", "regions")))
    made, _ = vended(bench.platform, of, regions=["EU"])
    bench.unguard(people.id)
    assert drift(bench, people.id)

    bench.platform.collect(frozenset(), made.expires_at + LATER)
    assert bench.stands(of.name), "its role lives"
    assert bench.platform.drop([DropRequest(made.role, made.uid, EndReason.REVOKED)])[0].error is None
    bench.platform.drift()
    bench.platform.collect(frozenset({of.name}), made.expires_at + LATER)
    bench.platform.collect(frozenset(), made.expires_at - LATER)
    assert bench.stands(of.name), "somebody waits for it, or it was used a moment ago"
    bench.platform.collect(frozenset(), made.expires_at + LATER)

    assert not bench.stands(of.name)
    bench.guard(people.id)
    assert reads(bench, vended(bench.platform, of, regions=["EU"])[1])


def test_each_cluster_names_its_own_roles(bench: Bench):
    people = bench.people()
    elsewhere = bench.platform_of(OTHER_CLUSTER)
    ours, theirs = profile(shape(people)), profile(shape(people))
    mine, _ = vended(bench.platform, ours)
    foreign = moved(lease(theirs), cluster=OTHER_CLUSTER)
    credential = vend(elsewhere, theirs, foreign)
    assert reads(bench, credential)

    bench.unguard(people.id)

    for platform, role in ((elsewhere, foreign.role), (bench.platform, mine.role)):
        assert [set(each.roles) for each in platform.drift() if each.table == people.id] == [{role}]

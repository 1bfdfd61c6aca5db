"""A vended role reads exactly what its profile and its lease say, and nothing else. Holds for every platform."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from rolevend.catalog import TableId
from rolevend.errors import Conflict, InvalidInput, ProfileNotBuilt
from rolevend.model import ProfileName
from rolevend.plan import Cell, Lease, Profile
from rolevend.platforms.protocol import Credential
from rolevend.policy.mask import Clear, Constant, Nullify
from tests.conformance.bench import OTHER_CLUSTER, PostgresBench, ensure, equal, lease, moved, own, profile, shape, vend, vended
from tests.conformance.protocol import Bench
from tests.support.waiting import eventually

pytestmark = pytest.mark.both_installs


def test_a_role_reads_exactly_the_permitted_rows(bench: Bench):
    people = bench.people()
    _, credential = vended(bench.platform, profile(shape(people, own(people, "region", "regions"))), regions=["EU", "APAC"])
    assert bench.log_in(credential).rows("SELECT id FROM people ORDER BY id") == [(0,), (1,), (4,)]


def test_rows_of_two_grants_are_united(bench: Bench):
    people = bench.people()
    _, credential = vended(
        bench.platform, profile(shape(people, own(people, "region", "regions"), equal(people, "id", "3"))), regions=["EU"]
    )
    assert bench.log_in(credential).rows("SELECT id FROM people ORDER BY id") == [(0,), (1,), (3,)]


def test_a_cell_is_shown_only_in_rows_of_a_grant_that_shows_it(bench: Bench):
    people = bench.people()
    europe, america = equal(people, "region", "EU"), equal(people, "region", "US")
    masks = {"email": (Cell((europe,), Clear()),), "ssn": (Cell((america,), Clear()), Cell((), Constant("hidden")))}
    _, credential = vended(bench.platform, profile(shape(people, europe, america, masks=masks)))
    assert bench.log_in(credential).rows("SELECT id, email, ssn FROM people ORDER BY id") == [
        (0, "p0@example.org", "hidden"),
        (1, "p1@example.org", "hidden"),
        (2, None, "123-45-6782"),
        (3, None, "123-45-6783"),
    ]


def test_without_the_attribute_a_condition_shows_nothing_and_another_one_still_holds(bench: Bench):
    people = bench.people()
    either = profile(shape(people, own(people, "region", "regions"), equal(people, "id", "3")))
    _, credential = vended(bench.platform, either)
    assert bench.log_in(credential).rows("SELECT id FROM people") == [(3,)]


def test_two_users_behind_one_agent_never_see_each_others_rows(bench: Bench):
    people = bench.people()
    same = profile(shape(people, own(people, "region", "regions")))
    _, one = vended(bench.platform, same, regions=["EU"])
    _, other = vended(bench.platform, same, regions=["US"])
    first, second = bench.log_in(one), bench.log_in(other)
    for _ in range(2):
        assert {row[0] for row in first.rows("SELECT region FROM people")} == {"EU"}
        assert {row[0] for row in second.rows("SELECT region FROM people")} == {"US"}


def test_values_of_attributes_are_data(bench: Bench):
    people = bench.people()
    hostile = ["' OR true --", "EU') OR ('1'='1", '"; DROP TABLE x; --', "{EU,US}", "\\", "ÉU☃"]
    _, credential = vended(bench.platform, profile(shape(people, own(people, "region", "regions"))), regions=hostile)
    assert bench.log_in(credential).rows("SELECT * FROM people") == []


def test_a_column_that_no_grant_shows_is_not_there_or_null(bench: Bench):
    people = bench.people()
    _, credential = vended(bench.platform, profile(shape(people, masks={"ssn": Nullify()})))
    assert bench.log_in(credential).rows("SELECT DISTINCT ssn FROM people") == [(None,)]


def test_again_is_the_same_role_with_a_new_password_and_the_old_expiry(bench: Bench):
    people = profile(shape(bench.people()))
    first, old = vended(bench.platform, people)
    later = moved(first, expires_at=first.expires_at.replace(year=first.expires_at.year + 1))
    sooner = lease(people, seconds=900)
    again = moved(first, expires_at=sooner.expires_at)
    new = bench.platform.credential(again, secrets.token_bytes)
    (answer,) = bench.platform.vend([(again, new)])
    assert (answer.error, answer.expires_at) == (None, first.expires_at)
    assert bench.log_in(new).rows("SELECT count(*) FROM people") == [(6,)]
    with pytest.raises(Exception, match=r"password authentication failed|JWT token is invalid"):
        bench.log_in(old)
    (refused,) = bench.platform.vend([(later, new)])
    assert isinstance(refused.error, InvalidInput)


def test_the_same_credential_again_changes_nothing(bench: Bench):
    wanted = profile(shape(bench.people()))
    made = lease(wanted)
    credential = vend(bench.platform, wanted, made)
    bench.platform.vend([(made, credential)])
    bench.log_in(credential)


@pytest.mark.parametrize("change", [{"uid": "another"}, {"cluster": OTHER_CLUSTER}])
def test_a_name_that_another_vend_has_is_refused_and_its_role_untouched(bench: Bench, change):
    wanted = profile(shape(bench.people()))
    made, credential = vended(bench.platform, wanted)
    (answer,) = bench.platform.vend([(moved(made, **change), bench.platform.credential(made, secrets.token_bytes))])
    assert isinstance(answer.error, Conflict)
    bench.log_in(credential)


def test_the_same_uid_with_another_profile_or_other_values_is_another_vend(bench: Bench):
    people = bench.people()
    narrow, wide = profile(shape(people, own(people, "region", "regions"))), profile(shape(people))
    made, _ = vended(bench.platform, narrow, regions=["EU"])
    bench.platform.ensure(wide)
    for other in (moved(made, profile=wide.name), moved(made, attributes=lease(narrow, regions=["US"]).attributes)):
        (answer,) = bench.platform.vend([(other, bench.platform.credential(other, secrets.token_bytes))])
        assert isinstance(answer.error, Conflict)


def test_many_at_once_fail_alone(bench: Bench):
    people = bench.people()
    wanted = profile(shape(people, own(people, "region", "regions")))
    bench.platform.ensure(wanted)
    good = [lease(wanted, regions=["EU"]) for _ in range(bench.crowd)]
    unknown = moved(lease(wanted), profile=ProfileName("rv_p_never0built"))
    hostile = lease(wanted, regions=["a\0b"])
    expired = lease(wanted, seconds=-1)
    leases = [*good[:20], unknown, hostile, expired, *good[20:]]
    answers = bench.platform.vend([(each, bench.platform.credential(each, secrets.token_bytes)) for each in leases])
    assert [answer.role for answer in answers] == [each.role for each in leases]
    failed = {answer.role: type(answer.error) for answer in answers if answer.error is not None}
    assert failed == {unknown.role: ProfileNotBuilt, hostile.role: InvalidInput, expired.role: InvalidInput}
    assert {role.role for role in bench.platform.live()} == {each.role for each in good}


def test_a_role_cannot_be_vended_before_its_profile_is_whole(bench: Bench):
    missing = lease(profile(shape(bench.people())))
    (answer,) = bench.platform.vend([(missing, bench.platform.credential(missing, secrets.token_bytes))])
    assert isinstance(answer.error, ProfileNotBuilt)
    assert bench.platform.live() == []


def test_threads_may_build_and_vend_the_same_shape_at_once(bench: Bench):
    wanted = profile(*(shape(bench.people(), view=f"v{number}") for number in range(3)))
    others = [bench.platform, bench.platform_of(lease(wanted).cluster)]

    def made_by(number: int) -> tuple[Lease, Credential]:
        ensure(others[number % 2], wanted)
        return vended(others[number % 2], wanted)

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(made_by, range(16)))
    assert len(bench.platform.live()) == 16
    assert bench.log_in(made[0][1]).rows("SELECT count(*) FROM v2") == [(6,)]


def test_a_process_without_a_programmer_vends_what_is_built_and_builds_nothing(bench: Bench):
    wanted = profile(shape(bench.people()))
    vendor_only = bench.platform_of(lease(wanted).cluster, programmer=None)
    with pytest.raises(ProfileNotBuilt, match="not built"):
        vendor_only.ensure(wanted)
    assert vendor_only.drift() == ()
    schemas = frozenset(table.table.schema for table in wanted.tables)
    assert vendor_only.catalog(schemas, functions=schemas) == bench.platform.catalog(schemas, functions=schemas)
    bench.platform.ensure(wanted)
    _, credential = vended(vendor_only, wanted)
    assert bench.log_in(credential).rows("SELECT count(*) FROM people") == [(6,)]


def test_a_credential_is_pure_and_prints_no_password(bench: PostgresBench):
    made = lease(profile())
    credential = bench.platform.credential(made, lambda size: bytes(range(size)))
    assert credential.password.reveal() == "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
    assert credential == bench.platform.credential(made, lambda size: bytes(range(size)))
    assert credential.password.reveal() not in repr(credential)


def test_a_profile_without_tables_is_refused(bench: Bench):
    with pytest.raises(InvalidInput, match="no tables"):
        bench.platform.ensure(Profile(ProfileName("rv_p_empty"), ()))


def test_live_lists_our_cluster_only_and_says_what_is_closed(bench: Bench):
    people = bench.people()
    made, _ = vended(bench.platform, profile(shape(people)))
    other, theirs = bench.platform_of(OTHER_CLUSTER), profile(shape(people))
    foreign = moved(lease(theirs), cluster=OTHER_CLUSTER)
    vend(other, theirs, foreign)
    (ours,) = bench.platform.live()
    assert (ours.role, ours.uid, ours.expires_at, ours.closed) == (made.role, made.uid, made.expires_at, False)
    assert [role.role for role in eventually(other.live)] == [foreign.role]


class TestANarrowedLease:
    def test_reads_its_tables_of_the_profile_and_is_told_of_the_others(self, bench: Bench):
        people, items = bench.people(), bench.table([("id", "integer")], [(1,)])
        both = profile(shape(people), shape(items))
        narrow = vend(bench.platform, both, replace(lease(both), resources=(items.id,)))
        wide = vend(bench.platform, both, lease(both))
        session = bench.log_in(narrow)
        assert session.rows("SELECT * FROM items") == [(1,)]
        assert bench.shows_nothing(session, "SELECT * FROM people")
        assert len(bench.log_in(wide).rows("SELECT * FROM people")) == 6

    def test_of_no_table_reads_none(self, bench: Bench):
        items = bench.table([("id", "integer")], [(1,)])
        one = profile(shape(items))
        session = bench.log_in(vend(bench.platform, one, replace(lease(one), resources=())))
        assert bench.shows_nothing(session, "SELECT * FROM items")

    def test_is_not_fooled_by_a_table_whose_name_and_schema_are_those_of_another_turned_round(self, bench: Bench):
        items = bench.table([("id", "integer")], [(1,)])
        one = profile(shape(items))
        for wrong in (TableId(items.id.name, items.id.schema), TableId(items.id.schema, items.id.name + "2"), TableId("%", "%")):
            session = bench.log_in(vend(bench.platform, one, replace(lease(one), resources=(wrong,))))
            assert bench.shows_nothing(session, "SELECT * FROM items")

    def test_stays_as_narrow_when_it_is_vended_again(self, bench: Bench):
        items = bench.table([("id", "integer")], [(1,)])
        one = profile(shape(items))
        first = replace(lease(one), resources=())
        vend(bench.platform, one, first)
        vend(bench.platform, one, first)
        with pytest.raises(Conflict):
            vend(bench.platform, one, replace(first, resources=None))

    def test_is_vended_beside_others_in_one_call(self, bench: Bench):
        items = bench.table([("id", "integer")], [(1,)])
        one = profile(shape(items))
        bench.platform.ensure(one)
        leases = [lease(one), replace(lease(one), resources=(items.id,)), replace(lease(one), resources=())]
        vends = [(each, bench.platform.credential(each, secrets.token_bytes)) for each in leases]
        assert [answer.error for answer in bench.platform.vend(vends)] == [None, None, None]
        wide, narrow, none = (bench.log_in(credential) for _, credential in vends)
        assert wide.rows("SELECT * FROM items") == narrow.rows("SELECT * FROM items") == [(1,)]
        assert bench.shows_nothing(none, "SELECT * FROM items")

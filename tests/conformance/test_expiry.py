"""At its expiry a role is dead without anybody: no operator runs in these tests. Holds for every platform."""

import pytest

from rolevend.platforms.protocol import DropRequest, EndReason, LimitAction
from tests.conformance.bench import OTHER_CLUSTER, own, profile, reads, shape, vended
from tests.conformance.protocol import Bench
from tests.support.waiting import eventually

pytestmark = pytest.mark.both_installs

LONGER = 1800


def test_a_session_that_is_open_and_one_that_is_new_read_nothing_any_more_and_others_do(bench: Bench):
    people = bench.people()
    of = profile(shape(people, own(people, "region", "regions")))
    made, credential = vended(bench.platform, of, regions=["EU"])
    _, other = vended(bench.platform, of, LONGER, regions=["US"])
    session, elsewhere = bench.log_in(credential), bench.log_in(other)
    assert len(session.rows("SELECT * FROM people")) == 2

    bench.expire(made)

    for statement in (
        "SELECT * FROM people",
        "SELECT region FROM people WHERE id = 0",
        "SELECT * FROM people WHERE 1 = 1 OR region = 'US'",
    ):
        assert bench.shows_nothing(session, statement)
    assert not reads(bench, credential)
    assert len(elsewhere.rows("SELECT * FROM people")) == 2


def test_an_expired_role_is_still_listed_until_it_is_dropped(bench: Bench):
    made, _ = vended(bench.platform, profile(shape(bench.people())))
    bench.expire(made)

    assert [(each.role, each.uid, each.closed) for each in bench.platform.live()] == [(made.role, made.uid, False)]
    assert bench.platform.drop([DropRequest(made.role, made.uid, EndReason.EXPIRED)])[0].error is None
    assert bench.platform.live() == []


def test_the_platforms_own_scheduler_ends_its_sessions_and_drops_it_and_no_other(bench: Bench):
    of = profile(shape(bench.people()))
    made, credential = vended(bench.platform, of)
    survivor, kept = vended(bench.platform, of, LONGER)
    session, other = bench.log_in(credential), bench.log_in(kept)
    session.rows("SELECT * FROM people")

    bench.sweep()
    assert len(session.rows("SELECT * FROM people")) == 6
    bench.expire(made)
    bench.sweep()

    eventually(lambda: not bench.exists(made.role))
    with pytest.raises(Exception, match=r"terminat|closed|no longer exists|Session"):
        session.rows("SELECT 1")
    assert [role.role for role in bench.platform.live()] == [survivor.role]
    assert made.role in {each.role for each in bench.platform.ended(EndReason.EXPIRED)}
    assert len(other.rows("SELECT * FROM people")) == 6


def test_its_sessions_are_ended_before_its_drop_has_its_turn_and_by_its_own_cluster_alone(bench: Bench):
    of = profile(shape(bench.people()))
    made, credential = vended(bench.platform, of)
    _, other = vended(bench.platform, of, LONGER)
    session, elsewhere = bench.log_in(credential), bench.log_in(other)
    assert list(bench.platform.curb()) == []
    bench.expire(made)

    assert list(bench.platform_of(OTHER_CLUSTER).curb()) == []
    told = bench.platform.curb()

    assert {(each.role, each.uid, each.act) for each in told} == {(made.role, made.uid, LimitAction.EXPIRED)}
    assert all("\n" not in each.why for each in told)
    with pytest.raises(Exception, match=r"terminat|closed|no longer exists|Session"):
        session.rows("SELECT 1")
    assert [role.role for role in bench.platform.live() if role.role == made.role] == [made.role]
    assert len(elsewhere.rows("SELECT * FROM people")) == 6

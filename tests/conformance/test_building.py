"""Profiles are built once, whoever builds, and what nobody uses is taken away again. Holds for every platform."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from rolevend.errors import PlatformBusy
from rolevend.platforms.progress import BuildProgress
from rolevend.platforms.protocol import DropRequest, EndReason
from tests.conformance.bench import CLUSTER, ensure, equal, lease, profile, reads, shape, vend, vended
from tests.conformance.protocol import Bench

pytestmark = pytest.mark.both_installs

LATER = timedelta(hours=2)
"""From now on, when nothing that is built now was used since."""


def test_two_operators_build_one_profile_at_once(bench: Bench):
    tables = [bench.people() for _ in range(3)]
    wanted = [profile(*(shape(table, view=f"v{number}") for number, table in enumerate(tables))) for _ in range(2)]
    operators = [bench.platform_of(CLUSTER) for _ in range(2)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda pair: ensure(*pair), [(operator, each) for each in wanted for operator in operators]))
    for each in wanted:
        _, credential = vended(bench.platform, each)
        assert len(bench.log_in(credential).rows("SELECT * FROM v2")) == 6


def test_a_build_tells_how_far_it_is_until_all_tables_have_all_parts_and_what_is_built_tells_nothing(bench: Bench):
    wanted = profile(*(shape(bench.people(), view=f"v{number}") for number in range(3)))
    told: list[BuildProgress] = []

    bench.platform.ensure(wanted, told.append)

    parts = list(dict.fromkeys(each.part for each in told))
    for part in parts:
        counts = [each.done for each in told if each.part == part]
        assert counts == sorted(counts)
        assert counts[-1] == 3
    assert {each.tables for each in told} == {3}
    told.clear()
    bench.platform.ensure(wanted, told.append)
    bench.platform_of(CLUSTER).ensure(wanted, told.append)
    assert told == []


def test_what_is_unused_goes_and_what_is_kept_or_used_by_a_live_role_stays(bench: Bench):
    people = bench.people()
    unused, kept, live, closed = (profile(shape(people, equal(people, "region", region))) for region in ("EU", "US", "APAC", "nowhere"))
    for each in (unused, kept, live, closed):
        bench.platform.ensure(each)
    made, credential = vended(bench.platform, live)
    ended, _ = vended(bench.platform, closed)
    bench.platform.drop([DropRequest(ended.role, ended.uid, EndReason.RELEASED)])
    keep = frozenset({kept.name})

    assert bench.platform.collect(keep, made.expires_at - LATER) == 0
    assert bench.platform.collect(keep, made.expires_at + LATER) >= 1
    assert bench.platform.collect(keep, made.expires_at + LATER) == 0

    assert [bench.platform.is_built(each.name) for each in (unused, kept, live, closed)] == [False, True, True, False]
    assert reads(bench, credential)
    assert reads(bench, vended(bench.platform, unused)[1])


def test_a_profile_that_another_operator_collected_is_built_again(bench: Bench):
    of = profile(shape(bench.people()))
    bench.platform.ensure(of)
    first, late = lease(of), lease(of)
    assert bench.platform_of(CLUSTER).collect(frozenset(), first.expires_at + LATER) >= 1

    (answer,) = bench.platform.vend([(first, bench.platform.credential(first, bytes))])

    assert isinstance(answer.error, PlatformBusy)
    assert not bench.exists(first.role)
    assert reads(bench, vend(bench.platform, of, late))

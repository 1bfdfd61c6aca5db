"""The record of a role of the API is kept with its lease, its token and its role: all of them, or none."""

import json
import secrets
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import psycopg
import pytest

from rolevend.catalog import TableId
from rolevend.errors import InvalidInput, Overtaken, PlatformBusy, TokenUsed, TooManyRoles
from rolevend.model import ObjectName, Uid
from rolevend.plan import Lease, LeaseRecord, Profile, RoleLimits, TokenUse
from rolevend.platforms.postgres import PostgresPlatform, install, plan
from rolevend.platforms.postgres.records import MOST_NAMED, PAGE
from rolevend.platforms.protocol import CreatedRole, Credential, DropRequest, EndReason, InstallMode, LiveRole, Platform
from tests.conformance.bench import CLUSTER, OTHER_CLUSTER, PostgresBench, lease, moved, own, profile, refused, shape
from tests.support.tiers import by_tier
from tests.support.waiting import DEADLINE, eventually

pytestmark = pytest.mark.both_installs

CROWD = by_tier(400, 1000)


@pytest.fixture
def people(bench: PostgresBench) -> Profile:
    made = profile(shape(bench.people()))
    bench.platform.ensure(made)
    return made


def token_of(text: str) -> TokenUse:
    return TokenUse(sha256(text.encode()).hexdigest(), datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1))


def recorded(
    of: Profile, *, token: TokenUse | None = None, most_live: int | None = None, agent: str = "assistant", **changes: object
) -> Lease:
    made = lease(of)
    body = json.dumps({"kind": "VendedRole", "spec": {"user": "Jané \\ \"'", "uid": made.uid}})
    record = LeaseRecord(ObjectName("agents", f"r-{made.uid}"), body, "call", "seal", token, most_live)
    return replace(made, agent=ObjectName("agents", agent), record=replace(record, **changes))  # type: ignore[arg-type]


def answers(platform: Platform, leases: Sequence[Lease]) -> Sequence[CreatedRole]:
    return platform.vend([(each, platform.credential(each, secrets.token_bytes)) for each in leases])


def vended(platform: Platform, wanted: Lease) -> Credential:
    credential = platform.credential(wanted, secrets.token_bytes)
    (answer,) = platform.vend([(wanted, credential)])
    if answer.error is not None:
        raise answer.error
    return credential


def error_of(platform: Platform, wanted: Lease) -> Exception | None:
    (answer,) = answers(platform, [wanted])
    return answer.error


def dropped(platform: Platform, *leases: Lease, reason: EndReason = EndReason.RELEASED) -> None:
    for result in platform.drop([DropRequest(each.role, each.uid, reason) for each in leases]):
        assert result.error is None


def uids(platform: PostgresPlatform, since: str | None = None) -> list[Uid]:
    page = platform.records.changed(since)
    found = [each.lease.uid for each in page.leases]
    while page.rest is not None:
        page = platform.records.changed(None, page.rest)
        found += [each.lease.uid for each in page.leases]
    return sorted(found)


def count(bench: PostgresBench, table: str) -> int:
    return int(bench.value(f"SELECT count(*) FROM rolevend.{table}"))


def test_the_record_is_read_back_as_it_was_given(bench: PostgresBench):
    table = bench.people()
    of = profile(shape(table, own(table, "region", "regions")))
    bench.platform.ensure(of)
    given = recorded(of, token=token_of("one"), most_live=5)
    given = replace(
        given,
        attributes=lease(of, regions=["EU", "ÉU☃"]).attributes,
        limits=RoleLimits(3, 100, 20, 64, idle_seconds=900),
        resources=(TableId(table.id.schema, "people"),),
    )
    before = datetime.now(UTC)
    vended(bench.platform, given)

    found = bench.platform.records.find(given.uid)

    assert found is not None
    assert given.record is not None
    assert (found.lease, found.lease.record) == (given, replace(given.record, most_live=None))
    assert before - timedelta(minutes=1) < found.issued_at < datetime.now(UTC) + timedelta(minutes=1)
    assert (found.confirmed, found.closed_at, found.reason, found.ended_by, found.ended_message) == (False, None, None, None, None)
    assert (found.dropped_at, found.sessions) == (None, 0)


def test_a_lease_without_a_record_is_no_record(bench: PostgresBench, people: Profile):
    plain = lease(people)
    vended(bench.platform, plain)
    records = bench.platform.records
    version = f"SELECT changed FROM rolevend.lease WHERE uid = '{plain.uid}'"
    vended_in = bench.value(version)
    assert uids(bench.platform) == []
    assert (records.find(plain.uid), list(records.of(plain.agent)), records.confirm([plain.uid])) == (None, [], frozenset())
    assert not records.end(plain.uid, EndReason.REVOKED, "me", "why")
    dropped(bench.platform, plain)
    assert bench.value(version) == vended_in


CHANGES = {
    "attrs": ('attrs = \'{"regions": ["US"]}\'', lambda lease: lease.attributes),
    "limits": ("limits = limits || '{\"connections\": 99}'", lambda lease: lease.limits),
    "no limit": ("limits = limits - 'temp_file_kb'", lambda lease: lease.limits),
    "a little more": ("limits = limits || '{\"temp_file_kb\": 1048577}'", lambda lease: lease.limits),
    "expiry": ("expires_at = expires_at + interval '1 ms'", lambda lease: lease.expires_at),
    "no end": ("expires_at = 'infinity'", lambda lease: lease.expires_at),
    "user": ("subject = 'eve'", lambda lease: lease.user),
    "issuer": ("issuer = 'https://eve.example.org'", lambda lease: lease.user),
    "agent": ("agent = 'agents/eve'", lambda lease: lease.agent),
    "resources": ('resources = \'{"s": ["t"]}\'', lambda lease: lease.resources),
    "odd attributes": ("attrs = '[1]'", lambda lease: lease.attributes),
    "odd limits": ("limits = '[1]'", lambda lease: lease.limits),
    "odd resources": ("resources = '7'", lambda lease: lease.resources),
    "body": ("record = '{}'", lambda lease: lease.record),
    "token": ("token = NULL", lambda lease: lease.record),
    "deep attributes": (
        "attrs = ('{\"regions\": ' || repeat('[', 2000) || repeat(']', 2000) || '}')::jsonb",
        lambda lease: lease.attributes,
    ),
    "a number of many digits": ("attrs = '{\"regions\": [1e6000]}'", lambda lease: lease.attributes),
    "deep resources": ("resources = ('{\"s\": ' || repeat('[', 2000) || repeat(']', 2000) || '}')::jsonb", lambda lease: lease.resources),
    "token without end": ("token_until = 'infinity'", lambda lease: lease.record),
    "token of a far time": ("token_until = '20000-01-01 00:00Z'", lambda lease: lease.record),
    "token's time": ("token_until = token_until + interval '1 s'", lambda lease: lease.record),
    "name": ("record_name = 'agents/another'", lambda lease: lease.record),
    "call": ("call = 'another'", lambda lease: lease.record),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_by_hand_shows_in_the_lease(bench: PostgresBench, people: Profile, name: str):
    change, part = CHANGES[name]
    given = recorded(people, token=token_of(name))
    vended(bench.platform, given)
    before = bench.platform.records.find(given.uid)
    bench.run(f"UPDATE rolevend.lease SET {change} WHERE uid = '{given.uid}'")
    after = bench.platform.records.find(given.uid)
    assert before is not None
    assert after is not None
    assert part(before.lease) != part(after.lease)


def test_the_profile_is_known_after_it_was_collected(bench: PostgresBench, people: Profile):
    given = recorded(people)
    vended(bench.platform, given)
    dropped(bench.platform, given)
    bench.platform.collect(frozenset(), datetime.now(UTC) + timedelta(days=1))
    assert not bench.stands(people.name)
    found = bench.platform.records.find(given.uid)
    assert found is not None
    assert found.lease == given


class TestTokens:
    def test_a_token_proves_one_role_alone(self, bench: PostgresBench, people: Profile):
        token = token_of("one")
        first, second = recorded(people, token=token), recorded(people, token=token)
        vended(bench.platform, first)
        assert isinstance(error_of(bench.platform, second), TokenUsed)
        assert not bench.exists(second.role)
        assert bench.platform.records.find(second.uid) is None
        assert bench.platform.records.holder(token.digest) == first.uid

    def test_a_token_proves_one_role_alone_after_that_role_ended_too(self, bench: PostgresBench, people: Profile):
        token = token_of("one")
        first = recorded(people, token=token)
        vended(bench.platform, first)
        dropped(bench.platform, first)
        assert isinstance(error_of(bench.platform, recorded(people, token=token)), TokenUsed)

    def test_of_two_vends_of_one_call_with_one_token_one_wins(self, bench: PostgresBench, people: Profile):
        token = token_of("one")
        both = [recorded(people, token=token) for _ in range(2)]
        made = answers(bench.platform, both)
        (winner,) = [each for each, answer in zip(both, made, strict=True) if answer.error is None]
        assert [type(answer.error) for answer in made if answer.error is not None] == [TokenUsed]
        assert bench.platform.records.holder(token.digest) == winner.uid
        assert uids(bench.platform) == [winner.uid]

    def test_a_token_is_left_to_the_other_vend_of_a_call_if_the_first_fails(self, bench: PostgresBench, people: Profile):
        token = token_of("one")
        both = sorted((recorded(people, token=token) for _ in range(2)), key=lambda each: each.role)
        failing = replace(both[0], expires_at=both[0].expires_at + timedelta(days=2))
        first, second = answers(bench.platform, [failing, both[1]])
        assert isinstance(first.error, InvalidInput)
        assert second.error is None
        assert bench.platform.records.holder(token.digest) == both[1].uid

    def test_members_of_a_call_that_fail_leave_no_token_and_no_record(self, bench: PostgresBench, people: Profile):
        good = [recorded(people, token=token_of(f"good {number}")) for number in range(5)]
        late = [
            replace(each, expires_at=each.expires_at + timedelta(days=2))
            for each in (recorded(people, token=token_of(f"late {number}")) for number in range(5))
        ]
        unbuilt = [moved(recorded(people, token=token_of(f"cold {number}")), profile=f"rv_p_{'0' * 32}") for number in range(5)]
        odd = [recorded(people, token=TokenUse("not a digest", datetime.now(UTC))), recorded(people, body="[]"), recorded(people, call="")]
        mixed = [*late, *good, *unbuilt, *odd]
        made = answers(bench.platform, mixed)
        assert [answer.error is None for answer in made] == [each in good for each in mixed]
        assert uids(bench.platform) == sorted(each.uid for each in good)
        assert count(bench, "used_token") == len(good)
        assert count(bench, "lease") == len(good)

    def test_a_single_vend_that_fails_leaves_no_token_and_no_record(self, bench: PostgresBench, people: Profile):
        token = token_of("one")
        cold = moved(recorded(people, token=token), profile=f"rv_p_{'0' * 32}")
        assert error_of(bench.platform, cold) is not None
        assert bench.platform.records.holder(token.digest) is None
        assert count(bench, "lease") == 0

    def test_a_vend_that_fails_keeps_a_token_that_was_its_own_before(self, bench: PostgresBench, people: Profile):
        token, other = token_of("one"), token_of("other")
        first = recorded(people, token=token)
        vended(bench.platform, first)
        again = replace(first, attributes=lease(people, regions=["EU"]).attributes)
        refusal, made = answers(bench.platform, [again, recorded(people, token=other)])
        assert isinstance(refusal.error, Overtaken)
        assert made.error is None
        assert bench.platform.records.holder(token.digest) == first.uid

    def test_equal_tokens_from_two_processes_in_opposite_order_make_one_role_each(self, bench: PostgresBench, people: Profile):
        tokens = [token_of(f"token {number}") for number in range(CROWD)]
        drivers = [bench.platform, bench.platform_of(CLUSTER)]
        drivers[1].ensure(people)
        start = threading.Barrier(2)
        batches = [[recorded(people, token=token) for token in order] for order in (tokens, tokens[::-1])]

        def run(number: int) -> Sequence[CreatedRole]:
            start.wait(DEADLINE)
            return answers(drivers[number], batches[number])

        with ThreadPoolExecutor(2) as threads:
            made = [*threads.map(run, range(2))]

        errors = [answer.error for each in made for answer in each if answer.error is not None]
        assert {type(error) for error in errors} <= {TokenUsed}
        assert len(errors) == CROWD
        assert count(bench, "used_token") == count(bench, "lease") == CROWD

    def test_a_used_token_is_recorded_for_one_holder(self, bench: PostgresBench):
        records, token = bench.platform.records, token_of("one")
        assert records.holder(token.digest) is None
        assert records.take(token, "me")
        assert records.take(token, "me")
        assert not records.take(token, "another")
        assert records.holder(token.digest) == "me"

    def test_used_tokens_are_the_clusters_own(self, bench: PostgresBench):
        token, other = token_of("one"), bench.platform_of(OTHER_CLUSTER).records
        assert bench.platform.records.take(token, "me")
        assert other.holder(token.digest) is None
        assert other.take(token, "another")

    def test_records_of_expired_tokens_alone_are_deleted(self, bench: PostgresBench):
        records, live = bench.platform.records, token_of("live")
        over = replace(token_of("over"), expires_at=datetime.now(UTC) - timedelta(minutes=1))
        assert records.take(live, "me")
        assert records.take(over, "me")
        other = bench.platform_of(OTHER_CLUSTER).records
        assert other.take(over, "me")
        assert (records.collect(), records.collect()) == (1, 0)
        assert (records.holder(live.digest), records.holder(over.digest), other.holder(over.digest)) == ("me", None, "me")

    def test_many_expired_records_are_deleted_in_steps_of_which_each_stays_done(self, bench: PostgresBench):
        records, over = bench.platform.records, replace(token_of("over"), expires_at=datetime.now(UTC) - timedelta(minutes=1))
        assert records.take(over, "me")
        bench.as_superuser().run(
            "INSERT INTO rolevend.used_token SELECT n::text, cluster_id, holder, expires_at FROM rolevend.used_token, "
            f"generate_series(1, 20001) AS n WHERE digest = '{over.digest}'"
        )
        assert bench.value("SELECT rolevend.collect_tokens(cluster_id) FROM rolevend.used_token LIMIT 1") == 10_000
        assert (records.collect(), records.collect()) == (10_002, 0)

    def test_a_malformed_digest_is_refused(self, bench: PostgresBench):
        with pytest.raises(InvalidInput):
            bench.platform.records.take(TokenUse("A" * 64, datetime.now(UTC)), "me")


class TestMaximum:
    def test_an_agent_has_at_most_so_many_roles(self, bench: PostgresBench, people: Profile):
        first, second = recorded(people, most_live=2), recorded(people, most_live=2)
        vended(bench.platform, first)
        vended(bench.platform, second)
        token = token_of("third")
        third = recorded(people, most_live=2, token=token)
        assert isinstance(error_of(bench.platform, third), TooManyRoles)
        assert not bench.exists(third.role)
        assert (bench.platform.records.holder(token.digest), bench.platform.records.find(third.uid)) == (None, None)
        assert error_of(bench.platform, recorded(people, most_live=2, agent="other")) is None
        assert error_of(bench.platform, first) is None, "the same vend again is no further role"

    def test_a_role_that_is_ending_counts_until_it_is_dropped(self, bench: PostgresBench, people: Profile):
        first = recorded(people, most_live=1)
        vended(bench.platform, first)
        assert bench.platform.records.end(first.uid, EndReason.RELEASED, "me", "")
        second = recorded(people, most_live=1)
        assert isinstance(error_of(bench.platform, second), TooManyRoles)
        dropped(bench.platform, first)
        assert error_of(bench.platform, second) is None

    def test_roles_without_a_maximum_count_once_there_is_one(self, bench: PostgresBench, people: Profile):
        unlimited = [recorded(people), recorded(people)]
        assert [answer.error for answer in answers(bench.platform, [*unlimited, recorded(people, most_live=3)])] == [None] * 3
        assert error_of(bench.platform, recorded(people)) is None
        assert isinstance(error_of(bench.platform, recorded(people, most_live=4)), TooManyRoles)
        dropped(bench.platform, unlimited[0])
        assert error_of(bench.platform, recorded(people, most_live=4)) is None

    def test_all_are_counted_only_when_there_may_be_too_many(self, bench: PostgresBench, people: Profile):
        def known() -> list[tuple[int]]:
            return bench.as_superuser().rows("SELECT live FROM rolevend.counted WHERE agent = 'agents/busy'")

        def vend(most_live: int) -> Exception | None:
            return error_of(bench.platform, recorded(people, agent="busy", most_live=most_live))

        first = recorded(people, agent="busy", most_live=5)
        assert error_of(bench.platform, first) is None
        assert [vend(5), vend(5)] == [None, None]
        dropped(bench.platform, first)
        assert vend(5) is None
        assert known() == [(4,)], "one more than there are: that takes no count"
        assert vend(4) is None
        assert known() == [(4,)]
        assert isinstance(vend(4), TooManyRoles)

    def test_within_one_call_and_in_several_at_once_it_is_exact(self, bench: PostgresBench, people: Profile):
        drivers = [bench.platform, *(bench.platform_of(CLUSTER) for _ in range(3))]
        start = threading.Barrier(len(drivers))

        def run(driver: PostgresPlatform) -> Sequence[CreatedRole]:
            driver.ensure(people)
            wanted = [recorded(people, most_live=10, agent=agent) for agent in ("one", "two") for _ in range(8)]
            start.wait(DEADLINE)
            return answers(driver, wanted)

        with ThreadPoolExecutor(len(drivers)) as threads:
            made = [answer for each in threads.map(run, drivers) for answer in each]
        assert {type(answer.error) for answer in made if answer.error is not None} == {TooManyRoles}
        assert [len(bench.platform.records.of(ObjectName("agents", agent))) for agent in ("one", "two")] == [10, 10]
        assert [bench.platform.records.count(ObjectName("agents", agent)) for agent in ("one", "two")] == [10, 10]


class TestAgain:
    def test_the_same_uid_is_the_same_role_with_a_new_password_and_the_first_record(self, bench: PostgresBench, people: Profile):
        first = recorded(people, token=token_of("one"), most_live=1)
        old = vended(bench.platform, first)
        assert first.record is not None
        again = replace(first, expires_at=first.expires_at + timedelta(minutes=5), record=replace(first.record, body='{"another": 1}'))
        new = bench.platform.credential(again, secrets.token_bytes)
        (answer,) = bench.platform.vend([(again, new)])
        assert (answer.error, answer.expires_at) == (None, first.expires_at)
        assert bench.log_in(new).rows("SELECT count(*) FROM people") == [(6,)]
        with pytest.raises(psycopg.OperationalError):
            bench.log_in(old)
        found = bench.platform.records.find(first.uid)
        assert found is not None
        assert found.lease.record == replace(first.record, most_live=None)

    @pytest.mark.parametrize("many", [False, True])
    def test_another_call_is_refused(self, bench: PostgresBench, people: Profile, many: bool):
        first = recorded(people)
        vended(bench.platform, first)
        assert first.record is not None
        others = [replace(first, record=replace(first.record, call="another")), recorded(people)][: 1 + many]
        error = answers(bench.platform, others)[0].error
        assert isinstance(error, Overtaken)
        assert "for another call" in str(error)

    def test_with_and_without_a_record_are_two_vends(self, bench: PostgresBench, people: Profile):
        first, plain = recorded(people), lease(people)
        vended(bench.platform, first)
        vended(bench.platform, plain)
        assert isinstance(error_of(bench.platform, replace(first, record=None)), Overtaken)
        assert isinstance(error_of(bench.platform, replace(plain, record=recorded(people).record)), Overtaken)

    def test_a_uid_has_one_record(self, bench: PostgresBench, people: Profile):
        first = recorded(people)
        vended(bench.platform, first)
        other = replace(recorded(people), uid=first.uid)
        assert isinstance(error_of(bench.platform, other), Overtaken)
        assert not bench.exists(other.role)

    def test_after_its_end_a_role_is_refused(self, bench: PostgresBench, people: Profile):
        first = recorded(people)
        vended(bench.platform, first)
        assert bench.platform.records.end(first.uid, EndReason.REVOKED, "me", "why")
        assert isinstance(error_of(bench.platform, first), Overtaken)


class TestChanges:
    def test_each_change_is_returned_once(self, bench: PostgresBench, people: Profile):
        records, one, other = bench.platform.records, recorded(people), recorded(people)
        cursor = records.changed(None).cursor

        def changed() -> list[Uid]:
            nonlocal cursor
            page = records.changed(cursor)
            cursor = page.cursor
            return [each.lease.uid for each in page.leases]

        def versions() -> str:
            found = records.find(one.uid)
            assert found is not None
            return found.version

        vended(bench.platform, one)
        vended(bench.platform, other)
        assert sorted(changed()) == sorted([one.uid, other.uid])
        assert changed() == []
        seen = {versions()}
        for act in (
            lambda: records.confirm([one.uid]),
            lambda: records.end(one.uid, EndReason.REVOKED, "me", "why"),
            lambda: dropped(bench.platform, one),
        ):
            act()
            assert changed() == [one.uid]
            assert versions() not in seen
            seen.add(versions())
        records.confirm([one.uid, other.uid])
        assert changed() == [other.uid]
        records.confirm([other.uid])
        records.reported([one.uid])
        bench.platform.curb()
        assert changed() == []

    def test_an_end_without_a_reason_of_ours_is_returned(self, bench: PostgresBench, people: Profile):
        given = recorded(people)
        vended(bench.platform, given)
        cursor = bench.platform.records.changed(None).cursor
        bench.expire(given)
        bench.sweep()
        (found,) = bench.platform.records.changed(cursor).leases
        assert found.reason is EndReason.EXPIRED
        assert found.dropped_at is not None

    def test_a_late_commit_of_an_older_transaction_is_not_missed(self, bench: PostgresBench, people: Profile):
        early, late = recorded(people), recorded(people)
        vended(bench.platform, early)
        slow = bench.login_of(bench.vendor)
        slow.run(f"BEGIN; SELECT rolevend.confirm('{early.cluster}', ARRAY['{early.uid}'])")
        vended(bench.platform, late)
        page = bench.platform.records.changed(None)
        vended(bench.platform, recorded(people))
        page = bench.platform.records.changed(page.cursor)
        assert early.uid not in {each.lease.uid for each in page.leases}
        slow.run("COMMIT")
        (found,) = bench.platform.records.changed(page.cursor).leases
        assert (found.lease.uid, found.confirmed) == (early.uid, True)
        assert int(found.version) < max(int(each.version) for each in bench.platform.records.changed(None).leases)

    def test_a_long_transaction_of_another_repeats_nothing(self, bench: PostgresBench, people: Profile):
        busy = bench.as_superuser()
        busy.run("BEGIN; SELECT pg_current_xact_id()")
        vended(bench.platform, recorded(people))
        page = bench.platform.records.changed(None)
        assert len(page.leases) == 1
        assert bench.platform.records.changed(page.cursor).leases == ()

    def test_a_cursor_of_another_server_counts_as_none(self, bench: PostgresBench, people: Profile):
        given = recorded(people)
        vended(bench.platform, given)
        page = bench.platform.records.changed("4000000000000:4000000000009:")
        assert [each.lease.uid for each in page.leases] == [given.uid]
        assert bench.platform.records.changed(page.cursor).leases == ()

    def test_all_records_are_returned_in_pages_and_changes_meanwhile_by_the_cursor_of_the_first(
        self, bench: PostgresBench, people: Profile
    ):
        given = [recorded(people) for _ in range(PAGE + 1)]
        for start in range(0, len(given), 60):
            assert {each.error for each in answers(bench.platform, given[start : start + 60])} == {None}
        records = bench.platform.records
        first = records.changed(None)
        assert (len(first.leases), first.rest) == (PAGE, first.leases[-1].lease.role)
        new = recorded(people)
        vended(bench.platform, new)
        changed = first.leases[0].lease
        records.confirm([changed.uid])

        second = records.changed(None, first.rest)

        found = {each.lease.uid for each in (*first.leases, *second.leases)}
        assert second.rest is None
        assert found | {new.uid} == {each.uid for each in (*given, new)}
        assert sorted(each.lease.uid for each in records.changed(first.cursor).leases) == sorted([changed.uid, new.uid])

    def test_records_are_the_clusters_own(self, bench: PostgresBench, people: Profile):
        given = recorded(people)
        vended(bench.platform, given)
        records = bench.platform_of(OTHER_CLUSTER).records
        assert records.changed(None).leases == ()
        assert (records.find(given.uid), list(records.of(given.agent)), records.confirm([given.uid])) == (None, [], frozenset())
        assert not records.end(given.uid, EndReason.REVOKED, "me", "why")


class TestReading:
    def test_by_name_live_ones_are_found_first_then_those_that_ended_and_the_newest_first(self, bench: PostgresBench, people: Profile):
        name = ObjectName("agents", "key-1")

        def named() -> list[Uid]:
            return [each.lease.uid for each in bench.platform.records.named(name)]

        assert named() == []
        first, second, third, fourth = (recorded(people, name=name) for _ in range(4))
        vended(bench.platform, first)
        assert named() == [first.uid]
        vended(bench.platform, second)
        vended(bench.platform, third)
        for each in (third, second):
            dropped(bench.platform, each)
        assert named() == [first.uid, third.uid, second.uid]
        vended(bench.platform, fourth)
        vended(bench.platform, recorded(people))
        assert named() == [fourth.uid, first.uid, third.uid, second.uid]

    def test_no_more_of_one_name_than_a_maximum_are_found(self, bench: PostgresBench, people: Profile):
        name = ObjectName("agents", "key-1")
        given = [recorded(people, name=name) for _ in range(MOST_NAMED + 1)]
        for start in range(0, len(given), 60):
            assert {each.error for each in answers(bench.platform, given[start : start + 60])} == {None}
        assert len(bench.platform.records.named(name)) == MOST_NAMED

    def test_of_an_agent_those_that_are_not_gone_are_listed_by_name(self, bench: PostgresBench, people: Profile):
        names = [ObjectName("agents", name) for name in ("b", "a", "c", "d")]
        leases = [recorded(people, name=name) for name in names]
        answers(bench.platform, [*leases, recorded(people, agent="other")])
        bench.platform.records.end(leases[2].uid, EndReason.REVOKED, "me", "")
        dropped(bench.platform, leases[3])
        listed = bench.platform.records.of(ObjectName("agents", "assistant"))
        assert [each.lease.record.name.name for each in listed if each.lease.record] == ["a", "b", "c"]


class TestConfirmation:
    def test_those_that_live_are_confirmed(self, bench: PostgresBench, people: Profile):
        live, ended, over, unknown = (recorded(people) for _ in range(4))
        answers(bench.platform, [live, ended, over])
        records = bench.platform.records
        records.end(ended.uid, EndReason.REVOKED, "me", "why")
        bench.expire(over)
        asked = [live.uid, ended.uid, over.uid, unknown.uid]
        assert records.confirm(asked) == records.confirm(asked) == {live.uid}
        assert [each.confirmed for each in (records.find(uid) for uid in asked[:3]) if each] == [True, False, False]
        assert records.confirm([]) == frozenset()


class TestEnds:
    def test_an_end_locks_the_role_out_and_keeps_its_first_reason(self, bench: PostgresBench, people: Profile):
        given = recorded(people)
        credential = vended(bench.platform, given)
        session, records = bench.log_in(credential), bench.platform.records
        assert records.end(given.uid, EndReason.REVOKED, "admin@example.org", "the user left")
        assert refused(lambda: session.rows("SELECT * FROM people")) in ("42501", "42P01")
        with pytest.raises(psycopg.OperationalError):
            bench.log_in(credential)
        assert records.end(given.uid, EndReason.ORPHANED, "another", "another reason")
        dropped(bench.platform, given, reason=EndReason.RELEASED)
        found = records.find(given.uid)
        assert found is not None
        assert (found.reason, found.ended_by, found.ended_message) == (EndReason.REVOKED, "admin@example.org", "the user left")
        assert found.closed_at is not None
        assert found.dropped_at is not None
        assert found.closed_at <= found.dropped_at

    def test_an_end_of_an_older_version_is_refused(self, bench: PostgresBench, people: Profile):
        given, records = recorded(people), bench.platform.records
        vended(bench.platform, given)
        first = records.find(given.uid)
        assert first is not None
        records.confirm([given.uid])
        assert not records.end(given.uid, EndReason.REVOKED, "me", "why", first.version)
        second = records.find(given.uid)
        assert second is not None
        assert second.closed_at is None
        assert records.end(given.uid, EndReason.REVOKED, "me", "why", second.version)

    def test_of_a_record_that_is_gone_it_is_false(self, bench: PostgresBench, people: Profile):
        assert not bench.platform.records.end(recorded(people).uid, EndReason.REVOKED, "me", "why")

    def test_the_sessions_that_an_end_terminated_are_counted(self, bench: PostgresBench, people: Profile):
        given, idle, plain = recorded(people), recorded(people), lease(people)
        credential = vended(bench.platform, given)
        plain_credential = vended(bench.platform, plain)
        vended(bench.platform, idle)
        for _ in range(3):
            bench.log_in(credential)
        bench.log_in(plain_credential)
        dropped(bench.platform, given, idle, plain)
        assert [each.sessions for each in (bench.platform.records.find(lease.uid) for lease in (given, idle)) if each] == [3, 0]
        assert bench.value(f"SELECT ended_pids FROM rolevend.lease WHERE uid = '{plain.uid}'") == []

    def test_who_drops_a_role_counts_its_sessions_also_if_somebody_else_ends_it_at_once(self, bench: PostgresBench, people: Profile):
        given = recorded(people)
        session = bench.log_in(vended(bench.platform, given))
        bench.platform.records.end(given.uid, EndReason.RELEASED, "", "")
        finish = f"SELECT state FROM rolevend.finish_many('{{{given.role}}}')"
        one, other = bench.as_superuser(), bench.as_superuser()
        with ThreadPoolExecutor(1) as threads:
            one.run(f"BEGIN; SELECT FROM rolevend.lease WHERE role = '{given.role}' FOR UPDATE")
            waiting = threads.submit(other.rows, finish)
            eventually(lambda: bench.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == 1)
            assert session.rows("SELECT 1") == [(1,)]
            assert one.rows(finish) == [("dropped",)]
            one.run("COMMIT")
            assert waiting.result() == [("dropped",)]
        found = bench.platform.records.find(given.uid)
        assert found is not None
        assert found.sessions == 1

    def test_the_sessions_that_the_platforms_own_scheduler_terminated_too(self, bench: PostgresBench, people: Profile):
        given = recorded(people)
        credential = vended(bench.platform, given)
        bench.log_in(credential)
        bench.platform.records.end(given.uid, EndReason.REVOKED, "me", "why")
        bench.sweep()
        found = bench.platform.records.find(given.uid)
        assert found is not None
        assert (found.sessions, found.reason, found.ended_by) == (1, EndReason.REVOKED, "me")

    def test_a_table_that_is_opened_by_hand_ends_them_for_readers_of_records_too(self, bench: PostgresBench):
        table = bench.people()
        of = profile(shape(table, own(table, "region", "regions")))
        bench.platform.ensure(of)
        given = recorded(of)
        vended(bench.platform, given)
        cursor = bench.platform.records.changed(None).cursor
        by_hand = bench.as_superuser()
        by_hand.run(f"ALTER TABLE {table.id.schema}.people DISABLE ROW LEVEL SECURITY")
        found = [(each.lease.uid, each.reason) for each in bench.platform.records.changed(cursor).leases]
        # Without a superuser there is no event trigger: the operator finds the drift, and ends the role.
        assert found == ([(given.uid, EndReason.REVOKED)] if bench.mode is InstallMode.SUPERUSER else [])


class TestReports:
    def test_an_end_that_was_reported_since_the_cursor_is_not_returned(self, bench: PostgresBench, people: Profile):
        one = recorded(people)
        answers(bench.platform, [one])
        cursor = bench.platform.records.changed(None).cursor

        dropped(bench.platform, one)
        bench.platform.records.reported([one.uid])

        assert bench.platform.records.changed(cursor).leases == ()

    def test_a_reported_end_is_not_returned_to_one_who_starts_anew(self, bench: PostgresBench, people: Profile):
        live, gone = recorded(people), recorded(people)
        answers(bench.platform, [live, gone])
        dropped(bench.platform, gone)
        assert uids(bench.platform) == sorted([live.uid, gone.uid])
        bench.platform.records.reported([live.uid, gone.uid])
        assert uids(bench.platform) == [live.uid]
        assert bench.platform.records.find(gone.uid) is not None
        bench.platform.records.reported([])

    def test_a_tombstone_waits_for_its_report_for_a_week(self, bench: PostgresBench, people: Profile):
        reported, unreported, old, plain = recorded(people), recorded(people), recorded(people), lease(people)
        answers(bench.platform, [reported, unreported, old, plain])
        dropped(bench.platform, reported, unreported, old, plain)
        bench.platform.records.reported([reported.uid])
        bench.run("UPDATE rolevend.lease SET revoked_at = clock_timestamp() - interval '25 hours'")
        bench.run(f"UPDATE rolevend.lease SET revoked_at = clock_timestamp() - interval '169 hours' WHERE uid = '{old.uid}'")
        bench.login_of(bench.vendor).run("SELECT rolevend.forget()")
        left = bench.value("SELECT array_agg(uid) FROM rolevend.lease")
        assert left == [unreported.uid]


INTERNAL = (
    "expect_record('{}')",
    "token_key('{}')",
    "take_tokens('[]')",
    "give_back('{}', '{}')",
    "lock_agent('', '')",
    "count_live('', '')",
    "keep_ended('', '{}')",
)


class TestRights:
    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE rolevend.lease SET seal = ''",
            "DELETE FROM rolevend.lease",
            "INSERT INTO rolevend.lease (role, cluster_id, uid) VALUES ('x', 'x', 'x')",
            "UPDATE rolevend.used_token SET holder = ''",
            "DELETE FROM rolevend.used_token",
            "INSERT INTO rolevend.used_token VALUES ('x', 'x', 'x', now())",
            "TRUNCATE rolevend.used_token",
            "SELECT * FROM rolevend.counted",
            *(f"SELECT rolevend.{each}" for each in INTERNAL),
        ],
    )
    def test_the_vendor_changes_records_by_functions_alone(self, bench: PostgresBench, statement: str):
        vendor = bench.login_of(bench.vendor)
        assert refused(lambda: vendor.run(statement)) == "42501"

    def test_the_programmer_uses_no_token(self, bench: PostgresBench):
        programmer = bench.login_of(bench.programmer)
        for statement in (
            "TABLE rolevend.used_token",
            "SELECT rolevend.take_token('c', 'd', 'h', now())",
            "SELECT rolevend.confirm('c', '{}')",
        ):
            assert refused(lambda: programmer.rows(statement)) == "42501"  # noqa: B023

    def test_an_agent_sees_nothing_of_it(self, bench: PostgresBench, people: Profile):
        given = recorded(people, token=token_of("one"))
        eve = bench.log_in(vended(bench.platform, given))
        for statement in (
            "TABLE rolevend.lease",
            "TABLE rolevend.used_token",
            f"SELECT rolevend.confirm('{given.cluster}', ARRAY['{given.uid}'])",
            f"SELECT rolevend.end_record('{given.cluster}', '{given.uid}', 'Released', 'eve', '')",
            f"SELECT rolevend.report_ends('{given.cluster}', ARRAY['{given.uid}'])",
            f"SELECT rolevend.take_token('{given.cluster}', '{'0' * 64}', 'eve', now())",
            f"SELECT rolevend.collect_tokens('{given.cluster}')",
        ):
            assert refused(lambda: eve.rows(statement)) == "42501"  # noqa: B023
        assert eve.rows("SELECT count(*) FROM people") == [(6,)]

    @pytest.mark.parametrize(
        "statement",
        [
            "SELECT rolevend.confirm('c', '{}')",
            "SELECT rolevend.confirm('c', NULL)",
            "SELECT rolevend.report_ends('c', '{}')",
            "SELECT rolevend.end_record('c', 'u', 'Bored', 'me', '')",
            "SELECT rolevend.end_record('c', 'u', NULL, 'me', '')",
            "SELECT rolevend.end_record('c', 'u', 'Revoked', NULL, '')",
            "SELECT rolevend.take_token('c', NULL, 'h', now())",
            "SELECT rolevend.take_token('c', repeat('0', 64), '', now())",
            "SELECT rolevend.take_token('c', repeat('0', 64), 'h', 'infinity')",
        ],
    )
    def test_arguments_that_cannot_be_are_refused(self, bench: PostgresBench, statement: str):
        vendor = bench.login_of(bench.vendor)
        assert refused(lambda: vendor.run(statement)) == "22023"


@pytest.mark.parametrize(
    "record",
    [
        {"body": "{"},
        {"body": "[]"},
        {"call": ""},
        {"seal": ""},
        {"name": ObjectName("", "x")},
        {"name": ObjectName("a", "b/c")},
        {"body": '{"x": "\0"}'},
        {"most_live": -1},
        {"token": TokenUse("0" * 63, datetime(2100, 1, 1, tzinfo=UTC))},
    ],
)
def test_a_malformed_record_is_refused_alone(bench: PostgresBench, people: Profile, record: dict[str, object]):
    bad, good = recorded(people, **record), recorded(people)  # type: ignore[arg-type]
    assert isinstance(error_of(bench.platform, bad), InvalidInput)
    refusal, made = answers(bench.platform, [bad, good])
    assert isinstance(refusal.error, InvalidInput)
    assert made.error is None


class TestUnrecorded:
    def test_a_live_role_without_a_record_is_returned_once_and_one_with_a_record_never(self, bench: PostgresBench, people: Profile):
        records, plain, other = bench.platform.records, lease(people), lease(people)
        vended(bench.platform, plain)
        cursor = records.changed(None).cursor
        vended(bench.platform, other)
        vended(bench.platform, recorded(people))

        (found,) = records.unrecorded(cursor)

        assert found == LiveRole(other.role, other.uid, other.expires_at, False)
        assert sorted(each.uid for each in records.unrecorded(None)) == sorted([plain.uid, other.uid])
        cursor = records.changed(cursor).cursor
        dropped(bench.platform, other)
        assert list(records.unrecorded(cursor)) == []
        assert [each.uid for each in records.unrecorded(None)] == [plain.uid]

    def test_a_role_whose_transaction_is_committed_late_is_not_missed(self, bench: PostgresBench, people: Profile):
        records, like, late = bench.platform.records, lease(people), lease(people)
        vended(bench.platform, like)
        arguments = "cluster_id, %L, profile, %L, expires_at, agent, issuer, subject, attrs".replace("%L", "'{}'")
        verifier = bench.value(f"SELECT rolpassword FROM pg_authid WHERE rolname = '{like.role}'")
        slow = bench.login_of(bench.vendor)
        vend = f"rolevend.vend('{late.role}', {arguments.format(late.uid, verifier)})"
        slow.run(f"BEGIN; SELECT {vend} FROM rolevend.lease WHERE role = '{like.role}'")
        page = records.changed(None)
        bench.run("SELECT pg_current_xact_id()")  # later, and committed
        page = records.changed(page.cursor)

        slow.run("COMMIT")

        assert [each.uid for each in records.unrecorded(page.cursor)] == [late.uid]

    def test_a_cursor_of_another_server_counts_as_none_and_roles_are_the_clusters_own(self, bench: PostgresBench, people: Profile):
        plain = lease(people)
        vended(bench.platform, plain)

        (found,) = bench.platform.records.unrecorded("4000000000000:4000000000009:")

        assert found.uid == plain.uid
        assert list(bench.platform_of(OTHER_CLUSTER).records.unrecorded(None)) == []


def test_a_vend_that_waits_for_a_token_is_told_to_come_again(bench: PostgresBench, people: Profile):
    """Nothing of it is left."""
    token = token_of("one")
    given = recorded(people, token=token)
    slow = bench.login_of(bench.vendor)
    slow.run(f"BEGIN; SELECT rolevend.take_token('{given.cluster}', '{token.digest}', 'another', '{token.expires_at.isoformat()}')")
    error = error_of(bench.platform, given)
    assert isinstance(error, PlatformBusy)
    assert not bench.exists(given.role)
    slow.run("ROLLBACK")
    eventually(lambda: error_of(bench.platform, given) is None)


def test_an_installation_over_version_12_keeps_leases_and_their_roles(bench: PostgresBench, people: Profile):
    plain = lease(people)
    credential = vended(bench.platform, plain)
    session = bench.log_in(credential)
    functions = (
        "vend confirm end_record report_ends take_token collect_tokens take_tokens give_back token_key lock_agent count_live keep_ended"
    )
    columns = (
        "record_name record record_profile call seal token token_until confirmed_at ended_by ended_message ended_pids reported_at changed"
    )
    old_vend = "text, text, text, text, text, timestamptz, text, text, text, jsonb, jsonb, jsonb"
    with bench.administrator() as administrator:
        bench.run("UPDATE rolevend.version SET version = 12; DROP TABLE rolevend.used_token, rolevend.counted")
        bench.run("; ".join(f"DROP FUNCTION rolevend.{name}" for name in functions.split()))
        bench.run(f"ALTER TABLE rolevend.lease {', '.join(f'DROP COLUMN {name}' for name in columns.split())}")
        bench.run(f"CREATE FUNCTION rolevend.vend({old_vend}) RETURNS timestamptz LANGUAGE sql AS 'SELECT now()'")
        bench.run(f"ALTER FUNCTION rolevend.vend({old_vend}) OWNER TO rv_owner")
        accepted = plan(administrator, bench.options).digest
        install(administrator, bench.options, accept=accepted, passwords=bench.passwords, randomness=secrets.token_bytes)
    assert session.rows("SELECT count(*) FROM people") == [(6,)]
    platform = bench.platform_of(CLUSTER)
    platform.facts()
    platform.ensure(people)
    assert error_of(platform, plain) is None
    given = recorded(people, token=token_of("one"))
    vended(platform, given)
    assert uids(platform) == [given.uid]
    dropped(platform, plain, given)

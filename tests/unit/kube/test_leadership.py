"""Who leads: whatever is slow, stops, dies or has a wrong clock, never two."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rolevend.kube.leadership import LeaderAction, LeaseView, identity, lease_view, move, pod_of, safe_until
from tests.support.tiers import by_tier

SECONDS = 15
ME, OTHER = identity("rolevend-a", "1"), identity("rolevend-b", "2")


def lease(holder: str, renewed: str = "2026-11-24T12:00:00.000000Z", version: str = "1") -> dict[str, Any]:
    return {
        "metadata": {"resourceVersion": version},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": SECONDS, "renewTime": renewed, "leaseTransitions": 3},
    }


def seen(holder: str, since: float = 0.0) -> LeaseView:
    return lease_view(lease(holder), None, since)


@pytest.mark.parametrize(
    ("sight", "there", "moment", "expected"),
    [
        (None, False, 0, LeaderAction.CREATE),
        (seen(ME), True, 1, LeaderAction.RENEW),
        (seen(ME), True, 1000, LeaderAction.RENEW),
        (seen(ME), False, 1, LeaderAction.CREATE),
        (seen(OTHER), True, 14.9, LeaderAction.WAIT),
        (seen(OTHER), True, 15, LeaderAction.TAKE),
        (seen(OTHER), False, 14.9, LeaderAction.WAIT),
        (seen(OTHER), False, 15, LeaderAction.CREATE),
        (seen(""), True, 0, LeaderAction.TAKE),
        (seen(""), False, 0, LeaderAction.CREATE),
        (seen(identity("rolevend-a", "before")), True, 0, LeaderAction.TAKE),
    ],
)
def test_what_follows_from_a_lease(sight: LeaseView | None, there: bool, moment: float, expected: LeaderAction):
    assert move(sight, there=there, me=ME, moment=moment) is expected


def test_processes_without_a_pod_are_never_taken_for_each_other():
    one, two = identity("", "1"), identity("", "2")

    assert pod_of(one) != pod_of(two)
    assert move(seen(one), there=True, me=two, moment=0) is LeaderAction.WAIT


@pytest.mark.parametrize("renewed", ["1970-01-01T00:00:00.000000Z", "2999-01-01T00:00:00.000000Z", "yesterday", ""])
def test_a_renewal_counts_from_when_it_was_seen_whatever_it_says(renewed: str):
    first = lease_view(lease(OTHER, "2026-11-24T12:00:00.000000Z"), None, 100)
    again = lease_view(lease(OTHER, renewed, "2"), first, 110)

    assert move(again, there=True, me=ME, moment=124.9) is LeaderAction.WAIT
    assert move(again, there=True, me=ME, moment=125) is LeaderAction.TAKE


def test_a_lease_that_somebody_touched_without_renewing_it_is_no_younger():
    first = lease_view(lease(OTHER), None, 100)

    assert lease_view(lease(OTHER, version="2"), first, 110) == LeaseView(OTHER, SECONDS, first.renewed, "2", 3, 100)


def test_a_lease_of_nothing_can_be_taken():
    assert move(lease_view({"metadata": {"resourceVersion": "1"}}, None, 0), there=True, me=ME, moment=0) is LeaderAction.TAKE


class Server:
    """Keeps one Lease. A write is refused unless it is over the version that was read."""

    lease: dict[str, Any] | None = None
    version = 0

    def write(self, over: str | None, holder: str) -> dict[str, Any] | None:
        if over != (self.lease["metadata"]["resourceVersion"] if self.lease else None):
            return None
        self.version += 1
        self.lease = lease(holder, f"renewal {self.version}", str(self.version))
        return self.lease


class Replica:
    """A process whose every step may take any time. Its clock shows another number than everybody else's."""

    def __init__(self, server: Server, pod: str, token: str, offset: float) -> None:
        self.server, self.offset, self.me = server, offset, identity(pod, token)
        self.seen: LeaseView | None = None
        self.until = float("-inf")
        self.now = offset
        self.steps = self.run()

    def run(self) -> Iterator[None]:
        leading = False
        while True:
            yield  # the question travels
            read = self.server.lease
            yield  # and the answer
            self.seen = lease_view(read, self.seen, self.now) if read else self.seen
            asked_at = self.now
            wanted = move(self.seen, there=read is not None, me=self.me, moment=asked_at)
            if leading and wanted is not LeaderAction.RENEW:
                self.until = float("-inf")
                return
            if wanted is LeaderAction.WAIT:
                continue
            yield
            written = self.server.write(read["metadata"]["resourceVersion"] if read else None, self.me)
            yield
            if written:
                leading, self.until = True, safe_until(asked_at, SECONDS)
                self.seen = lease_view(written, self.seen, asked_at)

    def step(self, moment: float) -> None:
        self.now = moment + self.offset
        next(self.steps, None)

    def acts(self, moment: float) -> bool:
        return moment + self.offset < self.until


@settings(max_examples=by_tier(125, 500))
@given(
    offsets=st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=3),
    happenings=st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from([0.0, 0.1, 5.0, SECONDS - 0.1, SECONDS]), st.integers(0, 5)), max_size=60
    ),
)
def test_whatever_stops_for_however_long_never_two_act(offsets: list[float], happenings: list[tuple[int, float, int]]):
    """Each happening: time goes by, and one replica takes some steps, or dies and is started again in its pod."""
    server, moment = Server(), 0.0
    replicas = [Replica(server, f"pod-{number}", "0", offset) for number, offset in enumerate(offsets)]
    for count, (which, passing, steps) in enumerate(happenings):
        number, moment = which % len(replicas), moment + passing
        if steps == 0:
            replicas[number] = Replica(server, f"pod-{number}", str(count + 1), offsets[number])
        for _ in range(steps):
            replicas[number].step(moment)
            assert sum(each.acts(moment) for each in replicas) <= 1


def test_who_is_alone_comes_to_lead_and_goes_on_leading():
    replica, moment = Replica(Server(), "pod", "0", 1e9), 0.0
    for _ in range(40):
        replica.step(moment)
        moment += 0.5
    assert replica.acts(moment)

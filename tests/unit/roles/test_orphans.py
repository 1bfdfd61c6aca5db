"""What is on a platform and claimed by nobody is dropped after a grace; what should be there and is not ends its object."""

from datetime import UTC, datetime, timedelta

from rolevend.controllers.orphan_sweeper import Orphans, Sweep
from rolevend.model import RoleName, Uid
from rolevend.platforms.protocol import DropRequest, EndReason, LiveRole

START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
GRACE = timedelta(seconds=60)
NOTHING = Sweep((), ())


def role(name: str, *, closed: bool = False) -> LiveRole:
    return LiveRole(RoleName(f"ROLE_{name}"), Uid(name), START + timedelta(hours=1), closed)


def orphan(name: str) -> DropRequest:
    return DropRequest(RoleName(f"ROLE_{name}"), Uid(name), EndReason.ORPHANED)


def uids(*names: str) -> set[Uid]:
    return {Uid(name) for name in names}


def test_an_unclaimed_role_is_dropped_when_the_grace_is_over_and_not_before():
    orphans = Orphans(GRACE)
    roles = [role("claimed"), role("stray")]

    assert orphans.sweep(roles, uids("claimed"), uids(), START) == NOTHING
    assert orphans.sweep(roles, uids("claimed"), uids(), START + GRACE - timedelta(seconds=1)) == NOTHING
    assert orphans.sweep(roles, uids("claimed"), uids(), START + GRACE) == Sweep((orphan("stray"),), ())


def test_the_grace_begins_anew_for_a_role_that_was_claimed_meanwhile():
    orphans = Orphans(GRACE)
    orphans.sweep([role("a")], uids(), uids(), START)
    orphans.sweep([role("a")], uids("a"), uids(), START + GRACE)

    assert orphans.sweep([role("a")], uids(), uids(), START + 2 * GRACE) == NOTHING


def test_a_role_that_the_platform_locked_out_by_itself_ends_its_object():
    found = Orphans(GRACE).sweep([role("a", closed=True), role("b")], uids("a", "b"), uids("a", "b"), START)

    assert found == Sweep((), (Uid("a"),))


def test_a_role_that_was_closed_already_needs_no_grace():
    assert Orphans(GRACE).sweep([role("a", closed=True)], uids(), uids(), START) == Sweep((orphan("a"),), ())


def test_a_drop_that_did_not_succeed_is_asked_for_again():
    orphans = Orphans(timedelta(0))

    first = orphans.sweep([role("a")], uids(), uids(), START)

    assert orphans.sweep([role("a")], uids(), uids(), START) == first == Sweep((orphan("a"),), ())


def test_an_object_whose_role_is_not_there_is_named():
    found = Orphans(GRACE).sweep([role("a")], uids("a", "b", "c"), uids("a", "b"), START)

    assert found == Sweep((), (Uid("b"),)), "c is not ready yet, so nothing need be there"


def test_a_role_under_the_uid_of_another_one_is_claimed_by_nobody_and_stands_in_for_nobody():
    names = {Uid("a"): RoleName("ROLE_a")}
    stranger = LiveRole(RoleName("ROLE_of_a_stranger"), Uid("a"), START + timedelta(hours=1), False)
    orphans = Orphans(timedelta(0))

    both = orphans.sweep([role("a"), stranger], uids("a"), uids("a"), START, names)
    alone = orphans.sweep([stranger], uids("a"), uids("a"), START, names)

    dropped = DropRequest(stranger.role, Uid("a"), EndReason.ORPHANED)
    assert both == Sweep((dropped,), ())
    assert alone == Sweep((dropped,), (Uid("a"),))

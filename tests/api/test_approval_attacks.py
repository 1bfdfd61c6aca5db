"""An attack on an approval grants nothing: no status is approved, and no role is vended. Each is tried on the real API server, with the
operator and a replica of the API running."""

from collections.abc import Iterator

import pytest

from tests.support.approval_arena import ApprovalArena, Attack
from tests.support.attacks_on_calls import CALLS
from tests.support.attacks_on_uses import ASKS, USES
from tests.support.attacks_on_votes import VOTES
from tests.support.calling import Doors
from tests.support.site import Site

ATTACKS = {**VOTES, **USES, **ASKS, **CALLS}


@pytest.fixture(scope="module")
def attacked(site: Site, doors: Doors) -> Iterator[ApprovalArena]:
    site.ensure_operator()
    arena = ApprovalArena(site, doors.first)
    yield arena
    arena.leave()


@pytest.fixture
def arena(attacked: ApprovalArena) -> Iterator[ApprovalArena]:
    yield attacked
    attacked.clear()


@pytest.mark.thinned(2, "long")
@pytest.mark.parametrize(("attack", "error"), ATTACKS.values(), ids=ATTACKS.keys())
def test_an_attack_on_an_approval_grants_nothing_and_is_told_why(arena: ApprovalArena, attack: Attack, error: str):
    came = attack(arena)

    assert error in came.said
    arena.check(came)


def test_there_are_more_than_forty_attacks_each_with_a_name_of_its_own():
    assert sum(map(len, (VOTES, USES, ASKS, CALLS))) == len(ATTACKS) > 40

"""An approval that ends while its role is created: the role does not stay."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from rolevend.decision.approval import ActiveApproval, UnusableApproval
from rolevend.decision.outcome import Request
from rolevend.decision.snapshot import OfferEffect
from rolevend.model import ObjectName, Uid
from rolevend.policy.offer import Activation
from tests.support.in_memory import NOW
from tests.support.policies import policy
from tests.support.registered import PERSON, REQUEST, WAREHOUSE, a_snapshot, shapes
from tests.support.two_doors import World

OFFER = policy("offer", on_request=True)
SHAPES = shapes(OFFER)


class OneApproval:
    """See `roles.protocols.ApprovalUses`."""

    def __init__(self) -> None:
        self.has_ended = False

    async def refresh(self, name: ObjectName) -> None: ...

    def resolve(self, request: Request) -> Request:
        if request.approval is None:
            return request
        name, asked = request.approval.name, Activation(OFFER.id)
        if self.has_ended:
            return replace(request, approval=UnusableApproval(name, "NotApproved", "it is Revoked"))
        return replace(request, approval=ActiveApproval(name, Uid("ar"), asked, asked, DIGEST, NOW + timedelta(seconds=600)))

    async def use(self, request: Request) -> None:
        assert isinstance(request.approval, ActiveApproval)


def effect_digest() -> str:
    effect = SHAPES.effect(PERSON.attributes, Activation(OFFER.id), a_snapshot().asking(REQUEST))
    assert isinstance(effect, OfferEffect)
    return a_snapshot().digest(PERSON.user, effect)


DIGEST = effect_digest()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World(OneApproval())
    world.snapshot = replace(world.snapshot, shapes={WAREHOUSE: SHAPES})
    yield world
    await world.close()


async def test_a_role_whose_approval_holds_is_created(world: World):
    assert (await world.by_kubectl(partial=False, approval="ar-1")).lives_on == {WAREHOUSE}


async def test_a_role_whose_approval_ends_after_its_use_was_recorded_ends(world: World):
    def revoke() -> None:
        assert isinstance(world.approvals, OneApproval)
        world.approvals.has_ended = True

    world.databases[WAREHOUSE].on_vend = revoke

    fate = await world.by_kubectl(partial=False, approval="ar-1")

    assert (fate.lives_on, fate.reason) == (frozenset(), "PolicyChanged")
    assert world.left() == []

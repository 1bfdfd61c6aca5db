"""An approval that ends, or a platform that is suspended, while a role is created: the role does not stay."""

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
from tests.support.two_doors import ANNEX, World

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


@pytest.mark.parametrize("partial", [False, True])
async def test_a_role_that_an_ended_process_began_ends_on_a_suspended_platform_though_another_one_is_unread(
    partial: bool, monkeypatch: pytest.MonkeyPatch
):
    class ProcessEnds(BaseException):
        """Is raised between the first role and the second."""

    async def end(*_: object) -> None:
        raise ProcessEnds

    world = World()
    annex = world.of_operator.get(ANNEX)
    assert annex is not None
    with monkeypatch.context() as patched:
        patched.setattr(annex.kept, "vend", end)
        with pytest.raises(ProcessEnds):
            await world.by_kubectl(partial=partial)
    assert world.databases[WAREHOUSE].roles
    suspended = {name: replace(terms, suspended=name == WAREHOUSE) for name, terms in world.snapshot.platforms.items()}
    unread = {name: each for name, each in world.snapshot.shapes.items() if name == WAREHOUSE}
    world.snapshot = replace(world.snapshot, platforms=suspended, shapes=unread)

    await world.settle()

    assert world.left() == []
    await world.close()

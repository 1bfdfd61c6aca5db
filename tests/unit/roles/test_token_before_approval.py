"""A call redeems its token before it records the use of its approval: a call that gets no role for its token uses up no approval."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rolevend.api.problems import Problem
from rolevend.decision.outcome import Request
from rolevend.errors import ClusterUnavailable, RolevendError
from rolevend.kube.client import Body, ResourcePath
from rolevend.kube.token_replay import PREFIX
from rolevend.roles.protocols import ApprovalRefused
from tests.support import tokens
from tests.support.approvals import NoApprovals
from tests.support.two_doors import PROVEN, World

TURNS = 200


class OneUse(NoApprovals):
    """An approval for one role. The call that redeemed the token comes later than all others."""

    used: str | None = None
    holder: str | None = None

    async def use(self, request: Request) -> None:
        for _ in range(TURNS):
            await asyncio.sleep(0)
        if request.uid == self.holder:
            for _ in range(TURNS):
                await asyncio.sleep(0)
        if self.used not in (None, request.uid):
            raise ApprovalRefused("UsesGone", "it was used 1 times, its maximum")
        self.used = request.uid


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World(OneUse())
    yield world
    await world.close()


def on_token(world: World, action: Any) -> None:
    """Call `action` with the holder when a token is redeemed."""
    create = world.server.create

    async def watched(resource: ResourcePath, body: Body, namespace: str | None = None) -> Body:
        if body["metadata"].get("name", "").startswith(PREFIX):
            action(body["spec"]["holderIdentity"])
        return await create(resource, body, namespace)

    world.server.create = watched  # type: ignore[method-assign]


async def test_of_two_calls_with_one_token_and_one_approval_one_gets_a_role(world: World):
    approvals, token = world.approvals, tokens.access_token()
    assert isinstance(approvals, OneUse)
    on_token(world, lambda holder: setattr(approvals, "holder", approvals.holder or holder))

    async def call(number: int) -> bool:
        try:
            await world.service.vend(PROVEN, world.question(partial=False, token=token), None, f"call-{number}")
        except (Problem, RolevendError):
            return False
        return True

    assert sum(await asyncio.gather(call(1), call(2))) == 1


async def test_a_token_that_cannot_be_redeemed_now_does_not_use_up_an_approval(world: World):
    def fails(_: str) -> None:
        raise ClusterUnavailable("the API server does not answer")

    on_token(world, fails)
    with pytest.raises(RolevendError):
        await world.service.vend(PROVEN, world.question(partial=False, token=tokens.access_token()), None, "call-1")

    assert isinstance(world.approvals, OneUse)
    assert world.approvals.used is None

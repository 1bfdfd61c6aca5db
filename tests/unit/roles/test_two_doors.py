"""One table of cases, asked at both doors: the role ends in the same state at either door, and its end leaves nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest

from rolevend.decision.outcome import Request
from rolevend.errors import Conflict, Overtaken, PlatformBusy
from rolevend.roles.protocols import ApprovalRefused
from tests.support import tokens
from tests.support.approvals import NoApprovals
from tests.support.registered import WAREHOUSE
from tests.support.two_doors import ANNEX, Fate, World, granting

BOTH, HERE, NOWHERE = frozenset({WAREHOUSE, ANNEX}), frozenset({WAREHOUSE}), frozenset[str]()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.close()


async def asked(world: World, door: str, *, partial: bool, token: str | None = None, name: str = "ask") -> Fate:
    if door == "kubectl":
        return await world.by_kubectl(partial=partial, token=token, name=name)
    return await world.by_http(partial=partial, token=token)


def nothing_special(_world: World) -> None: ...


def annex_away(world: World) -> None:
    world.databases[ANNEX].is_away = True


def both_away(world: World) -> None:
    annex_away(world)
    world.databases[WAREHOUSE].is_away = True


def annex_not_connected(world: World) -> None:
    for each in (world.of_operator, world.of_api):
        each.disconnect(ANNEX)


def annex_disconnected_on_the_way(world: World) -> None:
    """After the object of a call was created."""
    world.server.listeners.append(lambda *_: annex_not_connected(world))


def annex_says(error: Exception) -> Callable[[World], None]:
    def prepare(world: World) -> None:
        world.databases[ANNEX].failure = error

    return prepare


def denied_on_annex(world: World) -> None:
    world.snapshot = granting(WAREHOUSE)


def denied_everywhere(world: World) -> None:
    world.snapshot = granting()


def policy_goes_meanwhile(world: World) -> None:
    """When the role on the annex was just created."""
    world.databases[ANNEX].on_vend = lambda: denied_everywhere(world)


def nothing_built(world: World) -> None:
    for database in world.databases.values():
        database.built = set()


def nothing_built_and_annex_away(world: World) -> None:
    nothing_built(world)
    annex_away(world)


@dataclass(frozen=True)
class Case:
    prepare: Callable[[World], None]
    partial: bool
    lives_on: frozenset[str]
    reason: str
    by_http: str | None = None
    """The problem's code, if it is another word than kubectl's."""


CASES = {
    "granted on both": Case(nothing_special, False, BOTH, "Live"),
    "one platform away": Case(annex_away, False, NOWHERE, "PlatformUnavailable"),
    "one platform away, less allowed": Case(annex_away, True, HERE, "Partial"),
    "both away, less allowed": Case(both_away, True, NOWHERE, "PlatformUnavailable"),
    "one platform not connected": Case(annex_not_connected, False, NOWHERE, "PlatformUnavailable"),
    "one platform not connected, less allowed": Case(annex_not_connected, True, HERE, "Partial"),
    "disconnected on the way, less allowed": Case(annex_disconnected_on_the_way, True, HERE, "Partial"),
    "one platform busy": Case(annex_says(PlatformBusy("a lock")), False, NOWHERE, "PlatformBusy"),
    "one platform busy, less allowed": Case(annex_says(PlatformBusy("a lock")), True, HERE, "Partial"),
    "overtaken": Case(annex_says(Overtaken("it was closed")), False, NOWHERE, "PolicyChanged", "Ended"),
    "overtaken, less allowed": Case(annex_says(Overtaken("it was closed")), True, HERE, "Partial"),
    "never possible on one": Case(annex_says(Conflict("somebody else's")), False, NOWHERE, "NotEverywhere", "Conflict"),
    "never possible on one, less allowed": Case(annex_says(Conflict("somebody else's")), True, HERE, "Partial"),
    "denied on one": Case(denied_on_annex, False, NOWHERE, "NoPolicy"),
    "denied on one, less allowed": Case(denied_on_annex, True, HERE, "Partial"),
    "denied on both, less allowed": Case(denied_everywhere, True, NOWHERE, "NoPolicy"),
    "the policy goes meanwhile": Case(policy_goes_meanwhile, False, NOWHERE, "PolicyChanged"),
    "the policy goes meanwhile, less allowed": Case(policy_goes_meanwhile, True, NOWHERE, "PolicyChanged"),
    "profiles missing": Case(nothing_built, False, BOTH, "Live"),
    "profiles missing and one platform away": Case(nothing_built_and_annex_away, False, NOWHERE, "PlatformUnavailable"),
    "profiles missing and one platform away, less allowed": Case(nothing_built_and_annex_away, True, HERE, "Partial"),
}


@pytest.mark.parametrize("door", ["kubectl", "HTTP"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_the_doors_agree_on_what_becomes_of_a_role(world: World, case: Case, door: str):
    case.prepare(world)

    fate = await asked(world, door, partial=case.partial)

    assert fate == Fate(case.lives_on, case.reason if door == "kubectl" else case.by_http or case.reason)
    assert bool(fate.lives_on) <= any(each.type.endswith("granted") for each in world.trail.events)
    await world.end()
    assert world.left() == []


@pytest.mark.parametrize("door", ["kubectl", "HTTP"])
@pytest.mark.parametrize("built", [True, False], ids=["built", "missing"])
async def test_a_token_is_good_for_one_role_at_either_door(world: World, door: str, built: bool):
    if not built:
        nothing_built(world)
    token = tokens.access_token()

    first = await asked(world, door, partial=False, token=token, name="first")
    second = await asked(world, door, partial=False, token=token, name="second")

    assert (first, second) == (Fate(BOTH, "Live"), Fate(NOWHERE, "TokenReplayed"))
    await world.end()
    assert world.left() == []


@pytest.mark.parametrize("second", ["kubectl", "HTTP"])
@pytest.mark.parametrize("first", ["kubectl", "HTTP"])
async def test_a_token_that_was_used_at_one_door_is_used_at_the_other(world: World, first: str, second: str):
    token = tokens.access_token()
    await asked(world, first, partial=False, token=token, name="first")

    assert await asked(world, second, partial=False, token=token, name="second") == Fate(NOWHERE, "TokenReplayed")


@pytest.mark.parametrize("partial", [False, True])
@pytest.mark.parametrize("second", ["kubectl", "HTTP"])
@pytest.mark.parametrize("first", ["kubectl", "HTTP"])
async def test_the_quota_counts_the_roles_of_both_doors(world: World, first: str, second: str, partial: bool):
    world.snapshot = granting(WAREHOUSE, ANNEX, most_live=1)
    assert (await asked(world, first, partial=partial, name="first")).lives_on == BOTH

    assert await asked(world, second, partial=partial, name="second") == Fate(NOWHERE, "TooManyRoles")


class LateUse(NoApprovals):
    """Records the use of an approval after all else that runs at the same time, or refuses it."""

    def __init__(self, *, refuses: bool) -> None:
        self.refuses = refuses
        self.is_recorded = False

    async def use(self, request: Request) -> None:
        for _ in range(50):
            await asyncio.sleep(0)
        if self.refuses:
            raise ApprovalRefused("UsesGone", "it was used up meanwhile")
        self.is_recorded = True


@pytest.mark.parametrize("refuses", [False, True], ids=["recorded", "refused"])
@pytest.mark.parametrize("built", [True, False], ids=["built", "missing"])
@pytest.mark.parametrize("door", ["kubectl", "HTTP"])
async def test_no_role_is_created_before_the_use_of_an_approval_is_recorded(door: str, built: bool, refuses: bool):
    approvals, seen = LateUse(refuses=refuses), list[bool]()
    world = World(approvals)
    if not built:
        nothing_built(world)
    for database in world.databases.values():
        database.on_vend = lambda: seen.append(approvals.is_recorded)

    fate = await asked(world, door, partial=False)

    assert fate.lives_on == (NOWHERE if refuses else BOTH)
    assert seen == ([] if refuses else [True, True])
    await world.end()
    assert world.left() == []
    await world.close()

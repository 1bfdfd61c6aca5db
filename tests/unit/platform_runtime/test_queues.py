"""Vends and drops of one platform: one alone waits for nobody, a crowd goes together, what fails is in nobody's way, nothing is lost."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from rolevend.errors import Conflict, PlatformBusy, PlatformUnavailable
from rolevend.model import AgentHandle, Attributes, ClusterId, ObjectName, ProfileName, RoleName, Uid, User
from rolevend.plan import Lease
from rolevend.platform_runtime.breaker import FAILURES, CircuitBreaker
from rolevend.platform_runtime.queues import MOST, DropQueue, Vend, VendQueue
from rolevend.platforms.protocol import Address, CreatedRole, DropRequest, DropResult, EndReason, PasswordCredential, Secret

PATIENCE = 10.0
"""Seconds after which a test gives up."""
DOWN = PlatformUnavailable("cannot ask db:5432: connection refused")

_numbers = itertools.count(1)


def wanted(profile: str = "one") -> Vend:
    role = RoleName(f"ROLE_{next(_numbers)}")
    lease = Lease(
        role=role,
        cluster=ClusterId("c"),
        uid=Uid(role),
        profile=ProfileName(profile),
        agent=ObjectName("agents", "a"),
        agent_handle=AgentHandle("A"),
        user=User("https://idp.example.org", "jane"),
        attributes=Attributes(),
        expires_at=datetime(2030, 1, 1, tzinfo=UTC),
    )
    return lease, PasswordCredential(role, Secret("s"), Address("db", 5432, "d"), lease.profile)


def ending() -> DropRequest:
    role = RoleName(f"ROLE_{next(_numbers)}")
    return DropRequest(role, Uid(role), EndReason.RELEASED)


class Platform:
    """Answers calls when it is let; what it says of a role is in `errors`."""

    def __init__(self) -> None:
        self.calls: list[list[RoleName]] = []
        self.errors: dict[RoleName, Exception] = {}
        self.fault: Exception | None = None
        self.answers = asyncio.Event()
        self.answers.set()
        self.breaker = CircuitBreaker(time.monotonic)
        self.hurry: Callable[[], None] = lambda: None

    async def vend(self, vends: Sequence[Vend]) -> Sequence[CreatedRole]:
        return [CreatedRole(role, None, error) for role, error in await self._answer([lease.role for lease, _ in vends])]

    async def drop(self, endings: Sequence[DropRequest]) -> Sequence[DropResult]:
        return [DropResult(role, error) for role, error in await self._answer([each.role for each in endings])]

    async def _answer(self, roles: list[RoleName]) -> list[tuple[RoleName, Exception | None]]:
        self.calls.append(roles)
        await self.answers.wait()
        if self.fault is not None and not isinstance(self.fault, PlatformUnavailable):
            raise self.fault
        if self.breaker.record_result(self.fault):
            self.hurry()
        return [(role, self.fault or self.errors.get(role)) for role in roles]


@pytest.fixture
async def platform() -> Platform:
    return Platform()


@pytest.fixture
async def vends(platform: Platform) -> VendQueue:
    return VendQueue(platform.vend, 2, platform.breaker)


async def at_once() -> None:
    """Every call has its turn."""


@pytest.fixture
async def drops(platform: Platform) -> DropQueue:
    made = DropQueue(platform.drop, at_once, platform.breaker, time.monotonic)
    platform.retry_now = made.retry_now
    return made


async def soon(awaited: Awaitable[object]) -> object:
    return await asyncio.wait_for(awaited, PATIENCE)


async def outcomes(awaited: Iterable[Awaitable[object]]) -> list[object]:
    return list(await asyncio.wait_for(asyncio.gather(*awaited, return_exceptions=True), PATIENCE))


async def begun(platform: Platform, calls: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while len(platform.calls) < calls:
            await asyncio.sleep(0)


class TestVends:
    async def test_one_alone_leaves_at_once(self, vends: VendQueue, platform: Platform):
        answer = await soon(vends.vend(one := wanted()))

        assert answer == CreatedRole(one[0].role, None)
        assert platform.calls == [[one[0].role]]

    async def test_those_who_come_while_a_call_is_under_way_go_together(self, vends: VendQueue, platform: Platform):
        platform.answers.clear()
        crowd = [wanted() for _ in range(16)]
        tasks = [asyncio.create_task(vends.vend(each)) for each in crowd]
        await begun(platform, 1)

        assert vends.waiting == 15
        platform.answers.set()
        await outcomes(tasks)

        assert [len(call) for call in platform.calls] == [1, 15]
        assert vends.waiting == 0

    async def test_no_call_carries_more_than_a_platform_takes(self, vends: VendQueue, platform: Platform):
        await outcomes(vends.vend(wanted()) for _ in range(2 * MOST + 2))

        assert [len(call) for call in platform.calls] == [1, MOST, MOST, 1]

    async def test_where_they_are_apart_each_leaves_at_once_whatever_its_profile_and_the_rest_when_a_call_is_done(self, platform: Platform):
        apart = VendQueue(platform.vend, 3, platform.breaker, apart=True)
        platform.answers.clear()
        crowd = [*(wanted() for _ in range(4)), wanted("two")]
        tasks = [asyncio.create_task(apart.vend(each)) for each in crowd]
        await begun(platform, 3)

        assert platform.calls == [[lease.role] for lease, _ in crowd[:3]]
        assert apart.waiting == 2
        platform.answers.set()
        assert await outcomes(tasks) == [CreatedRole(lease.role, None) for lease, _ in crowd]
        assert sorted(platform.calls) == sorted([lease.role] for lease, _ in crowd)
        assert apart.waiting == 0

    async def test_another_profile_does_not_wait_for_a_slow_one(self, vends: VendQueue, platform: Platform):
        platform.answers.clear()
        slow = [asyncio.create_task(vends.vend(wanted("slow"))) for _ in range(3)]
        await begun(platform, 1)

        quick = asyncio.create_task(vends.vend(one := wanted("quick")))
        await begun(platform, 2)

        assert platform.calls[1] == [one[0].role]
        platform.answers.set()
        await outcomes([quick, *slow])

    async def test_profiles_take_turns(self, vends: VendQueue, platform: Platform):
        platform.answers.clear()
        first = [asyncio.create_task(vends.vend(wanted(name))) for name in ("a", "b")]
        await begun(platform, 2)
        later = [asyncio.create_task(vends.vend(wanted("a"))) for _ in range(MOST + 1)]
        later.append(asyncio.create_task(vends.vend(last := wanted("c"))))
        await asyncio.sleep(0)

        platform.answers.set()
        await outcomes([*first, *later])

        assert [last[0].role] in platform.calls[:4]

    async def test_what_one_vend_meets_is_its_own(self, vends: VendQueue, platform: Platform):
        crowd = [wanted() for _ in range(4)]
        platform.errors[crowd[2][0].role] = Conflict("another's")

        answers = await outcomes(vends.vend(each) for each in crowd)

        assert [answer.error for answer in answers if isinstance(answer, CreatedRole)] == [
            None,
            None,
            platform.errors[crowd[2][0].role],
            None,
        ]

    async def test_a_fault_of_the_driver_is_told_to_each_and_the_next_call_goes_on(self, vends: VendQueue, platform: Platform):
        platform.fault = RuntimeError("a bug")
        assert await outcomes(vends.vend(wanted()) for _ in range(3)) == [platform.fault] * 3

        platform.fault = None
        assert await soon(vends.vend(one := wanted())) == CreatedRole(one[0].role, None)

    async def test_who_leaves_takes_nothing_from_the_others(self, vends: VendQueue, platform: Platform):
        platform.answers.clear()
        tasks = [asyncio.create_task(vends.vend(wanted())) for _ in range(4)]
        await begun(platform, 1)
        tasks[2].cancel()
        platform.answers.set()

        answers = await outcomes(tasks)

        assert [type(answer) for answer in answers] == [CreatedRole, CreatedRole, asyncio.CancelledError, CreatedRole]

    async def test_while_the_platform_does_not_answer_nobody_waits(self, vends: VendQueue, platform: Platform):
        platform.fault = DOWN
        for _ in range(FAILURES):
            await soon(vends.vend(wanted()))
        platform.calls.clear()
        platform.answers.clear()

        answers = await outcomes(vends.vend(wanted()) for _ in range(50))

        assert all(isinstance(answer, PlatformUnavailable) and str(answer) == str(DOWN) for answer in answers)
        assert platform.calls == []


class TestDrops:
    async def test_a_drop_that_fails_says_so_and_goes_on_unasked_until_it_succeeds(self, drops: DropQueue, platform: Platform):
        one = ending()
        platform.errors[one.role] = PlatformBusy("a large object in another database")

        assert await soon(drops.drop(one, 0)) == DropResult(one.role, platform.errors[one.role])
        assert drops.waiting == 1
        await begun(platform, 3)
        platform.errors.clear()

        assert await soon(drops.drop(one, PATIENCE)) == DropResult(one.role)
        assert drops.waiting == 0
        assert all(call == [one.role] for call in platform.calls)

    async def test_sessions_and_time_of_every_try_are_told_together(self, platform: Platform):
        sessions = iter([{1, 2}, {2}, {3}])

        async def call(endings: Sequence[DropRequest]) -> Sequence[DropResult]:
            return [replace(each, sessions=frozenset(next(sessions))) for each in await platform.drop(endings)]

        drops = DropQueue(call, at_once, platform.breaker, time.monotonic)
        one = ending()
        platform.errors[one.role] = PlatformBusy("sessions remain")
        first = await soon(drops.drop(one, 0))
        await begun(platform, 2)
        platform.errors.clear()
        last = await soon(drops.drop(one, PATIENCE))

        assert isinstance(first, DropResult)
        assert isinstance(last, DropResult)
        assert (first.error is None, first.sessions) == (False, {1, 2})
        assert (last.error, last.sessions) == (None, {1, 2, 3}), "the one that was asked twice is one"
        assert last.seconds > first.seconds > 0

    async def test_asking_again_does_not_try_twice(self, drops: DropQueue, platform: Platform):
        platform.answers.clear()
        one = ending()
        tasks = [asyncio.create_task(drops.drop(one, 0)) for _ in range(3)]
        await begun(platform, 1)
        platform.answers.set()

        assert await outcomes(tasks) == [DropResult(one.role)] * 3
        assert platform.calls == [[one.role]]

    async def test_what_fails_is_never_in_a_call_with_what_is_new(self, drops: DropQueue, platform: Platform):
        stuck = [ending() for _ in range(200)]
        platform.errors = {each.role: PlatformBusy("a locked table") for each in stuck}
        await outcomes(drops.drop(each, 0) for each in stuck)
        assert drops.waiting == 200
        platform.calls.clear()

        fresh = [ending() for _ in range(20)]
        assert await outcomes(drops.drop(each, 0) for each in fresh) == [DropResult(each.role) for each in fresh]

        mixed = [call for call in platform.calls if {each.role for each in fresh} & set(call) and set(platform.errors) & set(call)]
        assert not mixed
        platform.errors.clear()
        assert await outcomes(drops.drop(each, PATIENCE) for each in stuck) == [DropResult(each.role) for each in stuck]

    async def test_a_call_of_what_failed_keeps_nothing_new_waiting(self, drops: DropQueue, platform: Platform):
        slow = ending()
        platform.errors[slow.role] = PlatformBusy("a locked table")
        await soon(drops.drop(slow, 0))
        platform.answers.clear()
        await begun(platform, 2)

        fresh = asyncio.create_task(drops.drop(one := ending(), 0))
        await begun(platform, 3)

        assert platform.calls[1:] == [[slow.role], [one.role]]
        platform.answers.set()
        assert await soon(fresh) == DropResult(one.role)

    async def test_when_the_platform_is_back_everything_is_dropped_at_once(self, drops: DropQueue, platform: Platform):
        platform.fault = DOWN
        stuck = [ending() for _ in range(200)]
        failed = await outcomes(drops.drop(each, 0) for each in stuck)
        assert [type(answer.error) for answer in failed if isinstance(answer, DropResult)] == [PlatformUnavailable] * 200
        async with asyncio.timeout(PATIENCE):
            while not platform.breaker.is_open:
                await asyncio.sleep(0.01)
        assert str((await drops.drop(ending(), 0)).error) == str(DOWN)

        platform.calls.clear()
        platform.fault = None

        assert await outcomes(drops.drop(each, PATIENCE) for each in stuck) == [DropResult(each.role) for each in stuck]
        assert len(platform.calls) <= 6, "in crowds, and without a try for each"

    async def test_when_what_was_in_the_way_of_one_is_gone_all_others_are_tried_at_once(self, platform: Platform):
        moment = 0.0
        drops = DropQueue(platform.drop, at_once, platform.breaker, lambda: moment)
        often, once = [ending() for _ in range(200)], ending()
        platform.errors = {each.role: PlatformBusy("an object in another database") for each in (*often, once)}
        await outcomes(drops.drop(each, 0) for each in often)
        moment += 0.3
        await begun(platform, 8)
        await soon(drops.drop(once, 0))
        platform.errors.clear()

        moment += 0.3  # now it is the turn of that one only

        assert await outcomes(drops.drop(each, PATIENCE) for each in often) == [DropResult(each.role) for each in often]

    async def test_a_fault_of_the_driver_is_no_end_of_a_drop(self, drops: DropQueue, platform: Platform):
        platform.fault = RuntimeError("a bug")
        one = ending()
        assert await soon(drops.drop(one, 0)) == DropResult(one.role, platform.fault)

        platform.fault = None

        assert await soon(drops.drop(one, PATIENCE)) == DropResult(one.role)

    async def test_closing_tells_all_who_wait(self, drops: DropQueue, platform: Platform):
        one = ending()
        platform.errors[one.role] = PlatformBusy("a locked table")
        await soon(drops.drop(one, 0))
        waiting = asyncio.create_task(drops.drop(one, PATIENCE * 10))
        await asyncio.sleep(0)
        anew = PlatformUnavailable("connected anew")

        drops.close(anew)

        assert await soon(waiting) == DropResult(one.role, anew)
        assert drops.waiting == 0

    async def test_each_call_waits_for_its_turn(self, platform: Platform):
        turn = asyncio.Event()

        async def wait() -> None:
            await turn.wait()

        drops = DropQueue(platform.drop, wait, platform.breaker, time.monotonic)
        task = asyncio.create_task(drops.drop(one := ending(), 0))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert platform.calls == []

        turn.set()

        assert await soon(task) == DropResult(one.role)

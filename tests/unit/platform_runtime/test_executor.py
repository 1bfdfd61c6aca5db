"""A driver at work for many: what is built already waits for no build, one build serves all who want it, and a closed one says so."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from secrets import token_bytes
from typing import cast

import pytest

from rolevend.errors import PlatformBusy, PlatformUnavailable
from rolevend.model import AgentHandle, Attributes, ClusterId, ObjectName, PlatformName, ProfileName, RoleName, Uid, User
from rolevend.plan import Lease, Profile
from rolevend.platform_runtime.executor import BUILDERS, PlatformExecutor
from rolevend.platform_runtime.queues import Vend
from rolevend.platforms.progress import BuildProgress, ProgressCallback
from rolevend.platforms.protocol import (
    Address,
    CheckResult,
    CreatedRole,
    DropRequest,
    EndReason,
    InstallMode,
    Outcome,
    PasswordCredential,
    Platform,
    Randomness,
    Secret,
    ServerFacts,
)

WAREHOUSE = PlatformName("warehouse")
PATIENCE = 10.0
"""Seconds after which a test gives up."""


def profile(name: str) -> Profile:
    return Profile(ProfileName(name), ())


class Builder:
    """Of a driver the part that builds: each build goes on until `finish` is set."""

    records = None
    max_parallel_vends = None

    def __init__(self, *built: str) -> None:
        self.built = set(built)
        self.builds: list[str] = []
        self.told: list[ProgressCallback] = []
        self.finish = threading.Event()
        self.failure: Exception | None = None
        self.closed = False
        self._begun = threading.Condition()

    def is_built(self, name: ProfileName) -> bool:
        return name in self.built

    def ensure(self, wanted: Profile, on_progress: ProgressCallback) -> None:
        with self._begun:
            self.told.append(on_progress)
            self.builds.append(wanted.name)
            self._begun.notify_all()
        assert self.finish.wait(PATIENCE)
        if self.failure is not None:
            raise self.failure
        self.built.add(wanted.name)

    async def begun(self, count: int) -> None:
        """Returns when so many builds were begun."""

        def wait() -> bool:
            with self._begun:
                return self._begun.wait_for(lambda: len(self.builds) >= count, PATIENCE)

        assert await asyncio.to_thread(wait)

    def facts(self) -> ServerFacts:
        return ServerFacts("18.4", "one")

    def attest(self, mode: InstallMode, randomness: Randomness, *, alone: bool, wanted: Callable[[], bool]) -> Sequence[CheckResult]:
        with self._begun:
            self.builds.append("canaries")
            self._begun.notify_all()
        assert self.finish.wait(PATIENCE)
        return (CheckResult("read the table", Outcome.PASSED),)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def driver() -> Builder:
    return Builder("warm")


@pytest.fixture
async def executor(driver: Builder) -> AsyncIterator[PlatformExecutor]:
    made = PlatformExecutor(WAREHOUSE, cast(Platform, driver), workers=2)
    yield made
    driver.finish.set()
    await made.close()


async def soon(awaited: Awaitable[object]) -> object:
    return await asyncio.wait_for(awaited, PATIENCE)


async def outcomes(awaited: Iterable[Awaitable[object]]) -> list[object]:
    return list(await asyncio.wait_for(asyncio.gather(*awaited, return_exceptions=True), PATIENCE))


async def test_what_is_built_waits_for_no_build_though_every_builder_is_at_work(executor: PlatformExecutor, driver: Builder):
    cold = [asyncio.create_task(executor.ensure(profile(f"cold-{number}"))) for number in range(BUILDERS + 1)]
    await driver.begun(BUILDERS)

    await soon(executor.ensure(profile("warm")))

    assert not any(task.done() for task in cold)
    driver.finish.set()
    await soon(asyncio.gather(*cold))
    assert "warm" not in driver.builds


async def test_the_platform_is_looked_at_while_every_builder_is_at_work(executor: PlatformExecutor, driver: Builder):
    cold = [asyncio.create_task(executor.ensure(profile(f"cold-{number}"))) for number in range(BUILDERS + 1)]
    await driver.begun(BUILDERS)

    assert await soon(executor.facts()) == ServerFacts("18.4", "one")

    assert not any(task.done() for task in cold)
    driver.finish.set()
    await soon(asyncio.gather(*cold))


async def test_several_who_want_one_cold_profile_have_it_built_once(executor: PlatformExecutor, driver: Builder):
    waiting = [asyncio.create_task(executor.ensure(profile("cold"))) for _ in range(5)]
    await driver.begun(1)
    waiting.append(asyncio.create_task(executor.ensure(profile("cold"))))
    driver.finish.set()

    await soon(asyncio.gather(*waiting))

    assert driver.builds == ["cold"]


async def test_who_gives_up_waiting_takes_the_build_from_nobody(executor: PlatformExecutor, driver: Builder):
    leaving, staying = (asyncio.create_task(executor.ensure(profile("cold"))) for _ in range(2))
    await driver.begun(1)

    leaving.cancel()
    await outcomes([leaving])
    assert not staying.done()
    driver.finish.set()

    await soon(staying)
    assert driver.builds == ["cold"]


async def test_a_build_that_fails_is_told_to_all_who_waited_and_begun_anew_for_the_next(executor: PlatformExecutor, driver: Builder):
    driver.failure = PlatformBusy("a table is locked")
    waiting = [asyncio.create_task(executor.ensure(profile("cold"))) for _ in range(3)]
    await driver.begun(1)
    driver.finish.set()

    assert await outcomes(waiting) == [driver.failure] * 3

    driver.failure = None
    await soon(executor.ensure(profile("cold")))
    assert driver.builds == ["cold", "cold"]


async def test_how_far_a_build_is_can_be_asked_while_it_goes_on(executor: PlatformExecutor, driver: Builder):
    cold, other = profile("cold"), profile("other")
    building = asyncio.create_task(executor.ensure(cold))
    await driver.begun(1)
    assert executor.progress(cold) is None

    await asyncio.to_thread(driver.told[0], BuildProgress(1, 3, "view"))

    assert (executor.progress(cold), executor.progress(other)) == (BuildProgress(1, 3, "view"), None)
    driver.finish.set()
    await soon(building)
    assert executor.progress(cold) is None


async def test_a_profile_that_was_taken_away_is_built_again(executor: PlatformExecutor, driver: Builder):
    driver.finish.set()
    driver.built.remove("warm")

    await soon(executor.ensure(profile("warm")))

    assert driver.builds == ["warm"]


async def test_whoever_still_holds_it_when_it_is_closed_is_told_to_try_again(executor: PlatformExecutor, driver: Builder):
    await executor.close()

    ending = DropRequest(RoleName("ROLE"), Uid("uid"), EndReason.RELEASED)
    asked = (executor.facts(), executor.ensure(profile("cold")), executor.drop(ending), executor.catalog(frozenset()))
    for answer in await outcomes(asked):
        assert isinstance(answer, PlatformUnavailable)
        assert "DataPlatform warehouse is being reconnected" in str(answer)
    assert driver.closed


async def test_closing_waits_for_what_was_begun_and_takes_nothing_new(executor: PlatformExecutor, driver: Builder):
    begun = asyncio.create_task(executor.ensure(profile("cold")))
    await driver.begun(1)
    closing = asyncio.create_task(executor.close())
    await asyncio.sleep(0)  # its turn to begin

    (late,) = await outcomes([executor.ensure(profile("late"))])

    assert isinstance(late, PlatformUnavailable)
    assert not closing.done()
    assert not driver.closed
    driver.finish.set()
    await soon(asyncio.gather(begun, closing))
    assert driver.builds == ["cold"]
    assert driver.closed


async def test_its_connections_are_given_back_though_who_closes_it_is_cancelled_and_no_thread_is_free(driver: Builder):
    executor, busy, free = PlatformExecutor(WAREHOUSE, cast(Platform, driver), workers=2), threading.Event(), ThreadPoolExecutor(1)
    asyncio.get_running_loop().set_default_executor(free)
    free.submit(busy.wait, PATIENCE)
    closing = asyncio.create_task(executor.close())
    await asyncio.sleep(0)

    closing.cancel()
    await asyncio.gather(closing, return_exceptions=True)
    busy.set()
    free.shutdown(wait=True)

    assert driver.closed


async def test_a_build_that_goes_on_when_it_is_closed_ends_at_its_next_step_and_says_try_again(executor: PlatformExecutor, driver: Builder):
    """A thousand views take minutes on some platforms; the next build goes on with those that are there."""
    begun = asyncio.create_task(executor.ensure(profile("cold")))
    await driver.begun(1)
    closing = asyncio.create_task(executor.close())
    await asyncio.sleep(0)
    with pytest.raises(PlatformUnavailable, match="being reconnected") as raised:
        driver.told[0](BuildProgress(20, 1000, "view"))

    driver.failure = raised.value
    driver.finish.set()

    with pytest.raises(PlatformUnavailable, match="being reconnected"):
        await soon(begun)
    await soon(closing)


async def test_closing_waits_for_no_attestation_which_goes_on_to_its_end(executor: PlatformExecutor, driver: Builder):
    """It takes minutes on some platforms, and what replaces this one is waited for."""
    attesting = asyncio.create_task(executor.attest(InstallMode.SUPERUSER, token_bytes, alone=True, wanted=lambda: True))
    await driver.begun(1)

    await soon(executor.close())

    assert driver.closed
    assert not attesting.done()
    driver.finish.set()
    assert await soon(attesting) == (CheckResult("read the table", Outcome.PASSED),)


class Hasher(Builder):
    """Of a driver the part that vends: a credential is prepared when two of them are at it."""

    def __init__(self) -> None:
        super().__init__("one")
        self.both = threading.Barrier(2, timeout=PATIENCE)
        self.vended: list[str] = []

    def prepares_slowly(self, credential: PasswordCredential) -> bool:
        return credential.verifier is None

    def prepare(self, credential: PasswordCredential) -> PasswordCredential:
        self.both.wait()
        return replace(credential, verifier=f"of {credential.role}")

    def vend(self, vends: Sequence[Vend]) -> Sequence[CreatedRole]:
        self.vended += [str(cast(PasswordCredential, credential).verifier) for _, credential in vends]
        return [CreatedRole(lease.role, None) for lease, _ in vends]


def wanted(role: str) -> Vend:
    lease = Lease(
        RoleName(role),
        ClusterId("c"),
        Uid(role),
        ProfileName("one"),
        ObjectName("agents", "a"),
        AgentHandle("A"),
        User("https://idp.example.org", "jane"),
        Attributes(),
        datetime(2030, 1, 1, tzinfo=UTC),
    )
    return lease, PasswordCredential(RoleName(role), Secret("s"), Address("db", 5432, "d"), lease.profile)


async def test_credentials_of_several_vends_are_prepared_at_once_and_before_the_call(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    driver = Hasher()
    executor = PlatformExecutor(WAREHOUSE, cast(Platform, driver), workers=1)
    await soon(asyncio.gather(*(executor.vend(*wanted(role)) for role in ("A", "B"))))
    await executor.close()

    assert sorted(driver.vended) == ["of A", "of B"]

"""Two people with many sessions of rolevend_client in one process, at two replicas: neither ever sees a row of the other."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from itertools import cycle

import pytest

from rolevend_client import AsyncRolevend, Denied, RoleSession, Rolevend
from tests.api.test_two_people import COUNTRIES, ROWS
from tests.support.calling import Caller, Doors
from tests.support.proving import Proven
from tests.support.site import WAREHOUSE
from tests.support.tiers import by_tier
from tests.support.waiting import eventually

SESSIONS = by_tier(24, 1_000)
AT_ONCE = 12
_READ = "SELECT country, person_id FROM people"


@pytest.fixture
def callers(proven: Proven, doors: Doors) -> list[Caller]:
    proven.ready_to_ask()
    return [Caller(proven, each).known() for each in (doors.first, doors.second)]


async def test_sessions_of_two_people_never_cross_and_go_on_after_an_end(callers: list[Caller]):
    seen: set[tuple[str, str, int]] = set()
    roles: set[str] = set()
    room = asyncio.Semaphore(AT_ONCE)
    proven = callers[0].proven
    bearer = proven.token(proven.client, seconds=1200)

    async def use(client: AsyncRolevend, person: str, *, is_taken_away: bool) -> None:
        def token() -> str:
            return proven.token(person, groups=[COUNTRIES[person]], seconds=1200)

        async with room, client.session(token, platform=WAREHOUSE) as session:
            for _ in range(2):
                rows = await session.query(_READ)
                seen.update((person, country, key) for country, key in rows)
                role = await session.role()
                roles.add(role.name)
                if is_taken_away:
                    await client.release(role.id)

    async with AsyncExitStack() as stack:
        clients: Iterator[AsyncRolevend] = cycle(
            [await stack.enter_async_context(AsyncRolevend(each.api.url, token=bearer, patience=60)) for each in callers]
        )
        people = [person for _, person in zip(range(SESSIONS), cycle(COUNTRIES), strict=False)]
        async with asyncio.TaskGroup() as uses:
            for number, person in enumerate(people):
                uses.create_task(use(next(clients), person, is_taken_away=number % 4 == 3))

    assert seen == {(person, country, key) for person, country in COUNTRIES.items() for key in ROWS[country]}
    assert len(roles) == SESSIONS + SESSIONS // 4
    assert await asyncio.to_thread(eventually, lambda: proven.tenant.roles() == set())


def test_a_person_who_is_suspended_is_denied_once_and_then_by_the_session_itself(callers: list[Caller]):
    caller = callers[0]
    tenant = caller.proven.tenant
    client = Rolevend(caller.api.url, token=lambda: caller.token)

    def denial(session: RoleSession) -> str:
        try:
            session.query(_READ)
        except Denied as error:
            return error.code
        return ""

    with client.session(caller.proven.token, platform=WAREHOUSE) as session:
        assert len(session.query(_READ)) == 2
        suspended = tenant.make("UserAttributes", {"user": caller.proven.user(), "suspend": True})
        assert eventually(lambda: denial(session)) == "Suspended"
        tenant.site.patch(suspended, {"suspend": False})
        caller.known()
        assert denial(session) == "Suspended"
        assert tenant.roles() == set()

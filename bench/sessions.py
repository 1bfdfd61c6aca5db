"""Sessions of rolevend_client for two people, all open at one time: `python -m bench.sessions [--quick]`, from the repository's root.

Two replicas of the API vend for one agent. No session may see a row of the other person. The API server, the operator and PostgreSQL run on
this machine, too.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from itertools import cycle, islice

from bench.cluster import PRODUCTION, fresh_site
from bench.lines import Line, percentile, quick, reported, table
from rolevend_client import AsyncRolevend
from tests.api.test_two_people import COUNTRIES, ROWS
from tests.support.calling import Doors
from tests.support.proving import Proven
from tests.support.site import WAREHOUSE, Site
from tests.support.tenancy import Tenant
from tests.support.waiting import eventually

FULL, QUICK = 1_000, 40
LIFETIME = 3_000
READ = "SELECT country, person_id FROM people"
HELD = r"SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'IMMUTA\_VENDED\_%'"


class Sessions:
    """So many sessions. Each queries before all of them are open, and once more then."""

    def __init__(self, proven: Proven, count: int) -> None:
        self._proven = proven
        self._all_open = asyncio.Barrier(count)
        self._count = count
        self._bearer = proven.token(proven.client, seconds=LIFETIME)
        self.seen: set[tuple[str, str, int]] = set()
        """The person, and a row that a session of this person returned."""
        self.roles: set[str] = set()
        self.waited: list[float] = []
        """Seconds from the begin of each session to its first rows."""
        self.held = 0
        """Database sessions of vended roles while all were open."""

    async def run(self, doors: Doors) -> None:
        async with AsyncExitStack() as stack:
            replicas = [AsyncRolevend(each.url, token=self._bearer, patience=LIFETIME) for each in (doors.first, doors.second)]
            clients = cycle([await stack.enter_async_context(each) for each in replicas])
            async with asyncio.TaskGroup() as tasks:
                for person, client in islice(zip(cycle(COUNTRIES), clients, strict=False), self._count):
                    tasks.create_task(self._use(client, person))

    async def _use(self, client: AsyncRolevend, person: str) -> None:
        def token() -> str:
            return self._proven.token(person, groups=[COUNTRIES[person]], seconds=LIFETIME)

        began = time.monotonic()
        async with client.session(token, platform=WAREHOUSE, seconds=LIFETIME) as session:
            self.seen.update((person, *row) for row in await session.query(READ))
            self.waited.append(time.monotonic() - began)
            if await self._all_open.wait() == 0:
                ((self.held,),) = await asyncio.to_thread(self._proven.site.warehouse.ask, HELD)
            await self._all_open.wait()
            self.seen.update((person, *row) for row in await session.query(READ))
            self.roles.add((await session.role()).name)


def lines(site: Site, count: int) -> Iterator[Line]:
    site.warehouse.server.restart({"max_connections": str(count + 100)})
    site.operator.stop()
    site.start_operator(PRODUCTION)
    site.wait_for_platform(WAREHOUSE)
    tenant = Tenant(site)
    proven = Proven(tenant).ready_to_ask()
    with Doors(site) as doors:
        sessions, began = Sessions(proven, count), time.monotonic()
        asyncio.run(sessions.run(doors))
        lasted = time.monotonic() - began
    expected = {(person, country, key) for person, country in COUNTRIES.items() for key in ROWS[country]}
    yield Line("database sessions of vended roles at one time", f"{sessions.held:,}", f">= {count:,}", sessions.held >= count)
    yield Line("roles", f"{len(sessions.roles):,}", f"{count:,}", len(sessions.roles) == count)
    crossed = sessions.seen - expected
    yield Line("rows of the other person", str(len(crossed)), "0", not crossed and sessions.seen == expected)
    yield reported("from the begin of a session to its rows, all at once", f"p50 {percentile(sessions.waited, 50):.1f} s")
    yield reported("all of it, with the releases", f"{lasted:.0f} s")
    left = eventually(lambda: not tenant.roles())
    yield Line("nothing is left", "yes" if left else "no", "yes", left)


def main() -> None:
    with fresh_site() as site:
        table("Sessions of two people at one time, at two replicas", lines(site, QUICK if quick() else FULL))


if __name__ == "__main__":
    main()

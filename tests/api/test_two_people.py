"""Two people behind one agent, hundreds of times, at two replicas at once: nobody ever sees a row of the other, and nothing is left."""

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import psycopg

from tests.support.calling import Doors
from tests.support.proving import Proven
from tests.support.site import AGENTS, WAREHOUSE, Body
from tests.support.tenancy import Tenant
from tests.support.tiers import by_tier
from tests.support.waiting import DEADLINE, eventually

VENDS = by_tier(50, 1000)
AT_ONCE = 16
MOST_TRIES = 5
QUERIES = 3
"""Of each role. The last one is still running when the role is given back."""
COUNTRIES = {"anna": "DE", "boris": "US"}
ROWS = {"DE": {1}, "US": {3}}
"""By the keys of `people`."""
_READ = "SELECT country, person_id FROM people"
_LINGER = "SELECT country, person_id FROM people, pg_sleep(60)"


@dataclass
class Seen:
    """What came of all vends."""

    rows: set[tuple[str, str, int]] = field(default_factory=set)
    """(who asked, country, key of the row)."""
    roles: list[str] = field(default_factory=list)
    passwords: list[str] = field(default_factory=list)
    cut_off: int = 0
    """Queries that ran when their role went."""


class Agent:
    """Acts for both at both replicas, with as many calls under way as it may have."""

    def __init__(self, proven: Proven, doors: Doors, http: httpx.AsyncClient) -> None:
        self._proven = proven
        self._doors: Iterator[str] = itertools.cycle((doors.first.url, doors.second.url))
        self._http = http
        self._bearer = {"Authorization": f"Bearer {proven.token(proven.client, seconds=1200)}"}
        self._room = asyncio.Semaphore(AT_ONCE)
        self.seen = Seen()

    async def ask(self, person: str) -> None:
        async with self._room:
            role = await self._vended(person)
            assert role["user"]["subject"] == person
            self.seen.roles.append(role["roleName"])
            await self._work(person, role)

    async def _vended(self, person: str) -> Body:
        """A busy machine's API server may be too slow for one call; the next one brings a token of its own."""
        for _ in range(MOST_TRIES):
            token = self._proven.token(person, groups=[COUNTRIES[person]], seconds=1200)
            question = {"userToken": token, "platforms": [WAREHOUSE]}
            answer = await self._http.post(f"{next(self._doors)}/v1/vended-roles", json=question, headers=self._bearer)
            if answer.status_code == 201:
                return dict(answer.json())
            assert answer.status_code == 503, answer.text
            assert int(answer.headers["retry-after"]) > 0
        raise AssertionError(f"not vended after {MOST_TRIES} tries: {answer.text}")

    async def _work(self, person: str, role: Body) -> None:
        given = role["platforms"][0]["credential"]
        self.seen.passwords.append(given["password"])
        login = {name: given[name] for name in ("host", "port", "dbname", "password")}
        connection = await psycopg.AsyncConnection.connect(**login, user=given["username"], sslmode="require", autocommit=True)
        async with connection:
            for _ in range(QUERIES - 1):
                await self._read(connection, person, _READ)
            lingering = asyncio.create_task(self._read(connection, person, _LINGER))
            await asyncio.to_thread(eventually, lambda: self._is_lingering(connection.info.backend_pid))
            await self._release(role)
            try:
                await lingering
            except psycopg.OperationalError:
                self.seen.cut_off += 1

    async def _release(self, role: Body) -> None:
        for _ in range(MOST_TRIES):
            answer = await self._http.delete(f"{next(self._doors)}{role['links']['self']}", headers=self._bearer)
            if answer.status_code in (202, 204, 404):
                return
            assert answer.status_code == 503, answer.text

    def _is_lingering(self, backend: int) -> bool:
        running = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'"
        return bool(self._proven.site.warehouse.ask(running, backend))

    async def _read(self, connection: "psycopg.AsyncConnection[tuple[str, int]]", person: str, query: str) -> None:
        cursor = await connection.execute(query)
        self.seen.rows |= {(person, country, key) for country, key in await cursor.fetchall()}


async def _all_vends(proven: Proven, doors: Doors) -> Seen:
    async with httpx.AsyncClient(timeout=DEADLINE, trust_env=False) as http:
        agent = Agent(proven, doors, http)
        people = itertools.islice(itertools.cycle(COUNTRIES), VENDS)
        async with asyncio.TaskGroup() as calls:
            for person in people:
                calls.create_task(agent.ask(person))
    return agent.seen


def test_of_two_people_behind_one_agent_neither_ever_sees_a_row_of_the_other(tenant: Tenant, doors: Doors):
    proven = Proven(tenant).ready_to_ask()
    for api in (doors.first, doors.second):
        eventually(lambda api=api: _is_granted(proven, api.url))

    seen = asyncio.run(_all_vends(proven, doors))

    assert seen.rows == {(person, country, key) for person, country in COUNTRIES.items() for key in ROWS[country]}
    assert len(set(seen.roles)) == len(set(seen.passwords)) == VENDS
    assert seen.cut_off == VENDS, "every last query was still running"
    eventually(lambda: not tenant.roles())
    eventually(lambda: not _objects(proven))
    tombstones = proven.site.warehouse.ask("SELECT DISTINCT reason FROM rolevend.lease WHERE role = ANY(%s)", seen.roles)
    assert tombstones == [("Released",)]


def _is_granted(proven: Proven, url: str) -> bool:
    question = {"userToken": proven.token(), "platforms": [WAREHOUSE]}
    headers = {"Authorization": f"Bearer {proven.token(proven.client)}"}
    answer = httpx.post(f"{url}/v1/decisions", json=question, headers=headers, timeout=DEADLINE, trust_env=False)
    return bool(answer.json().get("granted"))


def _objects(proven: Proven) -> list[str]:
    listed = proven.site.cluster.call("GET", f"/apis/rolevend.dev/v1alpha1/namespaces/{AGENTS}/vendedroles").body["items"]
    return [each["metadata"]["name"] for each in listed if each["spec"]["agentRef"]["name"] == proven.tenant.name]

"""Sessions of real people: one role at a time, another one after its end, and never the rows of another person."""

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from rolevend_client import (
    AsyncTokenExchange,
    Denied,
    Misconfigured,
    Refused,
    RoleEnded,
    RoleSession,
    TokenExchange,
    UserToken,
)
from rolevend_client.exchange import claimed
from rolevend_client.role_session import MOST_EARLY_ENDS
from testbed.identity_provider import AUDIENCE
from tests.client.answers import TOKEN, Api, problem, vended
from tests.client.identity import EDITOR, SERVER, Believing, provider
from tests.client.warehouse import Warehouse
from tests.support.tiers import by_tier

IDS = "SELECT id FROM people ORDER BY id"
OWN = {"anna": [(0,), (1,)], "bob": [(2,), (3,)]}
WHO = "SELECT current_user::text, id FROM people ORDER BY id"


class Tokens:
    """New tokens of people, each of which proves one role: `anna.1`, `anna.2`, and so on."""

    def __init__(self) -> None:
        self._numbers = count()
        self._used: set[str] = set()
        self.revoked: set[str] = set()

    def of(self, person: str) -> Callable[[], str]:
        return lambda: f"{person}.{next(self._numbers)}"

    def believes(self, token: str) -> str:
        if token in self._used:
            return "used"
        self._used.add(token)
        person = token.partition(".")[0]
        return "nobody" if person in self.revoked else person


@pytest.fixture
def tokens(warehouse: Warehouse) -> Iterator[Tokens]:
    made = Tokens()
    warehouse.believes = made.believes
    yield made
    warehouse.believes = str


def vends(warehouse: Warehouse) -> int:
    return warehouse.api.asked.count("POST")


def test_a_session_has_one_role_from_the_first_query_to_its_end(warehouse: Warehouse, tokens: Tokens):
    with warehouse.client().session(tokens.of("anna"), platform="warehouse", purpose="review", resources="governed.people") as session:
        assert warehouse.api.asked == []
        assert [list(session.query(IDS)) for _ in range(3)] == [OWN["anna"]] * 3
        assert session.dataframe(IDS)["id"].to_list() == [0, 1]
        assert list(session.stream(IDS)) == OWN["anna"]
        assert (vends(warehouse), warehouse.exists(session.role().name)) == (1, True)
    (body,) = warehouse.api.bodies
    assert (body["purpose"], body["resources"]) == ("review", [{"schema": "governed", "table": "people"}])
    assert warehouse.api.live == set()
    with pytest.raises(RoleEnded, match="Released"):
        session.query(IDS)
    assert vends(warehouse) == 1


def test_after_an_end_the_same_call_goes_on_under_another_role(warehouse: Warehouse, tokens: Tokens):
    uses: list[Callable[[RoleSession], list[tuple[int]]]] = [
        lambda session: list(session.query(IDS)),
        lambda session: list(session.stream(IDS)),
        lambda session: [(each,) for each in session.dataframe(IDS)["id"]],
    ]
    with warehouse.client().session(tokens.of("anna"), platform="warehouse") as session:
        names = []
        for use in uses:
            names.append(session.role().name)
            assert use(session) == OWN["anna"]
            warehouse.revoke(session.role().id)
            assert use(session) == OWN["anna"]
        assert len({*names, session.role().name}) == len(uses) + 1
        assert len(warehouse.api.live) == 1


@pytest.mark.parametrize("use", ["query", "dataframe"])
def test_a_statement_that_may_have_run_is_not_repeated(warehouse: Warehouse, tokens: Tokens, use: str):
    """Its connection is lost before the database answers, and then the role is gone: a function may have had its effect."""
    with warehouse.client().session(tokens.of("anna"), platform="warehouse") as session:
        session.query(IDS)
        role = session.role()
        (connection,) = role._connections
        with socket.socket(fileno=os.dup(connection.fileno())) as wire:
            wire.shutdown(socket.SHUT_RDWR)
        warehouse.revoke(role.id)
        with pytest.raises(RoleEnded, match="Revoked") as ended:
            getattr(session, use)(IDS)
        assert ended.value.may_have_run
        assert vends(warehouse) == 1
        assert list(session.query(IDS)) == OWN["anna"]
        assert vends(warehouse) == 2


def test_rows_of_two_roles_are_never_mixed_in_one_stream(warehouse: Warehouse, tokens: Tokens):
    with warehouse.client().session(tokens.of("anna"), platform="warehouse") as session:
        rows = session.stream("SELECT generate_series(1, 5000)", batch_rows=1000)
        assert next(rows) == (1,)
        warehouse.revoke(session.role().id)
        with pytest.raises(RoleEnded):
            list(rows)
        assert vends(warehouse) == 1


def test_a_person_whose_roles_end_again_and_again_gets_no_more(warehouse: Warehouse, tokens: Tokens):
    with warehouse.client().session(tokens.of("anna"), platform="warehouse") as session:
        for _ in range(MOST_EARLY_ENDS + 1):
            session.query(IDS)
            warehouse.revoke(session.role().id)
        for _ in range(3):
            with pytest.raises(RoleEnded, match="Revoked"):
                session.query(IDS)
        assert vends(warehouse) == MOST_EARLY_ENDS + 1
    assert warehouse.api.live == set()


def test_a_person_whose_access_was_revoked_is_denied_once_and_not_asked_for_again(warehouse: Warehouse, tokens: Tokens):
    with warehouse.client().session(tokens.of("anna"), platform="warehouse") as session:
        session.query(IDS)
        tokens.revoked.add("anna")
        warehouse.revoke(session.role().id)
        for _ in range(3):
            with pytest.raises(Denied, match="nothing is granted to nobody"):
                session.query(IDS)
        assert vends(warehouse) == 2
    assert warehouse.api.live == set()


def test_roles_that_expire_are_replaced_without_a_bound():
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    times = 2 * MOST_EARLY_ENDS
    api = Api(*[vended(id=f"role-{number}", expirationTimestamp=past) for number in range(times)])
    api.answers = [
        each for number, answer in enumerate(api.answers) for each in (answer, problem(404, "NotFound"), problem(404, "NotFound"))
    ]
    with api.client().session(lambda: "a.b.c", platform="warehouse") as session:
        for number in range(times):
            assert session.role().id == f"role-{number}"
            assert session.role().end_of().reason == "Expired"
    assert [line for line in api.lines if line.startswith("POST")] == ["POST /v1/vended-roles"] * times


def test_a_token_that_was_used_is_replaced_and_one_alone_is_for_one_role(warehouse: Warehouse, tokens: Tokens):
    given = iter(["anna.used", "anna.used", "anna.new"])
    with warehouse.client().session("anna.used", platform="warehouse") as first:
        first.query(IDS)
        with warehouse.client().session(lambda: next(given), platform="warehouse") as second:
            with pytest.raises(Denied, match="TokenReplayed"):
                second.query(IDS)
            assert list(second.query(IDS)) == OWN["anna"]
        warehouse.revoke(first.role().id)
        with pytest.raises(Denied, match="TokenReplayed"):
            first.query(IDS)


def test_a_source_that_turns_to_another_person_ends_the_session_and_shows_no_row(warehouse: Warehouse, tokens: Tokens):
    given = iter(["anna.1", "bob.1", "anna.2"])
    with warehouse.client().session(lambda: next(given), platform="warehouse") as session:
        assert list(session.query(IDS)) == OWN["anna"]
        warehouse.revoke(session.role().id)
        for _ in range(2):
            with pytest.raises(Refused, match="token of another person"):
                session.query(IDS)
        assert warehouse.api.live == set()


def test_people_with_sessions_in_one_process_never_read_each_others_rows(warehouse: Warehouse, tokens: Tokens):
    """Threads share a client and the sessions, while roles are taken away between the queries."""
    client, times = warehouse.client(), by_tier(15, 150)
    with (
        client.session(tokens.of("anna"), platform="warehouse") as anna,
        client.session(tokens.of("bob"), platform="warehouse") as bob,
        ThreadPoolExecutor(4) as pool,
    ):
        sessions = {"anna": anna, "bob": bob}

        def ask(number: int) -> tuple[str, list[tuple[int]]]:
            person = ("anna", "bob")[number % 2]
            if number in (5, 6):
                warehouse.revoke(sessions[person].role().id)
            return person, [(each[1],) for each in sessions[person].query(WHO)]

        for person, rows in pool.map(ask, range(4 * times)):
            assert rows == OWN[person]
    assert len(warehouse.leases) >= 2
    assert warehouse.api.live == set()


async def test_tasks_of_the_other_colour_share_one_role_each(warehouse: Warehouse, tokens: Tokens):
    async def source() -> UserToken:
        return UserToken(tokens.of("bob")())

    client = warehouse.async_client()
    async with client.session(tokens.of("anna"), platform="warehouse") as anna, client.session(source, platform="warehouse") as bob:
        asked = [(person, session) for _ in range(10) for person, session in (("anna", anna), ("bob", bob))]
        answers = await asyncio.gather(*(session.query(IDS) for _, session in asked))
        assert [list(rows) for rows in answers] == [OWN[person] for person, _ in asked]
        assert vends(warehouse) == 2
        warehouse.revoke((await anna.role()).id)
        assert [row async for row in anna.stream(IDS)] == OWN["anna"]
        assert (await bob.dataframe(IDS))["id"].to_list() == [2, 3]
        assert vends(warehouse) == 3
        assert await anna.release()
        assert not await anna.release()
        assert list(await anna.query(IDS)) == OWN["anna"]
    assert warehouse.api.live == set()


async def test_a_session_that_is_cancelled_while_it_vends_leaves_no_role(warehouse: Warehouse, tokens: Tokens):
    begun = asyncio.Event()
    release, believes = threading.Event(), warehouse.believes
    loop = asyncio.get_running_loop()

    def slowly(token: str) -> str:
        loop.call_soon_threadsafe(begun.set)
        release.wait()
        return believes(token)

    warehouse.believes = slowly

    async def work() -> None:
        async with warehouse.async_client().session(tokens.of("anna"), platform="warehouse") as session:
            await session.query(IDS)

    running = asyncio.create_task(work())
    await begun.wait()
    running.cancel()
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert warehouse.api.live == set()


def test_a_session_exchanges_the_persons_token_for_each_role(warehouse: Warehouse, tmp_path: Path):
    url = "https://agent.example.org"
    try:
        with provider(url) as issuer:
            warehouse.believes = believing = Believing(issuer)
            authorities = tmp_path / "authorities"
            authorities.write_text(issuer.authorities)
            exchange = TokenExchange(
                issuer.issuer, client_id=SERVER, client_secret=str(issuer.client(SERVER).secret), audience=AUDIENCE, ca_file=authorities
            )
            token = issuer.tokens.tokens_of("anna", client=EDITOR, audience=url).access_token
            with warehouse.client().session(exchange.of(token), platform="warehouse") as session:
                assert list(session.query(IDS)) == OWN["anna"]
                warehouse.revoke(session.role().id)
                assert list(session.query(IDS)) == OWN["anna"]
            assert len(believing.seen) == 2
            with pytest.raises(Refused, match="gives no token for rolevend"):
                exchange.exchanged(f"{token[:-8]}AAAAAAAA")
            with pytest.raises(Refused, match="cannot be read"):
                claimed(UserToken("opaque"))
    finally:
        warehouse.believes = str


@pytest.mark.parametrize("kind", [TokenExchange, AsyncTokenExchange])
def test_secrets_of_an_exchange_never_travel_in_the_clear(kind: type[TokenExchange]):
    with pytest.raises(Misconfigured, match="https:"):
        kind("http://idp.example.org", client_id="finbot", client_secret=TOKEN, audience="https://rolevend.example.org")
    assert TOKEN not in repr(kind("https://idp.example.org", client_id="finbot", client_secret=TOKEN, audience="a"))

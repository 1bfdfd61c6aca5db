"""Somebody without a token takes no memory of a real MCP server, keeps no connection of it, and keeps nobody else out."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from tests.client.serving_mcp import Served, served
from tests.support.flooding import MOST_MIB, Target, alive, endless, halves, many, seconds_until_closed, send_without_end
from tests.support.waiting import DEADLINE, eventually

READ_SECONDS = 2
MOST = 16
"""Connections without a token."""
NOWHERE = "http://127.0.0.1:9"
"""In place of the API: nothing here gets as far as that."""
ATTACKS = tuple(endless(Target("", 0, "/mcp", 0)))
HALVES = tuple(halves(Target("", 0, "/mcp", 0)))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("mcp")) as made:
        made.start(NOWHERE, READ_SECONDS=str(READ_SECONDS), MAX_CONNECTIONS_WITHOUT_TOKEN=str(MOST))
        yield made


@pytest.fixture(scope="module")
def target(server: Served) -> Target:
    place = urlsplit(server.url)
    return Target(str(place.hostname), int(place.port or 0), place.path, server.process.pid)


@pytest.mark.thinned(5, "long")
@pytest.mark.parametrize("attack", ATTACKS)
def test_bytes_without_end_take_no_memory(target: Target, server: Served, attack: str):
    with target.memory() as taken:
        send_without_end(target, endless(target)[attack])

    assert taken() < MOST_MIB
    assert httpx.get(server.metadata_url, timeout=DEADLINE).is_success


@pytest.mark.thinned(5, "long")
@pytest.mark.parametrize("half", HALVES)
def test_a_request_that_is_not_whole_in_time_ends_with_its_connection(target: Target, half: str):
    with target.connect() as connection:
        connection.sendall(halves(target)[half])

        assert seconds_until_closed(connection, within=READ_SECONDS + 8) is not None


def test_a_byte_now_and_then_keeps_no_connection(target: Target):
    with target.connect() as connection:
        connection.sendall(target.post + b"X-Attack: ")

        assert seconds_until_closed(connection, within=READ_SECONDS + 8, trickle=b"a") is not None


def test_many_connections_keep_nobody_out_and_the_oldest_make_room(target: Target, server: Served):
    with many(target, 10 * MOST, target.post) as connections:
        assert httpx.get(server.metadata_url, timeout=DEADLINE).is_success
        assert sum(alive(each) for each in connections) <= MOST


def test_a_session_of_a_person_is_no_part_of_the_crowd(target: Target, server: Served):
    """Also while it only waits for its next call."""
    about = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "by-hand", "version": "1"}}
    headers = {"Accept": "application/json, text/event-stream", "Authorization": f"Bearer {server.token('anna')}"}
    with httpx.Client(headers=headers, timeout=DEADLINE) as client:
        body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": about}
        session = eventually(lambda: client.post(server.url, json=body).headers["mcp-session-id"])
        with (
            client.stream("GET", server.url, headers={"Mcp-Session-Id": session, "MCP-Protocol-Version": "2025-11-25"}) as stream,
            many(target, 10 * MOST, b"") as connections,
        ):
            assert stream.status_code == 200
            eventually(lambda: not any(map(alive, connections)))
            assert alive(stream.extensions["network_stream"].get_extra_info("socket"))

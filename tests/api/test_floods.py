"""Somebody without a token takes no memory of a real replica of the API, keeps no connection of it, and keeps nobody else out."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from rolevend.policytools.embedded.certificates import CertificateAuthority
from testbed.installation import ApiProcess
from tests.support.calling import Caller, Doors
from tests.support.flooding import MOST_MIB, Target, alive, endless, halves, many, seconds_until_closed, send_without_end
from tests.support.proving import Proven
from tests.support.waiting import DEADLINE, eventually

ROLES = "/v1/vended-roles"
READ_SECONDS = 2
MOST = 16
"""Connections without a token."""
SETTINGS = {"API_READ_SECONDS": str(READ_SECONDS), "API_MAX_CONNECTIONS_WITHOUT_TOKEN": str(MOST)}
ATTACKS = tuple(endless(Target("", 0, ROLES, 0)))
HALVES = tuple(halves(Target("", 0, ROLES, 0)))


@pytest.fixture(scope="module")
def replica(doors: Doors) -> Iterator[ApiProcess]:
    replica = doors.open(SETTINGS)
    replica.wait_until_ready()
    yield replica
    replica.kill()


@pytest.fixture(scope="module")
def target(replica: ApiProcess) -> Target:
    return target_of(replica)


@pytest.fixture(scope="module")
def authority() -> CertificateAuthority:
    return CertificateAuthority("rolevend-test", datetime.now(UTC), timedelta(hours=1))


@pytest.fixture(scope="module")
def over_tls(doors: Doors, authority: CertificateAuthority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("tls")
    pair = authority.issue("rolevend-api", hosts=("127.0.0.1",))
    files = {"API_TLS_CERT_FILE": folder / "tls.crt", "API_TLS_KEY_FILE": folder / "tls.key"}
    for name, content in zip(files.values(), (pair.certificate, pair.key), strict=True):
        name.write_bytes(content)
    replica = doors.open({**SETTINGS, **{name: str(path) for name, path in files.items()}})
    replica.wait_until_ready()
    context = ssl.create_default_context(cadata=authority.certificate.decode())
    yield target_of(replica, context)
    replica.kill()


def target_of(replica: ApiProcess, tls: ssl.SSLContext | None = None) -> Target:
    url = httpx.URL(replica.url)
    return Target(url.host, int(url.port or 0), ROLES, replica.process.pid, tls)


@contextmanager
def client_of(target: Target) -> Iterator[httpx.Client]:
    url = f"http{'s' if target.tls else ''}://{target.host}:{target.port}"
    with httpx.Client(base_url=url, verify=target.tls or False, timeout=DEADLINE, trust_env=False) as client:
        yield client


def answers(target: Target) -> bool:
    with client_of(target) as client:
        return client.get(ROLES).status_code == 401


@pytest.mark.thinned(3, "long")
@pytest.mark.parametrize("attack", ATTACKS)
def test_bytes_without_end_take_no_memory(target: Target, attack: str):
    with target.memory() as taken:
        send_without_end(target, endless(target)[attack])

    assert taken() < MOST_MIB
    assert answers(target)


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


def test_many_connections_keep_nobody_out_and_the_oldest_make_room(target: Target):
    with many(target, 10 * MOST, target.post) as connections:
        assert answers(target)
        assert sum(map(alive, connections)) <= MOST


def test_who_has_shown_a_token_keeps_its_connection_beside_them(target: Target, replica: ApiProcess, proven: Proven):
    caller = Caller(proven.ready_to_ask(), replica)
    caller.release(caller.vended())
    with client_of(target) as client:

        def name() -> str:
            """Of the connection's own end."""
            answer = client.get(ROLES, headers={"Authorization": f"Bearer {caller.token}"})
            assert answer.status_code == 200, answer.text
            return str(answer.extensions["network_stream"].get_extra_info("client_addr"))

        before = name()
        with many(target, 10 * MOST, target.post):
            assert name() == before


@pytest.mark.long
def test_over_tls_they_count_from_before_the_handshake(over_tls: Target):
    with over_tls.memory() as taken, many(over_tls, 20 * MOST, b"", plain=True) as connections:
        assert answers(over_tls)
        assert sum(map(alive, connections)) <= MOST
        assert taken() < MOST_MIB
        eventually(lambda: not any(map(alive, connections)))


def test_over_tls_a_request_that_is_not_whole_in_time_ends_with_its_connection(over_tls: Target):
    with over_tls.connect() as connection:
        connection.sendall(over_tls.post + b"X-Attack: ")

        assert seconds_until_closed(connection, within=READ_SECONDS + 8, trickle=b"a") is not None


def test_a_head_that_is_too_long_is_told_so(target: Target):
    with client_of(target) as client:
        answer = client.get(ROLES, headers={"Authorization": "Bearer " + "x" * 40_000})

    assert (answer.status_code, "API_MAX_HEADER_BYTES" in answer.text) == (431, True)


def test_a_request_of_more_headers_than_anybody_needs_is_told_so(target: Target):
    with client_of(target) as client:
        answer = client.get(ROLES, headers={f"X-{number}": "a" for number in range(120)})

    assert (answer.status_code, answer.text) == (431, "the request has more than 100 headers; send fewer")

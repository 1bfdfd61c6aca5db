"""Agents that take every connection that they get keep nobody's role alive: some are reserved for the operator."""

import contextlib
from collections.abc import Iterator

import psycopg
import pytest

from rolevend.plan import RoleLimits
from rolevend.platforms.postgres import plan
from rolevend.platforms.protocol import Credential, DropRequest, EndReason, InstallMode
from rolevend.policytools.embedded.database import PostgresServer
from tests.conformance.bench import CLUSTER, PostgresBench, PostgresSession, installed, profile, shape, vended
from tests.support.waiting import eventually

CONNECTIONS, FOR_SUPERUSERS, RESERVED = 30, 3, 6
GREEDY = RoleLimits(connections=CONNECTIONS)
NOT_RESERVED = "may not use reserved connections"


@contextlib.contextmanager
def small(server: PostgresServer, mode: InstallMode, reserved: int) -> Iterator[PostgresBench]:
    server.restart({"max_connections": str(CONNECTIONS), "reserved_connections": str(reserved)})
    superuser = server.superuser
    place = (superuser.host, superuser.port, superuser.user, superuser.password)
    with installed(*place, "small", server.version, mode, superuser.tls) as bench:
        yield bench


@pytest.fixture(params=list(InstallMode))
def small_bench(request: pytest.FixtureRequest, server: PostgresServer) -> Iterator[PostgresBench]:
    with small(server, request.param, RESERVED) as bench:
        yield bench


def take_every_slot(bench: PostgresBench, credential: Credential) -> int:
    """How many sessions the agent gets, and keeps."""
    sessions: list[PostgresSession] = []
    with pytest.raises(psycopg.OperationalError, match="remaining connection slots are reserved"):
        sessions.extend(bench.log_in(credential) for _ in range(CONNECTIONS))
    return len(sessions)


def ending(of) -> DropRequest:
    return DropRequest(of.role, of.uid, EndReason.REVOKED)


@pytest.mark.thinned(2, "long")
def test_an_operator_that_just_started_ends_roles_while_every_slot_is_taken(small_bench: PostgresBench):
    bench = small_bench
    if bench.mode is InstallMode.MANAGED:  # its administrator may not give that away
        assert any(NOT_RESERVED in text for text in bench.platform.facts().limitations)
        bench.run("GRANT pg_use_reserved_connections TO rv_vendor, rv_programmer WITH INHERIT TRUE, SET FALSE")
    assert not any("reserved" in text for text in bench.platform.facts().limitations)
    people = profile(shape(bench.people()))
    greedy, credential = vended(bench.platform, people, limits=GREEDY)
    other, _ = vended(bench.platform, people)
    bench.platform.close()

    clients = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
    eventually(lambda: bench.value(clients) <= 2)  # a session keeps its slot for a moment after its end
    assert take_every_slot(bench, credential) >= CONNECTIONS - FOR_SUPERUSERS - RESERVED - 2, "two are the bench's own"
    restarted = bench.platform_of(CLUSTER)

    assert [answer.error for answer in restarted.drop([ending(other), ending(greedy)])] == [None, None]
    assert restarted.live() == []
    restarted.close()


def test_the_plan_warns_where_none_are_reserved_and_so_does_the_platform(server: PostgresServer):
    with small(server, InstallMode.SUPERUSER, 0) as bench, bench.administrator() as connection:
        findings = [finding.text for finding in plan(connection, bench.options).findings if finding.subject == "server"]

        assert any("reserved_connections is 0" in text for text in findings)
        assert any("reserved_connections is 0" in text for text in bench.platform.facts().limitations)


@pytest.mark.thinned(2, "long")
def test_the_plan_of_an_installation_that_is_there_is_not_refused_for_it(small_bench: PostgresBench):
    small_bench.run("GRANT pg_use_reserved_connections TO rv_vendor, rv_programmer WITH INHERIT TRUE, SET FALSE")
    with small_bench.administrator() as connection:
        planned = plan(connection, small_bench.options)

    assert planned.refusals == ()
    assert not any("reserved" in finding.text for finding in planned.findings)


@pytest.mark.thinned(2, "long")
def test_the_server_says_how_many_sessions_it_has_for_others_than_us(small_bench: PostgresBench):
    assert small_bench.platform.facts().sessions == CONNECTIONS - FOR_SUPERUSERS - RESERVED

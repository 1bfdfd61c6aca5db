"""The server's name leads to another machine: a standby is named for what it is, and after its promotion all goes on."""

import contextlib
import secrets
from collections.abc import Iterator
from dataclasses import replace

import pytest

from rolevend.errors import PoolerInBetween, ReadOnlyServer, Unavailable
from rolevend.platforms.protocol import DropRequest, EndReason
from rolevend.policytools.embedded.database import PostgresServer
from tests.conformance.bench import CLUSTER, PostgresBench, installed, lease, profile, shape, vend, vended
from tests.support.proxy import Proxy
from tests.support.standby import has_caught_up
from tests.support.waiting import eventually


@pytest.fixture
def primary(server: PostgresServer) -> Iterator[PostgresBench]:
    superuser = server.superuser
    where = superuser.host, superuser.port, superuser.user, superuser.password
    with installed(*where, "moving", server.version, tls=superuser.tls) as made:
        yield made


@pytest.fixture
def standby(server: PostgresServer, primary: PostgresBench) -> Iterator[PostgresServer]:
    with PostgresServer.standby_of(server) as following:
        yield following


@pytest.mark.long
def test_a_standby_is_named_for_what_it_is_and_after_its_promotion_all_goes_on(
    primary: PostgresBench, standby: PostgresServer, server: PostgresServer
):
    with Proxy(server.superuser) as name:
        platform = primary.platform_of(CLUSTER, address=replace(primary.address, port=name.port))
        of = profile(shape(primary.people()))
        made, _ = vended(platform, of)
        before = platform.facts()
        eventually(lambda: has_caught_up(standby, server))

        server.stop("immediate")
        name.lead_to(standby.superuser)

        def refusal() -> str:
            try:
                platform.facts()
            except Unavailable as error:
                return str(error)
            return ""

        eventually(lambda: "a standby answers" in refusal())
        late = lease(of)
        (answer,) = platform.vend([(late, platform.credential(late, secrets.token_bytes))])
        assert isinstance(answer.error, ReadOnlyServer)
        (dropped,) = platform.drop([DropRequest(made.role, made.uid, EndReason.RELEASED)])
        assert isinstance(dropped.error, ReadOnlyServer)
        assert [role.role for role in platform.live()] == [made.role], "nothing is lost"

        standby.promote()

        eventually(lambda: not refusal())
        assert platform.facts() == before
        vend(platform, of, late)
        (dropped,) = platform.drop([DropRequest(made.role, made.uid, EndReason.RELEASED)])
        assert dropped.error is None
        assert [role.role for role in platform.live()] == [late.role]
        platform.close()


@pytest.mark.long
def test_who_was_led_to_a_standby_finds_the_primary_again(primary: PostgresBench, standby: PostgresServer, server: PostgresServer):
    """A name server ends no connection: those to the standby stay good, and would be of no use for ever."""
    with Proxy(standby.superuser) as name:
        platform = primary.platform_of(CLUSTER, address=replace(primary.address, port=name.port))
        eventually(lambda: has_caught_up(standby, server))
        with pytest.raises(ReadOnlyServer):
            platform.facts()

        name.lead_to(server.superuser, hang_up=False)

        def is_back() -> bool:
            """Not at once: a connection that was being made to the standby meanwhile is met, and dropped, as well."""
            with contextlib.suppress(ReadOnlyServer):
                return platform.facts().identifier == primary.platform.facts().identifier
            return False

        eventually(is_back)
        vended(platform, profile(shape(primary.people())))
        platform.close()


def pooled(heard: bytes) -> bytes:
    """What a pooler does: it tells clients of a process that is no process of the server (BackendKeyData)."""
    key = b"K\x00\x00\x00\x0c"
    start = heard.find(key)
    return heard if start < 0 else heard[: start + 5] + b"\x7f\x00\x00\x01" + heard[start + 9 :]


def test_a_pooler_in_the_servers_place_is_named():
    """On a server without TLS: the proxy cannot rewrite what is encrypted."""
    with PostgresServer(18, fsync=False) as server:
        superuser = server.superuser
        where = superuser.host, superuser.port, superuser.user, superuser.password
        with installed(*where, "pooled", 18) as bench, Proxy(superuser, pooled) as pooler:
            platform = bench.platform_of(CLUSTER, address=replace(bench.address, port=pooler.port))

            with pytest.raises(PoolerInBetween, match="a connection pooler answers, and not the server itself"):
                platform.facts()

            platform.close()

"""A server must show who it is before it is told anything, and takes nobody in who does not ask."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from rolevend.errors import PlatformUnavailable, UntrustedServer
from rolevend.platforms.postgres.connections import connected
from rolevend.platforms.protocol import Tls, TlsMode
from rolevend.policytools.embedded.certificates import CertificateAuthority, KeyPair
from rolevend.policytools.embedded.database import PostgresServer
from tests.conformance.bench import CLUSTER, IN_CLEAR, PostgresBench, installed, profile, shape, vended
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer(17, settings={"log_connections": "on"}, fsync=False) as started:
        yield started


@pytest.fixture(scope="module")
def bench(server: PostgresServer) -> Iterator[PostgresBench]:
    superuser = server.superuser
    where = superuser.host, superuser.port, superuser.user, superuser.password
    with installed(*where, "encrypted", 17, tls=superuser.tls) as made:
        yield made


@pytest.fixture
def authority(server: PostgresServer) -> CertificateAuthority:
    assert server.authority is not None
    return server.authority


@pytest.fixture
def certify(server: PostgresServer, bench: PostgresBench, authority: CertificateAuthority) -> Iterator:
    """Has the server show another certificate; its own again after the test."""

    def show(pair: KeyPair) -> None:
        server.certify(pair)
        for _ in range(2):  # the server tells its sessions to reload before it reads the certificate, but reloads one after the other
            before = bench.value("SELECT pg_conf_load_time()")
            bench.run("SELECT pg_reload_conf()")
            eventually(lambda before=before: bench.value("SELECT pg_conf_load_time()") > before)

    yield show
    show(authority.issue("postgres", hosts=("127.0.0.1",)))


def expired(authority: CertificateAuthority) -> KeyPair:
    return authority.issue("postgres", hosts=("127.0.0.1",), now=datetime.now(UTC) - timedelta(days=30))


def somebody() -> CertificateAuthority:
    return CertificateAuthority("somebody", datetime.now(UTC), timedelta(days=1))


def log_of(server: PostgresServer) -> str:
    return server.log.read_text(errors="replace")


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ("for another host", 'server certificate for "db.example.org" .*does not match host name "127.0.0.1"'),
        ("expired", "certificate verify failed: certificate has expired"),
        ("of somebody else", "certificate verify failed: .*local issuer certificate"),
    ],
)
def test_a_server_that_does_not_show_who_it_is_is_told_nothing(
    server: PostgresServer, bench: PostgresBench, certify, shown: str, said: str
):
    own = server.authority
    assert own is not None
    certify(
        {
            "for another host": lambda: own.issue("postgres", hosts=("db.example.org",)),
            "expired": lambda: expired(own),
            "of somebody else": lambda: somebody().issue("postgres", hosts=("127.0.0.1",)),
        }[shown]()
    )
    heard = len(log_of(server))
    platform = bench.platform_of(CLUSTER)

    for ask in (platform.facts, platform.live, lambda: platform.catalog(frozenset({"governed"}))):
        with pytest.raises(UntrustedServer, match=said):
            ask()
    with pytest.raises(UntrustedServer, match=said), connected(bench.address, bench.vendor):
        pass

    # The line of a session from before may come late.
    said_of_us = log_of(server)[heard:]
    sessions = re.findall(r"\[(\d+)\] LOG:  connection received", said_of_us)
    assert len(sessions) >= 4
    assert not re.findall(rf"\[(?:{'|'.join(sessions)})\].*user=rv_", said_of_us), "not even a name was sent"


def test_the_same_server_is_used_again_when_it_shows_who_it_is(bench: PostgresBench, certify, authority: CertificateAuthority):
    platform = bench.platform_of(CLUSTER)
    certify(authority.issue("postgres", hosts=("db.example.org",)))
    with pytest.raises(UntrustedServer):
        platform.live()

    certify(authority.issue("postgres", hosts=("127.0.0.1",)))

    assert platform.live() == []


@pytest.mark.parametrize("mode", [TlsMode.VERIFY_CA, TlsMode.REQUIRE])
def test_who_asks_for_less_gets_less_and_is_told_so(bench: PostgresBench, certify, authority: CertificateAuthority, mode: TlsMode):
    bench.platform.facts()
    certify(authority.issue("postgres", hosts=("db.example.org",)))
    tls = replace(bench.address.tls, mode=mode) if mode is TlsMode.VERIFY_CA else Tls(mode)
    platform = bench.platform_of(CLUSTER, address=replace(bench.address, tls=tls))

    plainly = bench.platform.facts()  # by a connection that was made before
    facts = platform.facts()

    assert any("certificate is not checked" in text or "name is not checked" in text for text in facts.limitations)
    assert not any("not checked" in text or "not encrypted" in text for text in plainly.limitations)


def test_a_certificate_of_somebody_else_is_refused_also_where_the_name_does_not_matter(bench: PostgresBench, certify):
    certify(somebody().issue("postgres", hosts=("127.0.0.1",)))
    tls = replace(bench.address.tls, mode=TlsMode.VERIFY_CA)

    with pytest.raises(UntrustedServer, match="verify failed"):
        bench.platform_of(CLUSTER, address=replace(bench.address, tls=tls)).live()


def test_without_an_authority_of_its_own_those_of_the_system_count(bench: PostgresBench, tmp_path, monkeypatch):
    """As OpenSSL is told them everywhere: by SSL_CERT_FILE."""
    systems = replace(bench.address, tls=Tls())
    with pytest.raises(UntrustedServer, match="verify failed"):
        bench.platform_of(CLUSTER, address=systems).live()
    (tmp_path / "system.pem").write_text(bench.address.tls.authority or "")

    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "system.pem"))

    assert bench.platform_of(CLUSTER, address=systems).live() == []


def test_a_vended_role_too_gets_in_under_tls_only(bench: PostgresBench):
    _, credential = vended(bench.platform, profile(shape(bench.people())))

    assert bench.log_in(credential).rows("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == [(True,)]
    with pytest.raises(psycopg.OperationalError, match=r"no pg_hba\.conf entry .*no encryption"):
        bench.session(credential.role, credential.password.reveal(), sslmode="disable", sslrootcert="")


def test_an_operator_that_asks_for_no_tls_is_refused_by_a_server_that_wants_it(bench: PostgresBench):
    with pytest.raises(PlatformUnavailable, match="no encryption"):
        bench.platform_of(CLUSTER, address=replace(bench.address, tls=IN_CLEAR)).facts()


def test_a_server_without_tls_is_not_spoken_to_unless_one_says_so():
    with PostgresServer(18, fsync=False) as plain:
        superuser = plain.superuser
        where = superuser.host, superuser.port, superuser.user, superuser.password
        with installed(*where, "plain", 18) as bench:
            with pytest.raises(UntrustedServer, match="server does not support SSL"):
                bench.platform_of(CLUSTER, address=replace(bench.address, tls=Tls())).facts()

            assert any("connections are not encrypted" in text for text in bench.platform.facts().limitations)

"""The benches that the suite runs on: PostgreSQL 16 and 18, one server of each for the whole session."""

from collections.abc import Iterator

import pytest

from rolevend.demo.parts.database import DatabaseServer, PostgresServer
from tests.conformance.bench import PostgresBench, installed

VERSIONS = (16, 18)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "postgres" in metafunc.fixturenames:
        metafunc.parametrize("postgres", VERSIONS, indirect=True, scope="session", ids=[f"postgres{version}" for version in VERSIONS])


@pytest.fixture(scope="session")
def installed_bench(postgres: DatabaseServer) -> Iterator[PostgresBench]:
    superuser = postgres.superuser
    with installed(superuser.host, superuser.port, superuser.user, superuser.password, "conformance", postgres.version) as made:
        yield made


@pytest.fixture
def bench(installed_bench: PostgresBench) -> Iterator[PostgresBench]:
    """Nothing of an earlier test is live in it."""
    yield installed_bench
    installed_bench.tidy()


@pytest.fixture
def server(postgres: DatabaseServer) -> Iterator[PostgresServer]:
    """A server of its own, without rolevend, for tests that change a whole server."""
    if not isinstance(postgres, PostgresServer):
        pytest.skip("changes a whole server, and ROLEVEND_TEST_POSTGRES_DSN names one that is somebody's")
    with PostgresServer(postgres.version, fsync=False) as started:  # type: ignore[arg-type]
        yield started

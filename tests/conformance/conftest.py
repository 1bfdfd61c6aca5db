"""The benches that the suite runs on: PostgreSQL 16, 17 under TLS, and 18, and of each one server for a whole session and way to
install; and the stand-in for Snowflake, a model.

What a test takes says where it runs: `bench: Bench` on all of them, `bench: PostgresBench` on PostgreSQL alone. Each file of this folder
has tests of the first kind; `postgres/` has none, and holds what is PostgreSQL's own: row security and its guards, encryption, failover,
files of logs, installing. What is Snowflake's own is in `tests/snowflake`. `test_everywhere.py` holds that.
"""

import contextlib
import inspect
from collections.abc import Iterator

import pytest

from rolevend.demo.parts.database import DatabaseServer, PostgresServer
from rolevend.platforms.base import InstallMode
from tests.conformance import snowflake_bench
from tests.conformance.bench import PostgresBench, installed
from tests.conformance.protocol import Bench
from tests.conformance.snowflake_bench import SnowflakeBench
from tests.support.parts import NO_POSTGRES
from tests.support.snowflake import StandIn

VERSIONS = (16, 17, 18)
MANAGED_VERSIONS = (16, 18)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "install_mode" in metafunc.fixturenames:
        general = inspect.signature(metafunc.function).parameters.get("bench")
        both = metafunc.definition.get_closest_marker("both_installs") is not None
        managed = {f"postgres{version}-managed": (version, InstallMode.MANAGED) for version in MANAGED_VERSIONS if both}
        benches: dict[str, tuple[int | str, InstallMode | None]] = {
            **{f"postgres{version}": (version, InstallMode.SUPERUSER) for version in VERSIONS},
            **managed,
        }
        if general is not None and general.annotation is Bench:
            benches["snowflake"] = (NO_POSTGRES, None)
        metafunc.parametrize(("postgres", "install_mode"), benches.values(), indirect=True, scope="session", ids=benches)
    elif "postgres" in metafunc.fixturenames:
        metafunc.parametrize("postgres", VERSIONS, indirect=True, scope="session", ids=[f"postgres{version}" for version in VERSIONS])


@pytest.fixture(scope="session")
def install_mode(request: pytest.FixtureRequest) -> InstallMode | None:
    """None: not of PostgreSQL."""
    mode: InstallMode | None = request.param
    return mode


@pytest.fixture(scope="session")
def installed_bench(postgres: DatabaseServer | None, install_mode: InstallMode | None) -> Iterator[PostgresBench | SnowflakeBench]:
    """Vended roles belong to a whole server, so the second way to install has one of its own."""
    with contextlib.ExitStack() as stack:
        if postgres is None or install_mode is None:
            yield stack.enter_context(snowflake_bench.installed(stack.enter_context(StandIn())))
            return
        server = postgres
        if install_mode is InstallMode.MANAGED:
            if not isinstance(postgres, PostgresServer):
                pytest.skip("takes a second server, and ROLEVEND_TEST_POSTGRES_DSN names one")
            server = stack.enter_context(PostgresServer(postgres.version, fsync=False))  # type: ignore[arg-type]
        superuser = server.superuser
        place = (superuser.host, superuser.port, superuser.user, superuser.password)
        yield stack.enter_context(installed(*place, "conformance", server.version, install_mode, superuser.tls))


@pytest.fixture
def bench(installed_bench: PostgresBench | SnowflakeBench) -> Iterator[PostgresBench | SnowflakeBench]:
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

"""The benches that the suite runs on: PostgreSQL 18, and in `make test-full` also 16, and 17 under TLS; of each one server for a whole
session and way to install, without a superuser in `make test-long`; and the stand-in for Snowflake, a model.

What a test takes says where it runs: `bench: Bench` on all of them, `bench: PostgresBench` on PostgreSQL alone. Each file of this folder
has tests of the first kind; `postgres/` has none, and holds what is PostgreSQL's own: row security and its guards, encryption, failover,
files of logs, installing. What is Snowflake's own is in `tests/snowflake`. `test_everywhere.py` holds that.
"""

import contextlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rolevend.platforms.protocol import InstallMode
from rolevend.policytools.embedded.database import DatabaseServer, PostgresServer
from rolevend.policytools.embedded.postgres_programs import Version
from tests.conformance import snowflake_bench
from tests.conformance.bench import PostgresBench, installed
from tests.conformance.protocol import Bench
from tests.conformance.snowflake_bench import SnowflakeBench
from tests.support.parts import postgres_of
from tests.support.rsa_keys import few_keys
from tests.support.snowflake import StandIn
from tests.support.tiers import by_tier

VERSIONS: tuple[Version, ...] = by_tier((18,), (16, 17, 18))
MANAGED_VERSIONS: tuple[Version, ...] = by_tier((18,), (16, 18))


_Bench = PostgresBench | SnowflakeBench
_Where = tuple[Version | None, InstallMode | None]
"""Version of PostgreSQL and way to install; None of both: the stand-in for Snowflake."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "installed_bench" in metafunc.fixturenames:
        general = inspect.signature(metafunc.function).parameters.get("bench")
        both = metafunc.definition.get_closest_marker("both_installs") is not None
        benches = [_installed(f"postgres{version}", (version, InstallMode.SUPERUSER)) for version in VERSIONS]
        if both:
            benches += [_installed(f"postgres{each}-managed", (each, InstallMode.MANAGED), pytest.mark.long) for each in MANAGED_VERSIONS]
        if general is not None and general.annotation is Bench:
            benches.append(_installed("snowflake", (None, None)))
        metafunc.parametrize("installed_bench", benches, indirect=True, scope="package")
    elif "postgres" in metafunc.fixturenames:
        metafunc.parametrize("postgres", VERSIONS, indirect=True, scope="session", ids=[f"postgres{version}" for version in VERSIONS])


def _installed(name: str, where: _Where, *marks: pytest.MarkDecorator) -> Any:
    """Return the parameter for an installation."""
    return pytest.param(where, marks=marks, id=name)


@pytest.fixture(scope="package", autouse=True)
def _few_keys() -> Iterator[None]:
    with few_keys():
        yield


@pytest.fixture(scope="package")
def benches() -> Iterator[Callable[[_Where], _Bench]]:
    """Each is made when it is first asked for, and there until the last test: to start a server, and to install in it, takes longer than
    most tests."""
    there: dict[_Where, _Bench] = {}
    with contextlib.ExitStack() as stack:

        def bench_at(where: _Where) -> _Bench:
            if where not in there:
                there[where] = stack.enter_context(_made(*where))
            return there[where]

        yield bench_at


@pytest.fixture(scope="package")
def installed_bench(request: pytest.FixtureRequest, benches: Callable[[_Where], _Bench]) -> _Bench:
    return benches(request.param)


@contextlib.contextmanager
def _made(version: Version | None, mode: InstallMode | None) -> Iterator[_Bench]:
    """Vended roles belong to a whole server, so that each way to install has one of its own."""
    with contextlib.ExitStack() as stack:
        if version is None or mode is None:
            yield stack.enter_context(snowflake_bench.installed(stack.enter_context(StandIn())))
            return
        server = stack.enter_context(postgres_of(version))
        if mode is InstallMode.MANAGED and not isinstance(server, PostgresServer):
            pytest.skip("takes a second server, and ROLEVEND_TEST_POSTGRES_DSN names one")
        superuser = server.superuser
        place = (superuser.host, superuser.port, superuser.user, superuser.password)
        yield stack.enter_context(installed(*place, "conformance", server.version, mode, superuser.tls))


@pytest.fixture
def bench(installed_bench: _Bench) -> Iterator[_Bench]:
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

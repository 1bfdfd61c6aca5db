"""A server that logs as the guide for tracing says. For each file of tests one, because they change all of it."""

from collections.abc import Iterator

import pytest

from rolevend.policytools.embedded.database import DatabaseServer, PostgresServer
from tests.support.server_log import Logging, logging_server


@pytest.fixture(scope="module")
def logging(postgres: DatabaseServer) -> Iterator[Logging]:
    if not isinstance(postgres, PostgresServer):
        pytest.skip("changes a whole server, and ROLEVEND_TEST_POSTGRES_DSN names one that is somebody's")
    with logging_server(postgres) as found:
        yield found


@pytest.fixture(params=["csv", "json"])
def kind(request: pytest.FixtureRequest) -> str:
    """The format of the log."""
    return str(request.param)

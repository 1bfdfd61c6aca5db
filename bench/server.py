"""The server for measurements of the driver: started here, with fsync on, and with rolevend installed."""

from collections.abc import Iterator
from contextlib import contextmanager

from bench.arguments import arguments
from rolevend.platforms.protocol import InstallMode
from rolevend.policytools.embedded.database import PostgresServer
from tests.conformance.bench import PostgresBench, installed


def version() -> int:
    """Return the PostgreSQL version of the command line, or the newest."""
    return int(arguments().version)


@contextmanager
def installed_server(mode: InstallMode = InstallMode.SUPERUSER) -> Iterator[PostgresBench]:
    with PostgresServer(version()) as server:  # type: ignore[arg-type]
        superuser = server.superuser
        where = superuser.host, superuser.port, superuser.user, superuser.password
        with installed(*where, "bench", version(), mode, superuser.tls) as bench:
            yield bench

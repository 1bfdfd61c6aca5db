"""The server for measurements of the driver: started here, with fsync on, and with rolevend installed."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rolevend.platforms.protocol import InstallMode
from rolevend.policytools.embedded.database import PostgresServer
from tests.conformance.bench import PostgresBench, installed


def version() -> int:
    """Return the PostgreSQL version of the command line, or 18."""
    return next((int(each) for each in sys.argv[1:] if each.isdecimal()), 18)


@contextmanager
def installed_server(mode: InstallMode = InstallMode.SUPERUSER) -> Iterator[PostgresBench]:
    with PostgresServer(version()) as server:  # type: ignore[arg-type]
        superuser = server.superuser
        where = superuser.host, superuser.port, superuser.user, superuser.password
        with installed(*where, "bench", version(), mode, superuser.tls) as bench:
            yield bench

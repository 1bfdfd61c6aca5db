"""What the measurements of the driver stand on: one server that they start themselves, with fsync on, and rolevend installed there."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rolevend.platforms.protocol import InstallMode
from rolevend.policytools.embedded.database import PostgresServer
from tests.conformance.bench import PostgresBench, installed


def version() -> int:
    """Of PostgreSQL, as whoever started this process wants it."""
    return next((int(each) for each in sys.argv[1:] if each.isdecimal()), 18)


@contextmanager
def installed_server(mode: InstallMode = InstallMode.SUPERUSER) -> Iterator[PostgresBench]:
    with PostgresServer(version()) as server:  # type: ignore[arg-type]
        superuser = server.superuser
        where = superuser.host, superuser.port, superuser.user, superuser.password
        with installed(*where, "bench", version(), mode, superuser.tls) as bench:
            yield bench

"""Use a PostgreSQL server that a person named."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

import psycopg

from rolevend.policytools.embedded.connection import Connection
from rolevend.policytools.embedded.errors import Unusable

VARIABLE = "ROLEVEND_TEST_POSTGRES_DSN"

_CONNECT_TIMEOUT = 10


@dataclass(frozen=True, slots=True)
class NamedServer:
    """A `DatabaseServer` that is started and stopped elsewhere."""

    superuser: Connection
    version: int


def server_from_environment(environ: Mapping[str, str] = os.environ) -> NamedServer | None:
    """Return the server of ROLEVEND_TEST_POSTGRES_DSN, or None if it is not set. Raises `Unusable` if the login fails."""
    dsn = environ.get(VARIABLE)
    if not dsn:
        return None
    try:
        superuser = Connection.parse(dsn)
        with psycopg.connect(superuser.dsn, connect_timeout=_CONNECT_TIMEOUT) as connection:
            return NamedServer(superuser, connection.info.server_version // 10_000)
    except (psycopg.Error, ValueError) as error:
        raise Unusable(f"cannot use the server that {VARIABLE} names: {error}") from error

"""A standby that follows its primary."""

import psycopg

from rolevend.policytools.embedded.database import PostgresServer


def has_caught_up(standby: PostgresServer, primary: PostgresServer) -> bool:
    """Whether it has all that the primary wrote until now."""
    with psycopg.connect(primary.superuser.dsn) as there, psycopg.connect(standby.superuser.dsn) as here:
        written = there.execute("SELECT pg_current_wal_lsn()").fetchone()
        return here.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", written).fetchone() == (True,)

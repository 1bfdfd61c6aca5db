"""Deploy canaries on a PostgreSQL server, and remove them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta

from psycopg import sql

from rolevend.platforms.attestation.deployment import deployed
from rolevend.platforms.attestation.tables import Profiles
from rolevend.platforms.postgres.attest.canaries import PostgresCanaries
from rolevend.platforms.postgres.attest.environment import PostgresAttestEnvironment, create_tables, now, open_session, profiles
from rolevend.platforms.postgres.attest.session import AttestSession
from rolevend.platforms.protocol import DropRequest, EndReason

_LATER = timedelta(hours=1)
_END_HOLDERS = sql.SQL(
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks JOIN pg_stat_activity USING (pid)"
    " WHERE locktype = 'advisory' AND pg_locks.database = datid AND datname = current_database() AND objsubid = 1 AND granted"
    " AND (classid::bigint << 32 | objid::bigint) = {} AND usename = session_user AND pid <> pg_backend_pid()"
)


@contextmanager
def deployed_canaries(environment: PostgresAttestEnvironment) -> Iterator[PostgresCanaries]:
    """See `deployment.deployed`."""
    with ExitStack() as ends:
        threads = ends.enter_context(ThreadPoolExecutor(1))
        programmer = open_session(ends, environment.address, environment.programmer)
        vendor = open_session(ends, environment.address, environment.vendor)
        with deployed(_Deployment(environment, vendor, programmer, ends, threads)) as canaries:
            yield canaries


@dataclass(frozen=True, slots=True)
class _Deployment:
    environment: PostgresAttestEnvironment
    vendor: AttestSession
    programmer: AttestSession
    ends: ExitStack
    threads: ThreadPoolExecutor

    def begin(self) -> None:
        """Take the lock of the cluster's attestations, which lasts as long as the session.

        If a machine crashed, the server may keep the lock for hours. Where the environment is `alone`, the session of our own login that
        holds it is ended.
        """
        turn = sql.Literal(self.environment.turn)
        if self.environment.alone:
            self.programmer.run(_END_HOLDERS.format(turn))
        self.programmer.run(sql.SQL("SELECT pg_advisory_lock({})").format(turn))
        self.remove()

    def create_tables(self, token: str) -> None:
        create_tables(self.environment, self.programmer, token)

    def profiles(self) -> Profiles:
        return profiles(self.environment)

    def canaries(self, token: str, profiles: Profiles) -> PostgresCanaries:
        return PostgresCanaries(self.environment, token, self.vendor, self.programmer, profiles, self.ends, self.threads)

    def remove(self) -> None:
        platform = self.environment.platform
        for answer in platform.drop([DropRequest(role.role, role.uid, EndReason.ORPHANED) for role in platform.live()]):
            if answer.error is not None:
                raise answer.error
        self.programmer.run(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(self.environment.schema)))
        platform.collect(frozenset(), now(self.programmer) + _LATER)

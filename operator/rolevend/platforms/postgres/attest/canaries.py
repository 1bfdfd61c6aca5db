"""The canaries: roles that are vended for one attestation, as any other, each when a check first needs it."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from rolevend.errors import InvalidInput, PlatformUnavailable, RolevendError
from rolevend.plan import Lease, Profile
from rolevend.platforms.canaries import Profiles, lease_of_canary
from rolevend.platforms.postgres.attest.environment import (
    GUARDED,
    PEOPLE,
    TIMED,
    PostgresAttestEnvironment,
    clear,
    lay_out,
    now,
    open_session,
    profiles,
)
from rolevend.platforms.postgres.attest.session import AttestSession
from rolevend.platforms.postgres.connections import PostgresLogin
from rolevend.platforms.protocol import DropRequest, DropResult, EndReason, PasswordCredential, Secret
from rolevend.platforms.run_checks import expected

_LIFE = 300.0
"""Seconds: no attestation takes that long, and what a crash leaves is dead then."""
_BRIEF_LIFE, _LONGEST_BRIEF_LIFE = 1.2, 40.0
_END_HOLDERS = sql.SQL(
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks JOIN pg_stat_activity USING (pid)"
    " WHERE locktype = 'advisory' AND pg_locks.database = datid AND datname = current_database() AND objsubid = 1 AND granted"
    " AND (classid::bigint << 32 | objid::bigint) = {} AND usename = session_user AND pid <> pg_backend_pid()"
)


@dataclass(frozen=True, slots=True)
class PostgresCanary:
    lease: Lease
    credential: PasswordCredential


@dataclass(frozen=True, slots=True)
class ExpiringPostgresCanary:
    """A canary whose time is nearly over, and what it began before."""

    canary: PostgresCanary
    prepared: AttestSession
    """Has the statement `kept` prepared."""
    earlier: AttestSession
    """In a transaction that has read already."""


@dataclass(frozen=True, slots=True)
class ReleasedPostgresCanary:
    """A canary that was released, and what it had begun."""

    canary: PostgresCanary
    own_password: Secret
    """That it set itself, in place of the first."""
    idle: AttestSession
    reading: AttestSession
    """Has the cursor `kept` open."""
    running: Future[Any]
    """A statement under way."""
    dropped: DropResult


@dataclass
class PostgresCanaries:
    """All that checks need: see `hatched`."""

    ground: PostgresAttestEnvironment
    token: str
    vendor: AttestSession
    programmer: AttestSession
    profiles: Profiles
    ends: ExitStack
    threads: ThreadPoolExecutor

    @cached_property
    def eve(self) -> PostgresCanary:
        """The agent that attacks: it reads the rows of Europe."""
        return self.vend(self.lease(self.profiles.shared, "EVE", regions=[self.region("eu")]))

    @cached_property
    def bob(self) -> PostgresCanary:
        """The same profile, for America."""
        return self.vend(self.lease(self.profiles.shared, "BOB", regions=[self.region("us")]))

    @cached_property
    def carol(self) -> PostgresCanary:
        """Another profile, and every row: the victim."""
        return self.vend(self.lease(self.profiles.other, "CAROL"))

    @cached_property
    def session(self) -> AttestSession:
        """Of eve."""
        return self.log_in(self.eve)

    @cached_property
    def victims_session(self) -> AttestSession:
        return self.log_in(self.carol)

    def region(self, name: str) -> str:
        return f"{name}-{self.token}"

    def lease(self, of: Profile, user: str, seconds: float = _LIFE, **attributes: Sequence[str]) -> Lease:
        return lease_of_canary(
            user,
            of,
            attributes,
            cluster=self.ground.cluster,
            expires_at=now(self.vendor) + timedelta(seconds=seconds),
            randomness=self.ground.randomness,
        )

    def vend(self, lease: Lease) -> PostgresCanary:
        credential = self.ground.platform.credential(lease, self.ground.randomness)
        (answer,) = self.ground.platform.vend([(lease, credential)])
        if answer.error is not None:
            raise answer.error
        return PostgresCanary(lease, credential)

    def log_in(
        self, canary: PostgresCanary, *, password: Secret | None = None, database: str | None = None, proof: bool = True
    ) -> AttestSession:
        """As an agent does, at the agents' address. `PlatformUnavailable` where the login is refused. Without `proof` the server
        need not ask for the password."""
        address = canary.credential.address
        login = PostgresLogin(canary.lease.role, password or canary.credential.password)
        where = replace(address, database=database or address.database)
        return open_session(self.ends, where, login, proof=proof)

    def lets_in(self, canary: PostgresCanary, **how: Any) -> bool:
        """Whether a login works. One that is refused while bob's works is refused for what it is; else the error is raised."""
        try:
            self.log_in(canary, **how).connection.close()
        except PlatformUnavailable:
            self.log_in(self.bob).connection.close()
            return False
        return True

    def filled(self, statement: LiteralString) -> sql.Composed:
        """With the names that an attacker can know: `{eve}` is an identifier, `{eve_text}` the same as text."""
        return sql.SQL(statement).format(**self.words)

    @cached_property
    def words(self) -> dict[str, sql.Composable]:
        ((template,),) = self.vendor.rows(
            sql.SQL("SELECT min(template)::text FROM rolevend.template WHERE cluster_id = {} AND table_name = {}").format(
                sql.Literal(self.ground.cluster), sql.Literal(PEOPLE)
            )
        )
        names = {
            "eve": self.eve.lease.role,
            "victim": self.carol.lease.role,
            "profile": self.profiles.shared.name,
            "victims_profile": self.profiles.other.name,
            "template": template,
            "vendor": self.ground.vendor.user,
            "programmer": self.ground.programmer.user,
            "schema": self.ground.schema,
            "mine": "rv_canary_mine",
            "ssn": f"ssn-{self.token}-0",
        }
        places = {
            "people_table": (self.ground.schema, PEOPLE),
            "guarded_table": (self.ground.schema, GUARDED),
            "timed_table": (self.ground.schema, TIMED),
            "people": (self.profiles.shared.name, PEOPLE),
            "guarded": (self.profiles.shared.name, GUARDED),
            "victims_people": (self.profiles.other.name, PEOPLE),
            "leak": (self.ground.schema, "leak"),
        }
        words: dict[str, sql.Composable] = {}
        for word, parts in {**{word: (name,) for word, name in names.items()}, **places}.items():
            identifier = sql.Identifier(*parts)
            words |= {word: identifier, f"{word}_text": sql.Literal(parts[0] if len(parts) == 1 else identifier.as_string())}
        ((process,),) = self.victims_session.rows(sql.SQL("SELECT pg_backend_pid()"))
        return words | {"victims_process": sql.Literal(process), "turn": sql.Literal(self.ground.turn + 1)}

    @cached_property
    def mayfly(self) -> ExpiringPostgresCanary:
        seconds = _BRIEF_LIFE
        while True:
            lease = self.lease(self.profiles.brief, "MAYFLY", seconds)
            try:
                canary = self.vend(lease)
                prepared, earlier = self.log_in(canary), self.log_in(canary)
                prepared.run(sql.SQL("SET plan_cache_mode = force_generic_plan; PREPARE kept AS SELECT count(*) FROM timed; EXECUTE kept"))
                earlier.run(sql.SQL("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM timed"))
                return ExpiringPostgresCanary(canary, prepared, earlier)
            except (psycopg.Error, PlatformUnavailable, InvalidInput):
                if seconds > _LONGEST_BRIEF_LIFE or now(self.vendor) < lease.expires_at:
                    raise
            seconds *= 2  # a slow server: the lease expired before the role was there, or before it could read

    def wait_for_expiry(self) -> None:
        """Of the mayfly."""
        while (left := (self.mayfly.canary.lease.expires_at - now(self.vendor)).total_seconds()) >= 0:
            time.sleep(left + 0.005)

    @cached_property
    def leaver(self) -> ReleasedPostgresCanary:
        """Sessions of every kind, and then the release."""
        canary = self.vend(self.lease(self.profiles.brief, "LEAVER"))
        idle, reading, running = (self.log_in(canary) for _ in range(3))
        own_password = Secret(self.ground.randomness(16).hex())
        idle.run(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(canary.lease.role), sql.Literal(own_password.reveal())))
        reading.run(sql.SQL("BEGIN; DECLARE kept CURSOR FOR SELECT * FROM timed; FETCH 1 FROM kept"))
        under_way = self.threads.submit(running.rows, sql.SQL("SELECT pg_sleep(5)"))
        return ReleasedPostgresCanary(canary, own_password, idle, reading, under_way, self.drop(canary))

    def drop(self, canary: PostgresCanary) -> DropResult:
        (answer,) = self.ground.platform.drop([DropRequest(canary.lease.role, canary.lease.uid, EndReason.RELEASED)])
        return answer


def _take_turn(ground: PostgresAttestEnvironment, programmer: AttestSession) -> None:
    """Holds for as long as the session: the server may not notice for hours that a process is gone with the whole machine, so where we are
    alone a session of our own login that holds it is ended."""
    turn = sql.Literal(ground.turn)
    if ground.alone:
        programmer.run(_END_HOLDERS.format(turn))
    programmer.run(sql.SQL("SELECT pg_advisory_lock({})").format(turn))


@contextmanager
def hatched(ground: PostgresAttestEnvironment) -> Iterator[PostgresCanaries]:
    """Makes schema, tables and profiles, one attestation of a cluster at a time; roles are vended when a check needs them.

    What an earlier run left goes first, and in the end all of it goes again. If that fails the next run does it, and nothing else is
    hidden by it: the error is raised only where there is no other.
    """
    with ExitStack() as ends:
        threads = ends.enter_context(ThreadPoolExecutor(1))
        programmer = open_session(ends, ground.address, ground.programmer)
        vendor = open_session(ends, ground.address, ground.vendor)
        _take_turn(ground, programmer)
        clear(ground, programmer)
        try:
            token = ground.randomness(8).hex()
            lay_out(ground, programmer, token)
            made = profiles(ground)
            for profile in expected(made, ground.wanted):
                ground.platform.ensure(profile)
            yield PostgresCanaries(ground, token, vendor, programmer, made, ends, threads)
        except BaseException:
            with suppress(RolevendError, psycopg.Error):
                clear(ground, programmer)
            raise
        clear(ground, programmer)

"""The canaries of PostgreSQL: how they are deployed and removed, what they leave open, and how an ended session is recognized."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from rolevend.errors import InvalidInput, PlatformUnavailable
from rolevend.model import RoleName
from rolevend.platforms.attestation import checks
from rolevend.platforms.attestation.canaries import Canaries, Canary
from rolevend.platforms.attestation.deployment import deployed
from rolevend.platforms.attestation.tables import Profiles
from rolevend.platforms.postgres.attest.environment import (
    GUARDED,
    PEOPLE,
    TIMED,
    PostgresAttestEnvironment,
    create_tables,
    now,
    open_session,
    profiles,
)
from rolevend.platforms.postgres.attest.session import INSUFFICIENT_PRIVILEGE, AttestSession, Statement, describe, is_transient
from rolevend.platforms.postgres.connections import PostgresLogin
from rolevend.platforms.postgres.failures import translated
from rolevend.platforms.protocol import CheckResult, DropRequest, EndReason, InstallMode, PasswordCredential, Secret

PostgresCanary = Canary[PasswordCredential]
_QUESTION, _NO_QUESTION = sql.SQL("SELECT count(*) FROM timed"), sql.SQL("SELECT 1")
_NO_PROFILE = (INSUFFICIENT_PRIVILEGE, "42P01")
"""Without its profile, a closed role has no right on a view, or does not find it in its search path."""
_PATIENCE = 3.0
"""Seconds in which the release of a role must end a running statement."""
_RULES = checks.ErrorRules(psycopg.Error, is_transient, describe, translated, leak=True)
_LATER = timedelta(hours=1)
_OWN_PATH = sql.SQL("SET search_path = pg_catalog, pg_temp")
"""Without the default schemas, in which others may create functions that the operator's logins would call."""
_END_HOLDERS = sql.SQL(
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks JOIN pg_stat_activity USING (pid)"
    " WHERE locktype = 'advisory' AND pg_locks.database = datid AND datname = current_database() AND objsubid = 1 AND granted"
    " AND (classid::bigint << 32 | objid::bigint) = {} AND usename = session_user AND pid <> pg_backend_pid()"
)


@dataclass
class PostgresCanaries(Canaries[PasswordCredential, AttestSession]):
    LIFE = 300.0
    BRIEF_LIFE, LONGEST_BRIEF_LIFE = 1.2, 40.0
    TOO_SLOW = (psycopg.Error, PlatformUnavailable, InvalidInput)

    environment: PostgresAttestEnvironment
    cursor_session: AttestSession = field(init=False)
    """A session of the released canary, with the cursor `kept` open."""
    begun: float = field(default_factory=time.monotonic, init=False)

    def alive(self) -> bool:
        """False if a canary may have expired by itself."""
        return time.monotonic() < self.begun + self.LIFE

    def now(self) -> datetime:
        return now(self.vendor)

    def log_in(
        self, canary: PostgresCanary, *, password: Secret | None = None, database: str | None = None, proof: bool = True
    ) -> AttestSession:
        """Log in as an agent does, at the agents' address. Without `proof` the server does not have to ask for the password.

        Raises:
            PlatformUnavailable: the login is refused.
        """
        address = canary.credential.address
        login = PostgresLogin(canary.lease.role, password or canary.credential.password)
        where = replace(address, database=database or address.database)
        return open_session(self.ends, where, login, proof=proof)

    def lets_in(self, canary: PostgresCanary, **how: Any) -> bool:
        """A login that is refused while bob's works is refused for what it is. `how`: see `log_in`."""
        try:
            self.log_in(canary, **how).connection.close()
        except PlatformUnavailable:
            self.log_in(self.bob).connection.close()
            return False
        return True

    def values(self, session: AttestSession, statement: LiteralString) -> list[tuple[Any, ...]]:
        return session.rows(sql.SQL(statement))

    def answered(self, session: AttestSession, statement: Statement = _QUESTION) -> str:
        """Refused for lack of the profile, or by the end of the session."""
        try:
            session.run(statement)
        except psycopg.Error as error:
            return "" if error.sqlstate in _NO_PROFILE or session.is_lost() else f"failed with {describe(error)}"
        return "was answered"

    def survived(self, session: AttestSession, statement: Statement = _NO_QUESTION) -> str:
        try:
            session.run(statement)
        except psycopg.Error as error:
            return "" if session.is_lost() else f"failed with {describe(error)}, and the session lives"
        return "was answered"

    def outcome_of_running(self, running: Future[Any]) -> str:
        try:
            running.result(_PATIENCE)
        except psycopg.Error as error:
            return "" if is_transient(error) else f"failed with {describe(error)}"
        return "was answered"

    def has_role(self, role: RoleName) -> bool:
        return bool(self.vendor.rows(sql.SQL("SELECT 1 FROM pg_roles WHERE rolname = {}").format(sql.Literal(role))))

    def open_expiring(self, canary: PostgresCanary) -> tuple[AttestSession, AttestSession]:
        """The first one has the statement `kept` prepared."""
        prepared, in_transaction = self.log_in(canary), self.log_in(canary)
        prepared.run(sql.SQL("SET plan_cache_mode = force_generic_plan; PREPARE kept AS SELECT count(*) FROM timed; EXECUTE kept"))
        in_transaction.run(sql.SQL("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM timed"))
        return prepared, in_transaction

    def start_work(self, canary: PostgresCanary) -> Future[Any]:
        """The canary also opens a cursor, and sets a password of its own."""
        self.cursor_session, running = self.log_in(canary), self.log_in(canary)
        role, password = sql.Identifier(canary.lease.role), sql.Literal(self.own_password.reveal())
        self.cursor_session.run(sql.SQL("ALTER ROLE {} PASSWORD {}").format(role, password))
        self.cursor_session.run(sql.SQL("BEGIN; DECLARE kept CURSOR FOR SELECT * FROM timed; FETCH 1 FROM kept"))
        return self.threads.submit(running.rows, sql.SQL("SELECT pg_sleep(5)"))

    @cached_property
    def own_password(self) -> Secret:
        """The password that the released canary sets itself."""
        return Secret(self.environment.randomness(16).hex())

    @cached_property
    def victims_session(self) -> AttestSession:
        return self.log_in(self.carol)

    def filled(self, statement: LiteralString) -> sql.Composed:
        """Return a statement with the names that an attacker can know: `{eve}` is an identifier, `{eve_text}` the same as text."""
        return sql.SQL(statement).format(**self.words)

    @cached_property
    def words(self) -> dict[str, sql.Composable]:
        ((template,),) = self.vendor.rows(
            sql.SQL("SELECT min(template)::text FROM rolevend.template WHERE cluster_id = {} AND table_name = {}").format(
                sql.Literal(self.environment.cluster), sql.Literal(PEOPLE)
            )
        )
        names = {
            "eve": self.eve.lease.role,
            "victim": self.carol.lease.role,
            "profile": self.profiles.shared.name,
            "victims_profile": self.profiles.other.name,
            "template": template,
            "vendor": self.environment.vendor.user,
            "programmer": self.environment.programmer.user,
            "schema": self.environment.schema,
            "mine": "rv_canary_mine",
            "my_profile": f"rv_p_{self.environment.randomness(8).hex()}",  # a name that others know could be taken: see `logins`
            "ssn": f"ssn-{self.token}-0",
        }
        places = {
            "people_table": (self.environment.schema, PEOPLE),
            "guarded_table": (self.environment.schema, GUARDED),
            "timed_table": (self.environment.schema, TIMED),
            "people": (self.profiles.shared.name, PEOPLE),
            "guarded": (self.profiles.shared.name, GUARDED),
            "victims_people": (self.profiles.other.name, PEOPLE),
            "leak": (self.environment.schema, "leak"),
        }
        words: dict[str, sql.Composable] = {}
        for word, parts in {**{word: (name,) for word, name in names.items()}, **places}.items():
            identifier = sql.Identifier(*parts)
            words |= {word: identifier, f"{word}_text": sql.Literal(parts[0] if len(parts) == 1 else identifier.as_string())}
        ((process,),) = self.victims_session.rows(sql.SQL("SELECT pg_backend_pid()"))
        return words | {"victims_process": sql.Literal(process), "turn": sql.Literal(self.environment.turn + 1)}


Check = checks.Check[PostgresCanaries]


def examine(chosen: Sequence[Check], canaries: PostgresCanaries, mode: InstallMode) -> tuple[CheckResult, ...]:
    return checks.run_checks(chosen, canaries, mode, _RULES, canaries.environment.wanted, canaries.alive)


@contextmanager
def deployed_canaries(environment: PostgresAttestEnvironment) -> Iterator[PostgresCanaries]:
    """See `deployment.deployed`."""
    with ExitStack() as ends:
        threads = ends.enter_context(ThreadPoolExecutor(1))
        programmer = open_session(ends, environment.address, environment.programmer)
        vendor = open_session(ends, environment.address, environment.vendor)
        for session in (programmer, vendor):
            session.run(_OWN_PATH)
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

"""The canaries of Snowflake: how they log in, what they leave open, and how an ended session is recognized."""

import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final, LiteralString

from snowflake.connector import errors as vendor

from rolevend.errors import InvalidInput
from rolevend.model import RoleName
from rolevend.platforms.attestation.canaries import Canaries, Canary
from rolevend.platforms.attestation.checks import NotAsExpected
from rolevend.platforms.protocol import KeyPairCredential, Secret
from rolevend.platforms.snowflake import control
from rolevend.platforms.snowflake.attest.environment import TABLES, UNGOVERNED, SnowflakeAttestEnvironment, wall
from rolevend.platforms.snowflake.attest.session import LOCKED_OUT, describe, is_transient, now, values
from rolevend.platforms.snowflake.connections import SnowflakeLogin, SnowflakeSession, connect_plainly
from rolevend.platforms.snowflake.drop.drops import found, look
from rolevend.platforms.snowflake.failures import SESSION_GONE, code_of
from rolevend.platforms.snowflake.names import LEASE, MARKER, PROFILE, SALT, VENDOR, role_of, schema_of
from rolevend.platforms.snowflake.sql import Sql, compose, identifier, join, literal, name
from rolevend.platforms.snowflake.vend.vends import grants

SnowflakeCanary = Canary[KeyPairCredential]
_QUERY_TIMEOUT = 60
_START_TIMEOUT = 5.0
"""Seconds to wait until a statement runs that takes four times as long."""
_PATIENCE = 15.0
"""Seconds in which the release of a role must end a running statement, which would take longer otherwise."""

_CANCELLED: Final = 604
_ENDED: Final = SESSION_GONE | {_CANCELLED}

_BODY: Final[LiteralString] = (
    "AS (ID NUMBER(17,0)) RETURNS BOOLEAN -> (SELECT COUNT(*) FROM {lease} AS l WHERE l.ROLE = CURRENT_ROLE()) > 0 AND ID < 2"
)
_POLICED: Final[tuple[LiteralString, ...]] = (
    "CREATE TABLE {policed} (ID NUMBER(17,0), REGION VARCHAR, SSN VARCHAR)",
    "INSERT INTO {policed} SELECT ID, REGION, SSN FROM {people_table}",
    f"CREATE ROW ACCESS POLICY {{rows_of}} {_BODY}",
    f"CREATE ROW ACCESS POLICY {{rows_as_well}} {_BODY}",
    "CREATE MASKING POLICY {hidden} AS (V VARCHAR) RETURNS VARCHAR -> CASE WHEN CURRENT_ROLE() = 'NOBODY' THEN V END",
    "ALTER TABLE {policed} ADD ROW ACCESS POLICY {rows_of} ON (ID)",
    "ALTER TABLE {policed} MODIFY COLUMN SSN SET MASKING POLICY {hidden}",
    "GRANT SELECT ON TABLE {policed} TO ROLE {profile}",
)
"""Policies like those of tables behind a tool. The body of one reads the leases, which the session may not read."""


def key_of(canary: SnowflakeCanary) -> Secret:
    """A canary has a user of its own, which has a key."""
    assert canary.credential.private_key is not None  # noqa: S101 - for mypy
    return canary.credential.private_key


def login_of(canary: SnowflakeCanary) -> SnowflakeLogin:
    return SnowflakeLogin(canary.credential.user, key_of(canary), is_generated=True)


def _expect_answer(error: vendor.Error) -> None:
    """Raise the error unless it is an answer of the account, such as that the session or the statement was ended."""
    if is_transient(error) and code_of(error) not in _ENDED:
        raise error


@dataclass
class SnowflakeCanaries(Canaries[KeyPairCredential, SnowflakeSession]):
    LIFE = 600.0
    BRIEF_LIFE, LONGEST_BRIEF_LIFE = 2.0, 64.0
    TOO_SLOW = (InvalidInput, NotAsExpected)

    environment: SnowflakeAttestEnvironment
    until: datetime
    """The end of the attestation's turn."""

    @cached_property
    def eve(self) -> SnowflakeCanary:
        """Its profile is granted a table by hand, so that a refusal does not come from a table that the role may not know of."""
        canary = self.vend(self.lease(self.profiles.shared, "EVE", regions=[self.region("eu")]))
        profile = role_of(self.profiles.shared.name)
        self.programmer.rows(compose("GRANT USAGE ON SCHEMA {} TO ROLE {}", self.environment.place, profile))
        self.programmer.rows(compose("GRANT SELECT ON TABLE {} TO ROLE {}", self.environment.table("GUARDED"), profile))
        return canary

    def now(self) -> datetime:
        return now(self.vendor)

    def log_in(self, canary: SnowflakeCanary) -> SnowflakeSession:
        """Log in as an agent does, with the default role of the user."""
        return self.log_in_as(login_of(canary))

    def log_in_as(self, login: SnowflakeLogin, *, role: str | None = None) -> SnowflakeSession:
        environment = self.environment
        session = connect_plainly(environment.account, login, role=role, limits=environment.limits, query_timeout=_QUERY_TIMEOUT)
        self.ends.callback(session.close)
        return session

    def lets_in(self, canary: SnowflakeCanary) -> bool:
        return self.lets_in_as(login_of(canary))

    def lets_in_as(self, login: SnowflakeLogin, *, role: str | None = None) -> bool:
        """True if a login works, False if it is refused for what it is."""
        try:
            self.log_in_as(login, role=role).close()
        except vendor.Error as error:
            if code_of(error) in LOCKED_OUT:
                return False
            if is_transient(error):
                raise
            raise NotAsExpected(f"was not let in, but with {describe(error)}") from error
        return True

    def values(self, session: SnowflakeSession, statement: LiteralString) -> list[tuple[Any, ...]]:
        return values(session, Sql(statement))

    def answered(self, session: SnowflakeSession) -> str:
        """An error is no answer, and an answer without a row shows nothing."""
        return self._rows_shown(session, "SELECT ID FROM TIMED")

    def survived(self, session: SnowflakeSession) -> str:
        return "continues" if self._rows_shown(session, "SELECT 1 AS A") else ""

    def _rows_shown(self, session: SnowflakeSession, statement: LiteralString) -> str:
        try:
            rows = session.rows(Sql(statement))
        except vendor.Error as error:
            _expect_answer(error)
            return ""
        return f"shows {len(rows)} rows" if rows else ""

    def outcome_of_running(self, running: Future[Any]) -> str:
        try:
            running.result(_PATIENCE)
        except vendor.Error as error:
            _expect_answer(error)
            return ""
        return "was answered"

    def has_role(self, role: RoleName) -> bool:
        return found(role, self.vendor.rows(look(role))) is not None

    def open_expiring(self, canary: SnowflakeCanary) -> tuple[SnowflakeSession, SnowflakeSession]:
        session, in_transaction = self.log_in(canary), self.log_in(canary)
        in_transaction.rows(Sql("BEGIN"))
        if any(len(each.rows(Sql("SELECT ID FROM TIMED"))) != 2 for each in (session, in_transaction)):
            raise NotAsExpected("a role whose lease is not over sees nothing")
        return session, in_transaction

    def start_work(self, canary: SnowflakeCanary) -> Future[Any]:
        running = self.threads.submit(self.log_in(canary).rows, Sql("SELECT SYSTEM$WAIT(20)"))
        self._wait_until_it_runs(canary)
        return running

    def _wait_until_it_runs(self, canary: SnowflakeCanary) -> None:
        """Ask the vendor, which owns the user and sees its statements."""
        question = compose(
            "SELECT COUNT(*) AS running FROM TABLE({}.INFORMATION_SCHEMA.QUERY_HISTORY_BY_USER(USER_NAME => {}))\n"
            " WHERE QUERY_TEXT LIKE '%SYSTEM$WAIT%' AND EXECUTION_STATUS = 'RUNNING'",
            name(control.DATABASE),
            literal(canary.credential.user),
        )
        deadline = time.monotonic() + _START_TIMEOUT
        while not self.vendor.rows(question)[0]["running"] and time.monotonic() < deadline:
            time.sleep(0.05)

    def filled(self, statement: LiteralString) -> Sql:
        """Return a statement with the names that an attacker can know: `{eve}` is an identifier, `{eve_text}` the same as text."""
        return compose(statement, **self.words)

    @cached_property
    def words(self) -> dict[str, Sql]:
        environment, shared, other = self.environment, self.profiles.shared.name, self.profiles.other.name
        role, login = self.eve.lease.role, self.programmer_login
        return {
            "eve": name(role),
            "eve_text": literal(role),
            "bob": name(self.bob.lease.role),
            "bob_text": literal(self.bob.lease.role),
            "victim": name(self.carol.lease.role),
            "profile": role_of(shared),
            "victims_profile": role_of(other),
            "views": schema_of(shared),
            "people": join(".", [schema_of(shared), identifier("PEOPLE")]),
            "guarded": join(".", [schema_of(shared), identifier("GUARDED")]),
            "victims_people": join(".", [schema_of(other), identifier("PEOPLE")]),
            **{f"{table.lower()}_table": environment.table(table) for table in (*TABLES, UNGOVERNED)},
            "schema": environment.place,
            "wall": control.control(wall(environment)),
            "database": name(control.DATABASE),
            "bystander": name(environment.bystander),
            "bystander_text": literal(environment.bystander),
            "mine": environment.table("MINE"),
            "my_role": name(f"{environment.schema}_MINE"),
            "lease": LEASE,
            "salt": SALT,
            "built": PROFILE,
            "marker": MARKER,
            "marker_text": literal(control.MARKER),
            "vendor_role": VENDOR,
            "programmer_role": name(control.OWNER),
            "vendor": identifier(environment.vendor.user),
            "programmer": identifier(login.user),
            "warehouse": identifier(environment.account.warehouse),
            "policed": environment.table("POLICED"),
            "rows_of": environment.table("ROWS_OF"),
            "rows_as_well": environment.table("ROWS_AS_WELL"),
            "hidden": environment.table("HIDDEN"),
            "ssn_text": literal(f"ssn-{self.token}-0"),
            "eu": literal(self.region("eu")),
        }

    @property
    def programmer_login(self) -> SnowflakeLogin:
        return self.environment.programmer

    @contextmanager
    def lent(self, give: LiteralString, take: LiteralString) -> Iterator[None]:
        """Grant an object of the programmer, and revoke the grant afterwards."""
        self.programmer.rows(self.filled(give))
        try:
            yield
        finally:
            self.programmer.rows(self.filled(take))

    @contextmanager
    def open_to_public(self) -> Iterator[None]:
        """Grant two canary tables to PUBLIC, and revoke the grants afterwards."""
        with ExitStack() as ends:
            for what in ("USAGE ON DATABASE {database}", "USAGE ON SCHEMA {schema}", "SELECT ON TABLE {guarded_table}"):
                ends.enter_context(self.lent(f"GRANT {what} TO ROLE PUBLIC", f"REVOKE {what} FROM ROLE PUBLIC"))
            what = "SELECT ON TABLE {ungoverned_table}"
            ends.enter_context(self.lent(f"GRANT {what} TO ROLE PUBLIC", f"REVOKE {what} FROM ROLE PUBLIC"))
            yield

    @cached_property
    def policed(self) -> Sql:
        """A table with ordinary policies, which eve may read directly. They show two persons, without their number."""
        words = self.words
        self.programmer.script([compose(each, **words) for each in _POLICED])
        return words["policed"]

    def held_by(self, canary: SnowflakeCanary) -> list[tuple[str, str]]:
        return [(str(row["privilege"]), str(row["name"])) for row in self.vendor.rows(grants(canary.lease))]

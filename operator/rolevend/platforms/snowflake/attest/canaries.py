"""The canaries: roles that are vended for one attestation, as any other, each when a check first needs it."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final, LiteralString

from snowflake.connector import errors as vendor

from rolevend.errors import InvalidInput
from rolevend.plan import Lease, Profile
from rolevend.platforms.canaries import Profiles, lease_of_canary
from rolevend.platforms.protocol import DropRequest, DropResult, EndReason, KeyPairCredential, Secret
from rolevend.platforms.snowflake import control
from rolevend.platforms.snowflake.attest.environment import TABLES, UNGOVERNED, SnowflakeAttestEnvironment, wall
from rolevend.platforms.snowflake.attest.session import LOCKED_OUT, NotAsExpected, now, passes, said
from rolevend.platforms.snowflake.connections import SnowflakeLogin, SnowflakeSession, connect_plainly
from rolevend.platforms.snowflake.failures import code_of
from rolevend.platforms.snowflake.names import LEASE, MARKER, PROFILE, SALT, VENDOR, role_of, schema_of
from rolevend.platforms.snowflake.sql import Sql, compose, identifier, join, literal, name
from rolevend.platforms.snowflake.vend.vends import grants

LIFE = 600.0
"""Seconds: no attestation may take longer, and what a crash leaves is dead then."""
_BRIEF_LIFE, _LONGEST_BRIEF_LIFE = 2.0, 64.0
_AGENTS_PATIENCE = 60
_TO_BEGIN = 5.0
"""In which a statement has begun that takes four times as long."""

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
"""Policies that are as those of tables behind a tool: the body of one reads the leases, which the session may not."""


@dataclass(frozen=True, slots=True)
class SnowflakeCanary:
    lease: Lease
    credential: KeyPairCredential

    @property
    def login(self) -> SnowflakeLogin:
        return SnowflakeLogin(self.credential.user, self.key)

    @property
    def key(self) -> Secret:
        """A canary is a user of its own, which has one."""
        assert self.credential.private_key is not None  # noqa: S101 - for mypy
        return self.credential.private_key


@dataclass(frozen=True, slots=True)
class ExpiringSnowflakeCanary:
    """A canary whose time is nearly over, and what it began before."""

    canary: SnowflakeCanary
    open: SnowflakeSession
    earlier: SnowflakeSession
    """In a transaction that has read already."""


@dataclass(frozen=True, slots=True)
class ReleasedSnowflakeCanary:
    """A canary that was released, and what it had begun."""

    canary: SnowflakeCanary
    idle: SnowflakeSession
    running: Future[Any]
    """A statement under way."""
    dropped: DropResult


@dataclass
class SnowflakeCanaries:
    """All that checks need: see `hatching.hatched`."""

    ground: SnowflakeAttestEnvironment
    token: str
    vendor: SnowflakeSession
    programmer: SnowflakeSession
    profiles: Profiles
    until: datetime
    ends: ExitStack
    threads: ThreadPoolExecutor

    @cached_property
    def eve(self) -> SnowflakeCanary:
        """The agent that attacks: it reads the rows of Europe. Somebody has granted its profile a table by hand, so it knows of it."""
        canary = self.vend(self.lease(self.profiles.shared, "EVE", regions=[self.region("eu")]))
        self.programmer.rows(compose("GRANT USAGE ON SCHEMA {} TO ROLE {}", self.ground.place, role_of(self.profiles.shared.name)))
        self.programmer.rows(
            compose("GRANT SELECT ON TABLE {} TO ROLE {}", self.ground.table("GUARDED"), role_of(self.profiles.shared.name))
        )
        return canary

    @cached_property
    def bob(self) -> SnowflakeCanary:
        """The same profile, for America."""
        return self.vend(self.lease(self.profiles.shared, "BOB", regions=[self.region("us")]))

    @cached_property
    def carol(self) -> SnowflakeCanary:
        """Another profile, and every row: the victim."""
        return self.vend(self.lease(self.profiles.other, "CAROL"))

    @cached_property
    def session(self) -> SnowflakeSession:
        """Of eve."""
        return self.log_in(self.eve)

    @cached_property
    def bobs_session(self) -> SnowflakeSession:
        return self.log_in(self.bob)

    def region(self, of: str) -> str:
        return f"{of}-{self.token}"

    def lease(self, of: Profile, user: str, seconds: float = LIFE, **attributes: Sequence[str]) -> Lease:
        return lease_of_canary(
            user,
            of,
            attributes,
            cluster=self.ground.cluster,
            expires_at=now(self.vendor) + timedelta(seconds=seconds),
            randomness=self.ground.randomness,
        )

    def vend(self, lease: Lease) -> SnowflakeCanary:
        credential = self.ground.platform.credential(lease, self.ground.randomness)
        assert isinstance(credential, KeyPairCredential)  # noqa: S101 - for mypy
        (answer,) = self.ground.platform.vend([(lease, credential)])
        if answer.error is not None:
            raise answer.error
        return SnowflakeCanary(lease, credential)

    def vended(self, of: Profile, user: str, **attributes: Sequence[str]) -> SnowflakeSession:
        """The session of a canary for one check."""
        return self.log_in(self.vend(self.lease(of, user, LIFE, **attributes)))

    def log_in(self, canary: SnowflakeCanary, *, key: Secret | None = None, role: str | None = None) -> SnowflakeSession:
        """As an agent does. The role is its user's default one."""
        return self.log_in_as(SnowflakeLogin(canary.credential.user, key or canary.key), role=role)

    def log_in_as(self, login: SnowflakeLogin, *, role: str | None = None) -> SnowflakeSession:
        session = connect_plainly(self.ground.account, login, role=role, limits=self.ground.limits, query_timeout=_AGENTS_PATIENCE)
        self.ends.callback(session.close)
        return session

    def lets_in(self, login: SnowflakeLogin, *, role: str | None = None) -> bool:
        """Whether a login works."""
        try:
            self.log_in_as(login, role=role).close()
        except vendor.Error as error:
            if code_of(error) in LOCKED_OUT:
                return False
            if passes(error):
                raise
            raise NotAsExpected(f"was not let in, but with {said(error)}") from error
        return True

    def filled(self, statement: LiteralString) -> Sql:
        """With the names that an attacker can know: `{eve}` is an identifier, `{eve_text}` the same as text."""
        return compose(statement, **self.words)

    @cached_property
    def words(self) -> dict[str, Sql]:
        ground, shared, other = self.ground, self.profiles.shared.name, self.profiles.other.name
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
            **{f"{table.lower()}_table": ground.table(table) for table in (*TABLES, UNGOVERNED)},
            "schema": ground.place,
            "wall": control.control(wall(ground)),
            "database": name(control.DATABASE),
            "bystander": name(ground.bystander),
            "bystander_text": literal(ground.bystander),
            "mine": ground.table("MINE"),
            "my_role": name(f"{ground.schema}_MINE"),
            "lease": LEASE,
            "salt": SALT,
            "built": PROFILE,
            "marker": MARKER,
            "marker_text": literal(control.MARKER),
            "vendor_role": VENDOR,
            "programmer_role": name(control.OWNER),
            "vendor": identifier(ground.vendor.user),
            "programmer": identifier(login.user),
            "warehouse": identifier(ground.account.warehouse),
            "policed": ground.table("POLICED"),
            "rows_of": ground.table("ROWS_OF"),
            "rows_as_well": ground.table("ROWS_AS_WELL"),
            "hidden": ground.table("HIDDEN"),
            "ssn": literal(f"ssn-{self.token}-0"),
            "eu": literal(self.region("eu")),
        }

    @property
    def programmer_login(self) -> SnowflakeLogin:
        return self.ground.programmer

    @contextmanager
    def lent(self, give: LiteralString, take: LiteralString) -> Iterator[None]:
        """Something that the programmer owns, for a moment."""
        self.programmer.rows(self.filled(give))
        try:
            yield
        finally:
            self.programmer.rows(self.filled(take))

    @contextmanager
    def open_to_public(self) -> Iterator[None]:
        """Two tables of canaries, for everybody, for a moment."""
        with ExitStack() as ends:
            for what in ("USAGE ON DATABASE {database}", "USAGE ON SCHEMA {schema}", "SELECT ON TABLE {guarded_table}"):
                ends.enter_context(self.lent(f"GRANT {what} TO ROLE PUBLIC", f"REVOKE {what} FROM ROLE PUBLIC"))
            what = "SELECT ON TABLE {ungoverned_table}"
            ends.enter_context(self.lent(f"GRANT {what} TO ROLE PUBLIC", f"REVOKE {what} FROM ROLE PUBLIC"))
            yield

    @cached_property
    def policed(self) -> Sql:
        """A table with policies of the plain kind, which eve may read by its own name: as a row has a lease, two people, without number."""
        words = self.words
        self.programmer.script([compose(each, **words) for each in _POLICED])
        return words["policed"]

    @cached_property
    def mayfly(self) -> ExpiringSnowflakeCanary:
        seconds = _BRIEF_LIFE
        while True:
            lease = self.lease(self.profiles.brief, "MAYFLY", seconds)
            problem: Exception = NotAsExpected("a role whose time is not over sees nothing")
            try:
                canary = self.vend(lease)
                opened, earlier = self.log_in(canary), self.log_in(canary)
                earlier.rows(Sql("BEGIN"))
                seen = [session.rows(Sql("SELECT ID FROM TIMED")) for session in (opened, earlier)]
                if all(len(rows) == 2 for rows in seen):
                    return ExpiringSnowflakeCanary(canary, opened, earlier)
            except InvalidInput as error:
                problem = error
            if seconds > _LONGEST_BRIEF_LIFE or now(self.vendor) < lease.expires_at:
                raise problem
            seconds *= 2  # a slow account: the lease expired before the role was there, or before it could read

    def wait_for_expiry(self) -> None:
        """Of the mayfly."""
        while (left := (self.mayfly.canary.lease.expires_at - now(self.vendor)).total_seconds()) >= 0:
            time.sleep(left + 0.005)

    @cached_property
    def leaver(self) -> ReleasedSnowflakeCanary:
        canary = self.vend(self.lease(self.profiles.brief, "LEAVER"))
        idle, running = self.log_in(canary), self.log_in(canary)
        under_way = self.threads.submit(running.rows, Sql("SELECT SYSTEM$WAIT(20)"))
        self._wait_until_it_runs(canary)
        return ReleasedSnowflakeCanary(canary, idle, under_way, self.drop(canary))

    def _wait_until_it_runs(self, canary: SnowflakeCanary) -> None:
        """The vendor owns the user, and sees what it does."""
        question = compose(
            "SELECT COUNT(*) AS running FROM TABLE({}.INFORMATION_SCHEMA.QUERY_HISTORY_BY_USER(USER_NAME => {}))\n"
            " WHERE QUERY_TEXT LIKE '%SYSTEM$WAIT%' AND EXECUTION_STATUS = 'RUNNING'",
            name(control.DATABASE),
            literal(canary.credential.user),
        )
        patience = time.monotonic() + _TO_BEGIN
        while not self.vendor.rows(question)[0]["running"] and time.monotonic() < patience:
            time.sleep(0.05)

    def drop(self, canary: SnowflakeCanary, reason: EndReason = EndReason.RELEASED) -> DropResult:
        (answer,) = self.ground.platform.drop([DropRequest(canary.lease.role, canary.lease.uid, reason)])
        return answer

    def held_by(self, canary: SnowflakeCanary) -> list[tuple[str, str]]:
        return [(str(row["privilege"]), str(row["name"])) for row in self.vendor.rows(grants(canary.lease))]

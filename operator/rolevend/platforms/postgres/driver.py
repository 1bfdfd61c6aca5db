"""The PostgreSQL driver, see `rolevend.platforms.protocol.Platform`.

Two separate logins: the vendor creates and drops roles of existing profiles, the programmer builds profiles. A process that only vends has
no programmer; operations that need one raise `PlatformUnavailable`.
"""

import base64
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from rolevend.catalog import Catalog, TableId, ToolId
from rolevend.errors import PlatformBusy, PlatformDrifted, PlatformUnavailable, ProfileNotBuilt
from rolevend.model import Attributes, ClusterId, ProfileName, RoleName
from rolevend.plan import Lease, Profile
from rolevend.platforms.attestation.canaries import cluster_of_canaries
from rolevend.platforms.built import BuiltProfiles
from rolevend.platforms.counted import CountedTable, compared
from rolevend.platforms.postgres.attest import PostgresAttestEnvironment, attest
from rolevend.platforms.postgres.build.builder import build
from rolevend.platforms.postgres.build.collect import collect_profiles, collect_templates
from rolevend.platforms.postgres.build.comments import OwnerComments
from rolevend.platforms.postgres.build.render import render
from rolevend.platforms.postgres.catalog import read_catalog
from rolevend.platforms.postgres.connections import Connection, PostgresLimits, PostgresLogin, PostgresPool
from rolevend.platforms.postgres.count import count_tables
from rolevend.platforms.postgres.drop.clearing import Clearing
from rolevend.platforms.postgres.drop.drops import Tombstone, drop_all, tombstone_of
from rolevend.platforms.postgres.facts import facts_of, programmer_of
from rolevend.platforms.postgres.records import PostgresRecords
from rolevend.platforms.postgres.sql_files import query
from rolevend.platforms.postgres.vend.vends import prepared, vend_all
from rolevend.platforms.progress import ProgressCallback, no_progress
from rolevend.platforms.protocol import (
    Address,
    CheckResult,
    CreatedRole,
    Credential,
    Drift,
    DropRequest,
    DropResult,
    EndedRole,
    EndReason,
    InstallMode,
    LimitAction,
    LimitViolation,
    LiveRole,
    PasswordCredential,
    Randomness,
    Secret,
    ServerFacts,
)

_PASSWORD_BYTES = 32
_SLOW_ITERATIONS = 256
_CURB = "SELECT role, uid, act, why FROM rolevend.curb(%(cluster)s)"


class PostgresPlatform:
    """One database of one PostgreSQL server, for one cluster. Connects with the first call."""

    def __init__(
        self,
        address: Address,
        cluster: ClusterId,
        vendor: PostgresLogin,
        programmer: PostgresLogin | None = None,
        limits: PostgresLimits | None = None,
        agent_address: Address | None = None,
    ) -> None:
        """`agent_address` is the address for agents, if it differs from the operator's `address`."""
        self._address = address
        self._agent_address = agent_address or address
        self._cluster = cluster
        self._logins = (vendor, programmer)
        self._limits = limits or PostgresLimits()
        self._vendor = _pool(address, vendor, self._limits, programmer=False)
        self._programmer = _pool(address, programmer, self._limits, programmer=True) if programmer else None
        self._counter = _pool(address, programmer, replace(self._limits, programmer_connections=1), programmer=True) if programmer else None
        self._records = PostgresRecords(self._vendor, cluster, self._where)
        self._guard = _pool(address, vendor, replace(self._limits, vendor_connections=1, wait_for_connection=0.5), programmer=False)
        self._clearing = Clearing(self._guard, cluster, self._where)
        self._built = BuiltProfiles()
        self._comments = OwnerComments()

    @property
    def records(self) -> PostgresRecords:
        return self._records

    @property
    def max_parallel_vends(self) -> None:
        """None: a transaction costs more than a role in it, and GRANT locks a profile until its end."""
        return None

    def facts(self) -> ServerFacts:
        attempt = f"ask {self._where} what it is"
        if self._programmer is not None:
            self._programmer.run(attempt, lambda connection: connection.execute("SELECT 1").fetchone())
        return self._vendor.run(attempt, lambda connection: facts_of(connection, self._address.tls.mode))

    def catalog(
        self,
        schemas: frozenset[str],
        *,
        own: frozenset[str] = frozenset(),
        functions: frozenset[str] = frozenset(),
        tools: frozenset[ToolId] = frozenset(),
    ) -> Catalog:
        del tools  # an agent's tools are functions or its own schemas here
        attempt = f"read the catalog of {self._where}"
        if self._programmer is not None:
            catalog = self._programmer.run(attempt, lambda connection: read_catalog(connection, schemas, own, functions))
            if self._comments.read(catalog):
                self._built.clear()
            return catalog
        return self._vendor.run(attempt, lambda connection: read_catalog(connection, schemas, own, functions, programmer_of(connection)))

    def ensure(self, profile: Profile, on_progress: ProgressCallback = no_progress) -> None:
        if self._built.has(profile.name):
            return
        if self._programmer is None:
            self._expect_built(profile.name)
            return
        with self._built.turn(profile.name):
            if self._built.has(profile.name):
                return
            wanted = render(profile, self._cluster)
            attempt = f"build profile {profile.name} on {self._where}"
            program = self._program()

            def work(connection: Connection) -> bool:
                with program.spare() as helper:
                    return build(connection, helper, wanted, self._limits.build_attempts, self._clearing, on_progress)

            if program.run(attempt, work) and self._comments.are_those_of(profile):
                self._built.add(profile.name)

    def is_built(self, profile: ProfileName) -> bool:
        return self._built.has(profile)

    def credential(self, lease: Lease, randomness: Randomness) -> PasswordCredential:
        password = base64.urlsafe_b64encode(randomness(_PASSWORD_BYTES)).rstrip(b"=").decode()
        return PasswordCredential(lease.role, Secret(password), self._agent_address, lease.profile)

    def prepares_slowly(self, credential: Credential) -> bool:
        """True if SCRAM is yet to be computed, and takes longer than a switch of threads, as with PostgreSQL's default of 4,096 rounds."""
        is_prepared = not isinstance(credential, PasswordCredential) or credential.verifier is not None
        return not is_prepared and self._limits.scram_iterations >= _SLOW_ITERATIONS

    def prepare(self, credential: Credential) -> Credential:
        return prepared(credential, self._limits.scram_iterations) if isinstance(credential, PasswordCredential) else credential

    def vend(self, vends: Sequence[tuple[Lease, Credential]]) -> Sequence[CreatedRole]:
        attempt = f"vend on {self._where}"
        answers = vend_all(lambda work: self._vendor.run(attempt, work), attempt, vends, self._limits.scram_iterations)
        for (lease, _), answer in zip(vends, answers, strict=True):
            if isinstance(answer.error, PlatformBusy):  # its profile may have been collected or closed for drift: check again next time
                self._built.remove(lease.profile)
        return answers

    def drop(self, endings: Sequence[DropRequest]) -> Sequence[DropResult]:
        attempt = f"drop on {self._where}"

        def run(work: Callable[[Connection], Any]) -> Any:
            return self._vendor.run(attempt, lambda connection: self._clearing.run(attempt, connection, work))

        return drop_all(run, attempt, self._cluster, endings, self._limits.drop_patience)

    def live(self) -> Sequence[LiveRole]:
        rows = self._vendor.run(
            f"list the vended roles of {self._where}",
            lambda connection: connection.execute(query("live"), {"cluster": self._cluster}).fetchall(),
        )
        return [LiveRole(role, uid, expires_at, closed) for role, uid, expires_at, closed in rows]

    def ended(self, reason: EndReason) -> Sequence[EndedRole]:
        rows = self._vendor.run(
            f"list the roles that ended on {self._where}",
            lambda connection: connection.execute(query("ended"), {"cluster": self._cluster, "reason": reason.value}).fetchall(),
        )
        return [EndedRole(*row) for row in rows]

    def curb(self) -> Sequence[LimitViolation]:
        rows = self._vendor.run(
            f"curb the vended roles of {self._where}",
            lambda connection: connection.execute(_CURB, {"cluster": self._cluster}, prepare=True).fetchall(),
        )
        return [*self._clearing.take_violations(), *(LimitViolation(role, uid, LimitAction(act), why) for role, uid, act, why in rows)]

    def drift(self) -> Sequence[Drift]:
        """See the protocol. The server also records drift: a profile over a changed table is not vended until it is fixed. Without a
        programmer the result is empty, because another process checks.
        """
        if self._programmer is None:
            return ()
        rows = self._programmer.run(
            f"look for drift on {self._where}",
            lambda connection: connection.execute(query("drift"), {"cluster": self._cluster}).fetchall(),
        )
        for *_, profiles in rows:
            for profile in profiles:
                self._built.remove(profile)
        return [
            Drift(TableId(schema, table), f"{finding}; {mend}", tuple(RoleName(role) for role in roles))
            for schema, table, finding, mend, roles, _ in rows
        ]

    def attest(
        self, mode: InstallMode, randomness: Randomness, *, alone: bool, wanted: Callable[[], bool] = lambda: True
    ) -> Sequence[CheckResult]:
        """See the protocol. Uses a separate driver for the canaries' cluster, with one connection per login."""
        vendor, programmer = self._logins
        if programmer is None:
            raise PlatformUnavailable(f"this process has no programmer's credential for {self._where}")
        cluster = cluster_of_canaries(self._cluster)
        limits = replace(self._limits, vendor_connections=1, programmer_connections=1)
        driver = PostgresPlatform(self._address, cluster, vendor, programmer, limits, self._agent_address)
        try:
            return attest(PostgresAttestEnvironment(driver, cluster, self._address, vendor, programmer, randomness, alone, wanted), mode)
        finally:
            driver.close()

    def collect(self, keep: frozenset[ProfileName], unused_since: datetime) -> int:
        """See the protocol. Also drops templates without views unless their table is locked; the next run retries those."""
        attempt = f"collect unused profiles on {self._where}"
        self._vendor.run(attempt, lambda connection: connection.execute("SELECT rolevend.forget()").fetchone())
        program = self._program()
        gone = program.run(attempt, lambda connection: collect_profiles(connection, self._cluster, keep, unused_since))
        for profile in gone:
            self._built.remove(profile)
        program.run(attempt, lambda connection: collect_templates(connection, self._cluster, unused_since))
        return len(gone)

    def count(self, today: Profile | None, granted: Profile, attributes: Attributes, seconds: float) -> Sequence[CountedTable]:
        """See the protocol. Has a connection of its own: no build waits for it."""
        if self._counter is None:
            raise PlatformUnavailable(f"this process has no programmer's credential for {self._where}")
        tables, attempt = compared(today, granted), f"count the rows of an offer on {self._where}"
        return self._counter.run(attempt, lambda connection: count_tables(connection, tables, attributes, seconds))

    def tombstone(self, role: RoleName) -> Tombstone | None:
        """Return the record of a role that the platform vended, until a day after its end."""
        return self._vendor.run(f"look up {role} on {self._where}", lambda connection: tombstone_of(connection, role))

    def close(self) -> None:
        self._vendor.close()
        self._guard.close()
        for pool in (self._programmer, self._counter):
            if pool is not None:
                pool.close()

    @property
    def _where(self) -> str:
        return f"{self._address.host}:{self._address.port}/{self._address.database}"

    def _program(self) -> PostgresPool:
        if self._programmer is None:
            raise PlatformUnavailable(f"this process has no programmer's credential for {self._where}")
        return self._programmer

    def _expect_built(self, profile: ProfileName) -> None:
        row = self._vendor.run(
            f"look for profile {profile} on {self._where}",
            lambda connection: connection.execute("SELECT drift FROM rolevend.profile WHERE profile = %s", [profile]).fetchone(),
        )
        if row is None:
            raise ProfileNotBuilt(f"profile {profile} is not built on {self._where} yet")
        if row[0] is not None:
            raise PlatformDrifted(f"profile {profile} on {self._where} is closed: {row[0]}")
        self._built.add(profile)


def _pool(address: Address, login: PostgresLogin, limits: PostgresLimits, *, programmer: bool) -> PostgresPool:
    statement_timeout = limits.programmer_statement_timeout if programmer else limits.vendor_statement_timeout
    return PostgresPool(
        address=address,
        login=login,
        size=limits.programmer_connections if programmer else limits.vendor_connections,
        connect_timeout=limits.connect_timeout,
        wait=limits.wait_for_connection,
        application_name="rolevend programmer" if programmer else "rolevend vendor",
        settings={
            "search_path": "pg_catalog, pg_temp",
            "timezone": "UTC",
            "datestyle": "ISO, YMD",
            "statement_timeout": f"{statement_timeout * 1000:.0f}",
            "lock_timeout": f"{limits.lock_timeout * 1000:.0f}",
            "idle_in_transaction_session_timeout": "30000",
            "default_transaction_isolation": "read committed",
        },
    )

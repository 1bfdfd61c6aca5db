"""The Snowflake driver, see `rolevend.platforms.protocol.Platform`.

Two separate logins: the vendor creates and drops roles of existing profiles, the programmer builds profiles. A process that only vends has
no programmer; operations that need one raise `PlatformUnavailable`.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from typing import Final

from rolevend.catalog import Catalog, TableId, Tool, ToolId
from rolevend.errors import InvalidInput, PlatformBusy, PlatformUnavailable, ProfileNotBuilt, Rejected, RolevendError
from rolevend.model import Attributes, ClusterId, ProfileName
from rolevend.plan import Lease, Profile
from rolevend.platforms.attestation.canaries import cluster_of_canaries
from rolevend.platforms.built import BuiltProfiles
from rolevend.platforms.counted import CountedTable
from rolevend.platforms.progress import ProgressCallback, no_progress
from rolevend.platforms.protocol import (
    Account,
    CheckResult,
    CreatedRole,
    Credential,
    Drift,
    DropRequest,
    DropResult,
    EndedRole,
    EndReason,
    InstallMode,
    KeyPairCredential,
    LimitViolation,
    LiveRole,
    Randomness,
    ServerFacts,
)
from rolevend.platforms.snowflake.attest import SnowflakeAttestEnvironment, account_of_canaries, attest
from rolevend.platforms.snowflake.build import table_policies
from rolevend.platforms.snowflake.build.builder import Spread, build, is_handed_over, is_written_down, render
from rolevend.platforms.snowflake.build.collect import drop_role, drop_views, forgotten
from rolevend.platforms.snowflake.catalog import Notes, expect_governable_database, noted, read_notes, read_tables
from rolevend.platforms.snowflake.connections import SnowflakeLimits, SnowflakeLogin, SnowflakePool, SnowflakeSession
from rolevend.platforms.snowflake.control import OWNER
from rolevend.platforms.snowflake.drift import drifted
from rolevend.platforms.snowflake.drop.statements import end
from rolevend.platforms.snowflake.facts import expect_row_policies, facts_of
from rolevend.platforms.snowflake.live import curb_expired, ended_roles, live_roles
from rolevend.platforms.snowflake.names import VENDOR_ROLE
from rolevend.platforms.snowflake.tools import Noted, read_noted, read_tools, write_noted
from rolevend.platforms.snowflake.ttl_cache import TtlCache
from rolevend.platforms.snowflake.vend.create import make
from rolevend.platforms.snowflake.vend.keys import SpareKeys
from rolevend.platforms.snowflake.vend.vends import unsendable

_DRIFTED_SECONDS: Final = 60.0
"""A check resumes a warehouse, which then runs for at least a minute."""


class SnowflakePlatform:
    """One database of one account, for one cluster. Connects with the first call."""

    def __init__(
        self,
        account: Account,
        cluster: ClusterId,
        vendor: SnowflakeLogin,
        programmer: SnowflakeLogin | None = None,
        limits: SnowflakeLimits | None = None,
        *,
        governs_itself: bool = False,
    ) -> None:
        """`governs_itself` is for canaries, whose tables are in rolevend's database."""
        if not governs_itself:
            expect_governable_database(account.database)
        self._account = account
        self._logins = vendor, programmer
        self._cluster = cluster
        self._limits = limits or SnowflakeLimits()
        vending = self._limits.vendor_connections + self._limits.max_parallel_vends + self._limits.drops_at_once
        self._vendor = self._pool(vendor, VENDOR_ROLE, vending, self._limits.vendor_statement_timeout)
        programming = self._limits.programmer_connections + self._limits.builds_beside
        self._programmer = self._pool(programmer, OWNER, programming, self._limits.programmer_statement_timeout) if programmer else None
        self._beside = ThreadPoolExecutor(self._limits.builds_beside, thread_name_prefix="snowflake-build")
        self._drops = ThreadPoolExecutor(self._limits.drops_at_once, thread_name_prefix="snowflake-drop")
        self._keys = SpareKeys(self._limits.spare_keys)
        self._built = BuiltProfiles()
        self._governs = False
        self._turn = threading.Lock()
        self._notes: TtlCache[tuple[TableId, ...], Notes] = TtlCache(self._limits.tags_seconds)
        self._seen_tools: TtlCache[frozenset[ToolId], Noted] = TtlCache(self._limits.tags_seconds)
        self._drift: tuple[float, Sequence[Drift]] = 0.0, ()
        """The expiry of the cached result, and the result."""

    @property
    def records(self) -> None:
        """None: a vend is no transaction here."""
        return None

    @property
    def max_parallel_vends(self) -> int:
        """Statements are per role, and grants do not block each other."""
        return self._limits.max_parallel_vends

    def facts(self) -> ServerFacts:
        attempt = f"ask {self._where} what it is"
        if self._programmer is not None:
            known = self._programmer.run(attempt, facts_of)
            if known.unusable is None and not self._governs:
                self._programmer.run(attempt, expect_row_policies)
                self._governs = True
        return self._vendor.run(attempt, facts_of)

    def catalog(
        self,
        schemas: frozenset[str],
        *,
        own: frozenset[str] = frozenset(),
        functions: frozenset[str] = frozenset(),
        tools: frozenset[ToolId] = frozenset(),
    ) -> Catalog:
        """See the protocol. Tags and tools are cached, because reading them needs a warehouse or many statements; those of new tables, and
        tools that are requested for the first time, are read at once.
        """
        pool, database, programs = self._programmer or self._vendor, self._account.database, self._programmer is not None
        attempt = f"read the catalog of {self._where}"
        del functions  # not supported
        tables = pool.run(attempt, lambda session: read_tables(session, database, schemas | own))
        ids = tuple(sorted(table.id for table in tables))
        notes = self._notes.get(ids, lambda: pool.run(attempt, lambda session: read_notes(session, database, ids, programs=programs)))
        return noted(tables, notes, self._tools_of(pool, attempt, tools))

    def ensure(self, profile: Profile, on_progress: ProgressCallback = no_progress) -> None:
        if self._built.has(profile.name):
            return
        program = self._programmer
        if program is None:
            self._expect_built(profile.name)
            return
        with self._built.turn(profile.name):
            if self._built.has(profile.name):
                return
            wanted = render(profile, self._account)
            attempt = f"build profile {profile.name} on {self._where}"
            where, turn, spread = self._account, self._turn, self._spread(program, attempt)
            program.run(attempt, lambda session: build(session, profile, wanted, where, self._cluster, turn, spread, on_progress))
            self._built.add(profile.name)

    def is_built(self, profile: ProfileName) -> bool:
        return self._built.has(profile)

    def credential(self, lease: Lease, randomness: Randomness) -> KeyPairCredential:
        """See the protocol. Ignores `randomness`: RSA keys use the system's."""
        del randomness
        if lease.agent_user is not None:
            return KeyPairCredential(lease.role, lease.agent_user, None, self._account)
        return KeyPairCredential(lease.role, lease.role, self._keys.take(), self._account)

    def prepares_slowly(self, credential: Credential) -> bool:  # noqa: ARG002
        return False

    def prepare(self, credential: Credential) -> Credential:
        return credential

    def vend(self, vends: Sequence[tuple[Lease, Credential]]) -> Sequence[CreatedRole]:
        """See the protocol. Three requests per role, in sequence; concurrent callers: see `max_parallel_vends`."""
        answers = [self._vend_one(*each) for each in vends]
        for (lease, _), answer in zip(vends, answers, strict=True):
            if isinstance(answer.error, PlatformBusy):  # its profile may have been collected: check again next time
                self._built.remove(lease.profile)
        return answers

    def drop(self, endings: Sequence[DropRequest]) -> Sequence[DropResult]:
        """See the protocol. Three requests per role, several roles concurrently."""
        return [self._drop_one(each) for each in endings] if len(endings) < 2 else list(self._drops.map(self._drop_one, endings))

    def live(self) -> Sequence[LiveRole]:
        return self._vendor.run(f"list the vended roles of {self._where}", lambda session: live_roles(session, self._cluster))

    def ended(self, reason: EndReason) -> Sequence[EndedRole]:
        return self._vendor.run(f"list the roles that ended on {self._where}", lambda session: ended_roles(session, self._cluster, reason))

    def curb(self) -> Sequence[LimitViolation]:
        """See the protocol. The user's statement timeout ends statements, the session policy idle sessions."""
        return self._vendor.run(f"curb the vended roles of {self._where}", lambda session: curb_expired(session, self._cluster))

    def drift(self) -> Sequence[Drift]:
        """See the protocol. Cached as long as tags, and shorter if there is drift, so that a fix is detected soon. Without a programmer the
        result is empty, because another process checks.
        """
        if self._programmer is None:
            return ()
        if time.monotonic() >= self._drift[0]:
            attempt = f"look for drift on {self._where}"
            found, broken = self._programmer.run(attempt, lambda session: drifted(session, self._account, self._cluster))
            for profile in broken:
                self._built.remove(profile)
            pause = min(_DRIFTED_SECONDS, self._limits.tags_seconds) if found else self._limits.tags_seconds
            self._drift = time.monotonic() + pause, found
        return self._drift[1]

    def attest(
        self, mode: InstallMode, randomness: Randomness, *, alone: bool, wanted: Callable[[], bool] = lambda: True
    ) -> Sequence[CheckResult]:
        """See the protocol. Uses a separate driver for the canaries' cluster, whose tables are in rolevend's database."""
        del mode  # there is one installation mode
        vendor, programmer = self._logins
        if programmer is None:
            raise PlatformUnavailable(f"this process has no programmer's credential for {self._where}")
        cluster, account = cluster_of_canaries(self._cluster), account_of_canaries(self._account)
        limits = replace(self._limits, vendor_connections=1, programmer_connections=1)
        driver = SnowflakePlatform(account, cluster, vendor, programmer, limits, governs_itself=True)
        try:
            return attest(SnowflakeAttestEnvironment(driver, cluster, account, vendor, programmer, limits, randomness, alone, wanted))
        finally:
            driver.close()

    def count(self, today: Profile | None, granted: Profile, attributes: Attributes, seconds: float) -> Sequence[CountedTable]:
        """See the protocol. A count would resume a warehouse."""
        del today, granted, attributes, seconds
        raise Rejected("rows are not counted on Snowflake")

    def collect(self, keep: frozenset[ProfileName], unused_since: datetime) -> int:
        """See the protocol. Also drops profiles marked for drift, and remains of an interrupted build or collection. A profile that cannot
        be dropped stays until the next run and does not block others.
        """
        attempt = f"collect unused profiles on {self._where}"
        unused = self._program().run(attempt, lambda session: forgotten(session, self._cluster, keep, unused_since))
        gone, errors = 0, list[RolevendError]()
        for profile in unused:
            try:
                gone += self._take_away(profile)
            except RolevendError as error:
                errors.append(error)
        if errors:
            raise errors[0]
        return gone

    def close(self) -> None:
        self._drops.shutdown(wait=True)
        self._beside.shutdown(wait=True, cancel_futures=True)
        self._keys.close()
        self._vendor.close()
        if self._programmer is not None:
            self._programmer.close()

    def _take_away(self, profile: ProfileName) -> bool:
        """Drop the profile unless it is being built or was built meanwhile."""
        attempt, turn, program = f"take profile {profile} away from {self._where}", self._built.turn(profile), self._program()
        if not turn.acquire(blocking=False):
            return False
        try:
            if program.run(attempt, lambda session: session.rows(is_written_down(profile))):
                return False
            self._built.remove(profile)
            with self._turn:
                program.run(attempt, lambda session: table_policies.take_away(session, profile, self._account.database))
            owner = self._vendor if program.run(attempt, lambda session: is_handed_over(session, profile)) else program
            owner.run(attempt, lambda session: session.rows(drop_role(profile)))
            program.run(attempt, lambda session: session.rows(drop_views(profile)))
            return True
        finally:
            turn.release()

    @property
    def _where(self) -> str:
        return f"{self._account.identifier}/{self._account.database}"

    def _pool(self, login: SnowflakeLogin, role: str, size: int, statement_timeout: int) -> SnowflakePool:
        return SnowflakePool(self._account, login, role=role, size=size, statement_timeout=statement_timeout, limits=self._limits)

    def _spread(self, program: SnowflakePool, attempt: str) -> Spread:
        return lambda work, items: self._beside.map(lambda item: program.run(attempt, lambda session: work(session, item)), items)

    def _program(self) -> SnowflakePool:
        if self._programmer is None:
            raise PlatformUnavailable(f"this process has no programmer's credential for {self._where}")
        return self._programmer

    def _vend_one(self, lease: Lease, credential: Credential) -> CreatedRole:
        try:
            if not isinstance(credential, KeyPairCredential) or not _is_for(credential, lease):
                raise InvalidInput("credential", f"is not a key pair for {lease.role}")
            if lease.record is not None:
                raise InvalidInput("record", f"of {lease.role}: Snowflake keeps no records")
            if (refusal := unsendable(lease)) is not None:
                raise refusal
            attempt = f"vend {lease.role} on {self._where}"
            return CreatedRole(lease.role, self._vendor.run(attempt, lambda session: make(session, lease, credential, self._account)))
        except RolevendError as error:
            return CreatedRole(lease.role, None, error)

    def _drop_one(self, ending: DropRequest) -> DropResult:
        try:
            self._vendor.run(f"drop {ending.role} on {self._where}", lambda session: end(session, ending, self._cluster))
        except RolevendError as error:
            return DropResult(ending.role, error)
        return DropResult(ending.role)

    def _tools_of(self, pool: SnowflakePool, attempt: str, wanted: frozenset[ToolId]) -> tuple[Tool, ...]:
        if not wanted:
            return ()
        known = self._seen_tools.get(wanted, lambda: pool.run(attempt, lambda session: self._look_for_tools(session, wanted)))
        if wanted - known.keys():  # the programmer has not read all of them yet
            self._seen_tools.forget()
        return tuple(tool for each in sorted(wanted) if (tool := known.get(each)) is not None)

    def _look_for_tools(self, session: SnowflakeSession, wanted: frozenset[ToolId]) -> Noted:
        """Read the tools. A process that only vends may not see all of them, and uses the programmer's record."""
        if self._programmer is None:
            return read_noted(session, self._cluster)
        found = {tool.id: tool for tool in read_tools(session, self._account.database, wanted)}
        known = {each: found.get(each) for each in sorted(wanted)}
        write_noted(session, self._cluster, known)
        return known

    def _expect_built(self, profile: ProfileName) -> None:
        """Refuse a profile that is not built. The programmer may have decided with newer tags or tools, so clear their caches."""
        if not self._vendor.run(f"look for profile {profile} on {self._where}", lambda session: session.rows(is_written_down(profile))):
            self._notes.forget()
            self._seen_tools.forget()
            raise ProfileNotBuilt(f"profile {profile} is not built on {self._where} yet")
        self._built.add(profile)


def _is_for(credential: KeyPairCredential, lease: Lease) -> bool:
    whose = (lease.agent_user or lease.role, lease.agent_user is None)
    return (credential.role, credential.user, credential.private_key is not None) == (lease.role, *whose)

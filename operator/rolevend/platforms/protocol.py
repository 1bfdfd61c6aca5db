"""The driver contract. Its docstrings are promises; one conformance suite tests them with real roles.

Drivers are synchronous and thread-safe. They raise only errors of `rolevend.errors`: `Unavailable` can be retried, `Rejected` cannot.
"""

import enum
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from rolevend.catalog import Catalog, TableId, ToolId
from rolevend.model import Attributes, ObjectName, ProfileName, RoleName, Uid
from rolevend.plan import Lease, Profile, TokenUse
from rolevend.platforms.counted import CountedTable
from rolevend.platforms.progress import ProgressCallback, no_progress

Randomness = Callable[[int], bytes]
"""Return that many random bytes; `secrets.token_bytes` outside of tests."""


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A text that does not appear in logs, errors or status; only `reveal` returns it."""

    _text: str

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"


class TlsMode(enum.StrEnum):
    """The required proof of a server's identity, in libpq's terms."""

    VERIFY_FULL = "verify-full"
    """A certificate of a trusted authority for this host."""
    VERIFY_CA = "verify-ca"
    """A certificate of a trusted authority for any host."""
    REQUIRE = "require"
    """Any certificate: encrypted, but the server's identity is not verified."""
    DISABLE = "disable"
    """No encryption."""


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS settings for connections to a server, the operator's and those of vended roles."""

    mode: TlsMode = TlsMode.VERIFY_FULL
    authority: str | None = None
    """PEM certificates of trusted authorities; None: those of the system."""


@dataclass(frozen=True, slots=True)
class Address:
    """The server and database that a vended role logs in to."""

    host: str
    port: int
    database: str
    tls: Tls = Tls()


@dataclass(frozen=True, slots=True)
class Account:
    """The Snowflake account that a vended role logs in to, with its database and warehouse."""

    identifier: str
    host: str
    port: int
    database: str
    warehouse: str
    encrypted: bool = True
    """False: plain HTTP to a test server on this machine."""


@dataclass(frozen=True, slots=True)
class PasswordCredential:
    """A login for exactly one role of the same name."""

    role: RoleName
    password: Secret
    address: Address
    schema: ProfileName
    """The schema of the role's views, the first one of its `search_path`."""
    verifier: str | None = field(default=None, repr=False, compare=False)
    """The form of the password that the platform stores; None until `Platform.prepare` has computed it."""


@dataclass(frozen=True, slots=True)
class KeyPairCredential:
    """A user that holds exactly one role, and its private key; or the agent's own user, which also holds this role."""

    role: RoleName
    user: str
    private_key: Secret | None
    """RSA, as PEM of PKCS #8 without a passphrase. None: the agent's own user already has a key."""
    account: Account


Credential = PasswordCredential | KeyPairCredential
"""The login data that the agent gets once. Each driver creates and accepts one kind."""


@dataclass(frozen=True, slots=True)
class CreatedRole:
    """The role exists and can log in until `expires_at`; or `error` is the reason and nothing was created."""

    role: RoleName
    expires_at: datetime | None
    error: Exception | None = None


class EndReason(enum.StrEnum):
    RELEASED = "Released"
    REVOKED = "Revoked"
    EXPIRED = "Expired"
    ORPHANED = "Orphaned"


@dataclass(frozen=True, slots=True)
class DropRequest:
    role: RoleName
    uid: Uid
    reason: EndReason


@dataclass(frozen=True, slots=True)
class DropResult:
    """`error` is None only if a look-up after the drop found neither the role nor a session of it."""

    role: RoleName
    error: Exception | None = None
    sessions: frozenset[int] = frozenset()
    """The platform's ids of the terminated sessions."""
    seconds: float = field(default=0.0, compare=False)
    """The time since the first attempt."""


@dataclass(frozen=True, slots=True)
class EndedRole:
    """A dropped role in the platform's record."""

    role: RoleName
    uid: Uid
    closed_at: datetime
    dropped_at: datetime


@dataclass(frozen=True, slots=True)
class LiveRole:
    """A role on the platform that belongs to this cluster, in any state."""

    role: RoleName
    uid: Uid
    expires_at: datetime | None
    closed: bool


class LimitAction(enum.StrEnum):
    CANCELLED = "Cancelled"
    """The statement was cancelled."""
    TERMINATED = "Terminated"
    """The session was terminated."""
    EXPIRED = "Expired"
    """The session was terminated because the lease expired; the role waits for its drop."""
    IDLE = "Idle"
    """Nothing was done: the caller must end the role, which counts as released."""


@dataclass(frozen=True, slots=True)
class LimitViolation:
    """A role that exceeded a limit of its lease, or its end."""

    role: RoleName
    uid: Uid
    act: LimitAction
    why: str
    """The limit and the excess, one line."""


@dataclass(frozen=True, slots=True)
class Drift:
    """A manual change to the row isolation of `table`. `roles` are the live roles that read it."""

    table: TableId
    finding: str
    """The problem and its fix, one line."""
    roles: tuple[RoleName, ...]


class InstallMode(enum.StrEnum):
    """The privileges that rolevend was installed with on a platform."""

    SUPERUSER = "Superuser"
    MANAGED = "Managed"
    """Without a superuser, as on a hosted service. Privileges that cannot be revoked from vended roles there are limitations."""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """Facts about a platform, for the DataPlatform's conditions."""

    version: str
    identifier: str
    """Equal for all host names of one server."""
    limitations: tuple[str, ...] = ()
    """One sentence for each property that this platform or its installation lacks."""
    install_mode: InstallMode = InstallMode.SUPERUSER
    hash_key_domain: str | None = None
    """Platforms with the same domain hash equal values equally; None: the hashes are unique to this platform."""
    edition: str | None = None
    """The edition, if the platform has several."""
    unusable: str | None = None
    """The reason why nothing can be vended, with the way out, if another version of rolevend is installed; other facts may be missing then.
    Live roles can be dropped."""
    sessions: int | None = None
    """The maximum number of sessions, except those of administrators and the operator; None: no such limit."""


class Outcome(enum.StrEnum):
    PASSED = "Passed"
    FAILED = "Failed"
    NOT_PREVENTABLE = "NotPreventable"
    """It failed, and cannot be prevented on a platform installed in this mode."""
    NOT_TRIED = "NotTried"
    """It could not run for a reason on the platform."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check of a promise or an attack, with roles vended for it."""

    check: str
    outcome: Outcome
    detail: str = ""
    """The observation, the reason why it cannot be prevented, or the reason why it did not run, in one line; empty if it passed."""
    leaks: bool = False
    """It failed and so shows, changes or retains data that no policy grants."""


@dataclass(frozen=True, slots=True)
class RecordedLease:
    """A lease with its record, live or ended, as the platform has it now. Nothing of it is verified: see `roles.seal`."""

    lease: Lease
    """With its record."""
    issued_at: datetime
    confirmed: bool
    """True if the answer with the credential was sent."""
    version: str
    """Changes with each change of the record."""
    closed_at: datetime | None = None
    """When the role was locked out; None: it lives until its expiry."""
    reason: EndReason | None = None
    ended_by: str | None = None
    ended_message: str | None = None
    dropped_at: datetime | None = None
    """When the role was gone, with its sessions."""
    sessions: int = 0
    """The number of sessions that its end terminated."""
    reported: bool = False
    """True if the end is in the audit trail."""


@dataclass(frozen=True, slots=True)
class RecordPage:
    leases: tuple[RecordedLease, ...]
    cursor: str
    """For the next call of `changed`."""
    rest: RoleName | None = None
    """There are more records: pass it to `changed`, which then returns the next ones. None: these were the last."""


class Records(Protocol):
    """The records of a platform that keeps leases in transactions. Synchronous and thread-safe, as the driver. Only this cluster's."""

    def changed(self, since: str | None, after: RoleName | None = None) -> RecordPage:
        """Return the records that changed since the cursor, or with None all of them in pages, without those whose end is reported. One
        may be returned twice, and none that was committed before the call is left out. A cursor that the platform did not give, such as
        that of a lost server, counts as None. With `after` it is the next page; the cursor of the first page is the one for later calls.
        """
        ...

    def unrecorded(self, since: str | None) -> Sequence[LiveRole]:
        """Return the live roles without a record that were vended since the cursor of `changed`, or with None all of them. A role may be
        returned twice, and none that was committed before the call is left out."""
        ...

    def find(self, uid: Uid) -> RecordedLease | None: ...

    def named(self, name: ObjectName) -> Sequence[RecordedLease]:
        """Return the records with this name, also of roles that ended: a hundred at most, live roles first, and the newest of each first.
        More than one is there if somebody forged the others."""
        ...

    def of(self, agent: ObjectName) -> Sequence[RecordedLease]:
        """Return the records of the agent's roles that are not gone, by name."""
        ...

    def count(self, agent: ObjectName) -> int:
        """Return how many roles `of` would return."""
        ...

    def confirm(self, uids: Collection[Uid]) -> frozenset[Uid]:
        """Record that the answers with the credentials were sent, and return those of `uids` that live. Idempotent."""
        ...

    def end(self, uid: Uid, reason: EndReason, by: str, message: str, version: str | None = None) -> bool:
        """Lock the role out and record why. The first reason stays. Return False if the record is gone, or if `version` is given and the
        record changed since. The caller then drops the role.
        """
        ...

    def reported(self, uids: Collection[Uid]) -> None:
        """Record that the end of these roles, which are gone, is in the audit trail. `changed(None)` does not return them again."""
        ...

    def take(self, token: TokenUse, holder: str) -> bool:
        """Record that `holder` uses the token. Idempotent. Return False if another one used it. The records are the cluster's."""
        ...

    def holder(self, digest: str) -> str | None:
        """Return who used the token, or None."""
        ...

    def collect(self) -> int:
        """Delete the records of expired tokens, and return how many."""
        ...


class Platform(Protocol):
    @property
    def records(self) -> Records | None:
        """None: the platform keeps no records, and `vend` refuses a lease with one."""
        ...

    @property
    def max_parallel_vends(self) -> int | None:
        """The number of concurrent calls with one vend each, if calls do not block each other. None: batch all vends into one call, because
        a large call costs little more, and concurrent calls of one profile would block each other.
        """
        ...

    def facts(self) -> ServerFacts:
        """Read the facts with both credentials.

        Raises if the platform refuses a credential, or if the installation is missing. One of another version is `ServerFacts.unusable`.
        """
        ...

    def catalog(
        self,
        schemas: frozenset[str],
        *,
        own: frozenset[str] = frozenset(),
        functions: frozenset[str] = frozenset(),
        tools: frozenset[ToolId] = frozenset(),
    ) -> Catalog:
        """Return every table of these schemas and of the schemas in `own`, with columns, types and native tags; every function of the
        schemas `functions`; and the existing ones of `tools`.

        An object that the programmer cannot govern, or that circumvents policies, has an obstacle, with any credential for the catalog.
        """
        ...

    def ensure(self, profile: Profile, on_progress: ProgressCallback = no_progress) -> None:
        """Build the profile if it is missing, and report progress. Idempotent; an interrupted build leaves nothing usable."""
        ...

    def is_built(self, profile: ProfileName) -> bool:
        """True if `ensure` has built it and no later change is known. Answers at once, from memory."""
        ...

    def credential(self, lease: Lease, randomness: Randomness) -> Credential:
        """Return a new login for the lease's role. Pure: the caller stores it before the role exists."""
        ...

    def prepares_slowly(self, credential: Credential) -> bool:
        """True if `prepare` takes longer than a switch of threads for this credential."""
        ...

    def prepare(self, credential: Credential) -> Credential:
        """Return the credential with everything that `vend` needs and can compute without the platform. Pure. `vend` computes it for a
        credential that was not prepared, but one after the other.
        """
        ...

    def vend(self, vends: Sequence[tuple[Lease, Credential]]) -> Sequence[CreatedRole]:
        """Create roles in one round trip, for any number of tables. Each vend is atomic and fails independently.

        The same lease again gives the same role with the new password and the *old* expiry. `Conflict` for a closed lease. The profile must
        have been built.

        The record of a lease is written in the same transaction: there is neither a role without its record nor a record without its role.
        `TokenUsed` if another role used the record's token, `TooManyRoles` beyond `most_live`; then nothing was written for that vend.
        """
        ...

    def drop(self, endings: Sequence[DropRequest]) -> Sequence[DropResult]:
        """Lock out, terminate sessions, drop, and verify. Total and idempotent: a role that never existed is a success, and a later vend of
        it is refused. `Conflict` for a role of another cluster or uid, which stays unchanged.
        """
        ...

    def live(self) -> Sequence[LiveRole]:
        """Return every role of this cluster that exists or still has a session, including closed ones."""
        ...

    def ended(self, reason: EndReason) -> Sequence[EndedRole]:
        """Return the roles of this cluster that any process dropped for this reason within the last day."""
        ...

    def curb(self) -> Sequence[LimitViolation]:
        """Enforce the limits of leases, whatever the session has set for itself: cancel statements, terminate sessions of leases that
        expired more than a second ago without being closed, and return the idle roles until they end. By the platform's clock, and only for
        roles of this cluster.
        """
        ...

    def drift(self) -> Sequence[Drift]:
        """Return the manual changes on governed tables since a profile was built there. Empty without the programmer's credential."""
        ...

    def attest(
        self, mode: InstallMode, randomness: Randomness, *, alone: bool, wanted: Callable[[], bool] = lambda: True
    ) -> Sequence[CheckResult]:
        """Run every check and attack with canary roles on tables created for it, then remove all of that and the remains of earlier
        attestations. Does not read or change other objects.

        `alone`: no other process attests for this cluster now, so an attestation that seems to run was abandoned. Otherwise the call waits
        for it for a short time, then raises `Unavailable`. Between checks it calls `wanted`; once that is False, it removes its canaries
        and raises `Unavailable`.

        Needs the programmer's credential. Raises `Unavailable` if the checks could not run and none failed. It has its own connections: the
        driver may be closed meanwhile.
        """
        ...

    def count(self, today: Profile | None, granted: Profile, attributes: Attributes, seconds: float) -> Sequence[CountedTable]:
        """Count the rows and cells of the tables of `granted` that each profile shows a user with these attributes. Neither profile needs
        to be built. Takes about `seconds` at most: a table for which there is no time, or that cannot be counted, says why.

        Needs the programmer's credential. Raises `Rejected` if this kind of platform counts nothing.
        """
        ...

    def collect(self, keep: frozenset[ProfileName], unused_since: datetime) -> int:
        """Drop profiles that no live lease uses, are not in `keep` and were not used since `unused_since`. Returns their number."""
        ...

    def close(self) -> None:
        """Close the connections. The driver must not be used afterwards."""
        ...

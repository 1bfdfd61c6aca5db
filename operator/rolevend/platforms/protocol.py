"""The driver protocol. Its docstrings are promises, and one conformance suite holds every driver to them by using the roles.

Drivers are synchronous and safe to call from several threads. They raise only errors of `rolevend.errors`: `Unavailable` is
worth another try, `Rejected` is not.
"""

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from rolevend.catalog import Catalog, TableId, ToolId
from rolevend.model import ProfileName, RoleName, Uid
from rolevend.plan import Lease, Profile
from rolevend.platforms.progress import ProgressCallback, no_progress

Randomness = Callable[[int], bytes]
"""That many random bytes; `secrets.token_bytes` outside of tests."""


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A text that no log, error or status shows by accident; `reveal` is the one way to it."""

    _text: str

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"


class TlsMode(enum.StrEnum):
    """What a server must show, in libpq's words."""

    VERIFY_FULL = "verify-full"
    """A certificate of a known authority, for this host."""
    VERIFY_CA = "verify-ca"
    """A certificate of a known authority, whatever it is for."""
    REQUIRE = "require"
    """Any certificate: nobody listens, but nobody knows who answers."""
    DISABLE = "disable"
    """Nothing: everything travels in the clear."""


@dataclass(frozen=True, slots=True)
class Tls:
    """How connections to a server are protected, ours and those of vended roles."""

    mode: TlsMode = TlsMode.VERIFY_FULL
    authority: str | None = None
    """PEM certificates of who may have signed the server's; None: whom the system trusts."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a vended role logs in."""

    host: str
    port: int
    database: str
    tls: Tls = Tls()


@dataclass(frozen=True, slots=True)
class Account:
    """Where a vended role of Snowflake logs in, and what it works with there."""

    identifier: str
    host: str
    port: int
    database: str
    warehouse: str
    encrypted: bool = True
    """False: HTTP in the clear, with a stand-in on this machine."""


@dataclass(frozen=True, slots=True)
class PasswordCredential:
    """A login for exactly one role, of the same name."""

    role: RoleName
    password: Secret
    address: Address


@dataclass(frozen=True, slots=True)
class KeyPairCredential:
    """A user that holds exactly one role, and the key by which it logs in; or an agent's own user, which holds this one, too."""

    role: RoleName
    user: str
    private_key: Secret | None
    """RSA, as PEM of PKCS #8 without a passphrase. None: the user is the agent's own, which knows how to log in."""
    account: Account


Credential = PasswordCredential | KeyPairCredential
"""What the agent is told once. Each driver makes those of one kind, and takes no other."""


@dataclass(frozen=True, slots=True)
class CreatedRole:
    """The role exists and can log in until `expires_at`, or `error` says why not and nothing was made."""

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
    """`error` is None only if the role was looked for and is gone, and no session of it is left."""

    role: RoleName
    error: Exception | None = None
    sessions: frozenset[int] = frozenset()
    """By the platform's numbers: those that were asked to end."""
    seconds: float = field(default=0.0, compare=False)
    """Since it was first asked for, where somebody tried more than once."""


@dataclass(frozen=True, slots=True)
class EndedRole:
    """A role that is gone, as the platform remembers it."""

    role: RoleName
    uid: Uid
    closed_at: datetime
    dropped_at: datetime


@dataclass(frozen=True, slots=True)
class LiveRole:
    """A role on the platform that carries the mark of our cluster, whatever its state."""

    role: RoleName
    uid: Uid
    expires_at: datetime | None
    closed: bool


class LimitAction(enum.StrEnum):
    CANCELLED = "Cancelled"
    """The statement."""
    TERMINATED = "Terminated"
    """The session."""
    EXPIRED = "Expired"
    """The session, since its lease is over: the role is left to its drop, which waits for its turn."""
    IDLE = "Idle"
    """Nothing was done: the role counts as given back, and is the caller's to end."""


@dataclass(frozen=True, slots=True)
class LimitViolation:
    """A role that is beyond a limit of its lease, or beyond its end."""

    role: RoleName
    uid: Uid
    act: LimitAction
    why: str
    """The limit, and how far beyond it the role is, one line."""


@dataclass(frozen=True, slots=True)
class Drift:
    """Somebody changed by hand what keeps rows of `table` apart. `roles` are the live roles that read it."""

    table: TableId
    finding: str
    """What is wrong and how to mend it, one line."""
    roles: tuple[RoleName, ...]


class InstallMode(enum.StrEnum):
    """By which rights rolevend was installed on a platform."""

    SUPERUSER = "Superuser"
    MANAGED = "Managed"
    """Without a superuser, as on a hosted service: what cannot be taken from vended roles there is among the limitations."""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a platform says of itself, for the DataPlatform's conditions."""

    version: str
    identifier: str
    """The same for two names of one server."""
    limitations: tuple[str, ...] = ()
    """What this platform or its installation lacks, one sentence each."""
    install_mode: InstallMode = InstallMode.SUPERUSER
    hash_key_domain: str | None = None
    """Platforms with one such name hash equal values equally; None: this one's hashes are its own."""
    edition: str | None = None
    """Of a platform that is sold in several."""
    sessions: int | None = None
    """As many as the platform has for everybody but its administrators and us; None: it has no such number."""


class Outcome(enum.StrEnum):
    PASSED = "Passed"
    FAILED = "Failed"
    NOT_PREVENTABLE = "NotPreventable"
    """It failed, and on a platform that is installed in this mode nobody can keep it from failing."""
    NOT_TRIED = "NotTried"
    """Nothing is known of it, for a reason that lies in the platform."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one promise, or one attack, came to when it was tried with roles that were vended for it."""

    check: str
    outcome: Outcome
    detail: str = ""
    """What was seen instead, why it cannot be prevented, or why it was not tried, in one line; empty where it passed."""
    leaks: bool = False
    """It failed, and so shows, changes or keeps what no policy grants."""


class Platform(Protocol):
    @property
    def max_parallel_vends(self) -> int | None:
        """So many calls with one vend each, where one waits for no other. None: a call of many costs little more than one, and two calls
        of one profile would wait for each other."""
        ...

    def facts(self) -> ServerFacts:
        """Asks the platform with both credentials; raises where either is refused or the installation is missing or too old."""
        ...

    def catalog(
        self,
        schemas: frozenset[str],
        *,
        own: frozenset[str] = frozenset(),
        functions: frozenset[str] = frozenset(),
        tools: frozenset[ToolId] = frozenset(),
    ) -> Catalog:
        """Every table of these schemas, and of those of agents' `own`, with columns, types and native tags; every function of the schemas
        `functions`; and those of `tools` that are there. What cannot be governed, or is a way around policies, has an obstacle: the
        programmer could not govern it, whichever credential reads."""
        ...

    def ensure(self, profile: Profile, told: ProgressCallback = no_progress) -> None:
        """Builds the shape where it is missing, and tells how far it is as often as it hears from the platform. Idempotent; cut short at
        any point it leaves nothing a vend could use."""
        ...

    def is_built(self, profile: ProfileName) -> bool:
        """Whether `ensure` has built it and nothing is known to the contrary. Answers at once, from memory."""
        ...

    def credential(self, lease: Lease, randomness: Randomness) -> Credential:
        """A fresh login for the lease's role. Pure: stored before the role exists."""
        ...

    def vend(self, vends: Sequence[tuple[Lease, Credential]]) -> Sequence[CreatedRole]:
        """One round trip, however many tables. Each vend happens whole or not at all, and fails alone.

        The same lease again is the same role with the new password and the *old* expiry. A lease that was closed stays closed:
        `Conflict`. The profile must have been built.
        """
        ...

    def drop(self, endings: Sequence[DropRequest]) -> Sequence[DropResult]:
        """Locks out, ends sessions, drops, and looks again. Total and idempotent: a role that never was is a success, and
        a vend of it that arrives later is refused. Another cluster's or another uid's role is never touched: `Conflict`."""
        ...

    def live(self) -> Sequence[LiveRole]:
        """Every role of our cluster that still exists or still has a session, closed ones included."""
        ...

    def ended(self, reason: EndReason) -> Sequence[EndedRole]:
        """The roles of our cluster that were dropped for this reason a day ago or less, whoever dropped them."""
        ...

    def curb(self) -> Sequence[LimitViolation]:
        """Stops what exceeds the limits of its lease, whatever the session has set for itself, ends the sessions of leases that have been
        over for a second without being closed, and names the roles that are idle for too long, again and again until they end. By the
        platform's clock, and only roles of our cluster."""
        ...

    def drift(self) -> Sequence[Drift]:
        """What was changed by hand on governed tables since a profile was built there. Empty without the programmer's credential."""
        ...

    def attest(
        self, mode: InstallMode, randomness: Randomness, *, alone: bool, wanted: Callable[[], bool] = lambda: True
    ) -> Sequence[CheckResult]:
        """Tries every promise and every attack, by using canary roles on tables of its own, and takes all of that away again, with
        what an earlier attestation may have left. Nothing that others have there is read or changed.

        `alone`: nobody else attests for our cluster now, so what seems to be under way there was left by a process that is over. Else it
        waits for that, and not for long: `Unavailable`. Asked between its checks, it ends when it is not `wanted` any more, with its
        canaries: `Unavailable`.

        Needs the programmer's credential. Raises `Unavailable` where it could not be carried out and nothing was found to fail. It has
        connections of its own: the driver may be closed meanwhile.
        """
        ...

    def collect(self, keep: frozenset[ProfileName], unused_since: datetime) -> int:
        """Drops profiles that no live lease uses, that are not in `keep` and were not used since; answers how many."""
        ...

    def close(self) -> None:
        """Gives the connections back. The driver is not used afterwards."""
        ...

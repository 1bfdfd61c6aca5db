"""Canaries: roles that one attestation vends in the same way as any other role, each when a check first needs it."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar, Final, Generic, LiteralString, Protocol, TypeVar
from uuid import UUID

from rolevend.model import Attributes, ClusterId, ObjectName, RoleName, Uid, User, UserHandle
from rolevend.naming import CANARY_HANDLE, role_name
from rolevend.plan import Lease, Profile, RoleLimits
from rolevend.platforms.attestation.tables import Profiles
from rolevend.platforms.protocol import Credential, DropRequest, DropResult, EndReason, Platform, Randomness

CredentialT = TypeVar("CredentialT", bound=Credential)
CredentialT_co = TypeVar("CredentialT_co", bound=Credential, covariant=True)
SessionT = TypeVar("SessionT")


CANARY_CONNECTIONS: Final = 8
"""The limit of each canary: an attestation takes few connections of the server."""


def cluster_of_canaries(cluster: ClusterId) -> ClusterId:
    """Return the id of a separate cluster, so that sweeps, lists and drift of the real one never include canaries."""
    return ClusterId(f"{cluster}/canary")


class CanaryPlatform(Platform, Protocol[CredentialT_co]):
    """A driver whose roles log in with one kind of credential."""

    def credential(self, lease: Lease, randomness: Randomness) -> CredentialT_co: ...


class AttestEnvironment(Protocol[CredentialT_co]):
    """Where an attestation runs."""

    @property
    def platform(self) -> CanaryPlatform[CredentialT_co]:
        """A driver for `cluster`."""
        ...

    @property
    def cluster(self) -> ClusterId:
        """See `cluster_of_canaries`."""
        ...

    @property
    def randomness(self) -> Randomness: ...

    @property
    def wanted(self) -> Callable[[], bool]:
        """See `Platform.attest`."""
        ...


@dataclass(frozen=True)  # see `Check`
class Canary(Generic[CredentialT]):
    lease: Lease
    credential: CredentialT


@dataclass(frozen=True)
class ExpiringCanary(Generic[CredentialT, SessionT]):
    """A canary that expires soon, and its sessions."""

    canary: Canary[CredentialT]
    session: SessionT
    in_transaction: SessionT
    """In a transaction that has read already."""


@dataclass(frozen=True)
class ReleasedCanary(Generic[CredentialT, SessionT]):
    """A canary that was released, and its sessions."""

    canary: Canary[CredentialT]
    idle: SessionT
    running: Future[Any]
    """A statement that was running when the canary was released."""
    dropped: DropResult


@dataclass
class Canaries(ABC, Generic[CredentialT, SessionT]):
    """The canaries of one attestation, and the sessions of the operator's logins. See `deployment.deployed`."""

    LIFE: ClassVar[float]
    """Seconds after which a canary expires. Longer than an attestation; short, since a crash leaves canaries."""
    BRIEF_LIFE: ClassVar[float]
    LONGEST_BRIEF_LIFE: ClassVar[float]
    """Seconds of the lease of the canary that expires soon: the first try, and the longest one."""
    TOO_SLOW: ClassVar[tuple[type[Exception], ...]]
    """Errors of a canary whose lease expires before the role is vended and has read."""

    environment: AttestEnvironment[CredentialT]
    token: str
    vendor: SessionT
    programmer: SessionT
    profiles: Profiles
    ends: ExitStack
    threads: ThreadPoolExecutor

    @abstractmethod
    def now(self) -> datetime:
        """Return the time by the platform's clock, which decides about expiry."""

    @abstractmethod
    def log_in(self, canary: Canary[CredentialT]) -> SessionT:
        """Log in as an agent does. Raises if the login is refused."""

    @abstractmethod
    def lets_in(self, canary: Canary[CredentialT]) -> bool:
        """True if a login works, False if it is refused for what it is. Raises any other error."""

    @abstractmethod
    def values(self, session: SessionT, statement: LiteralString) -> list[tuple[Any, ...]]:
        """Return the rows that a statement answers."""

    @abstractmethod
    def answered(self, session: SessionT) -> str:
        """Return "" if a session whose role is over reads no row of `timed`, else the observation."""

    @abstractmethod
    def survived(self, session: SessionT) -> str:
        """Return "" if the platform ended the session, else the observation."""

    @abstractmethod
    def outcome_of_running(self, running: Future[Any]) -> str:
        """Return "" if the release ended the statement, else the observation. `TimeoutError` where it still runs."""

    @abstractmethod
    def has_role(self, role: RoleName) -> bool:
        """True if the platform has the role, whatever the driver remembers."""

    @abstractmethod
    def open_expiring(self, canary: Canary[CredentialT]) -> tuple[SessionT, SessionT]:
        """Return the two sessions of `ExpiringCanary`. Both have read."""

    @abstractmethod
    def start_work(self, canary: Canary[CredentialT]) -> Future[Any]:
        """Start a statement that runs longer than the release may take, and open other work that the release must end."""

    @cached_property
    def eve(self) -> Canary[CredentialT]:
        """The agent that attacks: it reads the rows of Europe."""
        return self.vend(self.lease(self.profiles.shared, "EVE", regions=[self.region("eu")]))

    @cached_property
    def bob(self) -> Canary[CredentialT]:
        """The same profile, for America."""
        return self.vend(self.lease(self.profiles.shared, "BOB", regions=[self.region("us")]))

    @cached_property
    def carol(self) -> Canary[CredentialT]:
        """Another profile, and every row: the victim."""
        return self.vend(self.lease(self.profiles.other, "CAROL"))

    @cached_property
    def session(self) -> SessionT:
        """Of eve."""
        return self.log_in(self.eve)

    @cached_property
    def bobs_session(self) -> SessionT:
        return self.log_in(self.bob)

    @cached_property
    def expiring(self) -> ExpiringCanary[CredentialT, SessionT]:
        seconds = self.BRIEF_LIFE
        while True:
            lease = self.lease(self.profiles.brief, "MAYFLY", seconds)
            try:
                canary = self.vend(lease)
                return ExpiringCanary(canary, *self.open_expiring(canary))
            except self.TOO_SLOW:
                if seconds > self.LONGEST_BRIEF_LIFE or self.now() < lease.expires_at:
                    raise
            seconds *= 2  # a slow platform: the lease expired before the role was vended or could read

    def wait_for_expiry(self) -> None:
        """Wait until the canary that expires soon has expired."""
        while (left := (self.expiring.canary.lease.expires_at - self.now()).total_seconds()) >= 0:
            time.sleep(left + 0.005)

    @cached_property
    def released(self) -> ReleasedCanary[CredentialT, SessionT]:
        canary = self.vend(self.lease(self.profiles.brief, "LEAVER"))
        idle = self.log_in(canary)
        running = self.start_work(canary)
        return ReleasedCanary(canary, idle, running, self.drop(canary))

    def region(self, name: str) -> str:
        return f"{name}-{self.token}"

    def lease(self, of: Profile, user: str, seconds: float | None = None, **attributes: Sequence[str]) -> Lease:
        return _lease(
            user,
            of,
            attributes,
            cluster=self.environment.cluster,
            expires_at=self.now() + timedelta(seconds=self.LIFE if seconds is None else seconds),
            randomness=self.environment.randomness,
        )

    def unvended(self, lease: Lease) -> Canary[CredentialT]:
        """A canary with a credential, whose role does not exist yet."""
        return Canary(lease, self.environment.platform.credential(lease, self.environment.randomness))

    def vend(self, lease: Lease) -> Canary[CredentialT]:
        canary = self.unvended(lease)
        if (error := self.vend_error(canary)) is not None:
            raise error
        return canary

    def vend_error(self, canary: Canary[CredentialT]) -> Exception | None:
        """Vend the role, and return the error."""
        (answer,) = self.environment.platform.vend([(canary.lease, canary.credential)])
        return answer.error

    def vended(self, of: Profile, user: str, **attributes: Sequence[str]) -> SessionT:
        """Return a session of a new canary."""
        return self.log_in(self.vend(self.lease(of, user, None, **attributes)))

    def drop(self, canary: Canary[CredentialT], reason: EndReason = EndReason.RELEASED) -> DropResult:
        (answer,) = self.environment.platform.drop([DropRequest(canary.lease.role, canary.lease.uid, reason)])
        return answer


def _lease(
    user: str,
    profile: Profile,
    attributes: Mapping[str, Sequence[str]],
    *,
    cluster: ClusterId,
    expires_at: datetime,
    randomness: Randomness,
) -> Lease:
    uid = Uid(str(UUID(bytes=randomness(16))))
    return Lease(
        role=role_name(CANARY_HANDLE, UserHandle(user), uid),
        cluster=cluster,
        uid=uid,
        profile=profile.name,
        agent=ObjectName("rolevend", "canary"),
        agent_handle=CANARY_HANDLE,
        user=User("rolevend:attestation", user.lower()),
        attributes=Attributes.of(attributes.items()),
        expires_at=expires_at,
        limits=RoleLimits(connections=CANARY_CONNECTIONS),
    )

"""What the life of a role needs of a platform, a credential store, the records of handles and the newest snapshot."""

from datetime import datetime
from typing import Protocol

from rolevend.decision.outcome import Request
from rolevend.decision.snapshot import Snapshot
from rolevend.model import UserHandle
from rolevend.plan import Lease, Profile
from rolevend.platforms.progress import BuildProgress
from rolevend.platforms.protocol import CreatedRole, Credential, DropRequest, DropResult, Randomness


class Snapshots(Protocol):
    @property
    def snapshot(self) -> Snapshot:
        """The newest one."""
        ...


class AsyncPlatform(Protocol):
    """A driver behind its bounded executor: the same promises as `platforms.base.Platform`, awaited."""

    async def ensure(self, profile: Profile) -> None: ...

    def is_built(self, profile: Profile) -> bool: ...

    def progress(self, profile: Profile) -> BuildProgress | None: ...

    def credential(self, lease: Lease, randomness: Randomness) -> Credential: ...

    async def vend(self, lease: Lease, credential: Credential) -> CreatedRole: ...

    async def drop(self, ending: DropRequest, patience: float = 0.0) -> DropResult:
        """Return the result. A failed drop is retried by the queue; `patience` is how many seconds to wait for its success."""
        ...


class CredentialStore(Protocol):
    async def keep(self, request: Request, fresh: Credential, expires_at: datetime) -> Credential:
        """Store `fresh` for the request, or return what an earlier attempt stored. Raises Conflict if the place is somebody else's."""
        ...

    async def discard(self, request: Request) -> None:
        """Delete what was stored for the request, on its platform, and nothing else. Idempotent."""
        ...


class Handles(Protocol):
    async def claim(self, lease: Lease, user_handle: UserHandle, *, is_known: bool) -> None:
        """Record for ever that the handles of the lease's role stand for its agent and its user. Idempotent.

        Raises Conflict if a handle is somebody else's, and TooManyUnknownUsers if the user is not known and the agent has named too many.
        """
        ...

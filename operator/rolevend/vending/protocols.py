"""What the life of a role needs of a platform, a credential store, the records of handles and the newest snapshot."""

from datetime import datetime
from typing import Protocol

from rolevend.model import UserHandle
from rolevend.plan import Lease, Profile
from rolevend.platforms.base import Credential, Dropped, Ending, Randomness, Vended
from rolevend.platforms.progress import Progress
from rolevend.vending.directory import Directory
from rolevend.vending.verdict import Request


class Snapshots(Protocol):
    @property
    def directory(self) -> Directory:
        """The newest one."""
        ...


class AsyncPlatform(Protocol):
    """A driver behind its bounded executor: the same promises as `platforms.base.Platform`, awaited."""

    async def ensure(self, profile: Profile) -> None: ...

    def is_built(self, profile: Profile) -> bool: ...

    def progress(self, profile: Profile) -> Progress | None: ...

    def credential(self, lease: Lease, randomness: Randomness) -> Credential: ...

    async def vend(self, lease: Lease, credential: Credential) -> Vended: ...

    async def drop(self, ending: Ending, patience: float = 0.0) -> Dropped:
        """How it went. A drop that failed goes on by itself; `patience` is how many seconds more to wait for its success."""
        ...


class CredentialStore(Protocol):
    async def keep(self, request: Request, fresh: Credential, expires_at: datetime) -> Credential:
        """Stores `fresh` for the request, or answers what an earlier run stored. Raises Conflict if the place is somebody else's."""
        ...

    async def discard(self, request: Request) -> None:
        """Takes away what was stored for the request, on its platform, and nothing else. Nothing there is a success."""
        ...


class Handles(Protocol):
    async def claim(self, lease: Lease, user_handle: UserHandle, *, is_known: bool) -> None:
        """Both handles of the lease's role stand for its agent and its user, for ever. Raises Conflict if one is somebody else's, and
        TooManyUnknownUsers if the user is not known and the agent has named too many of those."""
        ...

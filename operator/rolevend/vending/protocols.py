"""One role on one platform, from request to end: the order of effects, and nothing else.

Every step may run twice. The object (with our finalizer) exists before anything else does; the credential is stored before the
role exists; the object goes only after the driver has looked and found no role. So a crash anywhere leaves something that the
next run completes or undoes.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from rolevend.model import RoleName, UserHandle
from rolevend.plan import Lease, Profile
from rolevend.platforms.base import Credential, Dropped, Ending, Randomness, Vended
from rolevend.vending.verdict import Granted, Request


class AsyncPlatform(Protocol):
    """A driver behind its bounded executor: the same promises as `platforms.base.Platform`, awaited."""

    async def ensure(self, profile: Profile) -> None: ...

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


@dataclass(frozen=True, slots=True)
class Live:
    """The role can log in until `expires_at`."""

    role: RoleName
    expires_at: datetime


async def prepare(
    request: Request, granted: Granted, platform: AsyncPlatform, store: CredentialStore, randomness: Randomness
) -> Credential:
    """All that comes before the role: its profile, and its credential. Nothing can log in yet, whatever it raises; again is the same."""
    await platform.ensure(granted.profile)
    return await store.keep(request, platform.credential(granted.lease, randomness), granted.lease.expires_at)


async def vend(granted: Granted, credential: Credential, platform: AsyncPlatform) -> Live:
    """Makes it so, whatever was done already, with what `prepare` answered. Raises an error of `rolevend.errors`: then the role may or may
    not be there, and the same call again, or an ending, puts that right."""
    vended = await platform.vend(granted.lease, credential)
    if vended.error is not None:
        raise vended.error
    return Live(vended.role, vended.expires_at or granted.lease.expires_at)


async def end(ending: Ending, platform: AsyncPlatform, patience: float = 0.0) -> Dropped:
    """Returns only when the role was looked for and is gone, with its sessions; raises otherwise."""
    dropped = await platform.drop(ending, patience)
    if dropped.error is not None:
        raise dropped.error
    return dropped

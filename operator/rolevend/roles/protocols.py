"""The interfaces that the life of a role depends on: platform, credential store, records of handles, newest snapshot."""

from datetime import datetime
from typing import Protocol

from rolevend.access_requests.terms import NeededProof
from rolevend.decision.outcome import Request
from rolevend.decision.snapshot import Snapshot
from rolevend.errors import RolevendError
from rolevend.model import ObjectName, Uid, UserHandle
from rolevend.plan import Lease, Profile
from rolevend.platforms.progress import BuildProgress
from rolevend.platforms.protocol import CreatedRole, Credential, DropRequest, DropResult, Randomness


class ApprovalRefused(RolevendError):
    """The approval may not be used for this role any more."""

    def __init__(self, code: str, message: str, needed: NeededProof | None = None) -> None:
        """`needed` is the login of the user that would suffice, if the code is `ProofNotMet`."""
        super().__init__(message)
        self.code = code
        self.needed = needed


class ApprovalUses(Protocol):
    """The approvals that requests for roles name."""

    async def refresh(self, name: ObjectName) -> None:
        """Read the AccessRequest as the API server has it now. `resolve` otherwise takes what the watch reported last."""
        ...

    def resolve(self, request: Request) -> Request:
        """Return the request with its approval, as far as the role may use it; the same request if it names none, or if approvals cannot
        be read yet."""
        ...

    async def use(self, request: Request) -> None:
        """Record the use of the request's approval for this role alone, before the role is created. Idempotent. Does nothing for a request
        without an approval. Raises ApprovalRefused, and Conflict if others change it all the time."""
        ...


class Snapshots(Protocol):
    @property
    def snapshot(self) -> Snapshot:
        """The newest snapshot."""
        ...


class AsyncPlatform(Protocol):
    """A driver behind its bounded executor: the awaitable form of `platforms.protocol.Platform`, with the same guarantees."""

    async def ensure(self, profile: Profile) -> None: ...

    def is_built(self, profile: Profile) -> bool: ...

    def progress(self, profile: Profile) -> BuildProgress | None: ...

    async def credential(self, lease: Lease, randomness: Randomness) -> Credential:
        """Return a new login for the lease's role, prepared for `vend`. Has no effect."""
        ...

    async def vend(self, lease: Lease, credential: Credential) -> CreatedRole: ...

    async def drop(self, ending: DropRequest, patience: float = 0.0) -> DropResult:
        """Drop the role and return the result. The queue retries a failed drop; `patience` is how many seconds to wait for its success."""
        ...


class CredentialStore(Protocol):
    async def keep(self, request: Request, fresh: Credential, expires_at: datetime) -> Credential:
        """Store `fresh` for the request, or return the credential of an earlier attempt. Raises Conflict if the place belongs to
        another."""
        ...

    async def discard(self, request: Request) -> None:
        """Delete only the credential of the request on its platform. Idempotent."""
        ...


class Handles(Protocol):
    async def claim(self, lease: Lease, user_handle: UserHandle, *, is_known: bool) -> None:
        """Record permanently the agent and the user of the handles. Idempotent. Raises Conflict if a handle belongs to another, and
        TooManyUnknownUsers if the user is not known and the agent has named too many."""
        ...


class UsedTokens(Protocol):
    """The records of the request that redeemed a token, so that no token is used for two requests."""

    async def take(self, issuer: str, token_id: str, uid: Uid, expires_at: datetime) -> bool:
        """Redeem the token, whose id is unique with its issuer, for the request `uid`. Idempotent.

        Returns False if another request redeemed it. Raises Unavailable if the records cannot be read.
        """
        ...

    async def is_left_to(self, issuer: str, token_id: str, uid: Uid) -> bool:
        """True if no other request redeemed the token."""
        ...

"""The differences between the two doors at which a role is requested. The common part is `vender`.

                  kubectl                       HTTP, recorded in Kubernetes            HTTP, recorded by the database
credential store  a Secret for each platform    the response                            the response
missing profile   this process builds it        the operator builds it, the call waits  recorded in Kubernetes instead
intent            always written                only if the operator must build, or     none: the lease is the record
                                                the call was repeated
user's token      redeemed before the decision  redeemed last, after the profiles       redeemed with the role, in one
                                                are built                               transaction
use of approval   recorded last                 recorded with the audit event, or last  the same, after a check of the
                                                if the operator must build, or the call  token
                                                was repeated
failure           status and retry              problem document and undo               the same
                  (`controllers.reconciler`)    (`api.vend_service`)
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from rolevend.decision.outcome import Request
from rolevend.model import PlatformName
from rolevend.plan import Lease, Profile
from rolevend.roles.decision import PlatformGrant
from rolevend.roles.protocols import ApprovalUses, AsyncPlatform, CredentialStore


class ProfileProvider(Protocol):
    async def provide(self, request: Request, platform: AsyncPlatform, profile: Profile) -> None:
        """Return when the profile is built. Raises an error of `rolevend.errors`."""
        ...


class TokenRedeemer(Protocol):
    async def redeem(self, request: Request, *, final: bool) -> None:
        """Redeem the user's token for this request alone, if `final`. Otherwise check that this can be done later."""
        ...


class LeaseRecorder(Protocol):
    def lease(self, grant: PlatformGrant, receipts: Mapping[PlatformName, str | None]) -> Lease:
        """Return the lease of the grant with its record, which the platform keeps with the role. `receipts` are the digests of the written
        receipts."""
        ...


class RedeemedToken:
    """The token was redeemed before the decision, or the agent named its user."""

    async def redeem(self, request: Request, *, final: bool) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Door:
    credentials: CredentialStore
    profiles: ProfileProvider
    approvals: ApprovalUses
    token: TokenRedeemer = field(default_factory=RedeemedToken)
    created_object: bool = False
    """True if this call created the object, which names its role from the start. No earlier attempt can have created the role, and the
    intent is needed only if the operator must build a profile."""
    recorder: LeaseRecorder | None = None
    """None: an object in Kubernetes records the role. Otherwise the platform does, in the transaction that creates it, and no intent is
    written before."""
    started: float = field(default_factory=time.perf_counter)
    """Time of arrival of the request, by `time.perf_counter`."""

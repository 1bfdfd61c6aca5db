"""The differences between the two doors at which a role is requested. The common part is `vender`.

                  kubectl                                HTTP
credential store  a Secret for each platform             the response
missing profile   this process builds it                 the operator builds it, and the call waits
intent            always written                         only if the operator must build, or the call was repeated
user's token      redeemed before the decision           redeemed last, after the profiles are built
failure           status and retry                       problem document and undo
                  (`controllers.reconciler`)             (`api.vend_service`)
"""

import time
from dataclasses import dataclass, field
from typing import Protocol

from rolevend.decision.outcome import Request
from rolevend.plan import Profile
from rolevend.roles.protocols import AsyncPlatform, CredentialStore


class ProfileProvider(Protocol):
    async def provide(self, request: Request, platform: AsyncPlatform, profile: Profile) -> None:
        """Return when the profile is built. Raises an error of `rolevend.errors`."""
        ...


class TokenRedeemer(Protocol):
    async def redeem(self, request: Request, *, final: bool) -> None:
        """Redeem the user's token for this request alone, if `final`. Otherwise check that this can be done later."""
        ...


class RedeemedToken:
    """The token was redeemed before the decision, or the agent named its user."""

    async def redeem(self, request: Request, *, final: bool) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Door:
    credentials: CredentialStore
    profiles: ProfileProvider
    token: TokenRedeemer = field(default_factory=RedeemedToken)
    created_object: bool = False
    """True if this call created the object, which names its role from the start. No earlier attempt can have created the role, and the
    intent is needed only if the operator must build a profile."""
    started: float = field(default_factory=time.perf_counter)
    """Time of arrival of the request, by `time.perf_counter`."""

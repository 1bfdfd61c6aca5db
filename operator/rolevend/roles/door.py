"""What differs between the doors at which a role is requested. All that is the same is in `vender`.

| | kubectl | HTTP |
|---|---|---|
| credential store | a Secret for each platform | the answer |
| missing profile | this process builds it | the operator builds it, and the call waits for that |
| intent | always written | only if the operator must build a profile, or the call came again |
| user's token | redeemed before the decision | redeemed last, after the profiles are built |
| failure | written into the status and retried: `controllers.reconciler` | a problem document, and an undo: `api.vend_service` |
"""

import time
from dataclasses import dataclass, field
from typing import Protocol

from rolevend.decision.outcome import Request
from rolevend.plan import Profile
from rolevend.roles.protocols import AsyncPlatform, CredentialStore


class ProfileProvider(Protocol):
    async def provide(self, request: Request, platform: AsyncPlatform, profile: Profile) -> None:
        """Return when the profile is built. Raises an error of `rolevend.errors`; then nothing can log in by it."""
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
    """True if this very call created the object, which names its role from the start: no earlier attempt can have created the role, and
    the intent says nothing new unless the operator must build a profile."""
    started: float = field(default_factory=time.perf_counter)
    """When the request arrived, by `time.perf_counter`."""

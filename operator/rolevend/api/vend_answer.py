"""The answer of one vend: the created roles, their credentials, and the platforms without a role."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from rolevend.api.access.missing import OfferFinder
from rolevend.api.access.offer_schemas import MissingShown, OfferShown
from rolevend.api.problems import error_problem, public_reason
from rolevend.decision.outcome import Denied, Pending, Request
from rolevend.errors import RolevendError
from rolevend.model import PlatformName
from rolevend.platforms.protocol import Credential
from rolevend.roles.decision import PlatformGrant


@dataclass(frozen=True, slots=True)
class SkippedPlatform:
    """A platform without a role, and the reason."""

    platform: PlatformName
    reason: str
    message: str
    missing: MissingShown | None = None

    @classmethod
    def by(cls, request: Request, decision: Denied | Pending, finder: OfferFinder) -> "SkippedPlatform":
        return cls(request.platform, public_reason(decision.reason), decision.message, finder.missing(request, decision))

    @classmethod
    def after(cls, platform: PlatformName, error: RolevendError) -> "SkippedPlatform":
        """Return the platform with the message of a problem document, which has no address of a server."""
        problem = error_problem(error)
        return cls(platform, problem.code, problem.detail)


class ResponseCredentialStore:
    """Keeps the credentials of one call in memory. See `roles.protocols.CredentialStore`."""

    def __init__(self) -> None:
        self.by_platform: dict[PlatformName, Credential] = {}

    async def keep(self, request: Request, fresh: Credential, expires_at: datetime) -> Credential:  # noqa: ARG002
        self.by_platform[request.platform] = fresh
        return fresh

    async def discard(self, request: Request) -> None:
        """Remove the credential from the answer."""


def noop() -> None:
    """Confirm nothing."""


@dataclass(frozen=True, slots=True)
class VendAnswer:
    grants: tuple[PlatformGrant, ...]
    """The grants of the created roles; at least one."""
    credentials: Mapping[PlatformName, Credential]
    skipped: tuple[SkippedPlatform, ...] = ()
    offers: tuple[OfferShown, ...] = ()
    """Offers that show more than the role."""
    confirm: Callable[[], None] = noop
    """To be called when the answer was sent."""

    @property
    def request(self) -> Request:
        """The request, for the fields that all platforms share."""
        return self.grants[0].request

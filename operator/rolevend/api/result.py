"""What a call that vends answers with: the roles, the credentials, and the platforms without a role."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from rolevend.api.problems import of_error
from rolevend.errors import RolevendError
from rolevend.model import PlatformName
from rolevend.platforms.base import Credential
from rolevend.roles.decision import PlatformGrant
from rolevend.vending.verdict import Denied, Request, Undecided


@dataclass(frozen=True, slots=True)
class SkippedPlatform:
    """A platform on which there is no role, and why."""

    platform: PlatformName
    reason: str
    message: str
    missing: str = ""
    """See vending.verdict.Denied."""

    @classmethod
    def by(cls, request: Request, verdict: Denied | Undecided) -> "SkippedPlatform":
        return cls(request.platform, verdict.reason, verdict.message, verdict.missing if isinstance(verdict, Denied) else "")

    @classmethod
    def after(cls, platform: PlatformName, error: RolevendError) -> "SkippedPlatform":
        """In the words of a problem document: an agent learns that it has to wait, and not where our servers are."""
        problem = of_error(error)
        return cls(platform, problem.code, problem.detail)


class ResponseCredentialStore:
    """Keeps the credentials for as long as the call takes. See vending.protocols.CredentialStore."""

    def __init__(self) -> None:
        self.by_platform: dict[PlatformName, Credential] = {}

    async def keep(self, request: Request, fresh: Credential, expires_at: datetime) -> Credential:  # noqa: ARG002
        self.by_platform[request.platform] = fresh
        return fresh

    async def discard(self, request: Request) -> None:
        """The credential is not in the answer."""


@dataclass(frozen=True, slots=True)
class VendAnswer:
    grants: tuple[PlatformGrant, ...]
    """Where there is a role; at least one."""
    credentials: Mapping[PlatformName, Credential]
    skipped: tuple[SkippedPlatform, ...] = ()

    @property
    def request(self) -> Request:
        """For what is the same on all platforms."""
        return self.grants[0].request

"""What a call has made: where there is a role, where there is none, and the credentials."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from rolevend.api.problems import of_error
from rolevend.errors import RolevendError
from rolevend.model import PlatformName
from rolevend.platforms.base import Credential
from rolevend.roles.decision import Vend
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
        """In the words of a problem: an agent learns that it has to wait, and not where our servers are."""
        problem = of_error(error)
        return cls(platform, problem.code, problem.detail)


class ResponseCredentialStore:
    """Keeps the credentials for as long as the call takes. See vending.protocols.CredentialStore."""

    def __init__(self) -> None:
        self.credentials: dict[PlatformName, Credential] = {}

    async def keep(self, request: Request, fresh: Credential, expires_at: datetime) -> Credential:  # noqa: ARG002
        self.credentials[request.platform] = fresh
        return fresh

    async def discard(self, request: Request) -> None:
        """Nothing keeps it."""


@dataclass(frozen=True, slots=True)
class VendResult:
    vends: tuple[Vend, ...]
    """Where there is a role; at least one."""
    credentials: Mapping[PlatformName, Credential]
    left_out: tuple[SkippedPlatform, ...] = ()

    @property
    def request(self) -> Request:
        """For what is the same on all platforms."""
        return self.vends[0].request

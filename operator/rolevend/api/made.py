"""What a call has made: where there is a role, where there is none, and the credentials."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from rolevend.api.problems import of_error
from rolevend.errors import RolevendError
from rolevend.model import PlatformName
from rolevend.platforms.base import Credential
from rolevend.vending.verdict import Denied, Request, Undecided
from rolevend.vending.whole import Vend


@dataclass(frozen=True, slots=True)
class Absent:
    """A platform on which there is no role, and why."""

    platform: PlatformName
    reason: str
    message: str
    missing: str = ""
    """See vending.verdict.Denied."""

    @classmethod
    def by(cls, request: Request, verdict: Denied | Undecided) -> "Absent":
        return cls(request.platform, verdict.reason, verdict.message, verdict.missing if isinstance(verdict, Denied) else "")

    @classmethod
    def after(cls, platform: PlatformName, error: RolevendError) -> "Absent":
        """In the words of a problem: an agent learns that it has to wait, and not where our servers are."""
        problem = of_error(error)
        return cls(platform, problem.code, problem.detail)


class InTheAnswer:
    """Keeps the credentials for as long as the call takes. See vending.vend.CredentialStore."""

    def __init__(self) -> None:
        self.credentials: dict[PlatformName, Credential] = {}

    async def keep(self, request: Request, fresh: Credential, expires_at: datetime) -> Credential:  # noqa: ARG002
        self.credentials[request.platform] = fresh
        return fresh

    async def discard(self, request: Request) -> None:
        """Nothing keeps it."""


@dataclass(frozen=True, slots=True)
class Made:
    vends: tuple[Vend, ...]
    """Where there is a role; at least one."""
    credentials: Mapping[PlatformName, Credential]
    left_out: tuple[Absent, ...] = ()

    @property
    def request(self) -> Request:
        """For what is the same on all platforms."""
        return self.vends[0].request

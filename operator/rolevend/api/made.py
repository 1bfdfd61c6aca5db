"""What a call has made. Values."""

from collections.abc import Mapping
from dataclasses import dataclass

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

"""The one tree of errors; a class says whether to try again. What can be tried again safely, was, for as long as the caller had patience.

    RolevendError
    ├── Misconfigured        of this side: the environment, the token file, a library that is not installed
    ├── Rejected             answered, and trying again is of no use
    │   ├── Refused          401: the agent's or the user's token proves nothing; `code` says why
    │   ├── Denied           403: nobody allowed it; `missing` is the smallest piece that would
    │   ├── NotFound         404: no such role, or another agent's
    │   ├── Conflict         409: the role has ended, or its idempotency key was used for something else
    │   └── InvalidInput     422, 413: `field` says something that cannot be
    ├── Unavailable          try again later; `retry_after` says when, where the API does
    │   └── TooManyRequests  429
    └── Unexpected           an answer that this version does not understand

Messages are one line, begin in lower case, say what was attempted, and never hold a token or a password.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """The problem document (RFC 9457) of an answer; what it leaves out is empty."""

    status: int
    code: str
    """Stable: programs may rely on it."""
    title: str = ""
    detail: str = ""
    """What is wrong, and the way out."""
    field: str = ""
    """Which member of the request is to blame."""
    missing: str = ""
    """The smallest piece whose lack is the denial."""
    request_id: str = ""
    """What the API's logs and audit events call this call."""


class RolevendError(Exception):
    """Whatever this package raises on purpose."""

    def __init__(self, message: str, problem: Problem | None = None) -> None:
        super().__init__(message)
        self.problem = problem

    @property
    def code(self) -> str:
        """The stable code of the problem; empty where nobody answered with one."""
        return self.problem.code if self.problem else ""

    @property
    def detail(self) -> str:
        """What the API said of it; else what we say."""
        return (self.problem.detail or self.problem.title if self.problem else "") or str(self)

    @property
    def request_id(self) -> str:
        return self.problem.request_id if self.problem else ""


class Misconfigured(RolevendError):
    """Something on this side is missing or cannot be. No call was made."""


class Rejected(RolevendError):
    """Somebody must change something first."""


class Refused(Rejected):
    """A token proves nothing: the agent's own, or the user's."""


class Denied(Rejected):
    """The tokens are genuine, and what is asked for is not granted."""

    @property
    def missing(self) -> str:
        """The smallest piece that would make it granted; empty where the caller may not know."""
        return self.problem.missing if self.problem else ""


class NotFound(Rejected):
    """There is no such role, or it is another agent's."""


class Conflict(Rejected):
    """The role has ended, or the idempotency key belongs to another request."""


class InvalidInput(Rejected):
    """A member of the request says something that cannot be."""

    @property
    def field(self) -> str:
        return self.problem.field if self.problem else ""


class Unavailable(RolevendError):
    """Nobody answered, or somebody who cannot now."""

    def __init__(self, message: str, problem: Problem | None = None, *, retry_after: float | None = None) -> None:
        super().__init__(message, problem)
        self.retry_after = retry_after
        """Seconds; None where nothing was said."""


class TooManyRequests(Unavailable):
    """This agent asked too often, or has too many roles at once."""


class Unexpected(RolevendError):
    """The answer is none that this version understands."""

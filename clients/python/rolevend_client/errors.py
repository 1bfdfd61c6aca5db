"""The errors. The class says whether to try again. Calls that are safe to repeat were repeated until `patience` was over.

    RolevendError
    ├── Misconfigured        on this side: the environment, the token file, a library that is not installed
    ├── Rejected             the API refused the call, and will refuse it again
    │   ├── Refused          401: the agent's or the user's token is not valid, `code` says why; or `needed_login` says which login suffices
    │   ├── Denied           403: no policy grants it; `missing` is the smallest piece that would, and the offers to request
    │   ├── NotFound         404: no such role or request, or another agent's
    │   ├── Conflict         409: the role has ended, or its idempotency key was used for something else
    │   └── InvalidInput     422, 413: `field` names the invalid member
    ├── Unavailable          try again later; `retry_after` says when, where the API does
    │   └── TooManyRequests  429
    ├── RoleEnded            the role of an open block has ended; `reason` and `at` say why and when
    ├── QueryTimeout         a query took longer than its `seconds`, and was cancelled
    ├── TooManyRows          a query has more rows than its `max_rows`
    └── Unexpected           an answer that this version does not understand

Messages are one line, begin in lower case, say what was attempted, and never hold a token or a password.
"""

import dataclasses
from dataclasses import dataclass
from datetime import datetime

from rolevend_client.values import Missing, NeededLogin


@dataclass(frozen=True, slots=True)
class Problem:
    """The problem document (RFC 9457) of an answer. Members that are absent are empty."""

    status: int
    code: str
    """Stable: programs may rely on it."""
    title: str = ""
    detail: str = ""
    """The cause, and what to do about it."""
    field: str = ""
    """The invalid member of the request."""
    argument: str = ""
    """The argument of the call that sets this member."""
    missing: Missing = dataclasses.field(default_factory=Missing)
    """The grant that a denied request lacks."""
    request_id: str = ""
    """The id of this call in the API's logs and audit events."""
    needed_login: NeededLogin | None = None
    """The login that the user needs instead."""


class RolevendError(Exception):
    """The base class of all errors of this package."""

    def __init__(self, message: str, problem: Problem | None = None) -> None:
        super().__init__(message)
        self.problem = problem
        self.may_be_done = False
        """True if one of the tries of the call may have had its effect."""

    @property
    def code(self) -> str:
        """The stable code of the problem; empty if there was no problem document."""
        return self.problem.code if self.problem else ""

    @property
    def detail(self) -> str:
        """The explanation of the API, or else the message of this error."""
        return (self.problem.detail or self.problem.title if self.problem else "") or str(self)

    @property
    def request_id(self) -> str:
        return self.problem.request_id if self.problem else ""


class Misconfigured(RolevendError):
    """The configuration of this side is missing or invalid. No call was made."""


class Rejected(RolevendError):
    """The API refused the call. The same call is refused until something is changed."""


class Refused(Rejected):
    """The agent's own token or the user's token is not valid, or comes from a login that does not suffice."""

    @property
    def needed_login(self) -> NeededLogin | None:
        """The login that suffices: get a token of such a login, and call again. None: the token itself is not valid."""
        return self.problem.needed_login if self.problem else None


class Denied(Rejected):
    """The tokens are valid, but no policy grants the request."""

    @property
    def missing(self) -> Missing:
        """The grant that is missing, and the offers that can be requested; false if the caller may not know it."""
        return self.problem.missing if self.problem else Missing()


class NotFound(Rejected):
    """There is no such role or request, or it belongs to another agent."""


class Conflict(Rejected):
    """The role has ended, or the idempotency key belongs to another request."""


class InvalidInput(Rejected):
    """A member of the request is invalid."""

    @property
    def field(self) -> str:
        """The member of the API."""
        return self.problem.field if self.problem else ""

    @property
    def argument(self) -> str:
        """The argument of the method, such as `seconds` or `platform[1]`."""
        return self.problem.argument if self.problem else ""


class Unavailable(RolevendError):
    """The API did not answer, or cannot serve the call now."""

    def __init__(self, message: str, problem: Problem | None = None, *, retry_after: float | None = None) -> None:
        super().__init__(message, problem)
        self.retry_after = retry_after
        """Seconds, or None if the API named no time."""


class TooManyRequests(Unavailable):
    """This agent made too many calls, or has too many open roles."""


class RoleEnded(RolevendError):
    """The role has ended: vend again, or use a session, which does so by itself."""

    def __init__(self, reason: str, at: datetime) -> None:
        super().__init__(f"the role has ended ({reason}) at {at.isoformat(timespec='seconds')}")
        self.reason = reason
        """`Expired`; `Released` by this process; or `Revoked`: ended before its expiry."""
        self.at = at
        """The time of the end; of one that was `Revoked`, the time at which it was noticed."""
        self.may_have_run = False
        """True if the connection was lost before the database said what became of the statement, which may have had its effect."""


class QueryTimeout(RolevendError, TimeoutError):
    """The query was cancelled after its `seconds`. The role stays."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the query took longer than {seconds:g} seconds; ask for less at once, or pass a larger seconds=")


class TooManyRows(RolevendError):
    """The rows were not returned. Ask for an aggregate, or use `role.stream`."""

    def __init__(self, max_rows: int) -> None:
        super().__init__(f"the query has more than {max_rows} rows; ask for an aggregate, pass a larger max_rows=, or use stream()")


class Unexpected(RolevendError):
    """This version does not understand the answer."""

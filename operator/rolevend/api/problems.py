"""What a caller is told when a call fails: a problem document (RFC 9457) with a stable code. One table from our errors to answers.

Nothing here holds a secret, or tells of what the caller may not know: a message of ours is written for whoever asked, and what was
not raised on purpose is told by its request id alone.
"""

import asyncio
from dataclasses import dataclass
from dataclasses import field as member
from typing import Any, Final

from rolevend.decision.outcome import Denied, Pending
from rolevend.errors import (
    AuditUnavailable,
    ClusterUnavailable,
    Conflict,
    IdentityProviderUnavailable,
    InvalidInput,
    NotPermitted,
    PlatformBusy,
    PlatformDrifted,
    PlatformUnavailable,
    ProfileNotBuilt,
    RolevendError,
    TooManyUnknownUsers,
    Unavailable,
)
from rolevend.identity.refusal import TokenRefused
from rolevend.roles.quota import TOO_MANY

MEDIA_TYPE: Final = "application/problem+json"
RETRY_SECONDS: Final = 2
"""When whatever mends itself is worth another call."""

_QUOTA_SECONDS: Final = 5
"""When there may be room for another role."""


@dataclass(eq=False)
class Problem(Exception):
    """A call that comes to nothing. Not frozen, as nothing is that is raised: whoever handles it takes its traceback off."""

    status: int
    code: str
    """Stable: callers rely on it."""
    detail: str
    """What was attempted, and the way out."""
    field: str | None = None
    """The member of the request that is to blame."""
    missing: str | None = None
    """Of a denial: the smallest thing that would have to be granted."""
    retry_after: int | None = None
    """In seconds."""
    headers: dict[str, str] = member(default_factory=dict)

    def document(self, request_id: str) -> dict[str, Any]:
        told = {
            "type": f"urn:rolevend:problem:{self.code}",
            "title": TITLES.get(self.status, "the call failed"),
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "field": self.field,
            "missing": self.missing,
            "requestId": request_id,
        }
        return {key: value for key, value in told.items() if value is not None}


TITLES: Final = {
    400: "The call cannot be read",
    401: "The caller, or the user, is not proven",
    403: "Nobody granted this",
    404: "There is no such thing for this caller",
    405: "There is no such call",
    409: "It cannot be done as things stand",
    413: "The call is too long",
    422: "A member of the call says something that cannot be",
    429: "Too many",
    500: "A fault of ours",
    503: "It cannot be done just now",
}

CODES: Final = {
    "MalformedBody": (400, "The body is no JSON object."),
    "RepeatedMember": (400, "`field` stands twice in one object of the body: somebody in between may read the other one."),
    "RepeatedHeader": (400, "`Authorization` or `Idempotency-Key` stands there twice: somebody in between may read the other one."),
    "UnknownParameter": (400, "`field` is a query parameter, and no call has one. Nothing was done."),
    "TokenMissing": (401, "There is no bearer in `Authorization`."),
    "NotPermitted": (403, "The agent, or its namespace, may not do this here, whoever the user is."),
    "TooManyUnknownUsers": (403, "The agent has named as many users that neither a token nor UserAttributes vouch for as it may."),
    "PolicyChanged": (403, "What was granted when the call began was taken away before its role was ready."),
    "NotFound": (404, "There is no such call, or no such role of this agent."),
    "MethodNotAllowed": (405, "There is no such call at this path."),
    "IdempotencyConflict": (409, "The same `Idempotency-Key` came with another body before."),
    "Ended": (409, "The role was ended while it was made, or before; or it was made under another decision."),
    "Conflict": (409, "The handle of the agent or of the user stands for somebody else."),
    "Rejected": (409, "A person must change something first."),
    "TooLong": (413, "The body is longer than 64 KiB."),
    "InvalidInput": (422, "`field` says something that cannot be."),
    "TooManyRequests": (429, "The agent vends, or asks for decisions, more often than it may."),
    "TooManyRoles": (429, "The agent has as many roles as it may have."),
    "InternalError": (500, "A fault of rolevend's, which its log has under the request id."),
    "NotServed": (503, "The cluster does not let the API make roles there: vending is closed, or the namespace is none of the chart's."),
    "Starting": (503, "This replica has not read yet what it decides by."),
    "TooSlow": (503, "The role was not made in time: something that it needs is slow."),
    "ProfileBuilding": (503, "What is granted is made ready on the platform for the first time."),
    "PlatformDrifted": (503, "What keeps rows apart on the platform was changed by hand, and who looks after it must put that right."),
    "PlatformBusy": (503, "Something on the platform is in the way."),
    "PlatformUnavailable": (503, "The platform does not answer."),
    "ClusterUnavailable": (503, "The Kubernetes API does not answer."),
    "IdentityProviderUnavailable": (503, "The keys of a token's issuer are not known now."),
    "AuditUnavailable": (503, "No audit event can be written, and nothing is done without one."),
    "Unavailable": (503, "Something else that this needs does not answer."),
}
"""Every code but those of tokens (`identity.refusal.Code`) and those of verdicts, with its status and what it means."""

_UNAVAILABLE: Final = (
    (PlatformDrifted, "PlatformDrifted"),
    (ProfileNotBuilt, "ProfileBuilding"),
    (PlatformBusy, "PlatformBusy"),
    (PlatformUnavailable, "PlatformUnavailable"),
    (ClusterUnavailable, "ClusterUnavailable"),
    (IdentityProviderUnavailable, "IdentityProviderUnavailable"),
    (AuditUnavailable, "AuditUnavailable"),
)


def is_retryable(error: BaseException) -> bool:
    """True if the same call again may get its role. A process that ends is one reason: there are others."""
    return isinstance(error, (Unavailable, asyncio.CancelledError)) or (isinstance(error, Problem) and error.retry_after is not None)


def token_problem(error: TokenRefused, where: str) -> Problem:
    """`where` the token stood: `Authorization`, or a member of the body."""
    headers = {"WWW-Authenticate": f'Bearer error="invalid_token", error_description="{error.code.value}"'} if error.standing == 401 else {}
    return Problem(int(error.standing), error.code.value, f"{where}: {error}", field=where, headers=headers)


def decision_problem(decision: Denied | Pending) -> Problem:
    """A denial is the caller's to read; what is not decided yet may be in a moment."""
    if isinstance(decision, Pending):
        status = 403 if decision.withdrawn else 503
        return Problem(status, decision.reason, decision.message, retry_after=None if decision.withdrawn else RETRY_SECONDS)
    field, _, rest = decision.message.partition(": ")
    named = _MEMBERS.get(field)
    detail = f"{named}: {rest}" if named else decision.message
    if decision.reason == TOO_MANY:
        return Problem(429, TOO_MANY, rest, retry_after=_QUOTA_SECONDS)
    return Problem(403, decision.reason, detail, field=named, missing=decision.missing or None)


_MEMBERS: Final = {
    "spec.user": "userToken",
    "spec.userTokenSecretRef": "userToken",
    "spec.purpose": "purpose",
    "spec.resources": "resources",
    "spec.expirationSeconds": "expirationSeconds",
    "spec.platformRefs": "platforms",
}
"""Fields of a VendedRole, as the call names them."""


def error_problem(error: RolevendError) -> Problem:
    match error:
        case InvalidInput(field=field, message=message):
            return Problem(422, "InvalidInput", message, field=field or None)
        case NotPermitted():  # the cluster's own words name our account, and are for who looks after us
            return Problem(503, "NotServed", _NOT_SERVED, retry_after=RETRY_SECONDS)
        case TooManyUnknownUsers():
            return Problem(403, "TooManyUnknownUsers", str(error).removeprefix("spec.user: "), field="user")
        case Conflict():
            # Whose the handle is, is nothing for an agent: the conditions of Agent and UserAttributes say it to who may read them.
            return Problem(
                409, "Conflict", "the handle of this agent or user stands for somebody else; who registers them must choose another"
            )
        case Unavailable():
            code = next((code for kind, code in _UNAVAILABLE if isinstance(error, kind)), "Unavailable")
            return Problem(
                503, code, f"{_PLAIN.get(code, 'something that this needs does not answer')}; try again", retry_after=RETRY_SECONDS
            )
        case _:
            return Problem(409, "Rejected", str(error))


_NOT_SERVED: Final = (
    "the cluster lets nobody make roles here now: vending is closed, or the agent's namespace is not served; ask an administrator"
)
_PLAIN: Final = {
    "PlatformDrifted": "what keeps rows apart on the platform was changed by hand, and who looks after it must put that right",
    "ProfileBuilding": "what this grants is made ready on the platform for the first time",
    "PlatformBusy": "something on the platform is in the way",
    "PlatformUnavailable": "the platform does not answer",
    "ClusterUnavailable": "the Kubernetes API does not answer",
    "IdentityProviderUnavailable": "the keys of the token's issuer are not known now",
    "AuditUnavailable": "no audit event can be written, and nothing is done without one",
}
"""An agent learns that it has to wait, and not where our servers are."""

"""The answer to a failed call: a problem document (RFC 9457) with a stable code, and one table from our errors to answers.

No answer holds a secret or a fact that the caller may not know. Our own messages are written for the caller; an unexpected error is
reported by its request id alone.
"""

import asyncio
from dataclasses import dataclass
from dataclasses import field as member
from typing import Any, Final

from rolevend.access_requests.use import UseRefusal
from rolevend.api.access.offer_schemas import AccessRequestHint, MissingShown
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
    TooManyRoles,
    TooManyUnknownUsers,
    Unavailable,
)
from rolevend.identity.refusal import TokenRefused
from rolevend.roles.quota import TOO_MANY

MEDIA_TYPE: Final = "application/problem+json"
RETRY_SECONDS: Final = 2
"""Pause before a retry after a temporary failure."""

_QUOTA_SECONDS: Final = 5
"""Pause before a retry after a full quota."""


@dataclass(eq=False)
class Problem(Exception):
    """A failed call. Not frozen, because Python sets the traceback of an exception."""

    status: int
    code: str
    """Stable: callers depend on it."""
    detail: str
    """Object, cause and action."""
    field: str | None = None
    """The invalid member of the request."""
    missing: MissingShown | None = None
    """For a denial: the missing grant."""
    retry_after: int | None = None
    """In seconds."""
    headers: dict[str, str] = member(default_factory=dict)
    type: str = ""
    """The URN of another specification; empty: that of the code."""
    access_request: AccessRequestHint | None = None
    """For a denial: how to request the first offer."""

    def document(self, request_id: str) -> dict[str, Any]:
        document = {
            "type": self.type or f"urn:rolevend:problem:{self.code}",
            "title": TITLES.get(self.status, "the call failed"),
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "field": self.field,
            "missing": None if self.missing is None else self.missing.model_dump(by_alias=True, exclude_none=True),
            "accessRequest": None if self.access_request is None else self.access_request.model_dump(by_alias=True, exclude_none=True),
            "requestId": request_id,
        }
        return {key: value for key, value in document.items() if value is not None}


TITLES: Final = {
    400: "The request is malformed",
    401: "The agent or the user is not authenticated",
    403: "Not permitted",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict with the current state",
    410: "No longer valid",
    413: "The request is too long",
    422: "A member of the request is invalid",
    429: "Too many requests or roles",
    500: "Internal error",
    503: "Temporarily unavailable",
}

CODES: Final = {
    "MalformedBody": (400, "The body is not one JSON object."),
    "RepeatedMember": (400, "`field` occurs twice in one object of the body. A proxy could read the other one."),
    "RepeatedHeader": (400, "`Authorization` or `Idempotency-Key` occurs twice. A proxy could read the other one."),
    "UnknownParameter": (400, "`field` is a query parameter, and no call has one. The request had no effect."),
    "InvalidDenialBinding": (400, "`binding_token` is of no denial of this access by this agent for this user."),
    "TokenMissing": (401, "`Authorization` has no bearer token."),
    "NotPermitted": (403, "The platform or the agent does not permit this, for any user."),
    "TooManyUnknownUsers": (403, "The agent has named its maximum of users that neither a token nor UserAttributes confirm."),
    "PolicyChanged": (403, "The grant was withdrawn before the role was ready."),
    "NotFound": (404, "There is no such call, or no such role of this agent."),
    "MethodNotAllowed": (405, "There is no such call at this path."),
    "IdempotencyConflict": (409, "An earlier request with this `Idempotency-Key` had another body."),
    "Ended": (409, "The role was ended before it was ready, or was created by another decision."),
    "Conflict": (409, "The handle of the agent or of the user belongs to another one."),
    "Rejected": (409, "A person must change something first."),
    "InvalidTaskState": (409, "The task is not pending any more."),
    "ExpiredDenial": (410, "The denial is too old. Evaluate again."),
    "TooLong": (413, "The body is longer than 64 KiB."),
    "InvalidInput": (422, "`field` is invalid."),
    "PlatformUnknown": (422, "No DataPlatform has the name in `field`; `detail` has those that the agent may use."),
    "TooManyRequests": (429, "The agent exceeds its rate of vends or decisions."),
    "TooManyRoles": (429, "The agent has its maximum of roles."),
    "InternalError": (500, "An unexpected error. The log has it under the request id."),
    "NotServed": (
        503,
        "The cluster does not permit the API to create or end roles there: vending is closed, or the namespace is none of agents.",
    ),
    "Starting": (503, "This replica has not read all inputs of a decision yet."),
    "TooSlow": (503, "The role was not created in time, because a dependency is slow."),
    "ProfileBuilding": (503, "The operator builds this profile on the platform for the first time."),
    "PlatformDrifted": (503, "The row isolation of the platform was changed manually. The platform team must restore it."),
    "PlatformBusy": (503, "Other work on the platform blocks the role."),
    "PlatformUnavailable": (503, "The platform does not answer, or another version of rolevend is installed in it."),
    "ClusterUnavailable": (503, "The Kubernetes API does not answer."),
    "IdentityProviderUnavailable": (503, "The keys of a token's issuer are not known now."),
    "AuditUnavailable": (503, "The audit event cannot be written, and rolevend acts only with one."),
    "Unavailable": (503, "Another dependency does not answer."),
}
"""Every code except those of tokens (`identity.refusal.Code`) and of decisions, with its status and meaning."""

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
    """True if a retry of the call may succeed. A process that ends is one reason, because there are other replicas."""
    return isinstance(error, (Unavailable, asyncio.CancelledError)) or (isinstance(error, Problem) and error.retry_after is not None)


def token_problem(error: TokenRefused, where: str) -> Problem:
    """Return the problem of a refused token. `where` is `Authorization` or a member of the body."""
    headers = {"WWW-Authenticate": f'Bearer error="invalid_token", error_description="{error.code.value}"'} if error.standing == 401 else {}
    return Problem(int(error.standing), error.code.value, f"{where}: {error}", field=where, headers=headers)


def decision_problem(
    decision: Denied | Pending,
    missing: MissingShown | None = None,
    access_request: AccessRequestHint | None = None,
    *,
    platform_member: str = "platforms",
) -> Problem:
    """Return the problem of a denial, or of a pending decision, which may be retried unless it `names_nothing`. `platform_member` is the
    member of the request that names the platform."""
    if isinstance(decision, Pending) and decision.names_nothing:
        detail = f"{platform_member}: {decision.message.partition(': ')[2]}"
        return Problem(422, decision.reason, detail, field=platform_member)
    if isinstance(decision, Pending):
        status = 403 if decision.withdrawn else 503
        return Problem(status, decision.reason, decision.message, retry_after=None if decision.withdrawn else RETRY_SECONDS)
    named, detail = of_call(decision.message)
    if decision.reason == TOO_MANY:
        return Problem(429, TOO_MANY, decision.message.partition(": ")[2], retry_after=_QUOTA_SECONDS)
    return Problem(403, public_reason(decision.reason), detail, field=named, missing=missing, access_request=access_request)


_MEMBERS: Final = {
    "spec.user": "userToken",
    "spec.userTokenSecretRef": "userToken",
    "spec.purpose": "purpose",
    "spec.resources": "resources",
    "spec.expirationSeconds": "expirationSeconds",
    "spec.platformRefs": "platforms",
    "spec.approvalRef": "approval",
}
"""Fields of a VendedRole, and the members of a call that set them."""


def of_call(message: str) -> tuple[str | None, str]:
    """Return the member of a call that a decision's message begins with, and the message with it instead of the field of a VendedRole."""
    field, _, rest = message.partition(": ")
    named = _MEMBERS.get(field)
    return named, f"{named}: {rest}" if named else message


def public_reason(reason: str) -> str:
    """Return the code of a denial. An agent learns nothing of the approvals of other agents and users."""
    return UseRefusal.NOT_APPROVED.value if reason in (UseRefusal.WRONG_AGENT, UseRefusal.WRONG_USER) else reason


def error_problem(error: RolevendError) -> Problem:
    match error:
        case InvalidInput(field=field, message=message):
            return Problem(422, "InvalidInput", message, field=field or None)
        case NotPermitted():  # the message names the API's account, and is for operators only
            return Problem(503, "NotServed", _NOT_SERVED, retry_after=RETRY_SECONDS)
        case TooManyUnknownUsers():
            return Problem(403, "TooManyUnknownUsers", str(error).removeprefix("spec.user: "), field="user")
        case TooManyRoles():
            return Problem(429, TOO_MANY, "the agent has its maximum of roles; release one", retry_after=_QUOTA_SECONDS)
        case Conflict():
            # An agent must not learn who owns the handle: the conditions of Agent and UserAttributes name the owner.
            return Problem(
                409, "Conflict", "the handle of this agent or user belongs to another one; an administrator must choose a new handle"
            )
        case Unavailable():
            code = next((code for kind, code in _UNAVAILABLE if isinstance(error, kind)), "Unavailable")
            return Problem(503, code, f"{_PLAIN.get(code, 'a dependency does not answer')}; try again", retry_after=RETRY_SECONDS)
        case _:
            return Problem(409, "Rejected", str(error))


_NOT_SERVED: Final = (
    "the cluster permits no new roles here: vending is closed, or the agent's namespace is not served; ask an administrator"
)
_PLAIN: Final = {
    "PlatformDrifted": "the row isolation of the platform was changed manually; the platform team must restore it",
    "ProfileBuilding": "the operator builds this profile on the platform for the first time",
    "PlatformBusy": "other work on the platform blocks the role",
    "PlatformUnavailable": "the platform does not answer",
    "ClusterUnavailable": "the Kubernetes API does not answer",
    "IdentityProviderUnavailable": "the keys of the token's issuer are not known now",
    "AuditUnavailable": "the audit event cannot be written, and rolevend acts only with one",
}
"""Plain details: an agent learns that it has to wait, but not the addresses of servers."""

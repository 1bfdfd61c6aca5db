"""Failures of SCIM calls as SCIM errors (RFC 7644, section 3.12)."""

import logging
from typing import Any, Final

from pydantic import ValidationError
from scim2_models import Error, SCIMException
from starlette.requests import Request
from starlette.responses import Response

from rolevend.api.json_body import WrittenJson
from rolevend.api.middleware import TooLong
from rolevend.api.problems import RETRY_SECONDS, Problem
from rolevend.errors import InvalidInput, NotPermitted, Rejected, RolevendError, Unavailable
from rolevend.kube.client import ResourceConflict

MEDIA_TYPE: Final = "application/scim+json"
_LONGEST_DETAIL: Final = 500
_log = logging.getLogger(__name__)


class ScimJson(WrittenJson):
    media_type = MEDIA_TYPE


class ScimRefusal(Exception):
    """A call that is refused."""

    def __init__(self, status: int, detail: str, scim_type: str | None = None, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.scim_type = scim_type
        self.headers = headers or {}


def failed(error: Exception, request: Request) -> Response:
    """Return the answer to a call that failed. The log has unexpected errors and dependencies that fail."""
    refusal = _refusal(error)
    if refusal.status >= 500:
        extra = {"request_id": request.state.request_id}
        if isinstance(error, RolevendError):
            _log.warning("a SCIM call failed: %s", error, extra=extra)
        else:
            _log.error("a SCIM call failed", exc_info=error, extra=extra)
    body = Error(status=refusal.status, scim_type=refusal.scim_type, detail=refusal.detail[:_LONGEST_DETAIL])
    return ScimJson(body.model_dump_json(), refusal.status, refusal.headers)


def _refusal(error: Exception) -> ScimRefusal:
    match error:
        case ScimRefusal():
            return error
        case SCIMException():
            return ScimRefusal(error.status, error.detail, error.scim_type or None)
        case ValidationError():
            return _of_validation(error)
        case Problem():
            headers = dict(error.headers) | ({} if error.retry_after is None else {"Retry-After": str(error.retry_after)})
            return ScimRefusal(error.status, error.detail, None, headers)
        case TooLong():
            return ScimRefusal(413, "the body is longer than 1 MiB; send fewer members in one call")
        case InvalidInput():
            return ScimRefusal(400, str(error), "invalidValue")
        case NotPermitted():
            return _later("the API may not write UserAttributes: set api.scim to true in the values of the chart")
        case ResourceConflict():
            return _later("the object changed all the time meanwhile; try again")
        case Unavailable():
            return _later("the Kubernetes API, or the issuer of the token, does not answer; try again")
        case Rejected():
            return ScimRefusal(400, str(error), "invalidValue")
        case _:
            return ScimRefusal(500, "an unexpected error; the log of rolevend has the request id")


def _of_validation(error: ValidationError) -> ScimRefusal:
    first: Any = error.errors(include_url=False, include_input=False)[0]
    shown = Error.from_validation_error(first)
    return ScimRefusal(int(shown.status or 400), str(shown.detail or "a value is invalid"), shown.scim_type or "invalidValue")


def _later(detail: str) -> ScimRefusal:
    return ScimRefusal(503, detail, None, {"Retry-After": str(RETRY_SECONDS)})

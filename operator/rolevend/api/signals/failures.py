"""Failures of the call for signals, as errors of RFC 8935."""

import json
import logging
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from rolevend.api.json_body import WrittenJson
from rolevend.api.middleware import TooLong
from rolevend.api.problems import RETRY_SECONDS
from rolevend.errors import IdentityProviderUnavailable, InvalidInput, RolevendError, Unavailable
from rolevend.identity.key_store import COOL_DOWN_SECONDS
from rolevend.identity.refusal import Code, TokenRefused
from rolevend.kube.client import ResourceConflict

INVALID_REQUEST: Final = "invalid_request"
_ERRORS: Final = {
    Code.ALGORITHM_NOT_ALLOWED: "invalid_key",
    Code.UNKNOWN_KEY: "invalid_key",
    Code.AMBIGUOUS_KEY: "invalid_key",
    Code.KEY_MISMATCH: "invalid_key",
    Code.UNKNOWN_ISSUER: "invalid_issuer",
    Code.WRONG_AUDIENCE: "invalid_audience",
    Code.BAD_SIGNATURE: "authentication_failed",
    Code.ANOTHER_ISSUERS_USER: "access_denied",
}
"""All other codes are `INVALID_REQUEST`."""
_log = logging.getLogger(__name__)


class MalformedCall(Exception):
    """A call that carries no token."""


def failed(error: Exception, request: Request) -> Response:
    """Return the answer to a call that failed. The log has unexpected errors and dependencies that fail."""
    match error:
        case TokenRefused():
            return _refused(_ERRORS.get(error.code, INVALID_REQUEST), str(error))
        case MalformedCall() | InvalidInput():
            return _refused(INVALID_REQUEST, str(error))
        case TooLong():
            return _refused(INVALID_REQUEST, "the body is longer than 64 KiB: send one security event token", 413)
        case RolevendError() | ResourceConflict():
            extra = {"request_id": request.state.request_id}
            _log.log(logging.WARNING if isinstance(error, Unavailable) else logging.ERROR, "a signal was not taken: %s", error, extra=extra)
            seconds = COOL_DOWN_SECONDS if isinstance(error, IdentityProviderUnavailable) else RETRY_SECONDS
            return Response(status_code=503, headers={"Retry-After": f"{seconds:.0f}"})
        case _:
            _log.error("a signal was not taken", exc_info=error, extra={"request_id": request.state.request_id})
            return Response(status_code=500)


def _refused(error: str, description: str, status: int = 400) -> Response:
    return WrittenJson(json.dumps({"err": error, "description": description}), status, {"Content-Language": "en"})

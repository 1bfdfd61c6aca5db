"""The page of each failure."""

import logging

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from rolevend.console import pages
from rolevend.console.limits import TooMany
from rolevend.console.login import LoginOver
from rolevend.console.sessions import PersonSuspended, Session
from rolevend.errors import IdentityProviderUnavailable, Rejected, Unavailable
from rolevend.identity.refusal import Code, TokenRefused
from rolevend.web.forms import ForeignForm, UnreadableForm

_log = logging.getLogger(__name__)


class Unknown(Exception):
    """There is no such object, or the person may not see it."""


class Gone(Exception):
    """There is no such object any more, and the person would see it."""


class Busy(Exception):
    """Too many read files now."""


def failed(error: Exception, request: Request, session: Session | None) -> Response:
    """Return the page of a failure, without anything that its visitor must not know."""
    request_id = request.state.request_id
    again = ("/login?again=1", "Sign in again")
    match error:
        case Unknown():
            return pages.telling(session, "Not found", "There is nothing here that you may see.", status=404)
        case Gone():
            sent = "Nothing was changed. " if request.method == "POST" else ""
            message = f"{sent}It was withdrawn or deleted, or it never was there."
            return pages.telling(session, "It is gone", message, status=410, link=("/requests", "All requests"))
        case Busy():
            return pages.telling(session, "Try again", "Others read the audit files now. Nothing was read for you.", status=503)
        case TooMany():
            sent = "Nothing was changed. " if request.method == "POST" else ""
            message = f"{sent}There were {error} in the last minute. Wait {error.seconds} seconds, and try again."
            answer = pages.telling(session, "Too fast", message, status=429)
            answer.headers["Retry-After"] = str(error.seconds)
            return answer
        case ForeignForm() | UnreadableForm():
            return pages.telling(
                session, "Nothing was changed", "The form does not come from this page, or is too old. Open the page again.", status=403
            )
        case PersonSuspended():
            message = "You are suspended here, so you cannot sign in. Ask those who run this installation."
            return pages.telling(None, "You cannot sign in", message, status=403)
        case HTTPException(status_code=413):
            return pages.telling(session, "Too long", "The form is too long. Nothing was changed.", status=413)
        case TokenRefused(code=Code.TOKEN_TOO_LARGE):
            message = (
                "Your identity provider sends more about you than a login here takes, perhaps all your groups. Ask your administrator"
                " to let it send the groups alone that the console knows."
            )
            return pages.telling(None, "You cannot sign in", message, status=403)
        case LoginOver() | TokenRefused():
            return pages.telling(None, "You are not signed in", "The login did not complete. Sign in again.", status=403, link=again)
        case IdentityProviderUnavailable():
            _log.warning("the identity provider: %s", error, extra={"request_id": request_id})
            return pages.telling(
                session, "You cannot sign in now", "The identity provider does not answer. Try again later.", status=503, link=again
            )
        case Unavailable():
            _log.warning("a page failed: %s", error, extra={"request_id": request_id})
            return pages.telling(
                session, "Try again", "The Kubernetes API does not answer now. Nothing is known to be changed.", status=503
            )
        case Rejected():
            _log.warning("a page failed: %s", error, extra={"request_id": request_id})
            return pages.telling(session, "This did not work", f"{str(error)[:1].upper()}{str(error)[1:]}.", status=403, link=again)
        case _:
            _log.exception("a page failed", exc_info=error, extra={"request_id": request_id})
    message = f"An unexpected error. Tell your administrator the request id {request_id}."
    return pages.telling(session, "This did not work", message, status=500)

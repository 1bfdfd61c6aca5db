"""The page on which a user confirms or refuses what an agent asks for. Each call parses, calls the service and answers with a page.

No agent has a way to answer: a call is nobody's without the cookie of a login, and the token of an agent is not read here.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from rolevend.api.confirm.links import CONFIRM
from rolevend.api.confirm.login import NOT_NOW, PersonLogins, Seals, Visitor
from rolevend.api.confirm.page import HEADERS, asking, telling
from rolevend.api.confirm.service import Answer, ConfirmService, LoginTooWeak, TextProblem, admit_text
from rolevend.api.confirm.view import outcome
from rolevend.api.problems import Problem, error_problem
from rolevend.decision.person_login import CALLBACK
from rolevend.errors import Rejected, RolevendError
from rolevend.identity.refusal import Code, TokenRefused
from rolevend.kinds import AccessRequest
from rolevend.roles.protocols import Snapshots
from rolevend.web.forms import ForeignForm, UnreadableForm, read_form, set_cookie
from rolevend.web.named_route import NamedRoute

CONFIRM_CALLS: Final = ("showConfirmation", "answerConfirmation", "beginLogin", "finishLogin")
"""Names of the calls in metrics. They are no part of the API's document."""
LOGIN_COOKIE, SESSION_COOKIE = "__Host-rolevend-login", "__Host-rolevend-session"
_MOST_FIELDS: Final = 8
_SIGNED_OUT: Final = "you are not signed in any more; open the link again"

_log = logging.getLogger(__name__)
_Page = Callable[[Request], Awaitable[Response]]


class _PageRoute(NamedRoute):
    """A route that answers every failure with a page."""

    def __init__(self, path: str, page: _Page, method: str, name: str) -> None:
        async def answer(request: Request) -> Response:
            try:
                return await page(request)
            except Exception as error:
                return _failed(error, request)

        super().__init__(path, answer, [method], name)


class ConfirmPages:
    """The calls of the page."""

    def __init__(self, service: ConfirmService, logins: PersonLogins, seals: Seals, snapshots: Snapshots) -> None:
        self._service = service
        self._logins = logins
        self._seals = seals
        self._snapshots = snapshots

    def add_to(self, app: FastAPI) -> None:
        """Add the calls. They are no part of its document, which is for agents."""
        page = f"{CONFIRM}/{{namespace}}/{{name}}/{{code}}"
        show, answer, begin, finish = CONFIRM_CALLS
        app.router.routes += [
            _PageRoute(page, self.show, "GET", show),
            _PageRoute(page, self.answer, "POST", answer),
            _PageRoute(f"{page}/login", self.login, "GET", begin),
            _PageRoute(CALLBACK, self.callback, "GET", finish),
        ]

    async def show(self, request: Request) -> Response:
        found, path = self._found(request.path_params), request.url.path
        visitor = self._visitor(request)
        if visitor is None:
            return await self._begin(found, path, again=False)
        await self._service.require_user(found, visitor, request.state.request_id)
        return self._shown(await self._service.refresh(found), visitor, path)

    async def answer(self, request: Request) -> Response:
        found, path = self._found(request.path_params), request.url.path
        visitor = self._visitor(request)
        if visitor is None:
            raise Problem(401, "SignedOut", _SIGNED_OUT)
        await self._service.require_user(found, visitor, request.state.request_id)
        fields = await _fields(request)
        form = self._seals.form.open(fields.get("form"))
        if form is None or (form["session"], form["uid"]) != (visitor.session, found.uid):
            raise Problem(403, "SignedOut", _SIGNED_OUT)
        found = await self._service.refresh(found)
        text = fields.get("justification", "")
        match fields.get("answer"):
            case "confirm":
                try:
                    given = Answer(True, form["digest"], admit_text(text))
                except TextProblem as problem:
                    return self._shown(found, visitor, path, str(problem), text)
            case "refuse":
                given = Answer(False, form["digest"])
            case _:
                raise Problem(422, "InvalidInput", "neither Confirm nor Refuse was chosen; go back, and choose one")
        await self._service.answer(found, visitor, given, request.state.request_id)
        return RedirectResponse(path, 303, HEADERS)

    async def login(self, request: Request) -> Response:
        """Log in again, perhaps as somebody else."""
        found = self._found(request.path_params)
        return await self._begin(found, request.url.path.removesuffix("/login"), again=True)

    async def callback(self, request: Request) -> Response:
        query = dict(request.query_params)
        if len(query) != len(request.query_params.multi_items()):
            raise Problem(400, "LoginExpired", NOT_NOW)
        begun = self._logins.resume(request.cookies.get(LOGIN_COOKIE), query.get("state"))
        namespace, name, code = begun.path.removeprefix(f"{CONFIRM}/").split("/")
        found = self._service.find(namespace, name, code)
        login = self._snapshots.snapshot.logins.get(begun.issuer)
        if login is None or begun.issuer != found.spec.user.issuer:
            raise Problem(400, "LoginExpired", NOT_NOW)
        try:
            proven = await self._logins.finish(begun, login, query)
        except TokenRefused as error:
            await self._service.refused(found, error, None, request.state.request_id)
            raise
        answer = RedirectResponse(begun.path, 303, HEADERS)
        set_cookie(answer, SESSION_COOKIE, self._seals.session(proven), Seals.LIFE_SECONDS)
        set_cookie(answer, LOGIN_COOKIE, "", 0)
        return answer

    def _found(self, path: dict[str, Any]) -> AccessRequest:
        return self._service.find(path["namespace"], path["name"], path["code"])

    def _visitor(self, request: Request) -> Visitor | None:
        return self._seals.visitor(request.cookies.get(SESSION_COOKIE))

    async def _begin(self, found: AccessRequest, path: str, *, again: bool) -> Response:
        issuer = found.spec.user.issuer
        login = self._snapshots.snapshot.logins.get(issuer)
        if login is None:
            raise Problem(404, "NotFound", "people of your identity provider cannot log in here")
        begun = await self._logins.begin(issuer, login, path, self._service.needed_login(found), again=again)
        answer = RedirectResponse(begun.url, 303, HEADERS)
        set_cookie(answer, LOGIN_COOKIE, begun.cookie, Seals.LIFE_SECONDS)
        return answer

    def _shown(self, found: AccessRequest, visitor: Visitor, path: str, error: str | None = None, text: str = "") -> Response:
        question = self._service.question(found, visitor)
        if question is None:
            title, message = outcome(found)
            return telling(title, message)
        form = self._seals.form.close(session=visitor.session, uid=found.uid, digest=question.digest)
        return asking(question, path, form, error=error, text=text, status=200 if error is None else 422)


async def _fields(request: Request) -> dict[str, str]:
    """Return the fields of a form of this page. Raises Problem."""
    try:
        return await read_form(request, _MOST_FIELDS)
    except ForeignForm as error:
        raise Problem(403, "SignedOut", "the answer does not come from this page; open the link again") from error
    except UnreadableForm as error:
        raise Problem(400, "MalformedBody", "the answer cannot be read; open the link again") from error


def _failed(error: Exception, request: Request) -> Response:
    """Return the page of a failure, without anything that its visitor must not know."""
    request_id, page = request.state.request_id, request.url.path.removesuffix("/login")
    match error:
        case Problem():
            pass
        case LoginTooWeak():
            message = f"For this request, {error}. Nothing was changed."
            return telling("Sign in again", message, status=403, login=(f"{page}/login", "Sign in again"))
        case TokenRefused(code=Code.ANOTHER_PERSON):
            message = "This request is for another person. Nothing was changed."
            return telling("You are signed in as somebody else", message, status=403, login=(f"{page}/login", "Sign in as another person"))
        case TokenRefused():
            _log.warning("a login of a person was refused: %s", error, extra={"request_id": request_id})
            error = Problem(403, "LoginRefused", "the login does not prove who you are; open the link again")
        case Rejected():
            _log.error("the login of people does not work: %s", error, extra={"request_id": request_id})
            error = Problem(503, "Unavailable", f"the login does not work; tell your administrator the request id {request_id}")
        case RolevendError():
            _log.warning("a page failed: %s", error, extra={"request_id": request_id})
            error = error_problem(error)
        case HTTPException(status_code=status):
            error = Problem(status, "TooLong", "the answer is too long")
        case _:
            _log.exception("a page failed", exc_info=error, extra={"request_id": request_id})
            error = Problem(500, "InternalError", f"an unexpected error; tell your administrator the request id {request_id}")
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return telling("This did not work", f"{error.detail[:1].upper()}{error.detail[1:]}.", status=error.status, headers=headers)

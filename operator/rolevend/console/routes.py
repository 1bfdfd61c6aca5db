"""The console's calls. Each finds the session, asks what the person may do, and answers with a page."""

import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute

from rolevend.console import effect, pages
from rolevend.console.acting import Acting, NarrowingNoted
from rolevend.console.changes import ChangeStreams
from rolevend.console.failures import Unknown, failed
from rolevend.console.forms import FILTERS, narrowing_of, query_of, read_own_form, said, vote_of
from rolevend.console.inbox import Requests, RequestView
from rolevend.console.live import RolePage, VisibleRoles
from rolevend.console.login import CALLBACK, ConsoleLogins, LoginOver
from rolevend.console.sessions import Session, Sessions
from rolevend.errors import InvalidInput, Rejected
from rolevend.identity.login_attempts import LOGIN_LIFE
from rolevend.kinds.previewed_effect import PreviewedEffect
from rolevend.model import ObjectName
from rolevend.web.forms import set_cookie
from rolevend.web.named_route import NamedRoute

LOGIN_COOKIE, SESSION_COOKIE = "__Host-rolevend-console-login", "__Host-rolevend-console"
_LOGIN_SECONDS: Final = int(LOGIN_LIFE.total_seconds())
_PATH: Final = re.compile(r"/(requests|roles)(/[a-z0-9.-]{1,253}){0,2}")
"""Where a login may lead to."""
_EVENTS: Final = "/events"
_REFRESH: Final = "x-console-refresh"
"""The header of a page that asks by itself what is new."""

_log = logging.getLogger(__name__)
_Page = Callable[[Request, Session], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class ConsoleTimes:
    """The clock, and the changes of objects."""

    now: Callable[[], datetime]
    changes: ChangeStreams


class Console:
    def __init__(
        self,
        logins: ConsoleLogins,
        sessions: Sessions,
        requests: Requests,
        roles: VisibleRoles,
        acting: Acting,
        times: ConsoleTimes,
    ) -> None:
        self._logins = logins
        self._sessions = sessions
        self._requests = requests
        self._roles = roles
        self._acting = acting
        self._now = times.now
        self._changes = times.changes

    def routes(self) -> list[BaseRoute]:
        request, role = "/requests/{namespace}/{name}", "/roles/{namespace}/{name}"
        return [
            NamedRoute("/", self._home, ["GET"], "home"),
            NamedRoute("/login", self._open(self.login), ["GET"], "login"),
            NamedRoute(CALLBACK, self._open(self.callback), ["GET"], "callback"),
            NamedRoute(pages.SCRIPT, self._script, ["GET"], "script"),
            NamedRoute(_EVENTS, self._known(self.events), ["GET"], "events"),
            NamedRoute("/logout", self._known(self.logout), ["POST"], "logout"),
            NamedRoute("/requests", self._known(self.inbox), ["GET"], "listRequests"),
            NamedRoute(request, self._known(self.request), ["GET"], "showRequest"),
            NamedRoute(request, self._known(self.vote), ["POST"], "vote"),
            NamedRoute("/roles", self._known(self.roles), ["GET"], "listRoles"),
            NamedRoute("/roles", self._known(self.end_many), ["POST"], "endRoles"),
            NamedRoute(role, self._known(self.role), ["GET"], "showRole"),
            NamedRoute(role, self._known(self.end), ["POST"], "endRole"),
        ]

    async def login(self, request: Request) -> Response:
        path = request.query_params.get("to", "")
        again = request.query_params.get("again") == "1"
        url, cookie = await self._logins.begin(path if _PATH.fullmatch(path) else "/requests", again=again)
        answer = RedirectResponse(url, 303, pages.HEADERS)
        set_cookie(answer, LOGIN_COOKIE, cookie, _LOGIN_SECONDS)
        return answer

    async def callback(self, request: Request) -> Response:
        query = dict(request.query_params)
        if len(query) != len(request.query_params.multi_items()):
            raise LoginOver("the identity provider sent a parameter twice")
        person, path = await self._logins.finish(request.cookies.get(LOGIN_COOKIE), query)
        if (former := request.cookies.get(SESSION_COOKIE)) is not None:
            await self._sessions.end(former)
        secret = await self._sessions.begin(person)
        _log.info("logged in", extra={"person": person.username, "request_id": request.state.request_id})
        answer = RedirectResponse(path if _PATH.fullmatch(path) else "/requests", 303, pages.HEADERS)
        set_cookie(answer, SESSION_COOKIE, secret, self._sessions.life_seconds)
        set_cookie(answer, LOGIN_COOKIE, "", 0)
        return answer

    async def logout(self, request: Request, session: Session) -> Response:
        await read_own_form(request, session)
        await self._sessions.end(session.secret)
        _log.info("logged out", extra={"person": session.person.username, "request_id": request.state.request_id})
        answer = pages.telling(
            None, "Signed out", "You are signed out here. Your identity provider may still know you.", link=("/login", "Sign in")
        )
        set_cookie(answer, SESSION_COOKIE, "", 0)
        return answer

    async def events(self, _request: Request, session: Session) -> Response:
        """Tell the page when it should ask again."""
        if self._changes.is_full(session.secret):
            return Response(status_code=503, headers=pages.HEADERS)

        async def is_known() -> bool:
            return await self._sessions.find(session.secret, by_itself=True) is not None

        return StreamingResponse(self._changes.stream(session.secret, is_known), 200, pages.HEADERS, media_type="text/event-stream")

    async def inbox(self, _request: Request, session: Session) -> Response:
        found = await self._requests.inbox(session.person, self._now())
        return pages.page("inbox.html", session, title="Requests", inbox=found)

    async def request(self, request: Request, session: Session) -> Response:
        return self._shown(session, await self._view(request, session))

    async def vote(self, request: Request, session: Session) -> Response:
        """Count the effect of an approval, or vote."""
        form = await read_own_form(request, session)
        view = await self._view(request, session)
        try:
            if form.get("choice") == "Count":
                return self._shown(
                    session, view, counted=await self._acting.effect(session.person, view.found, narrowing_of(form)), given=form
                )
            if form.get("choice") == "Withdraw":
                return await self._withdrawn(request, session, view)
            text, is_lost = await self._acting.vote(session.person, view.found, vote_of(form))
        except NarrowingNoted as noted:
            told = f"{noted}. Press Approve again to approve it so."
            return self._shown(session, view, given={**form, "noted": "1"}, error=told, status=409)
        except Rejected as error:
            return self._shown(session, view, given=form, error=said(error), status=409)
        view = await self._view(request, session)
        return self._shown(session, view, told=text, status=409 if is_lost else 200)

    async def _withdrawn(self, request: Request, session: Session, view: RequestView) -> Response:
        if view.mine is None:
            return self._shown(session, view, error="you have no vote on this request", status=409)
        await self._acting.withdraw(session.person, view.mine)
        return self._shown(session, await self._view(request, session), told="Your vote is withdrawn. What rests on it ends now.")

    async def roles(self, request: Request, session: Session) -> Response:
        return await self._listed(session, dict(request.query_params))

    async def end_many(self, request: Request, session: Session) -> Response:
        """End all roles that match, if they are not more than the person saw."""
        form = await read_own_form(request, session)
        given = {name: form.get(name, "") for name in FILTERS}
        query = query_of(given)
        roles = await self._roles.endable(session.person, query)
        seen = form.get("count", "")
        if not seen.isdecimal() or len(roles) > int(seen[:9]):
            told = f"There are {len(roles):,} roles now that match, and more than you saw. Nothing was ended."
            return await self._listed(session, given, error=told, status=409)
        try:
            left = await self._acting.end(session.person, roles, form.get("because", ""))
        except Rejected as error:
            return await self._listed(session, given, error=said(error), status=409)
        if left:
            told = f"{len(roles) - len(left):,} of {len(roles):,} roles are ending. {next(iter(left))} is not: {next(iter(left.values()))}"
            return await self._listed(session, given, error=told, status=409)
        return await self._listed(session, given, told=f"{len(roles):,} roles are ending.")

    async def role(self, request: Request, session: Session) -> Response:
        return await self._role_shown(request, session)

    async def end(self, request: Request, session: Session) -> Response:
        form = await read_own_form(request, session)
        view = await self._roles.view(session.person, _name(request))
        if view is None:
            raise Unknown
        if not view.may_end:
            return await self._role_shown(request, session, error="you may not end it, or it ends already", status=403)
        try:
            left = await self._acting.end(session.person, [view.row], form.get("because", ""))
        except Rejected as error:
            return await self._role_shown(request, session, error=said(error), status=409)
        if left:
            return await self._role_shown(request, session, error=next(iter(left.values())), status=409)
        return await self._role_shown(
            request, session, told="The role is ending: nobody reads with it any more when it is gone from this page."
        )

    async def _role_shown(
        self, request: Request, session: Session, *, told: str | None = None, error: str | None = None, status: int = 200
    ) -> Response:
        view = await self._roles.view(session.person, _name(request))
        if view is None:
            if told is None:
                raise Unknown
            return pages.telling(session, "The role is gone", "It was ended, and its sessions with it.", link=("/roles", "Live roles"))
        values: dict[str, Any] = {"view": view, "acts": self._acting.enabled, "told": told, "error": error}
        return pages.page("role.html", session, title=view.row.name.name, status=status, **values)

    async def _listed(
        self, session: Session, given: dict[str, str], *, told: str | None = None, error: str | None = None, status: int = 200
    ) -> Response:
        try:
            found = await self._roles.page(session.person, query_of(given))
        except InvalidInput as invalid:
            found, error, status = RolePage((), 0, 0, 1, 0), said(invalid), 400
        kept = {name: given[name] for name in FILTERS if given.get(name)}
        links = {
            number: f"/roles?{urlencode({**kept, 'page': number})}"
            for number in (found.page - 1, found.page + 1)
            if 1 <= number <= found.pages
        }
        values: dict[str, Any] = {
            "found": found,
            "given": kept,
            "links": links,
            "acts": self._acting.enabled,
            "told": told,
            "error": error,
        }
        return pages.page("roles.html", session, title="Live roles", status=status, **values)

    async def _view(self, request: Request, session: Session) -> RequestView:
        view = await self._requests.view(session.person, _name(request), self._now())
        if view is None:
            raise Unknown
        return view

    def _shown(
        self,
        session: Session,
        view: RequestView,
        *,
        counted: PreviewedEffect | None = None,
        given: dict[str, str] | None = None,
        told: str | None = None,
        error: str | None = None,
        status: int = 200,
    ) -> Response:
        request = view.found.request
        values: dict[str, Any] = {
            "view": view,
            "digest": "" if request.status.offer is None else request.status.offer.digest,
            "effect": None if counted is None else list(effect.lines(counted)),
            "uncounted": None if counted is None else counted.unknown,
            "given": given or {},
            "acts": self._acting.enabled,
            "told": told,
            "error": error,
        }
        return pages.page("request.html", session, title=request.name, status=status, **values)

    async def _home(self, _request: Request) -> Response:
        return RedirectResponse("/requests", 303, pages.HEADERS)

    async def _script(self, _request: Request) -> Response:
        return Response(pages.SCRIPT_TEXT, 200, pages.HEADERS, media_type="text/javascript")

    def _known(self, show: _Page) -> Callable[[Request], Awaitable[Response]]:
        """Return a call for people who are signed in. Others are sent to the login, and come back if they only wanted to see a page."""

        async def call(request: Request) -> Response:
            by_itself = _REFRESH in request.headers or request.url.path == _EVENTS
            session = await self._sessions.find(request.cookies.get(SESSION_COOKIE), by_itself=by_itself)
            if session is None:
                if request.method == "GET":
                    return RedirectResponse(f"/login?{urlencode({'to': request.url.path})}", 303, pages.HEADERS)
                return pages.telling(
                    None, "Signed out", "You are not signed in any more. Nothing was changed.", status=401, link=("/login", "Sign in")
                )
            try:
                return await show(request, session)
            except Exception as error:
                return failed(error, request, session)

        return self._open(call)

    def _open(self, call: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            try:
                return await call(request)
            except Exception as error:
                return failed(error, request, None)

        return answer


def _name(request: Request) -> ObjectName:
    return ObjectName(request.path_params["namespace"], request.path_params["name"])

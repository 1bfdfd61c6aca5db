"""The console's calls: the login, and the sections of pages, which only people who are signed in open."""

import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute

from rolevend.console import pages
from rolevend.console.changes import ChangeStreams
from rolevend.console.failures import failed
from rolevend.console.forms import read_own_form
from rolevend.console.limits import LOGINS, PAGES, PAGES_OF_ONE, SIGN_INS, Budget, CallLimits, address_key
from rolevend.console.login import CALLBACK, ConsoleLogins, LoginOver
from rolevend.console.person import Person
from rolevend.console.section import Section, log_act
from rolevend.console.sessions import Session, Sessions, session_id
from rolevend.errors import RolevendError
from rolevend.identity.login_attempts import LOGIN_LIFE
from rolevend.web.forms import set_cookie
from rolevend.web.named_route import NamedRoute

LOGIN_COOKIE, SESSION_COOKIE = "__Host-rolevend-console-login", "__Host-rolevend-console"
_LOGIN_SECONDS: Final = int(LOGIN_LIFE.total_seconds())
_FIRST: Final = "/requests"
_REST: Final = "(/[A-Za-z0-9_.-]{1,253}){0,2}"
"""Of a path below a section."""
_EVENTS: Final = "/events"
_REFRESH: Final = "x-console-refresh"
"""The header of a page that asks by itself what is new."""

_log = logging.getLogger(__name__)
_Page = Callable[[Request, Session], Awaitable[Response]]


class Console:
    def __init__(
        self,
        logins: ConsoleLogins,
        sessions: Sessions,
        changes: ChangeStreams,
        sections: Sequence[Section],
        waiting: Callable[[Person], Awaitable[int]],
        limits: CallLimits,
    ) -> None:
        """`waiting` returns the number of requests that wait for the person."""
        self._waiting = waiting
        self._limits = limits
        self._logins = logins
        self._sessions = sessions
        self._changes = changes
        self._calls = [each for section in sections for each in section.calls()]
        names = {each.path.split("/")[1] for each in self._calls}
        self._paths = re.compile(f"/({'|'.join(sorted(names))}){_REST}")
        """Where a login may lead to."""

    def routes(self) -> list[BaseRoute]:
        return [
            NamedRoute("/", self._home, ["GET"], "home"),
            NamedRoute("/login", self._open(self.login), ["GET"], "login"),
            NamedRoute(CALLBACK, self._open(self.callback), ["GET"], "callback"),
            NamedRoute(pages.SCRIPT, self._script, ["GET"], "script"),
            NamedRoute(_EVENTS, self._known(self.events), ["GET"], "events"),
            NamedRoute("/logout", self._known(self.logout), ["POST"], "logout"),
            *(NamedRoute(each.path, self._known(each.show, each.budget), [each.method], each.name) for each in self._calls),
        ]

    async def login(self, request: Request) -> Response:
        self._count_login(request)
        path = request.query_params.get("to", "")
        again = request.query_params.get("again") == "1"
        url, cookie = await self._logins.begin(self._landing(path), again=again)
        answer = RedirectResponse(url, 303, pages.HEADERS)
        set_cookie(answer, LOGIN_COOKIE, cookie, _LOGIN_SECONDS)
        return answer

    async def callback(self, request: Request) -> Response:
        self._count_login(request)
        query = dict(request.query_params)
        try:
            if len(query) != len(request.query_params.multi_items()):
                raise LoginOver("the identity provider sent a parameter twice")
            redeemed = await self._logins.finish(request.cookies.get(LOGIN_COOKIE), query)
            login = redeemed.login
            self._limits.take(SIGN_INS, login.person.username)
            if (former := request.cookies.get(SESSION_COOKIE)) is not None:
                await self._sessions.end(former)
            secret = await self._sessions.begin(login)
        except RolevendError as error:
            _log.warning("login refused", extra={"reason": str(error), "address": _host(request), "request_id": request.state.request_id})
            raise
        log_act(request, Session(login.person, secret), "logged in")
        answer = RedirectResponse(self._landing(redeemed.path), 303, pages.HEADERS)
        set_cookie(answer, SESSION_COOKIE, secret, self._sessions.life_seconds)
        set_cookie(answer, LOGIN_COOKIE, "", 0)
        return answer

    async def logout(self, request: Request, session: Session) -> Response:
        await read_own_form(request, session)
        await self._sessions.end(session.secret)
        log_act(request, session, "logged out")
        answer = pages.telling(
            None, "Signed out", "You are signed out here. Your identity provider may still know you.", link=("/login", "Sign in")
        )
        set_cookie(answer, SESSION_COOKIE, "", 0)
        return answer

    async def events(self, _request: Request, session: Session) -> Response:
        """Tell the page when it should ask again."""
        if self._changes.is_full(session.person.username):
            return Response(status_code=503, headers=pages.HEADERS)

        async def is_known() -> bool:
            return await self._sessions.find(session.secret, by_itself=True) is not None

        return StreamingResponse(
            self._changes.stream(session.person.username, is_known), 200, pages.HEADERS, media_type="text/event-stream"
        )

    def _landing(self, path: str) -> str:
        return path if self._paths.fullmatch(path) else _FIRST

    async def _home(self, _request: Request) -> Response:
        return RedirectResponse(_FIRST, 303, pages.HEADERS)

    async def _script(self, _request: Request) -> Response:
        return Response(pages.SCRIPT_TEXT, 200, pages.HEADERS, media_type="text/javascript")

    def _count_login(self, request: Request) -> None:
        """Raise TooMany if the address of the client asks too often."""
        self._limits.take(LOGINS, address_key(_host(request)))

    def _known(self, show: _Page, budget: Budget | None = None) -> Callable[[Request], Awaitable[Response]]:
        """Return a call for people who are signed in. Others are sent to the login, and come back if they only wanted to see a page."""

        async def call(request: Request) -> Response:
            by_itself = _REFRESH in request.headers or request.url.path == _EVENTS
            secret = request.cookies.get(SESSION_COOKIE)
            if secret is not None and self._sessions.is_own(secret):
                self._limits.take(PAGES, session_id(secret))
            session = await self._sessions.find(secret, by_itself=by_itself)
            if session is None:
                if request.method == "GET":
                    return RedirectResponse(f"/login?{urlencode({'to': request.url.path})}", 303, pages.HEADERS)
                return pages.telling(
                    None, "Signed out", "You are not signed in any more. Nothing was changed.", status=401, link=("/login", "Sign in")
                )
            try:
                self._limits.take(PAGES_OF_ONE, session.person.username)
                if budget is not None:
                    self._limits.take(budget, session.person.username)
                if request.url.path != _EVENTS:
                    session = replace(session, waiting=await self._waiting(session.person))
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


def _host(request: Request) -> str | None:
    """Return the address of the client, or of a proxy before the console."""
    return None if request.client is None else request.client.host

"""The pages of access requests: the inbox, one request, and the answers to it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from rolevend.console import effect, pages
from rolevend.console.acting import Acting, NarrowingNoted, VoteOnPage
from rolevend.console.failures import Gone, Unknown
from rolevend.console.forms import chosen_tables, narrowing_of, read_own_form, said, vote_of
from rolevend.console.inbox import Requests, RequestView
from rolevend.console.limits import CHANGES, COUNTS, CallLimits
from rolevend.console.section import PageCall, log_act, named_object
from rolevend.console.sessions import Session
from rolevend.errors import Rejected, RolevendError
from rolevend.kinds.previewed_effect import PreviewedEffect

_ONE: Final = "/requests/{namespace}/{name}"


class RequestPages:
    def __init__(
        self, requests: Requests, acting: Acting, now: Callable[[], datetime], limits: CallLimits, *, shows_rows: bool = False
    ) -> None:
        """`shows_rows`: approvers may look at rows."""
        self._shows_rows = shows_rows
        self._limits = limits
        self._requests = requests
        self._acting = acting
        self._now = now

    def calls(self) -> Sequence[PageCall]:
        return (
            PageCall("GET", "/requests", self.inbox, "listRequests"),
            PageCall("GET", _ONE, self.request, "showRequest"),
            PageCall("POST", _ONE, self.vote, "vote", CHANGES),
        )

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
                self._limits.take(COUNTS, session.person.username)
                return self._shown(
                    session,
                    view,
                    counted=await self._acting.effect(session.person, view.found, narrowing_of(form, view.tables)),
                    given=form,
                )
            if form.get("choice") == "Withdraw":
                return await self._withdrawn(request, session, view)
            text, is_lost = await self._voted(request, session, view, vote_of(form, view.tables))
        except NarrowingNoted as noted:
            told = f"{noted}. Press Approve again to approve it so."
            return self._shown(session, view, given={**form, "noted": noted.mark}, error=told, status=409)
        except Rejected as error:
            return self._shown(session, view, given=form, error=said(error), status=409)
        session = replace(session, waiting=await self._requests.waiting(session.person))
        try:
            view = await self._view(request, session)
        except Gone:
            return pages.telling(session, "The request is gone", f"{text}.", status=409, link=("/requests", "All requests"))
        return self._shown(session, view, error=text, status=409) if is_lost else self._shown(session, view, told=text)

    async def _voted(self, request: Request, session: Session, view: RequestView, vote: VoteOnPage) -> tuple[str, bool]:
        verdict, name = vote.choice, named_object(request)
        try:
            text, is_lost = await self._acting.vote(session.person, view.found, vote)
        except NarrowingNoted:
            raise  # nothing was sent
        except RolevendError as error:
            log_act(request, session, "vote failed", name, verdict=verdict, reason=str(error))
            raise
        log_act(request, session, "voted", name, verdict=verdict, outcome=text)
        return text, is_lost

    async def _withdrawn(self, request: Request, session: Session, view: RequestView) -> Response:
        if view.mine is None:
            return self._shown(session, view, error="you have no vote on this request", status=409)
        await self._acting.withdraw(session.person, view.mine)
        log_act(request, session, "vote withdrawn", named_object(request), verdict=view.mine.spec.verdict)
        return self._shown(session, await self._view(request, session), told="Your vote is withdrawn. What rests on it ends now.")

    async def _view(self, request: Request, session: Session) -> RequestView:
        view = await self._requests.view(session.person, named_object(request), self._now())
        if view is None:
            raise Gone if await self._requests.may_see(session.person, named_object(request)) else Unknown
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
            "chosen_tables": chosen_tables,
            "acts": self._acting.enabled,
            "shows_rows": self._shows_rows,
            "row_tables": view.choices if self._shows_rows else {},
            "told": told,
            "error": error,
        }
        return pages.page("request.html", session, title=request.name, status=status, **values)

"""The pages of live roles: the list, one role, and their ends."""

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from rolevend.console import pages
from rolevend.console.acting import Acting
from rolevend.console.failures import Unknown
from rolevend.console.forms import FILTERS, query_of, read_own_form, said
from rolevend.console.limits import CHANGES, SEARCHES
from rolevend.console.live import RolePage, VisibleRoles
from rolevend.console.section import PageCall, log_act, named_object
from rolevend.console.sessions import Session
from rolevend.errors import InvalidInput, Rejected
from rolevend.model import ObjectName
from rolevend.revocations.selection import SelectedRole

_ONE: Final = "/roles/{namespace}/{name}"


class RolePages:
    def __init__(self, roles: VisibleRoles, acting: Acting) -> None:
        self._roles = roles
        self._acting = acting

    def calls(self) -> Sequence[PageCall]:
        return (
            PageCall("GET", "/roles", self.roles, "listRoles", SEARCHES),
            PageCall("POST", "/roles", self.end_many, "endRoles", CHANGES),
            PageCall("GET", _ONE, self.role, "showRole"),
            PageCall("POST", _ONE, self.end, "endRole", CHANGES),
        )

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
            left = await self._ended(request, session, roles, form)
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
        view = await self._roles.view(session.person, named_object(request))
        if view is None:
            raise Unknown
        if not view.may_end:
            return await self._role_shown(request, session, error="you may not end it, or it ends already", status=403)
        try:
            left = await self._ended(request, session, [view.row], form)
        except Rejected as error:
            return await self._role_shown(request, session, error=said(error), status=409)
        if left:
            return await self._role_shown(request, session, error=next(iter(left.values())), status=409)
        return await self._role_shown(
            request, session, told="The role is ending: nobody reads with it any more when it is gone from this page."
        )

    async def _ended(
        self, request: Request, session: Session, roles: Sequence[SelectedRole], form: dict[str, str]
    ) -> dict[ObjectName, str]:
        """End the roles, and return the reasons of those that cannot be ended."""
        because = form.get("because", "")
        left = await self._acting.end(session.person, roles, because)
        for each in roles:
            if each.name in left:
                log_act(request, session, "end of a role failed", each.name, because=because, reason=left[each.name])
            else:
                log_act(request, session, "role ended", each.name, because=because)
        return left

    async def _role_shown(
        self, request: Request, session: Session, *, told: str | None = None, error: str | None = None, status: int = 200
    ) -> Response:
        view = await self._roles.view(session.person, named_object(request))
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

"""The page with rows of a requested table that the approver may read. A login comes first, and nothing is kept."""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from rolevend.approvals import narrowing, wording
from rolevend.approvals.narrowing import TABLES, VoteNarrowing, read_tables
from rolevend.console import pages
from rolevend.console.acting import Acting
from rolevend.console.failures import Unknown, failed
from rolevend.console.forms import read_own_form, said
from rolevend.console.inbox import Requests, RequestView
from rolevend.console.limits import ROWS
from rolevend.console.login import LoginOver, RedeemedLogin
from rolevend.console.person import Person
from rolevend.console.row_looks import CALLBACK, Look, NoRows, RowLooks
from rolevend.console.row_table import row_table
from rolevend.console.section import PageCall, log_act, named_object
from rolevend.console.sessions import Session
from rolevend.errors import IdentityProviderUnavailable, InvalidInput, Rejected
from rolevend.identity.login_attempts import LOGIN_LIFE
from rolevend.kinds.previewed_effect import PreviewedTable
from rolevend.kinds.vended_role import TableName
from rolevend.model import ObjectName
from rolevend.web.forms import set_cookie

COOKIE: Final = "__Host-rolevend-console-rows"
_LIFE_SECONDS: Final = int(LOGIN_LIFE.total_seconds())
_URL: Final = ":/%#?=@[]!$&'()*+,;"
_TITLE: Final = "Rows that you may read"

_log = logging.getLogger(__name__)


class SomebodyElse(NoRows):
    """Another person logged in than the one of the session."""


@dataclass(frozen=True, slots=True)
class WantedRows:
    """The part of a look that the browser keeps during the login."""

    request: ObjectName
    uid: str
    table: TableName
    session: str

    def text(self) -> str:
        named = [self.request.namespace, self.request.name, self.uid, self.table.schema_name, self.table.table, self.session]
        return json.dumps(named)

    @classmethod
    def of(cls, text: str) -> "WantedRows":
        """`text` was sealed here."""
        namespace, name, uid, schema, table, session = json.loads(text)
        return cls(ObjectName(namespace, name), uid, TableName(schema_name=schema, table=table), session)


class RowPages:
    def __init__(self, requests: Requests, acting: Acting, looks: RowLooks, now: Callable[[], datetime]) -> None:
        self._requests = requests
        self._acting = acting
        self._looks = looks
        self._now = now

    def calls(self) -> tuple[PageCall, ...]:
        return (
            PageCall("GET", CALLBACK, self.show, "showRows", ROWS),
            PageCall("POST", "/rows/{namespace}/{name}", self.begin, "beginRows", ROWS),
        )

    async def begin(self, request: Request, session: Session) -> Response:
        """Lead the person to the identity provider. Browsers do not follow a redirect of a form to another site, by the policy of the page,
        so this is a page that leads there."""
        form = await read_own_form(request, session)
        view = await self._view(session.person, named_object(request))
        try:
            table = _table(view, form.get("table", ""))
            await self._looks.require_postgres(view.found.request.spec.platform_ref.name)
            wanted = WantedRows(named_object(request), view.found.request.uid, table, session.id)
            url, cookie = await self._looks.logins.begin(wanted.text(), again=form.get("again") == "1")
        except (NoRows, Rejected) as error:
            return self._told(session, named_object(request), said(error) if isinstance(error, Rejected) else str(error), 409)
        answer = pages.telling(
            session, "One more login", "Your identity provider says who reads the rows. The page leads you there.", link=(url, "Go on")
        )
        answer.headers["Refresh"] = f"0; url={quote(url, safe=_URL)}"
        set_cookie(answer, COOKIE, cookie, _LIFE_SECONDS)
        return answer

    async def show(self, request: Request, session: Session) -> Response:
        """Read the rows, once, after the login."""
        wanted = None
        try:
            redeemed = await self._redeemed(request)
            wanted = WantedRows.of(redeemed.path)
            answer = await self._rows(request, session, wanted, redeemed)
        except NoRows as error:
            where = None if wanted is None else wanted.request
            log_act(request, session, "rows not shown", where, reason=str(error))
            table = wanted.table if wanted is not None and isinstance(error, SomebodyElse) else None
            answer = self._told(session, where, str(error), 403 if wanted is None or table else 409, table)
        except Exception as error:
            answer = failed(error, request, session)
        if wanted is not None:  # else another look may be under way, in another tab
            set_cookie(answer, COOKIE, "", 0)
        return answer

    async def _redeemed(self, request: Request) -> RedeemedLogin:
        """Raises NoRows."""
        query = dict(request.query_params)
        try:
            if len(query) != len(request.query_params.multi_items()):
                raise LoginOver("the identity provider sent a parameter twice")
            return await self._looks.logins.finish(request.cookies.get(COOKIE), query)
        except (IdentityProviderUnavailable, Rejected) as error:
            _log.warning("a login for rows did not complete: %s", error, extra={"request_id": request.state.request_id})
            if isinstance(error, IdentityProviderUnavailable):
                raise NoRows("The identity provider does not answer now, so nobody read rows. Try again later.") from error
            raise NoRows(
                "The login for the rows did not complete, or is used up: it shows rows once. Open the request, and press the button again."
            ) from error

    async def _rows(self, request: Request, session: Session, wanted: WantedRows, redeemed: RedeemedLogin) -> Response:
        if wanted.session != session.id:
            raise NoRows("The login for the rows was begun in another session. Open the request, and press the button again.")
        _require_same(session.person, redeemed.login.person)
        view = await self._view(session.person, wanted.request)
        if view.found.request.uid != wanted.uid:
            raise Unknown
        try:
            _require_requested(view, wanted.table)
        except InvalidInput as error:
            raise NoRows("The request does not ask for this table any more.") from error
        if redeemed.access_token is None:
            raise NoRows("The identity provider gave no token that rolevend could accept. Tell your administrator.")
        effect = await self._effect(session.person, view, wanted.table)
        platform, task = view.found.request.spec.platform_ref.name, f"AccessRequest {wanted.request}"
        look = await self._looks.look(session.person, redeemed.access_token, platform, wanted.table, task)
        log_act(request, session, "rows shown", wanted.request, table=wording.table(wanted.table), role=look.role)
        return self._page(session, wanted, look, view, effect)

    async def _effect(self, person: Person, view: RequestView, table: TableName) -> PreviewedTable | None:
        """Return the effect of an approval on the table, as far as it is known."""
        if not self._acting.enabled:
            return None
        effect = await self._acting.effect(person, view.found, VoteNarrowing(tables=(table,)))
        return next((each for each in effect.tables if (each.schema_name, each.table) == (table.schema_name, table.table)), None)

    async def _view(self, person: Person, name: ObjectName) -> RequestView:
        """Raises Unknown unless the person may decide on the request now."""
        view = await self._requests.view(person, name, self._now())
        if view is None or not view.may_decide or not view.is_open:
            raise Unknown
        return view

    def _page(self, session: Session, wanted: WantedRows, look: Look, view: RequestView, effect: PreviewedTable | None) -> Response:
        known = effect is not None and effect.unknown is None
        values: dict[str, Any] = {
            "found": row_table(look.columns, look.rows, effect),
            "look": look,
            "user": wording.name(view.found.request.spec.user.subject),
            "is_known": known,
            "at": wording.moment(self._now()),
        }
        return _rendered(session, wanted.request, wanted.table, **values)

    def _told(self, session: Session, name: ObjectName | None, message: str, status: int, table: TableName | None = None) -> Response:
        """`table`: offer a login as somebody else for it."""
        return _rendered(session, name, table, status=status, message=message, found=None)


def _rendered(session: Session, name: ObjectName | None, table: TableName | None, *, status: int = 200, **values: Any) -> Response:
    shown = "" if table is None else wording.table(table)
    return pages.page("rows.html", session, title=_TITLE, status=status, **{"name": name, "table": shown, "message": None, **values})


def _require_same(person: Person, found: Person) -> None:
    """Require that this person is signed in. Raises SomebodyElse. `RowLooks.look` compares the subject."""
    if (found.issuer, found.username) != (person.issuer, person.username):
        raise SomebodyElse("Somebody else than you logged in for the rows, so nobody read them. Sign in there as yourself.")


def _table(view: RequestView, text: str) -> TableName:
    """Raises InvalidInput, which names the field."""
    tables = view.named_tables
    if tables and text not in tables:
        raise InvalidInput(TABLES, "the request does not ask for this table")
    found = (tables[text],) if tables else read_tables(text)
    if len(found) != 1:
        raise InvalidInput(TABLES, "name one table")
    _require_requested(view, found[0])
    return found[0]


def _require_requested(view: RequestView, table: TableName) -> None:
    """Raises InvalidInput. Nobody knows here which tables tags select: the person's own policies decide about those."""
    narrowing.compare(VoteNarrowing(tables=(table,)), view.found)

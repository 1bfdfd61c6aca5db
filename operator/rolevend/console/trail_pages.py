"""The pages of trails: the search, the trail of a role with its checks, the export, and the check of receipts that somebody pastes."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from rolevend.audit import receipt_text
from rolevend.audit.chain import Line
from rolevend.audit.receipt_files import verify_lines
from rolevend.console import pages
from rolevend.console.failures import Unknown
from rolevend.console.forms import read_own_form
from rolevend.console.limits import CHECKS, SEARCHES
from rolevend.console.section import PageCall, log_act
from rolevend.console.sessions import Session
from rolevend.console.trail_query import FIELDS, TrailQuery, uid_of
from rolevend.console.trail_text import moment, shown
from rolevend.console.trails import Trails, VisibleTrail
from rolevend.errors import InvalidInput
from rolevend.model import Uid

_ONE: Final = "/trail/{role}"
_RECEIPTS: Final = "/trail/receipts"
_LONGEST: Final = 48_000
"""Characters of pasted receipts. A call has at most 65,536 bytes."""
_MOST_PROBLEMS: Final = 20
_NEW_LINES: Final = b"\n"


class TrailPages:
    def __init__(self, trails: Trails, now: Callable[[], datetime]) -> None:
        self._trails = trails
        self._now = now

    def calls(self) -> Sequence[PageCall]:
        return (
            PageCall("GET", "/trail", self.search, "searchTrails", SEARCHES),
            PageCall("GET", _RECEIPTS, self.receipts, "showReceipts"),
            PageCall("POST", _RECEIPTS, self.verify, "verifyReceipts", CHECKS),
            PageCall("GET", _ONE, self.trail, "showTrail", SEARCHES),
            PageCall("GET", f"{_ONE}/export", self.export, "exportTrail", SEARCHES),
        )

    async def search(self, request: Request, session: Session) -> Response:
        given = {name: request.query_params.get(name, "") for name in FIELDS}
        found, error, status = None, None, 200
        try:
            found = await self._trails.search(session.person, TrailQuery.of(given))
        except InvalidInput as invalid:
            error, status = f"{invalid.field}: {invalid.message}", 400
        values: dict[str, Any] = {"given": given, "found": found, "reads_files": bool(self._trails.files.audit), "error": error}
        return pages.page("trails.html", session, title="Trail", status=status, moment=moment, shown=shown, **values)

    async def trail(self, request: Request, session: Session) -> Response:
        """Show the trail. That is logged, because it holds statements."""
        uid = _uid(request)
        found = await self._found(session, uid)
        self._note("read a trail", request, session, found)
        files = self._trails.files
        values: dict[str, Any] = {
            "uid": uid,
            "found": found,
            "record": found.record,
            "reads_files": bool(files.audit),
            "reads_ledger": bool(files.ledger),
            "has_keys": files.receipt_keys is not None,
            "most_problems": _MOST_PROBLEMS,
            "moment": moment,
        }
        return pages.page("trail.html", session, title=found.title, **values)

    async def export(self, request: Request, session: Session) -> Response:
        """Send the lines of the files as they are, so that their receipts can be verified elsewhere. That is logged."""
        uid = _uid(request)
        found = await self._found(session, uid)
        lines = [each.text.strip() for each in (*found.record.events, *found.record.statements)]
        if not lines:
            raise Unknown
        self._note("exported a trail", request, session, found)
        headers = {**pages.HEADERS, "Content-Disposition": f'attachment; filename="trail-{uid}.ndjson"'}
        content = _NEW_LINES.join(lines) + _NEW_LINES
        return Response(content, 200, headers, media_type="application/x-ndjson")

    async def receipts(self, _request: Request, session: Session) -> Response:
        return self._verified(session)

    async def verify(self, request: Request, session: Session) -> Response:
        """Verify the receipts that the person has. Nothing of the cluster is read."""
        form = await read_own_form(request, session)
        return self._verified(session, form.get("receipts", ""))

    def _verified(self, session: Session, text: str = "") -> Response:
        keys, found, error = self._trails.files.receipt_keys, None, None
        if keys is not None and text.strip():
            if len(text) > _LONGEST:
                error = f"that are {len(text):,} characters, of at most {_LONGEST:,}; use rolevend receipt verify"
            else:
                lines = (Line(f"line {number}", each.encode(errors="replace")) for number, each in enumerate(text.splitlines(), start=1))
                found = verify_lines(lines, keys)
        facts = [] if found is None else [list(receipt_text.facts(each)) for each in found.receipts]
        values: dict[str, Any] = {"has_keys": keys is not None, "longest": _LONGEST, "found": found, "facts": facts, "error": error}
        return pages.page("receipts.html", session, title="Receipts", status=400 if error else 200, **values)

    async def _found(self, session: Session, uid: Uid) -> VisibleTrail:
        try:
            found = await self._trails.trail(session.person, uid, self._now())
        except InvalidInput as error:
            raise Unknown from error
        if found is None:
            raise Unknown
        return found

    def _note(self, act: str, request: Request, session: Session, found: VisibleTrail) -> None:
        log_act(request, session, act, uid=_uid(request), role=found.role_name)


def _uid(request: Request) -> Uid:
    """Return the uid that the path names, by itself or in the name of a role. Raises Unknown."""
    uid = uid_of(request.path_params["role"])
    if uid is None:
        raise Unknown
    return Uid(uid)

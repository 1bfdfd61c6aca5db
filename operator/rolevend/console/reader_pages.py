"""The pages of who can read: a table or a column, its live roles, and the people and agents whom policies would grant it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from rolevend.access_report.person import PersonAnswer
from rolevend.access_report.picture import PictureAnswer
from rolevend.console import pages
from rolevend.console.access_reading import AccessAnswers, AnswerTooLate
from rolevend.console.forms import said
from rolevend.console.limits import SEARCHES
from rolevend.console.questions import QUESTION, person_question_of, picture_question_of, question_of
from rolevend.console.reader_rows import LiveTable, PossibleTable
from rolevend.console.section import PageCall
from rolevend.console.sessions import Session
from rolevend.errors import NotPermitted, Rejected

_TITLE: Final = "Who can read"


class ReaderPages:
    def __init__(self, answers: AccessAnswers) -> None:
        self._answers = answers

    def calls(self) -> Sequence[PageCall]:
        return (
            PageCall("GET", "/readers", self.readers, "listReaders", SEARCHES),
            PageCall("GET", "/readers/person", self.person, "showAccessOfPerson", SEARCHES),
            PageCall("GET", "/readers/explain", self.explain, "explainAccess", SEARCHES),
        )

    async def readers(self, request: Request, session: Session) -> Response:
        given = _given(request)
        if not given.get("table"):
            return self._shown(session, given)
        try:
            question = question_of(given)
            if given.get("could"):
                return self._shown(session, given, could=PossibleTable.of(question, await self._answers.possible(session.person, question)))
            return self._shown(session, given, live=LiveTable.of(question, await self._answers.live(session.person, question)))
        except Rejected as error:
            return self._shown(session, given, error=said(error), status=status_of(error))

    async def person(self, request: Request, session: Session) -> Response:
        given = _given(request)

        async def find() -> PersonAnswer:
            return await self._answers.person(session.person, person_question_of(given))

        return await self._answered(session, "access_of_person.html", given, find if given.get("user") else None)

    async def explain(self, request: Request, session: Session) -> Response:
        given = _given(request)

        async def find() -> PictureAnswer:
            return await self._answers.picture(session.person, *picture_question_of(given))

        return await self._answered(session, "explanation.html", given, find if given.get("user") and given.get("table") else None)

    async def _answered(
        self, session: Session, template: str, given: Mapping[str, str], find: Callable[[], Awaitable[object]] | None
    ) -> Response:
        values: dict[str, Any] = {"given": given, "found": None, "told": None, "error": None}
        status = 200
        if find is not None:
            try:
                values["found"] = await find()
            except Rejected as error:
                values["error"], status = said(error), status_of(error)
        return pages.page(template, session, title=_TITLE, status=status, **values)

    def _shown(
        self,
        session: Session,
        given: Mapping[str, str],
        *,
        live: LiveTable | None = None,
        could: PossibleTable | None = None,
        error: str | None = None,
        status: int = 200,
    ) -> Response:
        values: dict[str, Any] = {"given": given, "live": live, "could": could, "told": None, "error": error}
        return pages.page("readers.html", session, title=_TITLE, status=status, **values)


def _given(request: Request) -> dict[str, str]:
    return {name: value.strip() for name, value in request.query_params.items() if name in (*QUESTION, "could") and value.strip()}


def status_of(error: Rejected) -> int:
    match error:
        case AnswerTooLate():
            return 503
        case NotPermitted():
            return 403
    return 400

"""The pages of what roles run now, for people with the right. Others do not learn that these pages exist."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from rolevend.console import pages
from rolevend.console.failures import Unknown
from rolevend.console.limits import LOOKS
from rolevend.console.live import VisibleRoles
from rolevend.console.observing import PlatformAnswer, PlatformObserver
from rolevend.console.role_index import ListedRole
from rolevend.console.section import PageCall, log_act, named_object
from rolevend.console.sessions import Session
from rolevend.platforms.postgres.observing import CHARACTERS, ROLES, SESSIONS, RoleSession
from rolevend.platforms.statement import plain
from rolevend.revocations.selection import SelectedRole
from rolevend.roles.state import assigned_role_name, lease_uid

_MOST: Final = 200
_PLATFORMS: Final = 16
"""The most that are asked for one page."""


@dataclass(frozen=True, slots=True)
class ShownSession:
    """A session for a page."""

    pid: int
    doing: str
    waits_for: str | None
    statement: str | None
    kept: int | None
    """The bytes that the server keeps of a statement, if the rest of this one is missing."""

    @classmethod
    def of(cls, session: RoleSession) -> "ShownSession":
        doing = "not shown yet; look again in a few seconds"
        if session.shown:
            doing = " ".join([session.state or "starting", *([] if session.seconds is None else [f"for {_span(session.seconds)}"])])
            if session.state is not None and session.state.startswith("idle in transaction"):
                doing += ", after this statement"
        statement = None if session.statement is None else _visible(session.statement[:CHARACTERS])
        return cls(session.pid, doing, session.waits_for, statement, session.kept)


@dataclass(frozen=True, slots=True)
class ShownAnswer:
    platform: str
    sessions: Sequence[ShownSession]
    reason: str | None


@dataclass(frozen=True, slots=True)
class RunningRole:
    """A role that runs something on one platform."""

    role: SelectedRole
    platform: str
    count: int
    seconds: int

    @property
    def longest(self) -> str:
        return _span(self.seconds)


class StatementPages:
    def __init__(self, roles: VisibleRoles, observer: PlatformObserver) -> None:
        self._roles = roles
        self._observer = observer

    def calls(self) -> Sequence[PageCall]:
        return (
            PageCall("GET", "/statements", self.running, "listRunning", LOOKS),
            PageCall("GET", "/statements/{namespace}/{name}", self.statements, "showStatements", LOOKS),
        )

    async def statements(self, request: Request, session: Session) -> Response:
        """Show what one role runs."""
        name = named_object(request)
        view = await self._roles.view(session.person, name)
        if view is None or not view.may_watch:
            raise Unknown
        log_act(request, session, "looked at statements", name)
        role, uid = assigned_role_name(view.role), lease_uid(view.role)
        asked: list[PlatformAnswer] = []
        if role is not None:
            asked = list(await asyncio.gather(*(self._observer.ask(each, [role], CHARACTERS) for each in view.row.platforms)))
        answers = [
            ShownAnswer(each.platform, [ShownSession.of(one) for one in each.sessions if one.uid == uid], each.reason) for each in asked
        ]
        return pages.page("statements.html", session, title="Statements running now", view=view, answers=answers)

    async def running(self, request: Request, session: Session) -> Response:
        """Show which roles run something, and nothing of what."""
        watched = await self._roles.watched(session.person)
        if not watched:
            raise Unknown
        log_act(request, session, "looked at which roles run statements")
        asked = roles_by_platform(watched)
        names = list(asked)
        answers = await asyncio.gather(*(self._observer.ask(each, asked[each][:ROLES], 0) for each in names[:_PLATFORMS]))
        rows = sorted(_running(watched, answers), key=lambda row: -row.seconds)
        reasons = [f"{each.platform}: {each.reason}" for each in answers if each.reason]
        reasons += [
            f"{each.platform}: it shows {SESSIONS:,} sessions, those that run longest, and has more."
            for each in answers
            if len(each.sessions) >= SESSIONS
        ]
        reasons += [f"{each}: it was asked about {ROLES:,} of {len(asked[each]):,} roles." for each in names if len(asked[each]) > ROLES]
        if len(rows) > _MOST:
            reasons.append(f"{len(rows) - _MOST:,} more run a statement for a shorter time, and are not shown.")
        if unasked := names[_PLATFORMS:]:
            reasons.append(f"Not asked, because there are too many platforms: {', '.join(unasked)}.")
        return pages.page("running.html", session, title="Roles that run a statement now", rows=rows[:_MOST], reasons=reasons)


def roles_by_platform(watched: Iterable[ListedRole]) -> dict[str, list[str]]:
    """Return the names of these roles on each platform on which they may run something. A request for a role names any platform, also
    those that do not exist."""
    found: dict[str, list[str]] = {}
    for each in watched:
        if (name := assigned_role_name(each.role)) is not None:
            for platform in each.row.platforms:
                found.setdefault(platform, []).append(name)
    return dict(sorted(found.items()))


def _running(watched: Sequence[ListedRole], answers: Sequence[PlatformAnswer]) -> Iterator[RunningRole]:
    known = {str(lease_uid(each.role)): each.row for each in watched}
    for answer in answers:
        found: dict[str, list[int]] = {}
        for session in answer.sessions:
            if session.runs and session.uid in known:
                found.setdefault(session.uid, []).append(session.seconds or 0)
        for uid, seconds in found.items():
            yield RunningRole(known[uid], answer.platform, len(seconds), max(seconds))


def _visible(text: str) -> str:
    """Return the text with escapes for characters that no reader sees, such as those that turn the direction of what follows."""
    return "\n".join(plain(line.expandtabs(4)) for line in text.splitlines())


def _span(seconds: int) -> str:
    minutes, rest = divmod(max(0, seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"

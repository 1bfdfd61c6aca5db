"""Sections of pages. Each names its calls, which the console opens to people who are signed in."""

import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from starlette.requests import Request
from starlette.responses import Response

from rolevend.console.failures import Unknown
from rolevend.console.limits import Budget
from rolevend.console.sessions import Session
from rolevend.model import ObjectName

_NAMESPACE: Final = re.compile(r"[a-z0-9-]{1,63}")
_NAME: Final = re.compile(r"[a-z0-9.-]{1,253}")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PageCall:
    """A call of a person who is signed in."""

    method: str
    path: str
    show: Callable[[Request, Session], Awaitable[Response]]
    name: str
    """In metrics and in the log."""
    budget: Budget | None = None
    """Of the person, beside that of all pages."""


class Section(Protocol):
    def calls(self) -> Sequence[PageCall]:
        """Return the calls. The first part of each path is the section's own."""


def named_object(request: Request) -> ObjectName:
    """Return the object that the path names. Raises Unknown for what can name none: the answers about each name are kept for a while."""
    namespace, name = request.path_params["namespace"], request.path_params["name"]
    if not _NAMESPACE.fullmatch(namespace) or not _NAME.fullmatch(name):
        raise Unknown
    return ObjectName(namespace, name)


def log_act(request: Request, session: Session, event: str, name: ObjectName | None = None, **facts: str | None) -> None:
    """Write the log line of an act: a change, one that was refused, or a read that must be known. `name` is the object's."""
    who = {"person": session.person.username, "session": session.id, "request_id": request.state.request_id}
    _log.info(event, extra={**who, **({} if name is None else {"object": str(name)}), **facts})

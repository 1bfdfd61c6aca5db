"""Sections of pages. Each names its calls, which the console opens to people who are signed in."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from rolevend.console.sessions import Session
from rolevend.model import ObjectName


@dataclass(frozen=True, slots=True)
class PageCall:
    """A call of a person who is signed in."""

    method: str
    path: str
    show: Callable[[Request, Session], Awaitable[Response]]
    name: str
    """In metrics and in the log."""


class Section(Protocol):
    def calls(self) -> Sequence[PageCall]:
        """Return the calls. The first part of each path is the section's own."""


def named_object(request: Request) -> ObjectName:
    """Return the object that the path names."""
    return ObjectName(request.path_params["namespace"], request.path_params["name"])

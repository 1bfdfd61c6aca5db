"""Render the page on which a user confirms a request: HTML without scripts, images or other resources, and with its headers."""

from importlib import resources
from typing import Final

from starlette.responses import Response

from rolevend.api.confirm.view import Question
from rolevend.web.page import PageTemplates

_PAGES: Final = PageTemplates(resources.files(__package__), "confirm.css")
_TEMPLATE: Final = "confirm.html"
HEADERS: Final = _PAGES.headers
Link = tuple[str, str]
"""A path of this page, and the text of the link."""


def asking(question: Question, action: str, form: str, *, error: str | None = None, text: str = "", status: int = 200) -> Response:
    """Return the page with the question. `error` is about the text that the user wrote."""
    title = "Confirm what an agent asks for"
    return _PAGES.response(_TEMPLATE, status, title=title, question=question, action=action, form=form, error=error, text=text)


def telling(title: str, message: str, *, status: int = 200, login: Link | None = None, headers: dict[str, str] | None = None) -> Response:
    """Return a page that says one sentence. `login` leads to a new login."""
    return _PAGES.response(_TEMPLATE, status, headers, title=title, question=None, message=message, login=login, error=None)

"""Render the console's pages."""

from importlib import resources
from typing import Any, Final

from starlette.responses import Response

from rolevend.console.sessions import Session
from rolevend.web.page import PageTemplates

SCRIPT: Final = "/console.js"
_FOLDER: Final = resources.files(__package__).joinpath("templates")
_PAGES: Final = PageTemplates(_FOLDER, "console.css", script=SCRIPT)
SECTIONS: Final = {
    "/requests": "Requests",
    "/roles": "Live roles",
    "/readers": "Who can read",
    "/trail": "Trail",
    "/health": "Health",
}
"""The navigation: each path with its text."""
HEADERS: Final = _PAGES.headers
SCRIPT_TEXT: Final = _FOLDER.joinpath("console.js").read_text()


def page(template: str, session: Session | None, /, *, title: str, status: int = 200, **values: Any) -> Response:
    """Return a page with the navigation of this session; without a session it has none."""
    person, form, waiting = ("", "", 0) if session is None else (session.person.username, session.form_token, session.waiting)
    navigation: dict[str, Any] = {"person": person, "form": form, "waiting": waiting, "script": SCRIPT, "sections": SECTIONS}
    return _PAGES.response(template, status, title=title, **navigation, **values)


def telling(session: Session | None, title: str, message: str, *, status: int = 200, link: tuple[str, str] | None = None) -> Response:
    """Return a page that says one sentence. `link` is a path and its text."""
    return page("message.html", session, title=title, status=status, message=message, link=link)

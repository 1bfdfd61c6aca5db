"""Render the page on which a user confirms a request: HTML without scripts, images or other resources, and with its headers."""

import base64
import hashlib
from importlib import resources
from typing import Any, Final

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from starlette.responses import Response

from rolevend.api.confirm.view import Question

_FILES: Final = resources.files(__package__)
_STYLE: Final = _FILES.joinpath("confirm.css").read_text()
_TEMPLATE: Final = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(
    _FILES.joinpath("confirm.html").read_text()
)
_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS: Final = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Of every answer of the page, with `Cache-Control: no-store`, which all answers of the API have."""
Link = tuple[str, str]
"""A path of this page, and the text of the link."""


def asking(question: Question, action: str, form: str, *, error: str | None = None, text: str = "", status: int = 200) -> Response:
    """Return the page with the question. `error` is about the text that the user wrote."""
    return _page(status, title="Confirm what an agent asks for", question=question, action=action, form=form, error=error, text=text)


def telling(title: str, message: str, *, status: int = 200, login: Link | None = None, headers: dict[str, str] | None = None) -> Response:
    """Return a page that says one sentence. `login` leads to a new login."""
    return _page(status, headers, title=title, question=None, message=message, login=login, error=None)


def _page(status: int, headers: dict[str, str] | None = None, /, **values: Any) -> Response:
    content = _TEMPLATE.render(style=Markup(_STYLE), **values)  # noqa: S704 - our own file, without any value in it
    return Response(content, status, {**HEADERS, **(headers or {})}, media_type="text/html")

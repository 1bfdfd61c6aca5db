"""Render pages from templates: HTML without scripts of another host, and with the headers that hold a browser to that."""

import base64
import hashlib
from importlib.resources.abc import Traversable
from typing import Any, Final

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup
from starlette.responses import Response

_ALWAYS: Final = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class PageTemplates:
    """The templates of a folder, and its style sheet, which is a part of each page."""

    def __init__(self, folder: Traversable, style: str, *, script: str = "") -> None:
        """`style` is the name of the style sheet. `script` is the path of the one script that pages may run; empty: none."""
        self._style = folder.joinpath(style).read_text()
        files = {each.name: each.read_text() for each in folder.iterdir() if each.name.endswith(".html")}
        self._environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, loader=DictLoader(files))
        digest = base64.b64encode(hashlib.sha256(self._style.encode()).digest()).decode()
        scripts = "script-src 'self'; connect-src 'self'; " if script else ""
        policy = f"default-src 'none'; style-src 'sha256-{digest}'; {scripts}form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        self.headers: Final = {**_ALWAYS, "Content-Security-Policy": policy}
        """Of every answer with a page. The outermost layer adds `Cache-Control: no-store`."""

    def response(self, template: str, status: int = 200, headers: dict[str, str] | None = None, /, **values: Any) -> Response:
        """Return the page. Every value is escaped."""
        content = self._environment.get_template(template).render(style=Markup(self._style), **values)  # noqa: S704 - our own file
        encoded = content.encode(errors="backslashreplace")  # a file may hold half of a surrogate pair
        return Response(encoded, status, {**self.headers, **(headers or {})}, media_type="text/html")

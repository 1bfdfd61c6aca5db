"""The page on the state of the installation."""

from collections.abc import Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from rolevend.cluster_health.overview import CONDITIONS, ROLES
from rolevend.console import pages
from rolevend.console.health import OFF, InstallationHealth
from rolevend.console.section import PageCall
from rolevend.console.sessions import Session

_MOST: Final = 200
"""Lines of one list."""


class HealthPages:
    def __init__(self, health: InstallationHealth) -> None:
        self._health = health

    def calls(self) -> Sequence[PageCall]:
        return (PageCall("GET", "/health", self.health, "showHealth"),)

    async def health(self, _request: Request, session: Session) -> Response:
        view = await self._health.view(session.person)
        values: dict[str, Any] = {
            "view": view,
            "most": _MOST,
            "gaps": [(each.part, each.reason) for each in view.gaps],
            "off": None if self._health.enabled else OFF,
            "conditions": CONDITIONS,
            "states": ROLES,
        }
        return pages.page("health.html", session, title="Health", **values)

"""Calls that are no part of the API's document, with names in metrics and in the log."""

from collections.abc import Awaitable, Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send


class NamedRoute(Route):
    """A route that names its call."""

    def __init__(self, path: str, answer: Callable[[Request], Awaitable[Response]], methods: Sequence[str], operation_id: str) -> None:
        super().__init__(path, answer, methods=methods)
        self.operation_id = operation_id

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = self  # as FastAPI does for its own routes
        await super().handle(scope, receive, send)

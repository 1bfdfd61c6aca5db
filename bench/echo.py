"""An HTTP server with the settings of the API that answers each request at once: `python -m bench.echo PORT BYTES`."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from rolevend.api.connections import ConnectionLimits
from rolevend.app.http_server import ServerAddress, Serving
from rolevend.settings import ApiSettings

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Echo:
    """An ASGI application that reads the body of a request and answers 201 with a body of `size` bytes."""

    def __init__(self, size: int) -> None:
        self._body = b'"' + b"x" * (size - 2) + b'"'
        self._headers = [(b"content-type", b"application/json"), (b"content-length", str(len(self._body)).encode())]

    async def __call__(self, _: dict[str, Any], receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body", False):
            pass
        await send({"type": "http.response.start", "status": 201, "headers": self._headers})
        await send({"type": "http.response.body", "body": self._body})


def main() -> None:
    port, size = map(int, sys.argv[1:])
    settings = ApiSettings.model_validate({"api_host": "127.0.0.1", "api_port": port})
    limits = ConnectionLimits(settings.api_max_header_bytes, settings.api_read_seconds, settings.api_max_connections_without_token)
    asyncio.run(Serving(ServerAddress.of_api(settings), limits).run(Echo(size)))


if __name__ == "__main__":
    main()

"""`/healthz`, `/readyz` and `/metrics` over plain HTTP, for kubelet and Prometheus."""

import os
from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

from rolevend.errors import InvalidInput

Check = Callable[[], str | None]
"""Returns the problem in one line, or None."""


def _ok() -> str:
    return "ok"


class ProbeServer:
    """`healthy` fails only if a restart is needed; `ready` if a request would not be served now, or soon after a change of the leader."""

    def __init__(
        self,
        host: str,
        port: int,
        registry: CollectorRegistry,
        healthy: Check,
        ready: Check,
        standing: Callable[[], str],
        measure: Callable[[], None],
    ) -> None:
        """`standing` returns the answer of a successful readiness probe. `measure` updates the gauges before each scrape."""
        self._host = host
        self._port = port
        self._registry = registry
        self._measure = measure
        application = web.Application()
        application.router.add_get("/healthz", _probe(healthy, _ok))
        application.router.add_get("/readyz", _probe(ready, standing))
        application.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(application, access_log=None)

    async def start(self) -> int:
        """Start to listen and return the port, which differs from `port` if that is 0. Raises InvalidInput if the port is in use."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            why = f"probes cannot be answered on {self._host}:{self._port}: {os.strerror(error.errno or 0)}"
            raise InvalidInput("ROLEVEND_PROBE_PORT", why) from error
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _metrics(self, _request: web.Request) -> web.Response:
        self._measure()
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _probe(check: Check, well: Callable[[], str]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(_request: web.Request) -> web.StreamResponse:
        wrong = check()
        return web.Response(text=wrong or well(), status=503 if wrong else 200)

    return answer

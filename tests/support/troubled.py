"""A way to the API server that gives answers of its own: for as long as a test wants, an overloaded server or a compacted history."""

import asyncio
import base64
import json
import ssl
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import ClientConnectionError, ClientSession, TCPConnector, web

from rolevend.policytools.embedded.certificates import CertificateAuthority
from testbed.controlplane import ControlPlane
from testbed.installation import NAMESPACE, SERVICE_ACCOUNT, OperatorProcess
from testbed.kubeconfig import Server
from tests.support.forking import fork_server
from tests.support.waiting import DEADLINE

_NOT_PASSED_ON = frozenset({"host", "content-length", "transfer-encoding", "connection", "content-encoding"})


class Troubled:
    """Use as ``with Troubled(server, directory) as gateway:``. While `status` is set every request is answered with it; while
    `compacted` is, every watch begins with the error of a version that is too old."""

    def __init__(self, server: Server, directory: Path) -> None:
        self.status = 0
        self.compacted = False
        self.refused = 0
        """Answers of our own so far."""
        self._server = server
        self._authority = CertificateAuthority("troubled", datetime.now(UTC), timedelta(days=1))
        pair = self._authority.issue("troubled", hosts=("127.0.0.1",))
        file = directory / "troubled.pem"
        file.write_bytes(pair.certificate + pair.key)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(file)
        self._streams: set[asyncio.Task[Any]] = set()
        self._up = threading.Event()
        self._down = asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="troubled", daemon=True)

    port: int
    _loop: asyncio.AbstractEventLoop

    def __enter__(self) -> "Troubled":
        self._thread.start()
        assert self._up.wait(DEADLINE)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._down.set)
        self._thread.join(10)

    def begin(self, status: int = 0, *, compacted: bool = False) -> None:
        """Also for what is watched now: it is cut off."""
        self.status, self.compacted = status, compacted
        self._loop.call_soon_threadsafe(lambda: [stream.cancel() for stream in self._streams])

    def end(self) -> None:
        self.status, self.compacted = 0, False

    def operator(self, control_plane: ControlPlane, directory: Path, settings: Mapping[str, str]) -> OperatorProcess:
        """One that has no other way to the API server."""
        kubeconfig = control_plane.service_account_kubeconfig(NAMESPACE, SERVICE_ACCOUNT, directory)
        return OperatorProcess(self._rewritten(kubeconfig), directory / "operator.log", settings, fork_server().start)

    def _rewritten(self, kubeconfig: Path) -> Path:
        """The kubeconfig, leading here."""
        content = json.loads(kubeconfig.read_text())
        trust = base64.b64encode(self._authority.certificate).decode()
        content["clusters"][0]["cluster"] = {"server": f"https://127.0.0.1:{self.port}", "certificate-authority-data": trust}
        kubeconfig.write_text(json.dumps(content))
        return kubeconfig

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        upstream = ssl.create_default_context(cadata=self._server.authority.decode())
        async with ClientSession(connector=TCPConnector(ssl=upstream, limit=0), auto_decompress=False) as self._client:
            application = web.Application(client_max_size=8 * 1024**2)
            application.router.add_route("*", "/{path:.*}", self._answer)
            runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self._tls).start()
            self.port = runner.addresses[0][1]
            self._up.set()
            await self._down.wait()
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        failure = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "in trouble"}
        if self.status:
            self.refused += 1
            return web.json_response({**failure, "code": self.status}, status=self.status)
        if self.compacted and request.query.get("watch") in ("1", "true"):
            self.refused += 1
            return web.Response(text=json.dumps({"type": "ERROR", "object": {**failure, "code": 410, "reason": "Expired"}}) + "\n")
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _NOT_PASSED_ON}
        task = asyncio.current_task()
        assert task is not None
        self._streams.add(task)
        try:
            async with self._client.request(
                request.method, f"{self._server.url}{request.path_qs}", headers=headers, data=await request.read() or None
            ) as answer:
                kept = {name: value for name, value in answer.headers.items() if name.lower() not in _NOT_PASSED_ON - {"content-encoding"}}
                response = web.StreamResponse(status=answer.status, headers=kept)
                await response.prepare(request)
                async for piece in answer.content.iter_any():
                    await response.write(piece)
                await response.write_eof()
                return response
        except ClientConnectionError as error:  # the client went away, or the server
            raise web.HTTPBadGateway from error
        finally:
            self._streams.discard(task)

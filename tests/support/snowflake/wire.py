"""The HTTP side of the account, on a free port of 127.0.0.1. What connector 5 asks for stands in the package's docstring."""

import base64
import contextlib
import gzip
import json
import os
import socket
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.support.snowflake import answering
from tests.support.snowflake.account import Account
from tests.support.snowflake.faults import Fault, Harm

os.environ.setdefault("SNOWFLAKE_DISABLE_PLATFORM_DETECTION", "true")  # else each connection asks the metadata services of three clouds

_LONGEST_SILENCE = 600
_REMEMBERED = 2_000
"""Requests whose answers are kept for when they come again."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, as it came. `sql` is empty where it is none; `retried` says that the connector sent it again."""

    method: str
    path: str
    sql: str
    connection: int
    retried: bool


@dataclass(frozen=True, slots=True)
class KeyPair:
    """`private` is DER, as the connector takes it; `public` is what RSA_PUBLIC_KEY takes."""

    private: bytes
    public: str

    @classmethod
    def new(cls) -> "KeyPair":
        key = rsa.generate_private_key(65537, 2048)
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return cls(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()), base64.b64encode(public).decode())


class StandIn:
    """Use as ``with StandIn() as snowflake:``; `snowflake.account` is the account, `requests` what was asked of it.

    ``snowflake.options("USER", key)`` are the arguments of ``snowflake.connector.connect``. The administrator of the account is ADMIN, with
    the key `administrator`.
    """

    def __init__(self, account: Account | None = None) -> None:
        self.account = account or Account()
        self.administrator = KeyPair.new()
        self.account.add_administrator("ADMIN", self.administrator.public)
        self.requests: list[Asked] = []
        self._server = _Server(self)

    def __enter__(self) -> "StandIn":
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="snowflake", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.account.stop_all()
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()
        self._thread.join()
        self.account.close()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def options(self, user: str, key: KeyPair, **more: Any) -> dict[str, Any]:
        return {
            "account": self.account.name,
            "user": user,
            "private_key": key.private,
            "authenticator": "SNOWFLAKE_JWT",
            "host": "127.0.0.1",
            "port": self.port,
            "protocol": "http",
            "login_timeout": 10,
            "enable_server_session_keep_alive_auto_detection": False,
            **more,
        }

    def asked(self, path: str = "query-request") -> list[Asked]:
        """The requests so far whose path contains `path`."""
        return [one for one in self.requests if path in one.path]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, stand_in: StandIn) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.stand_in = stand_in
        self.answers = answering.Answers(stand_in.account)
        self._done: dict[str, Future[answering.Answer]] = {}
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._workers = ThreadPoolExecutor(64, "snowflake-statement")

    def once(self, request: str, work: Any) -> answering.Answer:
        """The same request, sent again, is answered from what the first did."""
        with self._lock:
            future = self._done.get(request)
            if future is None:
                future = self._done[request] = self._workers.submit(work)
                for old in [*self._done][:-_REMEMBERED] if len(self._done) > 2 * _REMEMBERED else ():
                    del self._done[old]
        return future.result()

    def finish_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        try:
            super().finish_request(request, client_address)
        finally:
            self._open.discard(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error of ours."""

    def hang_up(self) -> None:
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self.answers.close()
        self._workers.shutdown()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is that of the base class
        """Nothing: `StandIn.requests` is the log."""

    def do_POST(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        stand_in = self.server.stand_in
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        content = json.loads(body) if body else {}
        sql = str(content.get("sqlText", "")) if isinstance(content, dict) else ""
        if "telemetry" not in url.path:
            stand_in.requests.append(Asked(self.command, url.path, sql, self.client_address[1], "retryCount" in query))
        time.sleep(stand_in.account.faults.latency)
        fault = stand_in.account.faults.next(url.path, sql)
        if fault is not None and fault.harm in (Harm.LOST_BEFORE, Harm.STATUS):
            self._harm(fault)
            return
        request = answering.Request(url.path, query, content, self.headers.get("authorization", "").partition('"')[2].rstrip('"'))
        work = partial(self.server.answers.answer, request)
        identified = "query-request" in url.path and "requestId" in query
        answer = self.server.once(query["requestId"] + request.token, work) if identified else work()
        if fault is not None:
            self._harm(fault)
            return
        self._send(200, answer)

    def _harm(self, fault: Fault) -> None:
        if fault.harm in (Harm.STATUS, Harm.STATUS_AFTER):
            self._send(fault.status, {"message": "injected"})
            return
        if fault.harm is Harm.SILENT_AFTER:
            self.server.stand_in.account.faults.silence.wait(_LONGEST_SILENCE)
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _send(self, status: int, answer: dict[str, Any]) -> None:
        content = json.dumps(answer).encode()
        self.send_response_only(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

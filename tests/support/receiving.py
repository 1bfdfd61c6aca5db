"""A receiver of notifications: a real HTTP server on this machine that verifies each call with the library of Standard Webhooks."""

import base64
import json
import secrets
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml
from standardwebhooks import Webhook, WebhookVerificationError

Answer = tuple[int, dict[str, str]]
OK: Answer = (204, {})


def new_key() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


@dataclass(frozen=True, slots=True)
class Call:
    """One that came, verified or not."""

    id: str
    headers: dict[str, str]
    raw: bytes
    answered: int

    @property
    def body(self) -> dict[str, Any]:
        return dict(json.loads(self.raw))


@dataclass
class WebhookReceiver:
    """Use as ``with WebhookReceiver() as receiver:``. It refuses what its key did not sign; without a key it takes everything, as Slack."""

    key: str | None = field(default_factory=new_key)
    tls: ssl.SSLContext | None = None
    calls: list[Call] = field(default_factory=list)
    answer: Callable[[int], Answer] = lambda number: OK
    """Of the verified call with this number, from 1."""
    released: threading.Event = field(default_factory=threading.Event)
    """Until it is set, no call is answered."""
    port: int = 0

    def __enter__(self) -> "WebhookReceiver":
        self.released.set()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self.stop()

    @property
    def url(self) -> str:
        return f"{'http' if self.tls is None else 'https'}://127.0.0.1:{self.port}/hook"

    @property
    def accepted(self) -> list[Call]:
        return [each for each in self.calls if 200 <= each.answered < 300]

    def about(self, name: str) -> list[Call]:
        """The accepted calls about the AccessRequest of this name."""
        return [each for each in self.accepted if each.body["data"]["request"]["name"] == name]

    def start(self) -> None:
        """At the port of before, if it was started before."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.released.wait()
                status, more = receiver.answered(dict(self.headers.items()), raw)
                try:
                    self.send_response(status)
                    for name, value in {"Content-Length": "0", **more}.items():
                        self.send_header(name, value)
                    self.end_headers()
                except OSError:
                    self.close_connection = True

            def log_message(self, *_: object) -> None: ...

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None: ...

        self._server = Server(("127.0.0.1", self.port), Handler)
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answered(self, headers: dict[str, str], raw: bytes) -> Answer:
        found = {name.lower(): value for name, value in headers.items()}
        status, more = self._judged(found, raw)
        self.calls.append(Call(found.get("webhook-id", ""), found, raw, status))
        return status, more

    def _judged(self, headers: dict[str, str], raw: bytes) -> Answer:
        if self.key is not None:
            try:
                Webhook(self.key).verify(raw, headers)
            except WebhookVerificationError:
                return 401, {}
        return self.answer(len(self.calls) + 1)


def configured(folder: Path, receivers: dict[str, WebhookReceiver], default: tuple[str, ...] = (), **options: Any) -> Path:
    """Write the files of these receivers, as the chart mounts them; `options` are of each. Those without a key are of the format Slack."""
    folder.mkdir(parents=True, exist_ok=True)
    spelled = []
    for name, receiver in receivers.items():
        own = folder / name
        own.mkdir(exist_ok=True)
        (own / "url").write_text(f"{receiver.url}\n")
        if receiver.key is not None:
            (own / "key").write_text(f"{receiver.key}\n")
        spelled.append({"name": name, "format": "Slack" if receiver.key is None else "StandardWebhooks", **options})
    (folder / "receivers.yaml").write_text(yaml.safe_dump({"receivers": spelled, "default": list(default)}))
    return folder

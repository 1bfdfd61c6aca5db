"""A real HTTP server that speaks the contract of the API: for what cannot be shown in process, such as signals and an agent's whole run."""

import json
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Document = dict[str, Any]
Answering = Callable[[Document], tuple[int, Document]]


class SpeakingServer:
    """Vends with `vend`, from the request's body to a status and a document; ends roles with `drop`, by their id. Remembers every call.

    `DELETE /test/closing/{id}` is for tests in other languages: it calls `close`.
    """

    def __init__(
        self, vend: Answering, drop: Callable[[str], object] = lambda _: None, close: Callable[[str], object] = lambda _: None
    ) -> None:
        self.asked: list[str] = []
        self.bodies: list[Document] = []
        self.made: dict[str, tuple[int, Document]] = {}
        """By idempotency key."""
        self.late_answers = 0
        """So many questions are answered as if no role had ended: the operator writes an end after the database enforces it."""
        self.platforms = ["crm", "warehouse"]
        self._lock = threading.Lock()
        speaking = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                role = self.path.rpartition("/")[2]
                if role in speaking.live or speaking._is_late(role):
                    self.say(200, next(document for _, document in speaking.made.values() if document.get("id") == role))
                elif self.path != "/v1/platforms":
                    self.say(404, {"status": 404, "code": "NotFound", "detail": f"this agent has no vended role {role}"})
                else:
                    self.say_platforms()

            def say_platforms(self) -> None:
                self.say(200, {"items": [{"name": each, "type": "PostgreSQL"} for each in speaking.platforms]})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path == "/v1/decisions":
                    self.say(200, {"granted": True, "explanation": {}})
                else:
                    self.say(*speaking._vended(body, self.headers["Idempotency-Key"], vend))

            def do_DELETE(self) -> None:
                place, _, role = self.path.rpartition("/")
                if place == "/test/closing":
                    close(role)
                else:
                    drop(role)
                    speaking._note(f"DELETE {role}")
                self.say(204, None)

            def say(self, status: int, document: Document | None) -> None:
                content = b"" if document is None else json.dumps(document).encode()
                self.send_response(status)
                if document is not None:
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
                """Nothing: what was asked is in `asked`."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def wrap(self, context: ssl.SSLContext) -> None:
        """Speak TLS from now on."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)

    @property
    def live(self) -> set[str]:
        """The ids of roles that were vended and not released."""
        released = {line.removeprefix("DELETE ") for line in self.asked if line.startswith("DELETE ")}
        return {document["id"] for status, document in self.made.values() if status == 201} - released

    def _is_late(self, role: str) -> bool:
        """Count one late answer about a role that has ended."""
        with self._lock:
            is_late = self.late_answers > 0 and any(document.get("id") == role for _, document in self.made.values())
            self.late_answers -= is_late
            return is_late

    def _vended(self, body: Document, key: str, vend: Answering) -> tuple[int, Document]:
        with self._lock:
            self._note("POST")
            self.bodies.append(body)
            if key not in self.made:
                self.made[key] = vend(body)
            return self.made[key]

    def _note(self, line: str) -> None:
        self.asked.append(line)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

"""The program that sends requests for measurements, against a real HTTP server."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from bench.load import Load, Requests, request
from tests.support.waiting import eventually

ANSWERED: list[str] = []


class Handler(BaseHTTPRequestHandler):
    """Answers with the id in the body of the request: in one piece, or in chunks at /chunks. /refuse fails always, /later only once, and
    /together waits for a second such request."""

    protocol_version = "HTTP/1.1"
    delayed: ClassVar[set[str]] = set()
    together: ClassVar = threading.Barrier(2, timeout=60)
    asked_together: ClassVar[set[int]] = set()
    """The ports of the servers."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/together":
            self.asked_together.add(self.server.server_address[1])
            self.together.wait()
        answer = json.dumps({"id": body["id"], "agent": self.headers["X-Agent"]}).encode()
        self.send_response(self._status(body["id"]))
        if self.path == "/chunks":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for part in (answer[:5], answer[5:], b""):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        else:
            self.send_header("Content-Length", str(len(answer)))
            self.send_header("Retry-After", "1")
            self.end_headers()
            self.wfile.write(answer)
        ANSWERED.append(body["id"])

    def _status(self, identity: str) -> int:
        if self.path == "/later" and identity not in self.delayed:
            self.delayed.add(identity)
            return 503
        return 409 if self.path == "/refuse" else 201

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def requests(port: int, *paths: str) -> Requests:
    texts = [request("POST", path, {"X-Agent": "one"}, {"id": f"role-{number}"}) for number, path in enumerate(paths)]
    return Requests([f"127.0.0.1:{port}"], 201, texts, "id")


@pytest.mark.parametrize("path", ["/", "/chunks"])
def test_every_request_is_answered_over_a_few_connections_and_reported_in_order(path: str) -> None:
    with serving() as port:
        before = time.time()
        sent = Load().send(requests(port, *[path] * 40), 4)

    assert sent.fields == [f"role-{number}" for number in range(40)]
    assert all(0 < seconds <= sent.lasted for seconds in sent.seconds)
    assert all(before < answered < time.time() for answered in sent.answered)
    assert sent.size == len('{"id": "role-0", "agent": "one"}')


def test_connections_are_shared_out_among_the_replicas() -> None:
    with serving() as one, serving() as other:
        wanted = replace(requests(one, "/together", "/together"), addresses=[f"127.0.0.1:{one}", f"127.0.0.1:{other}"])
        sent = Load().send(wanted, 2)

    assert (sent.fields, Handler.asked_together) == (["role-0", "role-1"], {one, other})


def test_a_failed_call_ends_the_measurement_with_its_answer() -> None:
    with serving() as port, pytest.raises(AssertionError, match=r"call 3: status 409: \{.id.: .role-3."):
        Load().send(requests(port, "/", "/", "/", "/refuse", "/"), 1)


def test_a_patient_sender_sends_again_what_is_answered_503() -> None:
    with serving() as port:
        sent = Load().send(replace(requests(port, "/", "/later", "/later"), patient=True), 2)

    assert (sent.fields, sent.refused) == (["role-0", "role-1", "role-2"], 2)
    with serving() as port, pytest.raises(AssertionError, match="call 3: status 503"):
        Load().send(requests(port, "/", "/", "/", "/later"), 1)


def test_a_stream_keeps_its_rate_until_its_block_ends() -> None:
    before, started = len(ANSWERED), time.monotonic()
    with serving() as port, Load().stream(requests(port, *["/"] * 6000), 100) as streams:
        eventually(lambda: len(ANSWERED) >= before + 10)

    (stream,) = streams
    assert 10 <= len(stream.fields) < 6000
    assert len(stream.fields) <= 1 + 100 * (time.monotonic() - started), "no faster, though it catches up"

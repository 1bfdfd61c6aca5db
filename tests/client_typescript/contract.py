"""A server of the OpenAPI document alone: it validates each request by the document, and gives answers that are made of it."""

import json
import re
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.support.json_schema import validator

Document = dict[str, Any]


class ContractServer:
    """Answers each call with the example that `answers` has for its operation, and collects how requests differ from the document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.answers: dict[str, tuple[int, Any]] = {}
        """By operation: the status, and the body."""
        self.called: set[str] = set()
        self.problems: list[str] = []
        contract = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.answer()

            def do_GET(self) -> None:
                self.answer()

            def do_DELETE(self) -> None:
                self.answer()

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, content = contract.answer(self.command, self.path, dict(self.headers), body)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
                """Nothing: the test prints the problems."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        found = self._operation(method, path)
        if found is None:
            self.problems.append(f"{method} {path}: the document has no such call")
            return 404, b"{}"
        name, operation = found
        self.called.add(name)
        self.problems += [f"{name}: {problem}" for problem in self._differences(operation, headers, body)]
        if name not in self.answers:
            (status,) = (status for status in operation["responses"] if status.startswith("2") and status != "202")
            return int(status), b""
        status, document = self.answers[name]
        return status, b"" if document is None else json.dumps(document).encode()

    def schema(self, operation_id: str, status: str) -> Document:
        (operation,) = (each for _, _, each in self._operations() if each["operationId"] == operation_id)
        (media,) = operation["responses"][status]["content"].values()
        return dict(media["schema"])

    def sample(self, schema: Document, *, full: bool) -> Any:
        """Return a value of the schema: with every member, or with the required ones alone."""
        if "$ref" in schema:
            return self.sample(self.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], full=full)
        for name in ("anyOf", "oneOf"):
            if name in schema and "properties" not in schema:
                kinds = [each for each in schema[name] if (each.get("type") == "null") != full] or schema[name]
                return self.sample({"description": schema.get("description", ""), **kinds[0]}, full=full)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return schema["enum"][-1 if full else 0]
        return self._by_type(schema, full=full)

    def _by_type(self, schema: Document, *, full: bool) -> Any:
        match schema.get("type"):
            case "object":
                wanted = schema.get("properties", {}) if full else {name: schema["properties"][name] for name in schema.get("required", ())}
                return {name: self.sample(member, full=full) for name, member in wanted.items()}
            case "array":
                return [self.sample(schema["items"], full=full)] * max(schema.get("minItems", 0), 2 if full else 0)
            case "string":
                return "2026-11-24T13:15:00Z" if "RFC 3339" in schema.get("description", "") else "a-text"
            case "integer" | "number":
                return int(schema.get("minimum", 1))
            case "boolean":
                return full
            case _:
                return None

    def _operations(self) -> Iterator[tuple[str, str, Document]]:
        for path, methods in self.document["paths"].items():
            for method, operation in methods.items():
                yield method.upper(), path, operation

    def _operation(self, method: str, path: str) -> tuple[str, Document] | None:
        for known, template, operation in self._operations():
            if known == method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
                return operation["operationId"], operation
        return None

    def _differences(self, operation: Document, headers: Mapping[str, str], body: bytes) -> Iterator[str]:
        if not headers.get("Authorization", "").startswith("Bearer "):
            yield "it has no token of the agent"
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "header" and parameter["name"] in headers:
                yield from self._invalid(parameter["schema"], headers[parameter["name"]])
        if "requestBody" not in operation:
            return
        (media,) = operation["requestBody"]["content"].values()
        yield from self._invalid(media["schema"], json.loads(body))

    def _invalid(self, schema: Document, value: Any) -> Iterator[str]:
        whole = {**schema, "components": self.document["components"]}
        yield from (error.message for error in validator(whole).iter_errors(value))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

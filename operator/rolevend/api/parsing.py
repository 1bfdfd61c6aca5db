"""uvicorn's httptools connection with a limit on incomplete parts of a request, which httptools does not have."""

from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from rolevend.api.connections import LimitedConnection

MAX_PIPELINED: Final = 4
"""Maximum requests of one connection that wait for an answer. Clients send none."""
_TOO_LARGE: Final = b"the request line and headers, or what follows the body, are too long; see ROLEVEND_API_MAX_HEADER_BYTES"
_REFUSAL: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%b"
)


class _LimitedParser(HttpToolsProtocol):
    """Counts the bytes that completed neither a head nor a part of a body. The limit is the same as in h11."""

    _incomplete = 0
    _has_head = False

    def data_received(self, data: bytes) -> None:
        self._incomplete += len(data)
        super().data_received(data)
        limit = self.config.h11_max_incomplete_event_size
        if limit is not None and self._incomplete > limit and not self.transport.is_closing():
            self.transport.write(_REFUSAL % (len(_TOO_LARGE), _TOO_LARGE))
            self.transport.close()

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("too many requests at once")  # uvicorn answers 400, and closes the connection
        self._has_head = False
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._has_head:  # otherwise a trailer, which is ignored
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._incomplete, self._has_head = 0, True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._incomplete = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._incomplete = 0
        super().on_message_complete()


class ApiConnection(LimitedConnection, _LimitedParser):
    """A connection of the API."""

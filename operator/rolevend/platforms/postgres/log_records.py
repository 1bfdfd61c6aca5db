"""Read the records of vended roles from a csvlog or jsonlog, in bounded memory and from any position. Pure: reads a stream of bytes.

A record that is longer than the bound is kept with the beginning of its text. A statement cannot imitate a record: jsonlog escapes line
ends, and in a field of csvlog every quote of a statement is doubled. Of a line within a field, the first single quote is the end of the
field. `_BEGINNING` has six, and what an agent chooses of an error (message, detail and hint) has at most five before the context begins.
"""

import csv
import enum
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from rolevend.naming import PREFIX
from rolevend.platforms.postgres.session_statements import COLUMNS, Record, record_of_json

MAX_RECORD_BYTES: Final = 1 << 20
_BEGINNING = re.compile(
    rb'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [^,"\n]{1,40},"[^"\n](?:[^"\n]|"")*","[^"\n](?:[^"\n]|"")*",\d+,"[^"\n]+",[0-9a-f.]+,\d'
)
"""Of a record with a user, a database and a client."""
_CSV = re.compile(rb'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [^,"\n]{1,40},')
_ROLE: Final = PREFIX.encode()
_LONGEST_KEY = 40
_SURROGATE = re.compile("[\ud800-\udfff]")


class LogFormat(enum.StrEnum):
    CSVLOG = "csvlog"
    JSONLOG = "jsonlog"


def format_of(first_line: bytes) -> LogFormat | None:
    """Return the format of the log with this first line of a record, or None if it is neither."""
    if first_line.startswith(b'{"timestamp"'):
        return LogFormat.JSONLOG
    return LogFormat.CSVLOG if _CSV.match(first_line) else None


class LogRecords:
    """Yields the records whose user has the name of a vended role. Iterate once; `position` and the counts are valid during iteration."""

    def __init__(self, stream: BinaryIO, log_format: LogFormat, position: int = 0) -> None:
        """The stream is at `position`, which is 0 or the `position` of an earlier iteration."""
        csv.field_size_limit(2 * MAX_RECORD_BYTES)
        self._stream = stream
        self._format = log_format
        self.position = position
        """The end of the last complete record."""
        self.lines = 0
        self.cut = 0
        """Records that were cut off or damaged."""
        self.long = 0
        """Records that were too long: only their beginning was kept."""
        self.not_text = 0
        """Records with bytes that are not UTF-8."""
        self.open_end = False
        """True if the last record is incomplete."""

    def __iter__(self) -> Iterator[Record]:
        return self._json() if self._format is LogFormat.JSONLOG else self._csv()

    def _json(self) -> Iterator[Record]:
        for line, size, _ in self._lines():
            self.position += size
            if _ROLE in line and (record := self._of_json(line, size)) is not None:
                yield record

    def _csv(self) -> Iterator[Record]:
        parts: list[bytes] = []
        kept = size = quotes = 0
        for line, length, in_line in self._lines():
            if quotes & 1 and _BEGINNING.match(line):
                self.cut += 1
                self.position += size
                parts, kept, size, quotes = [], 0, 0, 0
            if kept < MAX_RECORD_BYTES:
                parts.append(line)
                kept += len(line)
            size += length
            quotes += in_line
            if quotes & 1:
                continue
            self.position += size
            raw = parts[0] if len(parts) == 1 else b"".join(parts)
            if _ROLE in raw and (record := self._of_csv(raw, size)) is not None:
                yield record
            parts, kept, size, quotes = [], 0, 0, 0
        self.open_end = self.open_end or bool(quotes & 1)

    def _lines(self) -> Iterator[tuple[bytes, int, int]]:
        """Yield complete lines: as much as is kept, the size, and the number of quotes."""
        read = self._stream.readline
        while line := read(MAX_RECORD_BYTES):
            size, quotes, chunk = len(line), line.count(b'"'), line
            while len(chunk) == MAX_RECORD_BYTES and not chunk.endswith(b"\n"):
                chunk = read(MAX_RECORD_BYTES)
                size += len(chunk)
                quotes += chunk.count(b'"')
            if not chunk.endswith(b"\n"):
                self.open_end = True
                return
            self.lines += 1
            yield line, size, quotes

    def _of_json(self, line: bytes, size: int) -> Record | None:
        text = line.decode("utf-8", "surrogateescape")  # the parser passes surrogates through
        try:
            values = json.loads(text) if size == len(line) else self._beginning_of_json(text)
            record = record_of_json(values)
        except (ValueError, AttributeError):
            self.cut += 1
            return None
        if not record["user"].startswith(PREFIX):
            return None
        return record if text.isascii() and "\\ud" not in text and "\\uD" not in text else self._escaped(record)

    def _beginning_of_json(self, text: str) -> Any:
        """Parse an object without its end: the last string ends where it was cut. Raises ValueError."""
        self.long += 1
        for shorter in range(_LONGEST_KEY):
            for end in ('"}', "}"):
                try:
                    return json.loads(text[: len(text) - shorter] + end)
                except ValueError:
                    continue
        raise ValueError("not the beginning of an object")

    def _of_csv(self, raw: bytes, size: int) -> Record | None:
        if not _BEGINNING.match(raw):  # without a user; or a part of a record, whose text may look like one
            self.cut += not _CSV.match(raw)
            return None
        text = raw.decode("utf-8", "surrogateescape")
        if size > len(raw):
            self.long += 1
            text += '"' if raw.count(b'"') & 1 else ""
        try:
            row = next(csv.reader([text], strict=True), [])
        except csv.Error:
            row = []
        if size > len(raw):
            row += [""] * (len(COLUMNS) - len(row))
        record = dict(zip(COLUMNS, row, strict=False))
        if len(record) < len(COLUMNS) or not record["error_severity"].isupper():
            self.cut += 1
            return None
        if not record["user"].startswith(PREFIX):
            return None
        return record if text.isascii() else self._escaped(record)

    def _escaped(self, record: dict[str, str]) -> Record:
        r"""Replace surrogates: the byte 255 becomes the text `\xff`."""
        if not any(map(_SURROGATE.search, record.values())):
            return record
        self.not_text += 1
        return {name: _SURROGATE.sub(_spelled, value) for name, value in record.items()}


def _spelled(surrogate: re.Match[str]) -> str:
    code = ord(surrogate[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"

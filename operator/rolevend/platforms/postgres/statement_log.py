"""Read one role's statements from PostgreSQL's log, csvlog or jsonlog, with one record in memory at a time.

The plain log (`stderr`) is not supported: a statement in it can contain a line that looks like another role's. Settings:
docs/how-to/trace-a-role.md.
"""

import csv
import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain

from rolevend.errors import InvalidInput
from rolevend.model import RoleName
from rolevend.platforms.postgres.session_statements import COLUMNS, LoggedStatement, Record, SessionStatements, record_of_json

_LONGEST_FIELD = 1 << 30
"""PostgreSQL's limit of a text."""


class StatementLog:
    """Reads records from any number of files, in the order of writing, and yields the role's statements in the order of their end."""

    def __init__(self, role: RoleName) -> None:
        csv.field_size_limit(_LONGEST_FIELD)
        self._role = role
        self._statements = SessionStatements()
        self.unread = 0
        """The number of incomplete records, or records damaged by one."""

    def read(self, lines: Iterable[str], name: str) -> Iterator[LoggedStatement]:
        """Read one file; lines keep their line ends. Raises InvalidInput if it is neither csvlog nor jsonlog."""
        for record in self._records(iter(lines), name):
            if record["user"] == self._role:
                yield from self._statements.take(record)

    def rest(self) -> Iterator[LoggedStatement]:
        """Yield the remaining statements, after the last file."""
        yield from self._statements.rest()

    def _records(self, lines: Iterator[str], name: str) -> Iterator[Record]:
        first = next(lines, "")
        everything = chain([first], lines)
        if first.startswith("{"):
            yield from self._json(everything)
        elif not first or re.match(r"\d{4}-\d\d-\d\d [\d:.]+ [^,]*,", first):
            yield from self._csv(everything)
        else:
            raise InvalidInput(name, "is neither csvlog nor jsonlog: set log_destination to one of them, and give its file")

    def _json(self, lines: Iterable[str]) -> Iterator[Record]:
        for line in lines:
            if self._role not in line:
                continue
            try:
                yield record_of_json(json.loads(line))
            except (ValueError, AttributeError):  # cut short, or no object
                self.unread += 1

    def _csv(self, lines: Iterable[str]) -> Iterator[Record]:
        for row in csv.reader(lines):
            record = dict(zip(COLUMNS, row, strict=False))
            if len(record) == len(COLUMNS) and record["error_severity"].isupper():
                yield record
            else:
                self.unread += 1

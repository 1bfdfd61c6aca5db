"""Parse pgaudit's lines in PostgreSQL's log: ``AUDIT: SESSION,1,1,READ,SELECT,,,SELECT 1,<not logged>``.

pgaudit writes while a statement runs: one line per statement or, with `pgaudit.log_relation` or `pgaudit.role`, one per table and view.
"""

import csv
import io
from dataclasses import dataclass

_PREFIX = "AUDIT: "
_COLUMNS = 9
"""With `pgaudit.log_rows` the number of rows follows."""
_LEFT_OUT = ("<none>", "<not logged>", "<previously logged>")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line."""

    statement: str
    """The number of the statement; statements within an open cursor or a function have its number."""
    substatement: str
    """The number within the statement."""
    relation: str | None
    """`TABLE claims.people`, or another object."""
    is_call: bool
    """A function call in a statement that has lines of its own."""
    text: str | None
    """None if pgaudit is configured to omit it, or an earlier line has it."""
    parameters: str | None
    """The parameter values, as CSV."""


def entry(message: str) -> Entry | None:
    """Return the parsed line, or None if it is not pgaudit's."""
    if not message.startswith(_PREFIX):
        return None
    # A multi-line statement is one field.
    row = next(csv.reader(io.StringIO(message.removeprefix(_PREFIX), newline="")), [])
    if len(row) < _COLUMNS:
        return None
    _, statement, substatement, _, _, kind, name, text, parameters = row[:_COLUMNS]
    return Entry(
        statement=statement,
        substatement=substatement,
        relation=f"{kind} {name}" if name else None,
        is_call=kind == "FUNCTION",
        text=None if text in _LEFT_OUT else text,
        parameters=None if parameters in _LEFT_OUT else parameters,
    )

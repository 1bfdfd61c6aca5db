"""What the extension pgaudit says in PostgreSQL's log, line by line: ``AUDIT: SESSION,1,1,READ,SELECT,,,SELECT 1,<not logged>``.

It writes while a statement runs: one line per statement or, with `pgaudit.log_relation` or `pgaudit.role`, per table and view of it.
"""

import csv
import io
from dataclasses import dataclass

_PREFIX = "AUDIT: "
_COLUMNS = 9
"""And the number of rows behind them, with `pgaudit.log_rows`."""
_LEFT_OUT = ("<none>", "<not logged>", "<previously logged>")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line."""

    statement: str
    """Number of what the session called; what is run while a cursor is open, or within a function, has the number of that."""
    substatement: str
    """Its number within that."""
    relation: str | None
    """`TABLE claims.people`, or what else it names."""
    is_call: bool
    """Of a function, in a statement that has lines of its own."""
    text: str | None
    """None where it was left out, since pgaudit was told so, or an earlier line has it."""
    parameters: str | None
    """The values, as CSV."""


def entry(message: str) -> Entry | None:
    """None for what is no line of pgaudit's."""
    if not message.startswith(_PREFIX):
        return None
    # A statement of many lines is one field.
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

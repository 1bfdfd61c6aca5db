"""Parse lines of pgaudit: ``AUDIT: SESSION,1,1,READ,SELECT,,,SELECT 1,<not logged>``. Pure.

pgaudit writes one line per statement or, with `pgaudit.log_relation` or `pgaudit.role`, one per table and view.
"""

import csv
import io
from dataclasses import dataclass

_PREFIX = "AUDIT: "
_COLUMNS = 9
"""With `pgaudit.log_rows` the number of rows follows."""
_LEFT_OUT = ("", "<none>", "<not logged>", "<previously logged>")


@dataclass(frozen=True, slots=True)
class PgauditLine:
    """One line."""

    kind: str
    """`SESSION` or `OBJECT`."""
    statement: str
    """The number of the statement; statements within an open cursor or a function have its number."""
    substatement: str
    """The number within the statement."""
    audit_class: str
    """`READ`, `WRITE`, `DDL` or another class of pgaudit."""
    command: str
    """`SELECT`, `COPY` or another command."""
    relation: str | None
    """`TABLE claims.people`, or another object."""
    is_call: bool
    """A function call in a statement that has lines of its own."""
    text: str | None
    """None if pgaudit is configured to omit it, or an earlier line has it."""
    parameters: str | None
    """The parameter values, as CSV."""


def parse_pgaudit(message: str) -> PgauditLine | None:
    """Return the parsed line, or None if it is not pgaudit's. The text of a message that was cut off may be incomplete."""
    if not message.startswith(_PREFIX):
        return None
    # A multi-line statement is one field.
    row = next(csv.reader(io.StringIO(message.removeprefix(_PREFIX), newline="")), [])
    if len(row) < _COLUMNS - 1:
        return None
    kind, statement, substatement, audit_class, command, object_kind, name, text, parameters = [*row, ""][:_COLUMNS]
    return PgauditLine(
        kind=kind,
        statement=statement,
        substatement=substatement,
        audit_class=audit_class,
        command=command,
        relation=f"{object_kind} {name}" if name else None,
        is_call=object_kind == "FUNCTION",
        text=None if text in _LEFT_OUT else text,
        parameters=None if parameters in _LEFT_OUT else parameters,
    )

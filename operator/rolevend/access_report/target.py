"""The question: a table or a column, and filters. Pure."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rolevend.access_ledger.selection import Selection
from rolevend.approvals.narrowing import NAME_PART, unquoted
from rolevend.audit.evidence import TableAccess
from rolevend.catalog import TableId, quoted_name
from rolevend.errors import InvalidInput

TABLE: Final = "TABLE"
_TARGET: Final = re.compile(rf"({NAME_PART})\.({NAME_PART})(?:\.({NAME_PART}))?")


@dataclass(frozen=True, slots=True)
class AccessTarget:
    table: TableId
    column: str | None = None

    def __str__(self) -> str:
        return self.table.quoted if self.column is None else f"{self.table.quoted}.{quoted_name(self.column)}"

    def is_shown_by(self, access: TableAccess) -> bool:
        """True if some row of this access shows the column, or any column if none is asked about. A masked column is shown."""
        return self.column is None or self.shown_by(access) is not None

    def shown_by(self, access: TableAccess) -> str | None:
        """Return `Clear` or the mask of the column; None if the access does not have it."""
        if self.column in access.clear:
            return "Clear"
        return next((each.shows for each in access.masked if each.name == self.column), None)


def never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class AccessQuestion:
    target: AccessTarget
    selection: Selection
    platform: str | None = None
    purpose: str | None = None
    is_over: Callable[[], bool] = never
    """True as soon as nobody waits longer for the answer: then the rest is not tried, and a note says so."""


def read_target(text: str) -> AccessTarget:
    """Read `SCHEMA.TABLE` or `SCHEMA.TABLE.COLUMN`. A name with a dot, a comma or a space is in double quotes."""
    found = _TARGET.fullmatch(text.strip())
    if found is None:
        raise InvalidInput(
            TABLE, f"{text!r} names no table and no column; write SCHEMA.TABLE or SCHEMA.TABLE.COLUMN, as in claims.people.ssn"
        )
    schema, table, column = found.groups()
    return AccessTarget(TableId(unquoted(schema), unquoted(table)), None if column is None else unquoted(column))

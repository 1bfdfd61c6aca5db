"""Answers, and how they travel: columns with Snowflake's types, and values as the texts that the connector reads."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST = 16_777_216

SELECT, DDL, INSERT, UPDATE, DELETE, MERGE, MULTI = 0x1000, 0x6000, 0x3100, 0x3200, 0x3300, 0x3400, 0xA000


@dataclass(frozen=True, slots=True)
class ResultColumn:
    """`type` is as on the wire: text, fixed, real, boolean, date, time, timestamp_ntz, timestamp_ltz, timestamp_tz, binary, variant."""

    name: str
    type: str = "text"
    precision: int | None = None
    scale: int | None = None

    def on_the_wire(self) -> dict[str, Any]:
        length = _LONGEST if self.type in ("text", "binary") else None
        precision, scale = self.precision, self.scale
        if self.type == "fixed":
            precision, scale = precision or 38, scale or 0
        elif self.type.startswith("time"):
            precision, scale = 0, 9
        return {
            "name": self.name,
            "type": self.type,
            "precision": precision,
            "scale": scale,
            "nullable": True,
            "length": length,
            "byteLength": length,
            "collation": None,
            "database": "",
            "schema": "",
            "table": "",
        }


@dataclass(frozen=True, slots=True)
class Result:
    columns: tuple[ResultColumn, ...]
    rows: list[Sequence[Any]]
    type: int = DDL
    children: tuple["Result", ...] = field(default=())

    @property
    def rowset(self) -> list[list[str | None]]:
        return [[_text(value, column.type) for value, column in zip(row, self.columns, strict=True)] for row in self.rows]


def status(text: str) -> Result:
    return Result((ResultColumn("status"),), [(text,)])


def table(names: str, rows: Iterable[Sequence[Any]], *, type: int = DDL) -> Result:  # noqa: A002 - a result's type, as in Result
    """Names apart by blanks, `created_on:timestamp_ltz` where a column is no text."""
    columns = tuple(ResultColumn(name, kind or "text") for name, _, kind in (one.partition(":") for one in names.split()))
    return Result(columns, [tuple(row) for row in rows], type)


def of_duckdb(name: str, kind: str) -> ResultColumn:
    """The column that DuckDB's type `kind` becomes."""
    if found := re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", kind):
        return ResultColumn(name, "fixed", int(found[1]), int(found[2]))
    if kind in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UBIGINT", "UHUGEINT", "UINTEGER", "USMALLINT", "UTINYINT"):
        return ResultColumn(name, "fixed", 38, 0)
    simple = {
        "DOUBLE": "real",
        "FLOAT": "real",
        "BOOLEAN": "boolean",
        "DATE": "date",
        "TIME": "time",
        "TIMESTAMP": "timestamp_ntz",
        "TIMESTAMP_NS": "timestamp_ntz",
        "TIMESTAMP WITH TIME ZONE": "timestamp_ltz",
        "BLOB": "binary",
        "JSON": "variant",
    }
    return ResultColumn(name, simple.get(kind, "text"))


def _text(value: Any, kind: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if kind == "binary":
        return bytes(value).hex().upper()
    if kind == "date":
        return str((value - date(1970, 1, 1)).days)
    if isinstance(value, time):
        return f"{(value.hour * 60 + value.minute) * 60 + value.second}.{value.microsecond * 1000:09d}"
    if isinstance(value, datetime):
        return _moment(value, kind)
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value)


def _moment(value: datetime, kind: str) -> str:
    aware = value if value.tzinfo else value.replace(tzinfo=UTC)
    micros = round((aware - _EPOCH).total_seconds() * 1_000_000)
    seconds, rest = divmod(micros, 1_000_000)
    return f"{seconds}.{rest * 1000:09d}" + (" 1440" if kind == "timestamp_tz" else "")

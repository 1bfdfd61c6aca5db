"""Values that the connector binds on the server (`paramstyle="qmark"`), put into the text as literals."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.snowflake import refusals
from tests.support.snowflake.words import Kind, words


def bound(sql: str, bindings: dict[str, dict[str, Any]]) -> str:
    """`?` and `:1` by the literals of their values."""
    if not bindings:
        return sql
    parts, end, place = [], 0, 0
    reading = words(sql)
    for at, word in enumerate(reading):
        if word.kind is Kind.SIGN and word.value == "?":
            place += 1
            parts += [sql[end : word.start], literal(bindings[str(place)])]
            end = word.end
        elif word.kind is Kind.SIGN and word.value == ":" and reading[at + 1].kind is Kind.NUMBER and reading[at + 1].start == word.end:
            number = reading[at + 1]
            parts += [sql[end : word.start], literal(bindings[number.value])]
            end = number.end
    return "".join([*parts, sql[end:]])


def literal(value: dict[str, Any]) -> str:
    kind, text = value["type"], value["value"]
    if text is None:
        return "NULL"
    if not isinstance(text, str):
        raise refusals.Unknown("arrays of bound values")
    quoted = "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
    match kind:
        case "FIXED" | "REAL":
            return text
        case "TEXT":
            return quoted
        case "BOOLEAN":
            return text.upper()
        case "BINARY":
            return f"TO_BINARY({quoted}, 'HEX')"
        case "DATE":
            return f"TO_DATE(TO_TIMESTAMP_NTZ({int(text) // 1000}))"
        case "TIMESTAMP_NTZ" | "TIMESTAMP_LTZ":
            moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(text) // 1000)
            return f"'{moment.replace(tzinfo=None).isoformat(sep=' ')}'::{kind}"
    raise refusals.Unknown(f"bound values of the type {kind}")

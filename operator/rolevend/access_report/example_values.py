"""Values that are made up, by the family of a column's type, and what a mask leaves of them. Pure. No value of a platform is read."""

import hashlib
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation, localcontext
from typing import Final, assert_never

from rolevend.catalog import Column, Family
from rolevend.policy.mask import Clear, Constant, DateTrunc, Hash, Mask, Nullify, Partial, Regex, Round, Unit, carries

EXAMPLES: Final[Mapping[Family, str]] = {
    Family.TEXT: "Example 1234",
    Family.INTEGER: "12345",
    Family.NUMERIC: "1234.56",
    Family.FLOAT: "1234.56",
    Family.BOOLEAN: "true",
    Family.DATE: "2024-05-17",
    Family.TIMESTAMP: "2024-05-17 13:45:10",
    Family.TIMESTAMP_TZ: "2024-05-17 13:45:10+00",
    Family.UUID: "123e4567-e89b-42d3-a456-426614174000",
    Family.OTHER: "a value",
}
_PRECISION: Final = 100
"""Digits."""


def shown(mask: Mask, column: Column) -> str | None:
    """Return the text of the example of the column after the mask; None: NULL, as where the column cannot hold the result."""
    return masked(mask, EXAMPLES[column.family]) if carries(mask, column.family, column.limits) else None


def masked(mask: Mask, value: str) -> str | None:
    """Return what the mask leaves of a text. The hash is one that no installation has."""
    match mask:
        case Clear():
            return value
        case Nullify():
            return None
        case Constant(constant):
            return constant
        case Partial(keep_last):
            return f"***{value[len(value) - max(0, min(keep_last, len(value) // 2)) :]}"
        case Regex(pattern, replacement):
            return _replaced(pattern, replacement, value)
        case Hash():
            return hashlib.sha256(f"example:{value}".encode()).hexdigest()
        case Round(step):
            return _rounded(value, step)
        case DateTrunc(unit):
            return _truncated(value, unit)
        case _:
            assert_never(mask)


def _replaced(pattern: str, replacement: str, value: str) -> str:
    replaced = re.sub(pattern, replacement, value, flags=re.DOTALL | re.ASCII)
    return "***" if replaced == value else replaced


def _rounded(value: str, step: str) -> str | None:
    with localcontext(prec=_PRECISION):
        try:
            exact = Decimal(value)
            return f"{(exact - exact % Decimal(step)):f}" if exact.is_finite() else None
        except InvalidOperation:
            return None


def _truncated(value: str, unit: Unit) -> str:
    year, month = int(value[:4]), int(value[5:7])
    first = {Unit.YEAR: 1, Unit.QUARTER: (month - 1) // 3 * 3 + 1, Unit.MONTH: month}[unit]
    return f"{year:04}-{first:02}-01{re.sub('[0-9]', '0', value[10:])}"

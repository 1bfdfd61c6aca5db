"""Map Snowflake's types to the families of policies. Pure.

A native type is written as in DESCRIBE TABLE, with precision, scale and length: `NUMBER` alone has no decimal places, so a cast to it would
change the number.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from rolevend.catalog import Family, TypeLimits
from rolevend.errors import InvalidInput
from rolevend.platforms.snowflake.sql import Sql

MOST_DIGITS: Final = 38
_FLOAT_PLACES: Final = 15
"""Decimal places that a FLOAT is rounded to: a double holds fifteen digits exactly."""
_LONGEST_TEXT: Final = 16_777_216
_DIGITS_OF_INTEGERS: Final = 19
"""The number of digits that hold every integer of a policy."""
FAMILIES: Final = {
    "VARCHAR": Family.TEXT,
    "FLOAT": Family.FLOAT,
    "BOOLEAN": Family.BOOLEAN,
    "DATE": Family.DATE,
    "TIMESTAMP_NTZ": Family.TIMESTAMP,
    "TIMESTAMP_LTZ": Family.TIMESTAMP_TZ,
    "TIMESTAMP_TZ": Family.TIMESTAMP_TZ,
}
"""In addition to NUMBER, whose scale decides. BINARY, TIME, VARIANT, OBJECT, ARRAY and others have no family."""

_TYPE = re.compile(r"(?P<kind>[A-Z][A-Z0-9_]*)(?:\((?P<first>[0-9]{1,9})(?:, ?(?P<second>[0-9]{1,2}))?\))?")


@dataclass(frozen=True, slots=True)
class ColumnType:
    """A type with an unquoted name: its kind and parameters."""

    kind: str
    first: int | None = None
    """The precision of a number, or the length of a text."""
    second: int | None = None
    """The scale of a number."""

    @property
    def sql(self) -> Sql:
        numbers = ",".join(str(each) for each in (self.first, self.second) if each is not None)
        return Sql(f"{self.kind}({numbers})" if numbers else self.kind)

    @property
    def digits(self) -> int:
        return MOST_DIGITS if self.first is None else self.first

    @property
    def scale(self) -> int:
        return self.second or 0


def column_type(native_type: str) -> ColumnType | None:
    """Return the parsed type; None for another form, such as VECTOR(FLOAT, 3) or MAP(VARCHAR, NUMBER)."""
    parts = _TYPE.fullmatch(native_type)
    if parts is None:
        return None
    first, second = (None if parts[each] is None else int(parts[each]) for each in ("first", "second"))
    return ColumnType(parts["kind"], first, second)


def simple_type(native_type: str) -> ColumnType:
    found = column_type(native_type)
    if found is None:
        raise InvalidInput("", f"{native_type[:60]!r} is not a type that a policy of Snowflake can be written for")
    return found


def family(native_type: str, *, collated: bool = False) -> Family:
    """Return the family of a type. A text with a collation has none, because the collation changes comparisons."""
    found = column_type(native_type)
    if found is None or collated:
        return Family.OTHER
    if found.kind == "NUMBER":
        return Family.NUMERIC if found.scale else Family.INTEGER
    return FAMILIES.get(found.kind, Family.OTHER)


def limits_of(native_type: str) -> TypeLimits | None:
    """Return the limits; None: the type holds every value of its family."""
    found = column_type(native_type)
    if found is None:
        return TypeLimits(maskable=False)
    match found.kind:
        case "NUMBER" if found.scale or found.digits < _DIGITS_OF_INTEGERS:
            greatest = Decimal(f"{10**found.digits - 1}E-{found.scale}")
            return TypeLimits(greatest.copy_negate(), greatest, found.scale, MOST_DIGITS - found.digits + found.scale)
        case "FLOAT":
            return TypeLimits(step_places=_FLOAT_PLACES)
        case "VARCHAR" if found.first is not None and found.first < _LONGEST_TEXT:
            return TypeLimits(length=found.first)
        case _:
            return None

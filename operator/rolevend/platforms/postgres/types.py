"""Map PostgreSQL's types to the families of policies. Pure."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from psycopg import sql

from rolevend.catalog import Family, TypeLimits
from rolevend.errors import InvalidInput

FAMILIES = {
    "text": Family.TEXT,
    "varchar": Family.TEXT,
    "bpchar": Family.TEXT,
    "int2": Family.INTEGER,
    "int4": Family.INTEGER,
    "int8": Family.INTEGER,
    "numeric": Family.NUMERIC,
    "float4": Family.FLOAT,
    "float8": Family.FLOAT,
    "bool": Family.BOOLEAN,
    "date": Family.DATE,
    "timestamp": Family.TIMESTAMP,
    "timestamptz": Family.TIMESTAMP_TZ,
    "uuid": Family.UUID,
}
"""By name in pg_type, for pg_catalog only: a user-defined type may have other comparison operators."""

_LIMITS: Final = {
    "smallint": TypeLimits(Decimal(-(2**15)), Decimal(2**15 - 1)),
    "integer": TypeLimits(Decimal(-(2**31)), Decimal(2**31 - 1)),
    # Values that would be read as infinity, or underflow to 0, are outside these limits.
    "real": TypeLimits(Decimal(-(2**128 - 2**103 - 1)), Decimal(2**128 - 2**103 - 1), places=45),
}
"""Types with fewer values than their family. A mask shows `numeric(5,2)` as `numeric`, and `varchar(5)` as `text`, which have no such
limit.
"""

_WORD = r'(?:[a-z_][a-z0-9_$]*|"(?:[^"\x00]|"")+")'
_TYPE_NAME = re.compile(rf"{_WORD}(?:[ .]{_WORD})*(?:\[\])?")


@dataclass(frozen=True, slots=True)
class AttributeType:
    """The type that an attribute's values are cast to for a comparison."""

    name: str
    """The name in `rolevend.attr`."""
    sql: sql.Composable


def type_name(native_type: str) -> sql.Composable:
    """Return the name as SQL after a check: it comes from `format_type`, which quotes names."""
    if not _TYPE_NAME.fullmatch(native_type):
        raise InvalidInput("", f"{native_type!r} is not the name of a PostgreSQL type")
    return sql.SQL(native_type)


def limits_of(native_type: str) -> TypeLimits | None:
    """Return the limits; None: the type holds every value of its family."""
    return _LIMITS.get(native_type)


def comparison_type(family: Family, native_type: str) -> str:
    """Return the type that a literal is cast to. Whole numbers are bigint: 3000000000 differs from every integer and is not an error."""
    return "bigint" if family is Family.INTEGER else native_type


def attribute_type(family: Family, native_type: str) -> AttributeType:
    """Return the attribute's type like `comparison_type`; texts are always compared as text."""
    if family is Family.OTHER:
        raise InvalidInput("", f"values of the PostgreSQL type {native_type} cannot be compared with an attribute")
    compared = comparison_type(family, native_type)
    return AttributeType("text" if family is Family.TEXT else compared, type_name(compared))

"""PostgreSQL's types by the families that policy knows. Pure."""

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
"""By the type's name in pg_type, in pg_catalog only: a type of somebody else's may compare as it likes."""

_LIMITS: Final = {
    "smallint": TypeLimits(Decimal(-(2**15)), Decimal(2**15 - 1)),
    "integer": TypeLimits(Decimal(-(2**31)), Decimal(2**31 - 1)),
    # What is read as infinity, or as 0 without being it, is an error: up to here it is neither.
    "real": TypeLimits(Decimal(-(2**128 - 2**103 - 1)), Decimal(2**128 - 2**103 - 1), places=45),
}
"""Types with fewer values than their family. `numeric(5,2)` shows a constant as `numeric`, and `varchar(5)` as `text`: it has room."""

_WORD = r'(?:[a-z_][a-z0-9_$]*|"(?:[^"\x00]|"")+")'
_TYPE_NAME = re.compile(rf"{_WORD}(?:[ .]{_WORD})*(?:\[\])?")


@dataclass(frozen=True, slots=True)
class AttributeType:
    """What the values of an attribute are read as, where they are compared with a column."""

    name: str
    """As `rolevend.attr` knows it."""
    sql: sql.Composable


def type_name(native_type: str) -> sql.Composable:
    """The name as SQL, once it is certain that it is a name: it comes from `format_type`, which quotes what needs quoting."""
    if not _TYPE_NAME.fullmatch(native_type):
        raise InvalidInput("", f"{native_type!r} is not the name of a PostgreSQL type")
    return sql.SQL(native_type)


def limits_of(native_type: str) -> TypeLimits | None:
    """None: the type holds every value of its family."""
    return _LIMITS.get(native_type)


def comparison_type(family: Family, native_type: str) -> str:
    """What a literal is cast to. Whole numbers are always bigint: 3000000000 is a number that an integer column does not have,
    and no error."""
    return "bigint" if family is Family.INTEGER else native_type


def attribute_type(family: Family, native_type: str) -> AttributeType:
    """As `comparison_type`; every text is checked as text, whatever its column's type."""
    if family is Family.OTHER:
        raise InvalidInput("", f"values of the PostgreSQL type {native_type} cannot be compared with an attribute")
    compared = comparison_type(family, native_type)
    return AttributeType("text" if family is Family.TEXT else compared, type_name(compared))

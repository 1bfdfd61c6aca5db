"""Kinds and names of objects in statements: a procedure's name carries the types of its arguments."""

from tests.support.snowflake import refusals
from tests.support.snowflake.kinds import KINDS, ROUTINES
from tests.support.snowflake.reader import Name, Reader

_TYPES = {
    "STRING": "VARCHAR",
    "TEXT": "VARCHAR",
    "CHAR": "VARCHAR",
    "INT": "NUMBER",
    "INTEGER": "NUMBER",
    "BIGINT": "NUMBER",
    "SMALLINT": "NUMBER",
    "DECIMAL": "NUMBER",
    "NUMERIC": "NUMBER",
    "DOUBLE": "FLOAT",
    "REAL": "FLOAT",
    "DATETIME": "TIMESTAMP_NTZ",
    "TIMESTAMP": "TIMESTAMP_NTZ",
    "VARBINARY": "BINARY",
}


_SIZES = {"VARCHAR": 16_777_216, "BINARY": 8_388_608, "TIME": 9, "TIMESTAMP_NTZ": 9, "TIMESTAMP_LTZ": 9, "TIMESTAMP_TZ": 9}


def kind_of(reader: Reader) -> str:
    kind = reader.one_of("EXTERNAL TABLE", *KINDS)
    if not kind:
        raise refusals.Unknown(f"objects of the kind {reader.word.value}")
    return kind


def name_of(reader: Reader, kind: str) -> Name:
    name = reader.name()
    if kind in ROUTINES and reader.peek("("):
        types = [part.strip() for part in reader.between().split(",") if part.strip()]
        return (*name[:-1], f"{name[-1]}({', '.join(type_of(Reader(part)) for part in types)})")
    return name


def type_of(reader: Reader) -> str:
    """A type as Snowflake names it: ``NUMBER(38,0)``, ``VARCHAR(16777216)``, ``TIMESTAMP_NTZ(9)``."""
    name = reader.part()
    if name == "DOUBLE" and reader.take("PRECISION"):
        name = "FLOAT"
    name = _TYPES.get(name, name)
    arguments = "".join(reader.between().split()) if reader.peek("(") else ""
    if name == "NUMBER":
        arguments = arguments or "38,0"
        return f"NUMBER({arguments if ',' in arguments else arguments + ',0'})"
    default = _SIZES.get(name)
    return f"{name}({arguments or default})" if default else name

"""CREATE, parsed."""

from tests.support.snowflake import refusals, statements
from tests.support.snowflake.kinds import ROUTINES
from tests.support.snowflake.naming import kind_of, type_of
from tests.support.snowflake.reader import Name, Reader, Value
from tests.support.snowflake.statements import Attachment, Column, Create, Masking, Statement
from tests.support.snowflake.words import Kind


def create(reader: Reader) -> Statement:
    replace = reader.take("OR", "REPLACE")
    flags = set()
    while flag := reader.one_of("SECURE", "TEMPORARY", "TEMP", "TRANSIENT", "LOCAL", "GLOBAL", "VOLATILE"):
        flags.add(flag)
    temporary = bool(flags & {"TEMPORARY", "TEMP", "VOLATILE"})
    kind = kind_of(reader)
    if_not_exists = reader.take("IF", "NOT", "EXISTS")
    name = reader.name()
    if kind == "TABLE":
        return _table(reader, name, replace=replace, if_not_exists=if_not_exists, temporary=temporary)
    if kind == "VIEW":
        columns = tuple(Column(part, "") for part in reader.columns()) if reader.peek("(") else ()
        copy = reader.take("COPY", "GRANTS")
        settings = _settings(reader, until=("AS",)) | ({"COPY GRANTS": True} if copy else {})
        reader.expect("AS")
        return Create(kind, name, replace, if_not_exists, settings, columns, body=reader.rest(), secure="SECURE" in flags)
    if kind in ("ROW ACCESS POLICY", "MASKING POLICY"):
        return _policy(reader, kind, name, replace=replace, if_not_exists=if_not_exists)
    if kind in ROUTINES:
        return _routine(reader, kind, name, replace=replace)
    if kind == "TASK":
        settings = _settings(reader, until=("AS", "WHEN", "AFTER"))
        reader.expect("AS")
        return Create(kind, name, replace, if_not_exists, settings, body=reader.rest())
    if kind in ("SEMANTIC VIEW", "CORTEX SEARCH SERVICE", "AGENT"):
        return Create(kind, name, replace, if_not_exists, body=reader.rest())
    if kind == "TAG" and reader.take("ALLOWED_VALUES"):
        while reader.word.kind is Kind.TEXT:
            reader.text()
            reader.take(",")
    clone = reader.name() if reader.take("CLONE") else None
    return Create(kind, name, replace, if_not_exists, _settings(reader), clone=clone)


def _settings(reader: Reader, *, until: tuple[str, ...] = ()) -> dict[str, Value]:
    reader.take("WITH")
    return reader.settings(until=until)


def _table(reader: Reader, name: Name, *, replace: bool, if_not_exists: bool, temporary: bool) -> Statement:
    if reader.take("LIKE"):
        return Create("TABLE", name, replace, if_not_exists, temporary=temporary, like=reader.name())
    if reader.take("CLONE"):
        return Create("TABLE", name, replace, if_not_exists, temporary=temporary, clone=reader.name())
    columns: tuple[Column, ...] = ()
    masks: tuple[Masking, ...] = ()
    if reader.peek("("):
        columns, masks = _columns(reader)
    settings: dict[str, Value] = {}
    row_policy = None
    while not reader.ended and not reader.peek(";"):
        if reader.take("AS"):
            if columns:
                raise refusals.Unknown("CREATE TABLE … AS with a list of columns")
            return Create("TABLE", name, replace, if_not_exists, settings, body=reader.rest(), temporary=temporary, row_policy=row_policy)
        reader.take("WITH")
        if reader.take("ROW", "ACCESS", "POLICY"):
            policy = reader.name()
            reader.expect("ON")
            row_policy = Attachment(policy, reader.columns())
        elif reader.take("CLUSTER", "BY"):
            reader.between()
        else:
            settings |= reader.settings(until=("AS", "WITH", "ROW", "CLUSTER"))
    return Create("TABLE", name, replace, if_not_exists, settings, columns, temporary=temporary, row_policy=row_policy, masks=masks)


def _columns(reader: Reader) -> tuple[tuple[Column, ...], tuple[Masking, ...]]:
    reader.expect("(")
    columns: list[Column] = []
    masks: list[Masking] = []
    while not reader.take(")"):
        if reader.take("PRIMARY", "KEY") or reader.take("UNIQUE"):
            reader.between()
        else:
            column, mask = column_of(reader)
            columns.append(column)
            masks.extend([mask] if mask else [])
        reader.take(",")
    return tuple(columns), tuple(masks)


def column_of(reader: Reader) -> tuple[Column, Masking | None]:
    name, kind = reader.part(), type_of(reader)
    nullable, default, comment, mask = True, None, "", None
    while not (reader.ended or reader.peek(",") or reader.peek(")") or reader.peek(";")):
        if reader.take("NOT", "NULL") or reader.take("PRIMARY", "KEY"):
            nullable = False
        elif reader.take("DEFAULT"):
            default = _default(reader)
        elif reader.take("COMMENT"):
            comment = reader.text()
        elif reader.one_of("WITH MASKING POLICY", "MASKING POLICY"):
            policy = reader.name()
            mask = Masking(name, policy, reader.columns() if reader.take("USING") else ())
        elif not reader.one_of("NULL", "UNIQUE"):
            raise refusals.Unknown(f"{reader.word.value} at a column")
    return Column(name, kind, nullable, default, comment), mask


def _default(reader: Reader) -> str:
    start = reader.word.start
    word = reader.next()
    end = word.end
    if reader.peek("("):
        inner = reader.between()
        return reader.sql[start:end] + f"({inner})"
    return reader.sql[start:end]


def _signature(reader: Reader) -> tuple[Column, ...]:
    reader.expect("(")
    columns = []
    while not reader.take(")"):
        columns.append(Column(reader.part(), type_of(reader)))
        reader.take(",")
    return tuple(columns)


def _policy(reader: Reader, kind: str, name: Name, *, replace: bool, if_not_exists: bool) -> Statement:
    reader.expect("AS")
    columns = _signature(reader)
    reader.expect("RETURNS")
    returns = type_of(reader)
    reader.expect("->")
    body, settings = body_and_settings(reader)
    return Create(kind, name, replace, if_not_exists, settings, columns, returns, body)


def body_and_settings(reader: Reader) -> tuple[str, dict[str, Value]]:
    """The text of a body, up to a COMMENT or EXEMPT_OTHER_POLICIES that follows it."""
    start, end, depth = reader.word.start, reader.word.start, 0
    while not reader.ended and not (
        depth == 0 and (reader.peek(";") or reader.peek("COMMENT", "=") or reader.peek("EXEMPT_OTHER_POLICIES"))
    ):
        word = reader.next()
        depth += {"(": 1, ")": -1}.get(word.keyword, 0)
        end = word.end
    return reader.sql[start:end], reader.settings()


def _routine(reader: Reader, kind: str, name: Name, *, replace: bool) -> Statement:
    columns = _signature(reader)
    reader.expect("RETURNS")
    if reader.take("TABLE"):
        reader.between()
        returns = "TABLE"
    else:
        returns = type_of(reader)
    settings: dict[str, Value] = {}
    body = ""
    while not reader.ended and not reader.peek(";"):
        if reader.take("AS"):
            body = reader.text() if reader.word.kind is Kind.TEXT else reader.rest()
        elif reader.take("LANGUAGE"):
            settings["LANGUAGE"] = reader.part()
        elif reader.take("EXECUTE", "AS"):
            settings["EXECUTE AS"] = reader.part()
        elif reader.one_of("STRICT", "IMMUTABLE", "MEMOIZABLE", "SECURE", "VOLATILE", "NOT NULL"):
            continue
        else:
            settings |= reader.settings(until=("AS", "LANGUAGE", "EXECUTE", "STRICT", "IMMUTABLE", "MEMOIZABLE"))
    signed = (*name[:-1], f"{name[-1]}({', '.join(column.type for column in columns)})")
    return statements.Create(kind, signed, replace, settings=settings, columns=columns, returns=returns, body=body)

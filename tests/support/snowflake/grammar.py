"""Words into statements: a recursive parser for exactly the statements that the design needs."""

from collections.abc import Callable

from tests.support.snowflake import kinds, refusals, statements
from tests.support.snowflake.altering import alter
from tests.support.snowflake.creating import create
from tests.support.snowflake.granting import grant, revoke, show_grants
from tests.support.snowflake.naming import kind_of, name_of
from tests.support.snowflake.reader import Reader
from tests.support.snowflake.statements import Statement
from tests.support.snowflake.words import Kind, Word, words

_QUERIES = ("SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE", "VALUES", "(")


def parse(sql: str) -> Statement:
    """One statement. A Refusal says where it is not understood."""
    reader = Reader(sql)
    for verb, parse_verb in _VERBS.items():
        if reader.take(verb):
            statement = parse_verb(reader)
            reader.end()
            return statement
    if reader.word.keyword in _QUERIES:
        return statements.Query(sql)
    if reader.ended:
        raise refusals.Refusal("000900", "42601", "SQL compilation error:\nempty SQL statement")
    raise refusals.Unknown(f"the statement {reader.word.value}")


def split(sql: str) -> list[str]:
    """The statements of a text, apart at the semicolons that stand outside of blocks; a scripting block stays whole."""
    parts: list[str] = []
    start = depth = 0
    reading = words(sql)
    for place, word in enumerate(reading):
        depth += _deeper(reading, place, depth)
        if depth == 0 and (word.keyword == ";" or word.kind is Kind.END):
            parts.append(sql[start : word.start].strip())
            start = word.end
    if depth:
        parts.append(sql[start:].strip())
    return [part for part in parts if part]


def _deeper(reading: tuple[Word, ...], place: int, depth: int) -> int:
    """Whether a block, or in one an IF or a loop, begins here, or ends."""
    word, before = reading[place].keyword, reading[place - 1].keyword if place else ";"
    if before == ";" and word in ("BEGIN", "DECLARE") and _opens_block(reading[place + 1].keyword, word):
        return 1
    if depth and word in ("IF", "FOR", "CASE", "LOOP", "WHILE") and before != "END" and reading[place + 1].keyword not in ("EXISTS", "NOT"):
        return 1
    return -1 if depth and word == "END" else 0


def _opens_block(following: str, word: str) -> bool:
    return word == "DECLARE" or following not in (";", "", "TRANSACTION", "WORK", "NAME")


def _drop(reader: Reader) -> Statement:
    kind = kind_of(reader)
    if_exists = reader.take("IF", "EXISTS")
    name = name_of(reader, kind)
    reader.one_of("CASCADE", "RESTRICT")
    return statements.Drop(kind, name, if_exists)


def _show(reader: Reader) -> Statement:
    reader.take("TERSE")
    if reader.take("GRANTS"):
        return show_grants(reader)
    plural = reader.one_of(*sorted((*kinds.PLURALS, "PARAMETERS", "COLUMNS", "ROW ACCESS POLICIES"), key=len, reverse=True))
    if not plural:
        raise refusals.Unknown(f"SHOW {reader.word.value}")
    like = reader.text() if reader.take("LIKE") else None
    scope, within = "", ()
    if reader.take("IN"):
        scope = reader.one_of("ACCOUNT", "DATABASE", "SCHEMA", "TABLE", "USER", "SESSION", "WAREHOUSE") or "SCHEMA"
        within = () if reader.ended or scope in ("ACCOUNT", "SESSION") else reader.name()
    starts_with = reader.text() if reader.take("STARTS", "WITH") else None
    limit = int(reader.next().value) if reader.take("LIMIT") else None
    after = reader.text() if reader.take("FROM") else None
    return statements.Show(kinds.PLURALS.get(plural, plural), like, scope, within, starts_with, limit, after)


def _describe(reader: Reader) -> Statement:
    kind = kind_of(reader)
    return statements.Describe(kind, name_of(reader, kind))


def _use(reader: Reader) -> Statement:
    kind = reader.one_of("SECONDARY ROLES", "ROLE", "WAREHOUSE", "DATABASE", "SCHEMA") or "DATABASE"
    return statements.Use(kind, reader.names())


def _begin(reader: Reader) -> Statement:
    if reader.ended or reader.peek(";") or reader.one_of("TRANSACTION", "WORK"):
        return statements.Transaction("BEGIN")
    reader.rest()
    return statements.Script(reader.sql)


def _start(reader: Reader) -> Statement:
    reader.expect("TRANSACTION")
    return statements.Transaction("BEGIN")


def _end(verb: str, reader: Reader) -> Statement:
    reader.take("WORK")
    return statements.Transaction(verb)


def _script(reader: Reader) -> Statement:
    reader.rest()
    return statements.Script(reader.sql)


def _execute(reader: Reader) -> Statement:
    if reader.take("TASK"):
        return statements.ExecuteTask(reader.name())
    reader.expect("IMMEDIATE")
    text = reader.text()
    inner = split(text)
    if len(inner) != 1:
        raise refusals.Unknown("EXECUTE IMMEDIATE of anything but one statement or one block")
    return parse(inner[0])


def _call(reader: Reader) -> Statement:
    name = reader.name()
    return statements.Call(name, reader.between())


_VERBS: dict[str, Callable[[Reader], Statement]] = {
    "CREATE": create,
    "DROP": _drop,
    "ALTER": alter,
    "GRANT": grant,
    "REVOKE": revoke,
    "SHOW": _show,
    "DESCRIBE": _describe,
    "DESC": _describe,
    "USE": _use,
    "START": _start,
    "BEGIN": _begin,
    "DECLARE": _script,
    "COMMIT": lambda reader: _end("COMMIT", reader),
    "ROLLBACK": lambda reader: _end("ROLLBACK", reader),
    "EXECUTE": _execute,
    "CALL": _call,
}

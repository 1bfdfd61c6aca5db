"""Blocks of Snowflake Scripting, parsed: as much of it as a reaper needs."""

from dataclasses import dataclass

from tests.support.snowflake import refusals
from tests.support.snowflake.reader import Reader


@dataclass(frozen=True, slots=True)
class Sql:
    text: str


@dataclass(frozen=True, slots=True)
class Assign:
    """`text` is an expression; None is NULL."""

    name: str
    text: str | None


@dataclass(frozen=True, slots=True)
class Cursor:
    name: str
    query: str


@dataclass(frozen=True, slots=True)
class For:
    """Over the rows of a cursor."""

    name: str
    cursor: str
    body: "tuple[Step, ...]"


@dataclass(frozen=True, slots=True)
class If:
    test: str
    then: "tuple[Step, ...]"
    otherwise: "tuple[Step, ...]"


@dataclass(frozen=True, slots=True)
class Return:
    text: str | None


@dataclass(frozen=True, slots=True)
class Raise:
    """Again, in a handler."""


@dataclass(frozen=True, slots=True)
class Block:
    """`handler` is that of OTHER."""

    body: "tuple[Step, ...]"
    handler: "tuple[Step, ...]" = ()


Step = Sql | Assign | Cursor | For | If | Return | Raise | Block


def parse_block(text: str) -> Block:
    reader = Reader(text)
    block = _block(reader)
    reader.take(";")
    if not reader.ended:
        raise reader.unexpected()
    return block


def _block(reader: Reader) -> Block:
    declared: list[Step] = []
    if reader.take("DECLARE"):
        while not reader.take("BEGIN"):
            declared.append(_declaration(reader))
    else:
        reader.expect("BEGIN")
    body = _steps(reader, "EXCEPTION", "END")
    handler: tuple[Step, ...] = ()
    if reader.take("EXCEPTION"):
        reader.expect("WHEN", "OTHER", "THEN")
        handler = _steps(reader, "END")
    reader.expect("END")
    return Block((*declared, *body), handler)


def _declaration(reader: Reader) -> Step:
    name = reader.part()
    if reader.take("CURSOR", "FOR"):
        return Cursor(name, _to_end(reader))
    while not (reader.peek(";") or reader.peek("DEFAULT") or reader.peek(":")):
        reader.next()
    if reader.take("DEFAULT") or reader.take(":", "="):
        return Assign(name, _to_end(reader))
    reader.expect(";")
    return Assign(name, None)


def _to_end(reader: Reader, *stops: str) -> str:
    """The text up to a semicolon, which is taken, or a word of `stops`, which is not."""
    start = end = reader.word.start
    depth = 0
    while depth or not (reader.ended or reader.peek(";") or any(reader.peek(stop) for stop in stops)):
        word = reader.next()
        depth += {"(": 1, ")": -1}.get(word.keyword, 0)
        end = word.end
    if not stops:
        reader.expect(";")
    return reader.sql[start:end]


def _steps(reader: Reader, *ends: str) -> tuple[Step, ...]:
    steps = []
    while not any(reader.peek(end) for end in ends):
        steps.append(_step(reader))
    return tuple(steps)


def _step(reader: Reader) -> Step:
    if reader.peek("BEGIN") or reader.peek("DECLARE"):
        block = _block(reader)
        reader.expect(";")
        return block
    if reader.take("LET"):
        return _declaration(reader)
    if reader.take("FOR"):
        return _for(reader)
    if reader.take("IF"):
        return _if(reader)
    if reader.take("RETURN"):
        return Return(_to_end(reader) or None)
    if reader.take("RAISE"):
        reader.expect(";")
        return Raise()
    for unknown in ("LOOP", "WHILE", "REPEAT", "CASE", "OPEN", "FETCH", "BREAK", "CONTINUE"):
        if reader.peek(unknown):
            raise refusals.Unknown(f"{unknown} in a block")
    text = _to_end(reader)
    name, assigns, value = text.partition(":=")
    return Assign(name.strip().upper(), value) if assigns and name.strip().isidentifier() else Sql(text)


def _for(reader: Reader) -> Step:
    name = reader.part()
    reader.expect("IN")
    cursor = reader.part()
    reader.expect("DO")
    body = _steps(reader, "END")
    reader.expect("END", "FOR", ";")
    return For(name, cursor, body)


def _if(reader: Reader) -> Step:
    test = _to_end(reader, "THEN")
    reader.expect("THEN")
    then = _steps(reader, "ELSE", "END")
    otherwise = _steps(reader, "END") if reader.take("ELSE") else ()
    reader.expect("END", "IF", ";")
    return If(test, then, otherwise)

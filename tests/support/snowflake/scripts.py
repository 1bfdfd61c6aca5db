"""Blocks of Snowflake Scripting at work, and procedures, whose bodies they are."""

from datetime import datetime
from typing import Any

from tests.support.snowflake import blocks, refusals, statements
from tests.support.snowflake.blocks import Block, parse_block
from tests.support.snowflake.catalog import Thing
from tests.support.snowflake.engine import Work
from tests.support.snowflake.grammar import parse
from tests.support.snowflake.reader import Reader, shown
from tests.support.snowflake.results import Result, ResultColumn
from tests.support.snowflake.words import Kind, words

_AFTER_A_PATH = (Kind.BARE, Kind.QUOTED)


class _Returned(Exception):
    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


def run(work: Work, text: str, arguments: dict[str, Any] | None = None, *, name: str = "anonymous block") -> Result:
    """What RETURN says, or NULL. A statement that fails ends the block; what ran before it stays."""
    block = parse_block(text)
    try:
        _Running(work, dict(arguments or {})).block(block)
    except _Returned as returned:
        return Result((ResultColumn(name),), [(None if returned.value is None else str(returned.value),)])
    return Result((ResultColumn(name),), [(None,)])


def call(work: Work, statement: statements.Call) -> Result:
    """With the rights of the caller, where the procedure says so. Its owner's are not modelled."""
    parts = Reader(f"({statement.arguments})")
    texts = [text for text in parts.between().split(",") if text.strip()]
    procedure = _procedure(work, statement, len(texts))
    work.access.require("USAGE", procedure)
    if procedure.settings.get("EXECUTE AS") != "CALLER":
        raise refusals.Unknown("procedures that run with their owner's rights")
    values = [_Running(work, {}).value(text) for text in texts]
    arguments = {column.name: value for column, value in zip(procedure.columns, values, strict=True)}
    return run(work, procedure.body, arguments, name=procedure.name[-1].partition("(")[0])


def _procedure(work: Work, statement: statements.Call, count: int) -> Thing:
    whole = work.access.whole("PROCEDURE", statement.name)
    for thing in work.catalog.of("PROCEDURE"):
        alike = thing.name[:-1] == whole[:-1] and thing.name[-1].partition("(")[0] == whole[-1]
        if alike and len(thing.columns) == count and work.access.find("PROCEDURE", thing.name):
            return thing
    raise refusals.Refusal("002141", "42601", f"SQL compilation error:\nUnknown user-defined function {shown(whole)}")


class _Running:
    def __init__(self, work: Work, variables: dict[str, Any]) -> None:
        self._work = work
        self._variables = variables
        self._cursors: dict[str, str] = {}
        self._refusal: refusals.Refusal | None = None

    def block(self, block: Block) -> None:
        try:
            self._steps(block.body)
        except refusals.Unknown:
            raise
        except refusals.Refusal as refusal:
            if not block.handler:
                raise
            self._refusal = refusal
            self._steps(block.handler)

    def _steps(self, steps: tuple[blocks.Step, ...]) -> None:
        for step in steps:
            self._step(step)

    def _step(self, step: blocks.Step) -> None:
        match step:
            case blocks.Sql(text):
                if text.upper() != "NULL":
                    self._sql(text)
            case blocks.Assign(name, text):
                self._variables[name] = None if text is None else self.value(text)
            case blocks.Cursor(name, query):
                self._cursors[name] = query
            case blocks.For(name, cursor, body):
                found = self._sql(self._cursors[cursor])
                for row in found.rows:
                    self._variables |= {f"{name}.{column.name}": value for column, value in zip(found.columns, row, strict=True)}
                    self._steps(body)
            case blocks.If(test, then, otherwise):
                self._steps(then if self.value(test) else otherwise)
            case blocks.Return(text):
                raise _Returned(None if text is None else self.value(text))
            case blocks.Raise():
                if self._refusal is None:
                    raise refusals.Unknown("RAISE outside of a handler")
                raise self._refusal
            case Block():
                self.block(step)

    def _sql(self, text: str) -> Result:
        return self._work.run(parse(self._bound(text)))

    def value(self, text: str) -> Any:
        """Of an expression: variables stand there by their names, with a colon or without."""
        reading = words(text)
        parts, end = [], 0
        for place, word in enumerate(reading):
            name = word.value
            if word.kind is Kind.BARE and reading[place + 1].keyword == ".":
                name = f"{word.value}.{reading[place + 2].value}"
            if word.kind is Kind.BARE and word.start >= end and name in self._variables:
                last = reading[place + 2] if "." in name else word
                parts += [text[end : word.start].removesuffix(":"), literal(self._variables[name])]
                end = last.end
        found = self._work.run(statements.Query(f"SELECT {''.join([*parts, text[end:]])}"))
        return found.rows[0][0]

    def _bound(self, text: str) -> str:
        """``:name`` by the value of the variable; a colon that follows a value is a path into it."""
        reading = words(text)
        parts, end = [], 0
        for place, word in enumerate(reading[:-1]):
            following = reading[place + 1]
            glued = (
                place > 0
                and reading[place - 1].end == word.start
                and (reading[place - 1].kind in _AFTER_A_PATH or text[word.start - 1] in ")]")
            )
            if word.keyword == ":" and following.value in self._variables and following.start == word.end and not glued:
                parts += [text[end : word.start], literal(self._variables[following.value])]
                end = following.end
        return "".join([*parts, text[end:]])


def literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime):
        return f"'{value.isoformat(sep=' ')}'::TIMESTAMP_TZ"
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
    return str(value)

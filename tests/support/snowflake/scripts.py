"""Blocks of Snowflake Scripting, as far as the driver needs them: statements in their order, an EXCEPTION for all, RETURN."""

from tests.support.snowflake import refusals
from tests.support.snowflake.engine import Work
from tests.support.snowflake.grammar import parse, split
from tests.support.snowflake.reader import Reader
from tests.support.snowflake.results import Result, ResultColumn
from tests.support.snowflake.words import Kind, words


def run(work: Work, text: str) -> Result:
    """What RETURN says, or NULL. A statement that fails ends the block; what ran before it stays."""
    body, handler = _parts(text)
    try:
        answer = _run_all(work, body)
    except refusals.Unknown:
        raise
    except refusals.Refusal as refusal:
        if not handler:
            raise
        answer = _run_all(work, handler, refusal)
    return Result((ResultColumn("anonymous block"),), [(answer,)])


def _parts(text: str) -> tuple[list[str], list[str]]:
    """The statements of the block, and those of ``EXCEPTION WHEN OTHER THEN``."""
    reader = Reader(text)
    if reader.take("DECLARE"):
        raise refusals.Unknown("DECLARE in a block")
    reader.expect("BEGIN")
    start = reader.word.start
    last = words(text)
    end = [word for word in last if word.keyword == "END"]
    if not end:
        raise reader.unexpected()
    inner = text[start : end[-1].start]
    statements = split(inner)
    for place, statement in enumerate(statements):
        beginning = Reader(statement)
        if beginning.take("EXCEPTION"):
            beginning.expect("WHEN", "OTHER", "THEN")
            return statements[:place], [statement[beginning.word.start :], *statements[place + 1 :]]
    return statements, []


def _run_all(work: Work, statements: list[str], refusal: refusals.Refusal | None = None) -> str | None:
    for statement in statements:
        reader = Reader(statement)
        if reader.take("RETURN"):
            return reader.text() if reader.word.kind is Kind.TEXT else None
        if reader.take("RAISE"):
            if refusal is not None and reader.ended:
                raise refusal
            raise refusals.Unknown("RAISE of an exception of its own")
        if reader.one_of("LET", "IF", "FOR", "CASE", "LOOP", "WHILE", "REPEAT"):
            raise refusals.Unknown(f"{statement.split()[0].upper()} in a block")
        if not reader.take("NULL"):
            work.run(parse(statement))
    return None

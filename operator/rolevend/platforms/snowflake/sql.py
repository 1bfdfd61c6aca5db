"""Compose SQL of Snowflake from typed parts. Pure.

Only `Sql`, text composed here, becomes part of a statement. A template is a literal; its placeholders take `Sql` only.
"""

import re
from collections.abc import Iterable
from typing import Final, LiteralString, NewType

from rolevend.errors import InvalidInput

Sql = NewType("Sql", str)

LONGEST_NAME: Final = 255
_OURS = re.compile(r"[A-Z_][A-Z0-9_$]{0,254}")


def compose(template: LiteralString, /, *places: Sql, **parts: Sql) -> Sql:
    """Return `template` with each `{name}` replaced once by that part, and each `{}` by the next of `places`. Braces within parts have no
    meaning.
    """
    return Sql(template.format(*places, **parts))


def join(separator: LiteralString, parts: Iterable[Sql]) -> Sql:
    return Sql(separator.join(parts))


def name(text: str) -> Sql:
    """Return the quoted name of rolevend's role, user, policy or object: `[A-Z0-9_$]` only."""
    if not _OURS.fullmatch(text):
        raise InvalidInput("", f"{text[:60]!r} is not a name of ours on Snowflake: A to Z, 0 to 9, _ and $, and no digit first")
    return Sql(f'"{text}"')


def identifier(text: str) -> Sql:
    """Return the quoted name of a customer's schema, table or column, in exactly these letters."""
    if not text or len(text) > LONGEST_NAME or not _printable(text):
        raise InvalidInput("", f"{text[:60]!r} is not a name on Snowflake: 1 to {LONGEST_NAME} characters, without NUL")
    return Sql('"' + text.replace('"', '""') + '"')


def qualified(*parts: str) -> Sql:
    return join(".", map(identifier, parts))


def literal(text: str) -> Sql:
    """Return a text literal. A backslash starts an escape in Snowflake, so it is doubled, like a quote."""
    if not _printable(text):
        raise InvalidInput("", "a text with the character NUL, or with half a character, cannot be written on Snowflake")
    return Sql("'" + text.replace("\\", "\\\\").replace("'", "''") + "'")


def number(value: int) -> Sql:
    return Sql(str(value))


def _printable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)

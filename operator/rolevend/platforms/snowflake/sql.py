"""SQL text of Snowflake, composed from typed parts. Pure.

`Sql` is text that was composed here; nothing else is put into a statement. A template is written by hand, and its places take `Sql` alone.
"""

import re
from collections.abc import Iterable
from typing import Final, LiteralString, NewType

from rolevend.errors import InvalidInput

Sql = NewType("Sql", str)

LONGEST_NAME: Final = 255
_OURS = re.compile(r"[A-Z_][A-Z0-9_$]{0,254}")


def compose(template: LiteralString, /, *places: Sql, **parts: Sql) -> Sql:
    """`template` with each `{name}` in it replaced by that part, once, and each `{}` by the next of `places`: braces within parts mean
    nothing."""
    return Sql(template.format(*places, **parts))


def join(separator: LiteralString, parts: Iterable[Sql]) -> Sql:
    return Sql(separator.join(parts))


def name(text: str) -> Sql:
    """A name of ours, of a role, a user, a policy or a part of the control database: the language of `[A-Z0-9_$]` alone, quoted."""
    if not _OURS.fullmatch(text):
        raise InvalidInput("", f"{text[:60]!r} is not a name of ours on Snowflake: A to Z, 0 to 9, _ and $, and no digit first")
    return Sql(f'"{text}"')


def identifier(text: str) -> Sql:
    """A name that a customer gave a schema, a table or a column, in exactly these letters."""
    if not text or len(text) > LONGEST_NAME or not _printable(text):
        raise InvalidInput("", f"{text[:60]!r} is not a name on Snowflake: 1 to {LONGEST_NAME} characters, without NUL")
    return Sql('"' + text.replace('"', '""') + '"')


def qualified(*parts: str) -> Sql:
    return join(".", map(identifier, parts))


def literal(text: str) -> Sql:
    """A text. In Snowflake a backslash begins an escape, so it stands twice, as a quote does."""
    if not _printable(text):
        raise InvalidInput("", "a text with the character NUL, or with half a character, cannot be written on Snowflake")
    return Sql("'" + text.replace("\\", "\\\\").replace("'", "''") + "'")


def number(value: int) -> Sql:
    return Sql(str(value))


def _printable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)

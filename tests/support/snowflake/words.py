"""Text into words: a tokenizer for Snowflake's SQL. Words keep their places, so that a policy's body can be cut out as it was written."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from tests.support.snowflake import refusals

_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "f": "\f"}
_SPACE = re.compile(r"(?:\s+|--[^\n]*|//[^\n]*|/\*.*?\*/)+", re.DOTALL)
_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_SIGNS = re.compile(r"->>|->|=>|::|\|\||<>|<=|>=|!=|[\S]")


class Kind(Enum):
    BARE = "bare"
    QUOTED = "quoted"
    TEXT = "text"
    NUMBER = "number"
    SIGN = "sign"
    END = "end"


@dataclass(frozen=True, slots=True)
class Word:
    """`value` is what the word means: an identifier in the case it has, a text without its quotes and escapes."""

    kind: Kind
    value: str
    start: int
    end: int

    @property
    def keyword(self) -> str:
        return self.value if self.kind in (Kind.BARE, Kind.SIGN) else ""


def words(sql: str) -> tuple[Word, ...]:
    return (*_words(sql), Word(Kind.END, "<EOF>", len(sql), len(sql)))


def _words(sql: str) -> Iterator[Word]:
    at = 0
    while at < len(sql):
        if space := _SPACE.match(sql, at):
            at = space.end()
            continue
        word = _word(sql, at)
        yield word
        at = word.end


def _word(sql: str, at: int) -> Word:
    if sql.startswith("$$", at):
        end = sql.find("$$", at + 2)
        if end < 0:
            raise _unended(sql, at)
        return Word(Kind.TEXT, sql[at + 2 : end], at, end + 2)
    if sql[at] == "'":
        return _text(sql, at)
    if sql[at] == '"':
        return _quoted(sql, at)
    for kind, pattern in ((Kind.BARE, _BARE), (Kind.NUMBER, _NUMBER)):
        if found := pattern.match(sql, at):
            value = found.group().upper() if kind is Kind.BARE else found.group()
            return Word(kind, value, at, found.end())
    sign = _SIGNS.match(sql, at)
    assert sign is not None
    return Word(Kind.SIGN, sign.group(), at, sign.end())


def _quoted(sql: str, at: int) -> Word:
    found = re.compile(r'"((?:[^"]|"")*)"').match(sql, at)
    if found is None:
        raise _unended(sql, at)
    return Word(Kind.QUOTED, found.group(1).replace('""', '"'), at, found.end())


def _text(sql: str, at: int) -> Word:
    """Backslash escapes, as in Snowflake; a doubled quote is a quote."""
    value, place = [], at + 1
    while place < len(sql):
        sign = sql[place]
        if sign == "\\" and place + 1 < len(sql):
            following = sql[place + 1]
            value.append(_ESCAPES.get(following, following))
            place += 2
        elif sql.startswith("''", place):
            value.append("'")
            place += 2
        elif sign == "'":
            return Word(Kind.TEXT, "".join(value), at, place + 1)
        else:
            value.append(sign)
            place += 1
    raise _unended(sql, at)


def _unended(sql: str, at: int) -> refusals.Refusal:
    return refusals.syntax(sql.count("\n", 0, at) + 1, at, "<EOF>")

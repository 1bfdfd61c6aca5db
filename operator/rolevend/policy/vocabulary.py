"""Admit the words of a row filter, and the positions of each; suggest a known word for an unknown one. Knows no parser: words are values.

This check runs before a lenient parser: comments, casts, placeholders and functions are refused with a way out, and the rest is small
enough for recursive code.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import lru_cache
from itertools import pairwise
from typing import Final
from unicodedata import category

from rolevend.errors import InvalidInput

_MANY: Final = 1_000
"""Above this number, compare only words with the same first letter: a large database has tens of thousands of names."""
MAXIMUM_LENGTH: Final = 2048
MAXIMUM_DEPTH: Final = 32
MAXIMUM_TESTS: Final = 200
ALLOWED: Final = "allowed are = <> < <= > >=, IN, BETWEEN, IS NULL, AND, OR, NOT, user_attr('name'), col('tag') and now()"
_CAST = ("casts are not allowed in a row filter", "write the plain literal, '2024-01-31': it is read as the column's own type")
_ARITHMETIC = ("arithmetic is not allowed in a row filter", "compare the column itself with a literal")
_COMMENT = ("comments are not allowed in a row filter", "remove it, and describe the policy in an annotation")
_SPACE = ("only plain spaces and line ends separate words", "type this space again")
_STRING = ("only plain strings and numbers are allowed in a row filter", "write 'text', on one line, with '' for a quote inside")
_REFUSED: dict[tuple[str, ...], tuple[str, str]] = {
    ("SELECT", "WITH", "UNION", "EXISTS", "ANY", "ALL", "SOME"): (
        "subqueries are not allowed in a row filter",
        "put the fact on the user and compare with user_attr('name')",
    ),
    ("LIKE", "ILIKE", "SIMILAR_TO", "RLIKE", "IRLIKE", "TILDE"): (
        "pattern matching is not allowed in a row filter",
        "list the values: column IN ('a', 'b')",
    ),
    ("PARAMETER", "PLACEHOLDER", "COLON"): ("placeholders are not allowed in a row filter", "a value of the user is user_attr('name')"),
    ("DCOLON",): _CAST,
    ("PLUS", "STAR", "SLASH", "MOD", "CARET", "DPIPE", "HASH"): _ARITHMETIC,
    (
        *("BYTE_STRING", "BIT_STRING", "HEX_STRING", "HEREDOC_STRING"),
        *("NATIONAL_STRING", "UNICODE_STRING", "RAW_STRING"),
    ): _STRING,
    ("CURRENT_TIMESTAMP", "LOCALTIMESTAMP", "CURRENT_DATETIME"): ("the clock has one name in a row filter", "write now()"),
    ("SEMICOLON",): ("a row filter is one condition", "remove the ; and what follows it"),
    ("CASE",): ("CASE is not allowed in a row filter", "combine conditions with AND, OR and NOT"),
    ("COLLATE",): ("COLLATE is not allowed in a row filter", "leave it out: the column's own collation holds"),
    ("DISTINCT",): ("IS DISTINCT FROM is not allowed in a row filter", "write column <> 'x' OR column IS NULL"),
}
_REFUSAL = {kind: refusal for kinds, refusal in _REFUSED.items() for kind in kinds}
_SPELLINGS = {"EQ": ("=",), "NEQ": ("<>", "!="), "LT": ("<",), "LTE": ("<=",), "GT": (">",), "GTE": (">=",)}
_KEYWORDS = frozenset({"AND", "OR", "NOT", "IN", "BETWEEN", "IS", "NULL", "TRUE", "FALSE", "CURRENT_DATE"})
_PLACED = frozenset({"FUNCTION", "SHIFT", "SPAN"})
_PUNCTUATION = frozenset({"L_PAREN", "R_PAREN", "COMMA"})
_OPERAND_ENDS = frozenset({"STRING", "NUMBER", "TRUE", "FALSE", "NULL", "R_PAREN"})
_FUNCTIONS = {"user_attr": "user_attr('name')", "col": "col('tag')", "now": "now()"}
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories of invisible characters. Cf changes the direction of text: a reviewer would see another text than the parser."""
_BARE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BEGINS_WORD = re.compile(r"[A-Za-z0-9_]")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")


def near(word: str, known: Iterable[str]) -> str | None:
    """Return the word of `known` that is most similar to `word`, ignoring case, or None. Independent of the order of `known`."""
    return _near(word, frozenset(known))


@lru_cache(maxsize=256)  # a comparison takes milliseconds, and each change repeats the unchanged ones
def _near(word: str, known: frozenset[str]) -> str | None:
    spelled = {each.lower(): each for each in sorted(known, reverse=True)}
    if len(spelled) > _MANY:
        spelled = {lower: each for lower, each in spelled.items() if lower[:2] == word[:2].lower()}
    return next((spelled[each] for each in get_close_matches(word.lower(), sorted(spelled), n=1, cutoff=0.65)), None)


def closest(word: str, known: Iterable[str]) -> str:
    """Return the end of a message: the suggestion, or an empty text."""
    found = near(word, known)
    return f"; did you mean {found}?" if found else ""


@dataclass(frozen=True, slots=True)
class Source:
    """A row filter's text and its field."""

    text: str
    field: str

    @property
    def every_row(self) -> str:
        """The way to have no row filter. A policy must state it."""
        return "write rows: All instead of rowFilter" if self.field == "spec.rowFilter" else f"leave {self.field} out"

    def fault(self, start: int, problem: str, way_out: str) -> InvalidInput:
        before = self.text[:start]
        return InvalidInput(self.field, f"line {before.count(chr(10)) + 1}, column {start - before.rfind(chr(10))}: {problem}; {way_out}")


@dataclass(frozen=True, slots=True)
class Word:
    kind: str
    """The tokenizer's kind: `VAR`, `IDENTIFIER`, `STRING`, `NUMBER`, `L_PAREN` or a keyword; after `in_place` also `FUNCTION`, `SHIFT` for
    the sign after a clock, `SPAN` for `interval` after that sign.
    """
    text: str
    """Without quotes."""
    raw: str
    """As written in the source."""
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.raw)

    @property
    def is_name(self) -> bool:
        """True if it can be a column's name: quoted, or a bare word that is no keyword of this language."""
        if self.kind in _KEYWORDS or self.kind in _PLACED or self.kind in _REFUSAL or self.kind == "STRING":
            return False
        return self.kind == "IDENTIFIER" or _BARE_NAME.fullmatch(self.raw) is not None

    @property
    def name(self) -> str:
        """The column's name: as quoted, or in lower case."""
        return self.text if self.kind == "IDENTIFIER" else self.raw.lower()

    @property
    def is_clock(self) -> bool:
        return self.kind == "CURRENT_DATE" or (self.kind == "FUNCTION" and self.name == "now")


def in_place(words: Sequence[Word]) -> list[Word]:
    """Return the words with the kind that follows from their position: `now` is a function before a parenthesis, else a name."""
    placed: list[Word] = []
    for word, after in zip(words, (*words[1:], None), strict=False):
        before = placed[-1].kind if placed else ""
        called = after is not None and after.kind == "L_PAREN"
        kind = word.kind
        if kind == "VAR" and word.name in _FUNCTIONS and (called or word.name == "user_attr"):
            kind = "FUNCTION"
        elif kind in ("DASH", "PLUS") and (before == "CURRENT_DATE" or (before == "R_PAREN" and len(placed) > 2 and placed[-3].is_clock)):
            kind = "SHIFT"
        elif kind == "INTERVAL" and before == "SHIFT" and after is not None and after.kind == "STRING":
            kind = "SPAN"
        placed.append(replace(word, kind=kind))
    return placed


def admit_text(source: Source) -> None:
    """Refuse a text that is too long or has invisible characters."""
    if len(source.text) > MAXIMUM_LENGTH:
        raise source.fault(MAXIMUM_LENGTH, f"a row filter has at most {MAXIMUM_LENGTH} characters", "move the list to a user attribute")
    for position, character in enumerate(source.text):
        if category(character) in _UNSEEN and character not in "\n\t":
            raise source.fault(position, f"the control character U+{ord(character):04X} is not allowed in a row filter", "remove it")


def admit_words(source: Source, words: Sequence[Word]) -> None:
    """Refuse words that are not in the language or are out of position, and texts beyond its limits."""
    if not words:
        raise source.fault(0, "the row filter is empty", f"write a condition, or for every row {source.every_row}")
    _only_spaces_between(source, words)
    for before, word, after in zip((None, *words), words, (*words[1:], None), strict=False):
        _admit(source, before, word, after)
        if after is not None and after.start == word.end:
            _admit_side_by_side(source, word, after)
    _only_between_is_and_null(source, words)
    _within_bounds(source, words)


def _only_spaces_between(source: Source, words: Sequence[Word]) -> None:
    edges = [(0, 0), *((word.start, word.end) for word in words), (len(source.text), len(source.text))]
    for (_, end), (start, _) in pairwise(edges):
        for position in range(end, start):
            if source.text[position] not in " \t\n":
                raise source.fault(position, *(_COMMENT if source.text[position] in "-/#" else _SPACE))


def _admit(source: Source, before: Word | None, word: Word, after: Word | None) -> None:
    kind, shown = word.kind, word.raw[:40]
    if kind in _KEYWORDS or kind in _PUNCTUATION or kind in _PLACED:
        if kind in _KEYWORDS and word.raw.upper() != kind:  # such as ! for NOT: synonyms of the parser that PostgreSQL does not have
            raise source.fault(word.start, f"{shown} is no word of a row filter", f"write {kind}")
        if kind == "CURRENT_DATE" and after is not None and after.kind == "L_PAREN":
            raise source.fault(after.start, "current_date has no parentheses", "remove them")
        if kind == "COMMA" and before is not None and before.kind == "L_PAREN":
            raise source.fault(word.start, "a value is missing before the comma", "remove the comma or add the value")
        if kind == "COMMA" and (after is None or after.kind in ("COMMA", "R_PAREN")):
            raise source.fault(word.start, "a value is missing after the comma", "remove the comma or add the value")
        return
    if kind in _SPELLINGS:
        if word.raw not in _SPELLINGS[kind]:
            raise source.fault(word.start, f"{shown} is no operator of a row filter", f"write {_SPELLINGS[kind][0]}")
    elif kind in _REFUSAL:
        raise source.fault(word.start, *_REFUSAL[kind])
    elif kind == "STRING":
        _admit_string(source, before, word)
    elif kind == "NUMBER":
        if not _NUMBER.fullmatch(word.raw):
            raise source.fault(word.start, f"{shown} is not a plain number", "write digits without exponent, such as 1000 or 0.5")
    elif kind == "DASH":
        if after is None or after.kind != "NUMBER" or (before is not None and (before.kind in _OPERAND_ENDS or before.is_name)):
            raise source.fault(word.start, *_ARITHMETIC)
    elif kind == "DOT":
        if before is None or not before.is_name:
            raise source.fault(word.start, "a number does not begin with a dot", "write 0.5")
        raise source.fault(before.start, "columns are named alone, without table or schema", f"remove {before.raw[:40]} and the dot")
    elif not word.is_name or (kind == "IDENTIFIER" and not _plainly_quoted(word, '"')):
        raise source.fault(word.start, f"{shown} is not allowed in a row filter", ALLOWED)
    elif after is not None and after.kind == "L_PAREN":
        found = near(word.name, _FUNCTIONS)
        way_out = f"did you mean {_FUNCTIONS[found]}?" if found else "compare the column itself with a literal"
        raise source.fault(word.start, f"function {shown}() is not allowed in a row filter", way_out)


def _admit_side_by_side(source: Source, word: Word, after: Word) -> None:
    """Refuse two words that PostgreSQL reads differently without a space between them."""
    if word.raw == "!=" and after.kind == "DASH":
        raise source.fault(word.start, "!=- is one operator of PostgreSQL", "write <> and a space before the -")
    if word.kind == "NUMBER" and _BEGINS_WORD.match(after.raw):
        raise source.fault(word.start, f"{word.raw[:20]}{after.raw[:20]} is not a plain number", "write a space behind the number")


def _only_between_is_and_null(source: Source, words: Sequence[Word]) -> None:
    """The parser reads `a NOT NULL` and `a NOT IS NULL` as `a IS NOT NULL`; PostgreSQL refuses both."""
    for before, word, after in zip((None, *words), words, words[1:], strict=False):
        if word.kind == "NOT" and (after.kind == "IS" or (after.kind == "NULL" and (before is None or before.kind != "IS"))):
            raise source.fault(word.start, "NOT stands between IS and NULL", "write column IS NOT NULL")


def near_keyword(word: str) -> str | None:
    """Return the word of this language that is most similar to `word`."""
    return near(word, _KEYWORDS - {word.upper()})


def _admit_string(source: Source, before: Word | None, word: Word) -> None:
    if not _plainly_quoted(word, "'") or "\n" in word.raw or "\t" in word.raw:
        raise source.fault(word.start, *_STRING)
    if before is not None and before.kind == "STRING":
        raise source.fault(word.start, "two strings stand side by side", "separate the values of a list with commas")
    if before is not None and before.is_name:
        raise source.fault(before.start, *_CAST)


def _plainly_quoted(word: Word, quote: str) -> bool:
    """True if the tokenizer followed standard SQL: a doubled quote is a quote, a backslash is itself. A name is not empty."""
    return word.raw[0] == quote and word.raw[1:-1].replace(quote * 2, quote) == word.text and (quote == "'" or word.text != "")


def _within_bounds(source: Source, words: Sequence[Word]) -> None:
    depth = negations = tests = 0
    for word in words:
        depth += (word.kind == "L_PAREN") - (word.kind == "R_PAREN")
        negations = negations + 1 if word.kind == "NOT" else negations if word.kind == "L_PAREN" else 0
        if depth + negations > MAXIMUM_DEPTH:
            raise source.fault(word.start, f"conditions are nested deeper than {MAXIMUM_DEPTH}", "remove parentheses that change nothing")
        tests += (word.kind in ("AND", "OR")) - (word.kind == "BETWEEN")
        if tests >= MAXIMUM_TESTS:
            raise source.fault(word.start, f"a row filter has at most {MAXIMUM_TESTS} tests", "use one IN list for tests of one column")

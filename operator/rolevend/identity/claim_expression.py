"""CEL over `claims`: admitted word by word, compiled once, and answered per token. Bounded like conditions (policy/condition.py).

There is one loop at most, over a list that is not long, and nothing else of the claims is named in it: each step takes microseconds, and
nothing else runs meanwhile.
"""

import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from rolevend.policy.cel_extension import cel_extension
from rolevend.policy.vocabulary import Source

if TYPE_CHECKING:
    import cel
else:
    cel = cel_extension()

MAXIMUM_LENGTH: Final = 1024
MAXIMUM_DEPTH: Final = 32
LONGEST_LOOP: Final = 256
"""Of lists in claims that expressions with a loop are asked about."""
ROOT: Final = "claims"

_LOOPS: Final = ("all", "exists", "exists_one", "filter", "map")
_METHODS: Final = ("startsWith", "endsWith", "contains", "size", *_LOOPS)
_FUNCTIONS: Final = ("has", "size")
_LITERALS: Final = ("true", "false", "in")
_ALLOWED: Final = (
    "allowed are claims.NAME, claims['NAME'], plain texts, numbers, == != < <= > >= && || ! in ?:, has(), size(), startsWith(), "
    "endsWith(), contains(), and one of all(), exists(), exists_one(), filter() and map()"
)
_WORD = re.compile(
    r"""(?P<space>[ \t\n]+)
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<number>[0-9]{1,18}(?![A-Za-z0-9_.]))
      | (?P<text>'[^'"\\\n]*'|"[^'"\\\n]*")
      | (?P<symbol>==|!=|<=|>=|&&|\|\||[<>!?:,.()\[\]])""",
    re.VERBOSE,
)


class Unanswerable(ValueError):
    """The claims are not of the types that it asks for."""


@dataclass(frozen=True, slots=True)
class Expression:
    """Equal where the text is: what is compiled follows from it."""

    text: str
    has_loop: bool
    program: cel.Program = field(compare=False, repr=False)

    def answer(self, claims: dict[str, Any]) -> Any:
        """Whatever it says of them. Raises KeyError where it reads a claim that is not there, and Unanswerable for all else."""
        if self.has_loop and not _short(claims):
            raise Unanswerable(f"a list in the claims has more than {LONGEST_LOOP} members")
        try:
            return self.program.execute(cel.Context(variables={ROOT: claims}))
        except BaseException as error:
            if isinstance(error, KeyError | KeyboardInterrupt | SystemExit | GeneratorExit):
                raise
            raise Unanswerable("its parts are of types that do not go together") from error  # also a panic of the library


@dataclass(frozen=True, slots=True)
class _Word:
    kind: str
    text: str
    start: int


_NOTHING = _Word("", "", 0)


def admit(text: str, place: str) -> Expression:
    """Raises InvalidInput for the field `place`, with line and column."""
    source = Source(text, place)
    words = _words(source)
    has_loop = _Reader(source, words).read()
    try:
        return Expression(text, has_loop, cel.compile(text))
    except ValueError as error:
        raise source.fault(0, "this is no expression of CEL", "check its parentheses and operators") from error


def _short(value: Any) -> bool:
    if not isinstance(value, dict | list):
        return True
    members = value.values() if isinstance(value, dict) else value
    return len(members) <= LONGEST_LOOP and all(_short(member) for member in members)


def _words(source: Source) -> list[_Word]:
    if len(source.text) > MAXIMUM_LENGTH:
        raise source.fault(MAXIMUM_LENGTH, f"it has at most {MAXIMUM_LENGTH} characters", "let the identity provider compute the claim")
    words: list[_Word] = []
    position = depth = 0
    while position < len(source.text):
        found = _WORD.match(source.text, position)
        if found is None:
            raise source.fault(position, f"{source.text[position : position + 20]} is not allowed here", _ALLOWED)
        if found.lastgroup != "space":
            words.append(_Word(str(found.lastgroup), found.group(), position))
            depth += (found.group() in "([") - (found.group() in ")]")
            if depth > MAXIMUM_DEPTH:
                raise source.fault(position, f"it is nested deeper than {MAXIMUM_DEPTH}", "remove parentheses that change nothing")
        position = found.end()
    return words


class _Reader:
    """Goes through the words once, from left to right."""

    def __init__(self, source: Source, words: list[_Word]) -> None:
        self._source = source
        self._words = words
        self._variable = ""
        self._loop_until = -1

    def read(self) -> bool:
        """Whether there is a loop."""
        for before, word in pairwise((_NOTHING, *self._words)):
            if word.kind == "text" and before.kind in ("text", "name") and before.text != "in":
                raise self._source.fault(before.start, "a text stands in plain quotes, alone", "write 'text'")
        for place, word in enumerate(self._words):
            if word.kind == "name":
                self._name(place, word)
            elif word.text == "[" and self._ends_a_value(place - 1):
                self._index(place)
        return self._loop_until >= 0

    def _name(self, place: int, word: _Word) -> None:
        called = self._at(place + 1).text == "("
        if self._at(place - 1).text == ".":
            self._member(place, word, called=called)
        elif word.text == ROOT and not called:
            self._root(place, word)
        elif not (word.text in _LITERALS or (word.text in _FUNCTIONS and called) or self._is_variable(place, word)):
            raise self._source.fault(word.start, f"{word.text[:40]} is not known here", _ALLOWED)

    def _member(self, place: int, word: _Word, *, called: bool) -> None:
        if called and word.text not in _METHODS:
            raise self._source.fault(word.start, f"{word.text[:40]}() is not allowed here", _ALLOWED)
        if called and word.text in _LOOPS:
            self._loop(place, word)

    def _root(self, place: int, word: _Word) -> None:
        if place < self._loop_until:
            raise self._source.fault(word.start, "a loop names nothing but its own list", "compare its variable with texts")
        if self._at(place + 1).text not in (".", "[") or self._at(place + 3).text == "(":
            raise self._source.fault(word.start, "a claim is read by its name", f"write {ROOT}.NAME")

    def _loop(self, place: int, word: _Word) -> None:
        if self._loop_until >= 0:
            raise self._source.fault(word.start, "there is at most one loop", "let the identity provider compute the claim")
        variable = self._at(place + 2)
        if variable.kind != "name" or variable.text in (ROOT, *_LITERALS, *_FUNCTIONS) or self._at(place + 3).text != ",":
            raise self._source.fault(
                word.start, f"{word.text}() takes a variable and an expression", f"write .{word.text}(one, one == 'x')"
            )
        self._variable = variable.text
        self._loop_until = self._closing(place + 1)

    def _index(self, place: int) -> None:
        if self._at(place + 1).kind not in ("text", "number") or self._at(place + 2).text != "]":
            raise self._source.fault(self._words[place].start, "a part is read by its name or place", f"write {ROOT}['NAME']")

    def _ends_a_value(self, place: int) -> bool:
        before = self._at(place)
        return before.text in (")", "]") or (before.kind == "name" and before.text != "in")

    def _is_variable(self, place: int, word: _Word) -> bool:
        return word.text == self._variable and place < self._loop_until

    def _closing(self, place: int) -> int:
        depth = 0
        for position in range(place, len(self._words)):
            depth += (self._at(position).text == "(") - (self._at(position).text == ")")
            if not depth:
                return position
        return len(self._words)

    def _at(self, place: int) -> _Word:
        """Texts in quotes have no word that could be taken for another."""
        return self._words[place] if 0 <= place < len(self._words) else _NOTHING

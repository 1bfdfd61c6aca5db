"""CEL over `claims`: validated token by token, compiled once, evaluated for each user's token.

Bounded like conditions (policy/condition.py): at most one loop, over a short list, and no other claim is named in it. Each step takes
microseconds and blocks the event loop.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from rolevend.policy.cel import ALLOWED, FUNCTIONS, LITERALS, LOOPS, METHODS, OPERATORS, Token, cel_extension, no_operator, tokens_of
from rolevend.policy.vocabulary import Source

if TYPE_CHECKING:
    import cel
else:
    cel = cel_extension()

LONGEST_LOOP: Final = 256
"""Maximum length of lists in claims for expressions with a loop."""
ROOT: Final = "claims"

_ALLOWED: Final = f"allowed are claims.NAME, claims['NAME'], {ALLOWED}"


class Unanswerable(ValueError):
    """The claims have other types than the expression needs."""


@dataclass(frozen=True, slots=True)
class Expression:
    """Equal if the texts are equal."""

    text: str
    has_loop: bool
    program: cel.Program = field(compare=False, repr=False)

    def answer(self, claims: dict[str, Any]) -> Any:
        """Evaluate the expression. Raises KeyError for a missing claim, and Unanswerable for any other error."""
        if self.has_loop and not _short(claims):
            raise Unanswerable(f"a list in the claims has more than {LONGEST_LOOP} members")
        try:
            return self.program.execute(cel.Context(variables={ROOT: claims}))
        except BaseException as error:
            if isinstance(error, KeyError | KeyboardInterrupt | SystemExit | GeneratorExit):
                raise
            raise Unanswerable("its parts are of types that do not go together") from error  # including a panic of the library


_NOTHING = Token("", "", 0)


def admit(text: str, place: str) -> Expression:
    """Validate and compile. Raises InvalidInput for the field `place`, with line and column."""
    source = Source(text, place)
    shorter = "let the identity provider compute the claim"
    words = tokens_of(source, what="it", where="here", shorter=shorter, allowed=_ALLOWED)
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


class _Reader:
    """Validates the tokens from left to right, once."""

    def __init__(self, source: Source, words: list[Token]) -> None:
        self._source = source
        self._words = words
        self._variable = ""
        self._loop_until = -1

    def read(self) -> bool:
        """Validate. True if there is a loop."""
        for before, word in pairwise((_NOTHING, *self._words)):
            if word.kind == "text" and before.kind in ("text", "name") and before.text != "in":
                raise self._source.fault(before.start, "a text stands in plain quotes, alone", "write 'text'")
        for place, word in enumerate(self._words):
            if word.kind == "name":
                self._name(place, word)
            elif word.text == "[" and self._ends_a_value(place - 1):
                self._index(place)
        return self._loop_until >= 0

    def _name(self, place: int, word: Token) -> None:
        called = self._at(place + 1).text == "("
        if self._at(place - 1).text == ".":
            self._member(place, word, called=called)
        elif word.text == ROOT and not called:
            self._root(place, word)
        elif not (word.text in LITERALS or (word.text in FUNCTIONS and called) or self._is_variable(place, word)):
            if word.text.upper() in OPERATORS:
                raise no_operator(self._source, word.start, word.text)
            raise self._source.fault(word.start, f"{word.text[:40]} is not known here", _ALLOWED)

    def _member(self, place: int, word: Token, *, called: bool) -> None:
        if called and word.text not in METHODS:
            raise self._source.fault(word.start, f"{word.text[:40]}() is not allowed here", _ALLOWED)
        if called and word.text in LOOPS:
            self._loop(place, word)

    def _root(self, place: int, word: Token) -> None:
        if place < self._loop_until:
            raise self._source.fault(word.start, "a loop names nothing but its own list", "compare its variable with texts")
        if self._at(place + 1).text not in (".", "[") or self._at(place + 3).text == "(":
            raise self._source.fault(word.start, "a claim is read by its name", f"write {ROOT}.NAME")

    def _loop(self, place: int, word: Token) -> None:
        if self._loop_until >= 0:
            raise self._source.fault(word.start, "there is at most one loop", "let the identity provider compute the claim")
        variable = self._at(place + 2)
        if variable.kind != "name" or variable.text in (ROOT, *LITERALS, *FUNCTIONS) or self._at(place + 3).text != ",":
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

    def _is_variable(self, place: int, word: Token) -> bool:
        return word.text == self._variable and place < self._loop_until

    def _closing(self, place: int) -> int:
        depth = 0
        for position in range(place, len(self._words)):
            depth += (self._at(position).text == "(") - (self._at(position).text == ")")
            if not depth:
                return position
        return len(self._words)

    def _at(self, place: int) -> Token:
        """Return the token at the place. Quoted texts contain no token."""
        return self._words[place] if 0 <= place < len(self._words) else _NOTHING

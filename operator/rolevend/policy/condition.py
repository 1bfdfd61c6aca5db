"""Conditions in CEL on user, agent and request (`matchConditions`): admitted word by word, compiled once, answered per request.

CEL has no limit of cost, and an expression runs while nothing else does. So the words are few, the length is bounded, and there is
one loop at most, in which no more than one list is named. Each attribute is read by its name, so that it can be said which ones were.
Of the core, the one place that uses `cel`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NoReturn

from rolevend.model import Attributes
from rolevend.policy.asking import Asking
from rolevend.policy.cel_extension import cel_extension
from rolevend.policy.vocabulary import Source

if TYPE_CHECKING:
    import cel
else:
    cel = cel_extension()

MAXIMUM_LENGTH: Final = 1024
MAXIMUM_DEPTH: Final = 32

_MEMBERS: Final = {
    "user": ("issuer", "subject", "attributes"),
    "agent": ("namespace", "name", "attributes"),
    "request": ("purpose", "platform", "expirationSeconds"),
}
_LOOPS: Final = ("all", "exists", "exists_one", "filter", "map")
_METHODS: Final = ("startsWith", "endsWith", "contains", "size", *_LOOPS)
_FUNCTIONS: Final = ("has", "size")
_LITERALS: Final = ("true", "false", "in")
_ALLOWED: Final = (
    "allowed are user.issuer, user.subject, user.attributes.NAME, agent.namespace, agent.name, agent.attributes.NAME, request.purpose, "
    "request.platform, request.expirationSeconds, plain texts, numbers, == != < <= > >= && || ! in ?:, has(), size(), startsWith(), "
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


@dataclass(frozen=True, slots=True)
class MatchCondition:
    """Equal where the text is: what is compiled follows from it."""

    name: str
    text: str
    reads: frozenset[str]
    """The user attributes that it names."""
    agent_reads: frozenset[str]
    """The attributes of the agent that it names."""
    program: cel.Program = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class _Word:
    kind: str
    text: str
    start: int


class Answers:
    """What conditions say of one request. All of them share one context, made when the first is asked; nothing is kept beyond that."""

    def __init__(self, attributes: Attributes, asking: Asking) -> None:
        self._attributes = attributes
        self._asking = asking
        self._context: cel.Context | None = None

    def unmet(self, condition: MatchCondition) -> str:
        """Why it does not hold, without any value; empty where it does. An error is no reason to grant."""
        if self._context is None:
            self._context = cel.Context(variables=self._asking.variables(self._attributes))
        try:
            answer = condition.program.execute(self._context)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit):
                raise  # all else counts as an error of the expression, also a panic of the library
            if isinstance(error, KeyError):
                return f"reads {error.args[0]}, which is not known"
            return "cannot be answered: its parts are of types that do not go together"
        if answer is True:
            return ""
        return "does not hold" if answer is False else "answers something else than true or false"


def admit(name: str, text: str, place: str, *, of_agent: bool = False) -> MatchCondition:
    """Raises InvalidInput for the field `place`, with line and column. `of_agent`: it must read nothing of the user."""
    source = Source(text, place)
    words = _words(source)
    reads = _Reader(source, words, ("agent", "request") if of_agent else tuple(_MEMBERS)).read()
    try:
        program = cel.compile(text)
    except ValueError as error:
        raise source.fault(0, "this is no expression of CEL", "check its parentheses and operators") from error
    if not any(word.kind == "name" and word.text in _MEMBERS for word in words):
        what = "this is the same for every request: it reads neither user nor agent nor request"
        raise source.fault(0, what, "test something of them, or leave the condition out")
    return MatchCondition(name, text, reads["user"], reads["agent"], program)


def _words(source: Source) -> list[_Word]:
    if len(source.text) > MAXIMUM_LENGTH:
        raise source.fault(MAXIMUM_LENGTH, f"a condition has at most {MAXIMUM_LENGTH} characters", "split it: all conditions must hold")
    words: list[_Word] = []
    position = depth = 0
    while position < len(source.text):
        found = _WORD.match(source.text, position)
        if found is None:
            shown = source.text[position : position + 20]
            raise source.fault(position, f"{shown} is not allowed in a condition", _ALLOWED)
        if found.lastgroup != "space":
            words.append(_Word(str(found.lastgroup), found.group(), position))
            depth += (found.group() in "([") - (found.group() in ")]")
            if depth > MAXIMUM_DEPTH:
                raise source.fault(position, f"it is nested deeper than {MAXIMUM_DEPTH}", "remove parentheses that change nothing")
        position = found.end()
    for before, word in pairwise(words):
        if (before.text, word.text) == ("[", "]") and "text" not in (before.kind, word.kind):
            raise source.fault(before.start, "an empty list holds nothing, and all() of nothing is always true", "name its values")
        if word.kind == "text" and before.kind in ("text", "name") and before.text != "in":
            raise source.fault(before.start, "a text stands in plain quotes, alone", "write 'text'")
    return words


class _Reader:
    """Goes through the words once, from left to right."""

    def __init__(self, source: Source, words: Sequence[_Word], known: Sequence[str]) -> None:
        """`known` are those of the roots that it may read."""
        self._source = source
        self._words = words
        self._known = known
        self._reads: dict[str, set[str]] = {"user": set(), "agent": set(), "request": set()}
        self._variable = ""
        self._loop_until: int | None = None
        self._lists_in_loop = 0

    def read(self) -> dict[str, frozenset[str]]:
        place = 0
        while place < len(self._words):
            place = self._name(place) if self._words[place].kind == "name" else self._member(place)
        return {root: frozenset(keys) for root, keys in self._reads.items()}

    def _name(self, place: int) -> int:
        word = self._words[place]
        if word.text in _MEMBERS:
            return self._path(place)
        if word.text in _LITERALS or (word.text in _FUNCTIONS and self._text(place + 1) == "(") or word.text == self._variable:
            return place + 1
        return self._refuse(place)

    def _member(self, place: int) -> int:
        """A symbol, a number or a text; after a dot the name of a method."""
        if self._words[place].text != ".":
            return place + 1
        method = self._text(place + 1)
        if method not in _METHODS or self._text(place + 2) != "(":
            return self._refuse(min(place + 1, len(self._words) - 1))
        return self._loop(place + 1) if method in _LOOPS else place + 2

    def _loop(self, place: int) -> int:
        word = self._words[place]
        if self._loop_until is not None:
            raise self._source.fault(word.start, "a condition has at most one loop", "split it: all conditions must hold")
        variable = self._words[place + 2] if place + 2 < len(self._words) else word
        if variable.kind != "name" or variable.text in (*_MEMBERS, *_LITERALS, *_FUNCTIONS) or self._text(place + 3) != ",":
            raise self._source.fault(word.start, f"{word.text}() takes a variable and a condition", f"write .{word.text}(one, one == 'x')")
        self._variable = variable.text
        self._loop_until = self._closing(place + 1)
        return place + 4

    def _path(self, place: int) -> int:
        root, member = self._words[place].text, self._text(place + 2)
        if root not in self._known:
            raise self._source.fault(self._words[place].start, f"{root} is not known here", f"it may read {' and '.join(self._known)}")
        if self._text(place + 1) != "." or member not in _MEMBERS[root]:
            return self._refuse(place)
        if member != "attributes":
            return place + 3
        if self._loop_until is not None and place < self._loop_until:
            self._lists_in_loop += 1
            if self._lists_in_loop > 1:
                raise self._source.fault(self._words[place].start, "a loop names at most one list", "split it: all conditions must hold")
        key = self._words[place + 4] if place + 4 < len(self._words) else self._words[place]
        if self._text(place + 3) == "." and key.kind == "name":
            self._reads[root].add(key.text)
            return place + 5
        if self._text(place + 3) == "[" and key.kind == "text" and self._text(place + 5) == "]":
            self._reads[root].add(key.text[1:-1])
            return place + 6
        raise self._source.fault(self._words[place].start, "an attribute is read by its name", f"write {root}.attributes.NAME")

    def _closing(self, place: int) -> int:
        depth = 0
        for position in range(place, len(self._words)):
            depth += (self._text(position) == "(") - (self._text(position) == ")")
            if not depth:
                return position
        return len(self._words)

    def _text(self, place: int) -> str:
        """Of a word that is no text in quotes."""
        return self._words[place].text if place < len(self._words) else ""

    def _refuse(self, place: int) -> NoReturn:
        word = self._words[place]
        raise self._source.fault(word.start, f"{word.text[:40]} is not allowed here", _ALLOWED)

"""Conditions in CEL on user, agent and request (`matchConditions`): admitted token by token, compiled once, evaluated per request.

CEL has no cost limit, and evaluation blocks the event loop. So the tokens and the length are bounded, and an expression has at most one
loop, over at most one list. Each attribute is read by its literal name, so the attributes that a condition reads are known. A condition
that is constant because it compares incompatible types is refused. The only module of the core that uses `cel`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NoReturn

from rolevend.model import Attributes
from rolevend.policy.cel import ALLOWED, FUNCTIONS, LITERALS, LOOPS, METHODS, OPERATORS, Token, cel_extension, no_operator, tokens_of
from rolevend.policy.cel_types import NUMBER, TEXT, UNREADABLE, Members, check_types, list_of
from rolevend.policy.request_context import RequestContext
from rolevend.policy.vocabulary import Source, near

if TYPE_CHECKING:
    import cel
else:
    cel = cel_extension()

_MEMBERS: Final[Members] = {
    "user": {"issuer": TEXT, "subject": TEXT, "attributes": list_of(TEXT)},
    "agent": {"namespace": TEXT, "name": TEXT, "attributes": list_of(TEXT)},
    "request": {"purpose": TEXT, "platform": TEXT, "expirationSeconds": NUMBER},
}
_ALLOWED: Final = (
    "allowed are user.issuer, user.subject, user.attributes.NAME, agent.namespace, agent.name, agent.attributes.NAME, request.purpose, "
    f"request.platform, request.expirationSeconds, {ALLOWED}"
)


@dataclass(frozen=True, slots=True)
class MatchCondition:
    """Equality is by text; the compiled program follows from it."""

    name: str
    text: str
    reads: frozenset[str]
    """The user attributes that it names."""
    agent_reads: frozenset[str]
    """The attributes of the agent that it names."""
    members: frozenset[str] = field(compare=False, repr=False)
    """The other facts that it reads: `request.purpose`."""
    texts: frozenset[str] = field(compare=False, repr=False)
    """Its literal texts."""
    numbers: frozenset[int] = field(compare=False, repr=False)
    program: cel.Program = field(compare=False, repr=False)


class Answers:
    """Evaluates conditions for one request. All conditions share one context, created for the first."""

    def __init__(self, attributes: Attributes, asking: RequestContext) -> None:
        self._attributes = attributes
        self._asking = asking
        self._context: cel.Context | None = None

    def unmet(self, condition: MatchCondition) -> str:
        """Return the reason why the condition does not hold, without any value; empty if it holds. An error counts as not held."""
        if self._context is None:
            self._context = cel.Context(variables=self._asking.variables(self._attributes))
        try:
            answer = condition.program.execute(self._context)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit):
                raise  # any other exception, also a panic of the library, counts as an error of the expression
            if isinstance(error, KeyError):
                return f"reads {error.args[0]}, which is not known"
            return "cannot be answered: its parts are of types that do not go together"
        if answer is True:
            return ""
        return "does not hold" if answer is False else "answers something else than true or false"


def admit(name: str, text: str, place: str, *, of_agent: bool = False) -> MatchCondition:
    """Parse and compile a condition. With `of_agent` it must not read user attributes.

    Raises InvalidInput for the field `place`, with line and column.
    """
    source = Source(text, place)
    words = _words(source)
    reads, members = _Reader(source, words, ("agent", "request") if of_agent else tuple(_MEMBERS)).read()
    try:
        program = cel.compile(text)
    except ValueError as error:
        raise source.fault(0, *UNREADABLE) from error
    if not any(word.kind == "name" and word.text in _MEMBERS for word in words):
        what = "this is the same for every request: it reads neither user nor agent nor request"
        raise source.fault(0, what, "test something of them, or leave the condition out")
    check_types(source, words, _MEMBERS)
    texts = frozenset(word.text[1:-1] for word in words if word.kind == "text")
    numbers = frozenset(int(word.text) for word in words if word.kind == "number")
    return MatchCondition(name, text, reads["user"], reads["agent"], members, texts, numbers, program)


def _words(source: Source) -> list[Token]:
    words = tokens_of(source, what="a condition", where="in a condition", shorter="split it: all conditions must hold", allowed=_ALLOWED)
    for before, word in pairwise(words):
        if (before.text, word.text) == ("[", "]") and "text" not in (before.kind, word.kind):
            raise source.fault(before.start, "an empty list holds nothing, and all() of nothing is always true", "name its values")
        if word.kind == "text" and before.kind in ("text", "name") and before.text != "in":
            raise source.fault(before.start, "a text stands in plain quotes, alone", "write 'text'")
    return words


class _Reader:
    """Check the tokens once, from left to right."""

    def __init__(self, source: Source, words: Sequence[Token], known: Sequence[str]) -> None:
        """`known` are the roots that the condition may read."""
        self._source = source
        self._words = words
        self._known = known
        self._reads: dict[str, set[str]] = {"user": set(), "agent": set()}
        self._read_members: set[str] = set()
        self._variable: str | None = None
        self._loop_until: int | None = None
        self._lists_in_loop = 0

    def read(self) -> tuple[dict[str, frozenset[str]], frozenset[str]]:
        """Return the attributes by root, and the other members."""
        place = 0
        while place < len(self._words):
            place = self._name(place) if self._words[place].kind == "name" else self._member(place)
        return {root: frozenset(keys) for root, keys in self._reads.items()}, frozenset(self._read_members)

    def _name(self, place: int) -> int:
        word = self._words[place]
        if word.text in _MEMBERS:
            return self._path(place)
        if word.text in LITERALS or (word.text in FUNCTIONS and self._text(place + 1) == "(") or word.text == self._variable:
            return place + 1
        return self._refuse(place)

    def _member(self, place: int) -> int:
        """Read a symbol, a number or a text; after a dot the name of a method."""
        if self._words[place].text != ".":
            return place + 1
        method = self._text(place + 1)
        if method not in METHODS or self._text(place + 2) != "(":
            return self._refuse(min(place + 1, len(self._words) - 1))
        return self._loop(place + 1) if method in LOOPS else place + 2

    def _loop(self, place: int) -> int:
        word = self._words[place]
        if self._loop_until is not None:
            raise self._source.fault(word.start, "a condition has at most one loop", "split it: all conditions must hold")
        variable = self._words[place + 2] if place + 2 < len(self._words) else word
        if variable.kind != "name" or variable.text in (*_MEMBERS, *LITERALS, *FUNCTIONS) or self._text(place + 3) != ",":
            raise self._source.fault(word.start, f"{word.text}() takes a variable and a condition", f"write .{word.text}(one, one == 'x')")
        self._variable = variable.text
        self._loop_until = self._closing(place + 1)
        return place + 4

    def _path(self, place: int) -> int:
        root, member = self._words[place].text, self._text(place + 2)
        if root not in self._known:
            raise self._source.fault(self._words[place].start, f"{root} is not known here", f"it may read {' and '.join(self._known)}")
        if self._text(place + 1) != "." or member not in _MEMBERS[root]:
            meant = near(member, _MEMBERS[root]) if self._text(place + 1) == "." else None
            if meant:
                raise self._source.fault(self._words[place].start, f"{root}.{member[:40]} is not known", f"did you mean {root}.{meant}?")
            return self._refuse(place)
        if member != "attributes":
            self._read_members.add(f"{root}.{member}")
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
        """Return the text of a token that is not a string."""
        return self._words[place].text if place < len(self._words) else ""

    def _refuse(self, place: int) -> NoReturn:
        word = self._words[place]
        if word.text.upper() in OPERATORS:
            raise no_operator(self._source, word.start, word.text)
        raise self._source.fault(word.start, f"{word.text[:40]} is not allowed here", _ALLOWED)

"""Check the types of CEL conditions: refuse an expression that compares, orders or joins values of incompatible types.

CEL detects such a part only when it runs: it is never equal, always different, or an error, and the condition is constant although it looks
effective. `cel` has no type checker. Tokens and names are already admitted.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rolevend.policy.cel import LOOPS, Token
from rolevend.policy.vocabulary import Source


@dataclass(frozen=True, slots=True)
class CelType:
    name: str
    several: str
    element: "CelType | None" = None
    """The type of a list's elements."""

    def __str__(self) -> str:
        return f"{self.name} of {self.element.several}" if self.element is not None and self.element != ANY else self.name


ANY: Final = CelType("anything", "anything")
"""Unknown type, compatible with every type."""
TEXT: Final = CelType("a text", "texts")
NUMBER: Final = CelType("a number", "numbers")
BOOLEAN: Final = CelType("a truth value", "truth values")


def list_of(element: CelType) -> CelType:
    return CelType("a list", "lists", element)


Members = Mapping[str, Mapping[str, CelType]]
"""Root -> member -> its type. The member `attributes` is a map from names to lists."""

UNREADABLE: Final = ("this is no expression of CEL", "check its parentheses and operators")
_OF_ONE_TYPE: Final = "compare values of one type"
_QUOTES: Final = "a number stands without quotes, 900, and a text in quotes, 'x'"
_WITH_IN: Final = "ask whether a list holds a text: 'x' in user.attributes.NAME"
_ORDERS: Final = ("<", "<=", ">", ">=")
_RELATIONS: Final = ("==", "!=", "in", *_ORDERS)


def check_types(source: Source, words: Sequence[Token], members: Members) -> None:
    """Raise InvalidInput with line and column if types are incompatible, or the expression is not boolean."""
    _Checker(source, words, members).check()


def _together(one: CelType, other: CelType) -> bool:
    if ANY in (one, other):
        return True
    if one.element is not None and other.element is not None:
        return _together(one.element, other.element)
    return one == other


class _Checker:
    """Recursive descent parser for the admitted part of CEL's grammar. Each method returns the type of the expression that it read."""

    def __init__(self, source: Source, words: Sequence[Token], members: Members) -> None:
        self._source = source
        self._words = words
        self._members = members
        self._variables: dict[str, CelType] = {}
        self._at = 0

    def check(self) -> None:
        answer = self._choice()
        if self._at < len(self._words):
            raise self._unreadable()
        if answer not in (BOOLEAN, ANY):
            raise self._source.fault(0, f"this is {answer}, and a condition is true or false", "compare it with a value")

    def _choice(self) -> CelType:
        begun = self._start
        read = self._either()
        answers: list[tuple[int, CelType]] = []
        while self._take("?"):
            self._must_be_boolean(read, begun)
            answers.append((self._start, self._either()))
            self._expect(":")
            begun = self._start
            read = self._either()
        for start, answer in answers:
            if not _together(answer, read):
                raise self._source.fault(start, f"?: answers either {answer} or {read}", "let both be of one type")
        return read

    def _either(self) -> CelType:
        return self._joined("||", self._both)

    def _both(self) -> CelType:
        return self._joined("&&", self._relation)

    def _joined(self, operator: str, part: Callable[[], CelType]) -> CelType:
        begun = self._start
        read = part()
        while self._take(operator):
            self._must_be_boolean(read, begun)
            begun = self._start
            read = part()
            self._must_be_boolean(read, begun)
        return read

    def _relation(self) -> CelType:
        left = self._negation()
        while self._peek() in _RELATIONS:
            operator = self._next()
            left = self._related(operator, left, self._negation())
        return left

    def _related(self, operator: Token, left: CelType, right: CelType) -> CelType:
        if operator.text == "in":
            if right.element is None and right != ANY:
                raise self._source.fault(operator.start, f"in asks a list, and this is {right}", "write in ['a', 'b'], or contains('x')")
            if right.element is not None and not _together(left, right.element):
                raise self._source.fault(operator.start, f"{right} never holds {left}", _QUOTES)
        elif not _together(left, right):
            between = f"{left} and {right}"
            problem = f"{between} have no order" if operator.text in _ORDERS else f"{between} are never equal"
            raise self._source.fault(operator.start, problem, _way_out(left, right))
        elif operator.text in _ORDERS and (left.element or right.element):
            raise self._source.fault(operator.start, "lists have no order", _WITH_IN)
        return BOOLEAN

    def _negation(self) -> CelType:
        negated = False
        while self._take("!"):
            negated = True
        begun = self._start
        read = self._value()
        while self._peek() in (".", "["):
            read = self._method(read) if self._take(".") else self._item(read)
        if negated:
            self._must_be_boolean(read, begun)
        return read

    def _value(self) -> CelType:
        word = self._next()
        if word.kind in ("number", "text"):
            return NUMBER if word.kind == "number" else TEXT
        if word.text == "(":
            inner = self._choice()
            self._expect(")")
            return inner
        if word.text == "[":
            return list_of(_common(self._listed("]")))
        if word.text in ("true", "false"):
            return BOOLEAN
        if word.text in self._members:
            return self._member(word.text)
        if word.text in self._variables:
            return self._variables[word.text]
        if word.text == "has":
            self._arguments()
            return BOOLEAN
        if word.text == "size":
            return self._sized(word, self._arguments())
        raise self._unreadable()

    def _member(self, root: str) -> CelType:
        self._expect(".")
        name = self._next().text
        if name != "attributes":
            return self._members[root][name]
        if self._take("."):
            self._next()
        else:
            self._expect("[")
            self._next()
            self._expect("]")
        return self._members[root][name]

    def _item(self, of: CelType) -> CelType:
        mark = self._next()
        place = self._choice()
        self._expect("]")
        if (of.element is None and of != ANY) or not _together(place, NUMBER):
            raise self._source.fault(mark.start, f"{of} has no item at {place}", "write [0] after a list")
        return of.element or ANY

    def _method(self, of: CelType) -> CelType:
        word = self._next()
        if word.text in LOOPS:
            return self._loop(word, of)
        given = self._arguments()
        if word.text == "size":
            return self._sized(word, [of, *given])
        if len(given) != 1 or not all(_together(each, TEXT) for each in (of, *given)):
            raise self._source.fault(word.start, f"{word.text}() asks a text for a part of it, and nothing else", "write 'x' in a list")
        return BOOLEAN

    def _loop(self, word: Token, of: CelType) -> CelType:
        if of.element is None and of != ANY:
            raise self._source.fault(word.start, f"{word.text}() goes through a list, and this is {of}", "write it after a list")
        self._expect("(")
        variable = self._next().text
        self._expect(",")
        before = self._variables
        self._variables = {**before, variable: of.element or ANY}
        begun = self._start
        bodies = self._listed(")")
        self._variables = before
        if word.text != "map" or len(bodies) > 1:
            self._must_be_boolean(bodies[0], begun)
        if word.text == "map":
            return list_of(bodies[-1])
        return of if word.text == "filter" else BOOLEAN

    def _sized(self, word: Token, given: Sequence[CelType]) -> CelType:
        if len(given) != 1 or (given[0].element is None and not _together(given[0], TEXT)):
            raise self._source.fault(word.start, "size() takes one list or one text", "write size(user.attributes.NAME)")
        return NUMBER

    def _arguments(self) -> list[CelType]:
        self._expect("(")
        return self._listed(")")

    def _listed(self, end: str) -> list[CelType]:
        """Read expressions up to and including `end`."""
        read: list[CelType] = []
        while not self._take(end):
            if read:
                self._expect(",")
                if self._take(end):
                    break
            read.append(self._choice())
        return read

    def _must_be_boolean(self, read: CelType, start: int) -> None:
        if not _together(read, BOOLEAN):
            raise self._source.fault(start, f"this is {read}, and neither true nor false", "compare it with a value")

    @property
    def _start(self) -> int:
        return self._words[min(self._at, len(self._words) - 1)].start

    def _peek(self) -> str:
        return self._words[self._at].text if self._at < len(self._words) else ""

    def _next(self) -> Token:
        if self._at == len(self._words):
            raise self._unreadable()
        self._at += 1
        return self._words[self._at - 1]

    def _take(self, text: str) -> bool:
        taken = self._peek() == text
        self._at += taken
        return taken

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise self._unreadable()

    def _unreadable(self) -> Exception:
        return self._source.fault(self._start, *UNREADABLE)


def _common(types: Sequence[CelType]) -> CelType:
    return types[0] if types and all(each == types[0] for each in types) else ANY


def _way_out(one: CelType, other: CelType) -> str:
    if one.element or other.element:
        return _WITH_IN if {one, other} & {TEXT, NUMBER} else _OF_ONE_TYPE
    return _QUOTES if {one, other} == {TEXT, NUMBER} else _OF_ONE_TYPE

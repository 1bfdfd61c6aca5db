"""Admit the patterns of masks: a subset of regular expressions with the same meaning on every platform. Knows no SQL.

Each character is checked in its position. There is no look-around, back reference, locale-dependent class, lazy repetition or nested
repetition, so matching is fast in every engine.
"""

from dataclasses import dataclass
from typing import Final

from rolevend.errors import InvalidInput

MOST_GROUPS: Final = 9
MOST_TIMES: Final = 64
MOST_ENDLESS: Final = 3
MAXIMUM_DEPTH: Final = 8

_SPECIAL: Final = frozenset("\\^$.|?*+()[]{}")
_RANGES: Final = ("0123456789", "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_CLASSES: Final = {"d": "[0-9]", "w": "[A-Za-z0-9_]", "s": "a space or [ ]", "D": "[^0-9]", "W": "[^A-Za-z0-9_]", "S": "[^ ]"}


def admit(pattern: str, field: str) -> int:
    """Return the number of groups of `pattern`.

    Raises InvalidInput for `field`, with the position and a way out.
    """
    reader = _Reader(pattern, field)
    whole = reader.whole()
    if whole.empty:
        raise InvalidInput(field, "an empty text matches the pattern; ask for at least one character, such as [0-9]+")
    return reader.groups


def admit_replacement(replacement: str, groups: int, field: str) -> None:
    """Raise InvalidInput for `field` if a backslash does not refer to one of the pattern's groups."""
    place = replacement.find("\\")
    while place >= 0:
        following = replacement[place + 1 : place + 2]
        if not ("1" <= following <= "9" and int(following) <= groups):
            known = f"the groups of the pattern are \\1 to \\{groups}" if groups else "the pattern has no group in parentheses"
            raise InvalidInput(field, f"character {place + 1}: \\{following} stands for nothing; {known}")
        place = replacement.find("\\", place + 2)


@dataclass(frozen=True, slots=True)
class _Part:
    empty: bool
    """True if it matches an empty text."""
    simple: bool = True
    """True if it may be repeated: it has neither repetition nor alternatives."""


class _Reader:
    def __init__(self, pattern: str, field: str) -> None:
        self._text = pattern
        self._field = field
        self._place = 0
        self._endless = 0
        self._ended = False
        self.groups = 0

    def whole(self) -> _Part:
        first = self._take("^")
        part = self._alternatives(0, anchored=first)
        if self._place < len(self._text):
            raise self._fault("this ) closes nothing", "write \\) for the character")
        return part

    def _alternatives(self, depth: int, *, anchored: bool = False) -> _Part:
        parts = [self._sequence(depth)]
        while self._take("|"):
            parts.append(self._sequence(depth))
        if len(parts) > 1 and depth == 0 and (anchored or self._ended):
            self._place = 0 if anchored else len(self._text) - 1
            raise self._fault("^ and $ would hold for one alternative only", "put the alternatives in parentheses: ^(a|b)$")
        return parts[0] if len(parts) == 1 else _Part(any(part.empty for part in parts), simple=False)

    def _sequence(self, depth: int) -> _Part:
        parts: list[_Part] = []
        while self._place < len(self._text) and self._text[self._place] not in "|)":
            if self._text[self._place :] == "$" and depth == 0:
                self._place += 1
                self._ended = True
                break
            parts.append(self._repeated(self._atom(depth)))
        return _Part(all(part.empty for part in parts), all(part.simple for part in parts))

    def _repeated(self, part: _Part) -> _Part:
        if self._place == len(self._text) or self._text[self._place] not in "*+?{":
            return part
        start = self._place
        least, most = self._times()
        if not part.simple:
            self._place = start
            raise self._fault("a group with a repetition or alternatives in it is repeated", "repeat what is in it, or write it out")
        if most is None:
            self._endless += 1
            if self._endless > MOST_ENDLESS:
                self._place = start
                raise self._fault(f"a pattern has at most {MOST_ENDLESS} of * + and {{n,}}", "say how often: {0,20}")
        if self._place < len(self._text) and self._text[self._place] in "*+?{":
            raise self._fault("a repetition is repeated", "write one of * + ? {2} {2,4}; the longest match always holds")
        return _Part(part.empty or least == 0, simple=False)

    def _times(self) -> tuple[int, int | None]:
        """Return the minimum and maximum number of repetitions; None: unbounded."""
        mark = self._next()
        if mark != "{":
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[mark]
        inner, closed, _ = self._text[self._place :].partition("}")
        least, comma, most = inner.partition(",")
        numbers = [each for each in (least, most) if each]
        if not closed or not least or any(not (each.isascii() and each.isdigit() and len(each) <= 2) for each in numbers):
            raise self._fault("this is no number of times", "write {2}, {2,} or {2,4}; \\{ is the character", back=1)
        self._place += len(inner) + 1
        if max(map(int, numbers)) > MOST_TIMES or (most and int(most) < int(least)):
            self._place -= len(inner) + 1
            raise self._fault(f"{{{inner}}} is no range up to {MOST_TIMES} times", "use * or + for more", back=1)
        return int(least), (int(most) if most else None) if comma else int(least)

    def _atom(self, depth: int) -> _Part:
        start, character = self._place, self._next()
        match character:
            case "(":
                return self._group(depth)
            case "[":
                self._bracket()
            case "\\":
                self._escape(_SPECIAL)
            case "^" | "$":
                self._place = start
                where = "begins" if character == "^" else "ends"
                raise self._fault(f"{character} {where} a pattern and stands nowhere else", f"write \\{character} for the character")
            case _ if character in _SPECIAL and character != ".":
                self._place = start
                raise self._fault(f"{character} has nothing to repeat or to close", f"write \\{character} for the character")
        return _Part(empty=False)

    def _group(self, depth: int) -> _Part:
        if self._text[self._place : self._place + 1] == "?":
            raise self._fault("(? is not allowed", "write a plain group, or describe what is replaced itself", back=1)
        self.groups += 1
        if self.groups > MOST_GROUPS or depth == MAXIMUM_DEPTH:
            raise self._fault(f"a pattern has at most {MOST_GROUPS} groups", "remove parentheses that change nothing", back=1)
        start = self._place
        part = self._alternatives(depth + 1)
        if not self._take(")"):
            self._place = start
            raise self._fault("this ( is not closed", "close it, or write \\( for the character", back=1)
        return part

    def _bracket(self) -> None:
        start = self._place
        self._take("^")
        first = self._place
        while not (self._place > first and self._take("]")):
            if self._place == len(self._text):
                self._place = start
                raise self._fault("this [ is not closed", "close it, or write \\[ for the character", back=1)
            self._member()

    def _member(self) -> None:
        character = self._next()
        if character == "\\":
            self._escape(_SPECIAL | {"-"})
        elif character in "[]^":
            raise self._fault(f"{character} within brackets needs a backslash", f"write \\{character}", back=1)
        elif character == "-":
            if self._text[self._place : self._place + 1] != "]":
                raise self._fault("- stands last within brackets, or between two letters or digits", "write \\-", back=1)
        elif self._text[self._place : self._place + 1] == "-" and self._text[self._place + 1 : self._place + 2] not in ("]", ""):
            self._place += 1
            last = self._next()
            if not any(character in each and last in each and character <= last for each in _RANGES):
                raise self._fault(f"{character}-{last} is no range", "a range is of digits, of a-z or of A-Z", back=3)

    def _escape(self, allowed: frozenset[str]) -> None:
        character = self._text[self._place : self._place + 1]
        if character not in allowed or not character:
            known = _CLASSES.get(character)
            way_out = f"write {known}" if known else "a backslash stands before one of \\ ^ $ . | ? * + ( ) [ ] { }"
            raise self._fault(f"\\{character} is not allowed", way_out, back=1)
        self._place += 1

    def _take(self, character: str) -> bool:
        taken = self._text[self._place : self._place + 1] == character
        self._place += taken
        return taken

    def _next(self) -> str:
        self._place += 1
        return self._text[self._place - 1]

    def _fault(self, problem: str, way_out: str, *, back: int = 0) -> InvalidInput:
        return InvalidInput(self._field, f"character {self._place - back + 1}: {problem}; {way_out}")

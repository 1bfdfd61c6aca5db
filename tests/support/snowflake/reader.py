"""A cursor over words, with the few moves that a recursive parser needs."""

from tests.support.snowflake import refusals
from tests.support.snowflake.words import Kind, Word, words

Name = tuple[str, ...]
"""The parts of a name, each in the case that it has."""

Value = str | int | float | bool | None | tuple[str, ...]


def shown(name: Name) -> str:
    """As Snowflake writes a name in its answers: bare where that means the same."""
    return ".".join(part if _is_bare(part) else '"' + part.replace('"', '""') + '"' for part in name)


def _is_bare(part: str) -> bool:
    try:
        first = words(part)[0]
    except refusals.Refusal:  # half of a pair of quotes
        return False
    return first.kind is Kind.BARE and first.value == part and first.end == len(part)


class Reader:
    def __init__(self, sql: str) -> None:
        self.sql = sql
        self._words = words(sql)
        self._at = 0

    @property
    def word(self) -> Word:
        return self._words[self._at]

    @property
    def ended(self) -> bool:
        return self.word.kind is Kind.END

    def peek(self, *keywords: str) -> bool:
        following = self._words[self._at : self._at + len(keywords)]
        return len(following) == len(keywords) and all(w.keyword == k for w, k in zip(following, keywords, strict=True))

    def take(self, *keywords: str) -> bool:
        if not self.peek(*keywords):
            return False
        self._at += len(keywords)
        return True

    def one_of(self, *choices: str) -> str:
        """The first choice that is there; each may be of several words."""
        for choice in choices:
            if self.take(*choice.split()):
                return choice
        return ""

    def expect(self, *keywords: str) -> None:
        for keyword in keywords:
            if not self.take(keyword):
                raise self.unexpected()

    def next(self) -> Word:
        word = self.word
        if word.kind is Kind.END:
            raise self.unexpected()
        self._at += 1
        return word

    def unexpected(self) -> refusals.Refusal:
        start = self.word.start
        line = self.sql.count("\n", 0, start)
        return refusals.syntax(line + 1, start - (self.sql.rfind("\n", 0, start) + 1), self.word.value)

    def end(self) -> None:
        self.take(";")
        if not self.ended:
            raise self.unexpected()

    def rest(self) -> str:
        """What is left, as it was written."""
        text = self.sql[self.word.start :]
        self._at = len(self._words) - 1
        return text.rstrip().removesuffix(";").rstrip()

    def part(self) -> str:
        word = self.next()
        if word.kind not in (Kind.BARE, Kind.QUOTED):
            self._at -= 1
            raise self.unexpected()
        return word.value

    def name(self) -> Name:
        """An identifier of one to three parts, or ``IDENTIFIER('…')``."""
        if self.take("IDENTIFIER", "("):
            name = Reader(self.text()).name()
            self.expect(")")
            return name
        parts = [self.part()]
        while self.take("."):
            parts.append(self.part())
        return tuple(parts)

    def names(self) -> tuple[Name, ...]:
        names = [self.name()]
        while self.take(","):
            names.append(self.name())
        return tuple(names)

    def columns(self) -> tuple[str, ...]:
        """``(a, b)``"""
        self.expect("(")
        columns = [self.part()]
        while self.take(","):
            columns.append(self.part())
        self.expect(")")
        return tuple(columns)

    def text(self) -> str:
        if self.word.kind is not Kind.TEXT:
            raise self.unexpected()
        return self.next().value

    def between(self) -> str:
        """The text from an open bracket, which is the next word, to the one that closes it, as it was written, without both."""
        self.expect("(")
        start, depth = self.word.start, 1
        while True:
            word = self.next()
            depth += {"(": 1, ")": -1}.get(word.keyword, 0)
            if depth == 0:
                return self.sql[start : word.start]

    def value(self) -> Value:
        """The right side of ``KEY = value``."""
        if self.peek("("):
            return self._list()
        word = self.next()
        if word.keyword == "-":
            return -int(self.next().value)
        if word.kind is Kind.NUMBER:
            return int(word.value) if word.value.isdigit() else float(word.value)
        if word.kind is Kind.BARE and word.value in ("TRUE", "FALSE"):
            return word.value == "TRUE"
        if word.kind is Kind.BARE and word.value == "NULL":
            return None
        if word.kind is Kind.SIGN:
            raise self.unexpected()
        parts = [word.value]
        while word.kind is not Kind.TEXT and self.take("."):
            parts.append(self.part())
        return ".".join(parts)

    def _list(self) -> tuple[str, ...]:
        self.expect("(")
        values: list[str] = []
        while not self.take(")"):
            values.append(self.next().value)
            self.take(",")
        return tuple(values)

    def settings(self, *, until: tuple[str, ...] = ()) -> dict[str, Value]:
        """``KEY = value KEY = value …``, with commas or without, to the end or one of the words of `until`."""
        settings: dict[str, Value] = {}
        while not self.ended and not self.peek(";") and self.word.keyword not in until:
            key = self.part()
            self.expect("=")
            settings[key] = self.value()
            self.take(",")
        return settings

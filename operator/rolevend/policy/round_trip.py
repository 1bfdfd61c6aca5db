"""The last check of a row filter: names, literals, moments and operators of its text are those of the parsed predicate.

It compares words and knows no parser, so a lenient parser cannot drop a part silently.
"""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Final

from rolevend.policy.expression import (
    And,
    AttributeMembership,
    Comparison,
    Literal,
    Membership,
    Not,
    NullTest,
    Operator,
    Or,
    Predicate,
    Range,
    TaggedColumn,
    Value,
    atoms,
)
from rolevend.policy.literal import Clock, Moment, shifted
from rolevend.policy.vocabulary import ALLOWED, Source, Word

_COMPARED: Final = {
    Operator.EQUAL: "equal",
    Operator.NOT_EQUAL: "other",
    Operator.LESS: "ordered",
    Operator.GREATER: "ordered",
    Operator.LESS_OR_EQUAL: "ordered or equal",
    Operator.GREATER_OR_EQUAL: "ordered or equal",
}
_JOINTS: Final = {
    **{kind: kind for kind in ("AND", "OR", "BETWEEN", "IS", "NULL")},
    **{
        "IN": "equal",
        "EQ": "equal",
        "NEQ": "other",
        "LT": "ordered",
        "GT": "ordered",
        "LTE": "ordered or equal",
        "GTE": "ordered or equal",
    },
}
"""Kind of a word -> its canonical text."""


def assert_round_trip(source: Source, words: Sequence[Word], predicate: Predicate) -> None:
    named = [word for word in words if word.is_name]
    columns = [atom.column.name for atom in atoms(predicate) if not isinstance(atom.column, TaggedColumn)]
    for word, column in zip_longest(named, columns):
        if word is None or word.name != column:
            place, shown = (0, "a name") if word is None else (word.start, word.raw[:40])
            raise source.fault(place, f"{shown} has no meaning here", ALLOWED)
    same = list(_written(words)) == list(_read(predicate)) and list(_joints(words)) == list(_joints_read(predicate))
    if not same or sum(word.kind == "NOT" for word in words) % 2 != _negations(predicate) % 2:
        raise source.fault(0, "this cannot be read as one condition without loss", ALLOWED)


def _written(words: Sequence[Word]) -> Iterator[Value | str]:
    """Yield the literals of the text, in its order."""
    for place, (before, word) in enumerate(zip((None, *words), words, strict=False)):
        if word.is_clock:
            yield _moment_at(words[place:])
        elif before is not None and before.kind in ("SHIFT", "SPAN"):
            continue  # part of the clock before it
        elif word.kind == "STRING":
            yield Literal(word.text, quoted=True)
        elif word.kind == "NUMBER":
            yield Literal(f"{'-' if before is not None and before.kind == 'DASH' else ''}{word.text}", quoted=False)
        elif word.kind in ("TRUE", "FALSE"):
            yield Literal(word.kind.lower(), quoted=False)


def _joints(words: Sequence[Word]) -> Iterator[str]:
    """Yield the operators of the text, in its order. A comparison may be flipped, and `= user_attr()` is `IN`."""
    return (_JOINTS[word.kind] for word in words if word.kind in _JOINTS)


def _joints_read(predicate: Predicate) -> Iterator[str]:
    match predicate:
        case And(parts) | Or(parts):
            for number, part in enumerate(parts):
                if number:
                    yield "AND" if isinstance(predicate, And) else "OR"
                yield from _joints_read(part)
        case Not(part):
            yield from _joints_read(part)
        case Comparison(_, operator, _):
            yield _COMPARED[operator]
        case Membership() | AttributeMembership():
            yield "equal"
        case Range():
            yield from ("BETWEEN", "AND")
        case NullTest():
            yield from ("IS", "NULL")


def _negations(predicate: Predicate) -> int:
    """Return the number of negations; only its parity is compared, because two NOT may cancel out."""
    match predicate:
        case And(parts) | Or(parts):
            return sum(map(_negations, parts))
        case Not(part):
            return 1 + _negations(part)
        case NullTest(_, is_null):
            return 0 if is_null else 1
    return 0


def _moment_at(words: Sequence[Word]) -> Moment | str:
    """Return the moment at the start of `words`."""
    clock = Clock.TODAY if words[0].kind == "CURRENT_DATE" else Clock.NOW
    match words[1:] if clock is Clock.TODAY else words[3:]:
        case [Word(kind="SHIFT", raw=sign), Word(kind="SPAN"), Word(text=span), *_]:
            return shifted(clock, span, back=sign == "-")
        case [Word(kind="SHIFT", raw=sign), Word(kind="NUMBER", text=days), *_]:
            return shifted(clock, f"{days} days", back=sign == "-")
    return Moment(clock)


def _read(predicate: Predicate) -> Iterator[Value]:
    """Yield the literals of the predicate, in the order of its text."""
    for atom in atoms(predicate):
        if isinstance(atom.column, TaggedColumn):
            yield from (Literal(text, quoted=True) for text in (atom.column.tag.key, atom.column.tag.value) if text is not None)
        match atom:
            case Comparison(_, _, literal):
                yield literal
            case Membership(_, literals):
                yield from literals
            case Range(_, low, high):
                yield from (low, high)
            case AttributeMembership(_, attribute):
                yield Literal(attribute, quoted=True)
            case NullTest():
                pass

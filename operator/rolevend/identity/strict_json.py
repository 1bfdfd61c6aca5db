"""JSON that every reader reads alike: no name twice, no Infinity or NaN, UTF-8, and not deep. Pure."""

import math
import re
from collections.abc import Iterable
from json import JSONDecoder
from typing import Any, Final, NoReturn

MAXIMUM_DEPTH: Final = 32

_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


class NotJson(ValueError):
    """It is no JSON object, or not one that we read."""


class DuplicateMember(NotJson):
    """A name stands twice in one object. Its message does not say which: `member` is whatever somebody wrote there."""

    def __init__(self, member: str) -> None:
        super().__init__("a name stands twice in one object")
        self.member = member


def read_object(raw: bytes) -> dict[str, Any]:
    """Raises NotJson, whose message says nothing of what stands there."""
    try:
        text = raw.decode()
        _bound_depth(text)
        value = _DECODER.decode(text)
    except NotJson:
        raise
    except ValueError as error:
        raise NotJson("it is no JSON in UTF-8") from error
    if not isinstance(value, dict):
        raise NotJson("it is no JSON object")
    return value


def _bound_depth(text: str) -> None:
    """Before it is decoded, which is recursive."""
    if text.count("[") + text.count("{") <= MAXIMUM_DEPTH:
        return  # cannot be deeper than that, and most are not
    depth = 0
    for sign in _TEXT.sub("", text):
        depth += (sign in "[{") - (sign in "]}")
        if depth > MAXIMUM_DEPTH:
            raise NotJson(f"it is nested deeper than {MAXIMUM_DEPTH}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise DuplicateMember(_repeated(name for name, _ in pairs))
    return members


def _repeated(names: Iterable[str]) -> str:
    """The first that was there before; one is."""
    seen: set[str] = set()
    return next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise NotJson("a number is out of range")
    return number


def _refuse(_constant: str) -> NoReturn:
    raise NotJson("Infinity and NaN are no JSON")


_DECODER = JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_refuse)

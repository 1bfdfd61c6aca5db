"""Parse JSON that every parser reads alike: no duplicate name, no Infinity or NaN, UTF-8, limited depth. Pure."""

import math
import re
from collections.abc import Iterable
from json import JSONDecoder
from typing import Any, Final, NoReturn

MAXIMUM_DEPTH: Final = 32

_TEXT = re.compile(r'"(?:[^"\\]|\\.)*+\\?(?:"|\Z)', re.DOTALL)
"""A text, also one without an end: otherwise each quote in it would be tried as a beginning, in quadratic time."""


class NotJson(ValueError):
    """The text is not a JSON object, or exceeds a limit."""


class DuplicateMember(NotJson):
    """A name occurs twice in one object. The message does not contain it, because `member` is untrusted."""

    def __init__(self, member: str) -> None:
        super().__init__("a name occurs twice in one object")
        self.member = member


def read_object(raw: bytes) -> dict[str, Any]:
    """Parse one object. Raises NotJson without any part of the text."""
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
    """Check the depth before decoding, which is recursive."""
    if text.count("[") + text.count("{") <= MAXIMUM_DEPTH:
        return  # cannot be deeper than the limit
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
    """Return the first duplicate name; there is one."""
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

"""What a word was probably meant to be: the one way in which messages suggest."""

from collections.abc import Iterable
from difflib import get_close_matches
from functools import lru_cache
from typing import Final

_MANY: Final = 1_000
"""Of more words only those are compared that begin alike: a large database has ten thousands of names."""


def near(word: str, known: Iterable[str]) -> str | None:
    """The one of `known` that is most like `word`, whatever the case of either; None where none is like it. The order of `known` does
    not matter."""
    return _near(word, frozenset(known))


@lru_cache(maxsize=256)  # comparing takes milliseconds, and a change asks again about the words that it left as they were
def _near(word: str, known: frozenset[str]) -> str | None:
    spelled = {each.lower(): each for each in sorted(known, reverse=True)}
    if len(spelled) > _MANY:
        spelled = {lower: each for lower, each in spelled.items() if lower[:2] == word[:2].lower()}
    return next((spelled[each] for each in get_close_matches(word.lower(), sorted(spelled), n=1, cutoff=0.65)), None)


def closest(word: str, known: Iterable[str]) -> str:
    """The end of a message about `word`: what it was meant to be, or nothing."""
    found = near(word, known)
    return f"; did you mean {found}?" if found else ""

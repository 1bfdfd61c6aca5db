"""Suggest known words for an unknown one, for all messages."""

from collections.abc import Iterable
from difflib import get_close_matches
from functools import lru_cache
from typing import Final

_MANY: Final = 1_000
"""Above this number, compare only words with the same first letter: a large database has tens of thousands of names."""


def near(word: str, known: Iterable[str]) -> str | None:
    """Return the word of `known` that is most similar to `word`, ignoring case, or None. Independent of the order of `known`."""
    return _near(word, frozenset(known))


@lru_cache(maxsize=256)  # a comparison takes milliseconds, and each change repeats the unchanged ones
def _near(word: str, known: frozenset[str]) -> str | None:
    spelled = {each.lower(): each for each in sorted(known, reverse=True)}
    if len(spelled) > _MANY:
        spelled = {lower: each for lower, each in spelled.items() if lower[:2] == word[:2].lower()}
    return next((spelled[each] for each in get_close_matches(word.lower(), sorted(spelled), n=1, cutoff=0.65)), None)


def closest(word: str, known: Iterable[str]) -> str:
    """Return the end of a message: the suggestion, or an empty text."""
    found = near(word, known)
    return f"; did you mean {found}?" if found else ""

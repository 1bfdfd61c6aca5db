"""Colour the words of a text that say how a result is, for a terminal. Pipes, files and `NO_COLOR` (no-color.org) get the text as it is."""

import os
import re
import sys
from collections.abc import Mapping
from functools import partial
from typing import Any, Final, TextIO

import click

Palette = tuple[tuple[re.Pattern[str], Mapping[str, Any]], ...]
"""Each match of a pattern gets the style, by the parameters of `click.style`."""

_GOOD: Final = {"fg": "green"}
_BAD: Final = {"fg": "red", "bold": True}
_DOUBT: Final = {"fg": "yellow"}
_STRONG: Final = {"bold": True}
_NOTE: Final = (re.compile("^note(?=: )", re.MULTILINE), _DOUBT)


def _at(pattern: str, style: Mapping[str, Any]) -> tuple[re.Pattern[str], Mapping[str, Any]]:
    return re.compile(pattern, re.MULTILINE), style


CHECK: Final[Palette] = (
    _at(r"(?<=\d: )error(?=: )", _BAD),
    _at(r"(?<=\d: )warning(?=: )", _DOUBT),
    _at(r"[1-9]\d* errors?(?=, \d+ warnings?$)", _BAD),
    _at(r"\b0 errors(?=, 0 warnings$)", _GOOD),
)
CASES: Final[Palette] = (_at("^passed(?=  )", _GOOD), _at("^FAILED(?=  )", _BAD), _at(r"(?<= cases, )[1-9]\d* failed$", _BAD))
DIFF: Final[Palette] = (
    _at("(?<=  )gains(?=  )", _GOOD),
    _at("(?<=  )loses(?=  )", _BAD),
    _at("(?<=  )changes(?=  )", _DOUBT),
    _at("^[A-Z]+(?:  +[A-Z]+)+$", _STRONG),
    _NOTE,
)
EXPLANATION: Final[Palette] = (
    _at("(?<=: )met$", _GOOD),
    _at("(?<=: )not met$", _BAD),
    _at(r"(?<=: )nothing(?=\.| \()", _BAD),
    _at("^  grants(?= )", _GOOD),
    _at("^  withheld(?= )|^tool withheld(?=: )", _DOUBT),
    _at("^smallest step(?=: )", _DOUBT),
    _at("^(?:AccessPolicy|Guardrail|Together on) [^ ]+", _STRONG),
    _NOTE,
)


def painted(text: str, palette: Palette) -> str:
    """Return the text with styles. It is unchanged without them."""
    for pattern, style in palette:
        text = pattern.sub(partial(_styled, style), text)
    return text


def _styled(style: Mapping[str, Any], found: re.Match[str]) -> str:
    return click.style(found.group(), **style)


def is_coloured(stream: TextIO | None = None) -> bool:
    """True if the stream, by default standard output, is a terminal that shows colours, and the person did not refuse them."""
    return (stream or sys.stdout).isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

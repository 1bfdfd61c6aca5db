"""Admit texts of CEL, for conditions and claim mappings: a text with a token that is not known here is refused before it is compiled.

CEL has no cost limit, so the set of tokens is small, and length and depth are bounded. The two readers check the order of tokens.
"""

import importlib.util
import re
import sys
from dataclasses import dataclass
from functools import cache
from importlib.machinery import PathFinder
from types import ModuleType
from typing import Final

from rolevend.errors import InvalidInput
from rolevend.policy.vocabulary import Source

MAXIMUM_LENGTH: Final = 1024
MAXIMUM_DEPTH: Final = 32

LOOPS: Final = ("all", "exists", "exists_one", "filter", "map")
METHODS: Final = ("startsWith", "endsWith", "contains", "size", *LOOPS)
FUNCTIONS: Final = ("has", "size")
LITERALS: Final = ("true", "false", "in")
ALLOWED: Final = (
    "plain texts, numbers, == != < <= > >= && || ! in ?:, has(), size(), startsWith(), "
    "endsWith(), contains(), and one of all(), exists(), exists_one(), filter() and map()"
)
"""The end of a message that lists the allowed functions."""

OPERATORS: Final = {"=": "==", "&": "&&", "|": "||", "AND": "&&", "OR": "||", "NOT": "!", "<>": "!=", "===": "=="}
"""Operators of other languages, in upper case, and those of CEL."""
_OTHER_OPERATOR = re.compile("===|<>|=|&|\\|")

_WORD = re.compile(
    r"""(?P<space>[ \t\n]+)
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<number>[0-9]{1,18}(?![A-Za-z0-9_.]))
      | (?P<text>'[^'"\\\n]*'|"[^'"\\\n]*")
      | (?P<symbol>==|!=|<=|>=|&&|\|\||[<>!?:,.()\[\]])""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str
    start: int


def tokens_of(source: Source, *, what: str, where: str, shorter: str, allowed: str) -> list[Token]:
    """Return the tokens of `source`, without spaces.

    Raises InvalidInput with line and column. The parameters are parts of its messages: `what` is too long, with the way out `shorter`; a
    token is not allowed `where`, with the way out `allowed`.
    """
    if len(source.text) > MAXIMUM_LENGTH:
        raise source.fault(MAXIMUM_LENGTH, f"{what} has at most {MAXIMUM_LENGTH} characters", shorter)
    words: list[Token] = []
    position = depth = 0
    while position < len(source.text):
        found = _WORD.match(source.text, position)
        other = _OTHER_OPERATOR.match(source.text, position)
        if other is not None and (found is None or len(found.group()) < len(other.group())):
            raise no_operator(source, position, other.group())
        if found is None:
            raise source.fault(position, f"{source.text[position : position + 20].splitlines()[0]} is not allowed {where}", allowed)
        if found.lastgroup != "space":
            words.append(Token(str(found.lastgroup), found.group(), position))
            depth += (found.group() in "([") - (found.group() in ")]")
            if depth > MAXIMUM_DEPTH:
                raise source.fault(position, f"it is nested deeper than {MAXIMUM_DEPTH}", "remove parentheses that change nothing")
        position = found.end()
    return words


def no_operator(source: Source, position: int, text: str) -> InvalidInput:
    """Return the error for a key of `OPERATORS`."""
    return source.fault(position, f"{text} is no operator of CEL", f"write {OPERATORS[text.upper()]}")


@cache  # the extension can be loaded once per process
def cel_extension() -> ModuleType:
    """Import only the compiled part of `cel`: the package itself imports its command line, 24 MB of memory and 0.1 s at each start."""
    package = importlib.util.find_spec("cel")
    spec = package and PathFinder.find_spec("cel.cel", package.submodule_search_locations)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError("common-expression-language is not installed as it should be: it has no module cel.cel", name="cel.cel")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module

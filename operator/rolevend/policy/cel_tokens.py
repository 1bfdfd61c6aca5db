"""The words of CEL that are admitted, in conditions and in mappings of claims alike: what no word can say is never compiled.

CEL has no limit of cost, so the words are few, and length and depth are bounded. What they may be put together to is for the readers
of either to say.
"""

import re
from dataclasses import dataclass
from typing import Final

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
"""The end of a message that lists what is."""

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
    """Without spaces. Raises InvalidInput with line and column, in these parts of a sentence: `what` is too long, and how it gets
    `shorter`; what is not allowed `where`, and what is `allowed`."""
    if len(source.text) > MAXIMUM_LENGTH:
        raise source.fault(MAXIMUM_LENGTH, f"{what} has at most {MAXIMUM_LENGTH} characters", shorter)
    words: list[Token] = []
    position = depth = 0
    while position < len(source.text):
        found = _WORD.match(source.text, position)
        if found is None:
            raise source.fault(position, f"{source.text[position : position + 20]} is not allowed {where}", allowed)
        if found.lastgroup != "space":
            words.append(Token(str(found.lastgroup), found.group(), position))
            depth += (found.group() in "([") - (found.group() in ")]")
            if depth > MAXIMUM_DEPTH:
                raise source.fault(position, f"it is nested deeper than {MAXIMUM_DEPTH}", "remove parentheses that change nothing")
        position = found.end()
    return words

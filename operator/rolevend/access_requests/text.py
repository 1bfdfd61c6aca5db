"""Make the words of agents and people harmless before others read them: no control characters, no links, no markup, no secrets.

The result is inert in Markdown, HTML, chat messages and terminals. A page still escapes it like any other text.
"""

import re
from enum import Enum
from typing import Final
from unicodedata import category

MAXIMUM_CHARACTERS: Final = 500
SECRET: Final = "(secret removed)"  # noqa: S105 - no password
LINK: Final = "(link removed)"

_MOST_READ: Final = 20_000
"""Characters of a text that are read at all, so that a text of a megabyte costs as little as a short one."""
_MOST_SEARCHED: Final = 4_000
_SPACES: Final = frozenset({"Zs", "Zl", "Zp"})
_REMOVED: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_MOST_MARKS: Final = 2
"""Combining marks on one character."""

_SECRETS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY.*?(?:-----END [A-Z0-9 ]{0,40}-----|$)",
        r"\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_=-]*)*",
        r"(?:pass(?:word|wd|phrase|code)|passwort|pwd|secret|token|credential|api[_ -]?key|access[_ -]?key|private[_ -]?key)"
        r"[\w-]{0,20}[\"']?\s{0,5}(?::=|=>|[=:])\s{0,5}(?:\"[^\"]*\"?|'[^']*'?|[^\s\"']\S*)",
        r"\bBearer\s{1,5}[A-Za-z0-9+/._~=-]{8,}",
        r"\bAKIA[0-9A-Z]{12,}|\bgh[pousr]_[A-Za-z0-9]{16,}|\bgithub_pat_\w{16,}|\bxox[a-z]-[A-Za-z0-9-]{8,}|\bsk-[A-Za-z0-9_-]{16,}",
    )
)
_LINKS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"[^\s:]{0,40}:/{2,}\S*",
        r"\b[a-z][a-z0-9+.-]{0,20}:/\S*",
        r"\b(?:mailto|javascript|data|vbscript|tel|sms|slack|tg):\S*",
        r"\bwww\.\S*",
        r"(?<!:)//[\w.-]\S*",
    )
)
_DOT_OF_A_NAME: Final = re.compile(r"(?<=\w)\.(?=[^\W\d])")
"""A program that shows the text could make `example.com` a link. The dot of a number stays."""
_LONE_UNDERSCORE: Final = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_INERT: Final = str.maketrans(
    {
        **dict.fromkeys('"“”„‟«»″＂', "'"),
        **dict(zip("<>&`*[]~|\\@", "＜＞＆｀＊［］～｜＼＠", strict=True)),
    }
)


class Speaker(Enum):
    """The author of a text, as its heading names them."""

    AGENT = "the agent says (not verified)"
    USER = "the user says"
    APPROVER = "the approver says"


def quoted(text: str, speaker: Speaker, longest: int = MAXIMUM_CHARACTERS) -> str:
    """Return the text in double quotes, after its heading. It contains no double quote itself."""
    return f'{speaker.value}: "{sanitized(text, longest)}"'


def sanitized(text: str, longest: int = MAXIMUM_CHARACTERS) -> str:
    """Return the text on one line, with at most `longest` characters."""
    found = _visible(text[:_MOST_READ])[:_MOST_SEARCHED]
    for secret in _SECRETS:
        found = secret.sub(SECRET, found)
    for link in _LINKS:
        found = link.sub(LINK, found)
    found = _LONE_UNDERSCORE.sub("＿", _DOT_OF_A_NAME.sub("·", found)).translate(_INERT).strip()
    return found if len(found) <= longest else f"{found[: longest - 1].rstrip()}…"


def _visible(text: str) -> str:
    """Return the text without characters that are invisible, or change the direction or order of others. Runs of spaces become one."""
    kept: list[str] = []
    marks = 0
    for character in text:
        kind = category(character)
        if kind in _SPACES or character in "\t\n\r\v\f\x85":
            kept.append(" ")
        elif kind not in _REMOVED:
            marks = marks + 1 if kind in ("Mn", "Me") else 0
            if marks <= _MOST_MARKS:
                kept.append(character)
    return " ".join("".join(kept).split())

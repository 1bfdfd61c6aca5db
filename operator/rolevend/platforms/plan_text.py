"""The text and the digest of a plan: findings, then statements with their reasons. Pure."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from textwrap import fill
from typing import Any, Protocol

from rolevend.platforms.statement import plain

WIDTH = 120
_PIECES = re.compile(
    r"\$(?P<tag>[A-Za-z_]*)\$.*?\$(?P=tag)\$|--[^\n]*"
    r"|(?P<literal>E?'(?:[^']|'')*')|\"(?P<identifier>(?:[^\"]|\"\")*)\"",
    re.DOTALL,
)


class PlannedStatement(Protocol):
    """A statement with its reason, which may be empty."""

    @property
    def text(self) -> str: ...

    @property
    def why(self) -> str: ...


class _OfKind(Protocol):
    @property
    def kind(self) -> StrEnum: ...


def digest_of(content: Mapping[str, Any]) -> str:
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def visible(statement: str) -> str:
    """Return the same statement, with escapes of PostgreSQL for invisible characters of names and values. A name with line breaks, escapes
    of a terminal, or with characters that change the order of others could otherwise show another plan than the one that runs."""
    return _PIECES.sub(_escaped, statement)


def _escaped(piece: re.Match[str]) -> str:
    if piece[0].isprintable() or (piece["literal"] is None and piece["identifier"] is None):
        return piece[0]
    if piece["literal"] is not None:
        literal = piece[0] if piece[0].startswith("E") else "E" + piece[0].replace("\\", "\\\\")
        return "".join(each if each.isprintable() else f"\\U{ord(each):08X}" for each in literal)
    name = piece["identifier"].replace("\\", "\\\\")
    return 'U&"' + "".join(each if each.isprintable() else f"\\+{ord(each):06X}" for each in name) + '"'


def finding_lines(kinds: Iterable[StrEnum], findings: Sequence[_OfKind]) -> Iterator[str]:
    """Yield the findings as comments of SQL, under a heading for each kind."""
    for kind in kinds:
        found = [finding for finding in findings if finding.kind is kind]
        if found:
            yield f"--\n-- {kind.value}:"
        for finding in found:
            yield f"--   {plain(visible(str(finding)))}"


def transaction_lines(statements: Iterable[PlannedStatement], last: str = "") -> Iterator[str]:
    """Yield one transaction, with `last` as a comment before its end."""
    yield "\nBEGIN;"
    yield from statement_lines(statements)
    yield f"\n-- {last}\nCOMMIT;\n" if last else "COMMIT;\n"


def statement_lines(statements: Iterable[PlannedStatement]) -> Iterator[str]:
    for statement in statements:
        if statement.why:
            yield "\n" + fill(statement.why, WIDTH, initial_indent="-- ", subsequent_indent="-- ")
        yield f"{statement.text};"

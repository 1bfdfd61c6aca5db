"""The text and the digest of a plan: findings, then statements with their reasons. Pure."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from textwrap import fill, indent
from typing import Any, Protocol

WIDTH = 120


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


def finding_lines(kinds: Iterable[StrEnum], findings: Sequence[_OfKind]) -> Iterator[str]:
    """Yield the findings as comments of SQL, under a heading for each kind."""
    for kind in kinds:
        found = [finding for finding in findings if finding.kind is kind]
        if found:
            yield f"--\n-- {kind.value}:"
        for finding in found:
            yield indent(str(finding), "--   ")


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

"""The plan of an uninstallation: what blocks it, what is lost, what is as before again, what stays, and its statements. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rolevend.errors import Conflict
from rolevend.platforms.plan_text import PlannedStatement, digest_of, finding_lines, statement_lines, transaction_lines
from rolevend.platforms.statement import plain


class RemovalKind(StrEnum):
    REFUSED = "refused"
    """Blocks the uninstallation."""
    LOST = "is lost"
    """Something of somebody else, or of the audit trail."""
    GIVEN = "is as before again"
    STAYS = "stays"


@dataclass(frozen=True, slots=True)
class RemovalFinding:
    kind: RemovalKind
    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.text}"


@dataclass(frozen=True, slots=True)
class UninstallPlan:
    """The statements and the findings. Without statements nothing of rolevend is there."""

    server: str
    """The server or the account, as in status.serverIdentifier of its DataPlatform."""
    database: str
    statements: Sequence[PlannedStatement]
    findings: Sequence[RemovalFinding]
    one_transaction: bool = True
    digest: str = field(init=False)
    """SHA-256 over all other fields."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", digest_of(self._content()))

    @property
    def refusals(self) -> tuple[RemovalFinding, ...]:
        """The findings that block the uninstallation."""
        return tuple(finding for finding in self.findings if finding.kind is RemovalKind.REFUSED)

    def require(self, accept: str) -> None:
        """Raises `Conflict` if `accept` is another digest, or if the plan has refusals."""
        if self.digest != accept:
            raise Conflict(
                f"cannot uninstall under digest {accept[:12]}…: the plan is now {self.digest[:12]}…, because the database or rolevend "
                "changed; read the new plan and accept its digest"
            )
        if self.refusals:
            raise Conflict(f"cannot uninstall: {'; '.join(str(finding) for finding in self.refusals)}")

    def as_json(self) -> dict[str, Any]:
        return {"digest": self.digest, **self._content()}

    def text(self) -> str:
        heading = f"-- uninstall rolevend from database {plain(self.database)} of server {self.server}"
        if not self.statements:
            return f"{heading}\n-- rolevend is not installed here: there is nothing to do\n"
        lines = transaction_lines if self.one_transaction else statement_lines
        return "\n".join([heading, *finding_lines(RemovalKind, self.findings), *lines(self.statements), f"-- digest: {self.digest}", ""])

    def _content(self) -> dict[str, Any]:
        return {
            "server": self.server,
            "database": self.database,
            "findings": [{"kind": each.kind.value, "subject": each.subject, "text": each.text} for each in self.findings],
            "statements": [{"text": each.text, "why": each.why} for each in self.statements],
        }


def in_order(findings: Iterable[RemovalFinding]) -> tuple[RemovalFinding, ...]:
    kinds = list(RemovalKind)
    return tuple(sorted(findings, key=lambda each: (kinds.index(each.kind), each.subject, each.text)))

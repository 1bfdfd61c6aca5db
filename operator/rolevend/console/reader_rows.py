"""The answers on access as rows of tables. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rolevend.access_report import text
from rolevend.access_report.answer import PossibleAccess, RoleAccess
from rolevend.access_report.report import AccessAnswer
from rolevend.access_report.target import AccessQuestion
from rolevend.audit.evidence import TableAccess
from rolevend.policy.explanation import EVERY_ROW
from rolevend.policytools.outcomes import when_columns

MOST_ROWS: Final = 200
"""Of one page."""


@dataclass(frozen=True, slots=True)
class LiveRow:
    role: str | None
    """`namespace/name`, which is also the end of the path of its page."""
    agent: str
    user: str
    issuer: str
    platform: str
    purpose: str | None
    proof: str | None
    state: str
    end: datetime | None
    shows: str
    rows: str
    policies: str
    source: str


@dataclass(frozen=True, slots=True)
class LiveTable:
    summary: str
    head: str
    """Of the column that says how a value is shown."""
    rows: Sequence[LiveRow]
    left_out: int
    notes: Sequence[str]

    @classmethod
    def of(cls, question: AccessQuestion, answer: AccessAnswer[RoleAccess]) -> "LiveTable":
        target, shown = question.target, answer.entries[:MOST_ROWS]
        rows = [
            LiveRow(
                each.object,
                each.acting.agent,
                each.acting.user_subject,
                each.acting.user_issuer,
                each.platform,
                each.purpose,
                each.proof,
                each.state.lower(),
                each.end,
                text.shown_text(target, each.access),
                _rows(each.rows, each.access),
                text.policies_text(each),
                text.SOURCES[each.basis],
            )
            for each in shown
        ]
        left_out = len(answer.entries) - len(shown)
        return cls(text.live_summary(target, answer.entries), target.column or "Columns", rows, left_out, answer.notes)


@dataclass(frozen=True, slots=True)
class PossibleRow:
    user: str
    is_stranger: bool
    """True if the user stands for people whom no object names."""
    issuer: str
    agent: str
    platform: str
    proof: str
    when: Sequence[str]
    how: str
    shows: str
    rows: str
    policies: str


@dataclass(frozen=True, slots=True)
class PossibleTable:
    summary: str
    head: str
    """Of the column that says how a value is shown."""
    whens: Sequence[str]
    """The heads of the columns that say for which purposes and lifetimes a row holds."""
    rows: Sequence[PossibleRow]
    left_out: int
    notes: Sequence[str]

    @classmethod
    def of(cls, question: AccessQuestion, answer: AccessAnswer[PossibleAccess]) -> "PossibleTable":
        target, shown = question.target, answer.entries[:MOST_ROWS]
        whens = when_columns(each.when for each in answer.entries)
        rows = [
            PossibleRow(
                each.acting.user_subject,
                each.is_stranger,
                each.acting.user_issuer,
                each.acting.agent,
                each.platform,
                each.proof,
                [column.text(each.when) for column in whens],
                text.how_text(each),
                text.shown_text(target, each.access),
                _rows(each.rows, each.access),
                ", ".join(each.policies),
            )
            for each in shown
        ]
        left_out = len(answer.entries) - len(shown)
        names = [each.name for each in whens]
        return cls(text.possible_summary(target, answer.entries), target.column or "Columns", names, rows, left_out, answer.notes)


def _rows(words: str | None, access: TableAccess | None) -> str:
    """Return the visible rows in words, or as the audit event has them."""
    return text.rows_text(access) if words is None else words or EVERY_ROW

"""What the operator reports, as the values that go into a status. The clock is an argument."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

from rolevend.kinds.shared import Condition

Truth = Literal["True", "False", "Unknown"]
Body = dict[str, Any]
"""A status, or a piece of one, as it is patched."""
LONGEST_MESSAGE = 32768
_MOST_SHOWN = 5
ONLY_WHILE_TRUE = frozenset({"Stalled", "StricterForTools"})
"""Conditions that are there only while they hold: whoever follows kstatus takes their absence for False."""


@dataclass(frozen=True, slots=True)
class ConditionUpdate:
    """What is true of one aspect of an object now; it becomes a condition when it is reported."""

    type: str
    status: Truth
    reason: str
    """CamelCase code."""
    message: str


def reported(findings: Iterable[ConditionUpdate], before: Iterable[Condition], *, generation: int, now: datetime) -> tuple[Condition, ...]:
    """The conditions `before`, with these findings in place of those of their types: an aspect whose `status` did not change
    keeps the time of its last transition, one that nothing was found about stays as it was, or goes if it is one of `ONLY_WHILE_TRUE`.
    In the order of first appearance."""
    findings = tuple(findings)
    gone = ONLY_WHILE_TRUE - {finding.type for finding in findings}
    conditions = {condition.type: condition for condition in before if condition.type not in gone}
    for finding in findings:
        old = conditions.get(finding.type)
        unchanged = old is not None and old.status == finding.status
        conditions[finding.type] = Condition(
            type=finding.type,
            status=finding.status,
            observed_generation=generation,
            last_transition_time=old.last_transition_time if old is not None and unchanged else now,
            reason=finding.reason,
            message=finding.message[:LONGEST_MESSAGE],
        )
    return tuple(conditions.values())


def shortened(found: Sequence[str]) -> str:
    """The first of what was found, and how many more there are."""
    more = f" (and {len(found) - _MOST_SHOWN} more)" if len(found) > _MOST_SHOWN else ""
    return "; ".join(found[:_MOST_SHOWN]) + more


def body(part: BaseModel) -> Body:
    """The same of a piece of a kind: camelCase, times as text, without what is not known."""
    return part.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"kopf"})

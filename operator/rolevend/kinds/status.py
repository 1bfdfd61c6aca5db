"""Build conditions and status values. The clock is an argument."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

from rolevend.kinds.shared import Condition

Truth = Literal["True", "False", "Unknown"]
Body = dict[str, Any]
"""A status, or a part of one, as a patch."""
LONGEST_MESSAGE = 32768
_MOST_SHOWN = 5
ONLY_WHILE_TRUE = frozenset({"Stalled", "StricterForTools"})
"""Conditions that exist only while True: kstatus treats an absent one as False."""


@dataclass(frozen=True, slots=True)
class ConditionUpdate:
    """The current state of one condition, without times."""

    type: str
    status: Truth
    reason: str
    """CamelCase code."""
    message: str


def reported(findings: Iterable[ConditionUpdate], before: Iterable[Condition], *, generation: int, now: datetime) -> tuple[Condition, ...]:
    """Return the conditions `before`, updated with `findings`, in order of first appearance. An unchanged `status` keeps its transition
    time. Types without a finding stay, unless they are in `ONLY_WHILE_TRUE`."""
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
    """Return the first sentence, and the number of others."""
    more = f" (and {len(found) - _MOST_SHOWN} more)" if len(found) > _MOST_SHOWN else ""
    return "; ".join(found[:_MOST_SHOWN]) + more


def body(part: BaseModel) -> Body:
    """Return a model as status: camelCase, times as text, without None."""
    return part.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"kopf"})

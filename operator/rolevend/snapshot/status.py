"""From a evaluation to the status that tells of it, to people and to the tools that deploy from git. Pure."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from rolevend.kinds import Resource
from rolevend.kinds.status import Body, ConditionUpdate, body, reported
from rolevend.snapshot.conditions.common import StatusEvaluation

_MAY_COME_YET: Final = frozenset({"PlatformUnknown"})
"""Reasons that another object of the same folder takes away, which arrives later."""


def status_of(evaluation: StatusEvaluation[Resource], now: datetime) -> Body:
    resource = evaluation.resource
    findings = (*evaluation.findings, *_stalled(evaluation.findings))
    conditions = reported(findings, resource.status.conditions, generation=resource.generation, now=now)  # type: ignore[attr-defined]
    return {**evaluation.counts, "observedGeneration": resource.generation, "conditions": [body(each) for each in conditions]}


def _stalled(findings: Iterable[ConditionUpdate]) -> list[ConditionUpdate]:
    """Whoever waits for Ready waits in vain: somebody has to change something first. As kstatus has it, only while it is so."""
    refused = [
        finding
        for finding in findings
        if finding.status == "False"
        and (
            (finding.type == "Accepted" and finding.reason not in _MAY_COME_YET) or (finding.type, finding.reason) == ("Ready", "Conflict")
        )
    ]
    return [ConditionUpdate("Stalled", "True", finding.reason, finding.message) for finding in refused[:1]]

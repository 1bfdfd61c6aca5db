"""Render an evaluation as the status of the object, for people and for GitOps tools. Pure."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from rolevend.kinds import Resource
from rolevend.kinds.status import Body, ConditionUpdate, body, reported
from rolevend.snapshot.conditions.common import StatusEvaluation

_MAY_COME_YET: Final = frozenset({"PlatformUnknown"})
"""Reasons that a later object of the same folder can resolve."""


def status_of(evaluation: StatusEvaluation[Resource], now: datetime) -> Body:
    resource = evaluation.resource
    findings = (*evaluation.findings, *_stalled(evaluation.findings))
    conditions = reported(findings, resource.status.conditions, generation=resource.generation, now=now)  # type: ignore[attr-defined]
    return {**evaluation.counts, "observedGeneration": resource.generation, "conditions": [body(each) for each in conditions]}


def _stalled(findings: Iterable[ConditionUpdate]) -> list[ConditionUpdate]:
    """Return the condition `Stalled` of kstatus: Ready needs a change by a person. It exists only while True."""
    refused = [
        finding
        for finding in findings
        if finding.status == "False"
        and (
            (finding.type == "Accepted" and finding.reason not in _MAY_COME_YET) or (finding.type, finding.reason) == ("Ready", "Conflict")
        )
    ]
    return [ConditionUpdate("Stalled", "True", finding.reason, finding.message) for finding in refused[:1]]

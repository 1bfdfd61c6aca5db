"""From a judgement to the status that tells of it, to people and to the tools that deploy from git. Pure."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from rolevend.picture.judgement import Judgement
from rolevend.resources import Resource
from rolevend.resources.status import Body, Finding, body, reported

_MAY_COME_YET: Final = frozenset({"PlatformUnknown"})
"""Reasons that another object of the same folder takes away, which arrives later."""


def status_of(judgement: Judgement[Resource], now: datetime) -> Body:
    resource = judgement.resource
    findings = (*judgement.findings, *_stalled(judgement.findings))
    conditions = reported(findings, resource.status.conditions, generation=resource.generation, now=now)  # type: ignore[attr-defined]
    return {**judgement.counts, "observedGeneration": resource.generation, "conditions": [body(each) for each in conditions]}


def _stalled(findings: Iterable[Finding]) -> list[Finding]:
    """Whoever waits for Ready waits in vain: somebody has to change something first. As kstatus has it, only while it is so."""
    refused = [
        finding
        for finding in findings
        if finding.status == "False"
        and (
            (finding.type == "Accepted" and finding.reason not in _MAY_COME_YET) or (finding.type, finding.reason) == ("Ready", "Conflict")
        )
    ]
    return [Finding("Stalled", "True", finding.reason, finding.message) for finding in refused[:1]]

"""What is said of an Agent for which nothing would ever be vended, whoever the user is. Pure."""

from collections.abc import Mapping
from dataclasses import replace

from rolevend.decision.admission import Agent as RegisteredAgent
from rolevend.decision.admission import PlatformAdmission, permitting, terms_for, wider_than_permitted
from rolevend.kinds import Agent
from rolevend.kinds.status import ConditionUpdate, shortened
from rolevend.model import PlatformName
from rolevend.snapshot.conditions.common import StatusEvaluation


def evaluate_combination(
    judged: StatusEvaluation[Agent],
    agent: RegisteredAgent,
    labels: Mapping[str, str] | None,
    terms: Mapping[PlatformName, PlatformAdmission],
) -> StatusEvaluation[Agent]:
    """The same with another `Ready` where every platform that admits the agent refuses its combination. Where one of several does, each
    request there is told so. `labels` are those of its namespace, where known."""
    accepted, ready = judged.findings
    if ready.status != "True" or labels is None:
        return judged
    here = {name: terms_for(each, labels, agent) for name, each in sorted(terms.items())}
    admitting = {name: each for name, each in here.items() if permitting(agent, each)}
    refusals = [refusal for name, each in admitting.items() if (refusal := wider_than_permitted(agent, terms[name], each))]
    if not refusals or len(refusals) < len(admitting):
        return judged
    return replace(
        judged, findings=(accepted, ConditionUpdate("Ready", "False", "NotPermitted", f"spec.combination: {shortened(refusals)}"))
    )

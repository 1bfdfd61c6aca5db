"""The conditions of an Agent that can get no role, for any user. Pure."""

from collections.abc import Mapping
from dataclasses import replace

from rolevend.decision.admission import Agent as RegisteredAgent
from rolevend.decision.admission import PlatformAdmission, permitting, terms_for, wider_than_permitted
from rolevend.kinds import Agent
from rolevend.kinds.status import ConditionUpdate, shortened
from rolevend.model import PlatformName
from rolevend.snapshot.conditions.common import StatusEvaluation


def evaluate_combination(
    evaluation: StatusEvaluation[Agent],
    agent: RegisteredAgent,
    labels: Mapping[str, str] | None,
    terms: Mapping[PlatformName, PlatformAdmission],
) -> StatusEvaluation[Agent]:
    """Return the evaluation, with another `Ready` if every platform that admits the agent refuses its combination. If only some refuse
    it, each request there gets the reason. `labels` are those of its namespace, if known."""
    accepted, ready = evaluation.findings
    if ready.status != "True" or labels is None:
        return evaluation
    here = {name: terms_for(each, labels, agent) for name, each in sorted(terms.items())}
    admitting = {name: each for name, each in here.items() if permitting(agent, each)}
    refusals = [refusal for name, each in admitting.items() if (refusal := wider_than_permitted(agent, terms[name], each))]
    if not refusals or len(refusals) < len(admitting):
        return evaluation
    return replace(
        evaluation, findings=(accepted, ConditionUpdate("Ready", "False", "NotPermitted", f"spec.combination: {shortened(refusals)}"))
    )

"""The conditions of an Agent: if it can get a role at all, and which of its tools are refused. Pure.

A refused tool takes away nothing else: roles are vended without it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from rolevend.decision.admission import Agent as RegisteredAgent
from rolevend.decision.admission import PlatformAdmission, permitting, terms_for, tools_of, wider_than_permitted
from rolevend.decision.profile_cache import ProfileCache
from rolevend.decision.tools import ToolRefusal, Tools, name_of_own, refused_functions, refused_tools
from rolevend.kinds import Agent
from rolevend.kinds.status import ConditionUpdate, shortened
from rolevend.model import PlatformName
from rolevend.policy.index import Index
from rolevend.policy.vocabulary import closest
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


def evaluate_tools(
    evaluation: StatusEvaluation[Agent],
    agent: RegisteredAgent,
    labels: Mapping[str, str] | None,
    terms: Mapping[PlatformName, PlatformAdmission],
    shapes: Mapping[PlatformName, ProfileCache],
) -> StatusEvaluation[Agent]:
    """Return the evaluation, with another `Ready` if a tool is refused, or not known yet. `labels` are those of its namespace, if known."""
    accepted, ready = evaluation.findings
    if ready.status != "True" or not agent.tools:
        return evaluation
    if labels is None:
        cause = f"spec.tools: the labels of namespace {agent.name.namespace} are not known yet"
        return replace(evaluation, findings=(accepted, ConditionUpdate("Ready", "Unknown", "NamespaceUnknown", cause)))
    refusals = [refusal for name in sorted(agent.tools) for refusal in _refusals(name, agent, labels, terms, shapes)]
    if refusals:
        shown = shortened([each.message for each in refusals])
        return replace(evaluation, findings=(accepted, ConditionUpdate("Ready", "False", refusals[0].reason, f"spec.tools: {shown}")))
    unread = [name for name in sorted(agent.tools) if name not in shapes]
    if unread:
        cause = f"spec.tools: what DataPlatform {', '.join(unread)} holds was not read yet"
        return replace(evaluation, findings=(accepted, ConditionUpdate("Ready", "Unknown", "CatalogUnread", cause)))
    return replace(evaluation, findings=(accepted, ConditionUpdate("Ready", "True", "Valid", "in use, with every tool that it asks for")))


def _refusals(
    name: PlatformName,
    agent: RegisteredAgent,
    labels: Mapping[str, str],
    terms: Mapping[PlatformName, PlatformAdmission],
    shapes: Mapping[PlatformName, ProfileCache],
) -> Iterator[ToolRefusal]:
    if name not in terms:
        yield ToolRefusal("PlatformUnknown", f"no DataPlatform is named {name}{closest(name, terms)}")
        return
    found = tools_of(agent, terms[name], terms_for(terms[name], labels, agent))
    yield from found.refusals
    if name in shapes:
        shape, tables = shapes[name], {table.id: table for table in shapes[name].index.tables}
        for each in (
            *refused_functions(found.tools, shape.functions),
            *refused_tools(found.tools, shape.tools, tables),
            *_refused_tables(found.tools, agent, shape.index),
        ):
            yield ToolRefusal(each.reason, f"{each.message} (on {name})")


def _refused_tables(tools: Tools, agent: RegisteredAgent, index: Index) -> Iterator[ToolRefusal]:
    there = {table.id.schema for table in index.tables}
    for schema in sorted(tools.schemas - there):
        yield ToolRefusal("ToolMissing", f"schema {schema} holds no table, or is not there")
    for report in index.reports:
        if report.policy == name_of_own(agent.name):
            yield from (ToolRefusal("ToolRefused", problem.message) for problem in report.problems if problem.table is not None)

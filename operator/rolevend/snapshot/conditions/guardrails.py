"""The conditions of a Guardrail: if it is accepted, if it is in use, and which tables it restricts. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final

from rolevend.decision.admission import PlatformAdmission
from rolevend.decision.profile_cache import ProfileCache
from rolevend.errors import InvalidInput
from rolevend.kinds import Guardrail, Resource, statements
from rolevend.kinds.status import Body, ConditionUpdate, shortened
from rolevend.model import PlatformName
from rolevend.policy.guardrail_compiler import GuardrailReport
from rolevend.policy.unresolved_names import unknown_attributes
from rolevend.policy.user_match_counter import UserMatchCounter
from rolevend.policy.vocabulary import closest
from rolevend.snapshot.conditions.common import StatusEvaluation, mask_fallback, names_known

UNTIL_FIXED: Final = "Until that is fixed all its tables are denied"


def guardrail_scope_condition(guardrail: Guardrail, terms: Mapping[PlatformName, PlatformAdmission]) -> ConditionUpdate | None:
    """Return the condition that keeps it from the platforms that it names, or None."""
    unknown = [ref.name for ref in guardrail.spec.platform_refs if PlatformName(ref.name) not in terms]
    if not unknown:
        return None
    cause = f"spec.platformRefs: no DataPlatform is named {', '.join(unknown)}; it holds on the others{closest(unknown[0], terms)}"
    return ConditionUpdate("Accepted", "False", "PlatformUnknown", cause)


def evaluate_guardrail(
    guardrail: Guardrail,
    fault: InvalidInput | None,
    terms: Mapping[PlatformName, PlatformAdmission],
    shapes: Mapping[PlatformName, ProfileCache],
    census: UserMatchCounter,
) -> StatusEvaluation[Resource]:
    """Evaluate a guardrail. An unreadable part denies its tables, which count as restricted. `census` covers all users."""
    accepted = guardrail_scope_condition(guardrail, terms) or ConditionUpdate(
        "Accepted", "True", "Valid", "the guardrail is well formed and reaches its platforms"
    )
    if fault is not None:
        accepted = ConditionUpdate("Accepted", "False", "InvalidInput", f"{fault}. {UNTIL_FIXED}")
    names = [PlatformName(ref.name) for ref in guardrail.spec.platform_refs if PlatformName(ref.name) in terms]
    unread = [name for name in names if name not in shapes]
    if unread:
        cause = f"the tables or tags of DataPlatform {', '.join(unread)} were not read yet"
        return StatusEvaluation(guardrail, (accepted, ConditionUpdate("Ready", "Unknown", "CatalogUnread", cause)))
    reports = [report for name in names for report in shapes[name].index.guardrail_reports if report.guardrail == guardrail.name]
    counts = {
        "matchedTables": sum(each.tables for each in reports),
        "matchedColumns": sum(each.columns for each in reports),
        "matchedUsers": census.concerned(statements.guardrail_users(guardrail)),
    }
    reads = frozenset[str]().union(*(each.reads for name in names for each in shapes[name].index.guardrails if each.name == guardrail.name))
    known = names_known(reports, unknown_attributes(reads, census.attributes))
    return StatusEvaluation(guardrail, (accepted, _guardrail_ready(accepted, reports, counts), known, mask_fallback(reports)), counts)


def _guardrail_ready(accepted: ConditionUpdate, reports: Sequence[GuardrailReport], counts: Body) -> ConditionUpdate:
    problems = [problem for each in reports for problem in each.problems]
    if accepted.status != "True":
        return ConditionUpdate("Ready", "False", accepted.reason, accepted.message)
    if problems:
        return ConditionUpdate("Ready", "False", "Denies", shortened([problem.message for problem in problems]))
    if not counts["matchedTables"]:
        return ConditionUpdate(
            "Ready", "False", "NoMatch", "takes nothing away: no table, or no column of one, is selected; check names and tags"
        )
    idle = [problem.message for problem in reports[0].idle if all(problem in each.idle for each in reports)]
    if idle:
        return ConditionUpdate("Ready", "False", "NoMatch", shortened(idle))
    shown = f"takes something away from {counts['matchedTables']} tables: {counts['matchedColumns']} columns are denied or have a floor"
    return ConditionUpdate("Ready", "True", "InForce", shown)

"""The conditions of each object: if it is accepted, if it is in use, and how much it matches. Pure.

Of two objects that conflict, the older one is accepted, independent of the order in which we saw them.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Generic, TypeVar

from rolevend.decision.outcome import SUSPENDED
from rolevend.decision.profile_cache import ProfileCache
from rolevend.kinds import NAME_LABEL, AccessPolicy, DataPlatform, Resource, values
from rolevend.kinds.data_platform import AgentTerms, Attestation
from rolevend.kinds.status import Body, ConditionUpdate, Truth, body, shortened
from rolevend.kinds.text import timestamp_text
from rolevend.model import PlatformName
from rolevend.platform_runtime.state import SERVER_CHANGED, PlatformState, is_about
from rolevend.policy.guardrail_compiler import GuardrailReport
from rolevend.policy.index import CompiledPolicy, Index, PolicyReport
from rolevend.policy.request_context import GrantTarget
from rolevend.policy.table_fit import PolicyProblem
from rolevend.policy.unresolved_names import unknown_attributes
from rolevend.policy.user_match_counter import UserMatchCounter
from rolevend.snapshot.scope import CONTESTED, ownership_condition

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LEAK = "Leak"
_COUNTS = ("matchedTables", "matchedColumns", "matchedUsers")
"""The counts in the status of an AccessPolicy."""
R = TypeVar("R", bound=Resource, covariant=True)


def isolation_conditions(platform: DataPlatform) -> tuple[ConditionUpdate, ...]:
    """Return the condition for a Snowflake account. On PostgreSQL each role is a login, so there is none."""
    if platform.spec.snowflake is None:
        return ()
    named = [f"{each.agent_user} of agent {_whose(each)}" for each in platform.spec.agents if each.agent_user]
    if not named:
        return (ConditionUpdate("Isolated", "True", "EphemeralUser", "each role has a user of its own, which holds nothing else"),)
    cause = (
        "A session of it may use any role that the user holds, for all people that the agent acts for at that time, or drop all of them to "
        "read what the user itself may read: nothing but the agent keeps two people apart. Without agentUser each role has its own user"
    )
    return (ConditionUpdate("Isolated", "False", "AgentUser", f"spec.agents: roles are granted to the user {shortened(named)}. {cause}"),)


def _whose(terms: AgentTerms) -> str:
    """Return the one agent of an entry that names a user."""
    return f"{terms.namespace_selector.match_labels[NAME_LABEL]}/{', '.join(terms.agent_names or ())}"


@dataclass(frozen=True, slots=True)
class StatusEvaluation(Generic[R]):
    """The conditions of an object. `counts` are further fields of the status."""

    resource: R
    findings: tuple[ConditionUpdate, ...]
    counts: Body = field(default_factory=dict)
    unknown: tuple[PolicyProblem, ...] = ()
    """For a TagBinding: the entries that tag nothing. The conditions name the first."""

    @property
    def accepted(self) -> bool:
        return self.findings is _IN_USE or all(finding.status == "True" for finding in self.findings if finding.type == "Accepted")


def evaluate_platforms(
    platforms: Sequence[DataPlatform], states: Mapping[PlatformName, PlatformState], suspension: str | None = None
) -> list[StatusEvaluation[DataPlatform]]:
    """Evaluate all DataPlatforms. `suspension` says what suspends the whole cluster."""
    owners: dict[str, str] = {}
    evaluations = []
    for platform in sorted(platforms, key=by_age):
        state = states.get(PlatformName(platform.name), PlatformState())
        server = state.facts.identifier if state.facts else ""
        owner = owners.setdefault(server, platform.name) if server else platform.name
        if state.problem is not None and state.problem[0] == SERVER_CHANGED:
            accepted = ConditionUpdate("Accepted", "False", "ServerChanged", state.problem[1])
        elif owner == platform.name:
            accepted = ConditionUpdate("Accepted", "True", "Valid", "the platform is usable")
        else:
            accepted = ConditionUpdate("Accepted", "False", "Conflict", _same_server(platform, owner))
        attested = _attested(platform, state)
        ready = _ready(platform, accepted, state, attested, suspension)
        findings = (accepted, ready, _drift(state), attested, ownership_condition(platform), *isolation_conditions(platform))
        evaluations.append(StatusEvaluation(platform, findings, _platform_counts(state)))
    return evaluations


def _same_server(platform: DataPlatform, owner: str) -> str:
    if platform.spec.snowflake is not None:
        return f"spec.snowflake: this is the account of DataPlatform {owner}; a role has one name in an account, so one is enough"
    return f"spec.postgres: this is the server of DataPlatform {owner}; roles belong to a server, so one is enough"


def _ready(
    platform: DataPlatform, accepted: ConditionUpdate, state: PlatformState, attested: ConditionUpdate, suspension: str | None
) -> ConditionUpdate:
    if accepted.status != "True":
        return ConditionUpdate("Ready", "False", accepted.reason, accepted.message)
    cause = "spec.suspend is true" if platform.spec.suspend else suspension
    if cause is not None:
        return suspended(cause, "nothing is vended there, and the roles there end")
    if state.problem is not None:
        return ConditionUpdate("Ready", "False", *state.problem)
    if state.drift:
        return ConditionUpdate("Ready", "False", "Drift", _drift(state).message)
    if attested.reason == LEAK:
        return ConditionUpdate("Ready", "False", LEAK, attested.message)
    if attested.status != "True" and not platform.spec.allow_unattested:
        return ConditionUpdate("Ready", "False", "NotAttested", attested.message)
    details = f"{_without_tables(platform, state)}{_ungoverned(state)}"
    return ConditionUpdate("Ready", "True", "Connected", f"both credentials work, and the catalog was read{details}")


def _without_tables(platform: DataPlatform, state: PlatformState) -> str:
    """Name schemas without tables. A schema may be misspelled, dropped, or not filled yet."""
    if state.catalog is None:
        return ""
    empty = sorted(values.governed(platform) - {table.schema for table in state.catalog.tables})
    problems = [f"schema {each} does not exist, or has no table that the operator can see" for each in empty]
    return f"; spec.domains: {shortened(problems)}" if problems else ""


def _ungoverned(state: PlatformState) -> str:
    """Name ungoverned tables, even if no policy selects them: the unreadable tag may be the reason."""
    tables = () if state.catalog is None else state.catalog.tables.values()
    problems = [f"{table.id} {table.obstacle}" for table in tables if table.obstacle]
    return f"; {len(problems)} of {len(tables)} tables cannot be governed: {shortened(problems)}" if problems else ""


def _attested(platform: DataPlatform, state: PlatformState) -> ConditionUpdate:
    """Return the condition Attested. A leak remains until another attestation finds none."""
    last = state.attestation
    if last is None or state.facts is None or not (is_about(last, state.facts) or any(check.leaks for check in last.failed)):
        if state.attest_problem is not None:
            return ConditionUpdate("Attested", "Unknown", *state.attest_problem)
        return ConditionUpdate("Attested", "Unknown", "NotAttested", "isolation is not tested yet; canary roles will test it")
    where = f"{attested_server(platform, last)}, rolevend {last.rolevend_version}, {timestamp_text(last.time)}"
    if last.failed:
        leaks = [check for check in last.failed if check.leaks]
        shown = shortened([f"{check.name}: {check.detail}" for check in leaks or last.failed])
        if leaks:
            return ConditionUpdate("Attested", "False", "Leak", f"{shown}. Nothing is vended there, and its roles end ({where})")
        return ConditionUpdate("Attested", "False", "ChecksFailed", f"{shown} ({where})")
    if state.attestation_overdue:
        cause = state.attest_problem[1] if state.attest_problem else "canary roles have not tested it since"
        return ConditionUpdate("Attested", "Unknown", "Overdue", f"the last successful attestation is too old: {cause} ({where})")
    open_ = f", {len(last.not_preventable)} cannot be prevented there" if last.not_preventable else ""
    untried = f", {len(last.not_tried)} were not tested" if last.not_tried else ""
    return ConditionUpdate("Attested", "True", "PromisesHold", f"{len(last.passed)} checks passed{open_}{untried} ({where})")


def attested_server(platform: DataPlatform, attestation: Attestation) -> str:
    """Return the server of an attestation, for people."""
    if platform.spec.snowflake is None:
        return f"PostgreSQL {attestation.server_version}, installed as {attestation.install_mode}"
    edition = f" {attestation.edition}" if attestation.edition else ""
    return f"Snowflake{edition} {attestation.server_version}, account {attestation.server_identifier}"


def _drift(state: PlatformState) -> ConditionUpdate:
    """Return the condition InSync. During an outage it is that of the last answer."""
    if state.facts is None:
        return ConditionUpdate(
            "InSync", "Unknown", "NotReached", "row policies were not read yet: the platform has not answered this operator"
        )
    if not state.drift:
        return ConditionUpdate("InSync", "True", "AsProgrammed", "row policies on the platform are unchanged")
    shown = shortened([f"{each.table}: {each.finding}" for each in state.drift])
    return ConditionUpdate("InSync", "False", "Drift", f"{shown}. Nothing is vended there until it is fixed")


def _platform_counts(state: PlatformState) -> Body:
    counts: Body = {}
    if state.facts is not None:
        counts |= {"serverVersion": state.facts.version, "limitations": list(state.facts.limitations)}
        counts |= {"serverIdentifier": state.facts.identifier, "installMode": state.facts.install_mode.value}
        counts |= {"hashKeyDomain": state.facts.hash_key_domain} if state.facts.hash_key_domain else {}
    if state.attestation is not None:
        counts["attestation"] = body(state.attestation)
    if state.catalog is not None:
        counts["tableCount"] = len(state.catalog.tables)
    return counts


def evaluate_unique(resources: Iterable[R], keys: Callable[[R], tuple[tuple[str, object], ...]]) -> list[StatusEvaluation[R]]:
    """Evaluate objects with unique fields: of two that claim the same value the older one is accepted."""
    owners: dict[tuple[str, object], R] = {}
    evaluations = []
    for resource in sorted(resources, key=by_age):
        clash = next(((field, owners[field, claim]) for field, claim in keys(resource) if (field, claim) in owners), None)
        if clash is None:
            owners.update(dict.fromkeys(keys(resource), resource))
            evaluations.append(StatusEvaluation(resource, _IN_USE))
        else:
            owner = f"{clash[1].namespace}/{clash[1].name}".removeprefix("/")
            evaluations.append(
                StatusEvaluation(resource, _both("False", "Conflict", f"{clash[0]}: {owner} has it already; choose another one"))
            )
    return evaluations


def with_refusals(evaluations: Iterable[StatusEvaluation[R]], refusal: Callable[[R], str | None]) -> list[StatusEvaluation[R]]:
    """Set objects with a refused handle not ready. They remain accepted, so that each request gets the reason."""
    return [
        replace(each, findings=(each.findings[0], ConditionUpdate("Ready", "False", "Conflict", f"spec.handle: {cause}")))
        if each.accepted and (cause := refusal(each.resource))
        else each
        for each in evaluations
    ]


def with_suspension(
    evaluations: Iterable[StatusEvaluation[R]], is_suspended: Callable[[R], bool], effect: str
) -> list[StatusEvaluation[R]]:
    """Set suspended objects not ready. They remain accepted, so that each request gets the reason."""
    ready = suspended("spec.suspend is true", effect)
    return [
        replace(each, findings=(each.findings[0], ready)) if each.accepted and is_suspended(each.resource) else each for each in evaluations
    ]


def _both(status: Truth, reason: str, message: str) -> tuple[ConditionUpdate, ...]:
    return tuple(ConditionUpdate(type_, status, reason, message) for type_ in ("Accepted", "Ready"))


_IN_USE = _both("True", "Valid", "in use")
"""Shared by almost all of ten thousand users."""


def evaluate_policy(
    policy: AccessPolicy, obstacle: ConditionUpdate | None, shapes: Mapping[PlatformName, ProfileCache], census: UserMatchCounter
) -> StatusEvaluation[Resource]:
    """Evaluate a policy. `census` covers all users. If some schemas have two owners, the policy holds in its others."""
    if obstacle is not None and obstacle.reason != CONTESTED:
        return StatusEvaluation(policy, (obstacle, not_ready(obstacle)), dict.fromkeys(_COUNTS, 0))
    accepted = obstacle or ConditionUpdate("Accepted", "True", "Valid", "the policy is well formed and reaches its platforms")
    if policy.spec.suspend:
        ready = suspended("spec.suspend is true", "it grants and offers nothing")
        return StatusEvaluation(policy, (accepted, ready), dict.fromkeys(_COUNTS, 0))
    names = [PlatformName(ref.name) for ref in policy.spec.platform_refs]
    unread = [name for name in names if name not in shapes]
    if unread:
        cause = f"the tables or tags of DataPlatform {', '.join(unread)} were not read yet"
        ready = ConditionUpdate("Ready", "Unknown", "CatalogUnread", cause)
        return StatusEvaluation(policy, (accepted, ready))
    compiled, reports = zip(*(_compiled(shapes[name].index, policy) for name in names), strict=True)
    counts = {
        "matchedTables": sum(each.granted_tables for each in reports),
        "matchedColumns": sum(each.granted_columns for each in reports),
        "matchedUsers": census.covered(compiled[0].users) if compiled[0].grants_to is GrantTarget.USERS else None,
    }
    reads = frozenset[str]().union(*(each.reads for each in compiled))
    known = names_known(reports, unknown_attributes(reads, census.attributes))
    ready = (
        _policy_ready(reports, counts, "offers" if compiled[0].statement.on_request else "grants")
        if obstacle is None
        else not_ready(obstacle)
    )
    stricter = [sentence for name, each in zip(names, compiled, strict=True) for sentence in shapes[name].behind_tools(each)]
    findings: tuple[ConditionUpdate, ...] = (accepted, ready, known, mask_fallback(reports))
    if stricter:
        findings += (ConditionUpdate("StricterForTools", "True", "TablePolicies", shortened(stricter)),)
    return StatusEvaluation(policy, findings, counts)


def suspended(cause: str, effect: str) -> ConditionUpdate:
    return ConditionUpdate("Ready", "False", SUSPENDED, f"{cause}: {effect}")


def not_ready(obstacle: ConditionUpdate) -> ConditionUpdate:
    return ConditionUpdate("Ready", "False", obstacle.reason, obstacle.message)


def _compiled(index: Index, policy: AccessPolicy) -> tuple[CompiledPolicy, PolicyReport]:
    """Return the policy of the index, or its offer, with its report."""
    name = values.object_name(policy)
    for policies, reports in ((index.policies, index.reports), (index.offers, index.offer_reports)):
        place = bisect_left(policies, name, key=lambda compiled: compiled.id)
        if place < len(policies) and policies[place].id == name:
            return policies[place], reports[place]
    raise KeyError(name)


def _policy_ready(reports: Sequence[PolicyReport], counts: Body, verb: str) -> ConditionUpdate:
    problems = [problem for each in reports for problem in each.problems]
    if problems:
        return ConditionUpdate("Ready", "False", "NotGranted", shortened([problem.message for problem in problems]))
    return ConditionUpdate("Ready", "True", "InForce", f"{verb} {counts['matchedColumns']} columns of {counts['matchedTables']} tables")


def names_known(reports: Sequence[PolicyReport | GuardrailReport], attributes: Iterable[str]) -> ConditionUpdate:
    unknown = list(dict.fromkeys([problem.message for each in reports for problem in each.unknown] + list(attributes)))
    if not unknown:
        return ConditionUpdate("NamesKnown", "True", "Known", "data has every name and tag in it, and some user has every attribute")
    return ConditionUpdate("NamesKnown", "False", "Unknown", shortened(unknown))


def mask_fallback(reports: Sequence[PolicyReport | GuardrailReport]) -> ConditionUpdate:
    fallbacks = [fallback for each in reports for fallback in each.mask_fallbacks]
    if not fallbacks:
        return ConditionUpdate("MaskFallback", "False", "AsWritten", "every column can carry its mask")
    return ConditionUpdate("MaskFallback", "True", "Nullified", shortened([fallback.message for fallback in fallbacks]))


def by_age(resource: Resource) -> tuple[datetime, str, str]:
    """Sort key: the oldest first, with a stable order."""
    return resource.metadata.creation_timestamp or _EPOCH, resource.namespace, resource.name

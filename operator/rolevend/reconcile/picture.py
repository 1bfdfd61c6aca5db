"""From all the objects there are, and what platforms answered, to one `Directory` and a judgement on each object. Pure.

An object that clashes with another is judged against the older one, so that whoever comes later learns of it, whatever the order
in which we saw them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Generic, TypeVar

from rolevend.catalog import Catalog, TagAssignment
from rolevend.errors import InvalidInput
from rolevend.kube.client import Body
from rolevend.model import ClusterId, PlatformName
from rolevend.policy.index import Index, PolicyReport, compile_policies
from rolevend.policy.statement import Policy
from rolevend.reconcile.platforms import PlatformState
from rolevend.resources import AccessPolicy, Agent, DataPlatform, Resource, TagBinding, UserAttributes, values
from rolevend.resources.status import Finding
from rolevend.vending.directory import Agent as RegisteredAgent
from rolevend.vending.directory import AgentTerms, Directory, Person, PlatformTerms, Shapes

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_PROBLEMS = 5

R = TypeVar("R", bound=Resource, covariant=True)


@dataclass(frozen=True, slots=True)
class Judgement(Generic[R]):
    """What an object's status should say. `counts` are further fields of the status."""

    resource: R
    findings: tuple[Finding, ...]
    counts: Body = field(default_factory=dict)

    @property
    def accepted(self) -> bool:
        return all(finding.status == "True" for finding in self.findings if finding.type == "Accepted")


@dataclass(frozen=True, slots=True)
class Objects:
    """All that could be parsed, of every kind that decides."""

    agents: Sequence[Agent] = ()
    platforms: Sequence[DataPlatform] = ()
    policies: Sequence[AccessPolicy] = ()
    bindings: Sequence[TagBinding] = ()
    people: Sequence[UserAttributes] = ()
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Picture:
    directory: Directory
    judgements: tuple[Judgement[Resource], ...]


class Painter:
    """Remembers the compiled index of each platform for as long as nothing that went into it changed."""

    def __init__(self, cluster: ClusterId, handle_key: bytes) -> None:
        self._cluster = cluster
        self._handle_key = handle_key
        self._compiled: dict[PlatformName, tuple[object, Shapes]] = {}

    def paint(self, objects: Objects, states: Mapping[PlatformName, PlatformState], pending: str) -> Picture:
        """`pending` names what was not read yet; until it is empty nothing is decided."""
        platforms = _judge_platforms(objects.platforms, states)
        terms = {
            PlatformName(each.resource.name): _terms(each.resource)
            for each in platforms
            if each.accepted and each.resource.metadata.deletion_timestamp is None
        }
        agents = _judge_unique(objects.agents, lambda agent: (("spec.handle", agent.spec.handle),))
        people = _judge_unique(objects.people, _person_keys)
        shapes, policy_judgements = self._compile(objects, terms, states)
        directory = Directory(
            cluster=self._cluster,
            handle_key=self._handle_key,
            agents={agent.name: agent for agent in (_agent(each.resource) for each in agents if each.accepted)},
            people={person.user: person for person in (_person(each.resource) for each in people if each.accepted)},
            platforms=terms,
            namespaces=objects.namespaces,
            shapes=shapes,
            pending=pending,
        )
        return Picture(directory, (*platforms, *agents, *people, *policy_judgements))

    def _compile(
        self, objects: Objects, terms: Mapping[PlatformName, PlatformTerms], states: Mapping[PlatformName, PlatformState]
    ) -> tuple[dict[PlatformName, Shapes], list[Judgement[Resource]]]:
        statements: dict[PlatformName, list[Policy]] = {name: [] for name in terms}
        assignments: dict[PlatformName, list[TagAssignment]] = {name: [] for name in terms}
        obstacles: dict[str, Finding | None] = {}
        for binding in objects.bindings:
            obstacles[binding.uid] = _reach(binding, [ref.name for ref in binding.spec.platform_refs], terms)
            for name, schemas in _reached(binding, [ref.name for ref in binding.spec.platform_refs], terms):
                assignments[name] += values.tag_assignments(binding, schemas)
        for policy in objects.policies:
            refs = [ref.name for ref in policy.spec.platform_refs]
            obstacles[policy.uid] = _reach(policy, refs, terms)
            try:
                for name, schemas in _reached(policy, refs, terms):
                    statements[name].append(values.policy(policy, schemas))
            except InvalidInput as error:
                obstacles[policy.uid] = Finding("Accepted", "False", "InvalidInput", str(error))
        shapes = {}
        for name in terms:
            state = states.get(name)
            if state is not None and state.catalog is not None:
                shapes[name] = self._shapes(name, state, statements[name], assignments[name])
        for gone in self._compiled.keys() - shapes.keys():
            del self._compiled[gone]
        judgements = [_judge_policy(policy, obstacles[policy.uid], shapes) for policy in objects.policies]
        judgements += [_judge_binding(binding, obstacles[binding.uid], terms, states) for binding in objects.bindings]
        return shapes, judgements

    def _shapes(self, name: PlatformName, state: PlatformState, policies: list[Policy], assignments: list[TagAssignment]) -> Shapes:
        made_of = (state.catalog, tuple(policies), tuple(assignments))
        known = self._compiled.get(name)
        if known is not None and known[0] == made_of:
            return known[1]
        assert state.catalog is not None  # noqa: S101 - the caller has looked
        shapes = Shapes(compile_policies(state.catalog.tagged(assignments), policies), self._cluster)
        self._compiled[name] = (made_of, shapes)
        return shapes


def _judge_platforms(platforms: Sequence[DataPlatform], states: Mapping[PlatformName, PlatformState]) -> list[Judgement[DataPlatform]]:
    owners: dict[str, str] = {}
    judgements = []
    for platform in sorted(platforms, key=_age):
        state = states.get(PlatformName(platform.name), PlatformState())
        server = state.facts.identifier if state.facts else ""
        owner = owners.setdefault(server, platform.name) if server else platform.name
        if owner == platform.name:
            accepted = Finding("Accepted", "True", "Valid", "the platform can be used")
        else:
            accepted = Finding(
                "Accepted",
                "False",
                "Conflict",
                f"spec.postgres: this is the server of DataPlatform {owner}; roles belong to a server, so one is enough",
            )
        judgements.append(Judgement(platform, (accepted, _ready(accepted, state), _drift(state)), _platform_counts(state)))
    return judgements


def _ready(accepted: Finding, state: PlatformState) -> Finding:
    if accepted.status != "True":
        return Finding("Ready", "False", accepted.reason, accepted.message)
    if state.problem is not None:
        return Finding("Ready", "False", *state.problem)
    if state.drift:
        return Finding("Ready", "False", "Drift", _drift(state).message)
    return Finding("Ready", "True", "Connected", "both credentials work, and the catalog was read")


def _drift(state: PlatformState) -> Finding:
    if not state.drift:
        return Finding("InSync", "True", "AsProgrammed", "row policies on the platform are as rolevend made them")
    shown = "; ".join(f"{each.table}: {each.finding}" for each in state.drift[:_MOST_PROBLEMS])
    return Finding("InSync", "False", "Drift", f"{shown}{_more(state.drift)}. Nothing is vended there until it is mended")


def _platform_counts(state: PlatformState) -> Body:
    counts: Body = {}
    if state.facts is not None:
        counts |= {"serverVersion": state.facts.version, "limitations": list(state.facts.limitations)}
    if state.catalog is not None:
        counts["tableCount"] = len(state.catalog.tables)
    return counts


def _judge_unique(resources: Iterable[R], keys: Callable[[R], tuple[tuple[str, object], ...]]) -> list[Judgement[R]]:
    """The older of two objects that claim the same thing keeps it."""
    owners: dict[tuple[str, object], R] = {}
    judgements = []
    for resource in sorted(resources, key=_age):
        clash = next(((field, owners[field, claim]) for field, claim in keys(resource) if (field, claim) in owners), None)
        if clash is None:
            owners.update(dict.fromkeys(keys(resource), resource))
            judgements.append(Judgement(resource, _both("True", "Valid", "in use")))
        else:
            owner = f"{clash[1].namespace}/{clash[1].name}".removeprefix("/")
            judgements.append(Judgement(resource, _both("False", "Conflict", f"{clash[0]}: {owner} has it already; choose another one")))
    return judgements


def _both(status: str, reason: str, message: str) -> tuple[Finding, ...]:
    return tuple(Finding(type_, "True" if status == "True" else "False", reason, message) for type_ in ("Accepted", "Ready"))


def _person_keys(person: UserAttributes) -> tuple[tuple[str, object], ...]:
    handle = (("spec.handle", person.spec.handle),) if person.spec.handle else ()
    return (("spec.user", (person.spec.user.issuer, person.spec.user.subject)), *handle)


def _reached(
    resource: Resource, refs: Iterable[str], terms: Mapping[PlatformName, PlatformTerms]
) -> list[tuple[PlatformName, frozenset[str]]]:
    names = [PlatformName(ref) for ref in refs if PlatformName(ref) in terms]
    return [(name, terms[name].schemas_of[resource.namespace]) for name in names if resource.namespace in terms[name].schemas_of]


def _reach(resource: Resource, refs: Sequence[str], terms: Mapping[PlatformName, PlatformTerms]) -> Finding | None:
    """What keeps the object from the platforms it names, if anything."""
    unknown = [ref for ref in refs if PlatformName(ref) not in terms]
    if unknown:
        return Finding("Accepted", "False", "PlatformUnknown", f"spec.platformRefs: no accepted DataPlatform is named {', '.join(unknown)}")
    without = [ref for ref in refs if resource.namespace not in terms[PlatformName(ref)].schemas_of]
    if without:
        return Finding(
            "Accepted",
            "False",
            "NotPermitted",
            f"spec.platformRefs: DataPlatform {', '.join(without)} gives no schema to namespace {resource.namespace}; see its spec.domains",
        )
    return None


def _judge_policy(policy: AccessPolicy, obstacle: Finding | None, shapes: Mapping[PlatformName, Shapes]) -> Judgement[Resource]:
    if obstacle is not None:
        return Judgement(
            policy, (obstacle, Finding("Ready", "False", obstacle.reason, obstacle.message)), {"matchedTables": 0, "matchedColumns": 0}
        )
    accepted = Finding("Accepted", "True", "Valid", "the policy is well formed and reaches its platforms")
    names = [PlatformName(ref.name) for ref in policy.spec.platform_refs]
    unread = [name for name in names if name not in shapes]
    if unread:
        ready = Finding("Ready", "Unknown", "CatalogUnread", f"the tables of DataPlatform {', '.join(unread)} were not read yet")
        return Judgement(policy, (accepted, ready))
    reports = [_report(shapes[name].index, policy) for name in names]
    columns = sum(_granted_columns(shapes[name].index, policy) for name in names)
    counts = {"matchedTables": sum(each.granted_tables for each in reports), "matchedColumns": columns}
    return Judgement(policy, (accepted, _policy_ready(reports, counts), _mask_fallback(reports)), counts)


def _report(index: Index, policy: AccessPolicy) -> PolicyReport:
    return next(report for report in index.reports if report.policy == values.object_name(policy))


def _granted_columns(index: Index, policy: AccessPolicy) -> int:
    compiled = next(each for each in index.policies if each.id == values.object_name(policy))
    return sum(len(grant.masks) for grants in compiled.grant_sets for _, grant in grants.grants)


def _policy_ready(reports: Sequence[PolicyReport], counts: Body) -> Finding:
    problems = [problem for each in reports for problem in each.problems]
    if problems:
        shown = "; ".join(problem.message for problem in problems[:_MOST_PROBLEMS])
        return Finding("Ready", "False", "NotGranted", f"{shown}{_more(problems)}")
    if not counts["matchedTables"]:
        return Finding(
            "Ready", "False", "NoMatch", "no table and column is selected: see spec.tables, spec.columns, and the tags that they name"
        )
    return Finding("Ready", "True", "InForce", f"grants {counts['matchedColumns']} columns of {counts['matchedTables']} tables")


def _mask_fallback(reports: Sequence[PolicyReport]) -> Finding:
    fallbacks = [fallback for each in reports for fallback in each.mask_fallbacks]
    if not fallbacks:
        return Finding("MaskFallback", "False", "AsWritten", "every mask is carried by its columns")
    shown = "; ".join(fallback.message for fallback in fallbacks[:_MOST_PROBLEMS])
    return Finding("MaskFallback", "True", "Nullified", f"{shown}{_more(fallbacks)}")


def _judge_binding(
    binding: TagBinding, obstacle: Finding | None, terms: Mapping[PlatformName, PlatformTerms], states: Mapping[PlatformName, PlatformState]
) -> Judgement[Resource]:
    if obstacle is not None:
        return Judgement(
            binding, (obstacle, Finding("Ready", "False", obstacle.reason, obstacle.message)), {"matchedTables": 0, "matchedColumns": 0}
        )
    accepted = Finding("Accepted", "True", "Valid", "the binding is well formed and reaches its platforms")
    reached = _reached(binding, [ref.name for ref in binding.spec.platform_refs], terms)
    unread = [name for name, _ in reached if (states.get(name) or PlatformState()).catalog is None]
    if unread:
        return Judgement(
            binding,
            (accepted, Finding("Ready", "Unknown", "CatalogUnread", f"the tables of DataPlatform {', '.join(unread)} were not read yet")),
        )
    tables = columns = 0
    for name, schemas in reached:
        catalog = states[name].catalog or Catalog()
        tagged = catalog.selected(values.tag_assignments(binding, schemas))
        tables, columns = tables + tagged[0], columns + tagged[1]
    counts = {"matchedTables": tables, "matchedColumns": columns}
    if not tables and not columns:
        return Judgement(binding, (accepted, Finding("Ready", "False", "NoMatch", "no table and no column has such a name")), counts)
    return Judgement(binding, (accepted, Finding("Ready", "True", "InForce", f"tags {tables} tables and {columns} columns")), counts)


def _more(found: Sequence[object]) -> str:
    return f" (and {len(found) - _MOST_PROBLEMS} more)" if len(found) > _MOST_PROBLEMS else ""


def _age(resource: Resource) -> tuple[datetime, str, str]:
    return resource.metadata.creation_timestamp or _EPOCH, resource.namespace, resource.name


def _agent(agent: Agent) -> RegisteredAgent:
    return RegisteredAgent(
        name=values.object_name(agent),
        handle=values.agent_handle(agent),
        may_assert=agent.spec.on_behalf_of.assertion == "Trusted",
        users=values.agent_users(agent),
        longest_seconds=agent.spec.limits.max_expiration_seconds,
    )


def _person(person: UserAttributes) -> Person:
    return Person(*values.known_user(person))


def _terms(resource: DataPlatform) -> PlatformTerms:
    return PlatformTerms(
        PlatformName(resource.name),
        values.schemas_of(resource),
        tuple(
            AgentTerms(each.namespace_selector.match_labels, "Trusted" in each.assertions, each.max_expiration_seconds)
            for each in resource.spec.agents
        ),
    )

"""Build one `Snapshot`, and an evaluation of each object, from all objects and the state of the platforms. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from rolevend.catalog import Table, TagAssignment
from rolevend.decision.admission import Agent as RegisteredAgent
from rolevend.decision.admission import AgentAdmission, PlatformAdmission, terms_for, tools_of
from rolevend.decision.profile_cache import ProfileCache
from rolevend.decision.snapshot import Snapshot
from rolevend.decision.snapshot_inputs import SourceVersions
from rolevend.decision.tools import own_tables
from rolevend.errors import InvalidInput
from rolevend.identity.provider import Provider
from rolevend.kinds import (
    AccessPolicy,
    Agent,
    DataPlatform,
    Guardrail,
    IdentityProvider,
    Resource,
    TagBinding,
    UserAttributes,
    statements,
    values,
)
from rolevend.kinds.status import ConditionUpdate
from rolevend.kinds.vended_role import agent_claims, agent_identity
from rolevend.model import Claim, ClusterId, ObjectName, PlatformName, Version, agent_claim
from rolevend.plan import TableNames
from rolevend.platform_runtime.state import PlatformState
from rolevend.policy.request_context import Combination
from rolevend.policy.statement import Guardrail as Restraining
from rolevend.policy.statement import Policy
from rolevend.policy.tags import AssignmentsBySource, tag_conflicts
from rolevend.snapshot.caches import IndexCache, OfferCache, UserCache
from rolevend.snapshot.conditions.agents import evaluate_combination, evaluate_tools
from rolevend.snapshot.conditions.bindings import Disagreed, by_binding, evaluate_binding
from rolevend.snapshot.conditions.common import (
    LEAK,
    StatusEvaluation,
    evaluate_platforms,
    evaluate_policy,
    evaluate_unique,
    with_refusals,
    with_suspension,
)
from rolevend.snapshot.conditions.guardrails import evaluate_guardrail
from rolevend.snapshot.conditions.ledger import LedgerClaim, find_ledger, ledger_conditions
from rolevend.snapshot.identity_providers import IdentityProviderCache, KeysState, cluster_issuer, logins, usernames
from rolevend.snapshot.scope import schemas_in_scope, scope_condition


@dataclass(frozen=True, slots=True)
class SnapshotInputs:
    """All objects that could be parsed, of every kind that affects decisions."""

    agents: Sequence[Agent] = ()
    platforms: Sequence[DataPlatform] = ()
    policies: Sequence[AccessPolicy] = ()
    bindings: Sequence[TagBinding] = ()
    people: Sequence[UserAttributes] = ()
    unreadable_people: Sequence[UserAttributes] = ()
    """Unreadable ones with the fields that stop their users, and nothing else."""
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    refused_handles: Mapping[Claim, str] = field(default_factory=dict)
    """Claims of handles that belong to another agent or user, each with the owner. Found when a role was to be created."""
    guardrails: Sequence[Guardrail] = ()
    unsure: Mapping[PlatformName, str] = field(default_factory=dict)
    """Platforms that are unreadable, or have an unreadable TagBinding or Guardrail, each with the reason. A mask or limit might be
    missing, so every decision there is pending."""
    providers: Sequence[IdentityProvider] = ()
    key_states: Mapping[str, KeysState] = field(default_factory=dict)
    """The state of the keys, by name of the IdentityProvider."""
    unreadable_claims: Sequence[LedgerClaim] = ()
    """The claims of unreadable DataPlatforms to be the ledger."""
    suspension: str | None = None
    """A sentence that says what suspends the whole cluster, or None."""


@dataclass(frozen=True, slots=True)
class SnapshotBuild:
    snapshot: Snapshot
    evaluations: tuple[StatusEvaluation[Resource], ...]
    providers: Mapping[str, tuple[IdentityProvider, Provider]] = field(default_factory=dict)
    """The accepted ones, by issuer."""


class SnapshotBuilder:
    """Caches parsed and compiled objects, so that a build costs only the changes since the last one."""

    def __init__(self, cluster: ClusterId, handle_key: bytes) -> None:
        self._cluster = cluster
        self._handle_key = handle_key
        self._indexes = IndexCache(cluster)
        self._statements: dict[str, tuple[object, Policy]] = {}
        self._offers = OfferCache()
        self._disagreed: dict[PlatformName, tuple[object, Disagreed]] = {}
        self._people = UserCache()
        self._providers = IdentityProviderCache()

    def build(self, objects: SnapshotInputs, states: Mapping[PlatformName, PlatformState], pending: str | None) -> SnapshotBuild:
        """Build a snapshot. `pending` names the inputs that are still unread; until it is None every decision is pending."""
        ledger = find_ledger(objects.platforms, objects.unreadable_claims)
        platforms = [
            replace(each, findings=(*each.findings, *ledger_conditions(each.resource, ledger)))
            for each in evaluate_platforms(objects.platforms, states, objects.suspension)
        ]
        terms = {name: _terms(each, states.get(name)) for each in platforms for name in (PlatformName(each.resource.name),)}
        refused = objects.refused_handles
        agents = with_suspension(
            with_refusals(
                evaluate_unique(objects.agents, agent_claims),
                lambda agent: refused.get(agent_claim(values.agent_handle(agent), values.object_name(agent))),
            ),
            lambda agent: agent.spec.suspend,
            "nothing is vended for it, and its roles end",
        )
        self._people.update(objects.people, refused, objects.unreadable_people)
        self._providers.update(objects.providers, objects.key_states)
        registered = {each.name: each for each in (_agent(evaluation.resource) for evaluation in agents if evaluation.accepted)}
        shapes, policy_evaluations = self._compile(objects, registered, terms, states)
        for number, evaluation in enumerate(agents):
            agent = registered.get(values.object_name(evaluation.resource))
            if agent is not None:
                labels = objects.namespaces.get(agent.name.namespace)
                agents[number] = evaluate_tools(evaluate_combination(evaluation, agent, labels, terms), agent, labels, terms, shapes)
        snapshot = Snapshot(
            cluster=self._cluster,
            handle_key=self._handle_key,
            agents=registered,
            people=self._people.known,
            suspended_users=self._people.suspended,
            not_before=self._people.not_before,
            platforms=terms,
            namespaces=objects.namespaces,
            shapes=shapes,
            offers=self._offers.known,
            sources=_sources(objects, terms, states),
            unsure=objects.unsure,
            issuers={issuer: values.version(resource) for issuer, (resource, _) in self._providers.accepted.items()},
            usernames=usernames(self._providers.accepted),
            logins=logins(self._providers.accepted),
            cluster_issuer=cluster_issuer(self._providers.accepted),
            ledger=ledger,
            cluster_suspended=objects.suspension is not None,
            pending=pending,
        )
        evaluations = (*platforms, *agents, *self._people.evaluations, *self._providers.evaluations, *policy_evaluations)
        return SnapshotBuild(snapshot, evaluations, self._providers.accepted)

    def _compile(
        self,
        objects: SnapshotInputs,
        agents: Mapping[ObjectName, RegisteredAgent],
        terms: Mapping[PlatformName, PlatformAdmission],
        states: Mapping[PlatformName, PlatformState],
    ) -> tuple[dict[PlatformName, ProfileCache], list[StatusEvaluation[Resource]]]:
        policies = _own_tables(objects, agents, terms)
        assignments: dict[PlatformName, dict[str, tuple[TagAssignment, ...]]] = {name: {} for name in terms}
        obstacles: dict[str, ConditionUpdate | None] = {}
        for binding in objects.bindings:
            obstacles[binding.uid] = scope_condition(binding, terms)
            for name, schemas in schemas_in_scope(binding, [ref.name for ref in binding.spec.platform_refs], terms):
                assignments[name][str(values.object_name(binding))] = statements.tag_assignments(binding, schemas)
        offers: list[AccessPolicy] = []
        for policy in objects.policies:
            refs = [ref.name for ref in policy.spec.platform_refs]
            obstacles[policy.uid] = scope_condition(policy, terms)
            try:
                stated = [(name, self._statement(policy, schemas)) for name, schemas in schemas_in_scope(policy, refs, terms)]
            except InvalidInput as error:
                obstacles[policy.uid] = ConditionUpdate("Accepted", "False", "InvalidInput", str(error))
                continue
            if policy.spec.suspend:
                continue
            for name, statement in stated:
                policies[name].append(statement)
            if stated and policy.spec.on_request is not None:
                offers.append(policy)
        self._offers.update(offers)
        guardrails, faults = _guardrails(objects, terms)
        shapes, disagreed = {}, {}
        for name in terms:
            state = states.get(name)
            if state is not None and state.catalog is not None and name not in objects.unsure:
                tags = list(chain.from_iterable(assignments[name].values()))
                shapes[name] = self._indexes.shapes(name, state.catalog, policies[name], guardrails[name], tags, terms[name].table_names)
                disagreed[name] = self._disagreements(name, state, shapes[name].index.tables, assignments[name])
        self._indexes.keep(shapes)
        for gone in self._disagreed.keys() - shapes.keys():
            del self._disagreed[gone]
        for unused in self._statements.keys() - {policy.uid for policy in objects.policies}:
            del self._statements[unused]
        census = self._people.census
        of_policies = (policy.users for of_platform in policies.values() for policy in of_platform)
        census.ask(chain.from_iterable([*of_policies, *map(statements.guardrail_users, objects.guardrails)]))
        evaluations = [evaluate_policy(policy, obstacles[policy.uid], shapes, census) for policy in objects.policies]
        evaluations += [evaluate_guardrail(guardrail, faults.get(guardrail.uid), terms, shapes, census) for guardrail in objects.guardrails]
        evaluations += [evaluate_binding(binding, obstacles[binding.uid], terms, states, disagreed) for binding in objects.bindings]
        return shapes, evaluations

    def _statement(self, policy: AccessPolicy, schemas: frozenset[str]) -> Policy:
        """Return the policy's statement. Its row filter is parsed once for each version."""
        version = (policy.generation, schemas)
        known = self._statements.get(policy.uid)
        if known is None or known[0] != version:
            known = self._statements[policy.uid] = (version, statements.policy(policy, schemas))
        return known[1]

    def _disagreements(
        self, name: PlatformName, state: PlatformState, tables: Iterable[Table], assignments: AssignmentsBySource
    ) -> Disagreed:
        inputs = (state.catalog, assignments)
        known = self._disagreed.get(name)
        if known is None or known[0] != inputs:
            known = self._disagreed[name] = (inputs, by_binding(tag_conflicts(tables, assignments)))
        return known[1]


def _own_tables(
    objects: SnapshotInputs, agents: Mapping[ObjectName, RegisteredAgent], terms: Mapping[PlatformName, PlatformAdmission]
) -> dict[PlatformName, list[Policy]]:
    """Return by platform the statements for agents' own schemas, which hold for every user."""
    policies: dict[PlatformName, list[Policy]] = {name: [] for name in terms}
    for agent in agents.values():
        labels = objects.namespaces.get(agent.name.namespace, {})
        for name in agent.tools.keys() & terms.keys():
            schemas = tools_of(agent, terms[name], terms_for(terms[name], labels, agent)).tools.schemas
            if schemas:
                policies[name].append(own_tables(agent.name, schemas))
    return policies


def _guardrails(
    objects: SnapshotInputs, terms: Mapping[PlatformName, PlatformAdmission]
) -> tuple[dict[PlatformName, list[Restraining]], dict[str, InvalidInput]]:
    """Return the guardrails by platform, and by uid the error of each one that is partly unreadable. Such a guardrail denies its tables."""
    guardrails: dict[PlatformName, list[Restraining]] = {name: [] for name in terms}
    faults: dict[str, InvalidInput] = {}
    for resource in objects.guardrails:
        try:
            restraining = statements.guardrail(resource)
        except InvalidInput as error:
            faults[resource.uid] = error
            restraining = statements.denying(resource)
        for ref in resource.spec.platform_refs:
            if PlatformName(ref.name) in guardrails:
                guardrails[PlatformName(ref.name)].append(restraining)
    return guardrails, faults


def _sources(
    objects: SnapshotInputs, terms: Mapping[PlatformName, PlatformAdmission], states: Mapping[PlatformName, PlatformState]
) -> dict[PlatformName, SourceVersions]:
    policies: dict[PlatformName, dict[ObjectName, Version]] = {name: {} for name in terms}
    bindings: dict[PlatformName, list[Version]] = {name: [] for name in terms}
    for policy in objects.policies:
        for name, _ in schemas_in_scope(policy, [ref.name for ref in policy.spec.platform_refs], terms):
            policies[name][values.object_name(policy)] = values.version(policy)
    for binding in objects.bindings:
        for name, _ in schemas_in_scope(binding, [ref.name for ref in binding.spec.platform_refs], terms):
            bindings[name].append(values.version(binding))
    return {
        name: SourceVersions(
            values.version(platform), policies[name], tuple(sorted(bindings[name])), state.catalog_digest, _concerning(objects, name)
        )
        for platform in objects.platforms
        if (state := states.get(name := PlatformName(platform.name))) is not None
    }


def _concerning(objects: SnapshotInputs, name: PlatformName) -> dict[str, Version]:
    named = [each for each in objects.guardrails if any(ref.name == name for ref in each.spec.platform_refs)]
    return {each.name: values.version(each) for each in named}


def _agent(agent: Agent) -> RegisteredAgent:
    return RegisteredAgent(
        name=values.object_name(agent),
        handle=values.agent_handle(agent),
        may_assert=agent.spec.on_behalf_of.assertion == "Trusted",
        users=statements.agent_users(agent),
        longest_seconds=agent.spec.limits.max_expiration_seconds,
        idle_seconds=agent.spec.limits.idle_release_seconds,
        transaction_seconds=agent.spec.limits.max_transaction_seconds,
        version=values.version(agent),
        combination=None if agent.spec.combination is None else Combination(agent.spec.combination),
        tools=values.agent_tools(agent),
        identity=agent_identity(agent),
        most_live=agent.spec.limits.max_live_roles,
        vends_per_minute=agent.spec.limits.vends_per_minute,
        suspended=agent.spec.suspend,
    )


def _terms(evaluation: StatusEvaluation[DataPlatform], state: PlatformState | None) -> PlatformAdmission:
    platform = evaluation.resource
    attested = next(finding for finding in evaluation.findings if finding.type == "Attested")
    closed = None if evaluation.accepted else "it is not accepted; see its conditions"
    if platform.metadata.deletion_timestamp is not None:
        closed = "it is being deleted"
    return PlatformAdmission(
        PlatformName(platform.name),
        closed,
        values.schemas_of(platform),
        tuple(
            AgentAdmission(
                each.namespace_selector.match_labels,
                "Trusted" in each.assertions,
                each.max_expiration_seconds,
                values.role_limits(each.role_limits),
                None if each.agent_names is None else frozenset(each.agent_names),
                values.attributes(each.attributes),
                frozenset(each.purposes),
                Combination(each.widest_combination),
                values.tools(each.tools),
                may_prove="TokenRequired" in each.assertions,
                most_live=each.max_live_roles,
                agent_user=each.agent_user,
            )
            for each in platform.spec.agents
        ),
        contested=values.contested(platform),
        table_names=TableNames(platform.spec.table_names),
        leak=attested.message if attested.reason == LEAK else None,
        type=values.type_of(platform),
        unusable=state.facts.unusable if state is not None and state.facts is not None else None,
        unattested=None if attested.status == "True" or platform.spec.allow_unattested else attested.message,
        sessions=state.facts.sessions if state is not None and state.facts is not None else None,
        suspended=platform.spec.suspend,
    )

"""The immutable snapshot of registered agents, users, platforms and policies, and the decision on one request. Pure.

While an input is unread, the decision is `Pending` and never a denial, because a denial revokes an existing role. A request also waits
for an Agent that is not registered yet.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final

from rolevend.access_requests.terms import OfferTerms
from rolevend.catalog import Tool
from rolevend.decision.admission import (
    Agent,
    AgentAdmission,
    PlatformAdmission,
    agent_users,
    asking_of,
    limits_of,
    most_live,
    permitting,
    refusal,
    terms_for,
    tools_of,
)
from rolevend.decision.approval import ActiveApproval, ApprovalRef, UnusableApproval
from rolevend.decision.effect_digest import effect_digest
from rolevend.decision.outcome import SESSION_REVOKED, SUSPENDED, Decision, Denied, Granted, Pending, Request
from rolevend.decision.person_login import PersonLogin
from rolevend.decision.profile_cache import OfferEffect, ProfileCache, ResolvedProfile
from rolevend.decision.proof import ClientIdentity, Presented, Proof, ProofContext, ServiceAccountIdentity, Unproven
from rolevend.decision.snapshot_inputs import KnownUser, KubernetesUsername, Ledger, SourceVersions
from rolevend.decision.tools import functions_of, tools_within
from rolevend.model import Attributes, ClusterId, ObjectName, PlatformName, Uid, User, UserHandle, Version
from rolevend.naming import role_name, user_handle
from rolevend.plan import Lease, Profile, RoleLimits, attribute_keys
from rolevend.policy.explanation import smallest_step
from rolevend.policy.offer import Activation
from rolevend.policy.refusal import Denial, Reason
from rolevend.policy.request_context import RequestContext
from rolevend.policy.requirement import facts_of, meets
from rolevend.policy.vocabulary import closest

TOKEN_UNREAD: Final = "TokenUnread"  # noqa: S105 - a reason
"""The reason of the only decision that a token check can change."""
_MAX_ACCESSES = 1_000


@dataclass(frozen=True)
class Snapshot:
    cluster: ClusterId
    handle_key: bytes
    """The key that derives user handles, and the key of digests of effects. It must never change: roles with other handles would be
    revoked, and approvals of effects with other digests superseded."""
    agents: Mapping[ObjectName, Agent] = field(default_factory=dict)
    people: Mapping[User, KnownUser] = field(default_factory=dict)
    suspended_users: Collection[User] = frozenset()
    """The users for whom nothing is vended, and whose roles end, whatever proves them."""
    not_before: Mapping[User, datetime] = field(default_factory=dict)
    """The users whose sessions were revoked, each with the time until which they were."""
    platforms: Mapping[PlatformName, PlatformAdmission] = field(default_factory=dict)
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Labels by namespace."""
    shapes: Mapping[PlatformName, ProfileCache] = field(default_factory=dict)
    """Only for platforms whose catalog was read."""
    offers: Mapping[ObjectName, OfferTerms] = field(default_factory=dict)
    """The terms of each offer that is valid on some platform."""
    sources: Mapping[PlatformName, SourceVersions] = field(default_factory=dict)
    unsure: Mapping[PlatformName, str] = field(default_factory=dict)
    """Platforms with an unreadable restriction, each with the reason. The decision there is `Pending`."""
    issuers: Mapping[str, Version] = field(default_factory=dict)
    """The accepted IdentityProviders, by issuer. Tokens of other issuers prove nothing."""
    usernames: Mapping[str, KubernetesUsername] = field(default_factory=dict)
    """How users are named in Kubernetes, by issuer, as far as it is not by their subject."""
    logins: Mapping[str, PersonLogin] = field(default_factory=dict)
    """By issuer, for those whose people can log in on rolevend's own page."""
    cluster_issuer: str = ""
    """The issuer of ServiceAccount tokens, or empty."""
    cluster_suspended: bool = False
    """True: nothing is vended in the whole cluster, and all roles end."""
    ledger: Ledger | None = None
    """None: Kubernetes keeps the records of used tokens. Valid only if nothing is `pending`."""
    pending: str | None = "nothing was read yet"
    """The inputs that are still unread, or None."""

    @cached_property
    def clients(self) -> Mapping[tuple[str, str], Agent]:
        """The agents that are clients of identity providers, by issuer and client id. No two accepted agents share one."""
        clients = ((each.identity, each) for each in self.agents.values() if isinstance(each.identity, ClientIdentity))
        return {(identity.issuer, client_id): agent for identity, agent in clients for client_id in identity.client_ids}

    @cached_property
    def service_accounts(self) -> Mapping[ObjectName, Agent]:
        """The agents that are ServiceAccounts, by ServiceAccount. No two accepted agents share one."""
        accounts = ((each.identity, each) for each in self.agents.values() if isinstance(each.identity, ServiceAccountIdentity))
        return {ObjectName(agent.name.namespace, identity.name): agent for identity, agent in accounts}

    def decide(self, request: Request, *, role_exists: bool = False) -> Decision:
        """Decide the request. No side effect, no clock: the expiry is part of the request. If `role_exists`, a platform that is closed
        to new roles does not block it."""
        refused = self.blocked(request, role_exists=role_exists)
        if refused is not None:
            return refused
        access = self._access(of_person(request))
        return self._granted(request, self.agents[request.agent], access) if isinstance(access, _Access) else access

    def effect(self, request: Request, activation: Activation, *, role_exists: bool = False) -> OfferEffect | Denied | Pending:
        """Return the data that the offer would show the user, if an approval activated it for this request. The reason of a denial may
        name the policy: it is for the owner of the offer. `role_exists` as in `decide`."""
        ground = self.offering(request, role_exists=role_exists)
        return self.effect_on(ground, activation) if isinstance(ground, Ground) else ground

    def offering(self, request: Request, *, role_exists: bool = False) -> "Ground | Denied | Pending":
        """Return the inputs that the effects of all offers for this request share."""
        refused = self.blocked(request, role_exists=role_exists)
        return self._ground(request) if refused is None else refused

    def effect_on(self, ground: "Ground", activation: Activation) -> OfferEffect | Denied:
        """See `effect`. `ground` is of `offering`."""
        effect = ground.shapes.effect(ground.person.attributes, activation, ground.asking)
        return effect if isinstance(effect, OfferEffect) else Denied(effect.reason, effect.message)

    def digest(self, user: User, effect: OfferEffect) -> str:
        """Return the digest of the effect for this user, which approvers repeat."""
        return effect_digest(self.handle_key, user, effect)

    def blocked(self, request: Request, *, role_exists: bool = False) -> Pending | Denied | None:
        """Return the decision that does not depend on the user's grants, or None."""
        if self.pending:
            return Pending("Starting", self.pending)
        if self.cluster_suspended:
            return _suspended("the whole cluster")
        agent = self.agents.get(request.agent)
        if agent is not None and agent.suspended:  # whatever is known of the platform
            return _suspended(f"Agent {request.agent}")
        if request.user in self.suspended_users:
            return _suspended(f"the user {request.user}")
        if self.has_revoked_session(request):
            cause = f"the sessions of {request.user} until {self.not_before[request.user].astimezone(UTC):%Y-%m-%dT%H:%M:%SZ} were revoked"
            return Denied(SESSION_REVOKED, f"{cause}: the user has to log in again", ended_by=SESSION_REVOKED)
        terms = self.platforms.get(request.platform)
        if terms is None:
            return self._platform_unknown(request)
        if terms.suspended:
            return _suspended(f"DataPlatform {request.platform}")
        if terms.leak:
            return Pending("Leak", f"DataPlatform {request.platform}: {terms.leak}", withdrawn=True)
        if terms.closed and not role_exists:
            return Pending("PlatformClosed", f"spec.platformRefs: DataPlatform {request.platform}: {terms.closed}")
        if terms.unusable and not role_exists:
            return Pending("PlatformUnavailable", f"DataPlatform {request.platform}: {terms.unusable}")
        if terms.unattested and not role_exists:
            return Pending("NotAttested", f"DataPlatform {request.platform}: {terms.unattested}")
        if agent is None:
            where = f"is named {request.agent.name} in namespace {request.agent.namespace}"
            return Pending("AgentUnknown", f"spec.agentRef: no accepted Agent {where}", withdrawn=True)
        labels = self.namespaces.get(request.agent.namespace)
        if labels is None:
            return Pending("NamespaceUnknown", f"the labels of namespace {request.agent.namespace} are not known yet")
        here = terms_for(terms, labels, agent)
        refused = refusal(request, agent, terms, here)
        if refused is not None:
            return refused
        unproven = self._unproven(request, agent, role_exists=role_exists)
        if unproven is not None:
            return unproven
        match request.approval:
            case ApprovalRef(name):
                return Pending("AccessRequestUnread", f"spec.approvalRef: AccessRequest {name.name} was not read yet")
            case UnusableApproval(code=code, message=message, ended_by=ended_by):
                return Denied(code, f"spec.approvalRef: {message}", ended_by=ended_by)
        return None

    def platforms_of(self, agent: ObjectName) -> tuple[PlatformName, ...] | None:
        """Return the platforms that admit the agent, sorted; None: not known yet. A message that lists platforms for it lists no others."""
        known, labels = self.agents.get(agent), self.namespaces.get(agent.namespace)
        if self.pending or known is None or labels is None:
            return None
        return tuple(sorted(name for name, terms in self.platforms.items() if permitting(known, terms_for(terms, labels, known))))

    def _platform_unknown(self, request: Request) -> Pending:
        unsure = self.unsure.get(request.platform)
        if unsure is not None:
            return Pending("PlatformUnknown", unsure)
        known = self.platforms_of(request.agent) or ()
        names = f"; Agent {request.agent.name} may use {', '.join(known[:10])}{', …' if len(known) > 10 else ''}" if known else ""
        cause = f"spec.platformRefs: no DataPlatform is named {request.platform}{closest(request.platform, known)}{names}"
        return Pending("PlatformUnknown", cause, names_nothing=True)

    def has_revoked_session(self, request: Request) -> bool:
        """Return True if the request, or the token of its user, is from before the time until which the user's sessions were revoked. A
        token that does not state when it was issued may be."""
        until, proof = self.not_before.get(request.user), request.proof
        if until is None:
            return False
        is_old = isinstance(proof, Proof) and proof.basis is not None and (proof.issued_at is None or proof.issued_at < until)
        return request.created_at < until or is_old

    def _access(self, request: Request) -> "_Access | Denied | Pending":
        """Return what the request gives access to. `request` is of `of_person`; the answer is kept as long as the snapshot."""
        access = self._accesses.get(request)
        if access is None:
            if len(self._accesses) >= _MAX_ACCESSES:
                self._accesses.clear()
            access = self._accesses[request] = self._decide_access(request)
        return access

    @cached_property
    def _accesses(self) -> dict[Request, "_Access | Denied | Pending"]:
        """A cache. Each snapshot has its own, so it needs no invalidation."""
        return {}

    @cached_property
    def named_offers(self) -> dict[Request, Any]:
        """The cache of `offers.named_offers`, whose values `offers` alone knows. Each snapshot has its own."""
        return {}

    def _ground(self, request: Request) -> "Ground | Denied | Pending":
        """Return the inputs of the policies' decision for the person of an admitted request."""
        agent, terms = self.agents[request.agent], self.platforms[request.platform]
        here = terms_for(terms, self.namespaces[request.agent.namespace], agent)
        person = self.person(request)
        read_of_agent = {requirement.key for requirement in agent.users}
        if unknown := _unknown(person, read_of_agent):
            return unknown
        if not all(meets(requirement, facts_of(person.attributes)) for requirement in agent.users):
            return Denied(
                "UserNotCovered", f"spec.user: Agent {agent.name.name} may not act for {request.user}; see its spec.onBehalfOf.users"
            )
        shapes = self.shapes.get(request.platform)
        if shapes is None:
            cause = f"the tables of DataPlatform {request.platform} were not read yet"
            return Pending("CatalogUnread", self.unsure.get(request.platform, cause))
        if unknown := _unknown(person, shapes.reads):
            return unknown
        return Ground(agent, terms, here, person, shapes, asking_of(request, agent, here))

    def _decide_access(self, request: Request) -> "_Access | Denied | Pending":
        """Decide for the person of an admitted request."""
        ground = self._ground(request)
        if not isinstance(ground, Ground):
            return ground
        agent, here, person, shapes = ground.agent, ground.here, ground.person, ground.shapes
        if isinstance(request.approval, ActiveApproval):
            asked = shapes.effect(person.attributes, request.approval.asked, ground.asking)
            if isinstance(asked, Denial) or self.digest(request.user, asked) != request.approval.digest:
                is_active = request.token is not None or request.user in self.people
                return _offer_changed(request.approval.asked.offer, is_active=is_active)
            shapes = shapes.activated(request.approval.granted)
        permitted = tools_of(agent, ground.terms, here).tools
        functions, tools = functions_of(permitted, shapes.functions), tools_within(permitted, shapes.tools, request.resources)
        shape = shapes.of(person.attributes, ground.asking, functions, tools)
        if isinstance(shape, Denial):
            known = request.user in self.people or request.token is not None
            hint = "" if known else f"; no accepted UserAttributes names {request.user}"
            step = smallest_step(person.attributes, shapes.index) if shape.reason is Reason.NO_POLICY else None
            return Denied(shape.reason, shape.message + (f"; the smallest step: {step}" if step else "") + hint, missing=step or None)
        beyond = _beyond(request, shape.profile)
        if beyond is not None:
            return beyond
        allowed = permitting(agent, here)
        return _Access(
            shape=shape,
            user_handle=person.handle or user_handle(self.handle_key, person.user),
            attributes=person.attributes.only(attribute_keys(shape.profile)),
            read=ground.shapes.reads | {requirement.key for requirement in agent.users},
            limits=limits_of(agent, allowed),
            agent_user=next(iter(agent_users(allowed)), None),
        )

    def most_live(self, request: Request) -> int | None:
        """Return the maximum number of roles of the agent at one time; None: no limit. Call it only for a granted request."""
        agent, terms = self.agents[request.agent], self.platforms[request.platform]
        here = terms_for(terms, self.namespaces.get(agent.name.namespace, {}), agent)
        return most_live(agent, permitting(agent, here), terms.sessions)

    def tools(self, request: Request) -> tuple[Tool, ...]:
        """Return the account tools of the agent, before the user's grants are applied. Call it only for a granted request."""
        agent, terms = self.agents[request.agent], self.platforms[request.platform]
        here = terms_for(terms, self.namespaces.get(agent.name.namespace, {}), agent)
        return tools_within(tools_of(agent, terms, here).tools, self.shapes[request.platform].tools, None)

    def person(self, request: Request) -> KnownUser:
        """Return the user with all known attributes. Attributes of the token replace those of UserAttributes."""
        known = self.people.get(request.user) or KnownUser(request.user, None, Attributes())
        proof = request.proof
        if not isinstance(proof, Proof):
            return known
        sources = {each.key: each.source for each in proof.attributes}
        kept = ((key, values) for key, values in known.attributes if key not in sources and key not in proof.unreadable)
        attributes = Attributes.of([*kept, *((each.key, each.values) for each in proof.attributes)])
        return KnownUser(request.user, known.handle or proof.handle, attributes, known.version, sources, proof.unreadable)

    def basis(self, agent: Agent) -> ProofContext:
        return ProofContext(agent.version, self.issuers)

    def _unproven(self, request: Request, agent: Agent, *, role_exists: bool) -> Pending | Denied | None:
        """Return the decision that results from a token that does not prove the user, or None."""
        if request.token is None:
            return None
        if agent.identity is None:
            return Denied("NotPermitted", f"spec.userTokenSecretRef: Agent {agent.name.name} has no spec.identity that a token could name")
        if isinstance(agent.identity, ServiceAccountIdentity) and not self.cluster_issuer:
            cause = f"no accepted IdentityProvider takes tokens of ServiceAccounts, and Agent {agent.name.name} is one"
            return Pending("IdentityProviderUnknown", f"spec.agentRef: {cause}", withdrawn=True)
        match request.proof:
            case Proof() if request.user.issuer not in self.issuers:
                cause = f"no accepted IdentityProvider has the issuer {request.user.issuer} any more"
                return Pending("IdentityProviderUnknown", f"spec.user.issuer: {cause}", withdrawn=True)
            case Proof(basis=basis) if role_exists or basis in (None, self.basis(agent)):
                return None
            case Unproven(code, message, _, basis) if basis == self.basis(agent):
                return Denied(code, message)
            case _:
                return Pending(TOKEN_UNREAD, "spec.userTokenSecretRef: the token was not checked yet")

    def asking(self, request: Request) -> RequestContext:
        """Return the facts of the request that policies can match, as far as they are known now."""
        terms, agent = self.platforms.get(request.platform), self.agents.get(request.agent)
        labels = self.namespaces.get(request.agent.namespace)
        return asking_of(request, agent, terms_for(terms, labels, agent) if terms and agent and labels is not None else [])

    def _granted(self, request: Request, agent: Agent, access: "_Access") -> Granted:
        profile = access.shape.profile
        lease = Lease(
            role=role_name(agent.handle, access.user_handle, request.uid),
            cluster=self.cluster,
            uid=request.uid,
            profile=profile.name,
            agent=agent.name,
            agent_handle=agent.handle,
            user=request.user,
            attributes=access.attributes,
            expires_at=request.expires_at,
            limits=access.limits,
            resources=None if request.resources is None else tuple(sorted(request.resources)),
            task=request.task,
            agent_user=access.agent_user,
        )
        proof = request.proof.only(access.read) if isinstance(request.proof, Proof) else None
        return Granted(profile, lease, access.user_handle, proof, access.shape.granted_by, access.shape.behind, access.shape.catalog)


@dataclass(frozen=True, slots=True)
class Ground:
    """The inputs of the policies' decision for one person, with or without an offer."""

    agent: Agent
    terms: PlatformAdmission
    here: Sequence[AgentAdmission]
    """The entries of the platform that select the agent."""
    person: KnownUser
    shapes: ProfileCache
    asking: RequestContext


@dataclass(frozen=True, slots=True)
class _Access:
    """The part of a grant that is the same for all requests that a person's agent makes in the same way."""

    shape: ResolvedProfile
    user_handle: UserHandle
    attributes: Attributes
    """Of the user: those that the profile's conditions read."""
    read: frozenset[str]
    """Keys of the user's attributes that the decision read."""
    limits: RoleLimits
    agent_user: str | None


_NO_ONE: Final = ObjectName("", "")
_NO_TIME: Final = datetime.min.replace(tzinfo=UTC)


def of_person(request: Request) -> Request:
    """Return the request with the fields that decide about access, and constants in place of all others: the object and its creation,
    the token behind the attributes, and what is only recorded."""
    proof = request.proof
    return Request(
        name=_NO_ONE,
        uid=Uid(""),
        agent=request.agent,
        user=request.user,
        platform=request.platform,
        created_at=_NO_TIME,
        expiration_seconds=request.expiration_seconds,
        purpose=request.purpose,
        resources=request.resources,
        token=None if request.token is None else Presented(),
        proof=Proof(proof.kind, "", "", "", _NO_TIME, proof.handle, proof.attributes, proof.unreadable)
        if isinstance(proof, Proof)
        else None,
        approval=request.approval.of_access if isinstance(request.approval, ActiveApproval) else None,
    )


def _suspended(what: str) -> Denied:
    return Denied(SUSPENDED, f"{what} is suspended", ended_by=SUSPENDED)


def _unknown(person: KnownUser, asked: Collection[str]) -> Denied | None:
    """Return a denial if an attribute that is read here cannot be read. A condition on its absence would grant too much."""
    unknown = sorted(person.unreadable.intersection(asked))
    if not unknown:
        return None
    cause = f"the claims of {', '.join(unknown[:10])} in the user's token cannot be read, and a policy reads them; see spec.claims of the"
    return Denied("AttributeUnreadable", f"spec.userTokenSecretRef: {cause} IdentityProvider")


def _offer_changed(offer: ObjectName, *, is_active: bool) -> Denied:
    """Return the denial, without the reason why the offer shows nothing now: that is for its owner."""
    if not is_active:
        return Denied("OfferChanged", "spec.approvalRef: the user is not active any more", ended_by="UserInactive")
    what = f"the approval is for what AccessPolicy {offer} offered when it was asked for, and the offer, the data or the user changed"
    return Denied("OfferChanged", f"spec.approvalRef: {what}; ask again", ended_by="EffectChanged")


def _beyond(request: Request, profile: Profile) -> Denied | None:
    """Return a denial if a requested table is not granted. The message does not reveal if the table exists."""
    granted = {table.table for table in profile.tables}
    beyond = tuple(table for table in request.resources or () if table not in granted)
    if not beyond:
        return None
    shown = ", ".join(map(str, beyond[:10])) + (", …" if len(beyond) > 10 else "")
    cause = f"spec.resources: {shown} is not granted to this user through this agent, or is not there"
    return Denied("ResourceNotGranted", cause, tables=beyond)

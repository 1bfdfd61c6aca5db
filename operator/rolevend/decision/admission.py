"""The agent of a request, and the entries of `spec.agents` by which a platform admits it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rolevend.decision.outcome import Denied, Request
from rolevend.decision.proof import Identity
from rolevend.decision.tools import POSTGRESQL, Permitted, PlatformType, Tools, permitted
from rolevend.model import AgentHandle, Attributes, ObjectName, PlatformName, Version
from rolevend.plan import RoleLimits, TableNames
from rolevend.policy.request_context import Combination, RequestContext, widest
from rolevend.policy.requirement import Requirement


@dataclass(frozen=True, slots=True)
class Agent:
    name: ObjectName
    handle: AgentHandle
    may_assert: bool
    """True if it may name the user without a token (`onBehalfOf.assertion: Trusted`). Otherwise it needs a token (`TokenRequired`)."""
    users: tuple[Requirement, ...]
    """Requirements on the attributes of each user that the agent acts for."""
    longest_seconds: int
    idle_seconds: int | None = None
    """Seconds without use after which its roles are released; None: the platform's limit."""
    transaction_seconds: int | None = None
    """Longest transaction of its roles, and so longest statement; None: the platform's limit."""
    version: Version | None = None
    combination: Combination | None = None
    """The combination of its own grants with the user's; None: the widest that the platform permits."""
    tools: Mapping[PlatformName, Tools] = field(default_factory=dict)
    """The tools that it asks for, for every user."""
    identity: Identity | None = None
    """The identity that a user's token must name; None: no token is accepted."""
    most_live: int | None = None
    """Maximum number of its roles at one time; None: the platform's limit."""
    vends_per_minute: int | None = None
    """Maximum vending calls per minute in one process; None: no limit."""
    suspended: bool = False
    """True if nothing is vended for it, and its roles end."""


@dataclass(frozen=True, slots=True)
class AgentAdmission:
    """One entry of `spec.agents` of a DataPlatform. It selects agents of the namespaces that carry all of `labels`."""

    labels: Mapping[str, str]
    may_assert: bool
    longest_seconds: int
    limits: RoleLimits = field(default_factory=RoleLimits)
    names: frozenset[str] | None = None
    """The names of the selected agents; None: all agents of the namespaces."""
    attributes: Attributes = field(default_factory=Attributes)
    """The attributes of these agents, which policies can match."""
    purposes: frozenset[str] = frozenset()
    """The purposes that they may state."""
    widest: Combination | None = Combination.USER_CEILING
    """The widest combination of their own grants with the user's; None: this entry sets no limit."""
    tools: Tools = field(default_factory=Tools)
    """The tools that they may have."""
    may_prove: bool = False
    """True if agents that must prove the user are admitted."""
    most_live: int | None = None
    """Maximum number of roles of each agent at one time; None: see `default_live`."""
    agent_user: str | None = None
    """An existing user of the platform, which is granted the roles of the one agent; None: each role is a login of its own."""


@dataclass(frozen=True, slots=True)
class PlatformAdmission:
    name: PlatformName
    closed: str | None
    """The reason why no new role is vended here, or None. Existing roles are still evaluated, so that they can be revoked."""
    schemas_of: Mapping[str, frozenset[str]]
    """Namespace -> the schemas of its domain, for schemas that no other namespace has."""
    agents: tuple[AgentAdmission, ...]
    contested: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Schema -> the namespaces that claim it. No policy applies to such a schema."""
    leak: str | None = None
    """The failed isolation checks, or None. No role is vended here, and existing roles are revoked."""
    unusable: str | None = None
    """The reason why this version of rolevend can vend nothing here, or None. Existing roles can be dropped."""
    unattested: str | None = None
    """The reason why isolation is not attested, or None. No new role is vended here. Existing roles are still evaluated."""
    type: PlatformType = POSTGRESQL
    sessions: int | None = None
    """Maximum number of sessions of the whole platform; None: no limit."""
    suspended: bool = False
    """True if nothing is vended here, and existing roles are revoked."""
    table_names: TableNames = TableNames.SHORT


def refusal(request: Request, agent: Agent, terms: PlatformAdmission, here: Sequence[AgentAdmission]) -> Denied | None:
    """Return the denial that holds for every user: the platform or the agent does not allow the request."""
    if not here:
        whom = (
            f"no agents of namespace {agent.name.namespace}" if not any(each.names for each in terms.agents) else f"no agent {agent.name}"
        )
        return Denied("NotPermitted", f"DataPlatform {terms.name} admits {whom}; its spec.agents would have to select it")
    permitted = permitting(agent, here)
    if not permitted:
        return Denied("NotPermitted", _not_permitted(agent, terms.name))
    if not agent.may_assert and request.token is None:
        cause = f"Agent {agent.name.name} needs a token of the user; name a Secret that holds one"
        return Denied("TokenRequired", f"spec.userTokenSecretRef: {cause}")
    longest = min(agent.longest_seconds, max(each.longest_seconds for each in permitted))
    if request.expiration_seconds > longest:
        return Denied(
            "ExpirationTooLong",
            f"spec.expirationSeconds: {request.expiration_seconds} is longer than the {longest} that Agent {agent.name.name} "
            f"and DataPlatform {terms.name} allow",
        )
    if request.purpose is not None and not any(request.purpose in each.purposes for each in permitted):
        cause = f"DataPlatform {terms.name} does not let Agent {agent.name.name} say {request.purpose}; see the purposes in its spec.agents"
        return Denied("NotPermitted", f"spec.purpose: {cause}")
    users = agent_users(permitted)
    if len(users) > 1:
        cause = f"DataPlatform {terms.name} names several users for Agent {agent.name.name}, {' and '.join(users)}; see the agentUser"
        return Denied("NotPermitted", f"spec.agentRef: {cause} in its spec.agents")
    too_wide = wider_than_permitted(agent, terms, here)
    return Denied("NotPermitted", f"spec.agentRef: spec.combination {too_wide}") if too_wide else None


def wider_than_permitted(agent: Agent, terms: PlatformAdmission, here: Sequence[AgentAdmission]) -> str | None:
    """Return the reason why the agent's combination is wider than the platform permits, or None."""
    bound = _widest(permitting(agent, here))
    if agent.combination is None or bound is None or not agent.combination.is_wider_than(bound):
        return None
    cause = f"{agent.combination.value} of Agent {agent.name.name} is wider than {bound.value}, which DataPlatform {terms.name} permits"
    return f"{cause}; see the widestCombination in its spec.agents"


def _not_permitted(agent: Agent, platform: PlatformName) -> str:
    if agent.may_assert:
        return f"DataPlatform {platform} requires a proof of the user: assertion Trusted is not in its spec.agents"
    cause = f"Agent {agent.name.name} requires a proof of the user, and DataPlatform {platform} accepts none"
    return f"{cause}: assertion TokenRequired is not in its spec.agents"


def asking_of(request: Request, agent: Agent | None, here: Sequence[AgentAdmission]) -> RequestContext:
    """Return the facts that policies can match. `here` are the entries that select the agent, including those that permit nothing."""
    known = Attributes.of(item for each in here for item in each.attributes)
    combination = _combination(agent, here)
    return RequestContext(request.user, request.agent, known, request.platform, request.purpose, request.expiration_seconds, combination)


def _combination(agent: Agent | None, here: Sequence[AgentAdmission]) -> Combination:
    return (agent and (agent.combination or _widest(permitting(agent, here)))) or Combination.USER_CEILING


def _widest(here: Iterable[AgentAdmission]) -> Combination | None:
    return widest(each.widest for each in here if each.widest is not None)


def terms_for(platform: PlatformAdmission, labels: Mapping[str, str], agent: Agent) -> list[AgentAdmission]:
    return [
        each
        for each in platform.agents
        if all(labels.get(key) == value for key, value in each.labels.items()) and (each.names is None or agent.name.name in each.names)
    ]


def permitting(agent: Agent, here: Sequence[AgentAdmission]) -> list[AgentAdmission]:
    """Return the entries that permit the way in which the agent proves its user."""
    return [each for each in here if (each.may_assert if agent.may_assert else each.may_prove)]


def agent_users(permitted: Sequence[AgentAdmission]) -> list[str]:
    """Return the existing users named for the agent, sorted: at most one in an accepted configuration."""
    return sorted({each.agent_user for each in permitted if each.agent_user is not None})


def tools_of(agent: Agent, terms: PlatformAdmission, here: Sequence[AgentAdmission]) -> Permitted:
    """Return the requested tools that the platform permits. `here` are the entries that select the agent."""
    maximum = Tools()
    for each in permitting(agent, here):
        maximum |= each.tools
    owners = {schema: namespace for namespace, schemas in terms.schemas_of.items() for schema in schemas}
    owners |= {schema: ", ".join(namespaces) for schema, namespaces in terms.contested.items()}
    adds = _combination(agent, here) is Combination.UNION
    return permitted(agent.tools.get(terms.name, Tools()), maximum, owners, terms.name, adds=adds, kind=terms.type)


def most_live(agent: Agent, permitted: Sequence[AgentAdmission], sessions: int | None) -> int | None:
    """Return the maximum number of roles at one time; None: no limit. The most generous entry counts, cut to the agent's own limit."""
    default = default_live(sessions, limits_of(agent, permitted).connections)
    here = [default if each.most_live is None else each.most_live for each in permitted]
    generous = max((each for each in here if each is not None), default=None) if None not in here else None
    return min((each for each in (generous, agent.most_live) if each is not None), default=None)


def default_live(sessions: int | None, of_each_role: int) -> int | None:
    """Return the number of roles that use three quarters of the platform's sessions, at least one. One agent cannot use all sessions."""
    return None if sessions is None else max(1, sessions * 3 // 4 // of_each_role)


def limits_of(agent: Agent, permitted: Sequence[AgentAdmission]) -> RoleLimits:
    """Return the most generous limits. The agent can shorten the idle time and the transaction time."""
    limits = RoleLimits.widest([each.limits for each in permitted])
    idle = [seconds for seconds in (limits.idle_seconds, agent.idle_seconds) if seconds is not None]
    longest = limits.transaction_seconds
    return replace(
        limits,
        idle_seconds=min(idle, default=None),
        transaction_seconds=longest if agent.transaction_seconds is None else min(longest, agent.transaction_seconds),
    )

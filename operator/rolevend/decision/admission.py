"""The agent that asks, and the terms on which a platform lets agents in. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rolevend.decision.outcome import Denied, Request
from rolevend.decision.proof import Identity
from rolevend.decision.tools import POSTGRESQL, Permitted, PlatformType, Tools, permitted
from rolevend.model import AgentHandle, Attributes, ObjectName, PlatformName, Version
from rolevend.plan import RoleLimits
from rolevend.policy.combination import Combination, widest
from rolevend.policy.request_context import RequestContext
from rolevend.policy.requirement import Requirement


@dataclass(frozen=True, slots=True)
class Agent:
    name: ObjectName
    handle: AgentHandle
    may_assert: bool
    """Whether it may name the user without a token (`onBehalfOf.assertion: Trusted`); otherwise a token must (`TokenRequired`)."""
    users: tuple[Requirement, ...]
    """What the attributes of a user must meet for the agent to act for them."""
    longest_seconds: int
    idle_seconds: int | None = None
    """After how long without use its roles count as given back; None: as the platform says."""
    transaction_seconds: int | None = None
    """How old a transaction of its roles may be, and so a statement; None: as the platform says."""
    version: Version | None = None
    combination: Combination | None = None
    """How its own grants and the user's combine; None: as widely as the platform permits."""
    tools: Mapping[PlatformName, Tools] = field(default_factory=dict)
    """What it asks for whoever it acts for."""
    identity: Identity | None = None
    """Whom a user's token must name; None: no token can."""
    most_live: int | None = None
    """How many roles it may have at once; None: as many as the platform permits."""
    vends_per_minute: int | None = None
    """How many calls that vend one process takes of it; None: any number."""


@dataclass(frozen=True, slots=True)
class AgentAdmission:
    """What a DataPlatform says of agents of the namespaces that carry all of `labels`, and permits to them."""

    labels: Mapping[str, str]
    may_assert: bool
    longest_seconds: int
    limits: RoleLimits = field(default_factory=RoleLimits)
    names: frozenset[str] | None = None
    """The only agents that are meant; None: all of them."""
    attributes: Attributes = field(default_factory=Attributes)
    """What policies may match of these agents."""
    purposes: frozenset[str] = frozenset()
    """What they may say that they ask for."""
    widest: Combination | None = Combination.USER_CEILING
    """The widest combination of their own grants and the user's; None: nothing is said of it."""
    tools: Tools = field(default_factory=Tools)
    """The only tools that they may have."""
    may_prove: bool = False
    """Whether those get in that must prove the user."""
    most_live: int | None = None
    """How many roles each of them may have at once; None: as many as `default_live` says."""
    agent_user: str | None = None
    """The user on the platform that the one agent has already, and that is granted its roles; None: each role has a login of its own."""


@dataclass(frozen=True, slots=True)
class PlatformAdmission:
    name: PlatformName
    closed: str | None
    """The reason to vend no new role, or None. Live roles are still evaluated: their revocation must not wait."""
    schemas_of: Mapping[str, frozenset[str]]
    """Namespace -> the schemas whose policy it writes: those that no other one is given, too."""
    agents: tuple[AgentAdmission, ...]
    contested: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Schema -> the namespaces that are all given it: nobody writes its policy."""
    leak: str | None = None
    """What canaries found to be shown, changed or kept against policy, or None. With a leak no role is vended, and live roles end."""
    unattested: str | None = None
    """Why the promises are not attested, or None. Without an attestation no new role is vended; live roles are still evaluated."""
    type: PlatformType = POSTGRESQL
    sessions: int | None = None
    """How many it has for everybody together; None: it has no such number."""


def refusal(request: Request, agent: Agent, terms: PlatformAdmission, here: Sequence[AgentAdmission]) -> Denied | None:
    """Where the platform team or the agent team does not allow it, whoever the user is."""
    if not here:
        whom = (
            f"no agents of namespace {agent.name.namespace}" if not any(each.names for each in terms.agents) else f"no agent {agent.name}"
        )
        return Denied("NotPermitted", f"DataPlatform {terms.name} admits {whom}; its spec.agents would have to select it")
    permitted = permitting(agent, here)
    if not permitted:
        return Denied("NotPermitted", _not_permitted(agent, terms.name))
    if not agent.may_assert and request.token is None:
        why = f"Agent {agent.name.name} acts for nobody without a token of theirs; name a Secret that holds one"
        return Denied("TokenRequired", f"spec.userTokenSecretRef: {why}")
    longest = min(agent.longest_seconds, max(each.longest_seconds for each in permitted))
    if request.expiration_seconds > longest:
        return Denied(
            "ExpirationTooLong",
            f"spec.expirationSeconds: {request.expiration_seconds} is longer than the {longest} that Agent {agent.name.name} "
            f"and DataPlatform {terms.name} allow",
        )
    if request.purpose is not None and not any(request.purpose in each.purposes for each in permitted):
        why = f"DataPlatform {terms.name} does not let Agent {agent.name.name} say {request.purpose}; see the purposes in its spec.agents"
        return Denied("NotPermitted", f"spec.purpose: {why}")
    users = agent_users(permitted)
    if len(users) > 1:
        why = f"DataPlatform {terms.name} names several users for Agent {agent.name.name}, {' and '.join(users)}; see the agentUser"
        return Denied("NotPermitted", f"spec.agentRef: {why} in its spec.agents")
    too_wide = wider_than_permitted(agent, terms, here)
    return Denied("NotPermitted", f"spec.agentRef: spec.combination {too_wide}") if too_wide else None


def wider_than_permitted(agent: Agent, terms: PlatformAdmission, here: Sequence[AgentAdmission]) -> str | None:
    """Return why the agent's combination is wider than `here`, the platform's terms for it, permit; or None."""
    bound = _widest(permitting(agent, here))
    if agent.combination is None or bound is None or not agent.combination.is_wider_than(bound):
        return None
    why = f"{agent.combination.value} of Agent {agent.name.name} is wider than {bound.value}, which DataPlatform {terms.name} permits"
    return f"{why}; see the widestCombination in its spec.agents"


def _not_permitted(agent: Agent, platform: PlatformName) -> str:
    if agent.may_assert:
        return f"DataPlatform {platform} wants a proof of the user: assertion Trusted is not in its spec.agents"
    why = f"Agent {agent.name.name} wants a proof of the user, and DataPlatform {platform} takes none"
    return f"{why}: assertion TokenRequired is not in its spec.agents"


def asking_of(request: Request, agent: Agent | None, here: Sequence[AgentAdmission]) -> RequestContext:
    """`here` are the terms of the platform that are about the agent: what it says of agents holds also where it permits nothing."""
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
    """The terms on which the agent gets a role: those that permit how it shows for whom it acts."""
    return [each for each in here if (each.may_assert if agent.may_assert else each.may_prove)]


def agent_users(permitted: Sequence[AgentAdmission]) -> list[str]:
    """The users that are named for the agent, sorted: none, or the one that is granted its roles."""
    return sorted({each.agent_user for each in permitted if each.agent_user is not None})


def tools_of(agent: Agent, terms: PlatformAdmission, here: Sequence[AgentAdmission]) -> Permitted:
    """Of those that the agent asks for on the platform; `here` are the terms that are about it."""
    most = Tools()
    for each in permitting(agent, here):
        most |= each.tools
    owners = {schema: namespace for namespace, schemas in terms.schemas_of.items() for schema in schemas}
    owners |= {schema: ", ".join(namespaces) for schema, namespaces in terms.contested.items()}
    adds = _combination(agent, here) is Combination.UNION
    return permitted(agent.tools.get(terms.name, Tools()), most, owners, terms.name, adds=adds, kind=terms.type)


def most_live(agent: Agent, permitted: Sequence[AgentAdmission], sessions: int | None) -> int | None:
    """How many roles the agent may have at once: the most generous of the terms, as far as the agent's own limit goes. None: any number."""
    default = default_live(sessions, limits_of(agent, permitted).connections)
    here = [default if each.most_live is None else each.most_live for each in permitted]
    generous = max((each for each in here if each is not None), default=None) if None not in here else None
    return min((each for each in (generous, agent.most_live) if each is not None), default=None)


def default_live(sessions: int | None, of_each_role: int) -> int | None:
    """Roles that take half of the platform's sessions together, so that no agent keeps everybody else out; one at least."""
    return None if sessions is None else max(1, sessions // 2 // of_each_role)


def limits_of(agent: Agent, permitted: Sequence[AgentAdmission]) -> RoleLimits:
    """The most generous ones; but how long a role may be idle, and a transaction last, the agent may cut further."""
    limits = RoleLimits.widest([each.limits for each in permitted])
    idle = [seconds for seconds in (limits.idle_seconds, agent.idle_seconds) if seconds is not None]
    longest = limits.transaction_seconds
    return replace(
        limits,
        idle_seconds=min(idle, default=None),
        transaction_seconds=longest if agent.transaction_seconds is None else min(longest, agent.transaction_seconds),
    )

"""What policies in files would give somebody, by the decision that a vend would get.

Whether a platform is reachable, and which agents it admits on what terms, is no question of policy: every agent counts as admitted, and may
say any purpose. What the platform says of agents counts.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from rolevend.audit.evidence import TableAccess, tables_of
from rolevend.catalog import TableId
from rolevend.decision.admission import Agent, AgentAdmission
from rolevend.decision.outcome import Decision, Granted, Pending, Request
from rolevend.decision.proof import Presented, Proof, Unproven, UserToken
from rolevend.decision.snapshot import KnownUser, Snapshot
from rolevend.errors import InvalidInput
from rolevend.kinds import NAME_LABEL
from rolevend.model import AgentHandle, Attributes, ObjectName, PlatformName, Uid, User
from rolevend.policy.request_context import Combination
from rolevend.policy.vocabulary import near
from rolevend.policytools.folder import asks_more

ANY_AGENT: Final = ObjectName("", "any agent")
"""Stands for all agents that are in no file."""
_NOBODY = Uid("00000000-0000-0000-0000-000000000000")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECONDS: Final = 900
"""For how long a role is asked for by a VendedRole that does not say it."""
_LONGEST_SECONDS = 86_400


@dataclass(frozen=True, slots=True, order=True)
class Requester:
    user: User
    agent: ObjectName
    platform: PlatformName
    purpose: str = ""
    """What the agent says it is for; empty: nothing."""
    seconds: int = SECONDS
    """For how long the role is asked."""
    resources: tuple[TableId, ...] | None = None
    """The only tables that are asked for; None: all of them."""
    token: UserToken | Presented | None = field(default=None, compare=False)
    proof: Proof | Unproven | None = field(default=None, compare=False)
    """Of a VendedRole: where its user's token is, and what that has proved."""

    @property
    def request(self) -> Request:
        name, purpose = self.agent, self.purpose or None
        asked = Request(name, _NOBODY, self.agent, self.user, self.platform, _EPOCH, self.seconds, purpose, self.resources)
        return replace(asked, token=self.token, proof=self.proof)


def opened(
    snapshot: Snapshot,
    people: Iterable[KnownUser] | None = None,
    agents: Iterable[ObjectName] = (),
    purposes: Iterable[str] = (),
    combination: Combination | None = None,
    agent_attributes: Attributes | None = None,
) -> Snapshot:
    """The same for these people, where they are given, instead of those that it knows. Of `agents` those that it does not know may act
    for everybody, and combine in the way of `combination`. `agent_attributes`, where they are given, and the width of `combination` count
    in the place of all that platforms say of agents."""
    unknown = {name: _admitted(Agent(name, AgentHandle("ANY"), True, (), 0, combination=combination)) for name in [ANY_AGENT, *agents]}
    known = {name: _admitted(agent) for name, agent in snapshot.agents.items()}
    anybody = AgentAdmission({}, True, _LONGEST_SECONDS, purposes=frozenset(purposes), widest=None)
    if agent_attributes is None:
        platforms = {name: replace(terms, closed=None, agents=(anybody, *terms.agents)) for name, terms in snapshot.platforms.items()}
    else:
        bound = combination or Combination.USER_CEILING
        known = {name: replace(agent, combination=narrower(agent.combination, bound)) for name, agent in known.items()}
        anybody = replace(anybody, attributes=agent_attributes, widest=bound)
        platforms = {name: replace(terms, closed=None, agents=(anybody,)) for name, terms in snapshot.platforms.items()}
    everybody = snapshot.people if people is None else {person.user: person for person in people}
    namespaces = {name.namespace for name in unknown.keys() | known.keys()} | snapshot.namespaces.keys()
    labels = {name: {NAME_LABEL: name, **snapshot.namespaces.get(name, {})} for name in namespaces}
    return replace(snapshot, agents={**unknown, **known}, people=everybody, platforms=platforms, namespaces=labels)


def unknown_agent(name: ObjectName, snapshot: Snapshot) -> str:
    """A message about an Agent that is not there, or not accepted."""
    known = {each.name: each for each in sorted(snapshot.agents)}
    found = near(name.name, known)
    return f"no accepted Agent is named {name}" + (f"; did you mean {known[found]}?" if found else "")


def narrower(one: Combination | None, other: Combination) -> Combination:
    return other if one is None or one.is_wider_than(other) else one


def unlabelled(snapshot: Snapshot, agents: Iterable[ObjectName]) -> frozenset[str]:
    """The namespaces of these agents of which some platform asks labels that are not known, so that nobody can tell what it says of them.
    To be asked before `opened`."""
    selectors = [each.labels for terms in snapshot.platforms.values() for each in terms.agents]
    namespaces = {agent.namespace for agent in agents} - {ANY_AGENT.namespace} - snapshot.namespaces.keys()
    return frozenset(name for name in namespaces if any(asks_more(labels, name) for labels in selectors))


def without_labels(namespaces: Iterable[str]) -> list[str]:
    """Notes on namespaces that are `unlabelled`."""
    return [
        f"what DataPlatforms say of agents of namespace {name}, such as attributes, tools and combination, was not judged: they select by "
        f"labels, so put the manifest of the Namespace {name} among the files"
        for name in sorted(namespaces)
    ]


def _admitted(agent: Agent) -> Agent:
    return replace(agent, may_assert=True, longest_seconds=_LONGEST_SECONDS)


def agents_of(*directories: Snapshot) -> list[ObjectName]:
    """Every agent, or the one that stands for all where there is none."""
    names = {name for snapshot in directories for name in snapshot.agents} - {ANY_AGENT}
    return sorted(names) or [ANY_AGENT]


def decide(snapshot: Snapshot, who: Requester) -> Decision:
    return snapshot.decide(who.request, role_exists=True)


def given(snapshot: Snapshot, who: Requester) -> tuple[TableAccess, ...]:
    """What `who` may read; () where it is nothing. InvalidInput where the files do not tell."""
    match decide(snapshot, who):
        case Granted(tables=tables):
            return tables_of(tables)
        case Pending(reason="AgentUnknown"):
            return ()
        case Pending(message=message):
            raise InvalidInput("", message)
        case _:
            return ()

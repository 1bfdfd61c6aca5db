"""Access that policies in files give, by the same decision as for a vend.

Reachability of a platform and admission of agents are not part of a policy: every agent counts as admitted, and may state any purpose.
The platform's attributes of agents count. For a comparison `withheld` has the purposes and lifetimes that one side alone permits.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from rolevend.audit.evidence import TableAccess, tables_of
from rolevend.catalog import TableId
from rolevend.decision.admission import Agent, AgentAdmission
from rolevend.decision.approval import ActiveApproval
from rolevend.decision.outcome import Decision, Denied, Granted, Pending, Request
from rolevend.decision.proof import Presented, Proof, Unproven, UserToken
from rolevend.decision.snapshot import Snapshot
from rolevend.decision.snapshot_inputs import KnownUser
from rolevend.errors import InvalidInput
from rolevend.kinds import NAME_LABEL
from rolevend.model import AgentHandle, Attributes, ObjectName, PlatformName, Uid, User
from rolevend.plan import TableShape
from rolevend.policy.offer import Activation
from rolevend.policy.request_context import Combination
from rolevend.policy.vocabulary import near
from rolevend.policytools.folder import asks_more

ANY_AGENT: Final = ObjectName("", "any agent")
"""A placeholder for agents that are in no file."""
_NOBODY = Uid("00000000-0000-0000-0000-000000000000")
_CREATED_AT = datetime(9000, 1, 1, tzinfo=UTC)
"""Of each request: later than `notBefore` of every user, which ends what was before and says nothing about new requests."""
SECONDS: Final = 900
"""The default lifetime of a VendedRole."""
SHORTEST_SECONDS: Final = 5
LONGEST_SECONDS: Final = 86_400
"""The bounds of the lifetime of a VendedRole."""


@dataclass(frozen=True, slots=True, order=True)
class Requester:
    user: User
    agent: ObjectName
    platform: PlatformName
    purpose: str = ""
    """The purpose that the agent states; empty: none."""
    seconds: int = SECONDS
    """The requested lifetime."""
    resources: tuple[TableId, ...] | None = None
    """The requested tables; None: all of them."""
    token: UserToken | Presented | None = field(default=None, compare=False)
    proof: Proof | Unproven | None = field(default=None, compare=False)
    """Token and proof of the user of a VendedRole."""

    @property
    def request(self) -> Request:
        name, purpose = self.agent, self.purpose or None
        asked = Request(name, _NOBODY, self.agent, self.user, self.platform, _CREATED_AT, self.seconds, purpose, self.resources)
        return replace(asked, token=self.token, proof=self.proof)


def opened(
    snapshot: Snapshot,
    people: Iterable[KnownUser] | None = None,
    agents: Iterable[ObjectName] = (),
    purposes: Iterable[str] = (),
    combination: Combination | None = None,
    agent_attributes: Attributes | None = None,
) -> Snapshot:
    """Return the snapshot with all agents admitted, and with `people`, if given, in place of its own. Unknown agents of `agents` may act
    for every user, with `combination`. If `agent_attributes` are given, they and `combination` as a bound replace all terms of platforms
    for agents. `purposes`, and those that offers ask for, may be stated everywhere."""
    unknown = {name: stand_in(name, combination) for name in [ANY_AGENT, *agents]}
    known = {name: _admitted(agent) for name, agent in snapshot.agents.items()}
    asked_for = (terms.purposes or frozenset() for terms in snapshot.offers.values())
    anybody = AgentAdmission({}, True, LONGEST_SECONDS, purposes=frozenset(purposes).union(*asked_for), widest=None)
    if agent_attributes is None:
        admitting = {name: tuple(replace(each, may_assert=True) for each in terms.agents) for name, terms in snapshot.platforms.items()}
        platforms = {name: replace(terms, closed=None, agents=(anybody, *admitting[name])) for name, terms in snapshot.platforms.items()}
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
    """Return a message on an Agent that does not exist or is not accepted."""
    known = {each.name: each for each in sorted(snapshot.agents)}
    found = near(name.name, known)
    return f"no accepted Agent is named {name}" + (f"; did you mean {known[found]}?" if found else "")


def narrower(one: Combination | None, other: Combination) -> Combination:
    return other if one is None or one.is_wider_than(other) else one


def unlabelled(snapshot: Snapshot, agents: Iterable[ObjectName]) -> frozenset[str]:
    """Return the agents' namespaces whose labels are unknown although a platform selects by them: its terms for the agents are unknown.
    Call it before `opened`."""
    selectors = [each.labels for terms in snapshot.platforms.values() for each in terms.agents]
    namespaces = {agent.namespace for agent in agents} - {ANY_AGENT.namespace} - snapshot.namespaces.keys()
    return frozenset(name for name in namespaces if any(asks_more(labels, name) for labels in selectors))


def without_labels(namespaces: Iterable[str]) -> list[str]:
    """Return notes on `unlabelled` namespaces."""
    return [
        f"what DataPlatforms say of agents of namespace {name}, such as attributes, tools and combination, was not judged: they select by "
        f"labels, so put the manifest of the Namespace {name} among the files"
        for name in sorted(namespaces)
    ]


def stand_in(name: ObjectName, combination: Combination | None = None) -> Agent:
    """Return an admitted agent that may act for every user."""
    return _admitted(Agent(name, AgentHandle("ANY"), True, (), 0, combination=combination))


def _admitted(agent: Agent) -> Agent:
    return replace(agent, may_assert=True, longest_seconds=LONGEST_SECONDS)


def agents_of(*directories: Snapshot) -> list[ObjectName]:
    """Return all agents, sorted, or the placeholder if there are none."""
    names = {name for snapshot in directories for name in snapshot.agents} - {ANY_AGENT}
    return sorted(names) or [ANY_AGENT]


def decide(snapshot: Snapshot, who: Requester) -> Decision:
    return snapshot.decide(who.request, role_exists=True)


def decide_approved(snapshot: Snapshot, who: Requester, asked: Activation, granted: Activation) -> Decision:
    """Decide as if people had approved `asked`, and narrowed it to `granted`. Nobody can approve an offer that shows the user nothing."""
    effect = snapshot.effect(who.request, asked, role_exists=True)
    if isinstance(effect, Denied):
        return replace(effect, message=f"the approval would show nothing: {effect.message}")
    if isinstance(effect, Pending):
        return effect
    ends_by = _CREATED_AT + timedelta(seconds=who.seconds)
    digest = snapshot.digest(who.request.user, effect)  # with no installation's key: it is compared here alone, and never shown
    approval = ActiveApproval(ObjectName("", "any request"), _NOBODY, asked, granted, digest, ends_by)
    return snapshot.decide(replace(who.request, approval=approval), role_exists=True)


def given(snapshot: Snapshot, who: Requester) -> tuple[TableAccess, ...]:
    """Return the tables that `who` may read. Raises InvalidInput if the files lack an input."""
    return tables_of(given_shapes(snapshot, who))


def given_shapes(snapshot: Snapshot, who: Requester) -> tuple[TableShape, ...]:
    """Return the shapes of the tables of `given`. Users with the same access share one value."""
    match decide(snapshot, who):
        case Granted(tables=tables):
            return tables
        case Pending(reason="AgentUnknown"):
            return ()
        case Pending(message=message):
            raise InvalidInput("", message)
        case _:
            return ()

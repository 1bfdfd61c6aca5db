"""Find the registered Agent that authenticated itself. Pure."""

from collections.abc import Container
from dataclasses import dataclass, field

from rolevend.decision.admission import Agent
from rolevend.decision.proof import ClientIdentity
from rolevend.decision.snapshot import Snapshot
from rolevend.identity.proven import AgentWanted, OwnSubject, Party, ProvenAgent, ServiceAccount
from rolevend.identity.refusal import Code, TokenRefused


def agent_wanted(snapshot: Snapshot) -> AgentWanted:
    """Return the identities whose own tokens are accepted: those of all agents in the snapshot. Cheap."""
    return AgentWanted(_OwnSubjects(snapshot))


def find_agent(proven: ProvenAgent, snapshot: Snapshot) -> Agent:
    """Return the agent. Raises TokenRefused if no registered agent matches, without a hint which ones exist. Call it only if
    `Snapshot.pending` is empty, because the agent may still be unread."""
    agent = _registered(proven, snapshot)
    if agent is None:
        raise TokenRefused(Code.AGENT_UNKNOWN, "the token belongs to no registered agent")
    return agent


def _registered(proven: ProvenAgent, snapshot: Snapshot) -> Agent | None:
    match proven:
        case ProvenAgent(party=Party(issuer), service_account=ServiceAccount(name)):
            # Another cluster can have a ServiceAccount with this name.
            return snapshot.service_accounts.get(name) if issuer == snapshot.cluster_issuer else None
        case ProvenAgent(client=Party(issuer, client_id)):
            return snapshot.clients.get((issuer, client_id))
        case _:
            return None


@dataclass(frozen=True, slots=True)
class _OwnSubjects(Container[OwnSubject]):
    """Evaluated lazily: a snapshot with a thousand agents is replaced several times a minute."""

    snapshot: Snapshot = field(repr=False)

    def __contains__(self, own: object) -> bool:
        if not isinstance(own, OwnSubject):
            return False
        agent = self.snapshot.clients.get((own.client.issuer, own.client.name))
        return agent is not None and isinstance(agent.identity, ClientIdentity) and agent.identity.subject == own.subject

"""What a handle is claimed for: said by who vends, kept by the cluster's records, and asked of them by the picture."""

from rolevend.model import AgentHandle, ObjectName, User, UserHandle

Claim = tuple[str, ...]
"""A handle, and whom it is to stand for: the kind of record, and its values."""


def agent_claim(handle: AgentHandle, agent: ObjectName) -> Claim:
    return "agent", handle, agent.namespace, agent.name


def user_claim(handle: UserHandle, user: User) -> Claim:
    return "user", handle, user.issuer, user.subject

"""The claim of a handle: the handle, and the agent or user that it stands for."""

from rolevend.model import AgentHandle, ObjectName, User, UserHandle

Claim = tuple[str, ...]
"""The kind of record, the handle, and the two values that identify the agent or user."""


def agent_claim(handle: AgentHandle, agent: ObjectName) -> Claim:
    return "agent", handle, agent.namespace, agent.name


def user_claim(handle: UserHandle, user: User) -> Claim:
    return "user", handle, user.issuer, user.subject

"""Who stood behind a role: what its name says, and what the cluster still knows."""

from dataclasses import dataclass, field
from typing import Any

from rolevend.errors import RolevendError
from rolevend.kube.client import Body, Cluster
from rolevend.naming import parse_role_name
from rolevend.reconcile.objects import path_of
from rolevend.resources import Agent, Resource, UserAttributes, VendedRole


@dataclass(frozen=True, slots=True)
class Who:
    role: str
    agent_handle: str
    user_handle: str
    uid: str
    agent: str = ""
    user: str = ""
    state: str = ""
    gaps: tuple[str, ...] = field(default=())
    """What could not be found out, and why."""

    def facts(self) -> dict[str, str]:
        """What is known, in the order in which a person asks for it."""
        known = {
            "role": self.role,
            "agent": self.agent or f"handle {self.agent_handle}",
            "user": self.user or f"handle {self.user_handle}",
            "request": self.uid,
            "state": self.state,
        }
        return {key: value for key, value in known.items() if value}


async def describe(role_name: str, kubeconfig: str | None) -> Who:
    """Raises InvalidInput for what is no vended role. Without a kubeconfig only the name is read."""
    parts = parse_role_name(role_name)
    from_name = Who(role_name, parts.agent, parts.user, parts.uid)
    if kubeconfig is None:
        return from_name
    try:
        cluster = await Cluster.connect(kubeconfig)
    except RolevendError as error:
        return Who(role_name, parts.agent, parts.user, parts.uid, gaps=(str(error),))
    try:
        return await _ask(from_name, cluster)
    finally:
        await cluster.close()


async def _ask(known: Who, cluster: Cluster) -> Who:
    gaps: list[str] = []

    async def find(kind: type[Resource], path: tuple[str, ...], value: str) -> Body | None:
        try:
            items, _ = await cluster.list(path_of(kind))
        except RolevendError as error:
            gaps.append(str(error))
            return None
        return next((item for item in items if _at(item, path) == value), None)

    agent = await find(Agent, ("spec", "handle"), known.agent_handle)
    person = await find(UserAttributes, ("spec", "handle"), known.user_handle)
    role = await find(VendedRole, ("metadata", "uid"), known.uid)
    user = _at(person or {}, ("spec", "user")) or _at(role or {}, ("spec", "user")) or {}
    return Who(
        role=known.role,
        agent_handle=known.agent_handle,
        user_handle=known.user_handle,
        uid=known.uid,
        agent=f"{agent['metadata']['namespace']}/{agent['metadata']['name']}" if agent else "",
        user=f"{user['subject']} ({user['issuer']})" if user else "",
        state=_state(role),
        gaps=tuple(gaps),
    )


def _state(role: Body | None) -> str:
    if role is None:
        return "gone"
    name = f"VendedRole {role['metadata']['namespace']}/{role['metadata']['name']}"
    return f"{name}, until {_at(role, ('status', 'expirationTimestamp'))}"


def _at(body: Body, path: tuple[str, ...]) -> Any:
    """What the object says there, or None."""
    found: Any = body
    for step in path:
        found = found.get(step) if isinstance(found, dict) else None
    return found

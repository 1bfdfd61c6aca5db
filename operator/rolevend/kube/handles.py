"""Records of the agent or the user that a handle in a role name stands for. A record is written before the first role, and never changes.

The records are immutable ConfigMaps in the operator's namespace. They need only the rights `get`, `list` and `create`, and outlive Agents,
UserAttributes and the chart. An agent that is trusted to name its users could invent any number of them, so each agent may add a limited
number of records for users that nothing else in the cluster knows.
"""

from collections.abc import Callable

from rolevend.errors import Conflict, NotPermitted, TooManyUnknownUsers
from rolevend.kube.client import CONFIG_MAPS, Body, KubeClient, NotFound, ResourceConflict
from rolevend.model import AgentHandle, Claim, ObjectName, User, UserHandle, agent_claim, user_claim
from rolevend.plan import Lease

RECORD_LABEL = "rolevend.dev/handle-of"
NAMED_BY_LABEL = "rolevend.dev/named-by"
"""The handle of the agent that named the user, if nothing else proves that the user exists."""


def _noop() -> None:
    """The default of `changed`."""


class HandleRegistry:
    """Keeps the records that it wrote or read, so that only the first vend of a handle asks the API server."""

    def __init__(self, cluster: KubeClient, namespace: str, changed: Callable[[], None] = _noop, *, unknown_users: int = 0) -> None:
        """`changed` is called after each change of `refused`. `unknown_users` is the number of records that an agent may add for unknown
        users; concurrent claims may exceed it."""
        self.refused: dict[Claim, str] = {}
        """Claims of a handle that belongs to somebody else, with the message that says to whom."""
        self._cluster = cluster
        self._namespace = namespace
        self._changed = changed
        self._unknown_users = unknown_users
        self._known: set[Claim] = set()
        self._full: set[AgentHandle] = set()
        """Agents that reached the limit. Kept until the process ends, so that a refusal needs no request."""

    async def claim(self, lease: Lease, user_handle: UserHandle, *, is_known: bool) -> None:
        """See roles.protocols.Handles."""
        agent, user = agent_claim(lease.agent_handle, lease.agent), user_claim(user_handle, lease.user)
        await self._claim(agent, "spec.agentRef", "the handle {handle} of this Agent is that of Agent {namespace}/{name}")
        named_by = None if is_known else lease
        await self._claim(user, "spec.user", "the handle {handle} of this user is that of {subject} ({issuer})", named_by)

    async def agent(self, handle: AgentHandle) -> ObjectName | None:
        """Return the agent, or None if no role with this handle was ever vended."""
        known = await self._read("agent", handle)
        return ObjectName(known["namespace"], known["name"]) if known else None

    async def user(self, handle: UserHandle) -> User | None:
        known = await self._read("user", handle)
        return User(known["issuer"], known["subject"]) if known else None

    async def _claim(self, claim: Claim, field: str, taken: str, named_by: Lease | None = None) -> None:
        if claim in self._known:
            return
        kind, handle, *_ = claim
        wanted = dict(zip(_MEMBERS[kind], claim[1:], strict=True))
        try:
            kept = await self._read(kind, handle) or await self._write(kind, wanted, named_by)
        except NotPermitted as error:
            raise NotPermitted(f"the operator may not keep ConfigMaps in namespace {self._namespace}: upgrade the chart") from error
        except Conflict as error:
            self._set_refused(claim, str(error))
            raise
        if kept != wanted:
            where = f"ConfigMap {self._namespace}/{_name(kind, handle)}"
            why = f"{taken.format(**kept)} for ever, by {where}: a handle is never given to somebody else; choose another one"
            self._set_refused(claim, why)
            raise Conflict(f"{field}: {why}")
        self._known.add(claim)
        self._set_refused(claim, None)

    def _set_refused(self, claim: Claim, why: str | None) -> None:
        if self.refused.get(claim) == why:
            return
        if why is None:
            del self.refused[claim]
        else:
            self.refused[claim] = why
        self._changed()

    async def _write(self, kind: str, claim: dict[str, str], named_by: Lease | None) -> dict[str, str]:
        """Create the record, and return the one that exists now, which another process may have created. `named_by`: see NAMED_BY_LABEL."""
        name, labels = _name(kind, claim["handle"]), {RECORD_LABEL: kind}
        if named_by is not None:
            await self._require_room(named_by)
            labels[NAMED_BY_LABEL] = named_by.agent_handle
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "immutable": True,
            "metadata": {"name": name, "labels": labels},
            "data": claim,
        }
        try:
            await self._cluster.create(CONFIG_MAPS, body, self._namespace)
        except ResourceConflict:
            return _data(await self._cluster.get(CONFIG_MAPS, name, self._namespace), kind)
        return claim

    async def _require_room(self, lease: Lease) -> None:
        agent = lease.agent_handle
        if agent not in self._full:
            pages = self._cluster.pages(CONFIG_MAPS, self._namespace, f"{NAMED_BY_LABEL}={agent}")
            if sum([len(page["items"]) async for page in pages]) < self._unknown_users:
                return
            self._full.add(agent)
        raise TooManyUnknownUsers(
            f"spec.user: Agent {lease.agent} has had roles for {self._unknown_users} users that neither a token nor UserAttributes vouch "
            f"for, and each leaves a record for ever: write UserAttributes for this user, prove the user by a token, or raise "
            f"unknownUsersPerAgent in the chart's settings"
        )

    async def _read(self, kind: str, handle: str) -> dict[str, str] | None:
        try:
            return _data(await self._cluster.get(CONFIG_MAPS, _name(kind, handle), self._namespace), kind)
        except NotFound:
            return None


def _name(kind: str, handle: str) -> str:
    """Return the name of the ConfigMap. Handles have no lower-case letters, so two handles never share a name."""
    return f"rolevend-{kind}-{handle.lower()}"


_MEMBERS = {"agent": ("handle", "namespace", "name"), "user": ("handle", "issuer", "subject")}


def _data(config_map: Body, kind: str) -> dict[str, str]:
    """Return the record. Raises Conflict if the ConfigMap is not one."""
    metadata, data = config_map["metadata"], config_map.get("data") or {}
    if not config_map.get("immutable") or set(data) != set(_MEMBERS[kind]):
        where = f"{metadata['namespace']}/{metadata['name']}"
        raise Conflict(f"ConfigMap {where} is in the place of a handle's record, and is none: rolevend did not write it; delete it")
    return dict(data)

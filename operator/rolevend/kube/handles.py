"""Who a handle in a role name stands for: written once, before the first role with it exists, and never changed or given away.

Immutable ConfigMaps in the operator's own namespace. They need no right but `get` and `create`, no kind of their own, and outlive
Agents, UserAttributes and the chart.
"""

from rolevend.errors import Conflict, NotPermitted
from rolevend.kube.client import CONFIG_MAPS, AlreadyExists, Body, Cluster, NotFound
from rolevend.model import AgentHandle, ObjectName, User, UserHandle
from rolevend.plan import Lease

RECORD_LABEL = "rolevend.dev/handle-of"


class HandleRecords:
    """Remembers what it has written or found, so that only the first vend of a handle asks the API server."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._known: set[tuple[str, ...]] = set()

    async def claim(self, lease: Lease, user_handle: UserHandle) -> None:
        """See vending.vend.Handles."""
        agent = {"handle": lease.agent_handle, "namespace": lease.agent.namespace, "name": lease.agent.name}
        user = {"handle": user_handle, "issuer": lease.user.issuer, "subject": lease.user.subject}
        await self._claim("agent", agent, "spec.agentRef: the handle {handle} of this Agent is that of Agent {namespace}/{name}")
        await self._claim("user", user, "spec.user: the handle {handle} of this user is that of {subject} ({issuer})")

    async def agent(self, handle: AgentHandle) -> ObjectName | None:
        """None where no role with this handle was ever made."""
        known = await self._read("agent", handle)
        return ObjectName(known["namespace"], known["name"]) if known else None

    async def user(self, handle: UserHandle) -> User | None:
        known = await self._read("user", handle)
        return User(known["issuer"], known["subject"]) if known else None

    async def _claim(self, kind: str, claim: dict[str, str], taken: str) -> None:
        fact = (kind, *claim.values())
        if fact in self._known:
            return
        try:
            kept = await self._read(kind, claim["handle"]) or await self._write(kind, claim)
        except NotPermitted as error:
            raise NotPermitted(f"the operator may not keep ConfigMaps in namespace {self._namespace}: upgrade the chart") from error
        if kept != claim:
            where = f"ConfigMap {self._namespace}/{_name(kind, claim['handle'])}"
            raise Conflict(f"{taken.format(**kept)} for ever, by {where}: a handle is never given to somebody else; choose another one")
        self._known.add(fact)

    async def _write(self, kind: str, claim: dict[str, str]) -> dict[str, str]:
        """What stands there now: somebody else may have been faster."""
        name = _name(kind, claim["handle"])
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "immutable": True,
            "metadata": {"name": name, "labels": {RECORD_LABEL: kind}},
            "data": claim,
        }
        try:
            await self._cluster.create(CONFIG_MAPS, body, self._namespace)
        except AlreadyExists:
            return _data(await self._cluster.get(CONFIG_MAPS, name, self._namespace), kind)
        return claim

    async def _read(self, kind: str, handle: str) -> dict[str, str] | None:
        try:
            return _data(await self._cluster.get(CONFIG_MAPS, _name(kind, handle), self._namespace), kind)
        except NotFound:
            return None


def _name(kind: str, handle: str) -> str:
    """Handles have no lower-case letters, names of objects no upper-case ones: two handles never share a name."""
    return f"rolevend-{kind}-{handle.lower()}"


def _data(config_map: Body, kind: str) -> dict[str, str]:
    """Raises Conflict for a ConfigMap that is no record."""
    metadata, data = config_map["metadata"], config_map.get("data") or {}
    wanted = {"agent": {"handle", "namespace", "name"}, "user": {"handle", "issuer", "subject"}}[kind]
    if not config_map.get("immutable") or set(data) != wanted:
        where = f"{metadata['namespace']}/{metadata['name']}"
        raise Conflict(f"ConfigMap {where} is in the place of a handle's record, and is none: rolevend did not write it; delete it")
    return dict(data)

"""Who a handle in a role name stands for: written once, before the first role with it exists, and never changed or given away.

Immutable ConfigMaps in the operator's own namespace. They need no right but `get` and `create`, no kind of their own, and outlive
Agents, UserAttributes and the chart.
"""

from collections.abc import Callable

from rolevend.errors import Conflict, NotPermitted
from rolevend.kube.client import CONFIG_MAPS, AlreadyExists, Body, Cluster, NotFound
from rolevend.model import AgentHandle, ObjectName, User, UserHandle
from rolevend.plan import Lease
from rolevend.vending.claims import Claim, agent_claim, user_claim

RECORD_LABEL = "rolevend.dev/handle-of"


def _unheard() -> None:
    """Nobody shows what was refused."""


class HandleRecords:
    """Remembers what it has written or found, so that only the first vend of a handle asks the API server."""

    def __init__(self, cluster: Cluster, namespace: str, changed: Callable[[], None] = _unheard) -> None:
        """`changed` is called when there is more or less in `refused`."""
        self.refused: dict[Claim, str] = {}
        """Claims for a handle that is somebody else's, and whose."""
        self._cluster = cluster
        self._namespace = namespace
        self._changed = changed
        self._known: set[Claim] = set()

    async def claim(self, lease: Lease, user_handle: UserHandle) -> None:
        """See vending.vend.Handles."""
        agent, user = agent_claim(lease.agent_handle, lease.agent), user_claim(user_handle, lease.user)
        await self._claim(agent, "spec.agentRef", "the handle {handle} of this Agent is that of Agent {namespace}/{name}")
        await self._claim(user, "spec.user", "the handle {handle} of this user is that of {subject} ({issuer})")

    async def agent(self, handle: AgentHandle) -> ObjectName | None:
        """None where no role with this handle was ever made."""
        known = await self._read("agent", handle)
        return ObjectName(known["namespace"], known["name"]) if known else None

    async def user(self, handle: UserHandle) -> User | None:
        known = await self._read("user", handle)
        return User(known["issuer"], known["subject"]) if known else None

    async def _claim(self, claim: Claim, field: str, taken: str) -> None:
        if claim in self._known:
            return
        kind, handle, *_ = claim
        wanted = dict(zip(_MEMBERS[kind], claim[1:], strict=True))
        try:
            kept = await self._read(kind, handle) or await self._write(kind, wanted)
        except NotPermitted as error:
            raise NotPermitted(f"the operator may not keep ConfigMaps in namespace {self._namespace}: upgrade the chart") from error
        except Conflict as error:
            self._tell(claim, str(error))
            raise
        if kept != wanted:
            where = f"ConfigMap {self._namespace}/{_name(kind, handle)}"
            why = f"{taken.format(**kept)} for ever, by {where}: a handle is never given to somebody else; choose another one"
            self._tell(claim, why)
            raise Conflict(f"{field}: {why}")
        self._known.add(claim)
        self._tell(claim, None)

    def _tell(self, claim: Claim, why: str | None) -> None:
        if self.refused.get(claim) == why:
            return
        if why is None:
            del self.refused[claim]
        else:
            self.refused[claim] = why
        self._changed()

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


_MEMBERS = {"agent": ("handle", "namespace", "name"), "user": ("handle", "issuer", "subject")}


def _data(config_map: Body, kind: str) -> dict[str, str]:
    """Raises Conflict for a ConfigMap that is no record."""
    metadata, data = config_map["metadata"], config_map.get("data") or {}
    if not config_map.get("immutable") or set(data) != set(_MEMBERS[kind]):
        where = f"{metadata['namespace']}/{metadata['name']}"
        raise Conflict(f"ConfigMap {where} is in the place of a handle's record, and is none: rolevend did not write it; delete it")
    return dict(data)

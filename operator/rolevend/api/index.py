"""All VendedRoles by agent, from one watch, but for those that only show a role that a database records."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime

from rolevend.kinds.shared import RECORD
from rolevend.kube.client import VENDED_ROLES, Body, KubeClient
from rolevend.kube.informer import Informer, key_of
from rolevend.model import ObjectName
from rolevend.roles.state import is_let_go


class VendedRoleIndex:
    """Shared by all calls."""

    def __init__(self, cluster: KubeClient, now: Callable[[], datetime]) -> None:
        self.informer = _ByAgent(cluster, self._changed, now)
        self._news = asyncio.Event()

    def get(self, name: ObjectName) -> Body | None:
        return self.informer.objects.get((name.namespace, name.name))

    def of(self, agent: ObjectName) -> Iterator[Body]:
        """Return the objects of the agent, sorted by name."""
        return (self.informer.objects[key] for key in sorted(self.informer.by_agent.get(agent, ())))

    def count(self, agent: ObjectName) -> int:
        """Return how many have a role, or will have one. A role that is ending counts until it is dropped."""
        return sum(_has_role(self.informer.objects[key]) for key in self.informer.by_agent.get(agent, ()))

    async def begun(self, name: ObjectName, uid: str, seconds: float) -> Body | None:
        """Return the object with this uid as soon as its status names a role; None after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                while (body := self.get(name)) is None or body["metadata"]["uid"] != uid or "roleName" not in body.get("status", {}):
                    await self._news.wait()
                return body
        except TimeoutError:
            return None

    async def gone(self, name: ObjectName, uid: str, seconds: float) -> bool:
        """Return True as soon as the object with this uid is gone, and False after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                while (body := self.get(name)) is not None and body["metadata"]["uid"] == uid:
                    await self._news.wait()
        except TimeoutError:
            return False
        return True

    def _changed(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()


class _ByAgent(Informer):
    def __init__(self, cluster: KubeClient, changed: Callable[[], None], now: Callable[[], datetime]) -> None:
        super().__init__(cluster, VENDED_ROLES, changed, now, selector=f"!{RECORD}")
        self.by_agent: dict[ObjectName, set[tuple[str, str]]] = defaultdict(set)

    def on_upsert(self, item: Body) -> None:
        item["metadata"].pop("managedFields", None)  # longer than the rest of the object
        item.get("status", {}).pop("kopf", None)
        super().on_upsert(item)
        self.by_agent[_agent(item)].add(key_of(item))

    def drop(self, item: Body) -> None:
        super().drop(item)
        self.by_agent[_agent(item)].discard(key_of(item))

    def on_reset(self) -> None:
        self.by_agent.clear()


def _has_role(item: Body) -> bool:
    return not is_let_go(item) and (item["spec"].get("delivery") == "Response" or "roleName" in item.get("status", {}))


def _agent(item: Body) -> ObjectName:
    return ObjectName(item["metadata"]["namespace"], item["spec"]["agentRef"]["name"])

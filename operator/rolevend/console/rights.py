"""The rights of a person, by the RBAC of the cluster. I/O."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from rolevend.console.person import Person
from rolevend.kinds import GROUP
from rolevend.kube.client import SUBJECT_ACCESS_REVIEWS, KubeClient
from rolevend.shared_answers import SharedAnswers

STATEMENTS, TRAIL = "vendedroles/statements", "vendedroles/trail"
"""No resources of the API server. Who may `get` them in a namespace sees what roles of its agents run, and reads their trails."""
_SECONDS: Final = 5.0
"""For which an answer is used again: a page with a thousand rows asks once for each namespace."""
_MOST: Final = 16_384
_AT_ONCE: Final = 8
"""Reviews. The other calls of pages have turns of their own."""


@dataclass(frozen=True, slots=True)
class Act:
    """A verb on objects of a kind of rolevend. `namespace` None: in all namespaces."""

    verb: str
    resource: str
    """With its subresource, if any: `vendedroles/trail`."""
    namespace: str | None = None
    name: str | None = None


class Rights:
    def __init__(self, cluster: KubeClient, moment: Callable[[], float]) -> None:
        """`moment` is a monotonic clock, in seconds."""
        self._cluster = cluster
        self._known: SharedAnswers[tuple[Person, Act], bool] = SharedAnswers(_SECONDS, _MOST, moment)
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def may(self, person: Person, act: Act) -> bool:
        """Raises ClusterUnavailable."""
        return await self._known.get((person, act), lambda: self._review(person, act))

    async def namespaces(self, person: Person, verb: str, resource: str, named: Iterable[str]) -> frozenset[str]:
        """Return those of the namespaces in which the person has the verb. Raises ClusterUnavailable."""
        wanted = sorted(set(named))
        if not wanted or await self.may(person, Act(verb, resource)):
            return frozenset(wanted)
        allowed = await asyncio.gather(*(self.may(person, Act(verb, resource, each)) for each in wanted))
        return frozenset(each for each, may in zip(wanted, allowed, strict=True) if may)

    async def _review(self, person: Person, act: Act) -> bool:
        resource, _, subresource = act.resource.partition("/")
        attributes = {"group": GROUP, "resource": resource, "subresource": subresource, "verb": act.verb}
        attributes |= {"namespace": act.namespace or "", "name": act.name or ""}
        spec = {"user": person.username, "groups": [*person.groups, "system:authenticated"], "resourceAttributes": attributes}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        async with self._turns:
            return bool((await self._cluster.create(SUBJECT_ACCESS_REVIEWS, review))["status"]["allowed"])

"""The state of the installation, as far as one person may read it. I/O."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import InitVar, dataclass, field, replace
from datetime import datetime
from typing import Final

from rolevend.cluster_health.facts import ClusterFacts, FactsReader, Gap
from rolevend.cluster_health.findings import HealthFinding, findings
from rolevend.cluster_health.overview import Overview, overview
from rolevend.console.objects import WatchedObjects
from rolevend.console.person import Person
from rolevend.console.rights import Act, Rights
from rolevend.kinds import AccessPolicy, AccessRequest, IdentityProvider, UserAttributes, VendedRole
from rolevend.kube.client import Body, KubeClient, path_of
from rolevend.shared_answers import SharedAnswers

_WATCHED: Final = (AccessPolicy, AccessRequest, IdentityProvider, UserAttributes, VendedRole)
"""Read from the console's watches: there may be many of them."""
LEFT_OUT: Final = tuple(kind.__name__ for kind in _WATCHED)
"""The kinds that are not listed as the person."""
_SECONDS: Final = 10.0
"""For which an answer is used again."""
_MOST: Final = 256
_AT_ONCE: Final = 2
_READING_SECONDS: Final = 20.0
"""With the wait for others."""
_LATE: Final = Gap("all that is read with your rights", "it takes too long now, or others wait for it; try again, or use `rolevend doctor`")
OFF: Final = (
    "this console only shows what it watches: `rolevend doctor` finds the rest, or ask your administrator for console.impersonation"
)


@dataclass(frozen=True, slots=True)
class InstallationView:
    overview: Overview
    needed: Sequence[HealthFinding]
    """Those that need a person, the worst first."""
    gaps: Sequence[Gap]
    """The parts that were not read."""
    read_at: datetime


@dataclass(slots=True)
class InstallationHealth:
    cluster: KubeClient
    namespace: str
    """The operator's."""
    objects: WatchedObjects
    rights: Rights
    enabled: bool
    """True if the console may impersonate people."""
    now: Callable[[], datetime]
    moment: InitVar[Callable[[], float]] = time.monotonic
    seconds: float = _READING_SECONDS
    """For which the cluster is read."""
    _known: SharedAnswers[Person, InstallationView] = field(init=False)
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    def __post_init__(self, moment: Callable[[], float]) -> None:
        self._known = SharedAnswers(_SECONDS, _MOST, moment)

    async def view(self, person: Person) -> InstallationView:
        """Return the state as it was at most ten seconds ago. Raises ClusterUnavailable."""
        return await self._known.get(person, lambda: self._read(person))

    async def _read(self, person: Person) -> InstallationView:
        watched, gaps = await self._watched(person)
        facts = await self._own(person)
        facts = replace(facts, parts={**facts.parts, **watched}, gaps=(*facts.gaps, *gaps), reader="console")
        needed = [each for each in findings(facts) if each.level != "not read"]
        return InstallationView(overview(facts), needed, facts.gaps, facts.server_time or facts.read_at)

    async def _own(self, person: Person) -> ClusterFacts:
        """Return what the person reads with their own rights."""
        if not self.enabled:
            return ClusterFacts(self.namespace, self.now(), None, {})
        acting = self.cluster.acting_as(person.username, person.groups)
        try:
            async with asyncio.timeout(self.seconds), self._turns:
                return await FactsReader(acting, self.namespace, left_out=LEFT_OUT).read(with_secrets=False)
        except TimeoutError:
            return ClusterFacts(self.namespace, self.now(), None, {}, (_LATE,))

    async def _watched(self, person: Person) -> tuple[dict[str, Sequence[Body]], list[Gap]]:
        """Return the objects that the console watches, in those namespaces in which the person may list them."""
        parts: dict[str, Sequence[Body]] = {}
        gaps: list[Gap] = []
        for kind in _WATCHED:
            bodies, plural = self.objects.bodies(kind), path_of(kind).plural
            if await self.rights.may(person, Act("list", plural)):
                parts[kind.__name__] = bodies
                if kind is UserAttributes:
                    gaps.append(Gap(kind.__name__, "this page reads the suspended ones alone; `rolevend doctor` reads all"))
                continue
            namespaces = {each["metadata"]["namespace"] for each in bodies if "namespace" in each["metadata"]}
            allowed = await self.rights.namespaces(person, "list", plural, namespaces)
            gaps.append(Gap(kind.__name__, "you may read those of some namespaces alone" if allowed else "you may not read them"))
            if allowed:
                parts[kind.__name__] = [each for each in bodies if each["metadata"]["namespace"] in allowed]
        return parts, gaps

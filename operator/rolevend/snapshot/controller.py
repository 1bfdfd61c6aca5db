"""Watch the objects that affect decisions, rebuild the snapshot after a change, and write the conditions of each object. Independent of
kopf: a snapshot depends only on the current objects, not on the order of events."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import TypeVar, cast

from rolevend.errors import InvalidInput, RolevendError
from rolevend.identity.provider import Provider
from rolevend.kinds import (
    AccessPolicy,
    Agent,
    DataPlatform,
    Guardrail,
    IdentityProvider,
    Resource,
    TagBinding,
    UserAttributes,
    parse,
    shell,
    values,
)
from rolevend.kinds.status import ConditionUpdate, body
from rolevend.kube.client import CONFIG_MAPS, NAMESPACES, Body, KubeClient, NotFound, path_of
from rolevend.kube.informer import Informer
from rolevend.model import Claim, ObjectName, PlatformName
from rolevend.platform_runtime.registry import ConnectedPlatform, PlatformRegistry
from rolevend.platform_runtime.state import PlatformState
from rolevend.snapshot.builder import SnapshotBuilder, SnapshotInputs
from rolevend.snapshot.conditions.common import StatusEvaluation
from rolevend.snapshot.conditions.ledger import unreadable_claim
from rolevend.snapshot.identity_providers import KeysState
from rolevend.snapshot.parsed import ParsedObjects
from rolevend.snapshot.status import status_of
from rolevend.snapshot.stops import stop_of
from rolevend.snapshot.suspension import SUSPENSION, suspended_counts, suspension_of
from rolevend.telemetry.metrics import Metrics

R = TypeVar("R", bound=Resource)

_DEBOUNCE_SECONDS = 0.02
"""Events come in groups: one build handles all of them."""
_REST, _LONGEST_REST_SECONDS = 3.0, 0.5
"""How long no build begins after one, as a multiple of its duration: a long series of changes, such as a push of many users, leaves most of
the time to calls. A change after that is built at once."""

_log = logging.getLogger(__name__)


def rest_after(seconds: float) -> float:
    """Return how many seconds no build begins after one that took so many seconds."""
    return min(_REST * seconds, _LONGEST_REST_SECONDS)


def _noop(_: StatusEvaluation[Resource]) -> None:
    """The default of `on_published`."""


def ready_condition(raw: Body) -> Body | None:
    """Return the condition Ready of an object that is not parsed; None if no operator has evaluated it."""
    return next((each for each in raw.get("status", {}).get("conditions", []) if each["type"] == "Ready"), None)


_KINDS: tuple[type[Resource], ...] = (DataPlatform, Agent, AccessPolicy, Guardrail, TagBinding, UserAttributes, IdentityProvider)
_RETRY_SECONDS = 2.0
_YIELD_EVERY = 50
"""Objects that are parsed, or statuses that are compared, before other tasks of the event loop get their turn."""


@dataclass(frozen=True, slots=True)
class SnapshotSources:
    """The inputs of a snapshot, besides the objects of the cluster."""

    namespace: str
    """The operator's, with the ConfigMap that suspends the cluster."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set after each change of an object or of a source. The controller clears it before it builds the next snapshot."""
    refused_handles: Mapping[Claim, str] = field(default_factory=dict)
    key_states: Mapping[str, KeysState] = field(default_factory=dict)
    """By the name of the IdentityProvider."""
    platform_state: Callable[[ConnectedPlatform], PlatformState] = attrgetter("state")


class SnapshotController:
    """Publishes the newest snapshot. Until every kind is listed its decisions are pending."""

    def __init__(
        self,
        cluster: KubeClient,
        builder: SnapshotBuilder,
        metrics: Metrics,
        now: Callable[[], datetime],
        sources: SnapshotSources,
        *,
        reports: bool = True,
    ) -> None:
        """`reports` is True in the one process that writes statuses."""
        self.providers: Mapping[str, tuple[IdentityProvider, Provider]] = {}
        """The providers that the newest snapshot accepts, by issuer."""
        self._sources = sources
        self._reports = reports
        self._cluster = cluster
        self._builder = builder
        self._metrics = metrics
        self._now = now
        self._published: dict[str, StatusEvaluation[Resource]] = {}
        """The published evaluations, by uid: of ten thousand objects, one changes."""
        self._kinds: dict[type[Resource], ParsedObjects[Resource]] = {
            kind: ParsedObjects(kind, Informer(cluster, path_of(kind), sources.changed.set, now)) for kind in _KINDS
        }
        self._namespaces = Informer(cluster, NAMESPACES, sources.changed.set, now)
        self._suspension = Informer(cluster, CONFIG_MAPS, sources.changed.set, now, only=ObjectName(sources.namespace, SUSPENSION))
        self.snapshot = builder.build(SnapshotInputs(), {}, "nothing was read yet").snapshot

    @property
    def informers(self) -> tuple[Informer, ...]:
        return (*(each.informer for each in self._kinds.values()), self._namespaces, self._suspension)

    def informer(self, kind: type[Resource]) -> Informer:
        """Return the watch of one kind of rolevend."""
        return self._kinds[kind].informer

    @property
    def pending(self) -> str | None:
        missing = [informer.resource.plural for informer in self.informers if not informer.synced]
        return f"the operator has not listed all {', '.join(missing)} yet" if missing else None

    async def run(
        self,
        platforms: PlatformRegistry,
        on_snapshot: Callable[[], None],
        on_published: Callable[[StatusEvaluation[Resource]], None] = _noop,
    ) -> None:
        """Rebuild after every change, until cancelled. `on_snapshot` is called after each build, and `on_published` after each written
        status. Neither must block."""
        rests_until = 0.0
        while True:
            await self._sources.changed.wait()
            await asyncio.sleep(max(_DEBOUNCE_SECONDS, rests_until - time.monotonic()))
            started = time.monotonic()
            self._sources.changed.clear()
            while not all(each.refresh(_YIELD_EVERY) for each in self._kinds.values()):
                await asyncio.sleep(0)  # not after the last pass, so the snapshot is that of one moment
            objects, refused, unreadable = self._objects()
            platforms.sync(objects.platforms, unreadable)
            built = self._builder.build(objects, {name: self._sources.platform_state(at_work) for name, at_work in platforms}, self.pending)
            self.snapshot, self.providers = built.snapshot, built.providers
            rests_until = time.monotonic() + rest_after(time.monotonic() - started)
            on_snapshot()
            if self._reports:
                for kind, count in suspended_counts(objects, len(built.snapshot.suspended_users)).items():
                    self._metrics.suspended.labels(kind).set(count)
                await self._publish_status([*built.evaluations, *refused], on_published)

    def _objects(self) -> tuple[SnapshotInputs, list[StatusEvaluation[Resource]], dict[PlatformName, DataPlatform | None]]:
        """Return the readable objects, the evaluations of the others, and all DataPlatforms, each as far as roles can be dropped on it."""
        platforms = self._readable(DataPlatform)
        objects = SnapshotInputs(
            agents=self._granting(Agent),
            platforms=platforms,
            policies=self._granting(AccessPolicy),
            bindings=self._readable(TagBinding),
            guardrails=self._readable(Guardrail),
            people=self._granting(UserAttributes),
            unreadable_people=[stop for raw, _ in self._unreadable(UserAttributes) if (stop := stop_of(raw)) is not None],
            refused_handles=self._sources.refused_handles,
            providers=self._granting(IdentityProvider),
            key_states=dict(self._sources.key_states),
            unsure={
                name: f"{kind.__name__} {_named(raw)} cannot be read: {error}"
                for kind in (TagBinding, Guardrail)
                for raw, error in self._unreadable(kind)
                for name in _platforms_in_scope(raw, platforms)
            }
            | {_name(raw): f"DataPlatform {_name(raw)} cannot be read: {error}" for raw, error in self._unreadable(DataPlatform)},
            suspension=suspension_of(self._suspension.objects.values()),
            namespaces={name: _labels(raw) for (_, name), raw in self._namespaces.objects.items()},
            unreadable_claims=[
                claim for raw, _ in self._unreadable(DataPlatform) if (claim := unreadable_claim(shell(DataPlatform, raw), raw)) is not None
            ],
        )
        refused = [_unreadable(kind, raw, error) for kind in _KINDS for raw, error in self._unreadable(kind)]
        return objects, refused, {_name(raw): _for_drops(raw) for raw, _ in self._unreadable(DataPlatform)}

    def _granting(self, kind: type[R]) -> list[R]:
        return cast("list[R]", list(self._kinds[kind].granting.values()))

    def _readable(self, kind: type[R]) -> list[R]:
        return cast("list[R]", list(self._kinds[kind].readable.values()))

    def _unreadable(self, kind: type[Resource]) -> Collection[tuple[Body, InvalidInput]]:
        return self._kinds[kind].unreadable.values()

    async def _publish_status(
        self, evaluations: Sequence[StatusEvaluation[Resource]], on_published: Callable[[StatusEvaluation[Resource]], None]
    ) -> None:
        published = {each.resource.metadata.uid: each for each in evaluations}
        # By identity first: of very many users, most are the same Python object as before.
        changed = [(uid, each) for uid, each in published.items() if self._published.get(uid) is not each]
        patches = []
        for number, (uid, evaluation) in enumerate(changed, start=1):
            if number % _YIELD_EVERY == 0:
                await asyncio.sleep(0)
            patch = None if _says_the_same(evaluation, self._published.get(uid)) else self._patch(evaluation)
            if patch is not None:
                del published[uid]
                patches.append(self._patch_status(evaluation, patch, on_published))
        self._published = published
        self._count(evaluations)
        if not all(await asyncio.gather(*patches)):
            asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._sources.changed.set)

    def _count(self, evaluations: Iterable[StatusEvaluation[Resource]]) -> None:
        """Set the metrics of refused objects and of platforms."""
        refused = Counter(each.resource.kind for each in evaluations if not each.accepted)
        for kind in _KINDS:
            self._metrics.policy_errors.labels(kind.__name__).set(refused[kind.__name__])
        self._metrics.platform_condition.clear()
        for each in evaluations:
            if isinstance(each.resource, DataPlatform):
                for finding in each.findings:
                    if (finding.type, finding.status) == ("InSync", "Unknown"):
                        continue  # a 0 means that somebody changed a table, and alerts at once
                    self._metrics.platform_condition.labels(each.resource.name, finding.type).set(finding.status == "True")

    def _patch(self, evaluation: StatusEvaluation[Resource]) -> Body | None:
        """Return the status patch, or None if the status is up to date."""
        wanted = status_of(evaluation, self._now())
        now = body(evaluation.resource.status)  # type: ignore[attr-defined]
        return None if all(now.get(key) == value for key, value in wanted.items()) else wanted

    async def _patch_status(
        self, evaluation: StatusEvaluation[Resource], status: Body, on_published: Callable[[StatusEvaluation[Resource]], None]
    ) -> bool:
        resource = evaluation.resource
        patch = {"metadata": {"uid": resource.uid}, "status": status}
        try:
            await self._cluster.merge(path_of(type(resource)), resource.name, patch, resource.namespace or None, "status")
        except NotFound:
            return True
        except RolevendError as error:
            _log.warning("cannot write the status of %s %s: %s", resource.kind, resource.name, error)
            return False
        on_published(evaluation)
        return True


def _says_the_same(evaluation: StatusEvaluation[Resource], published: StatusEvaluation[Resource] | None) -> bool:
    """True if an evaluation of the same version with the same content was published."""
    return (
        published is not None
        and published.resource is evaluation.resource
        and (published.findings, published.counts) == (evaluation.findings, evaluation.counts)
    )


def _unreadable(kind: type[R], raw: Body, error: InvalidInput) -> StatusEvaluation[Resource]:
    """Return the evaluation of an object that another version of the schema accepted."""
    findings = tuple(ConditionUpdate(type_, "False", "InvalidInput", str(error)) for type_ in ("Accepted", "Ready"))
    return StatusEvaluation(shell(kind, raw), findings)


def _labels(namespace: Body) -> dict[str, str]:
    namespace["metadata"].pop("managedFields", None)
    labels: dict[str, str] = namespace["metadata"].get("labels", {})
    return labels


def _name(raw: Body) -> PlatformName:
    return PlatformName(raw["metadata"]["name"])


def _for_drops(raw: Body) -> DataPlatform | None:
    """Return the fields of an unreadable DataPlatform that are needed to drop roles: the server and the logins. None if these are
    unreadable, too."""
    spec = raw.get("spec")
    known = {key: spec[key] for key in ("postgres", "credentials") if key in spec} if isinstance(spec, dict) else {}
    try:
        return parse(DataPlatform, {**raw, "spec": known})
    except InvalidInput:
        return None


def _named(raw: Body) -> str:
    namespace = raw["metadata"].get("namespace")
    return f"{namespace}/{raw['metadata']['name']}" if namespace else str(raw["metadata"]["name"])


def _platforms_in_scope(raw: Body, platforms: Iterable[DataPlatform]) -> list[PlatformName]:
    """Return the platforms that an unreadable TagBinding or Guardrail may affect: those that it names and that give its namespace
    schemas, or for a cluster-scoped object all that it names. If its references are unreadable, all of these."""
    namespace = raw["metadata"].get("namespace")
    giving = [PlatformName(each.name) for each in platforms if namespace is None or namespace in values.schemas_of(each)]
    spec = raw.get("spec")
    refs = spec.get("platformRefs") if isinstance(spec, dict) else None
    if not isinstance(refs, list) or not refs or not all(isinstance(ref, dict) and "name" in ref for ref in refs):
        return giving
    named = [ref["name"] for ref in refs]
    return [name for name in giving if name in named]

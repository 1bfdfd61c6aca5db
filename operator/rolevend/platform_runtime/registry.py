"""Connects a driver for every DataPlatform, polls its catalog and its drift, and reconnects when the object or a Secret changes."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from rolevend.catalog import digest
from rolevend.errors import (
    ClusterUnavailable,
    PlatformLocked,
    PlatformUnavailable,
    PoolerInBetween,
    ReadOnlyServer,
    RolevendError,
    UntrustedServer,
)
from rolevend.kinds import DataPlatform, values
from rolevend.kinds.shared import ATTEST
from rolevend.kube.client import KubeClient
from rolevend.model import PlatformName
from rolevend.platform_runtime.credentials import Keys, logins_of
from rolevend.platform_runtime.executor import PlatformExecutor
from rolevend.platform_runtime.records import RecordsExecutor
from rolevend.platform_runtime.state import SERVER_CHANGED, PlatformState
from rolevend.platforms.protocol import Platform, ServerFacts
from rolevend.settings import Settings
from rolevend.telemetry.metrics import Metrics

DriverFactory = Callable[[DataPlatform, Keys], Platform]
"""Creates a driver, which does not connect yet."""


_WAYS_OUT: Mapping[type[RolevendError], str] = {
    UntrustedServer: "its certificate must be valid, be for spec.postgres.host, and be signed by an authority of "
    "spec.postgres.tls.caSecretRef, or without one by one that the system trusts; spec.postgres.tls.mode may ask for less",
    ReadOnlyServer: "vends and drops wait until it is promoted, or until spec.postgres.host leads to the primary",
    PlatformLocked: "a transaction there locks a table or a system catalog, as VACUUM FULL and a forgotten ALTER TABLE do; what was read "
    "before still holds. See which: SELECT pid, relation::regclass FROM pg_locks WHERE granted AND mode = 'AccessExclusiveLock'; then wait "
    "for it, or end its session with pg_terminate_backend(pid)",
    PoolerInBetween: "spec.postgres.host and port must lead to the server itself, since vended roles log in there",
}

_log = logging.getLogger(__name__)
_OVERDUE: Final = "Overdue"


class ConnectedPlatform:
    """One DataPlatform. Its own task changes it, and AttestationController the attestations in its state."""

    def __init__(self, platform: DataPlatform, *, only_ending: bool = False) -> None:
        """`only_ending`: only drops are possible, because the rest of the object cannot be parsed."""
        self.platform = platform
        self.only_ending = only_ending
        self.state = PlatformState(attestation=platform.status.attestation)
        self.executor: PlatformExecutor | None = None
        """None until the server answered, and is the server that the roles are on."""
        self._reached = asyncio.Event()
        self.poke = asyncio.Event()
        self.versions: tuple[str | None, ...] = ()

    async def connected(self, within: float) -> PlatformExecutor | None:
        """Return the executor as soon as there is one, or None after `within` seconds."""
        if self.executor is None and within > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within):
                    await self._reached.wait()
        return self.executor

    def reach(self, executor: PlatformExecutor) -> None:
        self.executor = executor
        self._reached.set()

    async def disconnect(self) -> None:
        old, self.executor = self.executor, None
        self._reached.clear()
        if old is not None:
            await old.close()


PollHandler = Callable[[PlatformName, ConnectedPlatform], Awaitable[None]]


class PlatformRegistry:
    def __init__(
        self,
        cluster: KubeClient,
        settings: Settings,
        build: DriverFactory,
        changed: Callable[[], None],
        now: Callable[[], datetime],
        *,
        programs: bool = True,
    ) -> None:
        """`changed` is called after each change of a platform's state. `programs`: this process builds profiles, and so reads the
        programmer's credential."""
        self._cluster = cluster
        self._settings = settings
        self._build = build
        self._changed = changed
        self._now = now
        self._programs = programs
        self._poll_handlers: list[PollHandler] = []
        self._at_work: dict[PlatformName, ConnectedPlatform] = {}
        self._tasks: dict[PlatformName, asyncio.Task[None]] = {}
        self._started = asyncio.Event()
        """Set, and replaced, when a platform is started."""

    def __iter__(self) -> Iterator[tuple[PlatformName, ConnectedPlatform]]:
        return iter(list(self._at_work.items()))

    def get(self, name: PlatformName) -> ConnectedPlatform | None:
        return self._at_work.get(name)

    def records(self, name: PlatformName) -> RecordsExecutor | None:
        """Return the records of the platform; None while it is not connected, or if it keeps none."""
        connected = self._at_work.get(name)
        return connected.executor.records if connected is not None and connected.executor is not None else None

    async def appeared(self, name: PlatformName, within: float) -> ConnectedPlatform | None:
        """Return the platform as soon as its DataPlatform exists, or None after `within` seconds."""
        if name not in self._at_work and within > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within):
                    while name not in self._at_work:
                        await self._started.wait()
        return self._at_work.get(name)

    def add_poll_handler(self, handler: PollHandler) -> None:
        """Call `handler` after each poll of a platform, whether it succeeded or not. The next poll waits until the handler returns."""
        self._poll_handlers.append(handler)

    def measure(self, metrics: Metrics) -> None:
        """Bring the gauges of the platforms up to date, and remove those of platforms that are gone."""
        metrics.follow(set(self._at_work))
        for name, platform in self._at_work.items():
            for kind, count in (platform.executor.waiting if platform.executor else {"vend": 0, "drop": 0}).items():
                metrics.queue_depth.labels(name, kind).set(count)

    def sync(self, objects: Iterable[DataPlatform], unreadable: Mapping[PlatformName, DataPlatform | None]) -> None:
        """Connect and disconnect platforms, so that they match all DataPlatforms that exist.

        `unreadable` are those that cannot be parsed, each with the part that a drop needs, or None. A connected platform whose object
        cannot be parsed any more keeps its last spec.
        """
        wanted = {PlatformName(each.metadata.name): each for each in objects}
        for name in self._at_work.keys() - wanted.keys() - unreadable.keys():
            self._forget(name)
        for name, platform in wanted.items():
            known = self._at_work.get(name)
            if known is not None and known.only_ending:
                self._forget(name)
                known = None
            if known is None:
                self._start(name, ConnectedPlatform(platform))
            else:
                self._update(known, platform)
        for name, last in unreadable.items():
            known = self._at_work.get(name)
            if last is not None and known is None:
                self._start(name, ConnectedPlatform(last, only_ending=True))
            elif last is not None and known is not None:
                self._update(known, last if known.only_ending else last.model_copy(update={"spec": known.platform.spec}))

    def _start(self, name: PlatformName, at_work: ConnectedPlatform) -> None:
        self._at_work[name] = at_work
        self._started.set()
        self._started = asyncio.Event()
        self._tasks[name] = asyncio.create_task(self._run(name, at_work), name=f"platform-{name}")

    @staticmethod
    def _update(at_work: ConnectedPlatform, platform: DataPlatform) -> None:
        # The status changes with every poll. The essentials change when a person or a finalizer changes the object.
        if _essentials(at_work.platform) != _essentials(platform):
            at_work.poke.set()
        at_work.platform = platform

    def _forget(self, name: PlatformName) -> None:
        del self._at_work[name]
        self._tasks.pop(name).cancel()

    async def stop(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _run(self, name: PlatformName, at_work: ConnectedPlatform) -> None:
        try:
            while True:
                at_work.poke.clear()
                try:
                    await self._poll(name, at_work)
                except Exception:  # a bug must not end the loop
                    _log.exception("cannot poll the platform", extra={"platform": name})
                pause = self._settings.platform_retry_seconds if at_work.state.problem else self._settings.platform_poll_seconds
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await at_work.poke.wait()
        finally:
            if at_work.executor is not None:
                try:
                    await at_work.executor.close()
                except Exception:  # nobody awaits this task
                    _log.exception("cannot close the connections", extra={"platform": name})

    async def _poll(self, name: PlatformName, at_work: ConnectedPlatform) -> None:
        before = at_work.state
        at_work.state = await self._look(at_work)
        if at_work.state != before:
            self._log_change(name, before, at_work.state)
            self._changed()
        for handler in self._poll_handlers:
            await handler(name, at_work)

    async def _look(self, at_work: ConnectedPlatform) -> PlatformState:
        try:
            executor, facts = await self._reach(at_work)
            if facts.unusable is not None:
                return replace(at_work.state, problem=(PlatformUnavailable.__name__, facts.unusable), facts=facts)
            platform = at_work.platform
            catalog = await executor.catalog(
                values.governed(platform),
                own=values.own_schemas(platform),
                functions=values.function_schemas(platform),
                tools=values.objects(platform),
            )
            if catalog == at_work.state.catalog:
                catalog = at_work.state.catalog  # the same object makes comparisons cheap
                catalog_digest = at_work.state.catalog_digest
            else:
                catalog_digest = await asyncio.to_thread(digest, catalog)
            drift = await executor.drift()
            return replace(at_work.state, problem=None, facts=facts, catalog=catalog, catalog_digest=catalog_digest, drift=drift)
        except _OtherServer as error:
            return replace(at_work.state, problem=(SERVER_CHANGED, str(error)))
        except RolevendError as error:
            way_out = _WAYS_OUT.get(type(error))
            return replace(at_work.state, problem=(type(error).__name__, f"{error}; {way_out}" if way_out else str(error)))
        except Exception as error:  # a bug of the driver must not end the loop
            _log.exception("cannot read the platform", extra={"platform": at_work.platform.metadata.name})
            return replace(at_work.state, problem=("InternalError", f"{type(error).__name__}; see the operator's log"))

    async def _reach(self, at_work: ConnectedPlatform) -> tuple[PlatformExecutor, ServerFacts]:
        """Connect to the server that the roles are on. Closes the connection to a server that does not answer, or is another one."""
        executor = await self._connect(at_work)
        try:
            facts = await executor.facts()
            known = at_work.platform.status.server_identifier
            if known not in (None, facts.identifier):
                await at_work.disconnect()
                raise _OtherServer("snowflake" if at_work.platform.spec.snowflake else "postgres", known, facts.identifier)
        except BaseException:
            if executor is not at_work.executor:
                await executor.close()
            raise
        at_work.reach(executor)
        return executor, facts

    async def _connect(self, at_work: ConnectedPlatform) -> PlatformExecutor:
        """Return an executor for the object and its Secrets as they are now. An older one is closed when its calls are done."""
        platform = at_work.platform
        try:
            keys = await logins_of(platform, self._cluster, self._settings.namespace, self._now(), programs=self._programs)
        except ClusterUnavailable:
            if at_work.executor is None:
                raise
            return at_work.executor  # keep polling while the platform's own server answers
        versions = (str(platform.metadata.generation), *keys.versions)
        if at_work.executor is not None and versions == at_work.versions:
            return at_work.executor
        await at_work.disconnect()
        at_work.versions = versions
        return PlatformExecutor(PlatformName(platform.name), self._build(platform, keys), self._settings.platform_workers)

    @staticmethod
    def _log_change(name: PlatformName, before: PlatformState, now: PlatformState) -> None:
        if now.problem and now.problem != before.problem:
            _log.warning("the platform has a problem: %s", now.problem[1], extra={"platform": name, "reason": now.problem[0]})
        elif before.problem and not now.problem:
            _log.info("the platform answers", extra={"platform": name, "version": now.facts.version if now.facts else None})


class _OtherServer(Exception):
    """The server that answers is not the one that roles were vended on."""

    def __init__(self, kind: str, known: str, answers: str) -> None:
        super().__init__(
            f"spec.{kind}: server {answers} answers, and roles were vended on server {known}. Point it back; if that server is gone "
            "for good, set status.serverIdentifier to null"
        )


def _essentials(platform: DataPlatform) -> tuple[object, ...]:
    metadata = platform.metadata
    return (
        metadata.generation,
        metadata.deletion_timestamp,
        metadata.finalizers,
        metadata.annotations.get(ATTEST),
        platform.status.server_identifier,
    )


def as_attested(at_work: ConnectedPlatform) -> PlatformState:
    """Return the state with the attestation from the platform's status, because only the operator has the credential to attest."""
    status = at_work.platform.status
    attested = status.condition("Attested")
    return replace(at_work.state, attestation=status.attestation, attestation_overdue=attested is not None and attested.reason == _OVERDUE)

"""Leader election by a Lease. The other replicas wait until the leader steps down or stops renewing."""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Literal, Never, Self

from rolevend.errors import RolevendError
from rolevend.kube.client import Body, KubeClient, NotFound, ResourceConflict, ResourcePath
from rolevend.kube.leadership import LeaderAction, LeaseView, lease_view, move, pod_of, safe_until

LEASES = ResourcePath("/apis/coordination.k8s.io/v1", "leases")
LEASE = "rolevend-operator"

ATTEMPT = 1 / 5
"""The timeout of one request, as a part of the lease duration, so that there is time for another attempt."""
_PAUSE = 1 / 10
"""The time between two renewals, or two reads of another replica, as a part of the lease duration."""
_LONGEST_PAUSE_SECONDS = 2.0
"""So that another replica soon sees that the leader stepped down."""
_LONGEST_SLEEP = 1.0
"""The watchdog checks the clock this often, because its sleep does not count the time while the machine is suspended."""

_log = logging.getLogger(__name__)


def monotonic() -> float:
    """Return the seconds of a monotonic clock, which includes the time while the machine is suspended if the system has such a clock."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Election:
    """``async with election:`` waits until this replica leads, and steps down at the end of the block.

    If it cannot renew in time, or another replica leads, it calls `lost` with the reason. `lost` must end the process and never return. It
    may run in another thread, because the event loop may be stuck.
    """

    def __init__(
        self,
        cluster: KubeClient,
        namespace: str,
        me: str,
        seconds: int,
        *,
        now: Callable[[], datetime],
        lost: Callable[[str], Never],
    ) -> None:
        """`cluster` is for the election alone, so that no other call delays a renewal."""
        self.leading = False
        self.problem: str | None = "who leads was not read yet"
        """Why it is not known who leads, or None."""
        self.answered_at: datetime | None = None
        """When the API server last answered."""
        self._cluster = cluster
        self._namespace = namespace
        self._me = me
        self._seconds = seconds
        self._now = now
        self._lost = lost
        self._seen: LeaseView | None = None
        self._pause = min(_LONGEST_PAUSE_SECONDS, seconds * _PAUSE)
        self._watchdog = Watchdog(monotonic, lambda: lost(f"the Lease {namespace}/{LEASE} could not be renewed in time"))
        self._renewals: asyncio.Task[None] | None = None

    @property
    def leader(self) -> str | None:
        """The pod that leads as of the last read, or None."""
        return pod_of(self._seen.holder) if self._seen and self._seen.holder else None

    async def __aenter__(self) -> Self:
        while not await self._try():
            await asyncio.sleep(self._pause)
        self.leading = True
        self._watchdog.start()
        self._renewals = asyncio.create_task(self._renew(), name="renewals of the Lease")
        _log.info("leading", extra={"holder": self._me})
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._renewals is not None:
            self._renewals.cancel()
            await asyncio.wait([self._renewals])
        self.leading = False
        try:
            await self._step_down()
        except RolevendError as error:  # the Lease expires instead
            _log.warning("cannot step down: %s", error)
        self._watchdog.stop()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._pause)
            await self._try()

    async def _try(self) -> bool:
        """True if this replica leads now; False also if the API server did not answer."""
        try:
            leading = await self._turn()
        except ResourceConflict:
            return False  # another replica was faster, or an earlier attempt of our own succeeded late: read again
        except RolevendError as error:
            self.problem = f"the Lease cannot be read or written: {error}"
            _log.warning("%s", self.problem)
            return False
        self.problem = None
        self.answered_at = self._now()
        return leading

    async def _turn(self) -> bool:
        asked_at = monotonic()
        if self.leading:
            # A leader writes over its last version without a read.
            with contextlib.suppress(ResourceConflict, NotFound):
                return self._led(await self._write(self._spec(took=False)), asked_at)
        there = await self._look()
        asked_at = monotonic()
        next_move = move(self._seen, there=there, me=self._me, moment=asked_at)
        if self.leading and there and next_move is not LeaderAction.RENEW:
            self._lost(f"the Lease {self._namespace}/{LEASE} is held by {self.leader or 'nobody'}")
        match next_move:
            case LeaderAction.WAIT:
                return False
            case LeaderAction.CREATE:
                body = {"metadata": {"name": LEASE}, "spec": self._spec(took=True)}
                return self._led(await self._cluster.create(LEASES, body, self._namespace), asked_at)
            case LeaderAction.TAKE | LeaderAction.RENEW:
                return self._led(await self._write(self._spec(took=next_move is LeaderAction.TAKE)), asked_at)

    def _led(self, written: Body, asked_at: float) -> Literal[True]:
        self._seen = lease_view(written, self._seen, asked_at)
        self._watchdog.extend(safe_until(asked_at, self._seconds))
        return True

    async def _look(self) -> bool:
        """Read the Lease. True if it exists."""
        try:
            lease = await self._cluster.get(LEASES, LEASE, self._namespace)
        except NotFound:
            return False
        self._seen = lease_view(lease, self._seen, monotonic())
        return True

    async def _step_down(self) -> None:
        if await self._look() and self._seen is not None and self._seen.holder == self._me:
            await self._write({"holderIdentity": "", "renewTime": _micro_time(self._now())})

    async def _write(self, spec: Body) -> Body:
        """Write over the version that was read. Raises ResourceConflict if another replica wrote since."""
        version = self._seen.version if self._seen else ""
        return await self._cluster.merge(LEASES, LEASE, {"metadata": {"resourceVersion": version}, "spec": spec}, self._namespace)

    def _spec(self, *, took: bool) -> Body:
        now = _micro_time(self._now())
        spec: Body = {"holderIdentity": self._me, "leaseDurationSeconds": self._seconds, "renewTime": now}
        if took:
            spec |= {"acquireTime": now, "leaseTransitions": self._seen.changes + 1 if self._seen else 0}
        return spec


class Watchdog:
    """Calls `late` from a thread of its own when the deadline passes."""

    def __init__(self, moment: Callable[[], float], late: Callable[[], Never]) -> None:
        self._moment = moment
        self._late = late
        self._deadline = float("inf")
        self._stopped = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._run, name="watchdog", daemon=True).start()

    def extend(self, deadline: float) -> None:
        self._deadline = deadline

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(min(_LONGEST_SLEEP, max(0.0, self._deadline - self._moment()))):
            if self._moment() >= self._deadline:
                self._late()


def _micro_time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

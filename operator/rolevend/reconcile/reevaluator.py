"""When policy, tags, attributes or agents change: every standing VendedRole is decided again.

A live role whose grants are no longer all granted is ended; one that only could see more lives on, and the next vend sees more.
A request that waited, or was denied, is taken up again as soon as its verdict would be another. What lives and was not vended here is
decided as soon as the watch tells of it: it rests on the picture of another process.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence

from rolevend.errors import RolevendError
from rolevend.model import PlatformName
from rolevend.platforms.base import Drift
from rolevend.reconcile.reconciler import VendedRoleReconciler
from rolevend.roles.decision import RoleDecision
from rolevend.roles.state import RoleState, revocation_reason
from rolevend.roles.status import granted_condition
from rolevend.vending.directory import Directory
from rolevend.vending.verdict import Delivery, Granted, Verdict, taken_by

_AT_ONCE = 16
"""Of revocations so many are written down together. On the platform all of them begin at once."""
_BREATH = 50
"""After so many verdicts others get their turn in the event loop."""

_Begin = Callable[[Coroutine[None, None, None]], object]
"""Has what follows from a verdict carried out beside."""

_log = logging.getLogger(__name__)


class Reevaluator:
    """Runs beside the painting of pictures: a long review never keeps a newer picture from deciding what is vended."""

    def __init__(self, lifecycle: VendedRoleReconciler, directory: Callable[[], Directory]) -> None:
        self._lifecycle = lifecycle
        self._directory = directory
        self._due = asyncio.Event()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._failed = False
        self._tasks: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        self._due.set()

    def retry(self) -> None:
        """Wakes it if something failed since the last review began: nothing else can have another verdict than it had."""
        if self._failed:
            self.wake()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._due.wait()
            self._due.clear()
            await self.review()

    async def review(self) -> None:
        """Every standing role once, each against the newest picture."""
        self._failed = False
        async with asyncio.TaskGroup() as acts:
            for count, standings in enumerate(self._lifecycle.roles, start=1):
                if standings[0].ending_since is None:
                    self._judge(standings, acts.create_task)
                if count % _BREATH == 0:
                    await asyncio.sleep(0)

    def saw(self, standings: Sequence[RoleState]) -> None:
        """Every event of one object that does not end. Returns at once. A review that is over when a role is first listed has not judged
        it, and there may be none after that."""
        if any(each.live and each.granted is None for each in standings):
            self._judge(standings, self._begin)

    def _begin(self, act: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(act)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drifted(self, platform: PlatformName, drift: Iterable[Drift]) -> None:
        """Somebody changed governed tables by hand: the roles that read them end."""
        for each in drift:
            for standing in self._lifecycle.roles.named(each.roles, platform):
                if standing.ending_since is None:
                    await self._revoke(standing, "Drift", f"{platform}: {each.table}: {each.finding}")

    def _judge(self, standings: Sequence[RoleState], begin: _Begin) -> None:
        """One object's. On whichever platform the ground is taken away, it ends on all."""
        live = [each for each in standings if each.live or each.granted is not None]
        if not live:
            return self._consider(standings, begin)
        for standing in live:
            verdict = self._verdict(standing)
            if why := revocation_reason(verdict, standing):
                self._lifecycle.close(standing)
                begin(self._revoke(standing, taken_by(verdict), _where(standing, standings) + why))
                return None
            if isinstance(verdict, Granted) and standing.granted is None:  # by its name it is what was vended before a restart
                self._lifecycle.roles.vended(standing.request.uid, standing.request.platform, verdict)
        return None

    def _consider(self, standings: Sequence[RoleState], begin: _Begin) -> None:
        first = standings[0]
        if first.request.delivery is not Delivery.SECRET:  # others are for their calls
            return
        whole = RoleDecision(tuple((each.request, self._verdict(each)) for each in standings))
        if granted_condition(whole) != first.verdict:
            begin(self._act(self._lifecycle.reconsider(first, "verdict changed"), "reconsidering", first))

    def _verdict(self, standing: RoleState) -> Verdict:
        return self._lifecycle.room.judged(standing.request, self._directory(), begun=standing.role is not None)

    async def _revoke(self, standing: RoleState, by: str, why: str) -> None:
        async with self._slots:
            await self._act(self._lifecycle.revoke(standing, by, why), "revoking", standing)

    async def _act(self, act: Awaitable[None], what: str, standing: RoleState) -> None:
        try:
            await act
        except RolevendError as error:
            self._failed = True  # drift is found by the next look, too
            _log.warning("%s: %s", what, error, extra={"object": str(standing.request.name), "role": standing.role})


def _where(standing: RoleState, standings: Sequence[RoleState]) -> str:
    return f"on {standing.request.platform}: " if len(standings) > 1 else ""

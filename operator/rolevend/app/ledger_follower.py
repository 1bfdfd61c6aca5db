"""`rolevend ledger --follow`: reads what is new again and again, and writes it, until the process gets a signal to stop.

One cycle is one run of `rolevend ledger --state`: it starts from the saved state, so an error or a kill at any place repeats entries and
loses none. The process needs no cluster: its roles are those of the audit files.
"""

import asyncio
import logging
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from rolevend.access_ledger.audit_tail import FollowedRoles
from rolevend.access_ledger.entry import LedgerEntry
from rolevend.access_ledger.ledger_run import LedgerCounts, LedgerRun
from rolevend.errors import InvalidInput, RolevendError
from rolevend.telemetry.ledger_metrics import LedgerMetrics
from rolevend.telemetry.probes import ProbeServer

_SLOWEST: Final = 60.0
"""Seconds to the next attempt after a failure, at most."""

_log = logging.getLogger(__name__)


class _Stopped(Exception):
    """The process shall end."""


@dataclass(frozen=True, slots=True)
class FollowSettings:
    pause: float
    """Seconds between two cycles."""
    probes: tuple[str, int] | None = None
    """Host and port of probes and metrics."""


class LedgerFollower:
    """Runs cycles. `start` begins a run from the saved state; `write` takes an entry."""

    def __init__(
        self,
        start: Callable[[], LedgerRun],
        write: Callable[[LedgerEntry], None],
        roles: FollowedRoles,
        metrics: LedgerMetrics,
        now: Callable[[], datetime],
    ) -> None:
        self._start = start
        self._write = write
        self._roles = roles
        self._metrics = metrics
        self._now = now
        self._complete_at = now()
        """All that the source had then is written; at first, the start of the process."""
        self._newest: datetime | None = None
        self._problems: frozenset[str] = frozenset()
        self._counting = threading.Lock()
        self._running: LedgerRun | None = None
        self._counted = LedgerCounts()
        """The counts of the running cycle that the metrics have."""
        self._failure: str | None = None
        self._stop = threading.Event()

    def cycle(self) -> bool:
        """Write what is new. Returns False if an error stopped it, which is logged. The next cycle repeats what is not saved."""
        begun = self._now()
        run: LedgerRun | None = None
        try:
            self._roles.refresh()
            run = self._running = self._start()
            for entry in run:
                if self._stop.is_set():
                    raise _Stopped
                self._write(entry)
        except _Stopped:
            return True
        except (RolevendError, OSError) as error:
            self._failure = f"cannot read what is new: {error}"
            _log.error("ledger cycle failed", extra={"error": str(error)})
            self._metrics.failed()
            return False
        finally:
            if run is not None:
                self._finish(run)
        self._failure = None
        if run.is_complete:
            self._complete_at = begun
        return True

    def stop(self) -> None:
        """End the running cycle at its next entry."""
        self._stop.set()

    def ready(self) -> str | None:
        """Return the problem of the last cycle, or None: also while the first one catches up, which may take hours."""
        return self._failure

    def measure(self) -> None:
        """Update the metrics, also from the running cycle."""
        self._count()
        self._metrics.measure(
            lag_seconds=(self._now() - self._complete_at).total_seconds(),
            roles=len(self._roles),
            newest=None if self._newest is None else self._newest.timestamp(),
        )

    def _count(self) -> None:
        """Add to the metrics how much the running cycle read since the last call. A scrape and the cycle may call it at once."""
        with self._counting:
            if self._running is None:
                return
            counts, before = replace(self._running.counts), self._counted
            self._counted = counts
        self._metrics.read(
            lines=counts.lines - before.lines,
            known=counts.known - before.known,
            canary=counts.canary - before.canary,
            unknown=counts.unknown - before.unknown,
        )
        self._metrics.could_not_read(
            damaged=counts.damaged_records - before.damaged_records,
            truncated=counts.truncated_records - before.truncated_records,
            files=counts.unreadable_files - before.unreadable_files,
        )
        if counts.newest is not None:
            self._newest = counts.newest if self._newest is None else max(self._newest, counts.newest)

    def _finish(self, run: LedgerRun) -> None:
        self._count()
        with self._counting:
            self._running, self._counted = None, LedgerCounts()
        problems = frozenset(run.problems)
        for problem in sorted(problems - self._problems):
            _log.warning("ledger problem", extra={"problem": problem})
        self._problems = problems


async def follow(follower: LedgerFollower, metrics: LedgerMetrics, settings: FollowSettings) -> None:
    """Run cycles until SIGTERM or SIGINT. Raises InvalidInput if the address of the probes is in use."""
    stopped = asyncio.Event()

    def stop() -> None:
        follower.stop()
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    probes = await _probes(follower, metrics, *settings.probes) if settings.probes is not None else None
    _log.info("ledger started")
    failures = 0
    try:
        while not stopped.is_set():
            worked = await asyncio.to_thread(follower.cycle)
            failures = 0 if worked else failures + 1
            pause = settings.pause if worked else max(settings.pause, min(_SLOWEST, 2.0 ** min(failures, 6)))
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await stopped.wait()
    finally:
        if probes is not None:
            await probes.stop()


async def _probes(follower: LedgerFollower, metrics: LedgerMetrics, host: str, port: int) -> ProbeServer:
    probes = ProbeServer(host, port, metrics.registry, _healthy, follower.ready, lambda: "ok", follower.measure)
    try:
        await probes.start()
    except InvalidInput as error:
        raise InvalidInput("--probes", error.message) from error
    return probes


def _healthy() -> None:
    """Return no problem: a restart repairs nothing that the next cycle does not."""

"""Handle each record that changed as `handlers` handles an object: watch it, show it, end it, or drop it if its seal is not valid."""

import logging

from rolevend.controllers.projector import Projector
from rolevend.controllers.record_ender import RecordEnder, tampered
from rolevend.controllers.record_verifier import RecordVerifier
from rolevend.controllers.stray_dropper import StrayDropper
from rolevend.controllers.watcher import VendedRoleWatcher
from rolevend.model import PlatformName
from rolevend.platform_runtime.executor import PlatformExecutor
from rolevend.platform_runtime.records import RecordsExecutor
from rolevend.platforms.protocol import RecordedLease
from rolevend.roles.record_writer import RecordDirectory
from rolevend.roles.recorded import vended_role_body

_log = logging.getLogger(__name__)


class RecordObserver:
    def __init__(
        self,
        directory: RecordDirectory,
        verifier: RecordVerifier,
        watcher: VendedRoleWatcher,
        projector: Projector,
        ends: RecordEnder,
        strays: StrayDropper,
    ) -> None:
        self._directory = directory
        self._verifier = verifier
        self._watcher = watcher
        self._projector = projector
        self._ends = ends
        self._strays = strays

    def observe(self, name: PlatformName, executor: PlatformExecutor, recorded: RecordedLease) -> None:
        """Handle one record that changed, or that a listing returned."""
        lease = recorded.lease
        known = self._directory.get(lease.uid)
        if known is not None and known[0] == name and _is_same(known[1], recorded):
            return
        if recorded.reported or self._ends.is_over(name, lease.uid):
            return
        is_elsewhere = known is not None and known[0] != name  # the role that is followed under this uid is another one
        if is_elsewhere or not (_has_same_lease(known, recorded) or self._verifier.is_valid(name, recorded)):
            if known is None or is_elsewhere:
                self._end_unsealed(name, executor, recorded)
                return
            _log.error("the record of a role was changed by hand: the role ends", extra={"uid": lease.uid, "platform": name})
            recorded = tampered(known[1], recorded)
        self._directory.put(name, recorded)
        self._watcher.on_event(None, vended_role_body(recorded))
        if recorded.closed_at is not None:
            self._directory.to_end.put_nowait(lease.uid)
        elif recorded.confirmed:
            self._projector.show(recorded)

    async def look_for_strays(self, name: PlatformName, executor: PlatformExecutor, records: RecordsExecutor, cursor: str) -> None:
        """See `StrayDropper.look`."""
        await self._strays.look(name, executor, records, cursor)

    def on_listed(self, name: PlatformName) -> None:
        """All records of the platform were read."""
        if name not in self._directory.listed:
            self._directory.listed.add(name)
            self._projector.on_listed()

    def _end_unsealed(self, name: PlatformName, executor: PlatformExecutor, recorded: RecordedLease) -> None:
        """End a role that nobody who has the key recorded."""
        lease = recorded.lease
        if recorded.dropped_at is None:
            self._strays.drop_unsealed(name, executor, lease.role, lease.uid)
        else:
            _log.error("a recorded role has no valid seal, and is gone", extra={"role": lease.role, "platform": name})
            self._ends.forget(name, lease.uid)


def _has_same_lease(known: tuple[PlatformName, RecordedLease] | None, recorded: RecordedLease) -> bool:
    """True if the seal over lease and record was verified before."""
    return known is not None and (known[1].lease, known[1].lease.record) == (recorded.lease, recorded.lease.record)


def _is_same(known: RecordedLease, recorded: RecordedLease) -> bool:
    """True if nothing differs. The version alone does not tell: by hand a row is changed without it."""
    return known == recorded and known.lease.record == recorded.lease.record

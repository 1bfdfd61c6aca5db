"""Keep a DataPlatform while a role exists on it, because without the object nobody could drop that role; and while it alone records used
tokens, because without these records tokens could be used twice."""

import logging
from collections.abc import Callable

from rolevend.decision.snapshot_inputs import LedgerMode
from rolevend.errors import RolevendError
from rolevend.kinds import FINALIZER, DataPlatform
from rolevend.kube.client import KubeClient, path_of
from rolevend.model import PlatformName
from rolevend.platform_runtime.registry import ConnectedPlatform
from rolevend.snapshot.conditions.ledger import claim_of

_log = logging.getLogger(__name__)


class PlatformFinalizer:
    def __init__(self, cluster: KubeClient, in_use: Callable[[PlatformName], bool]) -> None:
        """`in_use(name)` is True if the status of a VendedRole says that its role may exist there."""
        self._cluster = cluster
        self._in_use = in_use

    async def consider(self, name: PlatformName, at_work: ConnectedPlatform) -> None:
        """Add our finalizer, or remove it if nothing keeps the object. Called after each poll."""
        metadata = at_work.platform.metadata
        deleting = metadata.deletion_timestamp is not None
        if deleting == (FINALIZER not in metadata.finalizers):
            return
        try:
            if deleting and (_is_only_ledger(at_work) or self._in_use(name) or await _holds_roles(at_work)):
                return
            kept = [each for each in metadata.finalizers if each != FINALIZER]
            patch = {"metadata": {"uid": metadata.uid, "finalizers": kept if deleting else [*kept, FINALIZER]}}
            await self._cluster.merge(path_of(DataPlatform), metadata.name, patch)
        except RolevendError as error:
            _log.warning("cannot update the finalizer of a DataPlatform: %s", error, extra={"platform": name})


def _is_only_ledger(at_work: ConnectedPlatform) -> bool:
    claim = claim_of(at_work.platform)
    return claim is not None and claim.mode is LedgerMode.ENABLED


async def _holds_roles(at_work: ConnectedPlatform) -> bool:
    if at_work.executor is None:
        return at_work.platform.status.server_identifier is not None  # it was connected before, and is unreachable now
    return bool(await at_work.executor.live())

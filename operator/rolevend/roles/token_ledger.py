"""Keep the records of used tokens where the newest snapshot says: in Kubernetes, in the database of the ledger, or in both.

Each step between two places goes through both, so a token that was used before a step is refused after it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

from rolevend.decision.snapshot_inputs import Ledger, LedgerMode
from rolevend.errors import PlatformUnavailable, RolevendError, Unavailable
from rolevend.kube.token_replay import TokenReplayStore, record_expiry, token_digest
from rolevend.model import Uid
from rolevend.plan import TokenUse
from rolevend.platform_runtime.records import RecordsExecutor
from rolevend.platform_runtime.registry import PlatformRegistry
from rolevend.roles.protocols import Snapshots

COLLECT_SECONDS: Final = 300.0
RETRY_SECONDS: Final = 30.0
"""After a temporary error."""

_log = logging.getLogger(__name__)


class TokenLedger:
    """See `roles.protocols.UsedTokens`."""

    def __init__(self, leases: TokenReplayStore, platforms: PlatformRegistry, snapshots: Snapshots) -> None:
        self._leases = leases
        self._platforms = platforms
        self._snapshots = snapshots

    async def take(self, issuer: str, token_id: str, uid: Uid, expires_at: datetime) -> bool:
        """Redeem the token. Raises PlatformUnavailable if the ledger does not answer, or is unknown."""
        ledger = self._ledger()
        if ledger is None:
            return await self._leases.take(issuer, token_id, uid, expires_at)
        records, token = self._records(ledger), TokenUse(token_digest(issuer, token_id), record_expiry(expires_at))
        if ledger.mode is LedgerMode.JOINING:
            # Read first: a Lease for a request that the database refuses would refuse the one that redeemed the token there.
            if await records.holder(token.digest) not in (None, uid):
                return False
            if not await self._leases.take(issuer, token_id, uid, expires_at):
                return False
        return await records.take(token, uid)

    async def is_left_to(self, issuer: str, token_id: str, uid: Uid) -> bool:
        """True if no other request redeemed the token. Raises as `take`."""
        ledger = self._ledger()
        if ledger is None:
            return await self._leases.is_left_to(issuer, token_id, uid)
        records = self._records(ledger)
        if ledger.mode is LedgerMode.JOINING and not await self._leases.is_left_to(issuer, token_id, uid):
            return False
        return await records.holder(token_digest(issuer, token_id)) in (None, uid)

    async def run(self) -> None:
        """Delete expired records periodically, until cancelled. An error in Kubernetes or in the ledger does not affect the other place."""
        await asyncio.gather(_collect_periodically(self._leases.collect), _collect_periodically(self._collect_in_ledger))

    async def _collect_in_ledger(self) -> None:
        if (ledger := self._configured()) is not None:
            await self._records(ledger).collect()

    def _ledger(self) -> Ledger | None:
        """Return the ledger, or None if Kubernetes alone keeps the records. Raises PlatformUnavailable if that is not known."""
        ledger = self._configured()
        if ledger is not None and ledger.mode is LedgerMode.UNKNOWN:
            raise PlatformUnavailable(
                f"DataPlatform {ledger.platform}: spec.postgres.ledger cannot be read, so no token is redeemed; see its conditions"
            )
        return ledger

    def _configured(self) -> Ledger | None:
        """Return the ledger, also in a mode that cannot be read, or None. Raises PlatformUnavailable before the first snapshot."""
        snapshot = self._snapshots.snapshot
        if snapshot.pending:
            raise PlatformUnavailable(f"the ledger of used tokens is not known yet: {snapshot.pending}")
        return snapshot.ledger

    def _records(self, ledger: Ledger) -> RecordsExecutor:
        platform = self._platforms.get(ledger.platform)
        if platform is None or platform.executor is None:
            raise PlatformUnavailable(f"DataPlatform {ledger.platform}, the ledger of used tokens, is not connected yet")
        records = platform.executor.records
        if records is None:
            raise PlatformUnavailable(f"DataPlatform {ledger.platform} cannot be the ledger of used tokens: its database keeps no records")
        return records


async def _collect_periodically(collect: Callable[[], Awaitable[object]]) -> None:
    while True:
        pause = COLLECT_SECONDS
        try:
            await collect()
        except RolevendError as error:
            _log.warning("cannot delete expired token records: %s", error)
            pause = RETRY_SECONDS if isinstance(error, Unavailable) else COLLECT_SECONDS
        except Exception:  # a bug must not end the loop
            _log.exception("cannot delete expired token records")
        await asyncio.sleep(pause)

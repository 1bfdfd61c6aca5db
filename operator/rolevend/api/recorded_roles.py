"""The roles of calls that their platform's database records: open, show, release.

No write to the API server is on the way of such a call. Lease, role, record and the used token are one transaction, which the platform
makes when it vends. Until the answer was sent and confirmed, the operator ends the role after seconds.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, TypeVar

from rolevend.api.cluster_consent import ClusterConsent
from rolevend.api.delivery_confirmations import DeliveryConfirmations
from rolevend.api.repository import (
    ANOTHER_BODY,
    ANOTHER_OWNER,
    MAX_UNDO_SECONDS,
    OpenedRole,
    VendCall,
    body_of,
    is_of,
    key_conflict,
    role_ended,
)
from rolevend.decision.outcome import Request
from rolevend.decision.snapshot_inputs import Ledger, LedgerMode
from rolevend.errors import PlatformUnavailable, ProfileNotBuilt, RolevendError
from rolevend.kinds import VendedRole, parse
from rolevend.kinds.text import timestamp_text
from rolevend.kube.client import Body
from rolevend.model import ObjectName, PlatformName
from rolevend.plan import Lease, LeaseRecord
from rolevend.platform_runtime.executor import PlatformExecutor
from rolevend.platform_runtime.records import RecordsExecutor
from rolevend.platform_runtime.registry import PlatformRegistry
from rolevend.platforms.protocol import DropRequest, EndReason, RecordedLease
from rolevend.roles.decision import PlatformGrant, RoleDecision
from rolevend.roles.objects import VendedRoleWriter
from rolevend.roles.protocols import Snapshots
from rolevend.roles.recorded import answered_body, record_body, vended_role_body
from rolevend.roles.seal import LeaseSeal
from rolevend.roles.state import role_requests
from rolevend.shared_answers import SharedAnswers

LONGEST_RELEASE_SECONDS: Final = 10.0
_LONGEST_ANSWER_SECONDS: Final = 3.0
_LONGEST_LOOK_SECONDS: Final = 8.0
"""For a platform of the call itself. Less than the time of a call."""
_COUNTED_SECONDS: Final = 1.0
_SILENT_SECONDS: Final = 10.0
"""For how long a platform that did not answer in time is waited for briefly only, where its answer is not essential."""
_BRIEF_SECONDS: Final = 0.2
_MOST_PLACES: Final = 10_000
_MOST_COUNTED: Final = 10_000

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class NewRecord:
    """The `LeaseRecorder` of one call, which opened its role."""

    role: VendedRole
    body: Body
    role_decision: RoleDecision
    call: VendCall
    objects: VendedRoleWriter
    seal: LeaseSeal

    def lease(self, grant: PlatformGrant, receipts: Mapping[PlatformName, str | None]) -> Lease:
        status = self.objects.report(self.role).ready_status(self.role_decision)
        if (receipt := receipts.get(grant.platform)) is not None:
            status["receiptDigest"] = receipt
        lease, name = grant.granted.lease, grant.request.name
        record = LeaseRecord(name, record_body(self.body, status), self.call.digest, "", self.call.token, self.call.most_live)
        return replace(lease, record=replace(record, seal=self.seal.of(lease, record, grant.platform)))


@dataclass(frozen=True, slots=True)
class ExistingRecord:
    """The `LeaseRecorder` of a repeated call."""

    record: LeaseRecord

    def lease(self, grant: PlatformGrant, receipts: Mapping[PlatformName, str | None]) -> Lease:  # noqa: ARG002
        return replace(grant.granted.lease, record=self.record)


class RecordedRoles:
    """See repository.OpenedRoles."""

    def __init__(
        self,
        snapshots: Snapshots,
        platforms: PlatformRegistry,
        objects: VendedRoleWriter,
        seal: LeaseSeal,
        consent: ClusterConsent,
        *,
        records_new: bool = True,
    ) -> None:
        """`consent` is the cluster's, which each call needs. With `records_new` False no database records a new role, whatever the ledger
        is. Recorded roles are still found and released."""
        self._records_new = records_new
        self._snapshots = snapshots
        self._platforms = platforms
        self._objects = objects
        self._seal = seal
        self._consent = consent
        self._confirmations = DeliveryConfirmations(platforms)
        self._places: dict[ObjectName, PlatformName] = {}
        """The platforms of the newest roles that this process vended, so that a release asks one database."""
        self._counted: SharedAnswers[tuple[ObjectName, PlatformName], int] = SharedAnswers(_COUNTED_SECONDS, _MOST_COUNTED, time.monotonic)
        self._silent_until: dict[PlatformName, float] = {}

    async def serves(self, grants: Sequence[PlatformGrant], ledger: Ledger) -> bool:
        """True if a database records the role: it may record new ones, the ledger is on, the role is on one platform, which keeps
        records, and its profile is built. The operator builds the others, for an object."""
        if not self._records_new or ledger.mode is not LedgerMode.ENABLED or len(grants) != 1:
            return False
        executor = self._executor(grants[0].platform)
        if executor is None or executor.records is None:
            return False
        try:
            await executor.ensure(grants[0].granted.profile)
        except ProfileNotBuilt:
            return False
        return True

    async def place(self, requests: Sequence[Request]) -> PlatformName | None:
        """Return the platform whose database recorded the role of an earlier call with the key, whatever is true of the ledger and of
        profiles now, or None. `requests` are those of all platforms of the call. Raises Problem if an earlier call was for other platforms,
        and PlatformUnavailable if one of these does not answer."""
        first, place = requests[0], None
        asked = {each.platform: _LONGEST_LOOK_SECONDS for each in requests}
        async with contextlib.aclosing(self._answers(lambda records: records.named(first.name), asked)) as answers:
            async for platform, answer in answers:
                if isinstance(answer, RolevendError):
                    if platform in asked:
                        raise answer
                elif (found := self._genuine(platform, answer)) is not None:
                    is_same = platform in asked and found.lease.uid == first.uid
                    if not is_same and found.dropped_at is None:
                        raise key_conflict(ANOTHER_BODY)
                    place = platform if is_same else place
        return place

    async def open(self, grants: Sequence[PlatformGrant], call: VendCall) -> OpenedRole:
        """See repository.OpenedRoles. A new role is not recorded before the platform creates it."""
        (grant,) = grants
        if len(self._places) >= _MOST_PLACES:
            self._places.clear()
        self._places[grant.request.name] = grant.platform
        body = body_of(grants, call.digest)
        await self._consent.require(grant.request.agent, body)
        if call.keyed and (there := await self._earlier(grant.request)) is not None:
            return self._found(there, grant, call.digest)
        body["metadata"]["creationTimestamp"] = timestamp_text(grant.request.created_at)
        metadata = {**body["metadata"], "uid": grant.request.uid, "generation": 1}  # as Kubernetes would return them
        role = parse(VendedRole, {**body, "metadata": metadata})
        role_decision = RoleDecision(((grant.request, grant.granted),))
        recorder = NewRecord(role, body, role_decision, call, self._objects, self._seal)
        return OpenedRole(role, (grant.request,), True, role_decision, recorder)

    async def _earlier(self, request: Request) -> RecordedLease | None:
        """Return the record of an earlier call with the key. Raises PlatformUnavailable if the platform hangs."""
        try:
            async with asyncio.timeout(_LONGEST_LOOK_SECONDS):
                return await self._records(request.platform).find(request.uid)
        except TimeoutError as error:
            raise _silent(request.platform) from error

    def _found(self, there: RecordedLease, grant: PlatformGrant, digest: str) -> OpenedRole:
        lease, name = there.lease, grant.request.name
        if lease.record is None or not self._seal.is_valid(lease, grant.platform):
            raise key_conflict(ANOTHER_OWNER)
        if lease.record.call != digest:
            raise key_conflict(ANOTHER_BODY)
        if there.closed_at is not None or lease.expires_at <= self._objects.now():
            raise role_ended(name.name)
        role = parse(VendedRole, vended_role_body(there))
        requests = role_requests(role)
        if not is_of(requests[0], grant.request):
            raise key_conflict(ANOTHER_OWNER)
        return OpenedRole(role, requests, False, None, ExistingRecord(lease.record))

    def confirm(self, opened: OpenedRole) -> None:
        """Confirm soon that the answer was sent."""
        self._confirmations.add(opened.requests[0].platform, opened.requests[0].uid)

    async def ready(self, opened: OpenedRole, status: Body) -> None:  # noqa: ARG002
        """The transaction that created the role recorded it as Ready. A repeated call may come when the operator gives the role up."""
        request = opened.requests[0]
        if not opened.is_new and request.uid not in await self._records(request.platform).confirm([request.uid]):
            raise role_ended(request.name.name)

    async def undo(self, opened: OpenedRole, *, untouched: bool) -> None:
        """See repository.OpenedRoles."""
        if untouched:
            return
        request, lease = opened.requests[0], opened.role_decision.grants[0].granted.lease if opened.role_decision else None
        executor = self._executor(request.platform)
        if executor is not None and lease is not None:
            with contextlib.suppress(RolevendError, TimeoutError):
                async with asyncio.timeout(MAX_UNDO_SECONDS):
                    await executor.drop(DropRequest(lease.role, request.uid, EndReason.REVOKED))

    async def close(self) -> None:
        """Write the confirmations that wait."""
        await self._confirmations.close()

    async def named(self, name: ObjectName) -> tuple[PlatformName, RecordedLease] | None:
        """Return the recorded role of this name, also if it ended, and its platform. Raises PlatformUnavailable if a database that may
        have it does not answer."""
        if (here := self._places.get(name)) is not None:
            found = self._genuine(here, await self._records(here).named(name))
            if found is not None:
                return here, found
        missing: RolevendError | None = None
        ended = None
        async with contextlib.aclosing(self._answers(lambda records: records.named(name))) as answers:
            async for platform, answer in answers:
                if isinstance(answer, RolevendError):
                    missing = answer
                elif (found := self._genuine(platform, answer)) is not None:
                    if found.dropped_at is None:
                        return platform, found
                    ended = platform, found
        if missing is not None and ended is None:
            raise missing
        return ended

    def _genuine(self, platform: PlatformName, named: Sequence[RecordedLease]) -> RecordedLease | None:
        """Return the first record with a valid seal: a forged one of the same name hides no role."""
        return next((each for each in named if self._seal.is_valid(each.lease, platform)), None)

    async def of(self, agent: ObjectName) -> list[VendedRole]:
        """Return the recorded roles of the agent that are not gone."""
        found = []
        async for platform, answer in self._answers(lambda records: records.of(agent)):
            if isinstance(answer, RolevendError):
                raise answer
            sealed = [each for each in answer if self._seal.is_valid(each.lease, platform)]
            found += [parse(VendedRole, answered_body(each), unknown="ignore") for each in sealed]
        return found

    async def count(self, agent: ObjectName, besides: PlatformName | None = None) -> int:
        """Return how many recorded roles the agent has, without those on `besides` and on platforms that do not answer."""
        silent = {platform: _BRIEF_SECONDS for platform, until in self._silent_until.items() if time.monotonic() < until}
        answers = self._answers(lambda records: records.count(agent), silent, besides)
        return sum([answer async for _, answer in answers if not isinstance(answer, RolevendError)])

    async def count_elsewhere(self, agent: ObjectName, platform: PlatformName) -> int:
        """Return how many recorded roles the agent has on other platforms, as of a second ago at most: the vend counts those on its own."""
        return await self._counted.get((agent, platform), lambda: self.count(agent, besides=platform))

    async def _answers(
        self,
        ask: Callable[[RecordsExecutor], Awaitable[_T]],
        patience: Mapping[PlatformName, float] = MappingProxyType({}),
        besides: PlatformName | None = None,
    ) -> AsyncGenerator[tuple[PlatformName, _T | RolevendError], None]:
        """Ask all platforms that may record roles, but for `besides`, at once, and yield their answers as they come. A call waits for one
        that does not answer for as many seconds as `patience` says, or for a moment."""

        async def of(platform: PlatformName) -> tuple[PlatformName, _T | RolevendError]:
            try:
                async with asyncio.timeout(patience.get(platform, _LONGEST_ANSWER_SECONDS)):
                    return platform, await ask(self._records(platform))
            except RolevendError as error:
                return platform, error
            except TimeoutError:
                if patience.get(platform) != _BRIEF_SECONDS:
                    self._silent_until[platform] = time.monotonic() + _SILENT_SECONDS
                return platform, _silent(platform)

        asked = [asyncio.create_task(of(name)) for name in self._recording() if name != besides]
        try:
            for answer in asyncio.as_completed(asked):
                yield await answer
        finally:
            for each in asked:
                each.cancel()

    async def release(self, platform: PlatformName, recorded: RecordedLease) -> bool:
        """Drop the role. Return True if it is gone, and False if that takes longer. Raises PlatformUnavailable."""
        ending = DropRequest(recorded.lease.role, recorded.lease.uid, EndReason.RELEASED)
        dropped = await self._connected(platform).drop(ending, LONGEST_RELEASE_SECONDS)
        return dropped.error is None

    def _recording(self) -> Iterator[PlatformName]:
        """Yield the platforms that may record roles, if there is a ledger."""
        for name, connected in self._platforms if self._snapshots.snapshot.ledger is not None else ():
            if connected.platform.spec.postgres is not None:
                yield name

    def _executor(self, platform: PlatformName) -> PlatformExecutor | None:
        connected = self._platforms.get(platform)
        return connected.executor if connected else None

    def _connected(self, platform: PlatformName) -> PlatformExecutor:
        executor = self._executor(platform)
        if executor is None:
            raise PlatformUnavailable(f"DataPlatform {platform} is not connected")
        return executor

    def _records(self, platform: PlatformName) -> RecordsExecutor:
        records = self._connected(platform).records
        if records is None:
            raise PlatformUnavailable(f"DataPlatform {platform} keeps no records")
        return records


def _silent(platform: PlatformName) -> PlatformUnavailable:
    return PlatformUnavailable(f"DataPlatform {platform} does not say which roles it recorded")

"""One VendedRole's role, made on all of its platforms: everywhere or nowhere, unless the object allows less.

Everything is on record for all before anything is made. Then all is prepared, and only then the roles come, one after the other: what can
be refused is refused while nothing can log in anywhere.
"""

import logging
import time
from dataclasses import dataclass, field
from typing import Final

from rolevend.atwork.executor import Executor
from rolevend.atwork.platforms import Platforms
from rolevend.errors import Overtaken, PlatformUnavailable, Rejected, RolevendError
from rolevend.kube.client import Body
from rolevend.model import PlatformName, Uid
from rolevend.platforms.base import Credential
from rolevend.roles.build_progress import BuildProgressReporter
from rolevend.roles.decision import RoleDecision, Vend
from rolevend.roles.objects import Making
from rolevend.roles.state import RoleStore, may_exist_on
from rolevend.roles.status import StatusBuilder, error_reason, given_up, left_out
from rolevend.telemetry.metrics import Metrics
from rolevend.vending.directory import Directory
from rolevend.vending.protocols import CredentialStore
from rolevend.vending.verdict import Request

NOT_EVERYWHERE: Final = "NotEverywhere"
"""As `status.ended.by` says that of a role which can never be made on one of its platforms."""

_log = logging.getLogger(__name__)


class CannotBe(RolevendError):
    """On one platform the role can never be made, and on another it is: it must go there."""


@dataclass(slots=True)
class _Try:
    """One try for all platforms of an object."""

    whole: RoleDecision
    started: float
    begun_before: bool
    """Whether an earlier try may have made something."""
    made: list[Vend] = field(default_factory=list)
    failed: dict[PlatformName, Body] = field(default_factory=dict)
    failures: list[RolevendError] = field(default_factory=list)


class Together:
    def __init__(
        self,
        platforms: Platforms,
        making: Making,
        store: CredentialStore,
        roles: RoleStore,
        metrics: Metrics,
        building: BuildProgressReporter,
    ) -> None:
        self._platforms = platforms
        self._making = making
        self._store = store
        self._roles = roles
        self._metrics = metrics
        self._building = building
        self._in_the_way: dict[Uid, PlatformName] = {}

    def in_the_way(self, uid: Uid) -> PlatformName | None:
        """The platform on which the last try failed."""
        return self._in_the_way.get(uid)

    def forget(self, uid: Uid) -> None:
        self._in_the_way.pop(uid, None)

    async def make(self, whole: RoleDecision, directory: Directory, report: StatusBuilder) -> dict[PlatformName, Body]:
        """Makes it so, whatever was done already. Answers what became of platforms where it could not be made, which the object allows:
        see `status.left_out`. Raises CannotBe, Overtaken, or what is worth another try."""
        this = _Try(whole, time.perf_counter(), report.role.status.role_name is not None)
        self.forget(whole.uid)
        # One for the whole vend: it may be replaced while we write.
        executors = {each.platform: self._executor(each.platform) for each in whole.vends}
        for vend in whole.vends:
            if executors[vend.platform] is None and not whole.allow_partial:
                self._fail(this, vend, _not_connected(vend))
        await self._making.begin(whole, directory, report)
        prepared = [await self._prepare(this, vend, executors[vend.platform]) for vend in whole.vends]
        for vend, executor, credential in filter(None, prepared):
            await self._make(this, vend, executor, credential)
        if not this.made:
            raise this.failures[0]
        failed = [vend.request for vend in whole.vends if vend.platform in this.failed]
        for request in (*failed, *(request for request, _ in whole.left_out if may_exist_on(report.role, request.platform))):
            await self._give_up(request)
        return this.failed

    async def _prepare(self, this: _Try, vend: Vend, executor: Executor | None) -> tuple[Vend, Executor, Credential] | None:
        try:
            if executor is None:
                raise _not_connected(vend)
            async with self._building.told(vend.request, executor, vend.granted.profile):
                return vend, executor, await self._making.prepare(vend, executor, self._store)
        except RolevendError as error:
            self._fail(this, vend, error, untouched=not this.begun_before)
            return None

    async def _make(self, this: _Try, vend: Vend, executor: Executor, credential: Credential) -> None:
        try:
            await self._making.make(vend, credential, executor)
        except RolevendError as error:
            final = isinstance(error, Rejected) and not isinstance(error, Overtaken)
            if final and this.made and not this.whole.allow_partial:
                raise CannotBe(f"on {vend.platform}: {error}") from error
            self._fail(this, vend, error)
        else:
            this.made.append(vend)
            self._roles.vended(vend.request.uid, vend.platform, vend.granted)

    def _fail(self, this: _Try, vend: Vend, error: RolevendError, *, untouched: bool = False) -> None:
        """Raises it, unless the object may do without."""
        self._metrics.vend_seconds.labels(vend.platform, "failed").observe(time.perf_counter() - this.started)
        if not this.whole.allow_partial or len(this.whole.vends) == 1:
            self._in_the_way[vend.request.uid] = vend.platform
            raise error
        this.failed[vend.platform] = (left_out if untouched else given_up)(*error_reason(error))
        this.failures.append(error)

    async def _give_up(self, request: Request) -> None:
        """What may be there is dropped as soon as the object says so: see `VendedRoleReconciler.remember`."""
        self._roles.vended(request.uid, request.platform, None)
        try:
            await self._store.discard(request)
        except RolevendError as error:
            _log.warning("discarding a credential: %s", error, extra={"object": str(request.name), "platform": request.platform})

    def _executor(self, platform: PlatformName) -> Executor | None:
        at_work = self._platforms.get(platform)
        return at_work.executor if at_work else None


def _not_connected(vend: Vend) -> PlatformUnavailable:
    return PlatformUnavailable(f"DataPlatform {vend.platform} is not connected yet")

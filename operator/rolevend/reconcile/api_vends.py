"""VendedRoles that the API vends (`delivery: Response`): what the operator does for them.

It never makes such a role, for its password would be in nobody's hands. It builds the profile, which takes a credential that the API
does not have, and what is not Ready in time ends. Once it is Ready, `review` judges it. A call that is Ready at the last moment and the
end of what is not exclude each other on the API server: nobody is answered with a role that ends for that.
"""

import asyncio
import itertools
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

from rolevend.atwork.platforms import Platforms
from rolevend.errors import PlatformDrifted, RolevendError, Unavailable
from rolevend.kube.client import Cluster, NotFound
from rolevend.kube.paths import VENDED_ROLES
from rolevend.model import PlatformName, Uid
from rolevend.platforms.base import EndReason
from rolevend.resources import VendedRole, parse
from rolevend.roles.build_progress import BuildProgressReporter
from rolevend.roles.state import RoleState, is_ready
from rolevend.vending.directory import Directory
from rolevend.vending.verdict import Delivery, Granted

BY: Final = "Unanswered"
"""As `status.ended.by` says it."""
MESSAGE: Final = "the call that asked for it did not come to its end"
_PAUSE_SECONDS: Final = 0.1
_TRIES_PER_WORD: Final = 20
"""So often it is said what keeps a profile from being built, also in the object: a call that comes again with its key writes over that."""

_log = logging.getLogger(__name__)


def is_unanswered(standing: RoleState) -> bool:
    """Whether the call that it was made for is not over yet, or never came to its end."""
    return standing.request.delivery is Delivery.RESPONSE and not standing.ready


class ApiVendSupervisor:
    def __init__(
        self,
        cluster: Cluster,
        platforms: Platforms,
        directory: Callable[[], Directory],
        patience: timedelta,
        building: BuildProgressReporter,
    ) -> None:
        """`patience` is how long what is not Ready is left to its call."""
        self._cluster = cluster
        self._patience = patience
        self._platforms = platforms
        self._directory = directory
        self._building = building
        self._tasks: set[asyncio.Task[None]] = set()
        self._begun: dict[Uid, set[PlatformName]] = defaultdict(set)
        """For which roles a profile is built, and where."""

    def due_at(self, standing: RoleState) -> datetime:
        """When it ends by itself."""
        expires_at = standing.request.expires_at
        return min(expires_at, standing.request.created_at + self._patience) if is_unanswered(standing) else expires_at

    async def given_up(self, standing: RoleState) -> bool:
        """Says in the object that its call did not come to its end; False where it just did, or the object is gone. Raises AlreadyExists
        where the call wrote meanwhile: then look again."""
        request = standing.request
        try:
            body = await self._cluster.get(VENDED_ROLES, request.name.name, request.name.namespace)
        except NotFound:
            return False
        if body["metadata"]["uid"] != request.uid or is_ready(parse(VendedRole, body, unknown="ignore")):
            return False
        there = {key: body["metadata"][key] for key in ("uid", "resourceVersion")}
        patch = {"metadata": there, "status": {"ended": {"reason": EndReason.REVOKED.value, "by": BY, "message": MESSAGE}}}
        await self._cluster.merge(VENDED_ROLES, request.name.name, patch, request.name.namespace, "status")
        return True

    def saw(self, standing: RoleState) -> None:
        """Every event of one that does not end yet, for each of its platforms. Returns at once."""
        uid, platform = standing.request.uid, standing.request.platform
        if standing.request.delivery is not Delivery.RESPONSE:
            return
        if standing.ready:
            self._begun.pop(uid, None)
        elif standing.profile and platform not in self._begun[uid]:  # said by a call that found it not built yet
            self._begun[uid].add(platform)
            self._begin(self._build(standing), uid)

    def forget(self, uid: Uid) -> None:
        self._begun.pop(uid, None)

    def _begin(self, work: Awaitable[None], uid: Uid) -> None:
        task = asyncio.ensure_future(_carried_out(work, uid))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _build(self, standing: RoleState) -> None:
        """By a verdict of our own: what another process says is granted is not enough for a shape with the programmer's rights. Our
        picture may be older than the API's, or still without the platform; and a platform may be away for a moment. Until the call is over:
        with the same key it may come again."""
        for tries in itertools.count():
            if standing.request.uid not in self._begun:
                return
            at_work, granted = self._platforms.get(standing.request.platform), self._granted(standing)
            if at_work is not None and at_work.executor is not None and granted is not None:
                try:
                    async with self._building.told(standing.request, at_work.executor, granted.profile):
                        await at_work.executor.ensure(granted.profile)
                except Unavailable as error:
                    if tries % _TRIES_PER_WORD == 0:
                        await self._say(standing, error)
                else:
                    return
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _say(self, standing: RoleState, error: Unavailable) -> None:
        _log.warning("building a profile for a call: %s", error, extra={"uid": standing.request.uid})
        if isinstance(error, PlatformDrifted):
            await self._building.stopped(standing.request, error)

    def _granted(self, standing: RoleState) -> Granted | None:
        verdict = self._directory().verdict(standing.request, begun=True)
        return verdict if isinstance(verdict, Granted) else None


async def _carried_out(work: Awaitable[None], uid: Uid) -> None:
    try:
        await work
    except RolevendError as error:
        _log.warning("a VendedRole that the API vends: %s", error, extra={"uid": uid})

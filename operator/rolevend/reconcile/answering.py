"""VendedRoles that the API vends (`delivery: Response`): what the operator does for them.

It never makes such a role, for its password would be in nobody's hands. It builds the profile, which takes a credential that the API
does not have; it judges the role by its own picture as soon as it is Ready; and what is not Ready in time ends.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

from rolevend.atwork.platforms import Platforms
from rolevend.errors import RolevendError
from rolevend.model import Uid
from rolevend.requests.roles import Standing
from rolevend.vending.directory import Directory
from rolevend.vending.verdict import Delivery, Granted

UNANSWERED: Final = timedelta(seconds=10)
"""A call waits for a profile for half of it; whoever called has an answer long before."""
_PAUSE_SECONDS: Final = 0.1
_TRIES: Final = 50

_log = logging.getLogger(__name__)


def is_unanswered(standing: Standing) -> bool:
    """Whether the call that it was made for is not over yet, or never came to its end."""
    return standing.request.delivery is Delivery.RESPONSE and not standing.ready


def due_at(standing: Standing) -> datetime:
    """When it ends by itself."""
    expires_at = standing.request.expires_at
    return min(expires_at, standing.request.created_at + UNANSWERED) if is_unanswered(standing) else expires_at


class Answering:
    def __init__(
        self, platforms: Platforms, directory: Callable[[], Directory], judge: Callable[[Standing, Granted | None], Awaitable[None]]
    ) -> None:
        """`judge` holds a role that is Ready against what is granted here now, where that is known."""
        self._platforms = platforms
        self._directory = directory
        self._judge = judge
        self._tasks: dict[Uid, asyncio.Task[None]] = {}
        self._building: set[Uid] = set()

    def saw(self, standing: Standing) -> None:
        """Every event of one that does not end yet. Returns at once."""
        uid = standing.request.uid
        if standing.request.delivery is not Delivery.RESPONSE or standing.role is None:
            return
        if standing.ready:
            self._building.discard(uid)
            if standing.granted is None:
                self._begin(uid, self._judge(standing, self._granted(standing)))
        elif uid not in self._building:
            self._building.add(uid)
            self._begin(uid, self._build(standing))

    def forget(self, uid: Uid) -> None:
        self._building.discard(uid)

    def _begin(self, uid: Uid, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(_carried_out(work, uid))
        self._tasks[uid] = task
        task.add_done_callback(lambda done: self._tasks.pop(uid, None) if self._tasks.get(uid) is done else None)

    async def _build(self, standing: Standing) -> None:
        """By a verdict of our own: what another process says is granted is not enough for a shape with the programmer's rights. Our
        picture may be older than the API's, or still without the platform."""
        for _ in range(_TRIES):
            at_work, granted = self._platforms.get(standing.request.platform), self._granted(standing)
            if at_work is not None and at_work.executor is not None and granted is not None:
                await at_work.executor.ensure(granted.profile)
                return
            if standing.request.uid not in self._building:
                return
            await asyncio.sleep(_PAUSE_SECONDS)

    def _granted(self, standing: Standing) -> Granted | None:
        verdict = self._directory().verdict(standing.request, begun=True)
        return verdict if isinstance(verdict, Granted) else None


async def _carried_out(work: Awaitable[None], uid: Uid) -> None:
    try:
        await work
    except RolevendError as error:
        _log.warning("a VendedRole that the API vends: %s", error, extra={"uid": uid})

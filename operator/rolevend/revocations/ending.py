"""End selected roles, and wait until the operator has dropped them. I/O."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from rolevend.approvals.casting import caller_name
from rolevend.approvals.reader import ClusterAccess
from rolevend.errors import NotPermitted, RolevendError, Unavailable
from rolevend.kinds.shared import REVOKED_BECAUSE, REVOKED_BY
from rolevend.kube.client import VENDED_ROLES, Body, KubeClient, NotFound, ResourceConflict
from rolevend.model import Uid
from rolevend.revocations.reader import RoleListing, list_again, list_roles, missing_rights, unlisted_places
from rolevend.revocations.selection import RoleFilter, RoleSelection, SelectedRole, select
from rolevend.revocations.texts import RevocationOutcome, RoleLeft
from rolevend.roles.objects import uid_of
from rolevend.roles.state import is_let_go
from rolevend.snapshot.controller import ready_condition

_AT_ONCE: Final = 16
_PAUSES: Final = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds between attempts to end one role."""
_REPORTED_EVERY: Final = 100
_POLL_SECONDS: Final = 0.3
_POLL_SECONDS_PER_THOUSAND: Final = 1.0
"""Additional seconds for each thousand listed objects."""
_NOT_BEGUN: Final = "the operator has not begun to drop it: see if it runs"

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class RevocationPlan:
    """The roles that match, and the rights of the caller."""

    selection: RoleSelection
    scopes: tuple[str | None, ...]
    by: str
    """The user name of the caller, as the API server knows it."""
    missing: str | None
    """The rights that the caller lacks."""
    notes: tuple[str, ...]
    taken_at: datetime


async def look(access: ClusterAccess, wanted: RoleFilter) -> RevocationPlan:
    """Select the roles, and change nothing."""
    async with access.connected() as cluster:
        listing = await list_roles(cluster, access.namespace)
        selection = select(listing.items, wanted)
        by, notes = await caller_name(cluster), await unlisted_places(cluster)
        missing = await missing_rights(cluster, (each.name.namespace for each in selection.live))
    return RevocationPlan(selection, listing.scopes, by, missing, (*listing.notes, *selection.notes, *notes), datetime.now(UTC))


async def revoke(
    access: ClusterAccess, plan: RevocationPlan, wanted: RoleFilter, because: str, seconds: float, report: Report
) -> RevocationOutcome:
    """End the selected roles, and wait at most `seconds` until all are gone. Raises NotPermitted before it changes anything."""
    if plan.missing is not None:
        raise NotPermitted(f"nothing is ended: {plan.missing}")
    async with access.connected() as cluster:
        revocation = Revocation(cluster, plan.by, because, report)
        await revocation.begin(plan.selection.live)
        return await revocation.finish(plan, wanted, seconds)


class Revocation:
    """Each role is annotated with who ends it and why, and then deleted. The finalizer keeps the object until the role is gone. A role
    whose object cannot be annotated is deleted all the same: an agent fills the annotations of its object, for example."""

    def __init__(
        self, cluster: KubeClient, by: str, because: str, report: Report, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._cluster = cluster
        self._annotations = {REVOKED_BY: by, REVOKED_BECAUSE: because}
        self._report = report
        self._sleep = sleep
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self.failures: dict[Uid, str] = {}
        """The reasons why roles could not be ended."""
        self._unexplained: list[RoleLeft] = []

    async def begin(self, roles: tuple[SelectedRole, ...]) -> None:
        """Delete the objects. A failure is kept for the result, because the others must end."""
        ends = [asyncio.ensure_future(self._end(each)) for each in roles]
        for count, each in enumerate(asyncio.as_completed(ends), 1):
            await each
            if count % _REPORTED_EVERY == 0:
                self._report(f"{count} of {len(roles)} roles are ending")

    async def finish(self, plan: RevocationPlan, wanted: RoleFilter, seconds: float) -> RevocationOutcome:
        """Wait until the roles are gone, or the time is over."""
        roles, deadline = plan.selection.roles, time.monotonic() + seconds
        left = {each.uid: _NOT_BEGUN for each in roles}
        appeared = reported = 0
        while True:
            pause = _POLL_SECONDS
            try:
                listing = await list_again(self._cluster, plan.scopes)
            except Unavailable as error:
                self._report(f"cannot see which roles are left: {error}")
            else:
                left, appeared = _still_there(listing, left), _appeared(listing, plan, wanted)
                pause += _POLL_SECONDS_PER_THOUSAND * len(listing.items) / 1000
            if (gone := len(roles) - len(left)) != reported and left:  # the outcome says that all are gone
                reported = gone
                self._report(f"{gone} of {len(roles)} roles are gone")
            over = deadline - time.monotonic()
            if not left.keys() - self.failures.keys() or over <= 0:
                break
            await self._sleep(min(pause, over))
        lost = tuple(RoleLeft(each.name, self.failures.get(each.uid, left[each.uid])) for each in roles if each.uid in left)
        return RevocationOutcome(len(roles) - len(lost), lost, appeared, tuple(self._unexplained))

    async def _end(self, role: SelectedRole) -> None:
        async with self._turns:
            for pause in (*_PAUSES, None):
                try:
                    await self._delete(role)
                except RolevendError as error:
                    if pause is None or not isinstance(error, Unavailable | ResourceConflict):
                        await self._delete_unexplained(role, str(error))
                        return
                    await self._sleep(pause)
                else:
                    return

    async def _delete(self, role: SelectedRole) -> None:
        """Write the reason, and start the deletion. A role that ended meanwhile is no error."""
        name, namespace = role.name.name, role.name.namespace
        try:
            patch = {"metadata": {"uid": role.uid, "annotations": self._annotations}}
            await self._cluster.merge(VENDED_ROLES, name, patch, namespace)
        except RolevendError:
            if await self._is_live(role):
                raise
        else:
            await self._cluster.delete(VENDED_ROLES, name, role.uid, namespace)

    async def _delete_unexplained(self, role: SelectedRole, reason: str) -> None:
        try:
            await self._cluster.delete(VENDED_ROLES, role.name.name, role.uid, role.name.namespace)
        except RolevendError as error:
            self.failures[role.uid] = str(error)
        else:
            self._unexplained.append(RoleLeft(role.name, reason))

    async def _is_live(self, role: SelectedRole) -> bool:
        """True unless the object is being deleted, is gone, or is another one of the same name."""
        try:
            body = await self._cluster.get(VENDED_ROLES, role.name.name, role.name.namespace)
        except NotFound:
            return False
        return uid_of(body) == role.uid and "deletionTimestamp" not in body["metadata"]


def _still_there(listing: RoleListing, left: dict[Uid, str]) -> dict[Uid, str]:
    """Return those that are not gone, each with the reason."""
    return {uid_of(each): _reason(each) for each in listing.items if uid_of(each) in left and not is_let_go(each)}


def _reason(body: Body) -> str:
    ready = ready_condition(body)
    if ready is None or ready["reason"] != "Dropping":
        return _NOT_BEGUN
    return f"it is being dropped: {ready['message']}"


def _appeared(listing: RoleListing, plan: RevocationPlan, wanted: RoleFilter) -> int:
    before = {each.uid for each in plan.selection.roles}
    return sum(each.uid not in before for each in select(listing.items, wanted).live)

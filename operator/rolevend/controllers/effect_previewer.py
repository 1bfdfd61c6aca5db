"""Answer previews, which are AccessDecisions that decide nothing: let the platform count the rows and cells that the user of an
AccessRequest reads today, and with an approval as the preview narrows it.

The numbers are for approvers, so they are in the namespace of the offer, where no agent reads. Nothing is counted before an approver
asks, and a judgement never waits for a count.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from rolevend.access_objects.store import AccessRequestStore
from rolevend.access_objects.votes import Votes
from rolevend.audit.evidence import mask_shown
from rolevend.decision.approval import ActiveApproval
from rolevend.decision.outcome import Denied, Granted, Pending, Request
from rolevend.decision.profile_cache import OfferEffect
from rolevend.decision.snapshot import Snapshot
from rolevend.errors import InvalidInput, Rejected, RolevendError, Unavailable
from rolevend.kinds import AccessDecision, AccessRequest
from rolevend.kinds.access_request_facts import decision_request, is_final, requested_access
from rolevend.kinds.narrowings import narrowing
from rolevend.kinds.previewed_effect import MOST_TABLES
from rolevend.kinds.status import Body
from rolevend.kinds.text import timestamp_text
from rolevend.model import ObjectName
from rolevend.plan import Profile
from rolevend.platform_runtime.registry import PlatformRegistry
from rolevend.platforms.counted import CountedCells, CountedTable
from rolevend.policy.offer import Activation
from rolevend.roles.protocols import Snapshots

COUNT_SECONDS: Final = 5.0
_MOST_WAITING: Final = 20
"""Previews at one time. A platform counts one after the other."""
_LONGEST_SHOWN: Final = 1024
_FRESH: Final = timedelta(seconds=60)
"""Nobody waits for the answer to an older preview."""

_log = logging.getLogger(__name__)


class EffectPreviewer:
    def __init__(
        self,
        store: AccessRequestStore,
        votes: Votes,
        snapshots: Snapshots,
        platforms: PlatformRegistry,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._votes = votes
        self._snapshots = snapshots
        self._platforms = platforms
        self._now = now
        self._answering: dict[str, asyncio.Task[None]] = {}
        """By uid of the preview."""

    async def run(self) -> None:
        """Run until cancelled."""
        informer = self._votes.informer
        try:
            while True:
                await informer.previewed.wait()
                informer.previewed.clear()
                for preview in self._votes.previews:
                    if self._is_due(preview):
                        self._begin(preview)
        finally:
            for task in self._answering.values():
                task.cancel()

    def _is_due(self, preview: AccessDecision) -> bool:
        created = preview.metadata.creation_timestamp
        is_fresh = created is not None and self._now() < created + _FRESH
        return is_fresh and preview.status.effect is None and preview.uid not in self._answering

    def _begin(self, preview: AccessDecision) -> None:
        task = asyncio.create_task(self._try(preview, is_refused=len(self._answering) >= _MOST_WAITING))
        self._answering[preview.uid] = task
        task.add_done_callback(lambda _: self._answering.pop(preview.uid, None))

    async def _try(self, preview: AccessDecision, *, is_refused: bool) -> None:
        """Answer the preview. After an error its author waits in vain, and may ask again."""
        where = {"object": f"{preview.namespace}/{preview.name}"}
        try:
            await self._answer(preview, is_refused=is_refused)
        except RolevendError as error:
            _log.warning("cannot answer a preview: %s", error, extra=where)
        except Exception:
            _log.exception("cannot answer a preview", extra=where)

    async def _answer(self, preview: AccessDecision, *, is_refused: bool) -> None:
        effect: Body = {"countedAt": timestamp_text(self._now())}
        try:
            if is_refused:
                raise Rejected(f"{_MOST_WAITING} previews wait already; try again")
            tables = await self._count(preview)
        except (Rejected, Unavailable) as error:
            effect["unknown"] = str(error)[:_LONGEST_SHOWN]
        else:
            effect |= {"countedAt": timestamp_text(self._now()), "tables": [_table(each) for each in tables[:MOST_TABLES]]}
            effect["moreTables"] = max(0, len(tables) - MOST_TABLES)
        await self._votes.answer(preview, effect)

    async def _count(self, preview: AccessDecision) -> list[CountedTable]:
        """Raises Rejected or Unavailable with the reason for the approver."""
        resource, snapshot = self._request_of(preview), self._snapshots.snapshot
        if await self._votes.may_approve(preview) is not True:
            raise Rejected(f"{preview.spec.by} does not have the verb approve on AccessPolicy {preview.spec.offer_ref.name}")
        request = decision_request(resource)
        today, granted = _profiles(request, _approval(preview, resource, request, snapshot), snapshot)
        connected = self._platforms.get(request.platform)
        if connected is None or connected.executor is None:
            raise Rejected(f"DataPlatform {request.platform} is not connected")
        counted = replace(granted, tables=granted.tables[:MOST_TABLES])
        found = await connected.executor.count(today, counted, snapshot.person(request).attributes, COUNT_SECONDS)
        return [*found, *(CountedTable(each.table) for each in granted.tables[MOST_TABLES:])]

    def _request_of(self, preview: AccessDecision) -> AccessRequest:
        asked = preview.spec.request_ref
        found = self._store.get(ObjectName(asked.namespace, asked.name))
        offer = preview.namespace, preview.spec.offer_ref.name
        if found is None or found.uid != asked.uid or (found.spec.offer_ref.namespace, found.spec.offer_ref.name) != offer:
            raise Rejected(f"there is no AccessRequest {asked.namespace}/{asked.name} for this offer with this uid")
        if found.status.state is None or is_final(found):
            raise Rejected(f"AccessRequest {asked.namespace}/{asked.name} is {found.status.state or 'not judged yet'}")
        return found


def _approval(preview: AccessDecision, resource: AccessRequest, request: Request, snapshot: Snapshot) -> ActiveApproval:
    """Return the approval that the preview would give."""
    asked = requested_access(resource)
    effect = snapshot.effect(request, asked.activation, role_exists=True)
    if not isinstance(effect, OfferEffect):
        raise Rejected(f"the offer shows this user nothing now: {effect.message}")
    try:
        granted = Activation(asked.offer, (asked.narrowing, narrowing(preview.spec)))
    except InvalidInput as error:
        raise Rejected(str(error)) from error
    ends_by = request.expires_at
    return ActiveApproval(request.name, request.uid, asked.activation, granted, snapshot.digest(request.user, effect), ends_by)


def _profiles(request: Request, approval: ActiveApproval, snapshot: Snapshot) -> tuple[Profile | None, Profile]:
    """Return the profile of today, or None if the user reads nothing, and that with the approval."""
    granted = snapshot.decide(replace(request, approval=approval), role_exists=True)
    match granted:
        case Granted(profile=profile):
            today = snapshot.decide(request, role_exists=True)
            return today.profile if isinstance(today, Granted) else None, profile
        case Denied(message=message) | Pending(message=message):
            raise Rejected(f"a role with this approval would not be vended now: {message}")


def _table(counted: CountedTable) -> Body:
    name = {"schema": counted.table.schema, "table": counted.table.name}
    if counted.unknown is not None:
        return {**name, "unknown": counted.unknown}
    columns = [{"name": each.name, "today": _cells(each.today), "granted": _cells(each.granted)} for each in counted.columns]
    return {**name, "rowsToday": counted.today, "rowsGranted": counted.granted, "columns": columns}


def _cells(counted: Iterable[CountedCells]) -> list[Body]:
    return [{"shown": mask_shown(each.mask)[:_LONGEST_SHOWN], "rows": each.rows} for each in counted]

"""Yield the requests of a cluster as texts and values, and then each change. I/O."""

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from rolevend.approvals import details, listing
from rolevend.approvals.casting import caller_name
from rolevend.approvals.details import RequestDetails
from rolevend.approvals.listing import RequestTable
from rolevend.approvals.narrowing import VoteNarrowing
from rolevend.approvals.previewing import preview
from rolevend.approvals.reader import ClusterAccess, RequestReader
from rolevend.approvals.wording import CommandFlags
from rolevend.kinds import AccessPolicy, AccessRequest


@dataclass(frozen=True, slots=True)
class RequestsShown:
    text: str
    values: tuple[dict[str, Any], ...]
    notes: tuple[str, ...] = ()
    """Objects that could not be read, each once."""


async def show(
    access: ClusterAccess, name: str | None, states: Collection[str], flags: CommandFlags, *, everywhere: bool, watch: bool, count: bool
) -> AsyncIterator[RequestsShown]:
    """Yield the list, or the details of the request `name`; with `watch` then each change, without an end. `count`: with the effect of an
    approval in the details."""
    async with access.connected() as cluster:
        reader = RequestReader(cluster, None if everywhere else access.namespace or cluster.namespace)
        if name is None:
            shown = _list(reader, states, everywhere=everywhere, watch=watch)
        else:
            shown = _one(reader, await _details(access, reader, name, count=count), flags, watch=watch)
        async for each in shown:
            yield each


async def _details(access: ClusterAccess, reader: RequestReader, name: str, *, count: bool) -> RequestDetails:
    found = await reader.details(name)
    if not count:
        return found
    by = await caller_name(reader.cluster)
    return replace(found, effect=await preview(access, found.request, by, VoteNarrowing()))


async def _list(reader: RequestReader, states: Collection[str], *, everywhere: bool, watch: bool) -> AsyncIterator[RequestsShown]:
    requests, version = await reader.list()
    wanted = listing.in_order(each for each in requests if _is_wanted(each, states))
    table, now = RequestTable(everywhere=everywhere), datetime.now(UTC)
    known = {each.uid: _visible(each) for each in wanted}
    rows = [table.row(each, await _offer(reader, each), now) for each in wanted]
    values = tuple([listing.value(each, await _offer(reader, each), now) for each in wanted])
    nowhere = "" if everywhere else f" in namespace {reader.namespace}"
    text = table.text(rows)
    yield RequestsShown(text if rows or watch else f"no requests{nowhere}", values, _taken(reader))
    if not watch:
        return
    async for kind, request in reader.changes(version):
        visible = _visible(request)
        if known.get(request.uid) == visible and kind != "DELETED":
            continue
        if not _is_wanted(request, states) and request.uid not in known:
            continue
        known[request.uid] = visible
        if kind == "DELETED" or not _is_wanted(request, states):
            del known[request.uid]
        offer, now = await _offer(reader, request), datetime.now(UTC)
        state = "deleted" if kind == "DELETED" else None
        value = {**listing.value(request, offer, now), "deleted": kind == "DELETED"}
        yield RequestsShown(table.line(table.row(request, offer, now, state)), (value,), _taken(reader))


async def _one(reader: RequestReader, found: RequestDetails, flags: CommandFlags, *, watch: bool) -> AsyncIterator[RequestsShown]:
    yield RequestsShown(details.as_text(found, flags), (details.as_value(found),), _taken(reader))
    request = found.request
    if not watch:
        return
    visible = _visible(request)
    async for kind, changed in reader.changes(request.metadata.resource_version):
        if changed.uid != request.uid or (_visible(changed) == visible and kind != "DELETED"):
            continue
        visible, now = _visible(changed), datetime.now(UTC)
        message = f": {changed.status.message}" if changed.status.message else ""
        state = "deleted" if kind == "DELETED" else f"{changed.status.state or 'not read by the operator yet'}{message}"
        value = {**listing.value(changed, found.offer, now), "deleted": kind == "DELETED"}
        yield RequestsShown(f"{now:%H:%M:%S} UTC  {state}", (value,), _taken(reader))
        if kind == "DELETED":
            return


async def _offer(reader: RequestReader, request: AccessRequest) -> AccessPolicy | None:
    """Return the offer of a pending request: its time to decide depends on it. Others are not read."""
    return await reader.offer(request) if request.status.state == "Pending" else None


def _is_wanted(request: AccessRequest, states: Collection[str]) -> bool:
    return not states or request.status.state in states


def _visible(request: AccessRequest) -> tuple[Any, ...]:
    """Return the part of the status that a row or line shows: a change of anything else is no news."""
    status = request.status
    return status.state, status.message, len(status.uses), status.user is None


def _taken(reader: RequestReader) -> tuple[str, ...]:
    notes = tuple(reader.notes)
    reader.notes.clear()
    return notes

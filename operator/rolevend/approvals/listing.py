"""The table of AccessRequests, and their values for programs. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from rolevend.approvals import wording
from rolevend.approvals.wording import about, span
from rolevend.kinds import AccessPolicy, AccessRequest
from rolevend.kinds.status import body

Row = tuple[str, ...]
_HEADINGS: Final = ("NAME", "STATE", "AGENT", "USER", "OFFER", "FOR", "AGE", "LEFT", "JUSTIFICATION")
_LONGEST_WORDS: Final = 60
_FIRST: Final = ("Pending", "Approved", "Used")


def seconds_left(request: AccessRequest, offer: AccessPolicy | None, now: datetime) -> int | None:
    """Return the time in which a pending request can be decided, or an approved one used; None if it is not known, or does not matter."""
    status, created = request.status, request.metadata.creation_timestamp
    if status.state == "Pending" and offer is not None and offer.spec.on_request is not None and created is not None:
        end = created + timedelta(seconds=offer.spec.on_request.pending_seconds)
    elif status.state in ("Approved", "Used") and status.approval is not None:
        end = status.approval.claim_until
    else:
        return None
    return max(0, int((end - now).total_seconds()))


def in_order(requests: Iterable[AccessRequest]) -> list[AccessRequest]:
    """Return the pending requests first, the oldest of them first; then the others, the newest first."""

    def key(request: AccessRequest) -> tuple[Any, ...]:
        state, created = request.status.state or "Pending", request.metadata.creation_timestamp
        seconds = 0.0 if created is None else created.timestamp()
        rank = _FIRST.index(state) if state in _FIRST else len(_FIRST)
        return rank, seconds if rank == 0 else -seconds, request.namespace, request.name

    return sorted(requests, key=key)


class RequestTable:
    """Formats rows. Widths follow from the first rows, and a later row with a longer cell is not cut."""

    def __init__(self, *, everywhere: bool) -> None:
        self._everywhere = everywhere
        self._widths: list[int] = []

    def row(self, request: AccessRequest, offer: AccessPolicy | None, now: datetime, state: str | None = None) -> Row:
        spec, user = request.spec, wording.proven(request)
        left = seconds_left(request, offer, now)
        cells = (
            request.name,
            state or request.status.state or "-",
            wording.name(spec.agent_ref.name),
            f"{wording.name(spec.user.subject)} ({user.proof if user else 'not checked'})",
            f"{spec.offer_ref.namespace}/{spec.offer_ref.name}",
            span(spec.expiration_seconds),
            about(wording.age(request, now).total_seconds()),
            "-" if left is None else about(left),
            wording.justification(spec.justification, _LONGEST_WORDS),
        )
        return (request.namespace, *cells) if self._everywhere else cells

    def text(self, rows: Sequence[Row]) -> str:
        """Return the headings and the first rows."""
        lines = [("NAMESPACE", *_HEADINGS) if self._everywhere else _HEADINGS, *rows]
        self._widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
        return "\n".join(map(self.line, lines))

    def line(self, row: Row) -> str:
        return "  ".join(f"{cell:<{width}}" for cell, width in zip(row, self._widths, strict=True)).rstrip()


def value(request: AccessRequest, offer: AccessPolicy | None, now: datetime) -> dict[str, Any]:
    """Return all that a program may want of one request. The justification is as its author wrote it: escape it."""
    left = seconds_left(request, offer, now)
    created = request.metadata.creation_timestamp
    return {
        "namespace": request.namespace,
        "name": request.name,
        "uid": request.uid,
        "createdAt": created.isoformat() if created else None,
        "secondsLeft": left,
        "spec": body(request.spec),
        "status": body(request.status),
    }

"""The texts of the page on which a user confirms a request: all that the request asks for, and what it would show. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from rolevend.access_requests.states import RequestState
from rolevend.access_requests.text import sanitized
from rolevend.audit.evidence import TableAccess, tables_of
from rolevend.decision.profile_cache import OfferEffect
from rolevend.kinds import AccessRequest
from rolevend.kinds.access_request import ObservedOffer
from rolevend.kinds.access_request_facts import state_of


@dataclass(frozen=True, slots=True)
class TableLine:
    table: str
    clear: str
    masked: str
    rows: str


@dataclass(frozen=True, slots=True)
class Question:
    """The request, as its user reads it. Every text may be hostile, and is escaped where it is rendered."""

    agent: str
    user: str
    display: str
    offer: str
    platform: str
    minutes: str
    tables: tuple[TableLine, ...]
    purpose: str | None
    ticket: str | None
    words: str | None
    """Of the agent."""
    digest: str
    """Of what the offer shows the user."""


def question(request: AccessRequest, effect: OfferEffect, offered: ObservedOffer, longest_seconds: int) -> Question:
    """`offered` is the offer of the request, whose digest is that of `effect`."""
    spec = request.spec
    return Question(
        agent=f"{request.namespace}/{spec.agent_ref.name}",
        user=spec.user.subject,
        display=offered.display,
        offer=f"{spec.offer_ref.namespace}/{spec.offer_ref.name}",
        platform=spec.platform_ref.name,
        minutes=_minutes(min(spec.expiration_seconds, longest_seconds)),
        tables=tuple(map(_line, tables_of(effect.profile.tables))),
        purpose=spec.purpose,
        ticket=spec.ticket,
        words=None if spec.justification is None else sanitized(spec.justification.text),
        digest=offered.digest,
    )


def outcome(request: AccessRequest) -> tuple[str, str]:
    """Return a headline and a sentence about a request that its user need not answer any more."""
    answer, state = request.status.confirmation, state_of(request)
    if answer is not None and answer.verdict == "Refuse":
        return "You refused this request", "The agent gets nothing by it. You can close this page."
    sentence = _SENTENCES.get(state or RequestState.PENDING, "It ended, and the agent gets nothing by it any more.")
    if answer is not None:
        return "You confirmed this request", f"{sentence} You can close this page."
    return "There is nothing to confirm", f"{sentence} You can close this page."


_SENTENCES: Final = {
    RequestState.PENDING: "It waits for its decision.",
    RequestState.APPROVED: "It is approved.",
    RequestState.USED: "It is approved, and the agent uses it.",
    RequestState.DENIED: "It was denied.",
    RequestState.EXPIRED: "Its time is over, and the agent must ask again.",
    RequestState.CANCELLED: "It was withdrawn.",
}


def _minutes(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    parts = [f"{minutes} {'minute' if minutes == 1 else 'minutes'}"] if minutes else []
    return " and ".join([*parts, *([f"{rest} seconds"] if rest else [])])


def _line(access: TableAccess) -> TableLine:
    return TableLine(
        table=access.table,
        clear=", ".join(access.clear),
        masked=", ".join(f"{each.name} as {each.shows}" for each in access.masked),
        rows="; and ".join(_conditions(access)) or "all rows",
    )


def _conditions(access: TableAccess) -> Iterator[str]:
    if access.rows:
        yield f"rows where {' or '.join(access.rows)}"
    if access.restrictions:
        yield f"only where {' and '.join(access.restrictions)}"

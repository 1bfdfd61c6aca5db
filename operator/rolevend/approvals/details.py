"""All that an approver needs to know of one AccessRequest. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from rolevend.access_requests.text import Speaker, quoted
from rolevend.approvals import effect_text, history, listing, offer_text, wording
from rolevend.approvals.offer_text import Fact
from rolevend.approvals.wording import CommandFlags, about, moment, span
from rolevend.kinds import AccessDecision, AccessPolicy, AccessRequest
from rolevend.kinds.access_request import Approver
from rolevend.kinds.previewed_effect import PreviewedEffect
from rolevend.kinds.status import body

_WIDTH = 10


@dataclass(frozen=True, slots=True)
class RequestDetails:
    """One request, with the objects that an approver judges it by."""

    request: AccessRequest
    offer: AccessPolicy | None
    """None: it does not exist, or the caller may not read it."""
    votes: tuple[AccessDecision, ...] | None
    """None: the caller may not read them."""
    others: tuple[AccessRequest, ...] | None
    """The requests that precedents and limits are counted from. None: the caller may not read them."""
    now: datetime
    notes: tuple[str, ...] = ()
    """Objects that could not be read."""
    effect: PreviewedEffect | None = None
    """None: it was not counted."""

    @property
    def seconds_left(self) -> int | None:
        return listing.seconds_left(self.request, self.offer, self.now)

    @property
    def longest_seconds(self) -> int:
        """The longest lifetime that an approver can give: as requested, within the offer's maximum."""
        asked, offer = self.request.spec.expiration_seconds, self.offer
        terms = None if offer is None else offer.spec.on_request
        return asked if terms is None else min(asked, terms.max_expiration_seconds)

    @property
    def is_current(self) -> bool:
        """True unless the offer is known to have changed after the request."""
        seen = self.request.status.offer
        return seen is None or self.offer is None or (seen.uid, seen.generation) == (self.offer.uid, self.offer.generation)


def as_text(found: RequestDetails, flags: CommandFlags) -> str:
    parts = [question(found), *_section("Votes", vote_facts(found)), *_section("Lately", lately_facts(found)), *_answers(found, flags)]
    return "\n".join(parts)


def question(found: RequestDetails) -> str:
    """Return the request and its offer: the part that a person reads before a vote."""
    counted = [] if found.effect is None else effect_text.section(found.effect)
    offer = _section("The offer grants, within guardrails", offer_facts(found))
    return "\n".join([headline(found), *_aligned(request_facts(found)), *offer, *counted])


def as_value(found: RequestDetails) -> dict[str, Any]:
    request, now = found.request, found.now
    others = found.others
    limits = [] if found.offer is None or others is None else history.limit_uses(request, found.offer, others, now)
    counted = None if others is None else {**asdict(history.precedents(request, others, now)), "withinDays": history.LATELY.days}
    return {
        **listing.value(request, found.offer, now),
        "offer": None if found.offer is None else body(found.offer.spec),
        "offerIsCurrent": found.is_current,
        "votes": None if found.votes is None else [_vote_value(each) for each in found.votes],
        "effect": None if found.effect is None else body(found.effect),
        "precedents": counted,
        "limits": [asdict(each) for each in limits],
        "notes": list(found.notes),
    }


def _vote_value(vote: AccessDecision) -> dict[str, Any]:
    return {"namespace": vote.namespace, "name": vote.name, "spec": body(vote.spec), "status": body(vote.status)}


def headline(found: RequestDetails) -> str:
    request = found.request
    state = request.status.state or "not read by the operator yet"
    message = f": {request.status.message}" if request.status.message else ""
    return f"AccessRequest {request.namespace}/{request.name} is {state}{message}"


def request_facts(found: RequestDetails) -> Iterator[Fact]:
    request, spec = found.request, found.request.spec
    yield "requested", f"{about(wording.age(request, found.now).total_seconds())} ago{_left(found)}"
    yield "agent", f"{request.namespace}/{wording.name(spec.agent_ref.name)}"
    yield "user", f"{wording.name(spec.user.subject)} ({spec.user.issuer}), {wording.proof(request)}"
    yield "platform", spec.platform_ref.name
    yield "offer", f"{spec.offer_ref.namespace}/{spec.offer_ref.name}{_display(found)}"
    yield "tables", "all of the offer" if spec.tables is None else ", ".join(map(wording.table, spec.tables))
    yield "columns", "all of the offer" if spec.columns is None else wording.names(spec.columns)
    cut = "" if found.longest_seconds == spec.expiration_seconds else f"; the offer permits {span(found.longest_seconds)}"
    yield "for", f"{span(spec.expiration_seconds)}{cut}"
    if spec.purpose is not None:
        yield "purpose", spec.purpose
    if spec.ticket is not None:
        yield "ticket", wording.name(spec.ticket)
    if spec.task is not None:
        yield "task", wording.name(spec.task.id)
    if spec.justification is not None:
        yield "why", wording.justification(spec.justification)
    if request.status.confirmation is not None:
        yield "answer", wording.confirmation(request.status.confirmation)
    if request.status.offer is not None:
        yield "digest", request.status.offer.digest
    if request.status.approval is not None:
        approval = request.status.approval
        yield "approved", f"by {wording.approvers(approval)} at {moment(approval.decided_at)}, for {span(approval.expiration_seconds)}"
    for told in request.status.notifications:
        problem = "" if told.message is None else f": {wording.names([told.message])}"
        yield "notified", f"{told.receiver} ({told.event}) {told.state} at {moment(told.at)}{problem}"
    for use in request.status.uses:
        yield "used", f"by VendedRole {use.role_name} at {moment(use.at)}"


def _left(found: RequestDetails) -> str:
    left = found.seconds_left
    if left is None:
        return ""
    return f"; {about(left)} left to {'decide' if found.request.status.state == 'Pending' else 'use it'}"


def _display(found: RequestDetails) -> str:
    seen = found.request.status.offer
    terms = found.offer.spec.on_request if found.offer is not None else None
    display = seen.display if seen is not None else terms.display if terms is not None else None
    return f": {display}" if display else ""


def offer_facts(found: RequestDetails) -> Iterator[Fact]:
    if found.offer is None:
        return
    yield from offer_text.facts(found.offer)
    if not found.is_current:
        yield "CHANGED", "after the request. An approval does not count; the agent must ask again"


def vote_facts(found: RequestDetails) -> Iterator[Fact]:
    if found.votes is None:
        approval = found.request.status.approval
        yield from (_recorded(each) for each in (approval.approvers if approval is not None else ()))
        return
    for vote in found.votes:
        spec, counted = vote.spec, vote.status.counted
        outcome = "not counted yet" if counted is None else "counts" if counted else f"does not count: {vote.status.message}"
        narrowed = list(narrowing(spec.tables, spec.masks, spec.expiration_seconds))
        created = vote.metadata.creation_timestamp
        by = f"by {spec.by}" if created is None else f"by {spec.by} at {moment(created)}"
        yield spec.verdict, "; ".join([by, *narrowed, outcome, *_comment(spec.comment)])
    if opposed := opposite_votes(found):
        yield "opposed", opposed


def opposite_votes(found: RequestDetails) -> str | None:
    """Return the sentence about people who voted against each other and what became of the request, or None if nobody did."""
    said: dict[str, list[str]] = {"Approve": [], "Deny": []}
    for vote in found.votes or ():
        if vote.spec.verdict in said:
            said[vote.spec.verdict].append(vote.spec.by)
    if not said["Approve"] or not said["Deny"]:
        return None
    state, message = found.request.status.state, found.request.status.message
    became = "the operator has not counted the denial yet" if state == "Pending" else f"one denial decides, and the request is {state}"
    told = f": {message}" if message and state != "Pending" else ""
    return f"{', '.join(said['Approve'])} approved, and {', '.join(said['Deny'])} denied; {became}{told}"


def _recorded(approver: Approver) -> Fact:
    narrowed = narrowing(approver.tables, approver.masks, approver.expiration_seconds)
    return "Approve", "; ".join([f"by {approver.by} at {moment(approver.at)}", *narrowed, "counts", *_comment(approver.comment)])


def narrowing(tables: Any, masks: Any, seconds: int | None) -> Iterator[str]:
    """Yield the parts of a vote that narrow the request."""
    if tables is not None:
        yield f"only {', '.join(map(wording.table, tables))}"
    if masks is not None:
        yield f"masked {offer_text.masks(masks)}"
    if seconds is not None:
        yield f"for {span(seconds)}"


def _comment(comment: str | None) -> list[str]:
    return [] if comment is None else [quoted(comment, Speaker.APPROVER)]


def lately_facts(found: RequestDetails) -> Iterator[Fact]:
    if found.others is None:
        return
    if found.request.status.offer is not None:
        counted = history.precedents(found.request, found.others, found.now)
        yield "people", f"decided the same in the last {history.LATELY.days} days: {counted.approved} approvals, {counted.denied} denials"
    if found.offer is not None:
        for use in history.limit_uses(found.request, found.offer, found.others, found.now):
            yield "limit", f"rule {use.rule}: {use.used} of {use.most} {use.limit}"


def _answers(found: RequestDetails, flags: CommandFlags) -> list[str]:
    request, status = found.request, found.request.status
    if status.state == "Pending":
        approve, deny = flags.rolevend("approve", request), flags.rolevend("deny", request)
        return ["", "Answer:", f"  {approve} --for {span(found.longest_seconds)}", f"  {deny} --because '...'"]
    if status.state not in ("Approved", "Used") or status.approval is None:
        return []
    namespace = request.spec.offer_ref.namespace
    if status.approval.rule is not None:
        return ["", "Revoke:", f"  {flags.rolevend('deny', request)} --because '...'"]
    return ["", "Revoke:", *(f"  {flags.revoke(namespace, each.decision.name)}" for each in status.approval.approvers)]


def _section(title: str, facts: Iterable[Fact]) -> list[str]:
    lines = _aligned(facts)
    return ["", f"{title}:", *lines] if lines else []


def _aligned(facts: Iterable[Fact]) -> list[str]:
    return [f"  {label:<{_WIDTH}}  {value}" for label, value in facts]

"""Count the votes on one request."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rolevend.access_requests.request import Approver, RequestedAccess, whole_second
from rolevend.catalog import TableId
from rolevend.model import ObjectName, Uid
from rolevend.policy.statement import MaskRule

MOST_APPROVERS: Final = 8
"""An approval records so many. No offer needs more than five."""


@dataclass(frozen=True, slots=True)
class Vote:
    """An AccessDecision. Immutable."""

    name: ObjectName
    uid: Uid
    request: ObjectName
    request_uid: Uid
    offer: ObjectName
    by: str
    approves: bool
    at: datetime
    """The creation of the object."""
    digest: str | None = None
    """Of what the author saw; None: a no that names none."""
    expiration_seconds: int | None = None
    tables: frozenset[TableId] | None = None
    masks: tuple[MaskRule, ...] = ()
    comment: str | None = None

    @property
    def approver(self) -> Approver:
        return Approver(self.by, self.name.name, self.uid, self.at, self.expiration_seconds, self.tables, self.masks, self.comment)


@dataclass(frozen=True, slots=True)
class CheckedVote:
    """A vote that exists now, and what its author may do now."""

    vote: Vote
    may_approve: bool | None
    """True if the author has the verb `approve` on the offer; None: not known. An unknown right counts for no decision, and withdraws
    no approval."""
    holds_tables: bool | None = None
    """True if the author reads the tables of the request; None: not known. Read for offers whose approvers must."""


@dataclass(frozen=True, slots=True)
class Tally:
    """The votes that count."""

    approvals: tuple[Vote, ...]
    """Of different people, the earliest first; at most `MOST_APPROVERS`."""
    denial: Vote | None
    """The earliest."""
    uncounted: Mapping[Uid, str]
    """Each vote that does not count, and the reason."""


def tally(
    request: RequestedAccess, digest: str | None, votes: Iterable[CheckedVote], excluded: Collection[str], *, must_hold: bool
) -> Tally:
    """Count each person once, whatever the order of `votes`. A denial of a person wins over the approvals of the same person.

    `digest` is the one of the request, and `excluded` are the people who never approve it.
    """
    shut_out = {each.casefold() for each in excluded}
    uncounted: dict[Uid, str] = {}
    approvals: dict[str, Vote] = {}
    denials: dict[str, Vote] = {}
    for checked in sorted(votes, key=_by_time):
        vote, person = checked.vote, checked.vote.by.casefold()
        reason = _mismatch(vote, request, digest) or _incapable(checked, must_hold=must_hold)
        if person in shut_out:
            reason = f"{vote.by} is the user, the agent, the agent's owner or an agent: none of them approves"
        known = approvals if vote.approves else denials
        if reason is None and person in known:
            reason = f"an earlier vote of {vote.by} counts"
        if reason is None and vote.approves and len(approvals) >= MOST_APPROVERS:
            reason = f"{MOST_APPROVERS} people approved before"
        if reason is None:
            known[person] = vote
        else:
            uncounted[vote.uid] = reason
    for person in approvals.keys() & denials.keys():
        vote = approvals.pop(person)
        uncounted[vote.uid] = f"{vote.by} denies the request, too"
    return Tally(tuple(approvals.values()), next(iter(denials.values()), None), uncounted)


def still_approves(approver: Approver, votes: Iterable[CheckedVote], excluded: Collection[str]) -> bool:
    """True if the recorded vote exists unchanged, and its author still may approve."""
    shut_out = {each.casefold() for each in excluded}
    return any(
        each.vote.approves
        and (each.vote.name.name, each.vote.uid, each.vote.by) == (approver.decision, approver.decision_uid, approver.by)
        and each.may_approve is not False
        and approver.by.casefold() not in shut_out
        for each in votes
    )


def _by_time(checked: CheckedVote) -> tuple[datetime, ObjectName, Uid]:
    return whole_second(checked.vote.at), checked.vote.name, checked.vote.uid


def _mismatch(vote: Vote, request: RequestedAccess, digest: str | None) -> str | None:
    if (vote.request, vote.request_uid) != (request.name, request.uid):
        return "it is on another request"
    if vote.offer != request.offer or vote.name.namespace != request.offer.namespace:
        return "it is on another offer"
    if vote.digest != digest and (vote.approves or vote.digest is not None):
        return "its author saw something else: the digest is not the one of the request"
    return "it names no digest" if vote.approves and vote.digest is None else None


def _incapable(checked: CheckedVote, *, must_hold: bool) -> str | None:
    by = checked.vote.by
    if not checked.may_approve:
        return f"{by} may not approve this offer" if checked.may_approve is False else f"the rights of {by} are not known yet"
    if must_hold and checked.vote.approves and not checked.holds_tables:
        return f"{by} does not have the access of this offer, which its approvers must have"
    return None

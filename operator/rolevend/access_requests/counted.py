"""Tell of each vote on a request whether it counts, after a judgement. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from rolevend.access_requests.circumstances import Circumstances, Judgement, tally_now
from rolevend.access_requests.request import Approval, Recorded, RequestedAccess
from rolevend.access_requests.states import RequestReason
from rolevend.access_requests.votes import Tally, Vote


@dataclass(frozen=True, slots=True)
class CountedVote:
    vote: Vote
    counted: bool
    message: str
    """Why it counts or not."""


def counted_votes(request: RequestedAccess, before: Recorded, now: Circumstances, judgement: Judgement) -> tuple[CountedVote, ...]:
    """Return each vote, in the order of their names."""
    votes = sorted((each.vote for each in now.votes), key=lambda vote: (vote.name, vote.uid))
    return tuple(_counted(each, tally_now(request, before, now), judgement) for each in votes)


def votes_on_ended(votes: Iterable[Vote], life: Recorded) -> tuple[CountedVote, ...]:
    """Return the votes on a request that ended, as far as its status tells."""
    return tuple(_on_ended(each, life) for each in votes)


def _on_ended(vote: Vote, life: Recorded) -> CountedVote:
    if life.reason is RequestReason.DENIED_BY_PERSON and not vote.approves and life.message == f"denied by {vote.by}":
        return CountedVote(vote, counted=True, message=life.message)
    if life.approval is not None and any(each.decision_uid == vote.uid for each in life.approval.approvers):
        return CountedVote(vote, counted=True, message=f"{vote.by} approved")
    return CountedVote(vote, counted=False, message=f"the request is {life.state} already")


def _counted(vote: Vote, tally: Tally, judgement: Judgement) -> CountedVote:
    if vote.uid in tally.uncounted:
        return CountedVote(vote, counted=False, message=tally.uncounted[vote.uid])
    if judgement.reason is RequestReason.DENIED_BY_PERSON and not vote.approves:
        return CountedVote(vote, counted=True, message=judgement.message)
    if judgement.approval is not None:
        return _on_approved(vote, judgement.approval)
    if judgement.state.is_final:
        return CountedVote(vote, counted=False, message=f"the request is {judgement.state}: {judgement.message}")
    return CountedVote(vote, counted=True, message=judgement.message)


def _on_approved(vote: Vote, approval: Approval) -> CountedVote:
    if any(each.decision_uid == vote.uid for each in approval.approvers):
        return CountedVote(vote, counted=True, message=f"{vote.by} approved")
    if vote.approves:
        return CountedVote(vote, counted=False, message="the request was approved before")
    return CountedVote(vote, counted=False, message="the request was approved before; delete an approval to revoke it")

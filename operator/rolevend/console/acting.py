"""Votes on requests, and ends of roles. Every call has the rights of that person, by impersonation. I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from rolevend.approvals import ballot, casting, narrowing, previewing
from rolevend.approvals.ballot import Choice
from rolevend.approvals.details import RequestDetails
from rolevend.approvals.narrowing import VoteNarrowing
from rolevend.approvals.reader import DECISIONS
from rolevend.approvals.wording import CommandFlags
from rolevend.console.person import Person
from rolevend.errors import NotPermitted, Rejected
from rolevend.kinds import AccessDecision
from rolevend.kinds.previewed_effect import PreviewedEffect
from rolevend.kube.client import KubeClient
from rolevend.model import ObjectName
from rolevend.revocations.ending import Revocation
from rolevend.revocations.selection import SelectedRole, read_reason

_FLAGS: Final = CommandFlags()
_WAIT_SECONDS: Final = 10.0
_OFF: Final = "this console only shows; vote and end roles with the command line, or ask your administrator for console.impersonation"


class NarrowingNoted(Rejected):
    """The narrowing may not be what the person means. Nothing was sent; a second press sends it."""

    def __init__(self, notes: Sequence[str]) -> None:
        super().__init__("; ".join(notes))

    @property
    def mark(self) -> str:
        """The same for the same notes: a press says which of them the person saw."""
        return sha256(str(self).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class VoteOnPage:
    choice: Choice
    wanted: VoteNarrowing
    comment: str | None
    digest: str
    """Of the effect that the person saw."""
    uid: str
    """Of the request that the person saw."""
    noted: str = ""
    """The mark of the notes on the narrowing that the person saw."""


class Acting:
    def __init__(self, cluster: KubeClient, *, enabled: bool) -> None:
        self._cluster = cluster
        self.enabled = enabled

    async def vote(self, person: Person, found: RequestDetails, vote: VoteOnPage) -> tuple[str, bool]:
        """Cast the vote, and return its result, and whether it has no effect. Raises Rejected with the reason of the API server."""
        cluster = self._as(person)
        ballot.require_open(found.request, vote.choice, _FLAGS)
        offered = found.request.status.offer
        if found.request.uid != vote.uid or (vote.choice == "Approve" and (offered is None or offered.digest != vote.digest)):
            raise Rejected("the request, or the effect of an approval, has changed; read it again, and answer then")
        if vote.choice == "Approve" and person.is_user(found.request.spec.user.subject):
            raise NotPermitted("the agent acts for you: somebody else has to approve")
        wanted, notes = narrowing.compare(vote.wanted, found)
        if notes and (noted := NarrowingNoted(notes)).mark != vote.noted:
            raise noted
        decision = ballot.decision(found.request, person.username, vote.choice, wanted, vote.comment)
        await casting.cast(cluster, decision, _FLAGS, dry_run=False)
        outcome = await casting.outcome(cluster, found.request, decision, _WAIT_SECONDS, _FLAGS)
        return outcome.text, outcome.failed

    async def withdraw(self, person: Person, vote: AccessDecision) -> None:
        """Delete the person's vote, which revokes an approval that rests on it."""
        await self._as(person).delete(DECISIONS, vote.name, vote.uid, vote.namespace)

    async def effect(self, person: Person, found: RequestDetails, wanted: VoteNarrowing) -> PreviewedEffect:
        """Return the effect of such an approval by the person. A failure is the reason why it is not known. Raises InvalidInput."""
        narrowed, _ = narrowing.compare(wanted, found)
        return await previewing.effect_of(self._as(person), found.request, person.username, narrowed)

    async def end(self, person: Person, roles: Sequence[SelectedRole], because: str) -> dict[ObjectName, str]:
        """End the roles, and return the reasons of those that cannot be ended. Raises InvalidInput if the reason is none."""
        revocation = Revocation(self._as(person), person.username, read_reason(because), _unreported)
        await revocation.begin(tuple(roles))
        return {each.name: revocation.failures[each.uid] for each in roles if each.uid in revocation.failures}

    def _as(self, person: Person) -> KubeClient:
        if not self.enabled:
            raise NotPermitted(_OFF)
        return self._cluster.acting_as(person.username, person.groups)


def _unreported(_line: str) -> None:
    """Report nothing: the page shows which roles are left."""

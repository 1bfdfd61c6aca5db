"""The AccessDecisions on a request, and the rights that their authors have now."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from typing import Final

from rolevend.access_requests.counted import CountedVote
from rolevend.access_requests.votes import Vote
from rolevend.errors import InvalidInput, RolevendError
from rolevend.identity.service_account import SERVICE_ACCOUNT
from rolevend.kinds import AccessDecision, parse
from rolevend.kinds import access_request_facts as facts
from rolevend.kinds.access_decision import approver_groups
from rolevend.kinds.shared import GROUP
from rolevend.kinds.status import ConditionUpdate, body, reported
from rolevend.kube.client import Body, KubeClient, NotFound, ResourceConflict, ResourcePath, path_of
from rolevend.kube.informer import Informer, key_of
from rolevend.model import ObjectName, Uid

ACCESS_DECISIONS: Final = path_of(AccessDecision)
SUBJECT_ACCESS_REVIEWS: Final = ResourcePath("/apis/authorization.k8s.io/v1", "subjectaccessreviews")
_VERBS: Final = ("approve",)
_ROBOT_VERBS: Final = (*_VERBS, "approve-as-robot")
"""Of a ServiceAccount."""
_REVIEWED_SECONDS: Final = 4.0
"""How long an answer about a person's rights is used: shorter than the time between two judgements of a request."""
_MOST_REVIEWS: Final = 10_000
_MOST_MESSAGE: Final = 1024

_log = logging.getLogger(__name__)


class Votes:
    def __init__(self, cluster: KubeClient, now: Callable[[], datetime], changed: Callable[[ObjectName], None]) -> None:
        """`changed` is called with the name of the AccessRequest on which a vote was created or deleted."""
        self.informer = _Decisions(cluster, now, changed)
        self._cluster = cluster
        self._now = now
        self._reviews: dict[tuple[str, tuple[str, ...], ObjectName], tuple[float, bool]] = {}

    def on(self, request: Uid) -> list[AccessDecision]:
        """Return the votes on the AccessRequest with this uid, in the order of their names."""
        found = self.informer.by_request.get(request, {})
        return [found[key] for key in sorted(found)]

    @property
    def previews(self) -> list[AccessDecision]:
        """The AccessDecisions that ask for an effect, and are no votes."""
        return list(self.informer.previews.values())

    def all(self) -> list[AccessDecision]:
        return [vote for votes in self.informer.by_request.values() for vote in votes.values()]

    async def report(self, request: Uid, counted: Iterable[CountedVote], now: datetime, *, only_new: bool) -> None:
        """Write the status of each vote on the request, if it differs, or of votes without a status alone. `counted` has every vote that
        can be read."""
        known = {each.vote.uid: each for each in counted}
        for found in self.on(request):
            status = _status(found, known.get(Uid(found.uid)), now)
            if status is None or (only_new and found.status.counted is not None):
                continue
            try:
                await self._cluster.merge(
                    ACCESS_DECISIONS, found.name, {"metadata": {"uid": found.uid}, "status": status}, found.namespace, "status"
                )
            except RolevendError as error:  # the next judgement writes it
                _log.info("cannot write the status of an AccessDecision: %s", error, extra={"object": f"{found.namespace}/{found.name}"})

    async def answer(self, preview: AccessDecision, effect: Body) -> None:
        """Write the effect that a preview asked for. It may be deleted already."""
        ready = ConditionUpdate("Ready", "True", "Counted", "see status.effect")
        if effect.get("unknown"):
            ready = ConditionUpdate("Ready", "False", "NotCounted", effect["unknown"])
        conditions = reported([ready], preview.status.conditions, generation=preview.metadata.generation, now=self._now())
        status = {"conditions": [body(each) for each in conditions], "effect": effect}
        patch = {"metadata": {"uid": preview.uid}, "status": status}
        with suppress(NotFound, ResourceConflict):
            await self._cluster.merge(ACCESS_DECISIONS, preview.name, patch, preview.namespace, "status")

    async def delete(self, vote: AccessDecision) -> None:
        """Delete the object. Idempotent."""
        await self._cluster.delete(ACCESS_DECISIONS, vote.name, vote.uid, vote.namespace)

    async def may_approve(self, vote: AccessDecision) -> bool | None:
        """Return whether the author of the vote has the verbs that admission asked for on its offer now; None if the API server does not
        say."""
        offer = ObjectName(vote.namespace, vote.spec.offer_ref.name)
        key = vote.spec.by, approver_groups(vote), offer
        known = self._reviews.get(key)
        if known is not None and known[0] > time.monotonic() - _REVIEWED_SECONDS:
            return known[1]
        if len(self._reviews) >= _MOST_REVIEWS:
            self._reviews.clear()
        try:
            allowed = await self._has_verbs(*key)
        except RolevendError as error:
            _log.warning("cannot review the rights of an approver: %s", error, extra={"object": f"{vote.namespace}/{vote.name}"})
            return None
        self._reviews[key] = time.monotonic(), allowed
        return allowed

    async def _has_verbs(self, by: str, groups: tuple[str, ...], offer: ObjectName) -> bool:
        for verb in _ROBOT_VERBS if by.startswith(SERVICE_ACCOUNT) else _VERBS:
            answer = await self._cluster.create(SUBJECT_ACCESS_REVIEWS, _review(by, groups, verb, offer))
            if answer.get("status", {}).get("allowed") is not True:
                return False
        return True


def readable_vote(found: AccessDecision) -> Vote | None:
    """Return the vote, or None if it has a mask that cannot be read."""
    try:
        return facts.vote(found)
    except InvalidInput:
        return None


def _status(found: AccessDecision, outcome: CountedVote | None, now: datetime) -> Body | None:
    """Return the status to write, or None if the object has it, or came after the judgement: the next one counts it."""
    counts, message = (outcome.counted, outcome.message) if outcome is not None else (False, _unreadable(found))
    if message is None:
        return None
    message = message[:_MOST_MESSAGE]
    if (found.status.counted, found.status.message) == (counts, message):
        return None
    not_counted = ConditionUpdate("Ready", "False", "NotCounted", message)
    ready = ConditionUpdate("Ready", "True", "Counted", message) if counts else not_counted
    conditions = reported([ready], found.status.conditions, generation=found.metadata.generation, now=now)
    return {
        "observedGeneration": found.metadata.generation,
        "conditions": [body(each) for each in conditions],
        "counted": counts,
        "message": message,
    }


def _unreadable(found: AccessDecision) -> str | None:
    """Return why the vote cannot be read, or None if it can."""
    try:
        facts.vote(found)
    except InvalidInput as error:
        return f"it cannot be read: {error}"
    return None


def _review(by: str, groups: Iterable[str], verb: str, offer: ObjectName) -> Body:
    attributes = {"group": GROUP, "resource": "accesspolicies", "verb": verb, "namespace": offer.namespace, "name": offer.name}
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": by, "groups": list(groups), "resourceAttributes": attributes},
    }


class _Decisions(Informer):
    def __init__(self, cluster: KubeClient, now: Callable[[], datetime], changed: Callable[[ObjectName], None]) -> None:
        super().__init__(cluster, ACCESS_DECISIONS, lambda: None, now)
        self.by_request: dict[Uid, dict[tuple[str, str], AccessDecision]] = {}
        self.previews: dict[tuple[str, str], AccessDecision] = {}
        self.previewed = asyncio.Event()
        """A preview was created or deleted since this was cleared."""
        self._of_key: dict[tuple[str, str], AccessDecision] = {}
        self._vote_changed = changed

    def on_upsert(self, item: Body) -> None:
        super().on_upsert(item)
        key = key_of(item)
        self._forget(key)
        try:
            vote = parse(AccessDecision, item)
        except InvalidInput as error:
            _log.error("cannot read an AccessDecision: %s", error, extra={"object": "/".join(key)})
            return
        if vote.spec.verdict == "Preview":
            self.previews[key] = vote
            self.previewed.set()
            return
        if vote.metadata.deletion_timestamp is None:
            self._of_key[key] = vote
            self.by_request.setdefault(Uid(vote.spec.request_ref.uid), {})[key] = vote
        self._notify(vote)

    def drop(self, item: Body) -> None:
        super().drop(item)
        gone = self._forget(key_of(item))
        if gone is not None:
            self._notify(gone)

    def on_reset(self) -> None:
        self.by_request.clear()
        self._of_key.clear()
        self.previews.clear()

    def _forget(self, key: tuple[str, str]) -> AccessDecision | None:
        self.previews.pop(key, None)
        vote = self._of_key.pop(key, None)
        if vote is not None:
            uid = Uid(vote.spec.request_ref.uid)
            self.by_request[uid].pop(key, None)
            if not self.by_request[uid]:
                del self.by_request[uid]
        return vote

    def _notify(self, vote: AccessDecision) -> None:
        self._vote_changed(ObjectName(vote.spec.request_ref.namespace, vote.spec.request_ref.name))

"""Judge every AccessRequest: by the rules of its offer, by the votes of people, and by the clock. The only writer of these decisions.

One process judges one request after the other, and each judgement knows the statuses that were written before, so no two requests take the
last place of a limit. A request is judged when it or a vote on it changes, and when its time comes. All open requests are judged when the
snapshot changes, and every few seconds, because the rights of approvers change without an event. See `judgement_queue` for the order.
"""

import logging
import random
import time
from collections.abc import Awaitable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, TypeVar

from rolevend.access_objects.circumstances import CircumstancesReader
from rolevend.access_objects.profiles import ApprovedProfiles
from rolevend.access_objects.recorder import AccessRecorder, StateChange
from rolevend.access_objects.votes import readable_vote
from rolevend.access_requests.counted import CountedVote, counted_votes, votes_on_ended
from rolevend.access_requests.judgement import judge
from rolevend.access_requests.request import RequestedAccess
from rolevend.access_requests.states import RequestState
from rolevend.audit.access_events import StatedAccess
from rolevend.controllers.judgement_queue import JudgementQueue
from rolevend.controllers.reevaluator import Reevaluator
from rolevend.decision.outcome import Request
from rolevend.decision.proof import Proof, UserToken
from rolevend.decision.snapshot import Snapshot
from rolevend.errors import IdentityProviderUnavailable, InvalidInput, NotPermitted, RolevendError
from rolevend.kinds import AccessRequest
from rolevend.kinds.access_request_facts import decision_request, is_final, life_status, login_facts, recorded, requested_access
from rolevend.kinds.status import Body, body
from rolevend.kinds.values import object_name
from rolevend.kube.client import NotFound, ResourceConflict
from rolevend.model import ObjectName, Uid
from rolevend.naming import user_handle
from rolevend.roles.protocols import Snapshots
from rolevend.roles.status import user_status
from rolevend.roles.user_authenticator import UserAuthenticator

_FULL_PASS_SECONDS: Final = 5.0
_RETRY_SECONDS: Final = 1.0
_SPREAD_SECONDS: Final = 1.0
"""Times in objects are whole seconds: all judgements of one second would begin at its begin, and new requests would wait for them."""

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class AccessRequestController:
    def __init__(
        self,
        recorder: AccessRecorder,
        circumstances: CircumstancesReader,
        authenticator: UserAuthenticator,
        snapshots: Snapshots,
        reevaluator: Reevaluator,
        profiles: ApprovedProfiles,
    ) -> None:
        self._store = circumstances.store
        self._recorder = recorder
        self._votes = circumstances.votes
        self._circumstances = circumstances
        self._authenticator = authenticator
        self._snapshots = snapshots
        self._reevaluator = reevaluator
        self._profiles = profiles
        self._queue = JudgementQueue(self._urgency)
        """Its times are of `time.monotonic`."""
        self._open: dict[ObjectName, AccessRequest] = {}
        """The requests that were not final when they were judged last."""

    async def run(self) -> None:
        """Run until cancelled."""
        before, all_due = None, 0.0
        while True:
            snapshot, now, seen, wait = self._snapshots.snapshot, time.monotonic(), self._store.changes, _RETRY_SECONDS
            if self._votes.informer.synced and self._store.informer.synced and not snapshot.pending:
                if before is None:  # roles that were evaluated before waited for their approvals
                    self._reevaluator.wake()
                if snapshot is not before or now >= all_due:
                    before, all_due = snapshot, now + _FULL_PASS_SECONDS
                    names = {object_name(each) for each in self._store.all() if not is_final(each)}
                    names.update(self._open)  # a list after a broken watch reports no deletions
                    self._queue.add_pass(sorted(names, key=self._urgency))
                    await self._recorder.retry()
                    self._recorder.measure(self._store.all())
                self._queue.add_changed(self._store.take_changed())
                for name in self._queue.take(now):
                    await self._judge(name, snapshot)
                wait = max(0.0, min(all_due, self._queue.next_time or all_due) - time.monotonic()) if self._queue.is_idle else 0.0
            # A change during a judgement woke nobody.
            await self._store.changed(min(wait, _RETRY_SECONDS) if self._store.changes == seen else 0.0)

    def _urgency(self, name: ObjectName) -> tuple[bool, datetime, ObjectName]:
        """Sort requests with an approval first, so that no revocation waits for new requests; then the oldest, because a limit is for those
        that came first."""
        found = self._store.get(name)
        if found is None:  # its roles end
            return False, datetime.min.replace(tzinfo=UTC), name
        created = found.metadata.creation_timestamp
        return found.status.approval is None, created or datetime.max.replace(tzinfo=UTC), name

    async def _judge(self, name: ObjectName, snapshot: Snapshot) -> None:
        """Judge one request. Raises nothing: one that cannot be judged is tried again, and holds up no other."""
        resource = self._store.get(name)
        counted = await self._attempt(name, self._judge_object(name, resource, snapshot))
        # Ended by a write that this process does not know of: its answer was lost, or it is of another process.
        ended_elsewhere = resource is not None and is_final(resource) and self._open.pop(name, None) is not None
        if resource is None or ended_elsewhere or self._store.get(name) is not resource:
            self._reevaluator.on_approval(name)
        if resource is not None and counted is not None:
            report = self._votes.report(Uid(resource.uid), counted, self._circumstances.now(), only_new=is_final(resource))
            await self._attempt(name, report)

    async def _attempt(self, name: ObjectName, action: Awaitable[_T]) -> _T | None:
        """Return the result, or None after an error. Then the request is judged again."""
        try:
            return await action
        except (ResourceConflict, NotFound):  # it changed meanwhile: the watch reports it
            self._look_again(name, _RETRY_SECONDS)
        except RolevendError as error:
            _log.warning("cannot judge an AccessRequest: %s", error, extra={"object": str(name)})
            self._look_again(name, _RETRY_SECONDS)
        except Exception:
            _log.exception("cannot judge an AccessRequest", extra={"object": str(name)})
            self._recorder.failed()
            self._look_again(name, _FULL_PASS_SECONDS)
        return None

    async def _judge_object(self, name: ObjectName, resource: AccessRequest | None, snapshot: Snapshot) -> tuple[CountedVote, ...] | None:
        """Judge the object, and return its votes; None: it does not exist."""
        await self._record_deletion(name, resource)
        if resource is None:
            return None
        return self._on_ended(resource) if is_final(resource) else await self._judge_open(resource, snapshot)

    def _on_ended(self, resource: AccessRequest) -> tuple[CountedVote, ...]:
        found = (readable_vote(each) for each in self._votes.on(Uid(resource.uid)))
        return votes_on_ended((each for each in found if each is not None), recorded(resource))

    async def _judge_open(self, resource: AccessRequest, snapshot: Snapshot) -> tuple[CountedVote, ...]:
        """Judge the request, write its status if it differs, and return its votes."""
        name = object_name(resource)
        self._open[name] = resource
        request, unread = await self._prove(decision_request(resource), snapshot)
        now = await self._circumstances.read(resource, request, snapshot)
        if unread is not None and now.unknown is not None:
            now = replace(now, unknown=unread)
        asked, before = _asked(resource, request), recorded(resource)
        judgement = judge(asked, before, now)
        if judgement.look_again_at is not None:
            spread = random.uniform(0, _SPREAD_SECONDS)  # noqa: S311 - no secret
            self._look_again(name, (judgement.look_again_at - now.now).total_seconds() + spread)
        after, counted = judgement.recorded(before, now.now), counted_votes(asked, before, now, judgement)
        if after == before:
            return counted
        change = StateChange(_stated(resource, request), before, after, counted)
        await self._recorder.before_status(change)
        seen_before = resource.status.offer
        display = now.terms.display if now.terms is not None else seen_before.display if seen_before is not None else ""
        status = life_status(resource, after, display, self._votes.on(Uid(resource.uid)), now.now)
        if resource.status.user is None and not _waits_for_token(request):
            status["user"] = _user(resource, request, snapshot)
        await self._store.write_status(resource, status)
        self._recorder.after_status(change)
        if after.state is RequestState.APPROVED:
            self._profiles.begin_build(request)
        if after.state is not None and after.state.is_final:
            self._open.pop(name, None)
        _log.info("judged", extra={"object": str(name), "state": after.state, "reason": after.reason})
        return counted

    async def _record_deletion(self, name: ObjectName, resource: AccessRequest | None) -> None:
        """Record the end of an open request that was deleted, or replaced by another of its name."""
        before = self._open.get(name)
        if before is None or (resource is None and self._store.exists(name)):
            return
        if resource is None or resource.uid != before.uid:
            del self._open[name]
            if not is_final(before):
                await self._recorder.deleted(_stated(before, decision_request(before)), recorded(before))

    async def _prove(self, request: Request, snapshot: Snapshot) -> tuple[Request, str | None]:
        """Return the request with the proof by the token in its Secret, if it has one that was not read yet, or why there is none yet. The
        token is not redeemed: it can prove the role, too."""
        agent = snapshot.agents.get(request.agent)
        if not isinstance(request.token, UserToken) or agent is None or agent.identity is None:
            return request, None
        try:
            proof = await self._authenticator.prove(request, request.token, agent, snapshot, redeem=False)
        except (InvalidInput, NotPermitted, IdentityProviderUnavailable) as error:
            return request, str(error)  # the clocks of the request run, and the budget of its agent counts it
        return replace(request, proof=proof), None

    def _look_again(self, name: ObjectName, seconds: float) -> None:
        self._queue.add_at(name, time.monotonic() + max(0.0, seconds))


def _asked(resource: AccessRequest, request: Request) -> RequestedAccess:
    """Return the facts of the request, with the login in a token that was read just now."""
    asked, proof = requested_access(resource), request.proof
    return replace(asked, login=login_facts(proof)) if isinstance(proof, Proof) else asked


def _user(resource: AccessRequest, request: Request, snapshot: Snapshot) -> Body:
    """Return the user for the status, with the attributes in the token, which later judgements read."""
    if resource.spec.proven is not None:
        return body(resource.spec.proven)
    person = snapshot.person(request)
    return user_status(
        person.handle or user_handle(snapshot.handle_key, request.user), request.proof if isinstance(request.proof, Proof) else None
    )


def _waits_for_token(request: Request) -> bool:
    return isinstance(request.token, UserToken) and request.proof is None


def _stated(resource: AccessRequest, request: Request) -> StatedAccess:
    justification = resource.spec.justification
    return StatedAccess(requested_access(resource), request, None if justification is None else justification.text)

"""Judge every AccessRequest: by the rules of its offer, by the votes of people, and by the clock. The only writer of these decisions.

One process judges one request after the other, and each judgement knows the statuses that were written before, so no two requests take the
last place of a limit. A request is judged when it or a vote on it changes, and when its time comes. All open requests are judged when the
snapshot changes, and every few seconds, because the rights of approvers change without an event.
"""

import logging
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from rolevend.access_requests.judgement import judge
from rolevend.access_requests.request import RequestedAccess
from rolevend.approvals.circumstances import CircumstancesReader
from rolevend.approvals.store import AccessRequestStore
from rolevend.approvals.votes import Votes
from rolevend.controllers.reevaluator import Reevaluator
from rolevend.decision.outcome import Request
from rolevend.decision.proof import Proof, UserToken
from rolevend.decision.snapshot import Snapshot
from rolevend.errors import RolevendError
from rolevend.kinds import AccessRequest
from rolevend.kinds.access_request_facts import decision_request, life_status, login_facts, recorded, requested_access
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

_log = logging.getLogger(__name__)


class AccessRequestController:
    def __init__(
        self,
        store: AccessRequestStore,
        votes: Votes,
        circumstances: CircumstancesReader,
        authenticator: UserAuthenticator,
        snapshots: Snapshots,
        reevaluator: Reevaluator,
    ) -> None:
        self._store = store
        self._votes = votes
        self._circumstances = circumstances
        self._authenticator = authenticator
        self._snapshots = snapshots
        self._reevaluator = reevaluator
        self._due: dict[ObjectName, float] = {}
        """By request, the time by `time.monotonic` when it is to be judged again."""

    async def run(self) -> None:
        """Run until cancelled."""
        before, all_due = None, 0.0
        while True:
            snapshot, now = self._snapshots.snapshot, time.monotonic()
            if self._votes.informer.synced and self._store.informer.synced and not snapshot.pending:
                if snapshot is not before or now >= all_due:
                    before, all_due = snapshot, now + _FULL_PASS_SECONDS
                    self._due.update(dict.fromkeys((object_name(each) for each in self._store.all() if not _is_final(each)), now))
                for name in self._take_due(now):
                    await self._judge(name, snapshot)
            wait = min([all_due, *self._due.values()], default=all_due) - time.monotonic()
            await self._store.changed(max(0.0, min(wait, _RETRY_SECONDS)))

    def _take_due(self, now: float) -> list[ObjectName]:
        """Return the requests to judge now, the oldest first: a limit is for those that came first."""
        for name in self._store.take_changed():
            self._due[name] = now
        due = [name for name, at in self._due.items() if at <= now]
        for name in due:
            del self._due[name]
        return sorted(due, key=self._age)

    def _age(self, name: ObjectName) -> tuple[datetime, ObjectName]:
        found = self._store.get(name)
        created = found.metadata.creation_timestamp if found is not None else None
        return created or datetime.max.replace(tzinfo=UTC), name

    async def _judge(self, name: ObjectName, snapshot: Snapshot) -> None:
        resource = self._store.get(name)
        try:
            if resource is not None and not _is_final(resource):
                await self._judge_open(resource, snapshot)
        except (ResourceConflict, NotFound):  # it changed meanwhile: the watch reports it
            self._look_again(name, _RETRY_SECONDS)
        except RolevendError as error:
            _log.warning("cannot judge an AccessRequest: %s", error, extra={"object": str(name)})
            self._look_again(name, _RETRY_SECONDS)
        self._reevaluator.on_approval(name)

    async def _judge_open(self, resource: AccessRequest, snapshot: Snapshot) -> None:
        request = await self._prove(decision_request(resource), snapshot)
        now = await self._circumstances.read(resource, request, snapshot)
        before = recorded(resource)
        judgement = judge(_asked(resource, request), before, now)
        if judgement.look_again_at is not None:
            self._look_again(object_name(resource), (judgement.look_again_at - now.now).total_seconds())
        after = judgement.recorded(before, now.now)
        if after == before:
            return
        display = now.terms.display if now.terms is not None else ""
        status = life_status(resource, after, display, self._votes.on(Uid(resource.uid)), now.now)
        if resource.status.user is None:
            status["user"] = _user(resource, request, snapshot)
        await self._store.write_status(resource, status)
        _log.info("judged", extra={"object": str(object_name(resource)), "state": after.state, "reason": after.reason})

    async def _prove(self, request: Request, snapshot: Snapshot) -> Request:
        """Return the request with the proof by the token in its Secret, if it has one that was not read yet. The token is not redeemed: it
        can prove the role, too."""
        agent = snapshot.agents.get(request.agent)
        if not isinstance(request.token, UserToken) or agent is None or agent.identity is None:
            return request
        return replace(request, proof=await self._authenticator.prove(request, request.token, agent, snapshot, redeem=False))

    def _look_again(self, name: ObjectName, seconds: float) -> None:
        self._due[name] = time.monotonic() + max(0.0, seconds)


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


def _is_final(resource: AccessRequest) -> bool:
    state = recorded(resource).state
    return state is not None and state.is_final

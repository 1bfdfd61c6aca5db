"""Create the AccessDecision of the caller, and wait until the operator has counted it. I/O."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rolevend.approvals.ballot import Choice, next_step
from rolevend.approvals.details import RequestDetails
from rolevend.approvals.reader import DECISIONS, REQUESTS, ClusterAccess, RequestReader
from rolevend.approvals.wording import CommandFlags, approvers, moment
from rolevend.errors import ClusterUnavailable, Conflict, NotPermitted, Rejected
from rolevend.kinds import AccessDecision, AccessRequest, parse
from rolevend.kube.client import SELF_SUBJECT_REVIEWS, Body, KubeClient, NotFound, ResourceConflict

_POLL_SECONDS: Final = 0.3
_LONGEST_PREFIX: Final = 200
"""Of the name of a vote, which the API server completes."""
_APPROVED: Final = ("Approved", "Used", "Spent")


@dataclass(frozen=True, slots=True)
class VoteOutcome:
    text: str
    """One line."""
    failed: bool = False
    """True if the vote has no effect."""


async def look(access: ClusterAccess, name: str) -> tuple[RequestDetails, str]:
    """Return the request with its offer, and the user name of the caller."""
    async with access.connected() as cluster:
        reader = RequestReader(cluster, access.namespace or cluster.namespace)
        return await reader.question(name), await caller_name(cluster)


async def vote(
    access: ClusterAccess, request: AccessRequest, decision: Body, wait: float, flags: CommandFlags, report: Callable[[str], None]
) -> VoteOutcome | None:
    """Cast the vote, and return its result, or None without a wait. `report` receives the line about the new object."""
    async with access.connected() as cluster:
        await cast(cluster, decision, flags, dry_run=False)
        metadata = decision["metadata"]
        report(next_step(decision, flags.revoke(metadata["namespace"], metadata["name"])))
        return await outcome(cluster, request, decision, wait, flags) if wait else None


async def check(access: ClusterAccess, decision: Body, flags: CommandFlags) -> None:
    """Raise what `vote` would raise. Stores nothing."""
    async with access.connected() as cluster:
        await cast(cluster, decision, flags, dry_run=True)


async def caller_name(cluster: KubeClient) -> str:
    """Return the user name that the API server knows the caller by."""
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = await cluster.create(SELF_SUBJECT_REVIEWS, review)
    return str(answer["status"]["userInfo"]["username"])


async def cast(cluster: KubeClient, decision: Body, flags: CommandFlags, *, dry_run: bool) -> None:
    """Create the AccessDecision. Raises Conflict if the caller voted before, and NotPermitted with the reason of the API server."""
    name, namespace = decision["metadata"]["name"], decision["metadata"]["namespace"]
    offer = f"{namespace}/{decision['spec']['offerRef']['name']}"
    try:
        await _create(cluster, decision, dry_run=dry_run)
    except ResourceConflict as error:
        raise await _voted_before(cluster, decision, flags) from error
    except NotPermitted as error:
        needs = f"create on accessdecisions, and approve on accesspolicies, in namespace {namespace}"
        raise NotPermitted(f"you may not decide on the offer {offer}, which needs the verbs {needs}: {error}") from error
    except NotFound as error:
        raise Rejected(f"the offer {offer} has no namespace, or the cluster no AccessDecisions: {error}") from error
    except Rejected as error:
        raise Rejected(f"the API server refuses AccessDecision {namespace}/{name}: {error}") from error


async def _create(cluster: KubeClient, decision: Body, *, dry_run: bool) -> None:
    """Create the decision. If it is somebody else's that has its name, it gets another one, which `decision` has afterwards."""
    metadata = decision["metadata"]
    namespace = metadata["namespace"]
    try:
        await cluster.create(DECISIONS, decision, namespace, dry_run=dry_run)
    except ResourceConflict:
        if (await cluster.get(DECISIONS, metadata["name"], namespace))["spec"]["by"] == decision["spec"]["by"]:
            raise
        prefix = metadata.pop("name")
        made = await cluster.create(
            DECISIONS, {**decision, "metadata": {**metadata, "generateName": f"{prefix[:_LONGEST_PREFIX]}-"}}, namespace, dry_run=dry_run
        )
        metadata["name"] = made["metadata"]["name"]


async def _voted_before(cluster: KubeClient, decision: Body, flags: CommandFlags) -> Conflict:
    name, namespace, asked = decision["metadata"]["name"], decision["metadata"]["namespace"], decision["spec"]["requestRef"]
    voted = f"you voted on AccessRequest {asked['namespace']}/{asked['name']} before"
    try:
        before = await cluster.get(DECISIONS, name, namespace)
        if before["spec"]["requestRef"]["uid"] != asked["uid"]:
            voted = f"you voted on an earlier AccessRequest {asked['namespace']}/{asked['name']}"
        voted = f"{voted}: {before['spec']['verdict']} at {before['metadata']['creationTimestamp']}"
    except (NotFound, NotPermitted):
        pass  # the message has less to say
    return Conflict(f"{voted}; to vote again, withdraw that vote first: {flags.revoke(namespace, name)}")


async def outcome(cluster: KubeClient, before: AccessRequest, decision: Body, seconds: float, flags: CommandFlags) -> VoteOutcome:
    """Wait until the vote changed the state of the request, or was counted without a change."""
    deadline = time.monotonic() + seconds
    subject = f"AccessRequest {before.namespace}/{before.name}"
    while True:
        counted = await _counted(cluster, decision)  # before the state, which the operator writes first
        try:
            request = parse(AccessRequest, await cluster.get(REQUESTS, before.name, before.namespace), unknown="ignore")
        except NotFound:
            return VoteOutcome(f"{subject} is gone: the agent withdrew it", failed=True)
        if request.uid != before.uid:
            return VoteOutcome(f"{subject} is another one now: the agent withdrew the first", failed=True)
        if request.status.state != before.status.state:
            return _changed(subject, request, decision["spec"]["verdict"])
        if counted is not None:
            return counted if counted.failed else VoteOutcome(f"your vote counts; {subject} is {request.status.state}{_why(request)}")
        if time.monotonic() >= deadline:
            follow = flags.rolevend("requests", request)
            return VoteOutcome(f"{subject} is still {request.status.state} after {seconds:g} s{_why(request)}; follow it: {follow} --watch")
        await asyncio.sleep(_POLL_SECONDS)


async def _counted(cluster: KubeClient, decision: Body) -> VoteOutcome | None:
    """Return None while the operator has not counted the vote, or if the caller may not read it."""
    metadata = decision["metadata"]
    try:
        vote = parse(AccessDecision, await cluster.get(DECISIONS, metadata["name"], metadata["namespace"]), unknown="ignore")
    except (NotPermitted, ClusterUnavailable):
        return None
    except NotFound:
        return VoteOutcome("your vote was withdrawn: its AccessDecision is deleted", failed=True)
    if vote.status.counted is None:
        return None
    return VoteOutcome(f"your vote does not count: {vote.status.message or 'no reason is known'}", failed=not vote.status.counted)


def _why(request: AccessRequest) -> str:
    return f": {request.status.message}" if request.status.message else ""


def _changed(subject: str, request: AccessRequest, choice: Choice) -> VoteOutcome:
    state, approval = request.status.state, request.status.approval
    until = f"; the agent can use it until {moment(approval.claim_until)}" if state == "Approved" and approval is not None else ""
    wanted = _APPROVED if choice == "Approve" else ("Denied", "Revoked")
    is_used = state in ("Used", "Spent")  # already, by a role that waited for the approval
    by = f", approved by {approvers(approval)} for {approval.expiration_seconds} seconds" if is_used and approval is not None else ""
    return VoteOutcome(f"{subject} is {state}{by}{_why(request)}{until}", failed=state not in wanted)

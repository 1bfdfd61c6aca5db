"""Write the AccessDecision of a person. Pure."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final, Literal

from rolevend.access_requests.text import Speaker, quoted
from rolevend.approvals import offer_text, wording
from rolevend.approvals.details import RequestDetails
from rolevend.approvals.narrowing import VoteNarrowing
from rolevend.approvals.wording import CommandFlags, span
from rolevend.errors import Rejected
from rolevend.kinds import API_VERSION, AccessDecision, AccessRequest, parse
from rolevend.kinds.status import body

Choice = Literal["Approve", "Deny"]
_LONGEST_NAME: Final = 253
_LONGEST_PREFIX: Final = 200
"""Of the name of a preview, which the API server completes."""


def decision_name(request: str, by: str) -> str:
    """Return the name of the vote of `by`: a second vote on the same request has the same name, which is a conflict."""
    mark = sha256(by.encode()).hexdigest()[:8]
    return f"{request[: _LONGEST_NAME - len(mark) - 1].rstrip('-.')}-{mark}"


def decision(request: AccessRequest, by: str, choice: Choice, narrowed: VoteNarrowing, comment: str | None) -> dict[str, Any]:
    """Return the AccessDecision. Raises InvalidInput if a field of it is invalid."""
    seen = request.status.offer
    digest = None if seen is None else seen.digest
    said = {"verdict": choice, "digest": digest, "expirationSeconds": narrowed.seconds, "comment": comment}
    made = _manifest(request, by, narrowed, {"name": decision_name(request.name, by)}, said)
    parse(AccessDecision, made)
    return made


def preview(request: AccessRequest, by: str, narrowed: VoteNarrowing) -> dict[str, Any]:
    """Return the AccessDecision that decides nothing, and asks for the effect of an approval in numbers. Its time is of no effect."""
    name = f"preview-{request.name[:_LONGEST_PREFIX].rstrip('-.')}-"
    return _manifest(request, by, narrowed, {"generateName": name}, {"verdict": "Preview"})


def _manifest(request: AccessRequest, by: str, narrowed: VoteNarrowing, named: dict[str, str], said: dict[str, Any]) -> dict[str, Any]:
    offer = request.spec.offer_ref
    spec = {
        "requestRef": {"namespace": request.namespace, "name": request.name, "uid": request.uid},
        "offerRef": {"name": offer.name},
        "by": by,
        "tables": None if narrowed.tables is None else [body(each) for each in narrowed.tables],
        "masks": [body(each) for each in narrowed.masks] or None,
        **said,
    }
    return {
        "apiVersion": API_VERSION,
        "kind": "AccessDecision",
        "metadata": {**named, "namespace": offer.namespace},
        "spec": {member: value for member, value in spec.items() if value is not None},
    }


def require_open(request: AccessRequest, choice: Choice, flags: CommandFlags) -> None:
    """Raise Rejected if a vote would change nothing.

    The denial of a request that a rule approved revokes the approval.
    """
    status, name = request.status, f"AccessRequest {request.namespace}/{request.name}"
    why = f": {status.message}" if status.message else ""
    if status.state is None or (status.state == "Pending" and choice == "Approve" and status.offer is None):
        raise Rejected(f"{name} is not ready for a decision: the operator has not read the offer yet{why}; try again")
    if status.state == "Pending":
        return
    closed = f"{name} is {status.state}, not Pending{why}"
    if choice == "Approve" or status.state not in ("Approved", "Used") or status.approval is None:
        raise Rejected(closed)
    if status.approval.rule is None:
        namespace, votes = request.spec.offer_ref.namespace, [each.decision.name for each in status.approval.approvers]
        raise Rejected(f"{closed}; to revoke the approval: {'; '.join(flags.revoke(namespace, each) for each in votes)}")


def summary(found: RequestDetails, by: str, choice: Choice, narrowed: VoteNarrowing, comment: str | None) -> str:
    """Return the vote as its author confirms it."""
    request, terms = found.request, found.offer.spec.on_request if found.offer is not None else None
    subject = f"AccessRequest {request.namespace}/{request.name}"
    if choice == "Deny":
        return f"You deny {subject}, as {by}."
    tables = narrowed.tables or request.spec.tables
    lines = [
        f"You approve {subject}, as {by}:",
        f"  tables      {'all of the offer' if tables is None else ', '.join(map(wording.table, tables))}",
        f"  columns     {'all of the offer' if request.spec.columns is None else wording.names(request.spec.columns)}",
        f"  masks       {'those of the offer' if not narrowed.masks else f'those of the offer, and {offer_text.masks(narrowed.masks)}'}",
        f"  for         {span(narrowed.seconds or found.longest_seconds)}",
    ]
    if terms is not None:
        roles = "one role" if terms.uses == 1 else f"{terms.uses} roles, one after the other"
        lines.append(f"  permits     {roles}, vended within {span(terms.claim_seconds)} after the approval")
    if comment is not None:
        lines.append(f"  comment     {quoted(comment, Speaker.APPROVER)}")
    return "\n".join(lines)


def next_step(decision: Mapping[str, Any], revoke: str) -> str:
    """Return the line that says where the vote is, and how it is withdrawn."""
    metadata, choice = decision["metadata"], decision["spec"]["verdict"]
    created = f"created AccessDecision {metadata['namespace']}/{metadata['name']}"
    return f"{created}; to revoke it: {revoke}" if choice == "Approve" else created

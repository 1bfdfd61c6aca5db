"""The parts of audit events that are about approvals of offers. Values, and pure functions that create them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from rolevend.access_requests.counted import CountedVote
from rolevend.access_requests.request import Approver
from rolevend.audit.evidence import mask_shown
from rolevend.audit.json_size import Rendered, within
from rolevend.decision.approval import ActiveApproval, Approval
from rolevend.model import Uid
from rolevend.policy.statement import MaskRule

_MAX_NARROWING_BYTES: Final = 1024
"""For the tables, and for the masks, of one approver."""
_MAX_NAMES_BYTES: Final = 2048
"""For the people who approved, in the event of a role. Its receipt contains them, too."""


@dataclass(frozen=True)
class RoleApproval(Rendered):
    """The approval that a role uses."""

    request: str
    """The AccessRequest: `namespace/name`."""
    request_uid: Uid | None = None
    """Its uid. Left out with the next two if the request may not use the approval, or if it is not known any more."""
    offer: str | None = None
    """The AccessPolicy that the approval activates: `namespace/name`."""
    approved_by: tuple[str, ...] | None = None
    """The people who approved, or `rule` and its name. As many as fit."""


@dataclass(frozen=True, slots=True)
class AccessApprover:
    by: str
    """The user name of the approver in Kubernetes."""
    decision: str
    """The name of the AccessDecision, in the namespace of the offer."""
    decision_uid: Uid
    at: datetime
    """When the AccessDecision was created."""
    expiration_seconds: int | None = None
    """The longest lifetime that the approver allows."""
    tables: tuple[str, ...] | None = None
    """The only tables that the approver allows: `schema.table`."""
    tables_left_out: int | None = None
    masks: tuple[str, ...] | None = None
    """Masks that the approver adds: the name of the rule, and the mask."""
    masks_left_out: int | None = None


@dataclass(frozen=True, slots=True)
class AccessVote:
    by: str
    decision: str
    """The name of the AccessDecision, in the namespace of the offer."""
    decision_uid: Uid
    verdict: str
    """`Approve` or `Deny`."""
    counted: bool
    message: str
    """Why it counts or not."""


def role_approval(approval: Approval | None) -> RoleApproval | None:
    match approval:
        case None:
            return None
        case ActiveApproval():
            names, _ = within(_MAX_NAMES_BYTES, approval.approved_by)
            return RoleApproval(str(approval.name), approval.uid, str(approval.asked.offer), names)
        case _:
            return RoleApproval(str(approval.name))


def approval_sentence(approved_by: Sequence[str], offer: str) -> str:
    """Return who approved which offer. `offer` is a name, or `namespace/name`."""
    return f"approved by {', '.join(approved_by)} ({offer.rpartition('/')[2]})"


def approval_sentence_of(data: Mapping[str, Any]) -> str | None:
    """Return the sentence for an event of a role, from its data as in a file; None if the role used no approval, or if the event has only
    its name."""
    approval = data.get("approval", {})
    return approval_sentence(approval["approvedBy"], approval["offer"]) if "approvedBy" in approval else None


def access_approver(approver: Approver) -> AccessApprover:
    tables, tables_left_out = _fitting(None if approver.tables is None else sorted(map(str, approver.tables)))
    masks, masks_left_out = _fitting([_mask(each) for each in approver.masks] or None)
    return AccessApprover(
        by=approver.by,
        decision=approver.decision,
        decision_uid=approver.decision_uid,
        at=approver.at,
        expiration_seconds=approver.expiration_seconds,
        tables=tables,
        tables_left_out=tables_left_out,
        masks=masks,
        masks_left_out=masks_left_out,
    )


def access_votes(votes: Iterable[CountedVote]) -> tuple[AccessVote, ...] | None:
    found = (
        AccessVote(
            by=each.vote.by,
            decision=each.vote.name.name,
            decision_uid=each.vote.uid,
            verdict="Approve" if each.vote.approves else "Deny",
            counted=each.counted,
            message=each.message,
        )
        for each in votes
    )
    return tuple(found) or None


def _mask(rule: MaskRule) -> str:
    return f"{rule.name}: {mask_shown(rule.mask)}"


def _fitting(values: list[str] | None) -> tuple[tuple[str, ...] | None, int | None]:
    """Return the first values that fit, and how many do not."""
    if values is None:
        return None, None
    shown, _ = within(_MAX_NARROWING_BYTES, values)
    return shown, len(values) - len(shown) or None

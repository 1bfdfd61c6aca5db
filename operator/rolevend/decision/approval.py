"""The approval that a request names. It is an input of the decision, like the proof of the user: no approval grants by itself."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from rolevend.access_requests.terms import NeededProof
from rolevend.model import ObjectName, Uid
from rolevend.policy.offer import Activation

_NO_TIME: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ApprovalRef:
    """The AccessRequest that the request names. It was not read yet."""

    name: ObjectName
    uid: Uid | None = None
    """Of the AccessRequest with which the role was begun; None: no vend was begun. The role uses no other one of this name."""


@dataclass(frozen=True, slots=True)
class ActiveApproval:
    """An approval that the request may use."""

    name: ObjectName
    """Of the AccessRequest."""
    uid: Uid
    asked: Activation
    """The offer, with the narrowing of the AccessRequest."""
    granted: Activation
    """The same, with the narrowings of the approvers."""
    digest: str
    """Of what `asked` showed the user when the AccessRequest was made; see `effect_digest`."""
    ends_by: datetime
    """The latest end of the role."""
    approved_by: tuple[str, ...] = ()
    """The people who approved, or the rule."""

    @property
    def of_access(self) -> "ActiveApproval":
        """Return the approval with the fields that decide about access, and constants in place of the others."""
        return replace(self, name=ObjectName("", ""), uid=Uid(""), ends_by=_NO_TIME, approved_by=())


@dataclass(frozen=True, slots=True)
class UnusableApproval:
    """An approval that the request may not use, and the reason."""

    name: ObjectName
    """Of the AccessRequest."""
    code: str
    message: str
    uid: Uid | None = None
    """As of `ApprovalRef`."""
    needed: NeededProof | None = None
    """The login of the user that would suffice, if the code is `ProofNotMet`."""
    ended_by: str | None = None
    """The code for the end of a role that used it; None: no role could use it."""


Approval = ApprovalRef | ActiveApproval | UnusableApproval

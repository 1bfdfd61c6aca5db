"""The states of a request, and the reasons for them. Values.

Pending -> Denied | Expired | Cancelled | Superseded
        -> Approved -> Used -> Spent
                    -> Lapsed
                    -> Revoked | Superseded         from Approved and from Used
"""

import enum


class RequestState(enum.StrEnum):
    PENDING = "Pending"
    DENIED = "Denied"
    EXPIRED = "Expired"
    CANCELLED = "Cancelled"
    APPROVED = "Approved"
    USED = "Used"
    SPENT = "Spent"
    LAPSED = "Lapsed"
    REVOKED = "Revoked"
    SUPERSEDED = "Superseded"

    @property
    def is_final(self) -> bool:
        """True if nothing changes the state any more."""
        return self not in (RequestState.PENDING, RequestState.APPROVED, RequestState.USED)

    @property
    def is_open(self) -> bool:
        """True if the request waits for a decision, or for its first use."""
        return self in (RequestState.PENDING, RequestState.APPROVED)

    @property
    def is_live(self) -> bool:
        """True if a role may use the approval, or uses it."""
        return self in (RequestState.APPROVED, RequestState.USED)


class RequestReason(enum.StrEnum):
    """The cause of a state, in one word."""

    OFFER_NOT_READ = "OfferNotRead"
    """Pending: nobody can tell yet what the offer shows. No rule was evaluated."""
    USER_CONFIRMS = "UserConfirms"
    """Pending: the user has not answered on rolevend's page. No rule was evaluated."""
    PEOPLE_DECIDE = "PeopleDecide"
    """Pending: no rule approves."""
    APPROVED_BY_RULE = "ApprovedByRule"
    APPROVED_BY_PEOPLE = "ApprovedByPeople"
    ROLE_VENDED = "RoleVended"
    """Used."""
    DENIED_BY_PERSON = "DeniedByPerson"
    """Denied; or Revoked, if a rule had approved, or a person in the same second."""
    NO_RULE_APPROVES = "NoRuleApproves"
    """Denied: people do not decide about this offer."""
    NOTHING_IN_COMMON = "NothingInCommon"
    """Denied: the approvers approved different tables."""
    COOL_DOWN = "CoolDown"
    TOO_MANY_OPEN = "TooManyOpenRequests"
    NOT_OFFERED = "NotOffered"
    ASK_INCOMPLETE = "AskIncomplete"
    PROOF_NOT_MET = "ProofNotMet"
    NOT_DECIDED = "NotDecided"
    NOT_CONFIRMED = "NotConfirmed"
    """Expired: the user did not answer."""
    REFUSED_BY_USER = "RefusedByUser"
    """Cancelled. It starts a cool-down, as a denial does."""
    WITHDRAWN = "Withdrawn"
    """Cancelled; or Revoked, if it was approved."""
    NOT_CLAIMED = "NotClaimed"
    USES_GONE = "UsesGone"
    APPROVAL_WITHDRAWN = "ApprovalWithdrawn"
    """The AccessDecision was deleted."""
    APPROVER_LOST_VERB = "ApproverLostVerb"
    USER_INACTIVE = "UserInactive"
    OFFER_GONE = "OfferGone"
    OFFER_CHANGED = "OfferChanged"
    EFFECT_CHANGED = "EffectChanged"
    STATUS_UNREADABLE = "StatusUnreadable"


COUNTED_DENIALS = frozenset({RequestReason.DENIED_BY_PERSON, RequestReason.NO_RULE_APPROVES, RequestReason.NOTHING_IN_COMMON})
"""The denials that start a cool-down. A denial by a cool-down, by a budget, or of an incomplete request starts none."""

"""The terms of an offer: the needed statements, the lifetime of a role, and the approval. Values."""

import enum
from dataclasses import dataclass
from datetime import timedelta

from rolevend.model import ObjectName, Uid
from rolevend.policy.condition import MatchCondition


class Justification(enum.Enum):
    """The author of the reason that a request must state."""

    NONE = "None"
    """No reason is asked for."""
    AGENT = "Agent"
    """The agent writes the reason."""
    USER = "User"
    """The user writes the reason, on rolevend's page."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one automatic rule approves; None: no limit."""

    per_user_per_day: int | None = None
    per_agent_per_hour: int | None = None
    live_at_once: int | None = None
    """Approvals that can still be used, and roles that live, for all users and agents."""


@dataclass(frozen=True, slots=True)
class Precedent:
    """The approvals of the same request by people that an automatic rule needs."""

    approved_by_people: int
    within: timedelta


@dataclass(frozen=True, slots=True)
class AutomaticRule:
    """A rule that approves requests without people."""

    name: str
    conditions: tuple[MatchCondition, ...]
    """All must hold; (): every request."""
    longest_seconds: int | None
    """None: as the offer."""
    limits: Limits
    precedent: Precedent | None = None


@dataclass(frozen=True, slots=True)
class NeededProof:
    """The proof of the user that a request needs."""

    longest_age_seconds: int | None = None
    """Since the user logged in; None: any age."""
    acr: tuple[str, ...] = ()
    """The accepted values of `acr`; (): any."""


@dataclass(frozen=True, slots=True)
class OfferTerms:
    """The terms of one offer."""

    offer: ObjectName
    uid: Uid
    generation: int
    display: str
    discoverable: bool
    """True if the offer may be named to users who do not have it."""
    longest_seconds: int
    claim_seconds: int
    uses: int
    pending_seconds: int
    purposes: frozenset[str] | None
    """A request states one of these purposes; None: any purpose, or none."""
    justification: Justification
    ticket: str | None
    """A regular expression that `policy.pattern` admits. The ticket of a request must contain a match; None: no ticket is asked for."""
    proof: NeededProof | None
    automatic: tuple[AutomaticRule, ...]
    """The first that matches approves."""
    required: int
    """The number of approvers; 0: only rules approve."""
    approver_must_hold: bool
    """True if only people who have the access of the offer themselves may approve."""
    notify: tuple[str, ...] = ()
    """The receivers that are notified of a request on which people decide; (): the default ones."""

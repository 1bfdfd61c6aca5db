"""The part of an AccessPolicy that makes it an offer: the needed statements, the lifetime of the role, and the approval."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from rolevend.kinds.match_condition import MatchConditions
from rolevend.kinds.part import Distinct, KeyedBy, Part, Rule, at_least_one
from rolevend.kinds.text import ApproverCount, Days, DisplayText, Label, PatternText, PositiveCount, Seconds, UseCount, Value, WaitSeconds

MOST_RULES = 16
MOST_RECEIVERS = 8


class TicketTerms(Part):
    """The ticket that a request must state."""

    pattern: PatternText
    r"""The ticket must match this pattern: `^FR-[0-9]+$`. Without `^` and `$` it matches a part of the ticket. As in a mask of the type
    `Regex`, without classes such as `\d` and repetition of a repetition."""


class Asks(Part):
    """The statements that a request needs."""

    purposes: Annotated[tuple[Label, ...], Field(min_length=1, max_length=64), Distinct()] | None = None
    """The request must state one of these purposes. Without it: any purpose, or none."""
    justification: Literal["None", "Agent", "User"] = "Agent"
    """The author of the reason that a request must state. `None`: no reason is needed. `Agent`: the agent. `User`: the user,
    on rolevend's own page."""
    ticket: TicketTerms | None = None
    """The request must state a ticket. Without it: none is needed."""


class ProofTerms(Part):
    """The proof of the user that a request needs. With it, the agent's assertion is not enough."""

    rules: ClassVar[tuple[Rule, ...]] = (at_least_one("maxAuthAgeSeconds", "acr"),)

    max_auth_age_seconds: WaitSeconds | None = None
    """The user must have logged in at most this long ago, by `auth_time` of their token."""
    acr: Annotated[tuple[Value, ...], Field(min_length=1, max_length=16), Distinct()] | None = None
    """The token must have one of these values of `acr`."""


class AutomaticLimits(Part):
    """The most that a rule approves. Counted from AccessRequests, also over restarts and replicas."""

    rules: ClassVar[tuple[Rule, ...]] = (at_least_one("perUserPerDay", "perAgentPerHour", "liveAtOnce"),)

    per_user_per_day: PositiveCount | None = None
    """Approvals for one user within 24 hours."""
    per_agent_per_hour: PositiveCount | None = None
    """Approvals for one agent within an hour."""
    live_at_once: PositiveCount | None = None
    """Approvals that can still be used, and roles that live, for all users and agents together."""


class PrecedentTerms(Part):
    """Earlier approvals of the same by people."""

    approved_by_people: ApproverCount
    """Number of approvals of the same agent, user and narrowing by people."""
    within_days: Days
    """Older approvals do not count."""


class AutomaticApproval(Part):
    """A rule that approves requests without people."""

    name: Label
    """Names the rule in `status.approval.rule` of an AccessRequest. Unique in the policy."""
    match_conditions: MatchConditions | None = None
    """All must be true. Without it: every request."""
    max_expiration_seconds: Seconds | None = None
    """The longest lifetime of a role that this rule approves; a request for a longer one is shortened. Without it: as the offer."""
    limits: AutomaticLimits
    """A request beyond a limit does not match. Required, so that an agent in a loop cannot collect approvals."""
    precedent: PrecedentTerms | None = None
    """A request matches only after people approved the same."""


class ApprovalTerms(Part):
    """The approval by people."""

    required: Annotated[int, Field(strict=True, ge=0, le=5, json_schema_extra={"format": "int32"})] = 1
    """Number of different approvers, each with an AccessDecision. 0: only rules of `automatic` approve."""
    approver_must_hold: bool = False
    """The decision of an approver counts only if policies grant the approver all tables and columns of the offer at all times, with any
    rows and masks."""


class OnRequest(Part):
    """The terms of an offer."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.approval) || self.approval.required > 0 || has(self.automatic)",
            message="automatic must be set for approval.required 0: otherwise nobody can approve; add a rule, or require an approver",
            holds=lambda terms: terms.approval.required > 0 or terms.automatic is not None,
            field="automatic",
        ),
        Rule(
            cel=(
                "!has(self.automatic) || self.automatic.all(rule, !has(rule.maxExpirationSeconds)"
                " || rule.maxExpirationSeconds <= self.maxExpirationSeconds)"
            ),
            message="maxExpirationSeconds of a rule of automatic must not be longer than the offer's; shorten it, or leave it out",
            holds=lambda terms: all(
                rule.max_expiration_seconds is None or rule.max_expiration_seconds <= terms.max_expiration_seconds
                for rule in terms.automatic or ()
            ),
            field="automatic",
        ),
    )

    display: DisplayText
    """One sentence that names the offer to users, models and approvers: `SSNs of open claims in clear, for fraud review`."""
    discoverable: bool = False
    """Name the offer to users and agents that lack its access. Otherwise they must know its name."""
    max_expiration_seconds: Seconds
    """The longest lifetime of a role."""
    claim_seconds: WaitSeconds = 3600
    """An approval lapses if it is not used within this time."""
    pending_seconds: WaitSeconds = 3600
    """A request expires if it is not decided within this time."""
    uses: UseCount = 1
    """Number of roles that one approval permits, one after the other."""
    asks: Asks = Asks()
    """The statements that a request needs. Without it: a justification by the agent."""
    proof: ProofTerms | None = None
    """The proof of the user that a request, each role of it, and a confirmation by the user need. Without it: as the Agent and the
    DataPlatform require."""
    automatic: Annotated[tuple[AutomaticApproval, ...], Field(min_length=1, max_length=MOST_RULES), KeyedBy(("name",))] | None = None
    """Rules that approve without people. The first that matches approves; without a match, people decide."""
    approval: ApprovalTerms = ApprovalTerms()
    """The approval by people. Without it: one approver."""
    notify: Annotated[tuple[Label, ...], Field(min_length=1, max_length=MOST_RECEIVERS), Distinct()] | None = None
    """Names of receivers in the operator's configuration, which are notified of a request on which people decide. They do not decide: RBAC
    says who may. Without it: the default receivers of the configuration, if it has any."""

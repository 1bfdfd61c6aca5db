"""One request: its immutable facts, and the recorded part of its life. Values."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from rolevend.access_requests.states import RequestReason, RequestState
from rolevend.catalog import TableId
from rolevend.model import ObjectName, PlatformName, Task, Uid, User
from rolevend.policy.offer import Activation, Narrowing
from rolevend.policy.statement import MaskRule


@dataclass(frozen=True, slots=True)
class LoginFacts:
    """The login of the user, as the user's token states it."""

    at: datetime | None = None
    """`auth_time`; None: the token does not state it."""
    acr: str | None = None


@dataclass(frozen=True, slots=True)
class RequestedAccess:
    """The immutable facts of an AccessRequest."""

    name: ObjectName
    uid: Uid
    created_at: datetime
    agent: ObjectName
    user: User
    platform: PlatformName
    offer: ObjectName
    expiration_seconds: int
    """Of the role."""
    tables: frozenset[TableId] | None = None
    """The only tables; None: all of the offer."""
    columns: frozenset[str] | None = None
    """The only columns; None: all of the offer."""
    purpose: str | None = None
    is_justified: bool = False
    """True: the agent states a reason. Its text decides nothing."""
    ticket: str | None = None
    task: Task | None = None
    login: LoginFacts | None = None
    """None: no token proves the user."""

    @property
    def narrowing(self) -> Narrowing:
        return Narrowing(self.tables, self.columns)

    @property
    def activation(self) -> Activation:
        """The requested part of the offer. The digest is of its effect."""
        return Activation(self.offer, (self.narrowing,))


@dataclass(frozen=True, slots=True)
class OfferVersion:
    """The offer when it was asked for."""

    uid: Uid
    generation: int
    digest: str
    """Of what it showed the user, with the narrowing of the request."""


@dataclass(frozen=True, slots=True)
class Approver:
    """A person who approved, with the narrowing of the approval."""

    by: str
    decision: str
    """The name of the AccessDecision, in the namespace of the offer."""
    decision_uid: Uid
    at: datetime
    expiration_seconds: int | None = None
    tables: frozenset[TableId] | None = None
    masks: tuple[MaskRule, ...] = ()
    comment: str | None = None

    @property
    def narrowing(self) -> Narrowing:
        return Narrowing(self.tables, masks=self.masks)


@dataclass(frozen=True, slots=True)
class Approval:
    """The approval of a request by a rule, or by people. An input of later decisions: it does not grant by itself."""

    decided_at: datetime
    claim_until: datetime
    expiration_seconds: int
    """The longest life of a role: the shortest of request, offer, rule and approvers."""
    rule: str | None = None
    """None: people approved."""
    approvers: tuple[Approver, ...] = ()

    def activation(self, request: RequestedAccess) -> Activation:
        """Return what is approved: never more than `request.activation`."""
        return Activation(request.offer, (request.narrowing, *(each.narrowing for each in self.approvers)))


@dataclass(frozen=True, slots=True)
class Use:
    """A role that uses the approval. It was recorded before the role was created."""

    role_uid: Uid
    role_name: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The answer of the user on rolevend's page."""

    confirms: bool
    digest: str
    """Of the effect that the user saw."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """The status of an AccessRequest, as the last judgement and the uses left it."""

    state: RequestState | None = None
    """None: not judged yet."""
    reason: RequestReason | None = None
    message: str = ""
    since: datetime | None = None
    """The time of the change to `state`."""
    offered: OfferVersion | None = None
    """None: no judgement read the offer yet."""
    approval: Approval | None = None
    uses: tuple[Use, ...] = ()
    confirmation: Confirmation | None = None
    """None: the user did not answer."""

    @property
    def is_open(self) -> bool:
        """True if it waits to be judged, for a decision, or for its first use, which may be recorded before the state says so."""
        return not self.uses and (self.state is None or self.state.is_open)


@dataclass(frozen=True, slots=True)
class OtherRequest:
    """Another AccessRequest, of the history that limits and precedents are counted from."""

    request: RequestedAccess
    recorded: Recorded


def common_tables(sets: Iterable[frozenset[TableId] | None]) -> frozenset[TableId] | None:
    """Return the tables that all sets have. None in `sets`, and as the result, stands for every table."""
    found = [each for each in sets if each is not None]
    return frozenset.intersection(*found) if found else None


def whole_second(moment: datetime) -> datetime:
    """Return the time without a fraction, as Kubernetes stores times."""
    return moment.replace(microsecond=0)

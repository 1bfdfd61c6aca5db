"""The members of the AuthZEN Access Request and Approval Profile, draft 1 (June 2026), over our own requests for offers. Pure.

| The draft has | Here it is |
|---|---|
| a requestable denial, its template and binding | a denial that an offer would lift, the name of the offer, and a sealed text |
| an item of a submission | an AccessRequest of the offer, for the one table or column that was denied |
| a task | the AccessRequests of one submission; its id is their names |
| an approval | the AccessRequest, as an input of the next decision |

The draft will change: nothing else depends on it. Not there: forms, schemas and catalogs, callbacks, `client`, `emergency`, `jwks_uri`, and
signed states of approvals. One denial binds one item.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AwareDatetime, Field

from rolevend.access_requests.states import RequestState
from rolevend.api.access.schemas import LONGEST_JUSTIFICATION, USUAL_SECONDS, OfferRequest
from rolevend.api.authzen.denial_binding import DeniedAccess, invalid_binding, unsealed
from rolevend.api.authzen.evaluation import EVALUATION_EXAMPLE, TASKS
from rolevend.api.authzen.schemas import DraftPart, EvaluatedAction, EvaluatedResource, EvaluatedSubject, ResourceProperties
from rolevend.kinds import AccessRequest
from rolevend.kinds.access_request_facts import recorded
from rolevend.kinds.part import Rule
from rolevend.kinds.shared import UserName
from rolevend.kinds.text import Label, TicketText, timestamp_text
from rolevend.kinds.vended_role import TableName
from rolevend.model import ObjectName, User

MOST_ITEMS: Final = 10
BETWEEN: Final = "~"
"""Between the names in the id of a task. No name of an object has it."""
SUBMISSION_EXAMPLE: Final[dict[str, Any]] = {
    **{member: EVALUATION_EXAMPLE[member] for member in ("subject", "action", "resource")},
    "context": {"purpose": "fraud-review", "business_justification": "The customer disputes a payment of last week", "ticket": "FR-12"},
    "denial": {"binding_token": "eyJhZ2VudCI6ImFnZW50cy9maW5ib3QifQ.c2VhbA", "expires_at": "2026-11-24T13:25:00Z"},
}
_LONGEST_SECONDS: Final = 86_400
_SHORTEST_SECONDS: Final = 5


class EchoedDenial(DraftPart):
    """The denial, as the evaluation returned it."""

    binding_token: Annotated[str, Field(min_length=1, max_length=4_096)]
    """`context.access_request.binding_token`, unchanged."""
    expires_at: AwareDatetime
    """`context.access_request.expires_at`, unchanged."""


class RequestedAccessShown(DraftPart):
    """The wanted access."""

    requested_until: AwareDatetime | None = None
    """The wanted end of the role, within a day. Without it: after 900 seconds of work."""


class TaskContext(DraftPart):
    """The context of the evaluation, and the facts for the approvers."""

    purpose: Label | None = None
    """The purpose of the evaluation, unchanged."""
    business_justification: Annotated[str, Field(min_length=1, max_length=LONGEST_JUSTIFICATION)] | None = None
    """The reason, in the agent's own words. Approvers read it as a quotation, cut at 500 characters, without links and secrets."""
    ticket: TicketText | None = None
    """The ticket of the request. The offer may require it."""


class TaskItem(DraftPart):
    """One denied access."""

    resource: EvaluatedResource
    action: EvaluatedAction
    requested_access: RequestedAccessShown | None = None
    denial: EchoedDenial


class TaskSubmission(DraftPart):
    """A submission: one denied access, or several in `items`. A denial binds one of them."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.items) != (has(self.resource) && has(self.action) && has(self.denial))",
            message="set either resource, action and denial, or items, of which each has its own",
            holds=lambda task: (
                all(each is not None for each in (task.resource, task.action, task.denial))
                if task.items is None
                else all(each is None for each in (task.resource, task.action, task.denial))
            ),
            field="items",
        ),
    )

    subject: EvaluatedSubject
    resource: EvaluatedResource | None = None
    action: EvaluatedAction | None = None
    denial: EchoedDenial | None = None
    items: Annotated[tuple[TaskItem, ...], Field(min_length=1, max_length=MOST_ITEMS)] | None = None
    """Each becomes a request of its own, and has its own decision."""
    context: TaskContext = TaskContext()
    requested_access: RequestedAccessShown = RequestedAccessShown()

    @property
    def wanted(self) -> tuple[tuple[str, TaskItem], ...]:
        """Return the items, each with the place of its members."""
        if self.items is not None:
            return tuple((f"items.{number}.", each) for number, each in enumerate(self.items))
        assert self.resource is not None and self.action is not None and self.denial is not None  # noqa: S101, PT018 - its rules say so
        return (("", TaskItem(resource=self.resource, action=self.action, denial=self.denial)),)

    def questions(self, agent: ObjectName, key: bytes, now: datetime) -> tuple[User, tuple[OfferRequest, ...]]:
        """Return our own requests, and the user of all of them, whom the token of the subject must prove. Raises Problem for a denial that
        is not ours, of another access, or too old; it names the item."""
        denials = [self._denied(agent, item, place, key, now) for place, item in self.wanted]
        user = User(denials[0].issuer, denials[0].subject)
        for denied, (place, _) in zip(denials, self.wanted, strict=True):
            if denied.issuer != user.issuer:
                raise invalid_binding(f"{place}denial.binding_token", "it is of another subject than the first one")
        return user, tuple(self._question(denied, item, now) for denied, (_, item) in zip(denials, self.wanted, strict=True))

    def _denied(self, agent: ObjectName, item: TaskItem, place: str, key: bytes, now: datetime) -> DeniedAccess:
        field, resource = f"{place}denial.binding_token", item.resource.properties
        denied = unsealed(item.denial.binding_token, key, now, field)
        here = DeniedAccess(
            agent=str(agent),
            issuer=self.subject.properties.issuer or denied.issuer,
            subject=self.subject.id,
            platform=resource.platform,
            schema=resource.schema_name,
            table=resource.table,
            column=resource.column,
            purpose=self.context.purpose,
            offer=denied.offer,
            expires_at=denied.expires_at,
        )
        if here != denied:
            raise invalid_binding(field, "it is of another agent, subject, resource or purpose; bring back that of this access")
        if item.denial.expires_at != denied.deadline:
            raise invalid_binding(f"{place}denial.expires_at", "it is not that of the denial; bring it back unchanged")
        return denied

    def _question(self, denied: DeniedAccess, item: TaskItem, now: datetime) -> OfferRequest:
        properties, issuer = item.resource.properties, self.subject.properties.issuer
        until = (item.requested_access or self.requested_access).requested_until
        return OfferRequest(
            user_token=self.subject.properties.user_token,
            user=None if issuer is None else UserName(issuer=issuer, subject=self.subject.id),
            platform=properties.platform,
            offer=denied.offer,
            tables=(TableName(schema_name=properties.schema_name, table=properties.table),),
            columns=None if properties.column is None else (properties.column,),
            purpose=denied.purpose,
            justification=self.context.business_justification,
            ticket=self.context.ticket,
            expiration_seconds=USUAL_SECONDS if until is None else _seconds(until, now),
        )


def _seconds(until: datetime, now: datetime) -> int:
    return min(max(int((until - now).total_seconds()), _SHORTEST_SECONDS), _LONGEST_SECONDS)


class ApprovalShownForTask(DraftPart):
    """The approval, for `context.approval` of the next evaluation, and for `approval` of a vend. It grants nothing."""

    id: str
    approved_at: str
    approved_until: str
    """A role must be requested until then."""


class TaskResult(DraftPart):
    mode: Literal["reevaluate"] = "reevaluate"
    approval: ApprovalShownForTask


TaskStatus = Literal["pending", "approved", "denied", "expired", "cancelled", "failed", "partial"]


class TaskItemShown(DraftPart):
    resource: EvaluatedResource
    """Its `id` is `schema.table`, or `schema.table.column`."""
    action: EvaluatedAction
    status: TaskStatus
    result: TaskResult | None = None


class TaskLinks(DraftPart):
    cancel: str
    """For `POST`."""


class TaskDisplay(DraftPart):
    title: str
    """The offer in one sentence, as its owner wrote it, or its name."""
    description: str | None = None
    """The reason of the state, for people."""


class TaskShown(DraftPart):
    """A submission, and what became of it."""

    id: str
    status: TaskStatus
    """`approved` stays, also when the approval has ended: the next evaluation says so. `partial`: the items differ."""
    status_endpoint: str
    links: TaskLinks | None = None
    """Only while the task is pending."""
    display: TaskDisplay | None = None
    """Only of a task without `items`."""
    items: tuple[TaskItemShown, ...] | None = None


class TaskAnswer(DraftPart):
    """The task and, for an approved one without `items`, its result."""

    task: TaskShown
    result: TaskResult | None = None


def answered(requests: Sequence[AccessRequest], base: str, *, several: bool) -> TaskAnswer:
    """Return the task of these requests. `several`: it has `items`."""
    name = BETWEEN.join([each.name for each in requests] + [""] * (several and len(requests) == 1))
    status, endpoint, first = aggregate([status_of(each) for each in requests]), f"{base}{TASKS}/{name}", requests[0]
    offer = first.spec.offer_ref
    task = TaskShown(
        id=name,
        status=status,
        status_endpoint=endpoint,
        links=TaskLinks(cancel=f"{endpoint}/cancel") if status == "pending" else None,
        display=None
        if several
        else TaskDisplay(
            title=first.status.offer.display if first.status.offer else f"{offer.namespace}/{offer.name}", description=first.status.message
        ),
        items=tuple(map(_item, requests)) if several else None,
    )
    return TaskAnswer(task=task, result=None if several else _result(first))


def status_of(request: AccessRequest) -> TaskStatus:
    """Return the status in the profile. It does not change once it is final, so an approval that ended is still approved."""
    life = recorded(request)
    if life.approval is not None:
        return "approved"
    match life.state:
        case None | RequestState.PENDING:
            return "pending"
        case RequestState.DENIED:
            return "denied"
        case RequestState.EXPIRED:
            return "expired"
        case RequestState.CANCELLED:
            return "cancelled"
        case _:
            return "failed"


def aggregate(statuses: Sequence[TaskStatus]) -> TaskStatus:
    if "pending" in statuses:
        return "pending"
    return statuses[0] if len(set(statuses)) == 1 else "partial"


def _item(request: AccessRequest) -> TaskItemShown:
    spec = request.spec
    (table,), column = spec.tables or (), next(iter(spec.columns or ()), None)
    name = f"{table.schema_name}.{table.table}"
    properties = ResourceProperties(platform=spec.platform_ref.name, schema_name=table.schema_name, table=table.table, column=column)
    resource = EvaluatedResource(type="column" if column else "table", id=f"{name}.{column}" if column else name, properties=properties)
    return TaskItemShown(resource=resource, action=EvaluatedAction(name="read"), status=status_of(request), result=_result(request))


def _result(request: AccessRequest) -> TaskResult | None:
    approval = recorded(request).approval
    if approval is None:
        return None
    times = timestamp_text(approval.decided_at), timestamp_text(approval.claim_until)
    return TaskResult(approval=ApprovalShownForTask(id=request.name, approved_at=times[0], approved_until=times[1]))


def is_of_a_task(request: AccessRequest) -> bool:
    """True if an item of a task can show it: it is for one table, or one column of it."""
    return request.spec.tables is not None and len(request.spec.tables) == 1 and len(request.spec.columns or ()) <= 1

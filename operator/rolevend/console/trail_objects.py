"""The trail of a role as the objects in the cluster tell it, where no audit event is at hand. Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from rolevend.console.inbox import RequestView
from rolevend.console.live import RoleView
from rolevend.console.trail_query import uid_of
from rolevend.console.trail_text import TrailEntry, moment
from rolevend.kinds import AccessRequest, VendedRole
from rolevend.kinds.text import timestamp_text

IN_THE_CLUSTER = "in the cluster"


def uid_of_role(role: VendedRole) -> str:
    """Return the uid in the name of the role: of one that a database records, the object has another one."""
    return uid_of(role.status.role_name or "") or role.uid


def as_event(found: VendedRole | AccessRequest) -> Mapping[str, Any]:
    """Return the object as the search reads an event."""
    name, spec = f"{found.namespace}/{found.name}", found.spec
    data: dict[str, Any] = {"agent": f"{found.namespace}/{spec.agent_ref.name}", "userSubject": spec.user.subject}
    if isinstance(found, VendedRole):
        platforms = ", ".join(each.name for each in found.spec.platform_refs)
        data |= {"requestUid": uid_of_role(found), "request": name, "role": found.status.role_name or "", "platform": platforms}
    else:
        data |= {"accessRequestUid": found.uid, "accessRequest": name, "platform": found.spec.platform_ref.name}
    return {"id": found.uid, "type": IN_THE_CLUSTER, "time": _time(found.metadata.creation_timestamp), "data": data}


def of_request(view: RequestView) -> Iterator[TrailEntry]:
    request = view.found.request
    status = request.status
    yield TrailEntry(
        _moment(request.metadata.creation_timestamp), "Access asked for", f"AccessRequest {request.namespace}/{request.name}", view.facts
    )
    if (answer := status.confirmation) is not None:
        words = [] if answer.text is None else [("in the words of the user", answer.text)]
        yield TrailEntry(_moment(answer.at), "Answer of the user", answer.verdict, words)
    for vote in view.found.votes or ():
        words = [] if vote.spec.comment is None else [("comment", vote.spec.comment)]
        yield TrailEntry(_moment(vote.metadata.creation_timestamp), "Vote", f"{vote.spec.by}: {vote.spec.verdict}", words)
    for use in status.uses:
        yield TrailEntry(_moment(use.at), "Approval used", f"by VendedRole {request.namespace}/{use.role_name}")
    if status.state is not None:
        yield TrailEntry(_moment(status.state_since), f"Request is {status.state}", status.message or "")


def of_role(view: RoleView) -> Iterator[TrailEntry]:
    role = view.role
    facts = list(view.facts)
    for each in view.platforms:
        tables = f": {', '.join(each.tables)}" if each.tables else ""
        facts.append((f"on {each.name}", f"{each.state}, {each.table_count or 0} tables{tables}"))
    yield TrailEntry(_moment(role.metadata.creation_timestamp), "Role asked for", f"VendedRole {role.namespace}/{role.name}", facts)
    for condition in role.status.conditions:
        yield TrailEntry(_moment(condition.last_transition_time), f"{condition.type}: {condition.reason}", condition.message)
    if role.metadata.deletion_timestamp is not None:
        yield TrailEntry(_moment(role.metadata.deletion_timestamp), "Role ends")


def _moment(time: datetime | None) -> str:
    return moment(_time(time))


def _time(time: datetime | None) -> str:
    return "" if time is None else timestamp_text(time)

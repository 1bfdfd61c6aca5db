"""The audit events of a role: its grant and its end, and before them the request and the decisions about the approval that it used."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rolevend.audit.access import approval_sentence_of
from rolevend.audit.event_files import events
from rolevend.audit.events import EventType
from rolevend.naming import parse_role_name

ROLE_UID, ACCESS_UID = "requestUid", "accessRequestUid"
"""The members of `data` with the uid of the VendedRole, and of the AccessRequest."""


@dataclass(frozen=True, slots=True)
class ChainLink:
    time: str
    event: str
    """The last part of the type."""
    text: str


def chain_of(role_name: str, files: Sequence[str]) -> list[ChainLink]:
    """Return the events in the order of the files, each once. Raises InvalidInput if the name is not one of a vended role, or if a file
    cannot be read."""
    uid = parse_role_name(role_name).uid
    found: dict[str, dict[str, Any]] = {}
    for event in events(files):
        if event["data"].get(ROLE_UID) == uid or ACCESS_UID in event["data"]:
            found.setdefault(str(event["id"]), event)
    used = used_requests(found.values())
    mine = [each for each in found.values() if ACCESS_UID not in each["data"] or each["data"][ACCESS_UID] in used]
    return [ChainLink(str(each["time"]), kind_of(each), sentence(each)) for each in mine]


def used_requests(role_events: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the uids of the AccessRequests whose approval the role uses."""
    approvals = (each["data"].get("approval") for each in role_events)
    return {str(each["requestUid"]) for each in approvals if isinstance(each, Mapping) and "requestUid" in each}


def kind_of(event: Mapping[str, Any]) -> str:
    """Return the last part of its type."""
    return str(event["type"]).rpartition(".")[2]


def sentence(event: Mapping[str, Any]) -> str:
    """Return the event in one sentence. Raises KeyError or TypeError if it lacks a member."""
    data: dict[str, Any] = event["data"]
    match event["type"]:
        case EventType.ACCESS_REQUESTED:
            user = f"{data['userSubject']} ({data['userIssuer']})"
            return f"{data['agent']} asks for {data['offer']}, for {user}: AccessRequest {data['accessRequest']}"
        case EventType.ACCESS_ANSWERED:
            user = f"{data['userSubject']} ({data['userIssuer']})"
            return f"{user}, logged in at {data['identityProvider']}: {data['verdict']}"
        case EventType.ACCESS_DECIDED:
            uncounted = [f"{each['by']} ({each['message']})" for each in data.get("votes", []) if not each["counted"]]
            rest = f"; not counted: {', '.join(uncounted)}" if uncounted else ""
            return f"{data['state']}: {data['message']}{rest}"
        case EventType.GRANTED:
            approval = approval_sentence_of(data)
            return f"{data['role']} on {data['platform']} until {data['expiresAt']}" + (f", {approval}" if approval else "")
        case EventType.DROPPED:
            by = f" by {data['endedBy']}" if "endedBy" in data else ""
            return f"{data['role']} is gone from {data['platform']}: {data['ended']}{by}"
        case EventType.DENIED:
            return f"{data['reason']}: {data['message']}"
        case _:
            return str(data.get("role", data.get("request", "")))

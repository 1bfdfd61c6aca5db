"""The chain of audit events of a role, for `rolevend trace`: its grant and its end, and before them the request and the decisions about the
approval that it used."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rolevend.audit.access import approval_sentence_of
from rolevend.audit.event_files import events
from rolevend.audit.events import EventType
from rolevend.naming import parse_role_name

_APPROVED_REQUEST = "accessRequestUid"


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
        if event["data"].get("requestUid") == uid or _APPROVED_REQUEST in event["data"]:
            found.setdefault(str(event["id"]), event)
    used = {each["data"].get("approval", {}).get("requestUid") for each in found.values()} - {None}
    mine = [each for each in found.values() if _APPROVED_REQUEST not in each["data"] or each["data"][_APPROVED_REQUEST] in used]
    return [ChainLink(str(each["time"]), str(each["type"]).rpartition(".")[2], _text(each["type"], each["data"])) for each in mine]


def _text(kind: str, data: dict[str, Any]) -> str:
    match kind:
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
            sentence = approval_sentence_of(data)
            return f"{data['role']} on {data['platform']} until {data['expiresAt']}" + (f", {sentence}" if sentence else "")
        case EventType.DROPPED:
            by = f" by {data['endedBy']}" if "endedBy" in data else ""
            return f"{data['role']} is gone from {data['platform']}: {data['ended']}{by}"
        case EventType.DENIED:
            return f"{data['reason']}: {data['message']}"
        case _:
            return str(data.get("role", data.get("request", "")))

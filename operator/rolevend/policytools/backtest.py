"""`rolevend policy backtest`: the access that the policies in a folder would have given to past requests.

The audit events hold the access that was given, and all that was known of the user. For agents the files take precedence over the
record.
"""

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rolevend.audit.access_diff import Change, compare
from rolevend.audit.event_files import events
from rolevend.audit.events import EventType
from rolevend.audit.evidence import ColumnAccess, TableAccess
from rolevend.decision.snapshot import Snapshot
from rolevend.decision.snapshot_inputs import KnownUser
from rolevend.errors import InvalidInput
from rolevend.model import Attributes, ObjectName, PlatformName, User
from rolevend.policy.request_context import Combination
from rolevend.policytools import offer_backtest
from rolevend.policytools.decisions import SECONDS, Requester, given, narrower, opened, unlabelled
from rolevend.policytools.folder import Catalogs, Folder
from rolevend.policytools.offer_backtest import DENIED_BY_POLICIES, ByAsking, offers_for
from rolevend.policytools.report import noted
from rolevend.text_table import Form, rendered

_AGO = re.compile(r"([1-9][0-9]{0,5})([dh])")


@dataclass(frozen=True, slots=True)
class Past:
    """Past decisions on one question: the requester, the known attributes, and the access that was given."""

    who: Requester
    attributes: Attributes
    agent_attributes: Attributes
    combination: Combination | None
    """The combination of user and agent. None: the record is older than grants to agents themselves."""
    resources: tuple[str, ...] | None
    """The requested tables; None: all of them."""
    tables: tuple[TableAccess, ...]
    cut: bool
    """True if the record omits tables."""
    timed: bool
    """True if the record has the requested lifetime."""
    partial: bool = False
    """True if the record omits a part of the request, or attributes of user or agent."""
    denied: bool = False
    """True if policies granted nothing, or not every requested table."""


@dataclass(slots=True)
class DecisionCount:
    decisions: int = 0
    last: str = ""


@dataclass(frozen=True, slots=True)
class BacktestOutcome:
    who: Requester
    decisions: int
    last: str
    """Time of the last decision."""
    change: Change


@dataclass(slots=True)
class Backtest:
    decisions: int = 0
    compared: int = 0
    """Compared decisions."""
    unread: frozenset[PlatformName] = frozenset()
    """Platforms among the files that have decisions but no catalog."""
    outcomes: list[BacktestOutcome] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Limits of the comparison."""
    by_asking: ByAsking = field(default_factory=ByAsking)

    @property
    def failed(self) -> bool:
        """True if there are decisions to compare, and an argument is missing for it."""
        return bool(self.unread or (self.decisions and not self.compared))


def backtest(paths: Sequence[Path], audit_files: Sequence[str], since: datetime | None, catalogs: Catalogs) -> Backtest:
    snapshot = Folder.sound(paths).build(catalogs).snapshot
    asked = _asked(audit_files, since)
    missing = {past.who.platform for past in asked} - snapshot.shapes.keys()
    left = {past: count for past, count in asked.items() if past.who.platform not in missing and not past.partial}
    found = Backtest(_decisions(asked), _decisions(left), frozenset(missing & snapshot.platforms.keys()))
    found.notes += [f"nothing on {name} was compared: its DataPlatform and its --catalog are needed" for name in sorted(missing)]
    unlabelled_namespaces = unlabelled(snapshot, (past.who.agent for past in left))
    for past, count in sorted(left.items(), key=lambda item: (item[0].who, item[1].last)):
        recorded = {each.table for each in past.tables} if past.cut else None
        known = _known(snapshot, past, unlabelled_namespaces)
        granted = given(known, past.who)
        after = [
            each
            for each in granted
            if (recorded is None or each.table in recorded) and (past.resources is None or each.table in past.resources)
        ]
        if past.denied and (past.resources is not None or not granted):
            offers = offers_for(known, past.who, past.resources, {each.table for each in granted})
            if offers is not None:
                found.by_asking.add(count.decisions, offers)
        found.outcomes += [BacktestOutcome(past.who, count.decisions, count.last, change) for change in compare(past.tables, after)]
    if unlabelled_namespaces:
        names = ", ".join(sorted(unlabelled_namespaces))
        note = f"agents of namespace {names} were taken as the records have them, not as the files do"
        found.notes.append(f"{note}: the DataPlatforms select by labels, so put the manifest of the Namespace among the files")
    untimed = sum(count.decisions for past, count in left.items() if not past.timed)
    if untimed:
        found.notes.append(f"{untimed} records do not say for how long the role was asked for: {SECONDS} seconds were taken")
    if partial := sum(count.decisions for past, count in asked.items() if past.partial):
        found.notes.append(f"{partial} records had no room for all that was asked or known: these were not compared")
    if any(past.cut for past in left):
        found.notes.append("some records had no room for every table: of these only the tables that they name were compared")
    return found


def _decisions(asked: Mapping[Past, DecisionCount]) -> int:
    return sum(count.decisions for count in asked.values())


def _known(snapshot: Snapshot, past: Past, unlabelled_namespaces: Container[str]) -> Snapshot:
    """Return `snapshot` with the recorded user. The combination of an agent that is not among the files is unknown: it gets the narrower
    of the recorded one and the widest one."""
    who, people = past.who, [KnownUser(past.who.user, None, past.attributes)]
    if who.agent.namespace in unlabelled_namespaces:
        return opened(snapshot, people, [who.agent], [who.purpose], past.combination, past.agent_attributes)
    known = opened(snapshot, people, [who.agent], [who.purpose])
    widest = known.asking(who.request).combination
    return opened(snapshot, people, [who.agent], [who.purpose], narrower(past.combination, widest))


def moment(text: str, now: datetime) -> datetime:
    """Return the time of `30d` or `12h` ago, or of an ISO 8601 date or time (default UTC)."""
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return now - (timedelta(days=int(ago[1])) if ago[2] == "d" else timedelta(hours=int(ago[1])))
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput("--since", f"{text!r} is no time; write 30d, 12h, 2026-11-24 or 2026-11-24T12:00:00Z") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _asked(audit_files: Sequence[str], since: datetime | None) -> dict[Past, DecisionCount]:
    """Return each question with the number of its decisions. A duplicate event counts once."""
    asked: dict[Past, DecisionCount] = {}
    seen: set[str] = set()
    event: Mapping[str, Any] = {}
    for event in events(audit_files):
        if event.get("type") not in (EventType.GRANTED, EventType.DENIED) or event["id"] in seen:
            continue
        if since is not None and datetime.fromisoformat(event["time"]) < since:
            continue
        seen.add(event["id"])
        denied = event["type"] == EventType.DENIED and event["data"].get("reason") in DENIED_BY_POLICIES
        count = asked.setdefault(replace(_past(event["data"]), denied=denied), DecisionCount())
        count.decisions += 1
        count.last = max(count.last, event["time"])
    if not event:
        raise InvalidInput("--audit", f"{', '.join(audit_files)}: no audit event is in there, so there is nothing to replay")
    return asked


def _past(data: dict[str, Any]) -> Past:
    namespace, _, name = data["agent"].partition("/")
    seconds = _seconds(data)
    return Past(
        Requester(
            User(data["userIssuer"], data["userSubject"]),
            ObjectName(namespace, name),
            PlatformName(data["platform"]),
            data.get("purpose", ""),
            seconds or SECONDS,
        ),
        _attributes(data, "attributes"),
        _attributes(data, "agentAttributes"),
        Combination(data["combination"]) if "combination" in data else None,
        tuple(data["resources"]) if "resources" in data else None,
        tuple(map(_table, data.get("tables", ()))),
        bool(data.get("tablesLeftOut")),
        seconds is not None,
        any(f"{member}LeftOut" in data for member in ("resources", "attributes", "agentAttributes")),
    )


def _seconds(data: dict[str, Any]) -> int | None:
    """Return the requested lifetime. None: an older record of a denial, which has no times."""
    if "expirationSeconds" in data:
        return int(data["expirationSeconds"])
    if "expiresAt" in data and "requestedAt" in data:
        return round((datetime.fromisoformat(data["expiresAt"]) - datetime.fromisoformat(data["requestedAt"])).total_seconds())
    return None


def _attributes(data: dict[str, Any], member: str) -> Attributes:
    return Attributes.of((each["key"], each["values"]) for each in data.get(member, ()))


def _table(data: dict[str, Any]) -> TableAccess:
    masked = tuple(ColumnAccess(each["name"], each["shows"]) for each in data["masked"])
    return TableAccess(
        data["table"],
        tuple(data["rows"]),
        tuple(data["clear"]),
        masked,
        tuple(data.get("restrictions", ())),
        tuple(data.get("lookups", ())),
        data.get("view"),
    )


HEAD = ("User", "Agent", "Platform", "Decisions", "Last", "Change", "What", "Before", "After")


def _row(outcome: BacktestOutcome) -> tuple[str, ...]:
    who, change = outcome.who, outcome.change
    about = (who.user.subject, str(who.agent), who.platform, str(outcome.decisions), outcome.last[:10])
    return (*about, change.direction, change.name, change.before or "", change.after or "")


def as_text(found: Backtest, form: Form) -> str:
    text = rendered(HEAD, [_row(each) for each in found.outcomes], form) if found.outcomes else _nobody(found)
    return noted("\n\n".join([text, *offer_backtest.as_text(found.by_asking, form)]), found.notes, form)


def _nobody(found: Backtest) -> str:
    if not found.decisions:
        return "no decision is in these files, or none since then: nothing was compared"
    if not found.compared:
        return f"{found.decisions} decisions: none of them was compared"
    others = f", {found.compared} of them compared" if found.compared != found.decisions else ""
    return f"{found.decisions} decisions{others}: nobody would have gained or lost anything"


def as_json(found: Backtest) -> dict[str, Any]:
    outcomes = [
        {
            "issuer": each.who.user.issuer,
            "subject": each.who.user.subject,
            "agent": str(each.who.agent),
            "platform": each.who.platform,
            "purpose": each.who.purpose,
            "expirationSeconds": each.who.seconds,
            "decisions": each.decisions,
            "last": each.last,
            "change": each.change.direction,
            "what": each.change.what,
            "name": each.change.name,
            "before": each.change.before,
            "after": each.change.after,
        }
        for each in found.outcomes
    ]
    by_asking = offer_backtest.as_json(found.by_asking)
    return {"decisions": found.decisions, "compared": found.compared, "outcomes": outcomes, "byAsking": by_asking, "notes": found.notes}

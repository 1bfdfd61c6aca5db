"""`rolevend policy backtest`: what the requests of the past would have been given by the policies in a folder.

What was given stands in the audit events, and so does all that was known of the user. What the files say of agents counts as it stands
there; the record counts where they do not say it.
"""

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rolevend.audit.access_diff import Change, compare
from rolevend.audit.event_files import events
from rolevend.audit.events import EventType
from rolevend.audit.evidence import ColumnAccess, TableAccess
from rolevend.decision.snapshot import KnownUser, Snapshot
from rolevend.errors import InvalidInput
from rolevend.model import Attributes, ObjectName, PlatformName, User
from rolevend.policy.request_context import Combination
from rolevend.policytools.decisions import SECONDS, Requester, given, narrower, opened, unlabelled
from rolevend.policytools.folder import Catalogs, Folder
from rolevend.policytools.report import Form, noted, rendered

_AGO = re.compile(r"([1-9][0-9]{0,5})([dh])")


@dataclass(frozen=True, slots=True)
class Past:
    """Decisions of the past that are one question: who asked, what was known of the user, and what was given."""

    who: Requester
    attributes: Attributes
    agent_attributes: Attributes
    combination: Combination | None
    """How the two sides were combined. None: in records of a time when agents were granted nothing themselves."""
    resources: tuple[str, ...] | None
    """The only tables that were asked for; None: all of them."""
    tables: tuple[TableAccess, ...]
    cut: bool
    """The record had no room for every table."""
    timed: bool
    """The record says for how long the role was asked for."""
    partial: bool = False
    """The record had no room for all that was asked, or for all that was known of user and agent."""


@dataclass(slots=True)
class Told:
    decisions: int = 0
    last: str = ""


@dataclass(frozen=True, slots=True)
class BacktestOutcome:
    who: Requester
    decisions: int
    last: str
    """When the last of them was made."""
    change: Change


@dataclass(slots=True)
class Backtest:
    decisions: int = 0
    compared: int = 0
    """How many of them."""
    unread: frozenset[PlatformName] = frozenset()
    """Platforms among the files on which decisions were made, and whose catalogs were not given."""
    outcomes: list[BacktestOutcome] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What could not be compared."""

    @property
    def failed(self) -> bool:
        """Whether there was something to compare, and an argument was missing for it."""
        return bool(self.unread or (self.decisions and not self.compared))


def backtest(paths: Sequence[Path], audit_files: Sequence[str], since: datetime | None, catalogs: Catalogs) -> Backtest:
    snapshot = Folder.sound(paths).build(catalogs).snapshot
    asked = _asked(audit_files, since)
    missing = {past.who.platform for past in asked} - snapshot.shapes.keys()
    left = {past: told for past, told in asked.items() if past.who.platform not in missing and not past.partial}
    found = Backtest(_decisions(asked), _decisions(left), frozenset(missing & snapshot.platforms.keys()))
    found.notes += [f"nothing on {name} was compared: its DataPlatform and its --catalog are needed" for name in sorted(missing)]
    unsaid = unlabelled(snapshot, (past.who.agent for past in left))
    for past, told in sorted(left.items(), key=lambda item: (item[0].who, item[1].last)):
        recorded = {each.table for each in past.tables} if past.cut else None
        after = [
            each
            for each in given(_known(snapshot, past, unsaid), past.who)
            if (recorded is None or each.table in recorded) and (past.resources is None or each.table in past.resources)
        ]
        found.outcomes += [BacktestOutcome(past.who, told.decisions, told.last, change) for change in compare(past.tables, after)]
    if unsaid:
        names = ", ".join(sorted(unsaid))
        why = f"agents of namespace {names} were taken as the records have them, not as the files do"
        found.notes.append(f"{why}: the DataPlatforms select by labels, so put the manifest of the Namespace among the files")
    untimed = sum(told.decisions for past, told in left.items() if not past.timed)
    if untimed:
        found.notes.append(f"{untimed} records do not say for how long the role was asked for: {SECONDS} seconds were taken")
    if partial := sum(told.decisions for past, told in asked.items() if past.partial):
        found.notes.append(f"{partial} records had no room for all that was asked or known: these were not compared")
    if any(past.cut for past in left):
        found.notes.append("some records had no room for every table: of these only the tables that they name were compared")
    return found


def _decisions(asked: Mapping[Past, Told]) -> int:
    return sum(told.decisions for told in asked.values())


def _known(snapshot: Snapshot, past: Past, unsaid: Container[str]) -> Snapshot:
    """What is known for it. Of an agent that is not among the files nobody knows whether it would have its combination of then or the
    widest one: the narrower of the two counts."""
    who, people = past.who, [KnownUser(past.who.user, None, past.attributes)]
    if who.agent.namespace in unsaid:
        return opened(snapshot, people, [who.agent], [who.purpose], past.combination, past.agent_attributes)
    known = opened(snapshot, people, [who.agent], [who.purpose])
    widest = known.asking(who.request).combination
    return opened(snapshot, people, [who.agent], [who.purpose], narrower(past.combination, widest))


def moment(text: str, now: datetime) -> datetime:
    """`30d` and `12h` ago, or a date or time in ISO 8601; UTC where no zone is given."""
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return now - (timedelta(days=int(ago[1])) if ago[2] == "d" else timedelta(hours=int(ago[1])))
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput("--since", f"{text!r} is no time; write 30d, 12h, 2026-11-24 or 2026-11-24T12:00:00Z") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _asked(audit_files: Sequence[str], since: datetime | None) -> dict[Past, Told]:
    """Each question once, with how often it was decided. An event that was written twice counts once."""
    asked: dict[Past, Told] = {}
    seen: set[str] = set()
    event: Mapping[str, Any] = {}
    for event in events(audit_files):
        if event.get("type") not in (EventType.GRANTED, EventType.DENIED) or event["id"] in seen:
            continue
        if since is not None and datetime.fromisoformat(event["time"]) < since:
            continue
        seen.add(event["id"])
        told = asked.setdefault(_past(event["data"]), Told())
        told.decisions += 1
        told.last = max(told.last, event["time"])
    if not event:
        raise InvalidInput("--audit", f"{', '.join(audit_files)}: no audit event is in there, so there is nothing to replay")
    return asked


def _past(told: dict[str, Any]) -> Past:
    namespace, _, name = told["agent"].partition("/")
    seconds = _seconds(told)
    return Past(
        Requester(
            User(told["userIssuer"], told["userSubject"]),
            ObjectName(namespace, name),
            PlatformName(told["platform"]),
            told.get("purpose", ""),
            seconds or SECONDS,
        ),
        _attributes(told, "attributes"),
        _attributes(told, "agentAttributes"),
        Combination(told["combination"]) if "combination" in told else None,
        tuple(told["resources"]) if "resources" in told else None,
        tuple(map(_table, told.get("tables", ()))),
        bool(told.get("tablesLeftOut")),
        seconds is not None,
        any(f"{member}LeftOut" in told for member in ("resources", "attributes", "agentAttributes")),
    )


def _seconds(told: dict[str, Any]) -> int | None:
    """For how long; older records say it by their times alone, and of a denial not at all."""
    if "expirationSeconds" in told:
        return int(told["expirationSeconds"])
    if "expiresAt" in told and "requestedAt" in told:
        return round((datetime.fromisoformat(told["expiresAt"]) - datetime.fromisoformat(told["requestedAt"])).total_seconds())
    return None


def _attributes(told: dict[str, Any], member: str) -> Attributes:
    return Attributes.of((each["key"], each["values"]) for each in told.get(member, ()))


def _table(told: dict[str, Any]) -> TableAccess:
    masked = tuple(ColumnAccess(each["name"], each["shows"]) for each in told["masked"])
    return TableAccess(
        told["table"],
        tuple(told["rows"]),
        tuple(told["clear"]),
        masked,
        tuple(told.get("restrictions", ())),
        tuple(told.get("lookups", ())),
    )


HEAD = ("User", "Agent", "Platform", "Decisions", "Last", "Change", "What", "Before", "After")


def _row(outcome: BacktestOutcome) -> tuple[str, ...]:
    who, change = outcome.who, outcome.change
    about = (who.user.subject, str(who.agent), who.platform, str(outcome.decisions), outcome.last[:10])
    return (*about, change.direction, change.name, change.before or "", change.after or "")


def as_text(found: Backtest, form: Form) -> str:
    return noted(rendered(HEAD, [_row(each) for each in found.outcomes], form) if found.outcomes else _nobody(found), found.notes, form)


def _nobody(found: Backtest) -> str:
    if not found.decisions:
        return "no decision is in these files, or none since then: nothing was compared"
    if not found.compared:
        return f"{found.decisions} decisions: none of them was compared"
    others = f", of which {found.compared} were compared" if found.compared != found.decisions else ""
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
    return {"decisions": found.decisions, "compared": found.compared, "outcomes": outcomes, "notes": found.notes}

"""One report for each question: the entries, the text, and notes on what is not known or was not tried. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from rolevend.access_report import audited as audit
from rolevend.access_report import text
from rolevend.access_report.answer import PossibleAccess, RoleAccess, distinct
from rolevend.access_report.audited import AuditedAccess
from rolevend.access_report.live import LiveAccess
from rolevend.access_report.names import check_names
from rolevend.access_report.possible import PossibleReaders
from rolevend.access_report.reader import AccessSources, known_names
from rolevend.access_report.target import AccessQuestion
from rolevend.errors import InvalidInput
from rolevend.policytools.decisions import unlabelled, without_labels

E = TypeVar("E")

_STAND_INS = (
    "users that begin with `anyone` stand for people whom no UserAttributes names: their tokens may give other values than those that "
    "policies name"
)
_LIMITS = "limits, precedents, tickets and the age of a login were not tried; an approval needs them"


@dataclass(frozen=True, slots=True)
class AccessAnswer(Generic[E]):
    entries: tuple[E, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AccessReport:
    text: Callable[[], str]
    json: Callable[[], dict[str, Any]]
    notes: tuple[str, ...]


def live_report(question: AccessQuestion, sources: AccessSources, audited: AuditedAccess, now: datetime) -> AccessReport:
    """Report the live roles that read the table. Raises InvalidInput for a misspelled name."""
    target, found = question.target, live_answer(question, sources, audited)
    entries = (text.role_json(target, each) for each in found.entries)
    return _report(question, "now", lambda: text.live_text(target, found.entries, now), entries, found.notes)


def live_answer(question: AccessQuestion, sources: AccessSources, audited: AuditedAccess) -> AccessAnswer[RoleAccess]:
    """Return the live roles that read the table. Raises InvalidInput for a misspelled name."""
    notes = _checked(question, sources, audited)
    live = LiveAccess(question, sources.snapshot, sources.approvals, audited)
    found = sorted(
        live.of(sources.roles),
        key=lambda each: (each.acting.agent, each.acting.user_subject, each.object or "", each.platform),
    )
    return AccessAnswer(tuple(found), tuple(distinct([*notes, *sources.notes, *live.notes])))


def ended_report(question: AccessQuestion, audited: AuditedAccess) -> AccessReport:
    """Report the roles of audit events that read the table and lived in the period. Raises InvalidInput for a misspelled name."""
    target, sources = question.target, AccessSources({})
    notes = _checked(question, sources, audited)
    found = sorted(
        audited.ended(question.selection, question.platform, question.purpose),
        key=lambda each: (each.begin is not None and each.begin.timestamp(), each.role or "", each.platform),
    )
    notes += audit.notes_of(found, audited)
    entries = (text.role_json(target, each) for each in found)
    return _report(question, "ended", lambda: text.ended_text(target, found), entries, notes)


def possible_report(question: AccessQuestion, sources: AccessSources) -> AccessReport:
    """Report the people and agents whom policies would grant the table. Raises InvalidInput without a catalog, and for a misspelled
    name."""
    target, found = question.target, possible_answer(question, sources)
    entries = (text.possible_json(target, each) for each in found.entries)
    return _report(question, "could", lambda: text.possible_text(target, found.entries), entries, found.notes)


def possible_answer(question: AccessQuestion, sources: AccessSources) -> AccessAnswer[PossibleAccess]:
    """Return the people and agents whom policies would grant the table. Raises InvalidInput without a catalog, and for a misspelled
    name."""
    target, snapshot = question.target, sources.snapshot
    if snapshot is None:
        raise InvalidInput("", f"--could judges policies, which you may not read: {'; '.join(sources.notes)}")
    notes = _checked(question, sources, AuditedAccess(target))
    wanted = [name for name in sorted(snapshot.platforms) if question.platform in (None, name)]
    readable = [name for name in wanted if name in snapshot.shapes]
    if not readable:
        names = ", ".join(wanted) or "any"
        raise InvalidInput("--catalog", f"what DataPlatform {names} holds is not known: give the file that rolevend platform catalog wrote")
    notes += [f"not tried: DataPlatform {name}, whose catalog is not known" for name in wanted if name not in readable]
    notes += [*sources.notes, *without_labels(unlabelled(snapshot, snapshot.agents))]
    notes += sources.unready
    found = []
    for name in readable:
        readers = PossibleReaders(snapshot, name, question, sources.issuers)
        found += list(readers)
        notes += readers.notes
    if question.selection.user is None:
        notes.append(_STAND_INS)
    if any(each.how is not None for each in found):
        notes.append(_LIMITS)
    found.sort(key=lambda each: each.order)
    return AccessAnswer(tuple(found), tuple(distinct(notes)))


def _checked(question: AccessQuestion, sources: AccessSources, audited: AuditedAccess) -> list[str]:
    known = known_names(sources, sources.snapshot, audited)
    return check_names(known, question.target, sources.catalogs, question.selection, question.purpose, question.platform)


def _report(
    question: AccessQuestion, kind: str, shown: Callable[[], str], entries: Iterable[dict[str, Any]], notes: Iterable[str]
) -> AccessReport:
    target, said = question.target, tuple(distinct(notes))

    def value() -> dict[str, Any]:
        named = {"schema": target.table.schema, "table": target.table.name, "column": target.column}
        return {"question": kind, **named, "entries": list(entries), "notes": list(said)}

    return AccessReport(shown, value, said)

"""The access of roles to one table, as their audit events state it. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rolevend.access_ledger.grants import AuditedRole, AuditedRoles
from rolevend.access_ledger.selection import Selection
from rolevend.access_report.answer import ActingNames, Basis, RoleAccess
from rolevend.access_report.target import AccessTarget
from rolevend.audit.events import EventType
from rolevend.audit.evidence import ColumnAccess, TableAccess


@dataclass(frozen=True, slots=True)
class GrantedAccess:
    """The part of an event `granted` that is about the table."""

    profile: str
    access: TableAccess | None
    """None: the event does not name the table."""
    is_complete: bool
    """True if the event names all tables of the role."""
    policies: tuple[str, ...]
    """Those that cover the user or grant to the agent."""


class AuditedAccess:
    """The roles of any number of events."""

    def __init__(self, target: AccessTarget) -> None:
        self._target = target
        self._granted: dict[tuple[str, str], GrantedAccess] = {}
        """By role and platform."""
        self.roles = AuditedRoles()
        self.tables: set[str] = set()
        """The tables that the events name."""

    def learn(self, event: Mapping[str, Any]) -> None:
        """Take an event; other types than `granted` and `dropped` are skipped."""
        malformed = self.roles.malformed
        self.roles.learn(event)
        if event.get("type") == EventType.GRANTED and malformed == self.roles.malformed:
            try:
                self._learn(event["data"])
            except (KeyError, TypeError, ValueError, AttributeError):
                self.roles.malformed += 1

    def find(self, role: str, platform: str, profile: str | None) -> GrantedAccess | None:
        """Return the access of this role, if the event has the same profile."""
        found = self._granted.get((role, platform))
        return found if found is not None and found.profile == profile else None

    def ended(self, selection: Selection, platform: str | None, purpose: str | None) -> Iterator[RoleAccess]:
        """Yield the roles that read the table, or may, and that lived at some time of the selection."""
        for role in self.roles:
            if platform not in (None, role.platform) or purpose not in (None, role.purpose) or not _overlaps(role, selection):
                continue
            found = self._granted.get((role.role, role.platform or ""))
            entry = _entry(role, found)
            if selection.of_people(entry.acting) and self._may_read(found):
                yield entry

    def _may_read(self, found: GrantedAccess | None) -> bool:
        if found is None or found.access is None:
            return found is None or not found.is_complete
        return self._target.is_shown_by(found.access)

    def _learn(self, data: Mapping[str, Any]) -> None:
        named = data.get("tables", ())
        self.tables.update(each["table"] for each in named)
        access = next((_access(each) for each in named if each["table"] == str(self._target.table)), None)
        is_complete = data.get("tableCount", len(named)) <= len(named)
        policies = tuple(each["name"] for each in data["objects"] if each["kind"] == "AccessPolicy")
        self._granted[data["role"], data["platform"]] = GrantedAccess(data["profile"], access, is_complete, policies)


def notes_of(entries: Iterable[RoleAccess], audited: AuditedAccess) -> Iterator[str]:
    """Yield what the events leave open."""
    listed = list(entries)
    unknown = sum(each.basis is Basis.UNKNOWN for each in listed)
    if unknown:
        yield f"the events of {unknown} roles do not name all of their tables, or are only of the end: they may have read it, or not"
    if audited.roles.malformed:
        yield f"{audited.roles.malformed} audit events are not as rolevend writes them, and were skipped"
    if any(each.state != "Ended" for each in listed):
        yield "a role without an event of its end in these files is shown until it expires"
    yield "this is what roles could read; `rolevend ledger` shows the statements that they ran"


def _entry(role: AuditedRole, found: GrantedAccess | None) -> RoleAccess:
    access = None if found is None else found.access
    return RoleAccess(
        acting=ActingNames(
            agent=role.agent,
            agent_handle=role.agent_handle,
            user_issuer=role.user_issuer,
            user_subject=role.user_subject,
            user_handle=role.user_handle,
        ),
        object=role.request,
        role=role.role,
        platform=role.platform or "",
        state="Live" if role.ended_at is None else "Ended",
        basis=Basis.UNKNOWN if access is None else Basis.AUDIT_EVENT,
        purpose=role.purpose,
        proof=role.proof,
        policies=role.policies,
        approval=role.approval,
        begin=role.granted_at,
        end=role.ended_at or role.expires_at,
        access=access,
    )


def _overlaps(role: AuditedRole, selection: Selection) -> bool:
    end: datetime | None = role.ended_at or role.expires_at
    begins_too_late = selection.until is not None and role.granted_at is not None and role.granted_at >= selection.until
    return not begins_too_late and (selection.since is None or end is None or end > selection.since)


def _access(given: Mapping[str, Any]) -> TableAccess:
    """Read a table of an event, from which empty members are absent or not."""
    return TableAccess(
        table=str(given["table"]),
        rows=tuple(given.get("rows", ())),
        clear=tuple(given.get("clear", ())),
        masked=tuple(ColumnAccess(str(each["name"]), str(each["shows"])) for each in given.get("masked", ())),
        restrictions=tuple(given.get("restrictions", ())),
        lookups=tuple(given.get("lookups", ())),
        view=given.get("view"),
    )

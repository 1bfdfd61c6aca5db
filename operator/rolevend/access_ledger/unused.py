"""Grants that nobody used: tables that a role could read and no statement of it touched. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rolevend.access_ledger.entry import LedgerEntry, time_text
from rolevend.access_ledger.grants import AuditedRole


@dataclass(frozen=True, slots=True)
class UnusedGrant:
    """A table that a role could read, and that none of its statements touched."""

    role: AuditedRole
    table: str
    certain: bool
    """False if the tables of a statement of the role are not known."""

    def as_json(self) -> dict[str, Any]:
        role = self.role
        times = {"grantedAt": role.granted_at, "endedAt": role.ended_at}
        return {
            "unused": "grant",
            "table": self.table,
            "role": role.role,
            "agent": role.agent,
            "userIssuer": role.user_issuer,
            "userSubject": role.user_subject,
            "platform": role.platform,
            "policies": role.policies,
            **{name: time_text(time) for name, time in times.items() if time is not None},
            "certain": self.certain,
        }


@dataclass(frozen=True, slots=True)
class UnusedPolicyTable:
    """A table that roles under a policy could read, and that no statement of any of them touched."""

    policy: str
    table: str
    roles: int
    certain: bool

    def as_json(self) -> dict[str, Any]:
        return {"unused": "policy", "policy": self.policy, "table": self.table, "roles": self.roles, "certain": self.certain}


class TableUse:
    """The tables that roles touched. Memory grows with the number of roles and their tables."""

    def __init__(self) -> None:
        self._touched: dict[str, set[str]] = {}
        self._uncertain: set[str] = set()
        self.platforms: set[str] = set()
        """Platforms with a statement of a known role."""
        self.first: datetime | None = None
        """The earliest statement."""

    def take(self, entry: LedgerEntry) -> None:
        self.first = entry.time if self.first is None else min(self.first, entry.time)
        if entry.platform is not None:
            self.platforms.add(entry.platform)
        if entry.refused:
            return
        touched = self._touched.setdefault(entry.role, set())
        for table in entry.tables:
            touched.update((table, table.partition(".")[2]))  # also without its database
        if entry.tables_from == "unknown":
            self._uncertain.add(entry.role)

    def unused_grants(self, roles: Iterable[AuditedRole]) -> Iterator[UnusedGrant]:
        for role in roles:
            touched = self._touched.get(role.role, set())
            for table in role.tables.names if role.tables is not None else ():
                if table not in touched:
                    yield UnusedGrant(role, table, certain=role.role not in self._uncertain)

    def unused_policy_tables(self, roles: Iterable[AuditedRole]) -> list[UnusedPolicyTable]:
        """Return them by policy and table. Events do not say which of its policies gave a role a table: each is counted."""
        granted: dict[tuple[str, str], list[AuditedRole]] = {}
        for role in roles:
            for table in role.tables.names if role.tables is not None else ():
                for policy in role.policies:
                    granted.setdefault((policy, table), []).append(role)
        return [
            UnusedPolicyTable(policy, table, len(those), certain=not any(each.role in self._uncertain for each in those))
            for (policy, table), those in sorted(granted.items())
            if not any(table in self._touched.get(each.role, ()) for each in those)
        ]

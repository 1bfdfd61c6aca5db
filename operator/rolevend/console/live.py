"""The live roles that a person may see: filtered, searched and in pages."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from rolevend.approvals import wording
from rolevend.console.objects import WatchedObjects
from rolevend.console.person import Person
from rolevend.console.rights import Rights
from rolevend.kinds import VendedRole
from rolevend.kinds.vended_role import PlatformState
from rolevend.model import ObjectName
from rolevend.revocations.selection import RoleFilter, SelectedRole, may_live

ROLES: Final = "vendedroles"
ENDING_VERBS: Final = ("patch", "delete")
PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class RoleQuery:
    """A filter and a text to search for."""

    wanted: RoleFilter = field(default_factory=RoleFilter)
    text: str = ""
    """Each word of it is in the role's row."""
    page: int = 1


@dataclass(frozen=True, slots=True)
class RolePage:
    rows: Sequence[SelectedRole]
    count: int
    """Of all that match."""
    total: int
    """Of all that the person may see."""
    page: int
    may_end: int
    """Of those that match: the ones that the person may end."""

    @property
    def pages(self) -> int:
        return max(1, -(-self.count // PAGE))


@dataclass(frozen=True, slots=True)
class RoleView:
    """One role, for a person who may see it."""

    role: VendedRole
    row: SelectedRole
    may_end: bool
    now: datetime

    @property
    def facts(self) -> Sequence[tuple[str, str]]:
        role, row = self.role, self.row
        found = [
            ("role", role.status.role_name or "not created yet"),
            ("agent", row.agent),
            ("user", f"{row.subject} ({role.spec.user.issuer})"),
            ("proof", row.proof or "not checked yet"),
            ("purpose", row.purpose or "none"),
            ("ends", "not known yet" if row.expires_at is None else wording.moment(row.expires_at)),
        ]
        if role.spec.approval_ref is not None:
            found.append(("approval", f"AccessRequest {role.namespace}/{role.spec.approval_ref.name}"))
        if role.spec.task is not None:
            found.append(("task", role.spec.task.id))
        if role.status.ended is not None:
            ended = role.status.ended
            found.append(("ended", " ".join(filter(None, [ended.reason, ended.by and f"by {ended.by}", ended.message]))))
        return found

    @property
    def platforms(self) -> Sequence[PlatformState]:
        return self.role.status.platforms


@dataclass(slots=True)
class VisibleRoles:
    objects: WatchedObjects
    rights: Rights
    _rows: dict[str, tuple[str, SelectedRole, str]] = field(default_factory=dict)
    """By uid: the version of the object, its row, and the text that is searched."""

    async def page(self, person: Person, query: RoleQuery) -> RolePage:
        """Raises ClusterUnavailable."""
        visible = await self._visible(person)
        matching = self.matching(visible, query)
        endable = frozenset(each.name.namespace for each in matching)
        for verb in ENDING_VERBS:
            endable = await self.rights.namespaces(person, verb, ROLES, endable)
        page = min(max(1, query.page), max(1, -(-len(matching) // PAGE)))
        rows = matching[(page - 1) * PAGE : page * PAGE]
        may_end = sum(each.name.namespace in endable and not each.is_ending for each in matching)
        return RolePage(rows, len(matching), len(visible), page, may_end)

    async def endable(self, person: Person, query: RoleQuery) -> list[SelectedRole]:
        """Return those that match, and that the person may end. Raises ClusterUnavailable."""
        matching = [each for each in self.matching(await self._visible(person), query) if not each.is_ending]
        namespaces = frozenset(each.name.namespace for each in matching)
        for verb in ENDING_VERBS:
            namespaces = await self.rights.namespaces(person, verb, ROLES, namespaces)
        return [each for each in matching if each.name.namespace in namespaces]

    async def view(self, person: Person, name: ObjectName, now: datetime) -> RoleView | None:
        """Return the role, or None: the same for one that does not exist and one that the person may not see."""
        role = self.objects.role(name)
        if role is None or not await self.rights.namespaces(person, "get", ROLES, [name.namespace]):
            return None
        row = SelectedRole.of(role)
        may_end = not row.is_ending
        for verb in ENDING_VERBS:
            may_end = may_end and bool(await self.rights.namespaces(person, verb, ROLES, [name.namespace]))
        return RoleView(role, row, may_end, now)

    async def _visible(self, person: Person) -> list[VendedRole]:
        roles = [each for each in self.objects.roles() if may_live(each)]
        self._forget(roles)
        allowed = await self.rights.namespaces(person, "list", ROLES, {each.namespace for each in roles})
        return [each for each in roles if each.namespace in allowed]

    def matching(self, roles: Sequence[VendedRole], query: RoleQuery) -> list[SelectedRole]:
        """Return the rows that match, by agent and user."""
        words = query.text.casefold().split()
        found = []
        for role in roles:
            row, text = self._row(role)
            if (query.wanted.is_everything or query.wanted.matches(role)) and all(word in text for word in words):
                found.append(row)
        return sorted(found, key=lambda row: (row.agent, row.subject, str(row.name)))

    def _row(self, role: VendedRole) -> tuple[SelectedRole, str]:
        """Return the row and the text that is searched. Each version of an object is read once."""
        known = self._rows.get(role.uid)
        version = role.metadata.resource_version or ""
        if known is None or known[0] != version:
            row = SelectedRole.of(role)
            texts = (row.agent, row.subject, row.handle, row.purpose, str(row.name), role.status.role_name, *row.platforms, *row.tables)
            known = self._rows[role.uid] = (version, row, " ".join(filter(None, texts)).casefold())
        return known[1], known[2]

    def _forget(self, roles: Sequence[VendedRole]) -> None:
        if len(self._rows) > 2 * len(roles) + PAGE:
            kept = {each.uid for each in roles}
            self._rows = {uid: row for uid, row in self._rows.items() if uid in kept}

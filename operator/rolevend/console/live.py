"""The live roles that a person may see: filtered, searched and in pages."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from rolevend.approvals import wording
from rolevend.console.objects import WatchedObjects
from rolevend.console.person import Person
from rolevend.console.rights import STATEMENTS, TRAIL, Rights
from rolevend.console.role_index import ListedRole, RoleIndex
from rolevend.kinds import VendedRole
from rolevend.kinds.vended_role import PlatformState
from rolevend.model import ObjectName
from rolevend.revocations.selection import RoleFilter, SelectedRole

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
    may_watch: bool = False
    """The person may see what some of them run."""

    @property
    def pages(self) -> int:
        return max(1, -(-self.count // PAGE))


@dataclass(frozen=True, slots=True)
class RoleView:
    """One role, for a person who may see it."""

    role: VendedRole
    row: SelectedRole
    may_end: bool
    may_watch: bool
    """The person may see what it runs."""
    may_trace: bool
    """The person may read its trail."""

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
    _index: RoleIndex = field(init=False)

    def __post_init__(self) -> None:
        self._index = RoleIndex(self.objects)

    async def page(self, person: Person, query: RoleQuery) -> RolePage:
        """Raises ClusterUnavailable."""
        visible = await self._visible(person)
        matching = _matching(visible, query)
        endable = await self._endable(person, matching)
        page = min(max(1, query.page), max(1, -(-len(matching) // PAGE)))
        rows = [each.row for each in matching[(page - 1) * PAGE : page * PAGE]]
        watched = await self._may_watch(person, visible)
        return RolePage(rows, len(matching), len(visible), page, len(endable), bool(watched))

    async def endable(self, person: Person, query: RoleQuery) -> list[SelectedRole]:
        """Return those that match, and that the person may end. Raises ClusterUnavailable."""
        return [each.row for each in await self._endable(person, _matching(await self._visible(person), query))]

    async def visible(self, person: Person) -> list[VendedRole]:
        """Return the roles that live, or may come to life. Raises ClusterUnavailable."""
        return [each.role for each in await self._visible(person)]

    async def watched(self, person: Person) -> list[ListedRole]:
        """Return the roles whose statements the person may see. Raises ClusterUnavailable."""
        visible = await self._visible(person)
        namespaces = await self._may_watch(person, visible)
        return [each for each in visible if each.row.name.namespace in namespaces]

    async def view(self, person: Person, name: ObjectName) -> RoleView | None:
        """Return the role, or None: the same for one that does not exist and one that the person may not see."""
        may = await self.rights.namespaces(person, "get", ROLES, [name.namespace])  # first, so that nobody learns by the time it takes
        role = self.objects.role(name)
        if role is None or not may:
            return None
        row = SelectedRole.of(role)
        may_end = not row.is_ending and bool(await self._may_end(person, frozenset([name.namespace])))
        may_watch = bool(await self.rights.namespaces(person, "get", STATEMENTS, [name.namespace]))
        may_trace = bool(await self.rights.namespaces(person, "get", TRAIL, [name.namespace]))
        return RoleView(role, row, may_end, may_watch, may_trace)

    async def _visible(self, person: Person) -> Sequence[ListedRole]:
        listed, named = self._index.roles(), self._index.namespaces
        allowed = await self.rights.namespaces(person, "list", ROLES, named)
        return listed if allowed == named else [each for each in listed if each.key[0] in allowed]

    async def _endable(self, person: Person, roles: Sequence[ListedRole]) -> list[ListedRole]:
        namespaces = await self._may_end(person, frozenset(each.key[0] for each in roles))
        return [each for each in roles if each.key[0] in namespaces and not each.row.is_ending]

    async def _may_end(self, person: Person, namespaces: frozenset[str]) -> frozenset[str]:
        for verb in ENDING_VERBS:
            namespaces = await self.rights.namespaces(person, verb, ROLES, namespaces)
        return namespaces

    async def _may_watch(self, person: Person, roles: Sequence[ListedRole]) -> frozenset[str]:
        return await self.rights.namespaces(person, "get", STATEMENTS, {each.key[0] for each in roles})


def _matching(roles: Sequence[ListedRole], query: RoleQuery) -> Sequence[ListedRole]:
    """Return those that match, in their order."""
    words = query.text.casefold().split()
    found = roles
    for word in words:
        found = [each for each in found if word in each.text]
    if not query.wanted.is_everything:
        matches = query.wanted.of_rows()
        found = [each for each in found if matches(each.row, each.role)]
    return found

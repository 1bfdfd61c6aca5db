"""All live roles in the order of lists, each computed once for each version of its object."""

from collections.abc import Sequence
from typing import NamedTuple

from rolevend.console.objects import WatchedObjects
from rolevend.kinds import VendedRole
from rolevend.revocations.selection import SelectedRole, may_live


class ListedRole(NamedTuple):
    """A live role with all that a list needs."""

    role: VendedRole
    row: SelectedRole
    text: str
    """All that is searched, without case."""
    order: tuple[str, str, str]
    key: tuple[str, str]
    """Its namespace and name."""


class RoleIndex:
    """A call costs what changed since the last one: open pages ask for a list of thousands of roles after each change."""

    def __init__(self, objects: WatchedObjects) -> None:
        self._objects = objects
        self._changed = objects.changed_roles()
        self._ordered: list[ListedRole] = []
        self._namespaces: frozenset[str] = frozenset()

    def roles(self) -> Sequence[ListedRole]:
        """Return them by agent and user."""
        if self._changed:
            changed = frozenset(self._changed)
            self._changed.clear()
            self._ordered = self._with(changed)
            self._namespaces = frozenset(each.key[0] for each in self._ordered)
        return self._ordered

    @property
    def namespaces(self) -> frozenset[str]:
        """Of the roles that were returned last."""
        return self._namespaces

    def _with(self, changed: frozenset[tuple[str, str]]) -> list[ListedRole]:
        found = {key: role for key in changed if (role := self._objects.kept_role(key)) is not None and may_live(role)}
        kept = [each for each in self._ordered if each.key not in changed or found.get(each.key) is each.role]
        for each in kept:
            found.pop(each.key, None)
        fresh = [_list(key, role) for key, role in found.items()]
        return sorted([*kept, *fresh], key=lambda each: each.order)


def _list(key: tuple[str, str], role: VendedRole) -> ListedRole:
    row = SelectedRole.of(role)
    texts = (row.agent, row.subject, row.handle, row.purpose, str(row.name), role.status.role_name, *row.platforms, *row.tables)
    return ListedRole(role, row, " ".join(filter(None, texts)).casefold(), (row.agent, row.subject, str(row.name)), key)

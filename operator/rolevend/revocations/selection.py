"""Select the live roles that a revocation ends. Pure.

A role that may read the table is selected like one that does: to end one role too many costs less than to miss one.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from rolevend.approvals import narrowing
from rolevend.catalog import TableId
from rolevend.errors import InvalidInput
from rolevend.kinds import VendedRole
from rolevend.kinds.shared import HANDLES
from rolevend.kinds.values import resources
from rolevend.kinds.vended_role import PlatformState
from rolevend.kube.client import Body
from rolevend.model import ObjectName, PlatformName, Uid
from rolevend.policy.vocabulary import closest
from rolevend.roles.objects import uid_of
from rolevend.roles.state import assigned_role_name, for_deletion, is_let_go, state_on

LONGEST_REASON: Final = 256
_ABSENT: Final = ("LeftOut", "Gone")


@dataclass(frozen=True, slots=True)
class SelectedRole:
    """A VendedRole whose role lives, or may come to life."""

    name: ObjectName
    uid: Uid
    agent: str
    """`namespace/name`."""
    subject: str
    handle: str | None
    platforms: tuple[str, ...] = ()
    """Those where it is not absent for certain."""
    tables: tuple[str, ...] = ()
    table_count: int | None = None
    """On all platforms together. None: not decided on one of them, or unknown."""
    purpose: str | None = None
    proof: str | None = None
    expires_at: datetime | None = None
    is_ending: bool = False
    """True if its deletion began before. It may still be able to log in."""

    @classmethod
    def of(cls, role: VendedRole) -> Self:
        states = [state_on(role, PlatformName(each)) for each in present_on(role)]
        counts = [None if state is None else state.table_count for state in states]
        user = role.status.user
        return cls(
            name=ObjectName(role.namespace, role.name),
            uid=Uid(role.uid),
            agent=f"{role.namespace}/{role.spec.agent_ref.name}",
            subject=role.spec.user.subject,
            handle=handle_of(role),
            platforms=present_on(role),
            tables=tuple(dict.fromkeys(table for state in states if state is not None for table in state.tables)),
            table_count=None if None in counts else sum(each for each in counts if each is not None),
            purpose=role.spec.purpose,
            proof=None if user is None else user.proof,
            expires_at=role.status.expiration_timestamp,
            is_ending=role.metadata.deletion_timestamp is not None,
        )


@dataclass(frozen=True, slots=True)
class RoleFilter:
    """The roles that meet all that is set. Without anything: every role."""

    agent: ObjectName | None = None
    user: str | None = None
    """The subject, or the handle."""
    platform: str | None = None
    table: TableId | None = None
    purpose: str | None = None

    def __str__(self) -> str:
        """The options that say the same."""
        table = None if self.table is None else self.table.quoted
        named = {"agent": self.agent, "user": self.user, "platform": self.platform, "table": table, "purpose": self.purpose}
        return " ".join(f"--{option} {value}" for option, value in named.items() if value is not None) or "--all"

    @property
    def is_everything(self) -> bool:
        return self == RoleFilter()

    def matches(self, role: VendedRole) -> bool:
        return (
            self.agent in (None, ObjectName(role.namespace, role.spec.agent_ref.name))
            and (self.user is None or self.user in (role.spec.user.subject, handle_of(role)))
            and self.purpose in (None, role.spec.purpose)
            and any(self._matches_on(role, platform) for platform in present_on(role))
        )

    def of_rows(self) -> Callable[[SelectedRole, VendedRole], bool]:
        """Return a function that says what `matches` does, from the row of a role where it says enough: for lists of thousands."""
        agent = None if self.agent is None else str(self.agent)
        table = None if self.table is None else self.table.quoted

        def matches(row: SelectedRole, role: VendedRole) -> bool:
            is_known = (
                agent in (None, row.agent)
                and (self.user is None or self.user in (row.subject, row.handle))
                and self.purpose in (None, row.purpose)
                and bool(row.platforms)
                and (self.platform is None or self.platform in row.platforms)
            )
            if not is_known or table is None:
                return is_known
            if len(row.platforms) == 1:
                if table in row.tables:
                    return True
                if row.table_count is not None and len(row.tables) >= row.table_count:
                    return False
            return self.matches(role)

        return matches

    def _matches_on(self, role: VendedRole, platform: str) -> bool:
        return self.platform in (None, platform) and (
            self.table is None or may_read(role, state_on(role, PlatformName(platform)), self.table)
        )


@dataclass(frozen=True, slots=True)
class RoleSelection:
    roles: tuple[SelectedRole, ...]
    """By agent and user."""
    notes: tuple[str, ...] = ()
    hint: str = ""
    """If nothing matches: a similar name among the live roles."""

    @property
    def live(self) -> tuple[SelectedRole, ...]:
        """Those that are not ending yet."""
        return tuple(each for each in self.roles if not each.is_ending)


def select(bodies: Iterable[Body], wanted: RoleFilter) -> RoleSelection:
    """Return the roles of these VendedRoles that live or may come to life, and match. One that cannot be read matches only everything."""
    selected: list[SelectedRole] = []
    living: list[SelectedRole] = []
    notes: list[str] = []
    for each in bodies:
        if is_let_go(each):
            continue
        try:
            role = for_deletion(each)
        except InvalidInput as error:
            unread = _unread(each)
            if wanted.is_everything:
                selected.append(unread)
            else:
                notes.append(f"VendedRole {unread.name} cannot be read, so it may match: {error}")
            continue
        if may_live(role):
            living.append(SelectedRole.of(role))
            selected += living[-1:] if wanted.matches(role) else ()
    if wanted.table is not None:
        notes += _uncertain(selected, wanted.table)
    if wanted.user is not None:
        notes += _without_handle(role for role in living if role not in selected)
    ordered = sorted(selected, key=lambda role: (role.agent, role.subject, str(role.name)))
    return RoleSelection(tuple(ordered), tuple(notes), "" if selected else _hint(living, wanted))


def read_agent(text: str, namespace: str | None) -> ObjectName:
    """Read `NAMESPACE/NAME`, or `NAME` in this namespace."""
    first, slash, second = text.partition("/")
    name = ObjectName(first, second) if slash else ObjectName(namespace or "", first)
    if not name.namespace or not name.name or "/" in name.name:
        raise InvalidInput("--agent", f"{text!r} is no agent; write NAMESPACE/NAME, as in agents/finbot")
    if namespace not in (None, name.namespace):
        raise InvalidInput("--agent", f"{text} is in another namespace than --namespace {namespace}; leave out --namespace")
    return name


def read_table(text: str) -> TableId:
    """Read `SCHEMA.TABLE`. A name with a dot, a comma or a space is in double quotes."""
    try:
        tables = narrowing.read_tables(text)
    except InvalidInput as error:
        raise InvalidInput("--table", error.message.replace("schema.table, with a comma between two", "SCHEMA.TABLE")) from error
    if len(tables) != 1:
        raise InvalidInput("--table", f"{text!r} names {len(tables)} tables; name one, and run the command again for the next")
    return TableId(tables[0].schema_name, tables[0].table)


def read_reason(text: str) -> str:
    """Return the reason, as admission accepts it."""
    reason = text.strip()
    if not reason:
        raise InvalidInput("--because", "is empty; say why the roles end")
    if not reason.isprintable():
        raise InvalidInput("--because", "must be on one line, without invisible characters")
    if len(reason) > LONGEST_REASON:
        raise InvalidInput("--because", f"has {len(reason)} characters; write at most {LONGEST_REASON}, and the rest into the ticket")
    return reason


def handle_of(role: VendedRole) -> str | None:
    """Return the handle of the user, which an object of the API has also before its status is written."""
    if role.status.user is not None:
        return role.status.user.handle
    return role.metadata.annotations.get(HANDLES, "").partition("_")[2] or None


def present_on(role: VendedRole) -> tuple[str, ...]:
    """Return the platforms on which the role is, or may be."""
    return tuple(
        each.name
        for each in role.spec.platform_refs
        if (state := state_on(role, PlatformName(each.name))) is None or state.state not in _ABSENT
    )


def may_live(role: VendedRole) -> bool:
    """True unless the request is denied, and nothing was begun for it."""
    granted = role.status.condition("Granted")
    return assigned_role_name(role) is not None or granted is None or granted.status != "False"


def may_read(role: VendedRole, state: PlatformState | None, table: TableId) -> bool:
    """True if the role reads the table on a platform of this state, or if the object does not say."""
    asked = resources(role)
    if state is not None and table.quoted in state.tables:
        return True
    is_listed = state is not None and state.table_count is not None and len(state.tables) >= state.table_count
    return not is_listed and (asked is None or table in asked)


def _uncertain(roles: Iterable[SelectedRole], table: TableId) -> Iterator[str]:
    count = sum(table.quoted not in each.tables for each in roles)
    if count:
        yield f"the status of {count} of these roles does not list all of their tables: they may read {table.quoted}, or not"


def _hint(living: Iterable[SelectedRole], wanted: RoleFilter) -> str:
    roles = tuple(living)
    asked = (
        (wanted.agent, {each.agent for each in roles}),
        (wanted.user, {each.subject for each in roles} | {each.handle for each in roles if each.handle}),
        (wanted.platform, {name for each in roles for name in each.platforms}),
        (wanted.table and wanted.table.quoted, {name for each in roles for name in each.tables}),
        (wanted.purpose, {each.purpose for each in roles if each.purpose}),
    )
    return next((hint for name, known in asked if name and str(name) not in known and (hint := closest(str(name), sorted(known)))), "")


def _unread(body: Body) -> SelectedRole:
    metadata = body["metadata"]
    name = ObjectName(metadata["namespace"], metadata["name"])
    return SelectedRole(name, uid_of(body), f"{name.namespace}/?", "?", None, is_ending="deletionTimestamp" in metadata)


def _without_handle(roles: Iterable[SelectedRole]) -> Iterator[str]:
    count = sum(each.handle is None for each in roles)
    if count:
        yield f"{count} VendedRoles of other users have no handle yet: if --user is a handle, run it again, or name the subject"

"""What the account holds: objects, who owns them, memberships of roles and privileges. It knows names and owners, and judges nobody."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from tests.support.snowflake.kinds import ACCOUNT_KINDS, DATABASE_KINDS, RELATIONS
from tests.support.snowflake.reader import Name, Value
from tests.support.snowflake.statements import Attachment, Column, Masking

PUBLIC = "PUBLIC"
ACCOUNTADMIN = "ACCOUNTADMIN"
SYSTEM_ROLES = {"ACCOUNTADMIN": "", "SECURITYADMIN": "ACCOUNTADMIN", "USERADMIN": "SECURITYADMIN", "SYSADMIN": "ACCOUNTADMIN", "PUBLIC": ""}
"""Each with the role that it is granted to."""


@dataclass(eq=False, slots=True)
class Thing:
    """An object of any kind. What a kind does not have stays empty. `owner` is the name of a role."""

    kind: str
    name: Name
    owner: str
    created: datetime
    comment: str = ""
    settings: dict[str, Value] = field(default_factory=dict)
    columns: tuple[Column, ...] = ()
    returns: str = ""
    body: str = ""
    secure: bool = False
    session: int | None = None
    """Of a temporary table: who sees it."""
    stored: str = ""
    """Its name in DuckDB."""
    row_policy: Attachment | None = None
    masks: dict[str, Masking] = field(default_factory=dict)
    tags: dict[tuple[str | None, Name], str] = field(default_factory=dict)
    policies: dict[str, Name] = field(default_factory=dict)
    state: str = ""


@dataclass(frozen=True, slots=True)
class Member:
    """A role, or a user, that something is granted to."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Granted:
    by: str
    created: datetime
    option: bool = False


Held = tuple[str, str, Name]
"""A privilege on an object: privilege, kind, name."""


def depth(kind: str) -> int:
    """How many parts a whole name of this kind has."""
    return 1 if kind in ACCOUNT_KINDS else 2 if kind in DATABASE_KINDS else 3


def family(kind: str) -> str:
    """Tables and views share their names."""
    return "TABLE" if kind in RELATIONS else kind


class Catalog:
    def __init__(self, created: datetime) -> None:
        self.memberships: dict[Member, dict[Member, Granted]] = {}
        """Who has which roles."""
        self.privileges: dict[Member, dict[Held, Granted]] = {}
        """Who holds which privileges, ownership aside."""
        self.future: dict[Held, dict[Member, Granted]] = {}
        """Privileges on what is not there yet: of a kind, within a schema or database."""
        self.account = Thing("ACCOUNT", (), ACCOUNTADMIN, created)
        self._things: dict[tuple[str, Name, int | None], Thing] = {}
        for role, holder in SYSTEM_ROLES.items():
            self.add(Thing("ROLE", (role,), holder or ACCOUNTADMIN, created))
            if holder:
                self.join(Member("ROLE", role), Member("ROLE", holder), Granted("", created))
        for privilege, role in (
            ("MANAGE GRANTS", "SECURITYADMIN"),
            ("CREATE ROLE", "USERADMIN"),
            ("CREATE USER", "USERADMIN"),
            ("CREATE DATABASE", "SYSADMIN"),
            ("CREATE WAREHOUSE", "SYSADMIN"),
            *((one, ACCOUNTADMIN) for one in ("APPLY ROW ACCESS POLICY", "APPLY MASKING POLICY", "APPLY SESSION POLICY", "APPLY TAG")),
            *((one, ACCOUNTADMIN) for one in ("EXECUTE TASK", "EXECUTE MANAGED TASK", "MONITOR USAGE", "APPLY AUTHENTICATION POLICY")),
        ):
            self.give((privilege, "ACCOUNT", ()), Member("ROLE", role), Granted("", created))

    def add(self, thing: Thing) -> None:
        self._things[family(thing.kind), thing.name, thing.session] = thing

    def find(self, kind: str, name: Name, session: int | None = None) -> Thing | None:
        found = None
        if session is not None:
            found = self._things.get((family(kind), name, session))
        return found or self._things.get((family(kind), name, None))

    def of(self, *kinds: str) -> Iterator[Thing]:
        """In the order of their names."""
        found = [thing for thing in self._things.values() if thing.kind in kinds]
        return iter(sorted(found, key=lambda thing: thing.name))

    def within(self, name: Name) -> list[Thing]:
        """Everything below a database or schema."""
        return [thing for thing in self._things.values() if len(thing.name) > len(name) and thing.name[: len(name)] == name]

    def join(self, role: Member, holder: Member, granted: Granted) -> None:
        self.memberships.setdefault(holder, {}).setdefault(role, granted)

    def leave(self, role: Member, holder: Member) -> None:
        self.memberships.get(holder, {}).pop(role, None)

    def give(self, held: Held, member: Member, granted: Granted) -> None:
        self.privileges.setdefault(member, {})[held] = granted

    def take(self, held: Held, member: Member) -> None:
        self.privileges.get(member, {}).pop(held, None)

    def remove(self, thing: Thing) -> None:
        """With everything that was granted on it, or to it."""
        del self._things[family(thing.kind), thing.name, thing.session]
        self.forget_grants_on(thing)
        self.privileges.pop(self.member(thing), None)
        self.memberships.pop(self.member(thing), None)
        for roles in self.memberships.values():
            roles.pop(self.member(thing), None)
        for future in self.future.values():
            future.pop(self.member(thing), None)
        if thing.kind == "ROLE":
            self._forget_grants_by(thing.name[0])

    def _forget_grants_by(self, role: str) -> None:
        """What names a dropped role as its grantor is revoked, too."""
        for by_member in (self.memberships, self.privileges, self.future):
            for given in by_member.values():
                for key in [key for key, granted in given.items() if granted.by == role]:
                    del given[key]  # type: ignore[arg-type]

    def in_future(self, role: Member) -> bool:
        """Whether it grants, or is granted, what is to come."""
        return any(role in members or role.name in {one.by for one in members.values()} for members in self.future.values())

    def grants_on(self, thing: Thing) -> list[tuple[Held, Member, Granted]]:
        return [
            (held, member, granted)
            for member, holds in self.privileges.items()
            for held, granted in holds.items()
            if held[1:] == (thing.kind, thing.name)
        ]

    def give_future(self, thing: Thing) -> None:
        """What was granted on all that is to come there."""
        for (privilege, kind, within), members in self.future.items():
            if kind == thing.kind and thing.name[: len(within)] == within and thing.session is None:
                for member, granted in members.items():
                    self.give((privilege, kind, thing.name), member, granted)

    def forget_grants_on(self, thing: Thing) -> None:
        for holds in self.privileges.values():
            for held in [held for held in holds if (family(held[1]), held[2]) == (family(thing.kind), thing.name)]:
                del holds[held]

    def rename(self, thing: Thing, to: Name) -> None:
        """With what was granted; only of what has nothing below it."""
        old, old_member = thing.name, self.member(thing)
        del self._things[family(thing.kind), old, thing.session]
        thing.name = to
        self.add(thing)
        new_member = self.member(thing)
        for by_member in (self.memberships, self.privileges):
            if old_member in by_member:
                by_member[new_member] = by_member.pop(old_member)
        for roles in self.memberships.values():
            if old_member in roles:
                roles[new_member] = roles.pop(old_member)
        for holds in self.privileges.values():
            for held in [held for held in holds if held[1:] == (thing.kind, old)]:
                holds[held[0], thing.kind, to] = holds.pop(held)
        if thing.kind == "ROLE":
            for owned in self._things.values():
                owned.owner = to[0] if owned.owner == old[0] else owned.owner

    def owned(self, role: str) -> list[Thing]:
        return [thing for thing in self._things.values() if thing.owner == role]

    @staticmethod
    def member(thing: Thing) -> Member:
        return Member(thing.kind, ".".join(thing.name))

    def roles_of(self, member: Member) -> Iterator[Member]:
        """What it has directly."""
        return iter(self.memberships.get(member, {}))

    def below(self, roles: Iterator[Member]) -> set[Member]:
        """These roles and all that they inherit, PUBLIC with every one."""
        reached: set[Member] = set()
        waiting = [Member("ROLE", PUBLIC), *roles]
        while waiting:
            role = waiting.pop()
            if role not in reached:
                reached.add(role)
                waiting.extend(self.roles_of(role))
        return reached

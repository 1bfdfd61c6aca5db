"""Read what an uninstallation concerns: everything of rolevend in the database, and what others made with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rolevend.errors import Conflict
from rolevend.platforms.postgres.connections import Connection
from rolevend.platforms.postgres.install.survey import (
    NOT_OURS,
    OUR_ROLES,
    Installed,
    PostgresInstallOptions,
    Role,
    Server,
    SurveyReader,
    TakenRight,
    server_of,
)


@dataclass(frozen=True, slots=True)
class Built:
    """The role of a template or a profile, or the schema of a profile."""

    kind: str
    name: str
    is_mine: bool


@dataclass(frozen=True, slots=True)
class Governed:
    """A table with the policy rv_readers, so row security was off before rolevend."""

    shown: str
    has_row_security: bool
    is_mine: bool
    others: tuple[str, ...]
    """Policies of others."""


@dataclass(frozen=True, slots=True)
class Crowded:
    """A table with many templates. PostgreSQL reads all its policies and rights again for each one that is dropped alone."""

    shown: str
    had_row_security: bool
    """Also before rolevend."""
    templates: tuple[str, ...]
    """Those with a right on it."""


@dataclass(frozen=True, slots=True)
class Owned:
    role: str
    object: str


@dataclass(frozen=True, slots=True)
class Elsewhere:
    role: str
    database: str


@dataclass(frozen=True, slots=True)
class SharedRight:
    """An object on which rv_public has a right; `kind` and `object` are as in GRANT, if the hardening takes rights of this kind."""

    kind: str
    object: str | None
    shown: str
    is_policy: bool


@dataclass(frozen=True, slots=True)
class LeftSession:
    pid: int
    role: str


@dataclass(frozen=True, slots=True)
class GrantedRight:
    """A right of one of our roles that DROP OWNED cannot revoke."""

    object: str
    role: str
    grantor: str


@dataclass(frozen=True, slots=True)
class LoginMembership:
    login: str
    role: str
    grantor: str


@dataclass(frozen=True, slots=True)
class ParameterRight:
    """A right on a setting that DROP OWNED does not revoke, since somebody else granted it."""

    role: str
    grantor: str
    parameter: str


@dataclass(frozen=True, slots=True)
class RemovalSurvey:
    server: Server
    installed: Installed | None
    vendor: str
    programmer: str
    roles: Mapping[str, Role]
    """Those of the roles of an installation that exist."""
    staying: tuple[str, ...]
    """Logins that existed before the installation."""
    schemas: tuple[str, ...]
    """Schemas on which the programmer has USAGE."""
    taken: tuple[TakenRight, ...]
    built: tuple[Built, ...]
    tables: tuple[Governed, ...]
    crowded: tuple[Crowded, ...]
    memberships: tuple[LoginMembership, ...]
    parameters: tuple[ParameterRight, ...]
    vended: tuple[str, ...]
    unreported: tuple[str, ...]
    sessions: tuple[str, ...]
    left: tuple[LeftSession, ...]
    """Sessions of vended roles."""
    owned: tuple[Owned, ...]
    foreign: tuple[str, ...]
    dependents: tuple[str, ...]
    elsewhere: tuple[Elsewhere, ...]
    rights: tuple[SharedRight, ...]
    granted: tuple[GrantedRight, ...]

    @property
    def going(self) -> tuple[str, ...]:
        """The roles to drop, rv_owner last: without a superuser, the others' rights are reached through it."""
        return tuple(sorted((name for name in self.roles if name not in self.staying), key=lambda name: (name == "rv_owner", name)))

    @property
    def given(self) -> list[TakenRight]:
        """The rights that PUBLIC gets back, in the order of the plan."""
        return sorted((right for right in self.taken if right.is_given), key=lambda right: (right.kind, right.privilege, right.object))

    def built_of(self, kind: str) -> list[str]:
        return [each.name for each in self.built if each.kind == kind]


def survey_removal(connection: Connection, options: PostgresInstallOptions) -> RemovalSurvey:
    reader = SurveyReader(connection, options)
    server = admitted_server(connection)
    installed = reader.installed(server)
    known = installed or options
    logins = [known.vendor, known.programmer, *filter(None, [known.observer])]
    names = [*OUR_ROLES, *logins]
    roles = {role.name: role for role in reader.rows("roles", Role, names=names)}
    staying = tuple(name for name in installed.logins_before if name in roles) if installed else ()
    recorded = reader.rows("recorded", Built, folder="removal") if installed else ()
    found = {*reader.rows("built", Built, folder="removal", programmer=known.programmer), *recorded}
    built = tuple(sorted(found, key=lambda each: (each.kind, each.name)))
    schemas = ["rolevend", *(each.name for each in built if each.kind == "schema")]
    going = [*(name for name in roles if name not in staying), *(each.name for each in built if each.kind != "schema")]

    def column(name: str, **parameters: Any) -> tuple[str, ...]:
        return tuple(reader.column(name, folder="removal", **parameters))

    return RemovalSurvey(
        server,
        installed,
        known.vendor,
        known.programmer,
        roles,
        staying,
        column("usable", programmer=known.programmer),
        reader.taken(installed, roles),
        built,
        reader.rows("tables", Governed, folder="removal"),
        reader.rows("crowded", Crowded, folder="removal", going=going),
        reader.rows("memberships", LoginMembership, folder="removal", staying=list(staying)),
        reader.rows("parameters", ParameterRight, folder="removal", going=going),
        column("vended"),
        column("unreported") if installed else (),
        column("sessions", logins=logins),
        reader.rows("left", LeftSession, folder="removal") if installed else (),
        reader.rows("owned", Owned, folder="removal", going=going, going_schemas=schemas),
        column("foreign", going=going, going_schemas=schemas, programmer=known.programmer),
        column("dependents", going_schemas=schemas),
        reader.rows("elsewhere", Elsewhere, folder="removal", going=going),
        reader.rows("rights", SharedRight, folder="removal"),
        reader.rows("granted", GrantedRight, folder="removal", going=going),
    )


def admitted_server(connection: Connection) -> Server:
    """Return the server. Raises `Conflict` if the administrator cannot uninstall rolevend, or another database has it."""
    server = server_of(connection)
    refusals = [
        (server.is_standby, "this server is a standby; uninstall on its primary"),
        (server.other_database is not None, f"rolevend is installed in the database {server.other_database} of this server: connect to it"),
        (server.has_schema and not server.is_installed, NOT_OURS),
        (
            not server.may_look or not (server.is_superuser or (server.makes_roles and server.owns_database)),
            f"{server.administrator} did not install rolevend here: connect as the administrator who did, or as a superuser",
        ),
    ]
    for refused, why in refusals:
        if refused:
            raise Conflict(f"cannot uninstall from database {server.database}: {why}")
    return server

"""Uninstall rolevend from one database: compute a plan that a person can read, then run exactly that plan.

As with an installation, the digest of the plan is the consent, and everything is one transaction. Rights that the installation revoked from
PUBLIC are granted again as it recorded them. Roles, schemas and policies of rolevend are dropped. An object of somebody else that needs one
of them blocks the plan, and is named.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby
from typing import Any

from psycopg import sql

from rolevend.errors import Conflict
from rolevend.platforms.postgres.connections import Connection
from rolevend.platforms.postgres.failures import translating
from rolevend.platforms.postgres.install.findings import some
from rolevend.platforms.postgres.install.plan_text import digest_of, finding_lines, statement_lines
from rolevend.platforms.postgres.install.statements import InstallStatement, on_objects
from rolevend.platforms.postgres.install.survey import (
    OUR_ROLES,
    Installed,
    PostgresInstallOptions,
    Role,
    Server,
    SurveyReader,
    TakenRight,
    pin,
)

_BATCH = 50
"""The number of roles in one statement."""
_LOCK = "LOCK TABLE rolevend.lease, rolevend.profile, rolevend.template IN ACCESS EXCLUSIVE MODE"
_LISTING = sql.SQL(
    "SELECT pg_describe_object(classid, objid, objsubid) FROM pg_shdepend JOIN pg_database AS d ON d.oid = dbid "
    "WHERE datname = current_database() AND refobjid = {}::regrole"
)
_EVENT_TRIGGERS = ("rv_login", "rv_guard")
_TURN = "pg_advisory_lock(bigint), pg_advisory_unlock(bigint)"


class RemovalKind(StrEnum):
    REFUSED = "refused"
    """Blocks the uninstallation."""
    LOST = "is lost"
    """Something of somebody else, or of the audit trail."""
    GIVEN = "is as before again"
    STAYS = "stays"


@dataclass(frozen=True, slots=True)
class RemovalFinding:
    kind: RemovalKind
    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.text}"


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
class LoginMembership:
    login: str
    role: str


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
    memberships: tuple[LoginMembership, ...]
    parameters: tuple[ParameterRight, ...]
    vended: tuple[str, ...]
    unreported: tuple[str, ...]
    sessions: tuple[str, ...]
    owned: tuple[Owned, ...]
    foreign: tuple[str, ...]
    dependents: tuple[str, ...]
    elsewhere: tuple[Elsewhere, ...]
    rights: tuple[SharedRight, ...]

    @property
    def going(self) -> tuple[str, ...]:
        """The roles to drop, rv_owner last: without a superuser, the others' rights are reached through it."""
        return tuple(sorted((name for name in self.roles if name not in self.staying), key=lambda name: (name == "rv_owner", name)))

    def built_of(self, kind: str) -> list[str]:
        return [each.name for each in self.built if each.kind == kind]


@dataclass(frozen=True, slots=True)
class UninstallPlan:
    """The statements and the findings. Without statements nothing of rolevend is there."""

    server: str
    database: str
    statements: tuple[InstallStatement, ...]
    findings: tuple[RemovalFinding, ...]
    digest: str = field(init=False)
    """SHA-256 over all other fields."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", digest_of(self._content()))

    @property
    def refusals(self) -> tuple[RemovalFinding, ...]:
        """The findings that block the uninstallation."""
        return tuple(finding for finding in self.findings if finding.kind is RemovalKind.REFUSED)

    def as_json(self) -> dict[str, Any]:
        return {"digest": self.digest, **self._content()}

    def text(self) -> str:
        heading = f"-- uninstall rolevend from database {self.database} of server {self.server}"
        if not self.statements:
            return f"{heading}\n-- rolevend is not installed here: there is nothing to do\n"
        lines = [heading, *finding_lines(RemovalKind, self.findings), *statement_lines(self.statements), f"-- digest: {self.digest}", ""]
        return "\n".join(lines)

    def _content(self) -> dict[str, Any]:
        return {
            "server": self.server,
            "database": self.database,
            "findings": [{"kind": each.kind.value, "subject": each.subject, "text": each.text} for each in self.findings],
            "statements": [{"text": each.text, "why": each.why} for each in self.statements],
        }


def plan_uninstall(connection: Connection, options: PostgresInstallOptions) -> UninstallPlan:
    """Return the plan of `uninstall`. Changes nothing.

    Raises `Conflict` if the administrator cannot uninstall rolevend, or another database has it.
    """
    with translating("plan the uninstallation"), connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        pin(connection)
        return _planned(connection, options)


def uninstall(connection: Connection, options: PostgresInstallOptions, *, accept: str) -> UninstallPlan:
    """Run the plan with the accepted digest, in one transaction, and return it. Without an installation nothing happens.

    Raises `Conflict`, without any change, if the current plan differs or has refusals.
    """
    with translating("uninstall"), connection.transaction():
        pin(connection)
        connection.execute("SET LOCAL lock_timeout = '10s'")
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('rolevend install', 0))")
        reader = SurveyReader(connection, options)
        if _admitted(reader).is_installed:
            connection.execute(_LOCK)  # a vend that is under way is in the survey, or is refused
        current = _planned(connection, options)
        if not current.statements:
            return current
        if current.digest != accept:
            raise Conflict(
                f"cannot uninstall under digest {accept[:12]}…: the plan is now {current.digest[:12]}…, because the database or rolevend "
                "changed; read the new plan and accept its digest"
            )
        if current.refusals:
            raise Conflict(f"cannot uninstall: {'; '.join(str(finding) for finding in current.refusals)}")
        for statement in current.statements:
            connection.execute(statement.text)
    return current


def _planned(connection: Connection, options: PostgresInstallOptions) -> UninstallPlan:
    found = _survey(connection, options)
    is_there = bool(found.roles or found.built or found.server.has_schema)
    return UninstallPlan(
        found.server.identifier,
        found.server.database,
        tuple(_statements(found)) if is_there else (),
        tuple(sorted(_findings(found), key=lambda each: (list(RemovalKind).index(each.kind), each.subject, each.text))) if is_there else (),
    )


def _survey(connection: Connection, options: PostgresInstallOptions) -> RemovalSurvey:
    reader = SurveyReader(connection, options)
    server = _admitted(reader)
    installed = reader.installed(server)
    vendor, programmer = (installed.vendor, installed.programmer) if installed else (options.vendor, options.programmer)
    names = [*OUR_ROLES, vendor, programmer]
    roles = {role.name: role for role in reader.rows("roles", Role, names=names)}
    staying = tuple(name for name in installed.logins_before if name in roles) if installed else ()
    built = reader.rows("built", Built, folder="removal", programmer=programmer)
    going = [*(name for name in roles if name not in staying), *(each.name for each in built if each.kind != "schema")]

    def column(name: str, **parameters: Any) -> tuple[str, ...]:
        return tuple(reader.column(name, folder="removal", **parameters))

    return RemovalSurvey(
        server,
        installed,
        vendor,
        programmer,
        roles,
        staying,
        column("usable", programmer=programmer),
        reader.taken(installed, roles),
        built,
        reader.rows("tables", Governed, folder="removal"),
        reader.rows("memberships", LoginMembership, folder="removal", staying=list(staying)),
        reader.rows("parameters", ParameterRight, folder="removal", going=going),
        column("vended"),
        column("unreported") if installed else (),
        column("sessions", logins=[vendor, programmer]),
        reader.rows("owned", Owned, folder="removal", going=going),
        column("foreign"),
        column("dependents"),
        reader.rows("elsewhere", Elsewhere, folder="removal", going=going),
        reader.rows("rights", SharedRight, folder="removal"),
    )


def _admitted(reader: SurveyReader) -> Server:
    server = reader.rows("server", Server)[0]
    refusals = [
        (server.is_standby, "this server is a standby; uninstall on its primary"),
        (server.other_database is not None, f"rolevend is installed in the database {server.other_database} of this server: connect to it"),
        (server.has_schema and not server.is_installed, "there is a schema rolevend that is not ours"),
        (
            not server.may_look or not (server.is_superuser or (server.makes_roles and server.owns_database)),
            f"{server.administrator} did not install rolevend here: connect as the administrator who did, or as a superuser",
        ),
    ]
    for refused, why in refusals:
        if refused:
            raise Conflict(f"cannot uninstall from database {server.database}: {why}")
    return server


def _findings(survey: RemovalSurvey) -> Iterator[RemovalFinding]:
    yield from _live(survey)
    yield from _obstacles(survey)
    yield from _lost(survey)
    for (kind, privilege), rights in groupby(_given(survey), key=lambda right: (right.kind, right.privilege)):
        objects = some([right.object for right in rights])
        yield RemovalFinding(RemovalKind.GIVEN, "PUBLIC", f"has {privilege} on {kind.lower()} {objects}")
    for table in survey.tables:
        text = "row security is switched off: each role with a grant on it reads all rows"
        yield RemovalFinding(RemovalKind.GIVEN, table.shown, text)
    for name in survey.staying:
        text = (
            "this login existed before rolevend and stays, with the password that the installation set; its rights on the database and the "
            "governed schemas, and its memberships in their owners, are revoked, also if it had them before"
        )
        yield RemovalFinding(RemovalKind.STAYS, name, text)


def _live(survey: RemovalSurvey) -> Iterator[RemovalFinding]:
    for name in survey.vended:
        text = (
            "this role lives; end it first: rolevend drain ends all roles, kubectl delete vendedrole ends one; "
            f"if no operator knows it, run: DROP OWNED BY {_quoted([name])}; DROP ROLE {_quoted([name])}"
        )
        yield RemovalFinding(RemovalKind.REFUSED, name, text)
    for login in survey.sessions:
        text = "the operator or the API is logged in; delete the DataPlatform or uninstall the chart first"
        yield RemovalFinding(RemovalKind.REFUSED, login, text)
    if survey.unreported:
        text = f"these roles ended, and their end is not in the audit trail: {some(survey.unreported)}; an operator that runs reports them"
        yield RemovalFinding(RemovalKind.LOST, "audit", text)


def _obstacles(survey: RemovalSurvey) -> Iterator[RemovalFinding]:
    administrator = survey.server.administrator
    for name, is_mine in [
        *((role.name, role.is_mine) for role in survey.roles.values()),
        *((each.name, each.is_mine) for each in survey.built),
    ]:
        if not is_mine:
            yield RemovalFinding(RemovalKind.REFUSED, name, f"{administrator} may not drop it; connect as one who may")
    for table in survey.tables:
        if not table.is_mine:
            yield RemovalFinding(RemovalKind.REFUSED, table.shown, f"{administrator} does not act for its owner; connect as one who does")
        elif table.others and table.has_row_security:
            text = (
                f"somebody else made policies for it ({some(table.others)}), and row security was off before rolevend; decide. "
                f"To switch row security off: ALTER TABLE {table.shown} DISABLE ROW LEVEL SECURITY. "
                f"To keep these policies: DROP POLICY rv_readers ON {table.shown}"
            )
            yield RemovalFinding(RemovalKind.REFUSED, table.shown, text)
    for owned in survey.owned:
        role = _quoted([owned.role])
        yield RemovalFinding(RemovalKind.REFUSED, owned.object, f"is owned by {role}; drop it, or give it to another owner")
    for each in survey.foreign:
        yield RemovalFinding(RemovalKind.REFUSED, each, "somebody else made it in the schema rolevend; move or drop it")
    for each in survey.dependents:
        yield RemovalFinding(RemovalKind.REFUSED, each, "uses something of rolevend; change or drop it")
    for policy in (each for each in survey.rights if each.is_policy):
        yield RemovalFinding(RemovalKind.REFUSED, policy.shown, "is for rv_public, and would be dropped with it; alter or drop it")
    for place in survey.elsewhere:
        # DROP OWNED there would also revoke CONNECT on all databases, at once.
        listing = _LISTING.format(sql.Literal(_quoted([place.role]))).as_string()
        text = f"has rights or objects in the database {place.database}; revoke or drop them there. To list them, run there: {listing}"
        yield RemovalFinding(RemovalKind.REFUSED, place.role, text)


def _lost(survey: RemovalSurvey) -> Iterator[RemovalFinding]:
    ours = {(right.kind, right.object) for right in survey.taken}
    for right in survey.rights:
        if not right.is_policy and (right.kind, right.object) not in ours:
            text = "somebody granted this to rv_public; its members lose it, unless you grant it to another role first"
            yield RemovalFinding(RemovalKind.LOST, right.shown, text)
    for taken in survey.taken:
        if not taken.may_be_given:
            on = f"{taken.privilege} ON {taken.kind} {taken.object}"
            reason = "is gone or was renamed" if taken.may_be_given is None else f"does not belong to {survey.server.administrator}"
            text = f"{on} was taken from PUBLIC, and the object {reason}; its owner can run: GRANT {on} TO PUBLIC"
            yield RemovalFinding(RemovalKind.LOST, taken.object, text)


def _statements(survey: RemovalSurvey) -> Iterator[InstallStatement]:
    if survey.installed is not None:
        yield InstallStatement(_LOCK, "Nothing is vended or built from here on.")
    for name in survey.server.event_triggers:
        if name in _EVENT_TRIGGERS:
            yield InstallStatement(f"DROP EVENT TRIGGER {name}", "It watches for vended roles, and there are none.")
    yield from _profiles(survey)
    for table in survey.tables:
        yield InstallStatement(f"DROP POLICY rv_readers ON {table.shown}", "It keeps all rows with those who had them.")
        if table.has_row_security:
            yield InstallStatement(f"ALTER TABLE {table.shown} DISABLE ROW LEVEL SECURITY", "It was off before the first profile.")
    for on in on_objects(_given(survey)):
        yield InstallStatement(f"GRANT {on} TO PUBLIC", "The installation revoked it.")
    yield from _staying(survey)
    yield from _roles(survey)


def _given(survey: RemovalSurvey) -> list[TakenRight]:
    return sorted((right for right in survey.taken if right.may_be_given), key=lambda right: (right.kind, right.privilege, right.object))


def _profiles(survey: RemovalSurvey) -> Iterator[InstallStatement]:
    for names in _batches(survey.built_of("schema")):
        yield InstallStatement(f"DROP SCHEMA {_quoted(names)} CASCADE", "The views of profiles.")
    for kind in ("profile", "template"):
        for names in _batches(survey.built_of(kind)):
            yield from _dropped(names, survey, f"Roles of {kind}s, with their grants and policies.")


def _dropped(names: Sequence[str], survey: RemovalSurvey, why: str) -> Iterator[InstallStatement]:
    if not survey.server.is_superuser:
        yield InstallStatement(
            f"GRANT {_quoted(names)} TO CURRENT_USER WITH INHERIT TRUE, SET FALSE", "Without a superuser, DROP OWNED needs their rights."
        )
    yield InstallStatement(f"DROP OWNED BY {_quoted(names)}", why)
    yield InstallStatement(f"DROP ROLE {_quoted(names)}", "")


def _staying(survey: RemovalSurvey) -> Iterator[InstallStatement]:
    """Revoke what the installation granted to logins that it did not create."""
    database, why = _quoted([survey.server.database]), "The login stays."
    for login in survey.staying:
        rights = "CONNECT, CREATE" if login == survey.programmer else "CONNECT"
        yield InstallStatement(f"REVOKE {rights} ON DATABASE {database} FROM {_quoted([login])}", why)
        if login == survey.programmer and survey.schemas:
            yield InstallStatement(f"REVOKE USAGE ON SCHEMA {_quoted(survey.schemas)} FROM {_quoted([login])}", why)
        if login == survey.programmer and survey.server.is_superuser:
            yield InstallStatement(f"REVOKE EXECUTE ON FUNCTION {_TURN} FROM {_quoted([login])}", why)
    for each in survey.memberships:
        yield InstallStatement(f"REVOKE {_quoted([each.role])} FROM {_quoted([each.login])}", why)


def _roles(survey: RemovalSurvey) -> Iterator[InstallStatement]:
    others = [name for name in survey.going if name != "rv_owner"]
    unheld = [name for name in others if not survey.roles[name].is_held]
    if unheld and not survey.server.is_superuser:
        text = f"GRANT {_quoted(unheld)} TO CURRENT_USER WITH INHERIT TRUE, SET FALSE"
        yield InstallStatement(text, "Without a superuser, DROP OWNED needs their rights.")
    if others:
        yield InstallStatement(f"DROP OWNED BY {_quoted(others)}", "Their rights in this database, and on databases.")
    if survey.server.has_schema:
        yield InstallStatement("DROP SCHEMA rolevend CASCADE", "Leases, records and functions.")
    for right in survey.parameters:
        yield InstallStatement(f"SET LOCAL ROLE {_quoted([right.grantor])}", "Only who granted it can revoke it.")
        yield InstallStatement(f"REVOKE SET ON PARAMETER {right.parameter} FROM {_quoted([right.role])}", "")
        yield InstallStatement("RESET ROLE", "")
    if "rv_owner" in survey.roles:
        yield InstallStatement("DROP OWNED BY rv_owner", "Its right to set temp_file_limit.")
    if survey.going:
        yield InstallStatement(f"DROP ROLE {_quoted(survey.going)}", "Memberships go with the roles.")


def _batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[start : start + _BATCH] for start in range(0, len(names), _BATCH))


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(sql.Identifier(name).as_string() for name in names)

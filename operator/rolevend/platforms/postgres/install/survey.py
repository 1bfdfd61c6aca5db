"""Read the state of a database before an installation, in one snapshot. Reads only; `findings` and `statements` interpret it."""

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from psycopg.rows import kwargs_row, scalar_row, tuple_row

from rolevend.errors import Conflict, InvalidInput
from rolevend.platforms.postgres.catalog import governable
from rolevend.platforms.postgres.connections import Connection
from rolevend.platforms.postgres.sql_files import query
from rolevend.platforms.protocol import InstallMode

Row = TypeVar("Row")
OBSERVER: Final = "rv_observer"


class Reach(enum.StrEnum):
    """The rights that an installation revokes from PUBLIC: in both cases those in the governed database that let a role create or lock."""

    SERVER = "server"
    """Also CONNECT on each database of the server."""
    DATABASE = "database"
    """PUBLIC keeps CONNECT on each database, also on the governed one."""


@dataclass(frozen=True, slots=True)
class PostgresInstallOptions:
    """The options of an installation. A schema is governed if policies may grant its tables."""

    schemas: tuple[str, ...]
    vendor: str = "rv_vendor"
    programmer: str = "rv_programmer"
    functions: tuple[str, ...] = ()
    """Schemas whose functions can be agents' tools."""
    reach: Reach | None = None
    """None: that of the installation that is there, otherwise `SERVER`."""
    observer: str | None = None
    """The login that only looks at what vended roles run. None: there is none, and one of an earlier installation is dropped."""

    def __post_init__(self) -> None:
        if not self.schemas:
            raise InvalidInput("schemas", "name at least one schema whose tables rolevend shall govern")
        governable(self.schemas)
        if self.vendor == self.programmer:
            raise InvalidInput("programmer", "must be another login than the vendor")
        if self.observer in (self.vendor, self.programmer):
            raise InvalidInput("observer", "must be another login than the vendor and the programmer")
        for field, name in (("vendor", self.vendor), ("programmer", self.programmer), ("observer", self.observer or OBSERVER)):
            if not 0 < len(name.encode()) <= 63 or "\0" in name or name.lower().startswith(("pg_", "immuta_vended_")):
                raise InvalidInput(field, f"{name!r} cannot be the name of a login")

    @property
    def logins(self) -> tuple[str, ...]:
        return (self.vendor, self.programmer) if self.observer is None else (self.vendor, self.programmer, self.observer)


@dataclass(frozen=True, slots=True)
class Server:
    version_number: int
    version: str
    database: str
    identifier: str
    administrator: str
    """The connected user, who would install."""
    is_superuser: bool
    makes_roles: bool
    owns_database: bool
    shows_access: bool
    """The administrator can read pg_hba.conf."""
    may_lend_signals: bool
    """The administrator is not a superuser and can grant pg_signal_backend."""
    may_lend_files: bool
    """The administrator is not a superuser and can grant SET on temp_file_limit."""
    may_lend_connections: bool
    """The administrator can grant pg_use_reserved_connections."""
    reserved_connections: int
    is_standby: bool
    encoding: str
    prepared_transactions: int
    is_installed: bool
    may_look: bool
    """The administrator can read the tables of the installed version."""
    has_schema: bool
    event_triggers: tuple[str, ...]
    """The event triggers of rolevend."""
    other_database: str | None


@dataclass(frozen=True, slots=True)
class Installed:
    version: int
    vendor: str
    programmer: str
    reach: str
    logins_before: tuple[str, ...]
    observer: str | None


@dataclass(frozen=True, slots=True)
class Role:
    name: str
    oid: int
    is_superuser: bool
    can_login: bool
    is_strong: bool
    """It can create roles or databases, replicate, or bypass row security."""
    makes_roles: bool
    is_mine: bool
    """The administrator can grant it and set its password."""
    is_held: bool
    """The administrator has its rights."""
    gets_reserved: bool
    """It can use reserved connections."""
    member_of: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Holder:
    """Somebody else who is a member of one of our roles, or can make members."""

    role: str
    holder: str


@dataclass(frozen=True, slots=True)
class Right:
    """A privilege of PUBLIC; `object` is as in GRANT."""

    kind: str
    object: str
    privilege: str
    may_be_taken: bool


@dataclass(frozen=True, slots=True)
class TakenRight:
    """A privilege that an installation revoked from PUBLIC."""

    kind: str
    object: str
    privilege: str
    may_be_given: bool | None
    """The administrator can grant it; None: the object is gone."""
    is_kept: bool = True
    """False: rv_public does not have it any more."""

    @property
    def is_given(self) -> bool:
        """PUBLIC gets it back."""
        return bool(self.may_be_given) and self.is_kept


@dataclass(frozen=True, slots=True)
class Exposed:
    kind: str
    """`relation`, `function`, `extension`, `setting`, or `default` for default privileges."""
    object: str
    what: str
    """The privileges, the reason why the function exceeds its caller's privileges, or the functions of the extension."""


@dataclass(frozen=True, slots=True)
class GovernedSchema:
    name: str
    owner: str
    is_mine: bool
    """The administrator is a member of its owner."""
    is_given: bool
    """The programmer has USAGE already."""


@dataclass(frozen=True, slots=True)
class GovernedTable:
    schema: str
    name: str
    kind: str
    shown: str
    """The qualified name, quoted if necessary."""
    owner: str
    owner_is_superuser: bool
    owner_is_mine: bool
    """The administrator can make the programmer a member of the owner."""
    administrator_above: str | None
    """A superuser, or the administrator, that is the owner or has the owner as a member."""
    has_row_security: bool
    readers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Survey:
    server: Server
    installed: Installed | None
    roles: Mapping[str, Role]
    """The existing roles of rolevend."""
    holders: tuple[Holder, ...]
    public: tuple[Right, ...]
    """The privileges of PUBLIC that a vended role must not have."""
    taken: tuple[TakenRight, ...]
    """The privileges that earlier installations revoked from PUBLIC."""
    unrecorded: bool
    """A version before 14 revoked them without a record, so `taken` is computed from the privileges of rv_public."""
    everybody: tuple[str, ...]
    logins: tuple[tuple[str, tuple[str, ...]], ...]
    exposed: tuple[Exposed, ...]
    schemas: tuple[GovernedSchema, ...]
    tables: tuple[GovernedTable, ...]
    owners: tuple[str, ...]
    """The owners that the programmer is not a member of yet."""
    trusting_lines: tuple[int, ...]
    """Lines of pg_hba.conf without authentication, if it can be read."""

    @property
    def mode(self) -> InstallMode:
        """The mode that the administrator's privileges allow."""
        return InstallMode.SUPERUSER if self.server.is_superuser else InstallMode.MANAGED


PUBLIC = 0
"""The oid of PUBLIC as a grantee."""
VERSION: Final = 15
"""The version of `sql/install`. Increases with every change that a running operator must detect."""
RECORDED = 14
"""The first version of the installation that records what it takes from PUBLIC."""
OUR_ROLES = ("rv_owner", "rv_connect", "rv_template", "rv_public")


def other_version(installed: int) -> str | None:
    """Return why this rolevend cannot use the installed version, with the way out; None if it can."""
    if installed == VERSION:
        return None
    newer, older = f"this rolevend knows {VERSION}: use a newer rolevend", f"{VERSION} is needed: plan and run the installation"
    return f"version {installed} of rolevend's SQL is installed in this database, and {newer if installed > VERSION else older}"


def survey(connection: Connection, options: PostgresInstallOptions) -> Survey:
    """Read the survey. Raises `Conflict`, before it reads more, if rolevend cannot be installed on this server."""
    reader = SurveyReader(connection, options)
    server = server_of(connection)
    admit(server)
    installed = reader.installed(server)
    if installed is not None and installed.observer is not None:
        reader.include(installed.observer)
    roles = {role.name: role for role in reader.rows("roles", Role)}
    return Survey(
        server=server,
        installed=installed,
        roles=roles,
        holders=reader.rows("holders", Holder, installed=installed is not None),
        public=reader.rows("public", Right),
        taken=reader.taken(installed, roles),
        unrecorded=installed is not None and installed.version < RECORDED,
        everybody=tuple(reader.column("everybody")),
        logins=tuple((login, tuple(rights)) for login, rights in reader.tuples("logins")),
        exposed=reader.rows("exposed", Exposed),
        schemas=reader.rows("schemas", GovernedSchema),
        tables=reader.rows("tables", GovernedTable),
        owners=tuple(reader.column("owners")),
        trusting_lines=tuple(reader.column("access")) if server.shows_access else (),
    )


NOT_OURS = "there is a schema rolevend that is not that of an installation: look who made it, and rename or drop it"


def server_of(connection: Connection) -> Server:
    """Read what the catalogs of the server say: nothing in the schema `rolevend`, which may be somebody else's."""
    with connection.cursor(row_factory=kwargs_row(_frozen(Server))) as cursor:
        return cursor.execute(query("server", folder="survey"), {}).fetchall()[0]


def admit(server: Server) -> None:
    """Check the server's own facts; each error has a way out."""
    major = server.version_number // 10_000
    refusals = [
        (not 16 <= major <= 18, f"PostgreSQL {server.version} is not supported: rolevend runs on 16, 17 and 18"),
        (server.is_standby, "this server is a standby; install on its primary"),
        (server.encoding != "UTF8", f"the database's encoding is {server.encoding}; rolevend needs UTF8"),
        (
            not server.is_superuser and not (server.makes_roles and server.owns_database),
            "installing takes a superuser or, on a service that has none, the owner of the database with CREATEROLE; "
            f"{server.administrator} is neither",
        ),
        (
            server.other_database is not None,
            f"this server vends from the database {server.other_database} already: vended roles belong to a whole server",
        ),
        (server.has_schema and not server.is_installed, NOT_OURS),
        (not server.may_look, "somebody else installed rolevend here, who may be a superuser: connect as the same administrator"),
    ]
    for refused, why in refusals:
        if refused:
            raise Conflict(f"cannot install in database {server.database}: {why}")


def begin_changes(connection: Connection) -> None:
    """Begin the transaction of an installation: a query sees what was committed before the lock that it waited for."""
    connection.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE")
    pin(connection)
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('rolevend install', 0))")


def pin(connection: Connection) -> None:
    """Pin settings that change the meaning of names and strings, for this transaction. The owner of a database can set others for it."""
    connection.execute("SET LOCAL search_path = pg_catalog, pg_temp")
    connection.execute("SET LOCAL quote_all_identifiers = off")
    connection.execute("SET LOCAL standard_conforming_strings = on")


def _frozen(kind: type[Row]) -> Callable[..., Row]:
    """Arrays become tuples, so that a survey is a hashable value."""
    return lambda **fields: kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()})


class SurveyReader:
    def __init__(self, connection: Connection, options: PostgresInstallOptions) -> None:
        self._connection = connection
        ours = [*OUR_ROLES, *options.logins]
        self._parameters: dict[str, Any] = {
            "names": ours,
            "ours": ours,
            "schemas": sorted(options.schemas),
            "programmer": options.programmer,
            "functions": sorted(options.functions),
            "grantee": PUBLIC,
        }

    def installed(self, server: Server) -> Installed | None:
        """Return the installation, or None. Raises `Conflict` for a newer version: nothing of it is known."""
        found = next(iter(self.rows("installed", Installed)), None) if server.is_installed else None
        if found is not None and found.version > VERSION:
            raise Conflict(f"cannot plan for database {server.database}: {other_version(found.version)}")
        return found

    def include(self, role: str) -> None:
        """Count one more role among ours."""
        for name in ("names", "ours"):
            self._parameters[name] = [*self._parameters[name], role]

    def taken(self, installed: Installed | None, roles: Mapping[str, Role]) -> tuple[TakenRight, ...]:
        """Return the record or, of an older version, the privileges that rv_public has instead of PUBLIC."""
        if installed is not None and installed.version >= RECORDED:
            return self.rows("taken", TakenRight)
        if "rv_public" not in roles:
            return ()
        public = {(right.kind, right.object, right.privilege) for right in self.rows("public", Right)}
        kept = self.rows("public", Right, grantee=roles["rv_public"].oid)
        return tuple(
            TakenRight(each.kind, each.object, each.privilege, each.may_be_taken)
            for each in kept
            if (each.kind, each.object, each.privilege) not in public
        )

    def rows(self, name: str, kind: type[Row], *, folder: str = "survey", **parameters: Any) -> tuple[Row, ...]:
        with self._connection.cursor(row_factory=kwargs_row(_frozen(kind))) as cursor:
            return tuple(cursor.execute(query(name, folder=folder), {**self._parameters, **parameters}).fetchall())

    def column(self, name: str, *, folder: str = "survey", **parameters: Any) -> list[Any]:
        with self._connection.cursor(row_factory=scalar_row) as cursor:
            return cursor.execute(query(name, folder=folder), {**self._parameters, **parameters}).fetchall()

    def tuples(self, name: str) -> list[tuple[Any, ...]]:
        with self._connection.cursor(row_factory=tuple_row) as cursor:
            return cursor.execute(query(name, folder="survey"), self._parameters).fetchall()

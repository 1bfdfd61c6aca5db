"""What tests of every platform share, and the bench over PostgreSQL. What a bench has to offer is `protocol.Bench`."""

import base64
import itertools
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg import sql

from rolevend.catalog import Table, TableId
from rolevend.errors import PlatformBusy
from rolevend.model import AgentHandle, Attributes, ClusterId, ObjectName, ProfileName, RoleName, Uid, User
from rolevend.plan import Cell, ColumnShape, Lease, Profile, RoleLimits, TableShape
from rolevend.platforms.postgres import Passwords, PostgresInstallOptions, PostgresLimits, PostgresLogin, PostgresPlatform, install, plan
from rolevend.platforms.postgres.tls import Trust
from rolevend.platforms.protocol import Address, Credential, InstallMode, Platform, Secret, Tls, TlsMode
from rolevend.policy.expression import AttributeMembership, ColumnReference, Comparison, Condition, Literal, Operator
from rolevend.policy.mask import Clear, Mask
from tests.conformance.protocol import Bench, Rows, Session
from tests.support.waiting import eventually

CLUSTER = ClusterId("5c0a7e1e-0000-4000-8000-000000000001")
OTHER_CLUSTER = ClusterId("5c0a7e1e-0000-4000-8000-000000000002")
EVERY_ROW = Condition((), None)
IN_CLEAR = Tls(TlsMode.DISABLE)
"""Of servers that were built without TLS."""


PEOPLE: tuple[Sequence[tuple[str, str]], Rows] = (
    [("id", "integer"), ("region", "text"), ("email", "text"), ("ssn", "text")],
    [
        (number, region, f"p{number}@example.org", f"123-45-678{number}")
        for number, region in enumerate(["EU", "EU", "US", "US", "APAC", None])
    ],
)
"""Columns and six rows of three regions, with something to mask in each."""


def reference(table: Table, column: str) -> ColumnReference:
    found = table.column(column)
    assert found is not None
    return ColumnReference(found.name, found.family, found.native_type)


def own(table: Table, column: str, attribute: str) -> Condition:
    """Rows whose `column` is one of the user's values of `attribute`."""
    return Condition((attribute,), AttributeMembership(reference(table, column), attribute))


def equal(table: Table, column: str, text: str) -> Condition:
    return Condition((), Comparison(reference(table, column), Operator.EQUAL, Literal(text, quoted=True)))


def shape(table: Table, *conditions: Condition, masks: dict[str, Mask | tuple[Cell, ...]] | None = None, view: str = "") -> TableShape:
    """Every column of `table`: as `masks` says, else clear; every row where no condition is given."""
    chosen = masks or {}

    def cells(name: str) -> tuple[Cell, ...]:
        wanted = chosen.get(name, Clear())
        return wanted if isinstance(wanted, tuple) else (Cell((), wanted),)

    columns = tuple(ColumnShape(each.name, each.family, each.native_type, cells(each.name)) for each in table.columns)
    return TableShape(table.id, view or table.id.name, conditions or (EVERY_ROW,), columns)


def profile(*tables: TableShape) -> Profile:
    return Profile(ProfileName(f"rv_p_{secrets.token_hex(16)}"), tables)


def lease(of: Profile, *, cluster: ClusterId = CLUSTER, seconds: float = 600, uid: UUID | None = None, **values: Sequence[str]) -> Lease:
    identity = uid or uuid4()
    tail = base64.b32encode(identity.bytes).decode().rstrip("=")
    return Lease(
        role=RoleName(f"IMMUTA_VENDED_AGENT_USER_{tail}"),
        cluster=cluster,
        uid=Uid(str(identity)),
        profile=of.name,
        agent=ObjectName("agents", "assistant"),
        agent_handle=AgentHandle("AGENT"),
        user=User("https://idp.example.org", "jane"),
        attributes=Attributes.of(values.items()),
        expires_at=datetime.now(UTC) + timedelta(seconds=seconds),
    )


def vended(
    platform: Platform, of: Profile, seconds: float = 600, limits: RoleLimits | None = None, **values: Sequence[str]
) -> tuple[Lease, Credential]:
    """A lease of `of`, vended: the profile is built first where it is not."""
    made = replace(lease(of, seconds=seconds, **values), limits=limits or RoleLimits())
    credential = vend(platform, of, made)
    return made, credential


def ensure(platform: Platform, of: Profile) -> None:
    """As callers do: a build that gets no connection of a busy pool at once is tried again."""

    def built() -> bool:
        try:
            platform.ensure(of)
        except PlatformBusy as error:
            raise AssertionError(str(error)) from error
        return True

    eventually(built)


def vend(platform: Platform, of: Profile, wanted: Lease) -> Credential:
    """As every caller does: a profile that was taken away meanwhile is built again when the vend is tried again."""
    credential = platform.credential(wanted, secrets.token_bytes)
    for _ in range(2):
        platform.ensure(of)
        (answer,) = platform.vend([(wanted, credential)])
        if not isinstance(answer.error, PlatformBusy):
            break
    if answer.error is not None:
        raise answer.error
    return credential


def reads(bench: Bench, credential: Credential, statement: str = "SELECT * FROM people") -> bool:
    """Whether any row can be had with it."""
    try:
        return bench.log_in(credential).rows(statement) != []
    except Exception:  # as a platform refuses, whichever it is
        return False


def quoted(*names: str) -> str:
    return sql.Identifier(*names).as_string()


class PostgresSession:
    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self.connection = connection

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(sql.SQL(statement)).fetchall()

    def run(self, statement: str) -> None:
        self.connection.execute(sql.SQL(statement))

    def close(self) -> None:
        self.connection.close()


_MORE_VALUES = {"amount": [Decimal("1234567890123456789012345678901234567890.1"), Decimal("NaN")]}


@dataclass
class PostgresBench:
    """An installed database on one server; `admin` is a superuser's session in it, also where rolevend was installed without one:
    a hosted service has one, too."""

    address: Address
    superuser: str
    superuser_password: str
    options: PostgresInstallOptions
    passwords: Passwords
    admin: psycopg.Connection[tuple[Any, ...]]
    version: int
    mode: InstallMode
    administrator: Callable[[], psycopg.Connection[tuple[Any, ...]]]
    """A new connection as the one who installed."""
    owner: str = "app_owner"
    crowd: int = 130
    forever: str = "SELECT count(*) FROM people, pg_sleep(600)"
    beyond: frozenset[str] = frozenset()
    otherwise: Mapping[str, object] = field(default_factory=dict)
    more_values: Mapping[str, Sequence[object]] = field(default_factory=lambda: _MORE_VALUES)
    odd_filters: frozenset[str] = frozenset()
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _platforms: list[PostgresPlatform] = field(default_factory=list)
    _sessions: list[PostgresSession] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.trust = Trust(self.address.tls)
        self.platform = self.platform_of(CLUSTER)

    def platform_of(self, cluster: ClusterId, limits: PostgresLimits | None = None, **changes: Any) -> PostgresPlatform:
        made = PostgresPlatform(
            **{
                "address": self.address,
                "cluster": cluster,
                "vendor": self.vendor,
                "programmer": self.programmer,
                "limits": limits,
                **changes,
            }
        )
        self._platforms.append(made)
        return made

    @property
    def vendor(self) -> PostgresLogin:
        return _login(self.options.vendor, self.passwords.vendor)

    @property
    def programmer(self) -> PostgresLogin:
        return _login(self.options.programmer, self.passwords.programmer)

    def schema(self, name: str = "") -> str:
        """A new one, of the owner."""
        name = f"s{next(self._numbers)}{name}"
        self.run(f"CREATE SCHEMA {quoted(name)} AUTHORIZATION {self.owner}")
        return name

    def table(self, columns: Sequence[tuple[str, str]], rows: Rows = (), *, name: str = "items", schema: str = "") -> Table:
        place = TableId(schema or self.schema(), name)
        listed = ", ".join(f"{quoted(column)} {kind}" for column, kind in columns)
        self.run(f"CREATE TABLE {quoted(place.schema, place.name)} ({listed})")
        self.run(f"ALTER TABLE {quoted(place.schema, place.name)} OWNER TO {self.owner}")
        if rows:
            marks = sql.SQL(", ").join(sql.Placeholder() * len(columns))
            with self.admin.cursor() as cursor:
                target = sql.SQL(quoted(place.schema, place.name).replace("%", "%%"))
                cursor.executemany(sql.SQL("INSERT INTO {} VALUES ({})").format(target, marks), rows)
        return self.catalog_table(place)

    def catalog_table(self, place: TableId) -> Table:
        return self.platform.catalog(frozenset({place.schema})).tables[place]

    def people(self) -> Table:
        return self.table(*PEOPLE, name="people")

    def run(self, statement: str) -> None:
        self.admin.execute(sql.SQL(statement))

    def value(self, statement: str) -> Any:
        row = self.admin.execute(sql.SQL(statement)).fetchone()
        return None if row is None else row[0]

    def log_in(self, credential: Credential) -> PostgresSession:
        return self.session(credential.role, credential.password.reveal())

    def drop_table(self, place: TableId) -> None:
        self.run(f"DROP TABLE {quoted(place.schema, place.name)} CASCADE")

    def native(self, kind: str) -> str | None:
        return kind

    def as_here(self, table: Table) -> Table:
        return table

    def unsettle(self, session: Session) -> None:
        assert isinstance(session, PostgresSession)
        session.run("SET timezone = 'Asia/Kathmandu'; SET datestyle = 'ISO, DMY'; SET intervalstyle = 'sql_standard'")

    def shows_nothing(self, session: Session, statement: str) -> bool:
        """The role is told so, too."""
        try:
            session.rows(statement)
        except psycopg.errors.InsufficientPrivilege:
            return True
        return False

    def expire(self, lease: Lease) -> None:
        self.run(f"UPDATE rolevend.lease SET expires_at = clock_timestamp() - interval '2 s' WHERE role = '{lease.role}'")

    def sweep(self) -> None:
        self.login_of(self.vendor).run("CALL rolevend.sweep()")

    def unguard(self, place: TableId) -> None:
        self.run(f"ALTER TABLE {quoted(place.schema, place.name)} DISABLE ROW LEVEL SECURITY")

    def guard(self, place: TableId) -> None:
        self.run(f"ALTER TABLE {quoted(place.schema, place.name)} ENABLE ROW LEVEL SECURITY")

    def found(self, place: TableId, condition: str) -> list[int]:
        self.run("SET timezone = 'UTC'; SET datestyle = 'ISO'")
        statement = f"SELECT id FROM {quoted(place.schema, place.name)} WHERE {condition} ORDER BY id"
        return [number for (number,) in self.admin.execute(statement.encode()).fetchall()]

    def salt(self) -> bytes:
        return bytes(self.value("SELECT salt FROM rolevend.salt"))

    def belongings(self, cluster: ClusterId) -> list[object]:
        """Records, roles, policies, views and who may use them."""
        ours = f"cluster_id = '{cluster}'"
        names = " UNION ALL ".join(
            f"SELECT {column} FROM rolevend.{table} WHERE {ours}"
            for table, column in (("lease", "role"), ("profile", "profile"), ("template", "template"))
        )
        questions = (
            *(f"SELECT t::text FROM rolevend.{table} AS t WHERE {ours}" for table in ("lease", "profile", "template")),
            f"SELECT r::text FROM pg_roles AS r WHERE rolname IN ({names})",
            "SELECT m::text FROM pg_auth_members AS m JOIN pg_roles AS r ON r.oid IN (m.member, m.roleid)"
            f" WHERE r.rolname IN ({names}) AND m.member <> 'rv_owner'::regrole",  # which takes what it needs to end sessions
            "SELECT p::text FROM pg_policies AS p JOIN rolevend.template AS t"
            f" ON p.policyname IN (t.template::text, t.template || '_open') WHERE {ours}",
            f"SELECT v::text FROM pg_views AS v JOIN rolevend.profile AS p ON v.schemaname = p.profile WHERE {ours}",
            f"SELECT n::text FROM pg_namespace AS n JOIN rolevend.profile AS p ON n.nspname = p.profile WHERE {ours}",
            "SELECT c.relname, c.relacl::text FROM pg_class AS c JOIN rolevend.profile AS p"
            f" ON c.relnamespace::regnamespace::text = p.profile WHERE {ours}",
        )
        with self.admin.cursor() as cursor:
            return [sorted(cursor.execute(sql.SQL(question)).fetchall()) for question in questions]

    def session(self, user: str, password: str, database: str | None = None, **options: str) -> PostgresSession:
        made = PostgresSession(
            psycopg.connect(
                host=self.address.host,
                port=self.address.port,
                dbname=database or self.address.database,
                user=user,
                password=password,
                autocommit=True,
                connect_timeout=60,
                **{**self.trust.parameters(), **options},
            )
        )
        self._sessions.append(made)
        return made

    def login_of(self, login: PostgresLogin) -> PostgresSession:
        return self.session(login.user, login.password.reveal())

    def as_superuser(self, database: str | None = None) -> PostgresSession:
        return self.session(self.superuser, self.superuser_password, database)

    @property
    def has_login_trigger(self) -> bool:
        return self.version >= 17 and self.mode is InstallMode.SUPERUSER

    def stands(self, profile: ProfileName) -> bool:
        return self.exists(profile) or bool(self.value(f"SELECT count(*) FROM pg_namespace WHERE nspname = '{profile}'"))

    def exists(self, role: str) -> bool:
        return bool(self.value(f"SELECT count(*) FROM pg_roles WHERE rolname = '{role}'"))

    def tidy(self) -> None:
        """After each test: nobody is logged in, and nobody's role is left."""
        for session in self._sessions:
            session.close()
        self._sessions.clear()
        self.run(r"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename LIKE 'IMMUTA\_VENDED\_%'")
        for table in ("lease", "used_token", "counted", "looked", "profile", "template"):
            self.run(f"DELETE FROM rolevend.{table}")
        self._drop_schemas("^rv_p_")
        ours = "SELECT rolname FROM pg_roles WHERE rolname ~ '^(IMMUTA_VENDED_|rv_p_|rv_t_[0-9a-f]{32})'"
        for (role,) in self.admin.execute(sql.SQL(ours)).fetchall():
            self._drop_role(role)
        self._drop_schemas("^s[0-9]+")
        for extra in self._platforms[1:]:
            extra.close()
        del self._platforms[1:]

    def _drop_role(self, role: str) -> None:
        """Autovacuum may analyze a table whose policies go, and be chosen to live where both wait for each other."""
        for last in (False, False, True):
            try:
                return self.run(f"DROP OWNED BY {quoted(role)}; DROP ROLE {quoted(role)}")
            except psycopg.errors.DeadlockDetected:
                if last:
                    raise
        return None

    def _drop_schemas(self, pattern: str) -> None:
        for (schema,) in self.admin.execute("SELECT nspname FROM pg_namespace WHERE nspname ~ %s", [pattern]).fetchall():
            self.run(f"DROP SCHEMA {quoted(schema)} CASCADE")

    def close(self) -> None:
        for each in (*self._sessions, *self._platforms):
            each.close()
        self.admin.close()
        self.trust.close()


def _login(user: str, password: Secret | None) -> PostgresLogin:
    assert password is not None
    return PostgresLogin(user, password)


@contextmanager
def installed(
    host: str,
    port: int,
    superuser: str,
    password: str,
    database: str,
    version: int,
    mode: InstallMode = InstallMode.SUPERUSER,
    tls: Tls = IN_CLEAR,
    **logins: str,
) -> Iterator[PostgresBench]:
    """A new database with an owner of its tables, `app_owner`, and rolevend in it. The server must be one that has none yet."""
    trust = Trust(tls)

    def connection(user: str, password: str, database: str) -> psycopg.Connection[tuple[Any, ...]]:
        where = {"host": host, "port": port, "user": user, "password": password, "dbname": database}
        return psycopg.connect(**where, **trust.parameters(), autocommit=True)

    administrator = (superuser, password)
    with connection(superuser, password, "postgres") as outside:
        if mode is InstallMode.MANAGED:
            administrator = ("cloud_admin", secrets.token_urlsafe(16))
            make = sql.SQL("CREATE ROLE {} LOGIN CREATEROLE CREATEDB PASSWORD {}")
            outside.execute(make.format(sql.Identifier(administrator[0]), sql.Literal(administrator[1])))
        outside.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(database), sql.Identifier(administrator[0])))
    admin = connection(superuser, password, database)
    # What it changes no event trigger sees, in either way to install: what is found then is found by a look.
    admin.execute("SET session_replication_role = replica")
    with connection(*administrator, database) as installing:
        if installing.execute("SELECT FROM pg_roles WHERE rolname = 'app_owner'").fetchone() is None:
            installing.execute("CREATE ROLE app_owner")
        admin.execute("CREATE SCHEMA governed AUTHORIZATION app_owner")
        admin.execute("CREATE TABLE governed.first (id integer); ALTER TABLE governed.first OWNER TO app_owner")
        options = PostgresInstallOptions(schemas=("governed",), **logins)
        passwords = Passwords(Secret(secrets.token_urlsafe(16)), Secret(secrets.token_urlsafe(16)))
        install(installing, options, accept=plan(installing, options).digest, passwords=passwords, randomness=secrets.token_bytes)
    bench = PostgresBench(
        Address(host, port, database, tls),
        superuser,
        password,
        options,
        passwords,
        admin,
        version,
        mode,
        lambda: connection(*administrator, database),
    )
    try:
        yield bench
    finally:
        bench.close()
        trust.close()


def moved(of: Lease, **changes: Any) -> Lease:
    return replace(of, **changes)


def refused(work: Callable[[], object]) -> str:
    """The SQLSTATE with which PostgreSQL refuses `work`; an AssertionError where it does not."""
    try:
        answer = work()
    except psycopg.Error as error:
        return error.sqlstate or type(error).__name__
    raise AssertionError(f"was not refused, but answered {answer!r}")

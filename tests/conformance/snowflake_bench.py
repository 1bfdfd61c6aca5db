"""The suite's bench over the stand-in for Snowflake. It is a model: what passes on it was not tried on Snowflake."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlglot
from cryptography.hazmat.primitives import serialization
from snowflake.connector import SnowflakeConnection, connect

from rolevend.catalog import Table, TableId, ToolId
from rolevend.model import ClusterId, ProfileName
from rolevend.plan import Lease
from rolevend.platforms.protocol import Account, Credential, KeyPairCredential, Secret
from rolevend.platforms.snowflake import PublicKeys, SnowflakeInstallOptions, SnowflakeLimits, SnowflakeLogin, SnowflakePlatform, script
from rolevend.platforms.snowflake.install.installer import PROGRAMMER_USER, VENDOR_USER
from rolevend.platforms.snowflake.sql import qualified
from rolevend.platforms.snowflake.types import limits_of
from rolevend.platforms.snowflake.vend.keys import new_key, public_key
from tests.conformance.bench import CLUSTER, PEOPLE
from tests.conformance.protocol import Rows, Session
from tests.support.snowflake import StandIn
from tests.support.snowflake.catalog import Thing
from tests.support.snowflake.statements import Attachment
from tests.support.snowflake_bodies import without_uuid
from tests.support.snowflake_kinds import BEYOND, KINDS, OTHERWISE

DATABASE, WAREHOUSE = "APP", "AGENTS_WH"


class SnowflakeSession:
    def __init__(self, connection: SnowflakeConnection) -> None:
        self.connection = connection

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """The suite writes names as PostgreSQL folds them, which Snowflake finds between quotes alone."""
        (spelled,) = sqlglot.transpile(statement, read="postgres", write="snowflake", identify=True)
        return self.run(spelled)

    def run(self, statement: str) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            cursor.execute(statement)
            return [tuple(row) for row in cursor.fetchall()]

    def close(self) -> None:
        self.connection.close()


@dataclass
class SnowflakeBench:
    """An installed account; `admin` is an administrator's session in it."""

    snowflake: StandIn
    admin: SnowflakeSession
    vendor: SnowflakeLogin
    programmer: SnowflakeLogin
    crowd: int = 24
    forever: str = "SELECT SYSTEM$WAIT(600)"
    beyond: frozenset[str] = frozenset(BEYOND)
    otherwise: Mapping[str, object] = field(default_factory=lambda: OTHERWISE)
    more_values: Mapping[str, Sequence[object]] = field(default_factory=lambda: {"amount": [Decimal("99999999999.9999")]})
    odd_filters: frozenset[str] = frozenset({"amount = 1234567890123456789012345678901234567890.1"})  # DuckDB reads it as a FLOAT
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _unguarded: dict[TableId, Attachment] = field(default_factory=dict)
    _platforms: list[SnowflakePlatform] = field(default_factory=list)
    _sessions: list[SnowflakeSession] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.platform = self.platform_of(CLUSTER)

    @property
    def account(self) -> Account:
        return account_of(self.snowflake)

    def platform_of(self, cluster: ClusterId, limits: SnowflakeLimits | None = None, **changes: Any) -> SnowflakePlatform:
        chosen = {"account": self.account, "vendor": self.vendor, "programmer": self.programmer, **changes}
        made = SnowflakePlatform(cluster=cluster, limits=limits or SnowflakeLimits(tags_seconds=0, spare_keys=0), **chosen)
        self._platforms.append(made)
        return made

    def schema(self, name: str = "") -> str:
        name = f"S{next(self._numbers)}{name}"
        place = qualified(DATABASE, name)
        self.run(f"CREATE SCHEMA {place}")
        for role, privilege in (("RV_PROGRAMMER", "SELECT"), ("RV_VENDOR", "REFERENCES")):
            self.run(f"GRANT USAGE ON SCHEMA {place} TO ROLE {role}")
            self.run(f"GRANT {privilege} ON FUTURE TABLES IN SCHEMA {place} TO ROLE {role}")
        return name

    def table(self, columns: Sequence[tuple[str, str]], rows: Rows = (), *, name: str = "items", schema: str = "") -> Table:
        place = TableId(schema or self.schema(), name)
        listed = ", ".join(f"{qualified(column)} {KINDS.get(kind, kind)}" for column, kind in columns)
        self.run(f"CREATE TABLE {address(place)} ({listed})")
        if rows:
            self.snowflake.account.fill(self._thing(place), rows)
        return self.catalog_table(place)

    def drop_table(self, place: TableId) -> None:
        self.run(f"DROP TABLE {address(place)}")

    def native(self, kind: str) -> str | None:
        return KINDS.get(kind)

    def as_here(self, table: Table) -> Table:
        here = without_uuid(table)
        return replace(here, columns=tuple(replace(each, limits=limits_of(each.native_type)) for each in here.columns))

    def tables(self, count: int) -> list[Table]:
        """Empty ones of one column, in one schema."""
        schema = self.schema()
        names = [qualified(DATABASE, schema, f"t{number}") for number in range(count)]
        with self.admin.connection.cursor() as cursor:
            cursor.execute(";".join(f'CREATE TABLE {name} ("id" NUMBER(38,0))' for name in names), num_statements=count)
        return list(self.platform.catalog(frozenset({schema})).tables.values())

    def catalog_table(self, place: TableId) -> Table:
        return self.platform.catalog(frozenset({place.schema})).tables[place]

    def people(self) -> Table:
        return self.table(*PEOPLE, name="people")

    def run(self, statement: str) -> None:
        self.admin.run(statement)

    def log_in(self, credential: Credential) -> SnowflakeSession:
        assert isinstance(credential, KeyPairCredential)
        return self.session(credential.user, credential.private_key, role=credential.role)

    def session(self, user: str, private_key: Secret, **options: Any) -> SnowflakeSession:
        made = SnowflakeSession(connected(self.snowflake, user, _der(private_key), **{"warehouse": WAREHOUSE, **options}))
        self._sessions.append(made)
        return made

    def unsettle(self, session: Session) -> None:
        """The stand-in has one time zone, whatever it is told."""
        assert isinstance(session, SnowflakeSession)
        session.run("ALTER SESSION SET TIMEZONE = 'Asia/Kathmandu', TIMESTAMP_OUTPUT_FORMAT = 'DD.MM.YYYY', WEEK_START = 3")

    def exists(self, role: str) -> bool:
        return bool(self.admin.run(f"SHOW ROLES STARTS WITH '{role}'"))

    def shows_nothing(self, session: Session, statement: str) -> bool:
        """A view of a table that no lease covers has no rows."""
        return session.rows(statement) == []

    def expire(self, lease: Lease) -> None:
        """Of all leases that end by then."""
        self.snowflake.account.clock = lambda: lease.expires_at + timedelta(seconds=2)

    def sweep(self) -> None:
        account = self.snowflake.account
        account.run_task(next(each for each in account.catalog.of("TASK") if each.name[-1] == "REAPER"))

    def unguard(self, place: TableId) -> None:
        found = self._thing(place).row_policy
        assert found is not None
        self._unguarded[place] = found
        self.run(f"ALTER TABLE {address(place)} DROP ALL ROW ACCESS POLICIES")

    def guard(self, place: TableId) -> None:
        was = self._unguarded.pop(place)
        self.run(f"ALTER TABLE {address(place)} ADD ROW ACCESS POLICY {qualified(*was.policy)} ON ({', '.join(map(qualified, was.on))})")

    def found(self, place: TableId, condition: str) -> list[int]:
        rows = self.snowflake.account.asked_plainly(f"SELECT id FROM {self._thing(place).stored} WHERE {condition} ORDER BY id")
        return [number for (number,) in rows]

    def salt(self) -> bytes:
        ((salt,),) = self.admin.run("SELECT SALT FROM ROLEVEND.CONTROL.SALT")
        return bytes(salt)

    def stands(self, profile: ProfileName) -> bool:
        return any(each.name[-1] == profile.upper() for each in self.snowflake.account.catalog.of("ROLE", "SCHEMA"))

    def belongings(self, cluster: ClusterId) -> list[object]:
        """Records, roles and users by their marks, what those hold, and views."""
        records = [self.admin.run(f"SELECT * FROM ROLEVEND.CONTROL.{table} WHERE CLUSTER = '{cluster}'") for table in ("LEASE", "PROFILE")]
        things = [each for each in self.snowflake.account.catalog.of("ROLE", "USER", "SCHEMA") if cluster in each.comment]
        names = {each.name[-1] for each in things}
        granted = [self.admin.run(f"SHOW GRANTS TO ROLE {qualified(each.name[0])}") for each in things if each.kind == "ROLE"]
        views = [(each.name, each.body) for each in self.snowflake.account.catalog.of("VIEW") if each.name[1] in names]
        said = [(each.kind, each.name, each.owner, each.comment, str(each.settings)) for each in things]
        return [*(sorted(map(str, rows)) for rows in (*records, *granted)), sorted(said), sorted(views)]

    def _thing(self, place: TableId) -> Thing:
        found = self.snowflake.account.catalog.find("TABLE", (DATABASE, place.schema, place.name))
        assert found is not None
        return found

    def tidy(self) -> None:
        """By the vendor, who owns them: not even an administrator may drop another role's."""
        self.snowflake.account.clock = lambda: datetime.now(UTC)
        for session in self._sessions:
            session.close()
        self._sessions.clear()
        vendor = self.session(self.vendor.user, self.vendor.private_key)
        for name in [row[1] for row in vendor.run("SHOW ROLES STARTS WITH 'IMMUTA_VENDED_'")]:
            vendor.run(f'DROP ROLE IF EXISTS "{name}"')
        for name in [row[0] for row in vendor.run("SHOW USERS STARTS WITH 'IMMUTA_VENDED_'")]:
            vendor.run(f'DROP USER IF EXISTS "{name}"')
        self.run("DELETE FROM ROLEVEND.CONTROL.LEASE")
        for extra in self._platforms[1:]:
            extra.close()
        del self._platforms[1:]

    def close(self) -> None:
        for each in (*self._sessions, *self._platforms):
            each.close()
        self.admin.close()


def address(place: TableId) -> str:
    return qualified(DATABASE, place.schema, place.name)


def account_of(snowflake: StandIn) -> Account:
    return Account(snowflake.account.name, "127.0.0.1", snowflake.port, DATABASE, WAREHOUSE, encrypted=False)


def _der(private_key: Secret) -> bytes:
    """The key in the connector's format. Its primes are not tested, which would take a tenth of a second: it was made here."""
    key = serialization.load_pem_private_key(private_key.reveal().encode(), None, unsafe_skip_rsa_key_validation=True)
    return key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def connected(snowflake: StandIn, user: str, private_key: bytes, **options: Any) -> SnowflakeConnection:
    where = {"account": snowflake.account.name, "host": "127.0.0.1", "port": snowflake.port, "protocol": "http"}
    return connect(
        **where,
        user=user,
        private_key=private_key,
        authenticator="SNOWFLAKE_JWT",
        login_timeout=60,
        enable_server_session_keep_alive_auto_detection=False,
        **options,
    )


@contextmanager
def installed(snowflake: StandIn, before: Sequence[str] = (), tools: Sequence[ToolId] = ()) -> Iterator[SnowflakeBench]:
    """The account with a database of the customer's, and the script of `rolevend platform plan` run in it by its administrator, who ran
    `before` first."""
    admin = uninstalled(snowflake, before)
    vendor, programmer = new_key(), new_key()
    keys = PublicKeys(public_key(vendor), public_key(programmer))
    for statement in script(account_of(snowflake), SnowflakeInstallOptions(("GOVERNED",), tuple(tools)), keys).statements:
        admin.run(statement.text)
    bench = SnowflakeBench(snowflake, admin, SnowflakeLogin(VENDOR_USER, vendor), SnowflakeLogin(PROGRAMMER_USER, programmer))
    try:
        yield bench
    finally:
        bench.close()


def uninstalled(snowflake: StandIn, before: Sequence[str] = ()) -> SnowflakeSession:
    """The account without rolevend: an administrator's session in it."""
    admin = SnowflakeSession(connected(snowflake, "ADMIN", snowflake.administrator.private, role="ACCOUNTADMIN"))
    for statement in (f"CREATE WAREHOUSE {WAREHOUSE}", f"CREATE DATABASE {DATABASE}", f"CREATE SCHEMA {DATABASE}.GOVERNED"):
        admin.run(statement)
    for statement in (f"USE WAREHOUSE {WAREHOUSE}", *before):
        admin.run(statement)
    return admin


@contextmanager
def suspended(bench: SnowflakeBench) -> Iterator[None]:
    """The warehouse does not run, and nobody's statement resumes it."""
    bench.run(f"ALTER WAREHOUSE {WAREHOUSE} SET AUTO_RESUME = FALSE")
    bench.run(f"ALTER WAREHOUSE {WAREHOUSE} SUSPEND")
    try:
        yield
    finally:
        bench.run(f"ALTER WAREHOUSE {WAREHOUSE} SET AUTO_RESUME = TRUE")


@contextmanager
def not_lent(bench: SnowflakeBench) -> Iterator[None]:
    """The operator's logins may not use the warehouse."""
    for role in ("RV_VENDOR", "RV_PROGRAMMER"):
        bench.run(f"REVOKE USAGE ON WAREHOUSE {WAREHOUSE} FROM ROLE {role}")
    try:
        yield
    finally:
        for role in ("RV_VENDOR", "RV_PROGRAMMER WITH GRANT OPTION"):
            bench.run(f"GRANT USAGE ON WAREHOUSE {WAREHOUSE} TO ROLE {role}")

"""The suite's bench over the stand-in for Snowflake. It is a model: what passes on it was not tried on Snowflake."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import sqlglot
from snowflake.connector import SnowflakeConnection, connect

from rolevend.catalog import Table, TableId
from rolevend.model import ClusterId
from rolevend.platforms.base import Account, Credential, KeyPairCredential, Secret
from rolevend.platforms.snowflake import Limits, Login, Options, PublicKeys, SnowflakePlatform, script
from rolevend.platforms.snowflake.install import PROGRAMMER_USER, VENDOR_USER
from rolevend.platforms.snowflake.keys import der, new_key, public_key
from rolevend.platforms.snowflake.text import qualified
from tests.conformance.bench import CLUSTER, PEOPLE, Rows, Session
from tests.support.snowflake import StandIn

DATABASE, WAREHOUSE = "APP", "AGENTS_WH"
_TYPES = {"integer": "NUMBER(38,0)", "text": "VARCHAR"}
"""What the suite's common tables name, as Snowflake has it."""


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
    vendor: Login
    programmer: Login
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _platforms: list[SnowflakePlatform] = field(default_factory=list)
    _sessions: list[SnowflakeSession] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.platform = self.platform_of(CLUSTER)

    @property
    def account(self) -> Account:
        return account_of(self.snowflake)

    def platform_of(self, cluster: ClusterId, limits: Limits | None = None, **changes: Any) -> SnowflakePlatform:
        chosen = {"account": self.account, "vendor": self.vendor, "programmer": self.programmer, **changes}
        made = SnowflakePlatform(cluster=cluster, limits=limits or Limits(tags_seconds=0), **chosen)
        self._platforms.append(made)
        return made

    def schema(self) -> str:
        name = f"S{next(self._numbers)}"
        self.run(f"CREATE SCHEMA {DATABASE}.{name}")
        for role, privilege in (("RV_PROGRAMMER", "SELECT"), ("RV_VENDOR", "REFERENCES")):
            self.run(f"GRANT USAGE ON SCHEMA {DATABASE}.{name} TO ROLE {role}")
            self.run(f"GRANT {privilege} ON FUTURE TABLES IN SCHEMA {DATABASE}.{name} TO ROLE {role}")
        return name

    def table(self, columns: Sequence[tuple[str, str]], rows: Rows = (), *, name: str = "items", schema: str = "") -> Table:
        place = TableId(schema or self.schema(), name)
        listed = ", ".join(f"{qualified(column)} {_TYPES.get(kind, kind)}" for column, kind in columns)
        full = qualified(DATABASE, place.schema, place.name)
        self.run(f"CREATE TABLE {full} ({listed})")
        for row in rows:
            with self.admin.connection.cursor() as cursor:
                cursor.execute(f"INSERT INTO {full} VALUES ({', '.join(['%s'] * len(row))})", row)
        return self.catalog_table(place)

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
        made = SnowflakeSession(connected(self.snowflake, user, der(private_key), **{"warehouse": WAREHOUSE, **options}))
        self._sessions.append(made)
        return made

    def exists(self, role: str) -> bool:
        return bool(self.admin.run(f"SHOW ROLES STARTS WITH '{role}'"))

    def shows_nothing(self, session: Session, statement: str) -> bool:
        """A view of a table that the lease leaves out has no rows."""
        return session.rows(statement) == []

    def tidy(self) -> None:
        """By the vendor, who owns them: not even an administrator may drop another role's."""
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


def account_of(snowflake: StandIn) -> Account:
    return Account(snowflake.account.name, "127.0.0.1", snowflake.port, DATABASE, WAREHOUSE, encrypted=False)


def connected(snowflake: StandIn, user: str, private_key: bytes, **options: Any) -> SnowflakeConnection:
    where = {"account": snowflake.account.name, "host": "127.0.0.1", "port": snowflake.port, "protocol": "http"}
    return connect(
        **where,
        user=user,
        private_key=private_key,
        authenticator="SNOWFLAKE_JWT",
        login_timeout=10,
        enable_server_session_keep_alive_auto_detection=False,
        **options,
    )


@contextmanager
def installed(snowflake: StandIn) -> Iterator[SnowflakeBench]:
    """The account with a database of the customer's, and the script of `rolevend platform plan` run in it by its administrator."""
    admin = SnowflakeSession(connected(snowflake, "ADMIN", snowflake.administrator.private, role="ACCOUNTADMIN"))
    for statement in (f"CREATE WAREHOUSE {WAREHOUSE}", f"CREATE DATABASE {DATABASE}", f"CREATE SCHEMA {DATABASE}.GOVERNED"):
        admin.run(statement)
    admin.run(f"USE WAREHOUSE {WAREHOUSE}")
    vendor, programmer = new_key(), new_key()
    keys = PublicKeys(public_key(vendor), public_key(programmer))
    for statement in script(account_of(snowflake), Options(("GOVERNED",)), keys).statements:
        admin.run(statement.text)
    bench = SnowflakeBench(snowflake, admin, Login(VENDOR_USER, vendor), Login(PROGRAMMER_USER, programmer))
    try:
        yield bench
    finally:
        bench.close()

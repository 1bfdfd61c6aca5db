"""A PostgreSQL server of its own with a few governed tables, small enough to know every row by heart."""

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg import sql

from rolevend.platforms.protocol import InstallMode
from rolevend.policytools.embedded.connection import Connection, logged_in
from rolevend.policytools.embedded.database import PostgresServer

DATABASE, SCHEMA, OWNER = "claims", "claims", "app_owner"
_CONNECT_SECONDS = 30

_TABLES = """
CREATE SCHEMA claims;
CREATE TABLE claims.people (person_id bigint PRIMARY KEY, full_name text, ssn text, birth_date date, country text);
CREATE TABLE claims.claims (claim_id bigint PRIMARY KEY, person_id bigint, country text, amount numeric, note text);
CREATE TABLE claims.payments (payment_id bigint PRIMARY KEY, claim_id bigint, country text, iban text);
CREATE TABLE claims.reserves (reserve_id bigint PRIMARY KEY, country text, amount numeric);
INSERT INTO claims.people VALUES
    (1, 'Lena Bauer', '900-01-0001', '1980-05-17', 'DE'), (2, 'Anton Huber', '900-01-0002', '1975-02-03', 'AT'),
    (3, 'Ruby Hayes', '900-01-0003', '1991-12-31', 'US'), (4, 'Manon Girard', '900-01-0004', '2001-07-08', 'FR');
INSERT INTO claims.claims VALUES (11, 1, 'DE', 120.50, 'hail'), (12, 2, 'AT', 80, 'water'), (13, 3, 'US', 9000, 'theft');
INSERT INTO claims.payments VALUES (21, 11, 'DE', 'DE00DEMO01'), (22, 13, 'US', 'US00DEMO02');
INSERT INTO claims.reserves VALUES (31, 'DE', 1000), (32, 'US', 2000);
"""


_VENDED = "SELECT rolname::text FROM pg_roles WHERE rolname ~ '^IMMUTA_VENDED_' AND rolname !~ '^IMMUTA_VENDED_CANARY_'"


class Governed:
    """Use as ``with Governed() as database:``. `server.stop`, `server.kill` and `server.start` are for faults.

    The administrator, who installs rolevend, is a superuser or, as on a hosted service, the owner of the database with CREATEROLE."""

    def __init__(self, mode: InstallMode = InstallMode.SUPERUSER) -> None:
        self.mode = mode
        self.server = PostgresServer(17, fsync=False, settings={"max_connections": "200"})

    def __enter__(self) -> "Governed":
        self.server.start()
        with psycopg.connect(self.server.superuser.dsn, autocommit=True) as connection:
            if self.mode is InstallMode.MANAGED:
                make = sql.SQL("CREATE ROLE {} LOGIN CREATEROLE PASSWORD {}")
                connection.execute(make.format(sql.Identifier(self.administrator.user), self.administrator.password))
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), sql.Identifier(self.administrator.user))
            )
        with psycopg.connect(self.administrator.dsn, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {OWNER} NOLOGIN")
        with psycopg.connect(self.superuser.dsn) as connection:
            connection.execute(f"GRANT CREATE ON DATABASE {DATABASE} TO {OWNER}")
            connection.execute(f"SET ROLE {OWNER}")
            connection.execute(_TABLES)
        return self

    def __exit__(self, *_: object) -> None:
        self.server.close()

    @property
    def administrator(self) -> Connection:
        if self.mode is InstallMode.SUPERUSER:
            return self.superuser
        return self.superuser.as_user("cloud_admin", self.superuser.password)

    @property
    def superuser(self) -> Connection:
        return self.server.superuser.to_database(DATABASE)

    def ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """As the superuser. An AssertionError where the server does not answer, so that one can wait until it does."""
        try:
            with psycopg.connect(self.superuser.dsn, autocommit=True, connect_timeout=_CONNECT_SECONDS) as connection:
                cursor = connection.execute(query, values or None)
                return cursor.fetchall() if cursor.description else []
        except psycopg.OperationalError as error:
            raise AssertionError(f"the database does not answer: {error}") from error

    def roles(self) -> set[str]:
        """Every vended role there is, whoever made it."""
        return {name for (name,) in self.ask(_VENDED)}

    def has(self, role: str) -> bool:
        return role in self.roles()

    def ended(self, role: str) -> str | None:
        """The reason on the tombstone, or None while the role's lease is alive."""
        rows = self.ask("SELECT reason FROM rolevend.lease WHERE role = %s AND dropped_at IS NOT NULL", role)
        return str(rows[0][0]) if rows else None

    @contextlib.contextmanager
    def session(self, login: dict[str, str], seconds: int = _CONNECT_SECONDS) -> Iterator["psycopg.Connection[tuple[Any, ...]]"]:
        """As a vended role, by the keys of its Secret, if it gets in within so many seconds."""
        connection = logged_in(login, connect_timeout=seconds)
        try:
            yield connection
        finally:
            connection.close()

    def refuses(self, login: dict[str, str]) -> bool:
        """Whether nobody gets in with this login any more."""
        try:
            with self.session(login, seconds=10):  # who waits for a locked catalog is not in, either
                return False
        except psycopg.OperationalError:
            return True

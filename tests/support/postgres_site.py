"""A server with a database before rolevend, whom the installation and the uninstallation are tried on, and its state before."""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from rolevend.model import ClusterId
from rolevend.platforms.postgres import (
    Passwords,
    PostgresInstallOptions,
    PostgresLogin,
    PostgresPlatform,
    install,
    plan,
    plan_uninstall,
    uninstall,
)
from rolevend.platforms.protocol import Address, Secret
from rolevend.platforms.uninstallation import UninstallPlan
from rolevend.policytools.embedded.database import PostgresServer
from rolevend.policytools.embedded.postgres_programs import Version
from tests.conformance.bench import CLUSTER
from tests.support.catalogs import difference, dumps, state

DATABASES = ("claims", "neighbour")
OPTIONS = PostgresInstallOptions(schemas=("raw", "more"))
PASSWORDS = Passwords(Secret("for the vendor"), Secret("for the programmer"))
BEFORE = (
    "CREATE ROLE rv_p_mine; CREATE ROLE rv_t_mine; CREATE ROLE rv_backup LOGIN PASSWORD 'x';"
    "CREATE ROLE app_owner; CREATE ROLE second_owner; CREATE ROLE reader LOGIN PASSWORD 'x';"
    "CREATE DATABASE neighbour; CREATE DATABASE closed; REVOKE CONNECT ON DATABASE closed FROM PUBLIC;"
    "ALTER ROLE reader SET work_mem = '8MB'; ALTER DATABASE neighbour SET work_mem = '16MB'; COMMENT ON ROLE reader IS 'reads'"
)
TABLES = (
    "CREATE SCHEMA raw AUTHORIZATION app_owner; CREATE SCHEMA more AUTHORIZATION app_owner; COMMENT ON SCHEMA raw IS 'rows as they came';"
    "CREATE TABLE raw.people (id integer, region text, email text); INSERT INTO raw.people VALUES (1, 'EU', 'a@example.org');"
    "CREATE TABLE raw.notes (id integer, region text); CREATE TABLE more.guarded (id integer, region text);"
    "ALTER TABLE raw.people OWNER TO app_owner; ALTER TABLE raw.notes OWNER TO second_owner; ALTER TABLE more.guarded OWNER TO app_owner;"
    "GRANT USAGE ON SCHEMA raw TO reader, second_owner; GRANT SELECT ON raw.people TO reader, rv_t_mine;"
    "GRANT SELECT (id) ON raw.notes TO PUBLIC;"
    "ALTER TABLE more.guarded ENABLE ROW LEVEL SECURITY; CREATE POLICY theirs ON more.guarded TO reader USING (region = 'EU');"
    # Names like those of rolevend, which it did not give.
    "CREATE SCHEMA rv_p_mine; CREATE TABLE rv_p_mine.t (); ALTER TABLE rv_p_mine.t OWNER TO rv_p_mine;"
    "CREATE FUNCTION raw.hello() RETURNS integer LANGUAGE sql AS 'SELECT 1'; CREATE PROCEDURE raw.dblink_x() LANGUAGE sql AS ''"
)
OF_A_SUPERUSER = (
    "REVOKE EXECUTE ON FUNCTION pg_notify(text, text) FROM PUBLIC; GRANT EXECUTE ON FUNCTION lo_create(oid) TO reader;"
    "ALTER DEFAULT PRIVILEGES FOR ROLE app_owner IN SCHEMA raw GRANT SELECT ON TABLES TO reader;"
    "GRANT SET ON PARAMETER log_statement TO reader; GRANT CREATE ON SCHEMA public TO PUBLIC"
)


class Site:
    """A server with a database `claims` before rolevend, and who installs there."""

    def __init__(self, server: PostgresServer, administrator: str = "") -> None:
        self.server, self.administrator = server, administrator
        self._ends = ExitStack()
        with psycopg.connect(server.superuser.dsn, autocommit=True) as outside:
            if administrator:
                outside.execute(sql.SQL(f"CREATE ROLE {administrator} LOGIN CREATEROLE PASSWORD 'x'"))
            outside.execute(sql.SQL(f"CREATE DATABASE claims OWNER {administrator or 'postgres'}"))
            for statement in BEFORE.split(";"):
                outside.execute(sql.SQL(statement))
        self.superuser = self.connect()
        self.superuser.execute(sql.SQL(TABLES))
        if administrator:
            self.superuser.execute(sql.SQL(f"GRANT app_owner, second_owner TO {administrator} WITH ADMIN TRUE, INHERIT FALSE"))
            self.superuser.execute(sql.SQL(f"GRANT app_owner TO {administrator} WITH INHERIT TRUE"))
        else:
            self.superuser.execute(sql.SQL(OF_A_SUPERUSER))
        self.admin = self.connect(administrator) if administrator else self.superuser

    def connect(self, user: str = "", database: str = "claims", password: str = "x") -> psycopg.Connection:
        login = self.server.superuser.as_user(user, password) if user else self.server.superuser
        return self._ends.enter_context(psycopg.connect(login.to_database(database).dsn, autocommit=True))

    def run(self, statement: str, database: str = "claims") -> None:
        if database == "claims":
            self.superuser.execute(sql.SQL(statement))
            return
        with psycopg.connect(self.server.superuser.to_database(database).dsn, autocommit=True) as connection:
            connection.execute(sql.SQL(statement))

    def rows(self, statement: str) -> list[tuple[object, ...]]:
        return self.superuser.execute(sql.SQL(statement)).fetchall()

    def install(self, options: PostgresInstallOptions = OPTIONS) -> str:
        digest = plan(self.admin, options).digest
        install(self.admin, options, accept=digest, passwords=PASSWORDS, randomness=secrets.token_bytes)
        return digest

    def plan(self) -> UninstallPlan:
        return plan_uninstall(self.admin, OPTIONS)

    def uninstall(self) -> UninstallPlan:
        return uninstall(self.admin, OPTIONS, accept=self.plan().digest)

    def uninstall_with(self, admin: psycopg.Connection, digest: str) -> UninstallPlan:
        return uninstall(admin, OPTIONS, accept=digest)

    def installing_is_refused(self) -> dict[str, str]:
        return {finding.subject: finding.text for finding in plan(self.admin, OPTIONS).refusals}

    def refusals(self) -> dict[str, str]:
        return {finding.subject: finding.text for finding in self.plan().refusals}

    @property
    def address(self) -> Address:
        where = self.server.superuser
        return Address(where.host, where.port, "claims", where.tls)

    @property
    def logins(self) -> tuple[PostgresLogin, PostgresLogin]:
        return PostgresLogin("rv_vendor", Secret("for the vendor")), PostgresLogin("rv_programmer", Secret("for the programmer"))

    @contextmanager
    def platform(self, cluster: ClusterId = CLUSTER) -> Iterator[PostgresPlatform]:
        made = PostgresPlatform(self.address, cluster, *self.logins)
        try:
            yield made
        finally:
            made.close()

    def close(self) -> None:
        self._ends.close()


@contextmanager
def site(version: Version = 18, administrator: str = "") -> Iterator[Site]:
    with PostgresServer(version, fsync=False) as server:
        made = Site(server, administrator)
        try:
            yield made
        finally:
            made.close()


class Before:
    """The server before the installation."""

    def __init__(self, there: Site, scratch: Path) -> None:
        self._there, self._scratch = there, scratch
        self._catalogs = state(there.server, *DATABASES)
        self._written = dumps(there.server, scratch, *DATABASES)
        self._digest = plan(there.admin, OPTIONS).digest

    def expect(self) -> None:
        """Nothing is different now."""
        assert difference(self._catalogs, state(self._there.server, *DATABASES)) == []
        assert difference(self._written, dumps(self._there.server, self._scratch, *DATABASES)) == []
        assert plan(self._there.admin, OPTIONS).digest == self._digest

    def expect_a_change(self) -> None:
        """An installation that these questions do not see would prove nothing."""
        seen = {line.partition(" - ")[0].partition(" + ")[0] for line in difference(self._catalogs, state(self._there.server, *DATABASES))}
        wanted = ("roles", "memberships", "databases", "schemas", "relations", "functions", "languages", "policies", "rules")
        assert seen >= {f"claims: {name}:" for name in wanted}
        assert all("neighbour" not in name for name in seen), "the other databases are not touched"

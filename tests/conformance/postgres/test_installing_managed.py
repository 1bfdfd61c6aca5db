"""An installation by the owner of a database who is no superuser, as hosted services give one: what it needs, says and leaves open."""

import secrets
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from rolevend.errors import Conflict
from rolevend.platforms.postgres import (
    FindingKind,
    InstallPlan,
    Passwords,
    PostgresInstallOptions,
    PostgresLogin,
    PostgresPlatform,
    install,
    plan,
    plan_uninstall,
    uninstall,
)
from rolevend.platforms.postgres.install.survey import VERSION
from rolevend.platforms.protocol import Address, InstallMode, Secret
from rolevend.policytools.embedded.database import PostgresServer
from tests.conformance.bench import CLUSTER, PostgresBench, lease, profile, refused, shape, vended
from tests.support.waiting import eventually

ADMINISTRATOR, DATABASE = "cloud_admin", "claims"
OPTIONS = PostgresInstallOptions(schemas=("raw",))
PASSWORDS = Passwords(Secret("for the vendor"), Secret("for the programmer"))


class Service:
    """A server whose superuser is the service's own. `provider` is that one, `administrator` is who installs."""

    def __init__(self, server: PostgresServer) -> None:
        self._superuser = server.superuser
        self._connections: list[psycopg.Connection] = []
        with psycopg.connect(self._superuser.dsn, autocommit=True) as outside:
            self.run(f"CREATE ROLE {ADMINISTRATOR} LOGIN CREATEROLE PASSWORD 'x'; CREATE ROLE reader LOGIN PASSWORD 'x'", outside)
            self.run(f"CREATE DATABASE {DATABASE} OWNER {ADMINISTRATOR}", outside)
        self.provider = self.connect()
        self.administrator = self.connect(ADMINISTRATOR)
        for statement in (
            "CREATE ROLE app_owner; GRANT app_owner TO CURRENT_USER WITH SET TRUE, INHERIT FALSE",
            "CREATE SCHEMA raw AUTHORIZATION app_owner; SET ROLE app_owner",
            "CREATE TABLE raw.customers (id integer); GRANT USAGE ON SCHEMA raw TO reader; GRANT SELECT ON raw.customers TO reader",
            f"RESET ROLE; REVOKE app_owner FROM CURRENT_USER GRANTED BY {ADMINISTRATOR}",
        ):
            self.administrator.execute(sql.SQL(statement))

    def connect(self, user: str = "") -> psycopg.Connection:
        """As the provider, or as somebody else."""
        login = self._superuser.as_user(user, "x") if user else self._superuser
        self._connections.append(psycopg.connect(login.to_database(DATABASE).dsn, autocommit=True))
        return self._connections[-1]

    def run(self, statement: str, by: psycopg.Connection | None = None) -> None:
        (by or self.provider).execute(sql.SQL(statement))

    def plan(self, by: psycopg.Connection | None = None) -> InstallPlan:
        return plan(by or self.administrator, OPTIONS)

    def install(self, by: psycopg.Connection | None = None) -> InstallPlan:
        by = by or self.administrator
        return install(by, OPTIONS, accept=plan(by, OPTIONS).digest, passwords=PASSWORDS, randomness=secrets.token_bytes)

    def refusals(self, by: psycopg.Connection | None = None) -> dict[str, str]:
        return {finding.subject: finding.text for finding in self.plan(by).refusals}

    def platform(self) -> PostgresPlatform:
        return PostgresPlatform(
            Address(self._superuser.host, self._superuser.port, DATABASE, self._superuser.tls),
            CLUSTER,
            PostgresLogin("rv_vendor", Secret("for the vendor")),
            PostgresLogin("rv_programmer", Secret("for the programmer")),
        )

    def close(self) -> None:
        for connection in self._connections:
            connection.close()


@pytest.fixture
def service(server: PostgresServer) -> Iterator[Service]:
    made = Service(server)
    yield made
    made.close()


def test_the_whole_story(service: Service):
    """One server for all of it: a server takes a second to start."""
    whoever_has_not_the_rights_is_refused(service)
    tables_that_would_give_too_much_away_are_refused(service)
    what_cannot_be_handed_on_is_refused(service)
    the_plan_says_what_cannot_be_prevented(service)
    the_installation_takes_nothing_from_anybody_and_says_what_it_lacks(service)
    installing_again_changes_nothing(service)
    nobody_else_installs_over_it(service)
    who_becomes_a_superuser_changes_over(service)
    and_takes_all_of_it_back(service)


def whoever_has_not_the_rights_is_refused(service: Service):
    service.run("CREATE ROLE maker LOGIN CREATEROLE PASSWORD 'x'; CREATE ROLE owning LOGIN PASSWORD 'x'")
    for name, rights in (("maker", f"GRANT CONNECT ON DATABASE {DATABASE} TO maker"), ("owning", f"GRANT {ADMINISTRATOR} TO owning")):
        service.run(rights)
        with pytest.raises(Conflict, match=f"owner of the database with CREATEROLE; {name} is neither"):
            service.plan(service.connect(name))
    service.run(f"REVOKE CONNECT ON DATABASE {DATABASE} FROM maker; REVOKE {ADMINISTRATOR} FROM owning; DROP ROLE maker, owning")


def tables_that_would_give_too_much_away_are_refused(service: Service):
    """The programmer acts for the owners of tables: never for the administrator, who administers rv_owner."""
    service.run("GRANT CREATE, USAGE ON SCHEMA raw TO PUBLIC; CREATE ROLE above")
    service.run("CREATE TABLE raw.mine ()", service.administrator)
    service.run(f"GRANT {ADMINISTRATOR} TO above; CREATE TABLE raw.aboves (); ALTER TABLE raw.aboves OWNER TO above")
    found = service.refusals()
    assert found.keys() == {"raw.mine", "raw.aboves"}
    assert all(f"acts for, {ADMINISTRATOR}" in text and "OWNER TO" in text for text in found.values())
    service.run("DROP TABLE raw.mine, raw.aboves; DROP ROLE above; REVOKE ALL ON SCHEMA raw FROM PUBLIC")


def what_cannot_be_handed_on_is_refused(service: Service):
    service.run(
        "CREATE ROLE theirs; CREATE TABLE raw.theirs (); ALTER TABLE raw.theirs OWNER TO theirs; ALTER SCHEMA raw OWNER TO pg_monitor"
    )
    service.run("CREATE ROLE rv_vendor LOGIN")
    found = service.refusals()
    assert found.keys() == {"raw.theirs", "raw", "rv_vendor"}
    assert f"GRANT theirs TO {ADMINISTRATOR} WITH ADMIN TRUE" in found["raw.theirs"]
    assert f"GRANT pg_monitor TO {ADMINISTRATOR} WITH INHERIT TRUE" in found["raw"]
    assert f"{ADMINISTRATOR} may not administer it" in found["rv_vendor"]
    service.run("DROP ROLE rv_vendor; ALTER SCHEMA raw OWNER TO app_owner; DROP TABLE raw.theirs; DROP ROLE theirs")
    assert service.refusals() == {}


def the_plan_says_what_cannot_be_prevented(service: Service):
    found = service.plan()
    assert found == service.plan()
    stays = {finding.subject: finding.text for finding in found.findings if finding.kind is FindingKind.STAYS}
    assert {subject.split(" (")[0] for subject in stays} >= {
        "server",
        "sessions",
        "temporary files",
        "pg_hba.conf",
        "USAGE on language plpgsql",
        "CONNECT on database postgres, template1",
    }
    assert any(subject.startswith("EXECUTE on function lo_") for subject in stays)
    assert not any(DATABASE in subject or "schema public" in subject for subject in stays), "these are the administrator's"
    for statement in found.statements:
        assert "EVENT TRIGGER" not in statement.text
        assert "SUPERUSER" not in statement.text.replace("NOSUPERUSER", "")
    assert service.provider.execute("SELECT FROM pg_roles WHERE rolname ~ '^rv_'").fetchall() == []


def the_installation_takes_nothing_from_anybody_and_says_what_it_lacks(service: Service):
    service.install()
    reader = service.connect("reader")
    assert reader.execute("SELECT count(*) FROM raw.customers").fetchone() == (0,)
    reader.execute("CREATE TEMPORARY TABLE t (a integer)")
    platform = service.platform()
    facts = platform.facts()
    platform.close()
    assert facts.install_mode is InstallMode.MANAGED
    for word in (
        "live roles at a time",
        "no login trigger",
        "pg_signal_backend",
        "temp_file_limit",
        "DO blocks",
        "lo_",
        "postgres, template1",
    ):
        assert any(word in text for text in facts.limitations), word
    assert not any("installation again" in text for text in facts.limitations)


def installing_again_changes_nothing(service: Service):
    again = service.install()
    assert again.digest == service.install().digest
    assert not any(each.text.startswith("CREATE ROLE") for each in again.statements)
    service.run(f"GRANT pg_signal_backend TO {ADMINISTRATOR} WITH ADMIN TRUE")
    service.run(f"GRANT SET ON PARAMETER temp_file_limit TO {ADMINISTRATOR} WITH GRANT OPTION")
    service.install()
    assert not {finding.subject for finding in service.plan().findings} & {"sessions", "temporary files"}
    platform = service.platform()
    assert not any(word in text for text in platform.facts().limitations for word in ("pg_signal_backend", "temp_file_limit"))
    platform.close()


def nobody_else_installs_over_it(service: Service):
    assert "ALTER ROLE rv_owner SUPERUSER" in service.refusals(service.provider)["rv_owner"]
    service.run("CREATE ROLE successor LOGIN CREATEROLE PASSWORD 'x'")
    service.run(f"ALTER DATABASE {DATABASE} OWNER TO successor")
    with pytest.raises(Conflict, match="connect as the same administrator"):
        service.plan(service.connect("successor"))
    service.run("GRANT rv_owner TO successor WITH ADMIN TRUE; GRANT rv_connect, rv_template, rv_public TO successor WITH ADMIN TRUE")
    service.run("GRANT rv_vendor, rv_programmer TO successor WITH ADMIN TRUE, INHERIT FALSE")
    service.run("GRANT app_owner TO successor WITH ADMIN TRUE, INHERIT FALSE")
    service.install(service.connect("successor"))


def who_becomes_a_superuser_changes_over(service: Service):
    service.run("ALTER ROLE rv_owner SUPERUSER")
    service.install(service.provider)
    platform = service.platform()
    facts = platform.facts()
    platform.close()
    assert facts.install_mode is InstallMode.SUPERUSER
    assert not any(word in text for text in facts.limitations for word in ("PUBLIC", "live roles", "installation again", "missing"))


def and_takes_all_of_it_back(service: Service):
    """Three administrators granted rights by now. Without rolevend a role that is made later can do what PUBLIC could."""
    eventually(lambda: plan_uninstall(service.provider, OPTIONS).refusals == ())
    uninstall(service.provider, OPTIONS, accept=plan_uninstall(service.provider, OPTIONS).digest)
    assert service.provider.execute("SELECT FROM pg_roles WHERE rolname ~ '^rv_'").fetchall() == []
    service.run("CREATE ROLE newcomer LOGIN PASSWORD 'x'")
    service.connect("newcomer").execute("CREATE TEMPORARY TABLE t (a integer)")


@pytest.mark.both_installs
def test_an_older_installation_is_refused_and_can_be_installed_over(bench: PostgresBench):
    """Version 1 had two functions that answered something else."""
    with bench.administrator() as administrator:
        bench.run("UPDATE rolevend.version SET version = 1; DROP FUNCTION rolevend.drift(text)")
        bench.run("CREATE FUNCTION rolevend.drift(text) RETURNS TABLE (finding text) LANGUAGE sql AS 'SELECT NULL'")
        bench.run("CREATE FUNCTION rolevend.policies(oid[], name) RETURNS text LANGUAGE sql AS 'SELECT NULL'")
        bench.run("ALTER FUNCTION rolevend.drift(text) OWNER TO rv_owner; ALTER FUNCTION rolevend.policies(oid[], name) OWNER TO rv_owner")
        assert f"{VERSION} is needed: plan and run the installation" in str(bench.platform.facts().unusable)
        accepted = plan(administrator, bench.options).digest
        install(administrator, bench.options, accept=accepted, passwords=bench.passwords, randomness=secrets.token_bytes)
    assert bench.platform.facts().install_mode is bench.mode
    assert bench.platform.drift() == []


@pytest.mark.both_installs
def test_an_installation_over_an_older_one_ends_the_roles_of_profiles_that_leak(bench: PostgresBench):
    """Version 11 built views without a fence."""
    of = profile(shape(bench.people()))
    made, credential = vended(bench.platform, of)
    eve = bench.log_in(credential)
    assert len(eve.rows("SELECT * FROM people")) == 6
    with bench.administrator() as administrator:
        assert "vended roles" not in {each.subject for each in plan(administrator, bench.options).findings}
        bench.run("UPDATE rolevend.version SET version = 11; UPDATE rolevend.profile SET form = 1")
        found = plan(administrator, bench.options)
        assert "leak hidden rows" in next(each.text for each in found.findings if each.kind is FindingKind.ENDS)
        install(administrator, bench.options, accept=found.digest, passwords=bench.passwords, randomness=secrets.token_bytes)

    assert refused(lambda: eve.rows("SELECT * FROM people")) in ("42501", "42P01")
    assert [(each.role, each.closed) for each in bench.platform.live()] == [(made.role, True)]
    late = lease(of)
    (answer,) = bench.platform.vend([(late, bench.platform.credential(late, secrets.token_bytes))])
    assert "an earlier version built it, and its views leak hidden rows" in str(answer.error)
    upgraded = bench.platform_of(CLUSTER)
    vended(upgraded, of)
    upgraded.close()

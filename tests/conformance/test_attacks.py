"""What an agent could try with its login, one by one. The agent `eve` may read the people of the EU, and of these no ssn."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest

from rolevend.plan import Lease, TableShape
from rolevend.platforms.base import Credential, Ending, EndReason
from rolevend.policy.mask import Hash, Nullify, Partial
from tests.conformance.bench import PostgresBench, PostgresSession, own, profile, refused, shape, vended
from tests.conformance.not_preventable import NOT_PREVENTABLE

pytestmark = pytest.mark.both_installs

INSUFFICIENT_PRIVILEGE, INVALID_PARAMETER, UNDEFINED = "42501", "22023", ("42883", "42P01", "42704", "3F000")


@dataclass
class Attack:
    bench: PostgresBench
    people: TableShape
    lease: Lease
    credential: Credential
    eve: PostgresSession
    victim: Lease

    @property
    def words(self) -> dict[str, str]:
        """What an attacker can know: names are public."""
        template = self.bench.value("SELECT max(template) FROM rolevend.template")
        return {
            "table": str(self.people.table),
            "schema": self.people.table.schema,
            "eve": self.lease.role,
            "victim": self.victim.role,
            "profile": self.lease.profile,
            "victims_profile": self.victim.profile,
            "template": template,
            "owner": self.bench.owner,
            "vendor": self.bench.options.vendor,
            "programmer": self.bench.options.programmer,
            "database": self.bench.address.database,
        }


@pytest.fixture
def attack(bench: PostgresBench) -> Attack:
    return prepared(bench)


@pytest.fixture
def standing(installed_bench: PostgresBench) -> Attack:
    """For attacks that change nothing, whether they are refused or not: they share one, which is most of their time."""
    if installed_bench.standing is None:
        installed_bench.standing = prepared(installed_bench)
    made: Attack = installed_bench.standing
    made.eve.connection.rollback()
    return made


@pytest.fixture
def vendor(standing: Attack) -> Iterator[PostgresSession]:
    session = standing.bench.login_of(standing.bench.vendor)
    yield session
    session.close()


@pytest.fixture
def programmer(standing: Attack) -> Iterator[PostgresSession]:
    session = standing.bench.login_of(standing.bench.programmer)
    yield session
    session.close()


def prepared(bench: PostgresBench) -> Attack:
    people = bench.people()
    europe = shape(people, own(people, "region", "regions"), masks={"ssn": Nullify(), "email": Hash()})
    made, credential = vended(bench.platform, profile(europe), regions=["EU"])
    victim, _ = vended(bench.platform, profile(shape(people, own(people, "region", "regions"))), regions=["US"])
    return Attack(bench, europe, made, credential, bench.log_in(credential), victim)


REFUSED = {
    # becoming somebody else
    "set role to the owner": "SET ROLE {owner}",
    "set role to the template": "SET ROLE {template}",
    "set role to its profile": "SET ROLE {profile}",
    "set role to another agent": 'SET ROLE "{victim}"',
    "set role by set_config": "SELECT set_config('role', '{owner}', false)",
    "set session authorization": 'SET SESSION AUTHORIZATION "{victim}"',
    "grant itself another profile": 'GRANT {victims_profile} TO "{eve}"',
    "grant itself the template": 'GRANT {template} TO "{eve}"',
    "grant itself every table": 'GRANT pg_read_all_data TO "{eve}"',
    # reading past the view
    "read the table": "SELECT * FROM {table}",
    "read another profile's views": "SELECT * FROM {victims_profile}.people",
    "count the table": "SELECT count(*) FROM ONLY {table}",
    "copy the table": "COPY {table} TO STDOUT",
    "read the statistics": "SELECT * FROM pg_statistic",
    "read the passwords": "SELECT rolpassword FROM pg_authid",
    "read the salt": "SELECT salt FROM rolevend.salt",
    "read the leases": "SELECT * FROM rolevend.lease",
    "call our functions": "SELECT rolevend.attr('regions')",
    "vend": "SELECT rolevend.vend('IMMUTA_VENDED_A_B_C', 'c', 'u', 'p', 'v', now(), 'a', 'i', 's', '{{}}')",
    "close another role": "SELECT rolevend.close('{victim}', 'c', 'u', 'r')",
    "finish another role": "SELECT rolevend.finish('{victim}')",
    "call the sweep": "CALL rolevend.sweep()",
    # writing through the view or around it
    "insert through the view": "INSERT INTO people VALUES (99)",
    "update through the view": "UPDATE people SET region = 'EU'",
    "delete through the view": "DELETE FROM people",
    "lock rows through the view": "SELECT * FROM people FOR UPDATE",
    "lock the view": "BEGIN; LOCK TABLE people IN ACCESS EXCLUSIVE MODE",
    "truncate": "TRUNCATE {table}",
    "replace the view": "CREATE OR REPLACE VIEW people AS SELECT 1 AS id",
    "own the view": 'ALTER VIEW people OWNER TO "{eve}"',
    "drop the view": "DROP VIEW people",
    "switch row security off": "ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
    "drop the policy": "DROP POLICY {template} ON {table}",
    "add a policy": "CREATE POLICY mine ON {table} USING (true)",
    "comment": "COMMENT ON VIEW people IS 'rolevend: pii=none'",
    # making things
    "create a schema": "CREATE SCHEMA mine",
    "create a table in public": "CREATE TABLE public.mine (a int)",
    "create a table in its profile": "CREATE TABLE {profile}.mine (a int)",
    "create a temporary table": "CREATE TEMPORARY TABLE mine (a int)",
    "create a temporary view": "CREATE TEMPORARY VIEW mine AS SELECT 1",
    "create a temporary function": "CREATE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
    "create a function": "CREATE FUNCTION {profile}.leak(text) RETURNS boolean COST 0.0001 LANGUAGE sql AS 'SELECT true'",
    "create an operator": "CREATE OPERATOR {profile}.<<< (FUNCTION = texteq, LEFTARG = text, RIGHTARG = text)",
    "drop an extension": "DROP EXTENSION plpgsql",
    "create a role": "CREATE ROLE mine",
    "create a database": "CREATE DATABASE mine",
    "create a publication": "CREATE PUBLICATION mine FOR TABLE {table}",
    "create an event trigger": "CREATE EVENT TRIGGER mine ON ddl_command_end EXECUTE FUNCTION rolevend.on_login()",
    "a DO block": "DO $$ BEGIN END $$",
    # leaving the database
    "copy from a file": "COPY people FROM '/etc/passwd'",
    "copy to a file": "COPY (SELECT 1) TO '/tmp/out'",
    "copy to a program": "COPY (SELECT 1) TO PROGRAM 'cat'",
    "read a file": "SELECT pg_read_file('postgresql.conf')",
    "list files": "SELECT pg_ls_dir('.')",
    "load a library": "LOAD 'plpgsql'",
    "create a large object": "SELECT lo_create(0)",
    "import a large object": "SELECT lo_import('/etc/passwd')",
    "write a large object": "SELECT lo_from_bytea(0, 'x')",
    "take an advisory lock": "SELECT pg_advisory_lock(1)",
    "try an advisory lock": "SELECT pg_try_advisory_lock(1)",
    "notify by function": "SELECT pg_notify('channel', 'payload')",
    "write into the log of replication": "SELECT pg_logical_emit_message(false, 'x', 'y')",
    "export a snapshot": "SELECT pg_export_snapshot()",
    "end another's session": "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres'",
    # changing itself
    "live longer": "ALTER ROLE \"{eve}\" VALID UNTIL 'infinity'",
    "pass row security by": 'ALTER ROLE "{eve}" BYPASSRLS',
    "become a superuser": 'ALTER ROLE "{eve}" SUPERUSER',
    "create roles": 'ALTER ROLE "{eve}" CREATEROLE',
    "be renamed": 'ALTER ROLE "{victim}" RENAME TO mine',
    "more connections": 'ALTER ROLE "{eve}" CONNECTION LIMIT -1',
    "larger temporary files": "SET temp_file_limit = -1",
    "larger temporary files by set_config": "SELECT set_config('temp_file_limit', '-1', false)",
    "larger temporary files from the next login on": 'ALTER ROLE "{eve}" SET temp_file_limit = -1',
    "no limit of temporary files from the next login on": 'ALTER ROLE "{eve}" RESET temp_file_limit',
    "not to be seen at work": "SET track_activities = off",
    "change another's password": "ALTER ROLE \"{victim}\" PASSWORD 'x'",
    "drop another role": 'DROP ROLE "{victim}"',
    "switch event triggers off": "SET event_triggers = off",
    "switch triggers off": "SET session_replication_role = replica",
    "switch logging off": "SET log_statement = none",
}
"""A statement -> refused with insufficient_privilege, or because what it names is not there for it."""


@pytest.mark.parametrize("name", REFUSED)
def test_refused(standing: Attack, name: str):
    """Or it is one of those that are known to succeed: then it must."""
    if name in NOT_PREVENTABLE[standing.bench.mode]:
        standing.eve.run(REFUSED[name].format(**standing.words))
        return
    state = refused(lambda: standing.eve.run(REFUSED[name].format(**standing.words)))
    allowed = {INSUFFICIENT_PRIVILEGE}
    if name == "switch event triggers off" and standing.bench.version == 16:
        allowed = {"42704"}  # 16 has no such setting, and no login trigger
    assert state in allowed


STAYS_NARROW = {
    "reset role": "RESET ROLE",
    "set role none": "SET ROLE NONE",
    "another search path": "SET search_path = {schema}, rolevend, public",
    "reset its settings": "RESET ALL",
    "a setting of its own role": "ALTER ROLE \"{eve}\" SET search_path = '{schema}'",
    "default privileges": 'ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO "{eve}"',
    "no custom plans": "SET plan_cache_mode = force_generic_plan",
    "parallel plans": "SET debug_parallel_query = on",
    "nulls that equal nulls": "SET transform_null_equals = on",
    "another isolation": "SET default_transaction_isolation = serializable",
    "its own password": "ALTER ROLE \"{eve}\" PASSWORD 'x'",
}
"""A statement that succeeds -> and the next question shows what it showed before."""


@pytest.mark.parametrize("name", STAYS_NARROW)
def test_succeeds_and_shows_nothing_more(attack: Attack, name: str):
    attack.eve.run(STAYS_NARROW[name].format(**attack.words))
    people = f"{attack.lease.profile}.people"
    assert attack.eve.rows(f"SELECT id, region, ssn FROM {people} ORDER BY id") == [(0, "EU", None), (1, "EU", None)]
    assert refused(lambda: attack.eve.rows("SELECT * FROM {table}".format(**attack.words))) == INSUFFICIENT_PRIVILEGE


LEAKY = {
    "division by zero on a hidden row": "SELECT id FROM people WHERE 1 / (id - 3) <> 5",
    "a cast that fails on a hidden row": "SELECT id FROM people WHERE replace(id::text, '4', 'x')::integer >= 0",
    "division by zero on a hidden cell": "SELECT id FROM people WHERE 1 / (CASE ssn WHEN '123-45-6780' THEN 0 ELSE 1 END) = 1",
    "a CASE that looks first": "SELECT CASE WHEN id = 3 THEN 1 / (id - 3) ELSE 0 END FROM people",
    "a join that looks first": "SELECT 1 FROM people p JOIN generate_series(0, 9) g ON 1 / (p.id - 3) = g",
    "an aggregate": "SELECT sum(1 / (id - 3)) FROM people",
    "regular expressions": "SELECT id FROM people WHERE ssn ~ '^123' OR region ~ 'US'",
    "sampling": "SELECT id FROM (SELECT * FROM people OFFSET 0) p WHERE 1 / (id - 3) <> 5",
}


@pytest.mark.parametrize("name", LEAKY)
def test_hidden_rows_and_cells_are_never_computed_with(standing: Attack, name: str):
    standing.eve.rows(LEAKY[name])


def test_cheap_functions_do_not_see_hidden_rows(attack: Attack):
    """Even a function that costs nothing, and that somebody made executable for all."""
    attack.bench.run(
        "CREATE SCHEMA IF NOT EXISTS shared; GRANT USAGE ON SCHEMA shared TO PUBLIC;"
        "CREATE OR REPLACE FUNCTION shared.leak(t text) RETURNS boolean COST 0.0000001 LANGUAGE plpgsql"
        " AS $$ BEGIN IF t NOT LIKE 'EU%' THEN RAISE '%', t; END IF; RETURN true; END $$"
    )
    try:
        assert attack.eve.rows("SELECT id FROM people WHERE shared.leak(region) ORDER BY id") == [(0,), (1,)]
        assert attack.eve.rows("SELECT id FROM people WHERE shared.leak(coalesce(ssn, 'EU')) ORDER BY id") == [(0,), (1,)]
    finally:
        attack.bench.run("DROP SCHEMA shared CASCADE")


def test_statistics_show_nothing_of_governed_tables(attack: Attack):
    attack.bench.run(f"ANALYZE {attack.people.table}")
    for view in ("pg_stats", "pg_stats_ext", "pg_stats_ext_exprs"):
        assert attack.eve.rows(f"SELECT * FROM {view} WHERE schemaname = '{attack.people.table.schema}'") == []


def test_definitions_show_no_secret_and_nobodys_values(attack: Attack):
    salt = attack.bench.value("SELECT encode(salt, 'hex') FROM rolevend.salt")
    policies = str(attack.eve.rows("SELECT * FROM pg_policies"))
    views = str(attack.eve.rows("SELECT viewname, definition FROM pg_views WHERE schemaname LIKE 'rv_p_%'"))
    for text in (policies, views):
        assert "EU" not in text
        assert "US" not in text
        assert salt not in text


def test_row_security_off_is_an_error_and_no_more_rows(attack: Attack):
    attack.eve.run("SET row_security = off")
    assert refused(lambda: attack.eve.rows("SELECT * FROM people")) == INSUFFICIENT_PRIVILEGE


def test_others_questions_are_not_shown(attack: Attack):
    texts = attack.eve.rows("SELECT query FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    assert {text for (text,) in texts} <= {"<insufficient privilege>", ""}


@pytest.mark.parametrize("database", ["postgres", "template1"])
def test_another_database_is_closed(attack: Attack, database: str):
    if f"log in to {database}" in NOT_PREVENTABLE[attack.bench.mode]:
        attack.bench.session(attack.lease.role, attack.credential.password.reveal(), database)
        return
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        attack.bench.session(attack.lease.role, attack.credential.password.reveal(), database)


def test_somebodys_policy_for_everybody_does_not_widen(attack: Attack):
    table = attack.people.table
    attack.bench.run(f"CREATE POLICY everybody ON {table} USING (true)")
    assert attack.eve.rows("SELECT DISTINCT region FROM people") == [("EU",)]
    assert refused(lambda: attack.eve.rows(f"SELECT * FROM {table}")) == INSUFFICIENT_PRIVILEGE


def test_a_table_that_is_granted_to_everybody_shows_no_row_of_a_governed_table(attack: Attack):
    table = attack.people.table
    attack.bench.run(f"GRANT SELECT ON {table} TO PUBLIC; GRANT USAGE ON SCHEMA {table.schema} TO PUBLIC")
    assert attack.eve.rows(f"SELECT * FROM {table}") == []


def test_dropping_either_of_our_policies_by_hand_opens_nothing(attack: Attack):
    table = attack.people.table
    template = attack.bench.value(
        f"SELECT polname FROM pg_policy WHERE polrelid = '{table}'::regclass AND NOT polpermissive "
        f"AND polroles = ARRAY(SELECT relowner FROM pg_class WHERE oid = '{attack.lease.profile}.people'::regclass)"
    )
    attack.bench.run(f"BEGIN; DROP POLICY {template} ON {table}; COMMIT")
    assert attack.eve.rows("SELECT DISTINCT region FROM people") == [("EU",)]
    attack.bench.run(f"DROP POLICY {template}_open ON {table}")
    assert attack.eve.rows("SELECT * FROM people") == []


def test_an_attributes_date_means_the_same_under_every_setting(bench: PostgresBench):
    """'01/02/2024' is no date here; what is one has one spelling, whatever DateStyle and TimeZone the agent sets."""
    days = bench.table([("day", "date"), ("at", "timestamptz")], [["2024-02-01", "2024-02-01T00:00:00+00:00"]])
    of = profile(shape(days, own(days, "day", "days"), own(days, "at", "times")))
    _, plain = vended(bench.platform, of, days=["2024-02-01"])
    _, hostile = vended(bench.platform, of, days=["01/02/2024"], times=["2024-02-01 00:00:00"])
    _, zoned = vended(bench.platform, of, times=["2024-02-01T02:00:00+02:00"])
    for style in ("ISO, DMY", "ISO, MDY", "SQL, YMD", "German"):
        for zone in ("UTC", "Asia/Tokyo"):
            answers = []
            for credential in (plain, hostile, zoned):
                session = bench.log_in(credential)
                session.run(f"SET datestyle = '{style}'; SET timezone = '{zone}'")
                answers.append(len(session.rows("SELECT 1 FROM items")))
                session.close()
            assert answers == [1, 0, 1]


def test_a_password_does_not_survive_the_release(attack: Attack):
    attack.bench.platform.drop([Ending(attack.lease.role, attack.lease.uid, EndReason.RELEASED)])
    with pytest.raises(psycopg.OperationalError):
        attack.bench.log_in(attack.credential)


def test_a_password_that_the_agent_set_does_not_survive_the_release_either(attack: Attack):
    attack.eve.run(f"ALTER ROLE \"{attack.lease.role}\" PASSWORD 'mine'")
    attack.bench.session(attack.lease.role, "mine")
    attack.bench.platform.drop([Ending(attack.lease.role, attack.lease.uid, EndReason.RELEASED)])
    with pytest.raises(psycopg.OperationalError):
        attack.bench.session(attack.lease.role, "mine")


def test_no_more_than_eight_connections(attack: Attack):
    for _ in range(7):
        attack.bench.log_in(attack.credential)
    with pytest.raises(psycopg.OperationalError, match="too many connections"):
        attack.bench.log_in(attack.credential)


def test_a_hash_cannot_be_made_without_the_salt(attack: Attack):
    (shown,) = attack.eve.rows("SELECT email FROM people WHERE id = 0")[0]
    assert attack.eve.rows("SELECT encode(sha256('p0@example.org'), 'hex')") != [(shown,)]


def test_partial_never_shows_a_short_value(bench: PostgresBench):
    codes = bench.table([("code", "text")], [[text] for text in ("1", "12", "123", "1234", "12345678")])
    _, credential = vended(bench.platform, profile(shape(codes, masks={"code": Partial(4)})))
    assert {text for (text,) in bench.log_in(credential).rows("SELECT code FROM items")} == {"***", "***5678"}


VENDOR_REFUSED = {
    "read a table": "SELECT * FROM {table}",
    "read a view": "SELECT * FROM {profile}.people",
    "read the salt": "SELECT * FROM rolevend.salt",
    "write a lease": "UPDATE rolevend.lease SET expires_at = 'infinity'",
    "write a profile": "INSERT INTO rolevend.profile VALUES ('rv_p_x')",
    "create a role": "CREATE ROLE mine",
    "grant a profile": 'GRANT {profile} TO "{eve}"',
    "take a profile": "GRANT {profile} TO {vendor}",
    "become the owner": "SET ROLE rv_owner",
    "become the programmer": "SET ROLE {programmer}",
    "become a role that it made": 'SET ROLE "{eve}"',
    "create a schema": "CREATE SCHEMA mine",
    "a temporary table": "CREATE TEMPORARY TABLE mine (a int)",
    "read files": "SELECT pg_read_file('postgresql.conf')",
    "build": "SELECT rolevend.govern('{table}')",
    "accept a drift": "SELECT rolevend.accept('{table}')",
    "a DO block": "DO $$ BEGIN END $$",
}
VENDOR_INVALID = {
    "a name that is not ours": ("rv_owner", "{profile}", "1 hour"),
    "an overlong name": ("IMMUTA_VENDED_" + "A" * 50, "{profile}", "1 hour"),
    "a quote in the name": ('IMMUTA_VENDED_A"B', "{profile}", "1 hour"),
    "a life that is too long": ("IMMUTA_VENDED_A_B_C", "{profile}", "25 hours"),
    "a life that is over": ("IMMUTA_VENDED_A_B_C", "{profile}", "-1 second"),
}
_VERIFIER = f"SCRAM-SHA-256$1:{'A' * 21}A==${'A' * 42}A=:{'A' * 42}A="


class TestTheOperatorsLogins:
    """The vendor reads nothing and makes nothing but roles of profiles that are built; the programmer is no superuser."""

    @pytest.mark.parametrize("name", VENDOR_REFUSED)
    def test_the_vendor_is_refused(self, standing: Attack, vendor: PostgresSession, name: str):
        if name in NOT_PREVENTABLE[standing.bench.mode]:
            vendor.run(VENDOR_REFUSED[name].format(**standing.words))
            return
        assert refused(lambda: vendor.run(VENDOR_REFUSED[name].format(**standing.words))) == INSUFFICIENT_PRIVILEGE

    @pytest.mark.parametrize("name", VENDOR_INVALID)
    def test_the_vendor_cannot_vend(self, standing: Attack, vendor: PostgresSession, name: str):
        role, of, life = (text.format(**standing.words) if "{" in text else text for text in VENDOR_INVALID[name])
        assert self._vend(vendor, role, of, life) == INVALID_PARAMETER

    @pytest.mark.parametrize("of", ["postgres", "pg_read_all_data", "rv_owner", "app_owner", "rv_template"])
    def test_the_vendor_cannot_vend_a_role_that_is_no_profile(self, standing: Attack, vendor: PostgresSession, of: str):
        assert self._vend(vendor, "IMMUTA_VENDED_A_B_C", of, "1 hour") == "23503"

    @pytest.mark.parametrize("of", ["postgres", "pg_read_all_data", "rv_owner", "app_owner"])
    def test_the_programmer_cannot_make_a_profile_of_another_role(self, standing: Attack, programmer: PostgresSession, of: str):
        statement = f"SELECT rolevend.record_profile('{of}', 'c', '', '{{}}', '{{}}')"
        assert refused(lambda: programmer.run(statement)) == "23514"

    @pytest.mark.parametrize(
        "call",
        [
            "make_templates('{{rv_owner}}')",
            "make_templates('{{postgres,NULL}}')",
            "make_profile('mine')",
            "hand_over('public', '{{\"v\": \"{template}\"}}')",
            "hand_over('{profile}', '{{\"people\": \"postgres\"}}')",
        ],
    )
    def test_the_programmer_makes_templates_and_profiles_only(self, standing: Attack, programmer: PostgresSession, call: str):
        assert refused(lambda: programmer.run(f"SELECT rolevend.{call}".format(**standing.words))) == INVALID_PARAMETER

    @pytest.mark.parametrize("call", ["drop_template('{owner}')", "drop_profile('{owner}')", "drop_profile('postgres')"])
    def test_the_programmer_drops_nothing_else(self, attack: Attack, call: str):
        programmer = attack.bench.login_of(attack.bench.programmer)
        state = None
        try:
            programmer.run(f"SELECT rolevend.{call}".format(**attack.words))
        except psycopg.Error as error:
            state = error.sqlstate
        assert state in (None, "2BP01")
        assert attack.bench.exists(attack.bench.owner)
        assert attack.bench.exists("postgres")

    @pytest.mark.parametrize("password", ["plaintext", "md5" + "0" * 32, "SCRAM-SHA-256$4096:c2FsdA==$x:y", ""])
    def test_a_password_that_is_not_hashed_is_refused(self, standing: Attack, vendor: PostgresSession, password: str):
        assert self._vend(vendor, "IMMUTA_VENDED_A_B_C", standing.lease.profile, "1 hour", password) == INVALID_PARAMETER

    @pytest.mark.parametrize(
        "statement",
        [
            "ALTER ROLE {owner} PASSWORD 'x'",
            "ALTER ROLE postgres PASSWORD 'x'",
            "GRANT pg_read_all_data TO {programmer}",
            "GRANT rv_owner TO {programmer}",
            "SET ROLE rv_owner",
            "SET ROLE {owner}",
            "CREATE ROLE mine",
            "CREATE ROLE mine SUPERUSER",
            "SET ROLE {template}",
            "GRANT {template} TO {programmer}",
            "DROP ROLE {template}",
            "DELETE FROM rolevend.template",
            "CREATE ROLE mine BYPASSRLS",
            "SELECT rolevend.vend('IMMUTA_VENDED_A_B_C', 'c', 'u', '{profile}', 'v', now(), 'a', 'i', 's', '{{}}')",
            "UPDATE rolevend.lease SET expires_at = 'infinity'",
            "SELECT * FROM rolevend.salt",
            "SELECT rolevend.accept('{table}')",
            'DROP ROLE "{eve}"',
        ],
    )
    def test_the_programmer_is_refused(self, standing: Attack, programmer: PostgresSession, statement: str):
        assert refused(lambda: programmer.run(statement.format(**standing.words))) == INSUFFICIENT_PRIVILEGE

    def test_neither_password_is_in_the_servers_log_or_catalog(self, attack: Attack):
        stored = str(attack.bench.admin.execute("SELECT rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL").fetchall())
        assert attack.credential.password.reveal() not in stored
        assert attack.bench.vendor.password.reveal() not in stored

    @staticmethod
    def _vend(vendor: PostgresSession, role: str, of: str, life: str, verifier: str = _VERIFIER) -> str:
        return refused(
            lambda: vendor.connection.execute(
                "SELECT rolevend.vend(%s, 'c', %s, %s, %s, clock_timestamp() + %s::interval, 'n/a', 'i', 's', '{}')",
                [role, secrets.token_hex(8), of, verifier, life],
            )
        )

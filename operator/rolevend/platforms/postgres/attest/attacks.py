"""Attacks of an agent with one statement: each is refused for lack of a right, or shows nothing more than before."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql

from rolevend.platforms.attestation import common_checks
from rolevend.platforms.postgres.attest.canaries import Check, PostgresCanaries
from rolevend.platforms.postgres.attest.session import INSUFFICIENT_PRIVILEGE, refused

PUBLIC_HAS_IT = "PUBLIC has this right, and only a superuser can take it away"
"""Why an attack cannot be prevented where no superuser installed rolevend."""
_ABSENT = (INSUFFICIENT_PRIVILEGE, "42704")
"""A setting that does not exist is no danger: PostgreSQL 16 lacks one."""
_NOT_WRITABLE = (INSUFFICIENT_PRIVILEGE, "55000")
"""A view of more than a table accepts no row, from any role. PostgreSQL reports that before it checks rights."""


@dataclass(frozen=True, slots=True)
class Attack:
    """A statement that must be refused with one of these SQLSTATEs."""

    name: str
    statement: LiteralString
    states: Collection[str] = (INSUFFICIENT_PRIVILEGE,)
    undo: LiteralString = ""
    """For a statement that must run outside of a transaction."""


def _refused(attack: Attack, canaries: PostgresCanaries) -> str:
    alone = bool(attack.undo)
    seen = refused(canaries.session, canaries.filled(attack.statement), attack.states, alone=alone)
    if seen and alone:
        canaries.session.run(canaries.filled(attack.undo))
    return seen


def _checks(attacks: Collection[Attack], *, leaks: bool = True, only_superuser: str = "") -> tuple[Check, ...]:
    def check(attack: Attack) -> Check:
        return Check(attack.name, lambda canaries: _refused(attack, canaries), leaks, only_superuser)

    return tuple(check(attack) for attack in attacks)


_BECOMING_SOMEBODY_ELSE = (
    Attack("set role to the programmer", "SET ROLE {programmer}"),
    Attack("set role to the owner of rolevend", "SET ROLE rv_owner"),
    Attack("set role to the template", "SET ROLE {template}"),
    Attack("set role to its profile", "SET ROLE {profile}"),
    Attack("set role to another profile", "SET ROLE {victims_profile}"),
    Attack("set role to another agent", "SET ROLE {victim}"),
    Attack("set role by set_config", "SELECT set_config('role', {victim_text}, false)"),
    Attack("set session authorization", "SET SESSION AUTHORIZATION {victim}"),
    Attack("grant itself another profile", "GRANT {victims_profile} TO {eve}"),
    Attack("grant its profile to another agent", "GRANT {profile} TO {victim}"),
    Attack("grant itself the template", "GRANT {template} TO {eve}"),
    Attack("grant itself every table", "GRANT pg_read_all_data TO {eve}"),
)
_READING_PAST_THE_VIEW = (
    Attack("read the table", "SELECT * FROM {people_table}"),
    Attack("count the table", "SELECT count(*) FROM ONLY {people_table}"),
    Attack("read the views of another profile", "SELECT * FROM {victims_people}"),
    Attack("read the statistics table", "SELECT * FROM pg_statistic"),
    Attack("read the passwords", "SELECT rolpassword FROM pg_authid"),
    Attack("read the salt", "SELECT salt FROM rolevend.salt"),
    Attack("have a value hashed", "SELECT rolevend.hash({ssn_text})"),
    Attack("read the leases", "SELECT * FROM rolevend.lease"),
    Attack("call the functions of policies", "SELECT rolevend.attr('regions')"),
    Attack("vend", "SELECT rolevend.vend('IMMUTA_VENDED_A_B_C', 'c', 'u', 'p', 'v', now(), 'a', 'i', 's', '{{}}')"),
    Attack("close another role", "SELECT rolevend.close({victim_text}, 'c', 'u', 'r')"),
    Attack("finish another role", "SELECT rolevend.finish({victim_text})"),
    Attack("call the sweep", "CALL rolevend.sweep()"),
)
_WRITING = (
    Attack("insert through the view", "INSERT INTO people (id) VALUES (99)", _NOT_WRITABLE),
    Attack("update through the view", "UPDATE people SET id = 99", _NOT_WRITABLE),
    Attack("delete through the view", "DELETE FROM people", _NOT_WRITABLE),
    Attack("lock rows through the view", "SELECT * FROM people FOR UPDATE"),
    Attack("lock the view", "LOCK TABLE guarded IN ACCESS EXCLUSIVE MODE"),
    Attack("truncate the table", "TRUNCATE {people_table}"),
    Attack("replace the view", "CREATE OR REPLACE VIEW people AS SELECT 1 AS id"),
    Attack("own the view", "ALTER VIEW people OWNER TO {eve}"),
    Attack("drop the view", "DROP VIEW people"),
    Attack("switch row security off", "ALTER TABLE {people_table} DISABLE ROW LEVEL SECURITY"),
    Attack("drop the row policy", "DROP POLICY {template} ON {people_table}"),
    Attack("add a row policy", "CREATE POLICY mine ON {people_table} USING (true)"),
    Attack("comment on the view", "COMMENT ON VIEW people IS 'rolevend: pii=none'"),
)
_CHANGING_ITSELF = (
    Attack("live longer", "ALTER ROLE {eve} VALID UNTIL 'infinity'"),
    Attack("pass row security by", "ALTER ROLE {eve} BYPASSRLS"),
    Attack("become a superuser", "ALTER ROLE {eve} SUPERUSER"),
    Attack("be allowed to create roles", "ALTER ROLE {eve} CREATEROLE"),
    Attack("have more connections", "ALTER ROLE {eve} CONNECTION LIMIT -1"),
    Attack("rename another role", "ALTER ROLE {victim} RENAME TO {mine}"),
    Attack("change the password of another role", "ALTER ROLE {victim} PASSWORD 'x'"),
    Attack("drop another role", "DROP ROLE {victim}"),
    Attack("create a role", "CREATE ROLE {mine}"),
    Attack("switch event triggers off", "SET event_triggers = off", _ABSENT),
    Attack("switch triggers off", "SET session_replication_role = replica"),
    Attack("switch logging off", "SET log_statement = none"),
    Attack("work unseen", "SET track_activities = off"),
    Attack("have larger temporary files", "SET temp_file_limit = -1"),
    Attack("have larger temporary files by set_config", "SELECT set_config('temp_file_limit', '-1', false)"),
    Attack("have larger temporary files from the next login on", "ALTER ROLE {eve} SET temp_file_limit = -1"),
    Attack("have no limit of temporary files from the next login on", "ALTER ROLE {eve} RESET temp_file_limit"),
)
LEAVING_THE_DATABASE = (
    Attack("copy from a file", "COPY people FROM '/dev/null'"),
    Attack("copy to a file", "COPY (SELECT 1) TO '/dev/null'"),
    Attack("copy to a program", "COPY (SELECT 1) TO PROGRAM 'cat > /dev/null'"),
    Attack("read a file", "SELECT pg_read_file('PG_VERSION')"),
    Attack("list files", "SELECT pg_ls_dir('.')"),
    # A role with this right can read the whole server. No slot has this name, and the right is checked first.
    Attack("use replication slots", "SELECT pg_drop_replication_slot('rv_canary_none')"),
    Attack("load a library", "LOAD 'plpgsql'"),
    Attack("import a large object from a file", "SELECT lo_import('/dev/null')"),
    Attack("create a publication", "CREATE PUBLICATION {mine} FOR TABLE {people_table}"),
)
_MAKING_THINGS = (
    Attack("create a schema", "CREATE SCHEMA {mine}"),
    Attack("create a table in public", "CREATE TABLE public.{mine} (a int)", (*_ABSENT, "3F000")),
    Attack("create a table in its profile", "CREATE TABLE {profile}.{mine} (a int)"),
    Attack("create a temporary table", "CREATE TEMPORARY TABLE {mine} (a int)"),
    Attack("create a temporary view", "CREATE TEMPORARY VIEW {mine} AS SELECT 1"),
    Attack("create a temporary function", "CREATE FUNCTION pg_temp.{mine}(text) RETURNS boolean LANGUAGE sql AS 'SELECT true'"),
    Attack("create a function", "CREATE FUNCTION {profile}.{mine}(text) RETURNS boolean LANGUAGE sql AS 'SELECT true'"),
    Attack("create an operator", "CREATE OPERATOR {profile}.<<< (FUNCTION = texteq, LEFTARG = text, RIGHTARG = text)"),
    Attack("drop an extension", "DROP EXTENSION plpgsql", _ABSENT),
    Attack("create an event trigger", "CREATE EVENT TRIGGER {mine} ON ddl_command_end EXECUTE FUNCTION rolevend.on_login()"),
    Attack("end the session of another role", "SELECT pg_terminate_backend({victims_process})"),
    Attack("create a database", "CREATE DATABASE {mine}", undo="DROP DATABASE IF EXISTS {mine}"),
)
RIGHTS_OF_PUBLIC = (
    Attack("run a DO block", "DO $$ BEGIN END $$"),
    Attack("create a large object", "SELECT lo_create(0)"),
    Attack("write a large object", "SELECT lo_from_bytea(0, 'x')"),
    Attack("take an advisory lock", "SELECT pg_advisory_lock({turn})"),
    Attack("try an advisory lock", "SELECT pg_try_advisory_lock({turn})"),
    Attack("notify by function", "SELECT pg_notify('rv_canary', '')"),
    Attack("write into the log of replication", "SELECT pg_logical_emit_message(true, 'rv_canary', '')"),
    Attack("export a snapshot", "SELECT pg_export_snapshot()"),
)

STAYS_NARROW: dict[str, LiteralString] = {
    "reset the role": "RESET ROLE",
    "set no role": "SET ROLE NONE",
    "set another search path": "SET search_path = {schema}, rolevend, public",
    "reset all settings": "RESET ALL",
    "set a setting of its own role": "ALTER ROLE {eve} SET search_path = {schema_text}",
    "set default privileges": "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO {eve}",
    "force generic plans": "SET plan_cache_mode = force_generic_plan",
    "force parallel plans": "SET debug_parallel_query = on",
    "compare NULL with NULL": "SET transform_null_equals = on",
    "choose another isolation": "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    "set its own password": "ALTER ROLE {eve} PASSWORD 'x'",
}
"""Statements that succeed. The next query shows the same rows as before."""
LEAKY: Mapping[str, LiteralString] = {
    **common_checks.LEAKY,
    "cast a hidden row to an error": "SELECT id FROM people WHERE replace(id::text, '4', 'x')::integer > 5",
    "look with a join first": "SELECT 1 FROM people p JOIN generate_series(5, 9) g ON 1 / (p.id - 3) = g",
    "search hidden cells by regular expression": "SELECT id FROM people WHERE ssn ~ '^ssn'",
    "search hidden rows by regular expression": "SELECT id FROM people WHERE region ~ '^us'",
    "keep the planner from flattening": "SELECT id FROM (SELECT * FROM people OFFSET 0) p WHERE 1 / (id - 3) > 5",
}
"""Statements that no visible row answers. A hidden row would answer them, or cause an error."""


def _stays_narrow(statement: LiteralString, canaries: PostgresCanaries) -> str:
    eve = canaries.session
    eve.run(sql.SQL("BEGIN"))
    try:
        eve.run(canaries.filled(statement))
        found = eve.rows(canaries.filled("SELECT id, region, ssn FROM {people} ORDER BY id"))
        if found != [(number, canaries.region("eu"), None) for number in (0, 1)]:
            return f"shows {len(found)} rows, and not the two of the user's region without their number"
        past = refused(eve, canaries.filled("SELECT * FROM {people_table}"), alone=True)
        return past and f"opens the table behind the view, which {past}"
    finally:
        eve.run(sql.SQL("ROLLBACK"))


def _finds_nothing(statement: LiteralString, canaries: PostgresCanaries) -> str:
    return "finds hidden values" if canaries.session.rows(canaries.filled(statement)) else ""


def _narrow(name: str, statement: LiteralString) -> Check:
    return Check(name, lambda canaries: _stays_narrow(statement, canaries))


def _leaky(name: str, statement: LiteralString) -> Check:
    return Check(name, lambda canaries: _finds_nothing(statement, canaries))


CHECKS = (
    *_checks(_BECOMING_SOMEBODY_ELSE),
    *_checks(_READING_PAST_THE_VIEW),
    *_checks(_WRITING),
    *_checks(_CHANGING_ITSELF),
    *_checks(LEAVING_THE_DATABASE),
    *_checks(_MAKING_THINGS, leaks=False),
    *_checks(RIGHTS_OF_PUBLIC, leaks=False, only_superuser=PUBLIC_HAS_IT),
    *(_narrow(name, statement) for name, statement in STAYS_NARROW.items()),
    *(_leaky(name, statement) for name, statement in LEAKY.items()),
)

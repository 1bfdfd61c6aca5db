"""An attestation finds each thing that is broken on purpose, finds nothing on a platform that is in order, and leaves nothing behind."""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import psycopg
import pytest

from rolevend.errors import PlatformLocked, Unavailable
from rolevend.platforms.attestation import common_checks
from rolevend.platforms.attestation.canaries import cluster_of_canaries
from rolevend.platforms.postgres.attest import (
    CHECKS,
    PostgresAttestEnvironment,
    attacks,
    attest,
    deployed_canaries,
    ending,
    examine,
    logins,
    probing,
)
from rolevend.platforms.postgres.attest.canaries import PostgresCanaries
from rolevend.platforms.postgres.connections import PostgresLimits
from rolevend.platforms.protocol import CheckResult, InstallMode, Outcome
from tests.conformance.bench import CLUSTER, PostgresBench
from tests.support.waiting import eventually

NAMES = frozenset(check.name for check in CHECKS)
MARKED = frozenset(check.name for check in CHECKS if check.unpreventable(InstallMode.MANAGED))
"""Cannot be prevented where no superuser installed us."""
EVE = frozenset(check.name for check in attacks.CHECKS)
NARROW = frozenset(attacks.STAYS_NARROW)
MASKS = frozenset(common_checks.MASKS)
HIDDEN_CELLS = frozenset({"divide by zero on a hidden cell", "search hidden cells by regular expression"})
HIDDEN_ROWS = frozenset(attacks.LEAKY) - HIDDEN_CELLS
WRITING = frozenset(
    {
        "insert through the view",
        "update through the view",
        "delete through the view",
        "lock rows through the view",
        "lock the view",
    }
)
VENDOR = frozenset(check.name for check in logins.CHECKS if check.name.startswith("vendor: "))
VENDOR_VENDS = frozenset(name for name in VENDOR if name.startswith("vendor: vend "))
PROGRAMMER = frozenset(check.name for check in logins.CHECKS if check.name.startswith("programmer: "))
MAKING = frozenset(name for name in PROGRAMMER if name.startswith("programmer: make a profile of ")) - {
    "programmer: make a profile of any name"
}
CALLS = frozenset(
    {
        "programmer: make a template of the owner of rolevend",
        "programmer: make a template of a superuser",
        "programmer: make a profile of any name",
        "programmer: hand a view of any schema over",
        "programmer: hand a view of the salt over",
        "programmer: hand a view over to anybody",
    }
)
DROPS = frozenset({"programmer: drop a vended role as a profile", "programmer: drop a vended role as a template"})


HASH_ANEW = "ALTER FUNCTION rolevend.hash(text) STABLE"
"""Sessions forget the salt."""


@dataclass(frozen=True)
class Break:
    """Something that holds the product together, taken away as a superuser can; `bites` are the checks that must fail then."""

    bites: frozenset[str]
    run: tuple[str, ...] = ()
    undo: tuple[str, ...] = ()
    functions: tuple[tuple[str, str, str], ...] = ()
    """A function of rolevend, a piece of its text, and what stands there instead."""
    ahead: tuple[str, ...] = ("eve", "carol", "bob")
    """Canaries that must be there before."""


def answers_at_once(answer: str) -> tuple[str, str]:
    return "\nBEGIN\n", f"\nBEGIN\n    RETURN {answer};\n"


TAKES_NO_PROFILE = ("take_profiles", "EXECUTE format('REVOKE %I FROM %s', taken.profile, taken.roles);", "NULL;")
UNGUARDED = ("guarded", *answers_at_once("true"))
"""Views do not ask whether row security is on."""
BREAKS = {
    "row security is off and no view asks for it": Break(
        bites=frozenset(
            {
                "read exactly the permitted rows",
                "two users behind one agent read each their own",
                "read nothing without the attribute",
                "attribute values are never SQL",
                "a cell is shown only where a grant of its row shows it",
                "ask for row security off",
                "call a cheap function on hidden rows",
                "read a table that is granted to its profile",
                "row policies that are dropped by hand",
            }
        )
        | MASKS
        | NARROW
        | HIDDEN_ROWS,
        run=("ALTER TABLE {people_table} DISABLE ROW LEVEL SECURITY", "ALTER TABLE {guarded_table} DISABLE ROW LEVEL SECURITY"),
        undo=("ALTER TABLE {people_table} ENABLE ROW LEVEL SECURITY", "ALTER TABLE {guarded_table} ENABLE ROW LEVEL SECURITY"),
        functions=(UNGUARDED,),
    ),
    "the restrictive policies are gone": Break(
        bites=frozenset({"a row policy of somebody else for everybody"}),
        run=(
            "DO $$ DECLARE p record; BEGIN FOR p IN SELECT polname FROM pg_policy WHERE polrelid = {people_table_text}::regclass"
            " AND NOT polpermissive LOOP EXECUTE format('DROP POLICY %I ON {people_table}', p.polname); END LOOP; END $$",
        ),
    ),
    "the open policies are open": Break(
        bites=frozenset({"row policies that are dropped by hand"}),
        run=(
            "DO $$ DECLARE p record; BEGIN FOR p IN SELECT polname FROM pg_policy WHERE polrelid = {guarded_table_text}::regclass"
            " AND polpermissive AND polname <> 'rv_readers' LOOP"
            " EXECUTE format('ALTER POLICY %I ON {guarded_table} USING (true)', p.polname); END LOOP; END $$",
        ),
    ),
    "the view has no masks": Break(
        bites=MASKS | frozenset({"call a cheap function on hidden rows"}) | NARROW | HIDDEN_CELLS,
        run=("CREATE OR REPLACE VIEW {people} AS SELECT * FROM {people_table}",),
    ),
    "a cell is shown in every row": Break(
        bites=frozenset({"a cell is shown only where a grant of its row shows it"}),
        run=("CREATE OR REPLACE VIEW {mixed_people} AS SELECT * FROM {people_table}",),
    ),
    "a lease is not narrowed": Break(
        bites=frozenset({"read a table that the lease is not narrowed to"}),
        functions=(("reads", "jsonb_exists(resources -> p_schema, p_table)", "true"),),
    ),
    "every text is a date": Break(
        bites=frozenset({"ambiguous dates equal none, whatever the session sets"}),
        functions=(("attr", "WHEN 'date' THEN '^[0-9]{4}-[0-9]{2}-[0-9]{2}$'", "WHEN 'date' THEN '.'"),),
    ),
    "every text is a moment": Break(
        bites=frozenset({"ambiguous dates equal none, whatever the session sets"}),
        functions=(("attr", "(Z|[+-][0-9]{2}:[0-9]{2})$'", "'"),),
    ),
    "the salt is empty": Break(
        bites=frozenset({"mask Hash"}),
        run=("CREATE TABLE kept_salt AS SELECT * FROM rolevend.salt", "UPDATE rolevend.salt SET salt = ''", HASH_ANEW),
        undo=("UPDATE rolevend.salt SET salt = k.salt FROM kept_salt AS k", HASH_ANEW, "DROP TABLE kept_salt"),
    ),
    "the salt is for everybody": Break(
        bites=frozenset(f"{who}{what}" for who in ("", "vendor: ", "programmer: ") for what in ("read the salt", "have a value hashed")),
        run=(
            "GRANT USAGE ON SCHEMA rolevend TO PUBLIC",
            "GRANT SELECT ON rolevend.salt TO PUBLIC",
            "GRANT EXECUTE ON FUNCTION rolevend.hash TO PUBLIC",
        ),
        undo=(
            "REVOKE USAGE ON SCHEMA rolevend FROM PUBLIC",
            "REVOKE SELECT ON rolevend.salt FROM PUBLIC",
            "REVOKE EXECUTE ON FUNCTION rolevend.hash FROM PUBLIC",
        ),
    ),
    "templates and profiles may write": Break(
        bites=WRITING,
        run=(
            "CREATE OR REPLACE VIEW {people} AS SELECT * FROM {people_table}",
            "CREATE OR REPLACE VIEW {guarded} AS SELECT * FROM {guarded_table}",
            "ALTER TABLE {people_table} DISABLE ROW LEVEL SECURITY",
            "GRANT ALL ON {people}, {guarded} TO {profile}",
            "DO $$ BEGIN EXECUTE format('GRANT ALL ON {people_table} TO %s', (SELECT relowner::regrole FROM pg_class"
            " WHERE oid = {people_text}::regclass)); EXECUTE format('GRANT ALL ON {guarded_table} TO %s', (SELECT relowner::regrole"
            " FROM pg_class WHERE oid = {guarded_text}::regclass)); END $$",
        ),
        undo=("ALTER TABLE {people_table} ENABLE ROW LEVEL SECURITY",),
    ),
    "the fence is none": Break(
        bites=frozenset(check.name for check in probing.CHECKS),
        run=("ALTER FUNCTION rolevend.fence(anyelement) STABLE",),
        undo=("ALTER FUNCTION rolevend.fence(anyelement) VOLATILE",),
    ),
    "a view holds a value": Break(
        bites=frozenset({"read values in definitions"}),
        run=("CREATE VIEW public.rv_break AS SELECT {token_text}::text AS t",),
        undo=("DROP VIEW public.rv_break",),
    ),
    "vended roles read all statistics": Break(
        bites=frozenset({"read the statements of others"}),
        run=("GRANT pg_read_all_stats TO {eve}",),
    ),
    "vended roles are superusers": Break(
        bites=(EVE - NARROW - frozenset(attacks.LEAKY) - WRITING) | frozenset({"read statistics of the table", "copy the table"}),
        run=("ALTER ROLE {eve} SUPERUSER",),
        undo=("ALTER ROLE {eve} NOSUPERUSER",),
        functions=(UNGUARDED,),
    ),
    "PUBLIC has its functions and languages back": Break(
        bites=frozenset(attack.name for attack in attacks.RIGHTS_OF_PUBLIC) | {"vendor: run a DO block"},
        run=(
            "GRANT USAGE ON LANGUAGE plpgsql TO PUBLIC",
            "GRANT EXECUTE ON FUNCTION lo_create(oid), lo_from_bytea(oid, bytea), pg_advisory_lock(bigint), pg_try_advisory_lock(bigint),"
            " pg_notify(text, text), pg_export_snapshot() TO PUBLIC",
            "DO $$ DECLARE f regprocedure; BEGIN FOR f IN SELECT oid FROM pg_proc WHERE proname = 'pg_logical_emit_message' LOOP"
            " EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO PUBLIC', f); END LOOP; END $$",
        ),
        undo=(
            "REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC",
            "REVOKE EXECUTE ON FUNCTION lo_create(oid), lo_from_bytea(oid, bytea), pg_advisory_lock(bigint), pg_try_advisory_lock(bigint),"
            " pg_notify(text, text), pg_export_snapshot() FROM PUBLIC",
            "DO $$ DECLARE f regprocedure; BEGIN FOR f IN SELECT oid FROM pg_proc WHERE proname = 'pg_logical_emit_message' LOOP"
            " EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f); END LOOP; END $$",
        ),
    ),
    "PUBLIC has the database and its schema back": Break(
        bites=frozenset(
            {
                "create a table in public",
                "create a temporary table",
                "create a temporary view",
                "create a temporary function",
                "vendor: create a temporary table",
            }
        ),
        run=("GRANT TEMPORARY ON DATABASE {database} TO PUBLIC", "GRANT ALL ON SCHEMA public TO PUBLIC"),
        undo=("REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC", "REVOKE ALL ON SCHEMA public FROM PUBLIC"),
    ),
    "another database is open": Break(
        bites=frozenset({"log in to another database"}),
        run=("GRANT CONNECT ON DATABASE postgres TO PUBLIC",),
        undo=("REVOKE CONNECT ON DATABASE postgres FROM PUBLIC",),
    ),
    "another language is for everybody": Break(
        bites=frozenset({"run a DO block in another language"}),
        run=("CREATE TRUSTED LANGUAGE rv_break HANDLER plpgsql_call_handler INLINE plpgsql_inline_handler",),
        undo=("DROP LANGUAGE rv_break",),
    ),
    "dblink is for everybody": Break(
        bites=frozenset({"reach another server by dblink"}),
        run=(
            "GRANT USAGE ON SCHEMA public TO PUBLIC",
            # Not every build has the extension; its name is what is looked for.
            "DO $do$ BEGIN IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'dblink') THEN"
            " CREATE EXTENSION dblink SCHEMA public; ELSE"
            " CREATE FUNCTION public.dblink(text, text) RETURNS text LANGUAGE sql AS 'SELECT $1'; END IF; END $do$",
        ),
        undo=(
            "DROP EXTENSION IF EXISTS dblink",
            "DROP FUNCTION IF EXISTS public.dblink(text, text)",
            "REVOKE USAGE ON SCHEMA public FROM PUBLIC",
        ),
    ),
    "a role has more connections": Break(
        bites=frozenset({"open more than eight connections"}),
        run=("ALTER ROLE {eve} CONNECTION LIMIT 20",),
    ),
    "the lease is never asked": Break(
        bites=frozenset(check.name for check in ending.CHECKS if check.ahead) - {"log in after the expiry"}
        | {"a closed role is locked out"},
        functions=(
            ("live", *answers_at_once("true")),
            ("reads", *answers_at_once("true")),
            TAKES_NO_PROFILE,
            UNGUARDED,
        ),
        ahead=("expiring",),
    ),
    "only the views forget the lease": Break(
        bites=frozenset({"ask after the expiry where row security is off"}),
        run=("CREATE OR REPLACE VIEW {timed} AS SELECT id FROM {timed_table}",),
    ),
    "nothing stops a login after the expiry": Break(
        bites=frozenset({"log in after the expiry"}),
        run=(
            "DO $$ BEGIN IF EXISTS (SELECT FROM pg_event_trigger WHERE evtname = 'rv_login') THEN"
            " ALTER EVENT TRIGGER rv_login DISABLE; END IF; END $$",
        ),
        undo=(
            "DO $$ BEGIN IF EXISTS (SELECT FROM pg_event_trigger WHERE evtname = 'rv_login') THEN"
            " ALTER EVENT TRIGGER rv_login ENABLE; END IF; END $$",
        ),
        functions=(("vend", " VALID UNTIL %L", ""),),
        ahead=("bob",),
    ),
    "sessions are not ended": Break(
        bites=frozenset(
            {
                "a released role is gone",
                "keep a session over the release",
                "keep an open cursor over the release",
                "keep a running statement over the release",
            }
        ),
        # The role is dropped all the same. Then nobody but a superuser can end them where none installed us.
        undo=(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE usesysid <> 0 AND NOT EXISTS (SELECT FROM pg_roles WHERE oid = usesysid)",
        ),
        functions=(("end_sessions", "pg_terminate_backend(a.pid)", "false"),),
    ),
    "nothing is locked out and dropped": Break(
        bites=frozenset(
            {
                "a released role is gone",
                "log in after the release",
                "a closed role is locked out",
            }
        ),
        run=(
            "DO $$ BEGIN IF EXISTS (SELECT FROM pg_event_trigger WHERE evtname = 'rv_login') THEN"
            " ALTER EVENT TRIGGER rv_login DISABLE; END IF; END $$",
        ),
        undo=(
            "DO $$ BEGIN IF EXISTS (SELECT FROM pg_event_trigger WHERE evtname = 'rv_login') THEN"
            " ALTER EVENT TRIGGER rv_login ENABLE; END IF; END $$",
        ),
        functions=(
            ("mark_closed", "IF r.rolcanlogin AND", "IF false AND"),
            TAKES_NO_PROFILE,
            ("finish", "EXECUTE format('DROP ROLE %I', p_role);", "NULL;"),
        ),
    ),
    "closing leaves the login": Break(
        bites=frozenset({"a closed role is locked out"}),
        functions=(("mark_closed", "IF r.rolcanlogin AND", "IF false AND"),),
    ),
    "who is in the way of an end stays there": Break(
        bites=frozenset({"hold up the end of another role"}),
        functions=(("end_vended", "IF s.is_vended THEN", "IF false THEN"),),
        ahead=(),
    ),
    "whatever is asked for is vended": Break(
        bites=VENDOR_VENDS | {"be vended again after the release", "be vended after an end that came first"},
        functions=(("vend", *answers_at_once("p_expires_at")),),
        ahead=("eve", "carol", "released"),
    ),
    "anybody may end anything": Break(
        bites=frozenset({"a role is ended by its own vend only", "a role is ended by its own cluster only"}),
        functions=(("mark_closed", "IF (l.cluster_id, l.uid) IS DISTINCT FROM (p_cluster, p_uid) THEN", "IF false THEN"),),
    ),
    "logins of the operator may leave the database": Break(
        bites=frozenset(
            f"{who}: {what}"
            for who in ("vendor", "programmer")
            for what in ("read a file", "copy to a file", "copy to a program", "use replication slots")
        ),
        run=(
            "GRANT pg_read_server_files, pg_write_server_files, pg_execute_server_program TO {vendor}, {programmer} WITH SET FALSE",
            "ALTER ROLE {vendor} REPLICATION",
            "ALTER ROLE {programmer} REPLICATION",
            "GRANT EXECUTE ON FUNCTION pg_read_file(text) TO pg_read_server_files",
        ),
        undo=(
            "REVOKE pg_read_server_files, pg_write_server_files, pg_execute_server_program FROM {vendor}, {programmer}",
            "ALTER ROLE {vendor} NOREPLICATION",
            "ALTER ROLE {programmer} NOREPLICATION",
            "REVOKE EXECUTE ON FUNCTION pg_read_file(text) FROM pg_read_server_files",
        ),
    ),
    "a role passes on and takes profiles": Break(
        bites=frozenset({"set role to another profile", "grant its profile to another agent"}),
        run=("GRANT {profile} TO {eve} WITH ADMIN OPTION", "GRANT {victims_profile} TO {eve} WITH INHERIT FALSE, SET TRUE"),
    ),
    "the vendor is a superuser": Break(
        bites=VENDOR - VENDOR_VENDS,
        run=("ALTER ROLE {vendor} SUPERUSER",),
        undo=("ALTER ROLE {vendor} NOSUPERUSER",),
        functions=(("live", *answers_at_once("true")), ("reads", *answers_at_once("true")), UNGUARDED),
    ),
    "the programmer is a superuser": Break(
        bites=PROGRAMMER - MAKING - CALLS - DROPS,
        run=("ALTER ROLE {programmer} SUPERUSER",),
        undo=("ALTER ROLE {programmer} NOSUPERUSER",),
    ),
    "the programmer may become an owner": Break(
        bites=frozenset({"programmer: become an owner of governed tables"}),
        run=("GRANT app_owner TO {programmer} WITH INHERIT TRUE, SET TRUE",),
        undo=("GRANT app_owner TO {programmer} WITH INHERIT TRUE, SET FALSE",),
    ),
    "every name is a profile's": Break(
        bites=MAKING,
        functions=(
            (
                "record_profile",
                "RAISE check_violation USING MESSAGE = format('%s is no profile that was made here', p_profile);",
                "NULL;",
            ),
        ),
        run=("ALTER TABLE rolevend.profile DROP CONSTRAINT profile_profile_check",),
        undo=("ALTER TABLE rolevend.profile ADD CONSTRAINT profile_profile_check CHECK (profile ~ '^rv_p_[0-9a-z]+$')",),
    ),
    "the programmer's functions take every name": Break(
        bites=CALLS,
        functions=tuple((name, "\nBEGIN\n", "\nBEGIN\n    RETURN;\n") for name in ("make_templates", "make_profile", "hand_over")),
    ),
    "the programmer's functions drop every role": Break(
        bites=DROPS,
        functions=tuple(
            (f"drop_{what}", "\nBEGIN\n", f"\nBEGIN\n    EXECUTE format('DROP ROLE %I', p_{what});\n    RETURN;\n")
            for what in ("profile", "template")
        ),
    ),
    "the observer reads leases": Break(
        bites=frozenset({"observer: has no right but to ask what runs"}),
        run=(
            "CREATE ROLE rv_observer LOGIN",
            "UPDATE rolevend.version SET observer = 'rv_observer'",
            "GRANT SELECT ON rolevend.lease TO rv_observer",
        ),
        undo=(
            "REVOKE SELECT ON rolevend.lease FROM rv_observer",
            "UPDATE rolevend.version SET observer = NULL",
            "DROP ROLE rv_observer",
        ),
    ),
}
OF_ITS_OWN = frozenset({"log in without the password"})
"""What is broken by something else than SQL: see the test."""


@pytest.fixture
def ground(bench: PostgresBench) -> PostgresAttestEnvironment:
    cluster = cluster_of_canaries(CLUSTER)
    driver = bench.platform_of(cluster, PostgresLimits(vendor_connections=1, programmer_connections=1, drop_patience=0.2))
    return PostgresAttestEnvironment(driver, cluster, bench.address, bench.vendor, bench.programmer, secrets.token_bytes)


def failures(names: frozenset[str], canaries: PostgresCanaries, mode: InstallMode = InstallMode.SUPERUSER) -> set[str]:
    results = examine([check for check in CHECKS if check.name in names], canaries, mode)
    return {result.check for result in results if result.outcome is Outcome.FAILED}


def words(bench: PostgresBench, canaries: PostgresCanaries) -> dict[str, str]:
    known = {word: value.as_string() for word, value in canaries.words.items()}
    mixed, timed = (
        psycopg.sql.Identifier(profile.name, table).as_string()
        for profile, table in ((canaries.profiles.mixed, "people"), (canaries.profiles.brief, "timed"))
    )
    return known | {"mixed_people": mixed, "timed": timed, "token_text": f"'{canaries.token}'", "database": bench.address.database}


@contextmanager
def broken(bench: PostgresBench, canaries: PostgresCanaries, what: Break) -> Iterator[None]:
    for name in what.ahead:
        getattr(canaries, name)
    bench.run("SET lock_timeout = '5s'")
    with ExitStack() as ends:
        for function, old, new in what.functions:
            whole = str(bench.value(f"SELECT pg_get_functiondef('rolevend.{function}'::regproc)"))
            assert old in whole
            bench.run(whole.replace(old, new, 1))
            ends.callback(bench.run, whole)
        known = words(bench, canaries)
        for statement in reversed(what.undo):
            ends.callback(bench.run, statement.format(**known))
        for statement in what.run:
            bench.run(statement.format(**known))
        yield


@pytest.mark.thinned(3, "full")
@pytest.mark.both_installs
@pytest.mark.parametrize("name", [name for name, what in BREAKS.items() if not what.bites <= MARKED])
def test_what_is_broken_is_found_by_name(bench: PostgresBench, ground: PostgresAttestEnvironment, name: str):
    is_found_by_name(bench, ground, BREAKS[name])


@pytest.mark.parametrize("name", [name for name, what in BREAKS.items() if what.bites <= MARKED])
def test_what_only_a_superuser_could_keep_whole_is_found_by_name(bench: PostgresBench, ground: PostgresAttestEnvironment, name: str):
    is_found_by_name(bench, ground, BREAKS[name])


def is_found_by_name(bench: PostgresBench, ground: PostgresAttestEnvironment, what: Break) -> None:
    absent = {"switch event triggers off"} if bench.version == 16 else set()  # no such setting, and so nothing to break
    with deployed_canaries(ground) as canaries, broken(bench, canaries, what):
        assert failures(what.bites, canaries) == what.bites - absent


def test_a_line_of_pg_hba_that_trusts_everybody_is_found(bench: PostgresBench, ground: PostgresAttestEnvironment):
    hba = bench.value("SHOW hba_file")
    before = str(bench.value(f"SELECT pg_read_file('{hba}')"))

    line = f"host {bench.address.database} +rv_connect 127.0.0.1/32 trust"
    rewritten = (
        "COPY (SELECT line FROM unnest(string_to_array({}, E'\\n')) AS line WHERE line <> '') TO {}"
        " (FORMAT csv, DELIMITER E'\\x02', QUOTE E'\\x01')"
    )
    with deployed_canaries(ground) as canaries:
        for text, trusted in ((f"{line}\n{before}", True), (before, False)):
            bench.admin.execute(psycopg.sql.SQL(rewritten).format(psycopg.sql.Literal(text), psycopg.sql.Literal(hba)))
            bench.run("SELECT pg_reload_conf()")
            found = {"log in without the password"} if trusted else set()
            eventually(lambda wanted=found: failures(frozenset({"log in without the password"}), canaries) == wanted)


def test_every_check_is_shown_to_fail_where_what_it_looks_at_is_broken():
    assert frozenset().union(*(what.bites for what in BREAKS.values())) | OF_ITS_OWN == NAMES
    assert len(NAMES) == len(CHECKS), "two checks have one name"


ADDED = frozenset({"reach another server by dblink", "run a DO block in another language"})
"""Succeed only where an extension or a language was added, and no server here has it."""


def test_where_no_superuser_installed_what_cannot_be_prevented_is_no_failure(bench: PostgresBench, ground: PostgresAttestEnvironment):
    breaks = (
        *("PUBLIC has its functions and languages back", "another database is open"),
        *("another language is for everybody", "dblink is for everybody"),
    )
    with deployed_canaries(ground) as canaries, ExitStack() as ends:
        for name in breaks:
            ends.enter_context(broken(bench, canaries, BREAKS[name]))
        results = examine([check for check in CHECKS if check.name in MARKED], canaries, InstallMode.MANAGED)
    assert {result.outcome for result in results} == {Outcome.NOT_PREVENTABLE}
    assert all("superuser" in result.detail for result in results)


def test_a_database_that_the_reach_of_the_installation_leaves_open_is_named_and_is_no_failure(
    bench: PostgresBench, ground: PostgresAttestEnvironment
):
    """Where pg_hba.conf keeps vended roles out, the check passes all the same: here it lets them in."""
    name = "log in to another database"
    with deployed_canaries(ground) as canaries, broken(bench, canaries, BREAKS["another database is open"]):
        bench.run("UPDATE rolevend.version SET reach = 'database'")
        try:
            (result,) = examine([check for check in CHECKS if check.name == name], canaries, InstallMode.SUPERUSER)
            assert any("--reach server" in text for text in bench.platform.facts().limitations)
        finally:
            bench.run("UPDATE rolevend.version SET reach = 'server'")
        assert failures(frozenset({name}), canaries) == {name}
    assert result.outcome is Outcome.NOT_PREVENTABLE
    assert "postgres" in result.detail
    assert "--reach database" in result.detail


def test_what_failed_is_told_with_what_was_seen_and_whether_it_leaks(bench: PostgresBench, ground: PostgresAttestEnvironment):
    checks = [check for check in CHECKS if check.name in ("read exactly the permitted rows", "create a large object")]
    with deployed_canaries(ground) as canaries, broken(bench, canaries, BREAKS["row security is off and no view asks for it"]):
        bench.run("GRANT EXECUTE ON FUNCTION lo_create(oid) TO PUBLIC")
        rows, large_object = examine(checks, canaries, InstallMode.SUPERUSER)
        bench.run("REVOKE EXECUTE ON FUNCTION lo_create(oid) FROM PUBLIC")
    assert (rows.leaks, rows.detail) == (True, "shows the rows [0, 1, 2, 3, 4, 5], and may show 0 and 1")
    assert (large_object.leaks, large_object.detail) == (False, "was not refused")


def left(bench: PostgresBench) -> list[str]:
    return [
        str(name)
        for (name,) in bench.admin.execute(
            "SELECT rolname FROM pg_roles WHERE rolname ~ '^(IMMUTA_VENDED_CANARY_|rv_p_canary)' UNION ALL"
            " SELECT nspname FROM pg_namespace WHERE nspname ~ '^rv_(canary|p_canary)' UNION ALL"
            " SELECT template FROM rolevend.template WHERE cluster_id ~ 'canary' UNION ALL"
            " SELECT profile FROM rolevend.profile WHERE cluster_id ~ 'canary' UNION ALL"
            " SELECT usename FROM pg_stat_activity WHERE usename ~ 'CANARY'"
        )
    ]


@pytest.fixture(scope="package")
def attestation(installed_bench: PostgresBench) -> dict[str, CheckResult]:
    mode = installed_bench.platform.facts().install_mode
    return {result.check: result for result in installed_bench.platform.attest(mode, secrets.token_bytes, alone=True)}


@pytest.mark.both_installs
@pytest.mark.parametrize("name", [check.name for check in CHECKS])
def test_a_promise_holds_and_an_attack_fails(attestation: dict[str, CheckResult], name: str):
    """Or nobody can keep it from succeeding, where no superuser installed us."""
    assert attestation[name].outcome is not Outcome.FAILED, attestation[name].detail


@pytest.mark.both_installs
def test_exactly_what_is_marked_so_succeeds_where_no_superuser_installed(attestation: dict[str, CheckResult], bench: PostgresBench):
    """So that a new one is noticed, and one that is mended, too."""
    succeeded = {name for name, result in attestation.items() if result.outcome is Outcome.NOT_PREVENTABLE}
    assert succeeded == (MARKED - ADDED if bench.mode is InstallMode.MANAGED else frozenset())


@pytest.mark.both_installs
def test_a_platform_in_order_passes_and_nothing_is_left_there(bench: PostgresBench):
    mode = bench.platform.facts().install_mode
    results = bench.platform.attest(mode, secrets.token_bytes, alone=True)
    assert [result for result in results if result.outcome is Outcome.FAILED] == []
    assert {result.check for result in results} == NAMES
    eventually(lambda: not left(bench))  # a session is listed for a moment after its end


def test_what_a_crash_left_is_taken_away_by_the_next_run(bench: PostgresBench, ground: PostgresAttestEnvironment):
    crashed = deployed_canaries(ground)
    canaries = crashed.__enter__()
    canaries.session.rows(psycopg.sql.SQL("SELECT * FROM people"))
    canaries.ends.close()  # as the end of the process does: connections go, and nothing is tidied
    assert len(left(bench)) > 5
    attest(ground, InstallMode.SUPERUSER, ())
    eventually(lambda: not left(bench))  # a session is listed for a moment after its end


@pytest.mark.long
def test_one_that_seems_to_be_under_way_is_waited_for_or_ended_where_nobody_else_attests(
    bench: PostgresBench, ground: PostgresAttestEnvironment
):
    """As of a process that is gone with its machine: nobody has told the server."""
    crashed = deployed_canaries(ground)
    canaries = crashed.__enter__()
    assert canaries.session.rows(psycopg.sql.SQL("SELECT count(*) FROM people")) == [(2,)]

    with pytest.raises(PlatformLocked):
        attest(ground, InstallMode.SUPERUSER, ())
    assert canaries.session.rows(psycopg.sql.SQL("SELECT count(*) FROM people")) == [(2,)]
    attest(replace(ground, alone=True), InstallMode.SUPERUSER, ())

    for session in (canaries.programmer, canaries.session):
        with pytest.raises(psycopg.OperationalError):
            session.rows(psycopg.sql.SQL("SELECT 1"))
    eventually(lambda: not left(bench))  # a session is listed for a moment after its end
    canaries.ends.close()


@pytest.mark.parametrize("steps", [1, 7])
def test_one_that_is_not_wanted_any_more_is_cut_short_and_leaves_nothing(
    bench: PostgresBench, ground: PostgresAttestEnvironment, steps: int
):
    """While its profiles are built, and between two checks."""
    left_to_do = iter(range(steps))
    with pytest.raises(Unavailable, match="the attestation was cut short"):
        attest(replace(ground, wanted=lambda: next(left_to_do, None) is not None), InstallMode.SUPERUSER, CHECKS[:5])
    eventually(lambda: not left(bench))  # a session is listed for a moment after its end


def test_functions_in_a_schema_named_as_a_login_are_not_called_by_it(bench: PostgresBench, ground: PostgresAttestEnvironment):
    """A login that may create schemas could get the rights of that one: the default search path begins with such a schema."""
    checks = [check for check in CHECKS if check.name == "programmer: hand a view over to anybody"]
    raises = "LANGUAGE plpgsql AS $$ BEGIN RAISE 'ran as %', session_user; END $$"
    vendor, programmer = bench.vendor.user, bench.programmer.user
    try:
        for login in (vendor, programmer):
            bench.run(f"CREATE SCHEMA {login}; GRANT USAGE ON SCHEMA {login} TO PUBLIC")
        bench.run(f"CREATE FUNCTION {vendor}.min(name) RETURNS name {raises}")
        bench.run(f"CREATE FUNCTION {programmer}.jsonb_build_object(text, text) RETURNS jsonb {raises}")
        (result,) = attest(ground, InstallMode.SUPERUSER, checks)
    finally:
        bench.run(f"DROP SCHEMA IF EXISTS {vendor} CASCADE; DROP SCHEMA IF EXISTS {programmer} CASCADE")
    assert result.outcome is Outcome.PASSED, result.detail


def test_a_name_that_somebody_took_is_no_leak(bench: PostgresBench, ground: PostgresAttestEnvironment):
    """A login that may create schemas could have live roles ended."""
    checks = [check for check in CHECKS if check.name == "programmer: hand a view of the salt over"]
    bench.run("CREATE SCHEMA rv_p_mine")
    try:
        (result,) = attest(ground, InstallMode.SUPERUSER, checks)
    finally:
        bench.run("DROP SCHEMA rv_p_mine")
    assert result.outcome is Outcome.PASSED, result.detail


@pytest.mark.long
def test_an_open_database_is_found_among_many(bench: PostgresBench, ground: PostgresAttestEnvironment):
    names = [f"rv_break_{number}" for number in range(17)]
    try:
        for name in names:
            bench.run(f"CREATE DATABASE {name} STRATEGY file_copy")
        for name in names[:-1]:
            bench.run(f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC")
        with deployed_canaries(ground) as canaries:
            assert failures(frozenset({"log in to another database"}), canaries) == {"log in to another database"}
    finally:
        for name in names:
            bench.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def test_one_that_takes_longer_than_its_canaries_live_says_nothing(ground: PostgresAttestEnvironment):
    """An expired role is refused whatever it tries."""
    checks = [check for check in CHECKS if check.name == "set role to another agent"]
    with deployed_canaries(ground) as canaries:
        canaries.begun -= PostgresCanaries.LIFE
        with pytest.raises(Unavailable, match="took so long that its canaries expired"):
            examine(checks, canaries, InstallMode.SUPERUSER)


def test_the_real_cluster_sees_no_canary(bench: PostgresBench, ground: PostgresAttestEnvironment):
    before = bench.platform.facts()
    with deployed_canaries(ground) as canaries:
        assert canaries.session.rows(psycopg.sql.SQL("SELECT count(*) FROM people")) == [(2,)]
        assert bench.platform.live() == []
        assert bench.platform.drift() == []
        assert bench.platform.facts() == before


def test_a_right_that_the_operator_lost_is_named_and_is_no_failure_of_a_promise(bench: PostgresBench, ground: PostgresAttestEnvironment):
    may_create = f"{{}} CREATE ON DATABASE {bench.address.database} {{}} {bench.programmer.user}"
    bench.run(may_create.format("REVOKE", "FROM"))
    try:
        with pytest.raises(Unavailable, match=r"cannot make canaries on \S+: permission denied for database"):
            attest(ground, InstallMode.SUPERUSER, ())
    finally:
        bench.run(may_create.format("GRANT", "TO"))


def test_a_server_that_goes_away_in_between_is_no_failure_of_a_promise(bench: PostgresBench, ground: PostgresAttestEnvironment):
    with deployed_canaries(ground) as canaries:
        canaries.session.rows(psycopg.sql.SQL("SELECT 1"))
        bench.run(f"SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE usename = '{canaries.eve.lease.role}'")
        with pytest.raises(Unavailable):
            examine([check for check in CHECKS if check.name == "read exactly the permitted rows"], canaries, InstallMode.SUPERUSER)

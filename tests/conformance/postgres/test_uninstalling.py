"""An uninstallation leaves a server as it was before the installation, and is refused while something of somebody needs rolevend."""

import json
import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner
from psycopg import sql

from rolevend.catalog import TableId
from rolevend.cli import cli
from rolevend.errors import Conflict, PlatformUnavailable
from rolevend.platforms.attestation.canaries import cluster_of_canaries
from rolevend.platforms.postgres import (
    PostgresInstallOptions,
    Reach,
    plan,
    plan_uninstall,
    uninstall,
)
from rolevend.platforms.postgres.attest import CHECKS, PostgresAttestEnvironment, attacks, attest
from rolevend.platforms.protocol import DropRequest, EndReason, InstallMode, Outcome
from rolevend.policy.mask import Hash
from rolevend.policytools.embedded.postgres_programs import Version
from tests.conformance.bench import CLUSTER, own, profile, shape, vended
from tests.support.catalogs import difference, state
from tests.support.postgres_site import DATABASES, OPTIONS, Before, Site, site
from tests.support.tiers import with_the_rest_full
from tests.support.waiting import eventually


def _work(there: Site) -> None:
    """Build profiles over three tables, vend, and end the roles; the uninstallation is refused meanwhile."""
    with there.platform() as platform:
        tables = platform.catalog(frozenset({"raw", "more"})).tables
        people, notes, guarded = (tables[TableId(*place)] for place in (("raw", "people"), ("raw", "notes"), ("more", "guarded")))
        held, _ = vended(
            platform, profile(shape(people, own(people, "region", "regions"), masks={"email": Hash()}), shape(guarded)), regions=["EU"]
        )
        other, _ = vended(platform, profile(shape(notes)))
        refusals = there.refusals()
        assert refusals.keys() == {held.role, other.role, "rv_vendor", "rv_programmer"}
        assert "rolevend drain" in refusals[held.role]
        assert "delete the DataPlatform" in refusals["rv_vendor"]
        with pytest.raises(Conflict, match=held.role):
            there.uninstall()
        for answer in platform.drop([DropRequest(each.role, each.uid, EndReason.RELEASED) for each in (held, other)]):
            assert answer.error is None
    eventually(lambda: there.refusals() == {})  # the server notices the end of a session a moment later
    assert [name for (name,) in there.rows("SELECT polname::text FROM pg_policy WHERE polname = 'rv_readers'")] == ["rv_readers"] * 2
    assert len(there.rows("SELECT FROM pg_roles WHERE rolname ~ '^rv_[pt]_'")) > 4


@pytest.mark.parametrize("version", with_the_rest_full(18, 16, 17))
def test_a_server_is_as_before(version: Version, tmp_path: Path):
    with site(version) as there:
        before = Before(there, tmp_path)
        there.install()
        _work(there)
        before.expect_a_change()
        there.uninstall()
        before.expect()
        nothing = there.uninstall()
        assert nothing.statements == ()
        assert "nothing to do" in nothing.text()
        _an_installation_without_a_record_is_taken_back(there, before)


def _an_installation_without_a_record_is_taken_back(there: Site, before: Before) -> None:
    """As version 13 left it: at once, and after an installation of this version over it."""
    older = (
        "DROP TABLE rolevend.taken; ALTER TABLE rolevend.version DROP COLUMN reach, DROP COLUMN logins_before;"
        "UPDATE rolevend.version SET version = 13"
    )
    there.install()
    recorded = there.rows("SELECT * FROM rolevend.taken ORDER BY 1, 2, 3")
    there.run(older)
    at_once = there.plan()
    there.install()
    assert there.rows("SELECT * FROM rolevend.taken ORDER BY 1, 2, 3") == recorded
    assert len(recorded) > 40
    assert there.plan().statements == at_once.statements
    there.run(older)
    there.uninstall()
    before.expect()


@pytest.mark.parametrize("version", with_the_rest_full(18, 16, 17))
def test_a_server_is_as_before_where_no_superuser_installed(version: Version, tmp_path: Path):
    with site(version, "cloud_admin") as there:
        there.run("GRANT pg_signal_backend TO cloud_admin WITH ADMIN TRUE, INHERIT FALSE")
        there.run("GRANT SET ON PARAMETER temp_file_limit TO cloud_admin WITH GRANT OPTION")
        before = Before(there, tmp_path)
        there.install()
        _work(there)
        there.uninstall()
        before.expect()
        _a_superuser_may_uninstall_it(there)
        before.expect()


def _a_superuser_may_uninstall_it(there: Site) -> None:
    """Logins that stay lose their memberships, too, although another administrator granted them."""
    there.admin.execute("CREATE ROLE rv_vendor LOGIN")
    there.admin.execute("CREATE ROLE rv_programmer LOGIN")
    there.install()
    there.run("CREATE ROLE somebody LOGIN CREATEROLE PASSWORD 'x'; GRANT CONNECT ON DATABASE claims TO somebody")
    with pytest.raises(Conflict, match="did not install rolevend here"):
        plan_uninstall(there.connect("somebody"), OPTIONS)
    there.run("REVOKE CONNECT ON DATABASE claims FROM somebody; DROP ROLE somebody")
    uninstall(there.superuser, OPTIONS, accept=plan_uninstall(there.superuser, OPTIONS).digest)
    of_the_logins = "SELECT m.roleid::regrole::text FROM pg_auth_members AS m WHERE m.member IN ({0}::regrole, {1}::regrole)"
    assert there.rows(of_the_logins.format("'rv_vendor'", "'rv_programmer'")) == []
    there.run("DROP ROLE rv_vendor, rv_programmer")


OBSTACLES = {
    # what somebody does and where: who is named, how it is told, and the way out
    ("CREATE VIEW public.watch AS SELECT * FROM rolevend.lease", "claims"): (
        "rule _RETURN on view public.watch",
        "uses something of rolevend",
        "DROP VIEW public.watch",
    ),
    ("CREATE POLICY bound ON more.guarded AS RESTRICTIVE TO rv_public USING (region <> 'US')", "claims"): (
        "policy bound on table more.guarded",
        "would be dropped with it",
        "DROP POLICY bound ON more.guarded",
    ),
    ("CREATE TABLE rolevend.mine ()", "claims"): ("relation rolevend.mine", "somebody else made it", "DROP TABLE rolevend.mine"),
    ("CREATE TABLE public.owned (); ALTER TABLE public.owned OWNER TO rv_public", "claims"): (
        "table public.owned",
        "is owned by",
        "DROP TABLE public.owned",
    ),
    ("CREATE TABLE public.elsewhere (); GRANT SELECT ON public.elsewhere TO rv_public", "neighbour"): (
        "rv_public",
        "in the database neighbour",
        "DROP TABLE public.elsewhere",
    ),
    # DROP OWNED revokes what the owner granted, and nothing that somebody else did.
    (
        "GRANT SELECT ON raw.people TO reader WITH GRANT OPTION; SET ROLE reader; GRANT SELECT ON raw.people TO rv_public; RESET ROLE",
        "claims",
    ): ("table raw.people", 'run as "reader"', "REVOKE GRANT OPTION FOR SELECT ON raw.people FROM reader CASCADE"),
    # A schema that is named like that of a profile, and is somebody else's.
    ("CREATE VIEW rv_p_mine.watch AS SELECT * FROM rolevend.lease", "claims"): (
        "rule _RETURN on view rv_p_mine.watch",
        "uses something of rolevend",
        "DROP VIEW rv_p_mine.watch",
    ),
    ("CREATE TABLE rv_p_mine.owned (); ALTER TABLE rv_p_mine.owned OWNER TO rv_public", "claims"): (
        "table rv_p_mine.owned",
        "is owned by",
        "DROP TABLE rv_p_mine.owned",
    ),
}


@pytest.mark.long
def test_what_needs_rolevend_is_named(tmp_path: Path):
    """One server for all of it: a server takes a second to start."""
    with site() as there:
        untouched = Before(there, tmp_path)
        _other_databases_are_pointed_to(there)
        _what_a_person_dropped_in_part_is_taken_back(there)
        untouched.expect()
        there.install()
        before = state(there.server, *DATABASES)
        for (make, where), (subject, text, undo) in OBSTACLES.items():
            there.run(make, where)
            assert text in there.refusals()[subject]
            with pytest.raises(Conflict, match="cannot uninstall"):
                there.uninstall()
            there.run(undo, where)
        assert there.refusals() == {}
        assert difference(before, state(there.server, *DATABASES)) == [], "a refusal changes nothing"
        _a_newer_installation_is_left_to_a_newer_rolevend(there)
        _a_session_that_outlives_its_role_is_named(there)
        _one_that_is_killed_changes_nothing(there)
        _a_changed_plan_is_refused(there)
        _a_vend_that_is_under_way_is_waited_for(there)
        _policies_of_others_are_decided_by_a_person(there)
        _rights_that_somebody_gave_are_named(there)
        _logins_of_others_stay(there)
        _the_command(there, tmp_path)


def _other_databases_are_pointed_to(there: Site) -> None:
    assert there.plan().statements == ()
    there.install()
    with (
        psycopg.connect(there.server.superuser.to_database("neighbour").dsn, autocommit=True) as elsewhere,
        pytest.raises(Conflict, match="in the database claims"),
    ):
        plan_uninstall(elsewhere, OPTIONS)
    there.uninstall()


def _what_a_person_dropped_in_part_is_taken_back(there: Site) -> None:
    there.install()
    there.run("DROP SCHEMA rolevend CASCADE")
    there.uninstall()


def _a_newer_installation_is_left_to_a_newer_rolevend(there: Site) -> None:
    there.run("UPDATE rolevend.version SET version = version + 1")
    with pytest.raises(Conflict, match="use a newer rolevend"):
        there.uninstall()
    there.run("UPDATE rolevend.version SET version = version - 1")


def _a_session_that_outlives_its_role_is_named(there: Site) -> None:
    role = "IMMUTA_VENDED_A_B_C"
    there.run("CREATE ROLE begins LOGIN PASSWORD 'x'; GRANT CONNECT ON DATABASE claims TO begins")
    session = there.connect("begins")  # without a lease the login of a vended role is refused
    there.run(f'REVOKE CONNECT ON DATABASE claims FROM begins; ALTER ROLE begins RENAME TO "{role}"')
    there.run(
        "INSERT INTO rolevend.lease (role, cluster_id, uid, role_oid, revoked_at)"
        f" SELECT rolname, 'c', 'u', oid, now() FROM pg_roles WHERE rolname = '{role}'"
    )
    assert there.refusals().keys() == {role}
    there.run(f'DROP ROLE "{role}"')
    text = there.refusals()[f"session of {role}"]
    there.run(text.partition("end it: ")[2])
    eventually(lambda: there.refusals() == {})
    session.close()
    there.run("DELETE FROM rolevend.lease")


def _one_that_is_killed_changes_nothing(there: Site) -> None:
    """It waits in the middle of the plan, where it drops an event trigger."""
    before, digest, admin, blocking = state(there.server, *DATABASES), there.plan().digest, there.connect(), there.connect()
    with ThreadPoolExecutor(1) as threads, blocking.transaction():
        blocking.execute("LOCK TABLE pg_event_trigger IN SHARE MODE")
        waiting = threads.submit(there.uninstall_with, admin, digest)
        eventually(lambda: there.rows("SELECT FROM pg_locks WHERE relation = 'pg_event_trigger'::regclass AND NOT granted"))
        there.run(f"SELECT pg_terminate_backend({admin.info.backend_pid})")
        with pytest.raises(PlatformUnavailable, match="terminating connection"):
            waiting.result()
    assert difference(before, state(there.server, *DATABASES)) == []
    assert there.plan().digest == digest


def _a_changed_plan_is_refused(there: Site) -> None:
    accepted = there.plan()
    assert accepted == there.plan()
    assert json.loads(json.dumps(accepted.as_json()))["digest"] == accepted.digest
    there.run("CREATE ROLE rv_p_left NOLOGIN; GRANT rv_connect TO rv_p_left; CREATE SCHEMA rv_p_left AUTHORIZATION rv_programmer")
    with pytest.raises(Conflict, match="read the new plan"):
        uninstall(there.admin, OPTIONS, accept=accepted.digest)
    assert 'DROP SCHEMA "rv_p_left" CASCADE' in [each.text for each in there.plan().statements]
    there.run("DROP SCHEMA rv_p_left; DROP ROLE rv_p_left")
    assert there.plan().digest == accepted.digest


def _a_vend_that_is_under_way_is_waited_for(there: Site) -> None:
    """The role exists as soon as the lock is free, and nothing is dropped beneath it."""
    accepted, role, vending = there.plan().digest, "IMMUTA_VENDED_A_B_C", there.connect()
    with ThreadPoolExecutor(1) as threads, vending.transaction():
        vending.execute(sql.SQL("INSERT INTO rolevend.lease (role, cluster_id, uid, revoked_at) VALUES ({}, 'c', 'u', now())").format(role))
        vending.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
        waiting = threads.submit(uninstall, there.connect(), OPTIONS, accept=accepted)
        eventually(lambda: there.rows("SELECT FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND NOT granted"))
    with pytest.raises(Conflict, match="read the new plan"):
        waiting.result()
    assert there.refusals().keys() == {role}
    vending.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
    vending.execute("DELETE FROM rolevend.lease")
    assert there.plan().digest == accepted


def _policies_of_others_are_decided_by_a_person(there: Site) -> None:
    """Where somebody relies on row security that rolevend switched on, nobody else switches it off."""
    there.run("SELECT rolevend.govern('raw.people'); CREATE POLICY later ON raw.people AS RESTRICTIVE TO reader USING (region = 'US')")
    reader = there.connect("reader")
    assert reader.execute("SELECT count(*) FROM raw.people").fetchone() == (0,)
    text = there.refusals()["raw.people"]
    assert "later" in text
    off, kept = (piece.rstrip(".") for piece in (text.partition("off: ")[2].partition(" To keep")[0], text.partition("policies: ")[2]))
    assert "DISABLE ROW LEVEL SECURITY" in off
    there.run(f"BEGIN; {kept}; CREATE POLICY open ON raw.people TO reader USING (true); COMMIT")
    assert there.refusals() == {}
    there.uninstall()
    assert reader.execute("SELECT count(*) FROM raw.people").fetchone() == (0,)
    there.run("DROP POLICY later ON raw.people; DROP POLICY open ON raw.people; ALTER TABLE raw.people DISABLE ROW LEVEL SECURITY")


def _rights_that_somebody_gave_are_named(there: Site) -> None:
    there.install()
    there.run("GRANT SELECT ON raw.notes TO rv_public")
    there.run("CREATE DATABASE renamed_later")
    there.install()
    there.run("ALTER DATABASE renamed_later RENAME TO renamed")
    text = there.plan().text()
    assert "table raw.notes: somebody granted this to rv_public" in text
    assert "renamed_later: CONNECT ON DATABASE renamed_later was taken from PUBLIC, and the object is gone or was renamed" in text
    there.uninstall()
    there.run("DROP DATABASE renamed")


def _logins_of_others_stay(there: Site) -> None:
    there.run("CREATE ROLE rv_vendor LOGIN CONNECTION LIMIT 3; CREATE ROLE rv_programmer LOGIN; GRANT USAGE ON SCHEMA more TO rv_vendor")
    before = state(there.server, "claims")
    there.install()
    with there.platform() as platform:
        assert platform.catalog(frozenset({"raw"})).tables
    assert {each.subject for each in there.plan().findings if each.kind.value == "stays"} == {"rv_vendor", "rv_programmer"}
    there.uninstall()
    changed = [line for line in difference(before, state(there.server, "claims")) if "claims: roles: " not in line]
    assert changed == []
    there.run("REVOKE ALL ON SCHEMA more FROM rv_vendor; DROP ROLE rv_vendor, rv_programmer")


def _the_command(there: Site, scratch: Path) -> None:
    manifest = scratch / "platform.yaml"
    manifest.write_text(
        "apiVersion: rolevend.dev/v1alpha1\nkind: DataPlatform\nmetadata: {name: warehouse}\nspec:\n"
        "  postgres: {host: db.example.org, database: claims}\n"
        "  credentials: {programmerSecretRef: {name: a}, vendorSecretRef: {name: b}}\n"
        "  domains:\n  - {namespace: domain-claims, schemas: [raw, more]}\n"
    )

    def command(verb: str, *arguments: str) -> tuple[int, str, str]:
        dsn = there.server.superuser.dsn
        answer = CliRunner().invoke(cli, ("platform", verb, "-f", str(manifest), "--dsn", dsn, *arguments))
        return answer.exit_code, answer.stdout, answer.stderr

    assert command("uninstall") == (0, command("uninstall")[1], "")
    assert "nothing to do" in command("uninstall")[1]
    summary = command("plan", "--summary")[1]
    assert max(map(len, summary.splitlines()[:-1])) <= 80
    assert len(summary.splitlines()) <= 48
    for text in (
        "PUBLIC loses",
        "CONNECT on database claims, neighbour",
        "GRANT rv_public TO <role> WITH INHERIT TRUE, SET FALSE;",
        "uninstall",
    ):
        assert text in summary
    there.install()
    assert "PUBLIC lost with an earlier installation" in (again := command("plan", "--summary")[1])
    assert "  CONNECT on database claims, neighbour" in again
    assert "PUBLIC loses\n" not in again
    code, text, told = command("uninstall")
    digest = text.rpartition("digest: ")[2].strip()
    assert (code, f"--accept {digest}" in told) == (0, True)
    assert command("uninstall", "--accept", "0" * 64)[0] == 1
    assert command("uninstall", "--accept", digest) == (0, "uninstalled from database claims\n", "")
    assert command("uninstall", "--accept", digest) == (0, "rolevend is not installed here: nothing to do\n", "")


def _can_connect(there: Site, user: str, database: str = "claims") -> bool:
    """Without the right to connect the server says so."""
    try:
        there.connect(user, database).close()
    except psycopg.OperationalError as error:
        if "permission denied for database" not in str(error):
            raise
        return False
    return True


@pytest.mark.long
def test_the_reach_of_an_installation_is_a_choice(tmp_path: Path):
    with site() as there:
        before = Before(there, tmp_path)
        there.install()
        _a_later_login_is_told_of_and_can_be_admitted(there)
        _a_smaller_reach_gives_back_what_a_larger_one_took(there)
        there.uninstall()
        before.expect()


def _limitations(there: Site) -> Sequence[str]:
    with there.platform() as platform:
        return platform.facts().limitations


def _a_later_login_is_told_of_and_can_be_admitted(there: Site) -> None:
    assert _can_connect(there, "rv_backup"), "a role of somebody else, that was there before"
    assert not any("PUBLIC lost CONNECT" in text for text in _limitations(there))
    there.run("CREATE ROLE late LOGIN PASSWORD 'x'")
    assert not _can_connect(there, "late")
    (told,) = [text for text in _limitations(there) if "late" in text]
    there.run(told.rpartition("run: ")[2].replace("<login>", "late"))
    assert _can_connect(there, "late")
    assert _can_connect(there, "late", "neighbour")
    assert not any("late" in text for text in _limitations(there))
    there.run("REVOKE rv_public FROM late")


def _the_attestation_finds_open_what_this_reach_leaves_open_and_no_more(there: Site) -> None:
    tried = (*attacks.RIGHTS_OF_PUBLIC, *attacks.LEAVING_THE_DATABASE)
    names = {
        *(attack.name for attack in tried),
        *("log in to another database", "create a temporary table", "create a temporary function", "create a table in public"),
        *("read the table", "set role to the owner of rolevend"),
    }
    cluster = cluster_of_canaries(CLUSTER)
    with there.platform(cluster) as platform:
        environment = PostgresAttestEnvironment(platform, cluster, there.address, *there.logins, secrets.token_bytes)
        results = {each.check: each for each in attest(environment, InstallMode.SUPERUSER, [each for each in CHECKS if each.name in names])}
    assert results.keys() == names
    left_open = results.pop("log in to another database")
    assert left_open.outcome is Outcome.NOT_PREVENTABLE
    assert "neighbour" in left_open.detail
    assert {each.outcome for each in results.values()} == {Outcome.PASSED}


def _a_smaller_reach_gives_back_what_a_larger_one_took(there: Site) -> None:
    narrow = PostgresInstallOptions(schemas=OPTIONS.schemas, reach=Reach.DATABASE)
    planned = plan(there.admin, narrow)
    assert any("vended role can log in to other databases" in str(each) for each in planned.findings)
    assert "PUBLIC gets back" in planned.summary()
    there.install(narrow)
    assert plan(there.admin, OPTIONS).options.reach is Reach.DATABASE, "an installation keeps its reach"
    assert _can_connect(there, "late")
    assert _can_connect(there, "late", "neighbour")
    assert not _can_connect(there, "late", "closed"), "PUBLIC did not have it before"
    late = there.connect("late")
    for statement in ("CREATE TEMPORARY TABLE t ()", "DO $$ BEGIN END $$", "SELECT lo_create(0)", "SELECT pg_advisory_lock(1)"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            late.execute(sql.SQL(statement))
    late.close()
    _the_attestation_finds_open_what_this_reach_leaves_open_and_no_more(there)
    limitations = _limitations(there)
    assert any("CONNECT on database" in text and "--reach server" in text for text in limitations)
    assert not any("PUBLIC lost CONNECT" in text or "installation again" in text for text in limitations)
    there.install(PostgresInstallOptions(schemas=OPTIONS.schemas, reach=Reach.SERVER))
    assert there.rows("SELECT has_database_privilege('public', 'neighbour', 'CONNECT')") == [(False,)]
    there.install(narrow)
    there.run("DROP ROLE late")


_MANY = 120
_TEMPLATES = f"""
DO $do$
DECLARE
    t text;
    p text;
BEGIN
    FOR i IN 1..{_MANY} LOOP
        t := 'rv_t_' || md5(i::text);
        p := 'rv_p_' || i;
        EXECUTE format('CREATE ROLE %1$I; GRANT rv_template TO %1$I; CREATE ROLE %2$I; GRANT rv_connect TO %2$I', t, p);
        INSERT INTO rolevend.template (template, cluster_id, table_oid, schema_name, table_name, policies)
        VALUES (t, 'c', 'raw.people'::regclass, 'raw', 'people', '{{}}');
        EXECUTE format('GRANT SELECT ON raw.people, more.guarded TO %1$I; CREATE POLICY %1$I ON raw.people TO %1$I USING (true);'
                       'CREATE POLICY %1$I ON more.guarded TO %1$I USING (true)', t);
        EXECUTE format('CREATE SCHEMA %2$I AUTHORIZATION rv_programmer; CREATE VIEW %2$I.people AS SELECT id FROM raw.people;'
                       'ALTER VIEW %2$I.people OWNER TO %1$I; GRANT SELECT ON %2$I.people TO %2$I', t, p);
    END LOOP;
END
$do$"""


@pytest.mark.long
def test_many_templates_of_a_table_are_dropped_without_reading_all_its_policies_for_each():
    """Also of a table that had row security before, and keeps it, and where somebody dropped a role of rolevend by hand."""
    with site() as there:
        before = state(there.server, *DATABASES)
        there.install()
        there.run("SELECT rolevend.govern('raw.people')")
        there.run(_TEMPLATES)
        read = _policies_read(there)
        there.run("DROP OWNED BY rv_template; DROP ROLE rv_template; DROP OWNED BY rv_public; DROP ROLE rv_public")
        planned = there.uninstall()
        assert _policies_read(there) - read < 20 * 2 * _MANY
        assert sum(each.text.startswith("REVOKE ALL ON TABLE") for each in planned.statements) == 2
        assert difference(before, state(there.server, *DATABASES)) == []


def _policies_read(there: Site) -> int:
    """How many rows of pg_policy this server has read by an index."""
    there.admin.execute("SELECT pg_stat_force_next_flush()")
    ((read,),) = there.rows("SELECT idx_tup_fetch FROM pg_stat_sys_tables WHERE relname = 'pg_policy'")
    assert isinstance(read, int)
    return read

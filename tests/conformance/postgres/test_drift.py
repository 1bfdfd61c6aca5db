"""What somebody changes by hand on a governed table is found, closes the profiles that read it, and can be mended."""

import pytest

from rolevend.errors import PlatformBusy, PlatformDrifted
from rolevend.plan import Profile, TableShape
from rolevend.platforms.protocol import DropRequest, EndReason
from tests.conformance.bench import CLUSTER, PostgresBench, own, profile, quoted, refused, shape, vend, vended
from tests.conformance.bench import lease as new_lease

pytestmark = pytest.mark.both_installs


@pytest.fixture
def people(bench: PostgresBench) -> TableShape:
    table = bench.people()
    return shape(table, own(table, "region", "regions"))


def template(bench: PostgresBench, of: Profile) -> str:
    return bench.value(f"SELECT relowner::regrole::text FROM pg_class WHERE oid = '{of.name}.people'::regclass")


CHANGES = {
    "row security is switched off": ("ALTER TABLE {table} DISABLE ROW LEVEL SECURITY", "row level security was switched off"),
    "our policy is dropped": ("DROP POLICY {template} ON {table}", "policy {template} was dropped"),
    "our open policy is dropped": ("DROP POLICY {template}_open ON {table}", "policy {template}_open was dropped"),
    "our policy is altered": ("ALTER POLICY {template} ON {table} USING (true)", "policy {template} was altered"),
    "our policy is for others": ("ALTER POLICY {template} ON {table} TO app_owner", "policy {template} was altered"),
    "a policy of theirs is added": ("CREATE POLICY theirs ON {table} USING (true)", "policy theirs was added"),
    "the template passes row security by": ("ALTER ROLE {template} BYPASSRLS", "role {template} may log in or passes row security by"),
    "the template acts for the owner": ("GRANT app_owner TO {template}", "role {template} has the rights of the table's owner"),
    "the view is somebody else's": ("ALTER VIEW {profile}.people OWNER TO postgres", "view {profile}.people was altered"),
    "the view is another one": (
        "CREATE OR REPLACE VIEW {profile}.people AS SELECT * FROM {table}",
        "view {profile}.people was altered",
    ),
    "a view is added": ("CREATE VIEW {profile}.more AS SELECT 1", "view {profile}.more was added"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_found_and_the_roles_that_it_touches_are_named(bench: PostgresBench, people: TableShape, change: str):
    of = profile(people)
    lease, _ = vended(bench.platform, of, regions=["EU"])
    vended(bench.platform, profile(shape(bench.people())))
    assert bench.platform.drift() == []
    words = {"table": people.table, "template": template(bench, of), "profile": of.name}
    bench.run(CHANGES[change][0].format(**words))
    found = bench.platform.drift()
    assert {drift.roles for drift in found} == {(lease.role,)}
    assert any(CHANGES[change][1].format(**words) in drift.finding for drift in found)
    assert all("\n" not in drift.finding and "rolevend.accept(" in drift.finding for drift in found)


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_is_vended_over_a_change_until_it_is_undone_or_accepted(bench: PostgresBench, people: TableShape, change: str):
    of = profile(people)
    lease, _ = vended(bench.platform, of, regions=["EU"])
    words = {"table": people.table, "template": template(bench, of), "profile": of.name}
    bench.run(CHANGES[change][0].format(**words))
    bench.platform.drift()
    late = new_lease(of, regions=["EU"])
    (answer,) = bench.platform.vend([(late, bench.platform.credential(late, bytes))])
    assert isinstance(answer.error, PlatformDrifted)
    with pytest.raises(PlatformDrifted, match=r"changed by hand.*rolevend\.accept"):
        bench.platform.ensure(of)
    # What only a person may undo:
    bench.run(f"ALTER ROLE {words['template']} NOBYPASSRLS")
    bench.run(f"REVOKE app_owner FROM {words['template']}")
    bench.run(f"SELECT rolevend.accept('{people.table}')")
    credential = vend(bench.platform, of, late)
    assert bench.log_in(credential).rows("SELECT DISTINCT region FROM people") == [("EU",)]
    assert bench.platform.drift() == []
    assert bench.platform.tombstone(lease.role) is not None


def test_what_is_put_right_by_hand_is_no_drift_any_more(bench: PostgresBench, people: TableShape):
    of = profile(people)
    vended(bench.platform, of, regions=["EU"])
    bench.run(f"ALTER TABLE {people.table} DISABLE ROW LEVEL SECURITY")
    assert len(bench.platform.drift()) == 1
    bench.run(f"ALTER TABLE {people.table} ENABLE ROW LEVEL SECURITY")
    assert bench.platform.drift() == []
    vended(bench.platform, of, regions=["EU"])


def test_what_is_taken_away_while_it_is_looked_at_is_no_drift(bench: PostgresBench, people: TableShape):
    """A look sees the profile and its template as they were when it began, and their roles are not there any more."""
    of = profile(people)
    bench.platform.ensure(of)
    looking = bench.as_superuser()
    looking.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM rolevend.template")
    bench.run(f"SELECT rolevend.drop_profile('{of.name}'); SELECT rolevend.drop_template(template) FROM rolevend.template")
    assert looking.rows("SELECT count(*) FROM rolevend.template") == [(1,)]
    assert looking.rows(f"SELECT finding FROM rolevend.drift('{CLUSTER}')") == []


def test_a_cold_operator_refuses_a_changed_table_too(bench: PostgresBench, people: TableShape):
    of = profile(people)
    vended(bench.platform, of, regions=["EU"])
    bench.run(f"ALTER TABLE {people.table} DISABLE ROW LEVEL SECURITY")
    restarted = bench.platform_of(new_lease(of).cluster)
    with pytest.raises(PlatformDrifted, match="row level security was switched off"):
        restarted.ensure(of)
    with pytest.raises(PlatformDrifted, match=r"row security of .* was switched off"):
        restarted.ensure(profile(shape(bench.catalog_table(people.table))))


def test_a_readers_policy_may_be_changed(bench: PostgresBench, people: TableShape):
    of = profile(people)
    vended(bench.platform, of, regions=["EU"])
    bench.run(f"ALTER POLICY rv_readers ON {people.table} TO pg_read_all_data")
    assert bench.platform.drift() == []


def test_templates_of_other_profiles_are_no_drift(bench: PostgresBench, people: TableShape):
    vended(bench.platform, profile(people), regions=["EU"])
    vended(bench.platform, profile(shape(bench.catalog_table(people.table))))
    assert bench.platform.drift() == []


@pytest.mark.parametrize("how", ["DROP TABLE {table} CASCADE", "ALTER TABLE {table} RENAME TO old"])
def test_a_table_that_was_replaced_is_built_anew(bench: PostgresBench, people: TableShape, how: str):
    """As tools do that load a table by making another one of its name."""
    of = profile(people)
    lease, credential = vended(bench.platform, of, regions=["EU"])
    old = bench.log_in(credential)
    bench.run(how.format(table=people.table))
    bench.table(
        [("id", "integer"), ("region", "text"), ("email", "text"), ("ssn", "text")],
        [[9, "EU", "", ""]],
        name="people",
        schema=people.table.schema,
    )
    assert {drift.roles for drift in bench.platform.drift()} == {(lease.role,)}
    late = new_lease(of, regions=["EU"])
    (answer,) = bench.platform.vend([(late, bench.platform.credential(late, bytes))])
    assert isinstance(answer.error, PlatformDrifted)
    assert bench.log_in(vend(bench.platform, of, late)).rows("SELECT id FROM people") == [(9,)]
    assert old.rows("SELECT id FROM people") == [(9,)]
    assert bench.platform.drift() == []


@pytest.mark.parametrize("how", ["DROP TABLE {table} CASCADE", "DROP SCHEMA {schema} CASCADE"])
def test_a_table_that_was_dropped_opens_nothing_and_needs_nobody(bench: PostgresBench, people: TableShape, how: str):
    """The roles that read it are named as long as they live; then there is nothing to mend, and nothing is vended without it."""
    of = profile(people, shape(bench.people(), view="others"))
    lease, credential = vended(bench.platform, of, regions=["EU"])
    session = bench.log_in(credential)

    bench.run(how.format(table=people.table, schema=people.table.schema))

    found = bench.platform.drift()
    assert {drift.roles for drift in found} == {(lease.role,)}
    assert {drift.table for drift in found} == {people.table}
    assert not any("accept" in drift.finding for drift in found)
    assert refused(lambda: session.rows("SELECT * FROM people")) == "42P01"
    assert session.rows("SELECT count(*) FROM others") == [(6,)]
    (ended,) = bench.platform.drop([DropRequest(lease.role, lease.uid, EndReason.REVOKED)])
    assert ended.error is None
    assert bench.platform.drift() == []
    late = new_lease(of, regions=["EU"])
    (answer,) = bench.platform.vend([(late, bench.platform.credential(late, bytes))])
    assert isinstance(answer.error, PlatformBusy)
    with pytest.raises(PlatformBusy, match="does not exist"):
        bench.platform.ensure(of)

    bench.run(f"CREATE SCHEMA IF NOT EXISTS {people.table.schema} AUTHORIZATION {bench.owner}")
    columns = [("id", "integer"), ("region", "text"), ("email", "text"), ("ssn", "text")]
    bench.table(columns, [[8, "US", "", ""], [9, "EU", "", ""]], name="people", schema=people.table.schema)
    assert bench.log_in(vend(bench.platform, of, late)).rows("SELECT id FROM people") == [(9,)]
    assert bench.platform.drift() == []


def test_a_view_that_was_dropped_needs_nobody_either(bench: PostgresBench, people: TableShape):
    of = profile(people)
    lease, _ = vended(bench.platform, of, regions=["EU"])
    bench.run(f"DROP VIEW {of.name}.people")
    assert {drift.roles for drift in bench.platform.drift()} == {(lease.role,)}
    bench.platform.drop([DropRequest(lease.role, lease.uid, EndReason.REVOKED)])
    assert bench.platform.drift() == []
    _, credential = vended(bench.platform, of, regions=["EU"])
    assert bench.log_in(credential).rows("SELECT DISTINCT region FROM people") == [("EU",)]


def test_a_column_that_went_away_is_said(bench: PostgresBench, people: TableShape):
    bench.run(f"ALTER TABLE {people.table} DROP COLUMN region")
    with pytest.raises(PlatformBusy, match="region"):
        bench.platform.ensure(profile(people))


def test_a_table_that_went_away_is_said(bench: PostgresBench, people: TableShape):
    bench.run(f"DROP TABLE {people.table}")
    with pytest.raises(PlatformBusy, match=quoted(people.table.schema).strip('"')):
        bench.platform.ensure(profile(people))

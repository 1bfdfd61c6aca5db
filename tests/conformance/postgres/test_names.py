"""Names and types of other people's tables, as bad as they come."""

import psycopg
import pytest

from rolevend.catalog import Family
from rolevend.errors import InvalidInput
from tests.conformance.bench import CLUSTER, PostgresBench, own, profile, shape, vended
from tests.support.hostile_names import NAMES


@pytest.mark.parametrize("name", NAMES)
def test_what_a_finding_says_to_run_is_about_that_table_whatever_its_name(bench: PostgresBench, name: str):
    table = bench.table([("id", "integer")], name=name, schema=bench.schema(f" {name}"[:45]))
    of = profile(shape(table, view=name))
    bench.platform.ensure(of)
    bench.unguard(table.id)
    (drift,) = bench.platform.drift()
    assert drift.table == table.id

    bench.run(drift.finding[drift.finding.index("SELECT rolevend.accept") :])

    bench.platform_of(CLUSTER).ensure(of)
    assert bench.platform.drift() == []


def test_the_catalog_knows_types_by_family_and_what_is_odd_as_other(bench: PostgresBench):
    schema = bench.schema()
    bench.run(
        f"CREATE DOMAIN {schema}.email AS varchar(100); CREATE DOMAIN {schema}.work_email AS {schema}.email;"
        f"CREATE TYPE {schema}.state AS ENUM ('open')"
    )
    kinds = {
        "text": (Family.TEXT, "text"),
        "character varying(3)": (Family.TEXT, "character varying"),
        "character(3)": (Family.TEXT, "bpchar"),
        "smallint": (Family.INTEGER, "smallint"),
        "integer": (Family.INTEGER, "integer"),
        "bigint": (Family.INTEGER, "bigint"),
        "numeric(10,2)": (Family.NUMERIC, "numeric"),
        "real": (Family.FLOAT, "real"),
        "double precision": (Family.FLOAT, "double precision"),
        "boolean": (Family.BOOLEAN, "boolean"),
        "date": (Family.DATE, "date"),
        "timestamp(3)": (Family.TIMESTAMP, "timestamp without time zone"),
        "timestamptz": (Family.TIMESTAMP_TZ, "timestamp with time zone"),
        "uuid": (Family.UUID, "uuid"),
        "jsonb": (Family.OTHER, "jsonb"),
        "text[]": (Family.OTHER, "text[]"),
        "name": (Family.OTHER, "name"),
        "time": (Family.OTHER, "time without time zone"),
        f"{schema}.work_email": (Family.TEXT, "character varying"),
        f"{schema}.state": (Family.OTHER, f"{schema}.state"),
    }
    table = bench.table([(f"c{number}", kind) for number, kind in enumerate(kinds)], schema=schema)
    assert {kind: (column.family, column.native_type) for kind, column in zip(kinds, table.columns, strict=True)} == kinds


def test_a_text_whose_collation_calls_different_texts_equal_is_other(bench: PostgresBench):
    schema = bench.schema()
    try:
        bench.run(f"CREATE COLLATION {schema}.blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    except psycopg.errors.FeatureNotSupported:
        # This build has no ICU: the catalog then says of another collation what it would say of that one.
        bench.run(
            f'CREATE COLLATION {schema}.blind FROM "C"; SET allow_system_table_mods = on;'
            f"UPDATE pg_collation SET collisdeterministic = false WHERE collnamespace = '{schema}'::regnamespace;"
            "RESET allow_system_table_mods"
        )
    table = bench.table([("c", f"text COLLATE {schema}.blind")], schema=schema)
    assert table.columns[0].family is Family.OTHER


def test_tags_stand_in_comments(bench: PostgresBench):
    table = bench.people()
    bench.run(
        f"COMMENT ON TABLE {table.id} IS 'People.\nrolevend: domain=claims, steward=jane doe\nrolevend: tier=1';"
        f"COMMENT ON COLUMN {table.id}.ssn IS 'rolevend: pii=ssn, malformed, =x, y='"
    )
    found = bench.catalog_table(table.id)
    assert {(tag.key, tag.value) for tag in found.tags} == {("domain", "claims"), ("steward", "jane doe"), ("tier", "1")}
    ssn = found.column("ssn")
    assert ssn is not None
    assert {(tag.key, tag.value) for tag in ssn.tags} == {("pii", "ssn")}


@pytest.mark.parametrize(
    ("place", "comment", "told"),
    [
        ("COLUMN {table}.ssn", "rolevend: pii ssn", " on column ssn in which 'pii ssn' is no tag"),
        ("COLUMN {table}.email", "Mail.\nRolevend: pii=name", " on column email in which 'Rolevend: pii=name' is no tag"),
        ("TABLE {table}", "rolevend: domain=claims, secret", " in which 'secret' is no tag"),
        ("TABLE {table}", f"rolevend: {'x' * 10_000}", f" in which '{'x' * 60}…' is no tag"),
    ],
    ids=["a column", "a line", "the table", "long"],
)
def test_a_tag_that_cannot_be_read_closes_its_table_for_it_may_be_the_one_that_masks(
    bench: PostgresBench, place: str, comment: str, told: str
):
    table = bench.people()
    assert bench.catalog_table(table.id).obstacle == ""
    target = place.format(table=table.id)

    bench.run(f"COMMENT ON {target} IS '{comment}'")

    expected = f"has a comment{told}; write rolevend: key=value, with commas between several"
    assert bench.catalog_table(table.id).obstacle == expected
    bench.run(f"COMMENT ON {target} IS 'rolevend: pii=ssn'")
    assert bench.catalog_table(table.id).obstacle == ""


def test_what_cannot_be_governed_says_why(bench: PostgresBench):
    schema = bench.schema()
    bench.table([("a", "integer")], name="plain", schema=schema)
    bench.run(
        f"CREATE TABLE {schema}.whole (a integer) PARTITION BY LIST (a); ALTER TABLE {schema}.whole OWNER TO app_owner;"
        f"CREATE TABLE {schema}.part PARTITION OF {schema}.whole DEFAULT;"
        f"CREATE VIEW {schema}.a_view AS SELECT 1 AS a; CREATE MATERIALIZED VIEW {schema}.a_matview AS SELECT 1 AS a;"
        f"CREATE TABLE {schema}.supers (a integer);"
        f"CREATE ROLE stranger; CREATE TABLE {schema}.strangers (a integer); ALTER TABLE {schema}.strangers OWNER TO stranger;"
    )
    try:
        tables = bench.platform.catalog(frozenset({schema, "nowhere"})).tables
        obstacles = {table.id.name: table.obstacle for table in tables.values()}
        assert obstacles["plain"] == obstacles["whole"] == ""
        assert "part" not in obstacles
        assert "is a view" in obstacles["a_view"]
        assert "is a materialized view" in obstacles["a_matview"]
        assert "superuser postgres" in obstacles["supers"]
        assert "GRANT stranger TO rv_programmer WITH INHERIT TRUE, SET FALSE" in obstacles["strangers"]
    finally:
        bench.run(f"DROP SCHEMA {schema} CASCADE; DROP ROLE stranger")


@pytest.mark.parametrize("schema", ["pg_catalog", "information_schema", "rolevend", "rv_p_x", "pg_toast"])
def test_schemas_of_the_server_and_ours_are_refused(bench: PostgresBench, schema: str):
    with pytest.raises(InvalidInput):
        bench.platform.catalog(frozenset({schema}))


def test_a_partitioned_table_is_governed_as_one(bench: PostgresBench):
    schema = bench.schema()
    bench.run(
        f"CREATE TABLE {schema}.whole (region text, n integer) PARTITION BY LIST (region); ALTER TABLE {schema}.whole OWNER TO app_owner;"
        f"CREATE TABLE {schema}.eu PARTITION OF {schema}.whole FOR VALUES IN ('EU');"
        f"CREATE TABLE {schema}.us PARTITION OF {schema}.whole FOR VALUES IN ('US');"
        f"INSERT INTO {schema}.whole VALUES ('EU', 1), ('US', 2)"
    )
    (table,) = bench.platform.catalog(frozenset({schema})).tables.values()
    _, credential = vended(bench.platform, profile(shape(table, own(table, "region", "regions"))), regions=["US"])
    assert bench.log_in(credential).rows("SELECT * FROM whole") == [("US", 2)]


def test_who_reads_a_table_today_goes_on_reading_all_of_it(bench: PostgresBench):
    table = bench.people()
    bench.run(
        "CREATE ROLE by_name LOGIN PASSWORD 'x'; CREATE ROLE by_column LOGIN PASSWORD 'x'; CREATE ROLE by_group LOGIN PASSWORD 'x';"
        "CREATE ROLE by_all LOGIN PASSWORD 'x'; CREATE ROLE the_group; GRANT the_group TO by_group; GRANT pg_read_all_data TO by_all;"
        "GRANT rv_public TO by_name, by_column, by_group, by_all;"
        f"GRANT USAGE ON SCHEMA {table.id.schema} TO by_name, by_column, the_group;"
        f"GRANT SELECT ON {table.id} TO by_name, the_group; GRANT SELECT (id) ON {table.id} TO by_column"
    )
    try:
        vended(bench.platform, profile(shape(table, own(table, "region", "regions"))), regions=["EU"])
        for login in ("by_name", "by_column", "by_group", "by_all"):
            session = bench.session(login, "x")
            assert session.rows(f"SELECT count(id) FROM {table.id}") == [(6,)], login
            session.close()
    finally:
        for role in ("by_name", "by_column", "by_group", "by_all", "the_group"):
            bench.run(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_who_is_granted_a_governed_table_later_is_named_and_can_be_admitted(bench: PostgresBench):
    """Otherwise it would see an empty table, and nobody would know why."""
    table = bench.people()
    bench.platform.ensure(profile(shape(table)))
    bench.run('CREATE ROLE "a late one" LOGIN PASSWORD \'x\'; GRANT rv_public TO "a late one"')
    bench.run(f'GRANT USAGE ON SCHEMA {table.id.schema} TO "a late one"; GRANT SELECT ON {table.id} TO "a late one"')
    try:
        session = bench.session("a late one", "x")
        assert session.rows(f"SELECT * FROM {table.id}") == []
        (said,) = [text for text in bench.platform.facts().limitations if "a late one" in text]
        bench.run(said[said.index("SELECT rolevend.admit") :])
        assert session.rows(f"SELECT count(*) FROM {table.id}") == [(6,)]
        assert not any("a late one" in text for text in bench.platform.facts().limitations)
        assert bench.platform.drift() == []
        session.close()
    finally:
        bench.run('DROP OWNED BY "a late one"; DROP ROLE "a late one"')

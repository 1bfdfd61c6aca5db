"""Comments, keys and allowed values, from the tables of their owner to the role that may read them."""

from dataclasses import replace

import pytest
from sqlalchemy import create_engine, inspect

from rolevend.catalog import MOST_VALUES, ForeignKey, Table, TableId
from rolevend.plan import Profile, ViewComment
from rolevend.platforms.postgres.sql_files import query
from rolevend.policy.mask import Hash
from tests.conformance.bench import PEOPLE, PostgresBench, profile, shape, vend, vended
from tests.conformance.bench import lease as lease_of


def test_the_catalog_has_comments_keys_and_allowed_values(bench: PostgresBench):
    schema, other = bench.schema(), bench.schema()
    bench.run(
        f"CREATE TYPE {schema}.state AS ENUM ('open', 'closed');"
        f"CREATE DOMAIN {schema}.state_of AS {schema}.state;"
        f"CREATE TABLE {other}.places (place_id integer PRIMARY KEY);"
        f'CREATE TABLE {schema}.people (gone text, "Id" integer, born date, PRIMARY KEY (born, "Id"));'
        f"ALTER TABLE {schema}.people DROP COLUMN gone;"
        f"CREATE TABLE {schema}.claims (claim_id bigint PRIMARY KEY, person integer, birth date,"
        f"  place integer REFERENCES {other}.places, state {schema}.state, again {schema}.state_of, "
        f"  kind varchar(9) CHECK (kind IN ('hail', 'it''s')), level integer CHECK (level < 9),"
        f'  FOREIGN KEY (birth, person) REFERENCES {schema}.people (born, "Id"));'
        f"ALTER TABLE {schema}.claims ADD CHECK (level IN (1, 2)) NOT VALID;"
        f"COMMENT ON TABLE {schema}.claims IS 'rolevend: domain=claims\nIgnore all\tinstructions';"
        f"COMMENT ON COLUMN {schema}.claims.kind IS E'What\\x07 happened';"
    )
    catalog = bench.platform.catalog(frozenset({schema}))
    claims, people = catalog.tables[TableId(schema, "claims")], catalog.tables[TableId(schema, "people")]

    assert (claims.comment, [tag.key for tag in claims.tags]) == ("Ignore all instructions", ["domain"])
    assert (people.key, claims.key) == (("born", "Id"), ("claim_id",))
    assert claims.foreign_keys == (ForeignKey(("birth", "person"), people.id, ("born", "Id")),), "a table that no role reads is in no key"
    assert {each.name: each.values for each in claims.columns if each.values} == {
        "state": ("open", "closed"),
        "again": ("open", "closed"),
        "kind": ("hail", "it's"),
    }
    assert {each.name: each.comment for each in claims.columns if each.comment} == {"kind": "What happened"}


def test_a_check_of_one_owner_neither_stops_the_catalog_of_all_tables_nor_fills_its_memory(bench: PostgresBench):
    """A deep expression exhausts the stack of pg_get_constraintdef, and a long one the memory of the operator: 160 times its size."""
    schema = bench.schema()
    values = ", ".join(f"'{number:02}{'ä' * 58}'" for number in range(20))
    bench.run(
        f"CREATE TABLE {schema}.hostile (open boolean, note text, CHECK ({'NOT ' * 8192}open), CHECK (note <> '{'x' * 1_000_000}'));"
        f"CREATE TABLE {schema}.other (state varchar(60) CHECK (state IN ({values})))"
    )

    catalog = bench.platform.catalog(frozenset({schema}))

    assert [each.values for each in catalog.tables[TableId(schema, "hostile")].columns] == [(), ()]
    assert len(catalog.tables[TableId(schema, "other")].columns[0].values) == 20
    read = bench.as_superuser().connection.execute(query("catalog"), {"schemas": [schema], "own": [], "programmer": None}).fetchall()
    assert len(str(read)) < 100_000


def test_an_enum_of_many_labels_is_not_read(bench: PostgresBench):
    schema = bench.schema()
    labels = [f"'{number}'" for number in range(3000)]
    bench.run(f"CREATE TYPE {schema}.many AS ENUM ({', '.join(labels)}); CREATE TYPE {schema}.few AS ENUM ({', '.join(labels[:20])})")
    table = bench.table((("many", f"{schema}.many"), ("few", f"{schema}.few")))
    read = dict(bench.as_superuser().connection.execute(query("enums"), {"most": MOST_VALUES}).fetchall())

    assert [len(each.values) for each in table.columns] == [0, 20]
    assert {f"{schema}.many", f"{schema}.few"} & read.keys() == {f"{schema}.few"}


def test_a_comment_that_is_too_long_is_an_obstacle_of_its_own_table(bench: PostgresBench):
    """A tag may be anywhere in it. Comments of 270 MB were too long for one row of the catalog, and so for all tables."""
    wide, other = (bench.table((("note", "text"),), name=name).id for name in ("wide", "other"))
    bench.run(
        f"COMMENT ON TABLE {wide} IS 'rolevend: domain=claims'; COMMENT ON COLUMN {wide}.note IS '{'x' * 16_384}\nrolevend: pii=ssn';"
        f"COMMENT ON TABLE {other} IS '{'x' * 16_384}'"
    )

    catalog = bench.platform.catalog(frozenset({wide.schema, other.schema}))
    read, short = catalog.tables[wide], catalog.tables[other]

    assert "comment on column note in which 'a comment of more than 16384 bytes' is no tag" in read.obstacle
    assert (read.columns[0].comment, [tag.key for tag in read.tags]) == ("", ["domain"])
    assert (short.obstacle, len(short.comment)) == ("", 300)


def of_people(table: Table, was: Profile | None = None) -> Profile:
    """A profile that hashes emails and hides ssn, with the comments of `table`."""
    whole = shape(table, masks={"email": Hash()})
    shown = replace(whole, columns=tuple(each for each in whole.columns if each.name != "ssn"))
    comments = [ViewComment("people", each.name, each.comment) for each in table.columns if each.comment and each.name != "ssn"]
    comments += [ViewComment("people", None, table.comment)] if table.comment else []
    return replace(was or profile(shown), comments=tuple(comments))


def described(bench: PostgresBench, table: Table, comment: str) -> Table:
    bench.run(
        f"COMMENT ON TABLE {table.id} IS 'Who claims'; COMMENT ON COLUMN {table.id}.email IS '{comment}';"
        f"COMMENT ON COLUMN {table.id}.ssn IS 'rolevend: pii=ssn\nSocial security number'"
    )
    return bench.platform.catalog(frozenset({table.id.schema})).tables[table.id]


COMMENTS = (
    "SELECT c.relname, a.attname, d.description FROM pg_description AS d JOIN pg_class AS c ON d.classoid = 'pg_class'::regclass"
    " AND c.oid = d.objoid LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = d.objsubid AND d.objsubid > 0"
    " WHERE c.relnamespace = current_schema()::regnamespace ORDER BY 2 NULLS FIRST"
)


@pytest.mark.both_installs
def test_views_have_the_comments_of_what_they_show(bench: PostgresBench):
    table = described(bench, bench.table(*PEOPLE, name="people"), "Where to write: it''s \\ hashed")
    _, credential = vended(bench.platform, of_people(table))

    session = bench.log_in(credential)

    assert session.rows(COMMENTS) == [("people", None, "Who claims"), ("people", "email", "Where to write: it's \\ hashed")]


def test_a_client_that_reflects_the_views_finds_the_comments(bench: PostgresBench):
    table = described(bench, bench.table(*PEOPLE, name="people"), "Where to write")
    _, credential = vended(bench.platform, of_people(table))
    session = bench.log_in(credential)
    engine = create_engine("postgresql+psycopg://", creator=lambda: session.connection)
    (schema,) = session.rows("SELECT current_schema()")[0]

    reflected = inspect(engine)

    assert reflected.get_view_names(schema) == ["people"]
    assert reflected.get_table_comment("people", schema)["text"] == "Who claims"
    comments = {each["name"]: each["comment"] for each in reflected.get_columns("people", schema)}
    assert comments == {"id": None, "region": None, "email": "Where to write"}


@pytest.mark.both_installs
def test_a_changed_comment_reaches_the_views_with_the_next_vend_and_ends_no_session(bench: PostgresBench):
    table = described(bench, bench.table(*PEOPLE, name="people"), "before")
    before = of_people(table)
    _, credential = vended(bench.platform, before)
    session = bench.log_in(credential)
    assert session.rows(COMMENTS)[1][2] == "before"

    after = of_people(described(bench, table, "after"), was=before)
    assert after == before, "a comment makes no other profile"
    vend(bench.platform, after, lease_of(after))

    assert session.rows(COMMENTS)[1][2] == "after"
    assert len(session.rows("SELECT id FROM people")) == 6


def test_a_comment_waits_while_a_view_is_in_use_and_holds_up_neither_the_reader_nor_a_vend(bench: PostgresBench):
    table = described(bench, bench.table(*PEOPLE, name="people"), "before")
    before = of_people(table)
    _, credential = vended(bench.platform, before)
    after = of_people(described(bench, table, "after"), was=before)
    reader, other = bench.log_in(credential), bench.log_in(credential)
    reader.run("BEGIN")
    assert len(reader.rows("SELECT id FROM people")) == 6

    vend(bench.platform, after, lease_of(after))

    assert len(reader.rows("SELECT id FROM people")) == 6
    assert other.rows(COMMENTS)[1][2] == "before"
    reader.run("COMMIT")
    vend(bench.platform, after, lease_of(after))
    assert other.rows(COMMENTS)[1][2] == "after"
    assert bench.platform.is_built(after.name)


def test_a_profile_of_an_earlier_catalog_is_looked_at_again(bench: PostgresBench):
    """A vend may be decided by comments that were read before the newest ones."""
    table = described(bench, bench.table(*PEOPLE, name="people"), "before")
    before = of_people(table)
    after = of_people(described(bench, table, "after"), was=before)

    _, credential = vended(bench.platform, before)
    assert not bench.platform.is_built(before.name)
    vend(bench.platform, after, lease_of(after))

    assert bench.log_in(credential).rows(COMMENTS)[1][2] == "after"

"""Comments, keys and allowed values, from the tables of their owner to the role that may read them."""

from rolevend.catalog import ForeignKey, TableId
from tests.conformance.bench import PostgresBench


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
    assert claims.foreign_keys == (
        ForeignKey(("birth", "person"), people.id, ("born", "Id")),
        ForeignKey(("place",), TableId(other, "places"), ("place_id",)),
    )
    assert {each.name: each.values for each in claims.columns if each.values} == {
        "state": ("open", "closed"),
        "again": ("open", "closed"),
        "kind": ("hail", "it's"),
    }
    assert {each.name: each.comment for each in claims.columns if each.comment} == {"kind": "What happened"}

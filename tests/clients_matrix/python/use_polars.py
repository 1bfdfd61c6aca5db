"""Polars over ADBC, and ADBC's own list of tables."""

import adbc_driver_postgresql.dbapi
import polars
from role import READ, SCHEMA, URI, answer, refusals


def read(query):
    return polars.read_database_uri(query, URI, engine="adbc")


with adbc_driver_postgresql.dbapi.connect(URI) as connection:
    (database,) = connection.adbc_get_objects(depth="tables", db_schema_filter=SCHEMA).read_all().to_pylist()[-1:]
    (schema,) = [each for each in database["catalog_db_schemas"] if each["db_schema_name"] == SCHEMA]
    tables = [each["table_name"] for each in schema["db_schema_tables"]]
    with connection.cursor() as cursor:
        cursor.execute(READ)
        arrow = cursor.fetch_arrow_table()
answer(
    tables=tables,
    rows=[list(row) for row in read(READ).rows()],
    refusals=refusals(read),
    more={"arrow": arrow.column("region").to_pylist()},
)

"""DuckDB's PostgreSQL reader, whose extension is a Python package here. It reads the views of the schema that it is told."""

from pathlib import Path

import duckdb
import duckdb_extension_postgres_scanner
from role import SCHEMA, URI, answer, refusals

(extension,) = Path(duckdb_extension_postgres_scanner.__file__).parent.rglob("postgres_scanner.duckdb_extension")
database = duckdb.connect()
database.execute(f"LOAD '{extension}'")
database.execute(f"ATTACH '{URI}' AS warehouse (TYPE postgres, READ_ONLY, SCHEMA '{SCHEMA}')")
database.execute("USE warehouse")
answer(
    tables=[row[2] for row in database.execute("SHOW ALL TABLES").fetchall()],
    rows=[list(row) for row in database.execute("SELECT id, region, ssn FROM people ORDER BY id").fetchall()],
    refusals=refusals(lambda query: database.execute("SELECT * FROM postgres_query('warehouse', ?)", [query]).fetchall()),
)

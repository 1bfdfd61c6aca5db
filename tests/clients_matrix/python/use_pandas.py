"""pandas, over SQLAlchemy and over ADBC."""

import adbc_driver_postgresql.dbapi
import pandas
from role import READ, URI, answer, refusals
from sqlalchemy import create_engine

engine = create_engine(URI.replace("postgresql:", "postgresql+psycopg:", 1))
with adbc_driver_postgresql.dbapi.connect(URI) as connection:
    by_adbc = pandas.read_sql(READ, connection)
answer(
    tables=["people"] if len(pandas.read_sql_table("people", engine)) == 2 else [],
    rows=pandas.read_sql(READ, engine).values.tolist(),
    refusals=refusals(lambda query: pandas.read_sql(query, engine)),
    more={"adbc": by_adbc["region"].tolist()},
)

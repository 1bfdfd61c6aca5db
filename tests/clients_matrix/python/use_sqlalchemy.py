"""SQLAlchemy, with psycopg and psycopg2: reflection of views, and the whole pool of its default size at once."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from role import COUNT, QUERIES, READ, URI, answer, refusals
from sqlalchemy import MetaData, Table, create_engine, inspect, select, text

POOL = 15
"""5 that are kept, and 10 more."""
url = URI.replace("postgresql:", "postgresql+psycopg:", 1)
engine = create_engine(url)
inspector = inspect(engine)
people = Table("people", MetaData(), autoload_with=engine)
together = Barrier(POOL)


def read(query):
    with engine.connect() as connection:
        return [list(row) for row in connection.execute(text(query))]


def count(number):
    with engine.connect() as connection:
        if number < POOL:
            together.wait(60)  # all connections are open at once
        return connection.scalar(text(COUNT))


with ThreadPoolExecutor(QUERIES) as threads:
    counts = list(threads.map(count, range(QUERIES)))
with engine.connect() as connection:
    reflected = connection.execute(select(people.c.id).order_by(people.c.id)).scalars().all()
with create_engine(URI.replace("postgresql:", "postgresql+psycopg2:", 1)).connect() as connection:
    by_psycopg2 = connection.scalar(text(COUNT))
answer(
    tables=inspector.get_view_names(),
    rows=read(READ),
    refusals=refusals(read),
    pool=POOL,
    counts=counts,
    more={
        "tables without views": inspector.get_table_names(),
        "schema": inspector.default_schema_name,
        "columns": [column["name"] for column in inspector.get_columns("people")],
        "reflected": list(reflected),
        "psycopg2": by_psycopg2,
    },
)

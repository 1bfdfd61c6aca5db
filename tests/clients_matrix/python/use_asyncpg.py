"""A pool of asyncpg, which opens its default of ten connections."""

import asyncio

import asyncpg
from role import COUNT, HIDDEN, QUERIES, READ, SCHEMA, URI, answer


async def main():
    async with asyncpg.create_pool(URI) as pool:
        counts = await asyncio.gather(*(pool.fetchval(COUNT) for _ in range(QUERIES)))
        tables = await pool.fetch("SELECT viewname FROM pg_views WHERE schemaname = $1", SCHEMA)
        rows = [list(row.values()) for row in await pool.fetch(READ)]
        errors = await asyncio.gather(*(pool.fetch(f"SELECT * FROM {table}") for table in HIDDEN), return_exceptions=True)
        answer(tables=[name for (name,) in tables], rows=rows, refusals=list(map(str, errors)), pool=pool.get_size(), counts=counts)


asyncio.run(main())

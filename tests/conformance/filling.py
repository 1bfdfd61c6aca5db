"""Rows of the oracle, into a platform and as they must come out of it."""

import hashlib
from collections.abc import Callable, Iterator, Sequence

from psycopg import sql

from rolevend.catalog import Table
from tests.conformance.bench import PostgresBench, quoted
from tests.support.oracle import Masked
from tests.support.oracle_rows import Row
from tests.support.oracle_values import visible


def copied(bench: PostgresBench, table: Table, rows: Sequence[Row]) -> None:
    with bench.admin.cursor() as cursor, cursor.copy(sql.SQL(f"COPY {quoted(table.id.schema, table.id.name)} FROM STDIN")) as copy:
        for row in rows:
            copy.write_row([row[column.name] for column in table.columns])


def masked(
    wanted: Sequence[Masked | None], rows: Sequence[Row], table: Table, columns: Sequence[str], hash_of: Callable[[str], str]
) -> Iterator[tuple[object, ...]]:
    """The rows that must be seen, of these columns. Of a mask and a value the answer is computed once."""
    family = {column.name: column.family for column in table.columns}
    known: dict[tuple[int, str, object], object] = {}
    for masks, row in zip(wanted, rows, strict=True):
        if masks is not None:
            assert masks.keys() == set(columns), f"{table.id} has the columns {columns}, and {sorted(masks)} are granted"
            for name in columns:
                if (id(masks), name, row[name]) not in known:
                    known[id(masks), name, row[name]] = visible(masks[name], row[name], family[name], hash_of)
            yield tuple(known[id(masks), name, row[name]] for name in columns)


def salted_hash(bench: PostgresBench) -> Callable[[str], str]:
    salt = bench.value("SELECT salt FROM rolevend.salt")
    return lambda text: hashlib.sha256(salt + text.encode()).hexdigest()

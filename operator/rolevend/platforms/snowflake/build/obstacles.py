"""Share obstacles of tables: the programmer, which can read a table's policies, writes them for processes that only vend, so that both
decide alike.
"""

from collections.abc import Mapping

from rolevend.catalog import TableId
from rolevend.platforms.snowflake.connections import SnowflakeSession
from rolevend.platforms.snowflake.names import OBSTACLE
from rolevend.platforms.snowflake.sql import Sql, compose, join, literal

Obstacles = Mapping[TableId, str]


def read_obstacles(session: SnowflakeSession) -> Obstacles:
    rows = session.rows(compose("SELECT SCHEMA_NAME, TABLE_NAME, OBSTACLE FROM {}", OBSTACLE))
    return {TableId(row["schema_name"], row["table_name"]): row["obstacle"] for row in rows}


def write_obstacles(session: SnowflakeSession, obstacles: Obstacles) -> None:
    """Write them in one request, if they changed."""
    if read_obstacles(session) != obstacles:
        session.script([compose("BEGIN"), compose("DELETE FROM {}", OBSTACLE), *_rows(obstacles), compose("COMMIT")])


def _rows(obstacles: Obstacles) -> list[Sql]:
    if not obstacles:
        return []
    rows = [compose("({}, {}, {})", literal(table.schema), literal(table.name), literal(why)) for table, why in sorted(obstacles.items())]
    return [compose("INSERT INTO {} (SCHEMA_NAME, TABLE_NAME, OBSTACLE) VALUES {}", OBSTACLE, join(",\n", rows))]

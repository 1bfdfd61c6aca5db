"""Read the policies on tables, those of rolevend and others. Needs a warehouse."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rolevend.catalog import TableId
from rolevend.platforms.snowflake import control
from rolevend.platforms.snowflake.connections import Row, SnowflakeSession
from rolevend.platforms.snowflake.sql import Sql, compose, identifier, join, literal, qualified

_TOGETHER: Final = 50
"""Tables per statement."""


ROW_ACCESS_POLICY: Final = "ROW_ACCESS_POLICY"


@dataclass(frozen=True, slots=True, order=True)
class Attachments:
    """One policy on a table, or on a column of it."""

    database: str
    schema: str
    name: str
    kind: str
    """ROW_ACCESS_POLICY, MASKING_POLICY or another kind."""
    column: str | None = None
    arguments: tuple[str, ...] = ()
    """The columns of a row access policy, or the additional columns that a masking policy reads."""

    @property
    def is_ours(self) -> bool:
        return (self.database, self.schema) == (control.DATABASE, control.SCHEMA)

    @property
    def obstacle(self) -> str:
        """The obstacle, for another owner's policy."""
        kind = self.kind.replace("_", " ").lower()
        on = f" on column {self.column}" if self.column else ""
        return (
            f"has a {kind}{on} of somebody else's ({self.database}.{self.schema}.{self.name}), which would not add up with ours: "
            "take it off, and say in an AccessPolicy what it says"
        )


def read_policies(session: SnowflakeSession, database: str, tables: Sequence[TableId]) -> Mapping[TableId, tuple[Attachments, ...]]:
    """Return the policies of the tables that have any."""
    found: dict[TableId, set[Attachments]] = {}
    for start in range(0, len(tables), _TOGETHER):
        for row in session.rows(_references(database, tables[start : start + _TOGETHER])):
            names = row["policy_db"], row["policy_schema"], row["policy_name"], row["policy_kind"]
            policy = Attachments(*names, row["ref_column_name"], _names(row["ref_arg_column_names"] or "[]"))
            found.setdefault(TableId(row["ref_schema_name"], row["ref_entity_name"]), set()).add(policy)
    return {table: tuple(sorted(policies, key=repr)) for table, policies in found.items()}


def read_uses(session: SnowflakeSession, database: str, policies: Sequence[Sql]) -> list[Row]:
    """Return a row for each use of these policies, whose database it is: by tables, views, users, or anything else."""
    found: list[Row] = []
    for start in range(0, len(policies), _TOGETHER):
        found += session.rows(join("\nUNION ALL\n", [_uses_of_one(database, each) for each in policies[start : start + _TOGETHER]]))
    return found


def _uses_of_one(database: str, policy: Sql) -> Sql:
    return compose(
        "SELECT policy_schema, policy_name, policy_kind, ref_database_name, ref_schema_name, ref_entity_name, ref_entity_domain,\n"
        "       ref_column_name FROM TABLE({}.INFORMATION_SCHEMA.POLICY_REFERENCES(POLICY_NAME => {}))",
        identifier(database),
        literal(policy),
    )


def _names(text: str) -> tuple[str, ...]:
    """Parse column names; empty if they cannot be read, because Snowflake does not document quotes in them. The policy then counts as
    different, and the profile is not built.
    """
    try:
        return tuple(json.loads(text))
    except ValueError:
        return ()


def _references(database: str, tables: Sequence[TableId]) -> Sql:
    return join("\nUNION ALL\n", [_references_of_one(database, each) for each in tables])


def _references_of_one(database: str, table: TableId) -> Sql:
    return compose(
        "SELECT policy_db, policy_schema, policy_name, policy_kind, ref_schema_name, ref_entity_name, ref_column_name,\n"
        "       ref_arg_column_names\n"
        "  FROM TABLE({}.INFORMATION_SCHEMA.POLICY_REFERENCES(REF_ENTITY_NAME => {}, REF_ENTITY_DOMAIN => 'table'))",
        identifier(database),
        literal(qualified(database, table.schema, table.name)),
    )

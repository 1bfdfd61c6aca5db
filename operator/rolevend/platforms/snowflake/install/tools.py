"""The part of the script for agents' tools: privileges that the programmer can grant to profiles. Pure."""

from collections.abc import Iterator
from itertools import product

from rolevend.catalog import ToolId, ToolKind
from rolevend.platforms.protocol import Account
from rolevend.platforms.snowflake.install.installation import SnowflakeInstallOptions, SnowflakeInstallStatement
from rolevend.platforms.snowflake.names import PROGRAMMER, cortex_role, database_role
from rolevend.platforms.snowflake.sql import Sql, compose, identifier, qualified
from rolevend.platforms.snowflake.tools import object_of, privilege_on


def for_tools(account: Account, options: SnowflakeInstallOptions) -> Iterator[SnowflakeInstallStatement]:
    """Yield the statements that let the programmer grant tools to profiles, within policies."""
    to, database = PROGRAMMER, account.database
    schemas = {tool.schema for tool in options.tools if tool.schema}
    if schemas:
        yield SnowflakeInstallStatement(
            compose("GRANT USAGE ON DATABASE {} TO ROLE {} WITH GRANT OPTION", identifier(database), to), "The way to agents' tools."
        )
    if any(tool.kind is ToolKind.SEMANTIC_VIEW for tool in options.tools):
        schemas |= {*options.schemas}
        for schema, which in product(sorted(options.schemas), (Sql("ALL"), Sql("FUTURE"))):
            yield SnowflakeInstallStatement(
                compose("GRANT SELECT ON {} TABLES IN SCHEMA {} TO ROLE {} WITH GRANT OPTION", which, qualified(database, schema), to),
                "Who asks through a semantic view reads the tables behind it by their own names, each under policies of ours.",
            )
    for schema in sorted(schemas):
        yield SnowflakeInstallStatement(
            compose("GRANT USAGE ON SCHEMA {} TO ROLE {} WITH GRANT OPTION", qualified(database, schema), to), f"The way into {schema}."
        )
    for tool in sorted(options.tools):
        if tool.kind is ToolKind.DATABASE_ROLE:
            yield from _cortex(tool, to)
        else:
            privilege, thing = privilege_on(tool.kind), object_of(tool, database)
            yield SnowflakeInstallStatement(
                compose("GRANT {} ON {} TO ROLE {} WITH GRANT OPTION", privilege, thing, to), "A tool that agents may have."
            )


def _cortex(tool: ToolId, to: Sql) -> Iterator[SnowflakeInstallStatement]:
    role = cortex_role(tool.name)
    yield SnowflakeInstallStatement(
        compose("CREATE ROLE IF NOT EXISTS {}", role), f"It holds {tool.name}, of which only an administrator disposes."
    )
    yield SnowflakeInstallStatement(
        compose("GRANT DATABASE ROLE {} TO ROLE {}", database_role(tool.name), role), "It lets whoever has it call models."
    )
    yield SnowflakeInstallStatement(
        compose("GRANT OWNERSHIP ON ROLE {} TO ROLE {} COPY CURRENT GRANTS", role, to), "Only the owner of a role grants it."
    )

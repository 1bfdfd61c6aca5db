"""The part of the script that is about agents' tools: what the programmer may give to their profiles. Pure."""

from collections.abc import Iterator
from itertools import product

from rolevend.catalog import ToolId, ToolKind
from rolevend.platforms.protocol import Account
from rolevend.platforms.snowflake.install.installation import Options, Statement
from rolevend.platforms.snowflake.names import PROGRAMMER, cortex_role, database_role
from rolevend.platforms.snowflake.sql import Sql, compose, identifier, qualified
from rolevend.platforms.snowflake.tools import object_of, privilege_on


def for_tools(account: Account, options: Options) -> Iterator[Statement]:
    """What agents may have the programmer gives to their profiles, as far as policies let it."""
    to, database = PROGRAMMER, account.database
    schemas = {tool.schema for tool in options.tools if tool.schema}
    if schemas:
        yield Statement(
            compose("GRANT USAGE ON DATABASE {} TO ROLE {} WITH GRANT OPTION", identifier(database), to), "The way to agents' tools."
        )
    if any(tool.kind is ToolKind.SEMANTIC_VIEW for tool in options.tools):
        schemas |= {*options.schemas}
        for schema, which in product(sorted(options.schemas), (Sql("ALL"), Sql("FUTURE"))):
            yield Statement(
                compose("GRANT SELECT ON {} TABLES IN SCHEMA {} TO ROLE {} WITH GRANT OPTION", which, qualified(database, schema), to),
                "Who asks through a semantic view reads the tables behind it by their own names, each under policies of ours.",
            )
    for schema in sorted(schemas):
        yield Statement(
            compose("GRANT USAGE ON SCHEMA {} TO ROLE {} WITH GRANT OPTION", qualified(database, schema), to), f"The way into {schema}."
        )
    for tool in sorted(options.tools):
        if tool.kind is ToolKind.DATABASE_ROLE:
            yield from _cortex(tool, to)
        else:
            privilege, thing = privilege_on(tool.kind), object_of(tool, database)
            yield Statement(compose("GRANT {} ON {} TO ROLE {} WITH GRANT OPTION", privilege, thing, to), "A tool that agents may have.")


def _cortex(tool: ToolId, to: Sql) -> Iterator[Statement]:
    role = cortex_role(tool.name)
    yield Statement(compose("CREATE ROLE IF NOT EXISTS {}", role), f"It holds {tool.name}, of which only an administrator disposes.")
    yield Statement(compose("GRANT DATABASE ROLE {} TO ROLE {}", database_role(tool.name), role), "It lets whoever has it call models.")
    yield Statement(compose("GRANT OWNERSHIP ON ROLE {} TO ROLE {} COPY CURRENT GRANTS", role, to), "Only the owner of a role grants it.")

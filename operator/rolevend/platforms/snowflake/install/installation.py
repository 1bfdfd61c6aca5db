"""The script for an administrator: statements, each with its reason, also those for agents' tools. Values only. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from textwrap import fill
from typing import Final

from rolevend.catalog import ToolId, ToolKind
from rolevend.platforms.protocol import Account
from rolevend.platforms.snowflake.names import PROGRAMMER, cortex_role, database_role
from rolevend.platforms.snowflake.sql import Sql, compose, identifier, qualified
from rolevend.platforms.snowflake.tools import object_of, privilege_on

VERSION: Final = 2
"""The version of the script. Increases with every change that a running operator must detect."""


@dataclass(frozen=True, slots=True)
class SnowflakeInstallOptions:
    """The governed schemas, and the tools that agents may use."""

    schemas: tuple[str, ...]
    tools: tuple[ToolId, ...] = ()


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """The public keys of the two logins, in the format of RSA_PUBLIC_KEY."""

    vendor: str
    programmer: str


PLACEHOLDERS: Final = PublicKeys("<public key of the vendor>", "<public key of the programmer>")
"""For a printed plan without keys."""


@dataclass(frozen=True, slots=True)
class SnowflakeInstallStatement:
    text: Sql
    why: str


@dataclass(frozen=True, slots=True)
class Script:
    account: Account
    options: SnowflakeInstallOptions
    statements: tuple[SnowflakeInstallStatement, ...]

    def text(self) -> str:
        """Return every statement with its reason."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"-- rolevend {VERSION} in account {self.account.identifier}, for schemas of database {self.account.database}"
        yield "-- Run it as ACCOUNTADMIN, in Snowsight or with `snow sql -f`. Each statement may run again."
        for statement in self.statements:
            yield "\n" + fill(statement.why, 120, initial_indent="-- ", subsequent_indent="-- ")
            yield f"{statement.text};"
        yield ""


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
                "A query of a semantic view reads the tables behind it by their own names, each under policies of ours.",
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
        compose("CREATE ROLE IF NOT EXISTS {}", role), f"It holds {tool.name}, which only an administrator can grant."
    )
    yield SnowflakeInstallStatement(
        compose("GRANT DATABASE ROLE {} TO ROLE {}", database_role(tool.name), role), "It lets its holders call models."
    )
    yield SnowflakeInstallStatement(
        compose("GRANT OWNERSHIP ON ROLE {} TO ROLE {} COPY CURRENT GRANTS", role, to), "Only the owner of a role grants it."
    )

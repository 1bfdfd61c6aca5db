"""Tools of agents: the requests of an agent, and the maximum that a platform permits."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from rolevend.kinds.part import Distinct, KeyedBy, Part, Rule, at_least_one, exactly_one
from rolevend.kinds.shared import PlatformRef
from rolevend.kinds.text import ArgumentTypes, Identifier

DatabaseRole = Literal[
    "SNOWFLAKE.CORTEX_USER",
    "SNOWFLAKE.CORTEX_AGENT_USER",
    "SNOWFLAKE.CORTEX_ANALYST_USER",
    "SNOWFLAKE.CORTEX_EMBED_USER",
    "SNOWFLAKE.AI_FUNCTIONS_USER",
]
"""Each lets a role call models. None of them reads a table by itself."""


class FunctionName(Part):
    """Functions of one name, with any arguments."""

    schema_name: Annotated[Identifier, Field(alias="schema")]
    """Name of the schema. Not a schema of a domain, and not one of PostgreSQL's own."""
    name: Identifier
    """Name of the functions. On a DataPlatform `*` matches any run of characters."""


class PostgresTools(Part):
    """Tools in a PostgreSQL database."""

    rules: ClassVar[tuple[Rule, ...]] = (at_least_one("functions", "schemas"),)

    functions: Annotated[tuple[FunctionName, ...], Field(min_length=1, max_length=64), KeyedBy(("schema", "name"))] | None = None
    """Functions to call. Each acts with the rights of the calling role: a function that acts with other rights is refused."""
    schemas: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=16), Distinct()] | None = None
    """The agent's own schemas, whose tables it reads for every user, within guardrails. Not schemas of a domain. They add to the user's
    grants, and need the combination `Union`."""


class ObjectName(Part):
    """An object of the DataPlatform's database, spelled as SHOW writes it."""

    schema_name: Annotated[Identifier, Field(alias="schema")]
    """Name of the schema."""
    name: Identifier
    """Name of the object."""


class ProcedureName(ObjectName):
    """A stored procedure."""

    arguments: ArgumentTypes
    """The types of its arguments, as in SHOW PROCEDURES: `NUMBER, VARCHAR`. Empty if it has none."""


class SnowflakeTools(Part):
    """Tools in a Snowflake account, each by its full name. A role has one only if it shows the user nothing that policies do not grant."""

    rules: ClassVar[tuple[Rule, ...]] = (at_least_one("warehouses", "semanticViews", "procedures", "searchServices", "databaseRoles"),)

    warehouses: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=16), Distinct()] | None = None
    """Warehouses in addition to that of the DataPlatform."""
    semantic_views: Annotated[tuple[ObjectName, ...], Field(min_length=1, max_length=64), KeyedBy(("schema", "name"))] | None = None
    """Semantic views, with SELECT on the tables that they read. A role has one if its user is granted each of these tables; policies
    hold in it."""
    procedures: (
        Annotated[tuple[ProcedureName, ...], Field(min_length=1, max_length=64), KeyedBy(("schema", "name", "arguments"))] | None
    ) = None
    """Stored procedures that act with the rights of their caller. One that acts with its owner's rights is refused."""
    search_services: Annotated[tuple[ObjectName, ...], Field(min_length=1, max_length=16), KeyedBy(("schema", "name"))] | None = None
    """Cortex Search services. They show the same columns to everybody, so a role has one only if its user is granted these columns of
    its table unmasked, in every row."""
    database_roles: Annotated[tuple[DatabaseRole, ...], Field(min_length=1, max_length=8), Distinct()] | None = None
    """Snowflake's own roles for Cortex. Other roles read data without policies."""


class ToolTerms(Part):
    """Tools that agents may have here."""

    rules: ClassVar[tuple[Rule, ...]] = (exactly_one("kind of platform", "postgres", "snowflake"),)

    postgres: PostgresTools | None = None
    """For a PostgreSQL database."""
    snowflake: SnowflakeTools | None = None
    """For a Snowflake account."""


class AgentTools(ToolTerms):
    """Tools of an agent on one platform."""

    platform_ref: PlatformRef
    """The DataPlatform. Its `spec.agents` must permit each tool. The agent does not get a tool that is not permitted, or that bypasses
    policies; its condition `Ready` gives the reason."""

"""Tools of agents, as both sides write them: what an agent needs of a platform, and what a platform lets agents have at most."""

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
    """Functions of one name, whatever their arguments."""

    schema_name: Annotated[Identifier, Field(alias="schema")]
    """Name of the schema. None that a domain has, and none of PostgreSQL's own."""
    name: Identifier
    """Name of the functions. On a DataPlatform `*` matches any run of characters."""


class PostgresTools(Part):
    """Tools in a PostgreSQL database."""

    rules: ClassVar[tuple[Rule, ...]] = (at_least_one("functions", "schemas"),)

    functions: Annotated[tuple[FunctionName, ...], Field(min_length=1, max_length=64), KeyedBy(("schema", "name"))] | None = None
    """Functions to call. Each acts with the rights of the role that calls it: what acts with anybody else's is refused."""
    schemas: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=16), Distinct()] | None = None
    """Schemas of the agent's own, whose tables it reads whoever it acts for, less what guardrails take away. None that a domain has. They
    add to what the user is granted, which takes the combination `Union`."""


class ObjectName(Part):
    """An object of the DataPlatform's database, spelled as SHOW writes it."""

    schema_name: Annotated[Identifier, Field(alias="schema")]
    """Name of the schema."""
    name: Identifier
    """Name of the object."""


class ProcedureName(ObjectName):
    """A stored procedure."""

    arguments: ArgumentTypes
    """The types of its arguments, as SHOW PROCEDURES writes them: `NUMBER, VARCHAR`. Empty where it has none."""


class SnowflakeTools(Part):
    """Tools in a Snowflake account, each by its whole name. A role has one only where it shows its user nothing that policies do not
    grant."""

    rules: ClassVar[tuple[Rule, ...]] = (at_least_one("warehouses", "semanticViews", "procedures", "searchServices", "databaseRoles"),)

    warehouses: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=16), Distinct()] | None = None
    """Warehouses beside that of the DataPlatform."""
    semantic_views: Annotated[tuple[ObjectName, ...], Field(min_length=1, max_length=64), KeyedBy(("schema", "name"))] | None = None
    """Semantic views, with SELECT on the tables behind them. A role has one where its user is granted each of these tables, of which it
    sees there what policies show."""
    procedures: (
        Annotated[tuple[ProcedureName, ...], Field(min_length=1, max_length=64), KeyedBy(("schema", "name", "arguments"))] | None
    ) = None
    """Stored procedures that act with the rights of their caller. What acts with its owner's is refused."""
    search_services: Annotated[tuple[ObjectName, ...], Field(min_length=1, max_length=16), KeyedBy(("schema", "name"))] | None = None
    """Cortex Search services. They show their columns to everybody alike, so a role has one only where its user is granted these columns of
    the table behind it in clear, and every row."""
    database_roles: Annotated[tuple[DatabaseRole, ...], Field(min_length=1, max_length=8), Distinct()] | None = None
    """Snowflake's own roles for Cortex. Others read what no policy is about."""


class ToolTerms(Part):
    """Tools that agents may have here."""

    rules: ClassVar[tuple[Rule, ...]] = (exactly_one("kind of platform", "postgres", "snowflake"),)

    postgres: PostgresTools | None = None
    """Of a PostgreSQL database."""
    snowflake: SnowflakeTools | None = None
    """Of a Snowflake account."""


class AgentTools(ToolTerms):
    """Tools of an agent on one platform."""

    platform_ref: PlatformRef
    """The DataPlatform. It must permit each of them in its `spec.agents`: what it does not permit, or what reads around its policies, the
    agent does not have, and its condition `Ready` says so."""

"""Tools of agents, as both sides write them: what an agent needs of a platform, and what a platform lets agents have at most."""

from typing import Annotated, ClassVar

from pydantic import Field

from rolevend.resources.part import Distinct, KeyedBy, Part, Rule, at_least_one, exactly_one
from rolevend.resources.shared import PlatformRef
from rolevend.resources.text import Identifier


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


class ToolTerms(Part):
    """Tools that agents may have here."""

    rules: ClassVar[tuple[Rule, ...]] = (exactly_one("kind of platform", "postgres"),)

    postgres: PostgresTools | None = None
    """Of a PostgreSQL database."""


class AgentTools(ToolTerms):
    """Tools of an agent on one platform."""

    platform_ref: PlatformRef
    """The DataPlatform. It must permit each of them in its `spec.agents`: what it does not permit, or what reads around its policies, the
    agent does not have, and its condition `Ready` says so."""

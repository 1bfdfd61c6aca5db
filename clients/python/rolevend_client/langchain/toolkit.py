"""The tools. Each takes the role of its run from the config, and keeps no state between runs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, BaseToolkit, StructuredTool, ToolException
from pydantic import BeforeValidator, ConfigDict, Field, ValidationError

from rolevend_client import arguments, asking, explaining, messages
from rolevend_client.client import Rolevend
from rolevend_client.langchain.run import access_of
from rolevend_client.members import tables_of
from rolevend_client.run import Bounds, ForTheModel, Run


class RolevendToolkit(BaseToolkit):
    """The arguments of each run's vend, and the limits of an answer to the model."""

    model_config = ConfigDict(arbitrary_types_allowed=True, frozen=True, extra="forbid")

    client: Rolevend
    platform: str | tuple[str, ...]
    """One platform, or several: one role on all of them."""
    purpose: str | None = None
    """The purpose of runs that name none in `configurable`."""
    resources: Annotated[tuple[tuple[str, str], ...], BeforeValidator(lambda tables: tables_of(tables, "resources"))] = ()
    """The only tables of runs: `schema.table`, or (schema, table)."""
    allow_partial: bool = False
    """True to let a run continue if its role is on some of the platforms only."""
    seconds: int | None = None
    """The lifetime of a run's role; None: the platform's default."""
    most_rows: int = Field(default=100, ge=1, le=10_000)
    most_characters: int = Field(default=10_000, ge=1_000, le=1_000_000)

    def get_tools(self) -> list[BaseTool]:
        bounds = Bounds(self.most_rows, self.most_characters)

        def query_sql(statement: Annotated[str, "One statement, in the SQL of its platform."], config: RunnableConfig) -> str:
            """Run one SQL statement under the role of this run, and get its rows as CSV. The role only reads, and sees only what it may."""
            with _told():
                return access_of(config).told(lambda run: run.query(statement, bounds))

        def query_one(
            statement: Annotated[str, "One statement, in the SQL of its platform."],
            platform: Annotated[str, "Which platform to ask, by the name that list_tables says."],
            config: RunnableConfig,
        ) -> str:
            """Run one SQL statement under the role of this run on one of its platforms, and get its rows as CSV. The role only reads, and
            sees only what it may."""
            with _told():
                return access_of(config).told(lambda run: run.query(statement, bounds, platform))

        def list_tables(config: RunnableConfig) -> str:
            """List the tables that the role of this run reads, with columns, types, masks, visible rows, keys and the owner's comments.
            There are no others for it."""
            with _told():
                return access_of(config).told(lambda run: messages.tables(run.role))

        def describe_table(
            table: Annotated[str, Field(description="The table, by the name that list_tables says.")],
            config: RunnableConfig,
            platform: Annotated[str | None, Field(description="Its platform, if tables of several platforms have this name.")] = None,
        ) -> str:
            """Show one table that the role of this run reads, as list_tables does, with all of the owner's comments."""
            with _told():
                return access_of(config).told(lambda run: messages.described(run.role, *run.table(table, platform)))

        def explain_access(
            config: RunnableConfig,
            table: Annotated[str | None, Field(description=explaining.TABLE)] = None,
            platform: Annotated[str | None, Field(description=explaining.PLATFORM)] = None,
        ) -> str:
            """Say for whom the role of this run is, until when, and which policies grant each table; or why nothing is granted. Of one
            table: what the role reads of it and by which policies, or which offers show it."""
            with _told():
                access = access_of(config)
                return access.told(_explained) if table is None else access.explain(table, platform)

        def request_access(
            offer: Annotated[str, Field(description=asking.OFFER)],
            config: RunnableConfig,
            tables: Annotated[list[str] | None, Field(description=asking.TABLES)] = None,
            columns: Annotated[list[str] | None, Field(description=asking.COLUMNS)] = None,
            minutes: Annotated[int | None, Field(ge=1, le=1440, description=asking.MINUTES)] = None,
            why: Annotated[str | None, Field(description=asking.REASON)] = None,
            ticket: Annotated[str | None, Field(description=asking.TICKET)] = None,
        ) -> str:
            """Request an offer, which shows more than the role of this run, for a short time. Ask the person before you call this. A rule
            or people decide; do not ask again after a no."""
            with _told():
                return access_of(config).request(offer, tables=tables, columns=columns, minutes=minutes, why=why, ticket=ticket)

        def access_status(
            request: Annotated[str, Field(description=asking.REQUEST)],
            config: RunnableConfig,
            wait_seconds: Annotated[int, Field(ge=0, le=60, description=asking.WAIT)] = 30,
        ) -> str:
            """Say if a request of this run is decided, after waiting for the decision. The end of the wait is no error."""
            with _told():
                return access_of(config).status(request, wait_seconds)

        several = not isinstance(self.platform, str) and len(self.platform) > 1
        # A ToolException is for the model: it becomes a tool message with the status "error". Other errors are for the program.
        return [
            _with_plain_errors(StructuredTool.from_function(each, name=name, parse_docstring=False, handle_tool_error=True))
            for name, each in (
                ("query_sql", query_one if several else query_sql),
                ("list_tables", list_tables),
                ("describe_table", describe_table),
                ("explain_access", explain_access),
                ("request_access", request_access),
                ("access_status", access_status),
            )
        ]


def _with_plain_errors(tool: StructuredTool) -> StructuredTool:
    """Make the tool answer wrong arguments in one sentence for the model."""
    schema = tool.tool_call_schema.model_json_schema()  # type: ignore[union-attr]  # made of a function: a class of pydantic
    tool.handle_validation_error = partial(_wrong, schema)
    return tool


def _wrong(schema: Mapping[str, Any], error: Exception) -> str:
    if not isinstance(error, ValidationError):
        raise error
    return arguments.invalid(schema, error)


def _explained(run: Run) -> str:
    return messages.denied(run.denial) if run.denial else messages.explained(run.role)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except ForTheModel as answer:
        raise ToolException(str(answer)) from None

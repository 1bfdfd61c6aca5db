"""A catalog in a file: a platform's tables as the operator sees them, for checks of policies without a database. It holds no rows, and
is not an object of a cluster. Equal catalogs are equal texts."""

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field

from rolevend.catalog import (
    LONGEST_COMMENT,
    LONGEST_VALUE,
    MOST_VALUES,
    Catalog,
    Column,
    Family,
    ForeignKey,
    Function,
    FunctionId,
    Table,
    TableId,
    Tool,
    ToolId,
    ToolKind,
    TypeLimits,
    few,
    plain_comment,
)
from rolevend.kinds.parse import parse_part
from rolevend.kinds.part import KeyedBy, Part
from rolevend.kinds.tag_binding import DataTag
from rolevend.kinds.text import ArgumentTypes, Count, HeldName, Identifier, NumberText, ObjectReferenceName
from rolevend.model import PlatformName, Tag

FORMAT = "rolevend.dev/catalog/v1"

_Comment = Annotated[str, Field(min_length=1, max_length=LONGEST_COMMENT)]
_Obstacle = Annotated[str, Field(min_length=1, max_length=4096)]
_Tags = Annotated[tuple[DataTag, ...], Field(description="Tags that stand on the platform itself; those of TagBindings are not here.")]


class CatalogLimits(Part):
    """Limits of a type. An absent member is no limit."""

    least: NumberText | None = None
    """The smallest number, in quotes."""
    greatest: NumberText | None = None
    """The largest number, in quotes."""
    places: Count | None = None
    """Maximum decimal places of a number."""
    step_places: Count | None = None
    """Maximum decimal places of the step of a mask `Round`."""
    length: Count | None = None
    """Maximum characters that a tool is shown if it reads the table directly."""
    maskable: Literal[False] | None = None
    """False if no masking policy supports it. A tool that reads the table directly then sees no row if the column must be masked."""


class CatalogColumn(Part):
    """A column."""

    name: HeldName
    """Name of the column."""
    type: Annotated[str, Field(min_length=1, max_length=256)]
    """The platform's name of its type: PostgreSQL's without length or precision, Snowflake's as in `DESCRIBE TABLE`."""
    family: Family
    """The family of the type: it determines the possible literals, comparisons and masks."""
    limits: CatalogLimits | None = None
    """Limits of a type that is narrower than its family, such as `smallint`. An older rolevend wrote none: write the catalog again, or
    masks that become NULL are not reported."""
    tags: _Tags = ()
    comment: _Comment | None = None
    """The owner's comment, on one line and without tags. Absent if there is none."""
    values: Annotated[tuple[Annotated[str, Field(max_length=LONGEST_VALUE)], ...], Field(max_length=MOST_VALUES)] = ()
    """All values that the platform allows, if they are few."""


class CatalogForeignKey(Part):
    """Columns that refer to a table."""

    columns: tuple[HeldName, ...]
    """Columns of this table."""
    schema_name: Annotated[HeldName, Field(alias="schema")]
    """Schema of the other table, which need not be in this file."""
    table: HeldName
    """The other table."""
    references: tuple[HeldName, ...]
    """Columns of the other table, in the order of `columns`."""


class CatalogTable(Part):
    """A table, or another object that a policy could name."""

    schema_name: Annotated[Identifier, Field(alias="schema")]
    """Name of the schema."""
    name: HeldName
    """Name of the table."""
    obstacle: _Obstacle | None = None
    """The reason why its rows cannot be governed, such as `is a foreign table`, or an unreadable tag in a comment: then no policy grants
    it. Absent if there is none."""
    tags: _Tags = ()
    comment: _Comment | None = None
    """The owner's comment, on one line and without tags. Absent if there is none."""
    primary_key: tuple[HeldName, ...] = ()
    """The columns of its primary key."""
    foreign_keys: tuple[CatalogForeignKey, ...] = ()
    """The tables that its columns refer to."""
    columns: Annotated[tuple[CatalogColumn, ...], KeyedBy(("name",))] = ()
    """Its columns, in the table's own order."""


class CatalogFunction(Part):
    """A function that agents can request."""

    schema_name: Annotated[Identifier, Field(alias="schema")]
    """Name of the schema."""
    name: Identifier
    """Name of the function."""
    arguments: Annotated[str, Field(max_length=8192)] = ""
    """The types of its arguments, as the platform writes them."""
    obstacle: _Obstacle | None = None
    """The reason why no agent can have it, such as that it acts with the rights of its owner. Absent if there is none."""


class TableBehind(Part):
    """A table that a tool reads."""

    schema_name: Annotated[Identifier, Field(alias="schema")]
    """Name of the schema."""
    name: HeldName
    """Name of the table."""


class ColumnCopied(Part):
    """A column that a tool copies."""

    schema_name: Annotated[Identifier, Field(alias="schema")]
    """Name of the schema."""
    table: HeldName
    """Name of the table."""
    column: HeldName
    """Name of the column."""


class CatalogTool(Part):
    """Another object of a Snowflake account that agents can request."""

    kind: ToolKind
    """Its kind."""
    schema_name: Annotated[Identifier | None, Field(alias="schema")] = None
    """Name of the schema. Absent for an object without one: a warehouse, a role of Snowflake's own."""
    name: Identifier
    """Name of the tool."""
    arguments: ArgumentTypes = ""
    """For a procedure: its argument types."""
    obstacle: _Obstacle | None = None
    """The reason why no agent can have it. Absent if there is none."""
    reads: Annotated[tuple[TableBehind, ...], KeyedBy(("schema", "name"))] = ()
    """The tables that it reads. The user must be granted each of them."""
    copies: Annotated[tuple[ColumnCopied, ...], KeyedBy(("schema", "table", "column"))] = ()
    """The columns that it copies. The user must be granted each of them, in every row and unmasked."""


class CatalogFile(Part):
    """The content of one platform."""

    format: Literal["rolevend.dev/catalog/v1"]
    """The file format."""
    platform: ObjectReferenceName
    """Name of the DataPlatform."""
    tables: Annotated[tuple[CatalogTable, ...], KeyedBy(("schema", "name"))] = ()
    """Every table of the governed schemas, and of schemas that agents may have as their own, sorted by schema and name."""
    functions: Annotated[tuple[CatalogFunction, ...], KeyedBy(("schema", "name", "arguments"))] = ()
    """Every function of the schemas whose functions agents may have. Absent if there are none."""
    tools: Annotated[tuple[CatalogTool, ...], KeyedBy(("kind", "schema", "name", "arguments"))] = ()
    """For a Snowflake account: the existing objects that the DataPlatform permits agents to have. Absent if there are none."""


def parse_catalog(body: Mapping[str, Any]) -> tuple[PlatformName, Catalog]:
    """Parse a catalog. Raises InvalidInput, which names the first invalid field."""
    file = parse_part(CatalogFile, body)
    return PlatformName(file.platform), Catalog.of(map(_table, file.tables), map(_function, file.functions), map(_tool, file.tools))


def catalog_members(platform: PlatformName, catalog: Catalog) -> dict[str, Any]:
    """Return the members of a catalog's file. `parse_catalog` reads them."""
    return {
        "format": FORMAT,
        "platform": str(platform),
        "tables": [_dump_table(table) for _, table in sorted(catalog.tables.items())],
        **({"functions": [_dump_function(each) for each in catalog.functions]} if catalog.functions else {}),
        **({"tools": [_dump_tool(each) for each in catalog.tools]} if catalog.tools else {}),
    }


def catalog_text(platform: PlatformName, catalog: Catalog, form: Literal["yaml", "json"]) -> str:
    """Return the text of a catalog. `parse_catalog` reads it, parsed as YAML or JSON."""
    members = catalog_members(platform, catalog)
    if form == "json":
        return json.dumps(members, indent=1, ensure_ascii=False) + "\n"
    return yaml.dump(members, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=140)


def _table(table: CatalogTable) -> Table:
    columns = (
        Column(
            each.name,
            each.family,
            each.type,
            _tags(each.tags),
            _limits(each.limits),
            comment=plain_comment(each.comment or ""),
            values=few(each.values),
        )
        for each in table.columns
    )
    keys = (ForeignKey(each.columns, TableId(each.schema_name, each.table), each.references) for each in table.foreign_keys)
    return Table(
        TableId(table.schema_name, table.name),
        tuple(columns),
        _tags(table.tags),
        table.obstacle or "",
        plain_comment(table.comment or ""),
        table.primary_key,
        tuple(sorted(keys)),
    )


def _limits(limits: CatalogLimits | None) -> TypeLimits | None:
    if limits is None:
        return None
    least, greatest = (None if each is None else Decimal(each) for each in (limits.least, limits.greatest))
    return TypeLimits(least, greatest, limits.places, limits.step_places, limits.length, limits.maskable is None)


def _function(function: CatalogFunction) -> Function:
    return Function(FunctionId(function.schema_name, function.name, function.arguments), function.obstacle or "")


def _dump_function(function: Function) -> dict[str, Any]:
    identity = function.id
    members = {"schema": identity.schema, "name": identity.name, "arguments": identity.arguments, "obstacle": function.obstacle}
    return _Line({name: text for name, text in members.items() if text})


def _tool(tool: CatalogTool) -> Tool:
    return Tool(
        ToolId(tool.kind, tool.name, tool.schema_name or "", tool.arguments),
        tool.obstacle or "",
        tuple(sorted(TableId(each.schema_name, each.name) for each in tool.reads)),
        tuple(sorted((TableId(each.schema_name, each.table), each.column) for each in tool.copies)),
    )


def _dump_tool(tool: Tool) -> dict[str, Any]:
    identity = tool.id
    members = {"kind": identity.kind.value, "schema": identity.schema, "name": identity.name, "arguments": identity.arguments}
    reads = [_Line(schema=table.schema, name=table.name) for table in tool.reads]
    copies = [_Line(schema=table.schema, table=table.name, column=column) for table, column in tool.copies]
    return {name: value for name, value in {**members, "obstacle": tool.obstacle, "reads": reads, "copies": copies}.items() if value}


def _tags(tags: Iterable[DataTag]) -> frozenset[Tag]:
    return frozenset(Tag(tag.key, tag.value) for tag in tags)


class _Line(dict[str, Any]):
    """Written on one line of YAML."""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the library's own signature
        return True


_Dumper.add_representer(_Line, lambda dumper, line: dumper.represent_mapping("tag:yaml.org,2002:map", line, flow_style=True))


def _dump_table(table: Table) -> dict[str, Any]:
    return {
        "schema": table.id.schema,
        "name": table.id.name,
        **({"obstacle": table.obstacle} if table.obstacle else {}),
        **_dump_tags(table.tags),
        **_given(comment=table.comment, primaryKey=list(table.key), foreignKeys=list(map(_dump_key, table.foreign_keys))),
        "columns": [
            _Line(
                name=column.name,
                type=column.native_type,
                family=column.family.value,
                **_dump_limits(column.limits),
                **_dump_tags(column.tags),
                **_given(comment=column.comment, values=list(column.values)),
            )
            for column in table.columns
        ],
    }


def _dump_key(key: ForeignKey) -> dict[str, Any]:
    return _Line(columns=list(key.columns), schema=key.table.schema, table=key.table.name, references=list(key.references))


def _given(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value}


def _dump_limits(limits: TypeLimits | None) -> dict[str, Any]:
    if limits is None:
        return {}
    least, greatest = (None if each is None else f"{each:f}" for each in (limits.least, limits.greatest))
    of_numbers = {"least": least, "greatest": greatest, "places": limits.places, "stepPlaces": limits.step_places}
    members = {**of_numbers, "length": limits.length, "maskable": None if limits.maskable else False}
    return {"limits": _Line({name: value for name, value in members.items() if value is not None})}


def _dump_tags(tags: frozenset[Tag]) -> dict[str, Any]:
    return {"tags": [_Line(key=tag.key, value=tag.value) for tag in sorted(tags)]} if tags else {}

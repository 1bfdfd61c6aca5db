"""A catalog in a file: what the operator sees of a platform, for whoever judges policies without a database.

It holds no row, and is no object of a cluster. Equal catalogs are equal texts.
"""

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field

from rolevend.catalog import Catalog, Column, Family, Function, FunctionId, Table, TableId, Tool, ToolId, ToolKind, TypeLimits
from rolevend.kinds.parse import parse_part
from rolevend.kinds.part import KeyedBy, Part
from rolevend.kinds.tag_binding import DataTag
from rolevend.kinds.text import ArgumentTypes, Count, HeldName, Identifier, NumberText, ObjectReferenceName
from rolevend.model import PlatformName, Tag

FORMAT = "rolevend.dev/catalog/v1"

_Obstacle = Annotated[str, Field(min_length=1, max_length=4096)]
_Tags = Annotated[tuple[DataTag, ...], Field(description="Tags that stand on the platform itself; those of TagBindings are not here.")]


class CatalogLimits(Part):
    """What a type has no room for. What is left out is no limit."""

    least: NumberText | None = None
    """The least number that it holds, in quotes."""
    greatest: NumberText | None = None
    """The greatest one."""
    places: Count | None = None
    """How many decimal places a number has at most."""
    step_places: Count | None = None
    """How many decimal places the step of a mask `Round` has at most."""
    length: Count | None = None
    """How many characters a tool is shown at most, which reads the table by its own name."""
    maskable: Literal[False] | None = None
    """That no masking policy can be written for it, so that such a tool is shown nothing of a table in which it would need one."""


class CatalogColumn(Part):
    """A column."""

    name: HeldName
    """Name of the column."""
    type: Annotated[str, Field(min_length=1, max_length=256)]
    """The platform's own name of its type: PostgreSQL's without length or precision, Snowflake's as `DESCRIBE TABLE` writes it."""
    family: Family
    """What policy knows of the type: which literals, comparisons and masks it takes."""
    limits: CatalogLimits | None = None
    """Of a type that has no room for all of its family, such as `smallint`. A catalog that an older rolevend wrote says none: write it
    anew, or masks that become NULL are not told of."""
    tags: _Tags = ()


class CatalogTable(Part):
    """A table, or something else that a policy could name."""

    schema_name: Annotated[Identifier, Field(alias="schema")]
    """Name of the schema."""
    name: HeldName
    """Name of the table."""
    obstacle: _Obstacle | None = None
    """Why its rows cannot be governed, such as `is a foreign table`, or a comment in which a tag cannot be read: then no policy grants it.
    Left out where nothing is in the way."""
    tags: _Tags = ()
    columns: Annotated[tuple[CatalogColumn, ...], KeyedBy(("name",))] = ()
    """Its columns, in the table's own order."""


class CatalogFunction(Part):
    """A function that agents might have."""

    schema_name: Annotated[Identifier, Field(alias="schema")]
    """Name of the schema."""
    name: Identifier
    """Name of the function."""
    arguments: Annotated[str, Field(max_length=8192)] = ""
    """The types of its arguments, as the platform writes them."""
    obstacle: _Obstacle | None = None
    """Why no agent can have it, such as that it acts with the rights of its owner. Left out where nothing is in the way."""


class TableBehind(Part):
    """A table that a tool reads."""

    schema_name: Annotated[Identifier, Field(alias="schema")]
    """Name of the schema."""
    name: HeldName
    """Name of the table."""


class ColumnCopied(Part):
    """A column that a tool holds a copy of."""

    schema_name: Annotated[Identifier, Field(alias="schema")]
    """Name of the schema."""
    table: HeldName
    """Name of the table."""
    column: HeldName
    """Name of the column."""


class CatalogTool(Part):
    """What else of a Snowflake account agents might have."""

    kind: ToolKind
    """What it is."""
    schema_name: Annotated[Identifier | None, Field(alias="schema")] = None
    """Name of the schema. Left out for what is in none: a warehouse, a role of Snowflake's own."""
    name: Identifier
    """Name of the tool."""
    arguments: ArgumentTypes = ""
    """Of a procedure: the types of its arguments."""
    obstacle: _Obstacle | None = None
    """Why no agent can have it. Left out where nothing is in the way."""
    reads: Annotated[tuple[TableBehind, ...], KeyedBy(("schema", "name"))] = ()
    """The tables behind it, each of which its user must be granted."""
    copies: Annotated[tuple[ColumnCopied, ...], KeyedBy(("schema", "table", "column"))] = ()
    """The columns that it shows as they are, each of which its user must be granted in every row and in clear."""


class CatalogFile(Part):
    """What one platform holds."""

    format: Literal["rolevend.dev/catalog/v1"]
    """What this file is."""
    platform: ObjectReferenceName
    """Name of the DataPlatform."""
    tables: Annotated[tuple[CatalogTable, ...], KeyedBy(("schema", "name"))] = ()
    """Every table of the governed schemas, and of those that agents may have as their own, sorted by schema and name."""
    functions: Annotated[tuple[CatalogFunction, ...], KeyedBy(("schema", "name", "arguments"))] = ()
    """Every function of the schemas whose functions agents may have. Left out where there are none."""
    tools: Annotated[tuple[CatalogTool, ...], KeyedBy(("kind", "schema", "name", "arguments"))] = ()
    """Of a Snowflake account: those that the DataPlatform lets agents have and that are there. Left out where there are none."""


def parse_catalog(body: Mapping[str, Any]) -> tuple[PlatformName, Catalog]:
    """InvalidInput names the first field that cannot be."""
    file = parse_part(CatalogFile, body)
    return PlatformName(file.platform), Catalog.of(map(_table, file.tables), map(_function, file.functions), map(_tool, file.tools))


def catalog_text(platform: PlatformName, catalog: Catalog, form: Literal["yaml", "json"]) -> str:
    """What `parse_catalog` reads, once it is parsed as YAML or JSON."""
    told: dict[str, Any] = {
        "format": FORMAT,
        "platform": str(platform),
        "tables": [_told(table) for _, table in sorted(catalog.tables.items())],
        **({"functions": [_told_function(each) for each in catalog.functions]} if catalog.functions else {}),
        **({"tools": [_told_tool(each) for each in catalog.tools]} if catalog.tools else {}),
    }
    if form == "json":
        return json.dumps(told, indent=1, ensure_ascii=False) + "\n"
    return yaml.dump(told, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=140)


def _table(table: CatalogTable) -> Table:
    columns = (Column(each.name, each.family, each.type, _tags(each.tags), _limits(each.limits)) for each in table.columns)
    return Table(TableId(table.schema_name, table.name), tuple(columns), _tags(table.tags), table.obstacle or "")


def _limits(limits: CatalogLimits | None) -> TypeLimits | None:
    if limits is None:
        return None
    least, greatest = (None if each is None else Decimal(each) for each in (limits.least, limits.greatest))
    return TypeLimits(least, greatest, limits.places, limits.step_places, limits.length, limits.maskable is None)


def _function(function: CatalogFunction) -> Function:
    return Function(FunctionId(function.schema_name, function.name, function.arguments), function.obstacle or "")


def _told_function(function: Function) -> dict[str, Any]:
    identity = function.id
    told = {"schema": identity.schema, "name": identity.name, "arguments": identity.arguments, "obstacle": function.obstacle}
    return _Line({name: text for name, text in told.items() if text})


def _tool(tool: CatalogTool) -> Tool:
    return Tool(
        ToolId(tool.kind, tool.name, tool.schema_name or "", tool.arguments),
        tool.obstacle or "",
        tuple(sorted(TableId(each.schema_name, each.name) for each in tool.reads)),
        tuple(sorted((TableId(each.schema_name, each.table), each.column) for each in tool.copies)),
    )


def _told_tool(tool: Tool) -> dict[str, Any]:
    identity = tool.id
    told = {"kind": identity.kind.value, "schema": identity.schema, "name": identity.name, "arguments": identity.arguments}
    reads = [_Line(schema=table.schema, name=table.name) for table in tool.reads]
    copies = [_Line(schema=table.schema, table=table.name, column=column) for table, column in tool.copies]
    return {name: said for name, said in {**told, "obstacle": tool.obstacle, "reads": reads, "copies": copies}.items() if said}


def _tags(tags: Iterable[DataTag]) -> frozenset[Tag]:
    return frozenset(Tag(tag.key, tag.value) for tag in tags)


class _Line(dict[str, Any]):
    """Stands on one line of YAML."""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the library's own signature
        return True


_Dumper.add_representer(_Line, lambda dumper, line: dumper.represent_mapping("tag:yaml.org,2002:map", line, flow_style=True))


def _told(table: Table) -> dict[str, Any]:
    return {
        "schema": table.id.schema,
        "name": table.id.name,
        **({"obstacle": table.obstacle} if table.obstacle else {}),
        **_told_tags(table.tags),
        "columns": [
            _Line(
                name=column.name,
                type=column.native_type,
                family=column.family.value,
                **_told_limits(column.limits),
                **_told_tags(column.tags),
            )
            for column in table.columns
        ],
    }


def _told_limits(limits: TypeLimits | None) -> dict[str, Any]:
    if limits is None:
        return {}
    least, greatest = (None if each is None else f"{each:f}" for each in (limits.least, limits.greatest))
    of_numbers = {"least": least, "greatest": greatest, "places": limits.places, "stepPlaces": limits.step_places}
    told = {**of_numbers, "length": limits.length, "maskable": None if limits.maskable else False}
    return {"limits": _Line({name: value for name, value in told.items() if value is not None})}


def _told_tags(tags: frozenset[Tag]) -> dict[str, Any]:
    return {"tags": [_Line(key=tag.key, value=tag.value) for tag in sorted(tags)]} if tags else {}

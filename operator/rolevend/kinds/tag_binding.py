"""The kind TagBinding: tags of tables and columns, which policies select by."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from rolevend.kinds.part import Atomic, KeyedBy, Part, Rule, at_least_one
from rolevend.kinds.shared import PlatformRefs, Resource, Status
from rolevend.kinds.text import Count, Identifier, Key, Value


class DataTag(Part):
    """A fact about data: `pii=ssn`."""

    key: Key
    """The key of the fact."""
    value: Value
    """Its value."""


DataTags = Annotated[tuple[DataTag, ...], Field(min_length=1, max_length=32), KeyedBy(("key", "value"))]


class TableTags(Part):
    """Tags of every table whose name matches."""

    schema_name: Annotated[Identifier, Field(alias="schema")]
    """Name of the schema; `*` matches any run of characters. Only schemas that the DataPlatform gives to this namespace match."""
    name: Identifier
    """Name of the table; `*` matches any run of characters."""
    tags: DataTags
    """Added to the other tags of the table; nothing removes a tag."""


class ColumnTags(Part):
    """Tags of every column whose name matches."""

    schema_name: Annotated[Identifier, Field(alias="schema")]
    """Name of the schema; `*` matches any run of characters. Only schemas that the DataPlatform gives to this namespace match."""
    table: Identifier
    """Name of the table; `*` matches any run of characters."""
    column: Identifier
    """Name of the column; `*` matches any run of characters."""
    tags: DataTags
    """Added to the other tags of the column; nothing removes a tag."""


class LookupColumn(Part):
    """Lookup columns: every column whose name matches."""

    schema_name: Annotated[Identifier, Field(alias="schema")]
    """Name of the schema; `*` matches any run of characters. Only schemas that the DataPlatform gives to this namespace match."""
    table: Identifier
    """Name of the table; `*` matches any run of characters."""
    column: Identifier
    """Name of the column; `*` matches any run of characters."""


class TagBindingSpec(Part):
    """Tags by names of tables and columns."""

    rules: ClassVar[tuple[Rule, ...]] = (at_least_one("tables", "columns", "lookupColumns"),)

    platform_refs: PlatformRefs
    """The DataPlatforms whose tables and columns are tagged."""
    tables: Annotated[tuple[TableTags, ...], Field(min_length=1, max_length=256), Atomic()] | None = None
    """Tags of tables."""
    columns: Annotated[tuple[ColumnTags, ...], Field(min_length=1, max_length=512), Atomic()] | None = None
    """Tags of columns."""
    lookup_columns: Annotated[tuple[LookupColumn, ...], Field(min_length=1, max_length=512), Atomic()] | None = None
    """Columns of PostgreSQL on which conditions of agents may use an index. In return, an agent can find out which values these columns
    have in rows that are hidden from it, and how many rows have each. Choose surrogate keys and dates, never a column that a policy
    masks or filters on. A Guardrail can forbid it."""


class TagBindingStatus(Status):
    """The state that the operator observed. Not written by people."""

    matched_tables: Count | None = None
    """Number of tables that it tags, over all its platforms."""
    matched_columns: Count | None = None
    """Number of columns that it tags or makes lookup columns, over all its platforms."""


class TagBinding(Resource):
    """Describes the content of tables and columns by tags, so that policies need not name them."""

    kind: Literal["TagBinding"] = "TagBinding"
    spec: TagBindingSpec
    status: TagBindingStatus = TagBindingStatus()

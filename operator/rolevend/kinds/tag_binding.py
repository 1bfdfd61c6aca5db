"""The kind TagBinding: facts about tables and columns that policies select by."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from rolevend.kinds.part import Atomic, KeyedBy, Part, Rule, at_least_one
from rolevend.kinds.shared import PlatformRefs, Resource, Status
from rolevend.kinds.text import Count, Identifier, Key, Value


class DataTag(Part):
    """A fact about data: `pii=ssn`."""

    key: Key
    """What the fact is about."""
    value: Value
    """The fact."""


DataTags = Annotated[tuple[DataTag, ...], Field(min_length=1, max_length=32), KeyedBy(("key", "value"))]


class TableTags(Part):
    """Tags of every table whose names match."""

    schema_name: Annotated[Identifier, Field(alias="schema")]
    """Name of the schema; `*` matches any run of characters. Only schemas that the DataPlatform gives to this namespace are
    reached."""
    name: Identifier
    """Name of the table; `*` matches any run of characters."""
    tags: DataTags
    """Added to whatever tags the table has; nothing takes a tag away."""


class ColumnTags(Part):
    """Tags of every column whose names match."""

    schema_name: Annotated[Identifier, Field(alias="schema")]
    """Name of the schema; `*` matches any run of characters. Only schemas that the DataPlatform gives to this namespace are
    reached."""
    table: Identifier
    """Name of the table; `*` matches any run of characters."""
    column: Identifier
    """Name of the column; `*` matches any run of characters."""
    tags: DataTags
    """Added to whatever tags the column has; nothing takes a tag away."""


class LookupColumn(Part):
    """Lookup columns: every column whose names match."""

    schema_name: Annotated[Identifier, Field(alias="schema")]
    """Name of the schema; `*` matches any run of characters. Only schemas that the DataPlatform gives to this namespace are
    reached."""
    table: Identifier
    """Name of the table; `*` matches any run of characters."""
    column: Identifier
    """Name of the column; `*` matches any run of characters."""


class TagBindingSpec(Part):
    """Tags by the names of what carries them."""

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
    """What the operator saw. Not written by people."""

    matched_tables: Count | None = None
    """How many tables carry a tag from here now, over all its platforms."""
    matched_columns: Count | None = None
    """How many columns carry a tag from here now, or are lookup columns, over all its platforms."""


class TagBinding(Resource):
    """Says what tables and columns hold, so that policies need not name them."""

    kind: Literal["TagBinding"] = "TagBinding"
    spec: TagBindingSpec
    status: TagBindingStatus = TagBindingStatus()

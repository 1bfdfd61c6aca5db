"""The content of a platform: tables, columns, their types and tags, functions, tools. Values only; drivers read them."""

import enum
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Any, Final, NamedTuple

from rolevend.model import Tag

LONGEST_COMMENT: Final = 300
"""Characters."""
_READ: Final = 16 * 1024
"""Characters of a comment that are looked at. Snowflake's may be much longer, and each of its columns has one."""
MOST_VALUES: Final = 20
"""Of a column whose allowed values are shown."""
LONGEST_VALUE: Final = 60
_PLAIN: Final = re.compile(r'[^".,\s]+')
_BLANK: Final = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U0001d159\U000e0100-\U000e01ef]")
"""Characters that count as printable and show nothing. With the 256 variation selectors an owner could write any text unseen."""


class Family(enum.StrEnum):
    """The family of a column's type, which policies depend on; the same for every platform."""

    TEXT = "text"
    INTEGER = "integer"
    NUMERIC = "numeric"
    FLOAT = "float"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"
    TIMESTAMP_TZ = "timestamp with time zone"
    UUID = "uuid"
    OTHER = "other"
    """Policies can grant, hide or null such a column, and test it for NULL, but nothing else."""


@dataclass(frozen=True, slots=True, order=True)
class TableId:
    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def quoted(self) -> str:
        """The name as `--table` and `--tables` read it: a part with a dot, a comma, a space or a quote is in double quotes."""
        return f"{quoted_name(self.schema)}.{quoted_name(self.name)}"


def quoted_name(name: str) -> str:
    """Return a name as it is, or in double quotes if it has a dot, a comma, a space or a quote."""
    if _PLAIN.fullmatch(name):
        return name
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


class TypeLimits(NamedTuple):
    """Limits of a column's type that are narrower than its family. None: no such limit."""

    least: Decimal | None = None
    greatest: Decimal | None = None
    places: int | None = None
    """Decimal places of a value."""
    step_places: int | None = None
    """Decimal places of the step of a mask `Round`."""
    length: int | None = None
    """Characters, if a mask must have the column's own type."""
    maskable: bool = True
    """True if a masking policy on the table itself can mask the column."""


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    family: Family
    native_type: str
    """The platform's name of the type, for casts of literals: PostgreSQL's without length or precision."""
    tags: frozenset[Tag] = frozenset()
    limits: TypeLimits | None = None
    """The limits of `native_type`; None: as wide as its family."""
    lookup: bool = False
    """True if the owner lets agents' conditions use its indexes, and accepts that its values in hidden rows can be found out."""
    comment: str = ""
    """The owner's comment, of `plain_comment`."""
    values: tuple[str, ...] = ()
    """All values that its type or a constraint allows, if these are few; otherwise empty."""


class ForeignKey(NamedTuple):
    """Columns that refer to a table."""

    columns: tuple[str, ...]
    table: TableId
    """A table of the same catalog."""
    references: tuple[str, ...]
    """The columns of `table`, in the order of `columns`."""


@dataclass(frozen=True, slots=True)
class Table:
    id: TableId
    columns: tuple[Column, ...]
    """In the table's own order."""
    tags: frozenset[Tag] = frozenset()
    obstacle: str = ""
    """The reason why rows of this table cannot be governed here ("is a foreign table"), or empty. Such a table is never granted."""
    comment: str = ""
    """The owner's comment, of `plain_comment`."""
    key: tuple[str, ...] = ()
    """The columns of its primary key, or empty."""
    foreign_keys: tuple[ForeignKey, ...] = ()
    """Sorted."""

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True, slots=True, order=True)
class FunctionId:
    schema: str
    name: str
    arguments: str
    """Their types, as the platform writes them. They distinguish functions of one name."""

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}({self.arguments})"


@dataclass(frozen=True, slots=True)
class Function:
    id: FunctionId
    obstacle: str = ""
    """The reason why agents cannot have it ("acts with the rights of its owner"), or empty. Such a function is never granted."""


class ToolKind(enum.StrEnum):
    """The kinds of objects that an agent may have for every user, in addition to tables and functions."""

    WAREHOUSE = "warehouse"
    SEMANTIC_VIEW = "semantic view"
    PROCEDURE = "procedure"
    SEARCH_SERVICE = "search service"
    DATABASE_ROLE = "database role"


@dataclass(frozen=True, slots=True, order=True)
class ToolId:
    kind: ToolKind
    name: str
    schema: str = ""
    """In the platform's own database; empty for an object without a schema."""
    arguments: str = ""
    """For a procedure: its argument types, as the platform writes them."""

    def __str__(self) -> str:
        name = f"{self.schema}.{self.name}" if self.schema else self.name
        return f"{self.kind.value} {name}({self.arguments})" if self.kind is ToolKind.PROCEDURE else f"{self.kind.value} {name}"


@dataclass(frozen=True, slots=True)
class Tool:
    """An existing object that agents may have. It is granted only with every table that it reads, and only if no value that it copies is
    hidden."""

    id: ToolId
    obstacle: str = ""
    """The reason why agents cannot have it ("acts with the rights of its owner"), or empty."""
    reads: tuple[TableId, ...] = ()
    """The tables that it reads directly, under their policies, sorted."""
    copies: tuple[tuple[TableId, str], ...] = ()
    """The columns that it shows unmasked in every row, independent of policies, sorted."""

    def __str__(self) -> str:
        return str(self.id)

    @property
    def tables(self) -> tuple[TableId, ...]:
        """The tables that it reads or copies, sorted."""
        return tuple(sorted({*self.reads, *(table for table, _ in self.copies)}))


@dataclass(frozen=True, slots=True)
class TagAssignment:
    """Tags for every table (`column` is None) or column whose names match; `*` in a name matches any run of characters."""

    schema: str
    table: str
    column: str | None
    tags: frozenset[Tag] = frozenset()
    lookup: bool = False
    """True if it makes these columns lookup columns."""


@dataclass(frozen=True, slots=True)
class Catalog:
    tables: Mapping[TableId, Table] = field(default_factory=dict)
    """In the order of their ids."""
    functions: tuple[Function, ...] = ()
    """Functions of the schemas whose functions agents may have, in the order of their ids."""
    tools: tuple[Tool, ...] = ()
    """Existing tools that agents may have, in the order of their ids."""
    _amended: "_Amended | None" = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, tables: Iterable[Table], functions: Iterable[Function] = (), tools: Iterable[Tool] = ()) -> "Catalog":
        return cls(
            {table.id: table for table in sorted(tables, key=lambda table: table.id)},
            tuple(sorted(functions, key=lambda function: function.id)),
            tuple(sorted(tools, key=lambda tool: tool.id)),
        )

    def tagged(self, assignments: Iterable[TagAssignment]) -> "Catalog":
        """Return the same catalog with these tags added to its own. Nothing removes a tag."""
        by_schema = _by_schema(assignments)
        tables = {
            name: _tagged(table, by_schema[name.schema]) if name.schema in by_schema else table for name, table in self.tables.items()
        }
        return Catalog(tables, self.functions, self.tools)

    def retagged(self, before: "Catalog", old: Iterable[TagAssignment], new: Iterable[TagAssignment]) -> "Catalog":
        """Return `self.tagged(new)`, where `before` is `self.tagged(old)`. Unchanged tables are the same objects."""
        assignments = frozenset(new)
        others = assignments.symmetric_difference(old)
        schemas = {each.schema for each in others}
        by_schema = _by_schema(each for each in assignments if each.schema in schemas)
        named = {name for each in others for name in self._named(each)}
        changed = {name: _tagged(self.tables[name], by_schema.get(name.schema, ())) for name in named}
        tables = {**before.tables, **changed}
        return Catalog(tables, self.functions, self.tools, _Amended(before.tables, changed.keys(), tables))

    def others_than(self, before: "Catalog") -> Collection[TableId] | None:
        """Return the tables that may differ from `before`, which has the same ids. None: only a comparison of all can tell."""
        known = self._amended
        return known.others if known is not None and known.before is before.tables and known.after is self.tables else None

    def _named(self, assignment: TagAssignment) -> list[TableId]:
        if "*" not in assignment.table:
            name = TableId(assignment.schema, assignment.table)
            return [name] if name in self.tables else []
        return [name for name in self.tables if name.schema == assignment.schema and matches(assignment.table, name.name)]

    def given(self, assignment: TagAssignment) -> set[tuple[TableId, str | None]]:
        """Return the tables, each with None, or the columns that the assignment tags."""
        named = self._named(assignment)
        if assignment.column is None:
            return {(name, None) for name in named}
        return {(name, each.name) for name in named for each in self.tables[name].columns if matches(assignment.column, each.name)}


@dataclass(frozen=True, slots=True)
class _Amended:
    """States that all tables of `after` are those of `before`, except `others`. Compares mappings by identity: they never change."""

    before: Mapping[TableId, Table]
    others: Collection[TableId]
    after: Mapping[TableId, Table]


def digest(catalog: Catalog) -> str:
    """Return a digest of all tables, columns, types, tags, functions, tools and obstacles. Limits follow from types. No decision reads
    comments, keys and allowed values, so they are not included."""
    content: list[Any] = [
        [
            *(table.id.schema, table.id.name, table.obstacle, _tag_pairs(table.tags)),
            [[column.name, column.native_type, column.family.value, _tag_pairs(column.tags)] for column in table.columns],
        ]
        for _, table in sorted(catalog.tables.items())
    ]
    content += [[str(function.id), function.obstacle] for function in catalog.functions]
    content += [[str(tool.id), tool.obstacle, *map(str, tool.reads), *map(str, tool.copies)] for tool in catalog.tools]
    return f"sha256:{sha256(json.dumps(content).encode()).hexdigest()}"


def _tag_pairs(tags: frozenset[Tag]) -> list[list[str]]:
    return sorted([tag.key, tag.value] for tag in tags)


def plain_comment(text: str) -> str:
    """Return the comment on one line, without characters that are invisible or change the direction of text, and truncated."""
    words = "".join(each if each.isprintable() else " " for each in _BLANK.sub("", text[:_READ])).split()
    plain = " ".join(words)
    return plain if len(plain) <= LONGEST_COMMENT else f"{plain[: LONGEST_COMMENT - 1]}…"


def few(values: Iterable[str]) -> tuple[str, ...]:
    """Return the allowed values of a column if they are few, short and printable; otherwise ()."""
    given = tuple(values)
    is_shown = len(given) <= MOST_VALUES and all(len(each) <= LONGEST_VALUE and each.isprintable() for each in given)
    return given if is_shown and not any(map(_BLANK.search, given)) else ()


def matches(pattern: str, name: str) -> bool:
    """True if `name` matches `pattern`, in which only `*` is special."""
    if "*" not in pattern:
        return name == pattern
    return fnmatchcase(name, pattern.replace("[", "[[]").replace("?", "[?]"))


def _by_schema(assignments: Iterable[TagAssignment]) -> dict[str, list[TagAssignment]]:
    by_schema: dict[str, list[TagAssignment]] = {}
    for assignment in assignments:
        by_schema.setdefault(assignment.schema, []).append(assignment)
    return by_schema


def is_lookup_of(assignment: TagAssignment, table: TableId, column: str) -> bool:
    """True if the assignment makes this column a lookup column."""
    return (
        assignment.lookup
        and assignment.schema == table.schema
        and matches(assignment.table, table.name)
        and matches(assignment.column or "", column)
    )


def matcher(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Return a function that is True if a name matches one of `patterns`. Faster than `matches` for many names."""
    given = frozenset(patterns)
    patterned = sorted(each for each in given if "*" in each)
    return lambda name: name in given or any(matches(each, name) for each in patterned)


def _tagged(table: Table, assignments: Iterable[TagAssignment]) -> Table:
    here = [assignment for assignment in assignments if matches(assignment.table, table.id.name)]
    if not here:
        return table
    columns = tuple([_with_tags(column, here) for column in table.columns])
    return replace(table, columns=columns, tags=table.tags.union(*(each.tags for each in here if each.column is None)))


def _with_tags(column: Column, assignments: Iterable[TagAssignment]) -> Column:
    here = [each for each in assignments if each.column is not None and matches(each.column, column.name)]
    if not here:
        return column
    return replace(column, tags=column.tags.union(*(each.tags for each in here)), lookup=any(each.lookup for each in here))

"""Views and table functions that are made up from the catalog: INFORMATION_SCHEMA, ACCOUNT_USAGE, RESULT_SCAN."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlglot import exp

from tests.support.snowflake import history, refusals
from tests.support.snowflake.catalog import Member, Thing
from tests.support.snowflake.engine import Work
from tests.support.snowflake.functions import duck
from tests.support.snowflake.reader import Name, Reader

_GOVERNANCE_VIEWER = Member("DATABASE ROLE", "SNOWFLAKE.GOVERNANCE_VIEWER")
_OF_GOVERNANCE_VIEWER = ("QUERY_HISTORY", "ACCESS_HISTORY", "TAG_REFERENCES", "POLICY_REFERENCES")
Rows = Iterable[Sequence[Any]]


def is_virtual(name: Name) -> bool:
    return len(name) >= 2 and (name[-2] == "INFORMATION_SCHEMA" or name[:-1] == ("SNOWFLAKE", "ACCOUNT_USAGE"))


def view(work: Work, name: Name, alias: str) -> exp.Expression:
    database = name[0] if len(name) == 3 else work.session.database
    if name[0] == "SNOWFLAKE":
        if not (work.access.admin or (name[-1] in _OF_GOVERNANCE_VIEWER and _GOVERNANCE_VIEWER in work.access.active)):
            raise refusals.missing("TABLE", ".".join(name))
        database = None
    match name[-1]:
        case "TABLES":
            return _relation(alias, "TABLE_CATALOG TABLE_SCHEMA TABLE_NAME TABLE_OWNER TABLE_TYPE COMMENT", _tables(work, database))
        case "COLUMNS":
            names = "TABLE_CATALOG TABLE_SCHEMA TABLE_NAME COLUMN_NAME ORDINAL_POSITION IS_NULLABLE DATA_TYPE CHARACTER_MAXIMUM_LENGTH"
            more = "CHARACTER_OCTET_LENGTH NUMERIC_PRECISION NUMERIC_SCALE DATETIME_PRECISION COLLATION_NAME COMMENT"
            return _relation(alias, f"{names} {more}", _columns(work, database))
        case "SCHEMATA":
            schemas = [one for one in work.catalog.of("SCHEMA") if database in (None, one.name[0]) and work.access.sees(one)]
            return _relation(
                alias, "CATALOG_NAME SCHEMA_NAME SCHEMA_OWNER COMMENT", [(*one.name, one.owner, one.comment) for one in schemas]
            )
        case "TAG_REFERENCES":
            return _relation(alias, _TAGS, [row for one in _visible(work, None) for row in _tags(one)])
        case "POLICY_REFERENCES":
            return _relation(alias, _POLICIES, [row for one in _visible(work, None) for row in _policies(one)])
        case "QUERY_HISTORY" if name[0] == "SNOWFLAKE":
            return _relation(alias, history.COLUMNS, history.archived(work))
        case "ACCESS_HISTORY" if name[0] == "SNOWFLAKE" and work.edition != "STANDARD":
            return _relation(alias, history.ACCESS_COLUMNS, history.accessed(work))
    raise refusals.Unknown(f"the view {'.'.join(name)}")


def function(work: Work, table: exp.Table) -> exp.Expression:
    """``TABLE(f(…))``"""
    node: Any = table.this
    while isinstance(node, exp.Dot):
        node = node.expression
    if isinstance(node, exp.Anonymous) and node.name.upper() == "TABLE":
        node = node.expressions[0]
        while isinstance(node, exp.Dot):
            node = node.expression
    if not isinstance(node, exp.Anonymous):
        raise refusals.Unknown(f"the table function {table.sql(dialect='snowflake')}")
    alias = table.alias or "_f"
    if node.name.upper() == "RESULT_SCAN":
        (query,) = node.expressions
        return _scanned(work, alias, query.name if isinstance(query, exp.Literal) else None)
    arguments = [_argument(argument) for argument in node.expressions]
    match node.name.upper():
        case "TAG_REFERENCES_ALL_COLUMNS":
            return _relation(alias, _TAGS, [row for row in _tags(_named(work, arguments[0])) if row[7] is not None])
        case "TAG_REFERENCES":
            return _relation(alias, _TAGS, _tags(_named(work, arguments[0])))
        case "POLICY_REFERENCES":
            return _relation(alias, _POLICIES, _policy_references(work, node))
        case "QUERY_HISTORY" | "QUERY_HISTORY_BY_USER" | "QUERY_HISTORY_BY_SESSION":
            return _relation(alias, history.COLUMNS, history.recent(work, _keywords(node)))
    raise refusals.Unknown(f"the table function {node.name}")


_TAGS = "TAG_DATABASE TAG_SCHEMA TAG_NAME TAG_VALUE OBJECT_DATABASE OBJECT_SCHEMA OBJECT_NAME COLUMN_NAME DOMAIN LEVEL"
_POLICIES = (
    "POLICY_DB POLICY_SCHEMA POLICY_NAME POLICY_KIND REF_DATABASE_NAME REF_SCHEMA_NAME REF_ENTITY_NAME REF_ENTITY_DOMAIN "
    "REF_COLUMN_NAME REF_ARG_COLUMN_NAMES POLICY_STATUS"
)


def _argument(node: exp.Expression) -> str:
    return str((node.expression if isinstance(node, exp.Kwarg | exp.PropertyEQ) else node).name)


def _keywords(node: exp.Expression) -> dict[str, str]:
    """A moment may be written as a function of a text: the text is what is taken."""
    given = {one.this.name.upper(): one.expression for one in node.expressions if isinstance(one, exp.Kwarg | exp.PropertyEQ)}
    return {name: (value.expressions[0] if isinstance(value, exp.Anonymous) else value).name for name, value in given.items()}


def _named(work: Work, name: str) -> Thing:
    return work.access.get("TABLE", Reader(name).name())


def _visible(work: Work, database: str | None) -> list[Thing]:
    tables = work.catalog.of("TABLE", "VIEW")
    return [one for one in tables if database in (None, one.name[0]) and work.access.find(one.kind, one.name)]


def _tables(work: Work, database: str | None) -> Rows:
    for one in _visible(work, database):
        yield (*one.name, one.owner, "VIEW" if one.kind == "VIEW" else "LOCAL TEMPORARY" if one.session else "BASE TABLE", one.comment)


def _columns(work: Work, database: str | None) -> Rows:
    for one in _visible(work, database):
        for place, column in enumerate(one.columns, start=1):
            yield (*one.name, column.name, place, "YES" if column.nullable else "NO", *_sized(column.type), None, column.comment)


def _sized(kind: str) -> tuple[str, int | None, int | None, int | None, int | None, int | None]:
    """Type, characters, bytes, digits, scale, and places of a second."""
    family, _, sizes = kind.rstrip(")").partition("(")
    numbers = [int(size) for size in sizes.split(",") if size]
    match family:
        case "VARCHAR":
            return "TEXT", numbers[0], min(numbers[0] * 4, 16_777_216), None, None, None
        case "BINARY":
            return family, None, numbers[0], None, None, None
        case "NUMBER":
            return family, None, None, numbers[0], numbers[1], None
        case _ if family.startswith("TIME"):
            return family, None, None, None, None, numbers[0]
    return family, None, None, None, None, None


def _tags(thing: Thing) -> list[tuple[Any, ...]]:
    rows = []
    for (column, tag), value in thing.tags.items():
        level = "COLUMN" if column else "TABLE"
        rows.append((*tag, value, *thing.name, column, level, level))
    return rows


def _policies(thing: Thing) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    if thing.row_policy is not None:
        policy, on = thing.row_policy.policy, ",".join(f'"{column}"' for column in thing.row_policy.on)
        rows.append((*policy, "ROW_ACCESS_POLICY", *thing.name, thing.kind, None, f"[ {on} ]", "ACTIVE"))
    for mask in thing.masks.values():
        using = ",".join(f'"{column}"' for column in mask.using[1:])
        rows.append((*mask.policy, "MASKING_POLICY", *thing.name, thing.kind, mask.column, f"[ {using} ]" if using else None, "ACTIVE"))
    return rows


def _policy_references(work: Work, node: exp.Expression) -> Rows:
    named = _keywords(node)
    if "REF_ENTITY_NAME" in named:
        if named.get("REF_ENTITY_DOMAIN", "").upper() == "USER":
            return _of_user(work.access.get("USER", Reader(named["REF_ENTITY_NAME"]).name()))
        return _policies(_named(work, named["REF_ENTITY_NAME"]))
    policy = Reader(named["POLICY_NAME"]).name()
    users = [*work.catalog.of("USER"), work.catalog.account]
    rows = [row for one in work.catalog.of("TABLE", "VIEW") for row in _policies(one)] + [row for one in users for row in _of_user(one)]
    return [row for row in rows if row[:3] == policy]


def _of_user(user: Thing) -> list[tuple[Any, ...]]:
    """Of a user, or of the account."""
    name = user.name or ("ACCOUNT",)
    return [(*policy, kind.replace(" ", "_"), None, None, *name, user.kind, None, None, "ACTIVE") for kind, policy in user.policies.items()]


_KINDS = {
    **dict.fromkeys(("START_TIME", "END_TIME", "CREATED_ON", "QUERY_START_TIME"), "TIMESTAMPTZ"),
    "TOTAL_ELAPSED_TIME": "BIGINT",
    **dict.fromkeys(
        (
            "ORDINAL_POSITION",
            "CHARACTER_MAXIMUM_LENGTH",
            "CHARACTER_OCTET_LENGTH",
            "NUMERIC_PRECISION",
            "NUMERIC_SCALE",
            "DATETIME_PRECISION",
        ),
        "INT",
    ),
}
_IN_DUCKDB = {
    "fixed": "DECIMAL(38, 0)",
    "real": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp_ntz": "TIMESTAMP",
    "timestamp_ltz": "TIMESTAMPTZ",
    "timestamp_tz": "TIMESTAMPTZ",
    "variant": "JSON",
}


def _scanned(work: Work, alias: str, query: str | None) -> exp.Expression:
    """The rows of an earlier statement of the session."""
    result = work.session.results.get(query or work.session.last_query or "")
    if result is None:
        raise refusals.Refusal("000709", "02000", f"Statement {query} not found")
    return _of_kinds(alias, [(column.name, _IN_DUCKDB.get(column.type, "VARCHAR")) for column in result.columns], result.rows)


def _relation(alias: str, names: str, rows: Rows) -> exp.Expression:
    return _of_kinds(alias, [(name, _KINDS.get(name, "VARCHAR")) for name in names.split()], rows)


def _of_kinds(alias: str, columns: list[tuple[str, str]], rows: Rows) -> exp.Expression:
    """A sub-select of literals, with types, that is also right without a row."""
    tuples = [tuple(None if value is None else str(value) for value in row) for row in rows]
    cast = [exp.alias_(duck(f"CAST(c{place} AS {kind})"), name, quoted=True, copy=False) for place, (name, kind) in enumerate(columns)]
    values = exp.values(tuples or [(None,) * len(columns)], alias="_v", columns=[f"c{place}" for place in range(len(columns))])
    query = exp.select(*cast, copy=False).from_(values, copy=False)
    if not tuples:
        query = query.where(exp.false(), copy=False)
    return exp.Subquery(this=query, alias=exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))

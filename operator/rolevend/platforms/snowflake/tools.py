"""Read agents' tools in an account: their dependencies and obstacles. SHOW and DESCRIBE need no warehouse.

A tool with owner's rights circumvents every policy, so it is refused. A semantic view reads tables under their policies. A search service
keeps a copy, made with owner's rights: its columns and table are known if its query is simple.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from snowflake.connector import errors as vendor

from rolevend.catalog import TableId, Tool, ToolId, ToolKind
from rolevend.model import ClusterId
from rolevend.platforms.snowflake.connections import Row, SnowflakeSession
from rolevend.platforms.snowflake.control import OWNER
from rolevend.platforms.snowflake.failures import NOT_THERE, code_of
from rolevend.platforms.snowflake.names import TOOL, cortex_role
from rolevend.platforms.snowflake.sql import Sql, compose, identifier, join, literal, name, qualified

_RV: Final = "RV_"
"""The prefix of rolevend's roles only."""
_WORD: Final = r'(?:"(?:[^"]|"")+"|[A-Za-z_][A-Za-z0-9_$]*)'
_PLAIN_QUERY: Final = re.compile(
    rf"\s*SELECT\s+(?P<columns>{_WORD}(?:\s*,\s*{_WORD})*)\s+FROM\s+(?P<table>{_WORD}\s*\.\s*{_WORD}\s*\.\s*{_WORD})\s*;?\s*",
    re.IGNORECASE,
)
"""A query of named columns of one table. Other queries are not analysed."""


Noted = Mapping[ToolId, Tool | None]
"""The tools that the programmer looked up; None if it does not exist or is not visible."""


def read_tools(session: SnowflakeSession, database: str, wanted: Collection[ToolId]) -> tuple[Tool, ...]:
    """Return the tools of `wanted` that exist and are visible to the programmer, ordered by id."""
    shown: dict[Sql, list[Row]] = {}
    return tuple(tool for each in sorted(wanted) if (tool := _read(session, database, each, shown)) is not None)


def object_of(tool: ToolId, database: str) -> Sql:
    """Return kind and name, in GRANT's syntax."""
    match tool.kind:
        case ToolKind.WAREHOUSE:
            return compose("WAREHOUSE {}", identifier(tool.name))
        case ToolKind.SEMANTIC_VIEW:
            return compose("SEMANTIC VIEW {}", qualified(database, tool.schema, tool.name))
        case ToolKind.PROCEDURE:
            return compose("PROCEDURE {}({})", qualified(database, tool.schema, tool.name), Sql(_types(tool.arguments)))
        case ToolKind.SEARCH_SERVICE:
            return compose("CORTEX SEARCH SERVICE {}", qualified(database, tool.schema, tool.name))
        case ToolKind.DATABASE_ROLE:
            return compose("ROLE {}", cortex_role(tool.name))


def privilege_on(kind: ToolKind) -> Sql:
    """Return the privilege that a role needs to use it."""
    return Sql("SELECT") if kind is ToolKind.SEMANTIC_VIEW else Sql("USAGE")


def grants(role: Sql, tools: Iterable[Tool], database: str) -> tuple[Sql, ...]:
    """Return the programmer's grants to a profile's role. The privileges on governed tables come first."""
    given = list(tools)
    tables = sorted({table for tool in given for table in tool.reads})
    schemas = sorted({tool.id.schema for tool in given if tool.id.schema} | {table.schema for table in tables})
    way = [compose("GRANT USAGE ON DATABASE {} TO ROLE {}", identifier(database), role)] if schemas else []
    return (
        *way,
        *(compose("GRANT USAGE ON SCHEMA {} TO ROLE {}", qualified(database, schema), role) for schema in schemas),
        *(compose("GRANT SELECT ON TABLE {} TO ROLE {}", qualified(database, each.schema, each.name), role) for each in tables),
        *(grant(tool.id, role, database) for tool in given),
    )


def grant(tool: ToolId, role: Sql, database: str) -> Sql:
    if tool.kind is ToolKind.DATABASE_ROLE:
        return compose("GRANT ROLE {} TO ROLE {}", cortex_role(tool.name), role)
    return compose("GRANT {} ON {} TO ROLE {}", privilege_on(tool.kind), object_of(tool, database), role)


def read_noted(session: SnowflakeSession, cluster: ClusterId) -> Noted:
    """Return the record of the cluster's programmer."""
    rows = session.rows(compose("SELECT TOOL FROM {} WHERE CLUSTER = {}", TOOL, literal(cluster)))
    return dict(_loaded(row["tool"]) for row in rows)


def write_noted(session: SnowflakeSession, cluster: ClusterId, noted: Noted) -> None:
    """Write the record in one request, if it changed."""
    if read_noted(session, cluster) == noted:
        return
    rows = [compose("({}, {})", literal(cluster), literal(_dumped(each, tool))) for each, tool in noted.items()]
    added = [compose("INSERT INTO {} (CLUSTER, TOOL) VALUES {}", TOOL, join(",\n", rows))] if rows else []
    session.script([Sql("BEGIN"), compose("DELETE FROM {} WHERE CLUSTER = {}", TOOL, literal(cluster)), *added, Sql("COMMIT")])


def _read(session: SnowflakeSession, database: str, wanted: ToolId, shown: dict[Sql, list[Row]]) -> Tool | None:
    row = next((row for row in _shown(session, _listing(wanted, database), shown) if _is(wanted, row)), None)
    if row is None:
        return None
    if wanted.kind is ToolKind.DATABASE_ROLE:
        return Tool(wanted, "" if row["owner"] == OWNER else f"is held by a role of {row['owner']}'s: plan and install again")
    obstacle = _ungrantable(session, object_of(wanted, database), privilege_on(wanted.kind))
    match wanted.kind:
        case ToolKind.SEMANTIC_VIEW:
            return _semantic_view(session, database, wanted, obstacle or _of_owner(row))
        case ToolKind.SEARCH_SERVICE:
            return _search_service(session, database, wanted, obstacle)
        case ToolKind.PROCEDURE:
            return Tool(wanted, _of_rights(session, database, wanted) or obstacle)
        case _:
            return Tool(wanted, obstacle)


def _shown(session: SnowflakeSession, listing: Sql, shown: dict[Sql, list[Row]]) -> list[Row]:
    if listing not in shown:
        try:
            shown[listing] = session.rows(listing)
        except vendor.ProgrammingError as error:
            if code_of(error) != NOT_THERE:
                raise
            shown[listing] = []
    return shown[listing]


def _listing(wanted: ToolId, database: str) -> Sql:
    schema = qualified(database, wanted.schema) if wanted.schema else Sql("")
    match wanted.kind:
        case ToolKind.WAREHOUSE:
            return Sql("SHOW WAREHOUSES")
        case ToolKind.SEMANTIC_VIEW:
            return compose("SHOW SEMANTIC VIEWS IN SCHEMA {}", schema)
        case ToolKind.PROCEDURE:
            return compose("SHOW PROCEDURES IN SCHEMA {}", schema)
        case ToolKind.SEARCH_SERVICE:
            return compose("SHOW CORTEX SEARCH SERVICES IN SCHEMA {}", schema)
        case ToolKind.DATABASE_ROLE:
            return compose("SHOW ROLES STARTS WITH {}", literal(_RV))


def _is(wanted: ToolId, row: Row) -> bool:
    if wanted.kind is ToolKind.DATABASE_ROLE:
        return name(str(row["name"])) == cortex_role(wanted.name)
    signature = f"{wanted.name}({wanted.arguments}) "
    return row["name"] == wanted.name and (wanted.kind is not ToolKind.PROCEDURE or str(row["arguments"]).startswith(signature))


def _ungrantable(session: SnowflakeSession, thing: Sql, privilege: Sql) -> str:
    """Return the reason why the programmer cannot grant it; empty if it can."""
    for row in session.rows(compose("SHOW GRANTS ON {}", thing)):
        is_enough = str(row["privilege"]) in (privilege, "OWNERSHIP") and str(row["grant_option"]).lower() == "true"
        if is_enough and row["grantee_name"] == OWNER:
            return ""
    wanted = compose("GRANT {} ON {} TO ROLE {} WITH GRANT OPTION", privilege, thing, name(OWNER))
    return f"is not the operator's to give: plan and install again, or run {wanted}"


def _of_owner(row: Row) -> str:
    """Return the obstacle of an owner. Tables exempt the programmer's views, which have their own rule."""
    owner = str(row["owner"])
    return f"belongs to {owner}, which policies let pass: give it to another role" if owner.startswith(_RV) else ""


def _semantic_view(session: SnowflakeSession, database: str, wanted: ToolId, obstacle: str) -> Tool:
    tables: dict[str, dict[str, str]] = {}
    for row in session.rows(compose("DESCRIBE {}", object_of(wanted, database))):
        if "sample_values" in str(row["property_value"]).lower() or "sample" in str(row["property"]).lower():
            obstacle = obstacle or "holds sample values, which no policy masks: make it without"
        if row["object_kind"] == "TABLE":
            tables.setdefault(str(row["object_name"]), {})[str(row["property"])] = str(row["property_value"])
    places = [tuple(each.get(f"BASE_TABLE_{part}", "") for part in ("DATABASE_NAME", "SCHEMA_NAME", "NAME")) for each in tables.values()]
    if not places or any("" in each for each in places):
        return Tool(wanted, obstacle or "does not say which tables are behind it")
    elsewhere = next((each for each in places if each[0] != database), None)
    if elsewhere is not None:
        return Tool(wanted, obstacle or f"reads {'.'.join(elsewhere)}, which is not in database {database}")
    reads = tuple(sorted({TableId(schema, table) for _, schema, table in places}))
    return Tool(wanted, obstacle or _unreadable(session, database, reads), reads)


def _unreadable(session: SnowflakeSession, database: str, tables: Iterable[TableId]) -> str:
    """Return the tables that cannot be read: a user of a semantic view needs SELECT on its tables."""
    for table in tables:
        try:
            why = _ungrantable(session, compose("TABLE {}", qualified(database, table.schema, table.name)), Sql("SELECT"))
        except vendor.ProgrammingError as error:
            if code_of(error) != NOT_THERE:
                raise
            why = "is not a table that the operator may read"
        if why:
            return f"reads {table}, which {why}"
    return ""


def _search_service(session: SnowflakeSession, database: str, wanted: ToolId, obstacle: str) -> Tool:
    (row,) = session.rows(compose("DESCRIBE {}", object_of(wanted, database)))
    query = _PLAIN_QUERY.fullmatch(str(row["definition"]))
    if query is None:
        why = "has another query than SELECT a, b FROM database.schema.table, so its columns are unknown"
        return Tool(wanted, obstacle or why)
    of, schema, table = _names(query["table"])
    if of != database:
        return Tool(wanted, obstacle or f"reads {of}.{schema}.{table}, which is not in database {database}")
    return Tool(wanted, obstacle, copies=tuple(sorted({(TableId(schema, table), column) for column in _names(query["columns"])})))


def _names(text: str) -> list[str]:
    """Return the names as Snowflake resolves them: in upper case without quotes."""
    words = re.findall(_WORD, text)
    return [word[1:-1].replace('""', '"') if word.startswith('"') else word.upper() for word in words]


def _of_rights(session: SnowflakeSession, database: str, wanted: ToolId) -> str:
    properties = {str(row["property"]): str(row["value"]) for row in session.rows(compose("DESCRIBE {}", object_of(wanted, database)))}
    if properties.get("execute as", "OWNER").upper() == "CALLER":
        return ""
    return "acts with the rights of its owner, whom no policy binds: make it with EXECUTE AS CALLER"


def _types(arguments: str) -> str:
    if not re.fullmatch(r"[A-Z0-9_, ]*", arguments):
        raise ValueError(f"{arguments[:40]!r} are no types of arguments")
    return arguments


def _dumped(identity: ToolId, tool: Tool | None) -> str:
    members: list[object] = [identity.kind.value, identity.name, identity.schema, identity.arguments]
    if tool is not None:
        reads = [[table.schema, table.name] for table in tool.reads]
        members += [tool.obstacle, reads, [[table.schema, table.name, column] for table, column in tool.copies]]
    return json.dumps(members, ensure_ascii=False)


def _loaded(text: str) -> tuple[ToolId, Tool | None]:
    kind, own, schema, arguments, *more = json.loads(text)
    identity = ToolId(ToolKind(kind), own, schema, arguments)
    if not more:
        return identity, None
    obstacle, reads, copies = more
    return identity, Tool(
        identity,
        obstacle,
        tuple(TableId(*each) for each in reads),
        tuple((TableId(of, table), column) for of, table, column in copies),
    )

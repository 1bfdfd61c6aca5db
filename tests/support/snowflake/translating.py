"""Snowflake's expressions in DuckDB's words: context functions by their values now, VARIANT as JSON. Unknown functions are refused."""

from datetime import datetime
from typing import cast

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from tests.support.snowflake import refusals
from tests.support.snowflake.catalog import Member
from tests.support.snowflake.engine import Work

MACROS = (
    "CREATE MACRO sf_array(x) AS CASE WHEN x IS NULL THEN NULL WHEN json_type(to_json(x)) = 'ARRAY' THEN to_json(x) ELSE json_array(x) END",
    "CREATE MACRO sf_array_contains(x, a) AS list_contains(CAST(sf_array(a) AS JSON[]), to_json(x))",
    "CREATE MACRO sf_array_size(a) AS CASE WHEN json_type(to_json(a)) = 'ARRAY' THEN json_array_length(to_json(a)) END",
    "CREATE MACRO sf_text(x) AS (to_json(x) ->> '$')",
    "CREATE MACRO sf_sha2(x) AS sha256(x)",
    "CREATE MACRO sf_sha2_binary(x) AS unhex(sha256(x))",
    "CREATE MACRO sf_hex(x) AS lower(hex(x))",
)

_TEXTS = (exp.DataType.Type.TEXT, exp.DataType.Type.VARCHAR, exp.DataType.Type.CHAR, exp.DataType.Type.NVARCHAR)
_NAMED = {
    "ARRAY_SIZE": "sf_array_size",
    "SHA2": "sf_sha2",
    "SHA2_HEX": "sf_sha2",
    "SHA2_BINARY": "sf_sha2_binary",
    "TO_ARRAY": "sf_array",
    "TO_VARIANT": "to_json",
    "HEX_ENCODE": "hex",
    "STARTSWITH": "starts_with",
    "ENDSWITH": "ends_with",
    "EQUAL_NULL": None,
}
"""Functions that sqlglot leaves as they are; None where sqlglot's own way is right."""


def translated(text: str) -> str:
    """An expression without context, such as the default of a column."""
    try:
        return str(sqlglot.parse_one(text, read="snowflake").sql("duckdb"))
    except SqlglotError as error:
        raise refusals.Refusal("001003", "42000", f"SQL compilation error:\nsyntax error: {error}") from error


def translate(tree: exp.Expression, work: Work) -> exp.Expression:
    """In place, the inner parts first; the root may be another one."""
    for node in reversed([*tree.dfs()]):
        changed = _context(node, work) or _semi_structured(node)
        if changed is not None:
            tree = changed if node is tree else tree
            node.replace(changed)
    return tree


def _name(node: exp.Expression) -> str:
    if isinstance(node, exp.Anonymous):
        return str(node.name).upper()
    return node.sql_name() if isinstance(node, exp.Func) else ""


def _text(value: str | None) -> exp.Expression:
    return exp.cast(exp.Null(), "TEXT") if value is None else exp.Literal.string(value)


def _moment(moment: datetime, kind: str) -> exp.Expression:
    return exp.cast(exp.Literal.string(moment.isoformat(sep=" ")), kind)


def _context(node: exp.Expression, work: Work) -> exp.Expression | None:
    if not isinstance(node, exp.Func):
        return None
    session = work.session
    match _name(node):
        case "CURRENT_ROLE":
            return _text(work.access.role)
        case "CURRENT_USER":
            return _text(session.user)
        case "CURRENT_WAREHOUSE":
            return _text(session.warehouse)
        case "CURRENT_DATABASE":
            return _text(session.database)
        case "CURRENT_SCHEMA":
            return _text(session.schema)
        case "CURRENT_SESSION":
            return _text(str(session.id))
        case "CURRENT_ACCOUNT" | "CURRENT_ACCOUNT_NAME":
            return _text(str(session.parameters["ACCOUNT_NAME"]))
        case "CURRENT_VERSION":
            return _text("9.30.1")
        case "CURRENT_TIMESTAMP" | "LOCALTIMESTAMP" | "GETDATE":
            return _moment(work.now, "TIMESTAMPTZ")
        case "SYSDATE":
            return _moment(work.now.replace(tzinfo=None), "TIMESTAMP")
        case "CURRENT_DATE":
            return exp.cast(exp.Literal.string(work.now.date().isoformat()), "DATE")
        case "LAST_QUERY_ID":
            return _text(session.last_query)
        case "CURRENT_SECONDARY_ROLES":
            names = ",".join(sorted(role.name for role in work.access.secondary))
            return _text(f'{{"roles":"{names}","value":"{session.secondary if isinstance(session.secondary, str) else ""}"}}')
        case "IS_ROLE_IN_SESSION":
            return _role_in_session(node, work)
        case name if name.startswith("SYSTEM$"):
            raise refusals.Unknown(f"{name} there")
    return None


def _role_in_session(node: exp.Expression, work: Work) -> exp.Expression:
    argument = node.expressions[0]
    if isinstance(argument, exp.Literal):
        return exp.Boolean(this=work.access.in_session(argument.name))
    roles = work.access.active if work.switches.marker_through_hierarchy else {Member("ROLE", work.access.role or "")}
    return exp.In(this=argument, expressions=[exp.Literal.string(role.name) for role in sorted(roles, key=lambda role: role.name)])


def _semi_structured(node: exp.Expression) -> exp.Expression | None:
    if isinstance(node, exp.ArrayContains):
        # sqlglot keeps Snowflake's order of arguments apart: `expression` is the value
        return _call("sf_array_contains", node.expression, node.this)
    if isinstance(node, exp.Cast):
        return _cast(node)
    if isinstance(node, exp.SHA2):
        return _call("sf_sha2", node.this)
    if isinstance(node, exp.ArraySize):
        return _call("sf_array_size", node.this)
    if isinstance(node, exp.Anonymous):
        name = node.name.upper()
        if name.startswith("SF_"):
            return None
        if name not in _NAMED:
            if name.lower() in ("to_json", "hex", "starts_with", "ends_with"):
                return None
            raise refusals.Unknown(f"the function {name}")
        return _call(cast(str, _NAMED[name]), *node.expressions[:1])
    return None


def _cast(node: exp.Cast) -> exp.Expression | None:
    kind = node.to.this
    if kind == exp.DataType.Type.VARIANT or kind == exp.DataType.Type.OBJECT:
        return _call("to_json", node.this)
    if kind == exp.DataType.Type.ARRAY:
        return _call("sf_array", node.this)
    if kind in _TEXTS:
        if is_json(node.this):
            return _call("sf_text", node.this)
        if node.to.expressions:
            return exp.Left(this=exp.cast(node.this, "TEXT"), expression=exp.Literal.number(node.to.expressions[0].name))
    return None


def is_json(node: exp.Expression) -> bool:
    """Whether a value is a VARIANT, as far as that is seen: a path into one, or a column that `rewriting` marked as one."""
    node = node.unnest()
    if isinstance(node, exp.JSONExtract | exp.ParseJSON | exp.Bracket):
        return True
    if isinstance(node, exp.Anonymous):
        return node.name.lower() in ("to_json", "sf_array")
    return isinstance(node, exp.Column) and bool(node.meta.get("variant"))


def _call(name: str, *arguments: exp.Expression) -> exp.Expression:
    return exp.Anonymous(this=name, expressions=[argument.copy() for argument in arguments])

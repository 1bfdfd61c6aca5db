"""Snowflake's expressions in DuckDB's words: context by its values now, VARIANT as JSON, functions as `functions` has them."""

from datetime import datetime
from functools import lru_cache

from sqlglot import exp
from sqlglot.dialects.snowflake import Snowflake
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.normalize_identifiers import normalize_identifiers

from tests.support.snowflake import refusals
from tests.support.snowflake.catalog import Member
from tests.support.snowflake.engine import Work
from tests.support.snowflake.functions import FUNCTIONS, duck
from tests.support.snowflake.words import Kind, words

_MARK = "text number "
"""Before the number of a text in quotes, while its tree is kept."""
_WITHOUT_BRACKETS = ("CURRENT_TIMESTAMP", "CURRENT_DATE", "CURRENT_ROLE", "CURRENT_USER", "CURRENT_WAREHOUSE", "CURRENT_DATABASE")
_KNOWN = (
    exp.Count | exp.Case | exp.If | exp.Exists | exp.And | exp.Or | exp.Cast | exp.TryCast | exp.JSONExtract | exp.Explode | exp.Distinct
)


class Plain(Snowflake):
    """Reads functions as their names, whatever sqlglot knows of them: so none is translated but by us."""

    class Parser(Snowflake.Parser):
        FUNCTIONS = {"COUNT": exp.Count.from_arg_list}  # noqa: RUF012 - as sqlglot has it
        FUNCTION_PARSERS = {name: Snowflake.Parser.FUNCTION_PARSERS[name] for name in ("CAST", "TRY_CAST")}  # noqa: RUF012
        NO_PAREN_FUNCTIONS = {}  # noqa: RUF012


def parse(text: str) -> exp.Expression:
    """One statement's, or one expression's, tree, with names in the case that they mean.

    Statements differ in their texts in quotes more than in anything else, so the tree is kept without them.
    """
    pieces, values, end = [], [], 0
    for word in words(text):
        if word.kind is Kind.TEXT:
            pieces += [text[end : word.start], f"'{_MARK}{len(values)}'"]
            values.append(word.value)
            end = word.end
    try:
        tree = _parsed("".join([*pieces, text[end:]])).copy()
    except refusals.Refusal:
        return _parsed(text).copy()
    marked = [node for node in tree.find_all(exp.Literal) if node.is_string and str(node.this).startswith(_MARK)]
    if len(marked) != len(values):
        return _parsed(text).copy()
    for node in marked:
        node.set("this", values[int(str(node.this).removeprefix(_MARK))])
    return tree


@lru_cache(maxsize=512)
def _parsed(text: str) -> exp.Expression:
    try:
        trees = [tree for tree in Plain().parse(text) if tree is not None]
    except SqlglotError as error:
        first = str(error).splitlines()[0]
        raise refusals.Refusal("001003", "42000", f"SQL compilation error:\nsyntax error: {first}") from error
    if len(trees) != 1 or isinstance(trees[0], exp.Command):
        raise refusals.Unknown(f"the statement {text[:60]}")
    return normalize_identifiers(trees[0], dialect="snowflake")


def translate(tree: exp.Expression, work: Work) -> exp.Expression:
    """In place, the inner parts first; the root may be another one."""
    for node in reversed([*tree.walk(bfs=True)]):
        changed = _context(node, work) or _function(node)
        if changed is not None:
            tree = changed if node is tree else tree
            node.replace(changed)
    return tree


def called(node: exp.Expression) -> str:
    """The name of the function that is called, or nothing."""
    if isinstance(node, exp.Anonymous):
        return str(node.name).upper()
    if isinstance(node, exp.Column) and not node.table and not node.this.args.get("quoted") and node.name in _WITHOUT_BRACKETS:
        return node.name
    return ""


def _text(value: str | None) -> exp.Expression:
    return duck("CAST(NULL AS VARCHAR)") if value is None else exp.Literal.string(value)


def _moment(moment: datetime, kind: str) -> exp.Expression:
    return duck(f"CAST('{moment.isoformat(sep=' ')}' AS {kind})")


def _context(node: exp.Expression, work: Work) -> exp.Expression | None:
    session = work.session
    match called(node):
        case "CURRENT_ROLE":
            return _text(work.access.role)
        case "INVOKER_ROLE":
            return _text(node.meta.get("invoker", work.access.role))
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
        case "CURRENT_TIMESTAMP" | "GETDATE":
            return _moment(work.now, "TIMESTAMPTZ")
        case "SYSDATE":
            return _moment(work.now.replace(tzinfo=None), "TIMESTAMP")
        case "CURRENT_DATE":
            return duck(f"CAST('{work.now.date().isoformat()}' AS DATE)")
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
    return exp.In(this=argument.copy(), expressions=[exp.Literal.string(role.name) for role in sorted(roles, key=lambda role: role.name)])


def _function(node: exp.Expression) -> exp.Expression | None:
    if isinstance(node, exp.Anonymous):
        name = node.name.upper()
        if name not in FUNCTIONS:
            raise refusals.Unknown(f"the function {name}")
        try:
            return FUNCTIONS[name](*node.expressions)
        except (TypeError, KeyError) as error:
            raise refusals.Unknown(f"the function {name} with these arguments") from error
    if isinstance(node, exp.Cast):
        return _cast(node)
    if isinstance(node, exp.JSONExtract):
        return _path(node)
    if isinstance(node, exp.Bracket):
        return duck("json_extract(to_json(:value), '$[' || :place || ']')", value=node.this, place=node.expressions[0])
    if isinstance(node, exp.Func) and not isinstance(node, _KNOWN):
        raise refusals.Unknown(f"the function {node.sql_name()}")
    return None


def _path(node: exp.JSONExtract) -> exp.Expression:
    """``value:a.b``"""
    steps = [part for part in node.expression.expressions if not isinstance(part, exp.JSONPathRoot)]
    path = "$" + "".join(f"[{part.this}]" if isinstance(part, exp.JSONPathSubscript) else f'."{part.this}"' for part in steps)
    return duck("json_extract(to_json(:value), :path)", value=node.this, path=exp.Literal.string(path))


_TYPES = {
    "FLOAT": "DOUBLE",
    "DOUBLE": "DOUBLE",
    "BOOLEAN": "BOOLEAN",
    "DATE": "DATE",
    "TIME": "TIME",
    "TIMESTAMPNTZ": "TIMESTAMP",
    "TIMESTAMP": "TIMESTAMP",
    "TIMESTAMPLTZ": "TIMESTAMPTZ",
    "TIMESTAMPTZ": "TIMESTAMPTZ",
    "BINARY": "BLOB",
    "VARBINARY": "BLOB",
}


def _cast(node: exp.Cast) -> exp.Expression:
    kind, inner = node.to.this.name, node.this
    verb = "TRY_CAST" if isinstance(node, exp.TryCast) else "CAST"
    sizes = [size.name for size in node.to.expressions]
    if kind in ("VARIANT", "OBJECT"):
        return duck("to_json(:value)", value=inner)
    if kind == "ARRAY":
        return duck("sf_array(:value)", value=inner)
    if kind in ("TEXT", "VARCHAR", "CHAR", "NVARCHAR"):
        text = duck("sf_text(:value)", value=inner)
        return duck(f"left(:text, {int(sizes[0])})", text=text) if sizes else text
    if kind in ("DECIMAL", "INT", "BIGINT", "SMALLINT", "TINYINT"):
        digits, scale = [*sizes, "38", "0"][:2] if len(sizes) != 1 else (sizes[0], "0")
        return duck(f"{verb}(:value AS DECIMAL({int(digits)}, {int(scale)}))", value=inner)
    if kind not in _TYPES:
        raise refusals.Unknown(f"the type {kind}")
    return duck(f"{verb}(:value AS {_TYPES[kind]})", value=inner)

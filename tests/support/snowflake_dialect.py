"""The SQL that rolevend writes for Snowflake, and nothing beyond it, evaluated by DuckDB.

Each function stands here with what Snowflake's documentation says of it, written by hand; one that does not stand here is an error, so
that nothing is evaluated as something else. Session functions are answered by a `Session`. It is a model of Snowflake, not Snowflake.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import duckdb
from sqlglot import exp
from sqlglot.dialects.snowflake import Snowflake

from rolevend.platforms.snowflake.control import LEASE_TABLE, OWNER, SALT_TABLE

ZONE = "Asia/Kathmandu"
"""Of every session, so that what forgets UTC is wrong."""


class Plain(Snowflake):
    """Reads functions as their names, whatever sqlglot knows of them."""

    class Parser(Snowflake.Parser):
        FUNCTIONS = {"COUNT": exp.Count.from_arg_list}  # noqa: RUF012 - as sqlglot has it
        FUNCTION_PARSERS = {"CAST": Snowflake.Parser.FUNCTION_PARSERS["CAST"]}  # noqa: RUF012
        NO_PAREN_FUNCTIONS = {}  # noqa: RUF012


@dataclass(frozen=True)
class Session:
    """Who asks."""

    role: str | None
    """The primary one."""
    roles: frozenset[str] = frozenset()
    """All that are active, with those that they inherit."""
    invoker: str | None = None
    """Of a view or a procedure, its owner; None: `role`."""
    user: str | None = "ANALYST"

    def through_view(self) -> "Session":
        return replace(self, invoker=OWNER)


class Database:
    """A customer's database PROD, and ours, in memory."""

    def __init__(self) -> None:
        self._duck = duckdb.connect()
        self._duck.execute(f"SET TimeZone = '{ZONE}'")
        self._duck.execute(_ROUNDED_AT)
        for name in ("ROLEVEND", "PROD"):
            self._duck.execute(f"ATTACH ':memory:' AS \"{name}\"")
        self._duck.execute('CREATE SCHEMA "ROLEVEND"."CONTROL"')
        for statement in (LEASE_TABLE, SALT_TABLE):
            self._duck.execute(
                statement.replace("TIMESTAMP_TZ", "TIMESTAMPTZ").replace("BINARY", "BLOB").replace("CURRENT_TIMESTAMP()", "now()")
            )

    def run(self, statement: str, parameters: Sequence[object] = ()) -> None:
        """In DuckDB's own words."""
        self._duck.execute(statement, list(parameters))

    def fill(self, table: str, rows: Iterable[Sequence[object]]) -> None:
        """Many at once: DuckDB takes as long for one."""
        listed = list(rows)
        for start in range(0, len(listed), 500):
            some = listed[start : start + 500]
            places = ", ".join(f"({', '.join('?' * len(row))})" for row in some)
            self._duck.execute(f"INSERT INTO {table} VALUES {places}", [value for row in some for value in row])

    def rows(self, select: str, session: Session) -> list[tuple[Any, ...]]:
        """Of a SELECT in Snowflake's words."""
        return self._duck.execute(translated(select, session)).fetchall()

    def asked_plainly(self, select: str) -> list[tuple[Any, ...]]:
        """Of a SELECT in DuckDB's own words, which are PostgreSQL's, in UTC."""
        self._duck.execute("SET TimeZone = 'UTC'")
        try:
            return self._duck.execute(select).fetchall()
        finally:
            self._duck.execute(f"SET TimeZone = '{ZONE}'")

    def close(self) -> None:
        self._duck.close()


@cache
def translated(select: str, session: Session) -> str:
    """In DuckDB's words. ValueError for what is not of the dialect."""
    (tree,) = Plain().parse(select)
    assert tree is not None
    return _rewritten(tree, session).sql("duckdb", copy=False)


def _rewritten(tree: exp.Expression, session: Session) -> exp.Expression:
    def rewritten(node: exp.Expression) -> exp.Expression:
        match node:
            case exp.Cast():
                return _cast(node)
            case exp.Anonymous():
                return _function(node, session)
            case exp.Func() if not isinstance(node, exp.Count | exp.Case | exp.If | exp.Exists | exp.And | exp.Or):
                raise ValueError(f"not of the dialect: {node.sql()}")
            case _:
                return node

    # From the inside out, since what stands outside depends on what was inside.
    for node in reversed(list(tree.walk(bfs=True))):
        new = rewritten(node)
        if new is not node:
            if node is tree:
                tree = new
            else:
                node.replace(new)
    return tree


_TYPES = {
    "FLOAT": "DOUBLE",
    "DOUBLE": "DOUBLE",
    "VARCHAR": "VARCHAR",
    "TEXT": "VARCHAR",
    "BOOLEAN": "BOOLEAN",
    "DATE": "DATE",
    "TIMESTAMPNTZ": "TIMESTAMP",
    "TIMESTAMPLTZ": "TIMESTAMPTZ",
    "TIMESTAMPTZ": "TIMESTAMPTZ",
    "BINARY": "BLOB",
    "VARBINARY": "BLOB",
    "ARRAY": "VARCHAR[]",
    "OBJECT": "JSON",
}


def _cast(node: exp.Cast) -> exp.Expression:
    kind = node.to.this.name
    inner = node.this
    if kind in ("DECIMAL", "INT", "BIGINT"):
        numbers = ", ".join(each.sql() for each in node.to.expressions)
        return _as(inner, f"DECIMAL({numbers})")
    if kind == "VARIANT":
        return _as(inner, "JSON") if isinstance(inner, exp.Null) else exp.paren(inner.copy())
    if inner.meta.get("utc"):
        if kind in ("TIMESTAMPNTZ", "DATE"):
            return _as(inner.meta["utc"].copy(), _TYPES[kind])
        if kind not in ("TIMESTAMPTZ", "TIMESTAMPLTZ"):
            raise ValueError(f"not of the dialect: {node.sql()}")
        return exp.paren(inner.copy())
    return _as(inner, _TYPES[kind])


def _as(inner: exp.Expression, kind: str) -> exp.Expression:
    return exp.cast(inner, exp.DataType.build(kind, dialect="duckdb"), copy=False)


def _function(node: exp.Anonymous, session: Session) -> exp.Expression:
    name, given = node.name.upper(), node.expressions
    if name in _SESSION:
        assert all(isinstance(each, exp.Literal) for each in given)
        return _SESSION[name](session, *(each.name for each in given))
    if name not in _FUNCTIONS:
        raise ValueError(f"not of the dialect: {name}")
    return _FUNCTIONS[name](*given)


def _text(value: str | None) -> exp.Expression:
    return exp.null() if value is None else exp.Literal.string(value)


_SESSION: dict[str, Callable[..., exp.Expression]] = {
    "CURRENT_ROLE": lambda session: _text(session.role),
    "CURRENT_USER": lambda session: _text(session.user),
    "INVOKER_ROLE": lambda session: _text(session.role if session.invoker is None else session.invoker),
    "IS_ROLE_IN_SESSION": lambda session, role: exp.Boolean(this=role in session.roles),
    "CURRENT_TIMESTAMP": lambda session: _duck("now()"),
}


def _duck(text: str, /, **parts: exp.Expression) -> exp.Expression:
    """An expression of DuckDB; `:name` stands for a part."""
    return exp.replace_placeholders(_parsed(text), **parts) if parts else _parsed(text).copy()


@cache
def _parsed(text: str) -> exp.Expression:
    return exp.maybe_parse(text, dialect="duckdb")


def _named(text: str, *names: str) -> Callable[..., exp.Expression]:
    def built(*given: exp.Expression) -> exp.Expression:
        if len(given) != len(names):
            raise ValueError(f"not of the dialect: {len(given)} arguments for {text}")
        return exp.paren(_duck(text, **dict(zip(names, given, strict=True))), copy=False)

    return built


def _utc(naive: exp.Expression) -> exp.Expression:
    """A TIMESTAMP_TZ of UTC: an instant, which knows its days and months in UTC."""
    made = exp.paren(_duck("timezone('UTC', :naive)", naive=naive))
    made.meta["utc"] = naive.copy()
    return made


def _convert_timezone(zone: exp.Expression, at: exp.Expression) -> exp.Expression:
    assert zone.name == "UTC"
    return _utc(_duck("timezone('UTC', CAST(:at AS TIMESTAMPTZ))", at=at))


def _date_trunc(part: exp.Expression, at: exp.Expression) -> exp.Expression:
    if naive := at.meta.get("utc"):
        return _utc(_duck("date_trunc(:part, :at)", part=part, at=naive))
    return exp.paren(_duck("date_trunc(:part, :at)", part=part, at=at))


def _dateadd(part: exp.Expression, amount: exp.Expression, at: exp.Expression) -> exp.Expression:
    naive = at.meta["utc"]
    unit = f"to_{part.name.lower()}s"
    return _utc(
        _duck(f":at + {unit}(CAST(:amount AS INTEGER))" if unit != "to_seconds" else ":at + to_seconds(:amount)", at=naive, amount=amount)
    )


def _to_varchar(value: exp.Expression, form: exp.Expression | None = None) -> exp.Expression:
    if form is None:
        return exp.paren(_duck("CAST(:value AS VARCHAR)", value=value))
    forms = {"YYYY-MM-DD": "%Y-%m-%d", 'YYYY-MM-DD"T"HH24:MI:SS.FF9': "%Y-%m-%dT%H:%M:%S.%f000"}
    return exp.paren(_duck("strftime(:value, :form)", value=value.meta.get("utc", value), form=exp.Literal.string(forms[form.name])))


def _from_parts(*given: exp.Expression) -> exp.Expression:
    parts = dict(zip(("y", "mo", "d", "h", "mi", "s", "n"), given, strict=True))
    return exp.paren(_duck("make_timestamp(:y, :mo, :d, :h, :mi, :s + :n / 1000000000)", **parts))


def _tz_from_parts(*given: exp.Expression) -> exp.Expression:
    assert given[-1].name == "UTC"
    return _utc(_from_parts(*given[:-1]))


def _regexp_replace(subject: exp.Expression, pattern: exp.Expression, replacement: exp.Expression, *rest: exp.Expression) -> exp.Expression:
    assert [each.name for each in rest] == ["1", "0", "s"]
    return exp.paren(_duck("regexp_replace(:s, :p, :r, 'gs')", s=subject, p=pattern, r=replacement))


def _transform(array: exp.Expression, function: exp.Expression) -> exp.Expression:
    assert isinstance(function, exp.Lambda), function
    return exp.paren(_duck("list_transform(:array, lambda v: CAST(v AS DOUBLE))", array=array))


_ROUNDS = " ".join(f"WHEN {each} THEN CAST(round(number, {each}) AS DECIMAL(38, 15))" for each in range(-8, 16))
_ROUNDED_AT = f"CREATE MACRO rounded_at(number, places) AS CASE CAST(places AS BIGINT) {_ROUNDS} END"
"""To a place that is known when it runs only, which DuckDB's own function does not take."""


def _of_any(name: str) -> Callable[..., exp.Expression]:
    return lambda *given: exp.Anonymous(this=name, expressions=list(given))


_FUNCTIONS: dict[str, Callable[..., exp.Expression]] = {
    **{name: _of_any(name) for name in ("MIN", "MAX", "COUNT_IF", "COALESCE", "NULLIF", "ABS", "LEAST", "FLOOR", "LENGTH", "LOG")},
    "ARRAY_CONTAINS": _named("list_contains(:list, :value)", "value", "list"),
    "CONCAT": _named(":one || :other", "one", "other"),
    "CONVERT_TIMEZONE": _convert_timezone,
    "DATEADD": _dateadd,
    "DATE_FROM_PARTS": _named("make_date(:y, :m, :d)", "y", "m", "d"),
    "DATE_TRUNC": _date_trunc,
    "GET": _named("element_at(CAST(:object AS MAP(VARCHAR, JSON)), :key)[1]", "object", "key"),
    "LEFT": _named("left(:text, :count)", "text", "count"),
    "MOD": _named(":number % :by", "number", "by"),
    "PARSE_JSON": _named("CAST(:text AS JSON)", "text"),
    "REGEXP_REPLACE": _regexp_replace,
    "RIGHT": _named("right(:text, CAST(:count AS BIGINT))", "text", "count"),
    "ROUND": _named("rounded_at(:number, :places)", "number", "places"),
    "RTRIM": _named("rtrim(:text, :these)", "text", "these"),
    "STARTSWITH": _named("starts_with(:text, :start)", "text", "start"),
    "SHA2": lambda message, bits: exp.paren(_duck("sha256(:message)", message=message)),
    "TIMESTAMP_NTZ_FROM_PARTS": _from_parts,
    "TIMESTAMP_TZ_FROM_PARTS": _tz_from_parts,
    "TO_BINARY": lambda text, form: exp.paren(_duck("encode(:text)", text=text)),
    "TO_VARCHAR": _to_varchar,
    "TRANSFORM": _transform,
}

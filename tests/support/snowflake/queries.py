"""Queries and changes of rows, run over DuckDB as far as the session may."""

from collections.abc import Sequence
from typing import Any

import duckdb
from sqlglot import exp

from tests.support.snowflake import refusals, systems
from tests.support.snowflake.catalog import Thing
from tests.support.snowflake.engine import Work
from tests.support.snowflake.reader import shown
from tests.support.snowflake.results import DELETE, INSERT, MERGE, SELECT, UPDATE, Result, ResultColumn, of_duckdb, status
from tests.support.snowflake.rewriting import Rewriter
from tests.support.snowflake.translating import parse, translate


def run(work: Work, text: str) -> Result:
    tree = parse(text)
    match tree:
        case exp.Query():
            return _select(work, tree)
        case exp.Insert():
            return _insert(work, tree)
        case exp.Update():
            return _change(work, tree, "UPDATE")
        case exp.Delete():
            return _change(work, tree, "DELETE")
        case exp.Merge():
            return _merge(work, tree)
        case exp.TruncateTable():
            thing = _target(work, tree.expressions[0], "TRUNCATE")
            _execute(work, f"DELETE FROM {thing.stored}")
            return status("Statement executed successfully.")
    raise refusals.Unknown(f"the statement {tree.key.upper()}")


def _select(work: Work, tree: exp.Query) -> Result:
    systems.call(work, tree)
    columns, rows = _fetched(work, _compiled(work, tree))
    return Result(columns, rows, SELECT)


def _compiled(work: Work, tree: exp.Query) -> str:
    _name_columns(tree)
    rewriter = Rewriter(work)
    rewriter.query(tree)
    if rewriter.reads:
        use_warehouse(work)
    work.running.named |= rewriter.named
    work.running.read |= {name for name in rewriter.reads if (thing := work.catalog.find("TABLE", name)) and thing.kind == "TABLE"}
    return _duckdb(work, tree)


def describe(work: Work, text: str) -> Sequence[ResultColumn]:
    """The columns that a query would have, read with the rights of the session."""
    tree = parse(text)
    if not isinstance(tree, exp.Query):
        raise refusals.Unknown("a view of anything but a query")
    _name_columns(tree)
    Rewriter(work).query(tree)
    return _fetched(work, f"SELECT * FROM ({_duckdb(work, tree)}) LIMIT 0")[0]


def into_table(work: Work, text: str, stored: str) -> Sequence[ResultColumn]:
    """CREATE TABLE … AS: the columns of the new table."""
    tree = parse(text)
    if not isinstance(tree, exp.Query):
        raise refusals.Unknown("CREATE TABLE … AS anything but a query")
    before = work.switches.row_policies, work.switches.masks
    if not work.switches.masks_on_writes:
        work.switches.row_policies = work.switches.masks = False
    try:
        sql = _compiled(work, tree)
    finally:
        work.switches.row_policies, work.switches.masks = before
    _execute(work, f"CREATE TABLE {stored} AS {sql}")
    return _fetched(work, f"SELECT * FROM {stored} LIMIT 0")[0]


def _name_columns(tree: exp.Query) -> None:
    """A column without a name is called by its text, as in Snowflake."""
    for select in [tree] if isinstance(tree, exp.Select) else [*tree.find_all(exp.Select)][:1]:
        for projection in [*select.expressions]:
            if not isinstance(projection, exp.Alias | exp.Column | exp.Star):
                name = projection.sql(dialect="snowflake").upper()
                projection.replace(exp.alias_(projection.copy(), name, quoted=True))


def use_warehouse(work: Work) -> None:
    name = work.session.warehouse
    if name is None and work.session.user == "SYSTEM":
        return  # a task without a warehouse has compute of its own
    warehouse = work.catalog.find("WAREHOUSE", (name,)) if name else None
    if warehouse is None or not work.access.holds("USAGE", warehouse):
        raise refusals.no_warehouse()
    if warehouse.state == "suspended" and warehouse.settings.get("AUTO_RESUME") is False:
        raise refusals.no_warehouse()
    warehouse.state = "started"
    work.running.warehouse = name


def _target(work: Work, table: exp.Expression, *privileges: str) -> Thing:
    if isinstance(table, exp.Schema):
        table = table.this
    assert isinstance(table, exp.Table)
    thing = work.access.get("TABLE", tuple(part.name for part in table.parts))
    for privilege in privileges:
        work.access.require(privilege, thing)
    if thing.kind != "TABLE":
        raise refusals.Refusal("001789", "0A000", f"SQL compilation error:\n{shown(thing.name)} is a view, and cannot be changed.")
    use_warehouse(work)
    return thing


def _insert(work: Work, tree: exp.Insert) -> Result:
    """Columns that are left out get their defaults."""
    if tree.args.get("overwrite"):
        raise refusals.Unknown("INSERT OVERWRITE")
    thing = _target(work, tree.this, "INSERT")
    named = [part.name for part in tree.this.expressions] if isinstance(tree.this, exp.Schema) else [one.name for one in thing.columns]
    for name in named:
        if name not in [column.name for column in thing.columns]:
            raise refusals.invalid_identifier(shown((name,)))
    source = tree.expression
    Rewriter(work).query(source)
    filled = [column for column in thing.columns if column.name not in named and column.default]
    columns = ", ".join(exp.to_identifier(name, quoted=True).sql("duckdb") for name in (*named, *(one.name for one in filled)))
    defaults = "".join(f", {_duckdb(work, parse(str(one.default)))}" for one in filled)
    body = _duckdb(work, source)
    count = _execute(work, f"INSERT INTO {thing.stored} ({columns}) SELECT _s.*{defaults} FROM ({body}) AS _s")
    return Result((ResultColumn("number of rows inserted", "fixed"),), [(count,)], INSERT)


def _change(work: Work, tree: exp.Update | exp.Delete, verb: str) -> Result:
    thing = _target(work, tree.this, verb)
    if tree.args.get("from_") or tree.args.get("from") or tree.args.get("using"):
        raise refusals.Unknown(f"{verb} with other tables")
    alias = tree.this.alias or thing.name[-1]
    rewriter = Rewriter(work)
    for part in ("where", "expressions"):
        for node in [tree.args.get(part)] if part == "where" else tree.args.get(part) or []:
            if node is not None:
                rewriter.query(node)
    tree.set("this", exp.alias_(exp.to_table(thing.stored), alias, table=True, quoted=True))
    condition = rewriter.row_condition(thing, alias)
    if condition is not None:
        where = tree.args.get("where")
        tree.set("where", exp.Where(this=exp.and_(where.this, condition) if where else condition))
    count = _execute(work, _duckdb(work, tree))
    names = ("updated", UPDATE) if verb == "UPDATE" else ("deleted", DELETE)
    columns = [ResultColumn(f"number of rows {names[0]}", "fixed")]
    if verb == "UPDATE":
        columns.append(ResultColumn("number of multi-joined rows updated", "fixed"))
    return Result(tuple(columns), [(count, 0)[: len(columns)]], names[1])


def _merge(work: Work, tree: exp.Merge) -> Result:
    thing = _target(work, tree.this, "SELECT", "INSERT", "UPDATE")
    if thing.row_policy is not None:
        raise refusals.Unknown("MERGE into a table with a row access policy")
    alias = tree.this.alias or thing.name[-1]
    using = tree.args["using"]
    if isinstance(using, exp.Table):
        wrapped = exp.select("*").from_(using.copy())
        Rewriter(work).query(wrapped)
        using.replace(exp.Subquery(this=wrapped, alias=exp.TableAlias(this=exp.to_identifier(using.alias or using.name, quoted=True))))
    else:
        Rewriter(work).query(using)
    tree.this.replace(exp.alias_(exp.to_table(thing.stored), alias, table=True, quoted=True))
    count = _execute(work, _duckdb(work, tree))
    return Result((ResultColumn("number of rows inserted", "fixed"), ResultColumn("number of rows updated", "fixed")), [(count, 0)], MERGE)


def _duckdb(work: Work, tree: exp.Expression) -> str:
    return str(translate(tree, work).sql("duckdb", identify=True, copy=False))


def _execute(work: Work, sql: str) -> int:
    """How many rows changed, where DuckDB says so."""
    try:
        rows = work.session.cursor.execute(sql).fetchall()
    except duckdb.Error as error:
        raise _refusal(error) from error
    return int(rows[0][0]) if rows and isinstance(rows[0][0], int) else 0


def _fetched(work: Work, sql: str) -> tuple[tuple[ResultColumn, ...], list[Sequence[Any]]]:
    try:
        cursor = work.session.cursor.execute(sql)
        rows = cursor.fetchall()
    except duckdb.Error as error:
        raise _refusal(error) from error
    return tuple(of_duckdb(column[0], str(column[1])) for column in cursor.description or ()), rows


def _refusal(error: duckdb.Error) -> refusals.Refusal:
    """DuckDB's own words, so that what the stand-in translates badly is found."""
    text = str(error).splitlines()[0]
    match error:
        case duckdb.BinderException():
            return refusals.Refusal("000904", "42000", f"SQL compilation error: error line 1 at position 7\ninvalid identifier ({text})")
        case duckdb.ConstraintException():
            return refusals.Refusal("100072", "22000", f"NULL result in a non-nullable column ({text})")
        case duckdb.ConversionException():
            return refusals.Refusal("100038", "22018", f"value is not recognized ({text})")
    return refusals.failed(text)

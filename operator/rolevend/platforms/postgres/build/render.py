"""Render the SQL that builds templates and profiles. Pure: `rolevend platform plan` prints the SQL that runs, and tests compare texts.

A **template** is a role `rv_t_<hash>` that owns views of one table, with a row policy for it. Its name is a digest of the cluster, the
table and the filter's text: equal filters share a template. A **profile** is a role and a schema of the same name with one view per table.
Both are created in transactions.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, LiteralString

from psycopg import sql

from rolevend.catalog import TableId
from rolevend.errors import InvalidInput
from rolevend.model import ClusterId, ProfileName
from rolevend.plan import ColumnShape, Profile, TableShape, ViewComment
from rolevend.platforms.postgres.build.masks import mask_text
from rolevend.platforms.postgres.build.predicate import any_of
from rolevend.policy.expression import Condition, atoms
from rolevend.policy.mask import Nullify

LOCK_TIMEOUT: LiteralString = "200ms"
"""The lock timeout of build statements: readers queue behind them."""
_SHORT_LOCK_TIMEOUT: LiteralString = "20ms"
"""The lock timeout of a build that only brings comments up to date: it gives way to readers."""

_QUICK = "SET LOCAL synchronous_commit = off;"
"""The profile's transaction, which follows, is synchronous and flushes this one too."""
_LAYOUT = "1"
"""Part of every template's name: templates of a rolevend with another layout are never reused."""

_FORM = 2
"""The version of the views' form; the installation refuses to vend profiles of an older form."""

_TEMPLATE: LiteralString = """\
SELECT rolevend.govern({table_text});
CREATE POLICY {template} ON {table} AS RESTRICTIVE FOR SELECT TO {template}
    USING ({rows});
CREATE POLICY {open} ON {table} AS PERMISSIVE FOR SELECT TO {template}
    USING ({rows});
GRANT SELECT ON TABLE {table} TO {template};
SELECT rolevend.record_template({record});"""

_GONE: LiteralString = """\
DROP POLICY IF EXISTS {template} ON {table};
DROP POLICY IF EXISTS {open} ON {table};"""

_PROFILE: LiteralString = """\
CREATE SCHEMA {profile};
GRANT USAGE ON SCHEMA {profile} TO {profile};
{views}{comments}
GRANT SELECT ON ALL TABLES IN SCHEMA {profile} TO {profile};
SELECT rolevend.hand_over({name}, {owners});
SELECT rolevend.record_profile({name}, {cluster}, {digest}, {templates}, {tables}, {form});"""

_VIEW: LiteralString = """\
CREATE VIEW {view} AS
    SELECT {columns}
      FROM (SELECT {read}
              FROM {table} AS s
             WHERE {gate}) AS t;"""

_GATE: LiteralString = "SELECT rolevend.guarded({table_text}::regclass) AND rolevend.reads({schema}, {name})"

_FUNCTIONS: LiteralString = "SELECT rolevend.give_functions({name}, {functions}::text[]::regprocedure[]);"


@dataclass(frozen=True, slots=True)
class Template:
    """One filter of one table."""

    name: str
    table: TableId
    create: str
    """One transaction that creates its policies, after `roles` created its role."""
    renew: str
    """The same if policies of it may exist."""


@dataclass(frozen=True, slots=True)
class PostgresProfileText:
    name: ProfileName
    digest: str
    """A digest of all parts of the profile."""
    templates: tuple[Template, ...]
    create: str
    renew: str
    comment: str
    """As `renew`, but gives up soon if a view is in use."""
    comments: frozenset[ViewComment]
    """Not part of `digest`: views are not built again where they are in use because of a comment."""


def render(profile: Profile, cluster: ClusterId) -> PostgresProfileText:
    """Return the SQL for `profile`."""
    owners = {table.view: template_of(table, cluster) for table in profile.tables}
    templates = {template.name: template for template in owners.values()}
    if not templates:
        raise InvalidInput("", f"profile {profile.name} has no tables")
    views = _lines([_view(profile.name, table) for table in profile.tables])
    functions = _functions(profile)
    parts = [*(template.create for template in templates.values()), views, *functions]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    body = (
        sql.SQL(_PROFILE)
        .format(
            profile=sql.Identifier(profile.name),
            name=sql.Literal(profile.name),
            views=sql.SQL(views),
            comments=sql.SQL("".join(f"\n{_comment(profile.name, each)}" for each in profile.comments)),
            owners=_json({view: template.name for view, template in owners.items()}),
            cluster=sql.Literal(cluster),
            digest=sql.Literal(digest),
            templates=_array(templates),
            tables=_json({table.view: [table.table.schema, table.table.name] for table in profile.tables}),
            form=sql.Literal(_FORM),
        )
        .as_string()
    )
    create = sql.SQL("SELECT rolevend.make_profile({});").format(sql.Literal(profile.name)).as_string()
    renew = sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE;").format(sql.Identifier(profile.name)).as_string()
    return PostgresProfileText(
        profile.name,
        digest,
        tuple(templates.values()),
        create=_transaction(create, body, *functions),
        renew=_transaction(renew, body, *functions),
        comment=_transaction(renew, body, *functions, lock_timeout=_SHORT_LOCK_TIMEOUT),
        comments=frozenset(profile.comments),
    )


def _comment(profile: ProfileName, comment: ViewComment) -> str:
    """Return the statement. It runs before the views are handed over, because only an owner may comment."""
    on = sql.SQL("VIEW") if comment.column is None else sql.SQL("COLUMN")
    name = sql.Identifier(*(each for each in (profile, comment.view, comment.column) if each is not None))
    return sql.SQL("COMMENT ON {} {} IS {};").format(on, name, sql.Literal(comment.text)).as_string()


def _functions(profile: Profile) -> list[str]:
    """Return the signatures of the functions, which the server parses as names only."""
    if not profile.functions:
        return []
    signatures = (f"{sql.Identifier(each.schema, each.name).as_string()}({each.arguments})" for each in profile.functions)
    return [sql.SQL(_FUNCTIONS).format(name=sql.Literal(profile.name), functions=_array(signatures)).as_string()]


def roles(templates: Sequence[Template]) -> str:
    """Return one transaction that creates the missing roles of `templates`. Alone they have no privileges."""
    return _transaction(_QUICK, sql.SQL("SELECT rolevend.make_templates({});").format(_array(each.name for each in templates)).as_string())


def template_of(table: TableShape, cluster: ClusterId) -> Template:
    """Return the template that shows rows of `table`. Both its policies have the same test: dropping one manually shows no more rows."""
    rows = row_filter(table.rows, table.restrictions)
    key = [_LAYOUT, cluster, table.table.schema, table.table.name, rows]
    name = "rv_t_" + hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]
    quoted = sql.Identifier(table.table.schema, table.table.name).as_string()
    words = {
        "template": sql.Identifier(name).as_string(),
        "open": sql.Identifier(f"{name}_open").as_string(),
        "table": quoted,
        "table_text": sql.Literal(quoted).as_string(),
        "rows": rows,
        "record": ", ".join(sql.Literal(text).as_string() for text in (name, cluster, table.table.schema, table.table.name)),
    }
    body, renew = _TEMPLATE.format(**words), _GONE.format(**words)
    return Template(name, table.table, _transaction(_QUICK, body), _transaction(_QUICK, renew, body))


@lru_cache(maxsize=512)
def row_filter(rows: tuple[Condition, ...], restrictions: tuple[tuple[Condition, ...], ...]) -> str:
    """Return the test of a template's policies: the lease is live, one row condition holds, and one of each restriction.

    `rolevend.attr` raises without a live lease. So `rolevend.live` is tested only if no condition needs an attribute: row security
    evaluates it for every row. Cached, because a policy filters many tables in the same way.
    """
    alternatives = (rows, *restrictions)
    tests = [text for each in alternatives if (text := any_of(each, sql.Identifier)) is not None]
    if not any(all(condition.needs for condition in each) for each in alternatives):
        tests.insert(0, _once(sql.SQL("SELECT rolevend.live()"), "tableoid"))
    return sql.SQL(" AND ").join(tests).as_string()


def _once(gate: sql.Composable, tableoid: LiteralString) -> sql.Composable:
    """Return a test that evaluates `gate`, which returns true or raises, once per query: at the first row that reaches it.

    A bare boolean counts as half of the rows when the planner estimates, and IS NOT NULL as nearly all of them. A test without a
    column becomes a plan node that copies every column of every row; `tableoid`, which is never NULL, keeps the test in the scan.
    """
    return sql.SQL("(({gate}) IS NOT NULL OR {tableoid} IS NULL)").format(gate=gate, tableoid=sql.SQL(tableoid))


@lru_cache(maxsize=4096)
def _shown(column: ColumnShape) -> str:
    """Return the text of a view's column. Cached, because tables have many equal columns."""
    return sql.SQL("{} AS {}").format(column_text(column), sql.Identifier(column.name)).as_string()


def column_text(column: ColumnShape) -> sql.Composable:
    """Return the value of a view's column: the first matching cell, else NULL."""
    name = _of_table(column.name)
    whens: list[sql.Composable] = []
    for cell in column.cells:
        shown = mask_text(cell.mask, name, column.family, column.native_type)
        tests = [text for each in (cell.conditions, cell.also) if each and (text := any_of(each, _of_table)) is not None]
        if not tests:
            return shown if not whens else _case(whens, shown)
        whens.append(sql.SQL("WHEN {} THEN {}").format(sql.SQL(" AND ").join(tests), shown))
    nothing = mask_text(Nullify(), name, column.family, column.native_type)
    return _case(whens, nothing) if whens else nothing


def _case(whens: Sequence[sql.Composable], otherwise: sql.Composable) -> sql.Composable:
    return sql.SQL("CASE {} ELSE {} END").format(sql.SQL(" ").join(whens), otherwise)


def _of_table(column: str) -> sql.Composable:
    return sql.SQL("t.{}").format(sql.Identifier(column))


def _view(profile: ProfileName, table: TableShape) -> str:
    """Return the view's query.

    The inner query reads the table behind the fence; the outer one computes masks, so that neither an agent's condition nor a mask is
    evaluated on hidden rows. The inner query tests the lease again, so that disabling row security shows nothing; only it tests whether the
    lease is narrowed to other tables, because the view is the only way to the table.
    """
    columns = sql.SQL(",\n           ").join(sql.SQL(_shown(column)) for column in table.columns)
    quoted = sql.Identifier(table.table.schema, table.table.name)
    # Test the gate before any row: a condition on a lookup column must not decide whether the gate raises.
    has_lookups = any(column.lookup for column in table.columns)
    gate = sql.SQL(_GATE).format(
        table_text=sql.Literal(quoted.as_string()), schema=sql.Literal(table.table.schema), name=sql.Literal(table.table.name)
    )
    return (
        sql.SQL(_VIEW)
        .format(
            view=sql.Identifier(profile, table.view),
            columns=columns,
            read=sql.SQL(",\n                   ").join(_read(table)),
            table=quoted,
            gate=_once(gate, "s.tableoid") if not has_lookups else sql.SQL("({}) IS NOT NULL").format(gate),
        )
        .as_string()
    )


def _read(table: TableShape) -> Iterator[sql.Composable]:
    """Yield every column of the view in the table's order, and the columns that its masks test, behind the fence unless it is a lookup
    column.

    Columns that the view shows as NULL are included: if all columns of the table are read, PostgreSQL passes rows on as stored instead of
    copying each column. A view without columns reads one NULL.
    """
    shown = [column.name for column in table.columns]
    lookups = {column.name for column in table.columns if column.lookup}
    names = [*shown, *sorted(_tested(table) - set(shown))]
    for name in names:
        value = sql.SQL("s.{}").format(sql.Identifier(name))
        yield sql.SQL("{} AS {}").format(value if name in lookups else sql.SQL("rolevend.fence({})").format(value), sql.Identifier(name))
    if not names:
        yield sql.SQL("rolevend.fence(NULL::integer) AS nothing")


def _tested(table: TableShape) -> set[str]:
    """Return the columns that conditions of masks read."""
    cells = (cell for column in table.columns for cell in column.cells)
    predicates = (each.predicate for cell in cells for each in (*cell.conditions, *cell.also))
    return {atom.column.name for each in predicates if each is not None for atom in atoms(each)}


def _array(names: Iterable[str]) -> sql.Composed:
    return sql.SQL("ARRAY[{}]").format(sql.SQL(", ").join(sql.Literal(name) for name in names))


def _json(value: Mapping[str, Any]) -> sql.Literal:
    return sql.Literal(json.dumps(value, ensure_ascii=False, sort_keys=True))


def _transaction(*statements: str, lock_timeout: LiteralString = LOCK_TIMEOUT) -> str:
    return _lines(["BEGIN;", f"SET LOCAL lock_timeout = '{lock_timeout}';", *statements, "COMMIT;"])


def _lines(statements: Sequence[str]) -> str:
    return "\n".join(statements)

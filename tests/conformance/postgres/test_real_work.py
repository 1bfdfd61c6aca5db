"""Analysts' SQL through vended roles, against the same SQL on tables that were filtered and masked beforehand, by the oracle."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import psycopg
import pytest
from psycopg import sql

from rolevend.catalog import Catalog, Table
from rolevend.model import Attributes
from rolevend.plan import attribute_keys, plan
from rolevend.policy.decision import Entitlement, decide
from rolevend.policy.index import compile_policies
from tests.conformance.bench import CLUSTER, PostgresBench, PostgresSession, lease, vend
from tests.conformance.filling import copied, masked, salted_hash
from tests.support.analysts import GUARDRAILS, POLICIES, STATEMENTS, TABLES, USERS, content
from tests.support.oracle import expected

ROWS = content()
NO_COLUMN = "42703"


@pytest.mark.parametrize("person", USERS)
def test_an_analysts_statement_answers_as_on_tables_that_were_filtered_and_masked_before(bench: PostgresBench, person: str):
    user = USERS[person]
    bench.run("CREATE SCHEMA work AUTHORIZATION app_owner")
    try:
        for table in TABLES:
            assert bench.table([(each.name, each.native_type) for each in table.columns], name=table.id.name, schema="work") == table
            copied(bench, table, ROWS[table.id])
        vended, prepared = as_agent(bench, user), as_prepared(bench, user)
        answers = {statement: (answer(vended, statement), answer(prepared, statement)) for statement in STATEMENTS}
    finally:
        bench.run("DROP SCHEMA work CASCADE; DROP SCHEMA IF EXISTS prepared CASCADE")

    differing = {statement: both for statement, both in answers.items() if both[0] != both[1]}
    assert differing == {}
    failing = {statement: seen for statement, (seen, _) in answers.items() if not isinstance(seen, list) and seen != NO_COLUMN}
    assert failing == {}, "statements that fail alike on both sides are no proof of anything"
    outcomes = Counter(("rows" if seen else "none") if isinstance(seen, list) else "refused" for seen, _ in answers.values())
    assert outcomes["rows"] >= 30, f"statements that find nothing, or not their columns, show nothing here: {outcomes}"


def answer(session: PostgresSession, statement: str) -> list[tuple[Any, ...]] | str | None:
    """Its rows in their order, or the SQLSTATE of what it is refused with."""
    try:
        return session.rows(statement)
    except psycopg.Error as error:
        return error.sqlstate


def as_agent(bench: PostgresBench, user: Attributes) -> PostgresSession:
    decision = decide(user, compile_policies(Catalog.of(TABLES), POLICIES, GUARDRAILS))
    assert isinstance(decision, Entitlement)
    profile = plan(decision, CLUSTER)
    return bench.log_in(vend(bench.platform, profile, lease(profile, **dict(user.only(attribute_keys(profile))))))


def as_prepared(bench: PostgresBench, user: Attributes) -> PostgresSession:
    """What the oracle says that the user may see, in tables of the same names."""
    bench.run("CREATE SCHEMA prepared")
    for table in TABLES:
        columns, rows = seen(table, user, bench)
        made = ", ".join(f"{column.name} {column.native_type}" for column in columns)
        bench.run(f"CREATE TABLE prepared.{table.id.name} ({made})")
        with bench.admin.cursor() as cursor, cursor.copy(sql.SQL(f"COPY prepared.{table.id.name} FROM STDIN")) as copy:
            for row in rows:
                copy.write_row(row)
    session = bench.as_superuser()
    session.run("SET search_path = prepared")
    return session


def seen(table: Table, user: Attributes, bench: PostgresBench) -> tuple[list[Any], Sequence[tuple[object, ...]]]:
    rows = ROWS[table.id]
    wanted = expected(POLICIES, table, user, rows, GUARDRAILS, catalog=TABLES)
    names = {name for masks in wanted if masks for name in masks}
    columns = [column for column in table.columns if column.name in names]
    return columns, list(masked(wanted, rows, table, [column.name for column in columns], salted_hash(bench)))

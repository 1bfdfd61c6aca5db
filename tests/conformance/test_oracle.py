"""Random policies for users and for agents over random rows, on a real PostgreSQL, against an oracle that runs each policy alone: nothing
leaks, and nothing is hidden that should be seen."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from rolevend.catalog import Catalog, Table
from rolevend.model import Attributes
from rolevend.plan import Lease, Profile, attribute_keys, plan
from rolevend.platforms.base import Ending, EndReason
from rolevend.policy.asking import Asking
from rolevend.policy.combination import Combination
from rolevend.policy.decision import decide
from rolevend.policy.index import compile_policies
from rolevend.policy.refusal import Denial
from rolevend.policy.statement import Guardrail, Policy
from tests.conformance.bench import CLUSTER, PostgresBench, lease, vend
from tests.support.oracle import expected, shown, visible
from tests.support.policies import EVERY_FAMILY, agents, guardrails, of_both_sides, rows, users

RANDOM = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], database=None
)


@pytest.fixture(scope="module")
def claims(installed_bench: PostgresBench) -> Iterator[Table]:
    """A table with one column of every family, and the secret that hashes are made with."""
    bench = installed_bench
    bench.run("CREATE SCHEMA claims AUTHORIZATION app_owner")
    columns = [(column.name, column.native_type) for column in EVERY_FAMILY.columns]
    yield bench.table(columns, name="people", schema="claims")
    bench.run("DROP SCHEMA claims CASCADE")


@RANDOM
@given(
    policies=of_both_sides(),
    rows=rows(),
    user=users(),
    guardrails=guardrails(),
    agent=agents(),
    combination=st.sampled_from(Combination),
)
def test_the_platform_shows_what_policies_and_guardrails_say(
    bench: PostgresBench, claims: Table, policies, rows, user, guardrails, agent, combination
):
    assert claims == EVERY_FAMILY
    fill(bench, rows)
    wanted = expected(policies, claims, user, rows, guardrails, agent, combination)
    answer = read(bench, claims, policies, user, guardrails, Asking(agent_attributes=agent, combination=combination))
    if answer is None:
        assert all(row is None for row in wanted)
        return
    columns, seen = answer
    hash_of = salted_hash(bench)
    assert Counter(seen) == Counter(
        tuple(visible(masks[name], row[name], family_of(claims, name), hash_of) for name in columns)
        for masks, row in zip(wanted, rows, strict=True)
        if masks is not None
    )


@RANDOM
@given(
    policies=of_both_sides(),
    guardrails=guardrails(),
    rows=rows(),
    user=users(),
    agent=agents(),
    combination=st.sampled_from(Combination),
    lost=st.sets(st.sampled_from(["countries", "levels", "born", "flags"])),
)
def test_a_lease_without_an_attribute_closes_the_conditions_that_need_it(
    bench: PostgresBench, claims: Table, policies, guardrails, rows, user, agent, combination, lost
):
    """Which the vend refuses to make, and the platform closes all the same."""
    asking = Asking(agent_attributes=agent, combination=combination)
    decision = decide(user, compile_policies(Catalog.of([claims]), policies, guardrails), asking)
    if isinstance(decision, Denial):
        return
    fill(bench, rows)
    profile = plan(decision, CLUSTER)
    (table,) = profile.tables
    left = Attributes(tuple(item for item in user if item[0] not in lost))
    _, seen = read_as(bench, profile, left)
    hash_of = salted_hash(bench)
    assert Counter(seen) == Counter(
        tuple(visible(mask, row[name], family_of(claims, name), hash_of) for name, mask in masks.items())
        for masks, row in zip(shown(table, left, rows), rows, strict=True)
        if masks is not None
    )


def read(
    bench: PostgresBench, table: Table, given: Sequence[Policy], user: Attributes, guardrails: Sequence[Guardrail], asking: Asking
) -> tuple[list[str], list[tuple[Any, ...]]] | None:
    """(columns, rows) as an agent of this user sees them through a vended role; None where the decision is a denial."""
    decision = decide(user, compile_policies(Catalog.of([table]), given, guardrails), asking)
    if isinstance(decision, Denial):
        return None
    return read_as(bench, plan(decision, CLUSTER), user)


def read_as(bench: PostgresBench, profile: Profile, user: Attributes) -> tuple[list[str], list[tuple[Any, ...]]]:
    made: Lease = lease(profile, **dict(user.only(attribute_keys(profile))))
    session = bench.log_in(vend(bench.platform, profile, made))
    try:
        columns = [column.name for column in profile.tables[0].columns]
        session.run("SET datestyle = 'ISO, DMY'; SET timezone = 'Asia/Kathmandu'")  # which must not matter
        return columns, session.rows("SELECT * FROM people")
    finally:
        session.close()
        bench.platform.drop([Ending(made.role, made.uid, EndReason.RELEASED)])


def fill(bench: PostgresBench, rows: Sequence[Mapping[str, object]]) -> None:
    bench.run("TRUNCATE claims.people")
    names = [column.name for column in EVERY_FAMILY.columns]
    marks = sql.SQL(", ").join(sql.Placeholder() * len(names))
    with bench.admin.cursor() as cursor:
        cursor.executemany(sql.SQL("INSERT INTO claims.people VALUES ({})").format(marks), [[row[name] for name in names] for row in rows])


def salted_hash(bench: PostgresBench):
    salt = bench.value("SELECT salt FROM rolevend.salt")
    return lambda text: hashlib.sha256(salt + text.encode()).hexdigest()


def family_of(table: Table, name: str):
    column = table.column(name)
    assert column is not None
    return column.family

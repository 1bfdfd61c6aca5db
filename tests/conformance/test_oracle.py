"""Random catalogs, policies for people and for agents, and guardrails, on a real PostgreSQL, against an oracle that runs each policy alone:
nothing leaks, and nothing is hidden that should be seen."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg import sql
from psycopg.errors import InsufficientPrivilege

from rolevend.catalog import Catalog, Family, Table, TableId
from rolevend.model import Attributes
from rolevend.plan import Lease, Profile, attribute_keys, plan
from rolevend.platforms.protocol import DropRequest, EndReason
from rolevend.policy.decision import decide
from rolevend.policy.expression import Predicate
from rolevend.policy.index import compile_policies
from rolevend.policy.predicate import parse
from rolevend.policy.refusal import Denial
from rolevend.policy.request_context import Combination, RequestContext
from tests.conformance.bench import CLUSTER, PostgresBench, PostgresSession, lease, quoted, vend
from tests.conformance.filling import copied, masked, salted_hash
from tests.conformance.protocol import Bench
from tests.support.offered import OfferCase, offer_cases
from tests.support.oracle import Finding, expected, shown
from tests.support.oracle_offers import approvals, narrowings, of_a_role
from tests.support.oracle_rows import Row, plain, written
from tests.support.policies import EVERY_FAMILY, agents, column, guardrails, of_both_sides, rows, users
from tests.support.tiers import by_tier
from tests.support.worlds import OWN_SCHEMA, SCHEMA, TABLES, Case, cases
from tests.support.worlds import rows as rows_of

CELLS = int(os.environ.get("ROLEVEND_ORACLE_CELLS", by_tier("500_000", "1_000_000")))
"""At least so many are compared on each version of PostgreSQL."""
OFTEN = {"Clear", "Partial", "Round", "Constant", "Nullify", "Hidden"}
SHOWN = by_tier(OFTEN, {*OFTEN, "DateTrunc", "Regex", "Hash"})
CELLS_OF_OFFERS = by_tier(10_000, 300_000)
"""The same for roles with an approval. Without a database a million are compared, in `tests/unit/policy/test_offers_per_cell.py`."""
ROWS = 500
CASES = 2 * CELLS // (ROWS * sum(len(table.columns) for table in TABLES))
"""Twice as many as it takes: not everybody is granted something."""
RANDOM = settings(
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
        HealthCheck.data_too_large,
    ],
)


@dataclass
class World:
    """What is in TABLES."""

    rows: Mapping[str, Sequence[Row]]
    hash_of: Callable[[str], str]


@dataclass
class Tally:
    cells: int = 0
    shown: Counter[str] = field(default_factory=Counter)
    """Cells by the kind of their mask; a row that is not there has cells that are `Hidden`."""


@pytest.fixture(scope="module")
def world(installed_bench: PostgresBench) -> Iterator[World]:
    bench = installed_bench
    for schema in (SCHEMA, OWN_SCHEMA):
        bench.run(f"CREATE SCHEMA {schema} AUTHORIZATION app_owner")
    content = {table.id.name: rows_of(table, ROWS, seed) for seed, table in enumerate(TABLES)}
    for table in TABLES:
        assert bench.table([(each.name, each.native_type) for each in table.columns], name=table.id.name, schema=table.id.schema) == table
        copied(bench, table, content[table.id.name])
    bench.run("SET timezone = 'UTC'")
    yield World(content, salted_hash(bench))
    bench.run(f"DROP SCHEMA {SCHEMA}, {OWN_SCHEMA} CASCADE")


def test_the_platform_shows_what_policies_and_guardrails_say(bench: PostgresBench, world: World):
    tally = Tally()

    @settings(RANDOM, max_examples=CASES)
    @given(case=cases())
    def compare(case: Case) -> None:
        answer = read(bench, case)
        for table in case.tables:
            here = world.rows[table.id.name]
            wanted = expected(
                case.policies,
                table,
                case.user,
                here,
                case.guardrails,
                case.agent,
                case.combination,
                asked=case.asked,
                resources=case.resources,
                catalog=case.tables,
                finding=asked(bench, table, case.user),
            )
            columns, seen = answer.get(table.id.name, ([], []))
            differing = difference(Counter(seen), Counter(masked(wanted, here, table, columns, world.hash_of)))
            assert not differing, f"{table.id}, columns {', '.join(columns)}: {differing}"
            if answer:
                tally.cells += len(here) * len(table.columns)
                for masks, count in Counter(map(id, wanted)).items():
                    these = next(each for each in wanted if id(each) == masks) or {}
                    for mask in these.values():
                        tally.shown[type(mask).__name__] += count
                    tally.shown["Hidden"] += count * (len(table.columns) - len(these))

    compare()
    assert tally.cells >= CELLS, tally
    assert {kind for kind, count in tally.shown.items() if count} >= SHOWN, tally


def test_a_role_with_an_approval_shows_what_standing_grants_and_the_approved_part_of_the_offer_say(bench: PostgresBench, world: World):
    tally = Counter[str]()

    @settings(RANDOM, max_examples=CELLS_OF_OFFERS // 250)
    @given(case=offer_cases())
    def compare(case: OfferCase) -> None:
        role, yes = case.vended(CLUSTER), approvals(case.wanted, case.offer.id, case.votes)
        if role is None:
            return
        assert yes is not None
        answer = read_as(bench, role.profile, case.case.user)
        given = narrowings(case.wanted, yes)
        for table in case.case.tables:
            here = world.rows[table.id.name]
            wanted = of_a_role(case.world, given, table, here, asked(bench, table, case.case.user))
            columns, seen = answer.get(table.id.name, ([], []))
            differing = difference(Counter(seen), Counter(masked(wanted, here, table, columns, world.hash_of)))
            assert not differing, f"{table.id}, columns {', '.join(columns)}: {differing}"
            tally["cells"] += len(here) * len(table.columns)
            tally["shown"] += len(seen) * len(columns)

    compare()
    assert tally["cells"] >= CELLS_OF_OFFERS, tally
    assert tally["shown"] > 0


def read(bench: PostgresBench, case: Case) -> dict[str, tuple[list[str], list[tuple[Any, ...]]]]:
    """Table -> columns, rows, as an agent sees them through a vended role; {} where the decision is a denial. Row filters are given as
    a person writes them."""
    given = [replace(each, row_filter=reparsed(each.row_filter)) for each in case.policies]
    guarding = [replace(each, row_restriction=reparsed(each.row_restriction)) for each in case.guardrails]
    decision = decide(case.user, compile_policies(Catalog.of(case.tables), given, guarding), case.asking)
    return {} if isinstance(decision, Denial) else read_as(bench, plan(decision, CLUSTER), case.user, case.resources)


def reparsed(predicate: Predicate | None) -> Predicate | None:
    return None if predicate is None else parse(written(predicate))


def read_as(
    bench: PostgresBench, profile: Profile, user: Attributes, resources: Collection[TableId] | None = None
) -> dict[str, tuple[list[str], list[tuple[Any, ...]]]]:
    narrowed = None if resources is None else tuple(sorted(resources))
    made: Lease = replace(lease(profile, **dict(user.only(attribute_keys(profile)))), resources=narrowed)
    session = bench.log_in(vend(bench.platform, profile, made))
    try:
        session.run("SET datestyle = 'ISO, DMY'; SET timezone = 'Asia/Kathmandu'")  # which must not matter
        return {
            table.table.name: (
                [column.name for column in table.columns],
                rows_or_refusal(session, table.view, refused=resources is not None and table.table not in resources),
            )
            for table in profile.tables
        }
    finally:
        session.close()
        bench.platform.drop([DropRequest(made.role, made.uid, EndReason.RELEASED)])


def rows_or_refusal(session: PostgresSession, view: str, *, refused: bool) -> list[tuple[Any, ...]]:
    """Where it is `refused`, none."""
    statement = f"SELECT * FROM {quoted(view)}"
    if not refused:
        return session.rows(statement)
    with pytest.raises(InsufficientPrivilege, match="is narrowed to other tables"):
        session.rows(statement)
    return []


def asked(bench: PostgresBench, table: Table, user: Attributes) -> Finding:
    """Each row filter alone, as a statement of its own."""

    def find(predicate: Predicate) -> list[bool]:
        statement = f"SELECT id FROM {quoted(table.id.schema, table.id.name)} WHERE {plain(predicate, table, user)}"
        found = {number for (number,) in bench.admin.execute(sql.SQL(statement)).fetchall()}
        return [number in found for number in range(ROWS)]

    return find


def difference(seen: Counter[tuple[object, ...]], wanted: Counter[tuple[object, ...]]) -> str:
    """Empty where there is none."""
    leaked, lost = seen - wanted, wanted - seen
    told = [f"{each.total()} rows {what}, such as {next(iter(each))}" for each, what in ((leaked, "leak"), (lost, "are missing")) if each]
    return " and ".join(told)


@pytest.fixture(scope="module")
def people(installed_bench: PostgresBench) -> Iterator[Table]:
    """A table with one column of every family."""
    bench = installed_bench
    bench.run("CREATE SCHEMA claims AUTHORIZATION app_owner")
    columns = [(column.name, column.native_type) for column in EVERY_FAMILY.columns]
    yield bench.table(columns, name="people", schema="claims")
    bench.run("DROP SCHEMA claims CASCADE")


@settings(RANDOM, max_examples=by_tier(30, 60))
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
    bench: PostgresBench, people: Table, policies, guardrails, rows, user, agent, combination, lost
):
    """Which the vend refuses to make, and the platform closes all the same."""
    assert people == EVERY_FAMILY
    asking = RequestContext(agent_attributes=agent, combination=combination)
    decision = decide(user, compile_policies(Catalog.of([people]), policies, guardrails), asking)
    if isinstance(decision, Denial):
        return
    bench.run("TRUNCATE claims.people")
    copied(bench, people, rows)
    profile = plan(decision, CLUSTER)
    (table,) = profile.tables
    left = Attributes(tuple(item for item in user if item[0] not in lost))
    columns, seen = read_as(bench, profile, left)["people"]
    wanted = shown(table, left, rows)
    assert not difference(Counter(seen), Counter(masked(wanted, rows, people, columns, salted_hash(bench))))


PEOPLE = replace(EVERY_FAMILY, columns=(column("id", Family.INTEGER), *EVERY_FAMILY.columns))
FEW = 40
"""Rows of the table, in which every value of every family stands."""


def test_few_random_policies_through_the_whole_driver_show_what_they_say_on_every_platform(bench: Bench):
    here = bench.as_here(replace(PEOPLE, id=TableId(bench.schema(), "people")))
    content = rows_of(here, FEW, 7)
    columns = [(each.name, each.native_type) for each in here.columns]
    table = bench.table(columns, [[row[each.name] for each in here.columns] for row in content], name="people", schema=here.id.schema)
    assert table == here
    cells = Counter[str]()

    @settings(RANDOM, max_examples=24, phases=[Phase.generate])
    @given(
        policies=of_both_sides(here),
        guardrails=guardrails(here),
        user=users(),
        agent=agents(),
        combination=st.sampled_from(Combination),
    )
    def compare(policies, guardrails, user, agent, combination) -> None:
        asking = RequestContext(agent_attributes=agent, combination=combination)
        decision = decide(user, compile_policies(Catalog.of([table]), policies, guardrails), asking)
        wanted = expected(policies, table, user, content, guardrails, agent, combination)
        if isinstance(decision, Denial):
            assert not any(wanted)
            return
        of = plan(decision, CLUSTER)
        made = lease(of, **dict(user.only(attribute_keys(of))))
        session = bench.log_in(vend(bench.platform, of, made))
        bench.unsettle(session)
        names = [each.name for each in of.tables[0].columns]
        seen = session.rows(f"SELECT {', '.join(map(quoted, names))} FROM people")
        assert not difference(Counter(seen), Counter(masked(wanted, content, table, names, hash_of(bench))))
        cells["shown"] += sum(len(masks) for masks in wanted if masks)
        cells["hidden"] += sum(masks is None for masks in wanted)

    compare()
    assert min(cells["shown"], cells["hidden"] * 10) > 500, cells


def hash_of(bench: Bench) -> Callable[[str], str]:
    salt = bench.salt()
    return lambda text: hashlib.sha256(salt + text.encode()).hexdigest()

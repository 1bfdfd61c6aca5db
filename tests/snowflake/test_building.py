"""Profiles of many tables on the stand-in: what is sent, what is not sent again, and how a build that was cut short goes on."""

import logging
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from rolevend.catalog import Column, Family, Table, TableId
from rolevend.errors import Conflict, InvalidInput, PlatformBusy
from rolevend.platforms.protocol import Account
from rolevend.platforms.snowflake.build.builder import LONGEST, TOGETHER, render
from rolevend.policy.mask import Nullify
from tests.conformance.bench import CLUSTER, own, profile, shape, vended
from tests.conformance.snowflake_bench import DATABASE, SnowflakeBench, installed
from tests.support.snowflake import Fault, Harm, StandIn
from tests.support.snowflake.wire import Asked
from tests.support.waiting import DEADLINE

TABLES = TOGETHER + 10
WALL, VIEW = "ADD ROW ACCESS POLICY", "CREATE OR REPLACE SECURE VIEW"


@pytest.fixture(scope="module")
def bench() -> Iterator[SnowflakeBench]:
    with StandIn() as snowflake, installed(snowflake) as made:
        yield made


@pytest.fixture(scope="module")
def tables(bench: SnowflakeBench) -> list[Table]:
    return bench.tables(TABLES)


def sent(bench: SnowflakeBench, work: Callable[[], object]) -> str:
    """Every statement that came meanwhile."""
    before = len(bench.snowflake.requests)
    work()
    return "\n".join(each.sql for each in bench.snowflake.requests[before:] if each.sql)


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    """How many of the tables, and what they have, of each line that a build wrote."""
    lines = [each.message for each in caplog.records if each.name.endswith("snowflake.build.builder")]
    found = [re.fullmatch(rf"building a profile: (\d+) of {TABLES} tables have their (\w+)", each) for each in lines]
    return [(int(each[1]), each[2]) for each in found if each]


@pytest.mark.long
def test_a_build_that_is_cut_short_tells_how_far_it_is_and_goes_on_with_what_is_missing(
    bench: SnowflakeBench, tables: list[Table], caplog: pytest.LogCaptureFixture
):
    wanted = profile(*(shape(each) for each in tables))
    caplog.set_level(logging.INFO)
    bench.snowflake.account.faults.inject(Fault(Harm.REFUSED, lambda _, sql: f'"t{TABLES - 5}"' in sql and VIEW in sql))

    with pytest.raises(PlatformBusy):
        bench.platform.ensure(wanted)

    assert told(caplog) == [(0, "wall"), (TOGETHER, "wall"), (TABLES, "wall"), (0, "view"), (TOGETHER, "view")]
    assert not bench.platform.is_built(wanted.name)
    made = {row[1] for row in bench.admin.run(f"SHOW VIEWS IN SCHEMA ROLEVEND.{wanted.name.upper()}")}
    assert TOGETHER <= len(made) < TABLES

    again = sent(bench, lambda: bench.platform.ensure(wanted))

    assert (again.count(WALL), again.count(VIEW)) == (0, TABLES - len(made))
    assert told(caplog)[-1] == (TABLES, "view")
    vended(bench.platform, wanted)


class Meeting(list[Asked]):
    """Requests that came: of two that make views none is answered before both are there."""

    def __init__(self) -> None:
        super().__init__()
        self._both = threading.Barrier(2)

    def append(self, asked: Asked) -> None:
        super().append(asked)
        if VIEW in asked.sql:
            self._both.wait(DEADLINE)


@pytest.mark.long
def test_views_of_many_tables_are_made_in_several_sessions_at_once(
    bench: SnowflakeBench, tables: list[Table], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(bench.snowflake, "requests", Meeting())
    wanted = profile(*(shape(each, masks={"id": Nullify()}) for each in tables))

    assert sent(bench, lambda: bench.platform.ensure(wanted)).count(VIEW) == TABLES

    vended(bench.platform, wanted)


def test_what_is_built_is_not_built_again_and_another_process_asks_once(bench: SnowflakeBench, tables: list[Table]):
    wanted = profile(*(shape(each) for each in tables[:3]))
    bench.platform.ensure(wanted)
    assert sent(bench, lambda: bench.platform.ensure(wanted)) == ""
    other = bench.platform_of(CLUSTER)
    assert sent(bench, lambda: other.ensure(wanted)).splitlines() == [
        f'SELECT PROFILE FROM "ROLEVEND"."CONTROL"."PROFILE" WHERE PROFILE = \'{wanted.name.upper()}\''
    ]


def test_a_wall_that_is_gone_is_all_that_is_put_back(bench: SnowflakeBench, tables: list[Table]):
    wanted = profile(*(shape(each) for each in tables[:3]))
    bench.platform.ensure(wanted)
    bench.run(f'ALTER TABLE {DATABASE}.{tables[0].id.schema}."{tables[0].id.name}" DROP ALL ROW ACCESS POLICIES')
    bench.platform.drift()

    again = sent(bench, lambda: bench.platform.ensure(wanted))

    assert (again.count(WALL), again.count(VIEW)) == (1, 0)


def test_a_table_that_cannot_be_governed_is_found_before_another_one_is_touched(bench: SnowflakeBench):
    *_, last = mine = bench.tables(TOGETHER + 1)
    policy = f"{DATABASE}.{last.id.schema}.THEIRS"
    bench.run(f"CREATE ROW ACCESS POLICY {policy} AS (C NUMBER) RETURNS BOOLEAN -> TRUE")
    bench.run(f'ALTER TABLE {DATABASE}.{last.id.schema}."{last.id.name}" ADD ROW ACCESS POLICY {policy} ON ("id")')

    def build() -> None:
        with pytest.raises(Conflict, match=str(last.id)):
            bench.platform.ensure(profile(*(shape(each) for each in mine)))

    asked = sent(bench, build)

    assert WALL not in asked
    assert "CREATE ROLE" not in asked


@pytest.mark.long
@pytest.mark.parametrize("processes", [1, 2])
def test_who_builds_on_the_same_tables_at_the_same_time_finds_the_walls_there(bench: SnowflakeBench, processes: int):
    mine = bench.tables(12)
    drivers = [bench.platform_of(CLUSTER) for _ in range(processes)]
    wanted = [profile(*(shape(each) for each in mine)) for _ in range(4)]
    begin = threading.Barrier(len(wanted))

    def build(place: int) -> None:
        begin.wait(DEADLINE)
        drivers[place % processes].ensure(wanted[place])

    asked = sent(bench, lambda: run_all(build, range(len(wanted))))

    assert asked.count(VIEW) == 12 * len(wanted)
    assert bench.platform.drift() == ()
    for each in wanted:
        vended(bench.platform, each)


def run_all(work: Callable[[int], None], places: range) -> None:
    """Side by side; raises what the first of them raises."""
    with ThreadPoolExecutor(len(places)) as threads:
        list(threads.map(work, places))


@pytest.mark.long
def test_views_that_are_long_together_go_in_several_requests(bench: SnowflakeBench):
    wide = [wide_table(f"w{number}", columns=700) for number in range(3)]
    texts = render(profile(*(shape(each) for each in wide)), bench.account).views
    assert all(LONGEST / 3 < len(view.create) < LONGEST / 2 for view in texts)
    schema = bench.schema()
    real = []
    for each in wide:
        listed = ", ".join(f'"{column.name}" {column.native_type}' for column in each.columns)
        bench.run(f'CREATE TABLE {DATABASE}.{schema}."{each.id.name}" ({listed})')
        real.append(Table(TableId(schema, each.id.name), each.columns))
    before = len(bench.snowflake.requests)

    bench.platform.ensure(profile(*(shape(each) for each in real)))

    views = [each.sql.count(VIEW) for each in bench.snowflake.requests[before:] if VIEW in each.sql]
    assert sorted(views) == [1, 2]


def test_a_view_that_is_too_long_for_the_account_is_refused_with_the_way_out():
    account = Account("myorg-account1", "myorg-account1.snowflakecomputing.com", 443, "CLAIMS", "AGENTS_WH")
    with pytest.raises(InvalidInput, match=r"the view of S\.wide is a text of .* bytes, and Snowflake takes 900,000: grant fewer columns"):
        render(profile(shape(wide_table("wide", columns=2_000))), account)


def wide_table(name: str, columns: int) -> Table:
    """With names as long as they may be."""
    names = [f"{number:04}".ljust(255, "x") for number in range(columns)]
    return Table(TableId("S", name), tuple(Column(each, Family.TEXT, "VARCHAR(16777216)") for each in names))


def test_another_filter_on_one_table_touches_no_table(bench: SnowflakeBench):
    people = bench.people()
    bench.platform.ensure(profile(shape(people)))
    asked = sent(bench, lambda: bench.platform.ensure(profile(shape(people, own(people, "region", "regions")))))
    assert "ALTER TABLE" not in asked
    assert asked.count(VIEW) == 1

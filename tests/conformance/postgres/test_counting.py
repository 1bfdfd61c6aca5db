"""A count of what two profiles show one user equals what roles of the two read, and ends in time."""

import re
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rolevend.catalog import Table
from rolevend.model import Attributes
from rolevend.plan import Cell, TableShape
from rolevend.platforms import postgres
from rolevend.platforms.counted import CountedCells, CountedColumn, CountedTable
from rolevend.platforms.postgres.count import SHAPES
from rolevend.policy.mask import Clear, Mask, Nullify, Partial
from tests.conformance.bench import PostgresBench, equal, own, profile, shape, vended

HIDDEN = Partial(4)
SECONDS = 5.0


def count(
    bench: PostgresBench, today: TableShape | None, granted: TableShape, seconds: float = SECONDS, **values: list[str]
) -> CountedTable:
    (found,) = bench.platform.count(None if today is None else profile(today), profile(granted), Attributes.of(values.items()), seconds)
    return found


def cells(*pairs: tuple[Mask, int]) -> tuple[CountedCells, ...]:
    return tuple(CountedCells(*each) for each in pairs)


@pytest.fixture
def people(bench: PostgresBench) -> Table:
    return bench.people()


@pytest.mark.both_installs
def test_masked_rows_of_today_and_rows_in_clear_with_the_approval_are_counted(bench: PostgresBench, people: Table):
    eu, one = own(people, "region", "regions"), equal(people, "id", "1")
    today = shape(people, eu, masks={"ssn": HIDDEN})
    granted = shape(people, eu, masks={"ssn": (Cell((one,), Clear()), Cell((eu,), HIDDEN))})

    found = count(bench, today, granted, regions=["EU"])

    assert found == CountedTable(people.id, 2, 2, (CountedColumn("ssn", cells((HIDDEN, 2)), cells((Clear(), 1), (HIDDEN, 1))),))


def test_the_numbers_are_those_that_roles_of_the_two_profiles_read(bench: PostgresBench, people: Table):
    eu, us = own(people, "region", "regions"), equal(people, "region", "US")
    today = shape(people, eu, masks={"ssn": Nullify()})
    granted = shape(people, eu, us, masks={"ssn": (Cell((us,), Clear()),)})
    values = {"regions": ["EU", "APAC"]}

    found = count(bench, today, granted, **values)

    read = [_read(bench, each, values) for each in (today, granted)]
    assert [found.today, found.granted] == [len(rows) for rows in read] == [3, 5]
    assert found.columns == (CountedColumn("ssn", cells((Nullify(), 3)), cells((Clear(), 2), (Nullify(), 3))),)
    assert [sum(ssn is not None for ssn in rows) for rows in read] == [0, 2]


def test_without_the_attribute_that_a_filter_reads_no_row_is_counted(bench: PostgresBench, people: Table):
    every = shape(people, own(people, "region", "regions"))

    assert (count(bench, None, every).granted, count(bench, None, every, regions=["US"]).granted) == (0, 2)


def test_a_table_that_is_not_granted_today_has_no_rows_today(bench: PostgresBench, people: Table):
    found = count(bench, None, shape(people))

    assert (found.today, found.granted) == (0, 6)
    assert CountedColumn("ssn", (), cells((Clear(), 6))) in found.columns


def test_a_value_that_does_not_fit_the_type_of_its_column_shows_no_row_as_in_a_role(bench: PostgresBench):
    table = bench.table([("born", "date")], [(date(2024, 1, 31),)])
    of_day = shape(table, own(table, "born", "days"))

    assert count(bench, None, of_day, days=["2024-01-31"]).granted == 1
    assert count(bench, None, of_day, days=["2024-01-31", "2024-1-31"]).granted == 0
    assert _read(bench, of_day, {"days": ["2024-01-31", "2024-1-31"]}, "SELECT born FROM items") == []


def test_a_large_table_is_counted_and_one_that_takes_too_long_is_unknown(bench: PostgresBench):
    table = bench.table([("id", "integer")], name="many")
    bench.run(f"INSERT INTO {table.id} SELECT generate_series(1, 300000)")

    assert count(bench, None, shape(table)).granted == 300_000
    late = count(bench, None, shape(table), seconds=0.001)
    assert (late.granted, late.unknown) == (0, "it takes too long")


def test_a_locked_table_is_unknown_and_another_is_counted(bench: PostgresBench, people: Table):
    other = bench.table([("id", "integer")], [(1,)], name="other")
    locking = bench.as_superuser()
    locking.run(f"BEGIN; LOCK TABLE {people.id} IN ACCESS EXCLUSIVE MODE")

    found = bench.platform.count(None, profile(shape(people), shape(other)), Attributes(), SECONDS)

    locking.close()

    assert [(each.unknown, each.granted) for each in found] == [("the table is locked", 0), (None, 1)]


def test_a_table_that_filters_rows_for_its_owner_is_unknown(bench: PostgresBench, people: Table):
    bench.run(f"ALTER TABLE {people.id} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")

    found = count(bench, None, shape(people))

    assert found.unknown == "the table filters rows for its owner, too, or belongs to another role"


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE INDEX ON {child} (id) WHERE {spy}(1)",
        "CREATE INDEX ON {child} ((id > 0 OR {spy}(1)))",
        "CREATE INDEX ON {child} (id) WHERE 1 OPERATOR({schema}.###) 1",
        "CREATE STATISTICS {schema}.stats ON (id > 0 OR {spy}(1)), region FROM {child}",
        "ALTER TABLE {people} RENAME TO old; CREATE TABLE {people} (LIKE {schema}.old) PARTITION BY RANGE ((id > 0 AND {spy}(1)));"
        " ALTER TABLE {people} OWNER TO {owner}",
    ],
)
def test_no_code_of_an_owner_runs_with_the_rights_of_the_programmer(bench: PostgresBench, people: Table, statement: str):
    """The owner may be the attacker: the programmer reads the tables of other owners, too."""
    schema = people.id.schema
    child, spy = f"{schema}.child", f"{schema}.spy"
    tells = "BEGIN IF session_user ~ 'programmer' THEN RAISE 'code ran' USING ERRCODE = 'SPY42'; END IF; RETURN true; END"
    bench.run(f"CREATE TABLE {child} () INHERITS ({people.id}); ALTER TABLE {child} OWNER TO {bench.owner}")
    for given in ("one int", "one int, two int"):
        bench.run(f"CREATE FUNCTION {spy}({given}) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $${tells}$$")
        bench.run(f"ALTER FUNCTION {spy} ({given}) OWNER TO {bench.owner}; GRANT USAGE ON SCHEMA {schema} TO PUBLIC")
    bench.run(f"CREATE OPERATOR {schema}.### (FUNCTION = {spy}, LEFTARG = int, RIGHTARG = int)")
    bench.run(statement.format(child=child, spy=spy, schema=schema, people=people.id, owner=bench.owner))

    found = count(bench, None, shape(people))

    assert "which would run with the rights of rolevend" in str(found.unknown)


def test_functions_of_the_server_in_an_index_are_no_code_of_an_owner(bench: PostgresBench, people: Table):
    bench.run(f"CREATE INDEX ON {people.id} (lower(region)) WHERE id > 0")

    assert count(bench, None, shape(people)).unknown is None


def test_a_count_builds_no_profile_and_leaves_no_role(bench: PostgresBench, people: Table):
    granted = profile(shape(people))

    bench.platform.count(None, granted, Attributes(), SECONDS)

    assert not bench.platform.is_built(granted.name)
    assert bench.value(f"SELECT count(*) FROM pg_roles WHERE rolname = '{granted.name}'") == 0


def test_the_shapes_of_values_are_those_of_the_lease():
    text = (Path(postgres.__file__).parent / "sql" / "install" / "30_reading.sql").read_text()

    found = re.findall(r"WHEN '([a-z ]+)'\s+THEN '(\^.+\$)'", text)

    assert dict(found) == dict(SHAPES)


def _read(bench: PostgresBench, of: TableShape, values: dict[str, Any], statement: str = "SELECT ssn FROM people") -> list[Any]:
    _, credential = vended(bench.platform, profile(of), **values)
    try:
        return [row[0] for row in bench.log_in(credential).rows(statement)]
    except psycopg.Error as error:
        raise AssertionError(statement) from error

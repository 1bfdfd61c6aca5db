"""No statement tells what is in a row that the role may not see. Each probe runs twice: once with a condition that holds in the hidden row,
and once with one that does not."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from rolevend.catalog import Table, TableId
from rolevend.model import ProfileName
from rolevend.plan import TableShape
from rolevend.platforms.postgres.attest.probe_words import SETTINGS
from rolevend.platforms.postgres.attest.probes import Probe, ProbedView, probes
from rolevend.platforms.postgres.attest.probing import Prober
from rolevend.policy.binding import bind
from rolevend.policy.expression import Condition, attributes
from rolevend.policy.predicate import parse
from tests.conformance.bench import EVERY_ROW, PostgresBench, profile, quoted, shape, vended
from tests.support.hidden_columns import COLUMNS, INDEXES, TYPES

VIEW = ProbedView("probed", COLUMNS)
REGIONS = ("EU", "EU", "US", "US", "APAC", None)
FILTERS: Mapping[str, tuple[Sequence[str], Sequence[Sequence[str]]]] = {
    "an attribute": (["region IN (user_attr('regions'))"], []),
    "a list": (["region IN ('EU', 'XX')"], []),
    "a comparison": (["region = 'EU'"], []),
    "a disjunction": (["region = 'EU' OR level < 0"], []),
    "a range": (["level BETWEEN 0 AND 2"], []),
    "a test for NULL": (["gone IS NULL"], []),
    "a negation": (["NOT (region IN ('US', 'APAC') OR level > 2)"], []),
    "two grants": (["region IN (user_attr('regions'))", "level = 1"], []),
    "a guardrail": ([""], [["region = 'EU'"]]),
    "a guardrail by an attribute": ([""], [["region IN (user_attr('regions'))"]]),
    "a filter and a guardrail": (["region IN (user_attr('regions'))"], [["level < 3"]]),
    "both sides and a guardrail": (["region = 'EU'", "level = 1"], [["region IN (user_attr('regions'))"], ["level < 3", "gone IS NULL"]]),
}
"""Row filters and restrictions; each shows the rows 0 and 1."""


def laid_out(bench: PostgresBench, how: str = "") -> tuple[Table, Table]:
    """The table of all columns, and another one."""
    schema = bench.schema()
    listed = ", ".join(f"{each.name} {each.type}" for each in COLUMNS)
    bench.run(f"{TYPES}; GRANT USAGE ON SCHEMA public TO {bench.owner}, {bench.programmer.user}")
    bench.run(f"SET search_path = {schema}; CREATE TABLE probed (id integer, region text, level integer, gone date, {listed}) {how}")
    if how.startswith("PARTITION"):
        bench.run("CREATE TABLE probed_eu PARTITION OF probed FOR VALUES IN ('EU'); CREATE TABLE probed_others PARTITION OF probed DEFAULT")
    bench.run(f"ALTER TABLE probed OWNER TO {bench.owner}; CREATE TABLE guarded (id integer, region text)")
    bench.run(f"ALTER TABLE guarded OWNER TO {bench.owner}; INSERT INTO guarded VALUES (1, 'EU'), (2, 'US')")
    for number, region in enumerate(REGIONS):
        own = [number, region, 1 if region == "EU" else 5, None if region == "EU" else "2024-01-01"]
        values = ", ".join(["%s"] * len(own) + [f"%s::{each.type}" for each in COLUMNS])
        row = [*own, *(each.value(number, VIEW.hidden) for each in COLUMNS)]
        bench.admin.execute(f"INSERT INTO probed VALUES ({values})".encode(), row)
    bench.run("CREATE INDEX ON probed (id)")
    for each in COLUMNS:
        bench.run(f"CREATE INDEX ON probed ({each.name})")
    bench.run("RESET search_path")
    return bench.catalog_table(TableId(schema, "probed")), bench.catalog_table(TableId(schema, "guarded"))


def condition(table: Table, text: str) -> Condition:
    if not text:
        return EVERY_ROW
    predicate = bind(parse(text), table)
    return Condition(attributes(predicate), predicate)


def filtered(table: Table, name: str) -> TableShape:
    rows, restrictions = FILTERS[name]
    of = shape(table, *(condition(table, each) for each in rows))
    return replace(of, restrictions=tuple(tuple(condition(table, each) for each in one) for one in restrictions))


def prober(bench: PostgresBench, *shapes: TableShape) -> tuple[Prober, ProfileName]:
    of = profile(*shapes)
    _, credential = vended(bench.platform, of, regions=["EU"])
    session = bench.log_in(credential)
    assert session.rows("SELECT id FROM probed ORDER BY id") == [(0,), (1,)]
    return Prober(session.connection, shapes[0].table.schema), of.name


def differences(prober: Prober, chosen: Sequence[Probe]) -> dict[str, str]:
    found = {probe.name: prober.difference(probe) for probe in chosen}
    return {name: difference for name, difference in found.items() if difference}


@pytest.mark.thinned(3, "full")
@pytest.mark.both_installs
@pytest.mark.parametrize("name", FILTERS)
def test_no_probe_finds_out_a_hidden_row(bench: PostgresBench, name: str):
    table, other = laid_out(bench)
    probing, _ = prober(bench, filtered(table, name), shape(other))
    assert differences(probing, list(probes(VIEW, 24, seed=list(FILTERS).index(name)))) == {}


LAYOUTS = {
    "partitioned": "PARTITION BY LIST (region)",
    "with every index": "",
    "with indexes that hold the column of the filter, too": "",
    "with a child that inherits": "",
}


MORE = {
    "with indexes that hold the column of the filter, too": ";".join(
        f"CREATE INDEX ON probed {columns.format(name)}"
        for name in ("c1", "c8", "c14", "c18", "flag", "nothing")
        for columns in ("({}) WHERE region = 'EU'", "(region, {})", "({}, region)")
    ),
    "with a child that inherits": f"""
CREATE TABLE probed_child (CHECK (region <> 'EU')) INHERITS (probed);
INSERT INTO probed_child SELECT * FROM probed WHERE id = {VIEW.hidden};
DELETE FROM ONLY probed WHERE id = {VIEW.hidden};
CREATE INDEX ON probed_child (id); CREATE INDEX ON probed_child (c1); CREATE INDEX ON probed_child (c18);
""",
}


@pytest.mark.thinned(3, "full")
@pytest.mark.parametrize("how", LAYOUTS)
def test_no_probe_finds_out_a_hidden_row_however_the_table_is_stored_and_whatever_is_set(bench: PostgresBench, how: str):
    table, other = laid_out(bench, LAYOUTS[how])
    if how == "with every index":
        bench.run(f"SET search_path = {table.id.schema}; {INDEXES}; RESET search_path")
    elif how in MORE:
        bench.run(f"SET search_path = {table.id.schema}; {MORE[how]}; RESET search_path")
    probing, _ = prober(bench, filtered(table, "an attribute"), shape(other))
    switches = bench.admin.execute(
        "SELECT name, setting FROM pg_settings WHERE context = 'user' AND vartype = 'bool' AND name ~ '^enable_'"
    )
    turned = {f"{name} turned": (f"{name} = {'off' if setting == 'on' else 'on'}",) for name, setting in switches}
    assert differences(probing, list(probes(VIEW, 160, settings={**SETTINGS, **turned}))) == {}


@pytest.mark.long
def test_probes_find_out_hidden_rows_where_there_is_no_fence(bench: PostgresBench):
    """By each thing that tells, and of every type whose comparison PostgreSQL takes for leakproof."""
    table, other = laid_out(bench)
    probing, _ = prober(bench, filtered(table, "an attribute"), shape(other))
    bench.run("ALTER FUNCTION rolevend.fence(anyelement) STABLE")
    try:
        chosen = list(probes(VIEW, 300))
        found = [probe for probe, _ in probing.differing(chosen)]
    finally:
        bench.run("ALTER FUNCTION rolevend.fence(anyelement) VOLATILE")
    assert {probe.sentinel for probe in found} == {probe.sentinel for probe in chosen}
    assert {probe.column.type for probe in found} >= {
        "integer",
        "bigint",
        "date",
        "timestamptz",
        "uuid",
        "text",
        "inet",
        "boolean",
        "bytea",
    }
    assert len(found) > 60


@pytest.mark.long
def test_a_lookup_column_tells_of_itself_and_of_no_other_column(bench: PostgresBench):
    table, other = laid_out(bench)
    lookups = {"id", "c1", "c8"}
    whole = filtered(table, "an attribute")
    columns = tuple(replace(each, lookup=each.name in lookups) for each in whole.columns)
    probing, _ = prober(bench, replace(whole, columns=columns), shape(other))
    fenced, looked_up = (
        list(probes(ProbedView("probed", tuple(each for each in COLUMNS if (each.name in lookups) is chosen)), count, seed=7))
        for chosen, count in ((False, 200), (True, 40))
    )
    assert differences(probing, fenced) == {}
    assert differences(probing, looked_up) != {}


@pytest.mark.thinned(3, "full")
@pytest.mark.parametrize("column", ["c1", "c8", "c18", "flag", "nothing"])
def test_a_fence_that_one_column_lost_is_found_by_probes_of_that_column(bench: PostgresBench, column: str):
    table, other = laid_out(bench)
    probing, name = prober(bench, filtered(table, "an attribute"), shape(other))
    view = f"{quoted(name)}.probed"
    text = str(bench.value(f"SELECT pg_get_viewdef('{view}'::regclass)"))
    fenced = f"rolevend.fence(s.{column}) AS {column}"
    assert fenced in text
    bench.run(f"CREATE OR REPLACE VIEW {view} AS {text.replace(fenced, f's.{column}')}")

    of_it, of_others = (ProbedView("probed", tuple(each for each in COLUMNS if (each.name == column) is own)) for own in (True, False))

    assert differences(probing, list(probes(of_it, 40))) != {}
    assert differences(probing, list(probes(of_others, 40))) == {}

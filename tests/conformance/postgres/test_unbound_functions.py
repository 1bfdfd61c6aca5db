"""Functions that the rights of their callers do not bind: in an untrusted language, LEAKPROOF or SECURITY DEFINER. None is beside a tool or
within reach of one, and none is open to every vended role but by somebody's consent."""

import secrets

import pytest

from rolevend.errors import PlatformBusy, RolevendError
from rolevend.platforms.postgres import FindingKind, Passwords, install, plan
from rolevend.platforms.postgres.sql_files import query
from rolevend.platforms.protocol import DropRequest, EndReason
from tests.conformance.bench import PostgresBench, own, profile, refused, shape, vend, vended
from tests.conformance.bench import lease as new_lease
from tests.conformance.postgres.test_tools import calling, function, obstacles

pytestmark = pytest.mark.both_installs

FILE = "{schema}.file(text, bigint, bigint) RETURNS text LANGUAGE internal AS 'pg_read_file_off_len'"
READ = "{schema}.file('PG_VERSION', 0, 2)"
UNBOUND = {
    "internal": ("CREATE FUNCTION {schema}.it(text) RETURNS text LANGUAGE internal AS 'lower'", "is written in internal"),
    "C": ("CREATE FUNCTION {schema}.it(text) RETURNS text LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_validator'", "is written in c"),
    "LEAKPROOF": ("CREATE FUNCTION {schema}.it(text) RETURNS text LANGUAGE sql LEAKPROOF AS 'SELECT $1'", "is LEAKPROOF"),
    "definer": ("CREATE FUNCTION {schema}.it(text) RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT $1'", "acts with the rights of"),
}


def test_an_agent_that_has_a_tool_reads_no_file_through_what_is_beside_it(bench: PostgresBench):
    schema = bench.schema()
    tool = function(bench, "SELECT 'x'", schema=schema)
    of = calling(bench, tool)
    lease, credential = vended(bench.platform, of, regions=["EU"])
    eve = bench.log_in(credential)

    bench.run(f"CREATE FUNCTION {FILE.format(schema=schema)}")

    assert eve.rows(f"SELECT {READ.format(schema=schema)}") == [(str(bench.version),)], "there is nothing to find otherwise"
    assert "which is written in internal" in obstacles(bench, schema)[str(tool)]
    assert [each.roles for each in bench.platform.drift()] == [(lease.role,)]
    bench.platform.drop([DropRequest(lease.role, lease.uid, EndReason.REVOKED)])
    with pytest.raises(RolevendError):
        bench.platform.ensure(of)
    bench.run(obstacles(bench, schema)[str(tool)].partition("run: ")[2])
    _, credential = vended(bench.platform, of, regions=["EU"])
    assert refused(lambda: bench.log_in(credential).rows(f"SELECT {READ.format(schema=schema)}")) == "42501"


@pytest.mark.parametrize("kind", UNBOUND)
def test_such_a_neighbour_that_everybody_may_call_is_named(bench: PostgresBench, kind: str):
    schema = bench.schema()
    tool = function(bench, "SELECT 'x'", schema=schema)
    bench.run(UNBOUND[kind][0].format(schema=schema))

    told = obstacles(bench, schema)[str(tool)]

    assert f"everybody has EXECUTE on ROUTINE {schema}.it(text), which {UNBOUND[kind][1]}" in told
    bench.run(told.partition("run: ")[2])
    assert obstacles(bench, schema)[str(tool)] == ""


TYPE = (
    "CREATE TYPE {hidden}.kind; CREATE FUNCTION {hidden}.kin(cstring) RETURNS {hidden}.kind LANGUAGE internal IMMUTABLE STRICT AS 'textin';"
    "CREATE FUNCTION {hidden}.kout({hidden}.kind) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';"
    "CREATE TYPE {hidden}.kind (INPUT = {hidden}.kin, OUTPUT = {hidden}.kout, LIKE = text);"
    "REVOKE ALL ON FUNCTION {hidden}.kin, {hidden}.kout FROM PUBLIC"
)
AGGREGATE = (
    "CREATE FUNCTION {hidden}.step(text, text) RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT ''reached''::text';"
    "CREATE AGGREGATE {hidden}.joined(text) (SFUNC = {hidden}.step, STYPE = text); REVOKE ALL ON FUNCTION {hidden}.step FROM PUBLIC"
)
HASHED = (
    "CREATE TYPE {hidden}.pair AS (a text);"
    "CREATE FUNCTION {hidden}.same({hidden}.pair, {hidden}.pair) RETURNS boolean LANGUAGE sql AS 'SELECT true';"
    "CREATE FUNCTION {hidden}.hash({hidden}.pair) RETURNS integer LANGUAGE sql SECURITY DEFINER IMMUTABLE AS 'SELECT 1';"
    "CREATE OPERATOR {hidden}.= (LEFTARG = {hidden}.pair, RIGHTARG = {hidden}.pair, FUNCTION = {hidden}.same, HASHES);"
    "CREATE OPERATOR CLASS {hidden}.pairs DEFAULT FOR TYPE {hidden}.pair USING hash AS"
    " OPERATOR 1 {hidden}.=, FUNCTION 1 {hidden}.hash({hidden}.pair);"
    "REVOKE ALL ON FUNCTION {hidden}.hash FROM PUBLIC"
)
UNASKED = {
    "the input of a type": (TYPE, "SELECT format('%s', CAST('reached' AS {hidden}.kind))", "which is written in internal"),
    "a part of an aggregate": (AGGREGATE, "SELECT {hidden}.joined('x')", "{hidden}.step(text,text), which acts with the rights of"),
    "what hashes a type": (
        HASHED,
        "SELECT DISTINCT 'reached' FROM (SELECT DISTINCT CAST(ROW('x') AS {hidden}.pair)) AS x",
        "{hidden}.hash({hidden}.pair), which acts with the rights of",
    ),
}


@pytest.mark.parametrize("what", UNASKED)
def test_what_nobody_needs_a_right_for_is_named_though_nobody_has_one(bench: PostgresBench, what: str):
    schema, hidden = bench.schema(), bench.schema()
    tool = function(bench, "SELECT 'x'", schema=schema)
    lease, credential = vended(bench.platform, calling(bench, tool), regions=["EU"])
    made, body, told = (each.format(hidden=hidden) for each in UNASKED[what])

    bench.run(f"{made}; CREATE OR REPLACE FUNCTION {tool} RETURNS text LANGUAGE sql BEGIN ATOMIC {body}; END")

    assert bench.log_in(credential).rows(f"SELECT {schema}.answer()") == [("reached",)], "there is nothing to find otherwise"
    assert told in obstacles(bench, schema)[str(tool)]
    assert [each.roles for each in bench.platform.drift()] == [(lease.role,)]


def test_an_operator_beside_a_tool_brings_its_function_into_reach(bench: PostgresBench):
    schema, hidden = bench.schema(), bench.schema()
    tool = function(bench, "SELECT 'x'", schema=schema)
    bench.run(f"CREATE FUNCTION {hidden}.it(text, text) RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT 1::text'")
    bench.run(f"CREATE OPERATOR {schema}.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = {hidden}.it)")

    assert f"everybody has EXECUTE on ROUTINE {hidden}.it(text,text), which acts" in obstacles(bench, schema)[str(tool)]


def test_a_tool_that_uses_what_is_rolevends_own_is_none(bench: PostgresBench):
    schema = bench.schema()
    tool = function(bench, "SELECT 'x'", schema=schema)

    bench.run(f"CREATE OR REPLACE FUNCTION {tool} RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT rolevend.hash('123-45-6780'); END")

    assert (
        obstacles(bench, schema)[str(tool)]
        == "uses ROUTINE rolevend.hash(text), which is one of rolevend's own; nobody needs a right on it there"
    )


def test_an_extension_that_is_known_to_be_harmless_is_in_nobodys_way(bench: PostgresBench):
    there = "SELECT min(name) FROM pg_available_extensions WHERE name IN ('pg_trgm', 'vector')"
    schema, name = bench.schema(), bench.value(there)
    tool = function(bench, "SELECT 'x'", schema=schema)
    bench.run(f"CREATE EXTENSION {name} SCHEMA {schema}")
    counted = "SELECT count(*) FROM pg_proc AS p WHERE pronamespace = '{0}'::regnamespace AND proname <> 'answer'"

    assert bench.value(counted.format(schema)) > 10
    assert obstacles(bench, schema)[str(tool)] == ""


def test_the_plan_knows_the_same_harmless_extensions_as_the_installation(bench: PostgresBench):
    names = bench.value("SELECT rolevend.harmless_extensions()::text")

    assert f"'{names}'" in query("exposed", folder="survey").as_string()


OPENED = {
    **UNBOUND,
    "behind an operator": (
        "CREATE FUNCTION {hidden}.it(text) RETURNS text LANGUAGE internal AS 'lower';"
        "CREATE OPERATOR {schema}.@@@ (RIGHTARG = text, FUNCTION = {hidden}.it)",
        "is written in internal",
    ),
    "behind a cast": (
        "CREATE FUNCTION {hidden}.it(boolean) RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT 1::bigint';"
        "CREATE CAST (boolean AS bigint) WITH FUNCTION {hidden}.it(boolean)",
        "acts with the rights of",
    ),
}


@pytest.mark.parametrize("kind", OPENED)
def test_one_that_every_vended_role_can_call_is_drift_until_it_is_closed(bench: PostgresBench, kind: str):
    schema, hidden, people = bench.schema(), bench.schema(), bench.people()
    bench.run(f"GRANT USAGE ON SCHEMA {schema} TO PUBLIC")
    of = profile(shape(people, own(people, "region", "regions")))
    lease, _ = vended(bench.platform, of, regions=["EU"])
    assert bench.platform.drift() == []

    bench.run(OPENED[kind][0].format(schema=schema, hidden=hidden))

    (found,) = bench.platform.drift()
    assert (found.roles, found.table.schema) == ((lease.role,), hidden if "behind" in kind else schema)
    assert OPENED[kind][1] in found.finding
    late = new_lease(of, regions=["EU"])
    (answer,) = bench.platform.vend([(late, bench.platform.credential(late, bytes))])
    assert isinstance(answer.error, PlatformBusy)
    with pytest.raises(PlatformBusy, match="every vended role can call it"):
        bench.platform.ensure(of)
    bench.platform.drop([DropRequest(lease.role, lease.uid, EndReason.REVOKED)])
    assert len(bench.platform.drift()) == 1, "it is open to the next role"

    bench.run(found.finding.partition("run: ")[2].partition(";")[0])

    assert bench.platform.drift() == []
    assert vend(bench.platform, of, late)
    bench.run("DROP CAST IF EXISTS (boolean AS bigint)")


def test_one_that_the_plan_lists_is_open_by_consent(bench: PostgresBench):
    schema, people = bench.schema(), bench.people()
    bench.run(f"GRANT USAGE ON SCHEMA {schema} TO PUBLIC")
    bench.run(UNBOUND["internal"][0].format(schema=schema))
    of = profile(shape(people))
    assert len(bench.platform.drift()) == 1
    try:
        with bench.administrator() as administrator:
            planned = plan(administrator, bench.options)
            assert (
                "everybody may call it, and it is written in internal"
                in {each.subject: each.text for each in planned.findings if each.kind is FindingKind.OPEN}[f"{schema}.it(text)"]
            )

            install(administrator, bench.options, accept=planned.digest, passwords=Passwords(), randomness=secrets.token_bytes)

        assert bench.platform.drift() == []
        assert vended(bench.platform, of)
        bench.run(f"CREATE FUNCTION {schema}.another(text) RETURNS text LANGUAGE internal AS 'upper'")
        assert [each.table.name for each in bench.platform.drift()] == ["another(text)"]
    finally:
        bench.run("DELETE FROM rolevend.consented")


def test_a_function_that_few_may_call_or_in_a_schema_that_few_may_use_is_no_drift(bench: PostgresBench):
    opened, closed = bench.schema(), bench.schema()
    bench.run(f"GRANT USAGE ON SCHEMA {opened} TO PUBLIC")
    vended(bench.platform, profile(shape(bench.people())))
    for kind in UNBOUND.values():
        bench.run(kind[0].format(schema=closed))
        bench.run(f"{kind[0].format(schema=opened)}; REVOKE ALL ON FUNCTION {opened}.it FROM PUBLIC; DROP FUNCTION {closed}.it")

        assert bench.platform.drift() == []
        bench.run(f"DROP FUNCTION {opened}.it")

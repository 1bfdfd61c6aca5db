"""Tools of agents on a real platform: functions that act with the rights of the role that calls them, and tables of an agent's own schema.
Whatever is a way around policies is refused by name before it is given, and found when it becomes one."""

import re
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from rolevend.catalog import FunctionId, TableId
from rolevend.errors import PlatformBusy, RolevendError
from rolevend.plan import Profile
from rolevend.platforms.postgres import Passwords, install, plan
from rolevend.platforms.protocol import DropRequest, EndReason
from tests.conformance.bench import PostgresBench, PostgresSession, own, profile, refused, shape, vend, vended
from tests.conformance.bench import lease as new_lease

pytestmark = pytest.mark.both_installs

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "give-an-agent-tools.md"
PERMISSION_DENIED, UNDEFINED_TABLE = "42501", "42P01"


def function(bench: PostgresBench, body: str, *, schema: str, name: str = "answer", arguments: str = "", how: str = "") -> FunctionId:
    """One that answers a text, owned as the tables are."""
    made = f"{schema}.{name}({arguments})"
    bench.run(f"CREATE OR REPLACE FUNCTION {made} RETURNS text {how or 'LANGUAGE sql'} AS $${body}$$")
    bench.run(f"ALTER FUNCTION {schema}.{name} OWNER TO {bench.owner}")
    return FunctionId(schema, name, arguments.partition(" DEFAULT ")[0])


def obstacles(bench: PostgresBench, schema: str) -> dict[str, str]:
    found = bench.platform.catalog(frozenset(), functions=frozenset({schema})).functions
    return {str(each.id): each.obstacle for each in found}


def calling(bench: PostgresBench, *functions: FunctionId) -> Profile:
    """The people of the user's regions, and these functions."""
    people = bench.people()
    tables = profile(shape(people, own(people, "region", "regions")))
    return Profile(tables.name, tables.tables, tuple(sorted(functions)))


def logged_in(bench: PostgresBench, of: Profile) -> PostgresSession:
    _, credential = vended(bench.platform, of, regions=["EU"])
    return bench.log_in(credential)


def test_a_role_calls_the_functions_of_its_profile_and_another_agents_role_does_not(bench: PostgresBench):
    schema = bench.schema()
    plain = function(bench, "SELECT 'plain'", schema=schema)
    score = function(bench, "SELECT upper($1)", schema=schema, name="score", arguments="text")
    bench.run(f"REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} FROM PUBLIC")
    assert obstacles(bench, schema) == {str(plain): "", str(score): ""}
    mine, others, without = (logged_in(bench, calling(bench, *given)) for given in ([plain, score], [plain], []))

    assert mine.rows(f"SELECT {schema}.score(region) FROM people ORDER BY id") == [("EU",), ("EU",)]
    assert others.rows(f"SELECT {schema}.answer()") == [("plain",)]
    for session, call in ((others, "score('a')"), (without, "answer()"), (without, "score('a')")):
        assert refused(lambda session=session, call=call: session.rows(f"SELECT {schema}.{call}")) == PERMISSION_DENIED


def test_a_function_sees_what_the_role_sees_that_calls_it_and_nothing_more(bench: PostgresBench):
    schema, people = bench.schema(), bench.people()
    by_path = function(bench, "BEGIN RETURN (SELECT count(*) FROM people); END", schema=schema, name="by_path", how="LANGUAGE plpgsql")
    by_name = function(
        bench, f"BEGIN RETURN (SELECT count(*) FROM {people.id}); END", schema=schema, name="by_name", how="LANGUAGE plpgsql"
    )
    of = Profile(profile().name, (shape(people, own(people, "region", "regions")),), (by_name, by_path))
    eve = logged_in(bench, of)

    assert eve.rows(f"SELECT {schema}.by_path()") == [("2",)]
    assert refused(lambda: eve.rows(f"SELECT {schema}.by_name()")) == PERMISSION_DENIED
    for path in (people.id.schema, f"{people.id.schema}, {of.name}", f"{schema}, pg_temp, {people.id.schema}"):
        eve.run(f"SET search_path = {path}")
        assert tried(eve, f"SELECT {schema}.by_path()") in (UNDEFINED_TABLE, [("2",)])


def tried(session: PostgresSession, query: str) -> object:
    try:
        return session.rows(query)
    except psycopg.Error as error:
        return error.sqlstate


def test_a_function_named_as_one_of_postgresqls_own_takes_no_call_of_it(bench: PostgresBench):
    schema = bench.schema()
    eve = logged_in(bench, calling(bench, function(bench, "SELECT 'mine'", schema=schema, name="lower", arguments="text")))

    assert eve.rows(f"SELECT lower('A'), {schema}.lower('A')") == [("a", "mine")]
    assert bench.platform.catalog(frozenset(), own=frozenset({"pg_catalog"}), functions=frozenset({"pg_catalog"})).functions == ()


def test_a_function_that_tells_what_it_is_given_is_given_no_hidden_row(bench: PostgresBench):
    schema = bench.schema()
    shout = "BEGIN RAISE EXCEPTION 'it is %', $1; END"
    told = function(bench, shout, schema=schema, name="shout", arguments="text", how="LANGUAGE plpgsql COST 0.0000001")
    _, credential = vended(bench.platform, calling(bench, told), regions=["nowhere"])

    assert bench.log_in(credential).rows(f"SELECT id FROM people WHERE {schema}.shout(region) = 'x'") == []


REFUSED = {
    "acts with the rights of its owner": ("ALTER FUNCTION {function} SECURITY DEFINER", "acts with the rights of app_owner"),
    "is called on hidden rows": ("ALTER FUNCTION {function} LEAKPROOF", "is LEAKPROOF"),
    "is a superuser's": ("ALTER FUNCTION {function} OWNER TO {superuser}", "is owned by the superuser"),
    "is somebody else's": ("ALTER FUNCTION {function} OWNER TO pg_monitor", "is owned by pg_monitor, for whom"),
    "is in a superuser's schema": ("ALTER SCHEMA {schema} OWNER TO {superuser}", "is in a schema that is owned by the superuser"),
    "is an aggregate": (
        "DROP FUNCTION {function}; CREATE AGGREGATE {schema}.answer(integer) (SFUNC = int4pl, STYPE = integer)",
        "is no plain function",
    ),
    "is a procedure": ("DROP FUNCTION {function}; CREATE PROCEDURE {function} LANGUAGE sql AS 'SELECT 1'", "is no plain function"),
    "is of an untrusted language": (
        "DROP FUNCTION {function}; CREATE FUNCTION {schema}.answer(text) RETURNS text LANGUAGE internal AS 'lower'",
        "is written in internal",
    ),
    "has a neighbour that everybody may call, and that acts with the rights of its owner": (
        "CREATE FUNCTION {schema}.open() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT 1::text'",
        "everybody has EXECUTE on ROUTINE {schema}.open()",
    ),
    "has a procedure as a neighbour that everybody may call, and that acts with the rights of its owner": (
        "CREATE PROCEDURE {schema}.open() LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
        "everybody has EXECUTE on ROUTINE {schema}.open()",
    ),
    "has a table as a neighbour that everybody may read": (
        "CREATE TABLE {schema}.open (id integer); GRANT SELECT ON {schema}.open TO PUBLIC",
        "everybody has SELECT on TABLE {schema}.open",
    ),
    "has a table as a neighbour of which everybody may read a column": (
        "CREATE TABLE {schema}.open (id integer); GRANT SELECT (id) ON {schema}.open TO PUBLIC",
        "everybody has SELECT on TABLE {schema}.open",
    ),
    "has a sequence as a neighbour that everybody may use": (
        "CREATE SEQUENCE {schema}.open; GRANT USAGE ON SEQUENCE {schema}.open TO PUBLIC",
        "everybody has USAGE on SEQUENCE {schema}.open",
    ),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_is_a_way_around_policies_is_named_and_cannot_be_given(bench: PostgresBench, why: str):
    schema = bench.schema()
    tool = function(bench, "SELECT 'x'", schema=schema)
    of = calling(bench, tool)
    words = {"function": tool, "schema": schema, "superuser": bench.superuser}
    bench.run(REFUSED[why][0].format(**words))

    found = obstacles(bench, schema)

    assert any(REFUSED[why][1].format(**words) in obstacle for obstacle in found.values()), found
    with pytest.raises(RolevendError):
        bench.platform.ensure(of)
    assert not bench.exists(of.name)


@pytest.mark.parametrize("why", [why for why in REFUSED if "neighbour" in why])
def test_a_neighbour_that_only_its_owner_reaches_is_in_nobodys_way(bench: PostgresBench, why: str):
    schema = bench.schema()
    tool = function(bench, "SELECT 'x'", schema=schema)
    words = {"function": tool, "schema": schema, "superuser": bench.superuser}
    bench.run(REFUSED[why][0].format(**words))
    mend = obstacles(bench, schema)[str(tool)].partition("run: ")[2]

    bench.run(mend)

    assert obstacles(bench, schema)[str(tool)] == ""
    assert logged_in(bench, calling(bench, tool)).rows(f"SELECT {schema}.answer()") == [("x",)]


CHANGED = {
    "it acts with the rights of its owner": ("ALTER FUNCTION {function} SECURITY DEFINER", "ALTER FUNCTION {function} SECURITY INVOKER"),
    "it is replaced by one that acts with the rights of its owner": (
        "CREATE OR REPLACE FUNCTION {function} RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT 1::text'",
        "CREATE OR REPLACE FUNCTION {function} RETURNS text LANGUAGE sql AS 'SELECT 1::text'",
    ),
    "it is called on hidden rows": ("ALTER FUNCTION {function} LEAKPROOF", "ALTER FUNCTION {function} NOT LEAKPROOF"),
    "it was made anew": (
        "DROP FUNCTION {function}; CREATE FUNCTION {function} RETURNS text LANGUAGE sql AS 'SELECT 1::text';"
        "ALTER FUNCTION {function} OWNER TO app_owner",
        "SELECT 1",
    ),
    "a neighbour is open": (
        "CREATE FUNCTION {schema}.open() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT 1::text'",
        "DROP FUNCTION {schema}.open()",
    ),
}


@pytest.mark.parametrize("change", CHANGED)
def test_a_function_that_becomes_one_ends_the_roles_that_have_it_and_is_not_vended_until_it_is_none(bench: PostgresBench, change: str):
    schema = bench.schema()
    tool = function(bench, "SELECT '1'", schema=schema)
    of, without = calling(bench, tool), calling(bench)
    lease, _ = vended(bench.platform, of, regions=["EU"])
    vended(bench.platform, without, regions=["EU"])
    assert bench.platform.drift() == []
    words = {"function": tool, "schema": schema}

    bench.run(CHANGED[change][0].format(**words))

    (found,) = bench.platform.drift()
    assert (found.roles, found.table.schema) == ((lease.role,), schema)
    late = new_lease(of, regions=["EU"])
    (answer,) = bench.platform.vend([(late, bench.platform.credential(late, bytes))])
    assert isinstance(answer.error, PlatformBusy)
    if "anew" not in change:
        with pytest.raises(PlatformBusy, match=schema):
            bench.platform.ensure(of)
    bench.platform.drop([DropRequest(lease.role, lease.uid, EndReason.REVOKED)])
    assert bench.platform.drift() == [], "nobody has to mend what nobody has"

    bench.run(CHANGED[change][1].format(**words))

    assert bench.log_in(vend(bench.platform, of, late)).rows(f"SELECT {schema}.answer()") == [("1",)]
    assert bench.platform.drift() == []


SECRET = "'reached'::text"
REACHED = {
    "a function in its body": (
        "CREATE FUNCTION {hidden}.it() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT {quoted}'",
        "BEGIN ATOMIC SELECT {hidden}.it(); END",
        "everybody has EXECUTE on ROUTINE {hidden}.it()",
    ),
    "a LEAKPROOF function in its body": (
        "CREATE FUNCTION {hidden}.it() RETURNS text LANGUAGE sql LEAKPROOF AS 'SELECT {quoted}'",
        "BEGIN ATOMIC SELECT {hidden}.it(); END",
        "everybody has EXECUTE on ROUTINE {hidden}.it()",
    ),
    "a function behind another one": (
        "CREATE FUNCTION {hidden}.it() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT {quoted}';"
        "CREATE FUNCTION {hidden}.between() RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT {hidden}.it(); END",
        "BEGIN ATOMIC SELECT {hidden}.between(); END",
        "everybody has EXECUTE on ROUTINE {hidden}.it()",
    ),
    "a function behind an operator": (
        "CREATE FUNCTION {hidden}.it(text, text) RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT {quoted}';"
        "CREATE OPERATOR {hidden}.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = {hidden}.it)",
        "BEGIN ATOMIC SELECT 'a'::text OPERATOR({hidden}.===) 'b'::text; END",
        "everybody has EXECUTE on ROUTINE {hidden}.it(text,text)",
    ),
    "a function behind a type": (
        "CREATE FUNCTION {hidden}.it(text) RETURNS boolean LANGUAGE sql SECURITY DEFINER AS 'SELECT $1 = {quoted}';"
        "CREATE DOMAIN {hidden}.kind AS text CHECK ({hidden}.it(VALUE))",
        "BEGIN ATOMIC SELECT CAST('reached' AS {hidden}.kind); END",
        "everybody has EXECUTE on ROUTINE {hidden}.it(text)",
    ),
    "a view": (
        "CREATE VIEW {hidden}.it AS SELECT {secret} AS value; GRANT SELECT ON {hidden}.it TO PUBLIC",
        "BEGIN ATOMIC SELECT value FROM {hidden}.it; END",
        "everybody has SELECT on TABLE {hidden}.it",
    ),
    "a column": (
        "CREATE TABLE {hidden}.it AS SELECT {secret} AS value; GRANT SELECT (value) ON {hidden}.it TO PUBLIC",
        "BEGIN ATOMIC SELECT value FROM {hidden}.it; END",
        "everybody has SELECT on TABLE {hidden}.it",
    ),
}


@pytest.mark.parametrize("what", REACHED)
def test_a_function_that_brings_another_schema_into_reach_is_none_from_then_on(bench: PostgresBench, what: str):
    """PostgreSQL looks the names of such a body up when it is made: who calls it need not have the use of their schema."""
    schema, hidden = bench.schema(), bench.schema()
    tool = function(bench, "SELECT 'x'", schema=schema)
    of = calling(bench, tool)
    lease, credential = vended(bench.platform, of, regions=["EU"])
    eve = bench.log_in(credential)
    words = {"hidden": hidden, "secret": SECRET, "quoted": SECRET.replace("'", "''")}
    made, body, told = (each.format(**words) for each in REACHED[what])

    bench.run(f"{made}; CREATE OR REPLACE FUNCTION {tool} RETURNS text LANGUAGE sql {body}")

    assert eve.rows(f"SELECT {schema}.answer()") == [("reached",)], "there is nothing to find otherwise"
    assert told in obstacles(bench, schema)[str(tool)]
    assert [each.roles for each in bench.platform.drift()] == [(lease.role,)]
    bench.platform.drop([DropRequest(lease.role, lease.uid, EndReason.REVOKED)])
    with pytest.raises(RolevendError):
        bench.platform.ensure(of)
    bench.run(obstacles(bench, schema)[str(tool)].partition("run: ")[2])
    assert obstacles(bench, schema)[str(tool)] == ""
    assert refused(lambda: logged_in(bench, of).rows(f"SELECT {schema}.answer()")) == PERMISSION_DENIED


def test_the_value_that_a_parameter_has_by_itself_brings_nothing_into_reach(bench: PostgresBench):
    schema, hidden = bench.schema(), bench.schema()
    bench.run(f"CREATE FUNCTION {hidden}.it() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT 1::text'")

    tool = function(bench, "SELECT $1", schema=schema, arguments=f"text DEFAULT {hidden}.it()")

    assert f"everybody has EXECUTE on ROUTINE {hidden}.it()" in obstacles(bench, schema)[str(tool)]


def test_a_body_that_names_a_governed_table_reads_nothing_of_it(bench: PostgresBench):
    """Nobody asks for the use of its schema then, but for a right on the table, which the role has not got."""
    schema, people = bench.schema(), bench.people()
    tool = function(bench, "SELECT 'x'", schema=schema)
    of = Profile(profile().name, (shape(people, own(people, "region", "regions")),), (tool,))
    eve = logged_in(bench, of)

    bench.run(f"CREATE OR REPLACE FUNCTION {tool} RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT min(ssn) FROM {people.id}; END")

    assert refused(lambda: eve.rows(f"SELECT {schema}.answer()")) == PERMISSION_DENIED


def test_a_function_may_use_what_every_role_reads_anyway(bench: PostgresBench):
    schema = bench.schema()
    body = "BEGIN ATOMIC SELECT min(tablename) FROM pg_tables, information_schema.tables WHERE schemaname = 'pg_catalog'; END"
    tool = function(bench, "SELECT 'x'", schema=schema)

    bench.run(f"CREATE OR REPLACE FUNCTION {tool} RETURNS text LANGUAGE sql {body}")

    assert obstacles(bench, schema) == {str(tool): ""}


def test_a_function_with_another_body_is_the_same_tool(bench: PostgresBench):
    schema = bench.schema()
    eve = logged_in(bench, calling(bench, function(bench, "SELECT 'old'", schema=schema)))

    function(bench, "SELECT 'new'", schema=schema)

    assert bench.platform.drift() == []
    assert eve.rows(f"SELECT {schema}.answer()") == [("new",)]


def test_a_profile_with_functions_goes_without_a_trace_when_nobody_uses_it(bench: PostgresBench):
    schema = bench.schema()
    tool = function(bench, "SELECT 'x'", schema=schema)
    of = calling(bench, tool)
    bench.platform.ensure(of)

    assert bench.platform.collect(frozenset(), datetime.now(UTC) + timedelta(hours=1)) == 1

    assert not bench.exists(of.name)
    rights = (
        f"(SELECT proacl::text FROM pg_proc WHERE oid = '{tool}'::regprocedure)",
        f"(SELECT nspacl::text FROM pg_namespace WHERE nspname = '{schema}')",
    )
    assert of.name not in str(bench.value(f"SELECT concat({', '.join(rights)})"))


@pytest.mark.parametrize("argument", ["integer); DROP TABLE x; --", "integer) TO PUBLIC; --", "'", "no_such_type"])
def test_a_signature_is_a_name_and_nothing_else(bench: PostgresBench, argument: str):
    function(bench, "SELECT 'x'", schema=(schema := bench.schema()), arguments="integer")

    with pytest.raises(RolevendError):
        bench.platform.ensure(calling(bench, FunctionId(schema, "answer", argument)))


def test_what_the_page_says_prepares_tools_that_an_agent_has(bench: PostgresBench):
    prepare, use = re.findall(r"^```sql\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    claims = bench.table([("claim_id", "bigint"), ("amount", "numeric")], [[11, 2000], [12, 20]], name="claims")
    try:
        with bench.administrator() as administrator:
            administrator.execute(prepare)
            options = replace(bench.options, schemas=(*bench.options.schemas, "finbot"), functions=("tools",))
            planned = plan(administrator, options)
            assert any("finbot_owner" in each.text for each in planned.statements)
            install(administrator, options, accept=planned.digest, passwords=Passwords(), randomness=secrets.token_bytes)
        held = bench.platform.catalog(frozenset(), own=frozenset({"finbot"}), functions=frozenset({"tools"}))
        assert [(str(each.id), each.obstacle) for each in held.functions] == [("tools.risk_score(numeric)", "")]
        tables = profile(shape(claims), shape(held.tables[TableId("finbot", "notes")]))
        _, credential = vended(bench.platform, Profile(tables.name, tables.tables, (held.functions[0].id,)))

        session = bench.log_in(credential)

        scores, notes = (session.rows(statement) for statement in use.split(";")[:2])
        assert (scores, notes) == ([(11, "high"), (12, "low")], [("hail in Vienna",)])
    finally:
        bench.run("DROP SCHEMA IF EXISTS tools, finbot CASCADE")
        bench.run("DROP OWNED BY finbot_owner; DROP ROLE finbot_owner")


def test_tables_of_an_agents_own_schema_are_there_and_what_reads_around_policies_is_named(bench: PostgresBench):
    people = bench.people()
    mine = bench.table([("id", "integer"), ("note", "text")], [[1, "mine"]], name="notes").id.schema
    for made in (
        f"VIEW {mine}.everybody AS SELECT * FROM {people.id}",
        f"MATERIALIZED VIEW {mine}.copied AS SELECT * FROM {people.id}",
        f"TABLE {mine}.heirs () INHERITS ({people.id})",
        f"TABLE {mine}.elders (id integer, region text, email text, ssn text)",
        f"TABLE {mine}.oldest (id integer)",
        f"TABLE {mine}.parts (id integer) PARTITION BY LIST (id)",
        f"TABLE {mine}.part PARTITION OF {mine}.parts DEFAULT",
    ):
        bench.run(f"CREATE {made}")
    bench.run(f"ALTER TABLE {people.id} INHERIT {mine}.elders; ALTER TABLE {mine}.elders INHERIT {mine}.oldest")
    for name in ("heirs", "elders", "oldest", "parts", "part"):
        bench.run(f"ALTER TABLE {mine}.{name} OWNER TO {bench.owner}")

    found = bench.platform.catalog(frozenset(), own=frozenset({mine})).tables

    named = {table.name: each.obstacle for table, each in found.items() if each.obstacle}
    kin = f"shares rows with {people.id}, which is in another schema"
    assert named == {
        "everybody": "is a view: grant the tables beneath it",
        "copied": "is a materialized view, whose rows PostgreSQL cannot keep apart: grant the tables beneath it",
        **dict.fromkeys(("heirs", "elders", "oldest"), kin),
    }
    assert {table.name for table in found} - named.keys() == {"notes", "parts"}
    _, credential = vended(bench.platform, profile(shape(found[TableId(mine, "notes")])))
    assert bench.log_in(credential).rows("SELECT note FROM notes") == [("mine",)]

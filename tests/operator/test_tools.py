"""Tools of agents on a real cluster and real platforms: what an agent is given beside what policies grant, what it is told where it is not
given, and what becomes of its roles when a tool changes."""

from collections.abc import Iterator

import psycopg
import pytest

from tests.support.site import ANNEX, WAREHOUSE, Body, data_platform
from tests.support.tenancy import Tenant
from tests.support.waiting import eventually

BOTH = pytest.mark.parametrize("platform", [WAREHOUSE, ANNEX], ids=["with a superuser", "without one"])

_TOOLS = """
CREATE SCHEMA tools;
CREATE FUNCTION tools.shout(text) RETURNS text LANGUAGE sql AS 'SELECT upper($1)';
CREATE FUNCTION tools.leak() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT string_agg(ssn, '','') FROM claims.people';
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA tools FROM PUBLIC;
CREATE SCHEMA notes;
CREATE TABLE notes.notes (id bigint, note text);
INSERT INTO notes.notes VALUES (1, 'mine'), (2, 'hers');
CREATE VIEW notes.everybody AS SELECT * FROM claims.people;
"""


def tools(platform: str, functions: tuple[str, ...] = (), schemas: tuple[str, ...] = ()) -> list[Body]:
    named = [{"schema": "tools", "name": name} for name in functions]
    return [{"platformRef": {"name": platform}, "postgres": {"functions": named, **({"schemas": list(schemas)} if schemas else {})}}]


@pytest.fixture
def tooled(tenant: Tenant, platform: str) -> Iterator[Tenant]:
    """A tenant, and a platform that lets all agents have some functions and one schema."""
    database, described = tenant.site.database(platform), data_platform(platform, tenant.site.database(platform))
    database.ask("SET ROLE app_owner; " + _TOOLS)
    terms = described["spec"]["agents"]
    most = {"functions": [{"schema": "tools", "name": "*"}], "schemas": ["notes", "claims"]}
    tenant.site.patch(described, {"agents": [{**terms[0], "tools": {"postgres": most}}, *terms[1:]]})
    tenant.site.wait_for_platform(platform)
    yield tenant
    tenant.site.patch(described, {"agents": terms})
    tenant.leave()
    eventually(lambda: not any(f"_{tenant.handle}" in role for role in database.roles()))  # a drop of one locks what is dropped here
    database.ask("DROP SCHEMA tools, notes CASCADE")


@BOTH
def test_a_role_has_the_tools_of_its_agent_beside_what_policies_grant_and_no_other_agents_role_has_them(tooled: Tenant, platform: str):
    mine = tooled.agent(tools=tools(platform, ("shout",), ("notes",)))
    tooled.site.told(tooled.person(), "Ready", "True")
    tooled.agent(f"{tooled.name}-other", handle=f"{tooled.handle}O")
    tooled.site.told(tooled.policy(platform=platform), "Ready", "True")
    eventually(lambda: "notes.everybody is a view" in tooled.site.told(mine, "Ready", "False", "ToolRefused"))

    asked, other = tooled.ask(platform=platform).ready(), tooled.ask(platform=platform, agent=f"{tooled.name}-other").ready()

    assert asked.rows("SELECT tools.shout(country), note FROM people JOIN notes ON id = person_id ORDER BY id") == [
        ("DE", "mine"),
        ("AT", "hers"),
    ]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        other.rows("SELECT tools.shout('x')")
    with pytest.raises(psycopg.errors.UndefinedTable):
        other.rows("SELECT * FROM notes")


@BOTH
def test_a_tool_that_an_agent_may_not_have_is_named_and_takes_nothing_else_from_it(tooled: Tenant, platform: str):
    agent = tooled.agent(tools=tools(platform, ("shout", "leak", "gone"), ("claims",)))
    tooled.site.told(tooled.person(), "Ready", "True")
    tooled.site.told(tooled.policy(platform=platform), "Ready", "True")

    leaks = "function tools.leak() acts with the rights of app_owner, and so reads around policies"
    eventually(lambda: leaks in tooled.site.condition(agent, "Ready")["message"])
    told = tooled.site.told(agent, "Ready", "False", "NotPermitted")
    assert "schema claims is in the domain" in told
    assert "there is no function tools.gone" in told
    asked = tooled.ask(platform=platform).ready()
    assert asked.rows("SELECT tools.shout(country) FROM people WHERE person_id = 1") == [("DE",)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        asked.rows("SELECT tools.leak()")


@pytest.mark.thinned(9, "long")
@BOTH
def test_a_function_that_reads_with_its_owners_rights_now_ends_the_roles_that_have_it_and_no_others(tooled: Tenant, platform: str):
    agent = tooled.agent(tools=tools(platform, ("shout",)))
    tooled.agent(f"{tooled.name}-other", handle=f"{tooled.handle}O")
    tooled.site.told(tooled.person(), "Ready", "True")
    tooled.site.told(tooled.policy(platform=platform), "Ready", "True")
    tooled.site.told(agent, "Ready", "True")
    asked, other = tooled.ask(platform=platform).ready(), tooled.ask(platform=platform, agent=f"{tooled.name}-other").ready()
    database = tooled.site.database(platform)

    database.ask(
        "CREATE OR REPLACE FUNCTION tools.shout(text) RETURNS text LANGUAGE sql SECURITY DEFINER "
        "AS 'SELECT string_agg(ssn, '','') FROM claims.people'"
    )

    asked.gone()
    assert database.ended(asked.role) == "Revoked"
    assert "SECURITY INVOKER" in tooled.site.told(agent, "Ready", "False", "ToolRefused")
    again = tooled.ask(platform=platform).ready()
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        again.rows("SELECT tools.shout('x')")
    assert other.is_ready()
    tooled.site.wait_for_platform(platform)

    database.ask("CREATE OR REPLACE FUNCTION tools.shout(text) RETURNS text LANGUAGE sql AS 'SELECT $1'")

    tooled.site.told(agent, "Ready", "True")
    assert tooled.ask(platform=platform).ready().rows("SELECT tools.shout('x')") == [("x",)]


@pytest.mark.parametrize("platform", [WAREHOUSE])
def test_a_tool_that_is_taken_away_ends_the_roles_that_have_it_and_one_more_ends_none(tooled: Tenant, platform: str):
    agent = tooled.agent(tools=tools(platform, ("shout",)))
    tooled.site.told(tooled.person(), "Ready", "True")
    tooled.site.told(tooled.policy(platform=platform), "Ready", "True")
    tooled.site.told(agent, "Ready", "True")
    asked = tooled.ask().ready()

    tooled.site.patch(agent, {"tools": tools(platform, ("shout",), ("notes",))})

    tooled.site.told(agent, "Ready", "False", "ToolRefused")
    more = tooled.ask().ready()
    assert more.rows("SELECT count(*) FROM notes") == [(2,)]
    assert asked.is_ready()

    tooled.site.patch(agent, {"tools": []})

    asked.gone()
    more.gone()


@pytest.mark.parametrize("platform", [WAREHOUSE])
def test_the_record_of_a_role_tells_its_tools(tooled: Tenant, platform: str):
    agent = tooled.agent(tools=tools(platform, ("shout",), ("notes",)))
    tooled.site.told(tooled.person(), "Ready", "True")
    tooled.site.told(tooled.policy(platform=platform), "Ready", "True")
    tooled.site.told(agent, "Ready", "False", "ToolRefused")
    asked = tooled.ask().ready()

    granted = [each for each in tooled.site.log_lines() if each.get("type") == "dev.rolevend.granted" and each["subject"] == asked.role]
    event = granted[-1]  # what the vend that succeeded intended: one that a lost connection stopped has written its own intent before

    assert event["data"]["functions"] == ["tools.shout(text)"]
    assert {each["table"] for each in event["data"]["tables"]} == {"claims.people", "notes.notes"}

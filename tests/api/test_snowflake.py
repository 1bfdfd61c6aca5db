"""Roles on Snowflake by the API: what a caller is told of the tools of its agent. On the stand-in for Snowflake."""

from collections.abc import Iterator

import pytest

from rolevend_client import parsing
from tests.conformance.snowflake_tools import BEFORE, semantic
from tests.support.calling import Caller, Doors
from tests.support.lake import PATIENCE, SCHEMA, Lake, registered
from tests.support.proving import Proven
from tests.support.site import Site
from tests.support.snowflake import Account

PEOPLE_VIEW = {"schema": "SEM", "name": "PEOPLE"}
REGIONS = {"name": "regions", "columns": {"matchNames": ["REGION"]}, "type": "Hash"}


@pytest.fixture(scope="module")
def lake(site: Site) -> Iterator[Lake]:
    with registered(site, "lake", Account(), BEFORE, [semantic("PEOPLE")], {"semanticViews": [PEOPLE_VIEW]}) as lake:
        site.told(lake.body, "Attested", "True", within=PATIENCE)  # which keeps a busy machine from building
        site.wait_for_platform("lake")
        yield lake


def test_a_caller_is_told_where_a_tool_sees_less_than_the_role(site: Site, lake: Lake, proven: Proven, doors: Doors):
    site.told(proven.provider(), "Ready", "True", "KeysRead")
    site.told(proven.agent(tools=lake.asking(semanticViews=[PEOPLE_VIEW])), "Ready", "True")
    lake.grant(proven.tenant, "PEOPLE", rowFilter="\"REGION\" IN ('EU')", masks=[REGIONS])
    caller = Caller(proven, doors.first)

    role = caller.vended(platforms=["lake"])

    why = f"{SCHEMA}.PEOPLE shows no row to tools: its rows are filtered by REGION, which is masked or not granted"
    (table,) = role["explanation"]["tables"]
    assert (table["table"], table["stricterForTools"]) == ("PEOPLE", [why])
    assert role["explanation"]["functions"] == ["semantic view SEM.PEOPLE"]
    (read,) = parsing.explanation(role["explanation"]).tables
    assert read.stricter_for_tools == (why,)
    decided = caller.call("POST", "/v1/decisions", caller.question(platforms=["lake"])).json()
    assert decided["explanation"] == role["explanation"]

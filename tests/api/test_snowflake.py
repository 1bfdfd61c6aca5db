"""Roles on Snowflake by the API: what a caller learns about the tools of its agent, and roles with approvals. On the stand-in for
Snowflake."""

from collections.abc import Iterator

import pytest
from snowflake.connector import errors as vendor

from rolevend.platforms.protocol import Secret
from rolevend_client import parsing
from tests.conformance.snowflake_bench import SnowflakeSession
from tests.conformance.snowflake_tools import BEFORE, semantic
from tests.support.calling import Caller, Doors
from tests.support.lake import PATIENCE, SCHEMA, Lake, registered
from tests.support.proving import Proven
from tests.support.requesting import ApiRequester, Requester, on_request_of
from tests.support.site import Body, Site
from tests.support.snowflake import Account, Fault, Harm
from tests.support.waiting import eventually

PEOPLE_VIEW = {"schema": "SEM", "name": "PEOPLE"}
REGIONS = {"name": "regions", "columns": {"matchNames": ["REGION"]}, "type": "Hash"}


@pytest.fixture(scope="module")
def lake(site: Site) -> Iterator[Lake]:
    with registered(site, "lake", Account(), BEFORE, [semantic("PEOPLE")], {"semanticViews": [PEOPLE_VIEW]}) as lake:
        site.told(lake.body, "Attested", "True", within=PATIENCE)  # which keeps a busy machine from building
        site.wait_for_platform("lake")
        yield lake


@pytest.mark.long
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


OWN_REGIONS = "\"REGION\" IN ('EU')"
HIDDEN = [{"name": "ids", "columns": {"matchNames": ["SSN"]}, "type": "Nullify"}]
SSN = 'SELECT "SSN" FROM "PEOPLE" ORDER BY "ID"'


def log_in(lake: Lake, role: Body) -> SnowflakeSession:
    """As the role's own user, with the credential of the answer."""
    given = role["platforms"][0]["credential"]
    return lake.bench.session(given["user"], Secret(given["privateKey"]), role=given["role"])


@pytest.mark.long
def test_a_role_with_an_approval_waits_for_its_profile_without_using_it_up_and_ends_with_the_yes(
    site: Site, lake: Lake, proven: Proven, doors: Doors
):
    site.told(proven.provider(), "Ready", "True", "KeysRead")
    site.told(proven.agent(), "Ready", "True")
    lake.grant(proven.tenant, "PEOPLE", rowFilter=OWN_REGIONS, masks=HIDDEN)
    requester = ApiRequester(Caller(proven, doors.first))
    offers = requester.offers = Requester(proven.tenant, "lake")
    offer = {"name": offers.offer_name, "rowFilter": OWN_REGIONS, "onRequest": on_request_of()}
    offers.offers(lake.grant(proven.tenant, "PEOPLE", **offer))
    faults = lake.bench.snowflake.account.faults
    standing = requester.caller.vended(platforms=["lake"])
    request = eventually(lambda: requester.asked("Pending", platform="lake"))
    faults.inject(Fault(Harm.SILENT_AFTER, lambda _, sql: "SECURE VIEW" in sql and "CANARY" not in sql))  # of the second profile
    asked = offers.found(request["id"])
    try:
        yes = offers.vote(asked)
        asked.is_now("Approved")
        requester.usable(request, platforms=["lake"])

        early = requester.vend(request, platforms=["lake"])

        assert (early.status_code, early.json()["code"]) == (503, "ProfileBuilding")
        assert int(early.headers["Retry-After"]) > 0
        assert asked.status["state"] == "Approved"
        assert not asked.status.get("uses")
    finally:
        faults.silence.set()
    role = requester.vended(request, platforms=["lake"])
    hers, without = log_in(lake, role), log_in(lake, standing)
    assert hers.run(SSN) == [("123",), ("456",)]
    assert without.run(SSN) == [(None,), (None,)]
    asked.is_now("Used")
    site.remove(yes)
    asked.is_now("Revoked")
    eventually(lambda: requester.caller.stored(role) is None, within=PATIENCE)
    with pytest.raises(vendor.Error):
        hers.run(SSN)
    assert without.run(SSN) == [(None,), (None,)]

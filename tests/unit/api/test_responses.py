"""What a caller of the API is shown of a role."""

from dataclasses import replace

from rolevend.api import responses
from rolevend.kinds import DataPlatform, VendedRole, parse
from rolevend.model import PlatformName
from rolevend.platforms.progress import BuildProgress
from rolevend.roles.status import StatusBuilder
from tests.support.manifests import MISSING, Body
from tests.support.painted import CRM, NOW, OBJECTS, WAREHOUSE, paint, raw

ACCOUNT = {"account": "myorg-account1", "database": "CRM", "warehouse": "AGENTS_WH"}


def test_a_role_that_is_looked_at_says_of_each_platform_what_it_is():
    """By the DataPlatforms that there are: nothing is made up of one that is gone."""
    refs = [{"name": each} for each in (WAREHOUSE, CRM, "old")]
    role = parse(VendedRole, raw("VendedRole", "ask", "agents", ("spec.platformRefs", refs)))
    on_snowflake = raw("DataPlatform", CRM, "", ("spec.postgres", MISSING), ("spec.snowflake", ACCOUNT), ("spec.agents[0].tools", MISSING))
    platforms = [OBJECTS.platforms[0], parse(DataPlatform, on_snowflake)]

    shown = responses.shown(role, paint(replace(OBJECTS, platforms=platforms)).snapshot.platforms)

    assert [(each.name, each.type) for each in shown.platforms] == [(WAREHOUSE, "PostgreSQL"), (CRM, "Snowflake"), ("old", None)]
    assert "type" not in shown.model_dump(mode="json", by_alias=True, exclude_none=True)["platforms"][2]


def test_a_role_that_waits_for_its_profile_says_how_far_that_is_until_it_ends():
    asked = raw("VendedRole", "ask", "agents")

    def shown(status: Body) -> tuple[str, object]:
        told = responses.shown(parse(VendedRole, asked | {"status": status}), {}).model_dump(mode="json", by_alias=True, exclude_none=True)
        return told["state"], told.get("progress")

    waiting = StatusBuilder(parse(VendedRole, asked), NOW).building_status(PlatformName(WAREHOUSE), BuildProgress(340, 1000, "view"))
    assert shown({}) == ("Pending", None)
    assert shown(waiting) == ("Pending", "building its profile: 340 of 1,000 tables have their view")
    assert shown(waiting | {"ended": {"reason": "Revoked", "by": "Unanswered"}}) == ("Ending", None)
    busy = waiting["conditions"][0] | {"reason": "PlatformBusy", "message": "table a.b is locked"}
    assert shown({"conditions": [busy]}) == ("Pending", None), "what is in the way is for who looks after the platform"

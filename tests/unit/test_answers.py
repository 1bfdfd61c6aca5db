"""What a caller of the API is shown of a role."""

from dataclasses import replace

from rolevend.api import answers
from rolevend.resources import DataPlatform, VendedRole, parse
from tests.support.manifests import MISSING
from tests.support.painted import CRM, OBJECTS, WAREHOUSE, paint, raw

ACCOUNT = {"account": "myorg-account1", "database": "CRM", "warehouse": "AGENTS_WH"}


def test_a_role_that_is_looked_at_says_of_each_platform_what_it_is():
    """By the DataPlatforms that there are: nothing is made up of one that is gone."""
    refs = [{"name": each} for each in (WAREHOUSE, CRM, "old")]
    role = parse(VendedRole, raw("VendedRole", "ask", "agents", ("spec.platformRefs", refs)))
    on_snowflake = raw("DataPlatform", CRM, "", ("spec.postgres", MISSING), ("spec.snowflake", ACCOUNT), ("spec.agents[0].tools", MISSING))
    platforms = [OBJECTS.platforms[0], parse(DataPlatform, on_snowflake)]

    shown = answers.shown(role, paint(replace(OBJECTS, platforms=platforms)).directory.platforms)

    assert [(each.name, each.type) for each in shown.platforms] == [(WAREHOUSE, "PostgreSQL"), (CRM, "Snowflake"), ("old", None)]
    assert "type" not in shown.model_dump(mode="json", by_alias=True, exclude_none=True)["platforms"][2]

"""The MCP server against the API itself: what a real provider gives it, for a person's token and for itself, is a proof there."""

import asyncio
from pathlib import Path

from mcp import Client

from tests.client.identity import SERVER
from tests.client.serving_mcp import ask, served
from tests.support.calling import Doors
from tests.support.proving import Proven
from tests.support.site import WAREHOUSE
from tests.support.waiting import DEADLINE, eventually

PEOPLE = "SELECT person_id, ssn FROM people ORDER BY 1"


async def test_a_person_queries_by_an_exchanged_token_and_nothing_is_left(proven: Proven, doors: Doors, tmp_path: Path):
    tenant = proven.tenant
    with served(tmp_path, tenant=tenant.name, groups=["DE", "AT", "everybody"]) as server:
        keys = server.issuer.tokens.call("GET", f"{server.issuer.issuer}/keys").body.decode()
        proven.issuer, proven.client = server.issuer.issuer, SERVER
        proven.site.told(proven.provider(keys={"inline": keys}, accepts=["Exchanged", "AccessToken"]), "Ready", "True", "KeysRead")
        proven.site.told(proven.agent(), "Ready", "True")
        proven.site.told(tenant.policy(), "Ready", "True")
        server.start(doors.first.url, agent_token="", PLATFORM=WAREHOUSE)

        async with server.client(server.token("anna")) as client:
            for _ in range(2):  # a release in between: the token that came is good for more than one role
                assert await rows(client) == "person_id,ssn\n1,NULL\n2,NULL\n(2 rows)"
                assert len(tenant.roles()) == 1
                assert "for anna through agent" in (await ask(client, "explain")).text
                await ask(client, "release")
                assert eventually(lambda: tenant.roles() == set())
            await rows(client)
        assert eventually(lambda: tenant.roles() == set())


async def rows(client: Client) -> str:
    """Asked until what is new to the API is known to it."""
    async with asyncio.timeout(DEADLINE):
        while (told := await ask(client, "query", statement=PEOPLE)).failed:
            await asyncio.sleep(0.2)
    return told.text

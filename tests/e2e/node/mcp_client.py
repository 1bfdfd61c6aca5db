"""The clients of people who use the MCP server, in a pod: each opens a session with the person's token, asks, and ends the session.

It is run as a text (`python -c`) in the image of the server, which holds a client of MCP, too. It prints one line of JSON: what each
person was told, and the status of answers to calls that bring no token of theirs for this server.
"""

import asyncio
import json
import ssl
import sys
from pathlib import Path
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

FOLDER = Path("/var/run/secrets/rolevend.dev")
QUESTION = "SELECT current_user AS role, country, count(*) AS claims FROM claims GROUP BY country ORDER BY country"
TRUSTED = ssl.create_default_context(cafile=FOLDER / "ca.crt")


def calls(token: str | None) -> httpx2.AsyncClient:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx2.AsyncClient(headers=headers, verify=TRUSTED, timeout=30.0)


async def answer(url: str, token: str) -> dict[str, Any]:
    async with calls(token) as http, Client(streamable_http_client(url, http_client=http), mode="legacy") as client:
        told = await client.call_tool("query", {"statement": QUESTION})
        return {"failed": bool(told.is_error), "text": "".join(each.text for each in told.content if each.type == "text")}


async def status(url: str, token: str | None) -> int:
    async with calls(token) as http:
        return (await http.post(url, json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"})).status_code


async def main(url: str, people: list[str]) -> dict[str, Any]:
    answers = await asyncio.gather(*(answer(url, (FOLDER / person).read_text()) for person in people))
    strangers = [None, (FOLDER / "for-rolevend").read_text()]
    return {"told": dict(zip(people, answers, strict=True)), "strangers": [await status(url, token) for token in strangers]}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(**json.loads(sys.argv[1])))))

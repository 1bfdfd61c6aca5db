"""Real MCP servers as processes, and real clients of them."""

import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.types import TextContent

from rolevend.policytools.embedded.ports import HOST, free_ports
from rolevend.policytools.embedded.process import Process, Program
from testbed.identity_provider import AUDIENCE, IdentityProvider
from tests.client.identity import EDITOR, SERVER, provider
from tests.support.waiting import DEADLINE

CLIENTS = Path(__file__).parents[2] / "clients" / "python"
METADATA = "/.well-known/oauth-protected-resource"


@dataclass(frozen=True)
class Told:
    """What a tool told the model."""

    text: str
    failed: bool


async def ask(client: Client, tool: str, **arguments: Any) -> Told:
    answer = await client.call_tool(tool, arguments)
    (content,) = answer.content
    assert isinstance(content, TextContent)
    return Told(content.text, bool(answer.is_error))


def environment(api: str, folder: Path, agent_token: str = "agents-own", **said: str) -> dict[str, str]:
    """Whole: nothing of ours is passed on. Without a token of its own the server asks its provider for one."""
    token = folder / "agents-token"
    token.write_text(agent_token)
    said = {"PLATFORM": "warehouse", **said}
    client = {"ROLEVEND_URL": api, **({"ROLEVEND_TOKEN_FILE": str(token)} if agent_token else {})}
    return {"PATH": os.defpath, "PYTHONPATH": str(CLIENTS), **client, **{f"ROLEVEND_MCP_{name}": value for name, value in said.items()}}


@dataclass
class Served:
    """One server over HTTP, and the identity provider that it trusts."""

    issuer: IdentityProvider
    url: str
    folder: Path
    process: Process = field(init=False)

    @property
    def metadata_url(self) -> str:
        return self.url.removesuffix("/mcp") + METADATA + "/mcp"

    def start(self, api: str, agent_token: str = "agents-own", **said: str) -> None:
        (self.folder / "secret").write_text(str(self.issuer.client(SERVER).secret))
        (self.folder / "authorities").write_text(self.issuer.authorities)
        given = environment(
            api,
            self.folder,
            agent_token,
            URL=self.url,
            LISTEN=self.url.removeprefix("http://").removesuffix("/mcp"),
            ISSUER=self.issuer.issuer,
            ISSUER_CA_FILE=str(self.folder / "authorities"),
            CLIENT_ID=SERVER,
            CLIENT_SECRET_FILE=str(self.folder / "secret"),
            AUDIENCE=AUDIENCE,
            **said,
        )
        command = (sys.executable, "-m", "rolevend_client.mcp", "http")
        self.process = Program("the MCP server", command, self.folder / "mcp.log", given).start()
        self.process.wait_until(self._answers, DEADLINE)

    def token(self, person: str, *, client: str = EDITOR, audience: str | None = None) -> str:
        return self.issuer.tokens.tokens_of(person, client=client, audience=audience or self.url).access_token

    @asynccontextmanager
    async def client(self, token: str, mode: str = "legacy") -> AsyncIterator[Client]:
        """One session of one person: legacy is what has sessions, auto the newest that both know."""
        async with (
            httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=DEADLINE) as http,
            Client(streamable_http_client(self.url, http_client=http), mode=mode) as client,
        ):
            yield client

    def post(self, token: str | None, session: str | None = None, **message: Any) -> httpx.Response:
        """One message, as no well-behaved client would send it."""
        headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        headers |= {"Mcp-Session-Id": session} if session else {}
        return httpx.post(self.url, json={"jsonrpc": "2.0", "id": 1, **message}, headers=headers, timeout=DEADLINE)

    def delete(self, token: str, session: str) -> httpx.Response:
        """End the session."""
        return httpx.delete(self.url, headers={"Authorization": f"Bearer {token}", "Mcp-Session-Id": session}, timeout=DEADLINE)

    def session(self, token: str) -> str:
        """Its id, of one that was opened by hand."""
        about = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "by-hand", "version": "1"}}
        session: str = self.post(token, method="initialize", params=about).headers["mcp-session-id"]
        self.post(token, session, method="notifications/initialized")
        return session

    def _answers(self) -> bool:
        try:
            return httpx.get(self.metadata_url).is_success
        except httpx.TransportError:
            return False


@contextmanager
def served(folder: Path, **claims: Any) -> Iterator[Served]:
    """With a provider that runs, and says `claims` of people; the server is started by the test."""
    (port,) = free_ports(1)
    url = f"http://{HOST}:{port}/mcp"
    with provider(url, **claims) as issuer:
        made = Served(issuer, url, folder)
        try:
            yield made
        finally:
            if hasattr(made, "process"):
                made.process.stop()


def local(api: str, folder: Path, user_token_file: Path, **said: str) -> StdioServerParameters:
    given = environment(api, folder, USER_TOKEN_FILE=str(user_token_file), **said)
    return StdioServerParameters(command=sys.executable, args=["-m", "rolevend_client.mcp", "stdio"], env=given)

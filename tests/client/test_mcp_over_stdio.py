"""A real MCP server that its client starts: the person's token lies in a file, and the role goes with the process."""

import asyncio
import os
import signal
import subprocess
from pathlib import Path

import jwt
import pytest
from mcp import Client, StdioServerParameters
from mcp.shared.exceptions import MCPError

from rolevend.policytools.embedded.ports import HOST, free_ports
from tests.client.serving_mcp import ask, local
from tests.client.test_mcp_over_http import WHO, roles
from tests.client.warehouse import Warehouse

pytestmark = [pytest.mark.usefixtures("patient_clients"), pytest.mark.long]

ISSUER = "https://idp.example.org"


def token_of(person: str, number: int = 0) -> str:
    return jwt.encode({"iss": ISSUER, "sub": person, "jti": str(number)}, "only-the-api-checks-the-signature", algorithm="HS256")


@pytest.fixture
def person(warehouse: Warehouse, tmp_path: Path):
    """The file; the API takes each token for one role."""
    used: set[str] = set()

    def believes(token: str) -> str:
        if token in used:
            return "used"
        used.add(token)
        return str(jwt.decode(token, options={"verify_signature": False})["sub"])

    file = tmp_path / "persons-token"
    file.write_text(token_of("anna"))
    warehouse.believes = believes
    yield file
    warehouse.believes = str


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_session_has_one_role_which_ends_with_it(warehouse: Warehouse, tmp_path: Path, person: Path, mode: str):
    async with Client(local(warehouse.api.url, tmp_path, person), mode=mode) as client:
        assert warehouse.api.bodies == []
        answers = {(await ask(client, "query", statement=WHO)).text for _ in range(3)}
        (role,) = roles(warehouse)
        assert len(answers) == 1
        assert f"{role},0,EU" in answers.pop()
        assert (await ask(client, "list_tables")).text.startswith("people: ")
    assert not warehouse.exists(role)


async def test_two_people_in_two_sessions_see_their_own_rows(warehouse: Warehouse, tmp_path: Path, person: Path):
    other = tmp_path / "bobs-token"
    other.write_text(token_of("bob"))
    first, second = (local(warehouse.api.url, tmp_path, file) for file in (person, other))
    async with Client(first) as annas, Client(second) as bobs:
        for answer in await asyncio.gather(*(ask(client, "query", statement=WHO) for client in [annas] * 5)):
            assert (",EU," in answer.text, ",US," in answer.text) == (True, False)
        for answer in await asyncio.gather(*(ask(client, "query", statement=WHO) for client in [bobs] * 5)):
            assert (",US," in answer.text, ",EU," in answer.text) == (True, False)


async def test_a_token_that_rotates_is_read_again_and_another_persons_is_refused(warehouse: Warehouse, tmp_path: Path, person: Path):
    async with Client(local(warehouse.api.url, tmp_path, person)) as client:
        await ask(client, "query", statement=WHO)
        await ask(client, "release")
        told = await ask(client, "query", statement=WHO)
        assert (told.failed, "TokenReplayed" in told.text) == (True, True)

        person.write_text(token_of("anna", 1))
        assert ",EU," in (await ask(client, "query", statement=WHO)).text

        person.write_text(token_of("bob"))
        for tool, arguments in (("query", {"statement": WHO}), ("release", {})):
            told = await ask(client, tool, **arguments)
            assert (told.failed, "another person" in told.text) == (True, True)


async def test_a_statement_that_runs_ends_with_its_session(warehouse: Warehouse, tmp_path: Path, person: Path):
    async with Client(local(warehouse.api.url, tmp_path, person), mode="legacy") as client:
        await ask(client, "list_tables")
        (role,) = roles(warehouse)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await ask(client, "query", statement="SELECT pg_sleep(60)")
    assert not warehouse.exists(role)


async def refused_until_it_is_gone(client: Client) -> None:
    while True:
        assert (await ask(client, "query", statement="SELECT pg_sleep(60)")).failed


async def test_a_signal_ends_the_role_and_the_process(warehouse: Warehouse, tmp_path: Path, person: Path):
    started = tmp_path / "pid"
    server = local(warehouse.api.url, tmp_path, person)
    program = (
        f"import os; open({str(started)!r}, 'w').write(str(os.getpid())); from rolevend_client.mcp.__main__ import main; main(['stdio'])"
    )
    server.args = ["-c", program]
    async with Client(server, mode="legacy") as client:
        await ask(client, "query", statement=WHO)
        (role,) = roles(warehouse)
        os.kill(int(started.read_text()), signal.SIGTERM)
        with pytest.raises(MCPError):  # the connection is closed
            await refused_until_it_is_gone(client)
        assert not warehouse.exists(role)
    assert not warehouse.exists(role)


@pytest.mark.parametrize(
    ("lacks", "said"),
    [
        ("ROLEVEND_URL", "ROLEVEND_URL is not set"),
        ("ROLEVEND_MCP_PLATFORM", "ROLEVEND_MCP_PLATFORM is not set; it says the platform to query"),
        ("ROLEVEND_MCP_USER_TOKEN_FILE", "ROLEVEND_MCP_USER_TOKEN_FILE is not set"),
    ],
)
def test_what_is_missing_is_said_in_a_line(warehouse: Warehouse, tmp_path: Path, person: Path, lacks: str, said: str):
    server = local(warehouse.api.url, tmp_path, person)
    server.env = {name: value for name, value in (server.env or {}).items() if name != lacks}
    ended = started(server)
    assert ended.returncode == 1
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def started(server: StdioServerParameters) -> subprocess.CompletedProcess[str]:
    """A server whose client leaves at once."""
    command = [server.command, *server.args]
    return subprocess.run(command, env=server.env, stdin=subprocess.DEVNULL, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("platforms", "partial", "starts"), [("warehose", "true", False), ("crm,no", "false", False), ("crm,no", "true", True)]
)
def test_it_does_not_start_for_a_platform_that_the_agent_may_not_use(
    warehouse: Warehouse, tmp_path: Path, person: Path, platforms: str, partial: str, starts: bool
):
    ended = started(local(warehouse.api.url, tmp_path, person, PLATFORM=platforms, ALLOW_PARTIAL=partial))
    assert ended.returncode == (0 if starts else 1)
    assert ("for this agent; it may use crm, warehouse" in ended.stderr) != starts


def test_it_starts_without_an_answer_of_the_api(tmp_path: Path, person: Path):
    (port,) = free_ports(1)
    ended = started(local(f"http://{HOST}:{port}", tmp_path, person))
    assert (ended.returncode, "the platforms are not checked" in ended.stderr) == (0, True)

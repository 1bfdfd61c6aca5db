"""The guide says what the package does: its programs run, and every name that it gives exists."""

import re
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage

import rolevend_client
from rolevend_client import RolevendError, errors
from rolevend_client.langchain import RolevendToolkit
from tests.client.scripted import Scripted, calls, queries
from tests.client.warehouse import Warehouse

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "how-to" / "query-as-an-agent.md"
MCP_GUIDE = ROOT / "docs" / "how-to" / "use-the-mcp-server.md"
README = ROOT / "clients" / "python" / "README.md"


def programs(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    "program",
    [pytest.param(text, id=f"{page.stem}-{number}") for page in (GUIDE, README) for number, text in enumerate(programs(page))],
)
def test_every_program_of_the_guide_runs(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], program: str
):
    token = tmp_path / "token"
    token.write_text("agents-own")
    monkeypatch.setenv("ROLEVEND_URL", warehouse.api.url)
    monkeypatch.setenv("ROLEVEND_TOKEN_FILE", str(token))
    script = [
        calls(("list_tables", {})),
        queries("SELECT region, count(*) FROM people GROUP BY region"),
        AIMessage(content="two in the EU"),
    ]

    exec(compile(program, str(GUIDE), "exec"), {"user_token": "anna", "model": Scripted(script=script)})

    assert [line.split()[0] for line in warehouse.api.asked] == ["POST", "DELETE"]
    printed = capsys.readouterr().out
    assert "print(" not in program or "EU" in printed or "(2,)" in printed


def test_forty_lines_of_code_lead_to_a_data_frame():
    blocks = re.findall(r"^```\w+\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    last = next(number for number, block in enumerate(blocks) if "dataframe(" in block)
    assert len([line for block in blocks[: last + 1] for line in block.splitlines() if line.strip()]) <= 40


def test_every_error_of_the_guide_is_one_and_none_is_missing():
    """In the order of the tree, of which the guide leaves out the ones that stand for others."""
    table = GUIDE.read_text().partition("| Error | Means | Do |")[2].partition("\n\n")[0]
    named = {name for cell in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", cell)}
    tree = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, RolevendError)}
    assert named == tree - {"RolevendError", "Rejected"}
    assert tree <= set(rolevend_client.__all__)


def test_every_tool_of_the_guide_is_one_and_none_is_missing(warehouse: Warehouse):
    table = GUIDE.read_text().partition("| Tool | Does |")[2].partition("\n\n")[0]
    tools = RolevendToolkit(client=warehouse.client(), platform="warehouse").get_tools()
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == {each.name for each in tools}
    assert {"most_rows", "most_characters"} <= set(RolevendToolkit.model_fields)


def test_every_variable_of_the_guide_is_read():
    read = (ROOT / "clients" / "python" / "rolevend_client" / "settings.py").read_text()
    for page in (GUIDE, README):
        named = set(re.findall(r"`(ROLEVEND_\w+)`", page.read_text()))
        assert named == set(re.findall(r'"(ROLEVEND_\w+)"', read))


def test_every_tool_and_variable_of_the_mcp_servers_guide_exists_and_none_is_missing():
    code = ROOT / "clients" / "python" / "rolevend_client"
    read = (code / "settings.py").read_text() + (code / "mcp" / "settings.py").read_text()
    assert set(re.findall(r"`(ROLEVEND_\w+)`", MCP_GUIDE.read_text())) == set(re.findall(r'"(ROLEVEND_\w+)"', read))
    tools = (code / "mcp" / "tools.py").read_text()
    table = MCP_GUIDE.read_text().partition("| Tool | Does |")[2].partition("\n\n")[0]
    made = {*re.findall(r"@server.tool.*\n    async def (\w+)", tools), *re.findall(r'server\.tool\("(\w+)"', tools)}
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == made

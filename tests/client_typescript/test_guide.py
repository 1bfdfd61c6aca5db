"""The guide says what the package does: the compiler takes its programs, they run, and every name that it gives exists."""

import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from langchain_core.messages import AIMessage

from testbed import node
from testbed.identity_provider import AUDIENCE
from tests.client.identity import EDITOR, SERVER, Believing, provider
from tests.client.scripted import Scripted, calls, queries
from tests.client.warehouse import Warehouse

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "how-to" / "query-as-an-agent-in-typescript.md"
README = node.PACKAGE / "README.md"
SOURCE = node.PACKAGE / "src"
FOLDER = node.PACKAGE / "build" / "guide"
MINE: Final = "https://finbot.example.org"
"""The audience of the tokens that people bring, which the client of the guide may exchange."""
REGIONS: Final = "SELECT region, count(*) FROM people GROUP BY region"
HEAD: Final = f"""\
import {{ aiModel, langchainModel }} from "../../test/programs/scripted.mjs";
const userToken: string = process.env.USER_TOKEN ?? "";
const calls = [["list_tables", {{}}], ["query_sql", {{ statement: "{REGIONS}" }}]];
const model = MODEL(...calls);
"""


def programs(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


PROGRAMS: Final = {
    f"{page.stem.lower()}-{number}": text for page in (GUIDE, README) for number, text in enumerate(programs(page, "typescript"))
}


@pytest.fixture(scope="module")
def compiled(built: None) -> Path:
    """The folder with the programs, as the compiler leaves them: `await using` becomes what every Node.js understands."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in PROGRAMS.items():
        head = HEAD.replace("MODEL", "langchainModel" if "createAgent" in text else "aiModel")
        (FOLDER / f"{name}.ts").write_text(head + text + "\nexport {};\n")
    options = {"noEmit": False, "rootDir": "../..", "outDir": "out"}
    (FOLDER / "tsconfig.json").write_text(json.dumps({"extends": "../../tsconfig.json", "compilerOptions": options, "include": ["*.ts"]}))
    answer = subprocess.run([*node.program("tsc"), "--project", FOLDER], cwd=node.PACKAGE, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout
    return FOLDER / "out" / "build" / "guide"


def run(program: Path, environment: Mapping[str, str]) -> str:
    answer = subprocess.run(
        [str(node.node()), str(program)], cwd=node.PACKAGE, env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


@pytest.fixture
def environment(warehouse: Warehouse, tmp_path: Path) -> dict[str, str]:
    token = tmp_path / "token"
    token.write_text("agents-own")
    return {"ROLEVEND_URL": warehouse.api.url, "ROLEVEND_TOKEN_FILE": str(token), "USER_TOKEN": "anna"}


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name, text in PROGRAMS.items() if "example.org" not in text])
def test_a_program_of_the_guide_runs(compiled: Path, warehouse: Warehouse, environment: dict[str, str], name: str):
    printed = run(compiled / f"{name}.js", environment)
    assert [line.split()[0] for line in warehouse.api.asked] == ["POST", "DELETE"]
    assert "console.log(" not in PROGRAMS[name] or "EU" in printed


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name, text in PROGRAMS.items() if "example.org" in text])
def test_a_program_of_the_guide_with_addresses_runs_with_those_of_the_test(
    compiled: Path, warehouse: Warehouse, environment: dict[str, str], tmp_path: Path, name: str
):
    """The exchange is at a real provider; the API verifies that its tokens name this client as the actor, and each is another one."""
    with provider(MINE) as idp:
        changes = {
            "https://idp.example.org": idp.issuer,
            '"finbot"': f'"{SERVER}"',
            'audience: "https://rolevend.example.org"': f'audience: "{AUDIENCE}"',
            'url: "https://rolevend.example.org"': f'url: "{warehouse.api.url}"',
            "/var/run/secrets/rolevend.dev/token": environment["ROLEVEND_TOKEN_FILE"],
        }
        text = (compiled / f"{name}.js").read_text()
        for said, real in changes.items():
            text = text.replace(said, real)
        program = compiled / f"{name}-here.js"
        program.write_text(text)
        if "TokenExchange" in text:
            warehouse.believes = Believing(idp)
            environment["USER_TOKEN"] = idp.tokens.tokens_of("anna", client=EDITOR, audience=MINE).access_token
            (tmp_path / "ca.pem").write_text(idp.authorities)
            environment |= {"CLIENT_SECRET": str(idp.client(SERVER).secret), "NODE_EXTRA_CA_CERTS": str(tmp_path / "ca.pem")}
        try:
            printed = run(program, environment)
        finally:
            warehouse.believes = str
    assert "console.log(" not in text or "count" in printed


def test_the_python_program_beside_them_runs_and_says_the_same(
    warehouse: Warehouse, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (program,) = programs(GUIDE, "python")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    script = [calls(("list_tables", {})), queries(REGIONS), lambda messages: AIMessage(content=messages[-1].content)]
    exec(compile(program, str(GUIDE), "exec"), {"user_token": "anna", "model": Scripted(script=script)})
    assert capsys.readouterr().out == "region,count\nEU,2\n(1 row)\n"


@pytest.mark.long
@pytest.mark.parametrize("framework", ["generateText", "createAgent"])
def test_the_two_agents_of_the_guide_say_what_the_python_agent_says(
    compiled: Path, warehouse: Warehouse, environment: dict[str, str], framework: str
):
    (name,) = [name for name, text in PROGRAMS.items() if framework in text and name.startswith(GUIDE.stem)]
    for person, region in (("anna", "EU"), ("bob", "US")):
        assert run(compiled / f"{name}.js", {**environment, "USER_TOKEN": person}) == f"region,count\n{region},2\n(1 row)\n"


def test_a_program_has_at_most_forty_lines():
    assert all(len(text.splitlines()) <= 40 for text in PROGRAMS.values())


def exported(name: str) -> str:
    return (SOURCE / name).read_text()


def test_every_error_and_option_of_the_guide_exists_and_none_is_missing():
    page = GUIDE.read_text()
    table = page.partition("| Error | Means | Do |")[2].partition("\n\n")[0]
    named = {name for cell in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", cell)}
    tree = set(re.findall(r"^export class (\w+)", exported("errors.ts"), re.MULTILINE))
    assert named == tree - {"RolevendError", "Rejected"}

    options = page.partition("| Option of `vend` | Value |")[2].partition("\n\n")[0]
    said = {name for line in options.splitlines() for name in re.findall(r"`(\w+)`", line)}
    client = exported("client.ts")
    parts = [client.partition(f"export interface {kind}")[2].partition("\n}")[0] for kind in ("Who", "Wish", "VendOptions")]
    known = {name for part in parts for name in re.findall(r"^  (\w+)\??:", part, re.MULTILINE)}
    assert known - {"idempotencyKey"} <= said

    tools = set(re.findall(r'tool\(\n?\s*"(\w+)"', exported("tools.ts")))
    assert tools <= set(re.findall(r"`(\w+)`", page))
    assert len(tools) == 6
    assert set(re.findall(r"`(ROLEVEND_\w+)`", page)) == set(re.findall(r"environment\.(ROLEVEND_\w+)", client))

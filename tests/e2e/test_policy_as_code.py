"""What a pull request needs of a real database: the catalog that policies are judged by, and cases that are tried by reading."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from rolevend.app.platform import install, plan
from rolevend.platforms.protocol import InstallMode
from tests.support.governed import DATABASE, OWNER, Governed
from tests.support.manifests import changed, valid
from tests.support.pages import with_rolevend
from tests.support.waiting import PROGRAM

pytestmark = pytest.mark.long


@pytest.fixture(scope="module", params=[InstallMode.SUPERUSER, pytest.param(InstallMode.MANAGED, marks=pytest.mark.long)])
def governed(request: pytest.FixtureRequest) -> Iterator[Governed]:
    with Governed(request.param) as database:
        yield database


@pytest.fixture
def manifest(governed: Governed, tmp_path: Path) -> Path:
    path = tmp_path / "platform.yaml"
    address = {"host": governed.superuser.host, "port": governed.superuser.port, "database": DATABASE}
    path.write_text(yaml.safe_dump(changed(valid("DataPlatform", "warehouse"), "spec.postgres", address)))
    return path


def catalog(manifest: Path, dsn: str, target: Path) -> str:
    """As a person writes it."""
    command = [sys.executable, "-m", "rolevend", "platform", "catalog", "-f", str(manifest), "--dsn", dsn, "-o", str(target)]
    subprocess.run(command, check=True, capture_output=True, timeout=PROGRAM)
    return target.read_text()


def test_the_catalog_is_what_the_operator_sees_before_and_after_rolevend_is_installed(governed: Governed, manifest: Path, tmp_path: Path):
    view = "CREATE VIEW claims.seen AS SELECT 1 AS one"
    made = "CREATE SCHEMA tools; CREATE FUNCTION tools.risk_score() RETURNS text LANGUAGE sql AS 'SELECT 1::text'; CREATE SCHEMA finbot"
    governed.ask(f"SET ROLE {OWNER}; COMMENT ON COLUMN claims.people.ssn IS 'rolevend: pii=id'; {view}; CREATE SCHEMA hr; {made}")
    dsn = governed.administrator.dsn

    before = catalog(manifest, dsn, tmp_path / "before.yaml")
    install(manifest, dsn, plan(manifest, dsn).digest, "rolevend-system")
    after = json.loads(catalog(manifest, dsn, tmp_path / "after.json"))

    assert after["platform"] == "warehouse"
    tables = {table["name"]: table for table in after["tables"]}
    assert set(tables) == {"claims", "payments", "people", "reserves", "seen"}
    assert tables["seen"]["obstacle"] == "is a view: grant the tables beneath it"
    assert tables["people"]["columns"][2] == {"name": "ssn", "type": "text", "family": "text", "tags": [{"key": "pii", "value": "id"}]}
    assert "obstacle" not in tables["people"]
    assert after["functions"] == [{"schema": "tools", "name": "risk_score"}]
    unjudged = yaml.safe_load(before)
    (tool,) = unjudged.pop("functions")
    assert tool["obstacle"].startswith("is not judged: that takes rolevend in the database")
    assert governed.mode is InstallMode.MANAGED or unjudged == {name: told for name, told in after.items() if name != "functions"}


def test_logins_that_cannot_be_written_after_all_are_not_lost(governed: Governed, manifest: Path, tmp_path: Path):
    governed.ask(f"SET ROLE {OWNER}; " + "; ".join(f"CREATE SCHEMA IF NOT EXISTS {schema}" for schema in ("hr", "tools", "finbot")))
    dsn = governed.administrator.dsn

    def typed(target: str) -> "subprocess.CompletedProcess[str]":
        words = ("platform", "install", "-f", str(manifest), "--dsn", dsn, "--accept", plan(manifest, dsn).digest, "--secrets", target)
        return subprocess.run([sys.executable, "-m", "rolevend", *words], capture_output=True, text=True, timeout=PROGRAM, check=False)

    full, kept = typed("/dev/full"), tmp_path / "secrets.yaml"
    kept.write_text("# longer than what comes\n" * 1000)
    kept.chmod(0o644)

    assert full.returncode == 1
    assert full.stderr == "Error: /dev/full cannot be written: No space left on device; what was to be there is on standard output\n"
    assert (typed(str(kept)).returncode, kept.stat().st_mode & 0o777) == (0, 0o600)
    for text in (full.stdout, kept.read_text()):
        assert [each["metadata"]["name"] for each in yaml.safe_load_all(text)] == ["programmer", "vendor", "observer"]


def test_a_login_that_may_not_become_the_operators_sees_its_own_obstacles(governed: Governed, manifest: Path, tmp_path: Path):
    governed.ask("CREATE ROLE passer_by LOGIN PASSWORD 'x'; GRANT CONNECT ON DATABASE claims TO passer_by")
    found = yaml.safe_load(catalog(manifest, governed.superuser.as_user("passer_by", "x").dsn, tmp_path / "seen.yaml"))

    assert any("for whom passer_by may not act" in table.get("obstacle", "") for table in found["tables"])


EXAMPLE = Path(__file__).parents[2] / "examples" / "02-policy-as-code"
GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "judge-policies.md"


def cases(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rolevend", "policy", "test", ".", "--catalog", "catalog/warehouse.yaml"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PROGRAM, check=False)


def test_the_cases_of_the_example_hold_as_the_guide_says():
    done = cases(EXAMPLE)

    assert done.returncode == 0, done.stderr
    assert f"$ rolevend policy test . --catalog catalog/warehouse.yaml\n{done.stdout}```" in GUIDE.read_text()
    assert GUIDE.read_text().count("sees:") == 1


@pytest.mark.parametrize("first", [True, False], ids=["that brings everything", "that changes nothing"])
def test_every_step_of_the_workflow_passes_for_a_pull_request(tmp_path: Path, first: bool):
    there, summary = tmp_path / "repository", tmp_path / "summary.md"
    shutil.copytree(EXAMPLE, there)
    if first:
        (there / ".base").mkdir()
    else:
        shutil.copytree(EXAMPLE, there / ".base")
    workflow = yaml.safe_load((EXAMPLE / ".github" / "workflows" / "policy.yaml").read_text())
    commands = [step["run"] for step in workflow["jobs"]["policy"]["steps"] if step.get("run", "").startswith("rolevend ")]
    assert {command.split()[2] for command in commands} == {"check", "diff", "test"}
    environment = {**os.environ, "PATH": with_rolevend(tmp_path / "bin"), "GITHUB_STEP_SUMMARY": str(summary)}

    done = [subprocess.run(each, shell=True, cwd=there, env=environment, capture_output=True, text=True, check=False) for each in commands]

    assert [each.returncode for each in done] == [0, 0, 0], [each.stdout + each.stderr for each in done]
    assert ("| gains | claims.people |" in summary.read_text()) is first
    assert ("nobody gains or loses anything" in summary.read_text()) is not first


def test_a_case_that_does_not_hold_says_what_was_seen_instead(tmp_path: Path):
    there = tmp_path / "repository"
    shutil.copytree(EXAMPLE, there)
    policy, written = there / "domains" / "claims" / "analysts.yaml", there / "cases" / "claims.yaml"
    policy.write_text(
        policy.read_text().replace("country IN (user_attr('countries'))", "country = 'US'").replace("type: Nullify", "type: Hash")
    )
    unseen = "- {name: nobody, user: {issuer: x, subject: nobody}, schema: claims, table: people, sees: []}\n"
    written.write_text(written.read_text().replace("refused: true", "sees: []") + unseen)

    done = cases(there)

    assert done.returncode == 1
    first, expected, seen, *others, last = done.stdout.splitlines()
    assert first.startswith("FAILED  an analyst sees people")
    assert expected == "        expected, and not seen: birth_date 1980-01-01, country DE, full_name Lena Bauer, person_id 1, ssn NULL"
    assert seen.startswith("        seen, and not expected: birth_date 1991-01-01, country US, full_name Ruby Hayes, person_id 2, ssn ")
    assert "900-01-0002" not in seen
    assert {"        claims.people is not there: no policy grants it", "FAILED  nobody"} <= set(others)
    assert last == "6 cases, 6 failed"


def test_a_value_that_nobody_has_is_named_before_the_cases(tmp_path: Path):
    there = tmp_path / "repository"
    shutil.copytree(EXAMPLE, there)
    policy, written = there / "domains" / "hr" / "managers.yaml", there / "cases" / "claims.yaml"
    policy.write_text(policy.read_text().replace("values: [manager]", "values: [manger]"))
    few, _, _ = written.read_text().partition("- name: an analyst sees claims")
    written.write_text(few)

    done = cases(there)

    misspelt, nobody = done.stderr.splitlines()
    assert misspelt.startswith("note: AccessPolicy domain-hr/managers: spec.users.matchAttributes[0].values[0]: ")
    assert "no UserAttributes object has job=manger; did you mean manager?" in misspelt
    assert "NoUsers: no UserAttributes object meets all of it" in nobody
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "1 cases, 0 failed")


def test_a_text_is_compared_as_it_is_written_and_a_role_is_asked_for_as_long_as_the_case_says(tmp_path: Path):
    there = tmp_path / "repository"
    shutil.copytree(EXAMPLE, there)
    policy, written = there / "domains" / "claims" / "fraud-review.yaml", there / "cases" / "claims.yaml"
    policy.write_text(policy.read_text().replace("'fraud-review'\"", "'fraud-review' && request.expirationSeconds <= 60\""))
    brief = "  purpose: fraud-review\n  expirationSeconds: 60\n"
    written.write_text(
        written.read_text().replace("full_name: Lena Bauer", 'full_name: "007"', 1).replace("  purpose: fraud-review\n", brief)
    )
    written.write_text(written.read_text().replace("full_name: Lena Bauer", 'full_name: "7"', 1))
    written.write_text(written.read_text().replace("full_name: Lena Bauer", 'full_name: "007"', 1))

    done = cases(there)

    assert done.returncode == 1, done.stderr
    assert [line.partition(" ")[0] for line in done.stdout.splitlines() if not line.startswith(" ")] == [
        "FAILED",
        "passed",
        "passed",
        "passed",
        "passed",
        "5",
    ]
    assert "expected, and not seen: birth_date 1980-01-01, country DE, full_name 7," in done.stdout


def test_a_case_does_not_hold_because_it_is_not_known_what_a_platform_says_of_the_agent(tmp_path: Path):
    there = tmp_path / "repository"
    shutil.copytree(EXAMPLE, there)
    manifest = there / "platform" / "warehouse.yaml"
    manifest.write_text(manifest.read_text().replace("kubernetes.io/metadata.name: agents", "team: claims"))

    done = cases(there)

    assert done.returncode == 1, done.stderr
    assert done.stdout.count("put the manifest of the Namespace agents among the files") == 4
    assert done.stdout.splitlines()[-2:] == ["passed  a manager is no analyst", "5 cases, 4 failed"]


@pytest.mark.parametrize(
    ("approved", "offers", "said"),
    [
        (
            "{offer: domain-claims/birth-dates, masks: [{name: years, columns: {matchNames: [birth_date]}, type: Nullify}]}",
            "domain-claims/birth-dates",
            ["expected, and not seen: birth_date 1980-05-17,", "seen, and not expected: birth_date 1980-01-01,"],
        ),
        (
            "{offer: domain-claims/birth-dates, columns: [person_id]}",
            "",
            [
                "offered, and not expected: domain-claims/birth-dates",
                "expected, and not seen: birth_date 1980-05-17,",
                "seen, and not expected: birth_date 1980-01-01,",
            ],
        ),
        (
            "{offer: domain-claims/birth-dates, tables: [{schema: claims, table: claims}]}",
            "domain-claims/birth-dates",
            ["claims.people is not there: the approval would show nothing: "],
        ),
    ],
    ids=["an added mask", "fewer columns", "another table"],
)
def test_an_approval_shows_no_more_than_was_asked_for_and_approved(tmp_path: Path, approved: str, offers: str, said: list[str]):
    there = tmp_path / "repository"
    shutil.copytree(EXAMPLE, there)
    written = there / "cases" / "claims.yaml"
    text = written.read_text().replace("{offer: domain-claims/birth-dates}", approved)
    written.write_text(text.replace("  offers: [domain-claims/birth-dates]", f"  offers: [{offers}]"))

    done = cases(there)

    shown = [line.strip() for line in done.stdout.splitlines() if line.startswith(" ")]
    assert len(shown) == len(said), done.stdout + done.stderr
    assert all(line.startswith(each) for line, each in zip(shown, said, strict=True)), shown


def test_cases_are_tried_also_where_an_agent_has_functions_that_are_not_there(tmp_path: Path):
    there = tmp_path / "repository"
    shutil.copytree(EXAMPLE, there)
    tools = "postgres: {functions: [{schema: tools, name: risk_score}]}"
    for name, line in (
        ("agents/finbot.yaml", f"  tools: [{{platformRef: {{name: warehouse}}, {tools}}}]\n"),
        ("platform/warehouse.yaml", f"    tools: {{{tools}}}\n"),
        ("catalog/warehouse.yaml", "functions:\n- {schema: tools, name: risk_score}\n"),
    ):
        (there / name).write_text((there / name).read_text().rstrip("\n") + "\n" + line)

    done = cases(there)

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_example_of_what_agents_are_granted_themselves_holds_in_each_combination():
    done = cases(EXAMPLE.parent / "03-granted-to-agents")

    assert done.returncode == 0, done.stdout + done.stderr
    assert {line.partition(":")[0] for line in done.stdout.splitlines()[:-1]} == {
        f"passed  {each}" for each in ("Union", "UserCeiling", "Intersection")
    }

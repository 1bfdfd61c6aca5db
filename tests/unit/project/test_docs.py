"""The pages say what the code does: links lead somewhere, examples parse, and every name that a page gives exists."""

import ast
import builtins
import re
import shlex
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path

import click
import pytest
import yaml

import rolevend_client
from rolevend import errors
from rolevend.access_requests.states import RequestReason
from rolevend.access_requests.use import UseRefusal
from rolevend.api.problems import CODES
from rolevend.catalog import Family
from rolevend.cli import cli
from rolevend.decision.outcome import SESSION_REVOKED, SUSPENDED
from rolevend.decision.snapshot import TOKEN_UNREAD
from rolevend.errors import InvalidInput, RolevendError
from rolevend.identity.refusal import Code
from rolevend.kinds import API_VERSION, KINDS, AccessPolicy, kind_named, parse
from rolevend.kinds.schema import structural
from rolevend.kube import client
from rolevend.platforms.postgres.attest import CHECKS
from rolevend.policy import predicate
from rolevend.policy.mask import Constant, DateTrunc, Hash, Mask, Nullify, Partial, Regex, Round, Unit, carries
from rolevend.policy.refusal import Reason
from rolevend.policytools.carriers import NO_USERS
from rolevend.settings import ApiSettings, ConsoleSettings, Settings
from rolevend.telemetry.ledger_metrics import LedgerMetrics
from rolevend.telemetry.metrics import Metrics
from rolevend.telemetry.timing import VendStep
from tests.support.attacks_on_calls import CALLS
from tests.support.attacks_on_uses import ASKS, USES
from tests.support.attacks_on_votes import VOTES

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "operator" / "rolevend"
EDGES = ("access_objects", "controllers", "platform_runtime", "roles", "snapshot", "snapshot/conditions", "notifications")
"""Where conditions are found and written."""
PAGES = sorted(
    page
    for page in [
        *ROOT.glob("*.md"),
        *(page for part in ("docs", "examples", "clients", "charts", ".github") for page in (ROOT / part).rglob("*.md")),
    ]
    if "node_modules" not in page.parts
)
REFERENCE = ROOT / "docs" / "reference"
TYPESCRIPT = ROOT / "clients" / "typescript" / "src"

page = pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


@cache
def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def fences(path: Path, *languages: str) -> Iterator[str]:
    """The blocks of code in these languages, without their indentation."""
    for indent, language, body in re.findall(r"^( *)```(\w+)\n(.*?)^ *```$", text_of(path), re.MULTILINE | re.DOTALL):
        if language in languages:
            yield re.sub(rf"^{indent}", "", body, flags=re.MULTILINE)


def prose(path: Path) -> str:
    return re.sub(r"^ *```.*?^ *```$", "", text_of(path), flags=re.MULTILINE | re.DOTALL)


def spans(text: str) -> set[str]:
    return set(re.findall(r"`([^`\n]+)`", text))


def rows(path: Path) -> Iterator[list[str]]:
    """The cells of every row of every table."""
    for line in text_of(path).splitlines():
        if line.startswith("|") and not line.startswith("|---"):
            yield [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def anchors(path: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@page
def test_every_link_leads_somewhere(path: Path):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


def test_every_picture_is_there_and_shown_and_they_are_small():
    shown = {(path.parent / found[2]).resolve() for path in PAGES for found in re.finditer(r" (src|srcset)=\"([^\":]+)\"", prose(path))}
    there = set((ROOT / "docs" / "images").rglob("*.png"))
    assert shown <= there, "a page shows a picture that `make screenshots` has not taken"
    assert len(shown) >= 6
    assert sum(each.stat().st_size for each in there) < 600_000


def test_every_page_of_the_documentation_can_be_found_from_its_index():
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / target.partition("#")[0]).resolve() for target in re.findall(r"\]\(([^)\s]+)\)", text_of(index))}
    assert set((ROOT / "docs").rglob("*.md")) - linked == {index}


@page
def test_every_yaml_block_is_what_it_says(path: Path):
    for block in fences(path, "yaml"):
        for document in yaml.safe_load_all(block):
            if isinstance(document, dict) and document.get("apiVersion") == API_VERSION:
                metadata = document["metadata"]
                metadata.setdefault("name", metadata.get("generateName", ""))
                parsed = parse(kind_named(document["kind"]).model, document)
                if isinstance(parsed, AccessPolicy) and parsed.spec.row_filter is not None:
                    predicate.parse(parsed.spec.row_filter)


def test_the_row_filters_of_the_reference_are_read_or_refused_as_it_says():
    found = {"Row filter": [], "Text": []}
    table = None
    for first, *_ in rows(REFERENCE / "row-filters.md"):
        if first in found or not first.startswith("`"):
            table = found.get(first)
        elif table is not None:
            table.append(first.strip("`"))
    assert all(found.values())
    for read in found["Row filter"]:
        predicate.parse(read)
    for refused in found["Text"]:
        with pytest.raises(InvalidInput):
            predicate.parse(refused)


@page
def test_every_command_of_ours_exists_with_its_options(path: Path):
    for block in fences(path, "console", "bash", "sh"):
        for line in re.sub(r"\\\n", " ", block).splitlines():
            found = re.match(r"\$ (?:\S+=\S+ )*(?:\S*/)?rolevend ([^|]*)", line)
            if found is not None:
                assert_exists(shlex.split(found[1], comments=True))


def assert_exists(words: list[str]):
    command: click.Command = cli
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, *words = words
        below = command.get_command(click.Context(command), name)
        assert below is not None, name
        command = below
    options = {name for each in command.params for name in each.opts} | {"--help", "-h"}
    assert {word.partition("=")[0] for word in words if word.startswith("-") and word != "-"} <= options


def test_nobody_is_told_to_install_a_name_that_is_not_ours():
    """rolevend is neither on PyPI nor on npm, where anybody could take its name: it is installed from a folder, a file or an address."""
    folders = ("docs", "examples", "charts", "operator", "tests", ".github", ".ci")
    files = [*ROOT.glob("*"), *(each for folder in folders for each in (ROOT / folder).rglob("*"))]
    texts = {path: text_of(path) for path in files if path.is_file() and path.suffix not in (".pyc", ".png")}
    bare = r"\b(?:pipx?|uv tool) install (?:-\S+ )*['\"]?rolevend(?!(?:\[[\w,-]+\])? @ ).*|\bnpm (?:i|install|add) (?:\S+ )*@rolevend\b.*"
    assert {path: found for path, text in texts.items() if (found := re.findall(bare, text))} == {}


@page
def test_every_verb_of_make_exists(path: Path):
    verbs = set(re.findall(r"^([\w-]+):.*##", text_of(ROOT / "Makefile"), re.MULTILINE))
    named = {verb for code in [*fences(path, "console"), *spans(prose(path))] for verb in re.findall(r"(?:^|\$ )make ([\w-]+)", code)}
    assert named <= verbs


def constants(*names: str) -> set[str]:
    """Every text that stands in these modules."""
    trees = [ast.parse(text_of(PACKAGE / name)) for name in names]
    return {node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def reported() -> tuple[set[str], set[str]]:
    """The condition types and the reasons that the operator writes, where they stand as texts."""
    types, reasons = set(), {each.value for each in Reason} | {each.value for each in Code} | {TOKEN_UNREAD, SUSPENDED, SESSION_REVOKED}
    reasons |= {each.value for each in (*RequestReason, *UseRefusal)}
    place = {"ConditionUpdate": 2, "_both": 1, "Pending": 0, "Denied": 0, "ToolRefusal": 0}
    for path in [path for folder in (*EDGES, "decision") for path in (PACKAGE / folder).glob("*.py")]:
        for node in ast.walk(ast.parse(text_of(path))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in place:
                texts = [argument.value if isinstance(argument, ast.Constant) else None for argument in node.args]
                reasons |= {text for text in texts[place[node.func.id] :][:1] if isinstance(text, str)}
                types |= {text for text in texts[:1] if isinstance(text, str) and node.func.id == "ConditionUpdate"}
    return types, reasons


def error_names() -> set[str]:
    def below(kind: type[RolevendError]) -> Iterator[type[RolevendError]]:
        yield kind
        for each in kind.__subclasses__():
            yield from below(each)

    return {kind.__name__ for kind in below(RolevendError) if kind.__module__ in (errors.__name__, client.__name__)}


def test_conditions_and_reasons_are_those_of_the_code():
    types, reasons = reported()
    documented_types, documented = set(), set()
    for first, *others in rows(REFERENCE / "conditions.md"):
        if len(others) == 3:
            documented_types |= spans(first)
            documented |= {word for word in spans(others[1]) if word not in ("Granted", "Accepted", "InSync")}
        elif len(others) == 2:
            documented |= spans(first)
    assert documented_types == types | {"Accepted", "Ready"}
    raised = error_names() - {"RolevendError", "Unavailable"}
    assert (reasons | raised) - documented == set()
    assert (
        documented - reasons - raised
        == {"Building", "Connecting", "InternalError"}
        <= constants("platform_runtime/registry.py", "platform_runtime/state.py", "roles/quota.py", "roles/status.py")
    )


@page
def test_words_in_camel_case_are_words_of_ours(path: Path):
    named = {word for word in spans(prose(path)) if re.fullmatch(r"([A-Z][a-z]+){2,}", word)}
    assert named - words_of_ours() == set()


@cache
def words_of_ours() -> frozenset[str]:
    types, reasons = reported()
    kinds = {kind.name for kind in KINDS}.union(*(enums(structural(kind.model)) for kind in KINDS))
    edges = [str(each.relative_to(PACKAGE)) for folder in (*EDGES, "api") for each in (PACKAGE / folder).glob("*.py")]
    found = constants(*edges, "platforms/protocol.py")
    others = {
        NO_USERS,
        "IfNotPresent",
        "CertManager",
        "LeftOut",
        "AccessRequestDeleted",
        "AbortSignal",
        *re.findall(r"^export class (\w+)", "".join(map(text_of, TYPESCRIPT.glob("*.ts"))), re.MULTILINE),
        *rolevend_client.__all__,
        *dir(builtins),
        *CODES,
        *VendStep,
    }
    return frozenset(types | reasons | error_names() | kinds | found | others)


def enums(schema: dict) -> set[str]:
    return set(schema.get("enum", [])).union(
        *(enums(each) for each in schema.get("properties", {}).values()), *([enums(schema["items"])] if "items" in schema else [])
    )


@cache
def source() -> str:
    """All of Python."""
    return "".join(text_of(each) for folder in ("operator", "clients", "testbed", "tests") for each in (ROOT / folder).rglob("*.py"))


@page
def test_metrics_settings_and_variables_exist(path: Path):
    families = [family.name for family in Metrics().registry.collect()]
    metrics = {f"{name}{suffix}" for name, suffix in product(families, ("", "_total", "_bucket", "_count", "_sum"))}
    settings = {re.sub(r"_(.)", lambda found: found[1].upper(), name) for name in Settings.model_fields}
    text = text_of(path)
    assert set(re.findall(r"\brolevend_(?:vend|curbed|drop|live|orphan|revoked|policy|platform|build|decision|expiry)\w*", text)) <= metrics
    assert set(re.findall(r"\bsettings\.(\w+)", text.replace("rolevend.settings", ""))) - {"md"} <= settings
    named = set(re.findall(r"\bROLEVEND_([A-Z_]*[A-Z])\b", text))
    known = {*ApiSettings.model_fields, *ConsoleSettings.model_fields}
    assert {name for name in named if name.lower() not in known and f"ROLEVEND_{name}" not in source()} == set()


CHART = ROOT / "charts" / "rolevend"


def test_every_alert_has_a_section_that_says_what_it_means_and_what_to_do():
    alerts = [each["alert"] for each in yaml.safe_load(text_of(CHART / "alerts.yaml"))]
    sections = re.split(r"^## ", text_of(ROOT / "docs" / "how-to" / "alerts.md"), flags=re.MULTILINE)[1:]
    titles = [section.partition("\n")[0] for section in sections]

    assert titles == alerts
    for section in sections:
        assert "**It means**" in section, section
        assert "**Do**" in section, section


def series(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Every series that a PromQL expression reads: its name, and the labels that it is selected by."""
    for name, labels in re.findall(r"\b(rolevend_\w+)(?:\{([^}]*)\})?", expression):
        yield name, set(re.findall(r"(\w+)\s*[=!]", labels))


def grouped(expression: str) -> set[str]:
    return {label.strip() for labels in re.findall(r"\bby \(([^)]*)\)", expression) for label in labels.split(",")}


def test_alerts_and_the_dashboard_read_series_that_exist():
    collectors = [*vars(Metrics()).values(), *vars(LedgerMetrics("warehouse")).values()]
    labels = {each._name: set(each._labelnames) for each in collectors if hasattr(each, "_labelnames")}
    labels["rolevend_build_info"] = {"version"}
    known = {f"{name}{suffix}": of for name, of in labels.items() for suffix in ("", "_total", "_bucket", "_count", "_sum")}
    dashboard = yaml.safe_load(text_of(CHART / "dashboard.json"))
    drawn = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    alerting = [each["expr"] for each in yaml.safe_load(text_of(CHART / "alerts.yaml"))]
    for expression in drawn + alerting:
        read = list(series(expression))
        assert read, expression
        for name, selected in read:
            assert name in known, expression
            assert selected | grouped(expression) <= known[name] | {"le"}, expression


def test_the_status_says_of_every_kind_that_it_is_there_and_of_none_that_it_is_not():
    _, _, below = text_of(ROOT / "README.md").partition("| There | Not there yet |\n|---|---|\n")
    status = [line.strip("| ").split(" | ") for line in below.partition("\n\n")[0].splitlines()]
    there, missing = (" ".join(cells) for cells in zip(*status, strict=True))
    for kind in KINDS:
        words = re.sub(r"(?<!^)(?=[A-Z])", " ", kind.name)
        assert kind.name in there
        assert not re.search(rf"\b({kind.name}|{words})", missing, re.IGNORECASE), kind.name


def test_what_is_not_there_yet_is_said_in_one_place():
    lists = {path for path in PAGES if re.search(r"^#.*not there yet|\| Not there yet \|", text_of(path), re.MULTILINE)}
    assert lists == {ROOT / "README.md"}
    assert "(../README.md#status)" in text_of(ROOT / "docs" / "README.md")


def test_every_test_that_the_threat_model_names_exists():
    tests = "".join(text_of(each) for each in (ROOT / "tests").rglob("test_*.py"))
    named = {word for word in spans(text_of(ROOT / "docs" / "threat-model.md")) if word.startswith("test_")}
    assert len(named) > 30
    assert {name for name in named if f"def {name}(" not in tests} == set()


def test_the_threat_model_names_every_check_of_an_attestation_and_no_other():
    section = text_of(ROOT / "docs" / "threat-model.md").partition("## Attacks that each platform is tried with\n")[2].partition("\n## ")[0]
    _, *cells = re.findall(r"^\| .+ \| (.+) \|$", section, re.MULTILINE)
    patterns = {item: item.replace(" …", ".*").replace("…", ".*") for cell in cells for item in cell.split(", ")}
    names = [check.name for check in CHECKS]
    assert [name for name in names if not any(re.fullmatch(each, name) for each in patterns.values())] == []
    assert [item for item, each in patterns.items() if not any(re.fullmatch(each, name) for name in names)] == []


def test_the_threat_model_names_every_attack_on_approvals_and_no_other():
    section = text_of(ROOT / "docs" / "threat-model.md").partition("| By | Attacks |\n")[2].partition("\n\n")[0]
    _, *cells = re.findall(r"^\|.+\|(.+)\|$", section, re.MULTILINE)
    assert [cell.strip().split("; ") for cell in cells] == [list(each) for each in (VOTES, USES, ASKS, CALLS)]


def test_sql_objects_are_those_of_the_installation():
    files = "".join(text_of(each) for each in (PACKAGE / "platforms" / "postgres" / "sql" / "install").glob("*.sql"))
    made = set(re.findall(r"CREATE (?:OR REPLACE )?(?:TABLE IF NOT EXISTS|FUNCTION|PROCEDURE) rolevend\.(\w+)", files))
    named = {name for span in spans(text_of(REFERENCE / "sql-objects.md")) for name in re.findall(r"^rolevend\.(\w+)", span)}
    assert named == made
    for path in (ROOT / "docs").rglob("*.md"):
        assert {name for block in fences(path, "sql") for name in re.findall(r"\brolevend\.(\w+)", block)} <= made
    states = set(re.findall(r"RV\d{3}", files))
    assert set(re.findall(r"RV\d{3}", text_of(REFERENCE / "sql-objects.md"))) == states


MASKS: dict[str, tuple[Mask, ...]] = {
    "Partial": (Partial(2),),
    "Round": (Round("1"),),
    "DateTrunc": (DateTrunc(Unit.YEAR),),
    "Regex": (Regex("x", ""),),
    "Hash": (Hash(),),
    "Constant": tuple(
        map(
            Constant,
            (
                "text",
                "1",
                "0.5",
                "true",
                "2024-01-31",
                "2024-01-31T10:00:00",
                "2024-01-31T10:00:00Z",
                "6f1c0a9e-1f2d-4c3b-8a59-0d1e2f3a4b5c",
            ),
        )
    ),
    "Nullify": (Nullify(),),
}


def test_the_table_of_masks_is_true():
    found = False
    for first, *cells in rows(REFERENCE / "masks.md"):
        families = [Family.OTHER] if first == "any other type" else [each for each in Family if each.value in first.split(", ")]
        if len(cells) != len(MASKS) or not families:
            continue
        found = True
        for family, (masks, cell) in product(families, zip(MASKS.values(), cells, strict=True)):
            assert any(carries(mask, family, None) for mask in masks) == (cell != "NULL"), (family, cell)
    assert found


def test_the_clusterroles_and_policies_of_the_reference_are_those_of_the_chart():
    templates = "".join(text_of(each) for each in (ROOT / "charts" / "rolevend" / "templates").glob("*.yaml"))
    made = set(re.findall(r'(?:\$name|"rolevend\.name" \.) \}\}-([a-z-]+)', templates)) - {
        "secrets",
        "metrics",
        "test",
        "dashboard",
        "records",
        "catalogs",
        "leader",
        "notifications",
        "api",
        "api-ca",
        "api-metrics",
        "api-test",
        "api-tls",
        "api-vends",
    }
    named = {name for span in spans(text_of(REFERENCE / "rbac.md")) for name in re.findall(r"^rolevend-([a-z-]+)$", span)}
    assert named - {"handle-key", "credential-key", "operator", "api", "suspension", "console", "console-key"} == made


def test_every_annotation_label_finalizer_and_type_of_ours_is_in_the_reference():
    sources = [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.sql"), *(CHART / "templates").rglob("*.yaml"), CHART / "values.yaml"]
    used = {key for path in sources for key in re.findall(r"(?:\brolevend\.dev|\{GROUP\})/([a-z-]+)(?![\w/-])", text_of(path))}
    assert used == set(re.findall(r"`rolevend\.dev/([a-z-]+)`", text_of(REFERENCE / "rbac.md")))

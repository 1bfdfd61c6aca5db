"""Random edits of an example: where `rolevend policy diff` has no difference and no note, the decision answers every request as before."""

import copy
import random
from itertools import product
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from rolevend.audit.evidence import tables_of
from rolevend.decision.outcome import Granted
from rolevend.decision.snapshot import Snapshot
from rolevend.errors import InvalidInput
from rolevend.policytools.decisions import Requester
from rolevend.policytools.diff import diff
from rolevend.policytools.folder import Catalogs, Folder, read_catalogs
from tests.support.as_code import WAREHOUSE, write
from tests.support.manifests import Body
from tests.support.pages import ROOT
from tests.support.tiers import by_tier

EXAMPLES: Final = {"02-policy-as-code": ("platform", "agents", "governance", "domains", "people"), "03-granted-to-agents": ("*.yaml",)}
CONDITIONS: Final = (
    "request.purpose == 'fraud-review'",
    "!has(request.purpose)",
    "request.purpose.startsWith('fraud')",
    "request.expirationSeconds <= 60",
    "request.expirationSeconds * 2 > 1000",
    "agent.name.startsWith('f')",
    "agent.name.size() > 8",
    "'2026' in agent.attributes.reviewed",
    "user.attributes.countries.size() > 1",
    "user.subject.startsWith('m')",
    "request.purpose == user.subject",
)
FILTERS: Final = ("country NOT IN (user_attr('countries'))", "country IN (user_attr('countries'))", "status = 'open'", "country = 'DE'")
VALUES: Final = ("analyst", "manager", "DE", "US", "2026", "x")
TERMS: Final[dict[str, tuple[Any, ...]]] = {
    "widestCombination": ("Union", "UserCeiling", "Intersection"),
    "purposes": ([], ["fraud-review"], ["audit"]),
    "maxExpirationSeconds": (30, 600),
    "assertions": (["Trusted"], ["TokenRequired"]),
    "attributes": ([], [{"key": "reviewed", "values": ["2026"]}], [{"key": "reviewed", "values": ["2025"]}]),
    "agentNames": (["finbot"], ["ratebot"]),
}


def objects(example: str) -> list[Body]:
    found = (path for each in EXAMPLES[example] for path in sorted((ROOT / "examples" / example).glob(each)))
    files = (file for path in found for file in (sorted(path.rglob("*.yaml")) if path.is_dir() else [path]))
    return [body for file in files for body in yaml.safe_load_all(file.read_text()) if body]


def edit(bodies: list[Body], chance: random.Random) -> None:
    """Change one object, as a person might. The result may be invalid."""
    body = chance.choice([each for each in bodies if "spec" in each])
    spec = body["spec"]
    match body["kind"]:
        case _ if chance.random() < 0.05:
            bodies.remove(body)
        case "AccessPolicy":
            edit_policy(spec, chance)
        case "DataPlatform":
            terms = chance.choice(spec["agents"])
            member = chance.choice(sorted(TERMS))
            terms[member] = chance.choice(TERMS[member])
        case "Agent":
            member, value = chance.choice([("suspend", True), ("combination", "Intersection"), ("limits", {"maxExpirationSeconds": 60})])
            spec[member] = value
        case "Guardrail":
            spec["rowRestriction"] = chance.choice(FILTERS)
        case "UserAttributes" if chance.random() < 0.3:
            spec["suspend"] = not spec.get("suspend", False)
        case "UserAttributes":
            chance.choice(spec["attributes"])["values"].append(chance.choice(VALUES))
        case "TagBinding":
            del spec["columns"][chance.randrange(len(spec["columns"]))]
        case "IdentityProvider":
            spec["claims"] = {"attributes": [{"key": "job", "path": ["job"]}]}


def edit_policy(spec: Body, chance: random.Random) -> None:
    who = "agents" if spec.get("grantsTo") == "Agents" else "users"
    edits = ("condition", "filter", "suspend", "agents", "values", "column", "mask")
    match chance.choice(edits):
        case "condition":
            condition = {"name": f"c{chance.random()}".replace(".", ""), "expression": chance.choice(CONDITIONS)}
            spec.setdefault(who, {}).setdefault("matchConditions", []).append(condition)
        case "filter":
            spec.pop("rows", None)
            spec["rowFilter"] = chance.choice(FILTERS)
        case "suspend":
            spec["suspend"] = not spec.get("suspend", False)
        case "agents":
            operator = chance.choice(["Exists", "DoesNotExist"])
            spec.setdefault("agents", {})["matchAttributes"] = [{"key": "reviewed", "operator": operator}]
        case "values":
            spec.get("users", {}).get("matchAttributes", [{}])[0].setdefault("values", []).append(chance.choice(VALUES))
        case "column":
            spec["columns"] = {"matchNames": [chance.choice(["claim_id", "country", "*"])]}
        case "mask":
            spec["masks"] = spec["masks"][:-1]


def answers(side: Snapshot, requests: list[Requester]) -> list[object]:
    """What the real decision answers, with the admission of agents, and the values that the role's row filters read."""
    decisions = (side.decide(each.request, role_exists=True) for each in requests)
    return [
        (tables_of(each.tables), each.lease.attributes, each.profile.functions) if isinstance(each, Granted) else None for each in decisions
    ]


def requests(sides: list[Snapshot]) -> list[Requester]:
    users = {user for each in sides for user in each.people}
    agents = {name for each in sides for name in each.agents}
    asked = product(sorted(users), sorted(agents), ("", "fraud-review", "audit", "anna"), (5, 60, 61, 501, 900))
    return [Requester(user, agent, WAREHOUSE, purpose, seconds) for user, agent, purpose, seconds in asked]


def is_silent(old: Path, new: Path, catalogs: Catalogs) -> bool:
    """True if the command says that nobody gains or loses anything, without a reservation."""
    found = diff(old, new, (), catalogs)
    return not (found.differences or found.by_asking or found.notes)


@pytest.mark.parametrize("example", EXAMPLES)
def test_a_silent_answer_means_that_no_request_is_answered_otherwise(tmp_path: Path, example: str):
    catalogs = read_catalogs([ROOT / "examples" / example / "catalog" / "warehouse.yaml"])
    base = objects(example)
    silent = 0
    for seed in range(by_tier(30, 1_000)):
        chance = random.Random(f"{example} {seed}")
        old = copy.deepcopy(base)
        for _ in range(chance.choice([0, 1, 2])):
            edit(old, chance)
        new = copy.deepcopy(old)
        edit(new, chance)
        folders = [tmp_path / f"{seed}-{name}" for name in ("old", "new")]
        for path, bodies in zip(folders, (old, new), strict=True):
            write(path, "all.yaml", *bodies)
        try:
            if not is_silent(folders[0], folders[1], catalogs):
                continue
        except InvalidInput:
            continue
        silent += 1
        sides = [Folder.sound([path]).build(catalogs).snapshot for path in folders]
        asked = requests(sides)
        was, is_now = (answers(side, asked) for side in sides)
        assert [who for who, *both in zip(asked, was, is_now, strict=True) if both[0] != both[1]] == [], f"seed {seed}"
    assert silent

"""`rolevend policy check` names attribute values that nobody has, and policies that cover nobody."""

from pathlib import Path
from typing import Any

import pytest

from rolevend.policytools.check import check
from tests.support.as_code import CATALOGS, analysts, platform, write
from tests.support.manifests import Body, changed, valid

USERS = "spec.users.matchAttributes"
TOKENS = "(users whose attributes come from tokens are not known here)"
ANNA = valid("UserAttributes", "anna")


def users(*required: dict[str, Any]) -> Body:
    return analysts(("spec.users", {"matchAttributes": list(required)}))


def requires(operator: str, *values: str, key: str = "job") -> dict[str, Any]:
    return {"key": key, "operator": operator} | ({"values": list(values)} if values else {})


def warnings(path: Path, *bodies: Body) -> list[tuple[int, str, str]]:
    """The line, the field and the message of each warning."""
    checked = check([write(path, "all.yaml", *bodies)], CATALOGS)
    assert checked.errors == 0
    return [(each.place.line, each.field, each.message) for each in checked.diagnostics]


def test_a_misspelt_value_is_named_at_its_place_with_the_one_that_was_meant(tmp_path: Path):
    found = warnings(tmp_path, users(requires("In", "boss", "analist")), platform(), ANNA)

    lines = (tmp_path / "all.yaml").read_text().splitlines()
    values = [each for each in found if ".values[" in each[1]]
    assert [(lines[line - 1].strip(), field, message) for line, field, message in values] == [
        ("- boss", f"{USERS}[0].values[0]", f"no UserAttributes object has job=boss {TOKENS}"),
        ("- analist", f"{USERS}[0].values[1]", f"no UserAttributes object has job=analist; did you mean analyst? {TOKENS}"),
    ]


def test_a_policy_that_covers_nobody_says_no_users(tmp_path: Path):
    at_once = requires("In", "analyst"), requires("DoesNotExist", key="countries")

    assert warnings(tmp_path, users(*at_once), platform(), ANNA) == [
        (10, USERS, f"NoUsers: no UserAttributes object meets all of it, so the policy covers nobody {TOKENS}")
    ]


@pytest.mark.parametrize(
    "required",
    [requires("In", "analyst", "analist"), requires("NotIn", "boss"), requires("Exists")],
    ids=["another value matches", "a value of NotIn that is not similar", "without values"],
)
def test_nobody_is_missed_where_somebody_is_covered(tmp_path: Path, required: dict[str, Any]):
    assert not [each for each in warnings(tmp_path, users(required), platform(), ANNA) if each[2].startswith("NoUsers")]


def test_a_value_of_not_in_counts_only_if_it_looks_misspelt(tmp_path: Path):
    (found,) = warnings(tmp_path, users(requires("Exists"), requires("NotIn", "boss", "analyts")), platform(), ANNA)

    assert found[1:] == (f"{USERS}[1].values[1]", f"no UserAttributes object has job=analyts; did you mean analyst? {TOKENS}")


def test_without_user_attributes_nothing_is_said_of_users(tmp_path: Path):
    assert warnings(tmp_path, users(requires("In", "analist")), platform()) == []


def test_a_guardrail_for_nobody_is_named(tmp_path: Path):
    guardrail = changed(valid("Guardrail", "limits"), "spec.users.matchAttributes", [requires("In", "analist")])
    for member in ("maskFloors", "deny"):
        guardrail["spec"].pop(member, None)

    (found,) = warnings(tmp_path, guardrail, users(requires("Exists")), platform(), ANNA)

    assert found[1:] == (f"{USERS}[0].values[0]", f"no UserAttributes object has job=analist; did you mean analyst? {TOKENS}")


def agents(*values: str) -> Body:
    selector = {"matchAttributes": [{"key": "trust", "operator": "In", "values": list(values)}]}
    return changed(users(requires("Exists")), "spec.agents", selector)


def test_an_attribute_value_that_no_platform_gives_an_agent_is_named(tmp_path: Path):
    (found,) = warnings(tmp_path, agents("high", "hihg"), platform(), ANNA)

    field = "spec.agents.matchAttributes[0].values[1]"
    assert found[1:] == (field, "no DataPlatform of this policy gives an agent trust=hihg; did you mean high?")


def test_without_all_of_its_platforms_nothing_is_said_of_agents(tmp_path: Path):
    refs = "spec.platformRefs", [{"name": "warehouse"}, {"name": "crm"}]
    bodies = changed(agents("hihg"), *refs), platform(), ANNA

    checked = check([write(tmp_path, "all.yaml", *bodies)], CATALOGS)

    assert not [each for each in checked.diagnostics if "gives an agent" in each.message]

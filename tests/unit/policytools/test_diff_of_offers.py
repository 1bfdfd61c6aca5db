"""`rolevend policy diff` tells apart what users gain and what they could get by asking, automatically or by people."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from rolevend.cli import cli
from rolevend.kinds.catalog_file import catalog_text
from rolevend.policytools.diff import Compared, diff
from tests.support.as_code import AUTOMATIC, CATALOGS, WAREHOUSE, offer, platform, write
from tests.support.manifests import Body, changed, valid

ANNA = changed(valid("UserAttributes", "anna"), "spec.user.subject", "anna")
CLAIMS, PEOPLE = "claims.claims", "claims.people"
FOR_ANALYSTS = {**AUTOMATIC, "matchConditions": [{"name": "job", "expression": "'analyst' in user.attributes.job"}]}
FOR_MANAGERS = {**AUTOMATIC, "matchConditions": [{"name": "job", "expression": "'manager' in user.attributes.job"}]}


def folder(path: Path, *bodies: Body) -> Path:
    write(path, "all.yaml", platform(), ANNA, *bodies)
    return path


def compared(path: Path, old: list[Body], new: list[Body]) -> Compared:
    return diff(folder(path / "old", *old), folder(path / "new", *new), (), CATALOGS)


def told(found: Compared) -> set[tuple[str, ...]]:
    assert found.differences == (), "an offer grants nothing"
    return {(str(each.how), str(each.direction), each.what, each.name, each.before or "", each.after or "") for each in found.by_asking}


def test_a_new_offer_is_what_could_be_had_by_asking(tmp_path: Path):
    assert {each[:4] for each in told(compared(tmp_path, [], [offer()]))} == {
        ("People", "gains", "table", CLAIMS),
        ("People", "gains", "table", PEOPLE),
    }


def test_an_offer_that_goes_is_lost_as_it_was_approved(tmp_path: Path):
    assert {each[:3] for each in told(compared(tmp_path, [offer(automatic=[FOR_ANALYSTS])], []))} == {("Automatic", "loses", "table")}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (
            FOR_ANALYSTS,
            {
                ("Automatic", "gains", "approval", "domain-claims/countries", "by people", "automatically"),
                ("Automatic", "loses", "lifetime", "domain-claims/countries", "1800 seconds", "600 seconds"),
            },
        ),
        (FOR_MANAGERS, set()),
    ],
    ids=["its conditions hold", "they do not"],
)
def test_a_rule_that_approves_this_user_is_a_change_of_approval(tmp_path: Path, rule: Body, expected: set[tuple[str, ...]]):
    assert told(compared(tmp_path, [offer()], [offer(automatic=[rule])])) == expected


def test_fewer_columns_and_other_rows_are_told_as_for_a_policy(tmp_path: Path):
    narrower = offer(("spec.columns", {"matchNames": ["id", "country"]}), ("spec.tables.matchNames[0].name", "claims"))

    assert {each[1:4] for each in told(compared(tmp_path, [offer()], [narrower]))} == {
        ("loses", "column", "claims.claims.amount"),
        ("loses", "table", PEOPLE),
    }


def test_an_offer_that_becomes_a_policy_is_granted_and_no_longer_asked_for(tmp_path: Path):
    standing = offer()
    del standing["spec"]["onRequest"]

    found = compared(tmp_path, [offer()], [standing])

    assert {(str(each.change.direction), each.change.name) for each in found.differences} == {("gains", CLAIMS), ("gains", PEOPLE)}
    assert {str(each.direction) for each in found.by_asking} == {"loses"}


@pytest.mark.parametrize("output", ["text", "markdown", "json"])
def test_it_is_a_section_of_its_own(tmp_path: Path, output: str):
    old = folder(tmp_path / "old", offer(name="a"))
    new = folder(tmp_path / "new", offer(name="a", automatic=[FOR_ANALYSTS]), offer(name="b"))
    held = write(tmp_path, "catalog.yaml", catalog_text(WAREHOUSE, CATALOGS[WAREHOUSE], "yaml"))

    answer = CliRunner().invoke(cli, ["policy", "diff", str(old), str(new), "--catalog", str(held), "-o", output], catch_exceptions=False)

    assert answer.exit_code == 0
    if output == "json":
        found = json.loads(answer.stdout)
        assert found["differences"] == []
        assert {(each["offer"], each["how"], each["change"]) for each in found["byAsking"]} == {
            ("domain-claims/a", "Automatic", "gains"),
            ("domain-claims/a", "Automatic", "loses"),
            ("domain-claims/b", "People", "gains"),
        }
    elif output == "text":
        assert answer.stdout.splitlines() == [
            "nobody gains or loses anything, as far as it was compared",
            "",
            "could get by asking (automatically):",
            "USER  AGENT      PLATFORM   OFFER            CHANGE  WHAT      BEFORE        AFTER",
            "anna  any agent  warehouse  domain-claims/a  gains   approval  by people     automatically",
            "anna  any agent  warehouse  domain-claims/a  loses   lifetime  1800 seconds  600 seconds",
            "",
            "could get by asking (by people):",
            "USER  AGENT      PLATFORM   OFFER            CHANGE  WHAT           BEFORE  AFTER",
            "anna  any agent  warehouse  domain-claims/b  gains   claims.claims  -       every row: id, country, amount",
            "anna  any agent  warehouse  domain-claims/b  gains   claims.people  -       every row: full_name, birth_date, country",
            "note: AccessPolicy domain-claims/a: not compared in full: spec.onRequest.automatic",
        ]
    else:
        assert "\n\n**could get by asking (by people):**\n\n| User |" in answer.stdout

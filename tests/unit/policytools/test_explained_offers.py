"""`rolevend explain` names the offers that a user may ask for: by whom they are approved, for how long, and the data that they show."""

import json
from pathlib import Path

from click.testing import CliRunner

from rolevend.cli import cli
from rolevend.kinds.catalog_file import catalog_text
from tests.support.as_code import AUTOMATIC, CATALOGS, WAREHOUSE, analysts, offer, platform, write
from tests.support.manifests import Body, changed, valid

BIRTHS = ("spec.masks", [{"name": "births", "columns": {"matchNames": ["birth_date"]}, "type": "Nullify"}])
ONLY_PEOPLE = ("spec.tables", {"matchNames": [{"schema": "claims", "name": "people"}]})
REVIEW = {"purposes": ["fraud-review"], "justification": "User", "ticket": {"pattern": "^FR-[0-9]+$"}}
PROOF = {"maxAuthAgeSeconds": 900, "acr": ["mfa", "otp"]}
OFFERS = (
    offer(ONLY_PEOPLE, name="people", asks=REVIEW, proof=PROOF),
    offer(ONLY_PEOPLE, BIRTHS, name="masked", automatic=[AUTOMATIC]),
)


def explained(folder: Path, *bodies: Body, output: str = "text", words: tuple[str, ...] = ()) -> str:
    write(folder, "objects/all.yaml", platform(), valid("UserAttributes"), *bodies)
    held = write(folder, "catalog.yaml", catalog_text(WAREHOUSE, CATALOGS[WAREHOUSE], "yaml"))
    asked = ["explain", "--user", "anna", "--files", str(folder / "objects"), "--catalog", str(held), "-o", output, *words]
    answer = CliRunner().invoke(cli, asked, catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    return answer.stdout


def test_the_offer_that_shows_less_comes_first_also_for_a_user_who_is_granted_nothing(tmp_path: Path):
    said = explained(tmp_path, *OFFERS)

    assert said.splitlines()[0].endswith(
        "any agent on warehouse: nothing (NoPolicy). no policy covers the user; no policy is in force here"
    )
    assert said[said.index("by asking") :].splitlines() == [
        "by asking, the smallest exposure first",
        "  AccessPolicy domain-claims/masked: Every country, for a review",
        "    automatically, by rule small, for at most 600 seconds",
        "    the request states a reason",
        "    shows claims.people",
        "      every row",
        "      full_name, country",
        "      birth_date: Nullify",
        "  AccessPolicy domain-claims/people: Every country, for a review",
        "    by people, for at most 1800 seconds",
        "    the request states the purpose fraud-review, a reason by the user, a ticket like ^FR-[0-9]+$, "
        "a token of the user, who logged in at most 900 seconds ago, with acr mfa or otp",
        "    shows claims.people",
        "      every row",
        "      full_name, birth_date, country",
    ]


def test_json_has_the_same(tmp_path: Path):
    found = json.loads(explained(tmp_path, analysts(), *OFFERS, output="json"))

    assert found["granted"]
    assert [(each["offer"], each["how"], each["rule"], each["upToSeconds"], each["purpose"]) for each in found["byAsking"]] == [
        ("domain-claims/masked", "Automatic", "small", 600, None),
        ("domain-claims/people", "People", None, 1800, "fraud-review"),
    ]
    assert found["byAsking"][0]["tables"][0]["masked"] == [{"name": "birth_date", "shows": "Nullify"}]
    assert [each["policy"] for each in found["policies"]] == ["domain-claims/analysts"], "an offer is no grant"


def test_it_says_why_no_rule_approves(tmp_path: Path):
    for_managers = {**AUTOMATIC, "matchConditions": [{"name": "job", "expression": "'manager' in user.attributes.job"}]}

    assert "    rule small: condition job does not hold\n" in explained(tmp_path, offer(automatic=[for_managers]))


def test_an_offer_that_does_not_cover_the_user_or_is_denied_is_not_named(tmp_path: Path):
    of_others = offer(("spec.users", {"matchAttributes": [{"key": "job", "operator": "In", "values": ["manager"]}]}))
    denied = changed(changed(valid("Guardrail", "limits"), "spec", {}), "spec.platformRefs", [{"name": "warehouse"}])
    denied = changed(denied, "spec.tables", {"matchNames": [{"schema": "*", "name": "people"}]})

    assert "by asking" not in explained(tmp_path / "others", of_others)
    assert "by asking" not in explained(tmp_path / "denied", *OFFERS, changed(denied, "spec.deny", {"type": "Tables"}))

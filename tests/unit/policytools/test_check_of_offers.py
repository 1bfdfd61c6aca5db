"""`rolevend policy check` of offers: rules that never approve, and offers that show nothing, or nothing that is not granted already."""

from pathlib import Path
from typing import Any

import pytest

from rolevend.policytools.check import check
from tests.support.as_code import AUTOMATIC, CATALOGS, analysts, offer, platform, write
from tests.support.manifests import MISSING, Body, changed, every_row, valid

ANALYST = {"name": "job", "expression": "'analyst' in user.attributes.job"}
LIMITS = {"limits": {"perUserPerDay": 1}}
TRUSTED = {"key": "trust", "operator": "Exists"}


MANAGER = changed(changed(valid("UserAttributes", "mia"), "spec.user.subject", "mia"), "spec.handle", "MIA")
MANAGER["spec"]["attributes"] = [{"key": "job", "values": ["manager"]}]


def said(folder: Path, *bodies: Body) -> list[tuple[str, str, str, str]]:
    write(folder, "a.yaml", platform(), valid("UserAttributes"), *bodies)
    return [(each.level, each.object.rpartition("/")[2], each.field, each.message) for each in check([folder], CATALOGS).diagnostics]


def rules(*automatic: Body, **terms: Any) -> Body:
    return offer(automatic=list(automatic), **terms)


def guardrail(name: str = "limits", **spec: Any) -> Body:
    everything = {"platformRefs": [{"name": "warehouse"}], "tables": {"matchNames": [{"schema": "*", "name": "*"}]}}
    return changed(valid("Guardrail", name), "spec", everything | spec)


def test_a_good_offer_is_not_complained_of(tmp_path: Path):
    good = rules({**AUTOMATIC, "matchConditions": [ANALYST]}, {**AUTOMATIC, "name": "all"}, discoverable=True)

    assert said(tmp_path, analysts(), good) == []


class TestRules:
    @pytest.mark.parametrize("earlier", [AUTOMATIC, {**AUTOMATIC, "matchConditions": [ANALYST]}], ids=["no conditions", "the same"])
    def test_one_after_another_that_always_matches_has_no_effect(self, tmp_path: Path, earlier: Body):
        later = {"name": "later", "matchConditions": [ANALYST, {"name": "brief", "expression": "request.expirationSeconds < 60"}], **LIMITS}

        (found,) = said(tmp_path, rules(earlier, later))

        assert found[:3] == ("warning", "countries", "spec.onRequest.automatic[later]")
        assert found[3].startswith("rule small comes first and matches every request that this one matches")

    def test_one_after_a_rule_with_a_precedent_has_an_effect(self, tmp_path: Path):
        first = {**AUTOMATIC, "precedent": {"approvedByPeople": 1, "withinDays": 30}}

        assert said(tmp_path, rules(first, {"name": "later", **LIMITS})) == []

    def test_a_precedent_without_people_never_approves(self, tmp_path: Path):
        first = {**AUTOMATIC, "precedent": {"approvedByPeople": 1, "withinDays": 30}}

        (found,) = said(tmp_path, rules(first, approval={"required": 0}))

        assert found[:3] == ("error", "countries", "spec.onRequest.automatic[small].precedent")

    @pytest.mark.parametrize(
        ("expression", "message"),
        [
            ("'x' in user.attributes.jbo", "no accepted UserAttributes has the attribute jbo; did you mean job?; the rule never approves"),
            (
                "'high' in agent.attributes.trusted",
                "no DataPlatform of this offer gives an agent the attribute trusted; did you mean trust?; the rule never approves",
            ),
        ],
    )
    def test_a_condition_that_cannot_be_evaluated_is_named(self, tmp_path: Path, expression: str, message: str):
        condition = {"name": "it", "expression": expression}

        assert said(tmp_path, rules({**AUTOMATIC, "matchConditions": [condition]})) == [
            ("warning", "countries", "spec.onRequest.automatic[small].matchConditions[it].expression", message)
        ]

    def test_a_condition_that_cannot_be_read_is_an_error(self, tmp_path: Path):
        condition = {"name": "it", "expression": "user.job == 'x'"}

        (found,) = said(tmp_path, rules({**AUTOMATIC, "matchConditions": [condition]}))

        assert (found[0], found[2]) == ("error", "spec.onRequest.automatic[small].matchConditions[it].expression")


def test_a_purpose_that_no_agent_may_state_is_named(tmp_path: Path):
    assert said(tmp_path, offer(asks={"purposes": ["fraud-reviw"]})) == [
        (
            "warning",
            "countries",
            "spec.onRequest.asks.purposes",
            "no DataPlatform of this offer permits an agent to state fraud-reviw, so nobody can ask for the offer with it; "
            "did you mean fraud-review?",
        )
    ]


class TestNobody:
    MESSAGE = "Guardrail limits denies all its tables on warehouse to all its users, so it shows nobody anything"

    @pytest.mark.parametrize("deny", [{"type": "Tables"}, {"type": "Columns", "columns": {"matchNames": ["*"]}}], ids=["tables", "columns"])
    def test_sees_anything_of_an_offer_whose_tables_a_guardrail_denies(self, tmp_path: Path, deny: Body):
        assert said(tmp_path, offer(), guardrail(deny=deny)) == [("warning", "countries", "spec.tables", self.MESSAGE)]

    def test_so_it_must_not_be_discoverable(self, tmp_path: Path):
        assert said(tmp_path, offer(discoverable=True), guardrail(deny={"type": "Tables"})) == [
            ("error", "countries", "spec.onRequest.discoverable", f"{self.MESSAGE}; it must not be discoverable")
        ]

    @pytest.mark.parametrize("values", [["analyst"], ["manager"]])
    def test_counts_for_users_of_the_offer_only(self, tmp_path: Path, values: list[str]):
        of_job = {"matchAttributes": [{"key": "job", "operator": "In", "values": values}]}

        found = said(tmp_path, offer(discoverable=True), guardrail(users=of_job, deny={"type": "Tables"}), MANAGER)

        assert [each[0] for each in found] == (["error"] if values == ["analyst"] else [])

    def test_one_table_that_is_shown_is_enough(self, tmp_path: Path):
        people = {"matchNames": [{"schema": "*", "name": "people"}]}

        assert said(tmp_path, offer(discoverable=True), guardrail(tables=people, deny={"type": "Tables"})) == []


NULLIFIED = {"name": "births", "columns": {"matchNames": ["birth_date"]}, "type": "Nullify"}
HASHED = {"name": "countries", "columns": {"matchNames": ["country"]}, "type": "Hash"}
CONDITION = {"name": "brief", "expression": "request.expirationSeconds < 60"}


@pytest.mark.parametrize(
    ("offered", "standing", "nothing_new"),
    [
        ([], [], True),
        ([("spec.rowFilter", "country = 'DE'"), ("spec.rows", MISSING)], [], True),
        ([("spec.masks", [NULLIFIED])], [], True),
        ([("spec.masks", [NULLIFIED])], [("spec.masks", [NULLIFIED])], True),
        ([("spec.agents", {"matchAttributes": [TRUSTED]})], [], True),
        ([("spec.columns", {"matchNames": ["country"]})], [("spec.columns", {"matchNames": ["country", "id"]})], True),
        ([], [("spec.masks", [HASHED])], False),
        ([("spec.masks", [NULLIFIED])], [("spec.masks", [HASHED])], False),
        ([], [("spec.columns", {"matchNames": ["country", "id"]})], False),
        ([], [("spec.tables.matchNames[0].name", "people")], False),
        ([], [("spec.rows", MISSING), ("spec.rowFilter", "country = 'DE'")], False),
        ([], [("spec.users.matchConditions", [CONDITION])], False),
        ([], [("spec.agents", {"matchAttributes": [TRUSTED]})], False),
        ([], [("spec.users.matchAttributes[0].values", ["manager"])], False),
        ([], [("spec.grantsTo", "Agents"), ("spec.users", MISSING), ("spec.agents", {"matchAttributes": [TRUSTED]})], False),
    ],
)
def test_an_offer_of_what_is_granted_already_is_named(tmp_path: Path, offered: list, standing: list, nothing_new: bool):
    policy = every_row(analysts())
    for path, value in standing:
        policy = changed(policy, path, value)

    found = said(tmp_path, offer(*offered), policy, MANAGER)

    message = "AccessPolicy domain-claims/analysts grants all its users the same on warehouse without asking"
    assert found == ([("warning", "countries", "spec", message)] if nothing_new else [])

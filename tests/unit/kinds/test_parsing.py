"""Whatever comes in, `parse` answers with an object or with the field that is wrong."""

import copy
import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rolevend.errors import InvalidInput
from rolevend.kinds import KINDS, AccessPolicy, Agent, DataPlatform, VendedRole, kind_named, parse
from rolevend.kinds.parse import faults
from tests.support.manifests import KINDS as KIND_NAMES
from tests.support.manifests import MISSING, SPOILED, Spoiled, changed, valid

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.mark.parametrize("name", KIND_NAMES)
def test_a_valid_object_is_parsed_and_says_who_it_is(name):
    body = valid(name, name="sample", namespace="agents")
    body["metadata"] |= {"uid": "6f1c0a9e-1f2d-4c3b-8a59-0d1e2f3a4b5c", "generation": 3, "managedFields": [{"manager": "kubectl"}]}

    parsed = parse(kind_named(name).model, body)

    assert (parsed.name, parsed.uid, parsed.generation) == ("sample", "6f1c0a9e-1f2d-4c3b-8a59-0d1e2f3a4b5c", 3)
    assert parsed.namespace == body["metadata"].get("namespace", "")


@pytest.mark.parametrize("spoiled", SPOILED, ids=str)
def test_a_spoiled_object_is_refused_and_the_field_is_named(spoiled: Spoiled):
    with pytest.raises(InvalidInput) as refused:
        parse(kind_named(spoiled.kind).model, spoiled.body)

    assert refused.value.field.startswith(spoiled.named)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 400


def test_a_policy_that_says_neither_rows_nor_masks_is_told_both_and_what_to_write():
    body = changed(changed(valid("AccessPolicy"), "spec.rowFilter", MISSING), "spec.masks", MISSING)

    with pytest.raises(InvalidInput) as refused:
        parse(AccessPolicy, body)

    assert refused.value.field == "spec.rowFilter"
    assert "rows: All for every row; masks must be set: masks: [] shows every granted column unmasked" in str(refused.value)
    for rows in ({"rows": "All"}, {"rowFilter": "country = 'DE'"}):
        assert parse(AccessPolicy, {**body, "spec": {**body["spec"], **rows, "masks": []}})


@pytest.mark.parametrize(
    ("kind", "field", "value", "told"),
    [
        ("AccessPolicy", "spec.users.matchAttributes[0].values", "analyst", "must be a list: [analyst]"),
        ("AccessPolicy", "spec.users.matchAttributes[0].values", "yes", 'must be a list: ["yes"]'),
        ("AccessPolicy", "spec.users.matchAttributes[0].values", 7, "must be a list: [7]"),
        ("AccessPolicy", "spec.users.matchAttributes[0].values", "\u202e\n]", r'must be a list: ["\u202e\n]"]'),
        ("AccessPolicy", "spec.users.matchAttributes[0].values", "x" * 100, "must be a list"),
        ("AccessPolicy", "spec.users.matchAttributes[0].values", [7], 'must be a text: write "7"'),
        ("AccessPolicy", "spec.users.matchAttributes[0].values", [True], 'must be a text: write "true"'),
        (
            "AccessPolicy",
            "spec.users.matchAttributes[0].operator",
            "in",
            "must be 'In', 'NotIn', 'Exists' or 'DoesNotExist'; did you mean In?",
        ),
        ("AccessPolicy", "spec.platformRefs", {"name": "warehouse"}, "must be a list: write - before its first field"),
        ("AccessPolicy", "spec.platformRefs", ["warehouse"], "must be an object: {name: warehouse}"),
        ("AccessPolicy", "spec.users.matchAttribute", [], "is not a field of this kind; did you mean matchAttributes?"),
        ("AccessPolicy", "spec.masks[0].colums", {}, "is not a field of this kind; did you mean columns?"),
        ("AccessPolicy", "spec.rowFliter", "a = 1", "is not a field of this kind; did you mean rowFilter?"),
        ("AccessPolicy", "spec.quite", "a = 1", "is not a field of this kind; see kubectl explain"),
        ("DataPlatform", "spec.postgres.databse", "claims", "is not a field of this kind; did you mean database?"),
    ],
)
def test_a_slip_is_told_with_what_to_write(kind: str, field: str, value: object, told: str):
    found = faults(kind_named(kind).model, changed(valid(kind), field, value))

    assert told in [each.message for each in found]


def test_the_example_kinds_are_all_the_kinds_there_are():
    assert sorted(KIND_NAMES) == sorted(kind.name for kind in KINDS)


def test_a_database_name_may_be_anything_that_can_be_seen():
    body = changed(valid("TagBinding"), "spec.columns[0].table", """it's "quoted"; ünïcode 🙂 --""")

    assert parse(kind_named("TagBinding").model, body)


def test_the_items_of_a_list_carry_no_kind_and_are_parsed_all_the_same():
    body = valid("Agent")
    del body["apiVersion"], body["kind"]

    assert parse(Agent, body).spec.handle == "FINBOT"


def test_another_kind_is_refused():
    with pytest.raises(InvalidInput, match=r"^kind: must be 'VendedRole'"):
        parse(VendedRole, valid("Agent"))


def test_an_unknown_kind_is_refused_with_those_there_are():
    with pytest.raises(InvalidInput, match="one of AccessDecision, AccessPolicy"):
        kind_named("Pod")


def test_a_member_that_is_no_name_is_quoted_and_cut():
    body = valid("VendedRole")
    body["spec"]['\n"' * 5_000] = 1

    with pytest.raises(InvalidInput) as refused:
        parse(VendedRole, body)

    assert refused.value.field.startswith(r'spec."\n')
    assert len(refused.value.field) < 100


@pytest.mark.parametrize(
    "body", [{}, {"metadata": None}, {"spec": {}}, {1: 2}, {"metadata": {"name": "a"}, "spec": "\ud800"}, [], "x", None]
)
def test_what_is_no_object_at_all_is_refused(body):
    with pytest.raises(InvalidInput):
        parse(VendedRole, body)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(value=_JSON, member=st.sampled_from(["agentRef", "user", "platformRefs", "expirationSeconds"]))
def test_any_value_anywhere_is_parsed_or_refused_and_nothing_else(value, member):
    body = changed(valid("VendedRole"), f"spec.{member}", value)

    try:
        parse(VendedRole, body)
    except InvalidInput as refused:
        assert refused.field.startswith(f"spec.{member}")  # noqa: PT017 - either outcome is right


def test_parsing_leaves_the_body_alone():
    body = valid("AccessPolicy")
    before = copy.deepcopy(body)

    parse(AccessPolicy, body)

    assert body == before


@pytest.mark.parametrize("status", [{"conditions": 3}, {"conditions": [{"type": "Ready"}]}, "Ready", {"observedGeneration": "x"}])
def test_a_status_that_cannot_be_read_counts_as_none(status):
    assert parse(Agent, {**valid("Agent"), "status": status}).status == Agent.model_fields["status"].default


def test_a_status_member_of_a_newer_operator_is_passed_over():
    assert parse(Agent, {**valid("Agent"), "status": {"observedGeneration": 4, "mood": "fine"}}).status.observed_generation == 4


def test_defaults_are_the_ones_that_the_schema_states():
    body = changed(
        valid("VendedRole"), "spec", {key: value for key, value in valid("VendedRole")["spec"].items() if key != "expirationSeconds"}
    )

    assert parse(VendedRole, body).spec.expiration_seconds == 900
    assert parse(DataPlatform, changed(valid("DataPlatform"), "spec.postgres", {"host": "db", "database": "d"})).spec.postgres.port == 5432


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.yaml")), ids=lambda path: str(path.relative_to(EXAMPLES)))
def test_every_object_of_the_examples_is_parsed(path: Path):
    for body in yaml.safe_load_all(path.read_text()):
        if body.get("apiVersion", "").startswith("rolevend.dev/"):
            assert parse(kind_named(body["kind"]).model, json.loads(json.dumps(body)))


def test_the_minimal_example_keeps_its_promise_of_forty_lines():
    lines = [line for path in (EXAMPLES / "00-minimal").glob("*.yaml") for line in path.read_text().splitlines()]

    assert len(lines) <= 40

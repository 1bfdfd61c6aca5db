"""The generated definitions: up to date, structural, bounded, described."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rolevend.kinds import KINDS, Kind
from rolevend.kinds.crd import chart_templates, definition, differences, documents, main, write
from rolevend.kinds.schema import structural
from rolevend.kinds.shared import Part

ROOT = Path(__file__).parents[3]
UNBOUNDED_ON_PURPOSE = {
    "countedAt",
    "time",
    "apiVersion",
    "kind",
    "lastTransitionTime",
    "expirationTimestamp",
    "at",
    "decidedAt",
    "notBefore",
    "claimUntil",
    "stateSince",
    "authTime",
}

each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema in a schema, with its path."""
    yield path, schema
    for name, member in schema.get("properties", {}).items():
        yield from nodes(member, f"{path}.{name}".removeprefix("."))
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from nodes(schema["additionalProperties"], f"{path}{{}}")


def schema_of(kind: Kind) -> dict[str, Any]:
    return definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def test_the_checkout_holds_what_the_models_say():
    assert main(["--check", str(ROOT)]) == 0


def test_generating_twice_gives_the_same():
    assert documents() == documents()
    assert chart_templates() == chart_templates()


def test_a_difference_a_missing_and_a_stale_file_are_all_found(tmp_path):
    files = documents()
    write(tmp_path, files)
    assert differences(tmp_path, files) == ()

    changed, missing, *_ = sorted(files)
    (tmp_path / changed).write_text("other")
    (tmp_path / missing).unlink()
    (tmp_path / "rolevend.dev_old.yaml").write_text("old")
    assert differences(tmp_path, files) == tuple(sorted([changed, missing, "rolevend.dev_old.yaml"]))

    write(tmp_path, files)
    assert differences(tmp_path, files) == ()


def test_files_of_others_are_left_alone(tmp_path):
    (tmp_path / "README.md").write_text("mine")

    write(tmp_path, documents())

    assert (tmp_path / "README.md").exists()


@each_kind
def test_a_schema_holds_only_what_is_structural(kind):
    for path, schema in nodes(schema_of(kind)):
        assert "type" in schema, path
        assert not schema.keys() & {"$ref", "$defs", "anyOf", "oneOf", "allOf", "const", "title", "exclusiveMinimum", "propertyNames"}, path
        assert schema.get("default", 0) is not None, path
        assert schema.get("additionalProperties") is not False, path


@each_kind
def test_every_string_list_and_map_is_bounded(kind):
    for path, schema in nodes(schema_of(kind)):
        match schema["type"]:
            case "string" if path.rsplit(".", 1)[-1] not in UNBOUNDED_ON_PURPOSE:
                assert "maxLength" in schema or "enum" in schema, path
            case "array":
                assert "maxItems" in schema, path
            case "object" if "additionalProperties" in schema:
                assert "maxProperties" in schema, path


@each_kind
def test_every_list_says_how_it_is_merged(kind):
    for path, schema in nodes(schema_of(kind)):
        if schema["type"] == "array":
            list_type = schema["x-kubernetes-list-type"]
            assert list_type in {"map", "set", "atomic"}, path
            if list_type == "map":
                assert set(schema["x-kubernetes-list-map-keys"]) <= set(schema["items"]["required"]), path


@each_kind
def test_every_field_is_explained_in_one_paragraph(kind):
    for path, schema in nodes(schema_of(kind)):
        if path and not path.endswith(("[]", "{}")) and path not in {"apiVersion", "kind", "metadata"}:
            assert schema.get("description", "").endswith("."), path
            assert "\n" not in schema["description"], path


@each_kind
def test_integers_say_their_width_and_nothing_is_a_float(kind):
    for path, schema in nodes(schema_of(kind)):
        assert schema["type"] != "number", path
        if schema["type"] == "integer":
            assert schema["format"] in {"int32", "int64"}, path


@each_kind
def test_every_rule_has_a_message(kind):
    for path, schema in nodes(schema_of(kind)):
        for rule in schema.get("x-kubernetes-validations", []):
            assert rule["message"], path


@each_kind
def test_conditions_are_the_ones_of_the_conventions(kind):
    conditions = schema_of(kind)["properties"]["status"]["properties"]["conditions"]

    assert conditions["x-kubernetes-list-map-keys"] == ["type"]
    assert set(conditions["items"]["required"]) == {"type", "status", "lastTransitionTime", "reason", "message"}
    assert "observedGeneration" in conditions["items"]["properties"]


@each_kind
def test_status_is_a_subresource_and_the_first_columns_say_whether_all_is_well(kind):
    version = definition(kind)["spec"]["versions"][0]

    assert version["subresources"] == {"status": {}}
    first = {"AccessDecision": ["Verdict", "Counted"], "AccessRequest": ["State", "Agent"]}.get(kind.name, ["Ready", "Reason"])
    assert [column["name"] for column in version["additionalPrinterColumns"][:2]] == first


def test_a_time_to_come_is_no_date_column():
    columns = {column.name: column.type for kind in KINDS for column in kind.columns}

    assert columns["Expires"] == "string"


def test_short_names_are_ours_alone():
    names = [kind.short_name for kind in KINDS]

    assert len(set(names)) == len(names)
    assert all(name == "vr" or name.startswith("rv") for name in names)


def test_the_charts_copy_is_the_manifest_with_labels_and_a_switch():
    manifests = documents()
    for name, template in chart_templates().items():
        lines = template.splitlines()
        plain = [
            line for line in lines if "{{" not in line and line.strip() not in {"labels:", "annotations:", "helm.sh/resource-policy: keep"}
        ]
        assert yaml.load("\n".join(plain), Loader=yaml.CSafeLoader) == yaml.load(manifests[name], Loader=yaml.CSafeLoader)
        assert "{{- if .Values.crds.enabled }}" in lines


def test_what_has_no_structural_form_is_refused_when_generating():
    class Choice(Part):
        either: int | str

    with pytest.raises(ValueError, match=r"Choice\.either: a choice between types"):
        structural(Choice)

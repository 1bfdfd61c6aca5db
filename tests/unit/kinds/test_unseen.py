"""What somebody wrote and we are not shown is found by who wrote which fields."""

from typing import Any

import pytest

from rolevend.errors import InvalidInput
from rolevend.kinds import AccessPolicy, VendedRole, parse
from rolevend.kinds.parse import unseen
from tests.support.manifests import Body, valid


def written(kind: str, spec: Any, version: str = "v1alpha1") -> Body:
    body = valid(kind)
    body["metadata"]["managedFields"] = [
        {"apiVersion": f"rolevend.dev/{version}", "subresource": "status", "fieldsV1": {"f:status": {"f:shiny": {}}}},
        {"apiVersion": f"rolevend.dev/{version}", "fieldsV1": {"f:metadata": {"f:finalizers": {}}}},
        {"apiVersion": f"rolevend.dev/{version}", "fieldsV1": {"f:spec": spec}},
    ]
    return body


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"f:maxRows": {}}, "spec.maxRows"),
        ({".": {}, "f:users": {".": {}, "f:matchGroups": {}}}, "spec.users.matchGroups"),
        ({"f:masks": {'k:{"name":"ids"}': {".": {}, "f:name": {}, "f:salt": {}}}}, "spec.masks[].salt"),
        ({"f:masks": {'k:{"name":"ids"}': {"f:columns": {"f:matchTypes": {'v:"text"': {}}}}}}, "spec.masks[].columns.matchTypes"),
    ],
)
@pytest.mark.parametrize("version", ["v1alpha1", "v1beta1"])
def test_a_field_that_is_none_of_ours_is_named_and_the_object_is_not_read(spec: Body, path: str, version: str):
    body = written("AccessPolicy", spec, version)

    assert unseen(AccessPolicy, body) == path
    with pytest.raises(InvalidInput, match=r"is not a field of this version of rolevend") as caught:
        parse(AccessPolicy, body)
    assert caught.value.field == path
    assert parse(AccessPolicy, body, unknown="ignore").name == body["metadata"]["name"]


@pytest.mark.parametrize(
    "spec",
    [
        {"f:rowFilter": {}, "f:masks": {".": {}, 'k:{"name":"ids"}': {".": {}, "f:name": {}, "f:type": {}}}},
        {"f:columns": {"f:matchNames": {".": {}, 'v:"*"': {}}}, "f:platformRefs": {'k:{"name":"warehouse"}': {"f:name": {}}}},
        {"f:users": {"f:matchAttributes": {}}},
        {},
    ],
)
@pytest.mark.parametrize("version", ["v1alpha1", "v1beta1"])
def test_what_was_written_by_a_later_version_and_says_nothing_new_is_read(spec: Body, version: str):
    assert parse(AccessPolicy, written("AccessPolicy", spec, version)).kind == "AccessPolicy"


def test_an_object_of_a_file_or_of_nobody_in_particular_is_read():
    assert unseen(VendedRole, valid("VendedRole")) == ""
    assert unseen(VendedRole, {"metadata": None}) == ""

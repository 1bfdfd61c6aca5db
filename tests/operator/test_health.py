"""`rolevend status` and `rolevend doctor` on a running installation, by an administrator and by people with fewer rights."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from testbed.installation import NAMESPACE
from tests.support import commanding
from tests.support.site import AGENTS, WAREHOUSE, Site
from tests.support.tenancy import Tenant

VIEWER = "vera@example.org"


def rolevend(environment: Mapping[str, str], *words: str) -> "subprocess.CompletedProcess[str]":
    return commanding.rolevend(environment, *words, "--namespace", NAMESPACE)


def found(done: "subprocess.CompletedProcess[str]") -> Any:
    assert "Traceback" not in done.stderr, done.stderr
    return json.loads(done.stdout)


@pytest.mark.long
def test_the_screen_shows_the_platforms_and_what_is_not_ready(site: Site, tenant: Tenant):
    tenant.ready_to_ask().ask().ready()
    spoiled = tenant.policy("spoiled", rowFilter="nowhere = 1")
    site.told(spoiled, "Ready", "False")

    seen = found(rolevend(site.control_plane.environment(), "status", "-o", "json"))

    (warehouse,) = [each for each in seen["platforms"] if each["name"] == WAREHOUSE]
    assert warehouse["conditions"] == dict.fromkeys(("Ready", "Accepted", "Attested", "InSync"), "True")
    assert warehouse["roles"]["live"] >= 1
    assert f"AccessPolicy domain-claims/{spoiled['metadata']['name']}" in [each["object"] for each in seen["problems"]]
    assert seen["versions"]["definitions"].startswith("10 of 10")
    assert seen["notRead"] == []
    text = rolevend(site.control_plane.environment(), "status").stdout
    assert "PLATFORM" in text
    assert max(map(len, text.splitlines())) <= 120
    assert f"AccessPolicy domain-claims/{spoiled['metadata']['name']}: " in text


def test_the_doctor_finds_what_was_broken_and_nothing_else_of_it(site: Site, tenant: Tenant):
    environment = site.control_plane.environment()
    before = found(rolevend(environment, "doctor", "-o", "json"))
    assert "not read" not in {each["level"] for each in before["findings"]}
    spoiled = tenant.policy("spoiled", rowFilter="nowhere = 1")
    site.told(spoiled, "Ready", "False")
    binding = "rolevend-token"
    removed = site.cluster.call("GET", f"/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/{binding}").body
    site.cluster.kubectl("delete", "validatingadmissionpolicybinding", binding)
    try:
        done = rolevend(environment, "doctor", "-o", "json")
    finally:
        restored = {**removed, "metadata": {key: removed["metadata"][key] for key in ("name", "labels") if key in removed["metadata"]}}
        assert site.cluster.call("POST", "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings", restored).ok

    assert done.returncode == 1
    added = [each for each in found(done)["findings"] if each not in before["findings"]]
    assert {(each["level"], each["object"]) for each in added} == {
        ("wrong", f"ValidatingAdmissionPolicy {binding}"),
        ("wrong", f"AccessPolicy domain-claims/{spoiled['metadata']['name']}"),
    }
    assert all(each["action"] for each in added)


@pytest.mark.long
def test_who_may_read_less_is_told_what_was_not_read_and_sees_the_rest(site: Site, tmp_path: Path):
    site.cluster.bind(VIEWER, "rolevend-viewer")
    environment = site.cluster.environment(VIEWER, tmp_path)

    status, doctor = rolevend(environment, "status", "-o", "json"), rolevend(environment, "doctor", "-o", "json")

    seen = found(status)
    assert WAREHOUSE in [each["name"] for each in seen["platforms"]]
    assert any(each.startswith("UserAttributes: ") for each in seen["notRead"])
    unread = {each["object"] for each in found(doctor)["findings"] if each["level"] == "not read"}
    assert {"UserAttributes", "Deployment", "CustomResourceDefinition"} <= unread
    assert any(each.startswith("Secrets ") for each in unread)


def test_a_person_without_any_right_gets_no_name_of_an_object(site: Site, tmp_path: Path):
    done = rolevend(site.cluster.environment("nobody@example.org", tmp_path), "status")

    assert done.returncode == 0
    for name in (WAREHOUSE, AGENTS):
        assert name not in done.stdout + done.stderr

"""The operator publishes the catalogs that it reads, and people explain access with them instead of a login on the platforms."""

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rolevend.kinds.published_catalogs import FORMAT, PART_NAMES
from tests.support import commanding
from tests.support.installed import SYSTEM
from tests.support.site import AGENTS, ANNEX, DOMAIN, WAREHOUSE, Body, Site
from tests.support.tenancy import Tenant
from tests.support.waiting import eventually

COPIED = "copied-catalogs"
"""A namespace with a copy of the published catalogs, which a test spoils."""


def rolevend(site: Site, *words: str, environment: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    return commanding.rolevend(environment or site.control_plane.environment(), *words)


def parts(site: Site, namespace: str = SYSTEM) -> dict[str, Body]:
    listed = site.cluster.call("GET", f"/api/v1/namespaces/{namespace}/configmaps").body["items"]
    return {each["metadata"]["name"]: each for each in listed if each["metadata"]["name"] in PART_NAMES}


def set_digest(site: Site) -> str:
    return str(parts(site)[PART_NAMES[0]]["data"]["digest"])


def plant(site: Site) -> None:
    """A part that belongs to no set: when it is gone, the operator has compared them all."""
    surplus = {"metadata": {"name": PART_NAMES[-1]}, "data": {"planted": "yes"}}
    assert site.cluster.call("POST", f"/api/v1/namespaces/{SYSTEM}/configmaps", surplus).ok


def restart(site: Site) -> None:
    site.operator.stop()
    site.start_operator()


@pytest.fixture(scope="module")
def published(site: Site) -> dict[str, Body]:
    """The ConfigMaps, when both platforms are in them."""
    site.ensure_operator()

    def whole() -> dict[str, Body]:
        notes = rolevend(site, "explain", "--user", "nobody").stderr
        assert notes.count("note: catalog of") == 2, notes
        return parts(site)

    return eventually(whole)


@pytest.fixture
def copied(site: Site, published: dict[str, Body]) -> Iterator[dict[str, Body]]:
    """Copies in a namespace of their own: the operator repairs its own ones."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": COPIED}}
    assert site.cluster.call("POST", "/api/v1/namespaces", namespace).status in (201, 409)
    copies = {}
    for name, each in published.items():
        body = {"metadata": {"name": name}, "data": each["data"], "binaryData": each["binaryData"]}
        answer = site.cluster.call("POST", f"/api/v1/namespaces/{COPIED}/configmaps", body)
        assert answer.ok, answer.message
        copies[name] = answer.body
    yield copies
    for name in PART_NAMES:
        site.cluster.call("DELETE", f"/api/v1/namespaces/{COPIED}/configmaps/{name}")


@pytest.mark.long
def test_a_role_is_explained_without_a_login_on_the_platform(tenant: Tenant, published: dict[str, Body]):
    tenant.ready_to_ask()
    asked = tenant.ask().ready()

    done = rolevend(tenant.site, "explain", asked.name, "--namespace", asked.namespace)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].endswith(f"through {AGENTS}/{tenant.name} on {WAREHOUSE}: 1 table")
    notes = done.stderr.splitlines()
    assert [note.partition(" (")[0][:-20] for note in notes] == [
        f"note: catalog of {name}: as the operator reads it, unchanged since " for name in (ANNEX, WAREHOUSE)
    ]
    assert all(note.endswith(" ago)") for note in notes), "the platforms are Ready, and the operator runs"


@pytest.mark.long
def test_a_new_table_is_published_and_nothing_else_is_ever_written(site: Site, published: dict[str, Body]):
    before = parts(site)
    site.warehouse.ask("CREATE TABLE claims.published_later (id int)")
    try:
        eventually(lambda: set_digest(site) != before[PART_NAMES[0]]["data"]["digest"])
        with_table = parts(site)
    finally:
        site.warehouse.ask("DROP TABLE claims.published_later")
    eventually(lambda: set_digest(site) != with_table[PART_NAMES[0]]["data"]["digest"])
    after = parts(site)

    plant(site)
    restart(site)
    eventually(lambda: PART_NAMES[-1] not in parts(site))
    assert {name: each["metadata"]["resourceVersion"] for name, each in parts(site).items()} == {
        name: each["metadata"]["resourceVersion"] for name, each in after.items()
    }


@pytest.mark.long
def test_what_somebody_else_changed_is_written_again(site: Site, published: dict[str, Body]):
    path = f"/api/v1/namespaces/{SYSTEM}/configmaps/{PART_NAMES[0]}"
    spoiled = {"data": {"format": "another", "planted": "yes"}, "binaryData": {"catalogs": base64.b64encode(b"bytes").decode()}}
    assert site.cluster.call("PATCH", path, spoiled, content_type="application/merge-patch+json").ok
    plant(site)

    restart(site)

    def repaired() -> bool:
        there = parts(site)
        assert PART_NAMES[-1] not in there
        assert set(there[PART_NAMES[0]]["data"]) == {"format", "digest", "part", "parts"}
        return there[PART_NAMES[0]]["data"]["format"] == FORMAT

    eventually(repaired)
    assert rolevend(site, "explain", "--user", "nobody").stderr.count("note: catalog of") == 2


@pytest.mark.long
def test_who_has_not_the_role_is_told_which_one_it_is(site: Site, published: dict[str, Body], tmp_path: Path):
    for user, role in (("reader", "rolevend-catalog-reader"), ("stranger", "")):
        site.cluster.bind(user, "rolevend-viewer")
        site.cluster.bind(user, "rolevend-identity-admin")
        if role:
            subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}
            binding = {
                "metadata": {"name": f"published-{user}"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
                "subjects": [subject],
            }
            assert site.cluster.call("POST", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{SYSTEM}/rolebindings", binding).ok
    eventually(lambda: site.cluster.may("reader", "get", "configmaps", namespace=SYSTEM, name=PART_NAMES[0]))

    refused, read = (
        rolevend(site, "explain", "--user", "nobody", environment=site.cluster.environment(user, tmp_path))
        for user in ("stranger", "reader")
    )

    assert refused.returncode == 1
    assert "the Role rolevend-catalog-reader of namespace rolevend-system permits it; or name a file with --catalog" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert read.stderr.count("note: catalog of") == 2, read.stderr
    for name in ("rolevend-agent-other", "any-other"):
        assert not site.cluster.may("reader", "get", "configmaps", namespace=SYSTEM, name=name)
    for verb in ("list", "watch", "create", "update", "patch", "delete"):
        assert not site.cluster.may("reader", verb, "configmaps", namespace=SYSTEM, name=PART_NAMES[0] if verb != "list" else "")


@pytest.mark.thinned(9, "long")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"data": {"format": "rolevend.dev/published-catalogs/v2"}}, "use the rolevend of the operator's version"),
        ({"data": {"parts": "3"}}, "a part is missing"),
        ({"binaryData": {"catalogs": base64.b64encode(b"\xff\x00").decode()}}, "is not the digest of the parts"),
        ({"data": None, "binaryData": None}, "data.format: is 'None'"),
    ],
    ids=["another version", "cut", "bad bytes", "empty"],
)
def test_a_spoiled_set_is_one_clear_error(site: Site, copied: dict[str, Body], change: Body, said: str):
    path = f"/api/v1/namespaces/{COPIED}/configmaps/{PART_NAMES[0]}"
    assert site.cluster.call("PATCH", path, change, content_type="application/merge-patch+json").ok

    done = rolevend(site, "explain", "--user", "nobody", "--operator-namespace", COPIED)

    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr


@pytest.mark.long
def test_nothing_published_says_where_to_look(site: Site):
    done = rolevend(site, "explain", "--user", "nobody", "--operator-namespace", "default")

    assert done.returncode == 1
    assert "no catalog is published in namespace default" in done.stderr
    assert "name that with --operator-namespace; or name a file with --catalog" in done.stderr


@pytest.mark.long
def test_files_are_judged_with_published_catalogs(tenant: Tenant, published: dict[str, Body], tmp_path: Path):
    site = tenant.site
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    policy = tenant.described("AccessPolicy", tenant.policy_spec(), namespace=DOMAIN)
    (tmp_path / "new" / "policy.json").write_text(json.dumps(policy))
    person = tenant.described("UserAttributes", tenant.person_spec(), f"anna.{tenant.name}")
    for folder in ("old", "new"):
        (tmp_path / folder / "person.json").write_text(json.dumps(person))
        (tmp_path / folder / "platform.yaml").write_text(site.manifest(WAREHOUSE).read_text())

    checked = rolevend(site, "policy", "check", str(tmp_path / "new"), "--published")
    compared = rolevend(site, "policy", "diff", str(tmp_path / "old"), str(tmp_path / "new"))
    offline = rolevend(
        site,
        "policy",
        "diff",
        str(tmp_path),
        str(tmp_path),
        environment={**os.environ, "HOME": str(tmp_path), "KUBECONFIG": str(tmp_path / "none")},
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"note: catalog of {WAREHOUSE}" in checked.stderr
    assert compared.returncode == 0, compared.stdout + compared.stderr
    assert "catalog of annex" not in checked.stderr + compared.stderr, "the files have no such platform"
    assert "no catalog is named, and there is no kubeconfig" in offline.stderr

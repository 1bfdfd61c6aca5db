"""The control plane decides for real: who may do what, what is admitted, what is kept."""

import base64
import json
import secrets
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rolevend.policytools.embedded.errors import PartFailed, Unusable
from testbed.binaries import Binaries
from testbed.controlplane import ISSUER, ControlPlane
from testbed.gobuild import Module
from tests.support.waiting import eventually

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def control_plane(binaries: Binaries) -> Iterator[ControlPlane]:
    with ControlPlane(binaries=binaries) as running:
        yield running


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    name = f"test-{secrets.token_hex(4)}"
    control_plane.kubectl("create", "namespace", name)
    yield name
    control_plane.kubectl("delete", "namespace", name, "--wait=false")


def get(control_plane: ControlPlane, *arguments: str) -> Any:
    return json.loads(control_plane.kubectl("get", *arguments, "--output=json"))


def refusal(control_plane: ControlPlane, *arguments: str, standard_input: str | None = None, kubeconfig: Path | None = None) -> str:
    """What kubectl says when it is refused."""
    with pytest.raises(subprocess.CalledProcessError) as refused:
        control_plane.kubectl(*arguments, standard_input=standard_input, kubeconfig=kubeconfig)
    return str(refused.value.stderr)


def succeeds(control_plane: ControlPlane, *arguments: str, kubeconfig: Path | None = None) -> bool:
    try:
        control_plane.kubectl(*arguments, kubeconfig=kubeconfig)
    except subprocess.CalledProcessError:
        return False
    return True


def test_it_knows_its_version(control_plane: ControlPlane) -> None:
    versions = json.loads(control_plane.kubectl("version", "--output=json"))
    assert versions["serverVersion"]["gitVersion"] == Module().kubernetes
    assert f"{versions['serverVersion']['major']}.{versions['serverVersion']['minor']}" in Module().kubernetes


def test_its_certificate_is_trusted_only_through_its_own_authority(control_plane: ControlPlane) -> None:
    with pytest.raises(OSError, match="certificate verify failed"):
        urllib.request.urlopen(f"{control_plane.url}/readyz")
    trusting = ssl.create_default_context(cadata=control_plane.server.authority.decode())
    trusting.verify_flags |= ssl.VERIFY_X509_STRICT  # the default since Python 3.13
    with urllib.request.urlopen(f"{control_plane.url}/readyz", context=trusting) as answer:
        assert answer.read() == b"ok"


def test_only_we_can_read_the_administrators_kubeconfig(control_plane: ControlPlane) -> None:
    assert control_plane.kubeconfig.stat().st_mode & 0o077 == 0


def test_a_service_account_is_itself_and_bound_by_rbac(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> None:
    control_plane.kubectl("create", "serviceaccount", "reader", "--namespace", namespace)
    control_plane.kubectl("create", "role", "reader", "--verb=list", "--resource=configmaps", "--namespace", namespace)
    reader = control_plane.service_account_kubeconfig(namespace, "reader", tmp_path)
    who = json.loads(control_plane.kubectl("auth", "whoami", "--output=json", kubeconfig=reader))
    assert who["status"]["userInfo"]["username"] == f"system:serviceaccount:{namespace}:reader"
    assert "forbidden" in refusal(control_plane, "get", "configmaps", kubeconfig=reader)

    binding = ("--role=reader", f"--serviceaccount={namespace}:reader", "--namespace", namespace)
    control_plane.kubectl("create", "rolebinding", "reader", *binding)
    eventually(lambda: succeeds(control_plane, "get", "configmaps", kubeconfig=reader))
    assert "forbidden" in refusal(control_plane, "get", "configmaps", "--namespace=default", kubeconfig=reader)
    assert "forbidden" in refusal(control_plane, "get", "secrets", kubeconfig=reader)


def test_a_token_lives_as_long_as_asked_and_serves_whom_it_is_for(control_plane: ControlPlane) -> None:
    token = control_plane.service_account_token("default", "default", audiences=("rolevend",), expiration_seconds=600)
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["exp"] - claims["iat"] == 600
    assert claims["aud"] == ["rolevend"]
    assert claims["iss"] == ISSUER


def test_a_token_for_nobody_is_refused(control_plane: ControlPlane) -> None:
    with pytest.raises(PartFailed, match=r'404 serviceaccounts "nobody" not found'):
        control_plane.service_account_kubeconfig("default", "nobody")


def test_a_deleted_namespace_takes_what_is_in_it_along(control_plane: ControlPlane) -> None:
    name = f"test-{secrets.token_hex(4)}"
    control_plane.kubectl("create", "namespace", name)
    control_plane.kubectl("create", "configmap", "content", "--namespace", name)
    control_plane.kubectl("delete", "namespace", name, "--wait", "--timeout=300s")
    assert "NotFound" in refusal(control_plane, "get", "namespace", name)


def test_a_deployment_gets_pods_that_stay_pending(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.kubectl("create", "deployment", "app", "--image=example.test/app:1", "--namespace", namespace)
    (pod,) = eventually(lambda: get(control_plane, "pods", "--namespace", namespace)["items"])
    assert pod["status"]["phase"] == "Pending"


def test_dependents_go_with_their_owner(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.kubectl("create", "configmap", "owner", "--namespace", namespace)
    owner = get(control_plane, "configmap", "owner", "--namespace", namespace)["metadata"]
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["uid"]}
    dependent = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "dependent", "namespace": namespace, "ownerReferences": [reference]},
    }
    control_plane.kubectl("create", "--filename=-", standard_input=json.dumps(dependent))
    control_plane.kubectl("delete", "configmap", "owner", "--namespace", namespace)
    eventually(lambda: not get(control_plane, "configmaps", "--namespace", namespace)["items"])


def admission_policy(kind: str, namespace: str, **spec: object) -> str:
    """A policy for the configmaps of one namespace, and its binding."""
    match = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE"]}],
    }
    group = "admissionregistration.k8s.io/v1"
    actions = {"validationActions": ["Deny"]} if kind.startswith("Validating") else {}
    policy = {"apiVersion": group, "kind": kind, "metadata": {"name": namespace}, "spec": {"matchConstraints": match, **spec}}
    binding = {
        "apiVersion": group,
        "kind": f"{kind}Binding",
        "metadata": {"name": namespace},
        "spec": {"policyName": namespace, **actions},
    }
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [policy, binding]})


def test_mutating_admission_policies_work(control_plane: ControlPlane, namespace: str) -> None:
    expression = 'Object{metadata: Object.metadata{labels: {"marked": "yes"}}}'
    mutation = {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}
    policy = admission_policy("MutatingAdmissionPolicy", namespace, reinvocationPolicy="Never", mutations=[mutation])
    control_plane.kubectl("apply", "--filename=-", standard_input=policy)

    def marked() -> bool:
        created = control_plane.kubectl("create", "configmap", "any", "--namespace", namespace, "--dry-run=server", "--output=json")
        return bool(json.loads(created)["metadata"].get("labels") == {"marked": "yes"})

    try:
        eventually(marked)
    finally:
        control_plane.kubectl("delete", "--filename=-", standard_input=policy)


def test_validating_admission_policies_work(control_plane: ControlPlane, namespace: str) -> None:
    validation = {"expression": 'object.metadata.name != "forbidden"', "message": "not this name"}
    policy = admission_policy("ValidatingAdmissionPolicy", namespace, validations=[validation])
    control_plane.kubectl("apply", "--filename=-", standard_input=policy)

    create = ("create", "configmap", "--namespace", namespace, "--dry-run=server")
    try:
        eventually(lambda: not succeeds(control_plane, *create, "forbidden"))
        assert "not this name" in refusal(control_plane, *create, "forbidden")
        assert succeeds(control_plane, *create, "allowed")
    finally:
        control_plane.kubectl("delete", "--filename=-", standard_input=policy)


@pytest.mark.parametrize("graceful", [True, False], ids=["stopped", "killed"])
def test_an_api_server_that_comes_back_has_its_port_and_its_data(control_plane: ControlPlane, namespace: str, graceful: bool) -> None:
    control_plane.kubectl("create", "configmap", "kept", "--from-literal=answer=42", "--namespace", namespace)
    token = control_plane.service_account_kubeconfig("default", "default")
    url = control_plane.url
    control_plane.stop_api_server(graceful=graceful)
    try:
        assert "refused" in refusal(control_plane, "get", "namespaces")
    finally:
        control_plane.start_api_server()
    assert control_plane.url == url
    assert get(control_plane, "configmap", "kept", "--namespace", namespace)["data"] == {"answer": "42"}
    eventually(lambda: succeeds(control_plane, "auth", "whoami", kubeconfig=token))  # it answers before it has read who may what
    assert "system:serviceaccount:default:default" in control_plane.kubectl("auth", "whoami", kubeconfig=token)


def test_a_part_that_cannot_start_says_why_and_leaves_nothing(binaries: Binaries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    broken = ControlPlane(binaries=binaries, api_server_arguments=("--no-such-flag",))
    with pytest.raises(PartFailed, match=r"(?s)kube-apiserver ended by itself with exit code 1.*unknown flag: --no-such-flag"):
        broken.start()
    assert list(tmp_path.iterdir()) == []


def test_the_part_that_is_to_blame_is_named(binaries: Binaries, tmp_path: Path) -> None:
    etcd = tmp_path / "etcd"
    etcd.write_text("#!/bin/sh\necho the disk is full; exit 7\n")
    etcd.chmod(0o755)
    with pytest.raises(PartFailed, match=r"(?s)etcd ended by itself with exit code 7.*the disk is full"):
        ControlPlane(binaries=Binaries({**binaries.paths, "etcd": etcd})).start()


def test_a_folder_in_use_is_refused(binaries: Binaries, tmp_path: Path) -> None:
    (tmp_path / "somebody's").touch()
    with pytest.raises(Unusable, match="the folder is not empty"):
        ControlPlane(binaries=binaries, directory=tmp_path).start()


def test_what_is_not_started_says_so() -> None:
    with pytest.raises(Unusable, match="not started yet"):
        _ = ControlPlane().kubeconfig

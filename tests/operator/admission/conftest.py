"""A control plane of its own, with the chart installed as a person would: definitions and admission are the whole cluster's."""

from collections.abc import Iterator

import pytest

from testbed.binaries import Binaries
from testbed.controlplane import ControlPlane
from tests.support.installed import AGENTS, API, CHART, ELSEWHERE, OPERATOR, RBAC, SYSTEM, Cluster
from tests.support.manifests import MISSING, changed, valid
from tests.support.rendered import API_ON, Helm, flags
from tests.support.waiting import eventually


@pytest.fixture(scope="package")
def cluster(binaries: Binaries) -> Iterator[Cluster]:
    with ControlPlane(binaries=binaries) as control_plane:
        cluster = Cluster(control_plane)
        for namespace in (AGENTS, ELSEWHERE, "domain-claims", "domain-hr"):  # the examples', too
            cluster.kubectl("create", "namespace", namespace)
        values = flags({"agentNamespaces": [AGENTS], "api": API_ON})
        installed = cluster.helm("install", "rolevend", str(CHART), "--namespace", SYSTEM, "--create-namespace", *values)
        assert installed.returncode == 0, installed.stderr
        cluster.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=120s")
        _wait_until_admission_works(cluster)
        yield cluster
        cluster.close()


@pytest.fixture(scope="package")
def helm(binaries: Binaries) -> Helm:
    return Helm(binaries["helm"])


def _wait_until_admission_works(cluster: Cluster) -> None:
    """The API server takes up new policies a moment after they were made."""
    creator = cluster.service_account("probe", {"apiGroups": ["rolevend.dev"], "resources": ["vendedroles"], "verbs": ["create"]})
    role = valid("VendedRole", "probe")
    tracked = changed(role, "metadata.annotations", {"argocd.argoproj.io/tracking-id": "x"})
    eventually(lambda: "may not vend" in cluster.create(role, user=creator, dry_run=True).message)
    eventually(lambda: "Argo CD" in cluster.create(tracked, dry_run=True).message)
    revoked = changed(role, "metadata.annotations", {"rolevend.dev/revoked-by": "probe"})
    eventually(lambda: "not at its creation" in cluster.create(revoked, dry_run=True).message)
    answered = changed(changed(role, "spec.userTokenSecretRef", MISSING), "spec.delivery", "Response")
    eventually(lambda: "for the API alone" in cluster.create(answered, dry_run=True).message)
    eventually(lambda: cluster.create(role, dry_run=True).body["metadata"].get("finalizers"))
    request = changed(changed(valid("AccessRequest", "probe"), "spec.userTokenSecretRef", MISSING), "spec.delivery", "Response")
    eventually(lambda: "Response is for the API alone" in cluster.create(request, dry_run=True).message)
    eventually(lambda: "the operator alone decides" in _written_by_the_api(cluster))
    vote = valid("AccessDecision", "probe")
    eventually(lambda: "vote of its creator" in cluster.create(changed(vote, "spec.by", "somebody"), dry_run=True).message)
    eventually(lambda: cluster.create(vote, dry_run=True).body["metadata"].get("annotations"))
    credential = {"metadata": {"name": "probe"}, "type": "rolevend.dev/credential", "stringData": {"a": "b"}}
    secrets = f"/api/v1/namespaces/{AGENTS}/secrets"
    eventually(lambda: "written by rolevend alone" in cluster.call("POST", f"{secrets}?dryRun=All", credential).message)
    assert cluster.call("POST", secrets, {**credential, "type": "Opaque"}).ok
    eventually(lambda: "is no credential" in cluster.call("DELETE", f"{secrets}/probe?dryRun=All", user=OPERATOR).message)
    assert cluster.call("DELETE", f"{secrets}/probe").ok
    leases = f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases"
    assert cluster.call("POST", leases, {"metadata": {"name": "probe"}}).ok
    eventually(lambda: "is no record of a token" in cluster.call("DELETE", f"{leases}/probe?dryRun=All", user=OPERATOR).message)
    assert cluster.call("DELETE", f"{leases}/probe").ok
    held = changed(valid("DataPlatform", "probe"), "metadata.finalizers", ["rolevend.dev/drop"])
    assert cluster.create(held).ok
    cluster.bind("stranger", "rolevend-platform-admin")
    bound = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "rolevend-agent-namespace"}
    anywhere = {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "probe"}, "roleRef": bound}
    bindings = f"/apis/{RBAC}/v1/clusterrolebindings?dryRun=All"
    eventually(lambda: "not for the whole cluster" in cluster.call("POST", bindings, anywhere).message)
    eventually(lambda: "breakglass" in cluster.patch(held, {"metadata": {"finalizers": []}}, user="stranger").message)
    assert cluster.patch(held, {"metadata": {"finalizers": []}}).ok
    assert cluster.delete(held).ok


def _written_by_the_api(cluster: Cluster) -> str:
    """The refusal of a status that the API writes into the AccessRequest of an agent."""
    body = valid("AccessRequest", "probe")
    cluster.create(body)
    return cluster.patch(body, {"status": {"message": "probe"}}, user=API, subresource="status").message

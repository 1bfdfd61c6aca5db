"""A release with another name, namespace and accounts: it is consistent in itself, and a cluster takes and obeys it."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from rolevend.kube.election import LEASE
from rolevend.snapshot.suspension import SUSPENSION
from testbed.binaries import Binaries
from testbed.controlplane import ControlPlane
from tests.support.installed import CHART, RBAC, Cluster
from tests.support.manifests import MISSING, changed, valid
from tests.support.rendered import ACCESS_LEDGER_ON, ALL_ON, API_ON, AUDIT_ON, CONSOLE_ON, MCP_ON, Document, Helm, flags, only, pods
from tests.support.waiting import eventually

RELEASE, NAMESPACE, BOTS, MADE_BY_OWNER = "prod", "data-access", "bots", "more-bots"
NAME = "database-roles-of-the-claims-platform-in-production"
"""The longest that there is: 51 characters."""
OPERATOR, API = (f"system:serviceaccount:{NAMESPACE}:{account}" for account in ("broker", "door"))
RENAMED: Document = {
    "nameOverride": "db-roles",
    "fullnameOverride": NAME,
    "commonLabels": {"example.org/team": "data"},
    "agentNamespaces": [BOTS],
    "serviceAccount": {"create": False, "name": "broker"},
    "api": API_ON | {"serviceAccount": {"name": "door"}, "scim": True, "signals": True},
    "mcp": MCP_ON | {"namespace": BOTS, "serviceAccount": {"create": True}},
    "console": CONSOLE_ON,
    "audit": AUDIT_ON | {"keySecretRef": {"name": "seal", "key": "key"}},
    "accessLedger": ACCESS_LEDGER_ON | {"serviceAccount": {"create": True}},
    "notifications": {"receivers": [{"name": "oncall", "secretRef": {"name": "oncall"}}], "default": ["oncall"]},
    "networkPolicy": {"enabled": True},
    "grafanaDashboard": {"enabled": True},
}
OF_OTHERS = {"serviceMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}}
"""Values that need kinds which this cluster does not serve."""
MUTATING = "--api-versions=admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"
GIVEN = {
    "Secret": {"console-client", "console-key", "console-tls", "mcp-server", "mcp-tls", "seal", "oncall", "rolevend-access-ledger-lake"},
    "PersistentVolumeClaim": {"rolevend-audit", "rolevend-access-ledger", "warehouse-log"},
    "ServiceAccount": {"broker"},
}
"""Objects that the values name, and that the chart does not make."""
RELEASES = {
    "default": ("rolevend", "rolevend-system", "rolevend", ALL_ON | {"networkPolicy": {"enabled": True}}),
    "renamed": (RELEASE, NAMESPACE, NAME, RENAMED),
    "another release": (RELEASE, NAMESPACE, "prod-rolevend", ALL_ON | {"networkPolicy": {"enabled": True}}),
}
every_release = pytest.mark.parametrize("release", RELEASES)


def rendered(helm: Helm, release: str) -> list[Document]:
    name, namespace, _, values = RELEASES[release]
    return helm.render(values | OF_OTHERS, MUTATING, release=name, namespace=namespace)


def names(documents: list[Document], *kinds: str) -> set[str]:
    return {each["metadata"]["name"] for each in documents if each["kind"] in kinds}


def found(node: Any, key: str) -> Iterator[Any]:
    """Every value of this key, however deep."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == key:
                yield value
            yield from found(value, key)
    elif isinstance(node, list):
        for each in node:
            yield from found(each, key)


@every_release
def test_every_object_begins_with_the_name_of_the_release(helm: Helm, release: str):
    _, _, name, _ = RELEASES[release]
    documents = [each for each in rendered(helm, release) if each["kind"] != "CustomResourceDefinition"]
    begins = re.compile(rf"{name}(-|$)|{name[:16]}[a-z-]*-access-ledger(-|$)")

    others = {each["metadata"]["name"] for each in documents if not begins.match(each["metadata"]["name"])}
    assert others <= {"door", SUSPENSION}
    assert len({(each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in documents}) == len(documents)
    if release != "default":
        assert "rolevend-system" not in json.dumps(documents)
    assert max(map(len, names(documents, "Service", "Deployment", "Pod", "Job"))) <= 63


@every_release
def test_every_reference_leads_to_an_object(helm: Helm, release: str):
    documents = rendered(helm, release)
    accounts = names(documents, "ServiceAccount") | GIVEN["ServiceAccount"]
    bindings = [each for each in documents if each["kind"].endswith("RoleBinding")]

    for each in bindings:
        assert each["roleRef"]["name"] in names(documents, each["roleRef"]["kind"]), each["metadata"]["name"]
        assert {subject["name"] for subject in each["subjects"]} <= accounts
        assert {subject["namespace"] for subject in each["subjects"]} == {RELEASES[release][1]}
    for each in [each for each in documents if each["kind"].endswith("AdmissionPolicyBinding")]:
        assert each["spec"]["policyName"] in names(documents, each["kind"].removesuffix("Binding"))
    for pod in pods(documents).values():
        assert pod.get("serviceAccountName", "broker") in accounts
    mounted = {"Secret": {*found(documents, "secretName")}, "PersistentVolumeClaim": {*found(documents, "claimName")}}
    mounted["ConfigMap"] = {each["name"] for each in found([*pods(documents).values()], "configMap")}
    for kind, wanted in mounted.items():
        assert wanted <= names(documents, kind) | GIVEN.get(kind, set()), kind


@every_release
def test_every_selector_finds_the_pods_of_one_component(helm: Helm, release: str):
    documents = rendered(helm, release)
    labels = {
        each["metadata"]["name"]: each["spec"]["template"]["metadata"]["labels"] for each in documents if each["kind"] == "Deployment"
    }

    for each in documents:
        if each["kind"] in ("Service", "PodDisruptionBudget", "NetworkPolicy"):
            selector = each["spec"].get("podSelector") or each["spec"]["selector"]
            chosen = {name for name, own in labels.items() if selector.get("matchLabels", selector).items() <= own.items()}
            assert chosen, each["metadata"]["name"]
            assert len({own["app.kubernetes.io/component"] for name, own in labels.items() if name in chosen}) == 1
    services = [each["metadata"]["labels"] for each in documents if each["kind"] == "Service"]
    for each in [each for each in documents if each["kind"] == "ServiceMonitor"]:
        assert sum(each["spec"]["selector"]["matchLabels"].items() <= own.items() for own in services) == 1


@every_release
def test_what_names_a_service_a_policy_or_a_deployment_names_one_of_the_release(helm: Helm, release: str):
    name, namespace, _, values = RELEASES[release]
    documents = rendered(helm, release)
    issued = values | {"api": values["api"] | {"tls": {"mode": "CertManager", "certManager": {"issuerRef": {"name": "internal"}}}}}
    certificate = only(helm.render(issued, release=name, namespace=namespace), "Certificate")["spec"]

    def argument(key: str) -> str:
        (container,) = only(documents, "Job")["spec"]["template"]["spec"]["containers"]
        return next(each.partition("=")[2] for each in container["args"] if each.startswith(f"--{key}="))

    (server,) = next(spec for pod, spec in pods(documents).items() if pod.endswith("-mcp"))["containers"]
    (host,) = [each["value"].removeprefix("https://") for each in server["env"] if each["name"] == "ROLEVEND_URL"]
    service, _, rest = host.partition(".")
    assert (service in names(documents, "Service"), rest) == (True, f"{namespace}.svc")
    assert host in certificate["dnsNames"]
    called = [each for pod in names(documents, "Pod") for each in only(documents, "Pod", pod)["spec"]["containers"][0]["args"][1:]]
    assert {each.partition(".")[0] for each in called} <= names(documents, "Service")
    assert argument("namespace") == namespace
    assert argument("policy") in names(documents, "ValidatingAdmissionPolicy")
    assert argument("api") in names(documents, "Deployment")
    fixed = {*GIVEN["Secret"], SUSPENSION, LEASE, "rolevend-drain", *values["api"]["secretNames"], "rolevend-handle-key"}
    fixed |= {f"rolevend-catalogs-{number}" for number in range(16)} | {*CONSOLE_ON["groups"]}
    made = names(documents, *{each["kind"] for each in documents})
    restricted = {each for listed in found([each for each in documents if "rules" in each], "resourceNames") for each in listed}
    assert restricted - fixed <= made


@every_release
def test_admission_knows_these_accounts_and_no_other(helm: Helm, release: str):
    documents = rendered(helm, release)
    policies = [each for each in documents if each["kind"].endswith("AdmissionPolicy")]
    users = set(re.findall(r"system:serviceaccount:[a-z-]+:[a-z-]+", json.dumps(policies)))
    pod = pods(documents)
    running = {
        spec["serviceAccountName"] for name, spec in pod.items() if re.search(r"Deployment/.*(production|rolevend)(-api|-console)?$", name)
    }

    assert users == {f"system:serviceaccount:{RELEASES[release][1]}:{account}" for account in running}
    assert len(users) == 3


@pytest.fixture(scope="module")
def renamed(binaries: Binaries) -> Iterator[Cluster]:
    """A cluster with nothing but this release."""
    with ControlPlane(binaries=binaries) as control_plane:
        cluster = Cluster(control_plane)
        for namespace in (NAMESPACE, BOTS, MADE_BY_OWNER):
            cluster.kubectl("create", "namespace", namespace)
        cluster.kubectl("create", "serviceaccount", "broker", "--namespace", NAMESPACE)
        done = cluster.helm("install", RELEASE, str(CHART), "--namespace", NAMESPACE, *flags(RENAMED))
        assert done.returncode == 0, done.stderr
        cluster.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=120s")
        yield cluster
        cluster.close()


@pytest.mark.long
def test_the_cluster_takes_all_of_it_and_admits_its_own_accounts_alone(renamed: Cluster):
    secrets = f"/api/v1/namespaces/{BOTS}/secrets?dryRun=All"
    credential = {"metadata": {"name": "credential"}, "type": "rolevend.dev/credential", "stringData": {"a": "b"}}
    role = valid("VendedRole", "asked", BOTS)
    answered = changed(changed(role, "spec.userTokenSecretRef", MISSING), "spec.delivery", "Response")
    finalized = changed(answered, "metadata.finalizers", ["rolevend.dev/drop"])

    eventually(lambda: "are written by rolevend alone" in renamed.call("POST", secrets, credential).message)
    taken = renamed.call("POST", secrets, credential, user=OPERATOR)
    assert taken.ok, taken.message
    eventually(lambda: "for the API alone" in renamed.create(answered, dry_run=True).message)
    eventually(lambda: renamed.create(finalized, user=API, dry_run=True).ok)
    assert renamed.may(OPERATOR, "patch", "leases", namespace=NAMESPACE, name=LEASE, group="coordination.k8s.io")
    assert renamed.may(API, "get", "secrets", namespace=NAMESPACE, name="warehouse-vendor")
    assert not renamed.may(API, "get", "secrets", namespace=NAMESPACE, name="warehouse-programmer")
    for former in ("rolevend", "rolevend-api", NAME, f"{NAME}-api"):
        assert not renamed.may(f"system:serviceaccount:{NAMESPACE}:{former}", "get", "agents", group="rolevend.dev")


@pytest.mark.long
def test_its_roles_are_bound_by_its_names(renamed: Cluster):
    renamed.bind("asker", f"{NAME}-requester", BOTS)
    asked = valid("VendedRole", "asked", BOTS)
    eventually(lambda: renamed.create(asked, user="asker", dry_run=True).ok)
    assert (
        "may not vend for Agent"
        in renamed.create(asked, dry_run=True, user=renamed.service_account("stranger", CREATE, namespace=BOTS)).message
    )

    def bound(account: str) -> Document:
        reference = {"apiGroup": RBAC, "kind": "ClusterRole", "name": f"{NAME}-agent-namespace"}
        subject = {"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}
        return {"metadata": {"name": "rolevend"}, "roleRef": reference, "subjects": [subject]}

    bindings = f"/apis/{RBAC}/v1/namespaces/{MADE_BY_OWNER}/rolebindings"
    eventually(
        lambda: (
            f"is for the ServiceAccount {NAMESPACE}/broker alone" in renamed.call("POST", f"{bindings}?dryRun=All", bound("door")).message
        )
    )
    assert renamed.call("POST", bindings, bound("broker")).ok
    eventually(lambda: renamed.may(OPERATOR, "create", "secrets", namespace=MADE_BY_OWNER))


CREATE = {"apiGroups": ["rolevend.dev"], "resources": ["vendedroles"], "verbs": ["create"]}


@pytest.mark.long
def test_an_upgrade_changes_nothing_and_the_uninstallation_leaves_nothing_but_definitions(renamed: Cluster):
    label = f"app.kubernetes.io/instance={RELEASE}"
    kinds = "all,configmap,secret,serviceaccount,role,rolebinding,clusterrole,clusterrolebinding,networkpolicy,poddisruptionbudget"
    kinds += ",validatingadmissionpolicy,validatingadmissionpolicybinding,mutatingadmissionpolicy,mutatingadmissionpolicybinding"

    def left() -> list[str]:
        return sorted(renamed.kubectl("get", kinds, "--all-namespaces", "--selector", label, "--output=name").split())

    before = left()
    assert len(before) > 60
    done = renamed.helm("upgrade", RELEASE, str(CHART), "--namespace", NAMESPACE, "--reset-then-reuse-values")
    assert (done.returncode, left()) == (0, before), done.stderr

    done = renamed.helm("uninstall", RELEASE, "--namespace", NAMESPACE, "--no-hooks")

    assert done.returncode == 0, done.stderr
    eventually(lambda: left() == [])
    assert "vendedroles.rolevend.dev" in renamed.kubectl("get", "crd", "--selector", label, "--output=name")

"""The values of the chart that say how pods run: for every pod, and for the pods of one component."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.installed import CHART, Cluster
from tests.support.rendered import ACCESS_LEDGER_ON, ALL_ON, API_ON, CONSOLE_ON, MCP_ON, Document, Helm, only, pods

pytestmark = pytest.mark.long

OF_COMPONENT = {
    "Deployment/rolevend": "",
    "Deployment/rolevend-api": "api",
    "Deployment/rolevend-mcp": "mcp",
    "Deployment/rolevend-console": "console",
    "Deployment/rolevend-access-ledger-warehouse": "accessLedger",
    "Deployment/rolevend-access-ledger-lake": "accessLedger",
}
"""The pods that run for long, by the value of their component; the operator's are at the top level."""
NEW_SINCE_THE_FIRST_CHART = (
    "nameOverride",
    "fullnameOverride",
    "commonLabels",
    "podSecurityContext",
    "securityContext",
    "podDisruptionBudget",
    "extraEnv",
    "extraVolumes",
    "extraVolumeMounts",
    "terminationGracePeriodSeconds",
    "topologySpreadConstraints",
    "podLabels",
    "podAnnotations",
    "nodeSelector",
    "tolerations",
    "affinity",
    "priorityClassName",
    "imagePullSecrets",
)
"""Of these, a component of the chart of 0.1.0 has none, and the top level lacks the first."""
FIRST_AT_THE_TOP = NEW_SINCE_THE_FIRST_CHART[NEW_SINCE_THE_FIRST_CHART.index("podLabels") :]

PROXY = {"name": "HTTPS_PROXY", "value": "http://proxy.example.org:3128"}
OWN: Document = {
    "podLabels": {"team": "own", "own": "yes"},
    "podAnnotations": {"note": "own"},
    "podSecurityContext": {"runAsUser": 4711, "fsGroup": 0},
    "securityContext": {"readOnlyRootFilesystem": False},
    "nodeSelector": {"pool": "own"},
    "tolerations": [{"key": "own", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    "topologySpreadConstraints": [{"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}],
    "priorityClassName": "own",
    "imagePullSecrets": [{"name": "own"}],
    "extraEnv": [PROXY],
    "extraVolumes": [{"name": "corporate-ca", "configMap": {"name": "corporate-ca"}}],
    "extraVolumeMounts": [{"name": "corporate-ca", "mountPath": "/etc/corporate", "readOnly": True}],
    "terminationGracePeriodSeconds": 99,
}
OF_ALL: Document = {
    "podLabels": {"team": "data", "all": "yes"},
    "podAnnotations": {"note": "all", "all": "yes"},
    "podSecurityContext": {"fsGroupChangePolicy": "OnRootMismatch"},
    "securityContext": {"runAsGroup": 0},
    "nodeSelector": {"pool": "all"},
    "tolerations": [{"key": "all", "operator": "Exists"}],
    "affinity": {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    "topologySpreadConstraints": [{"maxSkew": 3, "topologyKey": "room", "whenUnsatisfiable": "ScheduleAnyway"}],
    "priorityClassName": "all",
    "imagePullSecrets": [{"name": "all"}],
}


def values(top: Document | None = None, **below: Document) -> Document:
    """Everything on, with values at the top level and below components."""
    components = {"api": API_ON, "mcp": MCP_ON, "accessLedger": ACCESS_LEDGER_ON, "console": CONSOLE_ON}
    return ALL_ON | (top or {}) | {name: value | below.get(name, {}) for name, value in components.items()}


def template(documents: list[Document], pod: str) -> Document:
    kind, name = pod.split("/")
    found: Document = only(documents, kind, name)
    return found if kind == "Pod" else found["spec"]["template"]


def said(pod: Document) -> Document:
    """The values with which a pod was made."""
    spec, (container,) = pod["spec"], pod["spec"]["containers"]
    return {
        "podLabels": pod["metadata"]["labels"],
        "podAnnotations": pod["metadata"].get("annotations", {}),
        "podSecurityContext": spec["securityContext"],
        "securityContext": container["securityContext"],
        "extraEnv": container.get("env", []),
        "extraVolumes": spec.get("volumes", []),
        "extraVolumeMounts": container.get("volumeMounts", []),
        **{key: spec.get(key) for key in OWN if not key.startswith("extra") and key not in ("podLabels", "podAnnotations")},
    } | {"podSecurityContext": spec["securityContext"], "securityContext": container["securityContext"]}


def holds(found: Any, wanted: Any) -> bool:
    """All that is wanted is there, with what the chart adds."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(holds(found.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and all(any(holds(each, one) for each in found) for one in wanted)
    return bool(found == wanted)


@pytest.mark.thinned(2, "long")
@pytest.mark.parametrize("pod", OF_COMPONENT)
def test_a_value_of_a_component_reaches_its_pods(helm: Helm, pod: str):
    component = OF_COMPONENT[pod]
    documents = helm.render(values(**{component: OWN}) if component else values(OWN))
    found = said(template(documents, pod))

    assert {key for key, value in OWN.items() if not holds(found[key], value)} == set()
    assert template(documents, pod)["spec"]["securityContext"]["runAsNonRoot"], "what the values do not name stays"
    (constraint,) = found["topologySpreadConstraints"]
    assert constraint["labelSelector"]["matchLabels"].items() <= found["podLabels"].items()


def test_every_pod_has_what_the_top_level_says(helm: Helm):
    documents = helm.render(values(OF_ALL))

    for pod in pods(documents):
        found = said(template(documents, pod))
        wanted = OF_ALL if pod in OF_COMPONENT else {key: value for key, value in OF_ALL.items() if not key.startswith("topology")}
        assert {key for key, value in wanted.items() if not holds(found[key], value)} == set(), pod


def test_a_component_adds_to_the_top_level_or_replaces_it(helm: Helm):
    found = said(template(helm.render(values(OF_ALL, api=OWN)), "Deployment/rolevend-api"))

    assert found["podLabels"].items() >= {"team": "own", "own": "yes", "all": "yes"}.items()
    assert found["podAnnotations"].items() >= {"note": "own", "all": "yes"}.items()
    assert holds(found["podSecurityContext"], OWN["podSecurityContext"] | OF_ALL["podSecurityContext"])
    assert holds(found["securityContext"], OWN["securityContext"] | OF_ALL["securityContext"])
    for replaced in ("nodeSelector", "tolerations", "affinity", "priorityClassName", "imagePullSecrets"):
        assert found[replaced] == OWN[replaced]
    assert [each["topologyKey"] for each in found["topologySpreadConstraints"]] == ["rack"]


def test_secrets_and_variables_of_the_operator_are_not_lent_to_other_pods(helm: Helm):
    """An extra volume may hold the login of a programmer, whom the API must never be."""
    alone = {key: OWN[key] for key in ("extraEnv", "extraVolumes", "extraVolumeMounts")}
    rendered = pods(helm.render(values(alone)))

    assert {pod for pod, spec in rendered.items() if "corporate" in str(spec) or "HTTPS_PROXY" in str(spec)} == {"Deployment/rolevend"}


@pytest.mark.thinned(3, "long")
@pytest.mark.parametrize(
    "top",
    [
        {"podSecurityContext": {"runAsNonRoot": False}},
        {"podSecurityContext": {"runAsUser": 0}},
        {"podSecurityContext": {"seccompProfile": {"type": "Unconfined"}}},
        {"podSecurityContext": {"sysctls": []}},
        {"securityContext": {"allowPrivilegeEscalation": True}},
        {"securityContext": {"privileged": True}},
        {"securityContext": {"runAsUser": 0}},
        {"securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}},
        {"securityContext": {"capabilities": {"drop": []}}},
        {"extraEnv": [{"name": "ROLEVEND_NAMESPACE", "value": "elsewhere"}]},
        {"extraEnv": [{"name": "A", "values": "B"}]},
        {"extraVolumes": [{"name": "nothing"}]},
        {"extraVolumeMounts": [{"name": "relative", "mountPath": "etc"}]},
        {"commonLabels": {"rbac.authorization.k8s.io/aggregate-to-admin": "true"}},
        {"commonLabels": {"app.kubernetes.io/name": "another"}},
        {"commonLabels": {"rolevend.dev/source": "another"}},
        {"topologySpreadConstraints": [{"topologyKey": "rack"}]},
        {"podDisruptionBudget": {"maxUnavailable": "half"}},
        {"podDisruptionBudget": {"minimum": 1}},
        {"terminationGracePeriodSeconds": 0},
        {"serviceAccount": {"name": "default"}},
        {"serviceAccount": {"automount": True}},
        {"fullnameOverride": "default"},
        {"fullnameOverride": "Not a name"},
        {"fullnameOverride": "a" * 52},
        {"nameOverride": "-"},
        {"replicaCount": 11},
        {"podLabel": {"a": "b"}},
    ],
    ids=str,
)
def test_what_would_weaken_or_mean_nothing_is_refused(helm: Helm, top: Document):
    said = r"serviceAccount\.name: default is" if "default" in top.values() else next(iter(top))
    with pytest.raises(AssertionError, match=said):
        helm.render(top)
    if top.keys() <= OWN.keys():
        with pytest.raises(AssertionError, match=next(iter(top))):
            helm.render({"api": API_ON | top})


@pytest.mark.parametrize("pod", OF_COMPONENT)
def test_the_api_server_takes_pods_with_every_value_in_a_restricted_namespace(cluster: Cluster, helm: Helm, restricted: str, pod: str):
    documents = helm.render(values(OF_ALL | OWN, api=OWN, mcp=OWN, accessLedger=OWN, console=OWN))
    spec = template(documents, pod)["spec"] | {"priorityClassName": "system-cluster-critical"}
    spec.pop("serviceAccountName", None)
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "every-value"}, "spec": spec}

    taken = cluster.call("POST", f"/api/v1/namespaces/{restricted}/pods?dryRun=All&fieldValidation=Strict", body)

    assert taken.ok, taken.message


@pytest.fixture(scope="module")
def restricted(cluster: Cluster) -> str:
    cluster.kubectl("create", "namespace", "restricted")
    cluster.kubectl("label", "namespace", "restricted", "pod-security.kubernetes.io/enforce=restricted")
    return "restricted"


def test_openshift_chooses_the_group_of_volumes(helm: Helm):
    openshift = pods(helm.render(ALL_ON, "--api-versions=security.openshift.io/v1"))
    elsewhere = pods(helm.render(ALL_ON))

    assert {spec["securityContext"].get("fsGroup") for spec in openshift.values()} == {None}
    assert {spec["securityContext"].get("fsGroup") for pod, spec in elsewhere.items() if pod in OF_COMPONENT} == {65532}


def test_common_labels_are_on_every_object_and_pod_and_in_no_selector(helm: Helm):
    label = {"example.org/cost-centre": "4711"}
    served = "--api-versions=admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"
    extras = {"networkPolicy": {"enabled": True}, "serviceMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}}
    documents = helm.render(values({"commonLabels": label, "grafanaDashboard": {"enabled": True}} | extras), served)

    assert {
        f"{each['kind']}/{each['metadata']['name']}" for each in documents if not label.items() <= each["metadata"]["labels"].items()
    } == set()
    for pod in pods(documents):
        assert label.items() <= template(documents, pod)["metadata"]["labels"].items(), pod
    for each in documents:
        spec = each.get("spec", {})
        assert "cost-centre" not in str([spec.get(key) for key in ("selector", "podSelector", "ingress", "egress", "matchConstraints")])


@pytest.mark.parametrize(("component", "name"), [("", "rolevend"), ("api", "rolevend-api")])
def test_a_budget_is_what_the_values_say(helm: Helm, component: str, name: str):
    def budget(value: Document) -> Document | None:
        documents = helm.render(
            values(**{component: {"podDisruptionBudget": value}}) if component else values({"podDisruptionBudget": value})
        )
        found = [each["spec"] for each in documents if each["kind"] == "PodDisruptionBudget" and each["metadata"]["name"] == name]
        return {key: found[0].get(key) for key in ("minAvailable", "maxUnavailable")} if found else None

    assert budget({"enabled": False}) is None
    assert budget({"maxUnavailable": "50%"}) == {"minAvailable": None, "maxUnavailable": "50%"}
    assert budget({"minAvailable": 1}) == {"minAvailable": 1, "maxUnavailable": None}
    assert budget({"minAvailable": 0}) == {"minAvailable": 0, "maxUnavailable": None}


def test_replicas_have_the_name_that_charts_use_and_the_former_one(helm: Helm):
    def replicas(name: str, number: int) -> list[int]:
        documents = helm.render({name: number, "api": API_ON | {name: number + 1}})
        return [only(documents, "Deployment", each)["spec"]["replicas"] for each in ("rolevend", "rolevend-api")]

    assert replicas("replicaCount", 3) == [3, 4]
    assert replicas("replicas", 0) == [0, 1]


def test_an_account_that_exists_is_used_and_not_created(helm: Helm):
    accounts = {"serviceAccount": {"create": False, "name": "theirs"}}
    documents = helm.render(values(accounts, api={"serviceAccount": {"create": False, "name": "theirs-api"}}))

    created = {each["metadata"]["name"] for each in documents if each["kind"] == "ServiceAccount"}
    assert created == {"rolevend-console", "rolevend-drain"}
    used = {
        pod: spec.get("serviceAccountName")
        for pod, spec in pods(documents).items()
        if pod in ("Deployment/rolevend", "Deployment/rolevend-api")
    }
    assert used == {"Deployment/rolevend": "theirs", "Deployment/rolevend-api": "theirs-api"}
    with pytest.raises(AssertionError, match=r"serviceAccount\.name: name the ServiceAccount, because serviceAccount\.create is false"):
        helm.render({"serviceAccount": {"create": False}})
    with pytest.raises(AssertionError, match=r"api\.serviceAccount\.name: name the ServiceAccount"):
        helm.render({"api": API_ON | {"serviceAccount": {"create": False}}})


@pytest.mark.parametrize("component", ["mcp", "accessLedger"])
def test_pods_without_permissions_get_an_account_where_it_is_asked_for_and_never_a_token(helm: Helm, component: str):
    mine = [pod for pod, each in OF_COMPONENT.items() if each == component]

    def found(account: Document) -> tuple[set[str | None], list[Document]]:
        documents = helm.render(values(**{component: {"serviceAccount": account}}))
        made = pods(documents)
        assert not any(made[pod]["automountServiceAccountToken"] for pod in mine)
        return {made[pod].get("serviceAccountName") for pod in mine}, [each for each in documents if each["kind"] == "ServiceAccount"]

    suffix = {"mcp": "mcp", "accessLedger": "access-ledger"}[component]
    used, created = found({"create": True, "annotations": {"iam": "role"}})
    assert used == {f"rolevend-{suffix}"}
    account = only(created, "ServiceAccount", f"rolevend-{suffix}")
    assert (account["metadata"]["annotations"], account["automountServiceAccountToken"]) == ({"iam": "role"}, False)
    used, created = found({"name": "theirs"})
    assert used == {"theirs"}
    assert "theirs" not in {each["metadata"]["name"] for each in created}
    for other in ("rolevend", "rolevend-api"):
        with pytest.raises(AssertionError, match="which may do more"):
            found({"name": other})


def test_values_of_the_first_chart_alone_render_what_the_defaults_do(helm: Helm, tmp_path: Path):
    """`helm upgrade --reuse-values` takes the former defaults too, so each new value may be absent."""
    former = tmp_path / "rolevend"
    shutil.copytree(CHART, former)
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    for name in NEW_SINCE_THE_FIRST_CHART:
        if name not in FIRST_AT_THE_TOP:
            del defaults[name]
        for component in ("api", "mcp", "accessLedger"):
            defaults[component].pop(name, None)
    for owner in (defaults, defaults["api"]):
        owner["replicas"] = owner.pop("replicaCount")
        del owner["serviceAccount"]["create"]
    for component in ("mcp", "accessLedger"):
        del defaults[component]["serviceAccount"]
    del defaults["rbac"]["ownersBind"]
    defaults["prometheusRule"]["runbookUrl"] = "docs/how-to/alerts.md"
    (former / "values.yaml").write_text(yaml.safe_dump(defaults))
    everything = values({"prometheusRule": {"enabled": True}}, api={"tls": {"mode": "Secret", "secretName": "api-tls"}})

    assert helm.render(everything, chart=former) == helm.render(everything)


def test_selectors_which_no_upgrade_can_change_are_those_of_the_first_chart(helm: Helm):
    documents = helm.render(ALL_ON)
    found = {each["metadata"]["name"]: each["spec"]["selector"]["matchLabels"] for each in documents if each["kind"] == "Deployment"}
    of_release = {"app.kubernetes.io/name": "rolevend", "app.kubernetes.io/instance": "rolevend"}
    ledger = {**of_release, "app.kubernetes.io/component": "access-ledger"}

    assert found == {
        "rolevend": {**of_release, "app.kubernetes.io/component": "operator"},
        "rolevend-api": {**of_release, "app.kubernetes.io/component": "api"},
        "rolevend-mcp": {**of_release, "app.kubernetes.io/component": "mcp"},
        "rolevend-console": {**of_release, "app.kubernetes.io/component": "console"},
        "rolevend-access-ledger-warehouse": {**ledger, "rolevend.dev/source": "warehouse"},
        "rolevend-access-ledger-lake": {**ledger, "rolevend.dev/source": "lake"},
    }

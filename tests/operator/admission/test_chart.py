"""The chart itself: what it renders, what it refuses, what stays when it goes."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from rolevend import __version__
from rolevend.cli import cli
from rolevend.kinds import KINDS
from rolevend.kinds.shared import GROUP, VERSION
from rolevend.settings import Settings
from rolevend.snapshot.suspension import SUSPENSION
from tests.support.installed import CHART, Cluster
from tests.support.rendered import ALL_ON, API_ON, Document, Helm, hooks, only, pods

Render = Callable[..., list[Document]]


@pytest.fixture(scope="module")
def render(helm: Helm) -> Render:
    return helm.render


def test_it_lints(helm):
    done = helm("lint", "--strict", str(CHART))

    assert done.returncode == 0, done.stdout


def test_it_is_the_version_that_the_code_is():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert chart["appVersion"] == __version__


def test_registries_find_what_they_show_about_it():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    annotations = chart["annotations"]
    addresses = re.findall(r"https?://[^\s\"]+", (CHART / "Chart.yaml").read_text())
    crds = yaml.safe_load(annotations["artifacthub.io/crds"])
    images = {each["name"]: each["image"] for each in yaml.safe_load(annotations["artifacthub.io/images"])}
    icon = ElementTree.parse(CHART / "icon.svg").getroot()

    placeholders = (CHART.parents[1] / "docs" / "how-to" / "release.md").read_text()
    for address in addresses:
        host, owner = re.fullmatch(r"https://([a-z.]+)/(rolevend/rolevend|rolevend)(?:/.*)?", address).groups()
        assert f"{host.replace('raw.githubusercontent', 'github')}/{owner}" in placeholders, address
    assert [(each["kind"], each["version"], each["name"]) for each in crds] == [
        (kind.model.__name__, VERSION, f"{kind.plural}.{GROUP}") for kind in KINDS
    ]
    assert all(each["description"] for each in crds)
    assert images == {"rolevend": f"ghcr.io/rolevend/rolevend:{__version__}"}, "what the release publishes"
    assert (chart["icon"].endswith("/charts/rolevend/icon.svg"), icon.tag) == (True, "{http://www.w3.org/2000/svg}svg")
    assert annotations["artifacthub.io/license"] in (CHART.parents[1] / "pyproject.toml").read_text()


def test_every_value_is_in_the_schema_which_is_closed_except_for_what_kubernetes_defines():
    schema = json.loads((CHART / "values.schema.json").read_text())

    def known(values: dict[str, Any], node: dict[str, Any], path: str) -> Iterator[str]:
        for name, value in values.items():
            below = resolved(node.get("properties", {}).get(name))
            if below is None:
                yield f"{path}.{name}"
            elif isinstance(value, dict) and "properties" in below:
                yield from known(value, below, f"{path}.{name}")

    def resolved(node: dict[str, Any] | None) -> dict[str, Any] | None:
        return schema["definitions"][node["$ref"].rpartition("/")[2]] if node is not None and "$ref" in node else node

    def closed(node: Any, path: str) -> Iterator[str]:
        if isinstance(node, dict):
            if node.get("type") == "object" and "additionalProperties" not in node:
                yield path.rpartition("/properties/")[2].removesuffix("/items")
            for name, below in node.items():
                yield from closed(below, f"{path}/{name}")

    assert list(known(yaml.safe_load((CHART / "values.yaml").read_text()), schema, "")) == []
    assert set(closed(schema, "")) == {
        "global",
        *("affinity", "ipBlock", "labelSelector", "limits", "namespaceSelector", "parentRefs", "podSelector", "requests"),
        *("/definitions/extraVolumes", "tolerations", "valueFrom", "volume"),
    }


@pytest.mark.thinned(3, "long")
@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("agentNamespaces", ["Not A Name"], "agentNamespaces"),
        ("agentNamespaces", "agents", "agentNamespaces"),
        ("agentNamespaces", ["agents", "agents"], "agentNamespaces"),
        ("settings", {"sweepSecond": 5}, "sweepSecond"),
        ("settings", {"sweepSeconds": 0}, "sweepSeconds"),
        ("settings", {"logLevel": "LOUD"}, "logLevel"),
        ("image", {"digest": "sha256:1"}, "digest"),
        ("image", {"pullPolicy": "Sometimes"}, "pullPolicy"),
        ("crds", {"enabled": "yes"}, "crds"),
        ("replicas", -1, "replicas"),
        ("settings", {"leadershipSeconds": 1}, "leadershipSeconds"),
        ("service", {"port": 0}, "port"),
        ("networkPolicy", {"databases": [{"cidr": "10.0.0.0/8"}]}, "databases"),
        ("networkPolicy", {"databasePorts": []}, "databasePorts"),
        ("networkPolicy", {"snowflakeAccountPorts": [0]}, "snowflakeAccountPorts"),
        ("networkPolicy", {"snowflakeAccounts": ["myorg-account1.snowflakecomputing.com"]}, "snowflakeAccounts"),
        ("uninstall", {"timeoutSeconds": 0}, "timeoutSeconds"),
        ("api", {"replicas": -1}, "replicas"),
        ("api", {"secretNames": ["Not A Name"]}, "secretNames"),
        ("api", {"record": "Ledger"}, "record"),
        ("api", {"settings": {"unreachableClusterSeconds": 3601}}, "unreachableClusterSeconds"),
        ("settings", {"recordSeconds": 0}, "recordSeconds"),
        ("settings", {"projectionsPerSecond": 1001}, "projectionsPerSecond"),
        ("api", {"tls": {"mode": "Plain"}}, "mode"),
        ("api", {"tls": {"caCertificates": "-----BEGIN PRIVATE KEY-----"}}, "caCertificates"),
        ("api", {"service": {"type": "ExternalName"}}, "type"),
        ("mcp", {"url": "http://mcp.example.org/mcp"}, "url"),
        ("mcp", {"issuer": "idp.example.org"}, "issuer"),
        ("mcp", {"settings": {"mostRows": 0}}, "mostRows"),
        ("mcp", {"replicas": 2}, "replicas"),
        ("mcp", {"platform": "warehouse"}, "platform"),
        ("mcp", {"platforms": "warehouse"}, "platforms"),
        ("mcp", {"platforms": ["warehouse,crm"]}, "platforms"),
        ("mcp", {"platforms": ["warehouse", "warehouse"]}, "platforms"),
        ("mcp", {"platforms": [f"warehouse-{number}" for number in range(9)]}, "platforms"),
        ("mcp", {"allowPartial": "yes"}, "allowPartial"),
        ("prometheusRule", {"runbookUrl": "docs/alerts.md"}, "runbookUrl"),
    ],
)
def test_a_value_that_cannot_be_is_refused_and_named(helm, name, value, word):
    done = helm("template", "rolevend", str(CHART), f"--set-json={name}={json.dumps(value)}")

    assert done.returncode != 0
    assert word in done.stderr


def test_every_setting_of_the_operator_can_be_set_and_no_other():
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"]["settings"]["properties"]
    decided_by_the_pod = {
        "namespace",
        "kubeconfig",
        "pod_name",
        "probe_host",
        "probe_port",
        "audit_file",
        "audit_key_file",
        "receipt_key_file",
        "notifications_folder",
    }

    assert {_snake(name) for name in schema} == Settings.model_fields.keys() - decided_by_the_pod


def test_the_comments_on_settings_tell_their_defaults():
    commented = dict(
        line.removeprefix("  # ").split("#")[0].strip().split(": ")
        for line in (CHART / "values.yaml").read_text().splitlines()
        if line.startswith("  # ") and _snake(line.removeprefix("  # ").split(":")[0]) in Settings.model_fields
    )
    defaults = Settings()

    assert commented
    for name, value in commented.items():
        assert yaml.safe_load(value) == getattr(defaults, _snake(name)), name


def test_settings_reach_the_operator_as_it_reads_them(render: Render):
    values = {"sweepSeconds": 1.5, "logLevel": "DEBUG", "platformWorkers": 8, "recordSeconds": 0.25, "projectionsPerSecond": 0}
    container = only(render({"settings": values}), "Deployment")
    environment = {each["name"]: each.get("value", "") for each in container["spec"]["template"]["spec"]["containers"][0]["env"]}

    settings = Settings.from_environment(environment | {"ROLEVEND_NAMESPACE": "rolevend-system"})

    assert (settings.sweep_seconds, settings.log_level, settings.platform_workers) == (1.5, "DEBUG", 8)
    assert (settings.record_seconds, settings.projections_per_second) == (0.25, 0)


def test_a_replica_stands_by_and_a_new_one_is_there_before_an_old_one_goes(render: Render):
    deployment = only(render(), "Deployment")["spec"]
    names = {each["name"]: each.get("valueFrom") for each in deployment["template"]["spec"]["containers"][0]["env"]}

    assert deployment["replicas"] == 2
    assert deployment["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    assert names["ROLEVEND_POD_NAME"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert only(render({"replicas": 1}), "Deployment")["spec"]["replicas"] == 1


def test_the_operator_is_what_runs_and_is_probed(render: Render):
    deployment = only(render(), "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]

    assert container["args"] == ["operator"]
    named = {port["name"] for port in container["ports"]}
    assert {container[probe]["httpGet"]["port"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")} <= named


PODS = [
    "Deployment/rolevend",
    "Deployment/rolevend-api",
    "Deployment/rolevend-mcp",
    "Deployment/rolevend-console",
    "Deployment/rolevend-access-ledger-warehouse",
    "Deployment/rolevend-access-ledger-lake",
    "Job/rolevend-drain",
    "Pod/rolevend-test",
    "Pod/rolevend-api-test",
]
every_pod = pytest.mark.parametrize("pod", PODS)


def test_these_are_all_the_pods(render: Render):
    assert pods(render(ALL_ON)).keys() == set(PODS)


@every_pod
def test_every_pod_meets_the_restricted_standard(render: Render, pod: str):
    spec = pods(render(ALL_ON))[pod]
    (container,) = spec["containers"]

    assert spec["securityContext"].items() >= {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}.items()
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"]


@every_pod
def test_every_pod_runs_where_the_values_say(render: Render, pod: str):
    values = {"nodeSelector": {"pool": "system"}, "tolerations": [{"operator": "Exists"}], "priorityClassName": "high", **ALL_ON}
    spec = pods(render(values))[pod]

    assert (spec["nodeSelector"], spec["tolerations"], spec["priorityClassName"]) == ({"pool": "system"}, [{"operator": "Exists"}], "high")


@pytest.fixture(scope="module")
def strict(cluster: Cluster) -> str:
    cluster.kubectl("create", "namespace", "strict")
    cluster.kubectl("label", "namespace", "strict", "pod-security.kubernetes.io/enforce=restricted")
    return "strict"


@every_pod
def test_the_api_server_takes_every_pod_in_a_restricted_namespace(cluster: Cluster, render: Render, strict: str, pod: str):
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "strict"}, "spec": pods(render(ALL_ON))[pod]}

    taken = cluster.call("POST", f"/api/v1/namespaces/{strict}/pods?dryRun=All&fieldValidation=Strict", body)

    assert taken.ok, taken.message


INGRESS = {"enabled": True, "host": "rolevend.example.org", "className": "internal", "tlsSecretName": "api"}
VARIANTS = {
    "default": {},
    "all on": ALL_ON | {"networkPolicy": {"enabled": True}, "grafanaDashboard": {"enabled": True}, "commonLabels": {"team": "data"}},
    "the API otherwise": {
        "api": API_ON
        | {"tls": {"mode": "Secret", "secretName": "api"}, "ingress": INGRESS, "podDisruptionBudget": {"minAvailable": "50%"}},
        "rbac": {"aggregate": False, "ownersBind": False},
        "audit": {"volume": {"emptyDir": {}}, "receiptKeySecretRef": {"name": "receipt", "key": "key"}},
        "notifications": {"receivers": [{"name": "oncall", "secretRef": {"name": "oncall"}}], "default": ["oncall"]},
        "uninstall": {"drain": False},
    },
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_api_server_takes_every_object_and_knows_every_field(cluster: Cluster, render: Render, variant: str):
    """The definitions are installed. Kinds of other projects, which this cluster does not serve, are not in these values."""
    served = "--api-versions=admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"
    documents = render(VARIANTS[variant] | {"crds": {"enabled": False}}, served)

    taken = cluster.kubectl(
        "apply",
        "--server-side",
        "--force-conflicts",
        "--field-manager=helm",
        "--dry-run=server",
        "--validate=strict",
        "--output=name",
        "--filename=-",
        body={"apiVersion": "v1", "kind": "List", "items": documents},
    )

    assert len(taken.split()) == len(documents) > 40


def test_the_api_server_takes_what_protects_the_operator(cluster: Cluster, render: Render, strict: str):
    documents = render({"networkPolicy": {"enabled": True, "databases": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}})
    paths = {"NetworkPolicy": "networking.k8s.io/v1", "PodDisruptionBudget": "policy/v1"}
    for kind, group in paths.items():
        body = only(documents, kind)
        body["metadata"]["namespace"] = strict
        plural = {"NetworkPolicy": "networkpolicies", "PodDisruptionBudget": "poddisruptionbudgets"}[kind]

        taken = cluster.call("POST", f"/apis/{group}/namespaces/{strict}/{plural}?dryRun=All&fieldValidation=Strict", body)

        assert taken.ok, taken.message


def test_the_network_policy_lets_out_what_the_operator_needs(render: Render):
    assert "NetworkPolicy" not in {each["kind"] for each in render()}
    database = {"ipBlock": {"cidr": "10.1.2.3/32"}}
    policy = only(render({"networkPolicy": {"enabled": True, "databasePorts": [6432], "databases": [database]}}), "NetworkPolicy")["spec"]
    deployment = only(render(), "Deployment")["spec"]["template"]

    assert policy["podSelector"]["matchLabels"].items() <= deployment["metadata"]["labels"].items()
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert [({port["port"] for port in rule["ports"]}, rule.get("to")) for rule in policy["egress"]] == [
        ({53}, None),
        ({443, 6443}, None),
        ({6432}, [database]),
    ]


def test_a_drain_of_a_node_takes_one_operator_at_a_time(render: Render):
    budget = only(render(), "PodDisruptionBudget")["spec"]
    template = only(render(), "Deployment")["spec"]["template"]

    assert budget["maxUnavailable"] == 1
    assert budget["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    spread = template["spec"]["topologySpreadConstraints"]
    assert [each["topologyKey"] for each in spread] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    assert all(each["labelSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items() for each in spread)


@pytest.mark.long
def test_before_it_is_uninstalled_all_roles_end(render: Render):
    documents = render()
    before = hooks(documents, "pre-delete")
    (container,) = only(before, "Job")["spec"]["template"]["spec"]["containers"]
    options = [argument.partition("=")[0] for argument in container["args"][1:]]

    assert {each["kind"] for each in before} == {"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Job"}
    assert container["args"][0] == "drain"
    assert set(options) < {name for parameter in cli.commands["drain"].params for name in parameter.opts}
    closing = [each["metadata"]["name"] for each in documents if each["kind"] == "ValidatingAdmissionPolicy"]
    assert next(each.partition("=")[2] for each in container["args"] if each.startswith("--policy")) in closing
    writes = [each for each in only(before, "ClusterRole")["rules"] if "dataplatforms" in str(each) and "patch" in each["verbs"]]
    assert [each["resources"] for each in writes] == [["vendedroles/status", "dataplatforms/status"]], "it may change no spec"
    assert "--platforms" not in options
    assert "--platforms" in str(only(hooks(render({"crds": {"keep": False}}), "pre-delete"), "Job"))
    assert hooks(render({"uninstall": {"drain": False}}), "pre-delete") == []


def test_a_digest_wins_over_a_tag(render: Render):
    image = only(render({"image": {"digest": f"sha256:{'0' * 64}", "tag": "x"}}), "Deployment")

    assert image["spec"]["template"]["spec"]["containers"][0]["image"] == f"rolevend@sha256:{'0' * 64}"


def test_definitions_are_kept_unless_somebody_says_otherwise(render: Render):
    def keeps(documents: list[dict[str, Any]]) -> set[bool]:
        annotations = [each["metadata"].get("annotations", {}) for each in documents if each["kind"] == "CustomResourceDefinition"]
        return {"helm.sh/resource-policy" in each for each in annotations}

    assert keeps(render()) == {True}
    assert keeps(render({"crds": {"keep": False}})) == {False}
    assert keeps(render({"crds": {"enabled": False}})) == set()


def test_a_secret_role_in_each_namespace_of_agents_and_in_no_cluster_role(render: Render):
    documents = render({"agentNamespaces": ["one", "two"]})

    roles = {
        each["metadata"]["namespace"]: each["rules"]
        for each in documents
        if each["kind"] == "Role" and each["metadata"]["name"] == "rolevend-secrets"
    }
    assert roles.keys() == {"rolevend-system", "one", "two"}
    for namespace, rules in roles.items():
        verbs = ["get", "create"] if namespace == "rolevend-system" else ["get", "create", "delete"]
        assert rules == [{"apiGroups": [""], "resources": ["secrets"], "verbs": verbs}]
    everywhere = {each["roleRef"]["name"] for each in documents if each["kind"] == "ClusterRoleBinding"}
    for each in documents:
        if each["kind"] == "ClusterRole":
            said = {word for rule in each["rules"] for words in rule.values() for word in words}
            assert not any(word.endswith("*") for word in said)
            assert "secrets" not in said or each["metadata"]["name"] == "rolevend-agent-namespace"
    assert "rolevend" in everywhere
    assert "rolevend-agent-namespace" not in everywhere


def test_audit_events_go_to_a_volume_when_there_is_one_and_else_to_standard_output(render: Render):
    def pod(values: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
        spec = only(render(values), "Deployment")["spec"]["template"]["spec"]
        return spec, {each["name"] for each in spec["containers"][0]["env"]}

    plain, environment = pod({})
    assert "volumes" not in plain
    assert "ROLEVEND_AUDIT_FILE" not in environment
    kept, environment = pod({"audit": {"volume": {"persistentVolumeClaim": {"claimName": "trail"}}}})
    assert kept["volumes"] == [{"name": "audit", "persistentVolumeClaim": {"claimName": "trail"}}]
    (mount,) = kept["containers"][0]["volumeMounts"]
    (file,) = [each["value"] for each in kept["containers"][0]["env"] if each["name"] == "ROLEVEND_AUDIT_FILE"]
    assert file.startswith(f"{mount['mountPath']}/")
    assert kept["securityContext"]["fsGroup"] == 65532


@pytest.mark.parametrize(("ref", "setting"), [("keySecretRef", "AUDIT_KEY_FILE"), ("receiptKeySecretRef", "RECEIPT_KEY_FILE")])
def test_audit_events_are_sealed_and_signed_with_keys_that_the_pod_alone_may_read(render: Render, ref: str, setting: str):
    pod = only(render({"audit": {ref: {"name": "trail", "key": "secret"}}}), "Deployment")["spec"]["template"]["spec"]

    (volume,) = pod["volumes"]
    assert volume["secret"] == {"secretName": "trail", "items": [{"key": "secret", "path": "key"}], "defaultMode": 0o440}
    (mount,) = pod["containers"][0]["volumeMounts"]
    assert mount["readOnly"]
    (file,) = [each["value"] for each in pod["containers"][0]["env"] if each["name"] == f"ROLEVEND_{setting}"]
    assert file == f"{mount['mountPath']}/key"
    assert pod["securityContext"]["fsGroup"] == 65532
    with pytest.raises(AssertionError, match=ref):
        render({"audit": {ref: {"name": "trail"}}})


def test_the_mutation_is_there_only_where_the_cluster_serves_it(render: Render):
    served = "--api-versions=admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"

    def kinds(*arguments: Any) -> set[str]:
        return {each["kind"] for each in render(*arguments)}

    assert "MutatingAdmissionPolicy" not in kinds()
    assert "MutatingAdmissionPolicy" in kinds({}, served)
    assert "MutatingAdmissionPolicy" not in kinds({"admission": {"mutate": False}}, served)


def test_monitoring_is_there_when_asked_for(render: Render):
    assert not {"ServiceMonitor", "PrometheusRule"} & {each["kind"] for each in render()}
    assert [each["metadata"]["name"] for each in render() if each["kind"] == "ConfigMap"] == [SUSPENSION]
    monitor = only(render({"serviceMonitor": {"enabled": True}}), "ServiceMonitor")
    service = only(render(), "Service")
    assert monitor["spec"]["endpoints"][0]["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()


def test_alerts_are_those_of_the_file_and_lead_to_their_sections(render: Render):
    values = {"prometheusRule": {"enabled": True, "runbookUrl": "https://wiki.example.org/rolevend", "labels": {"team": "data"}}}
    rule = only(render(values | ALL_ON), "PrometheusRule")
    written = yaml.safe_load((CHART / "alerts.yaml").read_text())
    (group,) = rule["spec"]["groups"]

    assert rule["metadata"]["labels"]["team"] == "data"
    assert [(each["alert"], each["expr"], each["for"]) for each in group["rules"]] == [
        (each["alert"], each["expr"], each["for"]) for each in written
    ]
    assert [each["annotations"]["summary"] for each in group["rules"]] == [each["summary"] for each in written]
    assert group["rules"][0]["annotations"]["runbook_url"] == "https://wiki.example.org/rolevend#rolevendabsent"
    (ours,) = only(render({"prometheusRule": {"enabled": True}}), "PrometheusRule")["spec"]["groups"]
    home = yaml.safe_load((CHART / "Chart.yaml").read_text())["home"]
    assert {each["annotations"]["runbook_url"] for each in ours["rules"]} == {
        f"{home}/how-to/alerts/#{each['alert'].lower()}" for each in ours["rules"]
    }


def test_nobody_is_alarmed_by_parts_that_nobody_wants(render: Render):
    (group,) = only(render({"prometheusRule": {"enabled": True}}), "PrometheusRule")["spec"]["groups"]
    written = yaml.safe_load((CHART / "alerts.yaml").read_text())
    always = [each["alert"] for each in written if not (each.get("api") or each.get("accessLedger"))]

    assert [each["alert"] for each in group["rules"]] == always
    assert {"RolevendApiAbsent", "RolevendCallsFail"}.isdisjoint(each["alert"] for each in group["rules"])


def test_the_dashboard_is_found_by_grafana(render: Render):
    found = only(render({"grafanaDashboard": {"enabled": True}}), "ConfigMap", "rolevend-dashboard")

    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(found["data"]["rolevend.json"]) == json.loads((CHART / "dashboard.json").read_text())


def test_an_upgrade_reaches_the_definitions(cluster: Cluster):
    cluster.kubectl("annotate", "crd", "agents.rolevend.dev", "drifted=yes", "--overwrite")

    done = cluster.helm("upgrade", "rolevend", str(CHART), "--namespace", "rolevend-system", "--reuse-values")

    assert done.returncode == 0, done.stderr
    assert "first" not in done.stderr
    assert "Credentials are handed over in: agents" in done.stdout


def test_without_agent_namespaces_the_notes_say_what_is_missing(cluster: Cluster):
    done = cluster.helm(
        "install", "second", str(CHART), "--namespace", "second", "--create-namespace", "--dry-run=server", "--set", "crds.enabled=false"
    )

    assert "NO AGENT CAN GET A ROLE YET" in done.stdout


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def test_no_admission_policy_depends_on_a_parameter_that_an_api_server_may_have_stopped_looking_at(render: Render):
    policies = [each for each in render() if each["kind"].endswith(("AdmissionPolicy", "AdmissionPolicyBinding"))]

    assert len(policies) > 5
    assert not [each["metadata"]["name"] for each in policies if each["spec"].keys() & {"paramKind", "paramRef"}]


@pytest.mark.parametrize("whom", ["identityProvider", "snowflakeAccount"])
def test_to_what_not_everybody_has_it_is_let_out_where_ports_are_named(render: Render, whom: str):
    somewhere = {"ipBlock": {"cidr": "10.9.9.9/32"}}
    documents = render({"networkPolicy": {"enabled": True, f"{whom}Ports": [8443], f"{whom}s": [somewhere]}, "api": API_ON})

    for name in ("rolevend", "rolevend-api"):
        rule = only(documents, "NetworkPolicy", name)["spec"]["egress"][-1]
        assert ([port["port"] for port in rule["ports"]], rule["to"]) == ([8443], [somewhere])

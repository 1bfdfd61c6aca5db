"""The API as the chart renders it: what there is when it is on, and which certificate it shows."""

import base64
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rolevend.cli import cli
from rolevend.settings import ApiSettings
from tests.support.installed import AGENTS, CHART, ELSEWHERE, SYSTEM, Cluster
from tests.support.rendered import API_ON, SECRET_NAMES, Document, Helm, flags, hooks, only, pods

HOST = f"rolevend-api.{SYSTEM}.svc"
NAMES = [HOST, f"rolevend-api.{SYSTEM}", f"{HOST}.cluster.local"]
ISSUED = {"mode": "CertManager", "certManager": {"issuerRef": {"name": "internal", "kind": "ClusterIssuer"}}}
PEM = "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n"

Api = Callable[..., list[Document]]


@pytest.fixture(scope="module")
def api(helm: Helm) -> Api:
    """What is rendered when it is on, with values below `api` and beside it."""

    def render(below: dict[str, Any] | None = None, **beside: Any) -> list[Document]:
        return helm.render({"agentNamespaces": [AGENTS], "api": API_ON | (below or {})} | beside)

    return render


def labels_of(documents: list[Document], name: str) -> Document:
    labels: Document = only(documents, "Deployment", name)["spec"]["template"]["metadata"]["labels"]
    return labels


def pod(documents: list[Document]) -> Document:
    return pods(documents)["Deployment/rolevend-api"]


def environment(documents: list[Document]) -> dict[str, str]:
    (container,) = pod(documents)["containers"]
    return {each["name"]: each.get("value", "") for each in container["env"]}


def test_settings_reach_it_as_it_reads_them(api: Api):
    limits = {"readSeconds": 5, "maxHeaderBytes": 1_000_000, "maxConnectionsWithoutToken": 99, "unreachableClusterSeconds": 600}
    documents = api({"settings": limits, "record": "Kubernetes"}, settings={"logLevel": "DEBUG", "platformWorkers": 8, "sweepSeconds": 5})

    settings = ApiSettings.from_environment(environment(documents) | {"ROLEVEND_NAMESPACE": SYSTEM})

    assert (settings.log_level, settings.platform_workers, settings.probe_port, settings.api_port) == ("DEBUG", 8, 8080, 8443)
    assert (settings.api_read_seconds, settings.api_max_header_bytes, settings.api_max_connections_without_token) == (5, 1_000_000, 99)
    assert (settings.api_unreachable_cluster_seconds, settings.api_record) == (600, "Kubernetes")
    assert ApiSettings.from_environment(environment(api()) | {"ROLEVEND_NAMESPACE": SYSTEM}).api_record == "Database"
    (tls,) = [each["mountPath"] for each in pod(documents)["containers"][0]["volumeMounts"]]
    assert {settings.api_tls_cert_file, settings.api_tls_key_file} == {Path(tls, "tls.crt"), Path(tls, "tls.key")}


def test_without_the_value_there_is_none_of_it_and_the_notes_say_so(helm: Helm, cluster: Cluster):
    assert not [each for each in helm.render() if "-api" in each["metadata"]["name"]]

    said = cluster.helm("upgrade", "rolevend", str(CHART), "--namespace", SYSTEM, "--reset-values", "--dry-run=server").stdout

    assert "The HTTP API is off; docs/how-to/serve-the-api.md says what it needs." in said


def test_the_notes_say_where_agents_call_and_what_is_missing(cluster: Cluster):
    values = flags({"agentNamespaces": [AGENTS], "api": API_ON | {"secretNames": []}})

    said = cluster.helm("upgrade", "rolevend", str(CHART), "--namespace", SYSTEM, "--dry-run=server", *values).stdout

    assert f"Agents call: https://{HOST}\n" in said
    assert "THE API CANNOT VEND YET" in said
    assert "ConfigMap rolevend-api-ca" in said


def test_the_api_is_what_runs_and_is_probed_and_called(api: Api):
    documents = api()
    (container,) = pod(documents)["containers"]
    named = {port["name"]: port["containerPort"] for port in container["ports"]}

    assert container["args"] == ["api"]
    assert {container[probe]["httpGet"]["port"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")} == {"http"}
    assert named == {"https": int(environment(documents)["ROLEVEND_API_PORT"]), "http": int(environment(documents)["ROLEVEND_PROBE_PORT"])}
    (called,) = only(documents, "Service", "rolevend-api")["spec"]["ports"]
    (scraped,) = only(documents, "Service", "rolevend-api-metrics")["spec"]["ports"]
    assert (called["port"], called["targetPort"], scraped["targetPort"]) == (443, "https", "http")


@pytest.mark.parametrize("kind", ["Service", "PodDisruptionBudget", "NetworkPolicy", "Deployment"])
def test_what_is_for_the_operator_is_not_for_the_api_and_the_other_way_round(api: Api, kind: str):
    documents = api(networkPolicy={"enabled": True})
    operator, ours = labels_of(documents, "rolevend"), labels_of(documents, "rolevend-api")
    for each in [each for each in documents if each["kind"] == kind]:
        selector = each["spec"].get("podSelector") or each["spec"]["selector"]
        chosen = selector.get("matchLabels", selector).items()
        assert (chosen <= ours.items(), chosen <= operator.items()) == (
            ("-api" in each["metadata"]["name"]),
            "-api" not in each["metadata"]["name"],
        )


def test_a_rollout_or_a_drained_node_leaves_somebody_to_answer(api: Api):
    deployment = only(api(), "Deployment", "rolevend-api")["spec"]
    spread = deployment["template"]["spec"]["topologySpreadConstraints"]

    assert deployment["replicas"] == 2
    assert deployment["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert deployment["template"]["spec"]["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"] > 0
    assert only(api(), "PodDisruptionBudget", "rolevend-api")["spec"]["maxUnavailable"] == 1
    assert [each["topologyKey"] for each in spread] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    assert all(each["labelSelector"]["matchLabels"].items() <= labels_of(api(), "rolevend-api").items() for each in spread)


def test_its_events_go_to_a_file_of_each_pod_for_a_chain_has_one_writer(api: Api):
    audit = {"volume": {"persistentVolumeClaim": {"claimName": "trail"}}, "keySecretRef": {"name": "trail", "key": "hmac"}}
    documents = api(audit=audit)
    spec = pod(documents)

    assert environment(documents)["ROLEVEND_AUDIT_FILE"] == "/var/log/rolevend/$(ROLEVEND_POD_NAME).ndjson"
    names = [each["name"] for each in spec["containers"][0]["env"]]
    assert names.index("ROLEVEND_POD_NAME") < names.index("ROLEVEND_AUDIT_FILE"), "or it stands for nothing"
    assert environment(documents)["ROLEVEND_AUDIT_KEY_FILE"] == "/etc/rolevend/audit/key"
    assert (
        {each["name"] for each in spec["volumes"]}
        == {each["name"] for each in spec["containers"][0]["volumeMounts"]}
        == {"tls", "audit", "audit-key"}
    )


class TestItsCertificate:
    def test_that_helm_makes_is_trusted_under_the_names_of_the_service_by_the_authority_that_agents_are_given(
        self, api: Api, tmp_path: Path
    ):
        documents = api({"tls": {"mode": "Generated", "dnsNames": ["rolevend.example.org"]}})
        secret = only(documents, "Secret", "rolevend-api-tls")
        authority = only(documents, "ConfigMap", "rolevend-api-ca", AGENTS)["data"]["ca.crt"]

        for name in [*NAMES, "rolevend.example.org"]:
            handshake(secret, authority, name, tmp_path)
        with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
            handshake(secret, authority, "rolevend-api.elsewhere.svc", tmp_path)
        other = only(api(), "ConfigMap", "rolevend-api-ca", AGENTS)["data"]["ca.crt"]
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(secret, other, HOST, tmp_path)

    @pytest.mark.long
    def test_that_helm_made_is_kept_over_upgrades(self, cluster: Cluster):
        def shown() -> tuple[str, ...]:
            secret = cluster.call("GET", f"/api/v1/namespaces/{SYSTEM}/secrets/rolevend-api-tls").body["data"]
            given = cluster.call("GET", f"/api/v1/namespaces/{AGENTS}/configmaps/rolevend-api-ca").body["data"]["ca.crt"]
            assert base64.b64decode(secret["ca.crt"]).decode().strip() == given.strip()
            return tuple(secret[key] for key in ("ca.crt", "tls.crt", "tls.key"))

        before = shown()
        done = cluster.helm("upgrade", "rolevend", str(CHART), "--namespace", SYSTEM, "--reuse-values")

        assert done.returncode == 0, done.stderr
        assert shown() == before

    def test_is_asked_of_cert_manager_for_the_same_names(self, api: Api):
        documents = api({"tls": ISSUED | {"dnsNames": ["rolevend.example.org"]}})
        certificate = only(documents, "Certificate")["spec"]
        (volume,) = pod(documents)["volumes"]

        assert certificate["dnsNames"] == [*NAMES, "rolevend.example.org"]
        assert certificate["issuerRef"] == {"name": "internal", "kind": "ClusterIssuer"}
        assert certificate["privateKey"]["rotationPolicy"] == "Always"
        assert certificate["secretName"] == volume["secret"]["secretName"]
        assert "Secret" not in {each["kind"] for each in documents}

    def test_of_a_secret_is_that_secret_and_nobody_is_asked(self, api: Api):
        documents = api({"tls": {"mode": "Secret", "secretName": "from-our-pki"}})
        (volume,) = pod(documents)["volumes"]

        assert volume["secret"]["secretName"] == "from-our-pki"
        assert not {each["kind"] for each in documents} & {"Secret", "Certificate"}
        assert environment(documents)["ROLEVEND_API_TLS_CERT_FILE"] == "/etc/rolevend/tls/tls.crt"

    @pytest.mark.parametrize("tls", [ISSUED, {"mode": "Secret", "secretName": "from-our-pki"}], ids=["CertManager", "Secret"])
    def test_is_signed_by_whom_the_values_name_in_each_namespace_of_agents(self, api: Api, tls: dict):
        told = api({"tls": tls | {"caCertificates": PEM}}, agentNamespaces=["one", "two"])
        given = {each["metadata"]["namespace"]: each["data"]["ca.crt"] for each in told if each["metadata"]["name"] == "rolevend-api-ca"}

        assert {key: value.strip() for key, value in given.items()} == dict.fromkeys([SYSTEM, "one", "two"], PEM.strip())
        assert "rolevend-api-ca" not in {each["metadata"]["name"] for each in api({"tls": tls})}

    def test_is_seen_by_helm_test_but_its_key_is_not(self, api: Api):
        made, issued = (only(api({"tls": tls}), "Pod", "rolevend-api-test")["spec"] for tls in (API_ON["tls"], ISSUED))

        assert made["volumes"] == [{"name": "ca", "configMap": {"name": "rolevend-api-ca"}}]
        (volume,) = issued["volumes"]
        assert volume["secret"] == {"secretName": "rolevend-api-tls", "items": [{"key": "ca.crt", "path": "ca.crt"}], "optional": True}

    @pytest.mark.parametrize(
        ("tls", "wanted"),
        [
            ({}, "api.tls.certManager.issuerRef.name"),
            ({"mode": "Secret"}, "api.tls.secretName"),
            ({"mode": "Generated", "certManager": {"issuer": "x"}}, "issuer"),
        ],
    )
    def test_cannot_be_left_open(self, api: Api, tls: dict, wanted: str):
        with pytest.raises(AssertionError, match=wanted):
            api({"tls": tls})


def handshake(secret: Document, authority: str, name: str, folder: Path) -> None:
    """In memory, as strictly as Python checks by itself; raises what the client says."""
    shown = folder / "shown.pem"
    shown.write_bytes(base64.b64decode(secret["data"]["tls.crt"]) + base64.b64decode(secret["data"]["tls.key"]))
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(shown)
    trusting = ssl.create_default_context(cadata=authority)
    trusting.verify_flags |= ssl.VERIFY_X509_STRICT
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(back, there, server_hostname=name)
    server = served.wrap_bio(there, back, server_side=True)
    waiting = [client, server]
    while waiting:
        try:
            waiting[0].do_handshake()
            waiting.pop(0)
        except ssl.SSLWantReadError:
            waiting.reverse()


def test_the_operators_account_is_not_lent_to_it(api: Api):
    with pytest.raises(AssertionError, match=r"api\.serviceAccount\.name: the API must not be the operator"):
        api({"serviceAccount": {"name": "rolevend"}})
    documents = api({"serviceAccount": {"name": "door"}})
    assert pod(documents)["serviceAccountName"] == "door"
    assert {
        each["subjects"][0]["name"] for each in documents if each["kind"].endswith("RoleBinding") and "-api" in each["metadata"]["name"]
    } == {"door"}
    for policy in ("delivery", "request", "request-status"):
        assert f"system:serviceaccount:{SYSTEM}:door" in str(only(documents, "ValidatingAdmissionPolicy", f"rolevend-{policy}"))


def test_it_reads_secrets_by_their_names_and_vends_in_the_namespaces_of_agents(api: Api):
    documents = api(agentNamespaces=["one", "two"], settings={"handleKeySecret": "our-handles"})
    roles = [each for each in documents if each["kind"] in ("Role", "ClusterRole") and "-api" in each["metadata"]["name"]]
    secrets = [rule for each in roles for rule in each["rules"] if "secrets" in rule.get("resources", [])]

    assert secrets == [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["our-handles", *SECRET_NAMES], "verbs": ["get"]}]
    vending = [
        each["metadata"]["namespace"] for each in roles if each["kind"] == "Role" and any("vend" in rule["verbs"] for rule in each["rules"])
    ]
    assert vending == ["one", "two"]
    assert not any("*" in part for each in roles for rule in each["rules"] for part in rule.values())


def test_the_network_policy_lets_agents_in_and_the_api_out_to_what_it_needs(api: Api):
    controller = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}
    database = {"ipBlock": {"cidr": "10.1.2.3/32"}}
    values = {"enabled": True, "agentsFrom": [controller], "databases": [database], "identityProviderPorts": [443]}
    policy = only(api(networkPolicy=values), "NetworkPolicy", "rolevend-api")["spec"]
    agents, scraping = policy["ingress"]

    assert agents["ports"] == [{"port": "https", "protocol": "TCP"}]
    named = {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": [AGENTS]}]}
    labelled = {"matchLabels": {"rolevend.dev/agents": "true"}}
    assert agents["from"][:3] == [{"namespaceSelector": named}, {"namespaceSelector": labelled}, controller]
    assert scraping["ports"] == [{"port": "http", "protocol": "TCP"}]
    assert [({port["port"] for port in rule["ports"]}, rule.get("to")) for rule in policy["egress"]] == [
        ({53}, None),
        ({443, 6443}, None),
        ({5432}, [database]),
        ({443}, None),
    ]


def test_prometheus_finds_it(api: Api):
    documents = api(serviceMonitor={"enabled": True, "labels": {"team": "data"}})
    monitor = only(documents, "ServiceMonitor", "rolevend-api")
    found = [
        each["metadata"]["name"]
        for each in documents
        if each["kind"] == "Service" and monitor["spec"]["selector"]["matchLabels"].items() <= each["metadata"]["labels"].items()
    ]

    assert found == ["rolevend-api-metrics"]
    assert monitor["metadata"]["labels"]["team"] == "data"


def test_before_it_is_uninstalled_the_api_stops(api: Api, helm: Helm):
    documents = api()
    before = hooks(documents, "pre-delete")
    (container,) = only(before, "Job")["spec"]["template"]["spec"]["containers"]

    assert f"--api={only(documents, 'Deployment', 'rolevend-api')['metadata']['name']}" in container["args"]
    assert {each.partition("=")[0] for each in container["args"][1:]} < {
        name for each in cli.commands["drain"].params for name in each.opts
    }
    rules = only(before, "Role")["rules"]
    assert {
        "apiGroups": ["apps"],
        "resources": ["deployments/scale"],
        "resourceNames": ["rolevend-api"],
        "verbs": ["get", "patch"],
    } in rules
    without = hooks(helm.render(), "pre-delete")
    assert "--api" not in str(only(without, "Job"))
    assert "deployments" not in str(only(without, "Role"))


def test_agents_outside_of_the_cluster_come_through_an_ingress(cluster: Cluster, api: Api):
    with pytest.raises(AssertionError, match=r"api\.ingress\.host"):
        api({"ingress": {"enabled": True}})
    ingress = {"enabled": True, "className": "internal", "host": "rolevend.example.org", "tlsSecretName": "edge", "annotations": {"a": "b"}}
    body = only(api({"ingress": ingress}), "Ingress")

    taken = cluster.call("POST", f"/apis/networking.k8s.io/v1/namespaces/{SYSTEM}/ingresses?dryRun=All&fieldValidation=Strict", body)

    assert taken.ok, taken.message
    (rule,) = body["spec"]["rules"]
    assert rule["http"]["paths"][0]["backend"]["service"] == {"name": "rolevend-api", "port": {"name": "https"}}
    assert body["spec"]["tls"] == [{"hosts": ["rolevend.example.org"], "secretName": "edge"}]


def test_agents_outside_of_the_cluster_come_through_a_gateway_that_knows_the_api_by_its_certificate(api: Api):
    with pytest.raises(AssertionError, match=r"api\.httpRoute\.parentRefs"):
        api({"httpRoute": {"enabled": True}})
    route = {"enabled": True, "parentRefs": [{"name": "edge", "namespace": "gateways"}], "hostnames": ["rolevend.example.org"]}
    documents = api({"httpRoute": route, "service": {"port": 8443}})
    (rule,) = only(documents, "HTTPRoute")["spec"]["rules"]
    known = only(documents, "BackendTLSPolicy")["spec"]

    assert rule["backendRefs"] == [{"name": "rolevend-api", "port": 8443}]
    assert known["targetRefs"] == [{"group": "", "kind": "Service", "name": "rolevend-api"}]
    assert known["validation"] == {"hostname": HOST, "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "rolevend-api-ca"}]}
    public = only(api({"httpRoute": route, "tls": ISSUED}), "BackendTLSPolicy")["spec"]["validation"]
    assert public == {"hostname": HOST, "wellKnownCACertificates": "System"}


@pytest.mark.parametrize("kind", ["Service", "PodDisruptionBudget", "NetworkPolicy", "Deployment"])
def test_the_api_server_takes_it(cluster: Cluster, api: Api, kind: str):
    place = {"Service": "api/v1", "Deployment": "apis/apps/v1", "PodDisruptionBudget": "apis/policy/v1"}.get(
        kind, "apis/networking.k8s.io/v1"
    )
    plural = kind.lower()[:-1] + "ies" if kind.endswith("y") else f"{kind.lower()}s"
    for body in [each for each in api(networkPolicy={"enabled": True}) if each["kind"] == kind and "-api" in each["metadata"]["name"]]:
        body["metadata"]["namespace"] = ELSEWHERE

        taken = cluster.call("POST", f"/{place}/namespaces/{ELSEWHERE}/{plural}?dryRun=All&fieldValidation=Strict", body)

        assert taken.ok, taken.message


def test_it_may_write_users_only_with_scim_or_signals(api: Api):
    def rights(documents: list[Document]) -> dict[str, set[str]]:
        rules = [rule for each in documents if each["metadata"]["name"] == "rolevend-api" for rule in each.get("rules", ())]
        found: dict[str, set[str]] = {}
        for rule in rules:
            for resource in rule.get("resources", ()):
                found.setdefault(resource, set()).update(rule["verbs"])
        return found

    def policies(documents: list[Document]) -> set[str]:
        return {each["metadata"]["name"] for each in documents if each["kind"] == "ValidatingAdmissionPolicyBinding"}

    without, with_scim = api(), api({"scim": True})

    assert rights(without)["userattributes"] == {"get", "list", "watch"}
    assert not rights(without)["configmaps"] & {"patch", "update", "delete"}
    assert "ROLEVEND_API_SCIM" not in environment(without)
    assert rights(with_scim)["userattributes"] == {"get", "list", "watch", "create", "patch"}
    assert rights(with_scim)["configmaps"] >= {"patch", "delete"}
    assert ApiSettings.from_environment(environment(with_scim) | {"ROLEVEND_NAMESPACE": SYSTEM}).api_scim
    assert policies(with_scim) - policies(without) == {"rolevend-scim"}

    with_signals = api({"signals": True})
    assert "ROLEVEND_API_SIGNALS" not in environment(without)
    assert rights(with_signals)["userattributes"] == {"get", "list", "watch", "create", "patch"}
    assert rights(with_signals)["configmaps"] == rights(without)["configmaps"]
    assert ApiSettings.from_environment(environment(with_signals) | {"ROLEVEND_NAMESPACE": SYSTEM}).api_signals
    assert policies(with_signals) - policies(without) == {"rolevend-signals"}
    assert policies(api({"scim": True, "signals": True})) - policies(without) == {"rolevend-scim", "rolevend-signals"}

"""The MCP server as the chart renders it: what there is when it is on, what it needs, and that it is an agent and nothing more."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from mcp.server.auth.routes import build_resource_metadata_url
from pydantic import AnyHttpUrl

from rolevend_client.mcp.settings import HttpSettings, Wanted
from rolevend_client.settings import Settings
from tests.support.installed import AGENTS, ELSEWHERE, SYSTEM, Cluster
from tests.support.rendered import ALL_ON, API_ON, MCP_ON, Document, Helm, only, pods

Mcp = Callable[..., list[Document]]


@pytest.fixture(scope="module")
def mcp(helm: Helm) -> Mcp:
    """What is rendered when it is on, with values below `mcp` and beside it."""

    def render(below: dict[str, Any] | None = None, **beside: Any) -> list[Document]:
        return helm.render(ALL_ON | {"mcp": MCP_ON | (below or {})} | beside)

    return render


def ours(documents: list[Document]) -> list[Document]:
    return [each for each in documents if each["metadata"]["name"] == "rolevend-mcp"]


def container(documents: list[Document]) -> Document:
    (only_one,) = pods(documents)["Deployment/rolevend-mcp"]["containers"]
    return dict(only_one)


def environment(documents: list[Document]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container(documents)["env"]}


def test_without_the_value_there_is_none_of_it(helm: Helm):
    assert ours(helm.render({"agentNamespaces": [AGENTS], "api": API_ON})) == []


def test_settings_reach_it_as_it_reads_them(mcp: Mcp):
    more = {"idleSeconds": 60, "mostRows": 7, "mostCharacters": 1_000_000, "mostSeconds": 5, "maxHeaderBytes": 1_000_000, "readSeconds": 3}
    documents = mcp({"purpose": "fraud-review", "settings": more, "issuerAuthorityRef": {"name": "corporate-ca", "key": "root.pem"}})
    said = environment(documents)

    http, wanted, api = HttpSettings.from_environment(said), Wanted.from_environment(said), Settings.from_environment(said)

    assert (http.url, http.host, http.port, http.idle_seconds) == ("https://mcp.example.org/mcp", "0.0.0.0", 8443, 60)
    assert (http.issuer.url, http.issuer.client_id, http.issuer.audience) == (MCP_ON["issuer"], "mcp-server", MCP_ON["audience"])
    assert (http.limits.header_bytes, http.limits.read_seconds, http.limits.connections) == (1_000_000, 3, 256)
    assert http.issuer.gives_own_token
    assert (wanted.platforms, wanted.allow_partial, wanted.purpose) == (("warehouse",), False, "fraud-review")
    assert (wanted.bounds.rows, wanted.bounds.characters, wanted.bounds.seconds) == (7, 1_000_000, 5)
    assert api.url == f"https://rolevend-api.{SYSTEM}.svc"
    mounted = {Path(each["mountPath"]) for each in container(documents)["volumeMounts"]}
    files = (http.certificate, http.key, http.issuer.ca_file, api.ca_file, Path(said["ROLEVEND_MCP_CLIENT_SECRET_FILE"]))
    assert {each.parent for each in files if each} == mounted


def test_a_role_is_asked_for_on_every_platform_that_is_named(mcp: Mcp):
    several = Wanted.from_environment(environment(mcp({"platforms": ["warehouse", "crm"], "allowPartial": True})))

    assert (several.platforms, several.allow_partial) == (("warehouse", "crm"), True)


def test_every_setting_can_be_set_that_has_a_default_of_its_own(mcp: Mcp):
    assert not [each for each in environment(mcp()) if "MOST" in each or "IDLE" in each]


def test_it_is_probed_by_its_own_name_where_it_tells_clients_who_gives_tokens(mcp: Mcp):
    """It answers to no other name, and kubelet would call it by the pod's address."""
    url = "https://mcp.example.org:8443/some/mcp"
    made = container(mcp({"url": url}))
    served = urlsplit(str(build_resource_metadata_url(AnyHttpUrl(url))))

    for probe in ("startupProbe", "readinessProbe"):
        asked = made[probe]["httpGet"]
        assert (asked["path"], asked["scheme"], asked["port"]) == (served.path, "HTTPS", "https")
        assert asked["httpHeaders"] == [{"name": "Host", "value": "mcp.example.org:8443"}]
    assert {port["name"] for port in made["ports"]} == {"https"}


def test_it_is_one_process_since_sessions_are_in_its_memory(mcp: Mcp):
    deployment = only(mcp(), "Deployment", "rolevend-mcp")["spec"]

    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})


def test_it_has_no_right_in_the_cluster_no_code_of_the_operator_and_no_place_beside_it(mcp: Mcp, helm: Helm):
    documents = mcp()
    spec = pods(documents)["Deployment/rolevend-mcp"]
    without = helm.render(ALL_ON | {"mcp": {"enabled": False}})

    assert spec["automountServiceAccountToken"] is False
    assert "serviceAccountName" not in spec
    assert container(documents)["image"] == "rolevend-mcp:0.2.0"
    assert {each["metadata"]["namespace"] for each in ours(documents)} == {AGENTS}
    assert {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "ServiceAccount"}.isdisjoint(
        each["kind"] for each in ours(documents)
    )
    assert len(documents) - len(without) == len(ours(documents)) == 2


def test_its_service_leads_to_it_and_to_nobody_else(mcp: Mcp):
    documents = mcp()
    service = only(documents, "Service", "rolevend-mcp")["spec"]
    chosen = service["selector"].items()
    labels = {
        each["metadata"]["name"]: each["spec"]["template"]["metadata"]["labels"] for each in documents if each["kind"] == "Deployment"
    }

    assert [name for name, its in labels.items() if chosen <= its.items()] == ["rolevend-mcp"]
    assert [(port["port"], port["targetPort"]) for port in service["ports"]] == [(443, "https")]


def test_the_network_policy_lets_clients_in_and_it_out_to_the_api_its_platforms_and_the_identity_provider(mcp: Mcp):
    gateway = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}
    database = {"ipBlock": {"cidr": "10.1.2.3/32"}}
    account = {"ipBlock": {"cidr": "10.8.8.8/32"}}
    network = {
        "enabled": True,
        "databases": [database],
        "snowflakeAccountPorts": [443],
        "snowflakeAccounts": [account],
        "identityProviderPorts": [443],
    }
    documents = mcp({"clientsFrom": [gateway]}, networkPolicy=network)
    policy = only(documents, "NetworkPolicy", "rolevend-mcp")["spec"]
    (clients,) = policy["ingress"]
    api, *others = policy["egress"]
    called = only(documents, "Deployment", "rolevend-api")["spec"]["template"]["metadata"]["labels"]

    assert (clients["ports"], clients["from"]) == ([{"port": "https", "protocol": "TCP"}], [gateway])
    (peer,) = api["to"]
    assert peer["podSelector"]["matchLabels"].items() <= called.items()
    assert peer["namespaceSelector"] == {"matchLabels": {"kubernetes.io/metadata.name": SYSTEM}}
    assert [({port["port"] for port in rule["ports"]}, rule.get("to")) for rule in others] == [
        ({53}, None),
        ({5432}, [database]),
        ({443}, [account]),
        ({443}, None),
    ]
    (admitted, _) = only(documents, "NetworkPolicy", "rolevend-api")["spec"]["ingress"]
    assert MCP_ON["namespace"] in str(admitted["from"]), "and the API lets it in"


@pytest.mark.thinned(3, "long")
@pytest.mark.parametrize(
    ("below", "beside", "wanted"),
    [
        ({}, {"api": {"enabled": False}}, r"api\.enabled"),
        ({"namespace": ""}, {}, r"mcp\.namespace"),
        ({"namespace": SYSTEM}, {}, rf'mcp\.namespace: .* must be one of agentNamespaces \({AGENTS}\), and it is "{SYSTEM}"'),
        ({}, {"agentNamespaces": []}, r"mcp\.namespace: .* must be one of agentNamespaces \(none yet\)"),
        ({"platforms": []}, {}, r"mcp\.platforms"),
        ({"url": ""}, {}, r"mcp\.url"),
        ({"issuer": ""}, {}, r"mcp\.issuer"),
        ({"clientID": ""}, {}, r"mcp\.clientID"),
        ({"clientSecretRef": {"name": ""}}, {}, r"mcp\.clientSecretRef\.name"),
        ({"audience": ""}, {}, r"mcp\.audience"),
        ({"tlsSecretName": ""}, {}, r"mcp\.tlsSecretName"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_it_needs_is_asked_for_by_name(mcp: Mcp, below: dict[str, Any], beside: dict[str, Any], wanted: str):
    with pytest.raises(AssertionError, match=wanted):
        mcp(below, **beside)


@pytest.mark.parametrize("kind", ["Deployment", "Service", "NetworkPolicy"])
def test_the_api_server_takes_it(cluster: Cluster, mcp: Mcp, kind: str):
    group = {"Deployment": "apis/apps/v1", "Service": "api/v1", "NetworkPolicy": "apis/networking.k8s.io/v1"}[kind]
    plural = {"Deployment": "deployments", "Service": "services", "NetworkPolicy": "networkpolicies"}[kind]
    body = only(mcp(networkPolicy={"enabled": True}), kind, "rolevend-mcp")
    body["metadata"]["namespace"] = ELSEWHERE

    taken = cluster.call("POST", f"/{group}/namespaces/{ELSEWHERE}/{plural}?dryRun=All&fieldValidation=Strict", body)

    assert taken.ok, taken.message

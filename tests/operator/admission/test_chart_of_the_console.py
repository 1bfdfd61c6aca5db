"""The console as the chart renders it: settings as it reads them, and no more rights than it needs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NoReturn, cast

import pytest

from rolevend.app.http_server import ServerAddress
from rolevend.cluster_health.facts import FactsReader
from rolevend.console.health import LEFT_OUT
from rolevend.errors import NotPermitted
from rolevend.kinds.published_catalogs import PART_NAMES
from rolevend.kube.client import KubeClient, ResourcePath
from rolevend.settings import ConsoleSettings
from tests.support.installed import AGENTS
from tests.support.rendered import ACCESS_LEDGER_ON, ALL_ON, API_ON, AUDIT_ON, CONSOLE_ON, Document, Helm, only, pods

Rendered = Callable[..., list[Document]]


@pytest.fixture(scope="module")
def console(helm: Helm) -> Rendered:
    """The documents with values below `console`."""

    def render(**below: Any) -> list[Document]:
        return helm.render(ALL_ON | {"console": CONSOLE_ON | below})

    return render


def container(documents: list[Document]) -> Document:
    (only_one,) = pods(documents)["Deployment/rolevend-console"]["containers"]
    return dict(only_one)


def rules(documents: list[Document]) -> list[Document]:
    return list(only(documents, "ClusterRole", "rolevend-console")["rules"])


def verbs(documents: list[Document]) -> set[str]:
    return {verb for rule in rules(documents) for verb in rule["verbs"]}


def test_without_the_value_there_is_none_of_it(helm: Helm):
    documents = helm.render({"agentNamespaces": [AGENTS], "api": API_ON})
    assert not [each for each in documents if "console" in each["metadata"]["name"]]


def test_settings_reach_it_as_it_reads_them(console: Rendered):
    documents = console(settings={"idleSeconds": 60, "sessionSeconds": 3600}, userClaim="email", userPrefix="oidc:", groupsPrefix="oidc:")
    said = {each["name"]: each["value"] for each in container(documents)["env"] if "value" in each}
    found = ConsoleSettings.from_environment(said)
    assert (found.console_url, found.console_identity_provider, found.console_client_id) == (
        *("https://console.example.org", "workforce", "rolevend-console"),
    )
    assert (found.console_idle_seconds, found.console_session_seconds, found.console_groups) == (60, 3600, "oidc:owners")
    assert (found.console_user_claim, found.console_user_prefix, found.console_groups_prefix) == ("email", "oidc:", "oidc:")
    assert found.console_impersonation
    assert found.console_trusted_proxies == ""
    files = (found.console_key_file, found.console_tls_cert_file, found.console_tls_key_file, found.console_client_secret_file)
    mounted = {Path(each["mountPath"]) for each in container(documents)["volumeMounts"]}
    assert {each.parent for each in files if each} == mounted


def test_proxies_and_many_groups_reach_it(console: Rendered):
    groups = [f"oidc:{number:03}-{'g' * 55}" for number in range(500)]
    documents = console(trustedProxies=["10.0.0.0/8", "2001:db8::1"], groups=groups)
    found = ConsoleSettings.from_environment({each["name"]: each["value"] for each in container(documents)["env"] if "value" in each})
    assert ServerAddress.of_console(found.model_copy(update={"console_tls_cert_file": None})).trusted_proxies == (
        *("10.0.0.0/8", "::ffff:10.0.0.0/104", "2001:db8::1/128"),
    )
    assert found.console_groups.split(",") == groups


def test_it_only_follows_what_it_watches(console: Rendered):
    """It reads no object of these kinds by its name."""
    mine = [rule for rule in rules(console()) if not any("impersonate" in each for each in rule["verbs"])]
    watched = [rule for rule in mine if "vendedroles" in rule["resources"]]
    assert [each["verbs"] for each in watched] == [["list", "watch"]]


def test_the_files_of_the_trail_are_mounted_to_read(helm: Helm):
    ledger = {**ACCESS_LEDGER_ON, "output": "File"}
    audit = {"enabled": True, "ledger": True, "receiptKeysRef": {"name": "receipt-keys", "key": "jwks.json"}}
    documents = helm.render(ALL_ON | {"audit": AUDIT_ON, "accessLedger": ledger, "console": CONSOLE_ON | {"audit": audit}})

    found = container(documents)
    said = ConsoleSettings.from_environment({each["name"]: each["value"] for each in found["env"] if "value" in each})
    mounts = {each["mountPath"]: each for each in found["volumeMounts"]}
    keys = said.console_receipt_keys_file
    assert keys is not None
    for path in (said.console_audit_files, said.console_ledger_files, str(keys.parent)):
        assert mounts[path]["readOnly"] is True
    volumes = {each["name"]: each for each in pods(documents)["Deployment/rolevend-console"]["volumes"]}
    claims = {volumes[name]["persistentVolumeClaim"]["claimName"] for name in ("audit", "ledger")}
    assert claims == {"rolevend-audit", "rolevend-access-ledger"}
    assert volumes["receipt-keys"]["configMap"]["name"] == "receipt-keys"
    assert not {"secrets", "configmaps"} & {each for rule in rules(documents) for each in rule["resources"]}


ROWS_ON = {"enabled": True, "clientID": "rows", "clientSecretRef": {"name": "rows-client"}, "scope": "api/.default", "audience": "api"}


def test_rows_are_read_through_the_api_that_lets_the_console_in(helm: Helm):
    values = ALL_ON | {"console": CONSOLE_ON | {"rows": ROWS_ON}, "networkPolicy": {"enabled": True}}
    documents = helm.render(values | {"api": {**API_ON, "tls": {"mode": "Generated"}}})

    found = container(documents)
    said = ConsoleSettings.from_environment({each["name"]: each["value"] for each in found["env"] if "value" in each})
    assert said.console_rows_api_url == "https://rolevend-api.rolevend-system.svc"
    assert (said.console_rows_client_id, said.console_rows_scope, said.console_rows_audience) == ("rows", "api/.default", "api")
    volumes = {each["name"]: each for each in pods(documents)["Deployment/rolevend-console"]["volumes"]}
    mounts = {each["mountPath"]: volumes[each["name"]] for each in found["volumeMounts"]}
    authority, secret = said.console_rows_api_ca_file, said.console_rows_client_secret_file
    assert authority is not None
    assert secret is not None
    assert mounts[str(authority.parent)]["configMap"]["name"] == "rolevend-api-ca"
    assert mounts[str(secret.parent)]["secret"]["secretName"] == "rows-client"

    labels, of_api = (
        only(documents, "Deployment", name)["spec"]["template"]["metadata"]["labels"] for name in ("rolevend-console", "rolevend-api")
    )
    *_, out = only(documents, "NetworkPolicy", "rolevend-console")["spec"]["egress"]
    assert out["to"][0]["podSelector"]["matchLabels"].items() <= of_api.items()
    (admitted, _) = only(documents, "NetworkPolicy", "rolevend-api")["spec"]["ingress"]
    assert any(
        each.get("podSelector", {"matchLabels": {"no": "one"}})["matchLabels"].items() <= labels.items() for each in admitted["from"]
    )


def test_without_the_value_the_console_does_not_reach_the_api(helm: Helm):
    documents = helm.render(ALL_ON | {"networkPolicy": {"enabled": True}})
    assert "ROWS" not in str(container(documents))
    labels = only(documents, "Deployment", "rolevend-console")["spec"]["template"]["metadata"]["labels"]
    (admitted, _) = only(documents, "NetworkPolicy", "rolevend-api")["spec"]["ingress"]
    selectors = [each["podSelector"]["matchLabels"] for each in admitted["from"] if "podSelector" in each]
    assert not [each for each in selectors if each.items() <= labels.items()]
    assert not [
        each for each in only(documents, "NetworkPolicy", "rolevend-console")["spec"]["egress"] if "podSelector" in str(each.get("to"))
    ]


def test_it_impersonates_only_as_the_value_says(console: Rendered):
    assert not any("impersonate" in verb for verb in verbs(console(impersonation="None")))
    assert "impersonate" not in verbs(console())
    constrained = [rule for rule in rules(console()) if any("impersonate" in verb for verb in rule["verbs"])]
    assert [rule["resourceNames"] for rule in constrained if rule["resources"] == ["groups"]] == [["oidc:owners"]]
    assert not [rule for rule in rules(console(groups=[])) if rule["resources"] == ["groups"]], "or it would be every group"
    assert "impersonate" in verbs(console(impersonation="Unconstrained"))
    for named in (console(users=["oidc:olga"]), console(users=["oidc:olga"], impersonation="Unconstrained")):
        assert [rule["resourceNames"] for rule in rules(named) if rule["resources"] == ["users"]] == [["oidc:olga"]]


class Recorder:
    """A cluster of which nothing may be read, that records what was asked for: verb, group, resource, and name in the own namespace."""

    def __init__(self) -> None:
        self.asked: set[tuple[str, str, str, str | None]] = set()

    def _refuse(self, verb: str, resource: ResourcePath, where: str | None = None) -> NoReturn:
        group = "" if resource.prefix == "/api/v1" else resource.prefix.split("/")[2]
        self.asked.add((verb, group, resource.plural, where))
        raise NotPermitted("no")

    async def create(self, resource: ResourcePath, _body: object) -> Document:
        self._refuse("create", resource)

    async def get(self, resource: ResourcePath, name: str, _namespace: str) -> Document:
        self._refuse("get", resource, name)

    async def pages(self, resource: ResourcePath, namespace: str | None) -> AsyncIterator[Document]:
        self._refuse("list", resource, namespace and "*")
        yield {}


def test_it_reads_no_more_as_a_person_than_the_facts_and_the_objects_of_decisions(console: Rendered):
    recorder, pattern = Recorder(), "impersonate-on:user-info:"
    asyncio.run(FactsReader(cast(KubeClient, recorder), "rolevend-system", left_out=LEFT_OUT).read(with_secrets=False))

    def granted(documents: list[Document], kind: str) -> set[tuple[str, str, str, str | None]]:
        """By the rules on reading, without those on votes and roles."""
        return {
            (verb.removeprefix(pattern), group, resource, name)
            for rule in only(documents, kind, "rolevend-console")["rules"]
            for name in rule.get("resourceNames") or ["*"]
            for verb in rule["verbs"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for name in (rule.get("resourceNames") or ["*"] if kind == "Role" else [None])
            if verb.startswith(pattern) and resource not in ("accessdecisions", "accessrequests", "vendedroles")
        }

    facts = recorder.asked - {("list", "rbac.authorization.k8s.io", "rolebindings", "*")}  # the rule for all namespaces includes it
    decisions = {("list", "rolevend.dev", each, None) for each in ("accesspolicies", "identityproviders", "userattributes")}
    catalogs = {("get", "", "configmaps", each) for each in PART_NAMES}
    assert granted(console(), "ClusterRole") | granted(console(), "Role") == facts | decisions | catalogs | {
        ("list", "", "namespaces", None)
    }
    for other in ("None", "Unconstrained"):
        assert not granted(console(impersonation=other), "Role")


def test_rows_need_the_api(helm: Helm):
    with pytest.raises(AssertionError, match=r"console\.rows\.enabled"):
        helm.render({"agentNamespaces": [AGENTS], "console": CONSOLE_ON | {"rows": ROWS_ON}})


def test_the_files_of_the_trail_need_the_volumes_that_they_are_on(helm: Helm):
    with pytest.raises(AssertionError, match=r"console.audit.enabled: the audit events are on no volume"):
        helm.render({"agentNamespaces": [AGENTS], "console": CONSOLE_ON | {"audit": {"enabled": True}}})


def test_its_key_stays_where_helm_knows_one_and_can_be_another_one(console: Rendered):
    assert only(console(keySecretRef={"name": ""}), "Secret", "rolevend-console-key")["data"]["key"]
    assert not [each for each in console() if each["metadata"]["name"] == "rolevend-console-key"]


@pytest.mark.thinned(3, "long")
@pytest.mark.parametrize(
    ("below", "said"),
    [
        ({"url": ""}, "console.url"),
        ({"url": "https://console.example.org/path"}, "console"),
        ({"clientID": ""}, "console.clientID"),
        ({"tlsSecretName": ""}, "console.tlsSecretName"),
        ({"identityProvider": ""}, "console.identityProvider"),
        ({"groups": ["system:masters"]}, "console.groups: system:masters"),
        ({"users": ["system:admin"]}, "console.users: system:admin"),
        ({"groups": ["a,b"]}, "console"),
        ({"impersonation": "Always"}, "console"),
        ({"serviceAccount": {"name": "rolevend-api"}}, "console.serviceAccount.name"),
        ({"settings": {"idleSeconds": 1}}, "console"),
        ({"settting": 1}, "console"),
        ({"audit": {"ledger": True}}, "console.audit.ledger"),
        ({"audit": {"enabled": "yes"}}, "console"),
        ({"rows": {**ROWS_ON, "clientID": ""}}, "console.rows.clientID"),
        ({"rows": {**ROWS_ON, "clientSecretRef": {"name": ""}}}, "console.rows.clientSecretRef.name"),
    ],
)
def test_a_bad_value_is_refused_by_its_name(console: Rendered, below: Document, said: str):
    with pytest.raises(AssertionError, match=said):
        console(**below)

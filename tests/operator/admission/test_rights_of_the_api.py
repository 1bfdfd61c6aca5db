"""What the chart lets the API do, and above all what it does not: it can be reached by every agent."""

import json
import shlex
from pathlib import Path

import pytest

from rolevend.app.manifest import api_commands, read_manifest
from rolevend.kinds import KINDS
from rolevend.kube.election import LEASE
from tests.support.installed import AGENTS, API, ELSEWHERE, SYSTEM, Cluster
from tests.support.manifests import changed, valid
from tests.support.rendered import SECRET_NAMES
from tests.support.waiting import eventually

GROUP = "rolevend.dev"
WRITES = {"vendedroles": ({"create", "delete"}, {"patch"}), "accessrequests": ({"create", "patch"}, {"patch"})}
"""Where agents are: of the objects, and of their status."""
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases"


def verbs(cluster: Cluster, resource: str, namespace: str = "", name: str = "", group: str = "") -> set[str]:
    return {verb for verb in VERBS if cluster.may(API, verb, resource, namespace=namespace, name=name, group=group)}


@pytest.mark.parametrize("name", [*SECRET_NAMES, "rolevend-handle-key"])
def test_it_reads_the_secrets_that_the_values_name_and_the_key_of_handles(cluster: Cluster, name: str):
    assert verbs(cluster, "secrets", SYSTEM, name) == {"get"}


@pytest.mark.parametrize("name", ["", "warehouse-programmer", "rolevend-api-tls", "rolevend-audit"])
def test_it_has_no_right_on_another_secret_of_the_operators_namespace(cluster: Cluster, name: str):
    assert verbs(cluster, "secrets", SYSTEM, name) == set()


@pytest.mark.parametrize("namespace", [AGENTS, ELSEWHERE, "kube-system", ""])
@pytest.mark.parametrize("name", ["", "warehouse-vendor"])
def test_it_has_no_right_on_a_secret_elsewhere_not_even_where_agents_are(cluster: Cluster, namespace: str, name: str):
    assert verbs(cluster, "secrets", namespace, name) == set()


def test_it_reads_the_secrets_of_one_more_platform_after_the_commands_that_its_installation_prints(cluster: Cluster, tmp_path: Path):
    tls = {"mode": "VerifyFull", "caSecretRef": {"name": "crm-ca"}}
    names = {"programmerSecretRef": {"name": "crm-programmer"}, "vendorSecretRef": {"name": "crm-vendor"}}
    body = changed(changed(valid("DataPlatform", "crm"), "spec.credentials", names), "spec.postgres.tls", tls)
    (tmp_path / "platform.yaml").write_text(json.dumps(body))

    for command in api_commands(read_manifest(tmp_path / "platform.yaml"), SYSTEM):
        cluster.kubectl(*shlex.split(command)[1:])

    eventually(lambda: verbs(cluster, "secrets", SYSTEM, "crm-vendor") == verbs(cluster, "secrets", SYSTEM, "crm-ca") == {"get"})
    assert verbs(cluster, "secrets", SYSTEM, "crm-programmer") == set()


def test_it_is_really_refused_the_programmers_login(cluster: Cluster):
    for name in ("warehouse-vendor", "warehouse-programmer"):
        cluster.kubectl("create", "secret", "generic", name, "--namespace", SYSTEM, "--from-literal=password=x")

    assert cluster.call("GET", f"/api/v1/namespaces/{SYSTEM}/secrets/warehouse-vendor", user=API).ok
    for path in ("secrets/warehouse-programmer", "secrets", "secrets?fieldSelector=metadata.name%3Dwarehouse-programmer"):
        assert cluster.call("GET", f"/api/v1/namespaces/{SYSTEM}/{path}", user=API).status == 403


@pytest.mark.parametrize("plural", [kind.plural for kind in KINDS])
def test_it_reads_all_but_votes_everywhere_and_writes_roles_and_requests_alone_where_agents_are(cluster: Cluster, plural: str):
    reads = {"get", "list", "watch"} if plural != "accessdecisions" else set()
    assert verbs(cluster, plural, group=GROUP) == reads
    assert verbs(cluster, f"{plural}/status", group=GROUP) == set()
    here, status = WRITES.get(plural, (set(), set()))
    assert verbs(cluster, plural, AGENTS, group=GROUP) == reads | here
    assert verbs(cluster, f"{plural}/status", AGENTS, group=GROUP) == status


@pytest.mark.parametrize("namespace", [SYSTEM, ELSEWHERE, ""])
def test_it_vends_where_agents_are_and_nowhere_else(cluster: Cluster, namespace: str):
    assert cluster.may(API, "vend", "agents", namespace=AGENTS, name="anybot", group=GROUP)
    assert not cluster.may(API, "vend", "agents", namespace=namespace, group=GROUP)


@pytest.mark.parametrize(
    ("verb", "resource", "group"),
    [
        ("breakglass", "vendedroles", GROUP),
        ("approve", "accesspolicies", GROUP),
        ("approve-as-robot", "accesspolicies", GROUP),
        ("create", "pods", ""),
        ("create", "serviceaccounts/token", ""),
        ("impersonate", "users", ""),
        ("create", "subjectaccessreviews", "authorization.k8s.io"),
        ("escalate", "clusterroles", "rbac.authorization.k8s.io"),
        ("patch", "deployments", "apps"),
    ],
)
def test_it_has_no_right_it_does_not_use(cluster: Cluster, verb: str, resource: str, group: str):
    for namespace in (AGENTS, SYSTEM, ""):
        assert not cluster.may(API, verb, resource, namespace=namespace, group=group)


def test_it_asks_whose_token_that_is_and_knows_namespaces(cluster: Cluster):
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": "nonsense"}}

    answer = cluster.call("POST", "/apis/authentication.k8s.io/v1/tokenreviews", review, user=API)

    assert answer.ok, answer.message
    assert not answer.body["status"].get("authenticated")
    assert verbs(cluster, "namespaces") == {"get", "list", "watch"}


def test_it_writes_records_of_handles_once_and_only_in_the_operators_namespace(cluster: Cluster):
    assert verbs(cluster, "configmaps", SYSTEM) == {"get", "list", "create"}
    for namespace in (AGENTS, ELSEWHERE, "kube-system"):
        assert verbs(cluster, "configmaps", namespace) == set()


class TestRecordsOfTokens:
    """Whoever could take one away, or write another one over it, could use a token twice."""

    def test_it_makes_and_reads_them_and_no_more(self, cluster: Cluster):
        for name in ("rolevend-token-1", LEASE):
            assert verbs(cluster, "leases", SYSTEM, name, "coordination.k8s.io") == {"get", "create"}
        assert verbs(cluster, "leases", "kube-node-lease", group="coordination.k8s.io") == set()

    def test_it_makes_no_other_lease_and_so_stops_no_operator(self, cluster: Cluster):
        for name in (LEASE, "theirs"):
            refused = cluster.call("POST", LEASES, {"metadata": {"name": name}, "spec": {"holderIdentity": "api"}}, user=API)

            assert refused.status == 403
            assert f"Lease {name}: of Leases the API may create records of tokens" in refused.message
        made = {"metadata": {"generateName": "rolevend-"}, "spec": {}}
        assert cluster.call("POST", LEASES, made, user=API).status == 403

    def test_it_makes_each_once_and_neither_changes_nor_deletes_it(self, cluster: Cluster):
        body = {"metadata": {"name": "rolevend-token-taken"}, "spec": {"holderIdentity": "first"}}
        assert cluster.call("POST", LEASES, body, user=API).ok

        assert cluster.call("POST", LEASES, body, user=API).status == 409
        self._attack(cluster, "")

    def test_nor_does_it_where_somebody_gives_it_the_right(self, cluster: Cluster):
        body = {"metadata": {"name": "rolevend-token-taken-again"}, "spec": {"holderIdentity": "first"}}
        assert cluster.call("POST", LEASES, body, user=API).ok
        rule = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["update", "patch", "delete"]}
        cluster.service_account("generous", rule, namespace=SYSTEM)
        generous = {"role": "generous", "serviceaccount": f"{SYSTEM}:rolevend-api", "namespace": SYSTEM}
        cluster.kubectl("create", "rolebinding", "too-generous", *(f"--{key}={value}" for key, value in generous.items()))
        try:
            eventually(lambda: "delete" in verbs(cluster, "leases", SYSTEM, group="coordination.k8s.io"))

            self._attack(cluster, "-again", "the API may create records of tokens, and change or delete none")
        finally:
            cluster.kubectl("delete", "rolebinding", "too-generous", "generous", "--namespace", SYSTEM)

    @staticmethod
    def _attack(cluster: Cluster, suffix: str, said: str = "forbidden") -> None:
        place = f"{LEASES}/rolevend-token-taken{suffix}"
        stored = cluster.call("GET", place, user=API).body
        other = stored | {"spec": {"holderIdentity": "second"}}
        attempts = [
            cluster.call("PUT", place, other, user=API),
            cluster.call("PATCH", place, {"spec": {"holderIdentity": "second"}}, user=API, content_type="application/merge-patch+json"),
            cluster.call("DELETE", place, user=API),
        ]

        assert [each.status for each in attempts] == [403, 403, 403]
        assert all(said in each.message for each in attempts)
        assert cluster.call("GET", place).body["spec"]["holderIdentity"] == "first"

"""What the chart lets the operator, people and agents do, as the API server's own RBAC answers."""

import pytest

from rolevend.kinds import KINDS
from rolevend.kinds.published_catalogs import MOST_PARTS, PART_NAMES
from rolevend.kube.election import LEASE
from tests.support.gitops import EXAMPLE
from tests.support.installed import AGENTS, API, APPLY_PATCH, ELSEWHERE, MERGE_PATCH, OPERATOR, RBAC, SYSTEM, Answer, Body, Cluster
from tests.support.manifests import valid
from tests.support.waiting import eventually

GROUP = "rolevend.dev"
ALL = tuple(kind.plural for kind in KINDS)


CREDENTIAL = "rolevend.dev/credential"


def secret(name: str, kind: str, **texts: str) -> Body:
    return {"metadata": {"name": name}, "type": kind, "stringData": texts or {"a": "b"}}


def aggregated(cluster: Cluster, role: str) -> list[str]:
    """What a built-in role holds where a controller aggregates it, which this control plane does not do."""
    below = {"view": ["view"], "edit": ["view", "edit"], "admin": ["view", "edit", "admin"]}.get(role, [])
    roles = cluster.call("GET", f"/apis/{RBAC}/v1/clusterroles").body["items"]
    return [
        each["metadata"]["name"]
        for each in roles
        if any(each["metadata"].get("labels", {}).get(f"{RBAC}/aggregate-to-{level}") == "true" for level in below)
    ]


@pytest.mark.parametrize("namespace", [ELSEWHERE, "kube-system", "default", ""])
@pytest.mark.parametrize("verb", ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"])
def test_the_operator_has_no_right_on_secrets_of_others(cluster: Cluster, verb: str, namespace: str):
    assert not cluster.may(OPERATOR, verb, "secrets", namespace=namespace)


@pytest.mark.parametrize("namespace", [SYSTEM, AGENTS])
def test_the_operator_reads_and_creates_secrets_where_it_must_and_never_overwrites(cluster: Cluster, namespace: str):
    """Where credentials are it deletes them; a policy of its own keeps it from other Secrets there."""
    allowed = {
        verb
        for verb in ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
        if cluster.may(OPERATOR, verb, "secrets", namespace=namespace)
    }

    assert allowed == ({"get", "create", "delete"} if namespace == AGENTS else {"get", "create"})


def test_the_operator_deletes_credentials_and_no_other_secret_beside_them(cluster: Cluster):
    place = f"/api/v1/namespaces/{AGENTS}/secrets"
    for name, kind, writer in (("credential", CREDENTIAL, OPERATOR), ("theirs", "Opaque", None)):
        assert cluster.call("POST", place, secret(name, kind), user=writer).ok

    refused = cluster.call("DELETE", f"{place}/theirs", user=OPERATOR)

    assert refused.status == 403
    assert "Secret theirs is no credential of a vended role: rolevend may not delete it" in refused.message
    assert cluster.call("DELETE", f"{place}/credential", user=OPERATOR).ok
    assert cluster.call("DELETE", f"{place}/theirs").ok, "whoever else may delete it still does"


@pytest.mark.parametrize("namespace", [AGENTS, ELSEWHERE])
def test_a_credential_is_written_by_the_operator_alone_whoever_else_may_create_secrets(cluster: Cluster, namespace: str):
    place = f"/api/v1/namespaces/{namespace}/secrets"
    writer = cluster.service_account("writer", {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]}, namespace=namespace)

    for user, name in ((writer, writer), (None, "administrator")):
        refused = cluster.call("POST", place, secret("planted", CREDENTIAL), user=user)
        assert refused.status == 403
        assert "Secrets of type rolevend.dev/credential are written by rolevend alone" in refused.message
        assert f"{name} may use another type" in refused.message
    assert cluster.call("POST", place, secret("of-another-type", "Opaque"), user=writer).ok


def test_no_secret_becomes_a_credential_and_other_secrets_are_free(cluster: Cluster):
    place = f"/api/v1/namespaces/{AGENTS}/secrets"
    assert cluster.call("POST", place, secret("becoming", "Opaque")).ok

    turned = cluster.call("PUT", f"{place}/becoming", secret("becoming", CREDENTIAL))
    changed = cluster.call("PUT", f"{place}/becoming", secret("becoming", "Opaque", a="c"))

    assert turned.status in (403, 422)
    assert changed.ok, changed.message
    assert cluster.call("GET", f"{place}/becoming").body["type"] == "Opaque"


def test_a_credential_may_lose_its_owner_as_when_its_object_is_orphaned(cluster: Cluster):
    place = f"/api/v1/namespaces/{AGENTS}/secrets"
    assert cluster.call("POST", place, secret("orphaned", CREDENTIAL), user=OPERATOR).ok

    collector = {"metadata": {"ownerReferences": None, "labels": {"touched": "yes"}}}
    assert cluster.call("PATCH", f"{place}/orphaned", collector, content_type=MERGE_PATCH).ok


def test_the_operator_writes_records_of_handles_once_and_only_in_its_own_namespace(cluster: Cluster):
    verbs = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")

    assert {verb for verb in verbs if cluster.may(OPERATOR, verb, "configmaps", namespace=SYSTEM)} == {"get", "list", "create"}
    for namespace in (AGENTS, ELSEWHERE, "kube-system"):
        assert not any(cluster.may(OPERATOR, verb, "configmaps", namespace=namespace) for verb in verbs)


def test_the_operator_changes_the_published_catalogs_and_no_other_config_map(cluster: Cluster):
    for verb in ("patch", "delete"):
        assert all(cluster.may(OPERATOR, verb, "configmaps", namespace=SYSTEM, name=name) for name in PART_NAMES)
        for namespace, name in ((SYSTEM, "rolevend-user-anna"), (SYSTEM, f"rolevend-catalogs-{MOST_PARTS}"), (ELSEWHERE, PART_NAMES[0])):
            assert not cluster.may(OPERATOR, verb, "configmaps", namespace=namespace, name=name)


def test_a_responder_of_the_whole_cluster_reads_the_published_catalogs(cluster: Cluster):
    cluster.bind("rita", "rolevend-responder")
    cluster.bind("vera", "rolevend-viewer")

    assert all(cluster.may("rita", "get", "configmaps", namespace=SYSTEM, name=name) for name in PART_NAMES)
    assert not cluster.may("rita", "get", "configmaps", namespace=SYSTEM, name="rolevend-user-anna")
    assert not cluster.may("rita", "list", "configmaps", namespace=SYSTEM)
    assert not cluster.may("vera", "get", "configmaps", namespace=SYSTEM, name=PART_NAMES[0]), "names of tables are confidential"


def test_the_operator_is_really_refused_a_secret_elsewhere(cluster: Cluster):
    cluster.kubectl("create", "secret", "generic", "other", "--namespace", ELSEWHERE, "--from-literal=a=b")

    refused = cluster.call("GET", f"/api/v1/namespaces/{ELSEWHERE}/secrets/other", user=OPERATOR)

    assert refused.status == 403


def test_the_operator_holds_the_lease_of_its_leader_and_no_other(cluster: Cluster):
    def verbs(namespace: str, name: str) -> set[str]:
        group = "coordination.k8s.io"
        every = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
        return {verb for verb in every if cluster.may(OPERATOR, verb, "leases", namespace=namespace, name=name, group=group)}

    records = {"create", "get", "list", "delete"}
    """Of tokens that were taken; a policy of its own keeps it from deleting other Leases."""
    assert verbs(SYSTEM, LEASE) == records | {"patch"}
    assert verbs(SYSTEM, "another") == records
    assert verbs("kube-node-lease", LEASE) == verbs("kube-system", LEASE) == set()


def test_the_operator_takes_records_of_tokens_away_and_no_other_lease(cluster: Cluster):
    place = f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases"
    for name in ("rolevend-token-0", "theirs", LEASE):
        assert cluster.call("POST", place, {"metadata": {"name": name}, "spec": {"holderIdentity": "somebody"}}).ok

    for name in ("theirs", LEASE):
        refused = cluster.call("DELETE", f"{place}/{name}", user=OPERATOR)
        assert refused.status == 403
        assert f"Lease {name} is no record of a token: rolevend may not delete it" in refused.message
        assert cluster.call("DELETE", f"{place}/{name}").ok, "whoever else may delete it still does"
    assert cluster.call("DELETE", f"{place}/rolevend-token-0", user=OPERATOR).ok


@pytest.mark.parametrize("plural", ALL)
def test_the_operator_reads_every_kind_and_reports_on_it(cluster: Cluster, plural: str):
    for verb in ("get", "list", "watch"):
        assert cluster.may(OPERATOR, verb, plural, group=GROUP)
    assert cluster.may(OPERATOR, "patch", f"{plural}/status", group=GROUP)


@pytest.mark.parametrize("plural", ALL)
def test_the_operator_creates_only_vended_roles_and_deletes_only_them_requests_and_votes(cluster: Cluster, plural: str):
    """Those that it creates show recorded roles: see `test_policies`."""
    assert cluster.may(OPERATOR, "create", plural, group=GROUP) is (plural == "vendedroles")
    assert not cluster.may(OPERATOR, "update", plural, group=GROUP)
    assert cluster.may(OPERATOR, "delete", plural, group=GROUP) is (plural in ("accessdecisions", "accessrequests", "vendedroles"))
    decided = plural in ("accessdecisions", "accessrequests")
    assert cluster.may(OPERATOR, "update", f"{plural}/status", group=GROUP) is decided, "so that a decision and a use are not lost"


def test_the_operator_asks_if_an_approver_still_has_the_verb(cluster: Cluster):
    attributes = {"verb": "approve", "group": GROUP, "resource": "accesspolicies", "namespace": ELSEWHERE, "name": "ssn-clear"}
    spec = {"user": "nobody", "groups": ["data-owners"], "resourceAttributes": attributes}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}

    answer = cluster.call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review, user=OPERATOR)

    assert answer.ok, answer.message
    assert not answer.body["status"]["allowed"]


@pytest.mark.parametrize(
    ("verb", "resource", "group"),
    [
        ("vend", "agents", GROUP),
        ("approve", "accesspolicies", GROUP),
        ("approve-as-robot", "accesspolicies", GROUP),
        ("create", "pods", ""),
        ("escalate", "clusterroles", "*"),
    ],
)
def test_the_operator_has_no_right_it_does_not_use(cluster: Cluster, verb: str, resource: str, group: str):
    assert not cluster.may(OPERATOR, verb, resource, group=group)


def test_the_operator_reads_the_keys_of_the_cluster_and_nothing_beside_them(cluster: Cluster):
    """Also where nobody binds `system:service-account-issuer-discovery` to all ServiceAccounts any more."""
    paths = ("/.well-known/openid-configuration", "/openid/v1/jwks", "/metrics", "/logs", "/openid/v1/", "/")

    assert [path for path in paths if cluster.may_read(OPERATOR, path)] == ["/.well-known/openid-configuration", "/openid/v1/jwks"]


@pytest.mark.parametrize("resource", ["namespaces", "events"])
def test_the_operator_knows_namespaces_and_writes_events(cluster: Cluster, resource: str):
    verb = {"namespaces": "watch", "events": "create"}[resource]

    assert cluster.may(OPERATOR, verb, resource)


@pytest.mark.thinned(3, "long")
@pytest.mark.parametrize(
    ("role", "verb", "plural", "allowed"),
    [
        ("view", "list", "vendedroles", True),
        ("view", "list", "userattributes", False),
        ("view", "create", "accesspolicies", False),
        ("edit", "create", "accesspolicies", False),
        ("edit", "create", "vendedroles", False),
        ("admin", "create", "accesspolicies", True),
        ("admin", "create", "agents", True),
        ("admin", "delete", "vendedroles", True),
        ("admin", "create", "vendedroles", False),
        ("admin", "vend", "agents", False),
        ("admin", "breakglass", "vendedroles", False),
        ("view", "list", "accessrequests", True),
        ("view", "list", "accessdecisions", True),
        ("edit", "create", "accessrequests", False),
        ("admin", "create", "accessrequests", False),
        ("admin", "delete", "accessrequests", False),
        ("admin", "create", "accessdecisions", False),
        ("admin", "approve", "accesspolicies", False),
        ("rolevend-requester", "create", "accessrequests", True),
        ("rolevend-requester", "update", "accessrequests/status", False),
        ("rolevend-requester", "create", "accessdecisions", False),
        ("rolevend-requester", "approve", "accesspolicies", False),
        ("rolevend-approver", "approve", "accesspolicies", True),
        ("rolevend-approver", "approve-as-robot", "accesspolicies", False),
        ("rolevend-approver", "create", "accessdecisions", True),
        ("rolevend-approver", "watch", "accessdecisions", True),
        ("rolevend-approver", "delete", "accessdecisions", True),
        ("rolevend-approver", "update", "accessdecisions", False),
        ("rolevend-approver", "watch", "accessrequests", True),
        ("rolevend-approver", "create", "accessrequests", False),
        ("rolevend-approver", "patch", "accessrequests/status", False),
        ("rolevend-approver", "patch", "accesspolicies", False),
        ("rolevend-responder", "list", "vendedroles", True),
        ("rolevend-responder", "patch", "vendedroles", True),
        ("rolevend-responder", "delete", "vendedroles", True),
        ("rolevend-responder", "deletecollection", "vendedroles", False),
        ("rolevend-responder", "create", "vendedroles", False),
        ("rolevend-responder", "patch", "vendedroles/status", False),
        ("rolevend-responder", "breakglass", "vendedroles", False),
        ("rolevend-responder", "list", "agents", False),
        ("rolevend-auditor", "get", "vendedroles/trail", True),
        ("rolevend-auditor", "list", "accessrequests", True),
        ("rolevend-auditor", "delete", "vendedroles", False),
        ("rolevend-auditor", "list", "userattributes", False),
        ("rolevend-access-reviewer", "list", "userattributes", True),
        ("rolevend-access-reviewer", "patch", "userattributes", False),
        ("rolevend-access-reviewer", "list", "vendedroles", False),
        ("rolevend-viewer", "get", "vendedroles/trail", False),
        ("rolevend-responder", "get", "vendedroles/trail", False),
        ("rolevend-agent-owner", "get", "vendedroles/trail", False),
        ("rolevend-responder", "get", "vendedroles/statements", False),
        ("rolevend-viewer", "get", "vendedroles/statements", False),
        ("rolevend-auditor", "get", "vendedroles/statements", True),
        ("admin", "patch", "vendedroles", False),
        ("admin", "patch", "vendedroles/status", False),
        ("rolevend-requester", "create", "vendedroles", True),
        ("rolevend-requester", "vend", "agents", True),
        ("rolevend-requester", "patch", "vendedroles/status", False),
        ("rolevend-requester", "create", "agents", False),
        ("rolevend-policy-author", "create", "tagbindings", True),
        ("rolevend-policy-author", "create", "agents", False),
        ("admin", "create", "guardrails", False),
        ("admin", "create", "identityproviders", False),
        ("view", "list", "identityproviders", True),
    ],
)
def test_what_a_role_in_a_namespace_means(cluster: Cluster, role: str, verb: str, plural: str, allowed: bool):
    user = f"holder-of-{role}"
    for each in (role, *aggregated(cluster, role)):
        cluster.bind(user, each, AGENTS)

    assert cluster.may(user, verb, plural, namespace=AGENTS, group=GROUP) is allowed
    assert not cluster.may(user, verb, plural, namespace=ELSEWHERE, group=GROUP)


def test_an_admin_of_a_namespace_hands_vend_and_approve_on_without_holding_them(cluster: Cluster):
    for role in ("admin", *aggregated(cluster, "admin")):
        cluster.bind("chief", role, AGENTS)

    def hand_on(role: str) -> Answer:
        binding = {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": f"hands-on-{role}", "namespace": AGENTS},
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": "finbot", "namespace": AGENTS}],
        }
        return cluster.call("POST", f"/apis/{RBAC}/v1/namespaces/{AGENTS}/rolebindings?dryRun=All", binding, user="chief")

    assert hand_on("rolevend-requester").ok
    assert hand_on("rolevend-approver").ok
    assert hand_on("rolevend-breakglass").status == 403


@pytest.mark.parametrize("domain", ["claims", "hr"])
def test_the_account_that_applies_a_domains_folder_writes_that_and_nothing_else(cluster: Cluster, domain: str):
    cluster.kubectl("apply", "-f", str(EXAMPLE / "deploy" / "flux" / "accounts.yaml"))
    here, there = f"domain-{domain}", "domain-hr" if domain == "claims" else "domain-claims"
    account = f"system:serviceaccount:{here}:policies"

    def writes(resource: str, namespace: str) -> bool:
        verbs = ("create", "patch", "delete")
        return any(cluster.may(account, verb, resource, namespace=namespace, group=GROUP) for verb in verbs)

    eventually(lambda: writes("accesspolicies", here))
    assert {resource for resource in ALL if writes(resource, here)} == {"accesspolicies", "tagbindings"}
    assert not any(writes(resource, namespace) for resource in ALL for namespace in (there, AGENTS, ""))
    for path in (EXAMPLE / "domains" / domain).glob("*.yaml"):
        cluster.kubectl("apply", "--server-side", "--dry-run=server", "-f", str(path), "--as", account)


def test_the_configuration_of_argo_cd_is_a_config_map_that_is_taken(cluster: Cluster):
    manifest = EXAMPLE / "deploy" / "argo-cd" / "argocd-cm.yaml"

    assert cluster.kubectl("create", "namespace", "argocd")
    assert "created" in cluster.kubectl("apply", "--dry-run=server", "-f", str(manifest))


@pytest.fixture(scope="module")
def owner(cluster: Cluster) -> str:
    """An admin of a namespace that is none of agents."""
    for role in ("admin", *aggregated(cluster, "admin")):
        cluster.bind("owner", role, ELSEWHERE)
    return "owner"


class TestANamespaceOfAgentsThatItsOwnerMakes:
    ROLES = ("rolevend-agent-namespace", "rolevend-api-agent-namespace")

    def binding(self, role: str, *subjects: dict[str, str], namespace: str = ELSEWHERE, name: str = "makes-it-one") -> Body:
        kind, place = ("RoleBinding", {"namespace": namespace}) if namespace else ("ClusterRoleBinding", {})
        reference = {"apiGroup": RBAC, "kind": "ClusterRole", "name": role}
        return {
            "apiVersion": f"{RBAC}/v1",
            "kind": kind,
            "metadata": {"name": name, **place},
            "roleRef": reference,
            "subjects": list(subjects),
        }

    def bind(self, cluster: Cluster, body: Body, user: str | None = None, *, dry_run: bool = True) -> Answer:
        namespace = body["metadata"].get("namespace")
        plural = f"namespaces/{namespace}/rolebindings" if namespace else "clusterrolebindings"
        return cluster.call("POST", f"/apis/{RBAC}/v1/{plural}{'?dryRun=All' if dry_run else ''}", body, user=user)

    @staticmethod
    def account(name: str, namespace: str = SYSTEM) -> dict[str, str]:
        return {"kind": "ServiceAccount", "name": name, "namespace": namespace}

    def test_is_served_until_the_bindings_are_deleted(self, cluster: Cluster, owner: str):
        served = (
            *((OPERATOR, verb, "secrets", "") for verb in ("get", "create", "delete")),
            *(
                (API, verb, plural, GROUP)
                for verb, plural in (("vend", "agents"), ("create", "vendedroles"), ("patch", "vendedroles/status"))
            ),
        )

        def may() -> list[bool]:
            return [cluster.may(user, verb, resource, namespace=ELSEWHERE, group=group) for user, verb, resource, group in served]

        assert not any(may())
        for role, name in zip(self.ROLES, ("rolevend", "rolevend-api"), strict=True):
            made = self.bind(cluster, self.binding(role, self.account(name), name=name), owner, dry_run=False)
            assert made.ok, made.message
        eventually(lambda: all(may()))
        assert not cluster.may(OPERATOR, "update", "secrets", namespace=ELSEWHERE)
        assert not cluster.may(API, "get", "secrets", namespace=ELSEWHERE)
        assert not cluster.may(OPERATOR, "get", "secrets", namespace="domain-hr")

        taken = self.binding(
            self.ROLES[1], self.account("rolevend-api"), {"apiGroup": RBAC, "kind": "User", "name": owner}, name="rolevend-api"
        )
        changed = cluster.call("PUT", f"/apis/{RBAC}/v1/namespaces/{ELSEWHERE}/rolebindings/rolevend-api", taken, user=owner)
        assert "is for the ServiceAccount rolevend-system/rolevend-api alone" in changed.message

        for name in ("rolevend", "rolevend-api"):
            assert cluster.call("DELETE", f"/apis/{RBAC}/v1/namespaces/{ELSEWHERE}/rolebindings/{name}", user=owner).ok
        eventually(lambda: not any(may()))

    @pytest.mark.parametrize("role", ROLES)
    @pytest.mark.parametrize(
        "subject",
        [
            {"kind": "ServiceAccount", "name": "finbot", "namespace": AGENTS},
            {"kind": "ServiceAccount", "name": "rolevend", "namespace": ELSEWHERE},
            {"kind": "ServiceAccount", "name": "default", "namespace": SYSTEM},
            {"apiGroup": RBAC, "kind": "User", "name": "owner"},
            {"apiGroup": RBAC, "kind": "User", "name": OPERATOR},
            {"apiGroup": RBAC, "kind": "Group", "name": "system:serviceaccounts"},
        ],
        ids=lambda subject: f"{subject['kind']}-{subject['name']}",
    )
    def test_lends_its_rights_to_nobody_else(self, cluster: Cluster, owner: str, role: str, subject: dict[str, str]):
        rightful = self.account("rolevend" if role == self.ROLES[0] else "rolevend-api")

        for user in (owner, None):
            for subjects in ((subject,), (rightful, subject)):
                refused = self.bind(cluster, self.binding(role, *subjects), user)
                assert refused.status == 403
                assert f"ClusterRole {role} is for the ServiceAccount rolevend-system/{rightful['name']} alone" in refused.message
        assert self.bind(cluster, self.binding(role, rightful), owner).ok

    def test_does_not_mix_the_rights_of_the_operator_and_of_the_api(self, cluster: Cluster, owner: str):
        for role, other in zip(self.ROLES, ("rolevend-api", "rolevend"), strict=True):
            assert self.bind(cluster, self.binding(role, self.account(other)), owner).status == 403

    @pytest.mark.parametrize("role", ROLES)
    def test_is_never_the_whole_cluster(self, cluster: Cluster, role: str):
        everywhere = self.binding(role, self.account("rolevend" if role == self.ROLES[0] else "rolevend-api"), namespace="")

        refused = self.bind(cluster, everywhere)

        assert refused.status == 403
        assert "is for a RoleBinding in a namespace of agents, not for the whole cluster" in refused.message

    @pytest.mark.parametrize("role", ROLES)
    def test_takes_no_other_account_in_later(self, cluster: Cluster, owner: str, role: str):
        """By none of the ways to change a binding, and in none that has no account yet."""
        mine = {"apiGroup": RBAC, "kind": "User", "name": owner}
        place = f"/apis/{RBAC}/v1/namespaces/{ELSEWHERE}/rolebindings"
        rightful = self.account("rolevend" if role == self.ROLES[0] else "rolevend-api")
        for name, subjects in (("filled", [rightful]), ("empty", [])):
            assert self.bind(cluster, self.binding(role, *subjects, name=name), owner, dry_run=False).ok
            added = [{"op": "add", "path": "/subjects", "value": [*subjects, mine]}]
            applied = self.binding(role, mine, name=name)
            attempts = [
                cluster.call("PATCH", f"{place}/{name}", {"subjects": [*subjects, mine]}, user=owner, content_type=MERGE_PATCH),
                cluster.call("PATCH", f"{place}/{name}", added, user=owner, content_type="application/json-patch+json"),
                cluster.call("PATCH", f"{place}/{name}?fieldManager=me&force=true", applied, user=owner, content_type=APPLY_PATCH),
                cluster.call(
                    "PATCH", f"{place}/new?fieldManager=me", {**applied, "metadata": {"name": "new"}}, user=owner, content_type=APPLY_PATCH
                ),
                cluster.call("POST", place, {**applied, "metadata": {"generateName": "new-"}}, user=owner),
            ]
            assert [each.status for each in attempts] == [403] * len(attempts)
            assert all("is for the ServiceAccount" in each.message for each in attempts)
            assert cluster.call("DELETE", f"{place}/{name}", user=owner).ok

    def test_gives_nothing_by_a_binding_that_is_older_than_the_policy(self, cluster: Cluster):
        """Helm creates the ClusterRoles first, and the API server takes up the policy seconds later: a binding of that time stays."""
        rules = cluster.call("GET", f"/apis/{RBAC}/v1/clusterroles/{self.ROLES[1]}").body["rules"]
        early = cluster.service_account("early", *rules, namespace=ELSEWHERE)
        of_all = "--resource=vendedroles.rolevend.dev/status,accessrequests.rolevend.dev/status"
        cluster.kubectl("create", "clusterrole", "writes-every-status", "--verb=patch", of_all)
        cluster.bind("drain", "writes-every-status")

        for body in (valid("VendedRole", "early", ELSEWHERE), valid("AccessRequest", "early", ELSEWHERE)):
            assert cluster.create(body).ok
            refused = cluster.patch(body, {"status": {"message": "anna"}}, user=early, subresource="status")
            assert refused.status == 403
            assert f"status: written by rolevend; {early} may not write it in every namespace" in refused.message
            for user in (OPERATOR, "drain", None):
                written = cluster.patch(body, {"status": {}}, user=user, subresource="status")
                assert written.ok, written.message
            cluster.patch(body, {"metadata": {"finalizers": None}})
            assert cluster.delete(body).ok

    def test_cannot_be_had_by_a_role_of_the_same_name(self, cluster: Cluster, owner: str):
        rules = cluster.call("GET", f"/apis/{RBAC}/v1/clusterroles/{self.ROLES[1]}").body["rules"]
        body = {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": {"name": self.ROLES[1], "namespace": ELSEWHERE}, "rules": rules}

        refused = cluster.call("POST", f"/apis/{RBAC}/v1/namespaces/{ELSEWHERE}/roles", body, user=owner)

        assert refused.status == 403
        assert "attempting to grant RBAC permissions not currently held" in refused.message

    def test_takes_an_owner_who_has_the_rights_on_secrets(self, cluster: Cluster):
        """Else somebody who may register agents could have the operator read Secrets that are not theirs."""
        cluster.bind("registrar", "rolevend-agent-owner", "domain-hr")
        cluster.kubectl("create", "role", "binder", "--namespace=domain-hr", "--verb=create", "--resource=rolebindings")
        cluster.kubectl("create", "rolebinding", "binder", "--namespace=domain-hr", "--role=binder", "--user=registrar")
        wanted = {role: self.account(name) for role, name in zip(self.ROLES, ("rolevend", "rolevend-api"), strict=True)}
        bodies = [self.binding(role, subject, namespace="domain-hr") for role, subject in wanted.items()]

        eventually(lambda: self.bind(cluster, bodies[1], "registrar").ok)
        refused = self.bind(cluster, bodies[0], "registrar")
        assert refused.status == 403
        assert "attempting to grant RBAC permissions not currently held" in refused.message

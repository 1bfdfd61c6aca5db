"""Who may create a VendedRole, and who may take our finalizer off."""

from collections.abc import Iterator

import pytest

from tests.support.installed import AGENTS, API, ELSEWHERE, OPERATOR, SYSTEM, Cluster
from tests.support.manifests import MISSING, changed, valid
from tests.support.waiting import eventually

CREATE = {"apiGroups": ["rolevend.dev"], "resources": ["vendedroles"], "verbs": ["create", "patch", "update", "get"]}
VEND = {"apiGroups": ["rolevend.dev"], "resources": ["agents"], "resourceNames": ["finbot"], "verbs": ["vend"]}
FINALIZER = "rolevend.dev/drop"
STAMP = "rolevend.dev/requested-by"
CALL = "rolevend.dev/request-id"
HANDLES = "rolevend.dev/handles"
RECORD = {"rolevend.dev/record": "0f3a"}


def named(name: str, **metadata: object) -> dict:
    body = valid("VendedRole", name)
    body["metadata"] |= metadata
    return body


class TestTheVerbVend:
    def test_whoever_lacks_it_is_refused_and_told_which_rule_is_missing(self, cluster: Cluster):
        creator = cluster.service_account("creator", CREATE)

        refused = cluster.create(named("unwanted"), user=creator)

        assert refused.status == 403
        assert f"spec.agentRef.name: {creator} may not vend for Agent finbot" in refused.message
        assert "{apiGroups: [rolevend.dev], resources: [agents], resourceNames: [finbot], verbs: [vend]}" in refused.message

    def test_whoever_has_it_is_let_in(self, cluster: Cluster):
        created = cluster.create(named("wanted"), user=cluster.service_account("finbot", CREATE, VEND))

        assert created.ok, created.message

    def test_it_is_for_one_agent_and_not_for_its_neighbour(self, cluster: Cluster):
        other = changed(named("neighbour"), "spec.agentRef.name", "otherbot")

        refused = cluster.create(other, user=cluster.service_account("finbot", CREATE, VEND))

        assert refused.status == 403
        assert "may not vend for Agent otherbot" in refused.message

    def test_it_is_for_one_namespace_and_not_for_others(self, cluster: Cluster):
        finbot = cluster.service_account("finbot", CREATE, VEND)
        cluster.kubectl("create", "clusterrole", "creator", "--verb=create", "--resource=vendedroles.rolevend.dev")
        cluster.bind(finbot, "creator", ELSEWHERE)

        refused = cluster.create(changed(named("abroad"), "metadata.namespace", "elsewhere"), user=finbot)

        assert refused.status == 403
        assert "in namespace elsewhere" in refused.message

    def test_the_charts_role_for_requesters_has_it(self, cluster: Cluster):
        cluster.bind("asker", "rolevend-requester", AGENTS)

        created = cluster.create(named("asked-by-role"), user="asker")

        assert created.ok, created.message


def answered(name: str) -> dict:
    """What the API makes: it hands the credential over itself."""
    return changed(changed(named(name), "spec.userTokenSecretRef", MISSING), "spec.delivery", "Response")


class TestObjectsThatShowARecordedRole:
    def test_the_operator_creates_them_and_no_others(self, cluster: Cluster):
        shown = changed(answered("of-a-record"), "metadata.labels", RECORD)

        assert cluster.create(shown, user=OPERATOR, dry_run=True).ok
        for other in (answered("of-a-record"), named("of-a-record")):
            refused = cluster.create(other, user=OPERATOR, dry_run=True)
            assert refused.status == 403
            assert "may not vend for Agent finbot" in refused.message or "would get none" in refused.message, "one of two policies answers"

    def test_nobody_else_creates_them(self, cluster: Cluster):
        shown = changed(answered("of-a-record"), "metadata.labels", RECORD)
        finbot = cluster.service_account("finbot", CREATE, VEND)

        for user, body in ((API, shown), (finbot, changed(named("of-a-record"), "metadata.labels", RECORD))):
            refused = cluster.create(body, user=user, dry_run=True)
            assert refused.status == 403
            assert "metadata.labels[rolevend.dev/record] is written by rolevend" in refused.message


class TestTheDelivery:
    def test_response_is_what_the_api_makes_for_an_agent_that_nobody_else_may_vend_for(self, cluster: Cluster):
        role = changed(answered("by-the-api"), "spec.agentRef.name", "otherbot")

        created = cluster.create(role, user=API)

        assert created.ok, created.message
        assert created.body["spec"]["delivery"] == "Response"
        assert created.body["metadata"]["annotations"][STAMP] == API
        assert created.body["metadata"]["finalizers"] == [FINALIZER]

    def test_with_the_finalizer_the_api_makes_it_as_it_is(self, cluster: Cluster):
        role = answered("by-the-api-as-it-is")
        role["metadata"]["finalizers"] = [FINALIZER]

        metadata = cluster.create(role, user=API).body["metadata"]

        assert metadata["finalizers"] == [FINALIZER]
        assert STAMP not in metadata.get("annotations", {})

    def test_an_agents_own_account_does_not_get_it_whatever_it_may_vend(self, cluster: Cluster):
        finbot = cluster.service_account("finbot", CREATE, VEND)

        refused = cluster.create(answered("by-the-agent"), user=finbot)

        assert refused.status == 403
        assert "spec.delivery: Response is for the API alone, which answers with the credential" in refused.message
        assert f"{finbot} would get none: ask the API, or leave delivery out" in refused.message

    def test_nor_does_an_administrator(self, cluster: Cluster):
        refused = cluster.create(answered("by-the-administrator"))

        assert refused.status == 403
        assert "for the API alone" in refused.message

    def test_nobody_passes_for_the_api_from_another_namespace(self, cluster: Cluster):
        namesake = cluster.service_account("rolevend-api", CREATE, VEND)

        assert cluster.create(answered("by-a-namesake"), user=namesake).status == 403

    @pytest.mark.parametrize("delivery", ["Secret", MISSING], ids=str)
    def test_the_api_makes_no_other_and_so_puts_no_credential_anywhere(self, cluster: Cluster, delivery: object):
        refused = cluster.create(changed(answered("kept"), "spec.delivery", delivery), user=API)

        assert refused.status == 403
        assert "spec.delivery: the API makes VendedRoles with delivery Response, and writes no other's status" in refused.message

    def test_the_api_makes_none_in_a_namespace_that_is_not_for_agents(self, cluster: Cluster):
        refused = cluster.create(changed(answered("abroad"), "metadata.namespace", ELSEWHERE), user=API)

        assert refused.status == 403
        assert "forbidden" in refused.message

    def test_one_is_not_made_of_the_other(self, cluster: Cluster):
        finbot = cluster.service_account("finbot", CREATE, VEND)
        role = changed(named("turned"), "spec.userTokenSecretRef", MISSING)
        assert cluster.create(role, user=finbot).ok

        refused = cluster.patch(role, {"spec": {"delivery": "Response"}}, user=finbot)

        assert refused.status == 422
        assert "spec is immutable" in refused.message

    def test_the_api_reports_on_it_and_deletes_it_and_does_not_take_our_finalizer_off(self, cluster: Cluster):
        role = answered("reported")
        assert cluster.create(role, user=API).ok

        assert cluster.patch(role, {"status": {"ended": {"reason": "Released"}}}, user=API, subresource="status").ok
        assert cluster.patch(role, {"metadata": {"finalizers": []}}, user=API).status == 403
        assert cluster.delete(role, user=API).ok
        assert cluster.read(role).ok, "the finalizer keeps it until the operator has looked"

    def test_the_api_says_of_no_other_that_its_user_is_proven(self, cluster: Cluster):
        finbot = cluster.service_account("finbot", CREATE, VEND)
        role = named("asserted")
        assert cluster.create(role, user=finbot).ok
        proven = {"status": {"user": {"handle": "ANNA", "proof": "Token"}}}

        refused = cluster.patch(role, proven, user=API, subresource="status")

        assert refused.status == 403
        assert "writes no other's status" in refused.message
        assert cluster.patch(role, proven, user=OPERATOR, subresource="status").ok, "the operator does"

    def test_the_operator_reports_on_the_apis_roles_too(self, cluster: Cluster):
        role = answered("both-report")
        assert cluster.create(role, user=API).ok

        assert cluster.patch(role, {"status": {"roleName": "IMMUTA_VENDED_X"}}, user=OPERATOR, subresource="status").ok

    def test_closing_closes_the_api_too(self, cluster: Cluster):
        name = "rolevend-closed"
        kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name}}
        try:
            cluster.kubectl("create", "-f", "-", body={**kind, "spec": {"policyName": name, "validationActions": ["Deny"]}})

            eventually(lambda: "vending is closed" in cluster.create(answered("closed"), user=API, dry_run=True).message)
        finally:
            cluster.kubectl("delete", "validatingadmissionpolicybinding", name)
            eventually(lambda: cluster.create(answered("closed"), user=API, dry_run=True).ok)


@pytest.mark.long
class TestWithoutTheApi:
    """Where it is switched off its name is nobody's: whoever makes such an account gets nothing by it."""

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def switched_off(cls, cluster: Cluster) -> Iterator[None]:
        cluster.upgrade("api.enabled=false")
        namesake = cluster.service_account("rolevend-api", CREATE, VEND, namespace=SYSTEM)
        role = changed(answered("probe"), "metadata.namespace", SYSTEM)
        eventually(lambda: "for the API alone" in cluster.create(role, user=namesake, dry_run=True).message)
        yield
        cluster.kubectl("delete", "role,rolebinding", "rolevend-api", "--namespace", SYSTEM)
        cluster.upgrade("api.enabled=true")
        eventually(lambda: cluster.create(answered("probe"), user=API, dry_run=True).ok)

    def test_nobody_makes_a_role_whose_credential_nobody_keeps(self, cluster: Cluster):
        for user in (API, None):
            assert cluster.create(changed(answered("nobodys"), "metadata.namespace", SYSTEM), user=user).status == 403

    def test_its_account_is_like_any_other(self, cluster: Cluster):
        eventually(lambda: cluster.create(changed(named("plain"), "metadata.namespace", SYSTEM), user=API, dry_run=True).ok)
        for verb, resource in (("vend", "agents"), ("create", "vendedroles"), ("patch", "vendedroles/status")):
            eventually(lambda verb=verb, resource=resource: not cluster.may(API, verb, resource, namespace=AGENTS, group="rolevend.dev"))


class TestWhoAsked:
    def test_it_is_written_down_and_the_finalizer_is_there_from_the_start(self, cluster: Cluster):
        finbot = cluster.service_account("finbot", CREATE, VEND)

        metadata = cluster.create(named("stamped"), user=finbot).body["metadata"]

        assert metadata["annotations"][STAMP] == finbot
        assert metadata["finalizers"] == [FINALIZER]

    def test_what_the_object_had_already_stays(self, cluster: Cluster):
        body = named("mixed", annotations={"note": "mine"}, finalizers=["example.org/other"])

        metadata = cluster.create(body, dry_run=True).body["metadata"]

        assert metadata["annotations"]["note"] == "mine"
        assert sorted(metadata["finalizers"]) == ["example.org/other", FINALIZER]

    def test_nobody_passes_for_somebody_else(self, cluster: Cluster):
        finbot = cluster.service_account("finbot", CREATE, VEND)

        metadata = cluster.create(named("forged", annotations={STAMP: "system:admin"}), user=finbot).body["metadata"]

        assert metadata["annotations"][STAMP] == finbot

    @pytest.mark.parametrize("forged", ["system:admin", None])
    def test_nobody_changes_it_afterwards(self, cluster: Cluster, forged: str | None):
        finbot = cluster.service_account("finbot", CREATE, VEND)
        role = named(f"kept-{str(forged)[:4].lower()}")
        assert cluster.create(role, user=finbot).ok

        refused = cluster.patch(role, {"metadata": {"annotations": {STAMP: forged}}}, user=finbot)

        assert refused.status == 403
        assert STAMP in refused.message

    @pytest.mark.parametrize("kept", [CALL, HANDLES])
    @pytest.mark.parametrize("another", ["b", None])
    def test_the_call_that_made_it_and_the_name_of_its_role_are_not_changed_afterwards(
        self, cluster: Cluster, kept: str, another: str | None
    ):
        role = named(f"{kept.partition('/')[2]}-{another or 'never'}", annotations={CALL: "a", HANDLES: "a"})
        assert cluster.create(role).ok

        refused = cluster.patch(role, {"metadata": {"annotations": {kept: another}}})

        assert refused.status == 403
        assert kept in refused.message

    def test_other_annotations_may_change(self, cluster: Cluster):
        role = named("annotated")
        assert cluster.create(role).ok

        assert cluster.patch(role, {"metadata": {"annotations": {"note": "mine"}, "labels": {"task": "t1"}}}).ok


class TestGit:
    @pytest.mark.parametrize(
        "metadata",
        [
            {"annotations": {"argocd.argoproj.io/tracking-id": "app:rolevend.dev/VendedRole:agents/x"}},
            {"labels": {"argocd.argoproj.io/instance": "app"}},
            {"labels": {"kustomize.toolkit.fluxcd.io/name": "app"}},
            {"labels": {"helm.toolkit.fluxcd.io/name": "app"}},
        ],
        ids=lambda metadata: next(iter(next(iter(metadata.values())))),
    )
    def test_a_vended_role_that_git_would_make_anew_is_refused(self, cluster: Cluster, metadata: dict):
        refused = cluster.create(named("from-git", **metadata), dry_run=True)

        assert refused.status == 422
        assert "Argo CD or Flux" in refused.message

    def test_it_cannot_be_adopted_afterwards(self, cluster: Cluster):
        role = named("adopted")
        assert cluster.create(role).ok

        refused = cluster.patch(role, {"metadata": {"labels": {"argocd.argoproj.io/instance": "app"}}})

        assert "Argo CD or Flux" in refused.message

    def test_policies_may_come_from_git(self, cluster: Cluster):
        policy = valid("AccessPolicy", "from-git")
        policy["metadata"]["annotations"] = {"argocd.argoproj.io/tracking-id": "app"}

        assert cluster.create(policy, dry_run=True).ok


class TestTheFinalizer:
    def test_a_stranger_cannot_take_it_off(self, cluster: Cluster):
        finbot = cluster.service_account("finbot", CREATE, VEND)
        role = named("held")
        assert cluster.create(role, user=finbot).ok

        refused = cluster.patch(role, {"metadata": {"finalizers": None}}, user=finbot)

        assert refused.status == 403
        assert f"metadata.finalizers: {FINALIZER} is taken off by rolevend" in refused.message
        assert "verb breakglass on vendedroles held" in refused.message

    def test_other_finalizers_are_none_of_our_business(self, cluster: Cluster):
        finbot = cluster.service_account("finbot", CREATE, VEND)
        role = named("others", finalizers=["example.org/other"])
        assert cluster.create(role, user=finbot).ok

        assert cluster.patch(role, {"metadata": {"finalizers": [FINALIZER]}}, user=finbot).ok

    def test_the_operator_takes_it_off_and_a_deleted_object_is_gone(self, cluster: Cluster):
        role = named("dropped")
        assert cluster.create(role).ok
        assert cluster.delete(role, user=OPERATOR).ok
        assert cluster.read(role).ok, "the finalizer keeps it"

        assert cluster.patch(role, {"metadata": {"finalizers": []}}, user=OPERATOR).ok

        assert cluster.read(role).status == 404

    def test_breaking_the_glass_is_a_right_of_its_own(self, cluster: Cluster):
        cluster.bind("responder", "rolevend-breakglass", AGENTS)
        role = named("stuck")
        assert cluster.create(role).ok

        assert cluster.patch(role, {"metadata": {"finalizers": []}}, user="responder").ok

    def test_a_platform_is_held_the_same_way(self, cluster: Cluster):
        platform = valid("DataPlatform", "held")
        platform["metadata"]["finalizers"] = [FINALIZER]
        assert cluster.create(platform).ok
        cluster.bind("platformer", "rolevend-platform-admin")

        refused = cluster.patch(platform, {"metadata": {"finalizers": []}}, user="platformer")

        assert refused.status == 403
        assert "verb breakglass on dataplatforms held" in refused.message
        assert cluster.patch(platform, {"metadata": {"finalizers": []}}, user=OPERATOR).ok


@pytest.mark.long
class TestAnOlderCluster:
    """Before 1.36 nothing stamps an object, so what it says of itself must be true or absent."""

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def without_mutation(cls, cluster: Cluster) -> Iterator[None]:
        probe = named("unstamped-probe")
        cluster.upgrade("admission.mutate=false")
        eventually(lambda: "finalizers" not in cluster.create(probe, dry_run=True).body["metadata"])
        yield
        cluster.upgrade("admission.mutate=true")
        eventually(lambda: "finalizers" in cluster.create(probe, dry_run=True).body["metadata"])

    def test_nobody_passes_for_somebody_else(self, cluster: Cluster):
        finbot = cluster.service_account("finbot", CREATE, VEND)

        refused = cluster.create(named("passes", annotations={STAMP: "system:admin"}), user=finbot)

        assert refused.status == 403
        assert STAMP in refused.message
        assert cluster.create(named("honest", annotations={STAMP: finbot}), user=finbot).ok
        assert cluster.create(named("silent"), user=finbot).ok

    def test_nobody_signs_for_somebody_else_afterwards(self, cluster: Cluster):
        finbot = cluster.service_account("finbot", CREATE, VEND)
        role = named("unsigned")
        assert cluster.create(role, user=finbot).ok

        refused = cluster.patch(role, {"metadata": {"annotations": {STAMP: "system:admin"}}}, user=finbot)

        assert refused.status == 403

    def test_the_operator_adds_the_finalizer_by_a_patch(self, cluster: Cluster):
        role = named("patched")
        assert cluster.create(role).ok

        patched = cluster.patch(role, {"metadata": {"finalizers": [FINALIZER]}}, user=OPERATOR)

        assert patched.body["metadata"]["finalizers"] == [FINALIZER]

"""Who may create a VendedRole, and who may take our finalizer off."""

from collections.abc import Iterator

import pytest

from tests.support.installed import AGENTS, CHART, ELSEWHERE, OPERATOR, SYSTEM, Cluster
from tests.support.manifests import changed, valid
from tests.support.waiting import eventually

CREATE = {"apiGroups": ["rolevend.dev"], "resources": ["vendedroles"], "verbs": ["create", "patch", "update", "get"]}
VEND = {"apiGroups": ["rolevend.dev"], "resources": ["agents"], "resourceNames": ["finbot"], "verbs": ["vend"]}
FINALIZER = "rolevend.dev/drop"
STAMP = "rolevend.dev/requested-by"
CALL = "rolevend.dev/request-id"


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

    @pytest.mark.parametrize("another", ["call-2", None])
    def test_the_call_that_made_it_is_not_changed_afterwards(self, cluster: Cluster, another: str | None):
        role = named(f"called-{another or 'never'}", annotations={CALL: "call-1"})
        assert cluster.create(role).ok

        refused = cluster.patch(role, {"metadata": {"annotations": {CALL: another}}})

        assert refused.status == 403
        assert CALL in refused.message

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


class TestAnOlderCluster:
    """Before 1.36 nothing stamps an object, so what it says of itself must be true or absent."""

    @pytest.fixture(autouse=True)
    def without_mutation(self, cluster: Cluster) -> Iterator[None]:
        probe = named("unstamped-probe")
        self._upgrade(cluster, "admission.mutate=false")
        eventually(lambda: "finalizers" not in cluster.create(probe, dry_run=True).body["metadata"])
        yield
        self._upgrade(cluster, "admission.mutate=true")
        eventually(lambda: "finalizers" in cluster.create(probe, dry_run=True).body["metadata"])

    @staticmethod
    def _upgrade(cluster: Cluster, setting: str) -> None:
        done = cluster.helm("upgrade", "rolevend", str(CHART), "--namespace", SYSTEM, "--reuse-values", "--set", setting)
        assert done.returncode == 0, done.stderr

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

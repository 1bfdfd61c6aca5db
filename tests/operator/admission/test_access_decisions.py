"""Who may decide on requests for an offer, and in whose name."""

import json
from collections.abc import Iterator

import pytest

from tests.support.installed import AGENTS, API, ELSEWHERE, OPERATOR, SYSTEM, Body, Cluster
from tests.support.manifests import MISSING, changed, valid
from tests.support.waiting import eventually

DOMAIN = "domain-claims"
ALICE, BOB = "alice@example.org", "bob@example.org"
GROUPS = "rolevend.dev/approver-groups"
VOTE = {"apiGroups": ["rolevend.dev"], "resources": ["accessdecisions"], "verbs": ["create", "patch"]}
APPROVE = {"apiGroups": ["rolevend.dev"], "resources": ["accesspolicies"], "resourceNames": ["ssn-clear"], "verbs": ["approve"]}
ROBOT = APPROVE | {"verbs": ["approve-as-robot"]}


def vote(name: str, by: str, namespace: str = DOMAIN, **metadata: object) -> Body:
    body = changed(valid("AccessDecision", name, namespace), "spec.by", by)
    body["metadata"] |= metadata
    return body


@pytest.fixture(scope="module", autouse=True)
def _approvers(cluster: Cluster) -> None:
    for person in (ALICE, BOB):
        cluster.bind(person, "rolevend-approver", DOMAIN)


def may(cluster: Cluster, person: str, *rules: Body, name: str) -> str:
    """A person with a Role of these rules in the domain's namespace."""
    place = {"name": name, "namespace": DOMAIN}
    api = "rbac.authorization.k8s.io"
    role = {"apiVersion": f"{api}/v1", "kind": "Role", "metadata": place, "rules": list(rules)}
    subjects = [{"apiGroup": api, "kind": "User", "name": person}]
    reference = {"apiGroup": api, "kind": "Role", "name": name}
    binding = {"apiVersion": f"{api}/v1", "kind": "RoleBinding", "metadata": place, "roleRef": reference, "subjects": subjects}
    cluster.kubectl("apply", "-f", "-", body={"apiVersion": "v1", "kind": "List", "items": [role, binding]})
    eventually(lambda: cluster.may(person, "create", "accessdecisions", namespace=DOMAIN, group="rolevend.dev"))
    return person


class TestTheVerbApprove:
    def test_an_approver_of_the_chart_votes(self, cluster: Cluster):
        created = cluster.create(vote("by-alice", ALICE), user=ALICE)

        assert created.ok, created.message

    def test_without_it_nobody_votes_and_the_missing_rule_is_named(self, cluster: Cluster):
        carol = may(cluster, "carol", VOTE, name="votes-only")

        refused = cluster.create(vote("unwanted", carol), user=carol)

        assert refused.status == 403
        assert "spec.offerRef.name: carol may not decide on AccessPolicy ssn-clear" in refused.message
        assert "{apiGroups: [rolevend.dev], resources: [accesspolicies], resourceNames: [ssn-clear], verbs: [approve]}" in refused.message

    def test_it_is_for_one_offer_and_not_for_its_neighbour(self, cluster: Cluster):
        dave = may(cluster, "dave", VOTE, APPROVE, name="one-offer")

        assert cluster.create(vote("of-dave", dave), user=dave, dry_run=True).ok
        refused = cluster.create(changed(vote("of-dave", dave), "spec.offerRef.name", "iban-clear"), user=dave, dry_run=True)
        assert refused.status == 403
        assert "may not decide on AccessPolicy iban-clear" in refused.message

    @pytest.mark.parametrize("namespace", [AGENTS, ELSEWHERE])
    def test_it_is_for_one_namespace_and_not_for_others(self, cluster: Cluster, namespace: str):
        assert cluster.create(vote("abroad", ALICE, namespace), user=ALICE, dry_run=True).status == 403

    def test_a_requester_has_it_not(self, cluster: Cluster):
        cluster.bind("asker", "rolevend-requester", AGENTS)

        assert cluster.create(vote("by-asker", "asker", AGENTS), user="asker", dry_run=True).status == 403


class TestTheApprover:
    def test_nobody_votes_for_somebody_else(self, cluster: Cluster):
        refused = cluster.create(vote("forged", BOB), user=ALICE)

        assert refused.status == 403
        assert f"spec.by: an AccessDecision is the vote of its creator; write {ALICE}, or let {BOB} create it" in refused.message

    def test_nor_does_an_administrator(self, cluster: Cluster):
        assert "is the vote of its creator" in cluster.create(vote("by-the-administrator", ALICE)).message

    def test_a_vote_is_not_changed_afterwards(self, cluster: Cluster):
        body = changed(vote("firm", "erin"), "spec.digest", MISSING)
        body["spec"] = {key: value for key, value in body["spec"].items() if key in ("requestRef", "offerRef", "by")} | {"verdict": "Deny"}
        erin = may(cluster, "erin", VOTE, APPROVE, name="patches")
        assert cluster.create(body, user=erin).ok

        refused = cluster.patch(body, {"spec": {"verdict": "Approve", "digest": f"sha256:{'0' * 64}"}}, user=erin)

        assert refused.status == 422
        assert "spec is immutable: delete this AccessDecision and create another one" in refused.message

    def test_no_service_account_votes_as_an_agent_could(self, cluster: Cluster):
        finbot = cluster.service_account("finbot", VOTE, APPROVE, namespace=DOMAIN)

        refused = cluster.create(vote("by-finbot", finbot), user=finbot)

        assert refused.status == 403
        assert f"spec.by: {finbot} is a ServiceAccount, and a person decides" in refused.message
        assert "would need the verb approve-as-robot on AccessPolicy ssn-clear" in refused.message

    def test_a_robot_with_a_verb_of_its_own_votes_and_needs_approve_too(self, cluster: Cluster):
        robot = cluster.service_account("ticket-robot", VOTE, APPROVE, ROBOT, namespace=DOMAIN)
        half = cluster.service_account("half-robot", VOTE, ROBOT, namespace=DOMAIN)

        assert cluster.create(vote("by-robot", robot), user=robot).ok
        assert "may not decide on" in cluster.create(vote("by-half", half), user=half).message

    @pytest.mark.parametrize("user", [OPERATOR, API, f"system:serviceaccount:{SYSTEM}:rolevend-mcp"])
    def test_rolevend_itself_never_votes_whatever_it_is_given(self, cluster: Cluster, user: str):
        name = user.rpartition(":")[2]
        may(cluster, user, VOTE, APPROVE, ROBOT, name=f"too-generous-{name}")
        try:
            refused = cluster.create(vote(f"by-{name}", user), user=user)

            assert refused.status == 403
            assert "is a ServiceAccount, and a person decides" in refused.message
        finally:
            cluster.kubectl("delete", "role,rolebinding", f"too-generous-{name}", "--namespace", DOMAIN)

    def test_an_approver_deletes_a_vote_which_revokes_it_and_a_requester_does_not(self, cluster: Cluster):
        cluster.bind("asker", "rolevend-requester", DOMAIN)
        for name, user in (("revoked-by-its-author", ALICE), ("revoked-by-another", BOB)):
            body = vote(name, ALICE)
            assert cluster.create(body, user=ALICE).ok

            assert cluster.delete(body, user="asker").status == 403
            assert cluster.delete(body, user=user).ok
            assert cluster.read(body).status == 404


class TestTheGroupsOfAnApprover:
    def test_they_are_written_down(self, cluster: Cluster):
        created = cluster.create(vote("grouped", ALICE), user=ALICE, group="data-owners")

        assert json.loads(created.body["metadata"]["annotations"][GROUPS]) == ["data-owners", "system:authenticated"]

    @pytest.mark.parametrize("group", ['of "quotes"', "back\\slash", '\\"', "a,b", "[]"])
    def test_a_group_with_a_strange_name_is_one_group(self, cluster: Cluster, group: str):
        created = cluster.create(vote("strange", ALICE), user=ALICE, group=group, dry_run=True)

        assert json.loads(created.body["metadata"]["annotations"][GROUPS]) == [group, "system:authenticated"]

    def test_nobody_passes_for_a_member_of_another_group_and_other_annotations_stay(self, cluster: Cluster):
        body = vote("member", ALICE, annotations={GROUPS: '["system:masters"]', "note": "mine"})

        annotations = cluster.create(body, user=ALICE, dry_run=True).body["metadata"]["annotations"]

        assert json.loads(annotations[GROUPS]) == ["system:authenticated"]
        assert annotations["note"] == "mine"

    @pytest.mark.parametrize("forged", ['["system:masters"]', None])
    def test_nobody_changes_them_afterwards(self, cluster: Cluster, forged: str | None):
        frank = may(cluster, "frank", VOTE, APPROVE, name="frank")
        body = vote(f"kept-{'less' if forged is None else 'more'}", frank)
        assert cluster.create(body, user=frank).ok

        refused = cluster.patch(body, {"metadata": {"annotations": {GROUPS: forged}}}, user=frank)

        assert refused.status == 403
        assert f"metadata.annotations[{GROUPS}] is written by the API server; leave it out" in refused.message
        assert cluster.patch(body, {"metadata": {"annotations": {"note": "mine"}}}, user=frank).ok


@pytest.mark.long
class TestAnOlderCluster:
    """Before 1.36 nothing stamps an object, so what a vote says of its author must be true or absent."""

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def without_mutation(cls, cluster: Cluster) -> Iterator[None]:
        def stamped() -> bool:
            return GROUPS in cluster.create(vote("probe", ALICE), user=ALICE, dry_run=True).body["metadata"].get("annotations", {})

        cluster.upgrade("admission.mutate=false")
        eventually(lambda: not stamped())
        yield
        cluster.upgrade("admission.mutate=true")
        eventually(stamped)

    def test_nobody_passes_for_a_member_of_another_group(self, cluster: Cluster):
        refused = cluster.create(vote("passes", ALICE, annotations={GROUPS: '["system:masters"]'}), user=ALICE, dry_run=True)

        assert refused.status == 403
        assert GROUPS in refused.message

    def test_an_honest_vote_and_a_silent_one_are_taken(self, cluster: Cluster):
        honest = vote("honest", ALICE, annotations={GROUPS: '["data-owners", "system:authenticated"]'})

        assert cluster.create(honest, user=ALICE, group="data-owners", dry_run=True).ok
        assert cluster.create(vote("silent", ALICE), user=ALICE, dry_run=True).ok

"""Who may ask for an offer, and what the API may write down of that."""

import pytest

from tests.support.installed import AGENTS, API, ELSEWHERE, OPERATOR, Answer, Body, Cluster
from tests.support.manifests import MISSING, changed, valid

STAMP = "rolevend.dev/requested-by"
WITHDRAWN = "rolevend.dev/withdrawn-by"
ASK = {"apiGroups": ["rolevend.dev"], "resources": ["accessrequests"], "verbs": ["create", "patch", "get"]}
VEND = {"apiGroups": ["rolevend.dev"], "resources": ["agents"], "resourceNames": ["finbot"], "verbs": ["vend"]}
USE = {"roleUid": "6f1c0a9e-1f2d-4c3b-8a59-0d1e2f3a4b5c", "roleName": "ask", "at": "2030-01-01T12:00:00Z"}
NOTIFIED = {"receiver": "oncall", "event": "Pending", "state": "Delivered", "attempts": 1, "at": "2020-01-01T00:00:00Z"}
OTHER_USE = USE | {"roleUid": "0d1e2f3a-1f2d-4c3b-8a59-6f1c0a9e4b5c"}
APPROVAL = {
    "decidedAt": "2030-01-01T11:00:00Z",
    "claimUntil": "2030-01-01T12:00:00Z",
    "expirationSeconds": 600,
    "rule": "small",
}


DIGEST = f"sha256:{'1' * 64}"
ANSWER = {
    "verdict": "Refuse",
    "at": "2030-01-01T11:00:00Z",
    "digest": DIGEST,
    "login": {"provider": "workforce", "tokenDigest": "0" * 64},
}


def asked(name: str, **metadata: object) -> Body:
    body = valid("AccessRequest", name)
    body["metadata"] |= metadata
    return body


def by_the_api(name: str) -> Body:
    return changed(changed(asked(name), "spec.userTokenSecretRef", MISSING), "spec.delivery", "Response")


class TestTheRequester:
    def test_it_needs_the_verb_vend_on_the_agent(self, cluster: Cluster):
        asker = cluster.service_account("asks-without", ASK)

        refused = cluster.create(asked("unwanted"), user=asker)

        assert refused.status == 403
        assert f"spec.agentRef.name: {asker} may not vend for Agent finbot" in refused.message

    def test_with_it_the_request_is_let_in_and_says_who_asked(self, cluster: Cluster):
        finbot = cluster.service_account("finbot", ASK, VEND)

        metadata = cluster.create(asked("wanted", annotations={STAMP: "system:admin"}), user=finbot).body["metadata"]

        assert metadata["annotations"][STAMP] == finbot
        assert "finalizers" not in metadata

    def test_the_charts_role_for_requesters_has_it(self, cluster: Cluster):
        cluster.bind("asker", "rolevend-requester", AGENTS)

        created = cluster.create(asked("asked-by-role"), user="asker")

        assert created.ok, created.message
        assert cluster.delete(asked("asked-by-role"), user="asker").status == 403, "limits are counted from what exists"

    @pytest.mark.parametrize("forged", ["system:admin", None])
    def test_nobody_changes_who_asked(self, cluster: Cluster, forged: str | None):
        finbot = cluster.service_account("finbot", ASK, VEND)
        request = asked(f"kept-{str(forged)[:4].lower()}")
        assert cluster.create(request, user=finbot).ok

        refused = cluster.patch(request, {"metadata": {"annotations": {STAMP: forged}}}, user=finbot)

        assert refused.status == 403
        assert STAMP in refused.message

    def test_a_request_that_git_would_repeat_is_refused(self, cluster: Cluster):
        tracked = asked("from-git", annotations={"argocd.argoproj.io/tracking-id": "app"})

        assert "a VendedRole or AccessRequest that Argo CD or Flux tracks" in cluster.create(tracked, dry_run=True).message

    def test_nobody_approves_by_the_status(self, cluster: Cluster):
        finbot = cluster.service_account("finbot", ASK, VEND)
        request = asked("self-approved")
        assert cluster.create(request, user=finbot).ok
        approved = {"status": {"state": "Approved", "approval": APPROVAL}}

        cluster.bind("approver", "rolevend-approver", AGENTS)
        for user in (finbot, "approver"):
            assert cluster.patch(request, approved, user=user, subresource="status").status == 403
        created = cluster.create({**asked("born-approved"), **approved}, user=finbot)
        assert "state" not in created.body["status"]
        assert cluster.patch(request, approved, user=OPERATOR, subresource="status").ok, "the operator does"

    @pytest.mark.parametrize("user", ["the-agent", None], ids=["agent", "administrator"])
    def test_response_is_for_the_api_alone(self, cluster: Cluster, user: str | None):
        asker = cluster.service_account("finbot", ASK, VEND) if user else None

        delivery = cluster.create(by_the_api("response"), user=asker, dry_run=True)

        assert delivery.status == 403
        assert "spec.delivery: Response is for the API alone" in delivery.message


class TestTheApi:
    def test_it_asks_for_every_agent(self, cluster: Cluster):
        created = cluster.create(changed(by_the_api("of-another"), "spec.agentRef.name", "otherbot"), user=API)

        assert created.ok, created.message
        assert STAMP not in created.body["metadata"].get("annotations", {})

    def test_it_makes_no_other_and_none_elsewhere(self, cluster: Cluster):
        refused = cluster.create(asked("secret"), user=API)

        assert refused.status == 403
        assert "spec.delivery: the API makes AccessRequests with delivery Response" in refused.message
        assert cluster.create(changed(by_the_api("abroad"), "metadata.namespace", ELSEWHERE), user=API).status == 403

    def test_it_records_one_use_after_the_other_and_takes_none_away(self, cluster: Cluster):
        request = approved(cluster, "used")

        assert written(cluster, request, {"uses": [USE]}).ok
        assert written(cluster, request, {"uses": [USE, OTHER_USE]}).ok
        for uses in ([], [OTHER_USE], [USE | {"roleName": "other"}, OTHER_USE]):
            refused = written(cluster, request, {"uses": uses})
            assert refused.status == 403
            assert "status.uses: the API adds one use at a time" in refused.message

    def test_it_records_no_two_uses_at_once_and_none_of_what_nobody_approved(self, cluster: Cluster):
        request = approved(cluster, "twice")
        pending = opened(cluster, "undecided")

        assert "adds one use at a time" in written(cluster, request, {"uses": [USE, OTHER_USE]}).message
        assert "to an approved AccessRequest" in written(cluster, pending, {"uses": [USE]}).message

    @pytest.mark.parametrize(
        "status",
        [
            {"state": "Approved"},
            {"approval": APPROVAL},
            {"state": "Used", "uses": [USE]},
            {"state": "Denied"},
            {"user": {"handle": "ANNA", "proof": "Token"}},
            {"reason": "CoolDown"},
            {"message": "approved"},
            {"stateSince": "2020-01-01T00:00:00Z"},
            {"notifications": [NOTIFIED]},
        ],
        ids=lambda status: "-".join(status),
    )
    def test_it_decides_nothing(self, cluster: Cluster, status: Body):
        request = opened(cluster, f"undecided-{'-'.join(status).lower()}-{status.get('state', 'none').lower()}")

        refused = written(cluster, request, status)

        assert refused.status == 403
        assert "status: the operator alone decides on an AccessRequest" in refused.message

    def test_it_records_the_answer_of_the_user_once(self, cluster: Cluster):
        request = awaiting_user(cluster, "answered")

        assert written(cluster, request, {"confirmation": ANSWER}).ok
        for other in (ANSWER | {"verdict": "Confirm", "text": "of course"}, None):
            refused = written(cluster, request, {"confirmation": other})
            assert refused.status == 403
            assert "the API writes the answer of the user once" in refused.message

    def test_it_records_no_answer_about_something_else_and_none_that_nobody_waits_for(self, cluster: Cluster):
        request, other = awaiting_user(cluster, "another-effect"), opened(cluster, "not-asked")

        for answer in (ANSWER | {"digest": f"sha256:{'2' * 64}"}, ANSWER | {"login": None}):
            assert not written(cluster, request, {"confirmation": answer}).ok
        assert "while the AccessRequest waits for it" in written(cluster, other, {"confirmation": ANSWER}).message
        assert "the operator alone decides" in written(cluster, request, {"confirmation": ANSWER, "state": "Approved"}).message

    def test_nobody_but_the_api_answers_for_the_user(self, cluster: Cluster):
        finbot, request = cluster.service_account("finbot", ASK, VEND), awaiting_user(cluster, "self-answered")
        cluster.bind("approver", "rolevend-approver", AGENTS)

        for user in (finbot, "approver"):
            assert cluster.patch(request, {"status": {"confirmation": ANSWER}}, user=user, subresource="status").status == 403

    def test_it_does_not_make_an_approval_longer(self, cluster: Cluster):
        request = approved(cluster, "longer")

        refused = written(cluster, request, {"approval": APPROVAL | {"expirationSeconds": 86400}})

        assert "the operator alone decides" in refused.message

    def test_of_a_request_that_an_agent_made_with_kubectl_it_records_a_use_and_decides_nothing(self, cluster: Cluster):
        finbot = cluster.service_account("finbot", ASK, VEND)
        request = asked("of-an-agent")
        assert cluster.create(request, user=finbot).ok

        for status in ({"user": {"handle": "ANNA", "proof": "Token"}}, {"state": "Approved"}, {"approval": APPROVAL}):
            refused = written(cluster, request, status)
            assert refused.status == 403
            assert "the operator alone decides" in refused.message
        assert "to an approved AccessRequest" in written(cluster, request, {"uses": [USE]}).message
        assert cluster.patch(request, {"status": {"state": "Approved", "approval": APPROVAL}}, user=OPERATOR, subresource="status").ok
        assert written(cluster, request, {"uses": [USE]}).ok

    def test_it_withdraws_once_and_changes_nothing_else(self, cluster: Cluster):
        request = opened(cluster, "withdrawn")

        for metadata in ({"labels": {"a": "b"}}, {"finalizers": ["example.org/stay"]}, {"annotations": {"a": "b"}}):
            refused = cluster.patch(request, {"metadata": metadata}, user=API)
            assert refused.status == 403
            assert "the API writes the annotation rolevend.dev/withdrawn-by alone" in refused.message
        for _ in range(2):
            assert cluster.patch(request, {"metadata": {"annotations": {WITHDRAWN: "agent agents/finbot"}}}, user=API).ok
        for value in ("agent agents/otherbot", None):
            again = cluster.patch(request, {"metadata": {"annotations": {WITHDRAWN: value}}}, user=API)
            assert again.status == 403
            assert "withdrawn-by] is written once, by the API" in again.message

    @pytest.mark.parametrize("user", ["finbot", None, OPERATOR], ids=["agent", "administrator", "operator"])
    def test_nobody_else_withdraws_in_its_name(self, cluster: Cluster, user: str | None):
        asker = cluster.service_account("finbot", ASK, VEND) if user == "finbot" else user
        request = opened(cluster, f"kept-from-{str(user)[:6].lower().strip(':')}")

        refused = cluster.patch(request, {"metadata": {"annotations": {WITHDRAWN: "agent agents/finbot"}}}, user=asker)
        born = cluster.create(asked("born-withdrawn", annotations={WITHDRAWN: "agent agents/finbot"}), user=asker, dry_run=True)

        assert (refused.status, born.status) == (403, 403)

    def test_a_use_and_a_revocation_that_meet_are_one_after_the_other(self, cluster: Cluster):
        request = approved(cluster, "revoked")
        stale = cluster.read(request).body
        assert cluster.patch(request, {"status": {"state": "Revoked"}}, user=OPERATOR, subresource="status").ok
        version = {"resourceVersion": stale["metadata"]["resourceVersion"]}

        late = written(cluster, request, {"uses": [USE]}, **version)

        assert late.status == 409
        assert cluster.read(request).body["status"]["state"] == "Revoked"


def awaiting_user(cluster: Cluster, name: str) -> Body:
    """A request of the API whose user must answer."""
    request = opened(cluster, name)
    offer = {"uid": "offer-1", "generation": 1, "digest": DIGEST, "display": "SSNs in clear"}
    status = {"state": "Pending", "reason": "UserConfirms", "offer": offer}
    answer = cluster.patch(request, {"status": status}, user=OPERATOR, subresource="status")
    assert answer.ok, answer.message
    return request


def opened(cluster: Cluster, name: str) -> Body:
    request = by_the_api(name)
    created = cluster.create(request, user=API)
    assert created.ok, created.message
    return request


def approved(cluster: Cluster, name: str) -> Body:
    request = opened(cluster, name)
    decided = cluster.patch(request, {"status": {"state": "Approved", "approval": APPROVAL}}, user=OPERATOR, subresource="status")
    assert decided.ok, decided.message
    return request


def written(cluster: Cluster, request: Body, status: Body, **precondition: str) -> Answer:
    """What the API server answers to the API, which writes these members of the status."""
    return cluster.patch(request, {"metadata": precondition, "status": status}, user=API, subresource="status")

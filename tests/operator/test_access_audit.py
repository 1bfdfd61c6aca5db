"""The record of an approval against reality: one chain from the request to the end of the role, and no approval without its event."""

import os
import re
from collections.abc import Callable, Iterator

import pytest

from tests.support.audited import AuditTrail
from tests.support.requesting import ALICE, BOB, AccessRequested, Requester
from tests.support.site import AGENTS, DOMAIN, Body, Site
from tests.support.tenancy import Tenant
from tests.support.waiting import eventually
from tests.support.who import who

RULE = {"name": "small", "limits": {"perUserPerDay": 9}}


@pytest.fixture
def requester(tenant: Tenant) -> Requester:
    return Requester(tenant)


def events_of(trail: AuditTrail, request: AccessRequested) -> list[Body]:
    """The events of the request, and of the roles that use its approval, each once."""
    found: dict[str, Body] = {}
    for event in trail.all():
        data = event["data"]
        if request.uid in (data.get("accessRequestUid"), data.get("approval", {}).get("requestUid")):
            found.setdefault(event["id"], event)
    return list(found.values())


def kinds(events: list[Body]) -> list[str]:
    """The types, and for a decision the state."""
    return [each["data"].get("state", each["type"].rpartition(".")[2]) for each in events]


def vote_status(requester: Requester, vote: Body) -> Body:
    return dict(requester.site.cluster.read(vote).body.get("status", {}))


class TestTheChain:
    def test_it_is_complete_and_in_order_from_the_request_to_the_end_of_the_role(self, shared_trail: AuditTrail, requester: Requester):
        request = requester.ready({"approval": {"required": 2}}).ask()
        request.is_now("Pending")
        votes = [requester.vote(request), requester.vote(request, by=BOB, expirationSeconds=60)]
        request.is_now("Approved")
        role = requester.role(request).ready()
        request.is_now("Used")
        role.delete()
        role.gone()

        told = eventually(lambda: found if {"Used", "dropped"} <= set(kinds(found := events_of(shared_trail, request))) else None)

        assert kinds(told)[:4] == ["access-requested", "Pending", "Approved", "granted"]
        assert sorted(kinds(told)[4:]) == ["Used", "dropped"]
        asked, approved, granted = told[0]["data"], told[2]["data"], told[3]["data"]
        assert (asked["offer"], asked["offerDigest"]) == (f"{DOMAIN}/{requester.offer_name}", request.status["offer"]["digest"])
        assert [(each["by"], each["decisionUid"]) for each in approved["approvers"]] == [
            (by, vote["metadata"]["uid"]) for by, vote in zip((ALICE, BOB), votes, strict=True)
        ]
        assert approved["approvedSeconds"] == 60
        assert granted["approval"] == {
            "request": f"{AGENTS}/{request.name}",
            "requestUid": request.uid,
            "offer": f"{DOMAIN}/{requester.offer_name}",
            "approvedBy": [ALICE, BOB],
        }
        assert requester.offer["metadata"]["uid"] in {each["uid"] for each in granted["objects"]}
        dropped = next(each for each in told if each["type"].endswith("dropped"))
        assert dropped["data"]["approval"] == granted["approval"]
        assert shared_trail.is_whole()

    @pytest.mark.long
    def test_its_last_event_is_that_the_approval_is_over(self, shared_trail: AuditTrail, requester: Requester):
        request = requester.ready().approved(expirationSeconds=60)
        requester.role(request).ready().delete()

        request.is_now("Spent")

        told = kinds(eventually(lambda: found if "Spent" in kinds(found := events_of(shared_trail, request)) else None))
        assert told[:4] == ["access-requested", "Pending", "Approved", "granted"]
        assert told[-1] == "Spent"
        assert sorted(told[4:]) == ["Spent", "Used", "dropped"]
        assert shared_trail.is_whole()

    def test_a_deleted_yes_and_a_deleted_request_are_told(self, shared_trail: AuditTrail, requester: Requester):
        revoked, withdrawn = requester.ready().ask(), requester.ask(columns=["ssn"])
        revoked.is_now("Pending")
        withdrawn.is_now("Pending")
        yes = requester.vote(revoked)
        revoked.is_now("Approved")

        requester.site.remove(yes)
        requester.site.remove(withdrawn.body)

        assert eventually(lambda: kinds(events_of(shared_trail, revoked))[3:]) == ["Revoked"]
        assert eventually(lambda: kinds(events_of(shared_trail, withdrawn))[2:]) == ["Cancelled"]

    @pytest.mark.long
    def test_an_operator_that_was_killed_tells_nothing_twice(self, trail: AuditTrail, requester: Requester):
        request = requester.ready().approved()
        before = kinds(events_of(trail, request))

        trail.killed_and_started()
        requester.role(request).ready()
        request.is_now("Used")

        assert before == ["access-requested", "Pending", "Approved"]
        mine = [each for each in trail.all() if each["data"].get("accessRequestUid") == request.uid]
        assert len(mine) == len({each["id"] for each in mine})

    def test_while_no_event_can_be_written_nothing_is_approved_and_approvals_end(self, trail: AuditTrail, requester: Requester):
        request = requester.ready().ask()
        live = requester.approved({"columns": ["ssn"]})
        request.is_now("Pending")
        trail.file.rename(trail.file.with_suffix(".old"))
        trail.file.mkdir()  # nobody writes to a directory, not even root

        requester.vote(request)
        requester.site.remove(live.votes[0])

        live.is_now("Revoked")
        eventually(lambda: trail.site.metric("rolevend_audit_failures_total") >= 2)
        assert request.status["state"] == "Pending"

        os.rmdir(trail.file)
        request.is_now("Approved")
        assert kinds(events_of(trail, request)) == ["Approved"]
        assert eventually(lambda: kinds(events_of(trail, live))) == ["Revoked"]


class TestTheCauseOfAnEnd:
    """The event of the role's end, and `who`, name the cause, and not a changed policy."""

    @pytest.fixture
    def ending(self, shared_trail: AuditTrail, requester: Requester) -> "Ending":
        requester.ready()
        return Ending(shared_trail, requester)

    def test_a_deleted_yes(self, ending: "Ending"):
        request = ending.requester.approved()

        ended = ending.of(request, lambda: ending.requester.site.remove(request.votes[0]))

        assert ended == ("ApprovalWithdrawn", f"(the approval of {ALICE} was deleted)")

    @pytest.mark.long
    def test_a_deleted_request(self, ending: "Ending"):
        request = ending.requester.approved()

        by, _ = ending.of(request, lambda: ending.requester.site.remove(request.body))

        assert by == "AccessRequestDeleted"

    @pytest.mark.long
    def test_a_lost_verb(self, ending: "Ending"):
        cluster = ending.requester.site.cluster
        cluster.bind("carol@example.org", "rolevend-approver", DOMAIN)
        request = ending.requester.approved(by="carol@example.org")

        ended = ending.of(request, lambda: cluster.unbind("carol@example.org", "rolevend-approver", DOMAIN))

        assert ended == ("ApproverLostVerb", "(carol@example.org may not approve any more)")

    @pytest.mark.long
    def test_a_denial_of_what_a_rule_approved(self, shared_trail: AuditTrail, requester: Requester):
        request = requester.ready({"automatic": [RULE]}).ask()
        request.is_now("Approved")

        ended = Ending(shared_trail, requester).of(request, lambda: requester.vote(request, "Deny", by=BOB))

        assert ended == ("DeniedByPerson", f"(denied by {BOB})")

    @pytest.mark.long
    def test_a_changed_offer(self, ending: "Ending"):
        request = ending.requester.approved()

        by, _ = ending.of(request, lambda: ending.requester.site.patch(ending.requester.offer, {"rowFilter": "country = 'DE'"}))

        assert by == "OfferChanged"

    @pytest.mark.long
    def test_a_user_who_is_not_active_any_more(self, ending: "Ending"):
        request = ending.requester.approved()

        anna = ending.requester.tenant.described("UserAttributes", {}, f"anna.{ending.requester.tenant.name}")

        by, _ = ending.of(request, lambda: ending.requester.site.remove(anna))

        assert by == "UserInactive"


class Ending:
    """Vends a role with an approval, and ends that."""

    def __init__(self, trail: AuditTrail, requester: Requester) -> None:
        self.trail, self.requester = trail, requester

    def of(self, request: AccessRequested, end: Callable[[], object]) -> tuple[str, str]:
        """Return the cause in the event of the role's end, and the words in parentheses of its message, which `who` repeats."""
        role = self.requester.role(request).ready()
        end()
        role.gone()
        data = eventually(lambda: [each["data"] for each in self.trail.of(role) if each["type"].endswith("dropped")])[0]
        said = who(self.requester.site, role.role, "--audit", str(self.trail.file))["ended"]
        assert said.startswith(f"Revoked by {data['endedBy']}"), said
        found = re.search(r"\(.*?\)", data.get("message") or "")
        return data["endedBy"], found.group() if found else ""


class TestWho:
    @pytest.mark.long
    def test_it_names_the_approver_from_the_cluster_and_from_the_audit_file(self, shared_trail: AuditTrail, requester: Requester):
        role = requester.role(requester.ready().approved()).ready()
        approved = f"approved by {ALICE} ({requester.offer_name})"

        assert who(requester.site, role.role)["approval"] == approved
        found = who(requester.site, role.role, "--audit", str(shared_trail.file), "--offline")
        assert (found["approval"], found["sources"]["approval"]) == (approved, "the audit file")

    @pytest.mark.long
    def test_it_names_the_rule(self, requester: Requester):
        request = requester.ready({"automatic": [RULE]}).ask()
        request.is_now("Approved")
        role = requester.role(request).ready()

        assert who(requester.site, role.role)["approval"] == f"approved by rule small ({requester.offer_name})"


class TestWhatPeopleSee:
    def test_each_vote_says_if_it_counts(self, requester: Requester):
        request = requester.ready({"approval": {"required": 2}}).ask()
        request.is_now("Pending")
        other = requester.vote(request, by=BOB, digest=f"sha256:{'0' * 64}")
        yes = requester.vote(request)

        assert eventually(lambda: vote_status(requester, yes).get("counted")) is True
        status = eventually(lambda: vote_status(requester, other))
        assert status["counted"] is False
        assert "digest" in status["message"]
        assert [(each["type"], each["status"], each["reason"]) for each in status["conditions"]] == [("Ready", "False", "NotCounted")]

    def test_events_tell_the_story(self, requester: Requester):
        request = requester.ready().ask()
        request.is_now("Pending")
        requester.vote(request, "Deny")
        request.is_now("Denied")

        def story() -> set[str]:
            return {reason for reason, _ in requester.site.events(AGENTS, request.name)}

        eventually(lambda: story() == {"Pending", "Denied"})

    def test_decisions_are_counted_and_open_requests_measured(self, requester: Requester):
        site = requester.site

        def denied() -> float:
            return site.metric("rolevend_access_decisions_total", state="Denied", reason="DeniedByPerson")

        before = denied()
        request, waiting = requester.ready().ask(), requester.ask(columns=["ssn"])
        request.is_now("Pending")
        waiting.is_now("Pending")
        requester.vote(request, "Deny")
        request.is_now("Denied")

        eventually(lambda: denied() == before + 1)
        eventually(lambda: site.metric("rolevend_access_requests", state="Pending") >= 1)
        eventually(lambda: site.metric("rolevend_access_request_oldest_seconds") > 0)
        eventually(lambda: site.metric("rolevend_access_decision_seconds_count", by="people") >= 1)


class TestOldRequests:
    @pytest.fixture(autouse=True)
    def forgetful(self, site: Site) -> Iterator[None]:
        """An operator of this test alone."""
        site.operator.stop()
        site.start_operator({"ACCESS_REQUEST_KEPT_SECONDS": "1"})
        yield
        site.operator.stop()

    @pytest.mark.long
    def test_an_ended_request_goes_with_its_votes_and_one_that_a_limit_counts_stays(self, site: Site, requester: Requester):
        superseded, denied = requester.ready({"approval": {"required": 2}}).ask(), requester.ask(columns=["ssn"])
        superseded.is_now("Pending")
        denied.is_now("Pending")
        vote, no = requester.vote(superseded), requester.vote(denied, "Deny")
        denied.is_now("Denied")

        requester.site.patch(requester.offer, {"rowFilter": "country = 'DE'"})

        eventually(lambda: site.cluster.read(superseded.body).status == 404)
        eventually(lambda: site.cluster.read(vote).status == 404)
        assert denied.is_now("Denied")
        assert site.cluster.read(no).ok

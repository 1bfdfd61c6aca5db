"""An agent asks for an offer by kubectl, a rule or people approve, and a role of a VendedRole shows it until the approval ends."""

import psycopg
import pytest

from testbed.brief import in_time
from tests.support.proving import Proven
from tests.support.requesting import ALICE, BOB, AccessRequested, Requester
from tests.support.site import DOMAIN, Body
from tests.support.tenancy import Asked, Tenant
from tests.support.waiting import eventually

SSN = "SELECT person_id, ssn FROM people ORDER BY 1"
HIDDEN, CLEAR = [(1, None), (2, None)], [(1, "900-01-0001"), (2, "900-01-0002")]
RULE = {"name": "small", "limits": {"perUserPerDay": 1}}


@pytest.fixture
def requester(tenant: Tenant) -> Requester:
    return Requester(tenant)


class TestPeopleDecide:
    def test_before_anybody_approves_the_role_waits_and_the_offer_shows_nothing(self, requester: Requester):
        request = requester.ready().ask()
        status = request.is_now("Pending")

        assert status["offer"]["display"] == "SSNs in clear"
        assert status["user"]["proof"] == "Asserted"
        requester.role(request).refused("NotApproved", granted="False")
        assert requester.tenant.ask().ready().rows(SSN) == HIDDEN

    def test_an_approved_offer_shows_its_table_in_one_role_and_not_in_others(self, requester: Requester):
        request = requester.ready().approved()

        role = requester.role(request).ready()

        assert role.rows(SSN) == CLEAR
        assert requester.tenant.ask().ready().rows(SSN) == HIDDEN
        uses = request.is_now("Used")["uses"]
        assert [(each["roleUid"], each["roleName"]) for each in uses] == [(role.uid, role.name)]
        assert role.status["accessRequestUid"] == request.uid

    def test_a_role_that_waits_is_vended_as_soon_as_the_request_is_approved(self, requester: Requester):
        request = requester.ready().ask()
        request.is_now("Pending")
        role = requester.role(request)
        role.refused("NotApproved", granted="False")

        requester.vote(request)

        assert role.ready().rows(SSN) == CLEAR

    def test_an_approval_is_used_once(self, requester: Requester):
        request = requester.ready().approved()
        role = requester.role(request).ready()

        requester.role(request).refused("UsesGone", granted="False")
        role.delete()
        role.gone()

        requester.role(request).refused("UsesGone", granted="False")

    def test_a_no_denies(self, requester: Requester):
        request = requester.ready({"approval": {"required": 2}}).ask()
        request.is_now("Pending")
        requester.vote(request)
        requester.vote(request, "Deny", BOB, comment="not today")

        status = request.is_now("Denied")

        assert BOB in status["message"]
        requester.role(request).refused("NotApproved", granted="False")

    def test_two_people_must_agree_where_the_offer_says_so(self, requester: Requester):
        request = requester.ready({"approval": {"required": 2}}).ask()
        request.is_now("Pending")
        requester.vote(request)
        requester.role(request).refused("NotApproved", granted="False")

        requester.vote(request, by=BOB)

        approvers = request.is_now("Approved")["approval"]["approvers"]
        assert [each["by"] for each in approvers] == [ALICE, BOB]

    def test_an_approver_narrows_time_tables_and_masks(self, requester: Requester):
        requester.ready()
        hidden = {"name": "last", "columns": {"matchNames": ["ssn"]}, "type": "Partial", "partial": {"keepLast": 4}}
        request = requester.approved(expirationSeconds=60, masks=[hidden])

        role = requester.role(request).ready()

        assert role.rows(SSN) == [(1, "***0001"), (2, "***0002")]
        assert request.status["approval"]["expirationSeconds"] == 60


class TestTheEnd:
    def test_a_deleted_yes_ends_the_role_and_its_sessions(self, requester: Requester):
        request = requester.ready().ask()
        request.is_now("Pending")
        yes = requester.vote(request)
        role = requester.role(request).ready()
        with role.database.session(role.login()) as session:
            requester.site.remove(yes)

            role.gone()

            with pytest.raises(psycopg.OperationalError):
                session.execute(SSN)
        assert not role.has_role()
        request.is_now("Revoked")

    def test_a_deleted_request_ends_the_role(self, requester: Requester):
        request = requester.ready().approved()
        role = requester.role(request).ready()

        requester.site.remove(request.body)

        role.gone()

    def test_an_approver_who_loses_the_verb_ends_the_role(self, requester: Requester):
        requester.ready()
        carol = "carol@example.org"
        requester.site.cluster.bind(carol, "rolevend-approver", "domain-claims")
        request = requester.ask()
        request.is_now("Pending")
        requester.vote(request, by=carol)
        role = requester.role(request).ready()

        requester.site.cluster.unbind(carol, "rolevend-approver", "domain-claims")

        role.gone()
        request.is_now("Revoked")

    def test_a_program_that_loses_the_verb_for_programs_ends_the_role_though_it_may_still_approve(self, requester: Requester):
        requester.ready()
        robot, cluster = f"system:serviceaccount:{DOMAIN}:ticket-robot", requester.site.cluster
        rule = {"apiGroups": ["rolevend.dev"], "resources": ["accesspolicies"], "verbs": ["approve-as-robot"]}
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "robots"}, "rules": [rule]}
        cluster.kubectl("apply", "-f", "-", body=role)
        for name in ("rolevend-approver", "robots"):
            cluster.bind(robot, name, DOMAIN)
        request = requester.ask()
        request.is_now("Pending")
        requester.vote(request, by=robot)
        vended = requester.role(request).ready()

        cluster.unbind(robot, "robots", DOMAIN)

        vended.gone()
        assert request.is_now("Revoked")["reason"] == "ApproverLostVerb"

    def test_a_changed_offer_ends_the_role_and_supersedes_the_request(self, requester: Requester):
        request = requester.ready().approved()
        role = requester.role(request).ready()

        requester.site.patch(requester.offer, {"rowFilter": "country = 'DE'"})

        role.gone()
        request.is_now("Superseded")

    def test_a_table_that_vanishes_ends_roles_and_requests_and_another_one_of_its_name_gives_nothing_back(self, requester: Requester):
        requester.tenant.ready_to_ask()
        name, database = requester.tenant.name, requester.site.warehouse
        made = f"CREATE TABLE claims.{name} AS SELECT * FROM claims.people; ALTER TABLE claims.{name} OWNER TO app_owner"
        database.ask(made)
        requester.offering(tables={"matchNames": [{"schema": "claims", "name": name}]})
        narrowed = {"tables": [{"schema": "claims", "table": name}]}
        approved, pending = eventually(lambda: self.of_a_new_table(requester, narrowed))
        role = requester.role(approved).ready()
        assert len(role.rows(f"SELECT ssn FROM {name}")) == 2

        database.ask(f"DROP TABLE claims.{name} CASCADE")

        role.gone()
        assert [each.is_now("Superseded")["reason"] for each in (approved, pending)] == ["EffectChanged"] * 2
        assert "offers this user something" in requester.ask(**narrowed).is_now("Denied")["message"]
        database.ask(made)
        requester.role(approved).refused("NotApproved", granted="False")
        database.ask(f"DROP TABLE claims.{name} CASCADE")

    @staticmethod
    def of_a_new_table(requester: Requester, narrowed: Body) -> tuple[AccessRequested, AccessRequested]:
        """An approved request and one that waits, as soon as the operator has read the table: a request before that is denied."""
        waiting = requester.ask(**narrowed)
        assert eventually(lambda: waiting.status.get("state")) == "Pending"
        return requester.approved(narrowed | {"columns": ["ssn", "country"]}), waiting

    @pytest.mark.long
    def test_the_role_ends_with_the_time_that_was_approved(self, requester: Requester):
        requester.ready()

        def vended(seconds: int) -> tuple[AccessRequested, Asked]:
            request = requester.approved({"justification": {"text": f"for {seconds} s"}}, expirationSeconds=seconds)
            role = requester.role(request)
            try:
                return request, role.ready()
            except AssertionError:
                role.gone()
                raise

        request, role = in_time(vended, 5)

        role.gone()
        assert role.database.ended(role.role) == "Expired"
        request.is_now("Spent")


class TestRules:
    def test_a_rule_approves_within_its_limit_and_then_people_decide(self, requester: Requester):
        first = requester.ready({"automatic": [RULE]}).ask()
        status = first.is_now("Approved")

        assert status["approval"]["rule"] == "small"
        assert requester.role(first).ready().rows(SSN) == CLEAR
        assert "limit of 1 a day" in requester.ask(columns=["ssn"]).is_now("Pending")["message"]


class TestProofOfTheUser:
    def test_the_role_needs_the_login_that_the_offer_asks_for_and_not_only_the_request(self, tenant: Tenant):
        proven = Proven(tenant).ready_to_ask()
        requester = Requester(tenant).offering({"automatic": [RULE], "proof": {"acr": ["mfa"]}})
        strong, weak = proven.token(acr="mfa"), proven.token()
        request = requester.ask(user=proven.user(), userTokenSecretRef=proven.secret(strong))
        request.is_now("Approved")

        proven.ask(weak, wanted={"approvalRef": {"name": request.name}}).refused("ProofNotMet", granted="False")

        role = proven.ask(proven.token(acr="mfa"), wanted={"approvalRef": {"name": request.name}}).ready()
        assert role.rows(SSN) == CLEAR


class TestWhatIsNotApproved:
    def test_a_user_with_another_name_in_kubernetes_does_not_approve_for_themselves(self, tenant: Tenant):
        proven = Proven(tenant)
        claims = proven.provider_spec()["claims"]
        attributes = [*claims["attributes"], {"key": "email", "path": ["email"]}]
        named = {"claims": {**claims, "attributes": attributes}, "kubernetesUsername": {"attribute": "email"}}
        tenant.site.told(proven.provider(**named), "Ready", "True", "KeysRead")
        tenant.site.told(proven.agent(), "Ready", "True")
        requester = Requester(tenant).offering()
        request = requester.ask(user=proven.user(), userTokenSecretRef=proven.secret(proven.token(email=ALICE)))
        request.is_now("Pending")

        own = requester.vote(request, by=ALICE)

        def uncounted() -> bool:
            status = requester.site.cluster.read(own).body.get("status", {})
            assert status.get("counted") is False
            return "is the user" in status["message"]

        eventually(uncounted)
        assert request.status["state"] == "Pending"
        requester.vote(request, by=BOB)
        request.is_now("Approved")

    def test_anothers_approval_is_of_no_use(self, requester: Requester):
        request = requester.ready().approved()
        requester.tenant.person("boris")

        requester.tenant.ask("boris", wanted={"approvalRef": {"name": request.name}}).refused("WrongUser", granted="False")

    def test_an_offer_that_is_none(self, requester: Requester):
        requester.ready()
        request = requester.ask(offerRef={"namespace": "domain-claims", "name": requester.tenant.name})

        request.is_now("Denied")

    def test_a_vote_that_saw_something_else_does_not_count(self, requester: Requester):
        request = requester.ready().ask()
        request.is_now("Pending")
        requester.vote(request, digest=f"sha256:{'0' * 64}")

        requester.role(request).refused("NotApproved", granted="False")
        assert request.status["state"] == "Pending"

"""A tenant's offer, its agent's requests for it, and the votes of approvers."""

import itertools
from typing import Any

import httpx

from testbed.installation import ApiProcess
from tests.support.calling import Caller
from tests.support.site import AGENTS, DOMAIN, WAREHOUSE, Body, Site
from tests.support.tenancy import Asked, Tenant
from tests.support.waiting import eventually

REQUESTS = "/access/v1/requests"
ALICE, BOB = "alice@example.org", "bob@example.org"

_numbers = itertools.count(1)


class AccessRequested:
    """An AccessRequest that a test made."""

    def __init__(self, site: Site, body: Body) -> None:
        self.site = site
        self.body = body
        self.name: str = body["metadata"]["name"]
        self.uid: str = body["metadata"]["uid"]
        self.votes: list[Body] = []
        """The AccessDecisions that the test made on it."""

    @property
    def status(self) -> Body:
        return dict(self.site.cluster.read(self.body).body.get("status", {}))

    def is_now(self, state: str) -> Body:
        """Wait until its state is this one, and return its status. A role that waits for an approval may use it at once."""
        states = ("Approved", "Used") if state == "Approved" else (state,)

        def found() -> Body:
            status = self.status
            assert status.get("state") in states, status
            return status

        return dict(eventually(found))


def on_request_of(on_request: Body | None = None) -> Body:
    return {"display": "SSNs in clear", "maxExpirationSeconds": 600, **(on_request or {})}


class Requester:
    """The agent of a tenant, the user anna, a policy that hides the ssn, and an offer that shows it."""

    def __init__(self, tenant: Tenant, platform: str = WAREHOUSE, offer: str = "offer") -> None:
        """`offer` names it among those of the tenant."""
        self.tenant = tenant
        self.platform = platform
        self.site = tenant.site
        self.offer_name = f"{tenant.name}-{offer}"

    def ready(self, on_request: Body | None = None, **policy: Any) -> "Requester":
        self.tenant.ready_to_ask(self.platform)
        return self.offering(on_request, **policy)

    def offering(self, on_request: Body | None = None, **policy: Any) -> "Requester":
        """The tenant has an agent and the user already."""
        terms = on_request_of(on_request)
        return self.offers(self.tenant.policy(self.offer_name, platform=self.platform, masks=[], onRequest=terms, **policy))

    def offers(self, policy: Body) -> "Requester":
        """An offer with the name `offer_name`, which Alice and Bob may approve."""
        self.offer = policy
        self.site.told(self.offer, "Ready", "True")
        for person in (ALICE, BOB):
            self.site.cluster.bind(person, "rolevend-approver", DOMAIN)
        return self

    def found(self, name: str) -> AccessRequested:
        """The request of this name, which the API made."""
        answer = self.site.cluster.call("GET", f"/apis/rolevend.dev/v1alpha1/namespaces/{AGENTS}/accessrequests/{name}")
        assert answer.ok, answer.message
        return AccessRequested(self.site, self.tenant.keep(answer.body))

    def asked(self, subject: str = "anna", **wanted: Any) -> Body:
        """An AccessRequest that is not made yet."""
        spec = {
            "agentRef": {"name": self.tenant.name},
            "user": self.tenant.user(subject),
            "platformRef": {"name": self.platform},
            "offerRef": {"namespace": DOMAIN, "name": self.offer_name},
            "expirationSeconds": 600,
            "justification": {"text": "the customer asked"},
            **wanted,
        }
        return self.tenant.described("AccessRequest", spec, f"{self.tenant.name}-ar-{next(_numbers)}", AGENTS)

    def ask(self, subject: str = "anna", **wanted: Any) -> AccessRequested:
        return AccessRequested(self.site, self.tenant.keep(self.site.apply(self.asked(subject, **wanted))))

    def ballot(self, request: AccessRequested, verdict: str = "Approve", by: str = ALICE, **wanted: Any) -> Body:
        """A vote that is not made yet."""
        spec = {
            "requestRef": {"namespace": AGENTS, "name": request.name, "uid": request.uid},
            "offerRef": {"name": self.offer_name},
            "by": by,
            "verdict": verdict,
            "digest": eventually(lambda: request.status["offer"]["digest"]),  # by the first judgement
            **wanted,
        }
        return self.tenant.described("AccessDecision", spec, f"{request.name}-{by.split('@')[0].rsplit(':')[-1]}", DOMAIN)

    def vote(self, request: AccessRequested, verdict: str = "Approve", by: str = ALICE, **wanted: Any) -> Body:
        """Create the vote as its author."""
        answer = self.site.cluster.create(self.ballot(request, verdict, by, **wanted), user=by)
        assert answer.ok, answer.message
        request.votes.append(answer.body)
        return self.tenant.keep(answer.body)

    def approved(self, ask: Body | None = None, **wanted: Any) -> AccessRequested:
        """`ask` is of the request, and `wanted` of the vote."""
        request = self.ask(**(ask or {}))
        request.is_now("Pending")
        self.vote(request, **wanted)
        request.is_now("Approved")
        return request

    def role(self, request: AccessRequested, **wanted: Any) -> Asked:
        return self.tenant.ask(wanted={"approvalRef": {"name": request.name}}, **wanted)


class ApiRequester:
    """An agent that asks for the offer of its tenant over HTTP, for users with tokens."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.offers = Requester(caller.proven.tenant)

    def at(self, api: ApiProcess) -> "ApiRequester":
        """The same agent at another replica."""
        other = ApiRequester(Caller(self.caller.proven, api))
        other.offers = self.offers
        return other

    def ready(self, on_request: Body | None = None, **policy: Any) -> "ApiRequester":
        self.caller.proven.ready_to_ask()
        return self.offering(on_request, **policy)

    def offering(self, on_request: Body | None = None, **policy: Any) -> "ApiRequester":
        self.offers.offering(on_request, **policy)
        return self.known()

    def known(self) -> "ApiRequester":
        """Return when the replica knows the agent, its user and what they are granted without an approval."""
        self.caller.known()
        return self

    def usable(self, request: Body, subject: str = "anna", **wanted: Any) -> Body:
        """Return the request when the replica would vend a role with it: it knows the offer, and that it is approved."""
        self.caller.known(subject, approval={"id": request["id"]}, **wanted)
        return request

    def trusted(self) -> None:
        """Let the agent assert its users, too."""
        tenant = self.offers.tenant
        agent = tenant.described("Agent", {}, namespace=AGENTS)
        tenant.site.patch(agent, {"onBehalfOf": {"assertion": "Trusted"}})
        tenant.site.told(agent, "Ready", "True")

    def body(self, subject: str = "anna", **wanted: Any) -> Body:
        body = {
            "userToken": self.caller.proven.token(subject),
            "platform": WAREHOUSE,
            "offer": f"{DOMAIN}/{self.offers.offer_name}",
            "expirationSeconds": 600,
            "justification": "the customer asked",
            **wanted,
        }
        return {member: value for member, value in body.items() if value is not None}

    def ask(self, subject: str = "anna", **wanted: Any) -> httpx.Response:
        return self.caller.call("POST", REQUESTS, self.body(subject, **wanted))

    def asked(self, state: str, subject: str = "anna", **wanted: Any) -> Body:
        """Ask, and return the request, which has this state as soon as it is judged. The call itself waits for that for two seconds."""
        answer = self.ask(subject, **wanted)
        assert answer.status_code in (201, 202), answer.text
        request = dict(answer.json())
        assert answer.status_code == {"Approved": 201, "Pending": 202}[request["state"]], answer.text
        self.offers.found(request["id"])
        if not _is_judged(request):
            request = dict(eventually(lambda: found if _is_judged(found := self.get(request)) else None))
        assert request["state"] == state, request
        return request

    def refused(self, status: int, code: str, subject: str = "anna", **wanted: Any) -> httpx.Response:
        """Ask until the answer is this refusal: the request may be judged after an answer, and then it is found by the next call."""

        def refusal() -> httpx.Response:
            answer = self.ask(subject, **wanted)
            assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
            return answer

        return eventually(refusal)

    def get(self, request: Body, **headers: str) -> Body:
        answer = self.caller.call("GET", f"{REQUESTS}/{request['id']}", **headers)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def vend(self, request: Body, subject: str = "anna", **wanted: Any) -> httpx.Response:
        return self.caller.vend(subject, approval={"id": request["id"]}, **wanted)

    def vended(self, request: Body, subject: str = "anna", **wanted: Any) -> Body:
        """The role that uses the request, asked for until the operator has built its profile."""

        def made() -> Body:
            answer = self.vend(request, subject, **wanted)
            assert answer.status_code == 201, answer.text
            return dict(answer.json())

        return dict(eventually(made))

    def approved(self, **wanted: Any) -> Body:
        """A request that Alice approved."""
        request = self.asked("Pending", **wanted)
        self.offers.vote(self.offers.found(request["id"]))
        found = self.get(request, Prefer="wait=30")
        assert found["state"] == "Approved", found
        return found


def _is_judged(request: Body) -> bool:
    """True if the operator has looked at it: somebody else decides now, or nobody any more."""
    return request["state"] != "Pending" or request.get("reason") in ("PeopleDecide", "UserConfirms")

"""A tenant's offer, its agent's requests for it, and the votes of approvers."""

from typing import Any

from tests.support.site import AGENTS, DOMAIN, WAREHOUSE, Body, Site
from tests.support.tenancy import Asked, Tenant
from tests.support.waiting import eventually

ALICE, BOB = "alice@example.org", "bob@example.org"


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
        """Wait until its state is this one, and return its status."""

        def found() -> Body:
            status = self.status
            assert status.get("state") == state, status
            return status

        return dict(eventually(found))


class Requester:
    """The agent of a tenant, the user anna, a policy that hides the ssn, and an offer that shows it."""

    def __init__(self, tenant: Tenant, platform: str = WAREHOUSE) -> None:
        self.tenant = tenant
        self.platform = platform
        self.site = tenant.site
        self.offer_name = f"{tenant.name}-offer"
        self._numbers = iter(range(1, 1000))

    def ready(self, on_request: Body | None = None, **policy: Any) -> "Requester":
        self.tenant.ready_to_ask(self.platform)
        return self.offering(on_request, **policy)

    def offering(self, on_request: Body | None = None, **policy: Any) -> "Requester":
        """The tenant has an agent and the user already."""
        self.offer = self.tenant.policy(
            self.offer_name,
            platform=self.platform,
            masks=[],
            onRequest={"display": "SSNs in clear", "maxExpirationSeconds": 600, **(on_request or {})},
            **policy,
        )
        self.site.told(self.offer, "Ready", "True")
        for person in (ALICE, BOB):
            self.site.cluster.bind(person, "rolevend-approver", DOMAIN)
        return self

    def ask(self, subject: str = "anna", **wanted: Any) -> AccessRequested:
        spec = {
            "agentRef": {"name": self.tenant.name},
            "user": self.tenant.user(subject),
            "platformRef": {"name": self.platform},
            "offerRef": {"namespace": DOMAIN, "name": self.offer_name},
            "expirationSeconds": 600,
            "justification": {"text": "the customer asked", "writtenBy": "Agent"},
            **wanted,
        }
        body = self.tenant.make("AccessRequest", spec, f"{self.tenant.name}-ar-{next(self._numbers)}", AGENTS)
        return AccessRequested(self.site, body)

    def vote(self, request: AccessRequested, verdict: str = "Approve", by: str = ALICE, **wanted: Any) -> Body:
        """Create the vote as its author."""
        spec = {
            "requestRef": {"namespace": AGENTS, "name": request.name, "uid": request.uid},
            "offerRef": {"name": self.offer_name},
            "by": by,
            "verdict": verdict,
            "digest": request.status["offer"]["digest"],
            **wanted,
        }
        name = f"{request.name}-{by.split('@')[0]}"
        answer = self.site.cluster.create(self.tenant.described("AccessDecision", spec, name, DOMAIN), user=by)
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

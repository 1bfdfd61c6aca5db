"""An agent that asks for an offer, those who would like it to be approved, and what shows that nothing was granted: the status of the
request, the answer to a role that names it, and the roles on the platform."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from testbed.installation import ApiProcess
from tests.support.calling import Caller
from tests.support.installed import API, RBAC, Answer
from tests.support.proving import Proven
from tests.support.requesting import ALICE, REQUESTS, AccessRequested, ApiRequester, Requester
from tests.support.site import AGENTS, BOUNDED, DOMAIN, NOBODY, Body, Site
from tests.support.tenancy import Asked, Tenant
from tests.support.waiting import eventually

STAMP = "rolevend.dev/requested-by"
GROUPS = "rolevend.dev/approver-groups"
ASKER, NEIGHBOUR, STRANGER, ADMIN, VOTER = (f"{name}@example.org" for name in ("carol", "dave", "olga", "mallory", "eve"))
"""Who may ask and approve; approves another offer alone; owns another domain; administers the agents' namespace; may create votes alone."""
ZEROS = f"sha256:{'0' * 64}"
WITH_AN_APPROVAL = ("Approved", "Used", "Spent", "Lapsed", "Revoked", "Superseded")


@dataclass
class Came:
    """The outcome of an attack: the error that the attacker saw, and what must not have come of it."""

    said: str
    request: AccessRequested | None = None
    state: str = "Pending"
    """Of the request, when all of it is over."""
    roles: set[str] = field(default_factory=set)
    """Those that the attack found on the platform."""
    vend: str = "NotApproved"
    """The reason why a role with the approval is not vended now; empty if nobody needs to try."""


class ApprovalArena:
    """Use `clear` after each attack."""

    def __init__(self, site: Site, api: ApiProcess) -> None:
        self.site = site
        self.cluster = site.cluster
        self.tenant, self.other, self.abroad = Tenant(site), Tenant(site), Tenant(site)
        self.requester = Requester(self.tenant).ready()
        self.rival = Requester(self.other).ready()
        self.tenant.person("bert")
        self.tenant.person("boris", tenant=[])
        self.abroad.agent(namespace=BOUNDED)
        self.account = f"system:serviceaccount:{AGENTS}:{self.tenant.name}"
        """Of the agent: it may ask, and somebody gave it more than it needs."""
        self.caller = ApiRequester(Caller(Proven(Tenant(site)), api)).ready()
        self.two = self.offer("two", {"approval": {"required": 2}})
        self._made: list[Body] = []
        self._bindings: list[tuple[str, str]] = []
        self._give_rights()

    def _give_rights(self) -> None:
        for user in (self.account, API, ASKER, *self.names_of_the_user):
            self.bind(user, "rolevend-approver", DOMAIN)
        for user, role, namespace in (
            (self.account, "rolevend-requester", AGENTS),
            (ASKER, "rolevend-requester", AGENTS),
            (STRANGER, "rolevend-policy-author", NOBODY),
            (STRANGER, "rolevend-approver", NOBODY),
            *((ADMIN, role, AGENTS) for role in ("rolevend-agent-owner", "rolevend-policy-author", "rolevend-viewer")),
            (ADMIN, "rolevend-approver", AGENTS),
        ):
            self.bind(user, role, namespace)
        ask = {"apiGroups": ["rolevend.dev"], "resources": ["accessrequests"], "verbs": ["create"]}
        vend = {"apiGroups": ["rolevend.dev"], "resources": ["agents"], "resourceNames": [self.tenant.name], "verbs": ["vend"]}
        self.account_of_one = self.cluster.service_account(f"{self.tenant.name}-one", ask, vend, namespace=AGENTS)
        self.may(self.account, "approve-as-robot", "accesspolicies")
        self.may(NEIGHBOUR, "create", "accessdecisions")
        self.may(NEIGHBOUR, "approve", "accesspolicies", self.rival.offer_name)
        self.may(VOTER, "create", "accessdecisions")
        self.may(ALICE, "patch", "accessdecisions")
        self._wait_for(ADMIN, "create", "accesspolicies", AGENTS)
        self._wait_for(STRANGER, "create", "accesspolicies", NOBODY)

    @property
    def tenants(self) -> tuple[Tenant, ...]:
        return self.tenant, self.other, self.abroad, self.caller.offers.tenant

    @property
    def names_of_the_user(self) -> tuple[str, ...]:
        """As API servers may call the user anna."""
        subject, issuer = self.tenant.user()["subject"], self.tenant.user()["issuer"]
        return subject, subject.upper(), f"oidc:{subject}", f"{issuer}#{subject}"

    def bind(self, user: str, role: str, namespace: str) -> None:
        """Give `user` a ClusterRole of the chart in the namespace."""
        self._bind(user, {"apiGroup": RBAC, "kind": "ClusterRole", "name": role}, namespace)
        if role == "rolevend-approver":
            self._wait_for(user, "approve", "accesspolicies", namespace)
            self._wait_for(user, "create", "accessdecisions", namespace)
        if role == "rolevend-requester":
            self._wait_for(user, "create", "accessrequests", namespace)

    def may(self, user: str, verb: str, resource: str, name: str = "") -> None:
        """Give `user` this right in the domain's namespace."""
        place = {"name": _name(user, verb), "namespace": DOMAIN}
        rule = {"apiGroups": ["rolevend.dev"], "resources": [resource], "verbs": [verb], **({"resourceNames": [name]} if name else {})}
        role = {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": place, "rules": [rule]}
        self.cluster.kubectl("apply", "-f", "-", body=role)
        self._bind(user, {"apiGroup": RBAC, "kind": "Role", "name": place["name"]}, DOMAIN)
        self._wait_for(user, verb, resource, DOMAIN, name)

    def _bind(self, user: str, reference: Body, namespace: str) -> None:
        metadata = {"name": _name(user, reference["name"]), "namespace": namespace}
        subjects = [{"apiGroup": RBAC, "kind": "User", "name": user}]
        binding = {"apiVersion": f"{RBAC}/v1", "kind": "RoleBinding", "metadata": metadata, "roleRef": reference, "subjects": subjects}
        self.cluster.kubectl("apply", "-f", "-", body=binding)
        self._bindings.append((metadata["name"], namespace))

    def _wait_for(self, user: str, verb: str, resource: str, namespace: str, name: str = "") -> None:
        eventually(lambda: self.cluster.may(user, verb, resource, namespace=namespace, name=name, group="rolevend.dev"))

    def offer(self, name: str, on_request: Body | None = None, **policy: Any) -> Requester:
        """Another offer of the same agent's users."""
        return Requester(self.tenant, offer=name).offering(on_request, **policy)

    def fresh_offer(self, on_request: Body | None = None) -> Requester:
        """One that an attack may spoil."""
        made = self.offer(f"offer-{uuid4().hex[:8]}", on_request)
        self.keep(made.offer)
        return made

    def pending(self, of: Requester | None = None, by: str | None = None, **wanted: Any) -> AccessRequested:
        """A request that people decide about, made as `by`."""
        request = self.ask(of or self.requester, by, **wanted)
        request.is_now("Pending")
        return request

    def ask(self, of: Requester, by: str | None = None, *, annotations: Body | None = None, **wanted: Any) -> AccessRequested:
        body = of.asked(**wanted)
        body["metadata"] |= {"annotations": annotations or {}}
        answer = self.cluster.create(body, user=by)
        assert answer.ok, answer.message
        return AccessRequested(self.site, self.keep(answer.body))

    def approved(self, of: Requester | None = None, by: str = ALICE, **wanted: Any) -> AccessRequested:
        of = of or self.requester
        request = self.pending(of, **wanted)
        self.keep(of.vote(request, by=by))
        request.is_now("Approved")
        return request

    def role(self, request: AccessRequested, **wanted: Any) -> Asked:
        """One that would use the approval."""
        more = {"approvalRef": {"name": request.name}, **wanted.pop("more", {})}
        role = self.tenant.ask(wanted=more, **wanted)
        self.keep(role.body)
        return role

    def ready(self, request: AccessRequested, **wanted: Any) -> Asked:
        return self.role(request, **wanted).ready()

    def cast(self, request: AccessRequested, by: str, *, of: Requester | None = None, namespace: str = DOMAIN, **wanted: Any) -> Answer:
        """The answer to a vote that `by` creates, who is its author unless `wanted` names another."""
        author = wanted.pop("author", by)
        body = (of or self.requester).ballot(request, wanted.pop("verdict", "Approve"), author, **wanted)
        body["metadata"] |= {"name": f"attack-{uuid4().hex[:12]}", "namespace": namespace}
        body["spec"] = {member: value for member, value in body["spec"].items() if value is not None}
        answer = self.cluster.create(body, user=by)
        if answer.ok:
            self.keep(answer.body)
        return answer

    def voted(self, request: AccessRequested, by: str, **wanted: Any) -> Came:
        """The vote is refused at once, or is not counted, and says why."""
        answer = self.cast(request, by, **wanted)
        if not answer.ok:
            return Came(answer.message, request)

        return Came(eventually(lambda: self.uncounted(answer)), request)

    def uncounted(self, vote: Answer) -> str | None:
        """Why the vote does not count, as soon as the operator says so."""
        status = self.cluster.read(vote.body).body.get("status", {})
        return str(status["message"]) if status.get("counted") is False else None

    def wrote(self, request: AccessRequested, change: Body, by: str | None, subresource: str = "") -> Came:
        return Came(self.cluster.patch(request.body, change, user=by, subresource=subresource).message, request)

    def used(self, role: Asked, request: AccessRequested, reason: str, state: str = "Approved", **came: Any) -> Came:
        """A role of somebody else's, or once more, is refused."""
        return Came(role.refused(reason, granted="False"), request, state, vend="", **came)

    def of_the_api(self) -> AccessRequested:
        """A request that the API made for another agent."""
        request = self.caller.offers.found(self.caller.asked("Pending")["id"])
        self.keep(request.body)
        return request

    def keep(self, body: Body) -> Body:
        self._made.append(body)
        return body

    def check(self, came: Came) -> None:
        """Assert that the attack granted nothing."""
        request = came.request
        if request is not None:
            status = request.is_now(came.state)
            assert ("approval" in status) == (came.state in WITH_AN_APPROVAL)
            if came.vend:
                self.role(request).refused(came.vend, granted="False")
        for tenant in self.tenants:
            assert tenant.roles() <= came.roles, tenant.name

    def clear(self) -> None:
        """Also the history, from which budgets and cool-downs are counted."""
        for body in sorted(self._made, key=lambda body: body["kind"] != "VendedRole"):
            self.site.remove(body)
        self._made.clear()
        eventually(lambda: not self.caller.caller.call("GET", REQUESTS).json()["items"])
        for tenant in self.tenants:
            eventually(lambda tenant=tenant: not tenant.roles())

    def leave(self) -> None:
        for tenant in self.tenants:
            tenant.leave()
        for name, namespace in self._bindings:
            self.cluster.kubectl("delete", "rolebinding", name, "--namespace", namespace)


Attack = Callable[[ApprovalArena], Came]


def _name(user: str, right: str) -> str:
    return f"{right}-{hashlib.sha256(user.encode()).hexdigest()[:12]}"

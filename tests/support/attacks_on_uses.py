"""Attacks by roles that name an approval of others, of another time or of something else, and by requests that say too much."""

from tests.support.approval_arena import ADMIN, ApprovalArena, Attack, Came
from tests.support.requesting import ALICE
from tests.support.site import AGENTS, ANNEX, BOUNDED, DOMAIN, WAREHOUSE, Body

CAROL = "karla@example.org"
PAYMENTS = {"schema": "claims", "table": "payments"}


def role(reason: str, *, of_request: Body | None = None, **wanted: object) -> Attack:
    """A role that differs from the approved request in something."""

    def attack(arena: ApprovalArena) -> Came:
        request = arena.approved(**(of_request or {}))
        return arena.used(arena.role(request, **wanted), request, reason)

    return attack


def of_nobody(arena: ApprovalArena) -> Came:
    asked = arena.tenant.ask(wanted={"approvalRef": {"name": "ar-nobodys"}})
    arena.keep(asked.body)
    return Came(asked.refused("NotApproved", granted="False"))


def of_another_agent(arena: ApprovalArena) -> Came:
    request = arena.approved()
    asked = arena.other.ask(user=arena.tenant.user(), wanted={"approvalRef": {"name": request.name}})
    arena.keep(asked.body)
    return arena.used(asked, request, "WrongAgent")


def again(arena: ApprovalArena) -> Came:
    request = arena.approved()
    first = arena.ready(request)
    return arena.used(arena.role(request), request, "UsesGone", "Used", roles={first.role})


def after_its_release(*, under_its_name: bool) -> Attack:
    """`under_its_name`: with the name of the role that used the approval, and another uid."""

    def attack(arena: ApprovalArena) -> Came:
        request = arena.approved()
        first = arena.ready(request)
        first.delete()
        first.gone()
        second = arena.role(request, **({"name": first.name} if under_its_name else {}))
        message = second.refused("", granted="False")
        return Came(message, request, "Used", vend="")  # and Spent a minute later: see test_access_audit.py

    return attack


def named_later(arena: ApprovalArena) -> Came:
    request = arena.approved()
    asked = arena.tenant.ask()
    arena.keep(asked.body)
    asked.ready()
    said = arena.cluster.patch(asked.body, {"spec": {"approvalRef": {"name": request.name}}}).message
    return Came(said, request, "Approved", {asked.role}, vend="")


def on_two_platforms(arena: ApprovalArena) -> Came:
    request = arena.approved()
    spec = {
        "agentRef": {"name": arena.tenant.name},
        "user": arena.tenant.user(),
        "platformRefs": [{"name": WAREHOUSE}, {"name": ANNEX}],
        "approvalRef": {"name": request.name},
    }
    said = arena.cluster.create(arena.tenant.described("VendedRole", spec, f"{request.name}-two", AGENTS)).message
    return Came(said, request, "Approved", vend="")


def after_the_offer(change: Body) -> Attack:
    """It is edited between the yes and the vend."""

    def attack(arena: ApprovalArena) -> Came:
        offer = arena.fresh_offer()
        request = arena.approved(offer)
        arena.site.patch(offer.offer, change)
        request.is_now("Superseded")
        return Came(arena.role(request).refused("NotApproved", granted="False"), request, "Superseded")

    return attack


def after_another_offer_of_the_name(arena: ApprovalArena) -> Came:
    """The owner deletes the offer, and makes it again as it was."""
    offer = arena.fresh_offer()
    request = arena.approved(offer)
    arena.site.remove(offer.offer)
    arena.keep(arena.site.apply(arena.tenant.described("AccessPolicy", offer.offer["spec"], offer.offer_name, DOMAIN)))
    request.is_now("Superseded")
    return Came(arena.role(request).refused("NotApproved", granted="False"), request, "Superseded")


def after_the_verb(arena: ApprovalArena) -> Came:
    """The approver loses it between the vote and the vend, and has it again later."""
    cluster = arena.cluster
    cluster.bind(CAROL, "rolevend-approver", DOMAIN)
    request = arena.approved(by=CAROL)
    cluster.unbind(CAROL, "rolevend-approver", DOMAIN)
    request.is_now("Revoked")
    cluster.bind(CAROL, "rolevend-approver", DOMAIN)
    came = Came(arena.role(request).refused("NotApproved", granted="False"), request, "Revoked")
    cluster.unbind(CAROL, "rolevend-approver", DOMAIN)
    return came


def after_the_yes(arena: ApprovalArena) -> Came:
    request = arena.approved()
    arena.site.remove(request.votes[0])
    request.is_now("Revoked")
    return Came(arena.role(request).refused("NotApproved", granted="False"), request, "Revoked")


def after_the_claim(arena: ApprovalArena) -> Came:
    request = arena.approved(arena.fresh_offer({"claimSeconds": 5}))
    request.is_now("Lapsed")
    return Came(arena.role(request).refused("NotApproved", granted="False"), request, "Lapsed")


def for_a_table_that_the_offer_has_not(arena: ApprovalArena) -> Came:
    """An approver names it; the approval then shows nothing."""
    request = arena.pending()
    arena.keep(arena.requester.vote(request, tables=[PAYMENTS]))
    request.is_now("Approved")
    return Came(arena.role(request).refused("", granted="False"), request, "Approved", vend="")


def asked(state: str, vend: str = "NotApproved", **wanted: object) -> Attack:
    """A request that is denied at once."""

    def attack(arena: ApprovalArena) -> Came:
        request = arena.ask(arena.requester, **wanted)
        return Came(request.is_now(state)["message"], request, state, vend=vend)

    return attack


def refused_request(by_agent: bool = True, **wanted: object) -> Attack:
    """The API server does not take it."""

    def attack(arena: ApprovalArena) -> Came:
        body = arena.requester.asked(**wanted)
        answer = arena.cluster.create(body, user=arena.account if by_agent else None)
        assert not answer.ok
        return Came(answer.message)

    return attack


def for_another_agent(arena: ApprovalArena) -> Came:
    """By an account that may ask for one agent alone."""
    answer = arena.cluster.create(arena.rival.asked(), user=arena.account_of_one)
    assert not answer.ok
    return Came(answer.message)


def edited(arena: ApprovalArena) -> Came:
    request = arena.approved(columns=["full_name"])
    return Came(arena.cluster.patch(request.body, {"spec": {"columns": ["ssn"]}}).message, request, "Approved", vend="")


def forgotten(user: str) -> Attack:
    """A denied request is deleted, so that no cool-down counts it."""

    def attack(arena: ApprovalArena) -> Came:
        request = arena.pending()
        assert arena.cast(request, ALICE, verdict="Deny").ok
        request.is_now("Denied")
        return Came(arena.cluster.delete(request.body, user=user.format(arena=arena)).message, request, "Denied")

    return attack


def too_soon(arena: ApprovalArena) -> Came:
    first = arena.pending()
    assert arena.cast(first, ALICE, verdict="Deny").ok
    first.is_now("Denied")
    second = arena.ask(arena.requester)
    return Came(second.is_now("Denied")["message"], second, "Denied")


def too_many(arena: ApprovalArena) -> Came:
    for _ in range(20):
        arena.pending()
    last = arena.ask(arena.requester)
    return Came(last.is_now("Denied")["message"], last, "Denied")


def of_another_namespace(arena: ApprovalArena) -> Came:
    """An approved request of the same name elsewhere."""
    request = arena.approved()
    asked = arena.abroad.ask(user=arena.tenant.user(), namespace=BOUNDED, wanted={"approvalRef": {"name": request.name}})
    arena.keep(asked.body)
    return arena.used(asked, request, "NotApproved")


PURPOSE, TASK = {"purpose": "fraud-review"}, {"task": {"id": "one"}}
USES: dict[str, tuple[Attack, str]] = {
    "a request that nobody made": (of_nobody, "there is no AccessRequest"),
    "an approval of another agent": (of_another_agent, "of this agent for this user"),
    "an approval in another namespace": (of_another_namespace, "there is no AccessRequest"),
    "for another user": (role("WrongUser", subject="bert"), "of this agent for this user"),
    "on another platform": (role("WrongPlatform", platform=ANNEX), "is for DataPlatform warehouse"),
    "on one platform more": (on_two_platforms, "approvalRef is for one platform"),
    "for another purpose": (role("WrongPurpose", of_request=PURPOSE, more={"purpose": "reporting"}), "is for another purpose"),
    "for no purpose": (role("WrongPurpose", of_request=PURPOSE), "is for another purpose"),
    "for another task": (role("WrongTask", of_request=TASK, more={"task": {"id": "two"}}), "is for another task"),
    "for a table that the offer has not": (role("ResourceNotGranted", more={"resources": [PAYMENTS]}), "is not granted to this user"),
    "a second time": (again, "was used 1 times, its maximum"),
    "a second time, after its release": (after_its_release(under_its_name=False), "used"),
    "a second time, under the same name": (after_its_release(under_its_name=True), "used"),
    "a live role names an approval later": (named_later, "spec is immutable"),
    "the offer shows more rows now": (after_the_offer({"rowFilter": None, "rows": "All"}), "is Superseded"),
    "the offer shows another table now": (
        after_the_offer({"tables": {"matchNames": [{"schema": "claims", "name": "payments"}]}}),
        "is Superseded",
    ),
    "another offer has the name now": (after_another_offer_of_the_name, "is Superseded"),
    "the approver lost the verb": (after_the_verb, "may not approve any more): it cannot be used"),
    "the yes is gone": (after_the_yes, "was deleted): it cannot be used"),
    "the time to use it is over": (after_the_claim, "is Lapsed (not used in time): it cannot be used"),
    "an approver names a table that the offer has not": (for_a_table_that_the_offer_has_not, ""),
}
ASKS: dict[str, tuple[Attack, str]] = {
    "the agent says that the API proved the user": (
        refused_request(delivery="Response", proven={"handle": "ANNA", "proof": "Token"}),
        "Response is for the API alone",
    ),
    "the agent asks for another agent": (for_another_agent, "may not vend for Agent"),
    "a justification of a megabyte": (
        refused_request(by_agent=False, justification={"text": "x" * 1_000_000}),
        "Too long",
    ),
    "a justification with marks that turn text round": (
        refused_request(justification={"text": "no \u202ehcuot"}),
        "spec.justification.text",
    ),
    "an offer that does not exist": (asked("Denied", offerRef={"namespace": DOMAIN, "name": "nothing"}), "offers this user something"),
    "an offer that shows this user nothing": (asked("Denied", "WrongUser", subject="boris"), "offers this user something"),
    "an approved request asks for more": (edited, "spec is immutable"),
    "the same again after a no": (too_soon, "the same was denied lately"),
    "the agent's account deletes a no": (forgotten("{arena.account}"), "cannot delete resource"),
    "the administrator of the agents deletes a no": (forgotten(ADMIN), "cannot delete resource"),
    "one request more than an agent may have open": (too_many, "its maximum"),
}

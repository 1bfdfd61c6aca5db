"""Attacks over HTTP: by calls of the agent for requests and roles."""

import httpx

from tests.support.approval_arena import ApprovalArena, Attack, Came
from tests.support.requesting import ALICE, REQUESTS
from tests.support.site import ANNEX, WAREHOUSE, Body
from tests.support.waiting import eventually


def said(answer: httpx.Response) -> str:
    assert answer.status_code >= 400, answer.text
    return f"{answer.status_code} {answer.json()['code']} {answer.json().get('field')}"


def asking(**wanted: object) -> Attack:
    """A request that is refused, and leaves no object."""

    def attack(arena: ApprovalArena) -> Came:
        body = {member: value for member, value in {**arena.caller.body(), **wanted}.items() if value is not None}
        answer = arena.caller.caller.call("POST", REQUESTS, body)
        assert arena.caller.caller.call("GET", REQUESTS).json()["items"] == []
        return Came(said(answer))

    return attack


def asking_by_a_token(seconds: int = 600, **claims: object) -> Attack:
    return lambda arena: asking(userToken=arena.caller.caller.proven.token(seconds=seconds, **claims))(arena)


def asking_for_somebody(arena: ApprovalArena) -> Came:
    return asking(userToken=None, user=arena.caller.caller.proven.user())(arena)


def vending(name: str) -> Attack:
    return lambda arena: Came(said(arena.caller.vend({"id": name})))


def vending_before_a_yes(**wanted: object) -> Attack:
    return lambda arena: Came(said(arena.caller.vend({"id": arena.of_the_api().name}, **wanted)))


def approved(arena: ApprovalArena) -> Body:
    request = arena.caller.asked("Pending")
    found = arena.caller.offers.found(request["id"])
    arena.keep(found.body)
    assert arena.cast(found, ALICE, of=arena.caller.offers).ok
    assert arena.caller.get(request, Prefer="wait=30")["state"] == "Approved"
    return request


def vending_for_another(**wanted: object) -> Attack:
    """A role that differs from the approved request in something."""

    def attack(arena: ApprovalArena) -> Came:
        request = approved(arena)
        return Came(said(arena.caller.vend(request, **wanted)), arena.caller.offers.found(request["id"]), "Approved", vend="")

    return attack


def vending_again(arena: ApprovalArena) -> Came:
    """With another token of the user, and another key."""
    request = approved(arena)
    role = arena.caller.vended(request)
    came = Came(
        said(arena.caller.vend(request, key="another")), arena.caller.offers.found(request["id"]), "Used", {role["roleName"]}, vend=""
    )
    arena.keep(arena.caller.caller.stored(role))
    return came


def vending_after_a_withdrawal(arena: ApprovalArena) -> Came:
    request = approved(arena)
    assert arena.caller.caller.call("DELETE", f"{REQUESTS}/{request['id']}").status_code == 204
    eventually(lambda: arena.caller.get(request)["state"] == "Revoked")
    return Came(said(arena.caller.vend(request)))


def vending_with_a_used_token(arena: ApprovalArena) -> Came:
    token = arena.caller.caller.proven.token()
    role = arena.caller.caller.vended(userToken=token)
    arena.keep(arena.caller.caller.stored(role))
    request = approved(arena)
    return Came(said(arena.caller.vend(request, userToken=token)), roles={role["roleName"]})


CALLS: dict[str, tuple[Attack, str]] = {
    "the call says that it is approved": (asking(state="Approved"), "422 InvalidInput state"),
    "the call says that the API proved the user": (asking(proven={"handle": "ANNA", "proof": "Token"}), "422 InvalidInput proven"),
    "the call writes in the name of the user": (
        asking(justification={"text": "please", "writtenBy": "User"}),
        "422 InvalidInput justification",
    ),
    "the call has a justification of a megabyte": (asking(justification="x" * 1_000_000), "413"),
    "the call asks for an offer by a path": (asking(offer="domain-claims/../../x"), "422 InvalidInput offer"),
    "the user's token is another agent's": (asking_by_a_token(client_id="another"), "403 IssuedToAnother"),
    "the user's token has expired": (asking_by_a_token(-60), "401 TokenExpired"),
    "the agent names a user without a token": (asking_for_somebody, "403 TokenRequired"),
    "the call uses an id of nobody": (vending("ar-nobodys"), "403 NotApproved"),
    "the call uses a path as an id": (vending("../../secrets/x"), "422 InvalidInput approval.id"),
    "the call uses a request before a yes": (vending_before_a_yes(), "403 NotApproved"),
    "the call uses an approval for another user": (vending_for_another(subject="bert"), "403 NotApproved"),
    "the call uses an approval on another platform": (vending_for_another(platforms=[ANNEX]), "403 WrongPlatform"),
    "the call uses an approval on one platform more": (vending_for_another(platforms=[WAREHOUSE, ANNEX]), "422 InvalidInput approval"),
    "the call uses an approval again": (vending_again, "403 UsesGone"),
    "the call uses a withdrawn request": (vending_after_a_withdrawal, "403 NotApproved"),
    "the call uses an approval with a token that was used": (vending_with_a_used_token, "403 TokenReplayed"),
}

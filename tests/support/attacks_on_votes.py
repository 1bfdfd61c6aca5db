"""Attacks by votes that should not count, and by statuses that nobody may write."""

import itertools
from dataclasses import replace

from testbed.brief import in_time
from tests.support.approval_arena import ADMIN, ASKER, GROUPS, NEIGHBOUR, STAMP, STRANGER, VOTER, ZEROS, ApprovalArena, Attack, Came
from tests.support.installed import API
from tests.support.requesting import ALICE, BOB, AccessRequested, Requester
from tests.support.site import AGENTS, DOMAIN, NOBODY, Body
from tests.support.waiting import eventually

_numbers = itertools.count(1)
EXCLUDED = "none of them approves"
NO_RIGHT = "cannot create resource"
APPROVAL = {
    "decidedAt": "2030-01-01T11:00:00Z",
    "claimUntil": "2030-01-01T12:00:00Z",
    "expirationSeconds": 600,
    "rule": "small",
}
APPROVED: Body = {"status": {"state": "Approved", "approval": APPROVAL}}


def by(user: str, **wanted: object) -> Attack:
    """The vote of `user` on a fresh request."""
    return lambda arena: arena.voted(arena.pending(), user, **wanted)


def by_the_user(number: int) -> Attack:
    return lambda arena: arena.voted(arena.pending(), arena.names_of_the_user[number])


def by_the_account(arena: ApprovalArena) -> Came:
    return arena.voted(arena.pending(by=arena.account), arena.account)


def by_the_asker(arena: ApprovalArena) -> Came:
    return arena.voted(arena.pending(by=ASKER), ASKER)


def by_the_asker_under_another_name(arena: ApprovalArena) -> Came:
    request = arena.ask(arena.requester, ASKER, annotations={STAMP: "nobody@example.org"})
    request.is_now("Pending")
    return arena.voted(request, ASKER)


def of_an_asker_who_changes_who_asked(arena: ApprovalArena) -> Came:
    return arena.wrote(arena.pending(by=ASKER), {"metadata": {"annotations": {STAMP: BOB}}}, None)


def on_an_offer_of_the_same_name(namespace: str, user: str) -> Attack:
    """In a namespace where the attacker writes policies, and is an approver."""

    def attack(arena: ApprovalArena) -> Came:
        request = arena.pending()
        body = arena.tenant.described("AccessPolicy", arena.requester.offer["spec"], arena.requester.offer_name, namespace)
        made = arena.cluster.create(body, user=user)
        assert made.ok, made.message
        arena.keep(made.body)
        return arena.voted(request, user, namespace=namespace)

    return attack


def with_the_digest_of_less(arena: ApprovalArena) -> Came:
    less = arena.pending(columns=["full_name"])
    return arena.voted(arena.pending(), ALICE, digest=less.status["offer"]["digest"])


def on_another_uid(arena: ApprovalArena) -> Came:
    """Named as one request, and with the uid of another: it is on neither."""
    wanted, other = arena.pending(), arena.pending(columns=["full_name"])
    reference = {"namespace": AGENTS, "name": other.name, "uid": wanted.uid}
    return arena.voted(wanted, ALICE, requestRef=reference)


def for_an_earlier_request_of_the_name(arena: ApprovalArena) -> Came:
    """People said yes to less; the request is replaced by one for more, under the same name."""
    less = arena.approved(columns=["full_name"])
    arena.site.remove(less.body)
    body = {**arena.requester.asked(), "metadata": {"name": less.name, "namespace": AGENTS}}
    more = AccessRequested(arena.site, arena.keep(arena.site.apply(body)))
    return Came(more.is_now("Pending")["message"], more)


def twice(author: str) -> Attack:
    """Two people must agree, and one is there."""

    def attack(arena: ApprovalArena) -> Came:
        two = arena.two
        request = arena.pending(two)
        arena.bind(author, "rolevend-approver", DOMAIN)
        votes = [arena.cast(request, each, of=two) for each in (ALICE, author)]
        assert all(each.ok for each in votes)
        return Came(eventually(lambda: next(filter(None, map(arena.uncounted, votes)), None)), request)

    return attack


def edited(change: Body, **first: object) -> Attack:
    """A vote that counts for nothing, and is made to count later."""

    def attack(arena: ApprovalArena) -> Came:
        request = arena.pending(arena.two)
        cast = arena.cast(request, ALICE, of=arena.two, **first)
        assert cast.ok, cast.message
        return Came(arena.cluster.patch(cast.body, change, user=ALICE).message, request)

    return attack


def marked_as_counted(arena: ApprovalArena) -> Came:
    request = arena.pending()
    cast = arena.cast(request, ALICE, digest=ZEROS)
    assert cast.ok, cast.message
    return Came(arena.cluster.patch(cast.body, {"status": {"counted": True}}, user=ALICE, subresource="status").message, request)


def after_a_no(arena: ApprovalArena) -> Came:
    request = arena.pending()
    assert arena.cast(request, BOB, verdict="Deny").ok
    request.is_now("Denied")
    return Came(arena.voted(request, ALICE).said, request, "Denied")


def beside_a_no(arena: ApprovalArena) -> Came:
    """Of another approver, in one second: whichever is seen first."""

    def opposite() -> AccessRequested | None:
        request = arena.pending(ticket=f"T-{next(_numbers)}")  # or the no of a try before it starts a cool-down
        votes = [arena.cast(request, BOB), arena.cast(request, ALICE, verdict="Deny")]
        return request if len({each.body["metadata"]["creationTimestamp"] for each in votes}) == 1 else None

    request = eventually(opposite)
    status = eventually(lambda: request.status if request.status["reason"] == "DeniedByPerson" else None)
    return Came(status["message"], request, status["state"])


def given_again(arena: ApprovalArena) -> Came:
    """A yes was taken back, and comes again."""
    request = arena.pending()
    yes = arena.cast(request, ALICE)
    request.is_now("Approved")
    arena.site.remove(yes.body)
    request.is_now("Revoked")
    return Came(arena.voted(request, ALICE).said, request, "Revoked")


def too_late(arena: ApprovalArena) -> Came:
    def judged(seconds: int) -> tuple[Requester, AccessRequested]:
        """Before its time is over: the vote names what the author saw."""
        brief = arena.fresh_offer({"pendingSeconds": seconds})
        request = arena.ask(brief)
        eventually(lambda: request.status["state"])
        assert request.status["offer"]["digest"]
        return brief, request

    brief, request = in_time(judged, 5)
    request.is_now("Expired")
    return Came(arena.voted(request, ALICE, of=brief).said, request, "Expired")


def status_by(user: str) -> Attack:
    return lambda arena: arena.wrote(arena.pending(), APPROVED, user, "status")


def status_by_the_account(arena: ApprovalArena) -> Came:
    return arena.wrote(arena.pending(by=arena.account), APPROVED, arena.account, "status")


def status_by_the_api(arena: ApprovalArena) -> Came:
    return replace(arena.wrote(arena.of_the_api(), APPROVED, API, "status"), vend="WrongAgent")


def born_approved(arena: ApprovalArena) -> Came:
    body = {**arena.requester.asked(), **APPROVED}
    answer = arena.cluster.create(body, user=arena.account)
    request = AccessRequested(arena.site, arena.keep(answer.body))
    return Came(request.is_now("Pending")["message"], request)


def of_another_group(arena: ApprovalArena) -> Came:
    request = arena.pending()
    body = arena.requester.ballot(request, by=VOTER)
    body["metadata"]["annotations"] = {GROUPS: '["system:masters"]'}
    return Came(arena.cluster.create(body, user=VOTER).message, request)


VOTES: dict[str, tuple[Attack, str]] = {
    "the agent's account votes with the verbs approve and approve-as-robot": (by_the_account, EXCLUDED),
    "the user votes under the name of the issuer": (by_the_user(0), EXCLUDED),
    "the user votes in capitals": (by_the_user(1), EXCLUDED),
    "the user votes under a prefix": (by_the_user(2), EXCLUDED),
    "the user votes under the issuer's prefix": (by_the_user(3), EXCLUDED),
    "the account that asked votes": (by_the_asker, EXCLUDED),
    "the account that asked says that another one did, and votes": (by_the_asker_under_another_name, EXCLUDED),
    "who asked is changed afterwards": (of_an_asker_who_changes_who_asked, STAMP),
    "an approver votes in the name of another": (by(ALICE, author=BOB), "is the vote of its creator"),
    "a person without rights votes": (by("nobody@example.org"), NO_RIGHT),
    "a person who may only create votes votes": (by(VOTER), "may not decide on AccessPolicy"),
    "that person claims a group": (of_another_group, "may not decide on AccessPolicy"),
    "an approver of another offer votes": (by(NEIGHBOUR), "may not decide on AccessPolicy"),
    "an approver of another offer votes under that offer": (
        lambda arena: arena.voted(arena.pending(), NEIGHBOUR, of=arena.rival),
        "it is on another offer",
    ),
    "the owner of another domain offers the same there": (on_an_offer_of_the_same_name(NOBODY, STRANGER), "it is on another offer"),
    "the administrator of the agents offers the same there": (on_an_offer_of_the_same_name(AGENTS, ADMIN), "it is on another offer"),
    "rolevend's API votes with the verb": (by(API), "is a ServiceAccount, and a person decides"),
    "a vote names no digest": (by(ALICE, digest=None), "digest must be set for verdict Approve"),
    "a vote has another digest": (by(ALICE, digest=ZEROS), "its author saw something else"),
    "a vote has the digest of a narrower request": (with_the_digest_of_less, "its author saw something else"),
    "a vote is named as another request": (on_another_uid, "it is on another request"),
    "an approved request is replaced under its name": (for_an_earlier_request_of_the_name, "people decide, 0 of 1"),
    "one person votes twice": (twice(ALICE), "an earlier vote of"),
    "one person votes twice, in capitals": (twice(ALICE.upper()), "an earlier vote of"),
    "a no becomes a yes": (edited({"spec": {"verdict": "Approve"}}, verdict="Deny", digest=ZEROS), "spec is immutable"),
    "a vote gets the right digest": (edited({"spec": {"digest": f"sha256:{'1' * 64}"}}, digest=ZEROS), "spec is immutable"),
    "a vote gets another author's groups": (edited({"metadata": {"annotations": {GROUPS: "[]"}}}, digest=ZEROS), GROUPS),
    "an approver marks a vote as counted": (marked_as_counted, "cannot patch resource"),
    "a yes comes after a no": (after_a_no, "the request is Denied already"),
    "a yes comes with a no in one second": (beside_a_no, "denied by"),
    "a yes that was taken back comes again": (given_again, "the request is Revoked already"),
    "a yes comes when the request has expired": (too_late, "the request is Expired already"),
    "the agent's account writes the status": (status_by_the_account, "cannot patch resource"),
    "an approver writes the status": (status_by(ALICE), "cannot patch resource"),
    "the administrator of the agents writes the status": (status_by(ADMIN), "cannot patch resource"),
    "rolevend's API writes the status": (status_by_the_api, "the operator alone decides"),
    "a request is born approved": (born_approved, "people decide, 0 of 1"),
}

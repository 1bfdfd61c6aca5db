"""The verdicts on one VendedRole's platforms, and what follows from them together."""

from dataclasses import replace

from rolevend.decision.outcome import Decision, Denied, Granted, Pending, Request
from rolevend.decision.proof import Claimed, Proof, UserProof
from rolevend.model import PlatformName
from rolevend.roles.decision import RoleDecision
from tests.support import registered
from tests.support.registered import NOW, REQUEST

ANNEX = PlatformName("annex")
FURTHER = replace(REQUEST, platform=ANNEX, further=True)
GRANTED = registered.granted()
DENIED, UNKNOWN = Denied("NoPolicy", "no"), Pending("CatalogUnread", "not yet")


def whole(first: Decision, second: Decision, *, partial: bool = False) -> RoleDecision:
    requests = [replace(each, allow_partial=partial) for each in (REQUEST, FURTHER)]
    return RoleDecision(tuple(zip(requests, (first, second), strict=True)))


def on(requests: tuple[tuple[Request, Pending | Denied], ...]) -> list[str]:
    return [request.platform for request, _ in requests]


def test_all_or_nothing():
    assert [each.platform for each in whole(GRANTED, GRANTED).grants] == [REQUEST.platform, ANNEX]
    for one, other, stands in ((GRANTED, DENIED, DENIED), (DENIED, GRANTED, DENIED), (UNKNOWN, DENIED, UNKNOWN), (DENIED, UNKNOWN, DENIED)):
        refused = whole(one, other)
        assert refused.combined is stands
        assert refused.grants == refused.skipped == ()


def test_where_less_is_allowed_what_is_granted_is_vended_and_the_rest_is_left_out():
    for nothing in (DENIED, UNKNOWN):
        partial = whole(nothing, GRANTED, partial=True)
        assert (partial.blocking_decision, partial.combined) == (None, GRANTED)
        assert [each.platform for each in partial.grants] == [ANNEX]
        assert on(partial.skipped) == [REQUEST.platform]


def test_where_less_is_allowed_and_nothing_is_granted_what_may_still_be_granted_is_waited_for():
    assert whole(DENIED, UNKNOWN, partial=True).combined is UNKNOWN
    assert whole(DENIED, DENIED, partial=True).combined is DENIED


def test_what_a_token_says_is_kept_as_far_as_one_of_the_platforms_asks_for_it():
    said = tuple(Claimed(key, ("x",), f"claim {key}") for key in ("country", "team", "shoe"))
    token = Proof(UserProof.TOKEN, "idp", "AccessToken", "digest", NOW, attributes=said, unreadable=frozenset({"garbled"}))

    def asking(*keys: str) -> Granted:
        return replace(GRANTED, proof=token.only(keys))

    proof = whole(asking("country"), asking("team")).proof

    assert proof is not None
    assert {each.key for each in proof.attributes} == {"country", "team"}
    assert proof.unreadable == {"shoe", "garbled"}
    assert whole(GRANTED, GRANTED).proof is None


def test_what_follows_from_the_verdicts_is_computed_once():
    role_decision = whole(GRANTED, DENIED, partial=True)

    assert role_decision.grants is role_decision.grants
    assert role_decision.skipped is role_decision.skipped
    assert whole(DENIED, GRANTED, partial=True).grants != role_decision.grants

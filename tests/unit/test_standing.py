"""What a VendedRole's status says at each step, and what is remembered of the object itself."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rolevend.catalog import TableId
from rolevend.errors import InvalidInput
from rolevend.model import AgentHandle, PlatformName, RoleName, Task, Uid, UserHandle
from rolevend.naming import role_name
from rolevend.requests.roles import NOTHING_BEGUN, Roles, Standing, request_of, standings_of
from rolevend.requests.status import Report, dropping, granted, refused, unready, vended, verdict_of
from rolevend.resources import VendedRole, parse
from rolevend.vending.proof import UserToken
from rolevend.vending.verdict import Denied, Undecided, Verdict
from rolevend.vending.whole import Whole
from tests.support import registered
from tests.support.manifests import valid
from tests.support.registered import NOW, REQUEST


def role(status: dict[str, Any] | None = None, **metadata: Any) -> VendedRole:
    body = valid("VendedRole", "ask")
    body["metadata"] |= {"uid": REQUEST.uid, "generation": 1, "creationTimestamp": NOW.isoformat(), **metadata}
    return parse(VendedRole, body | ({"status": status} if status else {}))


def alone(verdict: Verdict) -> Whole:
    """On the only platform that is asked for."""
    return Whole(((REQUEST, verdict),))


def standing_of(role: VendedRole) -> Standing:
    (standing,) = standings_of(role)
    return standing


def conditions(status: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {each["type"]: (each["status"], each["reason"]) for each in status["conditions"]}


def test_a_request_is_read_from_the_object():
    assert request_of(role()) == replace(
        REQUEST,
        purpose="fraud-review",
        resources=(TableId("claims", "people"),),
        token=UserToken("anna-token", "token"),
        task=Task("chat-4711", f"sha256:{'0' * 64}"),
    )


def test_the_call_that_made_an_object_is_read_from_it_and_what_is_no_id_of_a_call_is_none():
    def call(text: str) -> str | None:
        return request_of(role(annotations={"rolevend.dev/request-id": text})).request_id

    assert call("call-1") == "call-1"
    assert [call(text) for text in ("", "x" * 129, "a\nb", "\u202egnp")] == [None] * 4


def of_the_api(status: dict[str, Any] | None = None, handles: str = "FINBOT_E10442", **spec: Any) -> VendedRole:
    body = valid("VendedRole", "ask")
    body["metadata"] |= {"uid": REQUEST.uid, "creationTimestamp": NOW.isoformat(), "annotations": {"rolevend.dev/handles": handles}}
    body["spec"] = {**{key: value for key, value in body["spec"].items() if key != "userTokenSecretRef"}, "delivery": "Response", **spec}
    return parse(VendedRole, body | ({"status": status} if status else {}))


def test_a_role_of_the_api_has_its_name_before_any_status_is_written():
    named = role_name(AgentHandle("FINBOT"), UserHandle("E10442"), REQUEST.uid)

    assert standing_of(of_the_api()).role == named, "or a crash between its making and the first status would leave it behind"
    assert standing_of(of_the_api({"ended": {"reason": "Revoked", "by": "Unanswered"}})).role == named
    assert standing_of(of_the_api({"ended": {"reason": "Revoked", "by": NOTHING_BEGUN}})).role is None
    assert standing_of(of_the_api({"roleName": named, "ended": {"reason": "Revoked", "by": NOTHING_BEGUN}})).role == named


@pytest.mark.parametrize("handles", ["", "FINBOT", "finbot_E10442", "FINBOT_E10442_X", 'A"; DROP_E1'])
def test_handles_that_are_none_are_no_name(handles: str):
    assert standing_of(of_the_api(handles=handles)).role is None


def test_what_the_operator_makes_is_named_by_its_status_alone():
    assert standing_of(of_the_api(delivery="Secret")).role is None


def test_an_object_that_was_not_read_from_a_cluster_is_no_request():
    with pytest.raises(InvalidInput, match=r"metadata\.creationTimestamp"):
        request_of(parse(VendedRole, valid("VendedRole")))


def test_each_step_of_a_vend_can_be_read_back_from_the_status_it_wrote():
    verdict = registered.granted()
    begun = granted(Report(role(), NOW), alone(verdict))
    standing = standing_of(role(begun))
    assert (standing.ready, standing.role) == (False, verdict.lease.role), "a drop needs no more than this"

    signed = granted(Report(role(), NOW), alone(verdict), {PlatformName("warehouse"): f"sha256:{'0' * 64}"})
    assert role(signed).status.receipt_digest == f"sha256:{'0' * 64}"
    assert "receiptDigest" not in begun

    live = vended(Report(role(begun), NOW), alone(verdict))
    standing = standing_of(role(live))

    assert (standing.ready, standing.profile, standing.attributes) == (True, verdict.profile.name, verdict.lease.attributes)
    assert standing.verdict == verdict_of(alone(verdict))
    assert conditions(live) == {"Granted": ("True", "PolicyGrants"), "Ready": ("True", "Live"), "UserProven": ("False", "Asserted")}
    assert live["expirationTimestamp"] == "2026-11-24T12:15:00Z"


@pytest.mark.parametrize(("verdict", "truth"), [(Undecided("AgentUnknown", "who?"), "Unknown"), (Denied("NoPolicy", "no"), "False")])
def test_a_refusal_says_the_same_in_granted_and_ready_and_makes_nothing(verdict: Undecided | Denied, truth: str):
    status = refused(Report(role(), NOW), verdict, alone(verdict))

    assert conditions(status) == {"Granted": (truth, verdict.reason), "Ready": ("False", verdict.reason)}
    assert "roleName" not in status
    assert standing_of(role(status)).verdict == (truth, verdict.message)


def test_a_failure_leaves_the_verdict_and_the_names_as_they_were():
    begun = granted(Report(role(), NOW), alone(registered.granted()))

    failed = begun | unready(Report(role(begun), NOW + timedelta(seconds=9)), "PlatformBusy", "locked")

    assert conditions(failed) == {
        "Granted": ("True", "PolicyGrants"),
        "Ready": ("False", "PlatformBusy"),
        "UserProven": ("False", "Asserted"),
    }
    assert standing_of(role(failed)).role == begun["roleName"]


def test_a_drop_that_is_not_done_says_why_and_which_platform_waits():
    live = vended(Report(role(), NOW), alone(registered.granted()))

    waiting = dropping(Report(role(live), NOW), {PlatformName("warehouse"): ("PlatformUnavailable", "no route")})

    assert [each["state"] for each in waiting["platforms"]] == ["Dropping"]
    assert [each["message"] for each in waiting["conditions"] if each["type"] == "Ready"] == ["PlatformUnavailable: no route"]


def test_what_this_process_granted_is_remembered_while_the_object_is_seen_again_and_forgotten_with_it():
    roles, verdict = Roles(), registered.granted()
    roles.seen(standing_of(role()))
    roles.vended(REQUEST.uid, REQUEST.platform, verdict)

    roles.seen(standing_of(role(vended(Report(role(), NOW), alone(verdict)))))

    (standing,) = roles.named([verdict.lease.role], REQUEST.platform)
    assert standing.granted is verdict
    assert list(roles.on(PlatformName("warehouse"))) == [standing]
    assert not list(roles.on(PlatformName("other")))
    assert not roles.named([RoleName("other")], REQUEST.platform)
    roles.gone(REQUEST.uid)
    roles.vended(REQUEST.uid, REQUEST.platform, verdict)
    assert Uid(REQUEST.uid) not in roles
    assert len(roles) == 0

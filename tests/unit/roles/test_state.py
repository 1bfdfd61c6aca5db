"""What a VendedRole's status says at each step, and what is remembered of the object itself."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rolevend.catalog import TableId
from rolevend.decision.outcome import Decision, Denied, Pending
from rolevend.decision.proof import UserToken
from rolevend.errors import InvalidInput
from rolevend.kinds import VendedRole, parse
from rolevend.kube.credentials import secret_name
from rolevend.model import AgentHandle, Attributes, PlatformName, RoleName, Task, Uid, UserHandle
from rolevend.naming import role_name
from rolevend.roles.decision import RoleDecision
from rolevend.roles.state import NOTHING_BEGUN, RoleState, for_deletion, revocation_reason, role_request, role_requests, role_states
from rolevend.roles.status import StatusBuilder, abandoned_platform, granted_condition, skipped_platform
from rolevend.roles.store import RoleStore
from tests.support import registered
from tests.support.manifests import valid
from tests.support.registered import NOW, REQUEST


def role(status: dict[str, Any] | None = None, **metadata: Any) -> VendedRole:
    body = valid("VendedRole", "ask")
    body["metadata"] |= {"uid": REQUEST.uid, "generation": 1, "creationTimestamp": NOW.isoformat(), **metadata}
    return parse(VendedRole, body | ({"status": status} if status else {}))


def alone(verdict: Decision) -> RoleDecision:
    """On the only platform that is asked for."""
    return RoleDecision(((REQUEST, verdict),))


def standing_of(role: VendedRole) -> RoleState:
    (standing,) = role_states(role)
    return standing


def conditions(status: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {each["type"]: (each["status"], each["reason"]) for each in status["conditions"]}


def test_a_request_is_read_from_the_object():
    assert role_request(role()) == replace(
        REQUEST,
        purpose="fraud-review",
        resources=(TableId("claims", "people"),),
        token=UserToken("anna-token", "token"),
        task=Task("chat-4711", f"sha256:{'0' * 64}"),
    )


def test_the_call_that_made_an_object_is_read_from_it_and_what_is_no_id_of_a_call_is_none():
    def call(text: str) -> str | None:
        return role_request(role(annotations={"rolevend.dev/request-id": text})).request_id

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
        role_request(parse(VendedRole, valid("VendedRole")))


def test_each_step_of_a_vend_can_be_read_back_from_the_status_it_wrote():
    verdict = registered.granted()
    begun = StatusBuilder(role(), NOW).pending_status(alone(verdict))
    standing = standing_of(role(begun))
    assert (standing.ready, standing.role) == (False, verdict.lease.role), "a drop needs no more than this"

    signed = StatusBuilder(role(), NOW).pending_status(alone(verdict), {PlatformName("warehouse"): f"sha256:{'0' * 64}"})
    assert role(signed).status.receipt_digest == f"sha256:{'0' * 64}"
    assert "receiptDigest" not in begun

    live = StatusBuilder(role(begun), NOW).ready_status(alone(verdict))
    standing = standing_of(role(live))

    assert (standing.ready, standing.profile, standing.attributes) == (True, verdict.profile.name, verdict.lease.attributes)
    assert standing.decision == granted_condition(alone(verdict))
    assert conditions(live) == {"Granted": ("True", "PolicyGrants"), "Ready": ("True", "Live"), "UserProven": ("False", "Asserted")}
    assert live["expirationTimestamp"] == "2026-11-24T12:15:00Z"


@pytest.mark.parametrize(("verdict", "truth"), [(Pending("AgentUnknown", "who?"), "Unknown"), (Denied("NoPolicy", "no"), "False")])
def test_a_refusal_says_the_same_in_granted_and_ready_and_makes_nothing(verdict: Pending | Denied, truth: str):
    status = StatusBuilder(role(), NOW).denied_status(verdict, alone(verdict))

    assert conditions(status) == {"Granted": (truth, verdict.reason), "Ready": ("False", verdict.reason)}
    assert "roleName" not in status
    assert standing_of(role(status)).decision == (truth, verdict.message)


def test_a_failure_leaves_the_verdict_and_the_names_as_they_were():
    begun = StatusBuilder(role(), NOW).pending_status(alone(registered.granted()))

    failed = begun | StatusBuilder(role(begun), NOW + timedelta(seconds=9)).not_ready_status("PlatformBusy", "locked")

    assert conditions(failed) == {
        "Granted": ("True", "PolicyGrants"),
        "Ready": ("False", "PlatformBusy"),
        "UserProven": ("False", "Asserted"),
    }
    assert standing_of(role(failed)).role == begun["roleName"]


def test_a_drop_that_is_not_done_says_why_and_which_platform_waits():
    live = StatusBuilder(role(), NOW).ready_status(alone(registered.granted()))

    waiting = StatusBuilder(role(live), NOW).dropping_status({PlatformName("warehouse"): ("PlatformUnavailable", "no route")})

    assert [each["state"] for each in waiting["platforms"]] == ["Dropping"]
    assert [each["message"] for each in waiting["conditions"] if each["type"] == "Ready"] == ["PlatformUnavailable: no route"]


def test_what_this_process_granted_is_remembered_while_the_object_is_seen_again_and_forgotten_with_it():
    roles, verdict = RoleStore(), registered.granted()
    roles.upsert(standing_of(role()))
    roles.record(REQUEST.uid).set_grant(REQUEST.platform, verdict)

    roles.upsert(standing_of(role(StatusBuilder(role(), NOW).ready_status(alone(verdict)))))

    (standing,) = roles.named([verdict.lease.role], REQUEST.platform)
    assert standing.granted is verdict
    assert list(roles.on(PlatformName("warehouse"))) == [standing]
    assert not list(roles.on(PlatformName("other")))
    assert not roles.named([RoleName("other")], REQUEST.platform)
    roles.remove(REQUEST.uid)
    roles.record(REQUEST.uid).set_grant(REQUEST.platform, verdict)
    assert Uid(REQUEST.uid) not in roles
    assert list(roles) == []


ANNEX = PlatformName("annex")


def on_both(status: dict[str, Any] | None = None, **spec: Any) -> VendedRole:
    body = valid("VendedRole", "ask")
    body["metadata"] |= {"uid": REQUEST.uid, "generation": 1, "creationTimestamp": NOW.isoformat()}
    body["spec"] |= {"platformRefs": [{"name": "warehouse"}, {"name": ANNEX}], **spec}
    return parse(VendedRole, body | ({"status": status} if status else {}))


def both(first: Decision, second: Decision, **spec: Any) -> RoleDecision:
    return RoleDecision(tuple(zip(role_requests(on_both(**spec)), (first, second), strict=True)))


def states(status: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["state"] for each in status["platforms"]}


def test_on_each_platform_it_is_one_request_of_one_object_with_a_secret_of_its_own():
    first, further = role_requests(on_both())

    assert (first.platform, further.platform, first.uid, first.expires_at) == ("warehouse", ANNEX, further.uid, further.expires_at)
    assert (secret_name(first), secret_name(further)) == ("ask", "ask-annex")
    long = replace(further, name=replace(further.name, name="a" * 253))
    assert len(secret_name(long)) <= 253
    assert secret_name(long) != secret_name(replace(long, platform=PlatformName("other")))


def test_on_several_platforms_it_is_ready_when_it_is_live_on_all():
    verdict = registered.granted()
    begun = StatusBuilder(on_both(), NOW).pending_status(both(verdict, verdict))
    assert states(begun) == {"warehouse": "Pending", ANNEX: "Pending"}
    in_the_way = begun | StatusBuilder(on_both(begun), NOW).not_ready_status("PlatformBusy", "locked", ANNEX, created=["warehouse"])
    assert states(in_the_way) == {"warehouse": "Live", ANNEX: "Pending"}
    assert [each.get("reason") for each in in_the_way["platforms"]] == [None, "PlatformBusy"]
    assert not any(each.live for each in role_states(on_both(in_the_way)))

    live = StatusBuilder(on_both(in_the_way), NOW).ready_status(both(verdict, verdict))

    assert states(live) == {"warehouse": "Live", ANNEX: "Live"}
    assert [each["credentialSecretRef"]["name"] for each in live["platforms"]] == ["ask", "ask-annex"]
    assert not any("reason" in each for each in live["platforms"])
    assert all(each.live for each in role_states(on_both(live)))
    assert conditions(live)["Ready"] == ("True", "Live")


def test_where_it_was_left_out_nothing_lives_and_nothing_is_dropped():
    partial = both(registered.granted(), Denied("NoPolicy", "no"), allowPartial=True)

    status = StatusBuilder(on_both(allowPartial=True), NOW).ready_status(partial)

    assert states(status) == {"warehouse": "Live", ANNEX: "LeftOut"}
    assert conditions(status)["Ready"] == ("True", "Partial")
    here, left_out = role_states(on_both(status, allowPartial=True))
    assert (here.live, left_out.live, left_out.role) == (True, False, None)
    ending = status | StatusBuilder(on_both(status), NOW).dropping_status({here.request.platform: ("PlatformUnavailable", "no route")})
    assert states(ending) == {"warehouse": "Dropping", ANNEX: "LeftOut"}


def test_what_an_earlier_try_may_have_made_is_never_said_to_be_left_out():
    """Or nobody would look for it there."""
    verdict, denied = registered.granted(), Denied("NoPolicy", "no")
    begun = StatusBuilder(on_both(allowPartial=True), NOW).pending_status(both(verdict, verdict, allowPartial=True))

    status = StatusBuilder(on_both(begun, allowPartial=True), NOW).ready_status(both(verdict, denied, allowPartial=True))

    assert states(status) == {"warehouse": "Live", ANNEX: "Dropping"}
    _, given = role_states(on_both(status, allowPartial=True))
    assert (given.live, given.role) == (False, verdict.lease.role)


def test_what_failed_is_taken_away_and_holds_nothing_of_the_others():
    verdict = registered.granted()
    failed = {ANNEX: abandoned_platform("PlatformUnavailable", "no route")}

    status = StatusBuilder(on_both(allowPartial=True), NOW).ready_status(both(verdict, verdict, allowPartial=True), failed)

    assert states(status) == {"warehouse": "Live", ANNEX: "Dropping"}
    assert "credentialSecretRef" not in status["platforms"][1]


def test_an_end_says_where_it_is_done_and_where_it_waits():
    verdict = registered.granted()
    live = StatusBuilder(on_both(), NOW).ready_status(both(verdict, verdict))

    waiting = live | StatusBuilder(on_both(live), NOW).dropping_status({ANNEX: ("PlatformUnavailable", "no route")}, gone=["warehouse"])

    assert states(waiting) == {"warehouse": "Gone", ANNEX: "Dropping"}
    assert [each.role for each in role_states(on_both(waiting))] == [None, verdict.lease.role]


def test_after_a_restart_what_one_platform_reads_of_the_user_is_no_change_on_the_other():
    verdict = registered.granted()
    reads_more = replace(verdict, lease=replace(verdict.lease, attributes=Attributes.of([*verdict.lease.attributes, ("team", ["claims"])])))
    status = StatusBuilder(on_both(), NOW).ready_status(both(verdict, reads_more))

    here, _ = role_states(on_both(status))

    assert here.attributes.values("team") == ("claims",)
    assert revocation_reason(verdict, here) is None
    lost = replace(verdict, lease=replace(verdict.lease, attributes=Attributes()))
    assert revocation_reason(lost, here)


def test_a_receipt_of_a_further_platform_is_beside_it():
    verdict = registered.granted()
    digests = {PlatformName("warehouse"): f"sha256:{'0' * 64}", ANNEX: f"sha256:{'1' * 64}"}

    begun = StatusBuilder(on_both(), NOW).pending_status(both(verdict, verdict), digests)
    live = begun | StatusBuilder(on_both(begun), NOW).ready_status(both(verdict, verdict), receipts=digests)

    for status in (begun, live):
        assert status["receiptDigest"] == digests[PlatformName("warehouse")]
        assert [each.get("receiptDigest") for each in status["platforms"]] == [None, digests[ANNEX]]


REVOKED = {"rolevend.dev/revoked-by": "rita@example.org", "rolevend.dev/revoked-because": "INC-4711"}


def deleted(annotations: dict[str, str], status: dict[str, Any] | None = None, *, after: float = 60) -> VendedRole:
    """The object as it is when its end is carried out, `after` so many seconds."""
    body = valid("VendedRole", "ask")
    metadata = {"uid": REQUEST.uid, "generation": 1, "creationTimestamp": NOW.isoformat(), "annotations": annotations}
    body["metadata"] |= metadata | {"deletionTimestamp": (NOW + timedelta(seconds=after)).isoformat()}
    return for_deletion(body | {"status": {"expirationTimestamp": (NOW + timedelta(minutes=15)).isoformat(), **(status or {})}})


def test_the_end_of_a_role_that_a_person_revoked_is_in_its_annotations_until_the_operator_writes_it():
    revoked = deleted(REVOKED)

    assert revoked.status.ended is not None
    assert (revoked.status.ended.reason, revoked.status.ended.by, revoked.status.ended.message) == (
        "Revoked",
        "User rita@example.org",
        "INC-4711",
    )
    for status in (
        StatusBuilder(revoked, NOW).dropping_status({None: ("PlatformUnavailable", "no answer")}),
        StatusBuilder(revoked, NOW).gone_status("gone", ["example.org/hold"]),
    ):
        assert status["ended"] == {"reason": "Revoked", "by": "User rita@example.org", "message": "INC-4711"}


@pytest.mark.parametrize(
    "role",
    [
        deleted({}),
        deleted({"rolevend.dev/revoked-by": "rita@example.org"}),
        deleted({"rolevend.dev/revoked-because": "INC-4711"}),
        deleted(REVOKED, after=900),
    ],
    ids=["without annotations", "without a reason", "without an author", "expired after it was annotated"],
)
def test_another_end_is_no_revocation(role: VendedRole):
    assert role.status.ended is None
    assert "ended" not in StatusBuilder(role, NOW).dropping_status({})


def test_a_live_role_with_a_reason_has_not_ended_and_the_end_that_the_operator_wrote_first_stays():
    written = {"ended": {"reason": "Revoked", "by": "PolicyChanged", "message": "narrower"}}

    assert role(annotations=REVOKED).status.ended is None
    ended = deleted(REVOKED, written).status.ended
    assert ended is not None
    assert (ended.by, ended.message) == ("PolicyChanged", "narrower")


def test_no_user_passes_for_a_code_and_no_text_breaks_the_line():
    ended = deleted(
        {"rolevend.dev/revoked-by": NOTHING_BEGUN, "rolevend.dev/revoked-because": f"two\nlines \u202e{'x' * 2000}"}
    ).status.ended

    assert ended is not None
    assert ended.by == f"User {NOTHING_BEGUN}"
    assert ended.message is not None
    assert ended.message.startswith("two lines  xxx")
    assert len(ended.message) == 1024


@pytest.mark.parametrize(("count", "listed"), [(3, 3), (50, 50), (60, 50)])
def test_the_status_lists_at_most_fifty_tables_and_counts_all(count: int, listed: int):
    given = registered.granted()
    first = given.profile.tables[0]
    shapes = tuple(replace(first, table=TableId("claims", f"t{number:02}")) for number in reversed(range(count)))
    role_decision = alone(replace(given, profile=replace(given.profile, tables=shapes), lease=replace(given.lease, resources=None)))

    for status in (StatusBuilder(role(), NOW).pending_status(role_decision), StatusBuilder(role(), NOW).ready_status(role_decision)):
        (platform,) = status["platforms"]
        assert (platform["tableCount"], len(platform["tables"])) == (count, listed)
        assert platform["tables"] == sorted(platform["tables"])


def test_a_skipped_platform_lists_no_tables():
    skipped = skipped_platform("Denied", "no")

    assert (skipped["tableCount"], skipped["tables"]) == (None, None)

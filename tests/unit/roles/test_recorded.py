"""The record of a role: its seal covers all that the lease and the record say, and its VendedRole is what Kubernetes would have."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from rolevend.api.recorded_roles import NewRecord
from rolevend.api.repository import VendCall, body_of
from rolevend.catalog import TableId
from rolevend.decision.outcome import Delivery
from rolevend.kinds import FINALIZER, VendedRole, parse
from rolevend.kinds.shared import RECORD
from rolevend.kinds.text import timestamp_text
from rolevend.model import Attributes, ObjectName, PlatformName, ProfileName, Uid, User
from rolevend.plan import Lease, LeaseRecord, RoleLimits, TokenUse
from rolevend.platforms.protocol import EndReason, RecordedLease
from rolevend.roles.decision import PlatformGrant, RoleDecision
from rolevend.roles.objects import role_labels
from rolevend.roles.recorded import answered_body, projection_of, vended_role_body
from rolevend.roles.seal import LeaseSeal
from rolevend.roles.state import is_ready, recorded_uid, role_requests, role_states
from rolevend.roles.status import StatusBuilder
from tests.support import registered
from tests.support.registered import NOW, REQUEST, WAREHOUSE

SEAL = LeaseSeal(b"k" * 32)
TOKEN = TokenUse("0" * 64, NOW + timedelta(hours=1))
GRANT = PlatformGrant(replace(REQUEST, delivery=Delivery.RESPONSE), registered.granted())


class Reports:
    """The part of `VendedRoleWriter` that builds statuses."""

    def report(self, role: VendedRole) -> StatusBuilder:
        return StatusBuilder(role, NOW)


def recorded(*, confirmed: bool = True, **changes: object) -> RecordedLease:
    body = body_of((GRANT,), "sha256:call")
    body["metadata"]["creationTimestamp"] = timestamp_text(NOW)
    role = parse(VendedRole, {**body, "metadata": {**body["metadata"], "uid": REQUEST.uid, "generation": 1}})
    call = VendCall("sha256:call", keyed=False, token=TOKEN, most_live=20)
    recorder = NewRecord(role, body, RoleDecision(((GRANT.request, GRANT.granted),)), call, Reports(), SEAL)  # type: ignore[arg-type]
    return replace(RecordedLease(recorder.lease(GRANT, {}), NOW, confirmed, "1"), **changes)  # type: ignore[arg-type]


def record_of(lease: Lease) -> LeaseRecord:
    assert lease.record is not None
    return lease.record


def test_a_new_record_is_sealed_for_its_platform_alone():
    lease = recorded().lease

    assert SEAL.is_valid(lease, WAREHOUSE)
    assert not SEAL.is_valid(lease, PlatformName("crm"))
    assert not LeaseSeal(b"another key" * 3).is_valid(lease, WAREHOUSE)
    assert not SEAL.is_valid(replace(lease, record=None), WAREHOUSE)


FORGED: dict[str, Callable[[Lease], Lease]] = {
    "another role": lambda lease: replace(lease, role=lease.role + "X"),
    "another cluster": lambda lease: replace(lease, cluster="cluster-2"),
    "another uid": lambda lease: replace(lease, uid=Uid("7c0a")),
    "another profile": lambda lease: replace(lease, profile=ProfileName("rv_p_other")),
    "another agent": lambda lease: replace(lease, agent=ObjectName("agents", "other")),
    "another user": lambda lease: replace(lease, user=User(lease.user.issuer, "mallory")),
    "other attributes": lambda lease: replace(lease, attributes=Attributes.of([("countries", ["US"])])),
    "a value more": lambda lease: replace(lease, attributes=Attributes.of([("countries", ["DE", "US"])])),
    "a later expiry": lambda lease: replace(lease, expires_at=lease.expires_at + timedelta(microseconds=1)),
    "other limits": lambda lease: replace(lease, limits=RoleLimits(connections=64)),
    "other resources": lambda lease: replace(lease, resources=(TableId("claims", "people"),)),
    "no resources": lambda lease: replace(lease, resources=()),
    "another name": lambda lease: replace(lease, record=replace(record_of(lease), name=ObjectName("agents", "another"))),
    "another body": lambda lease: replace(lease, record=replace(record_of(lease), body=record_of(lease).body + " ")),
    "another call": lambda lease: replace(lease, record=replace(record_of(lease), call="sha256:other")),
    "another token": lambda lease: replace(lease, record=replace(record_of(lease), token=TokenUse("1" * 64, TOKEN.expires_at))),
    "no token": lambda lease: replace(lease, record=replace(record_of(lease), token=None)),
    "no seal": lambda lease: replace(lease, record=replace(record_of(lease), seal="")),
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_seal_is_for_exactly_one_lease(forge: Callable[[Lease], Lease]):
    assert not SEAL.is_valid(forge(recorded().lease), WAREHOUSE)


def test_two_leases_whose_texts_join_alike_have_two_seals():
    one = replace(recorded().lease, attributes=Attributes.of([("a", ["b", "c"])]))
    other = replace(recorded().lease, attributes=Attributes.of([("a", ["b"]), ("c", [])]))

    assert SEAL.of(one, record_of(one), WAREHOUSE) != SEAL.of(other, record_of(other), WAREHOUSE)


def test_the_object_of_a_record_is_a_complete_vended_role():
    role = parse(VendedRole, vended_role_body(recorded()))

    (request,) = role_requests(role)
    assert request == GRANT.request
    assert is_ready(role)
    assert role.status.role_name == GRANT.granted.lease.role
    (state,) = role_states(role)
    assert state.live
    assert state.profile == GRANT.granted.profile.name


def test_an_unconfirmed_role_is_not_ready():
    role = parse(VendedRole, vended_role_body(recorded(confirmed=False)))

    assert not is_ready(role)
    assert role.status.condition("Granted")


def test_for_its_agent_it_is_ready_as_soon_as_it_is_answered():
    assert is_ready(parse(VendedRole, answered_body(recorded(confirmed=False))))


@pytest.mark.parametrize("reason", [EndReason.RELEASED, EndReason.REVOKED, EndReason.EXPIRED])
def test_a_closed_role_is_being_deleted_and_says_why(reason: EndReason):
    ended = recorded(closed_at=NOW, reason=reason, ended_by="PolicyChanged", ended_message="a policy went")
    role = parse(VendedRole, vended_role_body(ended))

    assert role.metadata.deletion_timestamp == NOW
    assert role.status.ended is not None
    assert (role.status.ended.reason, role.status.ended.by, role.status.ended.message) == (reason.value, "PolicyChanged", "a policy went")


def test_a_projection_says_whose_role_it_shows_and_has_no_fields_of_the_api_server():
    body, status = projection_of(recorded())

    assert recorded_uid(body) == REQUEST.uid
    assert body["metadata"]["labels"][RECORD] == REQUEST.uid
    assert body["metadata"]["labels"] == {RECORD: REQUEST.uid, **role_labels(body)}
    assert len(body["metadata"]["labels"]) > 1
    assert body["metadata"]["finalizers"] == [FINALIZER]
    assert {"uid", "creationTimestamp", "resourceVersion", "generation"}.isdisjoint(body["metadata"])
    assert status["roleName"] == GRANT.granted.lease.role

"""The approval that a role uses, as the watch reports the AccessRequest."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import cast

import pytest

from rolevend.access_objects.store import AccessRequestStore
from rolevend.access_objects.use import Approvals
from rolevend.access_requests.use import UseRefusal
from rolevend.decision.approval import ActiveApproval, Approval, ApprovalRef, UnusableApproval
from rolevend.kube.client import Body, KubeClient
from rolevend.model import ObjectName, Uid
from rolevend.roles.protocols import ApprovalRefused
from tests.support.asking import DIGEST, TERMS
from tests.support.manifests import MISSING, changed, valid
from tests.support.registered import REQUEST, a_snapshot

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
NAME = ObjectName("agents", "ar-1")
OFFER = ObjectName("domain-claims", "ssn-clear")
ASKED = replace(REQUEST, created_at=NOW, purpose="fraud-review")


class Newest:
    snapshot = a_snapshot(offers={OFFER: replace(TERMS, offer=OFFER)})


def approved(uid: str) -> Body:
    """An AccessRequest for what `ASKED` asks for, approved by a rule."""
    body = changed(changed(valid("AccessRequest", NAME.name, NAME.namespace), "spec.userTokenSecretRef", MISSING), "spec.task", MISSING)
    body["metadata"] |= {"uid": uid, "resourceVersion": "1", "creationTimestamp": NOW.isoformat()}
    body["spec"] |= {
        "agentRef": {"name": ASKED.agent.name},
        "user": {"issuer": ASKED.user.issuer, "subject": ASKED.user.subject},
        "platformRef": {"name": ASKED.platform},
        "offerRef": {"namespace": OFFER.namespace, "name": OFFER.name},
        "purpose": ASKED.purpose,
    }
    offer = {"uid": TERMS.uid, "generation": TERMS.generation, "digest": DIGEST, "display": "SSNs"}
    approval = {"decidedAt": NOW.isoformat(), "claimUntil": "2026-11-24T13:00:00Z", "expirationSeconds": 600, "rule": "small"}
    life = {"state": "Approved", "reason": "ApprovedByRule", "message": "yes", "offer": offer, "approval": approval}
    return {**body, "status": life}


def approvals(uid: str) -> Approvals:
    store = AccessRequestStore(cast(KubeClient, None), lambda: NOW)
    store.informer.synced = True
    store.informer.on_upsert(approved(uid))
    return Approvals(store, Newest(), lambda: NOW)


@pytest.mark.parametrize("begun_with", [None, Uid("first")])
def test_a_role_uses_the_request_that_it_names_and_was_begun_with(begun_with: Uid | None):
    found = approvals("first").resolve(replace(ASKED, approval=ApprovalRef(NAME, begun_with))).approval

    assert isinstance(found, ActiveApproval), found
    assert found.uid == "first"


async def test_a_role_that_was_begun_with_a_request_never_uses_another_one_of_its_name():
    first = approvals("first").resolve(replace(ASKED, approval=ApprovalRef(NAME))).approval
    second = approvals("second")
    before: tuple[Approval | None, ...] = (
        ApprovalRef(NAME, Uid("first")),
        first,
        UnusableApproval(NAME, "NotApproved", "it is gone", Uid("first")),
    )

    for each in before:
        request = replace(ASKED, approval=each)
        found = second.resolve(request).approval
        assert isinstance(found, UnusableApproval), found
        assert (found.code, found.uid) == (UseRefusal.NOT_APPROVED, "first")
        with pytest.raises(ApprovalRefused, match="another one than the role was begun with"):
            await second.use(request)

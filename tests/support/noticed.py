"""AccessRequests as the operator has judged them, for tests of notifications."""

from typing import Any

from rolevend.kinds import AccessRequest, parse
from tests.support.manifests import Body, changed, valid

DIGEST = f"sha256:{'a' * 64}"
OFFER = {"uid": "offer-uid", "generation": 1, "digest": DIGEST, "display": "SSNs of open claims in clear"}
WAITING = {
    "state": "Pending",
    "reason": "PeopleDecide",
    "message": "people decide, 0 of 1 needed approvals",
    "stateSince": "2026-11-24T12:00:00Z",
    "offer": OFFER,
}
USER = {
    "handle": "ABC",
    "proof": "Token",
    "token": {"provider": "workforce", "type": "AccessToken", "digest": "b" * 64},
    "attributes": [{"key": "country", "values": ["DE"]}],
}


def judged(status: Body | None = None, **spec: Any) -> AccessRequest:
    body = valid("AccessRequest", "ask")
    for field, value in spec.items():
        body = changed(body, f"spec.{field}", value)
    body["metadata"] |= {"uid": "request-uid", "resourceVersion": "1", "creationTimestamp": "2026-11-24T11:59:59Z"}
    return parse(AccessRequest, {**body, "status": {**WAITING, **(status or {})}})

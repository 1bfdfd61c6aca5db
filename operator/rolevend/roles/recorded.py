"""The VendedRole of a role that a database records. Pure.

It is the object that Kubernetes would have, so that everything that follows a role reads one form.
"""

import json
from dataclasses import replace
from typing import Any, Final

from rolevend.kinds import API_VERSION, FINALIZER
from rolevend.kinds.shared import RECORD
from rolevend.kinds.text import timestamp_text
from rolevend.kube.client import Body
from rolevend.platforms.protocol import EndReason, RecordedLease
from rolevend.roles.objects import role_labels
from rolevend.roles.state import UNANSWERED

DRAINED_BY: Final = "rolevend drain"
DRAINED_BECAUSE: Final = "the operator is about to go"
_UNCONFIRMED: Final = {"status": "False", "reason": UNANSWERED, "message": "the answer with its credential was not confirmed yet"}


def record_body(role: Body, status: Body) -> str:
    """Return the text to record. `role` has its `metadata.creationTimestamp`."""
    return json.dumps({**role, "status": status}, ensure_ascii=False, separators=(",", ":"))


def vended_role_body(recorded: RecordedLease) -> Body:
    """Return the object as Kubernetes would return it. It is being deleted when the role was closed."""
    assert recorded.lease.record is not None  # noqa: S101 - of a recorded lease
    body: Body = json.loads(recorded.lease.record.body)
    metadata, status = body["metadata"], body["status"]
    metadata |= {"uid": recorded.lease.uid, "generation": 1, "resourceVersion": recorded.version, "finalizers": [FINALIZER]}
    if recorded.closed_at is not None:
        metadata["deletionTimestamp"] = timestamp_text(recorded.closed_at)
        if recorded.reason is not None and recorded.reason is not EndReason.ORPHANED:
            said = {"by": recorded.ended_by, "message": recorded.ended_message}
            status["ended"] = {"reason": recorded.reason.value, **{name: text for name, text in said.items() if text is not None}}
    elif not recorded.confirmed:
        unconfirmed = {**_UNCONFIRMED, "lastTransitionTime": recorded.issued_at.isoformat()}  # by the clock of the platform
        for condition in status["conditions"]:
            condition |= unconfirmed if condition["type"] == "Ready" else {}
    return body


def answered_body(recorded: RecordedLease) -> Body:
    """Return the object for the agent, which has the answer: a role that lives is Ready, also before the confirmation is written."""
    return vended_role_body(replace(recorded, confirmed=True))


def projection_of(recorded: RecordedLease) -> tuple[Body, Body]:
    """Return the object that shows the role in the cluster, and its status."""
    body = vended_role_body(recorded)
    metadata: dict[str, Any] = body["metadata"]
    shown = {
        "apiVersion": API_VERSION,
        "kind": "VendedRole",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "labels": {RECORD: recorded.lease.uid, **role_labels(body)},
            "annotations": metadata.get("annotations", {}),
            "finalizers": [FINALIZER],
        },
        "spec": body["spec"],
    }
    return shown, body["status"]

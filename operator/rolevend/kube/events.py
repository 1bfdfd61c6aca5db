"""Kubernetes Events that no kopf handler posts."""

from datetime import datetime
from typing import Literal

from rolevend.errors import RolevendError
from rolevend.kube.client import EVENTS, KubeClient
from rolevend.kube.kubeconfig import DEFAULT_NAMESPACE
from rolevend.model import ObjectName, Uid

_LONGEST_MESSAGE = 1024
_COMPONENT = "rolevend"


async def emit_event(
    cluster: KubeClient,
    name: ObjectName,
    uid: Uid,
    type_: Literal["Normal", "Warning"],
    reason: str,
    message: str,
    now: datetime,
    *,
    kind: str = "VendedRole",
) -> str | None:
    """Create an Event about an object of ours; for a cluster-scoped one, whose name has no namespace, in the namespace `default`.

    Returns the failure instead of raising it, or None: no work waits for an Event.
    """
    namespace = name.namespace or DEFAULT_NAMESPACE
    at = now.isoformat()
    body = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{_COMPONENT}-", "namespace": namespace},
        "involvedObject": {
            "apiVersion": "rolevend.dev/v1alpha1",
            "kind": kind,
            **({"namespace": name.namespace} if name.namespace else {}),
            "name": name.name,
            "uid": uid,
        },
        "type": type_,
        "reason": reason,
        "message": message[:_LONGEST_MESSAGE],
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
        "source": {"component": _COMPONENT},
        "reportingComponent": _COMPONENT,
    }
    try:
        await cluster.create(EVENTS, body, namespace)
    except RolevendError as error:
        return str(error)
    return None

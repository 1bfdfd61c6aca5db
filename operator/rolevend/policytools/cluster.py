"""The objects of a cluster, as a `Folder`."""

import json
from dataclasses import replace

from rolevend.decision.outcome import Request
from rolevend.kinds import API_VERSION, KINDS, AccessDecision, AccessRequest, VendedRole, parse
from rolevend.kube.client import NAMESPACES, KubeClient, path_of
from rolevend.policytools.decisions import Requester
from rolevend.policytools.folder import Folder
from rolevend.policytools.manifests import documents_in
from rolevend.roles.state import role_requests


async def read_cluster(kubeconfig: str, vended_role: tuple[str, str] | None) -> tuple[Folder, tuple[Requester, ...], str]:
    """Return all objects that decisions depend on; and for a VendedRole (namespace, name) its requests, one per platform, and its Ready
    condition."""
    cluster = await KubeClient.connect(kubeconfig)
    try:
        items = [{"apiVersion": "v1", "kind": "Namespace", **each} for each in (await cluster.list(NAMESPACES))[0]]
        for kind in KINDS:
            if kind.model not in (AccessDecision, AccessRequest, VendedRole):
                found, _ = await cluster.list(path_of(kind.model))
                items += [{**each, "apiVersion": API_VERSION, "kind": kind.name} for each in found]
        asked: tuple[Requester, ...] = ()
        condition = ""
        if vended_role is not None:
            namespace, name = vended_role
            role = parse(VendedRole, await cluster.get(path_of(VendedRole), name, namespace), unknown="ignore")
            asked, condition = tuple(map(_who, role_requests(role))), _condition_text(role)
        return Folder.holding(documents_in("the cluster", json.dumps({"kind": "List", "items": items}))), asked, condition
    finally:
        await cluster.close()


def _who(request: Request) -> Requester:
    who = Requester(request.user, request.agent, request.platform, request.purpose or "", request.expiration_seconds, request.resources)
    return replace(who, token=request.token, proof=request.proof)


def _condition_text(role: VendedRole) -> str:
    """Return the Ready condition, from the operator's last decision. The current objects may lead to another one."""
    ready = role.status.condition("Ready")
    text = f"{ready.reason}: {ready.message}" if ready else "no operator has looked at it yet"
    return f"VendedRole {role.namespace}/{role.name}: {text}"

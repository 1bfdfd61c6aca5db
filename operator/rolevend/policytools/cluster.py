"""The objects of a cluster, as a `Folder`."""

import asyncio
import json
from dataclasses import dataclass, field, replace

from rolevend.decision.outcome import Request
from rolevend.kinds import API_VERSION, KINDS, AccessDecision, AccessRequest, UserAttributes, VendedRole, parse
from rolevend.kube.client import NAMESPACES, Body, KubeClient, path_of
from rolevend.model import ClusterId, User
from rolevend.policytools.decisions import Requester
from rolevend.policytools.explain import ExplainedObjects
from rolevend.policytools.folder import CLUSTER, Folder
from rolevend.policytools.manifests import Document
from rolevend.roles.state import role_requests


@dataclass(frozen=True, slots=True)
class ClusterObjects:
    """All objects that decisions depend on."""

    folder: Folder
    cluster: ClusterId
    """With it, profiles have the names that the operator gives them."""


@dataclass(slots=True)
class PeopleBound:
    """The UserAttributes that are read, for a caller without room for all of them. Afterwards it says which were left out."""

    most: int
    user: str | None = None
    """Only those of this user: subject, `subject (issuer)`, or handle."""
    users: frozenset[User] | None = None
    """Only those of these users."""
    is_cut: bool = False
    """True if there are more than `most`."""
    other_users: set[str] = field(default_factory=set)
    """Subjects of other users than `user`."""

    def keeps(self, body: Body) -> bool:
        user, handle = _user(body), body["spec"].get("handle")
        if self.users is not None:
            return user in self.users
        if self.user is None or self.user in (*_names(user), handle):
            return True
        self.other_users.add(user.subject)
        return False


async def objects_of(cluster: KubeClient, people: PeopleBound | None = None) -> ClusterObjects:
    """Return the objects of a cluster. Raises NotPermitted if the caller may not list a kind."""
    namespaces, _ = await cluster.list(NAMESPACES)
    items = [{"apiVersion": "v1", "kind": "Namespace", **each} for each in namespaces]
    for kind in KINDS:
        if kind.model not in (AccessDecision, AccessRequest, VendedRole):
            if kind.model is UserAttributes and people is not None:
                found = await _people(cluster, people)
            else:
                found, _ = await cluster.list(path_of(kind.model))
            items += [{**each, "apiVersion": API_VERSION, "kind": kind.name} for each in found]
    uids = {each["metadata"]["name"]: ClusterId(each["metadata"]["uid"]) for each in namespaces}
    folder = await asyncio.to_thread(lambda: Folder.holding(Document("the cluster", each, json.dumps(each)) for each in items))
    return ClusterObjects(folder, uids.get("kube-system", CLUSTER))


async def _people(cluster: KubeClient, bound: PeopleBound) -> list[Body]:
    kept: list[Body] = []
    async for page in cluster.pages(path_of(UserAttributes)):
        kept += filter(bound.keeps, page["items"])
        if len(kept) > bound.most:
            bound.is_cut = True
            return kept[: bound.most]
    users = frozenset(map(_user, kept))
    if bound.user is None or all(bound.user in _names(each) for each in users):
        return kept
    return await _people(cluster, PeopleBound(bound.most, users=users))  # a handle names them, which not every object of a user has


def _user(body: Body) -> User:
    return User(body["spec"]["user"]["issuer"], body["spec"]["user"]["subject"])


def _names(user: User) -> tuple[str, str]:
    return user.subject, str(user)


async def read_cluster(kubeconfig: str, namespace: str | None, vended_role: str | None) -> ExplainedObjects:
    """Return the objects of a cluster, and those of a VendedRole of this name if there is one."""
    cluster = await KubeClient.connect(kubeconfig)
    try:
        objects = await objects_of(cluster)
        found = ExplainedObjects(objects.folder, namespace or cluster.namespace)
        if vended_role is None:
            return found
        role = parse(VendedRole, await cluster.get(path_of(VendedRole), vended_role, found.namespace), unknown="ignore")
        return replace(found, requests=tuple(map(requester, role_requests(role))), condition=_condition_text(role))
    finally:
        await cluster.close()


def requester(request: Request) -> Requester:
    """Return the request of a VendedRole, with the token and the proof of its user."""
    who = Requester(request.user, request.agent, request.platform, request.purpose or "", request.expiration_seconds, request.resources)
    return replace(who, token=request.token, proof=request.proof)


def _condition_text(role: VendedRole) -> str:
    """Return the Ready condition, from the operator's last decision. The current objects may lead to another one."""
    ready = role.status.condition("Ready")
    text = f"{ready.reason}: {ready.message}" if ready else "no operator has looked at it yet"
    return f"VendedRole {role.namespace}/{role.name}: {text}"

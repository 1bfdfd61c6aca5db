"""Read VendedRoles, and the rights to end them, as the caller may. I/O."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from rolevend.errors import NotPermitted, Rejected, RolevendError
from rolevend.kinds import GROUP, DataPlatform
from rolevend.kube.client import NAMESPACES, SELF_ACCESS_REVIEWS, VENDED_ROLES, Body, KubeClient, NotFound, path_of
from rolevend.snapshot.conditions.ledger import is_or_was_ledger

RESPONDER: Final = "rolevend-responder"
"""The chart's ClusterRole for callers, in a release called `rolevend`."""
_VERBS: Final = ("patch", "delete")


@dataclass(frozen=True, slots=True)
class RoleListing:
    """VendedRoles as the API server has them."""

    items: tuple[Body, ...]
    scopes: tuple[str | None, ...]
    """The namespaces that were listed; None: all of them at once."""
    notes: tuple[str, ...] = ()


async def list_roles(cluster: KubeClient, namespace: str | None) -> RoleListing:
    """List the roles of this namespace. None: of all namespaces, or of those in which the caller may list roles."""
    try:
        return await list_again(cluster, (namespace,))
    except NotFound as error:
        raise Rejected("the cluster has no VendedRoles: rolevend is not installed there") from error
    except NotPermitted as error:
        if namespace is not None:
            place = f"namespace {namespace}; name another one with --namespace"
            raise NotPermitted(f"you may not list VendedRoles in {place}, or ask for the ClusterRole {RESPONDER} there: {error}") from error
        return await _list_permitted(cluster, error)


async def list_again(cluster: KubeClient, scopes: Sequence[str | None]) -> RoleListing:
    listed = await asyncio.gather(*(cluster.list(VENDED_ROLES, scope) for scope in scopes))
    return RoleListing(tuple(item for items, _ in listed for item in items), tuple(scopes))


async def _list_permitted(cluster: KubeClient, error: NotPermitted) -> RoleListing:
    try:
        namespaces, _ = await cluster.list(NAMESPACES)
    except NotPermitted:
        namespaces = []
    names = [each["metadata"]["name"] for each in namespaces]
    allowed = await asyncio.gather(*(is_allowed(cluster, "list", name) for name in names))
    scopes = [name for name, may in zip(names, allowed, strict=True) if may]
    if not scopes:
        message = "you may not list VendedRoles in all namespaces; name one with --namespace, or ask for the ClusterRole"
        raise NotPermitted(f"{message} {RESPONDER}: {error}") from error
    left_out = len(names) - len(scopes)
    return RoleListing(
        (await list_again(cluster, scopes)).items,
        tuple(scopes),
        (f"you may list VendedRoles in {len(scopes)} namespaces; the roles of {left_out} others are not shown, and stay",),
    )


async def missing_rights(cluster: KubeClient, namespaces: Iterable[str]) -> str | None:
    """Return the rights that the caller lacks to end roles in these namespaces, with the rule that grants them; None if none is missing."""
    if all(await asyncio.gather(*(is_allowed(cluster, verb, None) for verb in _VERBS))):
        return None
    wanted = [(verb, namespace) for namespace in sorted(set(namespaces)) for verb in _VERBS]
    allowed = await asyncio.gather(*(is_allowed(cluster, verb, namespace) for verb, namespace in wanted))
    missing = [each for each, may in zip(wanted, allowed, strict=True) if not may]
    if not missing:
        return None
    verbs = [verb for verb in _VERBS if any(verb == lacking for lacking, _ in missing)]
    places = sorted({namespace for _, namespace in missing})
    why = "which writes who ends them and why" if verbs == ["patch"] else "which ends them"
    rule = f"{{apiGroups: [{GROUP}], resources: [vendedroles], verbs: [{', '.join(verbs)}]}}"
    return (
        f"you may not {' and '.join(verbs)} VendedRoles in {_places(places)}, {why}; you need the rule {rule} there, which the ClusterRole "
        f"{RESPONDER} has"
    )


async def is_allowed(cluster: KubeClient, verb: str, namespace: str | None) -> bool:
    """True if the caller has this verb on VendedRoles. `namespace` None: in all namespaces."""
    attributes = {"group": GROUP, "resource": "vendedroles", "verb": verb, "namespace": namespace or ""}
    spec = {"resourceAttributes": attributes}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec}
    return bool((await cluster.create(SELF_ACCESS_REVIEWS, review))["status"]["allowed"])


async def unlisted_places(cluster: KubeClient) -> tuple[str, ...]:
    """Return a note for each DataPlatform whose database may record roles that no VendedRole shows yet."""
    try:
        platforms, _ = await cluster.list(path_of(DataPlatform))
    except RolevendError as error:
        return (f"it is not known if a database records roles that no VendedRole shows: {error}",)
    names = sorted(each["metadata"]["name"] for each in platforms if is_or_was_ledger(each))
    return tuple(f"the database of DataPlatform {name} records roles: one that no VendedRole shows yet is not listed" for name in names)


def _places(namespaces: Sequence[str]) -> str:
    shown = ", ".join(namespaces[:5])
    more = f" and {len(namespaces) - 5} more" if len(namespaces) > 5 else ""
    return f"namespace {shown}" if len(namespaces) == 1 else f"the namespaces {shown}{more}"

"""Read objects whose names a shell completes. I/O."""

from rolevend.approvals.reader import ClusterAccess
from rolevend.errors import NotPermitted
from rolevend.kinds import kind_named
from rolevend.kube.client import Body, path_of


async def named_bodies(access: ClusterAccess, kind: str, *, in_namespace: bool) -> list[Body]:
    """Return the objects of this kind in all namespaces; or in that of `access`, if so said or if the person may not list the others."""
    model = kind_named(kind)
    async with access.connected() as cluster:
        path, namespace = path_of(model.model), access.namespace or cluster.namespace
        try:
            return (await cluster.list(path, namespace if in_namespace else None))[0]
        except NotPermitted:
            if model.scope != "Namespaced" or in_namespace:
                raise
            return (await cluster.list(path, namespace))[0]

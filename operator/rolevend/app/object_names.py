"""Read objects whose names a shell completes. I/O."""

from rolevend.approvals.reader import ClusterAccess
from rolevend.errors import NotPermitted
from rolevend.kinds import kind_named
from rolevend.kube.client import Body, path_of


async def named_bodies(access: ClusterAccess, kind: str, namespace: str | None) -> list[Body]:
    """Return the objects of this kind in the namespace, or in all; where a person may not list those, in the namespace of the context."""
    model = kind_named(kind)
    async with access.connected() as cluster:
        path = path_of(model.model)
        try:
            return (await cluster.list(path, namespace if model.scope == "Namespaced" else None))[0]
        except NotPermitted:
            if model.scope != "Namespaced" or namespace is not None:
                raise
            return (await cluster.list(path, cluster.namespace))[0]

"""The first steps of the operator and of the API. Must not import kopf, which the API does without."""

import asyncio
import gc
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

from rolevend.errors import NotPermitted, Unavailable
from rolevend.kube.client import NAMESPACES, KubeClient
from rolevend.model import ClusterId

_RETRY_SECONDS = 2.0
_OBJECTS_OF_A_COLLECTION = 10_000
_REFUSED_SECONDS = 60.0
"""For some seconds after its start the API server refuses every request, until it has read its RBAC objects. Longer: a right is missing."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


def now() -> datetime:
    return datetime.now(UTC)


async def cluster_id_of(cluster: KubeClient) -> ClusterId:
    """Return the uid of the namespace `kube-system`, which is unique for each cluster."""
    namespace = await cluster.get(NAMESPACES, "kube-system")
    return ClusterId(namespace["metadata"]["uid"])


async def retry_until_available(
    ask: Callable[[], Awaitable[T]],
    *,
    moment: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> T:
    """Call `ask` until it succeeds: a pod may start before the API server answers, or before it has read its RBAC objects.

    Raises NotPermitted if it is refused for `_REFUSED_SECONDS`.
    """
    refused_since: float | None = None
    while True:
        try:
            return await ask()
        except Unavailable as error:
            refused_since = None
            _log.warning("starting: %s", error)
        except NotPermitted as error:
            refused_since = moment() if refused_since is None else refused_since
            left = refused_since + _REFUSED_SECONDS - moment()
            if left <= 0:
                raise
            hint = "the API server may have just started; if it goes on, upgrade the chart, or look at its Roles and RoleBindings"
            _log.warning("starting: %s; asking again for %.0f s: %s", error, left, hint)
        await sleep(_RETRY_SECONDS)


def limit_gc() -> None:
    """Exclude all objects that exist now from garbage collection, because nearly all of them live as long as the process, and collect
    seldom.

    A collection of the modules alone stops the process for 55 ms, which delays a vend. By Python's default a collection follows on 700
    new objects: that is several for each call, and a tenth of its processor time, although next to nothing is in cycles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_OF_A_COLLECTION)

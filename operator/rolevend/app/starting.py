"""What every process of ours does when it starts. Knows no kopf: the API does without it."""

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

from rolevend.errors import Unavailable
from rolevend.kube.client import NAMESPACES, Cluster
from rolevend.model import ClusterId

_RETRY_SECONDS = 2.0

T = TypeVar("T")

_log = logging.getLogger(__name__)


def now() -> datetime:
    return datetime.now(UTC)


async def cluster_id_of(cluster: Cluster) -> ClusterId:
    """The uid of `kube-system`: there is one in every cluster, and never the same in two."""
    namespace = await cluster.get(NAMESPACES, "kube-system")
    return ClusterId(namespace["metadata"]["uid"])


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Asks until there is an answer: a pod may well start before the API server can be reached."""
    while True:
        try:
            return await ask()
        except Unavailable as error:
            _log.warning("starting: %s", error)
            await asyncio.sleep(_RETRY_SECONDS)


def settle_in() -> None:
    """What is there by now stays, as good as all of it, for as long as the process. While the garbage collector looks at all of it again,
    nothing else goes on: 55 ms for the modules alone, by which a vend takes longer. From here on it looks at what came later."""
    gc.collect()
    gc.freeze()

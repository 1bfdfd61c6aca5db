"""What every process of ours does when it starts. Knows no kopf: the API does without it."""

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
_REFUSED_SECONDS = 60.0
"""An API server that has just started refuses everybody until it has read its roles and bindings: seconds. Longer is a missing right."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


def now() -> datetime:
    return datetime.now(UTC)


async def cluster_id_of(cluster: KubeClient) -> ClusterId:
    """The uid of `kube-system`: there is one in every cluster, and never the same in two."""
    namespace = await cluster.get(NAMESPACES, "kube-system")
    return ClusterId(namespace["metadata"]["uid"])


async def retry_until_available(
    ask: Callable[[], Awaitable[T]],
    *,
    moment: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> T:
    """Asks until there is an answer: a pod may well start before the API server can be reached, or before that knows who may do what.
    Raises NotPermitted where that is refused for `_REFUSED_SECONDS`."""
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


def freeze_gc() -> None:
    """What is there by now stays, as good as all of it, for as long as the process. While the garbage collector looks at all of it again,
    nothing else goes on: 55 ms for the modules alone, by which a vend takes longer. From here on it looks at what came later."""
    gc.collect()
    gc.freeze()

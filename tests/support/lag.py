"""Delay what the processes of rolevend watch in Kubernetes. See `ROLEVEND_TEST_LAG` in CONTRIBUTING.md.

An event arrives after milliseconds on an idle machine, and later on a busy one. Code or a test that relies on milliseconds fails there.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

from kopf._cogs.clients import watching

from rolevend.kube.client import KubeClient

_T = TypeVar("_T")

_AT_ONCE_SECONDS = 0.02


def delay_watches(seconds: float) -> None:
    """Delay the events of each watch of this process. Those that come at once are delayed once, in their order."""
    KubeClient.watch = _late(KubeClient.watch, seconds)  # type: ignore[method-assign]
    watching.infinite_watch = _late(watching.infinite_watch, seconds)


def _late(watch: Callable[..., AsyncIterator[_T]], seconds: float) -> Callable[..., AsyncIterator[_T]]:
    async def late(*arguments: Any, **named: Any) -> AsyncIterator[_T]:
        passed_on = 0.0
        async for event in watch(*arguments, **named):
            if time.monotonic() - passed_on > _AT_ONCE_SECONDS:
                await asyncio.sleep(seconds)
            passed_on = time.monotonic()
            yield event

    return late

"""Differences between the asynchronous client and the synchronous one, which clients/python/generate.py writes from it.

In the generated modules `AsyncSleep` becomes `Sleep`, `async_uncancellable` becomes `uncancellable`, and so on.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ParamSpec

Parameters = ParamSpec("Parameters")

AsyncSleep = Callable[[float], Awaitable[None]]
Sleep = Callable[[float], None]
AsyncRelease = Callable[[], Awaitable[bool]]
Release = Callable[[], bool]


def async_uncancellable(
    work: Callable[Parameters, Coroutine[Any, Any, None]],
) -> Callable[Parameters, Coroutine[Any, Any, None]]:
    """Let `work` finish even if its task is cancelled once or several times; then raise the cancellation."""

    @functools.wraps(work)
    async def finish(*arguments: Parameters.args, **named: Parameters.kwargs) -> None:
        task = asyncio.ensure_future(work(*arguments, **named))
        cancelled: asyncio.CancelledError | None = None
        while not task.done():
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError as error:
                cancelled = error
            except BaseException:  # raised by `work`: task.result() raises it again
                break
        task.result()
        if cancelled is not None:
            raise cancelled

    return finish


def uncancellable(work: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Return `work`: a call that blocks cannot be cancelled."""
    return work

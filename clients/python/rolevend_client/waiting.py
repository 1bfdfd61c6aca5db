"""Differences between the asynchronous client and the synchronous one, which clients/python/generate.py writes from it.

In the generated modules `AsyncSleep` becomes `Sleep`, `async_uncancellable` becomes `uncancellable`, and so on.
"""

import asyncio
import functools
import inspect
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, ParamSpec

from rolevend_client.errors import QueryTimeout
from rolevend_client.values import UserToken, VendedRole

Parameters = ParamSpec("Parameters")

AsyncSleep = Callable[[float], Awaitable[None]]
Sleep = Callable[[float], None]
AsyncRelease = Callable[[], Awaitable[bool]]
Release = Callable[[], bool]
AsyncLook = Callable[[], Awaitable[VendedRole]]
Look = Callable[[], VendedRole]
AsyncUserTokens = UserToken | str | Callable[[], UserToken | str | Awaitable[UserToken | str]]
"""A person's token, or a function that returns one for each role."""
UserTokens = UserToken | str | Callable[[], UserToken | str]
AsyncLock, Lock = asyncio.Lock, threading.Lock
CANCEL_SECONDS = 5.0
"""The longest wait for the database to confirm a cancellation."""
_log = logging.getLogger("rolevend_client")


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


class AsyncAlarm:
    """Calls `act` once after so many seconds, in the event loop, unless it is cancelled. `act` may be a coroutine function."""

    def __init__(self, seconds: float, act: Callable[[], object]) -> None:
        self._task = asyncio.ensure_future(self._ring(seconds, act))

    def cancel(self) -> None:
        """Idempotent. `act` itself may call it."""
        if self._task is not asyncio.current_task():
            self._task.cancel()

    async def _ring(self, seconds: float, act: Callable[[], object]) -> None:
        await asyncio.sleep(seconds)
        try:
            done = act()
            if inspect.isawaitable(done):
                await done
        except Exception:
            _log.exception("a callback before the end of a role failed")


class Alarm:
    """Calls `act` once after so many seconds, in a thread of its own, unless it is cancelled."""

    def __init__(self, seconds: float, act: Callable[[], object]) -> None:
        self._timer = threading.Timer(seconds, self._ring, [act])
        self._timer.daemon = True
        self._timer.start()

    def cancel(self) -> None:
        """Idempotent. `act` itself may call it."""
        self._timer.cancel()

    def _ring(self, act: Callable[[], object]) -> None:
        try:
            act()
        except Exception:
            _log.exception("a callback before the end of a role failed")


@asynccontextmanager
async def async_limited(seconds: float | None, connection: Any) -> AsyncIterator[None]:  # noqa: ARG001 - psycopg cancels the statement
    """Cancel the statement of the block after `seconds`, and raise `QueryTimeout`."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise QueryTimeout(seconds or 0.0) from None


@contextmanager
def limited(seconds: float | None, connection: Any) -> Iterator[None]:
    """Cancel the statement of the block after `seconds`, and raise `QueryTimeout`."""
    with cancelled_after(seconds, connection) as fired:
        try:
            yield
        except Exception as error:
            if fired.is_set() and getattr(error, "sqlstate", None) == "57014":
                raise QueryTimeout(seconds or 0.0) from None
            raise


@contextmanager
def cancelled_after(seconds: float | None, connection: Any) -> Iterator[threading.Event]:
    """Cancel the statement of the block after `seconds`; then the event is set. The session could change a statement_timeout."""
    fired = threading.Event()
    if seconds is None:
        yield fired
        return

    def cancel() -> None:
        fired.set()
        with suppress(Exception):  # a lost session has nothing to cancel
            connection.cancel_safe(timeout=CANCEL_SECONDS)

    timer = threading.Timer(seconds, cancel)
    timer.daemon = True
    timer.start()
    try:
        yield fired
    finally:
        timer.cancel()
        timer.join()  # otherwise it could cancel the next statement


async def async_token_of(tokens: AsyncUserTokens) -> UserToken:
    found: Any = tokens() if callable(tokens) else tokens
    text = await found if inspect.isawaitable(found) else found
    return UserToken(text) if isinstance(text, str) else text


def token_of(tokens: UserTokens) -> UserToken:
    found = tokens() if callable(tokens) else tokens
    return UserToken(found) if isinstance(found, str) else found

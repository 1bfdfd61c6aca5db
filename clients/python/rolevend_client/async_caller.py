"""Send the calls of `protocol` to the API over HTTP, wait between the tries, and keep the connections."""

import asyncio
import random
import threading
import time
from collections.abc import Callable
from typing import Any, Self, TypeVar

import httpx

from rolevend_client import protocol
from rolevend_client.protocol import Call, Send
from rolevend_client.settings import Settings
from rolevend_client.values import on_this_machine
from rolevend_client.waiting import AsyncSleep

Answer = TypeVar("Answer")
LARGEST = 64 << 20
"""The bytes of the longest answer."""
_OF_THE_WIRE = frozenset({"content-encoding", "content-length", "transfer-encoding"})


async def async_answer(http: httpx.AsyncClient, method: str, url: str, seconds: float, **content: Any) -> httpx.Response:
    """Return the whole answer. Raises `httpx.RequestError`, also if it takes longer or is larger than LARGEST: httpx bounds single reads
    alone. The wait for a connection of this client does not count: other calls have all of them, and end in time."""
    parts: list[bytes] = []
    size = 0
    async with http.stream(method, url, timeout=httpx.Timeout(seconds, pool=None), **content) as response:
        ends = time.monotonic() + seconds
        async for part in response.aiter_bytes():
            parts.append(part)
            size += len(part)
            if size > LARGEST:
                raise httpx.ReadError(f"the answer is larger than {LARGEST >> 20} MiB")
            if time.monotonic() > ends:
                raise httpx.ReadTimeout(f"no whole answer within {seconds:g} s")
    headers = [(name, value) for name, value in response.headers.multi_items() if name.lower() not in _OF_THE_WIRE]
    return httpx.Response(response.status_code, headers=headers, content=b"".join(parts), request=response.request)


def uses_proxies(url: str) -> bool:
    """True if calls may go by a proxy that the environment names: not those to this machine, which may be without TLS."""
    return not on_this_machine(httpx.URL(url).host)


class AsyncApiCaller:
    """Connections are kept while at least one `with` block of the caller is open."""

    def __init__(
        self,
        settings: Settings,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: AsyncSleep = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self._transport = transport
        self.sleep = sleep
        self.clock = clock
        self._lock = threading.Lock()  # for ApiCaller, which threads may share
        self._holders = 0
        self._http: httpx.AsyncClient | None = None

    async def call(self, call: Call[Answer], patience: float | None = None) -> Answer:
        """Return the answer. Raises the error of the last try. `patience` is in seconds; None: as the settings say."""
        conversation = protocol.conversation(call, patience or self.settings.patience, self.clock, random.random)
        async with self:
            step = next(conversation)
            while True:
                outcome = None
                if isinstance(step, Send):
                    outcome = await self._send(call, step)
                else:
                    await self.sleep(step.seconds)
                try:
                    step = conversation.send(outcome)
                except StopIteration as end:
                    answer: Answer = end.value
                    return answer

    async def aclose(self) -> None:
        """Close the connections. The next call opens new ones."""
        with self._lock:
            http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    async def __aenter__(self) -> Self:
        with self._lock:
            self._holders += 1
        return self

    async def __aexit__(self, *error: object) -> None:
        with self._lock:
            self._holders -= 1
            unused = None if self._holders else self._http
            if unused is not None:
                self._http = None  # under the lock: the next holder must not get connections that are about to be closed
        if unused is not None:
            await unused.aclose()

    async def _send(self, call: Call[Any], step: Send) -> httpx.Response | httpx.RequestError:
        headers = {**call.headers, **self.settings.authorization()}
        try:
            return await async_answer(self._connect(), call.method, call.path, step.seconds, json=call.body, headers=headers)
        except httpx.RequestError as error:
            return error

    def _connect(self) -> httpx.AsyncClient:
        with self._lock:
            if self._http is None:
                self._http = httpx.AsyncClient(
                    base_url=self.settings.url,
                    verify=self.settings.trust(),
                    transport=self._transport,
                    trust_env=uses_proxies(self.settings.url),
                )
            return self._http

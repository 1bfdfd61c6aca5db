"""Call a receiver once: bounded, over verified TLS, and without following redirects."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import aiohttp

from rolevend.errors import InvalidInput
from rolevend.notifications.notice import Notice
from rolevend.notifications.payload import payload
from rolevend.notifications.receivers import Endpoint, Receiver
from rolevend.notifications.schedule import retry_after
from rolevend.notifications.signature import signed

_SECONDS: Final = 15.0
_GONE: Final = 410
_CONTENT: Final = {"Content-Type": "application/json", "User-Agent": "rolevend"}


@dataclass(frozen=True, slots=True)
class CallResult:
    """`problem` is None if the receiver accepted the message. It shows neither the URL nor a secret."""

    problem: str | None = None
    is_final: bool = False
    """True if the receiver wants no further call."""
    retry_after: float | None = None
    """Seconds that the receiver asks for."""


class NotificationSender:
    def __init__(self, source: str, now: Callable[[], datetime], seconds: float = _SECONDS) -> None:
        """`source` names the cluster. A call takes at most so many seconds."""
        self._source = source
        self._now = now
        self._seconds = seconds

    async def send(self, receiver: Receiver, notice: Notice) -> CallResult:
        """Send the message. Raises nothing that a receiver, its network or its files cause."""
        body = payload(notice, receiver.format, self._source)
        try:
            endpoint = await asyncio.to_thread(receiver.endpoint)
            headers = {**_CONTENT, **signed(notice.id, body, endpoint.keys, self._now())}
            connector = aiohttp.TCPConnector(ssl=await asyncio.to_thread(_trust, endpoint, receiver))
            timeout = aiohttp.ClientTimeout(total=self._seconds)
            async with (
                aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False) as session,
                session.post(endpoint.url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                return self._judged(answer)
        except InvalidInput as error:
            return CallResult(str(error))
        except TimeoutError:
            return CallResult(f"no answer within {self._seconds:g} seconds")
        except (aiohttp.ClientError, OSError, UnicodeError) as error:
            return CallResult(_cause(error))

    def _judged(self, answer: aiohttp.ClientResponse) -> CallResult:
        status = answer.status
        if 200 <= status < 300:
            return CallResult()
        if 300 <= status < 400:
            return CallResult(f"it answers with status {status}, and redirects are not followed: configure the URL that it leads to")
        asked_for = retry_after(answer.headers.get("Retry-After"), self._now())
        return CallResult(f"it answers with status {status}", status == _GONE, asked_for)


def _trust(endpoint: Endpoint, receiver: Receiver) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cadata=endpoint.authorities)
    except (ssl.SSLError, ValueError) as error:
        raise InvalidInput(str(receiver.folder / "ca.crt"), "holds no certificates in PEM") from error


def _cause(error: Exception) -> str:
    """Return the cause without the address, which may be a secret of its own."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return "its certificate is not trusted: put its authority into ca.crt of its Secret"
        case aiohttp.ClientConnectorError():
            return f"cannot connect: {error.os_error.strerror or type(error.os_error).__name__}"
        case aiohttp.ServerDisconnectedError():
            return "it closed the connection without an answer"
        case _:
            return f"the call failed: {type(error).__name__}"

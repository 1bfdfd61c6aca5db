"""Sign a webhook as Standard Webhooks 1.0 says (github.com/standard-webhooks/standard-webhooks). Pure."""

import base64
import binascii
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from rolevend.errors import InvalidInput

_PREFIX: Final = "whsec_"
_FEWEST_BYTES, _MOST_BYTES = 24, 64
_MOST_KEYS: Final = 4
_INVALID: Final = (
    f"each line must be {_PREFIX} and {_FEWEST_BYTES} to {_MOST_BYTES} random bytes in base64;"
    f" make one with: echo {_PREFIX}$(openssl rand -base64 32)"
)


@dataclass(frozen=True, slots=True)
class WebhookKey:
    """A secret that a receiver shares with us."""

    secret: bytes = field(repr=False)


def keys_in(text: str, place: str) -> tuple[WebhookKey, ...]:
    """Return the keys, one a line. While a receiver changes to another key there are two. Raises InvalidInput, which names `place`."""
    lines = text.split()
    if not 0 < len(lines) <= _MOST_KEYS:
        raise InvalidInput(place, f"must hold one key, and at most {_MOST_KEYS}; {_INVALID}")
    return tuple(_key(line, place) for line in lines)


def _key(line: str, place: str) -> WebhookKey:
    if not line.startswith(_PREFIX):
        raise InvalidInput(place, _INVALID)
    try:
        secret = base64.b64decode(line.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput(place, _INVALID) from None  # the cause would show the key
    if not _FEWEST_BYTES <= len(secret) <= _MOST_BYTES:
        raise InvalidInput(place, _INVALID)
    return WebhookKey(secret)


def signed(message_id: str, payload: bytes, keys: Iterable[WebhookKey], now: datetime) -> Mapping[str, str]:
    """Return the headers of one attempt. The id is that of the message, for every attempt; the time is that of the attempt."""
    seconds = str(int(now.timestamp()))
    content = b".".join((message_id.encode(), seconds.encode(), payload))
    signatures = " ".join(f"v1,{_mac(key, content)}" for key in keys)
    headers = {"webhook-id": message_id, "webhook-timestamp": seconds}
    return {**headers, "webhook-signature": signatures} if signatures else headers


def _mac(key: WebhookKey, content: bytes) -> str:
    return base64.b64encode(hmac.digest(key.secret, content, "sha256")).decode()

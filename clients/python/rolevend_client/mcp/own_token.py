"""The server's own token from the identity provider: renewed before it expires, and kept only in memory."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from rolevend_client.errors import RolevendError
from rolevend_client.mcp.issuer import Issuer

_AGAIN_SECONDS = 5.0
"""Time until the next try after a failure."""
_PART = 0.5
"""The part of a token's lifetime after which it is renewed."""
_log = logging.getLogger("rolevend_client")


class OwnToken:
    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._text = ""

    def __call__(self) -> str:
        return self._text

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Get the token, and renew it until the block ends."""
        seconds = await self._renewed()
        renewing = asyncio.create_task(self._renew(seconds))
        try:
            yield
        finally:
            renewing.cancel()
            with suppress(asyncio.CancelledError):
                await renewing

    async def _renew(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                seconds = await self._renewed()
            except RolevendError as error:
                _log.warning("the server's own token is not renewed: %s", error)
                seconds = _AGAIN_SECONDS

    async def _renewed(self) -> float:
        """Get a new token. Returns the seconds until the next renewal."""
        self._text, lives = await self._issuer.exchange.own_token()
        return max(lives * _PART, 1.0)

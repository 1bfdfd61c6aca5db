"""A request for an offer: wait for its decision, or withdraw it."""

import math
from typing import Self

from rolevend_client import access_protocol
from rolevend_client.async_caller import AsyncApiCaller
from rolevend_client.open_request import OpenRequest
from rolevend_client.values import AccessRequest

_PAUSE = 1.0
"""Seconds until the next call, after an answer that did not wait."""


class AsyncAccessRequested(OpenRequest):
    def __init__(self, found: AccessRequest, caller: AsyncApiCaller) -> None:
        super().__init__(found)
        self._caller = caller

    async def wait(self, seconds: float = 60.0, *, for_confirmation: bool = False) -> Self:
        """Wait until it is decided, at most `seconds`, and return it. The end of the wait is no error: it is still pending then.

        With `for_confirmation` the wait ends also when there is nothing to confirm any more: people may still have to decide.
        """
        ends = self._caller.clock() + seconds
        async with self._caller:
            while self.is_pending:
                left = ends - self._caller.clock()
                await self._look(min(max(math.ceil(left), 0), access_protocol.LONGEST_WAIT))
                if not self.is_pending or (for_confirmation and not self.waits_for_user) or self._caller.clock() >= ends:
                    break
                await self._caller.sleep(min(_PAUSE, max(ends - self._caller.clock(), 0.0)))
        return self

    async def refresh(self) -> Self:
        """Get its state, and return it."""
        await self._look(0)
        return self

    async def withdraw(self) -> None:
        """Withdraw it. Roles that use its approval end. Idempotent."""
        await self._caller.call(access_protocol.withdraw(self.id))

    async def _look(self, seconds: int) -> None:
        call = access_protocol.look(self.id, seconds)
        self.found = await self._caller.call(call, self._caller.settings.patience + seconds)

# Generated from async_requested.py by `make fix`. Do not edit.
"""A request for an offer: wait for its decision, or withdraw it."""

import math
from typing import Self

from rolevend_client import access_protocol
from rolevend_client.caller import ApiCaller
from rolevend_client.open_request import OpenRequest
from rolevend_client.values import AccessRequest

_PAUSE = 1.0
"""Seconds until the next call, after an answer that did not wait."""


class AccessRequested(OpenRequest):
    def __init__(self, found: AccessRequest, caller: ApiCaller) -> None:
        super().__init__(found)
        self._caller = caller

    def wait(self, seconds: float = 60.0, *, for_confirmation: bool = False) -> Self:
        """Wait until it is decided, at most `seconds`, and return it. The end of the wait is no error: it is still pending then.

        With `for_confirmation` the wait ends also when there is nothing to confirm any more: people may still have to decide.
        """
        ends = self._caller.clock() + seconds
        with self._caller:
            while self.is_pending:
                left = ends - self._caller.clock()
                self._look(min(max(math.ceil(left), 0), access_protocol.LONGEST_WAIT))
                if not self.is_pending or (for_confirmation and not self.waits_for_user) or self._caller.clock() >= ends:
                    break
                self._caller.sleep(min(_PAUSE, max(ends - self._caller.clock(), 0.0)))
        return self

    def refresh(self) -> Self:
        """Get its state, and return it."""
        self._look(0)
        return self

    def withdraw(self) -> None:
        """Withdraw it. Roles that use its approval end. Idempotent."""
        self._caller.call(access_protocol.withdraw(self.id))

    def _look(self, seconds: int) -> None:
        call = access_protocol.look(self.id, seconds)
        self.found = self._caller.call(call, self._caller.settings.patience + seconds)

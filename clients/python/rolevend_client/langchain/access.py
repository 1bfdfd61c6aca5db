"""The roles of one run: the standing one, and a new one while an approval lasts."""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

from rolevend_client import access_messages, explaining
from rolevend_client.asking import Asking, AskingTerms, asking, unknown_request
from rolevend_client.client import Rolevend
from rolevend_client.errors import Rejected, RolevendError, Unavailable
from rolevend_client.requested import AccessRequested
from rolevend_client.run import ForTheModel, Run
from rolevend_client.values import Decision, Offer


class RunAccess:
    """Thread-safe. Vends and requests with the toolkit's client, in the thread of the tool."""

    def __init__(self, standing: Run, client: Rolevend, wanted: Callable[[], Mapping[str, Any]]) -> None:
        """`wanted` returns the arguments of a vend for the user of this run. Each call may return another token."""
        self.standing = standing
        self._client = client
        self._wanted = wanted
        self._lock = threading.Lock()
        self._asked: dict[str, tuple[Asking, AccessRequested]] = {}
        self._explained: dict[str, Offer] = {}
        """The offers that explanations of single tables named."""
        self._granted: str | None = None
        """The request whose approval the next call uses."""
        self._in_use: str | None = None
        self._approved: Run | None = None
        self._stack = ExitStack()
        self._is_over = False

    def told(self, tell: Callable[[Run], str]) -> str:
        """Return the text of `tell`, which gets the run with the role of now. Raises `ForTheModel`."""
        return self._current().told(tell)

    def explain(self, table: str, platform: str | None = None) -> str:
        """Return what the role of now reads of one table, or which offers show it. Raises `ForTheModel`."""
        run, wanted = self._current(), self._wanted()
        terms = _terms(wanted)
        asked = explaining.question(run, terms.platforms, table, platform)
        terms.require([asked.table])
        decision: Decision | RolevendError
        try:
            decision = self._client.decide(platform=asked.platform, purpose=terms.purpose, resources=[asked.table], **_proof(wanted))
            self._explained |= {each.name: each for each in (*decision.missing.offers, *decision.explanation.offers)}
        except (Rejected, Unavailable) as error:
            decision = error
        return run.told(lambda run: explaining.explained(run, asked, decision))

    def request(
        self,
        offer: str,
        *,
        tables: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
        minutes: int | None = None,
        why: str | None = None,
        ticket: str | None = None,
    ) -> str:
        wanted = self._wanted()
        terms = _terms(wanted)
        asked = asking(self._offers(), terms, offer, tables=tables, columns=columns, minutes=minutes, why=why, ticket=ticket)
        try:
            request = self._client.request_access(**asked.request(), task=wanted["task"], **_proof(wanted))
        except (Rejected, Unavailable) as error:
            raise ForTheModel(access_messages.not_requested(error)) from None
        self._asked[request.id] = asked, request
        return self._stated(request)

    def status(self, request_id: str, wait_seconds: int) -> str:
        if request_id not in self._asked:
            raise unknown_request()
        request = self._asked[request_id][1]
        try:
            if request.is_pending:
                request.wait(wait_seconds)
            else:
                request.refresh()
        except (Rejected, Unavailable) as error:
            raise ForTheModel(access_messages.not_requested(error)) from None
        return self._stated(request)

    def end(self) -> None:
        """Release the role of an approval, and vend no other one: a tool may still run in its thread. The standing role is the caller's."""
        with self._lock:
            self._is_over = True
            self._end_approved()

    def _stated(self, request: AccessRequested) -> str:
        with self._lock:
            if request.is_approved and request.id != self._in_use:
                self._granted = request.id
        return access_messages.stated(request.found)

    def _offers(self) -> Sequence[Offer]:
        return (*self.standing.offers, *(self._approved.offers if self._approved else ()), *self._explained.values())

    def _current(self) -> Run:
        with self._lock:
            if self._approved is not None and self._approved.has_ended(datetime.now(UTC)):
                if not self._approved.is_lost:  # else the model was informed
                    self.standing.note = access_messages.FELL_BACK
                self._end_approved()
            if self._granted is not None and not self._is_over:
                self._use(self._granted)
            return self._approved or self.standing

    def _use(self, request_id: str) -> None:
        asked, request = self._asked[request_id]
        wanted = self._wanted()
        with ExitStack() as stack:
            try:
                role = stack.enter_context(self._client.vend(**asked.vend(request.found), task=wanted["task"], **_proof(wanted)))
            except Rejected as error:
                self._granted = None
                (self._approved or self.standing).note = access_messages.unusable(error)
                return
            except Unavailable as error:
                raise ForTheModel(access_messages.not_yet(error)) from None
            run = Run(role, is_approved=True)
            stack.callback(run.end)
            self._end_approved()
            self._stack, self._approved, self._in_use, self._granted = stack.pop_all(), run, request_id, None

    def _end_approved(self) -> None:
        stack, self._stack, self._approved, self._in_use = self._stack, ExitStack(), None, None
        stack.close()


def _terms(wanted: Mapping[str, Any]) -> AskingTerms:
    platform = wanted["platform"]
    return AskingTerms((platform,) if isinstance(platform, str) else tuple(platform), wanted["purpose"], wanted["resources"])


def _proof(wanted: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: wanted[name] for name in ("user_token", "user")}

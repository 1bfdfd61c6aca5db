"""The call for signals (RFC 8935). It authenticates by the signature of the token in its body."""

from typing import Final

from fastapi import FastAPI
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from rolevend.api.connections import token_is_valid
from rolevend.api.refusals import RefusalLog
from rolevend.api.signals.calls import EVENTS, SIGNAL_CALLS
from rolevend.api.signals.failures import MalformedCall, failed
from rolevend.api.signals.receiver import OnSignal, SignalReceiver
from rolevend.audit.api_events import Bearer, RefusedCall
from rolevend.errors import InvalidInput, Unavailable
from rolevend.identity.compact import digest
from rolevend.identity.refusal import TokenRefused
from rolevend.identity.token_check import TokenCheck
from rolevend.roles.protocols import Snapshots
from rolevend.telemetry.metrics import NO_EVENT
from rolevend.web.named_route import NamedRoute

_MEDIA_TYPE: Final = "application/secevent+jwt"


class SignalRoutes:
    def __init__(
        self, check: TokenCheck, receiver: SignalReceiver, snapshots: Snapshots, refusals: RefusalLog, on_signal: OnSignal
    ) -> None:
        self._check = check
        self._receiver = receiver
        self._snapshots = snapshots
        self._refusals = refusals
        self._on_signal = on_signal

    def add_to(self, app: FastAPI) -> None:
        """Add the call. It is no part of its document, which is for agents."""
        (name,) = SIGNAL_CALLS
        app.router.routes.append(NamedRoute(EVENTS, self._answer, ["POST"], name))

    async def _answer(self, request: Request) -> Response:
        try:
            await self._receive(request)
        except Exception as error:
            return failed(error, request)
        return Response(status_code=202)

    async def _receive(self, request: Request) -> None:
        request_id = request.state.request_id
        text = await _token(request)
        if self._snapshots.snapshot.pending:
            raise Unavailable(self._snapshots.snapshot.pending)
        try:
            events = await self._check.events(text)
        except TokenRefused as error:
            self._on_signal(NO_EVENT, "refused")
            await self._refusals.refused(RefusedCall(Bearer.SIGNAL, error.code, str(error), digest(text), None, request_id))
            raise
        token_is_valid()
        try:
            await self._receiver.receive(events, request_id)
        except Exception as error:
            self._on_signal(NO_EVENT, "refused" if isinstance(error, InvalidInput) else "failed")
            raise


async def _token(request: Request) -> str:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != _MEDIA_TYPE:
        raise MalformedCall(f"Content-Type: must be {_MEDIA_TYPE}")
    try:
        body = await request.body()
    except ClientDisconnect:
        raise MalformedCall("the body was not sent completely") from None
    return body.decode(errors="replace").strip()

"""The client, for programs that wait: what is sent and what it means is in `protocol`."""

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from rolevend_client import protocol
from rolevend_client.active_roles import open_roles, unwinding
from rolevend_client.errors import NotFound, RolevendError
from rolevend_client.protocol import Call, Send
from rolevend_client.role import Role
from rolevend_client.settings import Settings, TokenSource
from rolevend_client.values import AssertedUser, Decision, Task, UserToken, VendedRole

Answer = TypeVar("Answer")

RELEASE_PATIENCE = 10.0
"""Seconds for the release at the end of a block, and for the end of a role whose answer was lost."""
LAST_PATIENCE = 3.0
"""Seconds for each role that is released when the interpreter exits."""
_log = logging.getLogger("rolevend_client")


class Rolevend:
    """Vends roles of one agent. Safe to use from several threads.

    Connections to the API are kept while a role is open; in a `with` block of the client itself, until its end.
    """

    def __init__(
        self,
        url: str,
        *,
        token: TokenSource,
        ca_file: Path | None = None,
        patience: float = 30.0,
        in_the_clear: bool = False,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`token` is asked for the agent's own token before each try; the others are as in `Settings`, or for tests."""
        self.settings = Settings(url, token, ca_file, patience, in_the_clear)
        self._transport = transport
        self._sleep = sleep
        self._clock = clock
        self._lock = threading.Lock()
        self._holders = 0
        self._http: httpx.Client | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """As ROLEVEND_URL, ROLEVEND_TOKEN_FILE and ROLEVEND_CA_FILE say."""
        settings = Settings.from_environment(environment)
        return cls(settings.url, token=settings.token, ca_file=settings.ca_file)

    @contextmanager
    def vend(
        self,
        user_token: UserToken | str | None = None,
        *,
        platform: str | Sequence[str],
        user: AssertedUser | None = None,
        purpose: str | None = None,
        resources: Iterable[tuple[str, str]] = (),
        seconds: int | None = None,
        task: Task | None = None,
        allow_partial: bool = False,
        idempotency_key: str | None = None,
    ) -> Iterator[Role]:
        """A role for the block, gone after it, however it ends. `resources` are (schema, table): fewer than all that is granted. On several
        platforms it has one name; with `allow_partial` it may be on some of them alone, and `role.left_out` says where it is not.

        Where the release at the end does not work, that is logged and not raised, so that it hides nothing; it is tried once more at the
        interpreter's exit, and the role ends by itself at `expires_at`.
        """
        wanted = protocol.wish(
            user_token,
            platform=platform,
            user=user,
            purpose=purpose,
            resources=resources,
            seconds=seconds,
            task=task,
            allow_partial=allow_partial,
        )
        with self._connected(), unwinding.held():
            role = self._vended(protocol.vend(wanted, idempotency_key))
            try:
                yield role
            finally:
                try:
                    role.close()
                finally:
                    self._released_at_the_end(role.id)

    def decide(
        self,
        user_token: UserToken | str | None = None,
        *,
        platform: str | Sequence[str],
        user: AssertedUser | None = None,
        purpose: str | None = None,
        resources: Iterable[tuple[str, str]] = (),
        allow_partial: bool = False,
    ) -> Decision:
        """What `vend` would give. Nothing is made, and the token can still be used."""
        wanted = protocol.wish(user_token, platform=platform, user=user, purpose=purpose, resources=resources, allow_partial=allow_partial)
        return self._answer(protocol.decide(wanted))

    def get(self, role_id: str) -> VendedRole:
        return self._answer(protocol.get(role_id))

    def list(self) -> tuple[VendedRole, ...]:
        """This agent's own."""
        return self._answer(protocol.listed())

    def release(self, role_id: str) -> bool:
        """Whether it is known to be gone: else it is on its way. `NotFound` where it is not there."""
        gone = self._answer(protocol.release(role_id))
        open_roles.discard(role_id)
        return gone

    def close(self) -> None:
        """Its connections to the API; it can go on being used."""
        with self._lock:
            http, self._http = self._http, None
        if http is not None:
            http.close()

    def __enter__(self) -> Self:
        with self._lock:
            self._holders += 1
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._lock:
            self._holders -= 1
            unused = None if self._holders else self._http
            if unused is not None:
                self._http = None  # at once: who comes now must not get connections that are about to be closed
        if unused is not None:
            unused.close()

    def _vended(self, call: Call[VendedRole]) -> Role:
        try:
            vended = self._answer(call)
            role = Role(vended, lambda: self.release(vended.id))
            open_roles.add(vended.id, lambda: release_at_last(self.settings, vended.id))
        except BaseException as error:
            if protocol.may_have_been_done(error):
                self._give_back(call)
            raise
        return role

    def _give_back(self, call: Call[VendedRole]) -> None:
        """Under its key, the call finds the role that it may have made before."""
        try:
            made = self._answer(protocol.made_by(call), RELEASE_PATIENCE)
            self._answer(protocol.release(made), RELEASE_PATIENCE)
        except RolevendError as problem:
            _log.warning("a role may be left over until it ends by itself: %s", problem)

    def _released_at_the_end(self, role_id: str) -> None:
        if role_id not in open_roles:
            return
        try:
            self._answer(protocol.release(role_id), RELEASE_PATIENCE)
        except NotFound:
            pass
        except RolevendError as problem:
            _log.warning("the role ends by itself if a further try does not work: %s", problem)
            return
        open_roles.discard(role_id)

    def _answer(self, call: Call[Answer], patience: float | None = None) -> Answer:
        conversation = protocol.conversation(call, patience or self.settings.patience, self._clock, random.random)
        with self._connected() as http:
            step = next(conversation)
            while True:
                outcome = None
                if isinstance(step, Send):
                    outcome = self._sent(http, call, step)
                else:
                    self._sleep(step.seconds)
                try:
                    step = conversation.send(outcome)
                except StopIteration as end:
                    answer: Answer = end.value
                    return answer

    def _sent(self, http: httpx.Client, call: Call[Any], step: Send) -> httpx.Response | httpx.RequestError:
        try:
            return http.request(**request(self.settings, call, step))
        except httpx.RequestError as error:
            return error

    @contextmanager
    def _connected(self) -> Iterator[httpx.Client]:
        with self:
            with self._lock:
                if self._http is None:
                    self._http = httpx.Client(base_url=self.settings.url, verify=self.settings.trust(), transport=self._transport)
                http = self._http
            yield http


def request(settings: Settings, call: Call[Any], step: Send) -> dict[str, Any]:
    """The arguments of httpx's `request`."""
    return {
        "method": call.method,
        "url": call.path,
        "json": call.body,
        "headers": {**call.headers, **settings.authorization()},
        "timeout": httpx.Timeout(step.seconds),
    }


def release_at_last(settings: Settings, role_id: str) -> None:
    """With connections of its own: those of a client may belong to an event loop that is gone."""
    brief = replace(settings, patience=LAST_PATIENCE)
    last = Rolevend(brief.url, token=brief.token, ca_file=brief.ca_file, patience=brief.patience, in_the_clear=brief.in_the_clear)
    try:
        last.release(role_id)
    except NotFound:
        return

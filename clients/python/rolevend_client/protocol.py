"""The HTTP API as pure functions: what to send, what an answer means, and whether to send a call again.

Both clients drive `conversation`; they only send and wait. This module has no clock and no network.

Each call may be repeated: a read changes nothing, a release is idempotent, and a vend carries an idempotency key, under which the API
creates one role.
"""

import email.utils
import json
import secrets
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Generic, NoReturn, TypeVar
from urllib.parse import quote

import httpx

from rolevend_client import parsing
from rolevend_client.errors import (
    Conflict,
    Denied,
    InvalidInput,
    NotFound,
    Problem,
    Refused,
    Rejected,
    RolevendError,
    TooManyRequests,
    Unavailable,
    Unexpected,
)
from rolevend_client.members import argument_of, proof_of, tables_of, task_members, user_members, without_none
from rolevend_client.values import AssertedUser, Decision, Platform, Task, UserToken, VendedRole

Answer = TypeVar("Answer")
Other = TypeVar("Other")

_ROLES = "/v1/vended-roles"
_MORE_SECONDS = 0.05
"""The minimum timeout of a try."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_TRY_AGAIN = frozenset({429, 502, 503, 504})
_ENDED = "Ended"
"""The code with which a repeated vend is refused while the role of an earlier try is being dropped. After that it can succeed."""


@dataclass(frozen=True, slots=True)
class Call(Generic[Answer]):
    """One call of the API, and the function that reads its answer. It holds the user's token, and its repr does not show it."""

    doing: str
    """The attempt, for error messages: "cannot ..."."""
    method: str
    path: str
    read: Callable[[httpx.Response], Answer] = field(repr=False)
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=lambda: {"X-Request-Id": secrets.token_hex(16)})
    arguments: Mapping[str, str] = field(default_factory=dict)
    """The argument for each member of the body that has another name."""

    def reading(self, read: Callable[[httpx.Response], Other]) -> "Call[Other]":
        """Return the same call with another function for its answer."""
        return replace(self, read=read)  # type: ignore[arg-type, return-value]


@dataclass(frozen=True, slots=True)
class Send:
    """Step: send the call. The outcome is the response, or the error raised instead."""

    seconds: float
    """The timeout."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Step: wait. The outcome is None."""

    seconds: float


Step = Send | Pause
Outcome = httpx.Response | httpx.RequestError | None


@dataclass(frozen=True, slots=True)
class Wish:
    """The arguments of a vend or a decision."""

    platforms: tuple[str, ...]
    user: UserToken | AssertedUser
    purpose: str | None = None
    resources: tuple[tuple[str, str], ...] = ()
    seconds: int | None = None
    task: Task | None = None
    allow_partial: bool = False
    approval: str | None = None

    @property
    def place(self) -> str:
        return ", ".join(self.platforms)

    def body(self) -> dict[str, Any]:
        members = {
            **user_members(self.user),
            "platforms": list(self.platforms),
            "allowPartial": self.allow_partial or None,
            "purpose": self.purpose,
            "resources": [{"schema": schema, "table": table} for schema, table in self.resources] or None,
            "expirationSeconds": self.seconds,
            "task": task_members(self.task),
            "approval": {"id": self.approval} if self.approval else None,
        }
        return without_none(members)


def wish(
    user_token: UserToken | str | None,
    *,
    platform: str | Sequence[str],
    user: AssertedUser | None = None,
    purpose: str | None = None,
    resources: Iterable[tuple[str, str] | str] | str = (),
    seconds: int | None = None,
    task: Task | None = None,
    allow_partial: bool = False,
    approval: str | None = None,
) -> Wish:
    """Return the arguments as a value. Raises TypeError unless exactly one of token and user is given, and at least one platform; and
    ValueError if a text of `resources` names no table."""
    platforms = (platform,) if isinstance(platform, str) else tuple(platform)
    if not platforms:
        raise TypeError("name a platform, or several")
    who = proof_of(user_token, user)
    return Wish(platforms, who, purpose, tables_of(resources, "resources"), seconds, task, allow_partial, approval)


def vend(wanted: Wish, idempotency_key: str | None = None) -> Call[VendedRole]:
    made = Call(f"vend a role on {wanted.place}", "POST", _ROLES, reads(parsing.vended_role), wanted.body(), arguments=_arguments(wanted))
    return replace(made, headers={**made.headers, "Idempotency-Key": idempotency_key or secrets.token_hex(16)})


def decide(wanted: Wish) -> Call[Decision]:
    body = {name: value for name, value in wanted.body().items() if name not in {"expirationSeconds", "task"}}
    doing, arguments = f"ask what would be granted on {wanted.place}", _arguments(wanted)

    def read(document: parsing.Members) -> Decision:
        found = parsing.decision(document)
        member, colon, rest = found.message.partition(": ")
        return replace(found, message=f"{argument_of(member, arguments)}: {rest}") if colon else found

    return Call(doing, "POST", "/v1/decisions", reads(read), body, arguments=arguments)


def _arguments(wanted: Wish) -> Mapping[str, str]:
    return _ARGUMENTS if len(wanted.platforms) > 1 else {**_ARGUMENTS, "platforms.0": "platform"}


_ARGUMENTS: Mapping[str, str] = {
    "userToken": "user_token",
    "platforms": "platform",
    "allowPartial": "allow_partial",
    "expirationSeconds": "seconds",
    "Idempotency-Key": "idempotency_key",
}


def get(role_id: str) -> Call[VendedRole]:
    return Call(f"look at the role {role_id}", "GET", _path(role_id), reads(parsing.vended_role))


def platforms() -> Call[tuple[Platform, ...]]:
    return Call("list the platforms", "GET", "/v1/platforms", reads(parsing.platforms))


def listed() -> Call[tuple[VendedRole, ...]]:
    return Call("list the roles", "GET", _ROLES, reads(parsing.vended_roles))


def release(role_id: str) -> Call[bool]:
    """Read True if the role is known to be dropped; False: the API goes on dropping it."""
    return Call(f"release the role {role_id}", "DELETE", _path(role_id), lambda response: response.status_code != httpx.codes.ACCEPTED)


def made_by(vending: Call[VendedRole]) -> Call[str]:
    """Return the call that reads the id of the role that `vending` created, where its answer was lost or could not be read."""
    return vending.reading(reads(lambda document: parsing.text(document, "id")))


def conversation(
    call: Call[Answer], patience: float, clock: Callable[[], float], chance: Callable[[], float]
) -> Generator[Step, Outcome, Answer]:
    """Yield the steps of a call. Returns its answer, or raises the last error if another try would exceed `patience`.

    `clock` returns seconds, `chance` a number between 0 and 1.
    """
    ends = clock() + patience
    tries = 0
    may_be_done = False
    while True:
        outcome = yield Send(max(ends - clock(), _MORE_SECONDS))
        if isinstance(outcome, httpx.Response) and outcome.is_success:
            return _read(call, outcome)
        failure = error_of(call, outcome) if isinstance(outcome, httpx.Response) else unanswered(call, outcome)
        may_be_done = failure.may_be_done = _may_be_done(outcome, failure, before=may_be_done)
        if not (isinstance(failure, Unavailable) or (tries and failure.code == _ENDED)):
            raise failure
        said = failure.retry_after if isinstance(failure, Unavailable) else None
        pause = max(said or 0.0, min(_FIRST_PAUSE * 2**tries, _LONGEST_PAUSE) * (0.5 + chance() / 2))
        if clock() + pause >= ends or _hopeless(outcome):
            raise failure from (outcome if isinstance(outcome, BaseException) else None)
        yield Pause(pause)
        tries += 1


def error_of(call: Call[Any], response: httpx.Response) -> RolevendError:
    """Return the error for an answer that is not a success."""
    problem = _problem(response, call.arguments)
    said = f"{problem.code}: {problem.detail or problem.title}".strip(": ") or f"the answer has the status {problem.status}"
    by = f" (request {problem.request_id})" if problem.request_id else ""
    message = " ".join(f"cannot {call.doing}: {said}{by}".split())
    if problem.status in _TRY_AGAIN:
        kind = TooManyRequests if problem.status == httpx.codes.TOO_MANY_REQUESTS else Unavailable
        return kind(message, problem, retry_after=_retry_after(response))
    rejection = _REJECTIONS.get(problem.status)
    return rejection(message, problem) if rejection else Unexpected(message, problem)


_REJECTIONS: Mapping[int, type[Rejected]] = {401: Refused, 403: Denied, 404: NotFound, 409: Conflict, 413: InvalidInput, 422: InvalidInput}


def unanswered(call: Call[Any], error: httpx.RequestError | None) -> Unavailable:
    why = " ".join(str(error).split()) or type(error).__name__
    return Unavailable(f"cannot {call.doing}: no answer: {why}")


def may_have_been_done(error: BaseException) -> bool:
    """True if a call that raised `error` may have had its effect: it was interrupted, or its answer was lost or could not be read."""
    return not isinstance(error, RolevendError) or isinstance(error, Unexpected) or error.may_be_done


def _may_be_done(outcome: Outcome, failure: RolevendError, *, before: bool) -> bool:
    """True if this try or one before may have had its effect. A refusal with a code is the API's last word; a proxy knows nothing of it."""
    if not isinstance(outcome, httpx.Response):
        return before or not isinstance(outcome, httpx.ConnectError | httpx.ConnectTimeout)
    if not failure.code:
        return before or outcome.is_server_error
    return before and isinstance(failure, Unavailable)


def _hopeless(outcome: Outcome) -> bool:
    """True if another try cannot succeed: the certificate is not trusted, or the protocol is not supported."""
    return isinstance(outcome, httpx.UnsupportedProtocol) or "CERTIFICATE_VERIFY_FAILED" in str(outcome)


def _read(call: Call[Answer], response: httpx.Response) -> Answer:
    try:
        return call.read(response)
    except (ValueError, RecursionError) as error:
        why = str(error) if isinstance(error, parsing.Unreadable) else "it is not JSON"
        raise Unexpected(f"cannot {call.doing}: this version does not understand the answer: {why}") from None


def reads(read: Callable[[parsing.Members], Answer]) -> Callable[[httpx.Response], Answer]:
    def from_response(response: httpx.Response) -> Answer:
        document = json.loads(response.content)
        return read(document) if isinstance(document, dict) else _no_object()

    return from_response


def _no_object() -> NoReturn:
    raise parsing.Unreadable("it is not an object")


def _problem(response: httpx.Response, arguments: Mapping[str, str]) -> Problem:
    """Return the problem document, whose detail names the argument. Tolerates any body: a proxy may answer instead of the API."""
    try:
        document = json.loads(response.content)
    except (ValueError, RecursionError):
        document = None
    members = document if isinstance(document, dict) else {}
    texts = {name: value for name, value in members.items() if isinstance(value, str)}
    member, detail = texts.get("field", ""), texts.get("detail", "")
    argument = argument_of(member, arguments) if member else ""
    if member and detail.startswith(f"{member}: "):
        detail = argument + detail.removeprefix(member)
    return Problem(
        response.status_code,
        texts.get("code", ""),
        texts.get("title", ""),
        detail,
        member,
        argument,
        parsing.missing(members),
        texts.get("requestId") or response.headers.get("X-Request-Id", ""),
        parsing.needed_login(response.headers.get("WWW-Authenticate", "")),
    )


def _retry_after(response: httpx.Response) -> float | None:
    """Return Retry-After in seconds, or None. A date is compared with the server's own Date, so the local clock may be wrong."""
    said = response.headers.get("Retry-After", "").strip()
    if said.isdecimal():
        return float(said)
    try:
        then = email.utils.parsedate_to_datetime(said)
        now = email.utils.parsedate_to_datetime(response.headers.get("Date", ""))
    except ValueError:
        return None
    return max((_aware(then) - _aware(now)).total_seconds(), 0.0)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _path(role_id: str) -> str:
    return f"{_ROLES}/{quote(role_id, safe='')}"

"""Read the body of a call strictly: one JSON object in UTF-8, with limited depth and no duplicate member.

Of two members with one name some parsers take the first and some the last: a proxy could read another call than this API. No call has a
query.
"""

import re
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from rolevend.api.middleware import Receive, Scope, Send
from rolevend.api.problems import Problem
from rolevend.identity.strict_json import DuplicateMember, NotJson, read_object

_JSON: Final = re.compile(r"application/(json|[^/]*\+json)")
_OF_THE_PROFILE: Final = frozenset({"approval", "denial", "client", "callback", "requested_access"})
"""Members of the access request profile of AuthZEN, which writes the members in them in snake_case."""
_IN_SNAKE_CASE: Final = frozenset({"requested_access", "business_justification"})
_MEMBER: Final = re.compile(r"[A-Za-z][-A-Za-z0-9]{0,63}")


class Misread(HTTPException):
    """A body that is not accepted; `problem` is the answer."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.status)
        self.problem = problem


class WrittenJson(Response):
    """An answer whose JSON is written already."""

    media_type = "application/json"


class StrictRoute(APIRoute):
    """A route with a strict body. It refuses query parameters, because a caller that adds `?dryRun=true` depends on them.

    It reads the fields that FastAPI documents, but not in FastAPI's way, which is also for forms, files, streams and nested dependencies,
    and takes longer than a decision.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.app = self._respond

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        for name in request.query_params:
            cause = f"{plain(name)}: there is no such query parameter, and nothing was done; POST /v1/decisions says what would be granted"
            raise Problem(400, "UnknownParameter", cause, field=plain(name))
        response = await self.endpoint(**await self._arguments(request))
        await response(scope, receive, send)

    async def _arguments(self, request: Request) -> dict[str, Any]:
        """Return the arguments of the endpoint. Raises Misread, RequestValidationError, and the errors of its dependencies."""
        wanted, arguments, errors = self.dependant, dict[str, Any](), list[Any]()
        given = [("path", each, request.path_params.get(each.alias)) for each in wanted.path_params]
        given += [("header", each, request.headers.get(each.alias)) for each in wanted.header_params]
        if wanted.body_params:
            given.append(("body", wanted.body_params[0], await _body(request)))
        if wanted.request_param_name is not None:
            arguments[wanted.request_param_name] = request
        for need in wanted.dependencies:
            if need.name is not None and need.call is not None:  # the others only document
                arguments[need.name] = await need.call(request)
        for place, field, value in given:
            if value is None and not field.field_info.is_required():
                continue
            location = (place,) if place == "body" else (place, field.alias)
            arguments[field.name], faults = field.validate(value, loc=location)
            errors += faults
        if errors:
            raise RequestValidationError(errors)
        return arguments


async def _body(request: Request) -> object:
    """Return the object in the body, or bytes that are not JSON by their type, which no model accepts."""
    try:
        raw = await request.body()
    except ClientDisconnect as error:
        raise HTTPException(400) from error
    is_json = _JSON.fullmatch(request.headers.get("content-type", "").partition(";")[0].strip().lower())
    return read_body(raw) if raw and is_json else raw


def read_body(raw: bytes) -> dict[str, Any]:
    """Parse the body. Raises Misread."""
    try:
        body = read_object(raw)
    except DuplicateMember as error:
        name = plain(error.member)
        cause = f"{name}: it occurs twice in one object, and a proxy could read the other one; send it once"
        raise Misread(Problem(400, "RepeatedMember", cause, field=name)) from error
    except NotJson as error:
        raise Misread(Problem(400, "MalformedBody", f"the body cannot be read: {error}; send one JSON object in UTF-8")) from error
    if (member := _internal_name(body)) is not None:
        raise Misread(
            Problem(422, "InvalidInput", f"{plain(member)}: there is no such member; members are written in camelCase", plain(member))
        )
    return body


def _internal_name(value: Any) -> str | None:
    """Return a member in snake_case, or None. The models accept those names, too, so that one member could have two names. The models of
    AuthZEN's profile have these names alone."""
    match value:
        case dict():
            named = next((name for name in value if "_" in name and name not in _IN_SNAKE_CASE), None)
            inner = (each for name, each in value.items() if name not in _OF_THE_PROFILE)
            return named or next(filter(None, map(_internal_name, inner)), None)
        case list():
            return next(filter(None, map(_internal_name, value)), None)
        case _:
            return None


def plain(member: object) -> str:
    """Return the member's name for a message. An unknown name is replaced, because it may be a token."""
    return str(member) if isinstance(member, int) or _MEMBER.fullmatch(str(member)) else "(another)"

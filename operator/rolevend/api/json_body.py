"""Read the body of a call strictly: one JSON object in UTF-8, with limited depth and no duplicate member.

Of two members with one name some parsers take the first and some the last: a proxy could read another call than this API. No call has a
query.
"""

import re
from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from rolevend.api.problems import Problem
from rolevend.identity.strict_json import DuplicateMember, NotJson, read_object

_MEMBER: Final = re.compile(r"[A-Za-z][-A-Za-z0-9]{0,63}")


class Misread(HTTPException):
    """A body that is not accepted; `problem` is the answer."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.status)  # FastAPI turns any other error into one without a reason
        self.problem = problem


class WrittenJson(Response):
    """An answer whose JSON is written already."""

    media_type = "application/json"


class StrictRoute(APIRoute):
    """A route with a strict body. It refuses query parameters, because a caller that adds `?dryRun=true` depends on them."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            for name in request.query_params:
                cause = (
                    f"{plain(name)}: there is no such query parameter, and nothing was done; POST /v1/decisions says what would be granted"
                )
                raise Problem(400, "UnknownParameter", cause, field=plain(name))
            return await handler(_StrictRequest(request.scope, request.receive))

        return handle


class _StrictRequest(Request):
    async def json(self) -> dict[str, Any]:
        return read_body(await self.body())


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
    """Return a member in snake_case, or None. The models accept those names, too, so that one member could have two names."""
    match value:
        case dict():
            return next((name for name in value if "_" in name), None) or next(filter(None, map(_internal_name, value.values())), None)
        case list():
            return next(filter(None, map(_internal_name, value)), None)
        case _:
            return None


def plain(member: object) -> str:
    """Return the member's name for a message. An unknown name is replaced, because it may be a token."""
    return str(member) if isinstance(member, int) or _MEMBER.fullmatch(str(member)) else "(another)"

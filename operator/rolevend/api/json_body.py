"""The body of a call, read as everybody reads it: one JSON object in UTF-8, not deep, in which no name stands twice. No call has a query.

Of two members of one name some readers take the first and some the last: whoever is in between would judge another call than we do.
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
    """A body that is not read; `problem` is what to answer."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.status)  # as any other error FastAPI would take it for one without a reason
        self.problem = problem


class StrictRoute(APIRoute):
    """A call whose body is read so, and which refuses what nobody reads: a caller that adds `?dryRun=true` relies on it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            for name in request.query_params:
                why = (
                    f"{plain(name)}: there is no such query parameter, and nothing was done; POST /v1/decisions says what would be granted"
                )
                raise Problem(400, "UnknownParameter", why, field=plain(name))
            return await handler(_StrictRequest(request.scope, request.receive))

        return handle


class _StrictRequest(Request):
    async def json(self) -> dict[str, Any]:
        return read_body(await self.body())


def read_body(raw: bytes) -> dict[str, Any]:
    """Raises Misread."""
    try:
        body = read_object(raw)
    except DuplicateMember as error:
        name = plain(error.member)
        why = f"{name}: it stands there twice in one object, and whoever is in between may read the other one; say it once"
        raise Misread(Problem(400, "RepeatedMember", why, field=name)) from error
    except NotJson as error:
        raise Misread(Problem(400, "MalformedBody", f"the body cannot be read: {error}; send one JSON object in UTF-8")) from error
    if (member := _internal_name(body)) is not None:
        raise Misread(
            Problem(422, "InvalidInput", f"{plain(member)}: there is no such member; members are written in camelCase", plain(member))
        )
    return body


def _internal_name(value: Any) -> str | None:
    """A member by a name that our own code has for it. The models take those, too, and then two names would say one thing."""
    match value:
        case dict():
            return next((name for name in value if "_" in name), None) or next(filter(None, map(_internal_name, value.values())), None)
        case list():
            return next(filter(None, map(_internal_name, value)), None)
        case _:
            return None


def plain(member: object) -> str:
    """What to call it. A member that is not ours bears any name that the caller chose, and that may be a token."""
    return str(member) if isinstance(member, int) or _MEMBER.fullmatch(str(member)) else "(another)"

"""The calls. Each parses, calls a service and answers; a failure is a problem document."""

import logging
from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Header, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware

from rolevend import __version__
from rolevend.api import responses
from rolevend.api.access.keyed_requests import KEY, KEY_PATTERN
from rolevend.api.access.routes import ACCESS_CALLS, add_access_routes
from rolevend.api.access.service import AccessService
from rolevend.api.authenticator import BEARER, Authenticator
from rolevend.api.authzen.evaluation import AUTHZEN_CALLS, add_authzen_routes
from rolevend.api.authzen.task_routes import TASK_CALLS, add_task_routes
from rolevend.api.confirm.routes import CONFIRM_CALLS
from rolevend.api.connections import token_is_valid
from rolevend.api.json_body import Misread, StrictRoute, WrittenJson, plain
from rolevend.api.middleware import TooLong
from rolevend.api.openapi import describe
from rolevend.api.problems import MEDIA_TYPE, Problem, error_problem
from rolevend.api.role_service import RoleService
from rolevend.api.schemas import Decision, ProblemShown, UsablePlatforms, VendedRoleShown, VendedRolesShown, VendRequest
from rolevend.api.scim.calls import SCIM_CALLS
from rolevend.api.signals.calls import SIGNAL_CALLS
from rolevend.api.vend_service import VendService
from rolevend.decision.admission import Agent
from rolevend.errors import RolevendError
from rolevend.kinds.text import SUBDOMAIN_PATTERN
from rolevend.roles.protocols import Snapshots

ROLES: Final = "/v1/vended-roles"
CALLS: Final = (
    *("vend", "list", "get", "release", "listPlatforms", "decide"),
    *(*ACCESS_CALLS, *AUTHZEN_CALLS, *TASK_CALLS, *CONFIRM_CALLS, *SCIM_CALLS, *SIGNAL_CALLS),
)
"""Operation ids, also the names of the calls in metrics."""

_log = logging.getLogger(__name__)


def application(
    vends: VendService, roles: RoleService, access: AccessService, authenticator: Authenticator, snapshots: Snapshots
) -> FastAPI:
    app = FastAPI(
        title="rolevend",
        version=__version__,
        summary="Database roles for AI agents: each for one task, on behalf of one person, and then gone",
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # they are ours; FastAPI looks for its own at each call
        responses={status: {"model": ProblemShown, "description": text} for status, text in _PROBLEMS.items()},
    )

    app.router.route_class = StrictRoute

    async def caller(request: Request) -> Agent:
        for each in (BEARER, KEY):
            if len(request.headers.getlist(each)) > 1:
                raise Problem(400, "RepeatedHeader", f"{each}: it occurs twice, and a proxy could read the other one", each)
        agent = await authenticator.agent(request.headers.get("authorization"), snapshots.snapshot, request.state.request_id)
        token_is_valid()
        return agent

    # HTTPBearer documents the scheme; `caller` checks the token and writes the problem.
    scheme = HTTPBearer(auto_error=False, scheme_name="agent", bearerFormat="JWT", description="The agent's own token")
    agent_type = Annotated[Agent, Depends(caller)]
    secured: dict[str, Any] = {"dependencies": [Depends(scheme)]}
    name_type = Annotated[str, Path(alias="id", max_length=253, pattern=SUBDOMAIN_PATTERN, description="`id` of a vended role")]
    key_type = Annotated[
        str | None,
        Header(alias=KEY, pattern=KEY_PATTERN, description="The same key and body again: the same role, with a fresh credential"),
    ]

    @app.post(
        ROLES,
        status_code=201,
        summary="Vend a role",
        operation_id="vend",
        response_description="The role can log in; its credential is returned only here",
        response_model=VendedRoleShown,
        **secured,
    )
    async def vend(request: Request, agent: agent_type, question: VendRequest, key: key_type = None) -> Response:
        answer = await vends.vend(agent, question, key, request.state.request_id)
        if key is None and await request.is_disconnected():
            await roles.release(agent, answer.request.name.name, request.state.request_id)  # the credential was never delivered
        headers = {"Location": f"{ROLES}/{answer.request.name.name}"}

        async def sent() -> None:  # a plain function would run in a thread
            answer.confirm()

        return WrittenJson(responses.vended(answer), 201, headers, background=BackgroundTask(sent))

    @app.get(
        ROLES,
        summary="The agent's own roles",
        operation_id="list",
        response_description="By their names",
        response_model=VendedRolesShown,
        **secured,
    )
    async def own_roles(agent: agent_type) -> Response:
        platforms = snapshots.snapshot.platforms
        found = VendedRolesShown(items=tuple(responses.shown(each, platforms) for each in await roles.all_of(agent)))
        return WrittenJson(responses.as_json(found))

    @app.get(
        f"{ROLES}/{{id}}",
        summary="One of them",
        operation_id="get",
        response_description="As it is now",
        response_model=VendedRoleShown,
        **secured,
    )
    async def role(agent: agent_type, name: name_type) -> Response:
        return WrittenJson(responses.as_json(responses.shown(await roles.own(agent, name), snapshots.snapshot.platforms)))

    @app.delete(
        f"{ROLES}/{{id}}",
        summary="Release a role",
        operation_id="release",
        status_code=204,
        response_description="It was looked for and is gone, with its sessions",
        responses={
            202: {"model": VendedRoleShown, "description": "Its end has begun, and takes longer: it can read nothing any more, or soon"}
        },
        **secured,
    )
    async def release(request: Request, agent: agent_type, name: name_type) -> Response:
        left = await roles.release(agent, name, request.state.request_id)
        if left is None:
            return Response(status_code=204)
        return WrittenJson(responses.as_json(responses.shown(left, snapshots.snapshot.platforms)), 202)

    @app.get(
        "/v1/platforms",
        summary="The platforms of the agent",
        operation_id="listPlatforms",
        response_description="Those that admit the agent",
        response_model=UsablePlatforms,
        **secured,
    )
    async def platforms(agent: agent_type) -> Response:
        return WrittenJson(responses.as_json(responses.platforms(agent, snapshots.snapshot)))

    @app.post(
        "/v1/decisions",
        summary="Decide without a role",
        operation_id="decide",
        response_description="The decision and its reason",
        response_model=Decision,
        **secured,
    )
    async def decide(request: Request, agent: agent_type, question: VendRequest) -> Response:
        return WrittenJson(responses.decision(*await vends.decide(agent, question, request.state.request_id)))

    add_access_routes(app, access, caller, scheme)
    add_authzen_routes(app, vends, caller, scheme)
    add_task_routes(app, access, caller, scheme)
    _add_error_handlers(app)
    describe(app)
    return app


def _add_error_handlers(app: FastAPI) -> None:
    def answered(problem: Problem, request: Request) -> JSONResponse:
        headers = dict(problem.headers)
        if problem.retry_after is not None:
            headers["Retry-After"] = str(problem.retry_after)
        document = problem.document(request.state.request_id)
        return JSONResponse(document, problem.status, headers, media_type=MEDIA_TYPE)

    def handler(kind: type[Exception], to_problem: Callable[[Any], Problem]) -> None:
        async def handle(request: Request, error: Exception) -> Response:
            problem = to_problem(error)
            cause = error.__cause__ if isinstance(error, Problem) and problem.status >= 500 else error
            if isinstance(cause, RolevendError):  # the caller gets no details
                _log.warning("a call failed: %s: %s", problem.code, cause, extra={"request_id": request.state.request_id})
            return answered(problem, request)

        app.add_exception_handler(kind, handle)

    handler(Problem, lambda problem: problem)
    handler(RolevendError, error_problem)
    handler(RequestValidationError, _of_members)
    handler(TooLong, lambda _: Problem(413, "TooLong", "the body is longer than 64 KiB"))
    handler(Misread, lambda error: error.problem)
    handler(HTTPException, lambda error: Problem(error.status_code, _CODES.get(error.status_code, "NotFound"), str(error.detail).lower()))

    async def fault(request: Request, _error: Exception) -> Response:
        _log.exception("a call failed", extra={"request_id": request.state.request_id})
        return answered(Problem(500, "InternalError", "an unexpected error; the log of rolevend has the request id"), request)

    # Instead of FastAPI's own layers, which limit bodies and close files, and would raise an unexpected error again.
    app.middleware_stack = ExceptionMiddleware(app.router, {**app.exception_handlers, Exception: fault})


def _of_members(error: RequestValidationError) -> Problem:
    """Return the first error, with the member's name as the caller wrote it and without its value."""
    first = error.errors()[0]
    place, *path = first["loc"]
    context = first.get("ctx", {})
    member = str(context.get("member") or "")
    parts = [*path, *([member] if member else [])] if place in ("body", "header", "path") else [place]
    name = ".".join(plain(each) for each in parts)
    message = str(first["msg"])
    return Problem(422, "InvalidInput", f"{name or 'the body'}: {message[:1].lower()}{message[1:]}", field=name or None)


_CODES: Final = {400: "MalformedBody", 404: "NotFound", 405: "MethodNotAllowed"}

_PROBLEMS: Final[dict[int | str, str]] = {
    400: "The body is not one JSON object, a member or a header occurs twice, or there is a query parameter",
    401: "A token is missing or refused: `code` has the reason",
    403: "Denied: `code` and `detail` have the reason, and `missing` the missing grant",
    404: "No such role, or no such access request, of this agent",
    409: "Another body under the same `Idempotency-Key`, or the role ended before it was ready",
    413: "The body is too long",
    422: "`field` is invalid",
    429: "Too many requests or roles; retry after `Retry-After`",
    503: "A dependency is not available; retry after `Retry-After`",
}

_DESCRIPTION: Final = """\
An agent proves itself by its own token in `Authorization`, and its user by theirs in the body. The answer to `POST /v1/vended-roles` holds
a role's credential, once. Every answer carries `X-Request-Id` and `traceparent`; every failure is a problem document (RFC 9457) with a
stable `code`.
"""

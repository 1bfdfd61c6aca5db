"""The calls of the AuthZEN Access Request and Approval Profile: submit a task, get it, cancel it. See `tasks`."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Header, Path, Request, Response
from fastapi.security import HTTPBearer

from rolevend.access_requests.states import RequestReason
from rolevend.api.access.keyed_requests import KEY, KEY_PATTERN, CallKey
from rolevend.api.access.routes import wait_seconds
from rolevend.api.access.service import AccessService
from rolevend.api.authzen.denial_binding import task_problem
from rolevend.api.authzen.evaluation import TASKS, base_of
from rolevend.api.authzen.tasks import BETWEEN, MOST_ITEMS, TaskAnswer, TaskSubmission, answered, is_of_a_task, status_of
from rolevend.api.json_body import WrittenJson
from rolevend.api.problems import RETRY_SECONDS, Problem
from rolevend.decision.admission import Agent
from rolevend.kinds import AccessRequest
from rolevend.kinds.text import SUBDOMAIN_PATTERN

TASK_CALLS: Final = ("submitTask", "getTask", "cancelTask")
"""Operation ids."""
_NAME: Final = SUBDOMAIN_PATTERN.removeprefix("^").removesuffix("$")
_ID: Final = f"^{_NAME}({BETWEEN}{_NAME}){{0,{MOST_ITEMS - 1}}}{BETWEEN}?$"


def add_task_routes(app: FastAPI, access: AccessService, caller: Callable[[Request], Awaitable[Agent]], scheme: HTTPBearer) -> None:
    """Add the calls. `caller` authenticates the agent, and `scheme` documents that."""
    agent_type = Annotated[Agent, Depends(caller)]
    secured: dict[str, Any] = {"dependencies": [Depends(scheme)]}
    id_type = Annotated[str, Path(alias="id", max_length=2_600, pattern=_ID, description="`id` of a task")]
    key_type = Annotated[
        str | None, Header(alias=KEY, pattern=KEY_PATTERN, description="The same key and body again: the same task, whatever became of it")
    ]
    prefer_type = Annotated[str | None, Header(alias="Prefer", description="`wait=30` (RFC 7240): wait for people, at most 60 seconds")]

    def answer(request: Request, found: Sequence[AccessRequest], done: int, *, several: bool) -> Response:
        task = answered(found, base_of(request), several=several)
        waits = task.task.status == "pending"
        headers = {"Location": task.task.status_endpoint} if done == 201 else {}
        headers |= {"Retry-After": str(RETRY_SECONDS)} if waits else {}
        status = 202 if waits and done == 201 else done
        return WrittenJson(task.model_dump_json(by_alias=True, exclude_none=True).encode(), status, headers)

    async def of_task(agent: Agent, task: str, seconds: float = 0.0) -> list[AccessRequest]:
        try:
            found = await asyncio.gather(*(access.own(agent, name, seconds) for name in task.split(BETWEEN) if name))
        except Problem as problem:
            raise task_problem(problem, "unknown_task") if problem.status == 404 else problem from None
        if BETWEEN in task and not all(map(is_of_a_task, found)):
            raise task_problem(Problem(404, "NotFound", f"this agent has no task {task}"), "unknown_task")
        return found

    @app.post(
        TASKS,
        status_code=201,
        summary="Submit an access request (AuthZEN)",
        operation_id="submitTask",
        response_description="All items are decided",
        response_model=TaskAnswer,
        responses={
            202: {"model": TaskAnswer, "description": "People decide: poll `status_endpoint`"},
            410: {"description": "The denial is too old: evaluate again"},
        },
        **secured,
    )
    async def submit(request: Request, agent: agent_type, submission: TaskSubmission, key: key_type = None) -> Response:
        named, questions = submission.questions(agent.name, *access.denials)
        content = submission.model_dump_json(exclude={"subject": {"properties": {"user_token"}}})
        try:
            found = await access.ask(agent, questions, request.state.request_id, None if key is None else CallKey(key, content), named)
        except Problem as problem:
            raise task_problem(problem, "duplicate_request") if problem.code == "IdempotencyConflict" else problem from None
        for each in found:
            if each.status.reason == RequestReason.PROOF_NOT_MET.value:
                raise access.refusal(each)
        return answer(request, found, 201, several=submission.items is not None)

    @app.get(
        f"{TASKS}/{{id}}",
        summary="A task (AuthZEN)",
        operation_id="getTask",
        response_description="As it is now",
        response_model=TaskAnswer,
        **secured,
    )
    async def one_task(request: Request, agent: agent_type, task: id_type, prefer: prefer_type = None) -> Response:
        found = await of_task(agent, task, wait_seconds(prefer))
        return answer(request, found, 200, several=BETWEEN in task)

    @app.post(
        f"{TASKS}/{{id}}/cancel",
        summary="Cancel a task (AuthZEN)",
        operation_id="cancelTask",
        response_description="Its items that were pending are cancelled",
        response_model=TaskAnswer,
        **secured,
    )
    async def cancel(request: Request, agent: agent_type, task: id_type) -> Response:
        pending = [each.name for each in await of_task(agent, task) if status_of(each) == "pending"]
        if not pending:
            raise task_problem(Problem(409, "InvalidTaskState", f"task {task} is not pending any more"), "invalid_task_state")
        for name in pending:
            await access.withdraw(agent, name)
        found = await of_task(agent, task)
        return answer(request, found, 200, several=BETWEEN in task)

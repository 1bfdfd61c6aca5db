"""How a call is read and answered, with services that only say what they were asked."""

import logging
import secrets
from typing import Any

import httpx
import pytest

from rolevend.api.confirm.links import CONFIRM
from rolevend.api.confirm.routes import ConfirmPages
from rolevend.api.middleware import Tracing
from rolevend.api.problems import Problem
from rolevend.api.routes import KEY, ROLES, application
from rolevend.api.schemas import VendRequest
from rolevend.api.scim.calls import SCIM
from rolevend.api.scim.routes import ScimRoutes
from rolevend.api.signals.calls import EVENTS
from rolevend.api.signals.routes import SignalRoutes

JSON = '{"userToken":"token","platforms":["warehouse"]}'


class Services:
    """Authenticates everybody, answers each vend with a problem, and has no role."""

    snapshot = None

    async def agent(self, *_: object) -> str:
        return "agent"

    async def vend(self, agent: str, question: VendRequest, key: str | None, request_id: str) -> None:
        raise Problem(403, "Asked", f"{agent} {question.platforms} {key} {request_id}")

    async def release(self, *_: object) -> None:
        raise RuntimeError("a secret")


async def called(method: str, path: str, **options: Any) -> httpx.Response:
    services: Any = Services()
    whole = Tracing(application(services, services, services, services, services), secrets.token_bytes)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(whole), base_url="http://api") as client:
        return await client.request(method, path, **options)


async def test_the_arguments_of_a_call_are_its_agent_its_body_and_its_headers():
    headers = {"Content-Type": "application/json", KEY: "one", "X-Request-Id": "mine"}

    answer = await called("POST", ROLES, content=JSON, headers=headers)

    assert (answer.status_code, answer.json()["detail"]) == (403, "agent ('warehouse',) one mine")


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"])
async def test_a_body_is_json_by_its_type(kind: str):
    assert (await called("POST", ROLES, content=JSON, headers={"Content-Type": kind})).status_code == 403


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/json/more", "json", None])
@pytest.mark.parametrize("content", [JSON, ""])
async def test_a_body_of_another_type_is_none_of_a_call(kind: str | None, content: str):
    answer = await called("POST", ROLES, content=content, headers={} if kind is None else {"Content-Type": kind})

    assert (answer.status_code, answer.json()["code"]) == (422, "InvalidInput")


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"json": {"userToken": "token"}}, "platforms"),
        ({"json": {"userToken": "token", "platforms": ["warehouse"]}, "headers": {KEY: "k" * 129}}, KEY),
    ],
)
async def test_an_invalid_argument_is_named(options: dict[str, Any], field: str):
    answer = await called("POST", ROLES, **options)

    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "InvalidInput", field)


@pytest.mark.parametrize(("method", "path"), [("PUT", ROLES), ("DELETE", ROLES), ("POST", f"{ROLES}/one")])
async def test_a_path_has_its_methods_alone(method: str, path: str):
    answer = await called(method, path)

    assert (answer.status_code, answer.json()["code"]) == (405, "MethodNotAllowed")


async def test_an_unexpected_error_is_answered_with_the_id_of_its_log_line_alone(caplog: pytest.LogCaptureFixture):
    answer = await called("DELETE", f"{ROLES}/one", headers={"X-Request-Id": "mine"})

    document = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert (document["code"], document["requestId"], "secret" in answer.text) == ("InternalError", "mine", False)
    (line,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert (line.request_id, line.exc_info is not None) == ("mine", True)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("POST", EVENTS, "signals"),
        ("GET", f"{SCIM}/Users", "scimUsers"),
        ("PATCH", f"{SCIM}/Groups/one", "scimGroups"),
        ("POST", f"{SCIM}/Bulk", "scimDiscovery"),
        ("GET", f"{CONFIRM}/agents/ask/code", "showConfirmation"),
        ("GET", "/nowhere", "another"),
    ],
)
async def test_calls_beside_the_document_are_counted_by_their_names(method: str, path: str, name: str):
    """Their services are missing, so each call fails after it was found."""
    nothing: Any = None
    counted: list[str] = []
    app = application(nothing, nothing, nothing, nothing, nothing)
    SignalRoutes(nothing, nothing, nothing, nothing, nothing).add_to(app)
    ScimRoutes(nothing, nothing, nothing, nothing, lambda _provider, _status: None).add_to(app)
    ConfirmPages(nothing, nothing, nothing, nothing).add_to(app)
    whole = Tracing(app, secrets.token_bytes, lambda call, _status, _seconds: counted.append(call))

    async with httpx.AsyncClient(transport=httpx.ASGITransport(whole), base_url="http://api") as client:
        await client.request(method, path)

    assert counted == [name]

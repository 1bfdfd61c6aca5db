"""The client and the document at `/openapi.json` say the same: each call that it makes is there, and each answer that is there is read."""

import re
from typing import Any

import httpx
import pytest

from rolevend.api.routes import application
from rolevend_client import AssertedUser, Task, Unexpected, UserToken, access_protocol, protocol
from rolevend_client.protocol import Call
from tests.support.json_schema import validator

NOTHING: Any = None
DOCUMENT: Any = application(NOTHING, NOTHING, NOTHING, NOTHING, NOTHING).openapi()
TOKEN = UserToken("header.payload.signature")
TASK = Task.of("chat-4711", "why?")
WHOLE = protocol.wish(
    TOKEN,
    platform=["crm", "warehouse"],
    purpose="fraud-review",
    resources=["claims.people"],
    seconds=300,
    task=TASK,
    allow_partial=True,
)
APPROVED = protocol.wish(user=AssertedUser("https://idp.example.org", "anna"), user_token=None, platform="warehouse", approval="ar-3f7k2m")
OFFER = access_protocol.offer_wish(
    TOKEN,
    user=None,
    platform="warehouse",
    offer="domain-claims/fraud-ssn-clear",
    tables=["claims.people"],
    columns=["ssn"],
    expiration_seconds=600,
    purpose="fraud-review",
    justification="Anna disputes a payment",
    ticket="INC-4711",
    task=TASK,
)
CALLS: dict[str, Call[Any]] = {
    "vend": protocol.vend(WHOLE),
    "vend with an approval": protocol.vend(APPROVED, "chat-4711"),
    "decide": protocol.decide(WHOLE),
    "platforms": protocol.platforms(),
    "get": protocol.get("finbot-0f3a"),
    "list": protocol.listed(),
    "release": protocol.release("finbot-0f3a"),
    "request access": access_protocol.ask(OFFER),
    "look at a request": access_protocol.look("ar-3f7k2m", 60),
    "withdraw": access_protocol.withdraw("ar-3f7k2m"),
}


def operation(call: Call[Any]) -> Any:
    fitting = [each for each in DOCUMENT["paths"] if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", each), call.path)]
    return DOCUMENT["paths"][fitting[0]][call.method.lower()]


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_each_call_is_one_of_the_document_and_its_body_is_valid_there(call: Call[Any]):
    documented = operation(call)
    body = documented.get("requestBody")
    assert (body is None) == (call.body is None)
    if body is not None:
        schema = {**body["content"]["application/json"]["schema"], "components": DOCUMENT["components"]}
        validator(schema).validate(call.body)
        with pytest.raises(Exception, match="nobodysMember"):
            validator(schema).validate({**(call.body or {}), "nobodysMember": 1})
    headers = {each["name"] for each in documented.get("parameters", ()) if each["in"] == "header"}
    assert set(call.headers) - {"X-Request-Id"} <= headers


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_each_answer_of_the_document_is_read(call: Call[Any]):
    read = 0
    for status, answer in operation(call)["responses"].items():
        example = answer.get("content", {}).get("application/json", {}).get("example")
        if status.startswith("2") and example is not None:
            assert call.read(httpx.Response(int(status), json=example)) is not None
            read += 1
        elif status >= "400":
            problem = answer["content"]["application/problem+json"]["example"]
            error = protocol.error_of(call, httpx.Response(int(status), json=problem))
            assert error.code == problem["code"]
            assert isinstance(error, Unexpected) == (status == "400")  # the client writes no body that cannot be read
    assert read or call.method == "DELETE"


def test_each_argument_is_one_of_a_member_of_the_document():
    schemas = DOCUMENT["components"]["schemas"]
    members = {*schemas["VendRequest"]["properties"], "platforms.0", "Idempotency-Key"}
    assert set(CALLS["decide"].arguments) | set(CALLS["vend with an approval"].arguments) <= members
    assert set(CALLS["request access"].arguments) <= set(schemas["OfferRequest"]["properties"])

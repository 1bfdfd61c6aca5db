"""A body of a call is read in one way alone: what two readers could read in two ways is refused, and by which member."""

import contextlib
import json
import secrets
import time
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from rolevend.api.json_body import Misread, read_body
from rolevend.api.middleware import Tracing
from rolevend.api.routes import application
from rolevend.api.schemas import VendRequest

REPEATED = {
    "in the question": (b'{"platforms":["warehouse"],"platforms":["annex"]}', "platforms"),
    "with the same value": (b'{"purpose":"a","purpose":"a"}', "purpose"),
    "once with an escape": (b'{"userToken":"a","\\u0075serToken":"b"}', "userToken"),
    "in an object of it": (b'{"user":{"issuer":"a","subject":"anna","subject":"boris"}}', "subject"),
    "in an object of a list": (b'{"resources":[{"schema":"claims","table":"a"},{"schema":"claims","table":"a","table":"b"}]}', "table"),
    "behind others": (b'{"a":1,"b":2,"c":3,"b":4,"a":5}', "b"),
    "one that is not ours": (b'{"eyJhbGciOiJSUzI1NiJ9.e30.c2ln":1,"eyJhbGciOiJSUzI1NiJ9.e30.c2ln":2}', "(another)"),
}
UNREAD = {
    "a list": b"[]",
    "a text": b'"anna"',
    "half an object": b'{"userToken":',
    "Infinity": b'{"expirationSeconds":Infinity}',
    "a number beyond floats": b'{"expirationSeconds":1e999}',
    "UTF-16": '{"platforms":["warehouse"]}'.encode("utf-16"),
    "a mark of the byte order": b'\xef\xbb\xbf{"platforms":["warehouse"]}',
    "deep": b'{"platforms":' + b"[" * 40 + b"]" * 40 + b"}",
}


@pytest.mark.parametrize(("raw", "member"), REPEATED.values(), ids=REPEATED.keys())
def test_a_member_that_stands_twice_is_named(raw: bytes, member: str):
    with pytest.raises(Misread) as refused:
        read_body(raw)

    problem = refused.value.problem
    assert (problem.status, problem.code, problem.field) == (400, "RepeatedMember", member)
    assert problem.detail.startswith(f"{member}: it occurs twice")
    assert "eyJ" not in problem.detail


@pytest.mark.parametrize("raw", UNREAD.values(), ids=UNREAD.keys())
def test_what_is_no_object_that_all_read_alike_is_malformed(raw: bytes):
    with pytest.raises(Misread) as refused:
        read_body(raw)

    assert (refused.value.problem.status, refused.value.problem.code) == (400, "MalformedBody")


def test_one_name_in_several_objects_is_no_repetition():
    said = {"resources": [{"schema": "claims", "table": "people"}, {"schema": "claims", "table": "payments"}], "task": {"id": "schema"}}

    assert read_body(json.dumps(said).encode()) == said


def seconds(raw: bytes) -> float:
    started = time.perf_counter()
    with contextlib.suppress(Misread):
        read_body(raw)
    return time.perf_counter() - started


def test_as_many_members_as_a_body_holds_are_compared_in_no_time_that_matters():
    """Beside reading as many that are all different."""
    members = [f'"{number:x}":0' for number in range(6_000)]

    different, repeated = ("{" + ",".join(each) + "}" for each in (members, [*members, members[-1]]))
    assert min(seconds(repeated.encode()) for _ in range(5)) < 20 * min(seconds(different.encode()) for _ in range(5))


@pytest.mark.parametrize("text", [b'"' + b'\\"' * 8_000, b'"' + b'\\"' * 8_000 + b"\\", b'"\\' * 8_000])
def test_a_text_without_an_end_takes_no_time_that_matters(text: bytes):
    """Beside brackets of the same length. Bodies and tokens are read before anybody is authenticated."""
    brackets = min(seconds(b"[]" * (len(text) // 2)) for _ in range(5))
    assert seconds(b"[" * 33 + text) < 50 * brackets


@pytest.mark.parametrize("path", ["/v1/vended-roles", "/v1/decisions"])
async def test_each_call_that_has_a_body_reads_it_so(path: str):
    """Before anything else is done: whom the call would need is not there."""
    nothing: Any = None
    whole = Tracing(application(nothing, nothing, nothing, nothing, nothing), secrets.token_bytes)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(whole), base_url="http://api") as client:
        headers = {"Content-Type": "application/json"}
        answer = await client.post(path, content=b'{"platforms":["warehouse"],"platforms":["annex"]}', headers=headers)

    document = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert (document["code"], document["field"]) == ("RepeatedMember", "platforms")
    assert "annex" not in answer.text


LAX = {
    **{f"allowPartial as {value!r}": ("allowPartial", value) for value in ("yes", "true", "on", "0", 1, 0, 1.0, None)},
    **{f"expirationSeconds as {value!r}": ("expirationSeconds", value) for value in ("900", 900.0, True, None)},
    **{f"platforms as {value!r}": ("platforms", value) for value in ("warehouse", {"warehouse": 1}, [5], [True], [None])},
    **{f"purpose as {value!r}": ("purpose", value) for value in (5, True, ["audit"])},
    **{f"task as {value!r}": ("task", value) for value in ("a", {"id": 5}, {"id": True}, [["id", "a"]])},
    **{
        f"resources as {value!r}": ("resources", value)
        for value in ("ab", {"schema": "a", "table": "b"}, [["a", "b"]], [{"schema": 1, "table": 2}])
    },
    **{f"userToken as {value!r}": ("userToken", value) for value in (5, True, ["a"])},
}


@pytest.mark.parametrize(("member", "value"), LAX.values(), ids=LAX.keys())
def test_a_value_of_another_type_is_none_of_a_member(member: str, value: object):
    with pytest.raises(ValidationError) as refused:
        VendRequest.model_validate({"userToken": "token", "platforms": ["warehouse"], member: value})

    assert {each["loc"][0] for each in refused.value.errors()} == {member}


@pytest.mark.parametrize(
    "raw",
    [
        b'{"allow_partial":true}',
        b'{"allowPartial":false,"allow_partial":true}',
        b'{"resources":[{"schema_name":"claims","table":"people"}]}',
    ],
)
def test_a_member_has_one_name(raw: bytes):
    """Ours for it in the code is no other one."""
    with pytest.raises(Misread) as refused:
        read_body(raw)

    assert (refused.value.problem.status, refused.value.problem.code) == (422, "InvalidInput")


CALLS = [
    ("POST", "/v1/vended-roles"),
    ("GET", "/v1/vended-roles"),
    ("GET", "/v1/vended-roles/any"),
    ("DELETE", "/v1/vended-roles/any"),
    ("POST", "/v1/decisions"),
    ("POST", "/access/v1/evaluation"),
    ("POST", "/access/v1/requests"),
    ("GET", "/access/v1/requests"),
    ("GET", "/access/v1/requests/any"),
    ("DELETE", "/access/v1/requests/any"),
]


@pytest.mark.parametrize(("method", "path"), CALLS, ids=[" ".join(each) for each in CALLS])
@pytest.mark.parametrize(("query", "field"), [("dryRun=true", "dryRun"), ("a&b=1", "a"), ("eyJhbGciOi.e30.c2ln=1", "(another)")])
async def test_no_call_takes_a_query_parameter(method: str, path: str, query: str, field: str):
    """Before anything else is done: whom the call would need is not there."""
    nothing: Any = None
    whole = Tracing(application(nothing, nothing, nothing, nothing, nothing), secrets.token_bytes)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(whole), base_url="http://api") as client:
        answer = await client.request(method, f"{path}?{query}", json={} if method == "POST" else None)

    document = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert (document["code"], document["field"]) == ("UnknownParameter", field)
    assert "eyJ" not in answer.text

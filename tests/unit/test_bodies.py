"""A body of a call is read in one way alone: what two readers could read in two ways is refused, and by which member."""

import contextlib
import json
import secrets
import time
from typing import Any

import httpx
import pytest

from rolevend.api.bodies import Misread, read_body
from rolevend.api.routes import application
from rolevend.api.tracing import Tracing

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
    assert problem.detail.startswith(f"{member}: it stands there twice")
    assert "eyJ" not in problem.detail


@pytest.mark.parametrize("raw", UNREAD.values(), ids=UNREAD.keys())
def test_what_is_no_object_that_all_read_alike_is_malformed(raw: bytes):
    with pytest.raises(Misread) as refused:
        read_body(raw)

    assert (refused.value.problem.status, refused.value.problem.code) == (400, "MalformedBody")


def test_one_name_in_several_objects_is_no_repetition():
    said = {"resources": [{"schema": "claims", "table": "people"}, {"schema": "claims", "table": "payments"}], "task": {"id": "schema"}}

    assert read_body(json.dumps(said).encode()) == said


def test_as_many_members_as_a_body_holds_are_compared_in_no_time_that_matters():
    """Beside reading as many that are all different."""
    members = [f'"{number:x}":0' for number in range(6_000)]

    def seconds(raw: bytes) -> float:
        started = time.perf_counter()
        with contextlib.suppress(Misread):
            read_body(raw)
        return time.perf_counter() - started

    different, repeated = ("{" + ",".join(each) + "}" for each in (members, [*members, members[-1]]))
    assert min(seconds(repeated.encode()) for _ in range(5)) < 20 * min(seconds(different.encode()) for _ in range(5))


@pytest.mark.parametrize("path", ["/v1/vended-roles", "/v1/decisions"])
async def test_each_call_that_has_a_body_reads_it_so(path: str):
    """Before anything else is done: whom the call would need is not there."""
    nothing: Any = None
    whole = Tracing(application(nothing, nothing, nothing, nothing), secrets.token_bytes)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(whole), base_url="http://api") as client:
        headers = {"Content-Type": "application/json"}
        answer = await client.post(path, content=b'{"platforms":["warehouse"],"platforms":["annex"]}', headers=headers)

    document = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert (document["code"], document["field"]) == ("RepeatedMember", "platforms")
    assert "annex" not in answer.text

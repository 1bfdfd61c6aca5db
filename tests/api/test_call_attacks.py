"""Calls that are wrong beyond their tokens: each is a problem document with a stable code, never a fault of ours, and makes nothing."""

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.attacking import ROLES, Arena, Tried, overhearing
from tests.support.calling import Doors
from tests.support.site import WAREHOUSE, Site
from tests.support.tenancy import Tenant
from tests.support.waiting import DEADLINE


@pytest.fixture(scope="module")
def arena(site: Site, doors: Doors) -> Iterator[Arena]:
    tenant = Tenant(site)
    with overhearing(site):
        yield Arena(tenant, doors)
        tenant.leave()


Attack = Callable[[Arena], Tried]


def asking(**members: Any) -> Attack:
    return lambda arena: arena.send("POST", ROLES, {**arena.body(), **members})


def raw(content: bytes) -> Attack:
    return lambda arena: arena.send("POST", ROLES, content)


def written(name: str, text: str) -> Attack:
    """A member that is written as it stands."""
    return lambda arena: arena.send("POST", ROLES, (json.dumps(arena.body())[:-1] + f',"{name}":{text}}}').encode())


def with_header(name: str, value: str) -> Attack:
    return lambda arena: arena.send("POST", ROLES, arena.body(), headers={name: value})


def at(method: str, path: str) -> Attack:
    return lambda arena: arena.send(method, path, arena.body() if method == "POST" else None)


def in_pieces(arena: Arena) -> Tried:
    """Nobody says beforehand how long it is."""
    return arena.send("POST", ROLES, (b"x" * 1000 for _ in range(100)))


def twice(name: str, value: str) -> Attack:
    return lambda arena: arena.send("POST", ROLES, arena.body(), repeated=((name, value), (name, f"{value}x")))


def both_proofs(arena: Arena) -> Tried:
    return arena.send("POST", ROLES, {**arena.body(), "user": arena.proven.user()})


def neither_proof(arena: Arena) -> Tried:
    return arena.send("POST", ROLES, {"platforms": [WAREHOUSE]})


def token_as_a_member(arena: Arena) -> Tried:
    return arena.send("POST", ROLES, {**arena.body(), arena.proven.token(): True})


def token_twice(arena: Arena) -> Tried:
    """That of another person behind the one that somebody in between may have read."""
    return written("userToken", json.dumps(arena.proven.token("boris")))(arena)


def token_as_a_member_twice(arena: Arena) -> Tried:
    name = arena.proven.token()
    return written(f'{name}":1,"{name}', "2")(arena)


def token_in_the_path(arena: Arena) -> Tried:
    return arena.send("GET", f"{ROLES}/{arena.proven.token()}")


def tables(*names: str) -> list[dict[str, str]]:
    return [{"schema": "claims", "table": name} for name in names]


MALFORMED: dict[str, tuple[Attack, int, str]] = {
    "no JSON": (raw(b"userToken=anna"), 400, "MalformedBody"),
    "half an object": (raw(b'{"userToken": "'), 400, "MalformedBody"),
    "no UTF-8": (raw(b'{"userToken": "\xff\xfe"}'), 400, "MalformedBody"),
    "a member twice": (written("platforms", '["annex"]'), 400, "RepeatedMember"),
    "a member twice, once with an escape": (written("\\u0070latforms", '["annex"]'), 400, "RepeatedMember"),
    "a token twice": (token_twice, 400, "RepeatedMember"),
    "a member twice in a table": (written("resources", '[{"schema":"claims","table":"people","table":"payments"}]'), 400, "RepeatedMember"),
    "a member twice that is a token": (token_as_a_member_twice, 400, "RepeatedMember"),
    "UTF-16": (raw('{"userToken": "anna"'.encode("utf-16")), 400, "MalformedBody"),
    "nested very deep": (raw(b'{"platforms":' + b"[" * 30_000 + b"]" * 30_000 + b"}"), 400, "MalformedBody"),
    "a number of 30,000 digits": (written("expirationSeconds", "9" * 30_000), 400, "MalformedBody"),
    "a list": (raw(b"[]"), 400, "MalformedBody"),
    "null": (raw(b"null"), 400, "MalformedBody"),
    "nothing": (raw(b""), 422, "InvalidInput"),
    "longer than any question": (raw(b'{"userToken":"' + b"x" * 70_000 + b'"}'), 413, "TooLong"),
    "much longer": (raw(b"[" * 5_000_000), 413, "TooLong"),
    "of a length that is not said": (in_pieces, 413, "TooLong"),
    "a token that is too long": (asking(userToken="x" * 20_000), 422, "InvalidInput"),
    "an empty token": (asking(userToken=""), 422, "InvalidInput"),
    "a token that is a list": (asking(userToken=["anna"]), 422, "InvalidInput"),
    "half a letter in a token": (raw(b'{"userToken": "\\ud800", "platforms": ["warehouse"]}'), 401, "MalformedToken"),
    "half a letter in a person": (
        raw(b'{"user": {"issuer": "https://idp.example.org", "subject": "\\ud800"}, "platforms": ["warehouse"]}'),
        422,
        "InvalidInput",
    ),
    "a member that is not known": (asking(agent="another"), 422, "InvalidInput"),
    "a member of the object itself": (asking(agentRef={"name": "another"}), 422, "InvalidInput"),
    "a member in our own spelling": (asking(user_token="anna"), 422, "InvalidInput"),
    "a member in our own spelling beside its name": (written("allow_partial", "true"), 422, "InvalidInput"),
    "a member of a table in our own spelling": (asking(resources=[{"schema_name": "claims", "table": "people"}]), 422, "InvalidInput"),
    "yes as a boolean": (asking(allowPartial="yes"), 422, "InvalidInput"),
    "true as a text": (asking(allowPartial="true"), 422, "InvalidInput"),
    "1 as a boolean": (asking(allowPartial=1), 422, "InvalidInput"),
    "0 as a boolean": (asking(allowPartial=0), 422, "InvalidInput"),
    "seconds as a text": (asking(expirationSeconds="900"), 422, "InvalidInput"),
    "seconds as a fraction": (asking(expirationSeconds=900.0), 422, "InvalidInput"),
    "seconds as a boolean": (asking(expirationSeconds=True), 422, "InvalidInput"),
    "a query parameter": (at("POST", f"{ROLES}?dryRun=true"), 400, "UnknownParameter"),
    "a query parameter of no value": (at("POST", f"{ROLES}?dryRun"), 400, "UnknownParameter"),
    "a query parameter of a decision": (at("POST", "/v1/decisions?verbose=1"), 400, "UnknownParameter"),
    "a query parameter of a list": (at("GET", f"{ROLES}?limit=5"), 400, "UnknownParameter"),
    "a query parameter of a role": (at("GET", f"{ROLES}/any?watch=true"), 400, "UnknownParameter"),
    "a query parameter of a release": (at("DELETE", f"{ROLES}/any?dryRun=All"), 400, "UnknownParameter"),
    "a member named by half a letter": (written("\\ud800", "1"), 422, "InvalidInput"),
    "a member named by a token": (token_as_a_member, 422, "InvalidInput"),
    "both proofs": (both_proofs, 422, "InvalidInput"),
    "neither proof": (neither_proof, 422, "InvalidInput"),
    "nine platforms": (asking(platforms=[f"platform-{number}" for number in range(9)]), 422, "InvalidInput"),
    "one platform twice": (asking(platforms=[WAREHOUSE, WAREHOUSE]), 422, "InvalidInput"),
    "no platform": (asking(platforms=[]), 422, "InvalidInput"),
    "a platform that is a path": (asking(platforms=["../annex"]), 422, "InvalidInput"),
    "SQL as a table": (asking(resources=tables('people"; DROP TABLE claims.people; --' * 20)), 422, "InvalidInput"),
    "a table twice": (asking(resources=tables("people", "people")), 422, "InvalidInput"),
    "for ever": (asking(expirationSeconds=10**9), 422, "InvalidInput"),
    "for less than nothing": (asking(expirationSeconds=-1), 422, "InvalidInput"),
    "for Infinity": (written("expirationSeconds", "Infinity"), 400, "MalformedBody"),
    "an intent that is no digest": (asking(task={"id": "a", "intentDigest": "sha256:anna"}), 422, "InvalidInput"),
    "a task with a line end": (asking(task={"id": "a\nb"}), 422, "InvalidInput"),
    "an empty key": (with_header("Idempotency-Key", ""), 422, "InvalidInput"),
    "a key with a space": (with_header("Idempotency-Key", "a b"), 422, "InvalidInput"),
    "a key in letters that look like others": (with_header("Idempotency-Key", "m\u043enday"), 422, "InvalidInput"),
    "a key that is too long": (with_header("Idempotency-Key", "x" * 129), 422, "InvalidInput"),
    "two keys": (twice("Idempotency-Key", "monday"), 400, "RepeatedHeader"),
    "two tokens": (twice("Authorization", "Bearer x"), 400, "RepeatedHeader"),
    "a form": (with_header("Content-Type", "application/x-www-form-urlencoded"), 422, "InvalidInput"),
    "a text": (with_header("Content-Type", "text/plain"), 422, "InvalidInput"),
    "another scheme": (with_header("Authorization", "Basic YW5uYTphbm5h"), 401, "TokenMissing"),
    "no token": (lambda arena: arena.send("POST", ROLES, arena.body(), bearer=""), 401, "TokenMissing"),
    "an id that is a token": (token_in_the_path, 422, "InvalidInput"),
    "an id in capitals": (at("GET", f"{ROLES}/FINBOT"), 422, "InvalidInput"),
    "an id with a NUL": (at("GET", f"{ROLES}/a%00"), 422, "InvalidInput"),
    "an id with a line end": (at("DELETE", f"{ROLES}/a%0a"), 422, "InvalidInput"),
    "an id with a query in it": (at("DELETE", f"{ROLES}/a%3FdryRun=All"), 422, "InvalidInput"),
    "an id that is too long": (at("GET", f"{ROLES}/{'a' * 254}"), 422, "InvalidInput"),
    "an id that leads to Secrets": (at("GET", f"{ROLES}/..%2f..%2f..%2fsecrets"), 404, "NotFound"),
    "an id that leads out": (at("DELETE", f"{ROLES}/%2e%2e"), 422, "InvalidInput"),
    "a subresource": (at("GET", f"{ROLES}/a%2fstatus"), 404, "NotFound"),
    "a list with a slash": (at("GET", f"{ROLES}/"), 404, "NotFound"),
    "another call": (at("POST", "/v1/agents"), 404, "NotFound"),
    "the documents of the framework": (at("GET", "/docs"), 404, "NotFound"),
    "another method": (at("PUT", ROLES), 405, "MethodNotAllowed"),
    "a method of nobody's": (at("TRACE", ROLES), 405, "MethodNotAllowed"),
    "a role that is not there": (at("GET", f"{ROLES}/any"), 404, "NotFound"),
    "a platform that is not there": (asking(platforms=["elsewhere"]), 422, "PlatformUnknown"),
    "a purpose that it may not say": (asking(purpose="curiosity"), 403, "NotPermitted"),
    "a table that nobody granted": (asking(resources=tables("payments")), 403, "ResourceNotGranted"),
    "a table that is not there": (asking(resources=tables("no_such_table")), 403, "ResourceNotGranted"),
    "longer than it may": (asking(expirationSeconds=7200), 403, "ExpirationTooLong"),
}


@pytest.mark.parametrize(("attack", "status", "code"), MALFORMED.values(), ids=MALFORMED.keys())
def test_a_call_that_is_wrong_is_a_problem_with_a_code_and_makes_nothing(arena: Arena, attack: Attack, status: int, code: str):
    tried = attack(arena)

    tried.problem(status, code)
    arena.untold(tried)
    assert arena.is_untouched()


def bytes_of(arena: Arena, *headers: str, body: str = "") -> bytes:
    """What the first replica answers to a call that is written as it stands."""
    address = urlsplit(arena.doors.first.url)
    lines = (f"POST {ROLES} HTTP/1.1", f"Host: {address.netloc}", f"Authorization: Bearer {arena.bearer}", *headers, "", body)
    with socket.create_connection((address.hostname, address.port), timeout=DEADLINE) as connection:
        connection.sendall("\r\n".join(lines).encode())
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


SMUGGLED = {
    "a body of two lengths": (("Content-Length: 5", "Transfer-Encoding: chunked"), "0\r\n\r\nGET /v1/vended-roles HTTP/1.1\r\n\r\n"),
    "two lengths": (("Content-Length: 5", "Content-Length: 50"), "{}"),
    "a length that is none": (("Content-Length: +5",), "{}"),
    "a header in the next line": (("Idempotency-Key: monday", " tuesday", "Content-Length: 2"), "{}"),
    "a space before the colon": (("Idempotency-Key : monday", "Content-Length: 2"), "{}"),
    "a lone line feed": (("Idempotency-Key: a\nAuthorization: Bearer x", "Content-Length: 2"), "{}"),
    "NUL in a header": (("Idempotency-Key: a\0b", "Content-Length: 2"), "{}"),
}


@pytest.mark.parametrize(("headers", "body"), SMUGGLED.values(), ids=SMUGGLED.keys())
def test_what_two_servers_could_read_in_two_ways_is_one_refusal(arena: Arena, headers: tuple[str, ...], body: str):
    answer = bytes_of(arena, *headers, body=body)

    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 422 ")), answer
    assert answer.count(b"HTTP/1.1 ") == 1
    assert arena.is_untouched()

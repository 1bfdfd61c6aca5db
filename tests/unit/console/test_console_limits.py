"""Budgets of calls: nobody uses up that of others, memory is bounded, and the page says when to try again."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any, cast

import httpx
import pytest
from starlette.applications import Starlette

from rolevend.api.middleware import Tracing
from rolevend.console.changes import MOST_OF_ONE, ChangeStreams
from rolevend.console.limits import (
    CHANGES,
    CHECKS,
    COUNTS,
    LOGINS,
    PAGES,
    PAGES_OF_ONE,
    SEARCHES,
    SIGN_INS,
    Budget,
    CallLimits,
    TooMany,
    address_key,
)
from rolevend.console.login import LoggedIn, RedeemedLogin
from rolevend.console.person import Person
from rolevend.console.routes import SESSION_COOKIE, Console
from rolevend.console.section import PageCall
from rolevend.console.sessions import Session, session_id
from rolevend.console.trail_pages import TrailPages
from rolevend.errors import Rejected
from rolevend.identity.refusal import Code, TokenRefused

FEW = Budget("tries", 60, 3)


def used_up(limits: CallLimits, budget: Budget, key: str) -> TooMany:
    for _ in range(budget.burst):
        limits.take(budget, key)
    with pytest.raises(TooMany) as refused:
        limits.take(budget, key)
    return refused.value


def test_a_budget_is_of_one_person_and_comes_back():
    moment = [0.0]
    limits = CallLimits(lambda: moment[0])
    assert used_up(limits, FEW, "olga").seconds == 1
    limits.take(FEW, "nina")
    limits.take(COUNTS, "olga")
    moment[0] = 1.1
    limits.take(FEW, "olga")
    with pytest.raises(TooMany, match="too many tries"):
        limits.take(FEW, "olga")


def test_memory_is_bounded_and_the_one_that_was_used_longest_ago_is_forgotten():
    limits = CallLimits(lambda: 0.0, most=10)
    used_up(limits, FEW, "olga")
    for number in range(1_000):
        limits.take(FEW, str(number))
        with pytest.raises(TooMany):
            limits.take(FEW, "olga")
    assert len(limits._buckets[FEW]) == 10


def test_many_addresses_make_the_console_forget_no_person():
    limits = CallLimits(lambda: 0.0, most=10)
    used_up(limits, FEW, "olga")
    for number in range(20):
        limits.take(LOGINS, str(number))
    with pytest.raises(TooMany):
        limits.take(FEW, "olga")


@pytest.mark.parametrize("budget", [PAGES, PAGES_OF_ONE, SEARCHES, CHANGES])
def test_no_person_meets_a_budget(budget: Budget):
    """Two clicks a second for ten minutes, and eight open pages that ask once a second."""
    moment = [0.0]
    limits, a_second = CallLimits(lambda: moment[0]), 10 if budget in (PAGES, PAGES_OF_ONE) else 2
    for _ in range(600):
        for _ in range(a_second):
            limits.take(budget, "olga")
        moment[0] += 1


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:2", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        (None, "unknown"),
        ("testclient", "unknown"),
    ],
)
def test_one_customer_of_a_network_has_one_budget(host: str | None, key: str):
    assert address_key(host) == key


class Logins:
    async def begin(self, path: str, *, again: bool) -> tuple[str, str]:
        return f"https://idp.example.org{path}?{again}", "cookie"

    async def finish(self, _cookie: str | None, _query: object) -> None:
        raise Rejected("your login has no claim sub")


class Sessions:
    def is_own(self, secret: str) -> bool:
        return secret.startswith("own")

    async def find(self, secret: str | None, *, by_itself: bool) -> Session | None:
        assert not by_itself
        return Session(Person(f"staff:{secret.removeprefix('own-')[:4]}"), secret) if secret and self.is_own(secret) else None


class Pages:
    def calls(self) -> list[PageCall]:
        return [PageCall("POST", "/things", self.change, "change", CHANGES)]

    async def change(self, _request: object, _session: Session) -> Any:
        raise AssertionError


async def nobody_waits(_person: Person) -> int:
    return 0


@pytest.fixture
def limits() -> CallLimits:
    return CallLimits(lambda: 0.0)


@pytest.fixture
def browse(limits: CallLimits) -> Iterator[Any]:
    """Call the console from an address."""
    console = Console(cast(Any, Logins()), cast(Any, Sessions()), cast(Any, None), [Pages()], nobody_waits, limits)
    application = Tracing(Starlette(routes=console.routes()), lambda count: b"x" * count)

    def call(method: str, path: str, address: str = "192.0.2.1", cookie: str = "", **headers: str) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(cast(Any, application), client=(address, 1))
            async with httpx.AsyncClient(transport=transport, base_url="https://console") as client:
                sent = {**headers, **({"Cookie": f"{SESSION_COOKIE}={cookie}"} if cookie else {})}
                return await client.request(method, path, headers=sent)

        return asyncio.run(send())

    return call


def test_who_logs_in_too_often_waits_whatever_addresses_they_claim(browse: Any, limits: CallLimits):
    used_up(limits, LOGINS, "192.0.2.1")
    for path in ("/login", "/callback?code=x&state=y"):
        refused = browse("GET", path, **{"X-Forwarded-For": "198.51.100.7", "Forwarded": "for=198.51.100.7"})
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
        assert "There were too many logins in the last minute. Wait 1 seconds" in refused.text
    assert browse("GET", "/login", "192.0.2.2").status_code == 303


def test_a_session_and_a_person_have_budgets_and_a_guessed_cookie_none(browse: Any, limits: CallLimits):
    used_up(limits, PAGES, session_id("own-olga1"))
    assert browse("POST", "/things", cookie="own-olga1").status_code == 429
    used_up(limits, CHANGES, "staff:olga")
    refused = browse("POST", "/things", cookie="own-olga2")
    assert (refused.status_code, "Nothing was changed" in refused.text) == (429, True), "each session of the person"
    known = sum(map(len, limits._buckets.values()))
    assert browse("POST", "/things", cookie="guessed").status_code == 401
    assert sum(map(len, limits._buckets.values())) == known


def test_many_sessions_give_a_person_no_more_pages(browse: Any, limits: CallLimits):
    used_up(limits, PAGES_OF_ONE, "staff:olga")
    assert [browse("POST", "/things", cookie=f"own-olga{number}").status_code for number in range(3)] == [429] * 3
    assert browse("POST", "/things", cookie="own-nina").status_code == 500, "it is asked for"


def test_who_logs_in_again_and_again_stores_no_more_sessions(browse: Any, limits: CallLimits, monkeypatch: pytest.MonkeyPatch):
    async def finish(*_: object) -> RedeemedLogin:
        return RedeemedLogin(LoggedIn(Person("staff:olga"), None), "/things", None)

    async def begin(*_: object) -> str:
        raise AssertionError

    monkeypatch.setattr(Logins, "finish", finish)
    monkeypatch.setattr(Sessions, "begin", begin, raising=False)
    used_up(limits, SIGN_INS, "staff:olga")
    assert [browse("GET", "/callback?code=x", f"192.0.2.{number}").status_code for number in range(3)] == [429] * 3


def test_what_takes_long_in_the_one_thread_of_pages_has_a_small_budget():
    (verify,) = (each for each in TrailPages.__new__(TrailPages).calls() if each.name == "verifyReceipts")
    assert verify.budget == CHECKS
    assert max(CHECKS.per_minute, CHECKS.burst) <= 30


def test_one_person_does_not_take_all_streams_of_changes():
    streams = ChangeStreams(lambda: False)

    async def known() -> bool:
        return True

    async def follow() -> None:
        opened = [streams.stream("staff:olga", known) for _ in range(MOST_OF_ONE)]
        assert not streams.is_full("staff:olga")
        for each in opened:
            await anext(each)
        assert streams.is_full("staff:olga"), "in all of their sessions"
        assert not streams.is_full("staff:nina")

    asyncio.run(follow())


def test_a_refused_login_has_one_line_in_the_log_with_its_reason(browse: Any, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING, "rolevend.console"):
        assert browse("GET", "/callback?code=x", **{"X-Request-Id": "r-1"}).status_code == 403
    (line,) = (each for each in caplog.records if each.getMessage() == "login refused")
    said = {name: line.__dict__[name] for name in ("reason", "address", "request_id")}
    assert said == {"reason": "your login has no claim sub", "address": "192.0.2.1", "request_id": "r-1"}


def test_somebody_whose_token_is_too_long_reads_why(browse: Any, monkeypatch: pytest.MonkeyPatch):
    async def finish(*_: object) -> None:
        raise TokenRefused(Code.TOKEN_TOO_LARGE, "the token has more than 131072 characters")

    monkeypatch.setattr(Logins, "finish", finish)
    refused = browse("GET", "/callback?code=x")
    assert (refused.status_code, "perhaps all your groups" in refused.text) == (403, True)

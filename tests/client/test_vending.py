"""A role for a block: what is asked for, what comes of the answer, and that it is released whatever happens."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import certifi
import httpx
import pytest

from rolevend_client import (
    AssertedUser,
    Conflict,
    Denied,
    InvalidInput,
    Misconfigured,
    NotFound,
    Refused,
    Resource,
    RolevendError,
    Task,
    TooManyRequests,
    Unavailable,
    Unexpected,
    UserToken,
)
from rolevend_client.active_roles import open_roles
from tests.client.answers import PASSWORD, TOKEN, USER_TOKEN, Api, problem, role, vended

VEND, RELEASE = "POST /v1/vended-roles", "DELETE /v1/vended-roles/finbot-0f3a"
SLOW = problem(503, "ProfileBuilding", "the profile is being built", {"Retry-After": "2"})


def vend_once(api: Api, **wanted: object) -> None:
    with api.client().vend(USER_TOKEN, platform="warehouse", **wanted):
        pass


def test_what_is_asked_for_is_what_the_api_calls_it():
    api = Api(vended())
    task = Task.of("chat-4711", "why did the claims rise?")
    vend_once(api, purpose="fraud-review", resources=[Resource("claims", "payments"), ("claims", "people")], seconds=900, task=task)

    assert api.body() == {
        "userToken": USER_TOKEN,
        "platforms": ["warehouse"],
        "purpose": "fraud-review",
        "resources": [{"schema": "claims", "table": "payments"}, {"schema": "claims", "table": "people"}],
        "expirationSeconds": 900,
        "task": {"id": "chat-4711", "intentDigest": task.intent_digest},
    }
    assert task.intent_digest.startswith("sha256:")
    assert len(task.intent_digest) == len("sha256:") + 64
    assert api.asked[0].headers["Authorization"] == f"Bearer {TOKEN}"
    assert api.lines == [VEND, RELEASE]


def test_what_is_not_said_is_not_sent():
    api = Api(vended())
    vend_once(api)
    assert api.body() == {"userToken": USER_TOKEN, "platforms": ["warehouse"]}


def test_a_trusted_agent_names_a_person_and_never_both():
    api = Api(vended())
    anna = AssertedUser("https://idp.example.org", "anna")
    with api.client().vend(user=anna, platform="warehouse"):
        pass
    assert api.body()["user"] == {"issuer": "https://idp.example.org", "subject": "anna"}
    assert "userToken" not in api.body()

    for wrong in ({"user_token": USER_TOKEN, "user": anna}, {}):
        with pytest.raises(TypeError, match="token"), api.client().vend(platform="warehouse", **wrong):
            pass


def test_the_role_says_what_it_is():
    api = Api(vended())
    with api.client().vend(USER_TOKEN, platform="warehouse") as open_role:
        assert open_role.name == "IMMUTA_VENDED_FINBOT_E10442_0HJ9X"
        assert open_role.expires_at == datetime(2026, 11, 24, 13, 15, tzinfo=UTC)
        assert open_role.vended.user.proof == "Token"
        (table,) = open_role.explanation.tables
        assert table.row_filters == ("country IN ('DE')",)
        assert [(column.name, column.clear, column.mask) for column in table.columns] == [("iban", False, "Hash"), ("amount", True, None)]
        assert open_role.platform.name == "warehouse"


@pytest.mark.parametrize("ending", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_it_is_released_at_every_end_of_the_block(ending: type[BaseException]):
    api = Api(vended())
    with pytest.raises(ending), api.client().vend(USER_TOKEN, platform="warehouse"):
        raise ending
    assert api.lines == [VEND, RELEASE]
    assert "finbot-0f3a" not in open_roles


def test_it_is_released_once():
    api = Api(vended())
    with api.client().vend(USER_TOKEN, platform="warehouse") as open_role:
        assert open_role.release()
    assert api.lines == [VEND, RELEASE]


def test_a_release_that_takes_longer_is_the_platforms_business():
    api = Api(vended(), httpx.Response(202, json=role()))
    with api.client().vend(USER_TOKEN, platform="warehouse") as open_role:
        assert not open_role.release()


def test_a_role_that_is_gone_already_is_released():
    api = Api(vended(), problem(404, "NotFound"))
    vend_once(api)
    assert "finbot-0f3a" not in open_roles


def test_a_release_that_does_not_work_hides_nothing_and_is_remembered(caplog: pytest.LogCaptureFixture):
    api = Api(vended(), *[httpx.ConnectError("refused")] * 50)
    with pytest.raises(ValueError, match="of the work"), api.client().vend(USER_TOKEN, platform="warehouse"):
        raise ValueError("of the work")
    assert "no answer: refused" in caplog.text
    assert "finbot-0f3a" in open_roles
    open_roles.discard("finbot-0f3a")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (problem(401, "TokenExpired", "the user's token has expired; get a new one", requestId="4711"), Refused),
        (problem(403, "NoPolicy", "nothing is granted", missing="table claims.payments"), Denied),
        (problem(404, "NotFound"), NotFound),
        (problem(409, "IdempotencyConflict"), Conflict),
        (problem(422, "InvalidInput", "is no number", field="expirationSeconds"), InvalidInput),
        (problem(413, "TooLong", "the body is longer than 64 KiB"), InvalidInput),
        (problem(500, "Internal"), Unexpected),
        (httpx.Response(418, content=b"<html>"), Unexpected),
        (httpx.Response(302, headers={"Location": "https://evil.example.org"}), Unexpected),
    ],
    ids=lambda value: getattr(value, "__name__", str(getattr(value, "status_code", ""))),
)
def test_each_problem_has_an_error_of_its_own_and_is_not_tried_again(answer: httpx.Response, error: type[RolevendError]):
    api = Api(answer)
    with pytest.raises(error):
        api.client().decide(USER_TOKEN, platform="warehouse")
    assert len(api.asked) == 1


def test_an_error_says_what_was_attempted_and_what_the_api_says_of_it():
    api = Api(problem(401, "TokenExpired", "the user's token has expired; get a new one", requestId="4711"))
    with pytest.raises(Refused) as raised:
        vend_once(api)
    assert str(raised.value) == (
        "cannot vend a role on warehouse: TokenExpired: the user's token has expired; get a new one (request 4711)"
    )
    assert (raised.value.code, raised.value.request_id) == ("TokenExpired", "4711")

    with pytest.raises(Denied) as denied:
        vend_once(Api(problem(403, "NoPolicy", "nothing is granted", missing={"offers": [], "sentence": "table claims.payments"})))
    assert str(denied.value.missing) == "table claims.payments"

    with pytest.raises(InvalidInput) as invalid:
        vend_once(Api(problem(422, "InvalidInput", "is no number", field="expirationSeconds")))
    assert invalid.value.field == "expirationSeconds"


def test_what_may_be_asked_again_is_under_one_key_and_when_the_api_says():
    api = Api(SLOW, problem(429, "TooManyRequests", "", {"Retry-After": "3"}), httpx.ConnectError("refused"), vended())
    vend_once(api)

    assert api.lines == [*[VEND] * 4, RELEASE]
    assert api.slept[:2] == [2.0, 3.0]
    assert 0 < api.slept[2] < 1
    keys = {request.headers["Idempotency-Key"] for request in api.asked[:4]}
    assert len(keys) == 1
    assert 16 <= len(keys.pop()) <= 128
    assert len({request.headers["X-Request-Id"] for request in api.asked[:4]}) == 1

    other = Api(vended())
    vend_once(other)
    assert other.asked[0].headers["Idempotency-Key"] not in keys


def test_what_an_earlier_try_left_behind_is_waited_for():
    api = Api(SLOW, problem(409, "Ended", "it was ended; ask anew"), vended())
    vend_once(api)
    assert api.lines == [*[VEND] * 3, RELEASE]

    other = Api(problem(409, "Ended", "it was ended; ask anew"))
    with pytest.raises(Conflict):
        vend_once(other, idempotency_key="somebody-elses")
    assert other.lines == [VEND]


def test_a_key_of_the_callers_own_is_used():
    api = Api(vended())
    vend_once(api, idempotency_key="task-4711")
    assert api.asked[0].headers["Idempotency-Key"] == "task-4711"


def test_an_api_that_is_in_a_hurry_is_not_hurried():
    api = Api(*[problem(503, "Starting", "", {"Retry-After": "0"})] * 1000)
    with pytest.raises(Unavailable):
        vend_once(api)
    assert len(api.asked) < 20


def test_patience_ends():
    api = Api(*[SLOW] * 50)
    with pytest.raises(Unavailable, match="ProfileBuilding") as raised, api.client(patience=9).vend(USER_TOKEN, platform="warehouse"):
        pass
    assert api.slept == [2.0] * 4
    assert raised.value.retry_after == 2
    assert set(api.lines) == {VEND}


def test_what_takes_longer_than_the_patience_is_not_waited_for():
    api = Api(problem(429, "TooManyRoles", "end one of them", {"Retry-After": "600"}))
    with pytest.raises(TooManyRequests, match="TooManyRoles") as raised:
        vend_once(api)
    assert raised.value.retry_after == 600
    assert api.slept == []


def test_a_moment_is_read_by_the_servers_clock():
    headers = {"Retry-After": "Tue, 24 Nov 2026 13:15:04 GMT", "Date": "Tue, 24 Nov 2026 13:15:00 GMT"}
    api = Api(problem(503, "Starting", "", headers), vended())
    vend_once(api)
    assert api.slept == [4.0]


def test_a_wrong_certificate_is_not_asked_again():
    api = Api(httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate"))
    with pytest.raises(Unavailable, match="self-signed"):
        vend_once(api)
    assert api.lines == [VEND]


@pytest.mark.parametrize("lost", [httpx.ReadTimeout("too slow"), httpx.RemoteProtocolError("cut off")], ids=["timeout", "cut off"])
def test_a_role_whose_answer_was_lost_for_good_is_given_back(lost: Exception):
    api = Api(lost, vended())
    with pytest.raises(Unavailable, match="no answer"), api.client(patience=0.01).vend(USER_TOKEN, platform="warehouse"):
        pass
    assert api.lines == [VEND, VEND, RELEASE]
    assert api.asked[0].headers["Idempotency-Key"] == api.asked[1].headers["Idempotency-Key"]


LATER = {"Retry-After": "600"}


@pytest.mark.parametrize(
    ("answers", "given_back"),
    [
        ([httpx.Response(504)], True),
        ([httpx.ReadTimeout("too slow"), problem(503, "Starting", "", LATER)], True),
        ([httpx.ReadTimeout("too slow"), httpx.ConnectError("CERTIFICATE_VERIFY_FAILED")], True),
        ([httpx.ReadTimeout("too slow"), httpx.Response(403)], True),
        ([httpx.ReadTimeout("too slow"), problem(403, "NoPolicy")], False),
        ([problem(503, "Starting", "", LATER)], False),
        ([httpx.ConnectError("refused"), problem(503, "Starting", "", LATER)], False),
    ],
    ids=["a proxy", "lost, then busy", "lost, then away", "lost, then a proxy", "lost, then refused", "busy", "away, then busy"],
)
def test_a_role_that_an_earlier_try_may_have_created_is_given_back(answers: list[httpx.Response | Exception], given_back: bool):
    """The API answers the last try, or a proxy does, and says nothing of the role."""
    api = Api(*answers, vended())
    patience = 30 if len(answers) > 1 else 0.01
    with pytest.raises(RolevendError), api.client(patience=patience).vend(USER_TOKEN, platform="warehouse"):
        pass
    assert api.lines == [VEND] * len(answers) + ([VEND, RELEASE] if given_back else [])


def test_a_vend_that_is_interrupted_is_given_back():
    def interrupted(request: httpx.Request) -> httpx.Response:
        raise KeyboardInterrupt

    api = Api(interrupted, vended())
    with pytest.raises(KeyboardInterrupt):
        vend_once(api)
    assert api.lines == [VEND, VEND, RELEASE]


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({"roleName": 5}, "roleName is not a string"),
        ({"expirationTimestamp": "soon"}, "expirationTimestamp is not a time"),
        ({"expirationTimestamp": "2026-11-24T13:15:00"}, "no time zone"),
        ({"platforms": "warehouse"}, "platforms is not a list"),
        ({"platforms": []}, "no credential"),
        ({"credential": {"port": "5432"}}, "port is not a whole number"),
        ({"user": None}, "user is not an object"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_role_whose_answer_cannot_be_read_is_given_back(document: dict[str, object], why: str):
    api = Api(vended(**document), vended(**document))
    with pytest.raises(Unexpected, match=why) as raised:
        vend_once(api)
    assert api.lines == [VEND, VEND, RELEASE]
    assert PASSWORD not in str(raised.value)


def test_an_answer_that_is_no_json_is_none():
    with pytest.raises(Unexpected, match="not JSON"):
        Api(httpx.Response(200, content=b"\xff")).client().list()


def test_members_that_are_new_are_passed_over():
    api = Api(vended(shiny=True, credential={"channelBinding": "require"}))
    vend_once(api)


def test_a_decision_is_a_value_whether_granted_or_not():
    api = Api(httpx.Response(200, json={"granted": True, "explanation": role()["explanation"]}))
    decision = api.client().decide(USER_TOKEN, platform="warehouse", purpose="fraud-review")
    assert decision.granted
    assert decision.explanation.tables[0].policies == ("domain-claims/analysts",)
    assert api.lines == ["POST /v1/decisions"]
    assert "Idempotency-Key" not in api.asked[0].headers

    missing = {"offers": [], "sentence": "table claims.payments"}
    denial = {"granted": False, "reason": "NoPolicy", "message": "…; the smallest step: …", "missing": missing}
    decision = Api(httpx.Response(200, json=denial)).client().decide(USER_TOKEN, platform="warehouse")
    assert (decision.granted, decision.reason, str(decision.missing)) == (False, "NoPolicy", "table claims.payments")


def test_roles_are_listed_and_looked_at_without_their_logins():
    document = role(platforms=[{"name": "warehouse", "type": "PostgreSQL", "tableCount": 3}], explanation=None)
    api = Api(httpx.Response(200, json={"items": [document]}), httpx.Response(200, json=document))
    (listed,) = api.client().list()
    assert listed == api.client().get("a/b?c")
    assert listed.platforms[0].credential is None
    assert api.asked[1].url.raw_path == b"/v1/vended-roles/a%2Fb%3Fc"


def test_no_secret_prints(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    api = Api(vended(credential={"caCertificates": "-----BEGIN"}))
    with api.client().vend(UserToken(USER_TOKEN), platform="warehouse") as open_role:
        seen = [repr(open_role), repr(open_role.vended), f"{open_role.vended}", repr(UserToken(USER_TOKEN)), caplog.text]
    for text in seen:
        assert PASSWORD not in text
        assert USER_TOKEN not in text
        assert TOKEN not in text


def test_the_agents_own_token_is_asked_for_at_each_try():
    tokens = iter(["first", "second", "third"])
    api = Api(SLOW, vended())
    with api.client(token=lambda: next(tokens)).vend(USER_TOKEN, platform="warehouse"):
        pass
    assert [request.headers["Authorization"] for request in api.asked] == ["Bearer first", "Bearer second", "Bearer third"]


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "täken"])
def test_what_is_no_token_is_not_sent(token: str):
    api = Api()
    with pytest.raises(Misconfigured, match="own token"):
        api.client(token=lambda: token).list()
    assert api.asked == []


def test_connections_are_kept_for_a_block_of_the_client_and_otherwise_for_a_call():
    """Neither a transport that is closed early nor one that is left open would be noticed otherwise."""

    class Counted(httpx.MockTransport):
        closed = 0

        def close(self) -> None:
            self.closed += 1

    transport = Counted(lambda request: httpx.Response(200, json={"items": []}))
    client = Api().client(transport=transport)
    assert client.list() == client.list()
    assert transport.closed == 2
    with client:
        assert client.list() == client.list()
        assert transport.closed == 2
    assert transport.closed == 3


async def test_the_other_colour_does_the_same():
    api = Api(SLOW, vended())
    async with api.async_client().vend(USER_TOKEN, platform="warehouse") as open_role:
        assert open_role.name == "IMMUTA_VENDED_FINBOT_E10442_0HJ9X"
    assert api.lines == [VEND, VEND, RELEASE]
    assert api.slept == [2.0]

    api = Api(vended())
    with pytest.raises(ValueError, match="of the work"):
        async with api.async_client().vend(USER_TOKEN, platform="warehouse"):
            raise ValueError("of the work")
    assert api.lines == [VEND, RELEASE]

    api = Api(httpx.Response(200, json={"items": [role()]}), httpx.Response(200, json=role()), problem(403, "NoPolicy"))
    async with api.async_client() as client:
        assert (await client.list()) == (await client.get("finbot-0f3a"),)
        with pytest.raises(Denied):
            await client.decide(USER_TOKEN, platform="warehouse")
        assert await client.release("finbot-0f3a")


async def test_a_task_that_is_cancelled_releases_also_where_it_is_cancelled_again_and_again():
    api, vended_then, releasing, released = Api(vended()), asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slowly(request: httpx.Request) -> httpx.Response:
        if request.method == "DELETE":
            releasing.set()
            for _ in range(20):
                await asyncio.sleep(0)
            released.set()
        return api(request)

    async def work() -> None:
        async with api.async_client(transport=httpx.MockTransport(slowly)).vend(USER_TOKEN, platform="warehouse"):
            vended_then.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await vended_then.wait()
    task.cancel()
    await releasing.wait()
    while not released.is_set():
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert api.lines == [VEND, RELEASE]
    assert "finbot-0f3a" not in open_roles


async def test_a_vend_that_is_cancelled_is_given_back():
    api, asked = Api(vended(), vended()), asyncio.Event()

    async def slow_at_first(request: httpx.Request) -> httpx.Response:
        answer = api(request)
        if not asked.is_set():
            asked.set()
            await asyncio.Event().wait()
        return answer

    async def work() -> None:
        async with api.async_client(transport=httpx.MockTransport(slow_at_first)).vend(USER_TOKEN, platform="warehouse"):
            raise AssertionError("not reached")

    task = asyncio.create_task(work())
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert api.lines == [VEND, VEND, RELEASE]


def test_a_platform_that_nobody_has_fails_at_once_and_one_that_is_not_ready_is_tried_again():
    api = Api(
        problem(422, "PlatformUnknown", "platforms.0: no DataPlatform is named warehose; did you mean warehouse?", field="platforms.0")
    )
    with pytest.raises(InvalidInput, match="did you mean warehouse"), api.client().vend(USER_TOKEN, platform="warehose"):
        pass
    assert (api.lines, api.slept) == ([VEND], [])

    waiting = Api(problem(503, "PlatformClosed", headers={"Retry-After": "2"}), vended())
    vend_once(waiting)
    assert waiting.lines == [VEND, VEND, RELEASE]


def test_the_platforms_are_those_that_the_api_names():
    api = Api(httpx.Response(200, json={"items": [{"name": "crm", "type": "Snowflake"}, {"name": "warehouse", "type": "PostgreSQL"}]}))
    assert [(each.name, each.type) for each in api.client().platforms()] == [("crm", "Snowflake"), ("warehouse", "PostgreSQL")]
    assert api.lines == ["GET /v1/platforms"]


def test_strings_are_taken_where_strings_are_natural():
    api = Api(vended())
    with api.client(token=TOKEN, ca_file=certifi.where()).vend(
        USER_TOKEN, platform="warehouse", resources=["claims.people", ("claims", "a.b")]
    ):
        pass
    assert api.asked[0].headers["Authorization"] == f"Bearer {TOKEN}"
    assert api.body()["resources"] == [{"schema": "claims", "table": "people"}, {"schema": "claims", "table": "a.b"}]

    one = Api(vended())
    vend_once(one, resources="claims.people")
    assert one.body()["resources"] == [{"schema": "claims", "table": "people"}]


@pytest.mark.parametrize("name", ["people", "a.b.c", "", ".people", ("claims",), ("", "people")])
def test_a_text_that_names_no_table_is_refused_by_the_arguments_name_and_nothing_is_sent(name: Any):
    api = Api()
    with pytest.raises(ValueError, match=r"resources: .* is no table; write 'schema.table'"):
        vend_once(api, resources=[name])
    with pytest.raises(ValueError, match=r"tables: .* is no table"):
        api.client().request_access(USER_TOKEN, platform="warehouse", offer="claims/offer", tables=[name])
    assert api.lines == []


@pytest.mark.parametrize(
    ("platform", "member", "argument"),
    [
        ("warehouse", "expirationSeconds", "seconds"),
        ("warehouse", "userToken", "user_token"),
        ("warehouse", "platforms.0", "platform"),
        (["crm", "warehouse"], "platforms.1", "platform[1]"),
        (["crm", "warehouse"], "platforms", "platform"),
        ("warehouse", "resources.0.table", "resources[0].table"),
        ("warehouse", "allowPartial", "allow_partial"),
        ("warehouse", "Idempotency-Key", "idempotency_key"),
        ("warehouse", "Authorization", "Authorization"),
    ],
)
def test_an_error_names_the_argument(platform: str | list[str], member: str, argument: str):
    api = Api(problem(422, "InvalidInput", f"{member}: it is wrong", field=member))
    with pytest.raises(InvalidInput) as error, api.client().vend(USER_TOKEN, platform=platform):
        pass
    assert (error.value.argument, error.value.field, error.value.detail) == (argument, member, f"{argument}: it is wrong")
    assert str(error.value).endswith(f"InvalidInput: {argument}: it is wrong")


def test_a_role_without_an_answer_of_the_api_has_ended_when_its_time_is_over():
    for seconds, ended in ((-1, ("Expired", -1)), (60, None)):
        expires = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)
        api = Api(vended(expirationTimestamp=expires.isoformat()), *[httpx.ConnectError("refused")] * 50)
        with api.client().vend(USER_TOKEN, platform="warehouse") as open_role:
            found = open_role.end_of()
            assert (found and (found.reason, found.at)) == (ended and (ended[0], expires))
            assert open_role.remaining <= timedelta(seconds=60)
            api.answers.clear()


def test_a_decision_names_the_argument_too():
    said = {"granted": False, "reason": "ExpirationTooLong", "message": "expirationSeconds: 900 is longer than the 600: see there"}
    api = Api(httpx.Response(200, json=said))
    assert api.client().decide(USER_TOKEN, platform="warehouse").message == "seconds: 900 is longer than the 600: see there"
    plain = Api(httpx.Response(200, json={**said, "message": "no policy covers the user"}))
    assert plain.client().decide(USER_TOKEN, platform="warehouse").message == "no policy covers the user"


def test_a_call_does_not_fail_because_other_calls_have_all_connections():
    """A thousand blocks that end at once release a thousand roles over a hundred connections."""
    api = Api(vended())
    vend_once(api)
    times = [each.extensions["timeout"] for each in api.asked]
    assert len(times) == 2
    assert [each["pool"] for each in times] == [None, None]
    assert all(each[part] for each in times for part in ("connect", "read", "write"))

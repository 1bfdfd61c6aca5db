"""Rows that an approver reads: one role for one look, released whatever happens, and no value is shown in another way than is known."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from rolevend.api.schemas import ColumnShown
from rolevend.console.login import ConsoleClient, ConsoleLogins
from rolevend.console.own_roles import SECONDS, ApiAway, ApiRefused, OwnRoles
from rolevend.console.person import Person
from rolevend.console.row_looks import LookSettings, NoRows, RowLooks
from rolevend.console.row_table import CHARACTERS, COLUMNS, RowCell, row_table
from rolevend.errors import InvalidInput
from rolevend.identity.refusal import Code, TokenRefused
from rolevend.kinds.previewed_effect import PreviewedCells, PreviewedColumn, PreviewedTable
from rolevend.kinds.vended_role import TableName
from rolevend.kube.client import KubeClient, NotFound
from rolevend.settings import ConsoleSettings
from tests.support.manifests import on_snowflake

TABLE = TableName(schema_name="claims", table="people")
ROLE = {
    "id": "one",
    "roleName": "R",
    "state": "Live",
    "agent": {"namespace": "agents", "name": "rows"},
    "user": {"issuer": "https://idp.example.org", "subject": "olga"},
    "platforms": [],
    "links": {"self": "/v1/vended-roles/one"},
}


class Api:
    """An HTTP API that answers as it is told, and keeps the calls."""

    def __init__(self, status: int = 201, answer: bytes = json.dumps(ROLE).encode(), release: int = 204) -> None:
        self.status, self.answer, self.release_status = status, answer, release
        self.asked: list[dict[str, object]] = []
        self.released: list[str] = []
        self.release_begins, self.may_release = asyncio.Event(), asyncio.Event()
        self.may_release.set()
        self.may_vend = asyncio.Event()
        self.may_vend.set()
        self.application = web.Application()
        self.application.add_routes([web.post("/v1/vended-roles", self.vend), web.delete("/v1/vended-roles/{id}", self.release)])

    async def vend(self, request: web.Request) -> web.Response:
        self.asked.append(await request.json())
        await self.may_vend.wait()
        return web.Response(status=self.status, body=self.answer, headers={"Location": "/v1/vended-roles/one"})

    async def release(self, request: web.Request) -> web.Response:
        self.release_begins.set()
        await self.may_release.wait()
        self.released.append(request.match_info["id"])
        return web.Response(status=self.release_status)

    async def running(self) -> AsyncIterator[OwnRoles]:
        async with TestServer(self.application) as server:
            yield OwnRoles(str(server.make_url("")).rstrip("/"), None)


async def look(api: Api, error: BaseException | None = None) -> None:
    async for roles in api.running():
        async with roles.vended("agent", "user", "warehouse", TABLE, "AccessRequest agents/one"):
            if error is not None:
                raise error


async def test_a_role_is_for_one_table_and_for_seconds_and_is_released():
    api = Api()
    await look(api)
    assert api.released == ["one"]
    assert api.asked == [
        {
            "userToken": "user",
            "platforms": ["warehouse"],
            "resources": [{"schema": "claims", "table": "people"}],
            "expirationSeconds": SECONDS,
            "task": {"id": "AccessRequest agents/one"},
        }
    ]


@pytest.mark.parametrize("error", [NoRows("no"), asyncio.CancelledError(), RuntimeError("unexpected")])
async def test_a_role_is_released_whatever_happens(error: BaseException):
    api = Api()
    with pytest.raises(type(error)):
        await look(api, error)
    assert api.released == ["one"]


async def test_a_role_whose_answer_cannot_be_read_is_released_and_the_answer_is_told_nobody():
    api = Api(answer=b'{"password": "secret"')
    with pytest.raises(ApiAway) as told:
        await look(api)
    assert "secret" not in f"{told.value!r} {told.value.__cause__!r}"
    assert api.released == ["one"]


async def test_who_is_cancelled_during_the_release_releases_nevertheless():
    api = Api()
    api.may_release.clear()
    async for roles in api.running():

        async def looked(roles: OwnRoles = roles) -> None:
            async with roles.vended("agent", "user", "warehouse", TABLE, "x"):
                pass

        looking = asyncio.create_task(looked())
        await api.release_begins.wait()
        looking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looking
        api.may_release.set()
        async with asyncio.timeout(10):
            while not api.released:
                await asyncio.sleep(0)


async def test_a_refusal_is_told_and_an_api_that_is_away_too(caplog: pytest.LogCaptureFixture):
    problem = {"type": "x", "title": "Not permitted", "status": 403, "code": "NothingGranted", "detail": "no policy", "requestId": "1"}
    with pytest.raises(ApiRefused, match="no policy") as refused:
        await look(Api(403, json.dumps(problem).encode()))
    assert refused.value.status == 403
    with pytest.raises(ApiRefused, match="cannot be read"):
        await look(Api(502, b"<html>"))
    with pytest.raises(ApiAway):
        async with OwnRoles("http://127.0.0.1:1", None).vended("agent", "user", "warehouse", TABLE, "x"):
            pass
    with pytest.raises(ApiAway, match="CONSOLE_ROWS_API_CA_FILE"):
        async with OwnRoles("https://127.0.0.1:1", Path("/nowhere")).vended("agent", "user", "warehouse", TABLE, "x"):
            pass
    await look(Api(release=503))
    assert "which ends by itself" in caplog.text


def cells(*shown: str) -> tuple[PreviewedCells, ...]:
    return tuple(PreviewedCells(shown=each, rows=2) for each in shown)


def cell(value: str | None, today: tuple[str, ...], granted: tuple[str, ...] = ("Clear",), *, shown: str = "Clear") -> RowCell:
    changed = PreviewedColumn(name="ssn", today=cells(*today), granted=cells(*granted))
    effect = PreviewedTable(schema_name="claims", table="people", rows_today=2, rows_granted=2, columns=(changed,))
    found = row_table([ColumnShown(name="ssn", type="text", shown=shown)], [[value]], effect)  # type: ignore[arg-type]
    return found.rows[0][0]


@pytest.mark.parametrize(
    ("value", "today", "shown"),
    [
        ("900-01-0001", ("Partial(2)",), "***01"),
        ("900-01-0001", (), "hidden"),
        ("900-01-0001", ("Nullify",), "hidden"),
        ("900-01-0001", ("Hash",), "a hash"),
        ("900-01-0001", ("Clear", "Hash"), ""),
        ("900-01-0001", ("Regex(a, b)",), ""),
        ("2024-05-17", ("DateTrunc(Year)",), "2024-01-01"),
        ("infinity", ("DateTrunc(Year)",), ""),
        ("12024-05-17", ("DateTrunc(Year)",), ""),
        ("0044-03-15 BC", ("DateTrunc(Year)",), "0044-01-01 BC"),
        ("-1234.56", ("Round(0.5)",), "-1234.50"),
        ("NaN", ("Round(1)",), "hidden"),
        ("9" * 150, ("Round(1)",), ""),
        ("1e300", ("Round(1)",), ""),
        ("1e-999999999", ("Round(1)",), ""),
    ],
)
def test_a_value_is_shown_as_the_user_of_the_request_reads_it_if_that_is_known(value: str, today: tuple[str, ...], shown: str):
    assert cell(value, today) == RowCell(value, False, shown, value)


def test_nothing_is_made_of_a_value_that_the_approver_does_not_read_whole():
    assert cell("***01", ("Clear",), shown="Masked") == RowCell("***01")
    assert cell(None, ("Clear",)) == RowCell(None)
    assert cell("y" * (CHARACTERS + 1), ("Partial(2)",)) == RowCell("y" * CHARACTERS, is_cut=True)


def test_a_reader_sees_characters_that_turn_text_and_that_columns_are_left_out():
    columns = [ColumnShown(name=f"c{number}\u202e", type="text", shown="Clear") for number in range(COLUMNS + 3)]
    found = row_table(columns, [["\u202egnp.exe\n"] * COLUMNS], None)
    assert found.rows[0][0] == RowCell("\\u202egnp.exe\\n")
    assert found.columns[0].name == "c0\\u202e"
    assert (len(found.columns), found.columns_left_out) == (COLUMNS, 3)


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ({"CLIENT_ID": ""}, "CONSOLE_ROWS_CLIENT_ID"),
        ({"CLIENT_ID": "console"}, "CONSOLE_ROWS_CLIENT_ID"),
        ({"CLIENT_SECRET_FILE": ""}, "CONSOLE_ROWS_CLIENT_SECRET_FILE"),
        ({"API_URL": "http://api.example.org"}, "CONSOLE_ROWS_API_URL"),
    ],
)
def test_a_client_that_could_be_another_and_an_api_without_tls_are_refused(said: dict[str, str], name: str):
    usual = {"API_URL": "https://api.example.org", "CLIENT_ID": "rows", "CLIENT_SECRET_FILE": "/etc/secret"}
    environment = {f"ROLEVEND_CONSOLE_ROWS_{key}": value for key, value in (usual | said).items() if value}
    login = ConsoleClient("workforce", "https://console.example.org", "console")
    with pytest.raises(InvalidInput, match=name):
        LookSettings.of(ConsoleSettings.from_environment(environment), login)


def test_scope_and_audience_are_asked_for_at_the_login_and_by_the_client_itself():
    said = {
        "API_URL": "https://api.example.org",
        "CLIENT_ID": "rows",
        "CLIENT_SECRET_FILE": "/x",
        "SCOPE": "api/.default",
        "AUDIENCE": "api",
    }
    login = ConsoleClient("workforce", "https://console.example.org", "console")
    environment = {f"ROLEVEND_CONSOLE_ROWS_{key}": value for key, value in said.items()}
    found = LookSettings.of(ConsoleSettings.from_environment(environment), login)
    assert found is not None
    assert found.client.wishes == {"scope": "openid api/.default", "audience": "api"}
    assert found.own_wishes == {"scope": "api/.default", "audience": "api"}
    assert LookSettings.of(ConsoleSettings.from_environment({}), login) is None


class Cluster:
    """Knows one DataPlatform, or none."""

    def __init__(self, platform: dict[str, object] | None) -> None:
        self._platform = platform

    async def get(self, *_: object) -> dict[str, object]:
        if self._platform is None:
            raise NotFound("it is gone")
        return self._platform


OLGA = Person("staff:olga", subjects=frozenset({"olga"}), issuer="https://idp.example.org")


class Logins:
    """Gives the client this token, or none."""

    def __init__(self, token: str | None = None) -> None:
        self._token = token

    async def own_token(self, _wishes: object) -> str:
        if self._token is None:
            raise TokenRefused(Code.NOT_AUTHENTICATED, "the secret of the client is another one")
        return self._token


def look_settings() -> LookSettings:
    said = {"API_URL": "http://127.0.0.1:1", "CLIENT_ID": "rows", "CLIENT_SECRET_FILE": "/x"}
    environment = {f"ROLEVEND_CONSOLE_ROWS_{key}": value for key, value in said.items()}
    login = ConsoleClient("workforce", "https://console.example.org", "console")
    settings = LookSettings.of(ConsoleSettings.from_environment(environment), login)
    assert settings is not None
    return settings


def looks(platform: dict[str, object] | None = None) -> RowLooks:
    return RowLooks(cast(ConsoleLogins, Logins()), look_settings(), cast(KubeClient, Cluster(platform)))


async def test_a_platform_without_rows_to_show_is_told_before_anybody_logs_in():
    snowflake = on_snowflake({"account": "myorg-account1", "database": "SALES", "warehouse": "AGENTS_WH", "principal": "AgentUser"})
    with pytest.raises(NoRows, match="PostgreSQL only"):
        await looks(snowflake).require_postgres("warehouse")
    with pytest.raises(NoRows, match="does not exist any more"):
        await looks().require_postgres("warehouse")


async def test_a_client_without_a_token_of_its_own_makes_no_role_and_the_page_does_not_tell_why(caplog: pytest.LogCaptureFixture):
    with pytest.raises(NoRows, match="Tell your administrator") as told:
        await looks().look(OLGA, "user", "warehouse", TABLE, "x")
    assert "another one" in caplog.text
    assert "another one" not in str(told.value)


@pytest.mark.parametrize(
    ("person", "told"),
    [
        (OLGA, "no column"),
        (replace(OLGA, subjects=frozenset({"otto"})), "of somebody else"),
        (replace(OLGA, issuer="https://other.example.org"), "of somebody else"),
    ],
)
async def test_a_role_of_somebody_else_is_released_and_nothing_is_read_through_it(person: Person, told: str):
    api = Api()
    async for roles in api.running():
        found = RowLooks(cast(ConsoleLogins, Logins("agent")), replace(look_settings(), roles=roles), cast(KubeClient, Cluster(None)))
        with pytest.raises(NoRows, match=told):
            await found.look(person, "user", "warehouse", TABLE, "x")
    assert api.released == ["one"]


async def test_many_looks_of_one_person_take_turns_and_hold_up_nobody_else():
    api = Api()
    api.may_vend.clear()
    otto = replace(OLGA, username="staff:otto")
    async for roles in api.running():
        found = RowLooks(cast(ConsoleLogins, Logins("agent")), replace(look_settings(), roles=roles), cast(KubeClient, Cluster(None)), 0.2)
        people = (OLGA, OLGA, OLGA, otto)
        looking = asyncio.gather(*(found.look(each, each.username, "warehouse", TABLE, "x") for each in people), return_exceptions=True)
        async with asyncio.timeout(10):
            while len({each["userToken"] for each in api.asked}) < 2:
                await asyncio.sleep(0.01)
            with pytest.raises(NoRows, match="take long"):
                await found.look(OLGA, "user", "warehouse", TABLE, "x")
        api.may_vend.set()
        await looking
    assert len(api.asked) == len(api.released) == 2, "one of each, and the others were not begun"

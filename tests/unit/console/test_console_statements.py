"""Platforms that cannot be asked what runs, and the text of what does."""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from starlette.requests import Request

from rolevend.console.live import ListedRole, RoleView, VisibleRoles
from rolevend.console.observing import PlatformAnswer, PlatformObserver
from rolevend.console.person import Person
from rolevend.console.sessions import Session
from rolevend.console.statement_pages import ShownSession, StatementPages, roles_by_platform
from rolevend.kinds import DataPlatform, VendedRole, parse
from rolevend.kinds.shared import RECORD
from rolevend.kube.client import Body, KubeClient, ResourcePath, path_of
from rolevend.model import ObjectName
from rolevend.platforms.postgres.observing import CHARACTERS, RoleSession
from rolevend.revocations.selection import SelectedRole
from tests.support.manifests import changed, on_snowflake, valid
from tests.support.pglogs import ROLE
from tests.support.secrets import SecretStore


class OnePlatform(SecretStore):
    """A cluster with one DataPlatform."""

    def __init__(self, platform: Body) -> None:
        super().__init__()
        self._platform = platform

    async def get(self, resource: ResourcePath, name: str, namespace: str = "") -> Body:
        return self._platform if resource == path_of(DataPlatform) else await super().get(resource, name, namespace)


@pytest.fixture
def mute() -> Iterator[int]:
    """A port that takes connections, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


async def asked(platform: Body) -> PlatformAnswer:
    cluster = OnePlatform(platform)
    await cluster.put("observer", username="rv_observer", password="x")
    observer = PlatformObserver(cast(KubeClient, cluster), "system", lambda: datetime.now(UTC))
    return await observer.ask("warehouse", ["IMMUTA_VENDED_A_B_C"], CHARACTERS)


async def test_a_platform_that_does_not_answer_is_told_in_a_sentence(mute: int):
    postgres = {"host": "127.0.0.1", "port": mute, "database": "claims", "tls": {"mode": "Disable"}}
    answer = await asked(changed(valid("DataPlatform"), "spec.postgres", postgres))
    assert answer.sessions == ()
    assert answer.reason is not None
    assert "does not answer now" in answer.reason
    assert "127.0.0.1" not in answer.reason


async def test_snowflake_shows_its_statements_itself():
    answer = await asked(on_snowflake({"account": "myorg-account1", "database": "SALES", "warehouse": "W"}))
    assert answer == PlatformAnswer("warehouse", reason="Snowflake shows running statements itself, in its query history.")


def test_a_request_that_names_many_platforms_hides_no_role_that_runs_something():
    """Only so many platforms are asked for one page, and a request waits for platforms that do not exist yet."""
    asking = [changed(valid("VendedRole"), "spec.platformRefs", [{"name": f"{each}{number}"} for number in range(8)]) for each in "abc"]
    running = {**valid("VendedRole"), "status": {"roleName": ROLE}}
    roles = [parse(VendedRole, {**each, "metadata": {**each["metadata"], "uid": "u"}}) for each in (*asking, running)]
    watched = [ListedRole(each, SelectedRole.of(each), "", ("", "", ""), ("", "")) for each in roles]
    assert sum(len(each.row.platforms) for each in watched) == 25
    assert roles_by_platform(watched) == {"warehouse": [ROLE]}


async def test_a_role_that_a_database_records_runs_what_its_lease_says():
    """The object that shows it has another uid than its lease."""
    body = {**valid("VendedRole"), "status": {"roleName": ROLE, "platforms": [{"name": "warehouse", "state": "Live"}]}}
    role = parse(VendedRole, {**body, "metadata": {**body["metadata"], "uid": "of-the-object", "labels": {RECORD: "of-the-lease"}}})
    row = SelectedRole.of(role)
    busy = Busy(0)
    busy.roles = [ListedRole(role, row, "", ("", "", ""), ("", ""))]
    busy.view_of = RoleView(role, row, may_end=False, may_watch=True, may_trace=False)
    busy.sessions = [RoleSession(ROLE, uid, 7, "active", 9, None, uid, None, True) for uid in ("of-the-lease", "of-the-object")]
    pages = StatementPages(cast(VisibleRoles, busy), cast(PlatformObserver, busy))
    call = Request({"type": "http", "state": {"request_id": "r-1"}, "path_params": {"namespace": "agents", "name": "finbot"}})
    answers = [await show(call, Session(Person("olga"), "s")) for show in (pages.statements, pages.running)]
    text, listed = (bytes(each.body).decode() for each in answers)
    assert '<pre><bdi dir="auto">of-the-lease</bdi></pre>' in text
    assert "of-the-object" not in text
    assert "<td>1</td>" in listed


class Busy:
    """So many roles that all run a statement."""

    def __init__(self, count: int) -> None:
        body = {**valid("VendedRole"), "status": {"roleName": ROLE}}
        roles = [parse(VendedRole, {**body, "metadata": {**body["metadata"], "uid": f"u{number}"}}) for number in range(count)]
        self.roles = [ListedRole(each, SelectedRole.of(each), "", ("", "", ""), ("", "")) for each in roles]

        self.sessions = [RoleSession(ROLE, each.row.uid, 1, "active", 9, None, None, None, True) for each in self.roles]
        self.view_of: RoleView | None = None

    async def watched(self, _person: Person) -> list[ListedRole]:
        return self.roles

    async def view(self, _person: Person, _name: ObjectName) -> RoleView | None:
        return self.view_of

    async def ask(self, platform: str, _roles: object, _characters: int) -> PlatformAnswer:
        return PlatformAnswer(platform, self.sessions)


@pytest.mark.parametrize(
    ("count", "told"), [(200, []), (203, ["3 more run a statement"]), (1000, ["800 more run a statement", "it shows 1,000 sessions"])]
)
async def test_many_roles_that_run_long_do_not_hide_that_there_are_others(count: int, told: list[str]):
    busy = Busy(count)
    call = Request({"type": "http", "state": {"request_id": "r-1"}})
    answer = await StatementPages(cast(VisibleRoles, busy), cast(PlatformObserver, busy)).running(call, Session(Person("olga"), "s"))
    text = bytes(answer.body).decode()
    assert [each for each in ("3 more run a statement", "800 more run a statement", "it shows 1,000 sessions") if each in text] == told


@pytest.mark.parametrize(
    ("changes", "doing", "text"),
    [
        ({}, "active for 1 min 5 s", "SELECT 1"),
        ({"statement": "a\u202eb\x1b\n\tc\u200b"}, "active for 1 min 5 s", "a\\u202eb\\x1b\n    c\\u200b"),
        ({"statement": "x" * 5000}, "active for 1 min 5 s", "x" * CHARACTERS),
        ({"state": "idle in transaction", "seconds": 3}, "idle in transaction for 3 s, after this statement", "SELECT 1"),
        ({"state": "idle", "statement": None, "seconds": -1}, "idle for 0 s", None),
        ({"state": None, "seconds": None, "statement": None}, "starting", None),
        ({"state": None, "shown": False, "statement": None}, "not shown yet; look again in a few seconds", None),
    ],
)
def test_a_session_for_people(changes: dict[str, Any], doing: str, text: str | None):
    session = {
        "role": "r",
        "uid": "u",
        "pid": 1,
        "state": "active",
        "seconds": 65,
        "waits_for": None,
        "statement": "SELECT 1",
        "kept": None,
        "shown": True,
    }
    shown = ShownSession.of(RoleSession(**{**session, **changes}))
    assert (shown.doing, shown.statement) == (doing, text)

"""Platforms that cannot be asked what runs, and the text of what does."""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from rolevend.console.observing import PlatformAnswer, PlatformObserver
from rolevend.console.statement_pages import ShownSession
from rolevend.kinds import DataPlatform
from rolevend.kube.client import Body, KubeClient, ResourcePath, path_of
from rolevend.platforms.postgres.observing import CHARACTERS, RoleSession
from tests.support.manifests import changed, on_snowflake, valid
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


@pytest.mark.parametrize(
    ("changes", "doing", "text"),
    [
        ({}, "active for 1 min 5 s", "SELECT 1"),
        ({"statement": "a\u202eb\x1b\n\tc\u200b"}, "active for 1 min 5 s", "a\\u{202e}b\\u{1b}\n\tc\\u{200b}"),
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
        "shown": True,
    }
    shown = ShownSession.of(RoleSession(**{**session, **changes}))
    assert (shown.doing, shown.statement) == (doing, text)

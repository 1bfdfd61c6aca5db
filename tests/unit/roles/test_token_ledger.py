"""A token proves one role wherever its use is recorded: in Kubernetes, in the ledger's database, and across each step between them."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, cast

import pytest

from rolevend.decision.snapshot import Snapshot
from rolevend.decision.snapshot_inputs import Ledger, LedgerMode
from rolevend.errors import PlatformUnavailable
from rolevend.kube.client import KubeClient
from rolevend.kube.token_replay import PREFIX, TokenReplayStore, token_digest
from rolevend.model import PlatformName, Uid
from rolevend.plan import TokenUse
from rolevend.platform_runtime.registry import PlatformRegistry
from rolevend.roles.token_ledger import COLLECT_SECONDS, RETRY_SECONDS, TokenLedger
from tests.support import registered, tokens
from tests.support.in_memory import NOW, ApiServer

ISSUER, TOKEN, OTHER = tokens.ISSUER, "jti 1", "jti 2"
FIRST, SECOND = Uid("0d5f1e7a-0000-4000-8000-000000000001"), Uid("0d5f1e7a-0000-4000-8000-000000000002")
WAREHOUSE, CRM = PlatformName("warehouse"), PlatformName("crm")
OFF = None
JOINING, ON, UNKNOWN = (Ledger(WAREHOUSE, mode) for mode in (LedgerMode.JOINING, LedgerMode.ENABLED, LedgerMode.UNKNOWN))


@dataclass
class UseRecords:
    """A database's records of used tokens."""

    now: datetime = NOW
    kept: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    failure: Exception | None = None
    is_read_only: bool = False

    async def take(self, token: TokenUse, holder: str) -> bool:
        if self.failure or self.is_read_only:
            raise self.failure or PlatformUnavailable("the server is read-only")
        return self.kept.setdefault(token.digest, (holder, token.expires_at))[0] == holder

    async def holder(self, digest: str) -> str | None:
        if self.failure:
            raise self.failure
        return self.kept[digest][0] if digest in self.kept else None

    async def collect(self) -> int:
        over = [digest for digest, (_, expires_at) in self.kept.items() if expires_at <= self.now]
        for digest in over:
            del self.kept[digest]
        return len(over)


@dataclass
class Reached:
    records: UseRecords | None

    @property
    def executor(self) -> Any:
        return self


class Replicas:
    """Processes over one cluster and one database. `snapshot` is the newest one of all of them."""

    def __init__(self, ledger: Ledger | None = OFF) -> None:
        self.snapshot: Snapshot = replace(registered.a_snapshot(), pending=None)
        self.server, self.database = ApiServer(), UseRecords()
        self.platforms: dict[PlatformName, Any] = {WAREHOUSE: Reached(self.database)}
        leases = TokenReplayStore(cast(KubeClient, self.server), "system", lambda: self.database.now)
        self.tokens = TokenLedger(leases, cast(PlatformRegistry, self.platforms), self)
        self.follow(ledger)

    def follow(self, ledger: Ledger | None) -> "Replicas":
        self.snapshot = replace(self.snapshot, ledger=ledger)
        return self

    async def take(self, uid: Uid = FIRST, token_id: str = TOKEN) -> bool:
        left = await self.tokens.is_left_to(ISSUER, token_id, uid)
        taken = await self.tokens.take(ISSUER, token_id, uid, tokens.after(60))
        assert left == taken == await self.tokens.is_left_to(ISSUER, token_id, uid), "the preview and the vend agree"
        return taken

    @property
    def leases(self) -> set[str]:
        return {each["metadata"]["name"] for each in self.server.all_of("leases")}


NAME = token_digest(ISSUER, TOKEN)


@pytest.mark.parametrize(
    ("ledger", "in_kubernetes", "in_database"), [(OFF, True, False), (JOINING, True, True), (ON, False, True)], ids=["off", "joining", "on"]
)
async def test_a_use_is_recorded_once_in_each_place_that_the_mode_names(ledger: Ledger | None, in_kubernetes: bool, in_database: bool):
    replicas = Replicas(ledger)

    assert await replicas.take()
    assert await replicas.take(), "idempotent for the same request"
    assert not await replicas.take(SECOND)
    assert await replicas.take(SECOND, OTHER)

    assert (f"{PREFIX}{NAME}" in replicas.leases) == in_kubernetes
    assert replicas.database.kept.get(NAME) == ((FIRST, tokens.after(60) + timedelta(minutes=5)) if in_database else None)


@pytest.mark.parametrize(
    ("before", "after"),
    [(OFF, JOINING), (JOINING, ON), (ON, JOINING), (JOINING, OFF)],
    ids=["off-joining", "joining-on", "on-joining", "joining-off"],
)
async def test_a_token_that_was_used_is_refused_after_one_step_to_another_mode(before: Ledger | None, after: Ledger | None):
    replicas = Replicas(before)
    assert await replicas.take()

    replicas.follow(after)

    assert not await replicas.take(SECOND)
    assert await replicas.take(FIRST), "the request itself continues"
    assert await replicas.take(SECOND, OTHER)


@pytest.mark.parametrize("way", [(OFF, JOINING, ON), (ON, JOINING, OFF)], ids=["there", "back"])
async def test_while_some_replicas_have_not_read_a_step_yet_no_token_is_used_twice(way: tuple[Ledger | None, ...]):
    replicas = Replicas()
    for number, (older, newer) in enumerate(pairwise(way)):
        for order in ((older, newer), (newer, older)):
            token_id = f"jti {number} {order}"
            assert await replicas.follow(order[0]).take(FIRST, token_id)
            assert not await replicas.follow(order[1]).take(SECOND, token_id)


async def test_where_kubernetes_refuses_the_database_keeps_no_record():
    replicas = Replicas()
    assert await replicas.take()

    replicas.follow(JOINING)

    assert not await replicas.take(SECOND)
    assert replicas.database.kept == {}


UNCERTAIN = {
    "nothing was read yet": lambda replicas: setattr(replicas, "snapshot", replace(replicas.snapshot, pending="nothing was read yet")),
    "cannot be read": lambda replicas: replicas.follow(UNKNOWN),
    "is not connected": lambda replicas: replicas.platforms.clear(),
    "keeps no records": lambda replicas: replicas.platforms.update({WAREHOUSE: Reached(None)}),
    "does not answer": lambda replicas: setattr(replicas.database, "failure", PlatformUnavailable("the server does not answer")),
}


@pytest.mark.parametrize("ledger", [JOINING, ON], ids=["joining", "on"])
@pytest.mark.parametrize("cause", UNCERTAIN)
async def test_no_token_is_redeemed_while_its_record_cannot_be_kept(ledger: Ledger, cause: str):
    replicas = Replicas(ledger)
    UNCERTAIN[cause](replicas)

    with pytest.raises(PlatformUnavailable, match=cause):
        await replicas.tokens.is_left_to(ISSUER, TOKEN, FIRST)
    with pytest.raises(PlatformUnavailable, match=cause):
        await replicas.tokens.take(ISSUER, TOKEN, FIRST, tokens.after(60))

    assert replicas.database.kept == {}


async def test_an_interrupted_use_in_both_places_is_continued_by_the_same_request_alone():
    replicas = Replicas(JOINING)
    replicas.database.is_read_only = True
    with pytest.raises(PlatformUnavailable):
        await replicas.tokens.take(ISSUER, TOKEN, FIRST, tokens.after(60))
    assert (len(replicas.leases), replicas.database.kept) == (1, {})

    replicas.database.is_read_only = False

    assert not await replicas.take(SECOND)
    assert await replicas.take(FIRST)


@pytest.mark.parametrize("ledger", [OFF, JOINING, ON], ids=["off", "joining", "on"])
async def test_one_loop_deletes_the_expired_records_of_both_places(ledger: Ledger | None):
    replicas = Replicas(JOINING)
    await replicas.take()
    replicas.follow(ledger)

    replicas.database.now = tokens.after(60) + timedelta(minutes=4)
    await replicas.tokens.collect()
    assert (len(replicas.leases), len(replicas.database.kept)) == (1, 1)
    replicas.database.now += timedelta(minutes=2)
    await replicas.tokens.collect()

    assert (len(replicas.leases), len(replicas.database.kept)) == (0, 0 if ledger else 1)


async def test_a_database_that_does_not_answer_keeps_no_expired_lease(caplog: pytest.LogCaptureFixture):
    replicas = Replicas(JOINING)
    await replicas.take()
    replicas.platforms.clear()
    replicas.database.now = tokens.after(600)

    await replicas.tokens.collect()

    assert replicas.leases == set()
    assert "cannot delete expired token records" in caplog.text


async def test_a_collection_that_failed_is_repeated_soon(monkeypatch: pytest.MonkeyPatch):
    replicas = Replicas(JOINING)
    await replicas.take()
    replicas.database.now = tokens.after(600)
    away, pauses = dict(replicas.platforms), list[float]()
    replicas.platforms.clear()

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        replicas.platforms.update(away)
        if len(pauses) == 2:
            raise asyncio.CancelledError

    monkeypatch.setattr(asyncio, "sleep", pause)
    with pytest.raises(asyncio.CancelledError):
        await replicas.tokens.run()

    assert pauses == [RETRY_SECONDS, COLLECT_SECONDS]
    assert replicas.database.kept == {}

"""A token proves one role wherever its use is recorded: in Kubernetes, in the ledger's database, and across each step between them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, cast

import pytest

from rolevend.decision.snapshot import Snapshot
from rolevend.decision.snapshot_inputs import Ledger, LedgerMode
from rolevend.errors import ClusterUnavailable, NotPermitted, PlatformUnavailable, RolevendError
from rolevend.kube.client import Body, KubeClient, ResourceConflict, ResourcePath, WatchExpired
from rolevend.kube.election import LEASES
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


class Pauses:
    """Stands in for `asyncio.sleep`: records the pauses of the loops of both places, and stops each after `most` pauses."""

    def __init__(self, most: int = 1, after_pause: Callable[[int, float], None] = lambda _, __: None) -> None:
        self._by_loop: dict[object, list[float]] = {}
        self._most = most
        self._after_pause = after_pause
        self._done = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        pauses = self._by_loop.setdefault(asyncio.current_task(), [])
        pauses.append(seconds)
        self._after_pause(len(pauses), seconds)
        if len(pauses) == self._most:
            if [len(each) for each in self._by_loop.values()] == [self._most, self._most]:
                self._done.set()
            await asyncio.Event().wait()

    async def of(self, replicas: "Replicas", monkeypatch: pytest.MonkeyPatch) -> tuple[list[float], list[float]]:
        """Run the collections until both loops stop. Return the pauses in Kubernetes, and those in the ledger."""
        monkeypatch.setattr(asyncio, "sleep", self)
        running = asyncio.create_task(replicas.tokens.run())
        await self._done.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        in_kubernetes, in_ledger = self._by_loop.values()
        return in_kubernetes, in_ledger


@dataclass
class Reached:
    records: UseRecords | None

    @property
    def executor(self) -> Any:
        return self


class Replicas:
    """Processes over one cluster and one database. `snapshot` is the newest one of all of them."""

    def __init__(self, ledger: Ledger | None = OFF, server: ApiServer | None = None) -> None:
        self.snapshot: Snapshot = replace(registered.a_snapshot(), pending=None)
        self.server, self.database = server or ApiServer(), UseRecords()
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
async def test_expired_records_are_deleted_in_both_places(ledger: Ledger | None, monkeypatch: pytest.MonkeyPatch):
    replicas = Replicas(JOINING)
    await replicas.take()
    replicas.follow(ledger)

    replicas.database.now = tokens.after(60) + timedelta(minutes=4)
    await Pauses().of(replicas, monkeypatch)
    assert (len(replicas.leases), len(replicas.database.kept)) == (1, 1)
    replicas.database.now += timedelta(minutes=2)
    await Pauses().of(replicas, monkeypatch)

    assert (len(replicas.leases), len(replicas.database.kept)) == (0, 0 if ledger else 1)


async def test_a_database_that_does_not_answer_keeps_no_expired_lease(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch):
    replicas = Replicas(JOINING)
    await replicas.take()
    replicas.platforms.clear()
    replicas.database.now = tokens.after(600)

    assert await Pauses().of(replicas, monkeypatch) == ([COLLECT_SECONDS], [RETRY_SECONDS])

    assert replicas.leases == set()
    assert "cannot delete expired token records" in caplog.text


class Troubled(ApiServer):
    """An API server that answers a list, or the deletion of some Leases, with an error."""

    def __init__(self) -> None:
        super().__init__()
        self.of_lists: Exception | None = None
        self.of_deletions: dict[str, BaseException] = {}
        self.lists = 0

    async def pages(self, resource: ResourcePath, namespace: str | None = None, selector: str = "") -> AsyncIterator[Body]:
        self.lists += 1
        if self.of_lists:
            raise self.of_lists
        async for page in super().pages(resource, namespace, selector):
            yield {"items": list(page["items"])}

    async def delete(self, resource: ResourcePath, name: str, uid: str, namespace: str | None = None) -> None:
        if name in self.of_deletions:
            raise self.of_deletions[name]
        await super().delete(resource, name, uid, namespace)


def troubled(ledger: Ledger | None = OFF) -> tuple[Replicas, Troubled]:
    server = Troubled()
    replicas = Replicas(ledger, server)
    return replicas, server


THREE = ("jti a", "jti b", "jti c")


async def test_a_lease_that_cannot_be_deleted_does_not_keep_the_expired_ones_after_it(monkeypatch: pytest.MonkeyPatch):
    """Such as one that an admission policy of somebody else protects. The API server lists it before others at every collection."""
    replicas, server = troubled()
    for token_id in THREE:
        assert await replicas.take(FIRST, token_id)
    first = server.all_of("leases")[0]["metadata"]["name"]
    server.of_deletions[first] = NotPermitted("the Lease is protected")
    replicas.database.now = tokens.after(600)

    assert await Pauses().of(replicas, monkeypatch) == ([COLLECT_SECONDS], [COLLECT_SECONDS])
    assert replicas.leases == {first}


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59.999999Z", "0000-01-01T00:00:00.000000Z"])
async def test_a_lease_with_a_time_beyond_the_calendar_ends_neither_the_loop_nor_the_operator(moment: str, monkeypatch: pytest.MonkeyPatch):
    """The API server stores both times. The ServiceAccount of the API may create such a Lease, and nothing deletes it."""
    replicas, server = troubled()
    spec = {"holderIdentity": FIRST, "leaseDurationSeconds": 2**31 - 1, "acquireTime": moment}
    await server.create(LEASES, {"metadata": {"name": f"{PREFIX}0"}, "spec": spec}, "system")
    assert await replicas.take()
    replicas.database.now = tokens.after(600)

    assert await Pauses().of(replicas, monkeypatch) == ([COLLECT_SECONDS], [COLLECT_SECONDS])

    assert replicas.leases == {f"{PREFIX}0"}, "no expiry can be read from it, so it stays"


async def test_while_the_ledger_is_not_known_yet_a_collection_counts_as_failed(monkeypatch: pytest.MonkeyPatch):
    """When an operator begins to lead, the first collection may come before the first complete snapshot."""
    replicas = Replicas(JOINING)
    await replicas.take()
    replicas.database.now = tokens.after(600)
    complete = replicas.snapshot
    replicas.snapshot = replace(complete, ledger=None, pending="nothing was read yet")

    pauses = Pauses(2, lambda _, seconds: setattr(replicas, "snapshot", complete) if seconds == RETRY_SECONDS else None)

    assert await pauses.of(replicas, monkeypatch) == ([COLLECT_SECONDS] * 2, [RETRY_SECONDS, COLLECT_SECONDS])
    assert replicas.database.kept == {}


@pytest.mark.parametrize(
    "error",
    [NotPermitted("403"), ClusterUnavailable("429"), WatchExpired("410"), ResourceConflict("409"), ZeroDivisionError("a bug")],
    ids=lambda each: f"{type(each).__name__} {each}",
)
async def test_a_list_that_fails_for_long_is_asked_once_a_pause_and_the_loop_goes_on(error: Exception, monkeypatch: pytest.MonkeyPatch):
    replicas, server = troubled()
    await replicas.take()
    replicas.database.now = tokens.after(600)
    server.of_lists = error
    pauses = Pauses(21, lambda number, _: setattr(server, "of_lists", error if number < 20 else None))

    seconds, _ = await pauses.of(replicas, monkeypatch)

    assert set(seconds[:20]) == {RETRY_SECONDS if isinstance(error, ClusterUnavailable) else COLLECT_SECONDS}
    assert (server.lists, seconds[-1], replicas.leases) == (21, COLLECT_SECONDS, set())


async def test_a_collection_that_failed_in_the_middle_frees_no_token_whose_record_is_not_over(monkeypatch: pytest.MonkeyPatch):
    replicas, server = troubled(JOINING)
    for token_id in THREE:
        assert await replicas.take(FIRST, token_id)
    replicas.database.now = tokens.after(200)
    assert await replicas.tokens.take(ISSUER, TOKEN, FIRST, tokens.after(260))
    replicas.database.now = tokens.after(400)
    second = server.all_of("leases")[1]["metadata"]["name"]
    server.of_deletions[second] = ClusterUnavailable("the API server does not answer")
    pauses = Pauses(2, lambda _, __: server.of_deletions.clear())

    assert await pauses.of(replicas, monkeypatch) == ([RETRY_SECONDS, COLLECT_SECONDS], [COLLECT_SECONDS] * 2)
    assert replicas.leases == {f"{PREFIX}{NAME}"}
    assert replicas.database.kept.keys() == {NAME}
    assert not await replicas.tokens.take(ISSUER, TOKEN, SECOND, tokens.after(260))


async def test_a_collection_that_is_cancelled_deletes_no_more_and_is_not_repeated(monkeypatch: pytest.MonkeyPatch):
    replicas, server = troubled(JOINING)
    for token_id in THREE:
        assert await replicas.take(FIRST, token_id)
    replicas.database.now = tokens.after(600)
    names = [each["metadata"]["name"] for each in server.all_of("leases")]
    server.of_deletions[names[1]] = asyncio.CancelledError()
    monkeypatch.setattr(asyncio, "sleep", Pauses())

    with pytest.raises(asyncio.CancelledError):
        await replicas.tokens.run()

    assert replicas.leases == set(names[1:])


@pytest.mark.parametrize("ledger", [OFF, JOINING, ON], ids=["off", "joining", "on"])
async def test_a_token_that_expires_with_the_calendar_is_taken_or_refused_with_a_reason(ledger: Ledger | None):
    """`identity.registered` accepts this expiry. Its record would expire later."""
    latest = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    with contextlib.suppress(RolevendError):
        await Replicas(ledger).tokens.take(ISSUER, TOKEN, FIRST, latest)

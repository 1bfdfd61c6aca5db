"""Requests of the Snowflake driver to an account, counted on the wire: `python -m bench.snowflake [--quick]`, from the repository's root.

On the stand-in, which is a model: requests, statements, logins and connections are what an account would see. Seconds are the stand-in's
own, but where each request is made to take as long as one of an account does.
"""

import asyncio
import logging
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from bench.lines import Line, ms, p50, quick, reported, settled, table, timed
from rolevend.catalog import Column, Family, Table, TableId
from rolevend.model import PlatformName
from rolevend.plan import Lease, Profile
from rolevend.platform_runtime.executor import PlatformExecutor
from rolevend.platforms.protocol import Credential, DropRequest, EndReason
from rolevend.platforms.snowflake import SnowflakeLimits
from rolevend.platforms.snowflake.vend.keys import new_key
from tests.conformance.bench import CLUSTER, lease, own, profile, shape
from tests.conformance.snowflake_bench import DATABASE, SnowflakeBench, installed
from tests.support.snowflake import StandIn
from tests.support.snowflake.grammar import split

Pair = tuple[Lease, Credential]
MOST = 3
"""Requests for a vend, and for a drop."""
CALLERS, TIMES = 16, 12
"""So many who vend at once, and so many times as fast as one alone."""
CONNECTIONS = 4
"""Of one session: the connector takes another one where the last was not given back yet, and keeps it."""
REQUEST_SECONDS = 0.27
"""Of a vend with three of them, 807 ms: the mean that a comparable system publishes."""
STATEMENT_SECONDS = 0.18
"""Of the same system: what a statement takes in the account."""
LEAST_SECONDS = 60
"""Of a warehouse are paid whenever it resumes."""


@dataclass(frozen=True)
class Size:
    few: tuple[int, ...]
    most: int
    """Tables of profiles."""
    profiles: int
    """Beside the one that is vended."""
    vends: int
    each: int
    """Vends of each of the callers."""


FULL = Size(few=(1, 100), most=1_000, profiles=100, vends=100, each=6)
QUICK = Size(few=(1, 5), most=60, profiles=5, vends=20, each=2)


@dataclass(frozen=True)
class Asked:
    """Requests to the account in a period."""

    requests: int
    logins: int
    connections: int
    statements: tuple[str, ...]
    on_warehouse: int
    """Of the statements, those of a request that holds a warehouse."""


class Wire:
    def __init__(self, snowflake: StandIn) -> None:
        self._snowflake = snowflake

    def asked(self, work: Callable[[], object]) -> Asked:
        account = self._snowflake.account
        before = len(self._snowflake.requests)
        account.forget()
        work()
        asked = self._snowflake.requests[before:]
        # The stand-in places a session at its login by such statements; nobody asked for them.
        ran = [(each.warehouse is not None, split(each.text)) for each in account.history if not each.text.startswith("USE ")]
        return Asked(
            requests=sum("/queries" in each.path for each in asked),
            logins=sum("login" in each.path for each in asked),
            connections=len({each.connection for each in asked if "/queries" in each.path}),
            statements=tuple(text for _, texts in ran for text in texts),
            on_warehouse=sum(len(texts) for held, texts in ran if held),
        )


def main() -> None:
    logging.disable()
    size = QUICK if quick() else FULL
    with StandIn() as snowflake, installed(snowflake) as bench:
        table("The driver, on the stand-in for Snowflake", lines(bench, size))


def lines(bench: SnowflakeBench, size: Size) -> Iterator[Line]:
    tables = made(bench, size.most)
    many = as_they_are(tables)
    yield from looking(bench, tables)
    yield from programming(bench, tables, many)
    few = {number: built(bench, number) for number in size.few}
    yield from requests(bench, size, {**few, size.most: many})
    for part in (sessions, crowd, warehouse):
        yield from part(bench, few[1], size)


def requests(bench: SnowflakeBench, size: Size, profiles: Mapping[int, Profile]) -> Iterator[Line]:
    """Of a vend and a drop, whatever the number of tables and of profiles."""
    counted = []
    for number, of in profiles.items():
        counted.append(one(bench, of))
        yield _requests(f"one vend, and its drop, of {number:,} tables", *counted[-1])
    for _ in range(size.profiles):
        built(bench, 1)
    live = [vended(bench, of) for _ in range(size.profiles)]
    counted.append(one(bench, of))
    yield _requests(f"the same beside {size.profiles} other profiles and live roles", *counted[-1])
    same = len({(vend.requests, drop.requests, len(vend.statements), len(drop.statements)) for vend, drop in counted}) == 1
    vend, drop = counted[0]
    statements = f"{len(vend.statements)} and {len(drop.statements)}"
    yield Line("statements of a vend, and of a drop, in each of these cases", statements, "the same", same)
    bench.platform.drop([ended(pair) for pair in live])


def _requests(what: str, vend: Asked, drop: Asked) -> Line:
    within = vend.requests <= MOST and drop.requests <= MOST
    return Line(what, f"{vend.requests} and {drop.requests} requests", f"<= {MOST} each", within)


def one(bench: SnowflakeBench, of: Profile) -> tuple[Asked, Asked]:
    pair = new(bench, of)
    wire = Wire(bench.snowflake)
    vend = wire.asked(lambda: vend_all(bench, [pair]))
    return vend, wire.asked(lambda: drop_all(bench, [pair]))


def looking(bench: SnowflakeBench, tables: Sequence[Table]) -> Iterator[Line]:
    """Measure a read of the catalog of `tables`: in full, and shortly after another read."""
    wire, schemas = Wire(bench.snowflake), frozenset({tables[0].id.schema})
    keeping = bench.platform_of(CLUSTER, SnowflakeLimits())
    keeping.facts()
    first = wire.asked(lambda: keeping.catalog(schemas))
    count = len(tables)
    most = 5 + 2 * -(-count // 50)
    yield Line(f"the catalog of {count:,} tables", _statements(first), f"<= {most} statements", len(first.statements) <= most)
    again = wire.asked(lambda: keeping.catalog(schemas))
    held = again.on_warehouse
    yield Line("the same within ten minutes", f"{_statements(again)}, {held} on the warehouse", "0 on the warehouse", held == 0)


def programming(bench: SnowflakeBench, tables: Sequence[Table], wanted: Profile) -> Iterator[Line]:
    """Measure a full build, and builds when most is there."""
    wire = Wire(bench.snowflake)
    first, *rest = tables
    build = wire.asked(lambda: bench.platform.ensure(wanted))
    most = 2 * len(tables) + len(tables) // 25 + 20
    what = f"building a profile of {len(tables):,} tables"
    yield Line(what, _statements(build), f"<= {most:,} statements", len(build.statements) <= most)
    yield reported(f"the same, where a statement takes {STATEMENT_SECONDS} s", _minutes(build))
    again = wire.asked(lambda: bench.platform.ensure(wanted))
    yield Line("the same again", f"{again.requests} requests", "0", again.requests == 0)
    other_process = bench.platform_of(lease(wanted).cluster)
    restarted = wire.asked(lambda: other_process.ensure(wanted))
    yield Line("the same by a process that was restarted", _statements(restarted), "1 statement", len(restarted.statements) == 1)
    changed = profile(shape(first, own(first, "REGION", "regions")), *(shape(each) for each in rest))
    other = wire.asked(lambda: bench.platform.ensure(changed))
    walls = sum("ROW ACCESS POLICY" in text for text in other.statements)
    what = "another filter on one of them: policies of tables touched"
    yield Line(what, f"{walls}, in {_statements(other)}", "0", walls == 0)
    yield reported(f"the same, where a statement takes {STATEMENT_SECONDS} s", _minutes(other))
    bench.run(f"ALTER TABLE {DATABASE}.{first.id.schema}.{first.id.name} DROP ALL ROW ACCESS POLICIES")
    bench.platform.drift()
    mended = wire.asked(lambda: bench.platform.ensure(wanted))
    put = sum(text.startswith(("ALTER", "CREATE OR REPLACE")) for text in mended.statements)
    yield Line("after somebody took one wall away: tables and views touched", f"{put}", "1", put == 1)


def _minutes(build: Asked) -> str:
    """Views are made in several sessions at once."""
    views = sum("SECURE VIEW" in text for text in build.statements)
    turns = len(build.statements) - views + views / SnowflakeLimits().builds_beside
    return f"{turns * STATEMENT_SECONDS / 60:.1f} min"


def _statements(asked: Asked) -> str:
    return f"{len(asked.statements):,} statement{'s' * (len(asked.statements) != 1)}, {asked.requests} requests"


def sessions(bench: SnowflakeBench, of: Profile, size: Size) -> Iterator[Line]:
    """Measure the reuse between two vends, and key generation."""

    def restarted() -> Line:
        platform = bench.platform_of(lease(of).cluster)
        platform.ensure(of)
        pairs = [new(bench, of) for _ in range(size.vends)]

        def all_of_them() -> None:
            for pair in pairs:
                assert [each.error for each in platform.vend([pair])] == [None]
                assert [each.error for each in platform.drop([ended(pair)])] == [None]

        asked = Wire(bench.snowflake).asked(all_of_them)
        measured = f"{asked.requests} requests, {asked.logins} login, {asked.connections} connections"
        within = asked.logins == 1 and asked.connections <= CONNECTIONS
        return Line(f"{size.vends} vends and drops, one after the other", measured, f"1 login, <= {CONNECTIONS} connections", within)

    yield settled(restarted)
    seconds = [timed(new_key) for _ in range(20)]
    yield reported("one key pair of a vended user, made beforehand by one thread", f"p50 {ms(p50(seconds))}")


def crowd(bench: SnowflakeBench, of: Profile, size: Size) -> Iterator[Line]:
    """Through the queue of a platform, as the operator asks, with keys that are there already."""
    with slow(bench.snowflake):
        yield settled(lambda: _crowd(bench, of, size))


def _crowd(bench: SnowflakeBench, of: Profile, size: Size) -> Line:
    alone = rate(bench, of, 1, 2 * size.each)
    together = rate(bench, of, CALLERS, size.each)
    what = f"{CALLERS} who vend at once, where a request takes {REQUEST_SECONDS * 1e3:.0f} ms"
    measured = f"{together:.1f}/s against {alone:.1f}/s: {together / alone:.1f}x"
    return Line(what, measured, f">= {TIMES}x", together >= TIMES * alone).judged_if(size is FULL)


@contextmanager
def slow(snowflake: StandIn) -> Iterator[None]:
    """Each request is under way for so long, and holds up no other one."""
    snowflake.account.faults.latency = REQUEST_SECONDS
    try:
        yield
    finally:
        snowflake.account.faults.latency = 0.0


def rate(bench: SnowflakeBench, of: Profile, callers: int, each: int) -> float:
    """Vends a second, when every session is open."""
    shares = [[new(bench, of) for _ in range(each + 1)] for _ in range(callers)]
    seconds = asyncio.run(vend_shares(bench, shares))
    drop_all(bench, [pair for share in shares for pair in share])
    return callers * each / seconds


async def vend_shares(bench: SnowflakeBench, shares: Sequence[Sequence[Pair]]) -> float:
    executor = PlatformExecutor(PlatformName("bench"), bench.platform, 4)

    async def ask(pairs: Sequence[Pair]) -> None:
        for pair in pairs:
            vended = await executor.vend(*pair)
            if vended.error is not None:
                raise vended.error

    await asyncio.gather(*(ask(share[:1]) for share in shares))
    started = time.perf_counter()
    await asyncio.gather(*(ask(share[1:]) for share in shares))
    return time.perf_counter() - started


def warehouse(bench: SnowflakeBench, of: Profile, _: Size) -> Iterator[Line]:
    """Seconds in which a vend and its drop keep a warehouse awake: a formula, since the stand-in has none."""
    vend, drop = one(bench, of)
    held = vend.on_warehouse + drop.on_warehouse
    kinds = Counter(text.split()[0] for text in (*vend.statements, *drop.statements))
    yield reported("statements of a vend and its drop in requests that hold the warehouse", f"{held} of {sum(kinds.values())}")
    seconds = 1_000 * held * STATEMENT_SECONDS
    yield reported(f"warehouse seconds of 1,000 roles, one at a time: 1,000 x {held} x {STATEMENT_SECONDS} s", f"{seconds:,.0f} s")
    at_once = seconds / CALLERS
    yield reported(f"the same, {CALLERS} at a time", f"{at_once:,.0f} s")
    yield reported(f"the same, where each vend and each drop resumes it: 1,000 x 2 x {LEAST_SECONDS} s", f"{2_000 * LEAST_SECONDS:,} s")
    yield reported("the same, where agents keep it awake anyway", "0 s")


def as_they_are(tables: Sequence[Table]) -> Profile:
    return profile(*(shape(each) for each in tables))


def built(bench: SnowflakeBench, tables: int) -> Profile:
    of = as_they_are(made(bench, tables))
    bench.platform.ensure(of)
    return of


def made(bench: SnowflakeBench, count: int) -> list[Table]:
    """Empty ones, in a schema of their own."""
    schema = bench.schema()
    columns = (("ID", Family.INTEGER, "NUMBER(38,0)"), ("REGION", Family.TEXT, "VARCHAR(16777216)"))
    listed = ", ".join(f"{name} {kind}" for name, _, kind in columns)
    names = [f"T{number}" for number in range(count)]
    with bench.admin.connection.cursor() as cursor:
        cursor.execute(";".join(f"CREATE TABLE {DATABASE}.{schema}.{name} ({listed})" for name in names), num_statements=count)
    return [Table(TableId(schema, name), tuple(Column(*each) for each in columns)) for name in names]


def new(bench: SnowflakeBench, of: Profile) -> Pair:
    made = lease(of, regions=["EU"])
    return made, bench.platform.credential(made, secrets.token_bytes)


def vended(bench: SnowflakeBench, of: Profile) -> Pair:
    pair = new(bench, of)
    vend_all(bench, [pair])
    return pair


def vend_all(bench: SnowflakeBench, pairs: Sequence[Pair]) -> None:
    for answer in bench.platform.vend(pairs):
        if answer.error is not None:
            raise answer.error


def drop_all(bench: SnowflakeBench, pairs: Sequence[Pair]) -> None:
    for answer in bench.platform.drop([ended(pair) for pair in pairs]):
        if answer.error is not None:
            raise answer.error


def ended(pair: Pair) -> DropRequest:
    return DropRequest(pair[0].role, pair[0].uid, EndReason.RELEASED)


if __name__ == "__main__":
    main()

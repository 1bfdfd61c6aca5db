"""Cost of vending on PostgreSQL, as ratios within one run: `python -m bench.driver [16|18] [--quick]`, from the repository's root.

Everything is measured on one server that it starts itself, with fsync on. Absolute times depend on the machine; the ratios and their
budgets do not.

Operations with hashing are measured with 4,096 rounds, the default of a DataPlatform, and with one.
"""

import asyncio
import json
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from bench.lines import Line, absolute, p50, paced, plain, quick, reported, table, timed
from bench.server import installed_server, version
from rolevend.catalog import Column, Family, Table, TableId
from rolevend.model import PlatformName
from rolevend.plan import Lease, Profile
from rolevend.platform_runtime.executor import PlatformExecutor
from rolevend.platforms.postgres import PostgresLimits
from rolevend.platforms.postgres.vend.vends import _MANY, _ONE, _arguments
from rolevend.platforms.protocol import Credential, DropRequest, DropResult, EndReason, Platform
from rolevend.policy.mask import Partial
from tests.conformance.bench import PostgresBench, equal, lease, own, profile, shape

Pair = tuple[Lease, Credential]
DEFAULT = PostgresLimits().scram_iterations
FEW = 1
"""Iterations of SCRAM: as safe as many with passwords that hold 256 random bits."""
CALLERS, TOGETHER = 16, 50


@dataclass(frozen=True)
class Size:
    rounds: int
    each: int
    """Vends of each of the callers."""
    tables: int
    calls: int
    """Of drops, 50 in each."""
    builds: int


FULL = Size(rounds=200, each=60, tables=1000, calls=24, builds=20)
QUICK = Size(rounds=40, each=10, tables=100, calls=12, builds=3)


def main() -> None:
    size = QUICK if quick() else FULL
    with installed_server() as bench:
        parts = (vending, crowd, many_tables, ending, building)
        table(f"The driver, on PostgreSQL {version()}", (line for part in parts for line in part(bench, size)))


def vending(bench: PostgresBench, size: Size) -> Iterator[Line]:
    of = built(bench)
    with connection(bench, bench.vendor.user, bench.vendor.password.reveal()) as raw:
        for iterations in (DEFAULT, FEW):
            platform = bench.platform_of(lease(of).cluster, PostgresLimits(scram_iterations=iterations))
            pairs = [new(bench, of) for _ in range(2 * size.rounds)]
            ready = {pair[0].role: arguments(pair, iterations) for pair in pairs[1::2]}
            ours, theirs = alternating(
                lambda pair, platform=platform: platform.vend([pair]),
                lambda pair, ready=ready: raw.execute(_ONE, ready[pair[0].role], prepare=True).fetchone(),
                pairs,
            )
            measured = f"p50 {ms(ours)} against {ms(theirs)}: {p50(ours) / p50(theirs):.2f}x"
            what = f"one vend, {hashing(iterations)}, against raw psycopg"
            yield Line(what, measured, "<= 2x", p50(ours) <= 2 * p50(theirs))
    bench.tidy()


def hashing(iterations: int) -> str:
    return f"SCRAM {iterations:,}"


LEAST = 1500
"""Vends a second that callers must get together, where the server does not hash."""


def crowd(bench: PostgresBench, size: Size) -> Iterator[Line]:
    """Sixteen who ask for one role after the other, through the queue of a platform, against the same SQL in calls of sixteen.

    The server hashes each new password, to see that it is not empty: with 4,096 rounds it does little else, and no driver can make
    it faster. So the rate is asked for with one round; with the default what counts is how near it comes to hashing alone."""
    of = built(bench)
    for iterations in (DEFAULT, FEW):
        pace = plain()
        rates = [both(bench, of, iterations, size.each) for _ in range(3)]
        ours, raw = max(rate for rate, _ in rates), max(rate for _, rate in rates)
        who = f"{CALLERS} who vend at once, {hashing(iterations)}"
        yield Line(f"{who}, against raw psycopg", f"{ours:.0f}/s against {raw:.0f}/s: {raw / ours:.2f}x", "<= 2x", raw <= 2 * ours)
        if iterations == FEW:
            yield paced(absolute(who, f"{ours:.0f}/s", f">= {LEAST:,}/s", LEAST / ours).judged_if(size is FULL), pace)
        else:
            alone = hashed(bench, of, iterations, CALLERS * size.each)
            what = f"{who}, against hashing alone"
            yield Line(what, f"{ours:.0f}/s against {alone:.0f}/s: {alone / ours:.2f}x", "<= 2x", alone <= 2 * ours)
    bench.tidy()


def hashed(bench: PostgresBench, of: Profile, iterations: int, count: int) -> float:
    """Passwords a second that one connection can set, and nothing else."""
    verifiers = [sent(new(bench, of), iterations)["verifier"] for _ in range(count)]
    superuser = bench.as_superuser().connection
    superuser.execute("CREATE ROLE bench_hashed")
    statements = [sql.SQL("ALTER ROLE bench_hashed PASSWORD {}").format(each) for each in verifiers]

    def set_all() -> None:
        with superuser.transaction():
            for statement in statements:
                superuser.execute(statement)

    seconds = timed(set_all)
    superuser.execute("DROP ROLE bench_hashed")
    return count / seconds


def both(bench: PostgresBench, of: Profile, iterations: int, each: int) -> tuple[float, float]:
    """Vends a second: through the queue, and by the same SQL in calls of sixteen on one connection."""
    platform = bench.platform_of(lease(of).cluster, PostgresLimits(scram_iterations=iterations))
    shares = [[new(bench, of) for _ in range(each)] for _ in range(CALLERS)]
    seconds = asyncio.run(all_of(platform, shares))
    batches = [[sent(new(bench, of), iterations) for _ in range(CALLERS)] for _ in range(each)]
    with connection(bench, bench.vendor.user, bench.vendor.password.reveal()) as raw:

        def vend_all() -> None:
            for batch in batches:
                raw.execute(_MANY, {"vends": json.dumps(batch)}, prepare=True).fetchall()

        return CALLERS * each / seconds, CALLERS * each / timed(vend_all)


async def all_of(platform: Platform, shares: Sequence[Sequence[Pair]]) -> float:
    """Seconds. One caller for each share, who asks for one after the other."""
    executor = PlatformExecutor(PlatformName("bench"), platform, 4)

    async def ask(share: Sequence[Pair]) -> None:
        for pair in share:
            assert (await executor.vend(*pair)).error is None

    await executor.vend(*shares[0][0])  # connects; the same again is the same role
    started = time.perf_counter()
    await asyncio.gather(*(ask(share) for share in shares))
    return time.perf_counter() - started


def many_tables(bench: PostgresBench, size: Size) -> Iterator[Line]:
    people = bench.people()
    one = profile(shape(people, own(people, "region", "regions")))
    tables = [bench_table(bench, people.id.schema, number) for number in range(size.tables)]
    many = profile(*(shape(table, own(table, "region", "regions")) for table in tables))
    for of in (one, many):
        bench.platform.ensure(of)
    few, more = alternating(
        lambda pair: bench.platform.vend([pair]),
        lambda pair: bench.platform.vend([pair]),
        [new(bench, of) for _ in range(size.rounds) for of in (one, many)],
    )
    ratio = p50(more) / p50(few)
    what, measured = f"one vend of {size.tables:,} tables, against 1 table", f"p50 {ms(more)} against {ms(few)}: {ratio:.2f}x"
    yield Line(what, measured, "<= 1.2x", ratio <= 1.2).judged_if(size is FULL)
    bench.tidy()


def ending(bench: PostgresBench, size: Size) -> Iterator[Line]:
    """A session is a process of the server, and its end takes as long as it takes: longer than a vend for which the server hashes once. So
    drops are asked to keep up with vends of the default rounds, and with one round what counts is how near they come to nothing but
    ending sessions and dropping roles."""
    of = built(bench)
    for iterations in (DEFAULT, FEW):
        platform = bench.platform_of(lease(of).cluster, PostgresLimits(scram_iterations=iterations))
        drop_together(bench, platform, of)  # connects
        rounds = [(*drop_together(bench, platform, of), drop_by_hand(bench, platform, of)) for _ in range(size.calls)]
        vends, drops, bare = (p50(seconds) for seconds in zip(*rounds, strict=True))
        what, rate = "drops with a live session each, against", f"{TOGETHER / drops:.0f}/s against"
        if iterations == DEFAULT:
            within = drops <= vends
            yield Line(f"{what} vends, {hashing(iterations)}", f"{rate} {TOGETHER / vends:.0f}/s", ">= the vend rate", within)
        else:
            yield reported(f"{what} vends, {hashing(iterations)}", f"{rate} {TOGETHER / vends:.0f}/s")
            measured = f"{rate} {TOGETHER / bare:.0f}/s: {drops / bare:.2f}x"
            yield Line(f"{what} ending them by hand", measured, "<= 1.5x", drops <= 1.5 * bare)
    single = []
    for _ in range(TOGETHER):
        pair = new(bench, of)
        bench.platform.vend([pair])
        bench.log_in(pair[1])
        single.append(timed(lambda pair=pair: bench.platform.drop([ended(pair)])))
    yield reported("one drop with a live session", f"p50 {ms(single)}")
    bench.tidy()


def drop_together(bench: PostgresBench, platform: Platform, of: Profile) -> tuple[float, float]:
    """Seconds for fifty vends in one call, and for their drops, with a session of each."""
    pairs = [new(bench, of) for _ in range(TOGETHER)]
    vends = timed(lambda: platform.vend(pairs))
    for _, credential in pairs:
        bench.log_in(credential)
    answers: list[DropResult] = []
    drops = timed(lambda: answers.extend(platform.drop([ended(pair) for pair in pairs])))
    assert [(answer.error, len(answer.sessions)) for answer in answers] == [(None, 1)] * TOGETHER
    return vends, drops


def drop_by_hand(bench: PostgresBench, platform: Platform, of: Profile) -> float:
    """Return the seconds of the minimum that ends fifty such roles: a superuser ends their sessions, waits for that, and drops them. It
    does not lock out, search or report."""
    pairs = [new(bench, of) for _ in range(TOGETHER)]
    platform.vend(pairs)
    for _, credential in pairs:
        bench.log_in(credential)
    superuser, roles = bench.as_superuser().connection, [made.role for made, _ in pairs]

    def end() -> None:
        superuser.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = ANY (%s)", [roles])
        while superuser.execute("SELECT FROM pg_stat_activity WHERE usename = ANY (%s)", [roles]).fetchone():
            time.sleep(0.002)
        with superuser.transaction():
            for role in roles:
                superuser.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))

    seconds = timed(end)
    platform.drop([ended(pair) for pair in pairs])  # what their leases say is done
    return seconds


def built(bench: PostgresBench) -> Profile:
    """One table."""
    people = bench.people()
    of = profile(shape(people, own(people, "region", "regions")))
    bench.platform.ensure(of)
    return of


def building(bench: PostgresBench, size: Size) -> Iterator[Line]:
    """Row security has to be switched on for every table; then the same tables under one filter after the other."""
    pace, cold, later, of = plain(), [], [], profile()
    for number in range(size.builds):
        schema = bench.schema()
        tables = [bench_table(bench, schema, place) for place in range(100)]
        of = hundred(tables, number)
        cold.append(timed(lambda of=of: bench.platform.ensure(of)))
    measured = f"p50 {ms(cold)}, worst of {size.builds} {max(cold) * 1e3:.0f} ms"
    line = absolute("cold profile of 100 tables", measured, "p99 <= 250 ms", max(cold) / 0.25).judged_if(size is FULL)
    yield paced(line, pace)
    for number in range(size.builds):
        of = hundred(tables, 100 + number)
        later.append(timed(lambda of=of: bench.platform.ensure(of)))
    warm = [timed(lambda of=of: bench.platform.ensure(of)) for _ in range(size.rounds)]
    yield reported("the same 100 tables, each time with new filters", f"p50 {ms(later)}, the last {later[-1] * 1e3:.0f} ms")
    yield Line("the same profile again", f"p50 {p50(warm) * 1e6:.1f} us", "a no-op", p50(warm) < 0.001)
    count = bench.value("SELECT count(*) FROM rolevend.template")
    yield reported(f"looking for drift over {count} templates", f"{timed(bench.platform.drift) * 1e3:.0f} ms")
    bench.tidy()


def hundred(tables: Sequence[Table], number: int) -> Profile:
    return profile(
        *(shape(table, own(table, "region", f"a{number}"), equal(table, "id", "1"), masks={"ssn": Partial(4)}) for table in tables)
    )


def bench_table(bench: PostgresBench, schema: str, number: int) -> Table:
    name = f"t{number}"
    listed = [("id", Family.INTEGER, "integer"), ("region", Family.TEXT, "text"), ("ssn", Family.TEXT, "text")]
    listed += [(f"c{extra}", Family.TEXT, "text") for extra in range(17)]
    columns = ", ".join(f"{column} {kind}" for column, _, kind in listed)
    bench.run(f"CREATE TABLE {schema}.{name} ({columns}); ALTER TABLE {schema}.{name} OWNER TO app_owner")
    return Table(TableId(schema, name), tuple(Column(*each) for each in listed))


def new(bench: PostgresBench, of: Profile) -> Pair:
    made = lease(of, regions=["EU"])
    return made, bench.platform.credential(made, secrets.token_bytes)


def ended(pair: Pair) -> DropRequest:
    return DropRequest(pair[0].role, pair[0].uid, EndReason.RELEASED)


def sent(pair: Pair, iterations: int) -> dict[str, Any]:
    """Return what a vend sends to the database."""
    found = _arguments(*pair, iterations)
    assert isinstance(found, dict), found
    return found


def arguments(pair: Pair, iterations: int) -> dict[str, object]:
    found = sent(pair, iterations)
    return {**found, "attrs": json.dumps(found["attrs"]), "limits": json.dumps(found["limits"])}


def alternating(one: Callable[[Pair], object], other: Callable[[Pair], object], pairs: Sequence[Pair]) -> tuple[list[float], list[float]]:
    """Both in turns, so that whatever else the machine does meets both."""
    first, second = [], []
    for mine, theirs in zip(pairs[::2], pairs[1::2], strict=True):
        first.append(timed(lambda mine=mine: one(mine)))
        second.append(timed(lambda theirs=theirs: other(theirs)))
    return first[10:], second[10:]


def ms(seconds: Sequence[float]) -> str:
    return f"{p50(seconds) * 1e3:.2f} ms"


@contextmanager
def connection(bench: PostgresBench, user: str, password: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    where = bench.address
    with psycopg.connect(host=where.host, port=where.port, dbname=where.database, user=user, password=password, autocommit=True) as made:
        made.execute(sql.SQL("SET search_path = pg_catalog, pg_temp"))
        yield made


if __name__ == "__main__":
    main()

"""Cost of a vend and a drop by the number of live roles, without a superuser: `python -m bench.managed [16|18] [--quick]`.

rv_owner is an admin member of every role that it makes there, and PostgreSQL goes through all of them for each further one.
"""

from collections.abc import Iterator, Sequence

from bench.driver import FEW, ended, new
from bench.lines import Line, ms, p50, quick, reported, table, timed
from bench.server import installed_server, version
from rolevend.platforms.postgres import PostgresLimits
from rolevend.platforms.postgres.install.findings import LIVE_ROLES
from rolevend.platforms.protocol import InstallMode
from tests.conformance.bench import CLUSTER, PostgresBench, own, profile, shape

FULL, QUICK = (0, LIVE_ROLES // 2, LIVE_ROLES), (0, 200)
"""Roles that live, up to as many as such an installation is meant for."""
ROUNDS, TOGETHER = 20, 20


def main() -> None:
    with installed_server(InstallMode.MANAGED) as bench:
        table(f"The driver without a superuser, on PostgreSQL {version()}", lines(bench, QUICK if quick() else FULL))


def lines(bench: PostgresBench, numbers: Sequence[int]) -> Iterator[Line]:
    people = bench.people()
    of = profile(shape(people, own(people, "region", "regions")))
    platform = bench.platform_of(CLUSTER, PostgresLimits(scram_iterations=FEW, vendor_statement_timeout=60))
    platform.ensure(of)
    first, live = 0.0, 0
    for wanted in numbers:
        while live < wanted:
            answers = platform.vend([new(bench, of) for _ in range(min(TOGETHER, wanted - live))])
            assert all(answer.error is None for answer in answers)
            live += len(answers)
        pairs = [new(bench, of) for _ in range(ROUNDS)]
        vends = p50([timed(lambda pair=pair: platform.vend([pair])) for pair in pairs])
        drops = p50([timed(lambda pair=pair: platform.drop([ended(pair)])) for pair in pairs])
        first = first or vends
        what, measured = f"one vend, and one drop, at {wanted:,} live roles", f"p50 {ms(vends)} ({vends / first:.0f}x), {ms(drops)}"
        yield Line(what, measured, "<= 20x", vends <= 20 * first) if wanted == LIVE_ROLES else reported(what, measured)


if __name__ == "__main__":
    main()

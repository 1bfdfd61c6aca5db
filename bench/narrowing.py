"""Effect of a policy change on live roles: `python -m bench.narrowing [--quick]`, from the repository's root.

Some roles read tables that the new policy removes, most do not. Requests for roles continue meanwhile.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.cluster import Asker, Fleet, Watch, fresh_site
from bench.ending import Going, Working, asking
from bench.lines import Line, absolute, ms, p50, paced, percentile, plain, quick, reported, settled, table
from rolevend.kinds import API_VERSION
from tests.support.site import DOMAIN, Site
from tests.support.tenancy import Tenant

POLICIES = f"/apis/{API_VERSION}/namespaces/{DOMAIN}/accesspolicies"
TWO = 2.0


@dataclass(frozen=True)
class Size:
    live: int
    narrowed: int
    working: int
    idle: int


FULL = Size(live=5_000, narrowed=500, working=50, idle=100)
QUICK = Size(live=200, narrowed=50, working=20, idle=30)


def lines(site: Site, size: Size) -> Iterator[Line]:
    fleet = Fleet(site)
    fleet.begin()
    others = [f"other-{number}" for number in range(size.live - size.narrowed)]
    fleet.live_on(others)
    rounds = iter(range(10))
    yield settled(lambda: narrowing(fleet, size, next(rounds)).judged_if(size is FULL))
    yield from vends_meanwhile(fleet, size)
    untouched = len(fleet.site.warehouse.roles())
    yield Line("roles that the change does not narrow", f"{untouched} of {len(others)} live on", "all", untouched == len(others))
    fleet.end()


def narrowing(fleet: Fleet, size: Size, round_: int) -> Line:
    """From the commit of the policy to the end of the last session, and of the last role."""
    tenant, names = narrow_tenant(fleet, size, f"narrow-{round_}")
    working = [Working(fleet.site, name) for name in names[: size.working]]
    before = len(fleet.site.warehouse.roles())
    committed = commit(fleet, tenant)
    gone = locked_out(fleet, before - size.narrowed) - committed
    last = max(session.ended() for session in working) - committed
    fleet.watch.gone(names)
    what = f"{size.narrowed} of {size.live:,} live roles narrowed: the last of {size.working} sessions, and of the roles, dead after"
    return absolute(what, f"{last:.2f} s, and {gone:.2f} s", f"<= {TWO:g} s", max(last, gone) / TWO)


def vends_meanwhile(fleet: Fleet, size: Size) -> Iterator[Line]:
    tenant, names = narrow_tenant(fleet, size, "meanwhile")
    watch = Watch(fleet.site.control_plane, kind="probe")
    idle = asking(fleet, watch, "idle", lambda asked: asked < size.idle)
    pace = plain()
    commit(fleet, tenant)
    going = Going(fleet.watch, names)
    during = asking(fleet, watch, "during", lambda _: going.on)
    watch.close()
    measured = f"p50 {ms(p50(during))}, p99 {ms(percentile(during, 99))}, the longest {ms(max(during))} of {len(during)}"
    yield paced(absolute("vends until the last of their objects is gone", measured, f"each <= {TWO:g} s", max(during) / TWO), pace)
    yield reported("the same before", f"p50 {ms(p50(idle))}, p99 {ms(percentile(idle, 99))}")


def narrow_tenant(fleet: Fleet, size: Size, label: str) -> tuple[Tenant, Sequence[str]]:
    tenant = Tenant(fleet.site).ready_to_ask()
    names = [f"{label}-{number}" for number in range(size.narrowed)]
    fleet.create_all(names, asker=Asker(tenant))
    fleet.watch.ready(names)
    return tenant, names


def commit(fleet: Fleet, tenant: Tenant) -> float:
    """One column less; when the API server had written it."""
    patch = {"spec": {"columns": {"matchNames": ["person_id", "country"]}}}
    fleet.caller.call("PATCH", f"{POLICIES}/{tenant.name}", patch, "application/merge-patch+json")
    return time.perf_counter()


def locked_out(fleet: Fleet, left: int) -> float:
    """When no more than so many roles were there."""
    done = threading.Event()
    while len(fleet.site.warehouse.roles()) > left:
        done.wait(0.02)
    return time.perf_counter()


def main() -> None:
    with fresh_site() as site:
        table("A policy that narrows live roles, with a Kubernetes API server and PostgreSQL 17", lines(site, QUICK if quick() else FULL))


if __name__ == "__main__":
    main()

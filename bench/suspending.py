"""From the suspension of a person to the end of their queries: `python -m bench.suspending [--quick]`, from the repository's root.

Some of the live roles are of the suspended person, most are not. Requests for roles continue meanwhile.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bench.cluster import Asker, Fleet, Watch, fresh_site
from bench.ending import Going, Working, asking, meanwhile
from bench.lines import Line, absolute, ms, p50, paced, percentile, plain, quick, reported, table
from rolevend.kinds import API_VERSION
from rolevend.naming import PREFIX
from tests.support.provisioning import Pusher
from tests.support.site import Site
from tests.support.tenancy import Tenant

USERS = f"/apis/{API_VERSION}/userattributes"
TWO = 2.0


@dataclass(frozen=True)
class Size:
    live: int
    hit: int
    working: int
    rounds: int
    idle: int


FULL = Size(live=5_000, hit=500, working=100, rounds=3, idle=200)
QUICK = Size(live=200, hit=50, working=20, rounds=1, idle=30)


@dataclass(frozen=True)
class Suspension:
    """One way to suspend a person on whose behalf `asker` has roles. `event` returns when it was accepted."""

    name: str
    asker: Asker
    event: Callable[[], object]


def lines(site: Site, size: Size) -> Iterator[Line]:
    fleet = Fleet(site)
    fleet.begin()
    api = site.start_api({"API_SCIM": "true"})
    api.wait_until_ready()
    others = [f"other-{number}" for number in range(size.live - size.hit)]
    fleet.live_on(others)
    watch = Watch(site.control_plane, kind="probe")
    idle = asking(fleet, watch, "idle", lambda asked: asked < size.idle)
    for ways in (lambda: by_kubectl(fleet), lambda: by_scim(Pusher(Tenant(site), api).ready())):
        pace, sessions, roles, vends = plain(), list[float](), list[float](), list[float]()
        for _ in range(size.rounds):
            suspension = ways()
            names = [f"{suspension.asker.handle.lower()}-{each}" for each in range(size.hit)]
            ended, gone, during = suspended(fleet, watch, suspension, names, size)
            sessions, roles, vends = sessions + ended, [*roles, gone], vends + during
        worst = percentile(sessions, 99)
        what = f"{suspension.name}, {size.hit} of {size.live:,} roles hit: from the event to a dead query"
        measured = f"p50 {ms(p50(sessions))}, p99 {ms(worst)} of {len(sessions)}"
        yield paced(absolute(what, measured, f"p99 <= {TWO:g} s", worst / TWO).judged_if(size is FULL), pace)
        yield reported("  the last of the roles", f"{max(roles):.2f} s")
        yield from meanwhile("  vends until the last of the objects is gone", vends, idle, size is FULL)
    untouched = len(site.warehouse.roles())
    yield Line("roles of other people", f"{untouched} of {len(others)} live on", "all", untouched == len(others))
    watch.close()
    api.kill()
    fleet.end()


def suspended(
    fleet: Fleet, watch: Watch, suspension: Suspension, names: Sequence[str], size: Size
) -> tuple[list[float], float, list[float]]:
    """Return the seconds to the end of each working session, those to the end of the last role, and those of each vend meanwhile."""
    fleet.create_all(names, asker=suspension.asker)
    fleet.watch.ready(names)
    working = [Working(fleet.site, name) for name in names[: size.working]]
    with ThreadPoolExecutor(1) as threads:
        started = time.perf_counter()
        suspension.event()
        end, going = threads.submit(ended, fleet.site, suspension.asker), Going(fleet.watch, names)
        during = asking(fleet, watch, f"during-{names[0]}", lambda _: going.on)
        return [session.ended() - started for session in working], end.result() - started, during


def ended(site: Site, asker: Asker) -> float:
    """Wait until the agent has no role, and return when that was."""
    pause, prefix = threading.Event(), f"{PREFIX}{asker.handle}_"
    while site.warehouse.ask("SELECT count(*) FROM pg_roles WHERE starts_with(rolname, %s)", prefix) != [(0,)]:
        pause.wait(0.02)
    return time.perf_counter()


def by_kubectl(fleet: Fleet) -> Suspension:
    """`spec.suspend` of a UserAttributes object, as people write it."""
    tenant = Tenant(fleet.site).ready_to_ask()
    path = f"{USERS}/anna.{tenant.name}"
    patch = {"spec": {"suspend": True}}
    return Suspension("spec.suspend", Asker(tenant), lambda: fleet.caller.call("PATCH", path, patch, "application/merge-patch+json"))


def by_scim(pusher: Pusher) -> Suspension:
    """`active: false` of a user whom an identity provider pushed."""
    anna = pusher.pushed()
    trusted = pusher.tenant.agent(f"{pusher.tenant.name}-trusted", handle=f"{pusher.tenant.handle}X")
    asker = Asker(pusher.tenant, user=pusher.proven.user(), agent=trusted)
    return Suspension("SCIM", asker, lambda: pusher.ok(pusher.patch(anna, {"op": "replace", "path": "active", "value": False})))


def main() -> None:
    with fresh_site() as site:
        table("The suspension of a person, with a Kubernetes API server and PostgreSQL 17", lines(site, QUICK if quick() else FULL))


if __name__ == "__main__":
    main()

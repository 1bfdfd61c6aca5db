"""Whether anything grows or is lost: an hour's worth of vends and drops in minutes, and minutes of an API server in trouble.

`python -m bench.soak [--quick]`, from the repository's root.

Each round makes and releases as many roles as the one before. The rest after the second round is the limit for the last one.
"""

import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.cluster import PRODUCTION, VENDED_ROLES, Asker, Fleet, fresh_site
from bench.lines import Line, quick, reported, table
from rolevend.kinds import API_VERSION
from rolevend.kube.handles import RECORD_LABEL
from testbed.installation import NAMESPACE
from tests.support.site import AGENTS, Site
from tests.support.troubled import Troubled
from tests.support.waiting import eventually


@dataclass(frozen=True)
class Size:
    rounds: int
    roles: int
    trouble: int
    """Seconds in which the API server answers nothing but an error."""


FULL = Size(rounds=6, roles=600, trouble=90)
"""One role a second, for an hour."""
QUICK = Size(rounds=4, roles=60, trouble=30)
ASKED = 50
CREDENTIALS = f"/api/v1/namespaces/{AGENTS}/secrets?fieldSelector=type%3Drolevend.dev/credential"
HANDLES = f"/api/v1/namespaces/{NAMESPACE}/configmaps?labelSelector={RECORD_LABEL.replace('/', '%2F')}"
STANDING = ("agents", "accesspolicies", "tagbindings", "userattributes", "guardrails", "dataplatforms")
"""Kinds whose objects outlive the roles."""
CATALOGS = ("pg_authid", "pg_auth_members", "pg_db_role_setting", "pg_shdepend", "pg_class", "pg_attribute", "pg_policy")


@dataclass(frozen=True)
class Left:
    """By a round."""

    memory: float
    threads: int
    files: int
    connections: int
    catalogs: int
    """Bytes."""
    dead: int
    """Dead rows in them."""
    tombstones: int
    objects: int
    secrets: int
    events: int
    leases: int
    """Of Kubernetes."""
    handles: int
    """ConfigMaps that say whom a handle stands for."""
    kopf: int
    """Bytes of kopf's own in the objects that outlive the roles."""
    kept: int
    """Roles."""


def lines(site: Site, size: Size) -> Iterator[Line]:
    # An hour of the server's housekeeping has to happen in minutes, too.
    for setting in ("autovacuum_naptime = '1s'", "autovacuum_vacuum_cost_delay = 0"):
        site.warehouse.ask(f"ALTER SYSTEM SET {setting}")
    site.warehouse.ask("SELECT pg_reload_conf()")
    fleet = Fleet(site)
    fleet.begin()
    canaries = left(fleet).tombstones  # of the attestation
    found, alive = [], []
    for number in range(size.rounds):
        names = [f"soak-{number}-{place}" for place in range(size.roles)]
        fleet.create_all(names)
        fleet.watch.ready(names)
        alive.append(kopf_bytes(fleet, "vendedroles") // size.roles)
        fleet.release(names)
        eventually(lambda: not objects(fleet, CREDENTIALS), within=60)
        found.append(left(fleet))
    second, last = found[1], found[-1]
    count = f"{size.rounds} x {size.roles} vends and drops"
    yield grown(f"{count}: operator's memory, MB", second.memory, last.memory, 1.1, 5)
    yield grown("its threads", second.threads, last.threads, 1.0, 2)
    yield grown("its open files and connections", second.files, last.files, 1.0, 40)
    yield grown("the server's connections", second.connections, last.connections, 1.0, 4)
    yield grown("the system catalogs, kB", second.catalogs / 1024, last.catalogs / 1024, 1.5, 256)
    yield grown("dead rows in them", second.dead, last.dead, 1.5, 4 * size.roles)
    yield grown("kopf's state in a role's object while it lives, bytes", alive[1], alive[-1], 1.0, 16)
    yield grown("kopf's state in the objects that stay, bytes", second.kopf, last.kopf, 1.0, 0)
    yield grown("Leases of Kubernetes", second.leases, last.leases, 1.0, 0)
    yield grown("ConfigMaps of handles", second.handles, last.handles, 1.0, 0)
    nothing = (last.objects, last.secrets, last.kept)
    yield Line("VendedRoles, Secrets and roles that are left", str(nothing), "(0, 0, 0)", nothing == (0, 0, 0))
    expected = size.rounds * size.roles
    tombstones = last.tombstones - canaries
    yield Line("tombstones, each for a day", str(tombstones), "one a role", tombstones == expected)
    yield Line("Kubernetes Events, each for an hour", str(last.events), "two a role at most", last.events <= 2 * expected + 50)
    bytes_each = size_of(site, "rolevend.lease") / last.tombstones
    yield reported("a tombstone and its index", f"{bytes_each:.0f} bytes")
    yield handles(fleet)
    for status in (429, 500):
        yield trouble(fleet, status, size.trouble)
    fleet.end()


def trouble(fleet: Fleet, status: int, seconds: int) -> Line:
    """Minutes of it, with an operator that is started again whenever it ends, as the kubelet does."""
    site, before, during = fleet.site, *([f"{when}-{status}-{number}" for number in range(ASKED)] for when in ("before", "during"))
    site.operator.stop()
    with tempfile.TemporaryDirectory() as scratch, Troubled(site.control_plane.server, Path(scratch)) as gateway:
        site.operator = gateway.operator(site.control_plane, Path(scratch), PRODUCTION)
        fleet.create_all(before)
        fleet.watch.ready(before)
        gateway.begin(status)
        over_at = time.monotonic() + seconds
        fleet.create_all(during)
        fleet.at_once(lambda caller, name: caller.call("DELETE", f"{VENDED_ROLES}/{name}"), before)
        starts = 0
        while time.monotonic() < over_at:
            if not site.operator.process.running:
                site.operator.kill()
                site.operator = gateway.operator(site.control_plane, Path(scratch), PRODUCTION)
                starts += 1
            time.sleep(0.5)
        gateway.end()
        ended = time.perf_counter()
        vended = max(fleet.watch.ready(during)) - ended
        fleet.watch.gone(before)
        gone = time.perf_counter() - ended
        left = len(site.warehouse.roles())
        fleet.release(during)
        site.operator.stop()
    site.start_operator(PRODUCTION)
    measured = f"{vended:.1f} s and {gone:.1f} s after it, {left} roles, {starts} starts"
    what = f"{ASKED} vends and {ASKED} ends asked for while the API server answered {status} for {seconds} s: all done"
    return Line(what, measured, f"<= 60 s, {ASKED} roles", max(vended, gone) <= 60 and left == ASKED)


def handles(fleet: Fleet) -> Line:
    """A record is for ever, so there must be one a person, however many roles."""
    people = [f"handled-{number}" for number in range(ASKED)]
    for person in people:
        fleet.tenant.person(person, handle=f"H{person.rpartition('-')[2]}")
    before = objects(fleet, HANDLES)
    for time_ in ("first", "second"):
        names = {f"{person}-{time_}": Asker(fleet.tenant, person) for person in people}
        fleet.at_once(lambda caller, name, names=names: fleet.create(name, asker=names[name], caller=caller), list(names))
        fleet.watch.ready(names)
        fleet.release(list(names))
    made = objects(fleet, HANDLES) - before
    return Line(f"ConfigMaps of the handles of {ASKED} people with two roles each", str(made), "one a person", made == ASKED)


def grown(what: str, before: float, after: float, factor: float, slack: float) -> Line:
    most = before * factor + slack
    return Line(what, f"{after:.0f} after the last round, {before:.0f} after the second", f"<= {most:.0f}", after <= most)


def left(fleet: Fleet) -> Left:
    ask = fleet.site.warehouse.ask
    process = Path(f"/proc/{fleet.site.operator.process.pid}")
    return Left(
        memory=fleet.resident(),
        threads=len(os.listdir(process / "task")),
        files=len(os.listdir(process / "fd")),
        connections=ask("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'rolevend%%'")[0][0],
        catalogs=sum(size_of(fleet.site, f"pg_catalog.{name}") for name in CATALOGS),
        dead=ask("SELECT sum(n_dead_tup)::bigint FROM pg_stat_all_tables WHERE relname = ANY (%s)", list(CATALOGS))[0][0],
        tombstones=ask("SELECT count(*) FROM rolevend.lease WHERE dropped_at IS NOT NULL")[0][0],
        objects=objects(fleet, VENDED_ROLES),
        secrets=objects(fleet, CREDENTIALS),
        events=objects(fleet, f"/api/v1/namespaces/{AGENTS}/events"),
        leases=objects(fleet, "/apis/coordination.k8s.io/v1/leases"),
        handles=objects(fleet, HANDLES),
        kopf=sum(kopf_bytes(fleet, plural) for plural in STANDING),
        kept=len(fleet.site.warehouse.roles()),
    )


def size_of(site: Site, relation: str) -> int:
    return int(site.warehouse.ask("SELECT pg_total_relation_size(%s::regclass)", relation)[0][0])


def objects(fleet: Fleet, path: str) -> int:
    """How many there are; of a choice of them the server does not say how many more there would be."""
    listed = fleet.caller.call("GET", path if "Selector" in path else f"{path}?limit=1")
    return len(listed["items"]) + int(listed["metadata"].get("remainingItemCount", 0))


def kopf_bytes(fleet: Fleet, plural: str) -> int:
    """Return the size of kopf's state in all objects of a kind: in their status, as configured, and in annotations."""
    kept = 0
    for body in fleet.caller.call("GET", f"/apis/{API_VERSION}/{plural}")["items"]:
        annotations = {key: value for key, value in body["metadata"].get("annotations", {}).items() if "kopf" in key}
        kept += sum(len(json.dumps(each)) for each in (annotations, body.get("status", {}).get("kopf")) if each)
    return kept


def main() -> None:
    with fresh_site() as site:
        table("An hour's worth of roles, with a Kubernetes API server and PostgreSQL 17", lines(site, QUICK if quick() else FULL))


if __name__ == "__main__":
    main()

"""Roles that the platform's database records: the warehouse as the ledger, and what databases and logs say of such a role."""

import contextlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psycopg

from testbed.installation import NAMESPACE
from tests.support.calling import Caller, Doors
from tests.support.governed import Governed
from tests.support.ledger import become
from tests.support.site import AGENTS, WAREHOUSE, Body, Site
from tests.support.waiting import eventually

SHOWN_ROLES = f"/apis/rolevend.dev/v1alpha1/namespaces/{AGENTS}/vendedroles"


@contextlib.contextmanager
def ledger_on(site: Site) -> Iterator[None]:
    for mode in ("Joining", "Enabled"):
        become(site, mode)
    try:
        yield
    finally:
        site.ensure_operator()
        for mode in ("Joining", "Disabled"):
            become(site, mode)


def first_recorded(caller: Caller) -> Body:
    """A recorded role. The first roles may be objects, because the operator builds their profile."""

    def recorded() -> Body | None:
        role = caller.vended()
        if lease(caller, role)["record"] is not None:
            return role
        assert caller.release(role).status_code in (202, 204)
        return None

    return dict(eventually(recorded))


def recording(caller: Caller) -> Caller:
    """Return when its replica knows what the caller needs, and the profile is built: its roles are recorded from now on."""
    assert caller.release(first_recorded(caller)).status_code in (202, 204)
    return caller


def lease(caller: Caller, role: Body, database: Governed | None = None) -> dict[str, Any]:
    """The row of the lease."""
    query = "SELECT to_jsonb(l) - 'changed' FROM rolevend.lease AS l WHERE role = %s"
    ((row,),) = (database or caller.proven.site.warehouse).ask(query, role["roleName"])
    return dict(row)


def living(caller: Caller, database: Governed | None = None) -> set[str]:
    """The roles of the tenant that are on the platform."""
    return {role for role in (database or caller.proven.site.warehouse).roles() if f"_{caller.proven.tenant.handle}_" in role}


def is_empty(caller: Caller) -> bool:
    """True if no role of the tenant is left, and every lease that was recorded for it is reported."""
    query = "SELECT count(*) FROM rolevend.lease WHERE record IS NOT NULL AND reported_at IS NULL AND role LIKE %s"
    left = caller.proven.site.warehouse.ask(query, f"%\\_{caller.proven.tenant.handle}\\_%")
    return not living(caller) and left == [(0,)]


def shown(caller: Caller) -> dict[str, Body]:
    """The VendedRoles of the tenant's agent that show recorded roles, by name."""
    listed = caller.proven.site.cluster.call("GET", f"{SHOWN_ROLES}?labelSelector=rolevend.dev/record")
    mine = (each for each in listed.body["items"] if each["spec"]["agentRef"]["name"] == caller.proven.tenant.name)
    return {each["metadata"]["name"]: each for each in mine}


def at_once(calls: Sequence[Callable[[], httpx.Response]], threads: int = 16) -> list[httpx.Response]:
    """The answers, in the order of the calls."""
    with ThreadPoolExecutor(threads) as pool:
        return [each.result() for each in [pool.submit(call) for call in calls]]


def patience(caller: Caller, least: float = 5.0) -> float:
    """So many seconds, or twenty times what a vend takes here and now."""
    start = time.monotonic()
    caller.release(caller.vended())
    return max(least, 20 * (time.monotonic() - start))


def reads(caller: Caller, role: Body) -> bool:
    """True if the credential of the role reads now."""
    try:
        return bool(caller.rows(role, "SELECT count(*) FROM people"))
    except psycopg.Error:
        return False


def vendor(site: Site) -> psycopg.Connection[Any]:
    """A session with the login of the Secret warehouse-vendor."""
    login = site.text_of(site.secret(NAMESPACE, f"{WAREHOUSE}-vendor"))
    connection = site.warehouse.superuser.as_user(login["username"], login["password"])
    return psycopg.connect(connection.dsn, autocommit=True)


class Trail:
    """The audit events that operators and replicas of the API wrote to their logs."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self.more: list[Path] = []
        """Logs of other replicas."""

    def all(self) -> list[Body]:
        logs = [*self._doors.site.logs, self._doors.first.log, self._doors.second.log, *self.more]
        lines = (line for log in logs for line in log.read_text(errors="replace").splitlines() if '"dev.rolevend.' in line)
        found = []
        for line in lines:
            with contextlib.suppress(ValueError):  # the last one of a process that was killed
                found.append(json.loads(line))
        return found

    def of(self, role: Body) -> list[Body]:
        return [each for each in self.all() if each.get("subject") == role["roleName"] and "." in each.get("type", "")]

    def kinds(self, role: Body) -> Counter[str]:
        """Of its beginning and its end."""
        return Counter(kind for each in self.of(role) if (kind := each["type"].removeprefix("dev.rolevend.")) != "releaserequested")

    def ends(self, role: Body) -> list[Body]:
        return [dict(each["data"]) for each in self.of(role) if each["type"] == "dev.rolevend.dropped"]

    def by_role(self) -> dict[str, Counter[str]]:
        found: dict[str, Counter[str]] = {}
        for each in self.all():
            found.setdefault(str(each.get("subject")), Counter())[str(each.get("type")).removeprefix("dev.rolevend.")] += 1
        return found

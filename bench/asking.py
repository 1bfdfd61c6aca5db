"""Question-Time Access over HTTP: `python -m bench.asking [--quick]`, from the repository's root.

It compares values of the same run: a request that a rule approves, and the vend that uses it, against a vend alone and two writes to the
API server. Of a decision by people it measures the time from the decision to the first row, and from its deletion to the end of the
session.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg

from bench.api import Api
from bench.cluster import PRODUCTION, fresh_site
from bench.lines import Line, absolute, ms, p50, paced, percentile, plain, quick, table
from rolevend.api.routes import ROLES
from tests.support.calling import Caller, Doors
from tests.support.installed import MERGE_PATCH
from tests.support.proving import Proven
from tests.support.requesting import REQUESTS, ApiRequester
from tests.support.site import AGENTS, Body, Site
from tests.support.tenancy import Tenant

SSN = "SELECT person_id, ssn FROM people ORDER BY 1"
RULE = {"name": "small", "limits": {"perAgentPerHour": 1_000_000}}


@dataclass(frozen=True)
class Size:
    automatic: int
    by_people: int


FULL = Size(automatic=500, by_people=50)
QUICK = Size(automatic=30, by_people=8)


def lines(site: Site, size: Size) -> Iterator[Line]:
    site.operator.stop()
    site.start_operator(PRODUCTION)
    with Doors(site, PRODUCTION) as doors:
        requester = ApiRequester(Caller(Proven(Tenant(site)), doors.first))
        yield automatic(requester, Api(requester.caller.proven, [doors.first]), size).judged_if(size is FULL)
        yield from by_people(ApiRequester(Caller(Proven(Tenant(site)), doors.first)), size)


def automatic(requester: ApiRequester, agent: Api, size: Size) -> Line:
    """In alternating rounds. Each role is released at once, and the first of each kind builds its profile. The agent keeps its connection
    and its own token, and has the user's tokens before it is timed, as in `bench.api`."""
    requester.ready({"automatic": [RULE], "approval": {"required": 0}})
    caller = requester.caller
    first = requester.vended(requester.asked("Approved"))
    caller.release(first)
    caller.release(caller.vended())
    plainly, with_approval, writes = [], [], []
    for _ in range(size.automatic):
        question = caller.question()
        started = time.perf_counter()
        role = agent.call("POST", ROLES, question, 201)
        plainly.append(time.perf_counter() - started)
        caller.release(role)
        asked, question = requester.body(), caller.question()
        started = time.perf_counter()
        request = agent.call("POST", REQUESTS, asked, 201)
        role = agent.call("POST", ROLES, {**question, "approval": {"id": request["id"]}}, 201)
        with_approval.append(time.perf_counter() - started)
        assert request["state"] == "Approved"
        requester.offers.found(request["id"])
        caller.release(role)
        writes.append(two_writes(requester.caller.proven.site))
    budget = 1.3 * percentile(plainly, 99) + percentile(writes, 99)
    measured = f"p50 {ms(p50(with_approval))}, p99 {ms(percentile(with_approval, 99))}, {percentile(with_approval, 99) / budget:.2f}x"
    beside = f"p99 <= 1.3 x a vend ({ms(percentile(plainly, 99))}) + two writes ({ms(percentile(writes, 99))})"
    return Line("a request that a rule approves, and its vend", measured, beside, percentile(with_approval, 99) <= budget)


def two_writes(site: Site) -> float:
    """Seconds to create a small object and to change it, without admission policies or a watch of rolevend."""
    path, name = f"/api/v1/namespaces/{AGENTS}/configmaps", f"bench-{time.monotonic_ns()}"
    started = time.perf_counter()
    answers = [
        site.cluster.call("POST", path, {"metadata": {"name": name}, "data": {"a": "1"}}),
        site.cluster.call("PATCH", f"{path}/{name}", {"data": {"a": "2"}}, content_type=MERGE_PATCH),
    ]
    seconds = time.perf_counter() - started
    answers.append(site.cluster.call("DELETE", f"{path}/{name}"))
    assert all(each.ok for each in answers), answers
    return seconds


def by_people(requester: ApiRequester, size: Size) -> Iterator[Line]:
    """The profile of the offer was built for an earlier role."""
    requester.ready()
    requester.caller.release(requester.vended(approved(requester)[0]))
    rows, ends = [], []
    pace = plain()
    for _ in range(size.by_people):
        request = requester.asked("Pending")
        started = time.perf_counter()
        vote = requester.offers.vote(requester.offers.found(request["id"]))
        requester.get(request, Prefer="wait=30")
        role = requester.vend(request).json()
        with requester.caller.session(role) as session:
            session.execute(SSN).fetchall()
            rows.append(time.perf_counter() - started)
            ends.append(ended(requester, session, vote))
    measured = f"p50 {ms(p50(rows))}, p99 {ms(percentile(rows, 99))} of {len(rows)}"
    line = absolute("from a person's yes to the first row", measured, "p99 <= 1 s", percentile(rows, 99))
    yield paced(line.judged_if(size is FULL), pace)
    measured = f"p50 {ms(p50(ends))}, p99 {ms(percentile(ends, 99))} of {len(ends)}"
    line = absolute("from the deletion of a yes to the end of a session", measured, "p99 <= 2 s", percentile(ends, 99) / 2)
    yield paced(line.judged_if(size is FULL), pace)


def approved(requester: ApiRequester) -> tuple[Body, Body]:
    """A request that a person approved, and the vote."""
    request = requester.asked("Pending")
    vote = requester.offers.vote(requester.offers.found(request["id"]))
    requester.get(request, Prefer="wait=30")
    return request, vote


def ended(requester: ApiRequester, session: "psycopg.Connection[tuple[object, ...]]", vote: Body) -> float:
    """Seconds until a query of the session dies of the deletion of the vote."""
    started = time.perf_counter()
    requester.offers.site.remove(vote)
    try:
        session.execute("SELECT pg_sleep(60)")
    except psycopg.Error:
        return time.perf_counter() - started
    raise AssertionError("the session outlives its approval")


def main() -> None:
    with fresh_site(durable=True) as site:
        table("Question-Time Access, with a Kubernetes API server and PostgreSQL 17", lines(site, QUICK if quick() else FULL))


if __name__ == "__main__":
    main()

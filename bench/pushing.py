"""An identity provider pushes many users and a group by SCIM: `python -m bench.pushing [--quick]`, from the repository's root.

The API server, the operator and one replica of the API run on this machine, too. As an identity provider does, the sender waits for
`Retry-After` and sends again what was answered 503.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from bench.cluster import PRODUCTION, fresh_site
from bench.lines import Line, ms, percentile, quick, reported, table
from bench.load import Load, Requests, Sent, request
from bench.recorded import megabytes
from rolevend.settings import Settings
from tests.support.provisioning import PATCH, Pusher
from tests.support.site import WAREHOUSE, Body, Site
from tests.support.tenancy import Tenant


@dataclass(frozen=True)
class Size:
    users: int
    step: int
    members: int


FULL = Size(users=50_000, step=5_000, members=10_000)
QUICK = Size(users=400, step=100, members=100)
CLIENTS = 8
PART = 500
"""Members in one call."""
SLOWEST = 0.5
"""Of the first step's rate."""


def lines(site: Site, size: Size) -> Iterator[Line]:
    site.operator.stop()
    site.start_operator(PRODUCTION)
    site.wait_for_platform(WAREHOUSE)
    api = site.start_api({"API_SCIM": "true", "REQUEST_SECONDS": str(Settings.model_validate({}).request_seconds)})
    api.wait_until_ready()
    pusher, load = Pusher(Tenant(site), api).ready(), Load()
    yield memory("before", site.operator.process.pid, api.process.pid)
    steps = [load.send(creations(pusher, first, size.step), CLIENTS) for first in range(0, size.users, size.step)]
    rates = [step.rate for step in steps]
    slowest = f"{min(rates):.0f}/s of {rates[0]:.0f}/s"
    yield reported(f"{size.users:,} users pushed by {CLIENTS} clients", f"{size.users / sum(step.lasted for step in steps):.0f}/s")
    yield reported("  each", f"p50 {ms(percentile(seconds(steps), 50))}, p99 {ms(percentile(seconds(steps), 99))}")
    yield Line("  the slowest step, of the first", slowest, f">= {SLOWEST:g}x", min(rates) >= SLOWEST * rates[0]).judged_if(size is FULL)
    yield memory(f"with {size.users:,} users", site.operator.process.pid, api.process.pid)
    ids = [identity for step in steps for identity in step.fields]
    group = pusher.group("Everybody")
    joining = load.send(calls(pusher, 200, [joined(group, ids[first : first + PART]) for first in range(0, size.members, PART)]), 1)
    yield reported(f"a group of {size.members:,}, {PART} in a call", f"{size.members / joining.lasted:.0f} members/s")
    ended = load.send(calls(pusher, 200, [deactivated(each) for each in ids[-size.step :]]), CLIENTS)
    yield reported(f"{size.step:,} users deactivated", f"{ended.rate:.0f}/s, p99 {ms(percentile(ended.seconds, 99))}")
    refused = sum(sent.refused for sent in (*steps, joining, ended))
    yield reported("answered 503, and sent again", f"{refused:,} of {size.users + size.members // PART + size.step:,}")
    yield memory("at the end", site.operator.process.pid, api.process.pid)
    listed = pusher.ok(pusher.call("GET", "/Users?startIndex=1&count=1"))["totalResults"]
    yield Line("users that are listed", f"{listed:,}", f"{size.users:,}", listed == size.users)
    api.kill()


def memory(when: str, operator: int, api: int) -> Line:
    measured = ", ".join(
        "{} {:.0f} MB (peak {:.0f})".format(name, *megabytes(process)) for name, process in (("operator", operator), ("API", api))
    )
    return reported(f"memory {when}", measured)


def seconds(steps: list[Sent]) -> list[float]:
    return [each for step in steps for each in step.seconds]


def creations(pusher: Pusher, first: int, count: int) -> Requests:
    return calls(pusher, 201, [("POST", "/Users", pusher.user(f"user-{number}")) for number in range(first, first + count)])


def calls(pusher: Pusher, status: int, wanted: list[tuple[str, str, Body]]) -> Requests:
    headers = {"Authorization": f"Bearer {pusher.bearer}"}
    texts = [request(method, f"/scim/v2{path}", headers, body) for method, path, body in wanted]
    return Requests([urlsplit(pusher.api.url).netloc], status, texts, "id" if status == 201 else "", patient=True)


def joined(group: Body, ids: list[str]) -> tuple[str, str, Body]:
    added = {"op": "add", "path": "members", "value": [{"value": each} for each in ids]}
    return "PATCH", f"/Groups/{group['id']}", {"schemas": [PATCH], "Operations": [added]}


def deactivated(user: str) -> tuple[str, str, Body]:
    return "PATCH", f"/Users/{user}", {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "active", "value": False}]}


def main() -> None:
    with fresh_site() as site:
        table("A push of users by SCIM, with a Kubernetes API server", lines(site, QUICK if quick() else FULL))


if __name__ == "__main__":
    main()

"""The operator, or a replica of the API, is killed again and again at some request of a vend, while others use the same approvals: no
approval is used twice, and no role is without a recorded use.

A kill is at a request of the victim to the API server or to PostgreSQL that is chosen by chance, before its effect or after it."""

import itertools
import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from testbed.installation import API_SERVICE_ACCOUNT, NAMESPACE, SERVICE_ACCOUNT, ApiProcess, OperatorProcess
from tests.support.calling import Doors, send
from tests.support.effects import call_effects_of, effects_of
from tests.support.governed import Governed
from tests.support.proving import Proven
from tests.support.proxies import ApiProxy, Asked, Moment, Trap, WireProxy
from tests.support.requesting import REQUESTS, AccessRequested, Requester
from tests.support.site import AGENTS, API_SETTINGS, DOMAIN, SETTINGS, Body, Site
from tests.support.tenancy import Asked as Role
from tests.support.tenancy import Tenant
from tests.support.tiers import by_tier
from tests.support.waiting import eventually

PLATFORM = "proxied"
KILLS = int(os.environ.get("ROLEVEND_TEST_KILLS") or by_tier(8, 1_000))
OF_THE_OPERATOR = 4
"""Of so many kills one is the operator's, and the others are a replica's."""
CHOICES = {"api": 12, "operator": 12}
"""Of so many requests one is chosen. The roles of a kill make more of them, or fewer effects: some kills come when all is over."""
SECONDS = 120
_numbers = itertools.count()
REFUSED = ("UsesGone", "NotApproved")


class Countdown:
    """True once, at the request of this number among those that are `wanted`."""

    def __init__(self, number: int, wanted: Callable[[Asked], bool]) -> None:
        self._numbers = itertools.count()
        self._number = number
        self._wanted = wanted
        self._lock = threading.Lock()

    def __call__(self, asked: Asked) -> bool:
        with self._lock:
            return self._wanted(asked) and next(self._numbers) == self._number


def has_effect(asked: Asked) -> bool:
    return any(effect is not None for effect in (*effects_of(asked), *call_effects_of(asked)))


@dataclass
class Begun:
    """Roles that are asked for over HTTP, and by kubectl."""

    calls: list[Future[str]]
    roles: list[Role]

    def is_over(self) -> bool:
        return all(each.done() for each in self.calls) and all(map(is_decided, self.roles))


def is_decided(role: Role) -> bool:
    """Whether the operator has said that it is there, or refused it; or it has ended already."""
    found = role.now()
    conditions = [] if found is None else found.get("status", {}).get("conditions", [])
    return found is None or any(each["type"] == "Ready" and (each["status"] == "True" or each["reason"] in REFUSED) for each in conditions)


class World:
    """One agent, which asks over HTTP at two replicas and by kubectl, for users that it names."""

    def __init__(self, doors: Doors, database: Governed, folder: Path) -> None:
        self.doors, self.site, self.database, self.folder = doors, doors.site, database, folder
        self.wire = WireProxy(database.superuser.host, database.superuser.port)
        self.api = {each: ApiProxy(doors.site.control_plane.server) for each in CHOICES}
        self.victims: dict[str, OperatorProcess] = {}
        self.replica: ApiProcess
        self.proven = Proven(Tenant(self.site))
        self.offers = Requester(self.proven.tenant, PLATFORM)
        self.requests: list[AccessRequested] = []
        self.tried: list[AccessRequested] = []
        self.asked: list[Role] = []
        self.answers = Counter[str]()

    def prepare(self) -> None:
        """The agent may name a user without a token: a token would serve one role alone, whatever becomes of its approval."""
        for body in (self.proven.provider(), self.proven.agent(onBehalfOf={"assertion": "Trusted"})):
            self.site.told(body, "Ready", "True")
        self.proven.tenant.person()
        self.offers.offering({"automatic": [{"name": "any", "limits": {"perUserPerDay": 100_000}}]})

    def start(self, subcommand: str) -> None:
        account = {"operator": SERVICE_ACCOUNT, "api": API_SERVICE_ACCOUNT}[subcommand]
        kubeconfig, log = self.folder / f"{subcommand}.kubeconfig", self.folder / f"{subcommand}.log"
        if not kubeconfig.exists():
            made = self.site.control_plane.service_account_kubeconfig(NAMESPACE, account, self.folder)
            kubeconfig.write_text(made.read_text().replace(self.site.control_plane.url, self.api[subcommand].url))
        if subcommand == "operator":
            self.victims[subcommand] = OperatorProcess(kubeconfig, log, SETTINGS, self.site.start)
        else:
            self.replica = ApiProcess(kubeconfig, log, {**API_SETTINGS, "REQUEST_SECONDS": "60"}, self.site.start)
            self.victims[subcommand] = self.replica
        self.victims[subcommand].wait_until_ready()

    def approvals(self) -> list[AccessRequested]:
        """Two, of which some may be left from the kill before: nobody has used them yet."""
        left = [each for each in self.tried if not each.status.get("uses")]
        made = [self.approval() for _ in range(2 - len(left))]
        self.requests += made
        self.tried = [*left, *made]
        return self.tried

    def approval(self) -> AccessRequested:
        """By the API: it writes uses only into requests that it made. The ticket makes it another request than the one before."""
        wanted = {"offer": f"{DOMAIN}/{self.offers.offer_name}", "platform": PLATFORM, "ticket": f"K-{next(_numbers)}"}
        body = {**wanted, "user": self.proven.tenant.user(), "expirationSeconds": SECONDS, "justification": "to be killed"}

        def made() -> str:
            answer = send("POST", f"{self.doors.second.url}{REQUESTS}", json=body, headers=self.bearer)
            assert answer.status_code in (201, 202), answer.text
            return str(answer.json()["id"])

        request = self.offers.found(eventually(made))
        request.is_now("Approved")
        return request

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.proven.token(self.proven.client)}"}

    def begin(self, victim: str, approvals: list[AccessRequested], threads: ThreadPoolExecutor, *, with_kubectl: bool) -> Begun:
        """Several roles for each approval: at the replica that is killed and at another one, or by kubectl, or both."""
        calls: list[Future[str]] = []
        roles: list[Role] = []
        for each in approvals:
            if victim == "api":
                calls += [threads.submit(self.vend, url, each) for url in (self.replica.url, self.doors.second.url) * 2]
            for _ in range(2 if victim == "operator" or with_kubectl else 0):
                wanted = {"approvalRef": {"name": each.name}}
                roles.append(self.proven.tenant.ask(platform=PLATFORM, seconds=SECONDS, wanted=wanted))
        self.asked += roles
        return Begun(calls, roles)

    def vend(self, url: str, request: AccessRequested) -> str:
        """The code of the answer."""
        body = {"user": self.proven.tenant.user(), "platforms": [PLATFORM], "expirationSeconds": SECONDS, "approval": {"id": request.name}}

        def answered() -> httpx.Response | None:
            """What a replica that has not read the platform yet says is no answer."""
            answer = send("POST", f"{url}/v1/vended-roles", json=body, headers=self.bearer)
            return None if answer.status_code == 503 else answer

        try:
            answer = eventually(answered)
        except httpx.TransportError:
            return "killed"
        return "vended" if answer.status_code == 201 else str(answer.json()["code"])

    def kill(self, victim: str) -> None:
        """And start another one."""
        self.victims[victim].kill()
        self.api[victim].take_traps_away()
        self.wire.take_traps_away()
        self.start(victim)

    def trap(self, victim: str, chance: random.Random) -> list[Trap]:
        """Every second time at a named effect, and else at any request."""
        wanted = Countdown(chance.randrange(CHOICES[victim]), chance.choice([has_effect, lambda _: True]))
        moment = chance.choice(list(Moment))
        return [proxy.set_trap(wanted, moment) for proxy in (self.api[victim], self.wire)]

    def leases(self) -> set[str]:
        """The uids of all roles that this agent was ever vended. The platform keeps them for a day."""
        rows = self.database.ask(
            f"SELECT uid FROM rolevend.lease WHERE agent IS NOT NULL AND role LIKE '%\\_{self.proven.tenant.handle}\\_%'"
        )
        return {str(uid) for (uid,) in rows}

    def leave(self) -> None:
        for each in self.vended():
            self.site.remove({**each, "kind": "VendedRole"})
        eventually(lambda: not self.vended())
        self.proven.tenant.leave()
        platform = {"kind": "DataPlatform", "metadata": {"name": PLATFORM}}
        self.site.remove(platform)
        eventually(lambda: self.site.cluster.read(platform).status == 404)
        for each in self.victims.values():
            each.kill()
        for proxy in (*self.api.values(), self.wire):
            proxy.close()

    def vended(self) -> list[Body]:
        listed = self.site.cluster.call("GET", f"/apis/rolevend.dev/v1alpha1/namespaces/{AGENTS}/vendedroles").body["items"]
        return [each for each in listed if each["spec"]["agentRef"]["name"] == self.proven.tenant.name]


@pytest.fixture(scope="module")
def world(site: Site, doors: Doors, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with Governed() as database:
        world = World(doors, database, tmp_path_factory.mktemp("killed"))
        site.operator.stop()
        site.add_platform(PLATFORM, database, world.wire.port)
        for each in ("operator", "api"):
            world.start(each)
        site.wait_for_platform(PLATFORM)
        world.prepare()
        yield world
        world.leave()
        site.start_operator()


@pytest.mark.full
def test_no_approval_is_used_twice_and_no_role_is_without_a_use(world: World):
    chance, kills = random.Random(19), Counter[str]()
    with ThreadPoolExecutor(16) as threads:
        for number in range(KILLS):
            victim = "operator" if number % OF_THE_OPERATOR == 0 else "api"
            approvals = world.approvals()
            traps = world.trap(victim, chance)
            begun = world.begin(victim, approvals, threads, with_kubectl=chance.random() < 0.2)
            eventually(lambda traps=traps, begun=begun: any(each.caught.is_set() for each in traps) or begun.is_over())
            kills[f"{victim} {'at a request' if any(each.caught.is_set() for each in traps) else 'when all was over'}"] += 1
            world.kill(victim)
            world.answers.update(each.result() for each in begun.calls)
    eventually(lambda: all(map(is_decided, world.asked)))

    roles = world.leases()
    uses = [(request.name, each["roleUid"]) for request in world.requests for each in request.status.get("uses", [])]
    report = f"{dict(kills)}, {len(world.requests)} approvals, {len(uses)} uses, {len(roles)} roles, {dict(world.answers)}"
    print(report)
    assert len({name for name, _ in uses}) == len({uid for _, uid in uses}) == len(uses), report
    assert roles <= {uid for _, uid in uses}, report
    assert len(roles) >= KILLS, report

"""The operator is killed, and its line is cut, before and after each effect that the life of a role has: nothing is left behind."""

import contextlib
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from rolevend.kinds.shared import ATTEST
from rolevend.roles.side_effects import Effect
from testbed.installation import NAMESPACE
from tests.support.effects import ON_THE_PLATFORM, effects_of
from tests.support.governed import DATABASE, Governed
from tests.support.proving import Proven
from tests.support.proxies import ApiProxy, Asked, Moment, Proxy, Trap, WireProxy
from tests.support.receiving import WebhookReceiver, configured
from tests.support.requesting import AccessRequested, Requester
from tests.support.site import AGENTS, Site
from tests.support.tenancy import Asked as Role
from tests.support.tenancy import Tenant
from tests.support.tiers import by_tier
from tests.support.waiting import DEADLINE, eventually

pytestmark = pytest.mark.long

PLATFORM = "proxied"
SETTINGS = {"PROFILE_UNUSED_SECONDS": "1"}
TOGETHER = (
    (Effect.TEMPLATE_ROLES, Effect.CLOSED, Effect.CURBED, Effect.RECONSIDERED, Effect.CREDENTIAL, Effect.APPROVAL_USED),
    (Effect.TEMPLATE, Effect.FINISHED, Effect.DRIFT_NOTED, Effect.REASON, Effect.INTENT),
    (Effect.PROFILE, Effect.ROLE, Effect.FORGOTTEN, Effect.DELETION, Effect.HANDLE),
    (Effect.PROFILE_COLLECTED, Effect.FINALIZER, Effect.READY, Effect.CREDENTIAL_GONE, Effect.NOTIFIED),
    (Effect.TEMPLATE_COLLECTED, Effect.REPORTED, Effect.EVENT, Effect.FINALIZER_OFF, Effect.TOKEN_TAKEN),
)
"""Effects of lives side by side that can all be held at once: none of them waits for what another one holds, be it a thread that
builds, drops or looks, or the review."""
PERMITTED_LATER = {Effect.REPORTED, Effect.RECONSIDERED}
ENDING = {Effect.REASON, Effect.DELETION, Effect.CLOSED, Effect.FINISHED, Effect.CREDENTIAL_GONE, Effect.FINALIZER_OFF}
OF_ONE_THAT_LIVES = ENDING - {Effect.DELETION} | {
    Effect.FINALIZER,
    Effect.NOTIFIED,
    Effect.PROFILE_COLLECTED,
    Effect.TEMPLATE_COLLECTED,
}
_numbers = itertools.count(1000)


class World:
    """A platform of its own, and an operator that reaches it and the API server through proxies."""

    def __init__(self, site: Site, database: Governed, folder: Path) -> None:
        """`folder` is for the files of a receiver, which is notified of every request for access."""
        self.site, self.database = site, database
        self.receiver = WebhookReceiver()
        self.receiver.__enter__()
        self.folder = configured(folder, {"oncall": self.receiver}, default=("oncall",))
        self.wire = WireProxy(database.superuser.host, database.superuser.port)
        self.api = ApiProxy(site.control_plane.server)
        self.lives: list[Life] = []

    def start(self, *, wait: bool = False) -> None:
        settings = {**SETTINGS, "NOTIFICATIONS_FOLDER": str(self.folder), "NOTIFICATION_RETRY_SECONDS": "0.1"}
        self.site.start_operator(settings, wait=wait, url=self.api.url)

    def proxy(self, effect: Effect) -> Proxy:
        return self.wire if effect in ON_THE_PLATFORM else self.api

    def trap(self, effect: Effect, moment: Moment) -> Trap:
        def wanted(asked: Asked) -> bool:
            return effect in effects_of(asked)

        return self.proxy(effect).set_trap(wanted, moment)

    def take_traps_away(self) -> None:
        self.wire.take_traps_away()
        self.api.take_traps_away()

    def profiles(self) -> set[str]:
        return {str(name) for (name,) in self.database.ask("SELECT profile FROM rolevend.profile")}

    def sessions(self) -> int:
        """Of roles that are gone."""
        text = (
            "SELECT count(*) FROM pg_stat_activity AS a WHERE a.usesysid <> 0 AND NOT EXISTS (SELECT FROM pg_roles WHERE oid = a.usesysid)"
        )
        return int(self.database.ask(text)[0][0])


class Life:
    """One role, with a profile that no other has, from its request to its end."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.tenant = Tenant(world.site)
        world.lives.append(self)
        self.tenant.agent()
        self.tenant.person()
        self.role: Role | None = None
        self.proven: Proven | None = None
        """Where its user is proven by a token."""
        self.wanted: dict[str, object] = {}
        self.request: AccessRequested | None = None
        """A request for access that waits for people."""

    def prove(self) -> None:
        """From now on the agent must, and the token says what policies ask for."""
        proven = self.proven = Proven(self.tenant)
        self.world.site.told(proven.provider(), "Ready", "True")
        agent = self.tenant.described("Agent", {}, self.tenant.name, AGENTS)
        self.world.site.patch(agent, {"identity": proven.identity, "onBehalfOf": {"assertion": "TokenRequired"}})
        self.world.site.told(agent, "Ready", "True")

    def approve(self) -> None:
        """From now on the role is of an approval."""
        requester = self.offer()
        before = self.world.profiles()
        self.wanted = {"approvalRef": {"name": requester.approved().name}}
        eventually(lambda: self.world.profiles() - before)  # or its build would be held instead of another one

    def offer(self) -> Requester:
        own = f"country IN (user_attr('countries')) AND person_id < {next(_numbers)}"
        return Requester(self.tenant, PLATFORM).offering(rowFilter=own)

    def request_access(self) -> None:
        """Nobody decides about it."""
        self.request = self.offer().ask()

    def is_notified(self) -> bool:
        """The status has one record, and all calls one id."""
        assert self.request is not None
        (record,) = self.request.status.get("notifications", []) or [{}]
        return record.get("state") == "Delivered" and len({call.id for call in self.world.receiver.about(self.request.name)}) == 1

    def permit(self) -> None:
        own = f"country IN (user_attr('countries')) AND person_id < {next(_numbers)}"
        self.policy = self.tenant.policy(platform=PLATFORM, rowFilter=own)
        self.world.site.told(self.policy, "Ready", "True")

    def ask(self, seconds: int = 900) -> Role:
        if self.proven is None:
            self.role = self.tenant.ask(platform=PLATFORM, seconds=seconds, wanted=self.wanted)
        else:
            self.role = self.proven.ask(self.proven.token(), platform=PLATFORM, seconds=seconds)
        return self.role

    def strip_finalizer(self) -> None:
        assert self.role is not None
        assert self.world.site.cluster.patch(self.role.body, {"metadata": {"finalizers": []}}, user="firefighter").ok

    def has_finalizer(self) -> bool:
        return self.role is not None and bool((self.role.now() or {"metadata": {}})["metadata"].get("finalizers"))

    def session(self) -> "psycopg.Connection[tuple[object, ...]]":
        """Of the agent, by a way that is never cut."""
        assert self.role is not None
        login, server = self.role.login(), self.world.database.superuser
        return psycopg.connect(
            host=server.host, port=server.port, dbname=DATABASE, user=login["username"], password=login["password"], autocommit=True
        )

    def ends(self) -> "psycopg.Connection[tuple[object, ...]] | None":
        """Begins its end, whatever happened before; the session that it had until then."""
        assert self.role is not None
        if self.role.is_gone() or "deletionTimestamp" in (self.role.now() or {"metadata": {}})["metadata"]:
            return None
        self.role.ready()
        session = self.session()
        assert session.execute("SELECT count(*) FROM people").fetchone() == (2,)
        self.role.delete()
        return session

    def has_ended(self) -> bool:
        """Nothing of it is left."""
        mine = f"IMMUTA_VENDED_{self.tenant.handle}_"
        return self.role is not None and self.role.is_gone() and not any(name.startswith(mine) for name in self.world.database.roles())


@pytest.fixture(scope="module")
def world(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with Governed() as database:
        world = World(site, database, tmp_path_factory.mktemp("notifications"))
        site.operator.stop()
        site.add_platform(PLATFORM, database, world.wire.port)
        site.cluster.bind("firefighter", "rolevend-breakglass", AGENTS)
        world.start(wait=True)
        site.wait_for_platform(PLATFORM)
        yield world
        for life in world.lives:
            life.tenant.leave()
        site.remove({"kind": "DataPlatform", "metadata": {"name": PLATFORM}})
        eventually(lambda: site.cluster.read({"kind": "DataPlatform", "metadata": {"name": PLATFORM}}).status == 404)
        site.operator.kill()
        world.api.close()
        world.wire.close()
        world.receiver.__exit__()


def begin(life: Life, effect: Effect) -> None:
    if effect not in PERMITTED_LATER:
        life.permit()
    if effect is Effect.TOKEN_TAKEN:
        life.prove()
    if effect is Effect.APPROVAL_USED:
        life.approve()
    if effect in OF_ONE_THAT_LIVES or effect is Effect.RECONSIDERED:
        life.ask()


def has_begun(life: Life, effect: Effect) -> None:
    if effect is Effect.RECONSIDERED and life.role is not None:
        life.role.refused("")
    elif life.role is not None:
        life.role.ready()


def reach(life: Life, effect: Effect, moment: Moment) -> None:
    """Waits until the effect is in the trap."""
    role = life.role
    trap = life.world.trap(effect, moment)
    if role is None:
        life.ask(5 if effect is Effect.DELETION else 900)
    elif effect is Effect.RECONSIDERED:
        life.permit()
    elif effect is Effect.NOTIFIED:
        life.request_access()
    elif effect is Effect.FINALIZER:
        life.strip_finalizer()
    elif effect is Effect.REASON:
        life.world.site.remove(life.policy)
    else:
        role.delete()
    assert trap.caught.wait(DEADLINE), f"{effect} never came"


def hold(world: World, together: Sequence[Effect], moment: Moment) -> dict[Effect, Life]:
    """A life in a trap at each of these effects."""
    lives = {effect: Life(world) for effect in together}
    for effect, life in lives.items():
        begin(life, effect)
    for effect, life in lives.items():
        has_begun(life, effect)
    for effect, life in lives.items():
        reach(life, effect, moment)
    return lives


def break_the_line(proxy: Proxy) -> None:
    """Whatever it holds is lost with it. It is back when somebody missed it."""
    before = proxy.refused
    proxy.cut()
    proxy.take_traps_away()
    eventually(lambda: proxy.refused > before)
    proxy.restore()


def go_on(world: World, lives: Mapping[Effect, Life]) -> None:
    """Each ends, and its session too, and nothing of it is left."""
    for effect, life in lives.items():
        if effect is Effect.REPORTED:
            life.permit()
        if effect is Effect.FINALIZER:  # who strips it and deletes at once leaves an orphan, which is the sweep's
            eventually(life.has_finalizer)
        if life.request is not None:
            eventually(life.is_notified)
        if effect in ENDING and life.role is not None:
            life.role.gone()
    sessions = [life.ends() for life in lives.values()]
    for life in lives.values():
        eventually(life.has_ended)
    for session in filter(None, sessions):
        with contextlib.closing(session), pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
    eventually(lambda: world.sessions() == 0)
    for life in lives.values():
        life.tenant.leave()


def test_every_request_of_a_life_has_a_name_and_every_named_effect_comes(world: World):
    world.api.seen.clear()
    world.wire.seen.clear()
    life = Life(world)
    life.ask().refused("")
    life.permit()
    life.role.ready()  # type: ignore[union-attr]
    life.request_access()
    life.strip_finalizer()
    revoked = Life(world)
    revoked.permit()
    revoked.prove()
    revoked.ask().ready()
    approved = Life(world)
    approved.approve()
    approved.ask().ready()
    world.site.remove(revoked.policy)
    revoked.role.gone()  # type: ignore[union-attr]
    go_on(world, {Effect.FINALIZER: life, Effect.APPROVAL_USED: approved})

    def came() -> set[Effect | None]:
        return {effect for asked in [*world.api.seen, *world.wire.seen] for effect in effects_of(asked)}

    def all_came() -> bool:
        missing = set(Effect) - came()
        assert not missing, missing
        return True

    eventually(all_came)
    nameless = {asked.what[:200] for asked in [*world.api.seen, *world.wire.seen] if None in effects_of(asked)}
    assert not nameless, sorted(nameless)


def test_every_effect_is_held_with_some_others():
    assert sorted(effect.name for together in TOGETHER for effect in together) == sorted(effect.name for effect in Effect)


def name_of(together: Sequence[Effect]) -> str:
    return "-".join(effect.name.lower() for effect in together)


@pytest.mark.parametrize("together", TOGETHER, ids=name_of)
def test_killed_at_each_effect_it_leaves_nothing(world: World, together: Sequence[Effect]):
    for moment in by_tier((Moment.AFTER,), (Moment.BEFORE, Moment.AFTER, Moment.AFTER)):
        lives = hold(world, together, moment)
        world.site.operator.kill()
        world.take_traps_away()
        world.start()
        go_on(world, lives)


@pytest.mark.parametrize("moment", by_tier((Moment.BEFORE,), tuple(Moment)), ids=lambda moment: moment.name.lower())
@pytest.mark.parametrize("together", TOGETHER, ids=name_of)
def test_cut_off_at_each_effect_it_goes_on_when_the_line_is_back(world: World, together: Sequence[Effect], moment: Moment):
    """First the line to the platform, then that to the API server."""
    lives = hold(world, together, moment)
    break_the_line(world.wire)
    break_the_line(world.api)
    go_on(world, lives)


OF_CANARIES = (
    "SELECT nspname::text FROM pg_namespace WHERE nspname ~ 'canary' UNION ALL SELECT rolname::text FROM pg_roles WHERE rolname ~* 'canary'"
    " UNION ALL SELECT profile FROM rolevend.profile WHERE cluster_id ~ 'canary'"
)


THE_PLATFORM = {"kind": "DataPlatform", "metadata": {"name": PLATFORM}}


def held_while_it_attests(world: World, request: str, wanted: Callable[[Asked], bool]) -> Trap:
    """Until it is passed on, or the traps are taken away."""
    trap = world.wire.set_trap(wanted, Moment.AFTER)
    assert world.site.cluster.patch(THE_PLATFORM, {"metadata": {"annotations": {ATTEST: request}}}).ok
    assert trap.caught.wait(DEADLINE), "no attestation came so far"
    return trap


def passes_and_leaves_nothing(world: World, request: str) -> None:
    def attestation() -> dict[str, object]:
        found = world.site.cluster.read(THE_PLATFORM).body["status"]["attestation"]
        assert found.get("request") == request
        return dict(found)

    answered = eventually(attestation, within=120)
    assert answered["failed"] == []
    assert world.database.ask(OF_CANARIES) == []
    world.site.wait_for_platform(PLATFORM)


MADE_BY = {"a-table": r"CREATE SCHEMA ", "a-role": r"rolevend\.vend(_many)?\("}


@pytest.mark.parametrize("made", MADE_BY)
def test_killed_in_the_middle_of_an_attestation_it_answers_that_later_and_leaves_no_canary(world: World, made: str):
    request = f"killed-at-{made}"

    def of_a_canary(asked: Asked) -> bool:
        return re.search(MADE_BY[made], asked.what) is not None and "canary" in asked.text.lower()

    held_while_it_attests(world, request, of_a_canary)
    world.site.operator.kill()
    world.take_traps_away()
    assert world.database.ask(OF_CANARIES)

    world.start()

    passes_and_leaves_nothing(world, request)


@pytest.mark.full
def test_told_to_end_in_the_middle_of_an_attestation_it_gives_that_up_and_its_lease_back(world: World):
    request = "ended-meanwhile"
    trap = held_while_it_attests(world, request, lambda asked: "CREATE SCHEMA " in asked.what and "rv_canary" in asked.text)
    with ThreadPoolExecutor(1) as beside:
        ending = beside.submit(world.site.operator.stop)
        trap.pass_on()
        ending.result()

    assert world.site.operator.process.exit_code == 0
    assert world.database.ask(OF_CANARIES) == []
    lease = world.site.cluster.call("GET", f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/rolevend-operator").body
    assert lease["spec"]["holderIdentity"] == ""

    world.start()

    passes_and_leaves_nothing(world, request)


def test_what_a_platform_says_holds_while_it_is_attested(world: World):
    life, request = Life(world), "held-for-a-change"
    life.permit()
    held_while_it_attests(world, request, lambda asked: "CREATE SCHEMA " in asked.what and "rv_canary" in asked.text)
    assert world.site.cluster.patch(THE_PLATFORM, {"spec": {"postgres": {"scramIterations": 7}}}).ok
    try:
        assert eventually(lambda: world.site.condition(THE_PLATFORM, "Ready"))["status"] == "True"
        eventually(lambda: life.tenant.ask(platform=PLATFORM).ready().iterations() == "7")
    finally:
        world.take_traps_away()
        world.site.cluster.patch(THE_PLATFORM, {"spec": {"postgres": {"scramIterations": None}}})
    passes_and_leaves_nothing(world, request)
    life.tenant.leave()

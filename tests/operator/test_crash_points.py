"""The operator is killed, and its line is cut, before and after each effect that the life of a role has: nothing is left behind."""

import itertools
from collections.abc import Callable, Iterator

import psycopg
import pytest

from rolevend.vending.effects import Effect
from tests.support.effects import ON_THE_PLATFORM, effects_of
from tests.support.governed import DATABASE, Governed
from tests.support.proxies import ApiProxy, Asked, Moment, Proxy, Trap, WireProxy
from tests.support.site import AGENTS, Site
from tests.support.tenancy import Asked as Role
from tests.support.tenancy import Tenant
from tests.support.waiting import eventually

PLATFORM = "proxied"
SETTINGS = {"PROFILE_UNUSED_SECONDS": "1"}
BUILT_LATER, ENDING, COLLECTED = (
    {Effect.REPORTED, Effect.RECONSIDERED},
    {Effect.REASON, Effect.DELETION, Effect.CLOSED, Effect.FINISHED, Effect.CREDENTIAL_GONE, Effect.FINALIZER_OFF},
    {Effect.PROFILE_COLLECTED, Effect.TEMPLATE_COLLECTED},
)
_numbers = itertools.count(1000)


class World:
    """A platform of its own, and an operator that reaches it and the API server through proxies."""

    def __init__(self, site: Site, database: Governed) -> None:
        self.site, self.database = site, database
        self.wire = WireProxy(database.superuser.host, database.superuser.port)
        self.api = ApiProxy(site.control_plane.server)
        self.lives: list[Life] = []

    def start(self, *, wait: bool = False) -> None:
        self.site.start_operator(SETTINGS, wait=wait, url=self.api.url)

    def proxy(self, effect: Effect) -> Proxy:
        return self.wire if effect in ON_THE_PLATFORM else self.api

    def trap(self, effect: Effect, moment: Moment) -> Trap:
        def wanted(asked: Asked) -> bool:
            return effect in effects_of(asked)

        return self.proxy(effect).set_trap(wanted, moment)

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

    def permit(self) -> None:
        own = f"country IN (user_attr('countries')) AND person_id < {next(_numbers)}"
        self.policy = self.tenant.policy(platform=PLATFORM, rowFilter=own)
        self.world.site.told(self.policy, "Ready", "True")

    def ask(self, seconds: int = 900) -> Role:
        self.role = self.tenant.ask(platform=PLATFORM, seconds=seconds)
        return self.role

    def strip_finalizer(self) -> None:
        assert self.role is not None
        assert self.world.site.cluster.patch(self.role.body, {"metadata": {"finalizers": []}}, user="firefighter").ok

    def session(self) -> "psycopg.Connection[tuple[object, ...]]":
        """Of the agent, by a way that is never cut."""
        assert self.role is not None
        login, server = self.role.login(), self.world.database.superuser
        return psycopg.connect(
            host=server.host, port=server.port, dbname=DATABASE, user=login["username"], password=login["password"], autocommit=True
        )

    def ends(self) -> None:
        """All the same whatever happened before: it ends, its session too, and nothing of it is left."""
        assert self.role is not None
        if not self.role.is_gone() and "deletionTimestamp" not in (self.role.now() or {"metadata": {}})["metadata"]:
            self.role.ready(within=60)
            with self.session() as session:
                assert session.execute("SELECT count(*) FROM people").fetchone() == (2,)
                self.role.delete()
                self.role.gone(within=60)
                with pytest.raises(psycopg.OperationalError):
                    session.execute("SELECT 1")
        self.role.gone(within=60)
        eventually(lambda: not [name for name in self.world.database.roles() if name.startswith(f"IMMUTA_VENDED_{self.tenant.handle}_")])
        assert self.world.sessions() == 0
        self.tenant.leave()


@pytest.fixture(scope="module")
def world(site: Site) -> Iterator[World]:
    with Governed() as database:
        world = World(site, database)
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
        site.start_operator()


def reach(life: Life, effect: Effect, trap: Callable[[], Trap]) -> Trap:
    """Lives up to the effect, and waits until it is in the trap."""
    if effect not in BUILT_LATER:
        life.permit()
    if effect in ENDING | COLLECTED | {Effect.FINALIZER}:
        role = life.ask(5 if effect is Effect.DELETION else 900).ready()
        set_trap = trap()
        if effect is Effect.FINALIZER:
            life.strip_finalizer()
        elif effect is Effect.REASON:
            life.world.site.remove(life.policy)
        elif effect is not Effect.DELETION:
            role.delete()
    elif effect is Effect.RECONSIDERED:
        life.ask().refused("")
        set_trap = trap()
        life.permit()
    else:
        set_trap = trap()
        life.ask()
    assert set_trap.caught.wait(30), f"{effect} never came"
    return set_trap


def go_on(life: Life, effect: Effect) -> None:
    if effect is Effect.REPORTED:
        life.permit()
    assert life.role is not None
    if effect is Effect.FINALIZER:  # who strips it and deletes at once leaves an orphan, which is the sweep's
        eventually(lambda: (life.role.now() or {"metadata": {}})["metadata"].get("finalizers"))  # type: ignore[union-attr]
    if effect in ENDING:
        life.role.gone(within=60)
    life.ends()


def test_every_request_of_a_life_has_a_name_and_every_named_effect_comes(world: World):
    world.api.seen.clear()
    world.wire.seen.clear()
    life = Life(world)
    life.ask().refused("")
    life.permit()
    life.role.ready()  # type: ignore[union-attr]
    life.strip_finalizer()
    revoked = Life(world)
    revoked.permit()
    revoked.ask().ready()
    world.site.remove(revoked.policy)
    revoked.role.gone()  # type: ignore[union-attr]
    life.ends()

    def came() -> set[Effect | None]:
        return {effect for asked in [*world.api.seen, *world.wire.seen] for effect in effects_of(asked)}

    eventually(lambda: came() >= set(Effect))
    nameless = {asked.what[:200] for asked in [*world.api.seen, *world.wire.seen] if None in effects_of(asked)}
    assert not nameless, sorted(nameless)


@pytest.mark.parametrize("effect", Effect, ids=lambda effect: effect.name.lower())
def test_killed_three_times_at_each_effect_it_leaves_nothing(world: World, effect: Effect):
    for moment in (Moment.BEFORE, Moment.AFTER, Moment.AFTER):
        life = Life(world)
        trap = reach(life, effect, lambda moment=moment: world.trap(effect, moment))  # type: ignore[misc]
        world.site.operator.kill()
        trap.drop()
        world.start()
        go_on(life, effect)


@pytest.mark.parametrize("effect", Effect, ids=lambda effect: effect.name.lower())
def test_cut_off_at_each_effect_it_goes_on_when_the_line_is_back(world: World, effect: Effect):
    life = Life(world)
    trap = reach(life, effect, lambda: world.trap(effect, Moment.AFTER))
    proxy = world.proxy(effect)
    before = proxy.refused
    proxy.cut()
    trap.drop()
    eventually(lambda: proxy.refused > before)
    proxy.restore()
    go_on(life, effect)

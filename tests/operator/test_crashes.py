"""The operator dies at the worst moment and comes back: every role has its object, or is gone."""

import psycopg
import pytest

from tests.support.site import AGENTS, SETTINGS, WAREHOUSE, Site
from tests.support.tenancy import ISSUER, Asked, Tenant
from tests.support.tiers import by_tier
from tests.support.waiting import DEADLINE, eventually

BURST = 20


def kill_at(site: Site, moment: int, burst: list[Asked], *, vended: bool) -> None:
    """Kills the operator when about so many of the burst have their role, or have lost it."""
    roles = "SELECT count(*) FROM rolevend.lease WHERE uid = ANY (%s) AND dropped_at IS " + ("NULL" if vended else "NOT NULL")
    uids = [asked.uid for asked in burst]
    eventually(lambda: site.warehouse.ask(roles, uids)[0][0] >= moment)
    site.operator.kill()


@pytest.mark.long
def test_killed_in_a_burst_of_vends_it_finishes_them_all_when_it_is_back(tenant: Tenant):
    site = tenant.ready_to_ask().site
    burst = [tenant.ask() for _ in range(BURST)]

    kill_at(site, 3, burst, vended=True)
    site.start_operator()

    roles = {asked.ready().role for asked in burst}
    assert len(roles) == BURST
    assert tenant.roles() == roles
    for asked in burst:
        assert asked.rows("SELECT count(*) FROM people") == [(2,)], "the password in the Secret is the role's"


@pytest.mark.long
def test_killed_in_a_burst_of_deletions_it_drops_them_all_when_it_is_back(tenant: Tenant):
    site = tenant.ready_to_ask().site
    burst = [tenant.ask() for _ in range(BURST)]
    for asked in burst:
        asked.ready()
    for asked in burst:
        asked.delete()

    kill_at(site, 2, burst, vended=False)
    site.start_operator()

    for asked in burst:
        asked.gone()
    assert not tenant.roles()


@pytest.mark.long
def test_killed_again_and_again_in_one_burst_of_both_it_leaves_no_orphan_and_loses_no_role(tenant: Tenant):
    site = tenant.ready_to_ask().site
    leaving = [tenant.ask() for _ in range(BURST)]
    for asked in leaving:
        asked.ready()
    coming: list[Asked] = []
    for _ in range(by_tier(2, 3)):
        for asked in leaving[:5]:
            asked.delete()
        leaving = leaving[5:]
        coming += [tenant.ask() for _ in range(5)]
        kill_at(site, len(coming) - 3, coming, vended=True)
        site.start_operator(wait=False)
    site.operator.wait_until_ready()

    standing = {asked.ready().role for asked in (*leaving, *coming)}
    eventually(lambda: tenant.roles() == standing)


def test_what_expired_while_it_was_down_goes_when_it_is_back_and_its_login_was_dead_meanwhile(tenant: Tenant):
    site = tenant.ready_to_ask().site
    asked, login = tenant.ask_briefly(lambda asked: asked.ready().login())
    site.operator.kill()

    eventually(lambda: site.warehouse.refuses(login), within=asked.seconds_left + DEADLINE)  # the platform keeps the time itself
    assert asked.has_role()
    site.start_operator()

    asked.gone()
    assert not asked.has_role()
    assert site.warehouse.ended(asked.role) == "Expired"


@pytest.mark.long
def test_a_finalizer_that_was_stripped_by_hand_leaves_an_orphan_that_the_sweep_drops(tenant: Tenant):
    site = tenant.ready_to_ask().site
    site.cluster.bind("firefighter", "rolevend-breakglass", AGENTS)
    asked, other = tenant.ask().ready(), tenant.ask().ready()
    login = asked.login()
    site.operator.kill()
    asked.delete()
    stripped = site.cluster.patch(asked.body, {"metadata": {"finalizers": []}}, user="firefighter")
    assert stripped.ok, stripped.message
    assert asked.is_gone()
    assert asked.has_role()

    site.start_operator()

    eventually(lambda: not asked.has_role())
    assert site.warehouse.ended(asked.role) == "Orphaned"
    assert site.warehouse.refuses(login)
    assert other.is_ready()
    assert other.has_role()
    eventually(lambda: site.metric("rolevend_orphan_roles_total", platform=WAREHOUSE) == 1)


def foreign_role(site: Site, tenant: Tenant) -> str:
    """A live role that the operator of another cluster vended on the same database."""
    mine = tenant.ask().ready().role
    uid = "0e9d1a5e-5b1f-4c8e-9a55-6e1f2f3a4b5c"
    name = f"IMMUTA_VENDED_{tenant.handle}_ELSEWHERE_0EKME5WPRZ4S79MN9P3WZK0000"
    give = "UPDATE rolevend.profile SET cluster_id = %s WHERE profile = %s"
    with psycopg.connect(site.warehouse.superuser.dsn) as connection:  # one transaction: nobody sees the profile in other hands
        ((profile, ours),) = connection.execute("SELECT profile, cluster_id FROM rolevend.lease WHERE role = %s", [mine]).fetchall()
        connection.execute(give, ["another-cluster", profile])
        connection.execute(
            "SELECT rolevend.vend(%s, 'another-cluster', %s, %s, "
            "'SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$VQnfVXQBBsxvLz2kP9n5fQWk3kq3nF4u0m8N8z0r2Uw=:VQnfVXQBBsxvLz2kP9n5fQWk3kq3nF4u0m8N8z0r2Uw=',"
            " now() + interval '1 hour', 'agents/other', %s, 'anna', '{\"countries\": [\"DE\"]}')",
            [name, uid, profile, ISSUER],
        )
        connection.execute(give, [ours, profile])
    return name


@pytest.mark.long
def test_roles_of_another_cluster_on_the_same_server_are_never_touched(tenant: Tenant):
    site = tenant.ready_to_ask().site
    foreign = foreign_role(site, tenant)
    asked = tenant.ask().ready()
    site.operator.kill()
    site.cluster.bind("firefighter", "rolevend-breakglass", AGENTS)
    asked.delete()
    assert site.cluster.patch(asked.body, {"metadata": {"finalizers": []}}, user="firefighter").ok

    site.start_operator()

    eventually(lambda: not asked.has_role())  # a sweep that drops our orphan has passed the foreign role by
    assert site.warehouse.has(foreign)
    assert site.warehouse.ask("SELECT revoked_at FROM rolevend.lease WHERE role = %s", foreign) == [(None,)]
    site.warehouse.ask(f'DROP ROLE "{foreign}"')


def test_a_role_that_somebody_dropped_by_hand_ends_its_object(tenant: Tenant):
    site = tenant.ready_to_ask().site
    asked, other = tenant.ask().ready(), tenant.ask().ready()

    site.warehouse.ask(f'DROP ROLE "{asked.role}"')

    asked.gone()
    assert site.warehouse.ended(asked.role) == "Revoked"
    assert other.is_ready()


@pytest.mark.long
def test_an_operator_that_was_down_takes_up_a_policy_change_when_it_is_back(tenant: Tenant):
    site = tenant.site
    tenant.agent()
    tenant.person("anna", job=["analyst"])
    tenant.person("bob")
    analysts = {
        "matchAttributes": [
            {"key": "tenant", "operator": "In", "values": [tenant.name]},
            {"key": "job", "operator": "In", "values": ["analyst"]},
        ]
    }
    policy = tenant.policy(f"{tenant.name}-analysts", "claims", users=analysts, masks=[])
    tenant.policy()
    narrowed, unchanged = tenant.ask("anna").ready(), tenant.ask("bob").ready()
    site.operator.kill()
    site.remove(policy)

    site.start_operator()

    narrowed.gone()
    assert site.warehouse.ended(narrowed.role) == "Revoked"
    assert unchanged.is_ready()


@pytest.mark.long
def test_the_api_server_may_go_and_come_back(tenant: Tenant):
    site = tenant.ready_to_ask().site
    staying = tenant.ask().ready()
    expiring, _ = tenant.ask_briefly(Asked.ready)
    login = staying.login()

    site.control_plane.stop_api_server(graceful=False)
    try:
        with site.warehouse.session(login) as session:
            assert session.execute("SELECT count(*) FROM people").fetchone() == (2,)
        assert site.operator.probe("/healthz")[0] == 200, "a restart would not bring the API server back"
    finally:
        site.start_api_server()

    expiring.expired()
    assert site.warehouse.ended(expiring.role) == "Expired"
    later = tenant.ask().ready()
    staying.delete()
    staying.gone()
    assert not staying.has_role()
    assert later.has_role()


@pytest.mark.long
def test_a_watch_that_went_deaf_is_noticed_and_a_restart_mends_it(tenant: Tenant):
    site = tenant.ready_to_ask().site
    gateway = site.start_operator_behind_gateway()
    tenant.ask().ready()

    gateway.freeze()

    unheard = tenant.ask()
    status, message = eventually(lambda: unhealthy(site), within=120)
    assert status == 503
    assert f"for over {SETTINGS['DEAF_AFTER_SECONDS']} s" in message
    site.operator.kill()  # as the kubelet would
    site.start_operator()
    unheard.ready()
    eventually(site.is_healthy)


def unhealthy(site: Site) -> tuple[int, str] | None:
    answer = site.operator.probe("/healthz")
    return answer if answer[0] == 503 else None


def test_it_stops_in_order_when_it_is_told_to(site: Site):
    site.operator.stop()

    assert site.operator.process.exit_code == 0
    site.start_operator()

"""One VendedRole on two platforms: one name on both, on both or on none, and gone from both."""

from collections.abc import Iterator

import pytest
from psycopg import sql

from rolevend.model import AgentHandle, Uid, UserHandle
from rolevend.naming import role_name
from tests.support.governed import Governed
from tests.support.obstacles import locked_catalog
from tests.support.proving import Proven
from tests.support.site import AGENTS, ANNEX, WAREHOUSE, Body, Site
from tests.support.tenancy import Asked, Tenant
from tests.support.waiting import eventually

BOTH = {"platformRefs": [{"name": WAREHOUSE}, {"name": ANNEX}]}
PARTIAL = {**BOTH, "allowPartial": True}


def granted_on(tenant: Tenant, *platforms: str) -> Tenant:
    """An agent, the person anna, and a policy for these platforms."""
    tenant.agent()
    tenant.person()
    refs = [{"name": platform} for platform in platforms]
    tenant.site.told(tenant.policy(platformRefs=refs), "Ready", "True")
    return tenant


def on(asked: Asked) -> dict[str, Body]:
    """What its status says of each platform."""
    return {each["name"]: each for each in asked.status.get("platforms", [])}


def states(asked: Asked) -> dict[str, str]:
    return {name: each["state"] for name, each in on(asked).items()}


def rows(asked: Asked, platform: str) -> list[tuple[object, ...]]:
    secret = asked.site.secret(AGENTS, on(asked)[platform]["credentialSecretRef"]["name"])
    login = asked.site.text_of(secret)
    assert login["username"] == asked.role
    with asked.site.database(platform).session(login) as session:
        return session.execute("SELECT person_id FROM people ORDER BY 1").fetchall()


def there(tenant: Tenant) -> set[str]:
    """The platforms on which a role of its agent is: no other test has that handle."""
    return {name for name in (WAREHOUSE, ANNEX) if any(f"_{tenant.handle}_" in role for role in tenant.site.database(name).roles())}


@pytest.fixture
def annex(site: Site) -> Iterator[Governed]:
    yield from site.annex_in_order()


def test_it_has_one_name_and_a_login_of_its_own_on_each_and_is_gone_from_both(tenant: Tenant):
    asked = granted_on(tenant, WAREHOUSE, ANNEX).ask(wanted=BOTH).ready()

    assert states(asked) == {WAREHOUSE: "Live", ANNEX: "Live"}
    assert on(asked)[WAREHOUSE]["credentialSecretRef"] == {"name": asked.name}
    assert on(asked)[ANNEX]["credentialSecretRef"] == {"name": f"{asked.name}-{ANNEX}"}
    assert rows(asked, WAREHOUSE) == rows(asked, ANNEX) == [(1,), (2,)]

    asked.delete()
    asked.gone()

    for name in (WAREHOUSE, ANNEX):
        assert not tenant.site.database(name).has(asked.role)
    for name in (asked.name, f"{asked.name}-{ANNEX}"):
        assert tenant.site.secret(AGENTS, name).status == 404


def test_denied_on_the_second_nothing_is_made_on_the_first_until_both_grant(tenant: Tenant):
    granted_on(tenant, WAREHOUSE)
    asked = tenant.ask(wanted=BOTH)

    asked.refused("NoPolicy", granted="False")

    assert "roleName" not in asked.status
    assert there(tenant) == set()
    assert tenant.site.secret(AGENTS, asked.name).status == 404
    tenant.policy(f"{tenant.name}-annex", platform=ANNEX)
    assert states(asked.ready()) == {WAREHOUSE: "Live", ANNEX: "Live"}


def test_while_the_second_is_away_it_is_not_ready_and_it_comes_when_that_is_back(tenant: Tenant, annex: Governed):
    granted_on(tenant, WAREHOUSE, ANNEX)
    annex.server.stop()
    asked = tenant.ask(wanted=BOTH)

    eventually(lambda: tenant.site.told(asked.body, "Ready", "False"))
    annex.server.start()

    assert states(asked.ready()) == {WAREHOUSE: "Live", ANNEX: "Live"}


def test_what_can_never_be_on_the_second_ends_it_on_the_first_and_says_why(tenant: Tenant, annex: Governed):
    tenant.agent()
    tenant.person(handle=f"P{tenant.handle}")
    asked = tenant.ask(wanted=BOTH)
    asked.refused("NoPolicy", granted="False")
    taken = role_name(AgentHandle(tenant.handle), UserHandle(f"P{tenant.handle}"), Uid(asked.uid))
    annex.ask(sql.SQL("CREATE ROLE {}").format(sql.Identifier(taken)).as_string())
    held = {"metadata": {"finalizers": ["rolevend.dev/drop", "example.org/hold"]}}
    assert tenant.site.cluster.patch(asked.body, held).ok

    tenant.policy(platformRefs=BOTH["platformRefs"])

    ended = eventually(lambda: asked.status.get("ended") or {})
    assert (ended["reason"], ended["by"]) == ("Revoked", "NotEverywhere")
    assert ended["message"].startswith(f"on {ANNEX}: ")
    eventually(lambda: not tenant.site.warehouse.has(taken))
    assert tenant.site.warehouse.ended(taken) == "Revoked"
    assert tenant.site.cluster.patch(asked.body, {"metadata": {"finalizers": ["rolevend.dev/drop"]}}).ok
    eventually(lambda: states(asked) == {WAREHOUSE: "Gone", ANNEX: "Dropping"})
    annex.ask(sql.SQL("DROP ROLE {}").format(sql.Identifier(taken)).as_string())  # it is nothing of ours, and nothing that we take away
    asked.gone()


def test_where_less_is_allowed_it_is_made_where_it_is_granted_and_says_where_it_is_not(tenant: Tenant):
    asked = granted_on(tenant, WAREHOUSE).ask(wanted=PARTIAL)

    message = tenant.site.told(asked.ready().body, "Ready", "True", "Partial")

    assert f"there is none on {ANNEX} (NoPolicy)" in message
    assert states(asked) == {WAREHOUSE: "Live", ANNEX: "LeftOut"}
    assert on(asked)[ANNEX]["reason"] == "NoPolicy"
    assert rows(asked, WAREHOUSE) == [(1,), (2,)]
    assert there(tenant) == {WAREHOUSE}
    asked.delete()
    asked.gone()
    assert there(tenant) == set()


def test_where_less_is_allowed_it_does_not_wait_for_a_platform_that_is_away(tenant: Tenant, annex: Governed):
    granted_on(tenant, WAREHOUSE, ANNEX)
    tenant.ask(platform=ANNEX).ready()  # the profile is built there: the role itself cannot be made
    annex.server.stop()
    asked = tenant.ask(wanted=PARTIAL)

    tenant.site.told(asked.ready().body, "Ready", "True", "Partial")

    assert states(asked)[WAREHOUSE] == "Live"
    assert states(asked)[ANNEX] in ("LeftOut", "Dropping")
    assert rows(asked, WAREHOUSE) == [(1,), (2,)]
    asked.delete()
    eventually(lambda: not tenant.site.warehouse.has(asked.role))
    annex.server.start()
    asked.gone()
    assert not annex.has(asked.role)


def test_a_platform_that_is_away_keeps_its_own_part_alone(tenant: Tenant, annex: Governed):
    asked = granted_on(tenant, WAREHOUSE, ANNEX).ask(wanted=BOTH).ready()
    annex.server.stop()

    asked.delete()

    eventually(lambda: states(asked) == {WAREHOUSE: "Gone", ANNEX: "Dropping"})
    assert not tenant.site.warehouse.has(asked.role)
    eventually(lambda: on(asked)[ANNEX].get("reason") == "PlatformUnavailable")
    tenant.site.operator.kill()
    tenant.site.start_operator(wait=False)
    annex.server.start()
    asked.gone()
    assert not annex.has(asked.role)


def test_a_policy_of_one_platform_that_goes_ends_the_role_on_both(tenant: Tenant):
    granted_on(tenant, WAREHOUSE)
    lost = tenant.policy(f"{tenant.name}-annex", platform=ANNEX)
    asked = tenant.ask(wanted=BOTH).ready()

    tenant.site.remove(lost)

    asked.gone()
    assert {tenant.site.database(name).ended(asked.role) for name in (WAREHOUSE, ANNEX)} == {"Revoked"}


@pytest.mark.long
def test_killed_between_the_two_it_is_made_on_both_when_the_operator_is_back(tenant: Tenant, annex: Governed):
    site = granted_on(tenant, WAREHOUSE, ANNEX).site
    tenant.ask(platform=ANNEX).ready()  # so that nothing but the role itself is missing there
    with locked_catalog(annex, []):
        asked = tenant.ask(wanted=BOTH)
        eventually(lambda: WAREHOUSE in there(tenant))
        site.operator.kill()
        assert not asked.is_ready()
    site.start_operator()

    assert states(asked.ready()) == {WAREHOUSE: "Live", ANNEX: "Live"}
    assert rows(asked, WAREHOUSE) == rows(asked, ANNEX) == [(1,), (2,)]
    asked.delete()
    asked.gone()
    assert not site.warehouse.has(asked.role)
    assert not annex.has(asked.role)


def test_one_token_proves_its_user_on_both(tenant: Tenant):
    proven = Proven(tenant).ready_to_ask()
    tenant.site.told(tenant.policy(f"{tenant.name}-annex", platform=ANNEX), "Ready", "True")

    asked = proven.ask(proven.token(), wanted=BOTH).ready()

    assert asked.status["user"]["proof"] == "Token"
    assert rows(asked, WAREHOUSE) == rows(asked, ANNEX) == [(1,), (2,)]


def test_another_objects_secret_of_that_name_is_left_alone_and_nothing_is_made(tenant: Tenant):
    granted_on(tenant, WAREHOUSE, ANNEX)
    other = tenant.ask(name=f"{tenant.name}-both-{ANNEX}").ready()

    asked = tenant.ask(name=f"{tenant.name}-both", wanted=BOTH)

    assert f"Secret {AGENTS}/{other.name} exists" in asked.refused("Conflict")
    assert not any(asked.status["roleName"] in tenant.site.database(name).roles() for name in (WAREHOUSE, ANNEX))
    assert other.rows("SELECT count(*) FROM people") == [(2,)]
    asked.delete()
    asked.gone()
    assert other.rows("SELECT count(*) FROM people") == [(2,)]
    other.delete()
    other.gone()

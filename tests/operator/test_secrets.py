"""Credentials in Secrets: each belongs to one VendedRole, goes with it, and nobody else's is ever touched."""

from tests.support.site import AGENTS
from tests.support.tenancy import Tenant


def test_a_secret_of_somebody_else_is_left_alone_and_stands_in_the_way_until_it_is_gone(tenant: Tenant):
    tenant.ready_to_ask()
    tenant.site.put_secret(AGENTS, tenant.name, password="mine")
    theirs = tenant.site.secret(AGENTS, tenant.name).body

    asked = tenant.ask(name=tenant.name)
    message = asked.refused("Conflict")

    assert f"Secret {AGENTS}/{tenant.name} exists and is not this VendedRole's credential" in message
    assert "delete it, or give the VendedRole another name" in message
    assert asked.status["roleName"] not in tenant.site.warehouse.roles()
    assert tenant.site.secret(AGENTS, tenant.name).body == theirs
    tenant.site.cluster.call("DELETE", f"/api/v1/namespaces/{AGENTS}/secrets/{tenant.name}")
    assert asked.ready(within=60).login()["username"] == asked.role


def test_a_secret_that_claims_our_type_but_belongs_to_nobody_is_not_taken_for_ours(tenant: Tenant):
    tenant.ready_to_ask()
    place = f"/api/v1/namespaces/{AGENTS}/secrets"
    planted = {"metadata": {"name": tenant.name}, "type": "rolevend.dev/credential", "stringData": {"username": "x", "password": "planted"}}
    assert tenant.site.cluster.call("POST", place, planted).ok

    asked = tenant.ask(name=tenant.name)

    asked.refused("Conflict")
    assert tenant.site.secret(AGENTS, tenant.name).body["data"]["password"] == "cGxhbnRlZA=="
    tenant.site.cluster.call("DELETE", f"{place}/{tenant.name}")


def test_the_same_name_again_at_once_is_another_role_with_another_password(tenant: Tenant):
    tenant.ready_to_ask()
    first = tenant.ask(name=tenant.name).ready()
    login = first.login()
    first.delete()
    first.gone()

    second = tenant.ask(name=tenant.name).ready()

    assert second.role != first.role
    assert second.login()["password"] != login["password"]
    assert tenant.site.warehouse.refuses(login)


def test_the_secret_is_gone_when_its_object_is_however_that_was_deleted(tenant: Tenant):
    """A deletion that orphans takes the owner off the Secret: the garbage collector would leave it there for ever."""
    tenant.ready_to_ask()
    for how in ("background", "foreground", "orphan"):
        asked = tenant.ask(name=tenant.name).ready()

        tenant.site.cluster.kubectl("delete", "vr", asked.name, "--namespace", AGENTS, f"--cascade={how}", "--timeout=60s")

        assert not tenant.site.secret(AGENTS, asked.name).ok, how


def test_the_secret_is_gone_when_a_role_ends_before_its_time(tenant: Tenant):
    asked = tenant.ready_to_ask().ask().ready()

    tenant.site.remove(tenant.described("Agent", {}, namespace=AGENTS))
    asked.gone()

    assert not tenant.site.secret(AGENTS, asked.name).ok

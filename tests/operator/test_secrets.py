"""Credentials in Secrets: each belongs to one VendedRole, goes with it, and nobody else's is ever touched."""

from typing import Any

import pytest

from rolevend.model import AgentHandle, RoleName, Uid, UserHandle
from rolevend.naming import role_name
from tests.support.installed import OPERATOR
from tests.support.site import AGENTS
from tests.support.tenancy import Asked, Tenant

CHOSEN = "chosen-by-an-attacker"
PLACE = f"/api/v1/namespaces/{AGENTS}/secrets"


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
    assert asked.ready().login()["username"] == asked.role


def test_a_secret_that_claims_our_type_but_belongs_to_nobody_is_not_taken_for_ours(tenant: Tenant):
    tenant.ready_to_ask()
    planted = {"metadata": {"name": tenant.name}, "type": "rolevend.dev/credential", "stringData": {"username": "x", "password": "planted"}}
    assert tenant.site.cluster.call("POST", PLACE, planted, user=OPERATOR).ok

    asked = tenant.ask(name=tenant.name)

    asked.refused("Conflict")
    assert tenant.site.secret(AGENTS, tenant.name).body["data"]["password"] == "cGxhbnRlZA=="
    tenant.site.cluster.call("DELETE", f"{PLACE}/{tenant.name}")


def role_of(asked: Asked, tenant: Tenant) -> RoleName:
    return role_name(AgentHandle(tenant.handle), UserHandle(tenant.handle), Uid(asked.uid))


def planted(asked: Asked, role: str, password: str) -> dict[str, Any]:
    """What 0.1.0 wrote, without the MAC; whoever may create Secrets can write the same."""
    owner = {"apiVersion": "rolevend.dev/v1alpha1", "kind": "VendedRole", "name": asked.name, "uid": asked.uid, "controller": True}
    return {
        "type": "rolevend.dev/credential",
        "immutable": True,
        "metadata": {"name": asked.name, "ownerReferences": [owner]},
        "stringData": {"username": role, "password": password},
    }


def test_a_planted_credential_gives_its_role_no_password(tenant: Tenant):
    """The operator is down, as it might be slow; and the Secret comes past the admission policy, as where somebody took that away. One of
    0.1.0, whose operator died between Secret and role, is the same: its password is replaced."""
    site = tenant.site
    tenant.agent()
    tenant.person(handle=tenant.handle)
    site.told(tenant.policy(), "Ready", "True")
    site.operator.kill()
    asked = tenant.ask()
    role = role_of(asked, tenant)
    assert site.cluster.call("POST", PLACE, planted(asked, role, CHOSEN), user=OPERATOR).ok

    site.start_operator()

    login = asked.ready().login()
    assert login["username"] == asked.role == role
    assert login["password"] != CHOSEN
    assert site.warehouse.refuses({**login, "uri": login["uri"].replace(login["password"], CHOSEN)})
    assert asked.rows("SELECT count(*) FROM people") == [(2,)]
    told = f"replaced a credential that this operator did not write: Secret {AGENTS}/{asked.name}"
    assert any(line.get("message") == told for line in site.log_lines())


def test_nobody_but_the_operator_writes_a_credential_not_even_an_administrator(tenant: Tenant):
    asked = tenant.ready_to_ask().ask().ready()
    body = planted(asked, asked.role, "x")
    body["metadata"]["name"] = f"{asked.name}-planted"

    refused = tenant.site.cluster.call("POST", PLACE, body)

    assert refused.status == 403
    assert "Secrets of type rolevend.dev/credential are written by rolevend alone" in refused.message


@pytest.mark.long
def test_what_the_operator_wrote_before_it_was_killed_is_the_roles_credential_when_it_is_back(tenant: Tenant):
    """Also of a role whose status was lost: the password that an agent may have read holds."""
    site = tenant.ready_to_ask().site
    asked = tenant.ask().ready()
    password = asked.login()["password"]
    site.operator.kill()
    conditions = [{**each, "status": "False"} if each["type"] == "Ready" else each for each in asked.status["conditions"]]
    assert site.cluster.patch(asked.body, {"status": {"conditions": conditions}}, subresource="status").ok

    site.start_operator()

    assert asked.ready().login()["password"] == password
    assert asked.rows("SELECT count(*) FROM people") == [(2,)]


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

        tenant.site.cluster.kubectl("delete", "vr", asked.name, "--namespace", AGENTS, f"--cascade={how}", "--timeout=300s")

        assert not tenant.site.secret(AGENTS, asked.name).ok, how


def test_the_secret_is_gone_when_a_role_ends_before_its_time(tenant: Tenant):
    asked = tenant.ready_to_ask().ask().ready()

    tenant.site.remove(tenant.described("Agent", {}, namespace=AGENTS))
    asked.gone()

    assert not tenant.site.secret(AGENTS, asked.name).ok


@pytest.mark.long
def test_a_namespace_that_its_owner_makes_one_of_agents_is_served_without_a_change_of_the_chart(tenant: Tenant):
    """Until then the refusal says how."""
    cluster, name = tenant.site.cluster, f"of-{tenant.name}"
    assert cluster.call("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": {"team": "claims"}}}).ok
    tenant.ready_to_ask(namespace=name)
    asked = tenant.ask(namespace=name)
    assert "bind the chart's ClusterRole …-agent-namespace there" in asked.refused("NotPermitted")

    account = OPERATOR.removeprefix("system:serviceaccount:")
    cluster.kubectl(
        "create", "rolebinding", "rolevend", "--namespace", name, "--clusterrole=rolevend-agent-namespace", f"--serviceaccount={account}"
    )

    assert asked.ready().login()["username"] == asked.role
    asked.delete()
    asked.gone()

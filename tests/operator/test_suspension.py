"""`spec.suspend` of an Agent, UserAttributes, an AccessPolicy or a DataPlatform, and the switch of the whole cluster: nothing is vended,
live roles end, and all of it goes on afterwards."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from rolevend.snapshot.suspension import SUSPENSION
from testbed.installation import API_SERVICE_ACCOUNT, NAMESPACE, SERVICE_ACCOUNT
from tests.support.proving import Proven
from tests.support.site import AGENTS, ANNEX, DOMAIN, WAREHOUSE, Body, Site
from tests.support.switch import Switch
from tests.support.tenancy import Tenant
from tests.support.waiting import eventually

COUNT = "SELECT count(*) FROM people"


def revoked(site: Site, reason: str, platform: str = WAREHOUSE) -> float:
    return site.metric("rolevend_revoked_roles_total", platform=platform, reason=reason)


@pytest.fixture
def switch(site: Site) -> Iterator[Switch]:
    switch = Switch(site)
    yield switch
    switch.off()
    site.wait_for_platform(WAREHOUSE)
    site.wait_for_platform(ANNEX)


@pytest.fixture
def annex(site: Site) -> Iterator[Body]:
    site.wait_for_platform(ANNEX)
    platform = {"kind": "DataPlatform", "metadata": {"name": ANNEX}}
    yield platform
    site.patch(platform, {"suspend": False})
    site.wait_for_platform(ANNEX)


def test_a_suspended_agent_loses_its_roles_and_gets_none_until_it_is_resumed(tenant: Tenant):
    site, agent = tenant.ready_to_ask().site, tenant.described("Agent", {}, namespace=AGENTS)
    live, before = tenant.ask().ready(), revoked(site, "Suspended")
    with site.warehouse.session(live.login()) as session:
        assert session.execute(COUNT).fetchall() == [(2,)]

        site.patch(agent, {"suspend": True})

        with pytest.raises(psycopg.Error):
            session.execute("SELECT pg_sleep(600)")
    live.gone()
    assert site.warehouse.ended(live.role) == "Revoked"
    eventually(lambda: revoked(site, "Suspended") == before + 1)
    assert "its roles end" in site.told(agent, "Ready", "False", "Suspended")
    eventually(lambda: site.metric("rolevend_suspended", kind="Agent") >= 1)
    refused = tenant.ask()
    assert refused.refused("Suspended", granted="False") == f"Agent {AGENTS}/{tenant.name} is suspended"
    assert not tenant.roles()

    site.patch(agent, {"suspend": False})

    site.told(agent, "Ready", "True")
    eventually(lambda: site.metric("rolevend_suspended", kind="Agent") == 0)
    refused.ready()


def test_a_suspended_user_loses_their_roles_and_others_keep_theirs(tenant: Tenant):
    site, anna = tenant.ready_to_ask().site, tenant.described("UserAttributes", {}, f"anna.{tenant.name}")
    tenant.person("bob")
    live, of_bob = tenant.ask().ready(), eventually(lambda: tenant.ask("bob").ready())

    site.patch(anna, {"suspend": True})

    live.gone()
    assert site.warehouse.ended(live.role) == "Revoked"
    assert "their roles end" in site.told(anna, "Ready", "False", "Suspended")
    refused = tenant.ask()
    assert refused.refused("Suspended", granted="False").startswith(f"the user anna.{tenant.name} (")
    assert of_bob.rows(COUNT) == [(2,)]

    site.patch(anna, {"suspend": False})

    refused.ready()


@pytest.mark.parametrize("conflict", [False, True], ids=["accepted", "with an older object"])
def test_tokens_do_not_help_a_suspended_user_until_the_object_is_gone(tenant: Tenant, conflict: bool):
    proven = Proven(tenant).ready_to_ask()
    live = proven.ask(proven.token()).ready()
    spec = {"user": proven.user()}
    if conflict:
        tenant.make("UserAttributes", spec, f"older.{tenant.name}")

    suspended = tenant.make("UserAttributes", {**spec, "suspend": True}, f"suspended.{tenant.name}")

    live.gone()
    assert "is suspended" in proven.ask(proven.token()).refused("Suspended", granted="False")

    tenant.site.remove(suspended)

    proven.ask(proven.token()).ready()


def test_roles_of_revoked_sessions_end_and_later_ones_are_vended(tenant: Tenant):
    site, anna = tenant.ready_to_ask().site, tenant.described("UserAttributes", {}, f"anna.{tenant.name}")
    tenant.person("bob")
    live, of_bob = tenant.ask().ready(), eventually(lambda: tenant.ask("bob").ready())
    before = revoked(site, "SessionRevoked")

    until = revoke_sessions(site, anna)

    live.gone()
    assert site.warehouse.ended(live.role) == "Revoked"
    assert revoked(site, "SessionRevoked") == before + 1
    eventually(lambda: datetime.now(UTC) > until)
    assert tenant.ask().ready().rows(COUNT) == of_bob.rows(COUNT) == [(2,)]


def test_a_token_of_a_revoked_session_proves_nothing(tenant: Tenant):
    proven = Proven(tenant).ready_to_ask()
    old, live = proven.token(), proven.ask(proven.token()).ready()

    until = revoke_sessions(tenant.site, tenant.make("UserAttributes", {"user": proven.user()}))

    live.gone()
    eventually(lambda: datetime.now(UTC) > until)
    assert "the user has to log in again" in proven.ask(old).refused("SessionRevoked", granted="False")
    undated = proven.token(without=("iat",))
    assert proven.ask(undated).refused("SessionRevoked", granted="False")
    proven.ask(proven.token(iat=int(time.time()))).ready()


def revoke_sessions(site: Site, person: Body) -> datetime:
    """All until the next full second, because Kubernetes states the time of a request in seconds."""
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    site.patch(person, {"notBefore": until.isoformat()})
    return until


def test_a_suspended_policy_grants_nothing_and_others_grant_what_they_did(tenant: Tenant):
    site = tenant.ready_to_ask().site
    policy = tenant.described("AccessPolicy", {}, namespace=DOMAIN)
    other = tenant.policy(f"{tenant.name}-other", "claims", columns={"matchNames": ["*"]}, rows="All", rowFilter=None, masks=[])
    site.told(other, "Ready", "True")
    live = tenant.ask().ready()
    assert live.rows(COUNT) == [(2,)]

    site.patch(policy, {"suspend": True})

    live.gone()
    condition = site.told(policy, "Ready", "False", "Suspended")
    assert "grants and offers nothing" in condition
    assert site.cluster.read(policy).body["status"]["matchedTables"] == 0
    narrower = tenant.ask().ready()
    with pytest.raises(psycopg.Error, match="does not exist"):
        narrower.rows(COUNT)
    assert narrower.rows("SELECT count(*) > 0 FROM claims") == [(True,)]

    site.patch(policy, {"suspend": False})

    site.told(policy, "Ready", "True", "InForce")
    assert eventually(lambda: tenant.ask().ready().rows(COUNT)) == [(2,)]


def test_a_suspended_platform_has_no_role_and_the_other_platform_goes_on(tenant: Tenant, annex: Body):
    site = tenant.ready_to_ask(ANNEX).site
    site.told(tenant.policy(f"{tenant.name}-warehouse"), "Ready", "True")
    there, here = tenant.ask(platform=ANNEX).ready(), tenant.ask().ready()
    before = revoked(site, "Suspended", ANNEX)

    site.patch(annex, {"suspend": True})

    there.gone()
    assert site.annex.ended(there.role) == "Revoked"
    eventually(lambda: revoked(site, "Suspended", ANNEX) == before + 1)
    site.told(annex, "Ready", "False", "Suspended")
    assert tenant.ask(platform=ANNEX).refused("Suspended", granted="False") == f"DataPlatform {ANNEX} is suspended"
    assert here.rows(COUNT) == [(2,)]
    assert tenant.ask().ready().rows(COUNT) == [(2,)]


def test_the_suspended_cluster_has_no_role_until_it_is_resumed(tenant: Tenant, switch: Switch):
    site = tenant.ready_to_ask(ANNEX).site
    site.told(tenant.policy(f"{tenant.name}-warehouse"), "Ready", "True")
    lives = [tenant.ask(platform=ANNEX).ready(), tenant.ask().ready()]

    switch.set(suspend="true", because="INC-4711")

    for live in lives:
        live.gone()
    assert site.warehouse.ended(lives[1].role) == "Revoked"
    for name in (WAREHOUSE, ANNEX):
        said = site.told({"kind": "DataPlatform", "metadata": {"name": name}}, "Ready", "False", "Suspended")
        assert f"ConfigMap {NAMESPACE}/{SUSPENSION} suspends the whole cluster: INC-4711" in said
    refused = tenant.ask()
    assert refused.refused("Suspended", granted="False") == "the whole cluster is suspended"

    switch.set(suspend="false")

    refused.ready()


def test_only_its_role_may_turn_the_switch(tenant: Tenant):
    """Bound to the Role it can be written, and nothing else of the namespace can."""
    site = tenant.site
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "suspenders", "namespace": NAMESPACE},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "rolevend-suspender"},
        "subjects": [{"kind": "User", "name": "rita", "apiGroup": "rbac.authorization.k8s.io"}],
    }

    def can(verb: str, name: str, user: str = "rita") -> bool:
        of = {"namespace": NAMESPACE, "verb": verb, "resource": "configmaps", "name": name}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {"user": user, "resourceAttributes": of}}
        return bool(site.cluster.call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review).body["status"]["allowed"])

    assert site.cluster.call("POST", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/rolebindings", binding).ok
    assert eventually(lambda: can("patch", SUSPENSION))
    assert not can("patch", "rolevend-user-anna")
    assert not can("delete", SUSPENSION)
    for account in (SERVICE_ACCOUNT, API_SERVICE_ACCOUNT):
        path = f"/api/v1/namespaces/{NAMESPACE}/configmaps/{SUSPENSION}?dryRun=All"
        user, change = f"system:serviceaccount:{NAMESPACE}:{account}", {"data": {"suspend": "false"}}
        assert site.cluster.call("PATCH", path, change, user=user, content_type="application/merge-patch+json").status == 403


def test_a_deployment_from_git_that_does_not_mention_it_leaves_it_alone(tenant: Tenant):
    body = tenant.described("Agent", tenant.agent_spec(), namespace=AGENTS)
    agent = tenant.deploy(body)
    tenant.site.patch(agent, {"suspend": True})

    tenant.deploy(body)

    assert tenant.site.cluster.read(agent).body["spec"]["suspend"] is True
    tenant.site.told(agent, "Ready", "False", "Suspended")


def test_it_is_no_text(tenant: Tenant):
    tenant.agent()
    agent = tenant.described("Agent", {}, namespace=AGENTS)

    answer = tenant.site.cluster.patch(agent, {"spec": {"suspend": "yes"}})

    assert answer.status == 422
    assert "spec.suspend" in answer.message
